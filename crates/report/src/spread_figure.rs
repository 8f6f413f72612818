use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, OneDrawing};
use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::number::{counted, format_number, px};

/// How values spread in each of some groups, one row for each: a box of
/// quantiles, the values as dots, or both. E.g. energy distances by model.
///
/// Quantiles are given, not computed.
///
/// ```
/// use morphospace_report::{SpreadFigure, SpreadGroup};
///
/// let group = SpreadGroup::new("ViT-B/16")
///     .with_quantiles([0.1, 0.3, 0.5, 0.8, 1.4])
///     .with_values(vec![0.05, 0.3, 0.5, 0.8, 1.9]);
/// let figure = SpreadFigure::new("Energy distance by model", "energy distance")
///     .with_group(group)
///     .with_reference("random embeddings", 0.2)
///     .with_remark("Boxes: quartiles; lines: 5 % to 95 %.");
/// assert_eq!(figure.groups.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the values.
    pub value_label: String,
    /// The groups, top to bottom; beyond 100 they are not drawn but counted.
    pub groups: Vec<SpreadGroup>,
    /// A value to compare with, and its name.
    pub reference: Option<(String, f64)>,
    /// Said below, e.g. which quantiles are drawn.
    pub remarks: Vec<String>,
}

/// One row of a [`SpreadFigure`].
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadGroup {
    /// The group's name.
    pub label: String,
    /// Ends of the line, ends of the box and, in the middle, its mark.
    pub quantiles: Option<[f64; 5]>,
    /// Values drawn as dots; of more than 1,000 some, evenly in the order
    /// given.
    pub values: Vec<f64>,
}

impl SpreadGroup {
    /// A group of which nothing is known.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            quantiles: None,
            values: Vec::new(),
        }
    }

    /// Draws a box: lowest, lower end, mark, upper end, highest.
    #[must_use]
    pub fn with_quantiles(mut self, quantiles: [f64; 5]) -> Self {
        self.quantiles = Some(quantiles);
        self
    }

    /// Draws values as dots.
    #[must_use]
    pub fn with_values(mut self, values: Vec<f64>) -> Self {
        self.values = values;
        self
    }

    fn finite_quantiles(&self) -> Option<&[f64; 5]> {
        self.quantiles
            .as_ref()
            .filter(|quantiles| quantiles.iter().all(|value| value.is_finite()))
    }

    fn drawn(&self) -> impl Iterator<Item = f64> + '_ {
        let quantiles = self.finite_quantiles().into_iter().flatten();
        quantiles.chain(&self.values).copied()
    }
}

/// Rows beyond are not drawn.
const MAX_ROWS: usize = 100;

/// Dots beyond are not drawn.
const MAX_DOTS: usize = 1000;

impl SpreadFigure {
    /// A figure without groups.
    pub fn new(caption: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            value_label: value_label.into(),
            groups: Vec::new(),
            reference: None,
            remarks: Vec::new(),
        }
    }

    /// Adds a group below the others.
    #[must_use]
    pub fn with_group(mut self, group: SpreadGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Adds a line to compare with, e.g. chance.
    #[must_use]
    pub fn with_reference(mut self, label: impl Into<String>, value: f64) -> Self {
        self.reference = Some((label.into(), value));
        self
    }

    /// Says something below the figure.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let drawn = &self.groups[..self.groups.len().min(MAX_ROWS)];
        let drawing = self.drawing(drawn)?;
        let mut remarks = self.remarks.clone();
        if drawing.is_some() {
            if let Some((label, value)) = self.reference.as_ref().filter(|(_, v)| v.is_finite()) {
                let value = format_number(*value);
                remarks.push(format!("Dashed line: {label}, {value}."));
            }
            let all = || drawn.iter().flat_map(|group| &group.values);
            let num_omitted = all().filter(|value| !value.is_finite()).count();
            if num_omitted > 0 {
                let omitted = counted(num_omitted, "value");
                remarks.push(format!("{omitted} that are not finite not drawn."));
            }
            if drawn.iter().any(|group| group.values.len() > MAX_DOTS) {
                remarks.push("Of groups of more than 1,000 values some are drawn.".to_owned());
            }
            if self.groups.len() > drawn.len() {
                let more = counted(self.groups.len() - drawn.len(), "further group");
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

    fn drawing(&self, drawn: &[SpreadGroup]) -> Result<Option<Drawing>, std::fmt::Error> {
        let values = || drawn.iter().flat_map(SpreadGroup::drawn);
        if !values().any(f64::is_finite) {
            return Ok(None);
        }
        let reference = self.reference.iter().map(|(_, value)| *value);
        let frame = rows_frame(
            drawn.iter().map(|group| group.label.as_str()),
            Axis::covering(values().chain(reference), 8),
        );
        let description = format!(
            "Spread of {}, {}: {}.",
            self.value_label,
            self.caption,
            counted(drawn.len(), "group")
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.value_label, "")?;
        if let Some((label, value)) = self.reference.as_ref().filter(|(_, v)| v.is_finite()) {
            write_reference(&mut markup, &frame, label, *value)?;
        }
        let pitch = row_pitch(&frame);
        for (index, group) in drawn.iter().enumerate() {
            let y = frame.y_px((drawn.len() - 1 - index) as f64);
            group.write_row(&mut markup, &frame, y, pitch)?;
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

impl SpreadGroup {
    fn write_row(
        &self,
        markup: &mut String,
        frame: &Frame,
        y: f64,
        pitch: f64,
    ) -> std::fmt::Result {
        let label = Escaped(&self.label);
        let every = self.values.len().div_ceil(MAX_DOTS).max(1);
        let mut dots = String::new();
        for (index, value) in self.values.iter().step_by(every).enumerate() {
            if value.is_finite() {
                // Spread over the row by the golden ratio, so that equal
                // values do not lie upon each other.
                let share = (index as f64 * 0.618_034).fract() - 0.5;
                let (x, y) = (px(frame.x_px(*value) - 1.5), px(y + 0.7 * pitch * share));
                write!(dots, "M{x} {y}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0z")?;
            }
        }
        if !dots.is_empty() {
            writeln!(
                markup,
                "<path class=\"dots c0\" d=\"{dots}\"><title>{label}</title></path>"
            )?;
        }
        let Some(quantiles) = self.finite_quantiles() else {
            return Ok(());
        };
        let [lowest, lower, middle, upper, highest] = quantiles.map(|value| frame.x_px(value));
        let (top, bottom) = (px(y - 0.28 * pitch), px(y + 0.28 * pitch));
        writeln!(
            markup,
            "<path class=\"whisker-line l0\" d=\"M{} {y}H{}M{} {y}H{}\"/>\
             <path class=\"spread c0 l0\" d=\"M{left} {top}H{right}V{bottom}H{left}z\"><title>{label}: {}</title></path>\
             <path class=\"median\" d=\"M{} {top}V{bottom}\"/>",
            px(lowest),
            px(lower),
            px(upper),
            px(highest),
            format_number(quantiles[2]),
            px(middle),
            y = px(y),
            left = px(lower),
            right = px(upper)
        )
    }
}

/// Names of rows are cut beyond this.
const NAME_CHARS: usize = 46;

/// A frame of named rows, the first on top, over a horizontal axis.
pub(crate) fn rows_frame<'a>(
    names: impl DoubleEndedIterator<Item = &'a str>,
    x_axis: Axis,
) -> Frame {
    let names: Vec<String> = names
        .rev()
        .map(|name| shortened(name, NAME_CHARS))
        .collect();
    let pitch = match names.len() {
        0..=30 => 24.0,
        _ => 15.0,
    };
    let axis = Axis::of_names(names.iter().map(String::as_str), NAME_CHARS);
    Frame::new(760.0, 50.0 + pitch * names.len() as f64, x_axis, axis)
}

/// Distance of the rows of such a frame.
pub(crate) fn row_pitch(frame: &Frame) -> f64 {
    frame.y_px(0.0) - frame.y_px(1.0)
}

/// A dashed line down the rows of such a frame.
pub(crate) fn write_reference(
    markup: &mut String,
    frame: &Frame,
    label: &str,
    value: f64,
) -> std::fmt::Result {
    let (_, _, top, bottom) = frame.edges();
    writeln!(
        markup,
        "<path class=\"reference-line\" d=\"M{} {}V{}\"><title>{}</title></path>",
        px(frame.x_px(value)),
        px(top),
        px(bottom),
        Escaped(label)
    )
}
