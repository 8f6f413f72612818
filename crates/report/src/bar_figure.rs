use std::fmt::Write;

use crate::axis::Axis;
use crate::drawing::{Drawing, OneDrawing};
use crate::escape::Escaped;
use crate::number::{counted, format_number, px};
use crate::spread_figure::{row_pitch, rows_frame};

/// Values with their intervals as bars from 0, which may point either way,
/// e.g. the Shapley values of channels.
///
/// ```
/// use morphospace_report::{Bar, BarFigure};
///
/// let figure = BarFigure::new("What channels add", "Shapley value (accuracy)")
///     .with_bar(Bar::new("nuclei", 0.12).with_interval(0.1, 0.14))
///     .with_bar(Bar::new("RNA", -0.01).with_interval(-0.03, 0.01));
/// assert_eq!(figure.bars.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BarFigure {
    /// What the figure shows.
    pub caption: String,
    /// Name and unit of the values.
    pub value_label: String,
    /// The bars, top to bottom; beyond 100 they are not drawn but counted.
    pub bars: Vec<Bar>,
    /// Said below, e.g. what the intervals are.
    pub remarks: Vec<String>,
}

/// One bar of a [`BarFigure`].
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The name beside the bar.
    pub label: String,
    /// Where the bar ends.
    pub value: f64,
    /// The ends of its interval.
    pub interval: Option<(f64, f64)>,
}

impl Bar {
    /// A bar without an interval.
    pub fn new(label: impl Into<String>, value: f64) -> Self {
        Self {
            label: label.into(),
            value,
            interval: None,
        }
    }

    /// Draws an interval.
    #[must_use]
    pub fn with_interval(mut self, low: f64, high: f64) -> Self {
        self.interval = Some((low, high));
        self
    }

    fn finite_interval(&self) -> Option<(f64, f64)> {
        self.interval
            .filter(|(low, high)| low.is_finite() && high.is_finite())
    }
}

/// Bars beyond are not drawn.
const MAX_BARS: usize = 100;

impl BarFigure {
    /// A figure without bars.
    pub fn new(caption: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            caption: caption.into(),
            value_label: value_label.into(),
            bars: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Adds a bar below the others.
    #[must_use]
    pub fn with_bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// Says something below the figure.
    #[must_use]
    pub fn with_remark(mut self, remark: impl Into<String>) -> Self {
        self.remarks.push(remark.into());
        self
    }

    pub(crate) fn one_drawing(&self) -> Result<OneDrawing, std::fmt::Error> {
        let drawn = &self.bars[..self.bars.len().min(MAX_BARS)];
        let drawing = self.drawing(drawn)?;
        let mut remarks = self.remarks.clone();
        if drawing.is_some() {
            let num_omitted = drawn.iter().filter(|bar| !bar.value.is_finite()).count();
            if num_omitted > 0 {
                let omitted = counted(num_omitted, "value");
                remarks.push(format!("{omitted} that are not finite not drawn."));
            }
            if self.bars.len() > drawn.len() {
                let more = counted(self.bars.len() - drawn.len(), "further bar");
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

    fn drawing(&self, drawn: &[Bar]) -> Result<Option<Drawing>, std::fmt::Error> {
        if !drawn.iter().any(|bar| bar.value.is_finite()) {
            return Ok(None);
        }
        let intervals = drawn.iter().filter_map(Bar::finite_interval);
        let ends = intervals.flat_map(|(low, high)| [low, high]);
        let values = drawn.iter().map(|bar| bar.value).chain(ends).chain([0.0]);
        let frame = rows_frame(
            drawn.iter().map(|bar| bar.label.as_str()),
            Axis::covering(values, 8),
        );
        let description = format!(
            "Bars, {}: {} of {}.",
            self.caption,
            self.value_label,
            counted(drawn.len(), "item")
        );
        let mut markup = String::new();
        frame.open(&mut markup, &description, &self.value_label, "")?;
        let zero = px(frame.x_px(0.0));
        let pitch = row_pitch(&frame);
        for (index, bar) in drawn.iter().enumerate() {
            if !bar.value.is_finite() {
                continue;
            }
            let y = frame.y_px((drawn.len() - 1 - index) as f64);
            writeln!(
                markup,
                "<path class=\"c0\" d=\"M{zero} {top}H{}V{}H{zero}z\"><title>{}: {}</title></path>",
                px(frame.x_px(bar.value)),
                px(y + 0.32 * pitch),
                Escaped(&bar.label),
                format_number(bar.value),
                top = px(y - 0.32 * pitch)
            )?;
            if let Some((low, high)) = bar.finite_interval() {
                let (low, high) = (px(frame.x_px(low)), px(frame.x_px(high)));
                let (top, cap) = (px(y - 0.16 * pitch), px(0.32 * pitch));
                writeln!(
                    markup,
                    "<path class=\"median\" d=\"M{low} {y}H{high}M{low} {top}v{cap}M{high} {top}v{cap}\"/>",
                    y = px(y)
                )?;
            }
        }
        let (_, _, top, bottom) = frame.edges();
        writeln!(
            markup,
            "<path class=\"zero\" d=\"M{zero} {}V{}\"/>\n</svg>",
            px(top),
            px(bottom)
        )?;
        let (width, height) = frame.size();
        Ok(Some(Drawing {
            markup,
            width,
            height,
        }))
    }
}
