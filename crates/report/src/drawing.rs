use std::fmt::{self, Write};

use crate::escape::{Escaped, shortened};
use crate::number::px;
use crate::sheet::Sheet;

/// An `<svg>` element and its size in pixels.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    pub(crate) markup: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A small drawing and what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LegendEntry {
    pub(crate) swatch: Swatch,
    pub(crate) label: String,
}

/// A small `<svg>` for a legend.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Swatch {
    pub(crate) markup: String,
    pub(crate) width: f64,
}

impl Swatch {
    /// A swatch of some width, 14 pixels high.
    pub(crate) fn new(width: f64, content: &str) -> Self {
        let markup = format!(
            "<svg class=\"swatch\" width=\"{w}\" height=\"14\" viewBox=\"0 0 {w} 14\" \
             aria-hidden=\"true\">{content}</svg>",
            w = px(width)
        );
        Self { markup, width }
    }
}

/// Labels longer than this are cut in a legend.
pub(crate) const LEGEND_CHARS: usize = 40;

/// A figure of one drawing: caption, legend, drawing, remarks.
pub(crate) struct OneDrawing {
    pub(crate) caption: String,
    pub(crate) legend: Vec<LegendEntry>,
    /// Nothing where there is nothing to draw.
    pub(crate) drawing: Option<Drawing>,
    pub(crate) remarks: Vec<String>,
}

impl OneDrawing {
    pub(crate) fn write_html(&self, html: &mut String) -> fmt::Result {
        writeln!(
            html,
            "<figure>\n<figcaption><strong>{}</strong></figcaption>",
            Escaped(&self.caption)
        )?;
        if self.drawing.is_some() && !self.legend.is_empty() {
            html.push_str("<ul class=\"legend\">\n");
            for entry in &self.legend {
                writeln!(
                    html,
                    "<li title=\"{}\">{}{}</li>",
                    Escaped(&entry.label),
                    entry.swatch.markup,
                    Escaped(&shortened(&entry.label, LEGEND_CHARS))
                )?;
            }
            html.push_str("</ul>\n");
        }
        match &self.drawing {
            Some(drawing) => html.push_str(&drawing.markup),
            None => html.push_str("<p class=\"empty\">No points to draw.</p>\n"),
        }
        for remark in &self.remarks {
            writeln!(html, "<p class=\"remark\">{}</p>", Escaped(remark))?;
        }
        html.push_str("</figure>\n");
        Ok(())
    }

    pub(crate) fn sheet(&self) -> Sheet {
        let mut sheet = Sheet::for_drawings(self.drawing.iter().map(|drawing| drawing.width));
        sheet.caption(&self.caption);
        match &self.drawing {
            Some(drawing) => {
                sheet.legend(&self.legend);
                sheet.drawings(&[("", drawing)]);
            }
            None => sheet.remark("No points to draw."),
        }
        for remark in &self.remarks {
            sheet.remark(remark);
        }
        sheet
    }
}
