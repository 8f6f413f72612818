use std::fmt::{self, Write};

use crate::escape::{Escaped, shortened};
use crate::frame::Frame;
use crate::number::{counted, px};

/// Names beside points, each where it covers no marker and no other name.
///
/// A name stands to the right of its point, or else to the left, above or
/// below; one that has no room anywhere is left out and counted.
pub(crate) struct NamePlaces {
    /// Left, right, top and bottom of the box.
    edges: (f64, f64, f64, f64),
    taken: Vec<Rectangle>,
    waiting: Vec<(f64, f64, String)>,
}

#[derive(Clone, Copy)]
struct Rectangle {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
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
            waiting: Vec::new(),
        }
    }

    /// Keeps names away from a marker.
    pub(crate) fn avoid(&mut self, x: f64, y: f64, radius: f64) {
        self.taken.push(Rectangle {
            left: x - radius,
            right: x + radius,
            top: y - radius,
            bottom: y + radius,
        });
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
            let place = [
                (x + 8.0, y - HEIGHT / 2.0),
                (x - 8.0 - width, y - HEIGHT / 2.0),
                (x - width / 2.0, y - 8.0 - HEIGHT),
                (x - width / 2.0, y + 8.0),
                (x + 6.0, y - 6.0 - HEIGHT),
                (x + 6.0, y + 6.0),
            ]
            .into_iter()
            .map(|(left, top)| Rectangle {
                left,
                right: left + width,
                top,
                bottom: top + HEIGHT,
            })
            .find(|place| self.is_free(place));
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
        is_inside
            && self.taken.iter().all(|other| {
                place.right < other.left
                    || other.right < place.left
                    || place.bottom < other.top
                    || other.bottom < place.top
            })
    }
}

/// What is said of names that were left out.
pub(crate) fn left_out_remark(num_left_out: usize) -> Option<String> {
    let names = counted(num_left_out, "name");
    (num_left_out > 0).then(|| format!("{names} without room not drawn."))
}
