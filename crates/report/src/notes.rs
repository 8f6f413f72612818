use std::fmt::Write;

use crate::escape::Escaped;

/// What a reader must know before trusting the page: warnings first, then
/// notes.
///
/// ```
/// use morphospace_report::Notes;
///
/// let notes = Notes::default()
///     .with_warning("experiment 'HUVEC-03' has 4 negative controls for 384 features")
///     .with_note("scores use one seed");
/// assert_eq!(notes.warnings.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notes {
    /// What may make the results wrong.
    pub warnings: Vec<String>,
    /// What helps to read them.
    pub notes: Vec<String>,
}

impl Notes {
    /// Adds a warning.
    #[must_use]
    pub fn with_warning(mut self, text: impl Into<String>) -> Self {
        self.warnings.push(text.into());
        self
    }

    /// Adds a note.
    #[must_use]
    pub fn with_note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        if self.warnings.is_empty() && self.notes.is_empty() {
            html.push_str("<p class=\"empty\">No warnings.</p>\n");
            return Ok(());
        }
        html.push_str("<ul class=\"notes\">\n");
        for text in &self.warnings {
            writeln!(
                html,
                "<li class=\"warning\"><strong>Warning</strong><span>{}</span></li>",
                Escaped(text)
            )?;
        }
        for text in &self.notes {
            writeln!(
                html,
                "<li><strong>Note</strong><span>{}</span></li>",
                Escaped(text)
            )?;
        }
        html.push_str("</ul>\n");
        Ok(())
    }
}
