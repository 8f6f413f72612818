use std::fmt::Write;

use crate::axis::Axis;
use crate::escape::{Escaped, shortened};
use crate::number::px;

/// Width of a character of a tick label, about, in pixels.
const CHAR_WIDTH: f64 = 6.2;

/// Width of a character of an axis label.
const LABEL_CHAR_WIDTH: f64 = 7.0;

/// The box two axes span inside an SVG drawing.
pub(crate) struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    x: Axis,
    y: Axis,
}

const TOP: f64 = 8.0;
const BOTTOM: f64 = 42.0;

impl Frame {
    /// A drawing of `width` by `height` pixels; the margin on the left fits
    /// the labels of `y`.
    pub(crate) fn new(width: f64, height: f64, x: Axis, y: Axis) -> Self {
        let left = 30.0 + CHAR_WIDTH * y.label_chars() as f64;
        // Half of the last label may stand beyond the axis.
        let right = width - (4.0 + CHAR_WIDTH / 2.0 * x.label_chars() as f64).max(14.0);
        Self {
            right,
            width,
            height,
            left,
            x,
            y,
        }
    }

    pub(crate) fn x_px(&self, value: f64) -> f64 {
        self.left + self.x.fraction(value) * (self.right - self.left)
    }

    pub(crate) fn y_px(&self, value: f64) -> f64 {
        self.bottom() - self.y.fraction(value) * (self.bottom() - TOP)
    }

    /// The horizontal axis.
    pub(crate) fn x_axis(&self) -> &Axis {
        &self.x
    }

    /// The vertical axis.
    pub(crate) fn y_axis(&self) -> &Axis {
        &self.y
    }

    /// Left, right, top and bottom of the box in pixels.
    pub(crate) fn edges(&self) -> (f64, f64, f64, f64) {
        (self.left, self.right, TOP, self.bottom())
    }

    /// Width and height of the whole drawing in pixels.
    pub(crate) fn size(&self) -> (f64, f64) {
        (self.width, self.height)
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    /// Width of the box in whole pixels.
    pub(crate) fn num_columns(&self) -> usize {
        (self.right - self.left).max(1.0) as usize
    }

    /// Opens the `<svg>` and draws grid, box, ticks and axis labels; the
    /// caller adds its marks and `</svg>`.
    pub(crate) fn open(
        &self,
        html: &mut String,
        description: &str,
        x_label: &str,
        y_label: &str,
    ) -> std::fmt::Result {
        let (left, right) = (self.left, self.right);
        let (top, bottom) = (TOP, self.bottom());
        writeln!(
            html,
            "<svg class=\"plot\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {w} {h}\" \
             width=\"{w}\" height=\"{h}\">",
            Escaped(description),
            w = px(self.width),
            h = px(self.height)
        )?;
        let mut grid = String::new();
        for (tick, _) in &self.x.ticks {
            write!(grid, "M{} {}V{}", px(self.x_px(*tick)), px(top), px(bottom))?;
        }
        for (tick, _) in &self.y.ticks {
            write!(grid, "M{} {}H{}", px(left), px(self.y_px(*tick)), px(right))?;
        }
        writeln!(html, "<path class=\"grid\" d=\"{grid}\"/>")?;
        writeln!(
            html,
            "<path class=\"box\" d=\"M{} {}V{}H{}\"/>",
            px(left),
            px(top),
            px(bottom),
            px(right)
        )?;
        // Labels of neighbouring ticks must not run into each other.
        let spacing = (right - left) / self.x.ticks.len().max(1) as f64;
        let needed = CHAR_WIDTH * (self.x.label_chars() + 1) as f64;
        let every = (needed / spacing).ceil().max(1.0) as usize;
        for (tick, label) in self.x.ticks.iter().step_by(every) {
            writeln!(
                html,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                px(self.x_px(*tick)),
                px(bottom + 15.0),
                Escaped(label)
            )?;
        }
        for (tick, label) in &self.y.ticks {
            writeln!(
                html,
                "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                px(left - 6.0),
                px(self.y_px(*tick) + 3.5),
                Escaped(label)
            )?;
        }
        let room = |length: f64| (length / LABEL_CHAR_WIDTH) as usize;
        writeln!(
            html,
            "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            px((left + right) / 2.0),
            px(self.height - 8.0),
            Escaped(&shortened(x_label, room(right - left)))
        )?;
        let middle = px((top + bottom) / 2.0);
        writeln!(
            html,
            "<text class=\"label\" x=\"13\" y=\"{middle}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 13 {middle})\">{}</text>",
            Escaped(&shortened(y_label, room(bottom - top)))
        )
    }
}
