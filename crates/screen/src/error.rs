use std::fmt;
use std::path::PathBuf;

use morphospace_core::{Channel, ConfigError, InvalidWellAddress, SiteKey, Stain};

use crate::decode::DecodeError;
use crate::store::StoreError;

/// Why a screen or one of its images was refused.
///
/// Every message names the noun (plate, well, site, channel, column, row)
/// and, on a line that starts with `hint:`, what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ScreenError {
    /// One image could not be used.
    #[error(transparent)]
    Image(Box<ImageError>),
    /// No known kind of screen was found.
    #[error(
        "'{}' is not a screen: {found}\nhint: a screen is a folder, archive or bucket with \
         {markers}; or a TOML file that describes it", path.display()
    )]
    UnknownFormat {
        /// What was opened.
        path: PathBuf,
        /// What was seen there.
        found: String,
        /// The files that mark a screen.
        markers: String,
    },
    /// The name of a screen format is not one we know.
    #[error(
        "'{text}' is not a screen format{}\nhint: give one of {known}, or the path of a TOML file \
         that describes the screen", meant(near.as_deref())
    )]
    UnknownFormatName {
        /// What was given.
        text: String,
        /// The format that was probably meant.
        near: Option<String>,
        /// All formats.
        known: String,
    },
    /// A file or folder cannot be read.
    #[error("cannot read '{}': {source}{}", path.display(), reading_hint(source))]
    CannotRead {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write '{}': {message}", path.display())]
    CannotWrite {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        message: String,
    },
    /// The TOML description is not valid.
    #[error(transparent)]
    Description(#[from] ConfigError),
    /// The TOML description is valid TOML but contradicts itself.
    #[error("screen description '{name}': {message}")]
    InvalidDescription {
        /// The description's file.
        name: String,
        /// What is wrong and how to mend it.
        message: String,
    },
    /// A table is not a table: binary rubbish, rows of different lengths,
    /// not UTF-8.
    #[error("table '{table}': {message}")]
    InvalidTable {
        /// The table's file.
        table: String,
        /// What is wrong, with the line where one is known.
        message: String,
    },
    /// A table lacks a column that is needed.
    #[error("table '{table}' has no column '{column}' (it has: {})\n{}", available.join(", "),
        column_hint(near.as_deref()))]
    MissingColumn {
        /// The table's file.
        table: String,
        /// The column that is needed.
        column: String,
        /// The columns that are there.
        available: Vec<String>,
        /// The column that was probably meant.
        near: Option<String>,
    },
    /// A table has two columns of one name.
    #[error("table '{table}' has two columns '{column}'\nhint: rename or remove one of them")]
    DuplicateColumn {
        /// The table's file.
        table: String,
        /// The name.
        column: String,
    },
    /// A cell of a table cannot be understood.
    #[error("table '{table}' line {line}, column '{column}': {message}")]
    InvalidValue {
        /// The table's file.
        table: String,
        /// The line, 1 being the header.
        line: usize,
        /// The column.
        column: String,
        /// What is wrong with the value.
        message: String,
    },
    /// The well of a row or file name is not a well.
    #[error("{place}: unknown well: {source}\nhint: correct the row or remove it")]
    UnknownWell {
        /// Table and line, or the file.
        place: String,
        /// What was read.
        source: InvalidWellAddress,
    },
    /// Two rows or two files claim the same site.
    #[error("{site} occurs twice: {first} and {second}\nhint: keep one of them")]
    DuplicateSite {
        /// The site.
        site: Box<SiteKey>,
        /// Where it occurs first.
        first: String,
        /// Where it occurs again.
        second: String,
    },
    /// Two files claim the same channel of a site.
    #[error(
        "{site} channel {channel} has two images: '{first}' and '{second}'\nhint: remove one, or \
         let the pattern tell them apart by site, z or time"
    )]
    DuplicateImage {
        /// The site.
        site: Box<SiteKey>,
        /// The channel.
        channel: Channel,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// Two images are the same file.
    #[error(
        "'{file}' is the image of {first} and of {second}\nhint: every image has a file of its \
         own; correct the path of one of them"
    )]
    SharedImage {
        /// The file.
        file: String,
        /// Site and channel of one image.
        first: String,
        /// Site and channel of the other.
        second: String,
    },
    /// Two rows disagree on what was done to a well.
    #[error(
        "{plate} well {well} is described in two ways: {first}, {second} in {place}\n\
         hint: all sites of a well share its perturbations, control role and cell type"
    )]
    ConflictingWell {
        /// The plate.
        plate: String,
        /// The well.
        well: String,
        /// What the first row said, and where it is.
        first: String,
        /// What the other row says.
        second: String,
        /// Where the other row is.
        place: String,
    },
    /// A file name holds a channel that the description does not list.
    #[error(
        "'{file}' is of channel '{found}', which the screen description does not list (it lists: \
         {})\nhint: add it under [[channels]] or to 'ignored_channels'", known.join(", ")
    )]
    UnknownChannel {
        /// The file.
        file: String,
        /// The channel in its name.
        found: String,
        /// The channels listed.
        known: Vec<String>,
    },
    /// A channel that is wanted is not there, or could be several.
    #[error("{}", channel_mapping(stain.as_str(), wanted, candidates, available, near.as_deref()))]
    ChannelMapping {
        /// The stain that a network or a person wants.
        stain: Stain,
        /// The channel that is to serve as it, by name or stain.
        wanted: Box<str>,
        /// The channels it could mean.
        candidates: Vec<String>,
        /// The channels of the screen.
        available: Vec<String>,
        /// The channel that was probably meant.
        near: Option<String>,
    },
    /// Two channels of one name.
    #[error(
        "channel '{name}' is chosen twice\nhint: say what it is to serve as, as in \
         --channels Actin={name},Golgi={name}"
    )]
    RepeatedChannel {
        /// The name.
        name: String,
    },
    /// A threshold of quality control that makes no sense.
    #[error("threshold '{name}' is {value}\nhint: it can be {allowed}")]
    InvalidThreshold {
        /// Its name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What can be given.
        allowed: &'static str,
    },
    /// There is no site at all.
    #[error("the screen '{name}' has no site: {reason}")]
    EmptyScreen {
        /// The screen.
        name: String,
        /// Why nothing was found and what to check.
        reason: String,
    },
    /// The annotation describes other wells than the images show.
    #[error(
        "no well of the screen occurs in annotation '{table}': images have {images}, the table has \
         {rows}\nhint: check 'join' in the screen description"
    )]
    AnnotationDoesNotMatch {
        /// The annotation's file.
        table: String,
        /// A key as the images give it.
        images: String,
        /// A key as the table gives it.
        rows: String,
    },
}

/// A line with what to do, unless the error says so itself.
fn reading_hint(error: &std::io::Error) -> &'static str {
    if error.to_string().contains("\nhint: ") {
        ""
    } else if error.kind() == std::io::ErrorKind::NotFound {
        "\nhint: check the path, or fetch what is missing"
    } else {
        "\nhint: check its permissions and the disk"
    }
}

fn meant(near: Option<&str>) -> String {
    near.map_or_else(String::new, |near| format!(" (did you mean '{near}'?)"))
}

fn channel_mapping(
    stain: &str,
    wanted: &str,
    candidates: &[String],
    available: &[String],
    near: Option<&str>,
) -> String {
    let available = available.join(", ");
    if candidates.is_empty() {
        format!(
            "the screen has no channel '{wanted}'{} (it has: {available})\nhint: say which channel \
             serves, as in --channels {stain}=NAME",
            meant(near)
        )
    } else {
        format!(
            "channel '{wanted}' could be {} (the screen has: {available})\nhint: choose one by \
             name, as in --channels {stain}=NAME",
            candidates.join(" or ")
        )
    }
}

fn column_hint(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("hint: did you mean '{near}'?"),
        None => "hint: rename the column that holds it, or add it".to_owned(),
    }
}

/// One image that cannot be used: which, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageError {
    /// The site.
    pub site: SiteKey,
    /// The channel.
    pub channel: Channel,
    /// The file, `None` where the screen's table names none.
    pub file: Option<String>,
    /// What is wrong with it.
    pub problem: ImageProblem,
}

/// What can be wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageProblem {
    /// The screen's table names no file for this channel.
    NotListed,
    /// The file is not there.
    Missing,
    /// The experiment has no folder.
    UnknownExperimentFolder {
        /// Folders of experiments that were found.
        found: Vec<String>,
    },
    /// The file is there but the system refuses to read it.
    CannotRead(String),
    /// The file is not a whole, grey image.
    Undecodable(DecodeError),
    /// The image has another size than the first channel of its site.
    WrongSize {
        /// Width and height in pixels.
        size: (usize, usize),
        /// The channel it was compared with.
        other_channel: Channel,
        /// That channel's width and height.
        other_size: (usize, usize),
    },
    /// The image's illumination function cannot be read or does not fit.
    Illumination(String),
    /// The image has no room for a crop.
    TooSmall {
        /// Width and height in pixels.
        size: (usize, usize),
        /// Side of the crop.
        crop_px: usize,
    },
}

impl ImageProblem {
    /// Whether there is no image, in contrast to one that cannot be used.
    pub fn is_missing(&self) -> bool {
        matches!(
            self,
            Self::NotListed | Self::Missing | Self::UnknownExperimentFolder { .. }
        )
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::NotListed => "add its path to the screen's table",
            Self::Missing => "fetch the file, or skip or fill incomplete sites",
            Self::UnknownExperimentFolder { .. } => {
                "fetch the experiment's images, or remove its rows from the metadata"
            }
            Self::CannotRead(message) => match message.split_once("\nhint: ") {
                Some((_, hint)) => hint,
                None => "check the file's permissions and the disk",
            },
            Self::Undecodable(error) => error.hint(),
            Self::WrongSize { .. } => "all channels of a site must have the same size",
            Self::Illumination(_) => "take the plate's own function, or read the screen without",
            Self::TooSmall { .. } => "leave the site out, or train on smaller crops",
        }
    }
}

impl fmt::Display for ImageProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotListed => f.write_str("the screen's table names no file"),
            Self::Missing => f.write_str("image is missing"),
            Self::UnknownExperimentFolder { found } if found.is_empty() => {
                f.write_str("image is missing: no folder of any experiment was found")
            }
            Self::UnknownExperimentFolder { found } => {
                write!(
                    f,
                    "image is missing: the experiment has no folder (found: {})",
                    found.join(", ")
                )
            }
            Self::CannotRead(message) => {
                let what = message.split("\nhint: ").next().unwrap_or_default();
                write!(f, "image cannot be read: {what}")
            }
            Self::Undecodable(error) => write!(f, "image is unreadable: {error}"),
            Self::WrongSize {
                size,
                other_channel,
                other_size,
            } => write!(
                f,
                "image is {} x {} pixels but channel {other_channel} of the site is {} x {}",
                size.0, size.1, other_size.0, other_size.1
            ),
            Self::Illumination(message) => {
                let first = message.lines().next().unwrap_or_default();
                write!(f, "illumination cannot be corrected: {first}")
            }
            Self::TooSmall { size, crop_px } => write!(
                f,
                "image is {} x {} pixels, too small for the crop of {crop_px} that was asked for",
                size.0, size.1
            ),
        }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} channel {}: {}",
            self.site, self.channel, self.problem
        )?;
        if let Some(file) = &self.file {
            write!(f, ": '{file}'")?;
        }
        write!(f, "\nhint: {}", self.problem.hint())
    }
}

impl std::error::Error for ImageError {}

impl ScreenError {
    /// A file that a store did not give. `location` is the file's.
    pub(crate) fn cannot_read(location: String, error: &StoreError) -> Self {
        let kind = match error {
            StoreError::Missing => std::io::ErrorKind::NotFound,
            StoreError::Refused(_) => std::io::ErrorKind::Other,
        };
        Self::CannotRead {
            path: location.into(),
            source: std::io::Error::new(kind, error.to_string()),
        }
    }
}

impl From<ImageError> for ScreenError {
    fn from(error: ImageError) -> Self {
        Self::Image(Box::new(error))
    }
}
