use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What happens where an image is not a whole number of tiles wide or high.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgePolicy {
    /// Leave the rest at the right and lower edge out.
    Drop,
    /// Fill the last tile up by reflecting the image at its edge (without
    /// repeating the edge pixel, as numpy's and torch's `reflect`).
    Reflect,
    /// Spread the tiles evenly so that they overlap and no pixel is lost.
    #[default]
    Overlap,
}

/// Which tiles of the grid are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TileSelection {
    /// All of them.
    #[default]
    All,
    /// The grid without its outermost rows and columns: 36 of 64 tiles of a
    /// 2048-pixel RxRx3 image (ViTally Consistent, 2024, section 5).
    CentreDropOuterRing,
}

impl EdgePolicy {
    /// The word in configurations and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Reflect => "reflect",
            Self::Overlap => "overlap",
        }
    }
}

impl TileSelection {
    /// The word in configurations and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::CentreDropOuterRing => "centre_drop_outer_ring",
        }
    }
}

impl FromStr for EdgePolicy {
    type Err = UnknownTiling;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Drop, Self::Reflect, Self::Overlap]
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| UnknownTiling::EdgePolicy(text.to_owned()))
    }
}

impl FromStr for TileSelection {
    type Err = UnknownTiling;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::All, Self::CentreDropOuterRing]
            .into_iter()
            .find(|selection| selection.as_str() == text)
            .ok_or_else(|| UnknownTiling::TileSelection(text.to_owned()))
    }
}

/// A text that names no edge policy or tile selection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTiling {
    /// Not an [`EdgePolicy`].
    #[error("'{0}' is not an edge policy (drop, reflect, overlap)")]
    EdgePolicy(String),
    /// Not a [`TileSelection`].
    #[error("'{0}' is not a selection of tiles (all, centre_drop_outer_ring)")]
    TileSelection(String),
}

/// How an image is cut into square tiles for a network.
///
/// ```
/// use morphospace_screen::{EdgePolicy, TileSelection, Tiling};
///
/// let tiling = Tiling::default();
/// assert_eq!(tiling.plan(512, 512)?.tiles().len(), 4);
/// assert_eq!(tiling.plan(2048, 2048)?.tiles().len(), 64);
/// let centre = Tiling { selection: TileSelection::CentreDropOuterRing, ..tiling };
/// assert_eq!(centre.plan(2048, 2048)?.tiles().len(), 36);
///
/// // 510 rows: two tiles that share 2 rows, no pixel lost.
/// let tops: Vec<usize> = tiling.plan(1024, 510)?.tiles().iter().map(|tile| tile.top).collect();
/// assert_eq!(tops, [0, 0, 0, 0, 254, 254, 254, 254]);
/// # Ok::<(), morphospace_screen::TilingError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tiling {
    /// Side of a tile in pixels.
    pub crop_px: usize,
    /// What happens at the edges.
    pub edge: EdgePolicy,
    /// Which tiles are used.
    pub selection: TileSelection,
    /// Pixels from one tile to the next; without, the side of a tile. Fewer make
    /// tiles overlap, more leave gaps.
    pub stride_px: Option<usize>,
}

impl Default for Tiling {
    /// 256-pixel tiles, overlapping where they must, all of them.
    fn default() -> Self {
        Self {
            crop_px: 256,
            edge: EdgePolicy::Overlap,
            selection: TileSelection::All,
            stride_px: None,
        }
    }
}

/// Why an image cannot be tiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilingError {
    /// A tile of no pixels.
    #[error("crop_px is 0\nhint: the published networks take 256")]
    NoCrop,
    /// Tiles that all lie in one place.
    #[error("stride_px is 0\nhint: the side of a tile puts tiles beside each other")]
    NoStride,
    /// The image has no pixels.
    #[error("an image of {width} x {height} pixels has nothing to tile")]
    EmptyImage {
        /// Image width.
        width: usize,
        /// Image height.
        height: usize,
    },
    /// The image is smaller than a tile.
    #[error(
        "an image of {width} x {height} pixels is smaller than a tile of {crop_px} x {crop_px}\n\
         hint: use edge policy 'reflect', or a network of tiles of at most {} pixels", width.min(height)
    )]
    ImageTooSmall {
        /// Image width.
        width: usize,
        /// Image height.
        height: usize,
        /// Side of a tile.
        crop_px: usize,
    },
    /// Nothing is left without the outer ring.
    #[error(
        "an image of {width} x {height} pixels has {columns} x {rows} tiles of {crop_px} pixels, \
         and none is left without the outer ring\nhint: use all tiles, or images of at least \
         {} pixels a side", 3 * crop_px
    )]
    NoTileLeft {
        /// Image width.
        width: usize,
        /// Image height.
        height: usize,
        /// Side of a tile.
        crop_px: usize,
        /// Columns of the grid.
        columns: usize,
        /// Rows of the grid.
        rows: usize,
    },
}

/// One square of an image. Its right and lower part may lie beyond the image
/// under [`EdgePolicy::Reflect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Side in pixels.
    pub crop_px: usize,
}

impl Tile {
    /// The rows it covers, of which those beyond the image are reflected.
    pub fn rows(&self) -> Range<usize> {
        self.top..self.top + self.crop_px
    }

    /// The columns it covers, of which those beyond the image are reflected.
    pub fn columns(&self) -> Range<usize> {
        self.left..self.left + self.crop_px
    }
}

/// The tiles of images of one size, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TilePlan {
    width: usize,
    height: usize,
    tiles: Vec<Tile>,
}

impl TilePlan {
    /// The tiles, from left to right, then from top to bottom.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Width of the images it was made for.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height of the images it was made for.
    pub fn height(&self) -> usize {
        self.height
    }
}

impl Tiling {
    /// The tiles of an image, a function of its size alone.
    ///
    /// # Errors
    /// [`TilingError`] gives the numbers that do not fit.
    pub fn plan(&self, width: usize, height: usize) -> Result<TilePlan, TilingError> {
        let crop_px = self.crop_px;
        if crop_px == 0 {
            return Err(TilingError::NoCrop);
        }
        if self.stride_px == Some(0) {
            return Err(TilingError::NoStride);
        }
        if width == 0 || height == 0 {
            return Err(TilingError::EmptyImage { width, height });
        }
        if width.min(height) < crop_px && self.edge != EdgePolicy::Reflect {
            return Err(TilingError::ImageTooSmall {
                width,
                height,
                crop_px,
            });
        }
        let tops = self.starts(height);
        let lefts = self.starts(width);
        let (rows, columns) = (tops.len(), lefts.len());
        let (tops, lefts) = match self.selection {
            TileSelection::All => (&tops[..], &lefts[..]),
            TileSelection::CentreDropOuterRing if rows < 3 || columns < 3 => {
                return Err(TilingError::NoTileLeft {
                    width,
                    height,
                    crop_px,
                    columns,
                    rows,
                });
            }
            TileSelection::CentreDropOuterRing => (&tops[1..rows - 1], &lefts[1..columns - 1]),
        };
        let tiles = tops
            .iter()
            .flat_map(|&top| lefts.iter().map(move |&left| Tile { top, left, crop_px }))
            .collect();
        Ok(TilePlan {
            width,
            height,
            tiles,
        })
    }

    /// Where tiles start along a side of the image.
    fn starts(&self, length: usize) -> Vec<usize> {
        let crop_px = self.crop_px;
        let stride = self.stride_px.unwrap_or(crop_px);
        let beyond_first = length.saturating_sub(crop_px);
        match self.edge {
            EdgePolicy::Drop => (0..=beyond_first).step_by(stride).collect(),
            EdgePolicy::Reflect => (0..=beyond_first.div_ceil(stride))
                .map(|index| index * stride)
                .collect(),
            EdgePolicy::Overlap => {
                let num_steps = beyond_first.div_ceil(stride);
                // Neighbours lie at most a stride apart: beyond_first is at most
                // num_steps * stride, and the floor moves both alike.
                (0..=num_steps)
                    .map(|index| index * beyond_first / num_steps.max(1))
                    .collect()
            }
        }
    }
}

/// The pixel that a position at or beyond the far edge shows when the image
/// is reflected there: 0 1 2 | 1 0 1 2 ...
pub(crate) fn reflected(position: usize, length: usize) -> usize {
    if position < length {
        return position;
    }
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let phase = position % period;
    if phase < length {
        phase
    } else {
        period - phase
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tiling(crop_px: usize, edge: EdgePolicy) -> Tiling {
        Tiling {
            crop_px,
            edge,
            ..Tiling::default()
        }
    }

    #[test]
    fn a_stride_of_its_own() {
        let starts = |edge, length| {
            let tiling = Tiling {
                stride_px: Some(4),
                ..tiling(6, edge)
            };
            let plan = tiling.plan(6.max(length), length).expect("fits");
            let mut tops: Vec<usize> = plan.tiles().iter().map(|tile| tile.top).collect();
            tops.sort_unstable();
            tops.dedup();
            tops
        };
        assert_eq!(starts(EdgePolicy::Drop, 15), [0, 4, 8]);
        assert_eq!(starts(EdgePolicy::Reflect, 15), [0, 4, 8, 12]);
        assert_eq!(starts(EdgePolicy::Overlap, 15), [0, 3, 6, 9]);
        assert_eq!(starts(EdgePolicy::Overlap, 6), [0]);
        assert_eq!(starts(EdgePolicy::Overlap, 14), [0, 4, 8]);
        let none = Tiling {
            stride_px: Some(0),
            ..Tiling::default()
        };
        assert_eq!(none.plan(512, 512), Err(TilingError::NoStride));
    }

    #[test]
    fn published_grids() {
        for edge in [EdgePolicy::Drop, EdgePolicy::Reflect, EdgePolicy::Overlap] {
            let all = tiling(256, edge);
            let centre = Tiling {
                selection: TileSelection::CentreDropOuterRing,
                ..all
            };
            let plan = |tiling: Tiling, side| tiling.plan(side, side).expect("fits");
            assert_eq!(plan(all, 2048).tiles().len(), 64);
            assert_eq!(plan(all, 512).tiles().len(), 4);
            let inner = plan(centre, 2048);
            assert_eq!(inner.tiles().len(), 36);
            assert!(
                inner
                    .tiles()
                    .iter()
                    .all(|tile| (256..=1536).contains(&tile.top)
                        && (256..=1536).contains(&tile.left))
            );
        }
    }

    #[test]
    fn a_1024_by_510_image_loses_rows_only_when_told_to() {
        let count = |edge| {
            tiling(256, edge)
                .plan(1024, 510)
                .expect("fits")
                .tiles()
                .len()
        };
        assert_eq!(count(EdgePolicy::Overlap), 8);
        assert_eq!(count(EdgePolicy::Drop), 4);
        assert_eq!(count(EdgePolicy::Reflect), 8);
    }

    #[test]
    fn refusals_give_the_numbers() {
        let error = tiling(256, EdgePolicy::Overlap)
            .plan(250, 300)
            .expect_err("small");
        assert!(error.to_string().contains("250 x 300") && error.to_string().contains("256"));
        let ring = Tiling {
            selection: TileSelection::CentreDropOuterRing,
            ..Tiling::default()
        };
        let error = ring.plan(512, 2048).expect_err("two columns only");
        assert!(error.to_string().contains("2 x 8 tiles"), "{error}");
        assert!(tiling(0, EdgePolicy::Drop).plan(9, 9).is_err());
        assert!(tiling(3, EdgePolicy::Reflect).plan(0, 9).is_err());
        assert_eq!(
            tiling(256, EdgePolicy::Reflect)
                .plan(250, 3)
                .expect("pads")
                .tiles()
                .len(),
            1
        );
    }

    #[test]
    fn reflection_is_numpys() {
        let shown: Vec<usize> = (0..9).map(|position| reflected(position, 3)).collect();
        assert_eq!(shown, [0, 1, 2, 1, 0, 1, 2, 1, 0]);
        assert_eq!(reflected(5, 1), 0);
    }

    proptest! {
        #[test]
        fn overlap_and_reflect_lose_no_pixel(
            crop_px in 1usize..20, extra_x in 0usize..60, extra_y in 0usize..60
        ) {
            let (width, height) = (crop_px + extra_x, crop_px + extra_y);
            for edge in [EdgePolicy::Overlap, EdgePolicy::Reflect] {
                let plan = tiling(crop_px, edge).plan(width, height).expect("fits");
                let mut seen = vec![false; width * height];
                for tile in plan.tiles() {
                    for y in tile.rows().filter(|&y| y < height) {
                        for x in tile.columns().filter(|&x| x < width) {
                            seen[y * width + x] = true;
                        }
                    }
                    if edge == EdgePolicy::Overlap {
                        prop_assert!(tile.rows().end <= height && tile.columns().end <= width);
                    }
                }
                prop_assert!(seen.iter().all(|&pixel| pixel));
            }
        }

        #[test]
        fn drop_keeps_whole_tiles_only(
            crop_px in 1usize..20, extra_x in 0usize..60, extra_y in 0usize..60
        ) {
            let (width, height) = (crop_px + extra_x, crop_px + extra_y);
            let plan = tiling(crop_px, EdgePolicy::Drop).plan(width, height).expect("fits");
            prop_assert_eq!(plan.tiles().len(), (width / crop_px) * (height / crop_px));
            for tile in plan.tiles() {
                prop_assert!(tile.rows().end <= height && tile.columns().end <= width);
            }
        }

        #[test]
        fn reflected_positions_lie_in_the_image(position in 0usize..500, length in 1usize..50) {
            prop_assert!(reflected(position, length) < length);
        }
    }
}
