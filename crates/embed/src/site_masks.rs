use std::fs;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use morphospace_core::SiteKey;
use morphospace_screen::{Pixels, Tile, decode_image};

use crate::EmbedError;

/// An image for each site that says where there is something to look at: pixels
/// that are 0 are outside, all others inside, as in images of labels.
///
/// Files are found by a pattern with `{source}`, `{batch}`, `{plate}`, `{well}` and
/// `{site}`:
///
/// ```
/// use morphospace_core::{PlateKey, SiteKey};
/// use morphospace_embed::SiteMasks;
///
/// let masks = SiteMasks::new("masks/{batch}/{plate}/{well}_s{site}.png")?;
/// let site = SiteKey::new(PlateKey::new("HUVEC-01", "2"), "B03".parse()?, 1);
/// assert_eq!(masks.path(&site).to_str(), Some("masks/HUVEC-01/2/B03_s1.png"));
/// assert!(SiteMasks::new("masks/{wel}.png").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteMasks {
    pattern: String,
}

const NAMES: [&str; 5] = ["source", "batch", "plate", "well", "site"];

impl SiteMasks {
    /// Masks by a pattern of their paths.
    ///
    /// # Errors
    /// [`EmbedError::InvalidConfig`]: a name in brackets that is not known.
    pub fn new(pattern: impl Into<String>) -> Result<Self, EmbedError> {
        let pattern = pattern.into();
        let mut rest = pattern.clone();
        for name in NAMES {
            rest = rest.replace(&format!("{{{name}}}"), "");
        }
        let has_site = pattern.contains("{well}");
        if rest.contains(['{', '}']) || !has_site {
            return Err(EmbedError::InvalidConfig(format!(
                "'{pattern}' is no pattern of masks\n\
                 hint: it names {{well}}, and {{source}}, {{batch}}, {{plate}} and {{site}} where \
                 they matter, e.g. masks/{{batch}}/{{plate}}/{{well}}_s{{site}}.png"
            )));
        }
        Ok(Self { pattern })
    }

    /// The pattern.
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The mask's file of a site.
    pub fn path(&self, site: &SiteKey) -> PathBuf {
        let plate = &site.plate;
        let values = [
            plate.source.clone().unwrap_or_default(),
            plate.experiment.to_string(),
            plate.plate.clone(),
            site.well.to_string(),
            site.site.to_string(),
        ];
        let mut path = self.pattern.clone();
        for (name, value) in NAMES.iter().zip(values) {
            path = path.replace(&format!("{{{name}}}"), &value);
        }
        path.into()
    }

    /// What tells a mask from another: length and time of change; `None` if there
    /// is none.
    pub(crate) fn version(&self, site: &SiteKey) -> Option<String> {
        let found = fs::metadata(self.path(site)).ok()?;
        let changed = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(format!("{} bytes, {}", found.len(), changed.as_nanos()))
    }

    /// Reads the mask of a site, which is as large as its images.
    pub(crate) fn read(&self, site: &SiteKey, size: (usize, usize)) -> Result<Mask, EmbedError> {
        let path = self.path(site);
        let invalid = |message: String| EmbedError::Mask {
            site: site.to_string(),
            path: path.clone(),
            message,
        };
        let bytes = fs::read(&path).map_err(|error| invalid(error.to_string()))?;
        let image = decode_image(&bytes).map_err(|error| invalid(error.to_string()))?;
        if (image.width, image.height) != size {
            return Err(invalid(format!(
                "it has {} x {} pixels, its site {} x {}",
                image.width, image.height, size.0, size.1
            )));
        }
        let is_inside = match image.pixels {
            Pixels::U8(pixels) => pixels.iter().map(|pixel| *pixel > 0).collect(),
            Pixels::U16(pixels) => pixels.iter().map(|pixel| *pixel > 0).collect(),
        };
        Ok(Mask {
            width: image.width,
            height: image.height,
            is_inside,
        })
    }

    /// Refuses sites without a mask.
    pub(crate) fn check<'a>(
        &self,
        sites: impl Iterator<Item = &'a SiteKey>,
    ) -> Result<(), EmbedError> {
        let mut missing = sites.filter(|site| !self.path(site).is_file());
        let Some(first) = missing.next() else {
            return Ok(());
        };
        Err(EmbedError::NoMask {
            site: first.to_string(),
            path: self.path(first),
            num_more: missing.count(),
        })
    }
}

/// Where a site has something to look at.
pub(crate) struct Mask {
    width: usize,
    height: usize,
    is_inside: Vec<bool>,
}

impl Mask {
    /// The patches of a tile that hold a pixel that is inside, by their number in
    /// the tile's grid, row by row.
    pub(crate) fn patches(&self, tile: &Tile, grid: usize) -> Vec<usize> {
        let side = tile.crop_px / grid;
        let mut is_seen = vec![false; grid * grid];
        // What is reflected beyond an edge is of no object.
        for row in tile.top..(tile.top + tile.crop_px).min(self.height) {
            for column in tile.left..(tile.left + tile.crop_px).min(self.width) {
                if self.is_inside[row * self.width + column] {
                    let patch = ((row - tile.top) / side) * grid + (column - tile.left) / side;
                    is_seen[patch] = true;
                }
            }
        }
        (0..grid * grid).filter(|patch| is_seen[*patch]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_that_hold_a_pixel_are_seen() {
        let mut is_inside = vec![false; 6 * 6];
        is_inside[7] = true; // row 1, column 1
        is_inside[5 * 6 + 5] = true;
        let mask = Mask {
            width: 6,
            height: 6,
            is_inside,
        };
        let tile = |top, left| Tile {
            top,
            left,
            crop_px: 4,
        };
        assert_eq!(mask.patches(&tile(0, 0), 2), [0]);
        assert_eq!(mask.patches(&tile(2, 2), 2), [3]);
        assert_eq!(mask.patches(&tile(0, 2), 2), [0_usize; 0]);
        // Beyond the edge.
        assert_eq!(mask.patches(&tile(4, 4), 2), [0]);
    }
}
