mod masked_modelling;

use burn::module::Module;
use burn::tensor::Tensor;
use morphospace_core::Seed;
use morphospace_models::NetworkConfig;

/// A network together with what it is trained for.
pub trait Objective: Module {
    /// The network's configuration, stored beside its weights.
    fn network_config(&self) -> NetworkConfig;

    /// The loss of a batch.
    ///
    /// # Shapes
    /// `images`: `[B, C, H, W]`, self-standardised. `seed` is this step's own:
    /// all draws (masks, dropped paths) come from it.
    fn loss(&self, images: Tensor<4>, seed: Seed) -> Loss;
}

/// What is minimised and the parts it is made of.
#[derive(Debug)]
pub struct Loss {
    /// The scalar that is differentiated.
    pub total: Tensor<1>,
    /// Named parts, reported beside the total.
    pub parts: Vec<(&'static str, Tensor<1>)>,
}
