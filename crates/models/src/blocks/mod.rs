//! The parts networks are built from, one noun per file.
//!
//! Every operation that costs time (linear maps, attention, soft-max, GELU,
//! layer normalisation, cutting images into patches) is called from here and
//! nowhere else, so that a faster kernel replaces it in one place. Field names
//! are those of the published checkpoints.

pub mod adapt_input_conv;
pub mod attention;
pub mod block;
pub mod cross_attention;
pub mod drop_path;
pub mod gelu;
pub mod layer_norm;
pub mod layer_scale;
pub mod linear;
pub mod masking;
pub mod mlp;
pub mod parallel_scaling_block;
pub mod patch_embed;
pub mod patches;
pub mod self_standardise;
pub mod sincos;
