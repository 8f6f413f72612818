use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, OneDrawing};
use crate::escape::Escaped;
use crate::frame::Frame;
use crate::number::{counted, format_number, px};
use crate::palette::Marker;
use crate::spread_figure::{row_pitch, rows_frame};

/// A column of a [`ResultGrid`](crate::ResultGrid) as a picture: what was found of
/// each row and, beside it, what somebody else reports.
///
/// ```
/// use morphospace_report::{ResultFigure, ResultPoint};
///
/// let found = ResultPoint { value: 0.61, sd: Some(0.01) };
/// let reported = ResultPoint { value: 0.62, sd: None };
/// let figure = ResultFigure::new("Table 1: CORUM", "recall")
///     .with_row("ViT-S/16", Some(found), Some(reported));
/// assert_eq!(figure.rows.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ResultFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the values.
    pub value_label: String,
    /// Name, what was found and what is reported, top to bottom; beyond 100 they are
    /// not drawn but counted.
    pub rows: Vec<(String, Option<ResultPoint>, Option<ResultPoint>)>,
}

/// A value of a [`ResultFigure`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ResultPoint {
    /// The value.
    pub value: f64,
    /// Its standard deviation.
    pub sd: Option<f64>,
}

impl ResultPoint {
    fn ends(&self) -> [f64; 2] {
        let sd = self.sd.filter(|sd| sd.is_finite()).unwrap_or(0.0);
        [self.value - sd, self.value + sd]
    }
}

/// Rows beyond are not drawn.
const MAX_ROWS: usize = 100;

impl ResultFigure {
    /// A figure without rows.
    pub fn new(caption: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            value_label: value_label.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row below the others.
    #[must_use]
    pub fn with_row(
        mut self,
        name: impl Into<String>,
        found: Option<ResultPoint>,
        reported: Option<ResultPoint>,
    ) -> Self {
        self.rows.push((name.into(), found, reported));
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let drawn = &self.rows[..self.rows.len().min(MAX_ROWS)];
        let drawing = self.drawing(drawn)?;
        let mut remarks = Vec::new();
        if drawing.is_some() {
            let points = || {
                drawn
                    .iter()
                    .flat_map(|(_, found, reported)| [found, reported])
            };
            let has_reported = drawn.iter().any(|(_, _, reported)| reported.is_some());
            let has_sd = points().flatten().any(|point| point.sd.is_some());
            let mut remark = "Dots: found here".to_owned();
            remark.push_str(if has_reported {
                "; diamonds: reported"
            } else {
                ""
            });
            remark.push_str(if has_sd {
                "; lines: one standard deviation."
            } else {
                "."
            });
            remarks.push(remark);
            if self.rows.len() > drawn.len() {
                let more = counted(self.rows.len() - drawn.len(), "further row");
                remarks.push(format!("{more} not drawn."));
            }
        }
        Ok(OneDrawing {
            caption: self.caption.clone(),
            legend: Vec::new(),
            drawing,
            remarks,
        })
    }

    fn drawing(
        &self,
        drawn: &[(String, Option<ResultPoint>, Option<ResultPoint>)],
    ) -> Result<Option<Drawing>, std::fmt::Error> {
        let points = drawn
            .iter()
            .flat_map(|(_, found, reported)| [found, reported])
            .flatten();
        let ends: Vec<f64> = points.flat_map(ResultPoint::ends).collect();
        if !ends.iter().any(|end| end.is_finite()) {
            return Ok(None);
        }
        let frame = rows_frame(
            drawn.iter().map(|(name, _, _)| name.as_str()),
            Axis::covering(ends.iter().copied(), 8),
        );
        let description = format!(
            "Results, {}: {} of {}.",
            self.caption,
            self.value_label,
            counted(drawn.len(), "row")
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.value_label, "")?;
        let pitch = row_pitch(&frame);
        for (index, (name, found, reported)) in drawn.iter().enumerate() {
            let y = frame.y_px((drawn.len() - 1 - index) as f64);
            let is_both = found.is_some() && reported.is_some();
            let apart = if is_both { 0.18 * pitch } else { 0.0 };
            if let Some(point) = found {
                write_point(&mut markup, &frame, (name, "found"), point, y - apart, 0)?;
            }
            if let Some(point) = reported {
                write_point(&mut markup, &frame, (name, "reported"), point, y + apart, 1)?;
            }
        }
        markup.push_str("</svg>\n");
        let (width, height) = frame.size();
        Ok(Some(Drawing {
            markup,
            width,
            height,
        }))
    }
}

fn write_point(
    markup: &mut String,
    frame: &Frame,
    (name, what): (&str, &str),
    point: &ResultPoint,
    y: f64,
    series: usize,
) -> std::fmt::Result {
    if !point.value.is_finite() {
        return Ok(());
    }
    let [low, high] = point.ends().map(|end| frame.x_px(end));
    if high - low > 0.0 {
        let (low, high) = (px(low), px(high));
        write!(
            markup,
            "<path class=\"whisker-line l{series}\" d=\"M{low} {}H{high}\"/>",
            px(y)
        )?;
    }
    let mut path = String::new();
    let marker = Marker::Group(series);
    marker.add_to_path(&mut path, frame.x_px(point.value), y, 3.4);
    writeln!(
        markup,
        "<path class=\"{}\" d=\"{path}\"><title>{}, {what}: {}</title></path>",
        marker.class(),
        Escaped(name),
        format_number(point.value)
    )
}
