use std::io::Write;
use std::path::Path;

use morphospace_core::write_atomically;

use crate::sheet::Sheet;
use crate::{Block, ReportError};

/// A figure as an SVG document of its own, in light colours, with its
/// caption, legend and remarks; nothing for tables, texts and images.
///
/// ```
/// use morphospace_report::{Block, LineFigure, LineSeries, figure_svg};
///
/// let loss = LineFigure::new("Loss", "step", "mean squared error")
///     .with_series(LineSeries::new("training", vec![(0.0, 1.0), (10.0, 0.6)]));
/// let svg = figure_svg(&Block::from(loss)).expect("a figure");
/// assert!(svg.starts_with("<svg xmlns="));
/// assert_eq!(figure_svg(&Block::from("a paragraph")), None);
/// ```
pub fn figure_svg(figure: &Block) -> Option<String> {
    let (sheet, title) = match figure {
        Block::Scatter(figure) => (figure.sheet(), &figure.caption),
        Block::HeatMap(figure) => (figure.sheet(), &figure.title),
        Block::Plates(figure) => (figure.sheet(), &figure.title),
        Block::Lines(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        Block::Distributions(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        Block::Spreads(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        Block::Bars(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        Block::ResultPoints(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        Block::NamedScatter(figure) => (figure.one_drawing().map(|f| f.sheet()), &figure.caption),
        _ => return None,
    };
    let sheet: Sheet = sheet.expect("a string takes any text");
    Some(sheet.into_svg(title))
}

/// Writes a figure alone, as `.svg` or `.png` by the name of the file, which
/// appears whole or not at all.
///
/// Images have two pixels for each of the page's, and letters of a font of
/// their own, so that they are the same on every machine.
///
/// # Errors
/// [`ReportError::NotAFigure`]: a table, a text or images;
/// [`ReportError::UnknownFigureFormat`]: another ending;
/// [`ReportError::CannotWrite`] names the file.
///
/// ```
/// use morphospace_report::{Bar, BarFigure, Block, write_figure};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("channels.svg");
/// let bars = BarFigure::new("Channels", "Shapley value").with_bar(Bar::new("nuclei", 0.1));
/// write_figure(&path, &Block::from(bars))?;
/// assert!(std::fs::read_to_string(&path)?.contains("nuclei"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_figure(path: &Path, figure: &Block) -> Result<(), ReportError> {
    let Some(svg) = figure_svg(figure) else {
        return Err(ReportError::NotAFigure {
            path: path.to_owned(),
        });
    };
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    let bytes = match extension.to_str() {
        Some("svg") => svg.into_bytes(),
        #[cfg(feature = "png")]
        Some("png") => crate::figure_image::figure_png(&svg),
        _ => {
            return Err(ReportError::UnknownFigureFormat {
                path: path.to_owned(),
            });
        }
    };
    write_atomically(path, |file| file.write_all(&bytes)).map_err(|source| {
        ReportError::CannotWrite {
            path: path.to_owned(),
            source,
        }
    })
}
