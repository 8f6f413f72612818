use std::fmt::Write;

use crate::axis::Axis;
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::number::{counted, px};
use crate::palette::{MAX_GROUPS, Marker, NUM_COLOURS};

/// Curves over a common axis, e.g. the training loss over steps.
///
/// Points are joined in the order given; a value that is not finite breaks
/// the line. Long series are thinned to what a screen can show: per pixel
/// column the first, lowest, highest and last point, so spikes stay.
///
/// ```
/// use morphospace_report::{LineFigure, LineSeries};
///
/// let figure = LineFigure::new("Loss", "step", "mean squared error")
///     .with_series(LineSeries::new("training", vec![(0.0, 1.0), (10.0, 0.6)]));
/// assert_eq!(figure.series[0].points.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LineFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// The curves; beyond 24 they are not drawn but named.
    pub series: Vec<LineSeries>,
}

/// One curve of a [`LineFigure`].
#[derive(Clone, Debug, PartialEq)]
pub struct LineSeries {
    /// The name in the legend.
    pub label: String,
    /// `(x, y)` in drawing order.
    pub points: Vec<(f64, f64)>,
}

impl LineSeries {
    /// A curve through points.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            label: label.into(),
            points,
        }
    }
}

impl LineFigure {
    /// A figure without curves.
    pub fn new(
        caption: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            caption: caption.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            series: Vec::new(),
        }
    }

    /// Adds a curve.
    #[must_use]
    pub fn with_series(mut self, series: LineSeries) -> Self {
        self.series.push(series);
        self
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        writeln!(
            html,
            "<figure>\n<figcaption><strong>{}</strong></figcaption>",
            Escaped(&self.caption)
        )?;
        let drawn = &self.series[..self.series.len().min(MAX_GROUPS)];
        let points = || {
            drawn
                .iter()
                .flat_map(|series| series.points.iter().copied())
        };
        let finite = || points().filter(|(x, y)| x.is_finite() && y.is_finite());
        if finite().next().is_none() {
            html.push_str("<p class=\"empty\">No points to draw.</p>\n</figure>\n");
            return Ok(());
        }
        if drawn.len() > 1 {
            html.push_str("<ul class=\"legend\">\n");
            for (index, series) in drawn.iter().enumerate() {
                writeln!(
                    html,
                    "<li title=\"{}\"><svg class=\"swatch\" width=\"28\" height=\"14\" \
                     viewBox=\"0 0 28 14\" aria-hidden=\"true\"><path class=\"line {}\" \
                     d=\"M1 7H27\"/></svg>{}</li>",
                    Escaped(&series.label),
                    line_class(index),
                    Escaped(&shortened(&series.label, 40))
                )?;
            }
            html.push_str("</ul>\n");
        }
        let frame = Frame::new(
            760.0,
            300.0,
            Axis::covering(finite().map(|(x, _)| x), 8),
            Axis::covering(finite().map(|(_, y)| y), 6),
        );
        let labels: Vec<&str> = drawn.iter().map(|series| series.label.as_str()).collect();
        let description = format!(
            "Line chart, {}: {} over {}. Curves: {}.",
            self.caption,
            self.y_label,
            self.x_label,
            shortened(&labels.join(", "), 200)
        );
        frame.open(html, &description, &self.x_label, &self.y_label)?;
        for (index, series) in drawn.iter().enumerate() {
            let label = Escaped(&series.label);
            let class = line_class(index);
            let (path, dots) = paths_of(&series.points, &frame)?;
            for (path, class) in [
                (path, format!("line {class}")),
                (dots, format!("c{}", index % NUM_COLOURS)),
            ] {
                if !path.is_empty() {
                    writeln!(
                        html,
                        "<path class=\"{class}\" d=\"{path}\"><title>{label}</title></path>"
                    )?;
                }
            }
        }
        html.push_str("</svg>\n");
        let num_omitted = points().count() - finite().count();
        if num_omitted > 0 {
            let omitted = counted(num_omitted, "point");
            writeln!(
                html,
                "<p class=\"remark\">{omitted} without a finite value not drawn.</p>"
            )?;
        }
        if self.series.len() > drawn.len() {
            let more = counted(self.series.len() - drawn.len(), "further curve");
            writeln!(html, "<p class=\"remark\">{more} not drawn.</p>")?;
        }
        html.push_str("</figure>\n");
        Ok(())
    }
}

/// Colour and dash pattern: 8 colours and 3 patterns have no common factor,
/// so 24 curves differ.
fn line_class(index: usize) -> String {
    format!("l{} d{}", index % NUM_COLOURS, index % 3)
}

/// The lines through runs of finite points, and dots for points that stand
/// alone.
fn paths_of(points: &[(f64, f64)], frame: &Frame) -> Result<(String, String), std::fmt::Error> {
    let (mut lines, mut dots) = (String::new(), String::new());
    let is_finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    for run in points.chunk_by(|a, b| is_finite(a) == is_finite(b)) {
        if !is_finite(&run[0]) {
            continue;
        }
        let pixels: Vec<(f64, f64)> = run
            .iter()
            .map(|(x, y)| (frame.x_px(*x), frame.y_px(*y)))
            .collect();
        if let [(x, y)] = pixels[..] {
            Marker::Group(0).add_to_path(&mut dots, x, y, 3.0);
            continue;
        }
        for (index, (x, y)) in thinned(pixels, frame.num_columns()).into_iter().enumerate() {
            write!(
                lines,
                "{}{} {}",
                if index == 0 { "M" } else { "L" },
                px(x),
                px(y)
            )?;
        }
    }
    Ok((lines, dots))
}

/// Keeps the first, lowest, highest and last point of every pixel column
/// (Jugel et al. 2014, <https://doi.org/10.14778/2732951.2732953>): the
/// drawn line is the same.
fn thinned(pixels: Vec<(f64, f64)>, num_columns: usize) -> Vec<(f64, f64)> {
    if pixels.len() <= 4 * num_columns {
        return pixels;
    }
    let mut kept = Vec::new();
    for column in pixels.chunk_by(|a, b| a.0.floor() == b.0.floor()) {
        let by_height = |a: &usize, b: &usize| column[*a].1.total_cmp(&column[*b].1);
        let lowest = (0..column.len()).min_by(by_height).unwrap_or(0);
        let highest = (0..column.len()).max_by(by_height).unwrap_or(0);
        let mut indices = [0, lowest, highest, column.len() - 1];
        indices.sort_unstable();
        let mut previous = None;
        for index in indices {
            if previous != Some(index) {
                kept.push(column[index]);
                previous = Some(index);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_spikes_and_ends() {
        let mut pixels: Vec<(f64, f64)> =
            (0..100_000).map(|i| (f64::from(i) / 100.0, 50.0)).collect();
        pixels[54_321].1 = -7.0;
        let kept = thinned(pixels.clone(), 1000);
        assert!(kept.len() <= 4000, "{}", kept.len());
        assert!(kept.contains(&pixels[54_321]));
        assert_eq!((kept.first(), kept.last()), (pixels.first(), pixels.last()));
    }
}
