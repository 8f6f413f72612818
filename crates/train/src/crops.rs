use morphospace_core::Seed;
use morphospace_screen::Tile;
use rand::RngExt;

/// One training image: where it is cut from a site and how it is turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Crop {
    /// Index of the site in the screen.
    pub(crate) site_index: usize,
    /// Where the crop lies, as shares in 0..1 of the room there is for its
    /// top-left corner: the site's size is known only when it is read.
    pub(crate) top_share: f64,
    /// See `top_share`.
    pub(crate) left_share: f64,
    /// Mirrored left to right.
    pub(crate) is_flipped_horizontally: bool,
    /// Mirrored top to bottom.
    pub(crate) is_flipped_vertically: bool,
}

impl Crop {
    /// The crop's square in a site of the given size, top-left uniform over
    /// all places where it fits (Kraus et al. 2023, section 3). In a site that
    /// is too small for it, it sticks out.
    pub(crate) fn tile(&self, width: usize, height: usize, crop_px: usize) -> Tile {
        let place = |share: f64, size: usize| {
            let room = (size + 1).saturating_sub(crop_px).max(1);
            ((share * room as f64) as usize).min(room - 1)
        };
        Tile {
            top: place(self.top_share, height),
            left: place(self.left_share, width),
            crop_px,
        }
    }
}

/// The crops of a step, one of each site of its batch: a function of the seed
/// and the step alone.
pub(crate) fn crops_of_step(site_indices: &[usize], step: u64, seed: Seed) -> Vec<Crop> {
    let first = step * site_indices.len() as u64;
    let crop = |(index, &site_index)| {
        let mut rng = seed.split_index(index).rng();
        Crop {
            site_index,
            top_share: rng.random(),
            left_share: rng.random(),
            is_flipped_horizontally: rng.random(),
            is_flipped_vertically: rng.random(),
        }
    };
    (first..).zip(site_indices).map(crop).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_follow_from_the_step() {
        let seed = Seed::new(5);
        let crops = crops_of_step(&[7, 4], 3, seed);
        assert_eq!(crops, crops_of_step(&[7, 4], 3, seed));
        assert_eq!([crops[0].site_index, crops[1].site_index], [7, 4]);
        assert_ne!(crops[0].top_share, crops[1].top_share);
        let same_site_later = crops_of_step(&[7, 4], 4, seed);
        assert_ne!(crops[0].top_share, same_site_later[0].top_share);
    }

    #[test]
    fn tiles_lie_inside_and_reach_both_edges() {
        let crop = |share| Crop {
            site_index: 0,
            top_share: share,
            left_share: share,
            is_flipped_horizontally: false,
            is_flipped_vertically: false,
        };
        let tile = |top, left| Tile {
            top,
            left,
            crop_px: 8,
        };
        assert_eq!(crop(0.0).tile(20, 10, 8), tile(0, 0));
        assert_eq!(crop(0.999_999).tile(20, 10, 8), tile(2, 12));
        assert_eq!(crop(0.5).tile(8, 8, 8), tile(0, 0));
    }
}
