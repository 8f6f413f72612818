use morphospace_core::{Channel, Provenance, Site, SiteKey};

use crate::ScreenError;
use crate::error::{ImageError, ImageProblem};
use crate::sites_hash::{SITES_INPUT, sites_sha256};
use crate::tiling::Tile;

/// A screen: sites, channels and the images behind them.
///
/// Everything downstream sees a screen through this trait, so a new layout
/// is one more implementation and nothing else; each implementation's tests
/// call [`conformance::check_screen`](crate::conformance::check_screen).
/// Opening a screen reads tables and folders only. Images are decoded when
/// asked for, from any thread.
///
/// Indices are positions in [`Screen::sites`] and [`Screen::channels`].
/// Methods that take them panic where a slice would: out of range.
pub trait Screen: Send + Sync {
    /// The screen's name in messages and tables.
    fn name(&self) -> &str;

    /// The channels every site should have, in the order of the images.
    fn channels(&self) -> &[Channel];

    /// All sites, sorted by [`SiteKey`], each once.
    fn sites(&self) -> &[Site];

    /// The image's file as it should stand in a message; `None` where the
    /// screen's table has no file for it.
    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String>;

    /// Whether the image is there, without decoding it.
    fn is_present(&self, site_index: usize, channel_index: usize) -> bool;

    /// A text that changes when the image's pixels do, told without decoding
    /// it: of its file ([`Store::version`](crate::store::Store::version)),
    /// and of what the screen makes of the file. `None` where there is no
    /// image.
    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String>;

    /// Decodes one image. The same pixels at every call.
    ///
    /// # Errors
    /// [`ScreenError::Image`] names plate, well, site, channel and file.
    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError>;

    /// Width and height of a site's images in pixels, where that is known
    /// without decoding one; `None` where it is not.
    ///
    /// # Errors
    /// As [`Screen::read_plane`].
    fn image_size(&self, _site_index: usize) -> Result<Option<(usize, usize)>, ScreenError> {
        Ok(None)
    }

    /// Decodes a square of one image, which must lie within it. Screens whose
    /// images are stored in pieces decode only those that the square touches;
    /// the others decode all of it.
    ///
    /// # Errors
    /// As [`Screen::read_plane`].
    fn read_region(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Tile,
    ) -> Result<Plane, ScreenError> {
        Ok(self.read_plane(site_index, channel_index)?.region(region))
    }

    /// What a user should know before relying on the images: what they lack
    /// against the original, channels that were left out, files and rows
    /// that belong to nothing. A sentence each; empty for most screens.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// Image files that lie among the screen's and belong to none of its
    /// sites, and folders of such; sorted. Only folders that hold images of the
    /// screen are looked at, and what lies beside them; for screens that are
    /// made of the files that are there, it is empty.
    fn unlisted_images(&self) -> Vec<String> {
        Vec::new()
    }

    /// The file of the illumination function that belongs to the image, as
    /// it should stand in a message; `None` where the screen has none.
    fn illumination_path(&self, _site_index: usize, _channel_index: usize) -> Option<String> {
        None
    }

    /// The bytes of that file, as stored: a NumPy array (`.npy`) in the Cell
    /// Painting Gallery. The corrected image is the image divided by it.
    ///
    /// # Errors
    /// [`ScreenError::CannotRead`] names the file.
    fn read_illumination(
        &self,
        _site_index: usize,
        _channel_index: usize,
    ) -> Result<Option<Vec<u8>>, ScreenError> {
        Ok(None)
    }

    /// Where what comes of this screen comes from: its name, its channels,
    /// a [hash of its sites](sites_sha256), and its [notes](Screen::notes).
    fn provenance(&self, stage: &str) -> Provenance {
        let channels: Vec<String> = self.channels().iter().map(ToString::to_string).collect();
        let provenance = Provenance::new(stage)
            .with_hash(SITES_INPUT, sites_sha256(self.sites()))
            .with_setting("screen", self.name())
            .with_setting("channels", channels.join(", "));
        match self.notes() {
            [] => provenance,
            notes => provenance.with_setting("screen_notes", notes.join("; ")),
        }
    }

    /// The error for one image of this screen, with all its names.
    fn image_error(
        &self,
        site_index: usize,
        channel_index: usize,
        problem: ImageProblem,
    ) -> ScreenError {
        ScreenError::from(ImageError {
            site: self.sites()[site_index].key.clone(),
            channel: self.channels()[channel_index].clone(),
            file: self.plane_location(site_index, channel_index),
            problem,
        })
    }

    /// The position of a site.
    fn site_index(&self, key: &SiteKey) -> Option<usize> {
        self.sites().binary_search_by(|site| site.key.cmp(key)).ok()
    }
}

/// One decoded grey image.
///
/// # Shapes
/// `pixels` is row-major `[height, width]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Pixels per row.
    pub width: usize,
    /// Number of rows.
    pub height: usize,
    /// The values as the file holds them.
    pub pixels: Pixels,
}

/// Pixel values as the file holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pixels {
    /// 8 bit, 0..=255.
    U8(Vec<u8>),
    /// 16 bit, 0..=65535.
    U16(Vec<u16>),
}

impl Plane {
    /// An 8-bit image of zeros.
    pub fn zeros(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: Pixels::U8(vec![0; width * height]),
        }
    }

    /// A square of the image.
    ///
    /// # Panics
    /// If the square does not lie within the image.
    pub fn region(&self, region: Tile) -> Self {
        let rows = region.top..region.top + region.crop_px;
        let row = |row: usize| {
            let start = row * self.width + region.left;
            start..start + region.crop_px
        };
        assert!(
            region.left + region.crop_px <= self.width && rows.end <= self.height,
            "the region lies within the image"
        );
        let pixels = match &self.pixels {
            Pixels::U8(all) => Pixels::U8(rows.flat_map(|r| all[row(r)].iter().copied()).collect()),
            Pixels::U16(all) => {
                Pixels::U16(rows.flat_map(|r| all[row(r)].iter().copied()).collect())
            }
        };
        Self {
            width: region.crop_px,
            height: region.crop_px,
            pixels,
        }
    }

    /// 8 or 16.
    pub fn bit_depth(&self) -> u8 {
        match self.pixels {
            Pixels::U8(_) => 8,
            Pixels::U16(_) => 16,
        }
    }

    /// Whether [`SelfStandardisation`](crate::SelfStandardisation) brings
    /// the values to the 0..255 of the published networks by dividing them
    /// by 257: true for 16-bit images. Worth a line in the provenance of
    /// what follows.
    pub fn is_rescaled_to_8_bit_range(&self) -> bool {
        self.bit_depth() == 16
    }

    /// All values, whatever their bit depth.
    pub fn values(&self) -> Vec<u16> {
        match &self.pixels {
            Pixels::U8(values) => values.iter().map(|&value| u16::from(value)).collect(),
            Pixels::U16(values) => values.clone(),
        }
    }

    /// Number of values held.
    pub fn num_pixels(&self) -> usize {
        match &self.pixels {
            Pixels::U8(values) => values.len(),
            Pixels::U16(values) => values.len(),
        }
    }
}
