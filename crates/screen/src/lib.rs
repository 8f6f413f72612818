//! Readers of screens, image decoding, standardisation and the simulator.
//!
//! A [`Screen`] is sites, channels and the images behind them;
//! [`open_screen`] finds out which reader a folder, an archive or a bucket
//! needs:
//!
//! | reader | for |
//! |---|---|
//! | [`Rxrx1Screen`] | RxRx1: `metadata.csv` and one PNG per channel, official or Kaggle layout |
//! | [`open_wilds`] | RxRx1 as WILDS has it: one colour PNG per site |
//! | [`open_rxrx3`] | RxRx3: `metadata_rxrx3.csv` and one PNG per channel |
//! | [`Rxrx3CoreScreen`] | RxRx3-core: JPEG 2000 in the shards of a Parquet table |
//! | [`open_jump`] | JUMP and the Cell Painting Gallery: `LoadData` tables |
//! | [`open_imagexpress`] | ImageXpress plates as MetaXpress exports them |
//! | [`open_harmony`] | Opera Phenix and Operetta plates as Harmony exports them |
//! | [`IndexScreen`] | any other: an index table, or file names that follow a pattern, described in TOML |
//!
//! From image to network: [`read_site`] decodes the channels of a site,
//! [`Tiling`] cuts it into squares, [`SelfStandardisation`] brings each to
//! the scale a network expects; [`Normalisation`] also knows scales shared by
//! an experiment, a plate or a screen, and [`Illumination`] divides uneven
//! light out. [`inspect`] looks a screen over before time is spent on it, and
//! [`Manifest`] keeps its table of sites in Parquet.
//! [`split`] says which sites are for training and which for tests,
//! [`sampler`] which of them make up a batch.
//!
//! ```no_run
//! use morphospace_screen::{
//!     OnIncomplete, ReadSite, SelfStandardisation, Tiling, open_screen, read_site,
//! };
//!
//! let screen = open_screen("rxrx1".as_ref(), None)?;
//! let tiling = Tiling::default();
//! for site_index in 0..screen.sites().len() {
//!     match read_site(&*screen, site_index, OnIncomplete::Skip)? {
//!         ReadSite::Image(image) => {
//!             for &tile in tiling.plan(image.width(), image.height())?.tiles() {
//!                 // [channel, row, column]
//!                 let input = image.crop(tile, SelfStandardisation::InstanceNorm);
//!                 assert_eq!(input.len(), 6 * 256 * 256);
//!             }
//!         }
//!         ReadSite::Skipped(site) => eprintln!("{site}"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checked_pages;
pub mod conformance;
mod curation;
mod decode;
mod encode;
mod error;
#[cfg(feature = "buckets")]
pub mod fetch;
mod focus;
mod illumination;
mod inspect;
mod intensity_statistics;
mod loader;
mod manifest;
mod normalisation;
mod npy;
mod pack;
mod parquet_file;
mod pixel_history;
mod plate_names;
mod readers;
mod record_batches;
pub mod sampler;
mod screen;
pub mod simulator;
mod site_image;
mod site_list;
mod sites_hash;
pub mod split;
mod standardise;
pub mod store;
mod table;
mod table_rows;
mod tiling;

pub use curation::{Curation, read_curation, write_curation};
pub use decode::{DecodeError, MAX_NUM_PIXELS, MAX_SIDE_PX, decode_image, decode_planes};
pub use encode::encode_tiff;
pub use error::{ImageError, ImageProblem, ScreenError};
pub use illumination::{
    CorrectedScreen, Illumination, IlluminationError, IlluminationFit, IlluminationOptions,
    IlluminationSmoothing, IlluminationSource, fit_illumination, refuse_missing_images,
};
pub use inspect::{
    Counts, Distribution, Finding, GroupCount, ImageMeasures, ImageQuality, InspectDepth,
    InspectOptions, Inspected, Inspection, PlateChannel, QualityFlag, QualityFlags, QualityReport,
    QualityThresholds, SiteQuality, WellMeasures, WellQuality, inspect, inspect_images,
    write_image_quality,
};
pub use intensity_statistics::IntensityStatistics;
pub use loader::{Loader, LoaderOptions};
pub use manifest::{Manifest, read_manifest, write_manifest};
pub use normalisation::{
    CachedStatistics, ChannelStatistics, CheckedNormalisation, ControlImages, Normalisation,
    NormalisationChoice, NormalisationError, NormalisationKey, NormalisationOptions,
    NormalisationScheme, NormalisationScope, NormalisationStatistics, SiteStandardisers,
    UnknownNormalisation, UnknownNormalisationScheme,
};
pub use npy::{NpyArray, NpyError, NpyFloat, NpyValues, decode_npy, encode_npy};
pub use pack::{PackConfig, PackError, PackReport, PackVerification, pack, verify_pack};
pub use pixel_history::{pixel_history, renamed_channels};
pub use plate_names::plate_names;
pub use readers::{
    Annotation, ChannelChoice, ChannelDescription, ControlRoleColumn, FileNamePattern, Index,
    IndexScreen, OmeZarrScreen, PerturbationColumns, PerturbationKind, Rxrx1Screen,
    Rxrx3CoreScreen, ScreenDescription, ScreenFormat, SelectedScreen, Selection,
    UnknownChannelChoice, UnknownZSelection, ZSelection, choose_channels, open_harmony,
    open_imagexpress, open_jump, open_rxrx3, open_screen, open_screen_in, open_wilds, with_stains,
};
pub use screen::{Pixels, Plane, Screen};
pub use site_image::{
    OnIncomplete, ReadSite, SiteImage, SkippedSite, UnknownOnIncomplete, read_site, read_site_crop,
};
pub use site_list::site_key_text;
pub use sites_hash::{SITES_INPUT, sites_sha256};
pub use standardise::{PixelStats, SelfStandardisation, Standardiser, UnknownStandardisation};
pub use tiling::{EdgePolicy, Tile, TilePlan, TileSelection, Tiling, TilingError, UnknownTiling};
