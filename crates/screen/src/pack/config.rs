use std::path::PathBuf;

use crate::ScreenError;

/// How a screen is packed.
///
/// ```
/// use morphospace_screen::PackConfig;
///
/// let config = PackConfig::default();
/// assert_eq!((config.chunk_px, config.compression_level), (128, 3));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackConfig {
    /// Side of the squares that are compressed one by one: what is decoded at
    /// least to read a single pixel.
    pub chunk_px: usize,
    /// Of Zstandard, 1 to 9.
    pub compression_level: u8,
    /// Whether images that cannot be decoded are left out, as missing ones
    /// are, in place of ending the run.
    pub skip_unreadable: bool,
}

impl Default for PackConfig {
    fn default() -> Self {
        Self {
            chunk_px: 128,
            compression_level: 3,
            skip_unreadable: false,
        }
    }
}

impl PackConfig {
    /// Refuses settings that no run should begin with.
    ///
    /// # Errors
    /// [`PackError::InvalidConfig`] names the setting and its range.
    pub fn check(&self) -> Result<(), PackError> {
        if !(16..=4_096).contains(&self.chunk_px) {
            return Err(PackError::InvalidConfig(format!(
                "chunk_px is {}\nhint: give 16 to 4096; 128 suits crops of 256",
                self.chunk_px
            )));
        }
        if !(1..=9).contains(&self.compression_level) {
            return Err(PackError::InvalidConfig(format!(
                "compression_level is {}\nhint: give 1 (fast) to 9 (small)",
                self.compression_level
            )));
        }
        Ok(())
    }
}

/// Why a screen was not packed.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A setting is out of its range.
    #[error("{0}")]
    InvalidConfig(String),
    /// The screen or one of its images.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// A file of the pack cannot be written.
    #[error("cannot write '{}': {message}", path.display())]
    CannotWrite {
        /// The file or folder.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// The folder holds something else.
    #[error(
        "'{}' holds a pack of {found}\nhint: give another folder, or remove it", path.display()
    )]
    OtherPack {
        /// The folder.
        path: PathBuf,
        /// What it holds.
        found: String,
    },
}
