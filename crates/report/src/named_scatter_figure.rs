use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, LegendEntry, OneDrawing, Swatch};
use crate::escape::Escaped;
use crate::frame::Frame;
use crate::name_places::{NamePlaces, left_out_remark};
use crate::number::{counted, format_number, px};
use crate::palette::{MAX_GROUPS, Marker};

/// Two numbers of some named things against each other, with a fitted line,
/// e.g. a probe's score and a benchmark's over models.
///
/// ```
/// use morphospace_report::{NamedPoint, NamedScatterFigure};
///
/// let figure = NamedScatterFigure::new("Probe and benchmark", "probe accuracy", "recall")
///     .with_point(NamedPoint::new("ViT-S/16", "MAE", 0.31, 0.2))
///     .with_point(NamedPoint::new("ViT-L/8", "MAE", 0.44, 0.27))
///     .with_line(0.54, 0.03)
///     .with_remark("Spearman's rho 1.00.");
/// assert_eq!(figure.points.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NamedScatterFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the horizontal axis.
    pub x_label: String,
    /// Name and unit of the vertical axis.
    pub y_label: String,
    /// The things.
    pub points: Vec<NamedPoint>,
    /// Slope and intercept of a fitted line.
    pub line: Option<(f64, f64)>,
    /// Said below, e.g. the rank correlation.
    pub remarks: Vec<String>,
}

/// A thing of a [`NamedScatterFigure`].
#[derive(Clone, Debug, PartialEq)]
pub struct NamedPoint {
    /// Its name.
    pub label: String,
    /// The group that colours it; groups beyond 24 are grey.
    pub group: String,
    /// Horizontal coordinate.
    pub x: f64,
    /// Vertical coordinate.
    pub y: f64,
}

impl NamedPoint {
    /// A thing with its two numbers.
    pub fn new(label: impl Into<String>, group: impl Into<String>, x: f64, y: f64) -> Self {
        Self {
            label: label.into(),
            group: group.into(),
            x,
            y,
        }
    }

    fn is_finite(&self) -> bool {
        self.x.is_finite() && self.y.is_finite()
    }
}

impl NamedScatterFigure {
    /// A figure without points.
    pub fn new(
        caption: impl Into<String>,
        x_label: impl Into<String>,
        y_label: impl Into<String>,
    ) -> Self {
        Self {
            caption: caption.into(),
            x_label: x_label.into(),
            y_label: y_label.into(),
            points: Vec::new(),
            line: None,
            remarks: Vec::new(),
        }
    }

    /// Adds a point.
    #[must_use]
    pub fn with_point(mut self, point: NamedPoint) -> Self {
        self.points.push(point);
        self
    }

    /// Draws the line `y = slope x + intercept` where the points are.
    #[must_use]
    pub fn with_line(mut self, slope: f64, intercept: f64) -> Self {
        self.line = Some((slope, intercept));
        self
    }

    /// Says something below the figure.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let mut groups: Vec<&str> = Vec::new();
        for point in &self.points {
            if !groups.contains(&point.group.as_str()) {
                groups.push(&point.group);
            }
        }
        let markers: Vec<(&str, Marker)> = groups
            .iter()
            .enumerate()
            .map(|(index, group)| match index {
                index if index < MAX_GROUPS => (*group, Marker::Group(index)),
                _ => (*group, Marker::Other),
            })
            .collect();
        let mut legend: Vec<LegendEntry> = Vec::new();
        if groups.len() > 1 {
            let entries = markers.iter().take(MAX_GROUPS);
            legend.extend(entries.map(|(group, marker)| LegendEntry {
                swatch: Swatch {
                    markup: marker.swatch(),
                    width: 14.0,
                },
                label: match *group {
                    "" => "(no group)".to_owned(),
                    group => group.to_owned(),
                },
            }));
        }
        if groups.len() > MAX_GROUPS {
            let more = counted(groups.len() - MAX_GROUPS, "group");
            legend.push(LegendEntry {
                swatch: Swatch {
                    markup: Marker::Other.swatch(),
                    width: 14.0,
                },
                label: format!("other: {more}"),
            });
        }
        let (drawing, num_unnamed) = self.drawing(&markers)?;
        let mut remarks = self.remarks.clone();
        if drawing.is_some() {
            let num_omitted = self
                .points
                .iter()
                .filter(|point| !point.is_finite())
                .count();
            if num_omitted > 0 {
                let omitted = counted(num_omitted, "point");
                remarks.push(format!("{omitted} without finite coordinates not drawn."));
            }
            remarks.extend(left_out_remark(num_unnamed));
        }
        Ok(OneDrawing {
            caption: self.caption.clone(),
            legend,
            drawing,
            remarks,
        })
    }

    fn drawing(
        &self,
        markers: &[(&str, Marker)],
    ) -> Result<(Option<Drawing>, usize), std::fmt::Error> {
        let points = || self.points.iter().filter(|point| point.is_finite());
        let num_drawn = points().count();
        if num_drawn == 0 {
            return Ok((None, 0));
        }
        let frame = Frame::new(
            760.0,
            420.0,
            Axis::covering(points().map(|point| point.x), 7),
            Axis::covering(points().map(|point| point.y), 7),
        );
        let description = format!(
            "Scatter plot, {}: {}, {} against {}.",
            self.caption,
            counted(num_drawn, "point"),
            self.y_label,
            self.x_label
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.x_label, &self.y_label)?;
        let mut names = NamePlaces::new(&frame);
        if let Some(ends) = self.line.and_then(|line| ends_of_line(line, &frame)) {
            let ends = ends.map(|(x, y)| (frame.x_px(x), frame.y_px(y)));
            names.avoid_line(ends);
            let [(x1, y1), (x2, y2)] = ends.map(|(x, y)| (px(x), px(y)));
            writeln!(
                markup,
                "<path class=\"reference-line\" d=\"M{x1} {y1}L{x2} {y2}\"><title>fitted line</title></path>"
            )?;
        }
        for point in points() {
            let (x, y) = (frame.x_px(point.x), frame.y_px(point.y));
            let marker = markers
                .iter()
                .find(|(group, _)| *group == point.group)
                .map_or(Marker::Other, |(_, marker)| *marker);
            let mut path = String::new();
            marker.add_to_path(&mut path, x, y, 4.5);
            writeln!(
                markup,
                "<path class=\"mark {}\" d=\"{path}\"><title>{}: {}, {}</title></path>",
                marker.class(),
                Escaped(&point.label),
                format_number(point.x),
                format_number(point.y)
            )?;
            names.avoid(x, y, 5.0);
            names.add(x, y, &point.label);
        }
        let num_unnamed = names.write(&mut markup)?;
        markup.push_str("</svg>\n");
        let (width, height) = frame.size();
        let drawing = Drawing {
            markup,
            width,
            height,
        };
        Ok((Some(drawing), num_unnamed))
    }
}

/// The ends of the part of a line that lies inside the axes.
fn ends_of_line((slope, intercept): (f64, f64), frame: &Frame) -> Option<[(f64, f64); 2]> {
    let (x, y) = (frame.x_axis(), frame.y_axis());
    let at = |x: f64| slope * x + intercept;
    let (mut low, mut high) = (x.low, x.high);
    if slope != 0.0 {
        // Where the line passes the lower and the upper end of the axis.
        let (a, b) = ((y.low - intercept) / slope, (y.high - intercept) / slope);
        low = low.max(a.min(b));
        high = high.min(a.max(b));
    } else if !(y.low..=y.high).contains(&intercept) {
        return None;
    }
    let ends = [(low, at(low)), (high, at(high))];
    let is_finite = ends.iter().all(|(x, y)| x.is_finite() && y.is_finite());
    (is_finite && low < high).then_some(ends)
}
