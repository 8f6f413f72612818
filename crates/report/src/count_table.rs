use std::fmt::Write;

use crate::escape::Escaped;
use crate::number::format_count;

/// Rows beyond which a table scrolls on screen.
const NUM_SHOWN: usize = 15;

/// Counts of several things for each of several groups. Zeros step back, so
/// that the others are seen.
///
/// ```
/// use morphospace_report::CountTable;
///
/// let table = CountTable::new("Sites with each flag", ["blank", "saturated"])
///     .with_row("HUVEC-01 plate 1", vec![0, 2]);
/// assert_eq!(table.rows.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CountTable {
    /// What is counted.
    pub caption: String,
    /// What each column counts.
    pub columns: Vec<String>,
    /// Groups with one count per column.
    pub rows: Vec<(String, Vec<usize>)>,
}

impl CountTable {
    /// A table without rows.
    pub fn new(
        caption: impl Into<String>,
        columns: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            caption: caption.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a group with one count per column.
    #[must_use]
    pub fn with_row(mut self, name: impl Into<String>, counts: Vec<usize>) -> Self {
        self.rows.push((name.into(), counts));
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let caption = Escaped(&self.caption);
        if self.rows.is_empty() {
            return writeln!(html, "<p class=\"empty\">{caption}: nothing to count.</p>");
        }
        if self.rows.len() > NUM_SHOWN {
            write!(
                html,
                "<div class=\"wide scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{caption}, \
                 scrollable list\">"
            )?;
        } else {
            write!(html, "<div class=\"wide\">")?;
        }
        write!(
            html,
            "<table class=\"counts\"><caption>{caption}</caption><thead><tr><td></td>"
        )?;
        for column in &self.columns {
            let column = Escaped(column);
            write!(html, "<th scope=\"col\" class=\"number\">{column}</th>")?;
        }
        html.push_str("</tr></thead><tbody>\n");
        for (name, counts) in &self.rows {
            write!(html, "<tr><th scope=\"row\">{}</th>", Escaped(name))?;
            for &count in counts {
                let class = if count == 0 { "number zero" } else { "number" };
                write!(html, "<td class=\"{class}\">{}</td>", format_count(count))?;
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        Ok(())
    }
}
