use std::path::PathBuf;

use morphospace_core::{Channel, PlateKey, SiteKey};

use crate::ScreenError;
use crate::npy::NpyError;

/// Why illumination cannot be fitted or corrected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IlluminationError {
    /// An image cannot be read.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// A setting is out of range.
    #[error("illumination option '{name}' is {value}\nhint: it can be {allowed}")]
    InvalidOption {
        /// The option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What can be given.
        allowed: &'static str,
    },
    /// Images are missing.
    #[error(
        "{num_missing} images of {num_sites} sites are missing{}\nhint: leave them out (skip), or \
         fetch the images", listed(first, *num_missing)
    )]
    Incomplete {
        /// How many images are missing.
        num_missing: usize,
        /// How many sites there are.
        num_sites: usize,
        /// The first of them, with site, channel and file.
        first: Vec<String>,
    },
    /// A plate has no image of a channel.
    #[error(
        "{plate} has no image of channel {channel}\nhint: `morphospace inspect` names the images \
         that are missing"
    )]
    NoImages {
        /// The plate.
        plate: PlateKey,
        /// The channel.
        channel: Channel,
    },
    /// Every pixel of a plate's channel is 0.
    #[error(
        "{plate} channel {channel}: all pixels of all images are 0\nhint: leave the channel out"
    )]
    AllDark {
        /// The plate.
        plate: PlateKey,
        /// The channel.
        channel: Channel,
    },
    /// Images of a plate have several sizes.
    #[error(
        "{image} channel {channel}: image is {} x {} pixels but {first} has {} x {}\nhint: one \
         illumination function needs images of one size; leave the others out (skip)", size.0, size.1, first_size.0, first_size.1
    )]
    SizesDiffer {
        /// The site.
        image: Box<SiteKey>,
        /// The channel.
        channel: Channel,
        /// Width and height of its image.
        size: (usize, usize),
        /// The plate's first site.
        first: Box<SiteKey>,
        /// Width and height of its image.
        first_size: (usize, usize),
    },
    /// A plate has no function for a channel.
    #[error(
        "{plate} has no illumination function for channel {channel}{}\nhint: fit them with \
         `morphospace illumination`, or read the screen without", path.as_ref().map_or(String::new(), |path| format!(": '{path}' is not there"))
    )]
    NoFunction {
        /// The plate.
        plate: Box<PlateKey>,
        /// The channel.
        channel: Box<Channel>,
        /// The file that was looked for; `None` where the screen names none.
        path: Option<String>,
    },
    /// An image has another size than the function.
    #[error(
        "image is {} x {} pixels but the illumination function is {} x {}\nhint: take the function \
         of the image's own plate", size.0, size.1, expected.0, expected.1
    )]
    WrongSize {
        /// Width and height of the image.
        size: (usize, usize),
        /// Width and height of the function.
        expected: (usize, usize),
    },
    /// A file cannot be read.
    #[error("cannot read illumination function '{}'\nhint: check the path and its permissions", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write illumination function '{}'\nhint: check the folder and the disk", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is no `.npy` image.
    #[error("illumination function '{}': {source}\nhint: {}", path.display(), source.hint())]
    InvalidNpy {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: NpyError,
    },
    /// A factor is zero, negative or no number.
    #[error(
        "illumination function '{}' is {value} at row {row}, column {column}\nhint: images are \
         divided by it, so every value must be a positive number", path.display()
    )]
    NotPositive {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The column, from 0.
        column: usize,
        /// The value.
        value: f64,
    },
}

/// Each on a line of its own, and how many more there are.
fn listed(first: &[String], total: usize) -> String {
    let mut text = String::new();
    for one in first {
        text.push_str(&format!("\n  {one}"));
    }
    match total.saturating_sub(first.len()) {
        0 => text,
        more => format!("{text}\n  and {more} more"),
    }
}
