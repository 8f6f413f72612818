use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use morphospace_core::write_atomically;

use crate::Section;
use crate::escape::Escaped;

/// Why a page or a figure was not written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The file system refused.
    #[error("cannot write report '{}'", path.display())]
    CannotWrite {
        /// The page's file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Only figures are written alone.
    #[error("'{}' would hold no figure\nhint: tables, texts and images are written in pages", path.display())]
    NotAFigure {
        /// The file.
        path: PathBuf,
    },
    /// The file's name does not say how to write it.
    #[error("cannot tell from its name how to write figure '{}'\nhint: end it in {FORMATS}", path.display())]
    UnknownFigureFormat {
        /// The file.
        path: PathBuf,
    },
}

/// Endings of files that hold a figure.
const FORMATS: &str = if cfg!(feature = "png") {
    ".svg or .png"
} else {
    ".svg; .png needs the feature `png`"
};

/// A self-contained HTML page.
///
/// ```
/// use morphospace_report::{Page, Section};
///
/// let page = Page::new("Screen <1>")
///     .with_lead("Two plates, one seed.")
///     .with_section(Section::new("Scores").with("None yet."));
/// let html = page.to_html();
/// assert!(html.contains("<h1>Screen &lt;1&gt;</h1>"));
/// assert!(!html.contains("<script"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The title, also of the browser's tab.
    pub title: String,
    /// One or two sentences under the title: what this is and what came out.
    pub lead: String,
    /// The page's parts, in order.
    pub sections: Vec<Section>,
}

impl Page {
    /// A page without sections.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lead: String::new(),
            sections: Vec::new(),
        }
    }

    /// Says under the title what this is and what came out.
    #[must_use]
    pub fn with_lead(mut self, lead: impl Into<String>) -> Self {
        self.lead = lead.into();
        self
    }

    /// Adds a section.
    #[must_use]
    pub fn with_section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The page as HTML 5. The same page gives the same text.
    pub fn to_html(&self) -> String {
        let mut html = String::new();
        self.write_html(&mut html).expect("a string takes any text");
        html
    }

    fn write_html(&self, html: &mut String) -> std::fmt::Result {
        let title = Escaped(&self.title);
        write!(
            html,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"generator\" content=\"morphospace {}\">\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n",
            env!("CARGO_PKG_VERSION"),
            include_str!("page.css"),
        )?;
        write!(html, "<header>\n<h1>{title}</h1>\n")?;
        if !self.lead.is_empty() {
            writeln!(html, "<p class=\"lead\">{}</p>", Escaped(&self.lead))?;
        }
        html.push_str("</header>\n");
        if self.sections.len() > 1 {
            html.push_str("<nav aria-label=\"Contents\">\n<ol>\n");
            for (index, section) in self.sections.iter().enumerate() {
                let (number, heading) = (index + 1, Escaped(&section.heading));
                writeln!(html, "<li><a href=\"#section-{number}\">{heading}</a></li>")?;
            }
            html.push_str("</ol>\n</nav>\n");
        }
        html.push_str("<main>\n");
        for (index, section) in self.sections.iter().enumerate() {
            section.write_html(html, index + 1)?;
        }
        writeln!(
            html,
            "</main>\n<footer><p>Written by morphospace {}. This page is one file: it loads nothing \
             and runs no script.</p></footer>\n</body>\n</html>",
            env!("CARGO_PKG_VERSION")
        )
    }
}

/// Writes the page; the file appears whole or not at all.
///
/// # Errors
/// [`ReportError::CannotWrite`] names the file.
///
/// ```
/// use morphospace_report::{Page, write_page};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("report.html");
/// write_page(&path, &Page::new("Empty"))?;
/// assert!(std::fs::read_to_string(&path)?.contains("<h1>Empty</h1>"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_page(path: &Path, page: &Page) -> Result<(), ReportError> {
    let html = page.to_html();
    write_atomically(path, |file| file.write_all(html.as_bytes())).map_err(|source| {
        ReportError::CannotWrite {
            path: path.to_owned(),
            source,
        }
    })
}
