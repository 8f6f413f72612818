use std::fmt::Write;

use crate::escape::Escaped;

/// Results of several things, one row each, below several headings, as in the
/// tables of papers.
///
/// ```
/// use morphospace_report::{ResultCell, ResultGrid};
///
/// let cell = ResultCell { text: "0.61 ± 0.01".into(), detail: Some("paper 0.62".into()) };
/// let grid = ResultGrid::new("Table 1", ["CORUM"]).with_row("ViT-S/16", vec![cell]);
/// assert_eq!(grid.rows.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ResultGrid {
    /// What the table is.
    pub caption: String,
    /// Its headings.
    pub columns: Vec<String>,
    /// Names of rows with one cell for each heading.
    pub rows: Vec<(String, Vec<ResultCell>)>,
}

/// A cell of a [`ResultGrid`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultCell {
    /// What was found.
    pub text: String,
    /// Said below it in small letters.
    pub detail: Option<String>,
}

impl ResultGrid {
    /// A table without rows.
    pub fn new(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns
                .into_iter()
                .map(|name| name.as_ref().to_owned())
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row below the others.
    #[must_use]
    pub fn with_row(mut self, name: impl Into<String>, cells: Vec<ResultCell>) -> Self {
        self.rows.push((name.into(), cells));
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let caption = Escaped(&self.caption);
        if self.rows.is_empty() {
            return writeln!(html, "<p class=\"empty\">{caption}: no rows.</p>");
        }
        write!(
            html,
            "<p class=\"intro\">{caption}</p><div class=\"wide\"><table class=\"results\">\
             <thead><tr><td></td>"
        )?;
        for column in &self.columns {
            write!(
                html,
                "<th scope=\"col\" class=\"number\">{}</th>",
                Escaped(column)
            )?;
        }
        html.push_str("</tr></thead><tbody>\n");
        for (name, cells) in &self.rows {
            write!(html, "<tr><th scope=\"row\">{}</th>", Escaped(name))?;
            for cell in cells {
                write!(html, "<td class=\"number\">{}", Escaped(&cell.text))?;
                if let Some(detail) = &cell.detail {
                    write!(html, "<br><small>{}</small>", Escaped(detail))?;
                }
                html.push_str("</td>");
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        Ok(())
    }
}
