//! From a screen to profiles: tiles, batches, pooled tokens, wells.
//!
//! [`embed`] reads every site once, cuts it into tiles, standardises each by
//! its own pixels, sends them through an encoder in batches of one fixed size
//! and averages the pooled tokens of a well (Kraus et al. 2023, section 4;
//! maes_microscopy `MAEModel.predict`). Images are decoded ahead on a thread
//! of their own; memory holds a few batches and one row per well, however many
//! sites there are.
//!
//! [`intensity_profiles`] makes the baseline every learned embedding has to
//! beat: five numbers per channel.

mod domain_tiles;
mod embedding;
mod embedding_folder;
mod error;
mod intensity;
mod level;
mod mean_rows;
mod pass;
mod place;
mod plates;
mod screen_check;
mod shard;
mod site_masks;
mod site_reader;
mod tile_batch;

pub use embedding::{EmbedConfig, EmbedProgress, Embedded, embed};
pub use embedding_folder::{
    EmbeddingFolder, EmbeddingSettings, NetworkIdentity, PlateRecord, TableRecord,
};
pub use error::EmbedError;
pub use intensity::intensity_profiles;
pub use level::Level;
pub use plates::{Manifest, PlateJob, PlatesDone};
pub use shard::{InvalidShard, Shard};
pub use site_masks::SiteMasks;
