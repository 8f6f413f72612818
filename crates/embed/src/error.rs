use std::io;
use std::path::{Path, PathBuf};

use morphospace_models::ModelError;
use morphospace_profiles::ProfilesError;
use morphospace_screen::{NormalisationError, ScreenError, TilingError};

use crate::Level;

/// Why a screen could not be embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// A setting is out of range.
    #[error("embedding: {0}")]
    InvalidConfig(String),
    /// The network does not take the screen's images.
    #[error(
        "screen '{screen}' has {num_channels} channels ({channels}), which the network does not \
         take: {source}\n\
         hint: a channel-agnostic network takes fewer channels than it was trained on"
    )]
    WrongChannels {
        /// The screen.
        screen: String,
        /// Its number of channels.
        num_channels: usize,
        /// Their names and stains.
        channels: String,
        /// What the network takes.
        source: Box<ModelError>,
    },
    /// A well has several z-planes or time points; nothing has been done.
    #[error(
        "{one} and {other} are different z-planes or time points of one well, whose profile \
         would be their mean\n\
         hint: --z max, focus or an index makes one image of a stack, --timepoint 0 takes one time \
         point"
    )]
    MixedPlanes {
        /// A site.
        one: String,
        /// Another of the same well.
        other: String,
    },
    /// Images are not there, and the policy is to fail; nothing has been done.
    #[error(
        "{num_incomplete} of the {num_sites} sites of screen '{screen}' lack images; {first}\n\
         hint: `inspect` lists them all; --on-incomplete skip leaves such sites out, fill takes \
         missing channels as zeros"
    )]
    Incomplete {
        /// The screen.
        screen: String,
        /// Sites that lack an image.
        num_incomplete: usize,
        /// All its sites.
        num_sites: usize,
        /// The first image that is missing.
        first: String,
    },
    /// An image could not be read, and the policy is to fail.
    #[error(transparent)]
    Screen(Box<ScreenError>),
    /// The normalisation does not fit the screen; nothing has been done.
    #[error(transparent)]
    Normalisation(#[from] NormalisationError),
    /// A site's size does not fit the tiles.
    #[error("{site}: {source}")]
    Tiling {
        /// The site.
        site: String,
        /// Why, with the numbers.
        source: TilingError,
    },
    /// No site was left to embed.
    #[error(
        "none of the {num_sites} sites of screen '{screen}' can be embedded: {first_problem}\n\
         hint: {hint}"
    )]
    NothingToEmbed {
        /// The screen.
        screen: String,
        /// Its sites.
        num_sites: usize,
        /// The first site's trouble.
        first_problem: String,
        /// What to do.
        hint: &'static str,
    },
    /// A folder holds embeddings made with other settings; nothing has been
    /// done.
    #[error(
        "'{}' holds embeddings made with other settings; {}\n\
         hint: give the settings they were made with, or another folder",
        folder.display(), differences.join("; ")
    )]
    OtherSettings {
        /// The folder.
        folder: PathBuf,
        /// `name: there / here` of each.
        differences: Vec<String>,
    },
    /// A folder to be filled holds other things; nothing has been done.
    #[error(
        "'{}' is not empty and holds no embeddings\nhint: name a new folder", folder.display()
    )]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
    },
    /// A plate has no such table.
    #[error("plate {plate} has no table of {} and '{representation}'", level.as_str())]
    NoTable {
        /// The plate.
        plate: String,
        /// The level.
        level: Level,
        /// The embedding.
        representation: String,
    },
    /// A table is not what was written.
    #[error(
        "'{}' is not the table that was written (by its SHA-256)\n\
         hint: delete it and run `embed` again", path.display()
    )]
    OtherTable {
        /// The table.
        path: PathBuf,
    },
    /// There are no embeddings in a folder.
    #[error(
        "'{}' is no folder of embeddings: it has no settings.json\n\
         hint: `embed --output FOLDER` makes one", folder.display()
    )]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of a folder of embeddings cannot be read or written.
    #[error("'{}': {source}", path.display())]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A site's mask cannot be used.
    #[error("{site}: mask '{}': {message}", path.display())]
    Mask {
        /// The site.
        site: String,
        /// The mask's file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// Sites have no masks; nothing has been done.
    #[error(
        "{site} has no mask '{}'{}\n\
         hint: every site needs one; a mask that is 0 throughout leaves its site out",
        path.display(),
        if *num_more > 0 { format!(", and {num_more} more have none") } else { String::new() }
    )]
    NoMask {
        /// The first site without.
        site: String,
        /// Where it should be.
        path: PathBuf,
        /// Sites without beside it.
        num_more: usize,
    },
    /// The device has not enough memory for a forward pass.
    #[error(
        "the device has not enough memory for {batch_size} tiles at a time: {message}\n\
         hint: give a smaller --batch-size"
    )]
    OutOfMemory {
        /// Tiles of the pass.
        batch_size: usize,
        /// What the device said.
        message: String,
    },
    /// It was told to stop; what is done stays done.
    #[error("stopped before the end; the same command goes on from here")]
    Stopped,
    /// The profiles could not be put together or written.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
}

impl EmbedError {
    pub(crate) fn folder(path: &Path, source: io::Error) -> Self {
        Self::Folder {
            path: path.to_owned(),
            source,
        }
    }
}

impl From<ScreenError> for EmbedError {
    fn from(error: ScreenError) -> Self {
        Self::Screen(Box::new(error))
    }
}
