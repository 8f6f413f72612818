use std::fmt::Write;

use crate::number::px;

/// Colours of groups, told apart by people with any kind of colour vision:
/// Okabe & Ito 2008, <https://jfly.uni-koeln.de/color/>, black and the pale
/// yellow last. The style sheet holds them as `--c0`..`--c7` and inverts the
/// black on a dark page.
pub(crate) const NUM_COLOURS: usize = 8;

/// Marker shapes. 5 and 8 have no common factor, so the first 40 groups have
/// 40 distinct pairs of colour and shape.
const NUM_SHAPES: usize = 5;

/// More groups than this cannot be told apart in a legend; the rest is grey.
pub(crate) const MAX_GROUPS: usize = 24;

/// How a group is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// Colour `index % 8`, shape `index % 5`.
    Group(usize),
    /// One of the groups beyond [`MAX_GROUPS`].
    Other,
}

impl Marker {
    /// Class of the style sheet that fills it.
    pub(crate) fn class(self) -> String {
        match self {
            Self::Group(index) => format!("c{}", index % NUM_COLOURS),
            Self::Other => "other".to_owned(),
        }
    }

    /// Adds the outline around `(x, y)` to an SVG path.
    pub(crate) fn add_to_path(self, path: &mut String, x: f64, y: f64, radius: f64) {
        let r = radius;
        let shape = match self {
            Self::Group(index) => index % NUM_SHAPES,
            Self::Other => 0,
        };
        match shape {
            0 => {
                let (r, d) = (px(r), px(2.0 * r));
                let start = px(x - radius);
                write!(
                    path,
                    "M{start} {}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z",
                    px(y)
                )
            }
            1 => write!(
                path,
                "M{} {}l{2} {3}l-{2} {3}l-{2} -{3}z",
                px(x),
                px(y - 1.3 * r),
                px(1.15 * r),
                px(1.3 * r)
            ),
            2 => write!(
                path,
                "M{} {}l{2} {3}h-{4}z",
                px(x),
                px(y - 1.2 * r),
                px(1.2 * r),
                px(2.1 * r),
                px(2.4 * r)
            ),
            3 => write!(
                path,
                "M{} {}h{2}v{2}h-{2}z",
                px(x - 0.9 * r),
                px(y - 0.9 * r),
                px(1.8 * r)
            ),
            _ => write!(
                path,
                "M{} {}l{2} -{3}h-{4}z",
                px(x),
                px(y + 1.2 * r),
                px(1.2 * r),
                px(2.1 * r),
                px(2.4 * r)
            ),
        }
        .expect("a string takes any text");
    }

    /// A small drawing of the marker for a legend.
    pub(crate) fn swatch(self) -> String {
        let mut path = String::new();
        self.add_to_path(&mut path, 7.0, 7.0, 4.5);
        format!(
            "<svg class=\"swatch\" width=\"14\" height=\"14\" viewBox=\"0 0 14 14\" \
             aria-hidden=\"true\"><path class=\"mark {}\" d=\"{path}\"/></svg>",
            self.class()
        )
    }
}

/// Every 17th of the 256 colours of matplotlib's *viridis*
/// (<https://bids.github.io/colormap/>): even in lightness, so it survives
/// grey printing and every kind of colour vision.
const VIRIDIS: [[u8; 3]; 16] = [
    [68, 1, 84],
    [72, 26, 108],
    [71, 47, 125],
    [65, 68, 135],
    [57, 86, 140],
    [49, 104, 142],
    [42, 120, 142],
    [35, 136, 142],
    [31, 152, 139],
    [34, 168, 132],
    [53, 183, 121],
    [84, 197, 104],
    [122, 209, 81],
    [165, 219, 54],
    [210, 226, 27],
    [253, 231, 37],
];

/// The colour at a fraction of the scale, as `#rrggbb`.
pub(crate) fn viridis(fraction: f64) -> String {
    let place = fraction.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let index = (place.floor() as usize).min(VIRIDIS.len() - 2);
    let part = place - index as f64;
    let mix = |channel: usize| {
        let (low, high) = (VIRIDIS[index][channel], VIRIDIS[index + 1][channel]);
        (f64::from(low) + part * (f64::from(high) - f64::from(low))).round() as u8
    };
    format!("#{:02x}{:02x}{:02x}", mix(0), mix(1), mix(2))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn groups_differ_in_colour_or_shape() {
        let looks: HashSet<String> = (0..MAX_GROUPS)
            .map(|index| Marker::Group(index).swatch())
            .collect();
        assert_eq!(looks.len(), MAX_GROUPS);
    }

    #[test]
    fn viridis_runs_from_purple_to_yellow() {
        assert_eq!(viridis(0.0), "#440154");
        assert_eq!(viridis(1.0), "#fde725");
        assert_eq!(viridis(-3.0), "#440154");
        assert_eq!(viridis(f64::INFINITY), "#fde725");
    }
}
