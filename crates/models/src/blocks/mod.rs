//! The parts networks are built from, one noun per file.
//!
//! Every operation that costs time (linear maps, attention, soft-max, GELU,
//! normalisation, convolution, pooling, cutting images into patches) is called
//! from here and nowhere else, so that a faster kernel replaces it in one place:
//! on the CPU, evaluation of transformers already is such a kernel. Field names
//! are those of the published checkpoints.

pub mod adapt_input_conv;
pub mod attention;
pub mod batch_norm;
pub mod block;
pub mod conv2d;
pub mod cross_attention;
pub mod domain;
pub mod drop_path;
pub mod dropout;
pub mod feed_forward;
pub mod gelu;
pub mod gradient_reversal;
pub mod l2_normalise;
pub mod layer_norm;
pub mod layer_scale;
pub mod linear;
pub mod masking;
pub mod mlp;
pub mod norm_pass;
pub mod parallel_scaling_block;
pub mod patch_embed;
pub mod patches;
pub mod pooling;
pub mod position_interpolation;
pub mod relu;
pub mod self_standardise;
pub mod sincos;
pub mod swiglu;
pub mod weight_norm;
