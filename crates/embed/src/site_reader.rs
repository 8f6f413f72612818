use morphospace_screen::{
    CheckedNormalisation, ReadSite, Screen, SiteImage, SkippedSite, Tile, read_site,
};

use crate::EmbedError;
use crate::embedding::EmbedConfig;

/// What the threads need that read images.
#[derive(Clone, Copy)]
pub(crate) struct SiteReader<'a> {
    pub(crate) screen: &'a dyn Screen,
    pub(crate) config: &'a EmbedConfig,
    pub(crate) normalisation: &'a CheckedNormalisation,
    /// Patches along a side, of networks of tokens.
    pub(crate) grid: Option<usize>,
}

/// A site as the reading threads hand it over.
pub(crate) enum SiteTiles {
    Tiles(ReadTiles),
    Skipped(SkippedSite),
    /// Its group has failed.
    Abandoned,
}

/// The tiles of a site.
pub(crate) struct ReadTiles {
    /// `[tile, channel, row, column]`.
    pub(crate) tiles: Vec<f32>,
    pub(crate) places: Vec<Tile>,
    /// Of each tile the patches that the site's mask shows; `None` without masks.
    pub(crate) seen: Option<Vec<Vec<usize>>>,
    /// What is said of channels that stand as zeros.
    pub(crate) filled: Option<String>,
    /// Whether there are 16-bit pixels.
    pub(crate) is_rescaled: bool,
}

impl SiteReader<'_> {
    /// Reads a site and cuts it into tiles.
    pub(crate) fn read_tiles(self, site_index: usize) -> Result<SiteTiles, EmbedError> {
        let image = match read_site(self.screen, site_index, self.config.on_incomplete)? {
            ReadSite::Skipped(site) => return Ok(SiteTiles::Skipped(site)),
            ReadSite::Image(image) => image,
        };
        let key = &self.screen.sites()[site_index].key;
        let plan = self
            .config
            .tiling
            .plan(image.width(), image.height())
            .map_err(|source| EmbedError::Tiling {
                site: key.to_string(),
                source,
            })?;
        let seen = match (&self.config.masks, self.grid) {
            (Some(masks), Some(grid)) => {
                let mask = masks.read(key, (image.width(), image.height()))?;
                let tiles = plan.tiles().iter();
                Some(tiles.map(|tile| mask.patches(tile, grid)).collect())
            }
            _ => None,
        };
        let side = self.config.tiling.crop_px;
        let tile_len = self.screen.channels().len() * side * side;
        let mut tiles = vec![0.0; plan.tiles().len() * tile_len];
        for (tile, output) in plan.tiles().iter().zip(tiles.chunks_exact_mut(tile_len)) {
            self.normalisation.crop_into(&image, *tile, output);
        }
        Ok(SiteTiles::Tiles(ReadTiles {
            tiles,
            places: plan.tiles().to_vec(),
            seen,
            filled: filled_channels(self.screen, &image),
            is_rescaled: image.is_rescaled_to_8_bit_range(),
        }))
    }
}

/// `site: channels` for a site some of whose channels stand as zeros.
fn filled_channels(screen: &dyn Screen, image: &SiteImage) -> Option<String> {
    let names: Vec<String> = screen
        .channels()
        .iter()
        .zip(image.is_filled())
        .filter(|(_, is_filled)| **is_filled)
        .map(|(channel, _)| channel.to_string())
        .collect();
    let site = &screen.sites()[image.site_index()].key;
    (!names.is_empty()).then(|| format!("{site}: {}", names.join(", ")))
}
