use morphospace_core::Seed;
use morphospace_screen::Tile;
use morphospace_screen::sampler::epoch_order;
use rand::RngExt;

/// One training image: where it is cut from a site and how it is turned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crop {
    /// Index of the site in the screen.
    pub site_index: usize,
    /// Where the crop lies, as shares in 0..1 of the room there is for its
    /// top-left corner: the site's size is known only when it is read.
    pub top_share: f64,
    /// See `top_share`.
    pub left_share: f64,
    /// Mirrored left to right.
    pub is_flipped_horizontally: bool,
    /// Mirrored top to bottom.
    pub is_flipped_vertically: bool,
}

impl Crop {
    /// The crop's square in a site of the given size, top-left uniform over
    /// all places where it fits (Kraus et al. 2023, section 3). In a site that
    /// is too small for it, it sticks out.
    pub fn tile(&self, width: usize, height: usize, crop_px: usize) -> Tile {
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

/// Which crops make up a step: a function of the seed and the step alone.
///
/// Every site is used once per epoch, in an order drawn anew for each.
#[derive(Clone, Debug)]
pub struct CropSampler {
    site_indices: Vec<usize>,
    batch_size: usize,
    seed: Seed,
    /// The permutation of the epoch last asked for.
    epoch: Option<(u64, Vec<usize>)>,
}

impl CropSampler {
    /// Samples from the given sites.
    ///
    /// # Panics
    /// If there is no site.
    pub fn new(site_indices: Vec<usize>, batch_size: usize, seed: Seed) -> Self {
        assert!(
            !site_indices.is_empty(),
            "the caller has found sites to train on"
        );
        Self {
            site_indices,
            batch_size,
            seed,
            epoch: None,
        }
    }

    /// The crops of a step.
    pub fn step(&mut self, step: u64) -> Vec<Crop> {
        let first = step * self.batch_size as u64;
        (first..first + self.batch_size as u64)
            .map(|index| self.crop(index))
            .collect()
    }

    fn crop(&mut self, index: u64) -> Crop {
        let num_sites = self.site_indices.len() as u64;
        let place = (index % num_sites) as usize;
        let site_index = self.epoch(index / num_sites)[place];
        let mut rng = self.seed.split("crop").split_index(index).rng();
        Crop {
            site_index,
            top_share: rng.random(),
            left_share: rng.random(),
            is_flipped_horizontally: rng.random(),
            is_flipped_vertically: rng.random(),
        }
    }

    fn epoch(&mut self, epoch: u64) -> &[usize] {
        if self
            .epoch
            .as_ref()
            .is_none_or(|(current, _)| *current != epoch)
        {
            let order = epoch_order(&self.site_indices, self.seed, epoch);
            self.epoch = Some((epoch, order));
        }
        &self.epoch.as_ref().expect("set above").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_site_once_per_epoch_and_any_step_on_its_own() {
        let sites: Vec<usize> = (10..17).collect();
        let sampler = CropSampler::new(sites.clone(), 3, Seed::new(5));
        let crops: Vec<Crop> = (0..7).flat_map(|step| sampler.clone().step(step)).collect();
        for epoch in crops.chunks(7) {
            let mut seen: Vec<usize> = epoch.iter().map(|crop| crop.site_index).collect();
            seen.sort_unstable();
            assert_eq!(seen, sites);
        }
        let mut running = sampler.clone();
        let in_a_row: Vec<Crop> = (0..7).flat_map(|step| running.step(step)).collect();
        assert_eq!(in_a_row, crops);
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
