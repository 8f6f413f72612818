use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, LegendEntry, OneDrawing, Swatch};
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::name_places::{NamePlaces, left_out_remark};
use crate::number::{counted, px};
use crate::palette::{MAX_GROUPS, Marker, NUM_COLOURS};

/// Curves over a common axis: the training loss over steps, recall over
/// thresholds with the line of chance, a score over compute by family of
/// models, precision by concentration.
///
/// Points are joined in the order given; a value that is not finite breaks
/// the line, and so does one that is not above 0 on a logarithmic axis. Long
/// series are thinned to what a screen can show: per pixel column the first,
/// lowest, highest and last point, so spikes stay. Of a series with markers
/// every point is drawn, with its name if it has one.
///
/// ```
/// use morphospace_report::{HorizontalAxis, LineFigure, LineSeries};
///
/// let figure = LineFigure::new("Loss", "step", "mean squared error")
///     .with_series(LineSeries::new("training", vec![(0.0, 1.0), (10.0, 0.6)]));
/// assert_eq!(figure.series[0].points.len(), 2);
///
/// // Recall by compute: a family of models, joined and named.
/// let family = LineSeries::new("MAE", vec![(4.6e9, 0.21), (1.75e10, 0.26)])
///     .with_names(["ViT-S/16", "ViT-B/16"])
///     .with_intervals(vec![(4.6e9, 0.2, 0.22), (1.75e10, 0.25, 0.27)]);
/// let figure = LineFigure::new("Recall by compute", "FLOPs per image", "recall")
///     .with_horizontal_axis(HorizontalAxis::Logarithmic)
///     .with_series(family);
/// assert!(figure.series[0].has_markers);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LineFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// How the horizontal axis is divided.
    pub horizontal_axis: HorizontalAxis,
    /// The curves; beyond 24 they are not drawn but named.
    pub series: Vec<LineSeries>,
    /// What to compare with, e.g. chance: a name and points, joined.
    pub reference: Option<(String, Vec<(f64, f64)>)>,
    /// Said below, e.g. what the intervals are.
    pub remarks: Vec<String>,
}

/// How the horizontal axis of a [`LineFigure`] is divided.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum HorizontalAxis {
    /// Equal steps are equal differences.
    #[default]
    Linear,
    /// Equal steps are equal ratios; only values above 0 have a place.
    Logarithmic,
    /// Names in order; points lie at 0, 1, 2 and so on.
    Names(Vec<String>),
}

/// One curve of a [`LineFigure`].
#[derive(Clone, Debug, PartialEq)]
pub struct LineSeries {
    /// The name in the legend.
    pub label: String,
    /// `(x, y)` in drawing order.
    pub points: Vec<(f64, f64)>,
    /// `(x, low, high)` in drawing order: a band, or whiskers where there
    /// are markers.
    pub intervals: Vec<(f64, f64, f64)>,
    /// Names of the points, drawn beside them; may be fewer.
    pub names: Vec<String>,
    /// Whether every point has a marker.
    pub has_markers: bool,
    /// A point that is ringed, e.g. the best.
    pub ringed: Option<usize>,
}

impl LineSeries {
    /// A curve through points.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self {
            label: label.into(),
            points,
            intervals: Vec::new(),
            names: Vec::new(),
            has_markers: false,
            ringed: None,
        }
    }

    /// Draws intervals: a band, or whiskers where there are markers.
    #[must_use]
    pub fn with_intervals(mut self, intervals: Vec<(f64, f64, f64)>) -> Self {
        self.intervals = intervals;
        self
    }

    /// Marks every point.
    #[must_use]
    pub fn with_markers(mut self) -> Self {
        self.has_markers = true;
        self
    }

    /// Marks every point and names the first of them.
    #[must_use]
    pub fn with_names<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.names = names.into_iter().map(Into::into).collect();
        self.with_markers()
    }

    /// Draws a ring around a point.
    #[must_use]
    pub fn with_ring(mut self, index: usize) -> Self {
        self.ringed = Some(index);
        self
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
            horizontal_axis: HorizontalAxis::Linear,
            series: Vec::new(),
            reference: None,
            remarks: Vec::new(),
        }
    }

    /// Adds a curve.
    #[must_use]
    pub fn with_series(mut self, series: LineSeries) -> Self {
        self.series.push(series);
        self
    }

    /// Divides the horizontal axis otherwise.
    #[must_use]
    pub fn with_horizontal_axis(mut self, axis: HorizontalAxis) -> Self {
        self.horizontal_axis = axis;
        self
    }

    /// Adds a line to compare with, e.g. from `(0, 0)` to `(1, 1)`.
    #[must_use]
    pub fn with_reference(
        mut self,
        label: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.reference = Some((label.into(), points.into_iter().collect()));
        self
    }

    /// Says something below the figure.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let drawn = &self.series[..self.series.len().min(MAX_GROUPS)];
        let mut legend = Vec::new();
        if drawn.len() > 1 || self.reference.is_some() {
            for (index, series) in drawn.iter().enumerate() {
                legend.push(LegendEntry {
                    swatch: series.swatch(index),
                    label: series.label.clone(),
                });
            }
        }
        if let Some((label, _)) = &self.reference {
            legend.push(LegendEntry {
                swatch: Swatch::new(28.0, "<path class=\"reference-line\" d=\"M1 7H27\"/>"),
                label: label.clone(),
            });
        }
        let (drawing, num_omitted, num_unnamed) = self.drawing(drawn)?;
        let mut remarks = self.remarks.clone();
        if drawing.is_some() && num_omitted > 0 {
            let omitted = counted(num_omitted, "point");
            remarks.push(match self.horizontal_axis {
                HorizontalAxis::Logarithmic => {
                    format!("{omitted} without a finite value above 0 not drawn.")
                }
                _ => format!("{omitted} without a finite value not drawn."),
            });
        }
        remarks.extend(left_out_remark(num_unnamed));
        if drawing.is_some() && self.series.len() > drawn.len() {
            let more = counted(self.series.len() - drawn.len(), "further curve");
            remarks.push(format!("{more} not drawn."));
        }
        Ok(OneDrawing {
            caption: self.caption.clone(),
            legend,
            drawing,
            remarks,
        })
    }

    /// The drawing, and how many points and names have no place in it.
    fn drawing(
        &self,
        drawn: &[LineSeries],
    ) -> Result<(Option<Drawing>, usize, usize), std::fmt::Error> {
        let is_log = self.horizontal_axis == HorizontalAxis::Logarithmic;
        let has_place = |x: f64, y: f64| x.is_finite() && y.is_finite() && (!is_log || x > 0.0);
        let points = || {
            drawn
                .iter()
                .flat_map(|series| series.points.iter().copied())
        };
        let placed = || points().filter(|(x, y)| has_place(*x, *y));
        let num_omitted = points().count() - placed().count();
        if placed().next().is_none() {
            return Ok((None, num_omitted, 0));
        }
        let intervals = drawn.iter().flat_map(|series| series.intervals.iter());
        let ends = intervals.flat_map(|(x, low, high)| [(*x, *low), (*x, *high)]);
        let reference = self
            .reference
            .iter()
            .flat_map(|(_, points)| points.iter().copied());
        let covered: Vec<(f64, f64)> = placed()
            .chain(ends)
            .chain(reference)
            .filter(|(x, y)| has_place(*x, *y))
            .collect();
        let xs = covered.iter().map(|(x, _)| *x);
        let x_axis = match &self.horizontal_axis {
            // Of blocks or epochs there are no halves.
            HorizontalAxis::Linear if xs.clone().all(|x| x.fract() == 0.0) => {
                Axis::covering(xs, 8).with_whole_ticks()
            }
            HorizontalAxis::Linear => Axis::covering(xs, 8),
            HorizontalAxis::Logarithmic => Axis::log_covering(xs, 8),
            HorizontalAxis::Names(names) => {
                let chars = if names.len() > 12 { 8 } else { 14 };
                Axis::of_names(names.iter().map(String::as_str), chars).including(xs)
            }
        };
        let frame = Frame::new(
            760.0,
            300.0,
            x_axis,
            Axis::covering(covered.iter().map(|(_, y)| *y), 6),
        );
        let labels: Vec<&str> = drawn.iter().map(|series| series.label.as_str()).collect();
        let description = format!(
            "Line chart, {}: {} over {}. Curves: {}.",
            self.caption,
            self.y_label,
            self.x_label,
            shortened(&labels.join(", "), 200)
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.x_label, &self.y_label)?;
        if let Some((label, points)) = &self.reference {
            let (line, _) = paths_of(points, &frame, 0.0)?;
            if !line.is_empty() {
                writeln!(
                    markup,
                    "<path class=\"reference-line\" d=\"{line}\"><title>{}</title></path>",
                    Escaped(label)
                )?;
            }
        }
        let mut names = NamePlaces::new(&frame);
        let step = self.whisker_step(drawn, &frame);
        for (index, series) in drawn.iter().enumerate() {
            let shift = step * (index as f64 - (drawn.len() - 1) as f64 / 2.0);
            series.write_marks(&mut markup, &frame, index, shift, &mut names)?;
        }
        let num_unnamed = names.write(&mut markup)?;
        markup.push_str("</svg>\n");
        let (width, height) = frame.size();
        let drawing = Drawing {
            markup,
            width,
            height,
        };
        Ok((Some(drawing), num_omitted, num_unnamed))
    }
}

impl LineFigure {
    /// How far the whiskers of a series stand beside those of the one before.
    fn whisker_step(&self, drawn: &[LineSeries], frame: &Frame) -> f64 {
        if let HorizontalAxis::Names(_) = self.horizontal_axis {
            return 7.0;
        }
        let has_whiskers = |series: &LineSeries| series.has_markers && !series.intervals.is_empty();
        if !drawn.iter().any(has_whiskers) {
            return 0.0;
        }
        let points = drawn.iter().flat_map(|series| &series.points);
        let mut places: Vec<f64> = points
            .filter(|(x, _)| frame.x_axis().takes(*x))
            .map(|(x, _)| frame.x_px(*x))
            .collect();
        places.sort_by(f64::total_cmp);
        let gaps = places.windows(2).map(|pair| pair[1] - pair[0]);
        let closest = gaps.filter(|gap| *gap > 0.0).fold(f64::INFINITY, f64::min);
        (0.6 * closest / drawn.len() as f64).min(7.0)
    }
}

impl LineSeries {
    fn swatch(&self, index: usize) -> Swatch {
        let mut content = format!("<path class=\"line {}\" d=\"M1 7H27\"/>", line_class(index));
        if self.has_markers {
            let mut path = String::new();
            Marker::Group(index).add_to_path(&mut path, 14.0, 7.0, 4.0);
            let class = Marker::Group(index).class();
            write!(content, "<path class=\"mark {class}\" d=\"{path}\"/>")
                .expect("a string takes any text");
        }
        Swatch::new(28.0, &content)
    }

    fn write_marks(
        &self,
        markup: &mut String,
        frame: &Frame,
        index: usize,
        shift: f64,
        names: &mut NamePlaces,
    ) -> std::fmt::Result {
        let label = Escaped(&self.label);
        let class = line_class(index);
        if self.has_markers {
            let whiskers = whiskers_of(&self.intervals, frame, shift)?;
            if !whiskers.is_empty() {
                let colour = index % NUM_COLOURS;
                writeln!(
                    markup,
                    "<path class=\"whisker-line l{colour}\" d=\"{whiskers}\"/>"
                )?;
            }
        } else {
            let band = band_of(&self.intervals, frame)?;
            if !band.is_empty() {
                let colour = index % NUM_COLOURS;
                writeln!(markup, "<path class=\"area c{colour}\" d=\"{band}\"/>")?;
            }
        }
        let (path, dots) = paths_of(&self.points, frame, shift)?;
        let mut paths = vec![(path, format!("line {class}"))];
        if !self.has_markers {
            paths.push((dots, format!("c{}", index % NUM_COLOURS)));
        }
        for (path, class) in paths {
            if !path.is_empty() {
                writeln!(
                    markup,
                    "<path class=\"{class}\" d=\"{path}\"><title>{label}</title></path>"
                )?;
            }
        }
        // Without names there is nothing to keep away.
        let ends = self.points.windows(2).filter(|_| !self.names.is_empty());
        for ends in ends {
            let places = [ends[0], ends[1]].map(|(x, y)| (frame.x_px(x) + shift, frame.y_px(y)));
            names.avoid_line(places);
        }
        let mut marks = String::new();
        for (place, (x, y)) in self.points.iter().enumerate() {
            if !frame.x_axis().takes(*x) || !frame.y_axis().takes(*y) {
                continue;
            }
            let (x, y) = (frame.x_px(*x) + shift, frame.y_px(*y));
            if self.has_markers {
                Marker::Group(index).add_to_path(&mut marks, x, y, 4.0);
                names.avoid(x, y, 5.0);
            }
            if self.ringed == Some(place) {
                let (x, y) = (px(x), px(y));
                writeln!(
                    markup,
                    "<circle class=\"ring\" cx=\"{x}\" cy=\"{y}\" r=\"8\"/>"
                )?;
            }
            if let Some(name) = self.names.get(place) {
                names.add(x, y, name);
            }
        }
        if !marks.is_empty() {
            let class = Marker::Group(index).class();
            writeln!(
                markup,
                "<path class=\"mark {class}\" d=\"{marks}\"><title>{label}</title></path>"
            )?;
        }
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
fn paths_of(
    points: &[(f64, f64)],
    frame: &Frame,
    shift: f64,
) -> Result<(String, String), std::fmt::Error> {
    let (mut lines, mut dots) = (String::new(), String::new());
    let has_place =
        |point: &(f64, f64)| frame.x_axis().takes(point.0) && frame.y_axis().takes(point.1);
    for run in points.chunk_by(|a, b| has_place(a) == has_place(b)) {
        if !has_place(&run[0]) {
            continue;
        }
        let pixels: Vec<(f64, f64)> = run
            .iter()
            .map(|(x, y)| (frame.x_px(*x) + shift, frame.y_px(*y)))
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

/// The areas between the ends of runs of intervals.
fn band_of(intervals: &[(f64, f64, f64)], frame: &Frame) -> Result<String, std::fmt::Error> {
    let mut band = String::new();
    let has_place = |interval: &(f64, f64, f64)| {
        let takes = |value| frame.y_axis().takes(value);
        frame.x_axis().takes(interval.0) && takes(interval.1) && takes(interval.2)
    };
    for run in intervals.chunk_by(|a, b| has_place(a) == has_place(b)) {
        if !has_place(&run[0]) || run.len() < 2 {
            continue;
        }
        let low = run.iter().map(|(x, low, _)| (*x, *low));
        let high = run.iter().rev().map(|(x, _, high)| (*x, *high));
        for (index, (x, y)) in low.chain(high).enumerate() {
            let command = if index == 0 { "M" } else { "L" };
            write!(band, "{command}{} {}", px(frame.x_px(x)), px(frame.y_px(y)))?;
        }
        band.push('z');
    }
    Ok(band)
}

/// A line with short ends for every interval.
fn whiskers_of(
    intervals: &[(f64, f64, f64)],
    frame: &Frame,
    shift: f64,
) -> Result<String, std::fmt::Error> {
    let mut whiskers = String::new();
    for (x, low, high) in intervals {
        let takes = |value: f64| frame.y_axis().takes(value);
        if frame.x_axis().takes(*x) && takes(*low) && takes(*high) {
            let x = frame.x_px(*x) + shift;
            let (low, high) = (px(frame.y_px(*low)), px(frame.y_px(*high)));
            write!(
                whiskers,
                "M{x} {low}V{high}M{left} {low}h6M{left} {high}h6",
                x = px(x),
                left = px(x - 3.0)
            )?;
        }
    }
    Ok(whiskers)
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
