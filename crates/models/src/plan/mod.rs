//! What a network costs, from its configuration alone: parameters, operations,
//! memory, and hours on an accelerator. No weight is drawn and no tensor
//! allocated, so a network of two thousand million parameters is planned in
//! milliseconds.
//!
//! | question | answer |
//! |---|---|
//! | how large is it? | [`ParameterCount`] |
//! | how much does it compute? | [`Flops`] of a [`ForwardPass`], [`approximate_multiply_adds`] |
//! | does it fit? | [`TrainingMemory`], [`EmbeddingMemory`] |
//! | how long does it take? | [`Accelerator`] |
//! | how much is read and written? | [`ScreenSize`] |
//!
//! All counts are of one image unless they say otherwise.
//!
//! ```
//! use morphospace_models::NetworkConfig;
//! use morphospace_models::plan::{ForwardPass, ImageSize, ParameterCount};
//!
//! let network = NetworkConfig::decode_variant("mae_vit_gigantic_patch8")?;
//! let parameters = ParameterCount::of(&network)?;
//! assert_eq!(parameters.encoder.trained, 1_841_709_056);
//! let pass = ForwardPass::embedding(&network, ImageSize::of(&network))?;
//! assert_eq!(pass.flops().total(), 4_109_485_006_848);
//! # Ok::<(), morphospace_models::ModelError>(())
//! ```

mod accelerator;
mod flops;
mod forward_pass;
mod memory;
mod parameter_count;
mod screen_size;

pub use accelerator::{Accelerator, UnknownAccelerator, gpu_hours};
pub use flops::{BACKWARD_AND_FORWARD, Flops, approximate_multiply_adds};
pub use forward_pass::{ForwardPass, ImageSize, Operation, Part};
pub use memory::{EmbeddingMemory, MovingAverages, Precision, TrainingMemory};
pub use parameter_count::{Count, ParameterCount};
pub use screen_size::ScreenSize;
