use std::fmt::Write;

use crate::escape::Escaped;
use crate::number::counted;

/// Something of a screen that could not be used as it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// What: plate, well, site and channel, e.g.
    /// `HUVEC-01 plate 1 well B02 site 2 channel w5`.
    pub subject: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was done about it, e.g. `skipped`.
    pub handling: String,
}

impl Failure {
    /// A failure from its three texts.
    pub fn new(subject: impl ToString, problem: impl ToString, handling: impl ToString) -> Self {
        Self {
            subject: subject.to_string(),
            problem: problem.to_string(),
            handling: handling.to_string(),
        }
    }
}

/// Sites that are missing, incomplete or unreadable, each by its name.
///
/// Every failure is listed; a long list scrolls on screen and is printed
/// whole.
///
/// ```
/// use morphospace_report::{Failure, FailureTable};
///
/// let failure = Failure::new("HUVEC-01 plate 1 well B02 site 2", "no w5, w6", "filled with 0");
/// let table = FailureTable { num_checked: 80, failures: vec![failure] };
/// assert_eq!(table.failures.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FailureTable {
    /// How many sites were looked at.
    pub num_checked: usize,
    /// Those with a problem.
    pub failures: Vec<Failure>,
}

impl FailureTable {
    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let checked = counted(self.num_checked, "site");
        if self.failures.is_empty() {
            return writeln!(
                html,
                "<p class=\"empty\">None: {checked} checked, no problem found.</p>"
            );
        }
        let failed = counted(self.failures.len(), "problem");
        writeln!(
            html,
            "<div class=\"wide scroll\" tabindex=\"0\" role=\"region\" \
             aria-label=\"{failed}, scrollable list\"><table class=\"failures\"><caption>{failed} \
             among {checked} checked.</caption><thead><tr><th scope=\"col\">Where</th>\
             <th scope=\"col\">Problem</th><th scope=\"col\">Handling</th></tr></thead><tbody>"
        )?;
        for failure in &self.failures {
            writeln!(
                html,
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td></tr>",
                Escaped(&failure.subject),
                Escaped(&failure.problem),
                Escaped(&failure.handling)
            )?;
        }
        html.push_str("</tbody></table></div>\n");
        Ok(())
    }
}
