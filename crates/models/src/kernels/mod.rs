//! Evaluation on the CPU in fewer passes than tensor operations take: plain
//! rows of `f32`, no gradients; what has gradients is in [`training`].
//!
//! [`crate::blocks`] calls these where a tensor lies in host memory and nothing
//! is to be differentiated, and Burn's own operations everywhere else; tests
//! compare the two. What they save is memory traffic: no permuted copies, no
//! array of all attention weights, soft-max and GELU by vector instructions
//! while their data is in cache.
//!
//! Sums run in another order than in Burn's operations, so that the two agree to
//! rounding. The number of threads changes no bit; how many images are in a
//! batch may change the last ones, since products of few rows add in another
//! order.

mod exp;
mod host;
mod matrix;
mod rows;
mod vector_unit;

pub(crate) mod attention;
pub(crate) mod batch_norm;
pub(crate) mod conv2d;
pub(crate) mod gelu;
pub(crate) mod layer_norm;
pub(crate) mod linear;
pub(crate) mod mlp;
pub(crate) mod patch_embed;
pub(crate) mod residual;
pub(crate) mod self_attention;
pub(crate) mod training;
