use std::fmt::Write;

use morphospace_core::Provenance;

use crate::escape::Escaped;

/// Names and their values, e.g. what ran.
///
/// ```
/// use morphospace_core::Provenance;
/// use morphospace_report::KeyValueTable;
///
/// let provenance = Provenance::new("align").with_seed("bootstrap", 3);
/// let table = KeyValueTable::from(&provenance).with("Plates", 4);
/// assert!(table.rows.contains(&("Seed 'bootstrap'".into(), "3".into())));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeyValueTable {
    /// Said above the table; may be empty.
    pub caption: String,
    /// Names and values in the order they are shown.
    pub rows: Vec<(String, String)>,
}

impl KeyValueTable {
    /// An empty table.
    pub fn new(caption: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.rows.push((name.into(), value.to_string()));
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        write!(html, "<div class=\"wide\"><table class=\"pairs\">")?;
        if !self.caption.is_empty() {
            write!(html, "<caption>{}</caption>", Escaped(&self.caption))?;
        }
        html.push_str("<tbody>\n");
        for (name, value) in &self.rows {
            let (name, value) = (Escaped(name), Escaped(value));
            writeln!(
                html,
                "<tr><th scope=\"row\">{name}</th><td>{value}</td></tr>"
            )?;
        }
        if self.rows.is_empty() {
            html.push_str("<tr><td class=\"empty\">nothing recorded</td></tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
        Ok(())
    }
}

/// Tool, version, stage, configuration, seeds, inputs and settings, in this
/// order.
impl From<&Provenance> for KeyValueTable {
    fn from(provenance: &Provenance) -> Self {
        let mut table = Self::new("")
            .with(
                "Tool",
                format!("{} {}", provenance.tool, provenance.tool_version),
            )
            .with("Stage", &provenance.stage);
        if let Some(sha256) = &provenance.config_sha256 {
            table = table.with("Configuration", format!("sha256 {sha256}"));
        }
        for (name, seed) in &provenance.seeds {
            table = table.with(format!("Seed '{name}'"), seed);
        }
        for input in &provenance.inputs {
            table = table.with("Input", format!("{}\nsha256 {}", input.name, input.sha256));
        }
        for (name, value) in &provenance.settings {
            table = table.with(name, value);
        }
        table
    }
}
