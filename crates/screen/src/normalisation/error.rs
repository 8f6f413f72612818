use morphospace_core::SiteKey;

use crate::ScreenError;

/// Names listed before "and n more".
const NUM_NAMED: usize = 8;

/// Why images cannot be normalised.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NormalisationError {
    /// An image, a table or the file system.
    #[error(transparent)]
    Screen(#[from] ScreenError),
    /// Self-standardisation needs no table.
    #[error(
        "scheme 'self_standardisation' has no statistics to compute\nhint: every image is \
         standardised by its own pixels when it is read; choose another scheme to make a table"
    )]
    NothingToCompute,
    /// Zeros in place of missing images would shift every statistic.
    #[error(
        "missing images cannot be filled with zeros for statistics, which would take the zeros \
         for dark pixels\nhint: leave incomplete sites out (skip), or stop at them (fail)"
    )]
    WouldCountZeros,
    /// No site was asked for.
    #[error(
        "no site is left to compute statistics of\nhint: check the experiments that were asked for"
    )]
    NoSites,
    /// Some experiments or plates have no control well.
    #[error(
        "no {what} images in {}\nhint: check the control roles of these wells, or take statistics \
         of all images",
        listed(keys)
    )]
    NoControls {
        /// Which controls were looked for.
        what: &'static str,
        /// The experiments or plates.
        keys: Vec<String>,
    },
    /// Images are missing where none may be.
    #[error(
        "{num_missing} images of {num_sites} sites are missing; the first: {first}\nhint: leave \
         incomplete sites out (skip), or fetch the images"
    )]
    Incomplete {
        /// How many images are missing.
        num_missing: usize,
        /// How many sites were looked at.
        num_sites: usize,
        /// The first missing image, with site, channel and file.
        first: String,
    },
    /// No image of some experiments or plates could be used.
    #[error(
        "no usable image in {}\nhint: `morphospace inspect` names what is wrong with them",
        listed(keys)
    )]
    NoImages {
        /// The experiments or plates.
        keys: Vec<String>,
    },
    /// The table lacks the experiment or plate of a site.
    #[error(
        "{site}: the normalisation table has no statistics for {key} (it has: {})\nhint: compute \
         statistics of this screen, or leave the site out",
        listed(known)
    )]
    NoStatistics {
        /// The site.
        site: Box<SiteKey>,
        /// Its experiment or plate.
        key: String,
        /// Those in the table.
        known: Vec<String>,
    },
    /// The table is of other channels than the screen has.
    #[error(
        "the normalisation table has no channel '{channel}' of the screen (it has: {})\nhint: \
         compute statistics of this screen",
        listed(known)
    )]
    NoChannel {
        /// The screen's channel.
        channel: String,
        /// Those in the table.
        known: Vec<String>,
    },
    /// The table is of pixels to which something else was done.
    #[error(
        "the normalisation table was computed {difference}\nhint: give `normalise` the same \
         --illumination, --z and --channels"
    )]
    OtherPixels {
        /// How the table's pixels and the screen's differ.
        difference: String,
    },
    /// The table contradicts itself.
    #[error("normalisation table '{table}': {message}")]
    InvalidTable {
        /// The table's file.
        table: String,
        /// The row and column, what is wrong and what to do.
        message: String,
    },
}

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NUM_NAMED).map(String::as_str).collect();
    match names.len().saturating_sub(NUM_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
