use std::fmt::{self, Write};

use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::number::{counted, px};

/// Names beside points, each where it covers no marker, no other name and, if
/// there is such a place, no line.
///
/// A name stands to the right of its point, or else to the left, above or
/// below; one that has no room anywhere is left out and counted.
pub(crate) struct NamePlaces {
    /// Left, right, top and bottom of the box.
    edges: (f64, f64, f64, f64),
    taken: Vec<Rectangle>,
    lines: Vec<Rectangle>,
    waiting: Vec<(f64, f64, String)>,
}

#[derive(Clone, Copy)]
struct Rectangle {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Rectangle {
    fn around(x: f64, y: f64, radius: f64) -> Self {
        Self {
            left: x - radius,
            right: x + radius,
            top: y - radius,
            bottom: y + radius,
        }
    }

    fn meets(&self, other: &Self) -> bool {
        self.right >= other.left
            && other.right >= self.left
            && self.bottom >= other.top
            && other.bottom >= self.top
    }
}

const CHAR_WIDTH: f64 = 5.4;
const HEIGHT: f64 = 11.0;

/// Names are cut beyond this.
const MAX_CHARS: usize = 24;

impl NamePlaces {
    pub(crate) fn new(frame: &Frame) -> Self {
        Self {
            edges: frame.edges(),
            taken: Vec::new(),
            lines: Vec::new(),
            waiting: Vec::new(),
        }
    }

    /// Keeps names away from a marker.
    pub(crate) fn avoid(&mut self, x: f64, y: f64, radius: f64) {
        self.taken.push(Rectangle::around(x, y, radius));
    }

    /// Keeps names away from a line between two places.
    pub(crate) fn avoid_line(&mut self, [(x1, y1), (x2, y2)]: [(f64, f64); 2]) {
        const STEP: f64 = 4.0;
        let len = (x2 - x1).hypot(y2 - y1);
        // Longer ones leave every page.
        if !(0.0..10_000.0).contains(&len) {
            return;
        }
        let num_steps = (len / STEP).ceil().max(1.0);
        for index in 0..=num_steps as usize {
            let share = index as f64 / num_steps;
            let (x, y) = (x1 + share * (x2 - x1), y1 + share * (y2 - y1));
            self.lines.push(Rectangle::around(x, y, 1.0));
        }
    }

    /// Names a point once all markers are known.
    pub(crate) fn add(&mut self, x: f64, y: f64, name: &str) {
        if !name.is_empty() {
            self.waiting.push((x, y, name.to_owned()));
        }
    }

    /// Writes the names that have room and counts the others.
    pub(crate) fn write(mut self, markup: &mut String) -> Result<usize, fmt::Error> {
        let mut num_left_out = 0;
        for (x, y, name) in std::mem::take(&mut self.waiting) {
            let short = shortened(&name, MAX_CHARS);
            let width = CHAR_WIDTH * short.chars().count() as f64;
            let places = [
                (x + 8.0, y - HEIGHT / 2.0),
                (x - 8.0 - width, y - HEIGHT / 2.0),
                (x - width / 2.0, y - 8.0 - HEIGHT),
                (x - width / 2.0, y + 8.0),
                (x + 6.0, y - 6.0 - HEIGHT),
                (x + 6.0, y + 6.0),
            ]
            .map(|(left, top)| Rectangle {
                left,
                right: left + width,
                top,
                bottom: top + HEIGHT,
            });
            let free = || places.into_iter().filter(|place| self.is_free(place));
            let crosses_no_line = |place: &Rectangle| !self.lines.iter().any(|l| l.meets(place));
            let place = free().find(crosses_no_line).or_else(|| free().next());
            let Some(place) = place else {
                num_left_out += 1;
                continue;
            };
            self.taken.push(place);
            writeln!(
                markup,
                "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
                px(place.left),
                px(place.bottom - 2.0),
                Escaped(&short)
            )?;
        }
        Ok(num_left_out)
    }

    fn is_free(&self, place: &Rectangle) -> bool {
        let (left, right, top, bottom) = self.edges;
        let is_inside = place.left >= left
            && place.right <= right
            && place.top >= top
            && place.bottom <= bottom;
        is_inside && !self.taken.iter().any(|other| other.meets(place))
    }
}

/// What is said of names that were left out.
pub(crate) fn left_out_remark(num_left_out: usize) -> Option<String> {
    let names = counted(num_left_out, "name");
    (num_left_out > 0).then(|| format!("{names} without room not drawn."))
}
