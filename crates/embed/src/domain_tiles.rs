use morphospace_screen::Tile;

/// The tiles of the sites of a domain that wait for their statistics.
#[derive(Default)]
pub(crate) struct DomainTiles {
    sites: Vec<DomainSite>,
}

/// A site that waits.
pub(crate) struct DomainSite {
    pub(crate) site_index: usize,
    /// `[tile, channel, row, column]`.
    pub(crate) tiles: Vec<f32>,
    pub(crate) places: Vec<Tile>,
}

impl DomainSite {
    /// One of its tiles.
    pub(crate) fn tile(&self, index: usize) -> &[f32] {
        let len = self.tiles.len() / self.places.len();
        &self.tiles[index * len..(index + 1) * len]
    }
}

impl DomainTiles {
    pub(crate) fn push(&mut self, site: DomainSite) {
        self.sites.push(site);
    }

    /// All that wait.
    pub(crate) fn take_all(&mut self) -> Vec<DomainSite> {
        std::mem::take(&mut self.sites)
    }

    /// `size` sites, as soon as at least as many are left.
    pub(crate) fn take_full(&mut self, size: usize) -> Option<Vec<DomainSite>> {
        let is_enough = self.sites.len() >= 2 * size;
        is_enough.then(|| self.sites.drain(..size).collect())
    }

    /// The rest, in parts of about the same number, at most `size`.
    pub(crate) fn take_rest(&mut self, size: usize) -> Vec<Vec<DomainSite>> {
        let num_parts = self.sites.len().div_ceil(size);
        let mut parts = Vec::with_capacity(num_parts);
        for left in (1..=num_parts).rev() {
            let num = self.sites.len().div_ceil(left);
            parts.push(self.sites.drain(..num).collect());
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(num: usize) -> DomainTiles {
        let mut waiting = DomainTiles::default();
        for site_index in 0..num {
            waiting.push(DomainSite {
                site_index,
                tiles: Vec::new(),
                places: Vec::new(),
            });
        }
        waiting
    }

    #[test]
    fn no_part_is_much_smaller_than_the_others() {
        let sizes = |num: usize| -> Vec<usize> {
            let parts = waiting(num).take_rest(4);
            parts.iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(5), [3, 2]);
        assert_eq!(sizes(7), [4, 3]);
        assert_eq!(sizes(4), [4]);
        assert!(sizes(0).is_empty());
        assert!(waiting(7).take_full(4).is_none());
        assert_eq!(waiting(8).take_full(4).map(|sites| sites.len()), Some(4));
    }
}
