mod classifier;
mod contrastive;
mod dino;
mod dinov2;
mod masked_modelling;
mod student_teacher;
mod supervised;

use burn::module::Module;
use burn::tensor::Tensor;
use morphospace_models::{Encoder, NetworkConfig, Pooling};

use crate::{ImageBatch, Moment};

pub use classifier::{Classifier, ClassifierConfig};
pub use contrastive::{
    Adversary, AdversaryConfig, Comparison, Contrastive, ContrastiveConfig,
    WeightedBatchDecorrelation,
};
pub use dino::{CropPairing, Dino, DinoConfig};
pub use dinov2::{DinoV2, DinoV2ObjectiveConfig};
pub use masked_modelling::{MaskedModellingConfig, MaskedMuNet};
pub use student_teacher::{DinoNetwork, Side, StudentTeacher};
pub use supervised::{Supervised, SupervisedConfig};

/// Networks together with what they are trained for.
///
/// All that has to survive a kill is a parameter of the module: weights, but
/// also a teacher and centres, which never have a gradient and are moved by
/// [`Objective::loss`] and [`Objective::end_step`].
pub trait Objective: Module + 'static {
    /// The network that is wanted in the end, and how the names of its
    /// parameters begin in this module.
    fn network(&self) -> (NetworkConfig, &'static str);

    /// The network as it embeds, without gradients.
    fn encoder(&self) -> Box<dyn Encoder>;

    /// What is made of the encoder's tokens.
    fn pooling(&self) -> Pooling {
        Pooling::PatchMean
    }

    /// The loss of a batch. In training, running averages and centres move.
    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss;

    /// How many times a step computes losses and moves weights, one after the
    /// other; each time others.
    fn num_phases(&self) -> usize {
        1
    }

    /// Whether a parameter moves in a phase.
    fn moves(&self, _parameter: &str, _moment: &Moment) -> bool {
        true
    }

    /// After the weights have moved: the teacher follows.
    fn end_step(&mut self, _moment: &Moment) {}
}

/// What is minimised and the parts it is made of.
#[derive(Debug)]
pub struct Loss {
    /// The scalar that is differentiated.
    pub total: Tensor<1>,
    /// Named parts, reported beside the total.
    pub parts: Vec<(&'static str, Tensor<1>)>,
    /// What the network makes of the images, `[images, features]`, to see
    /// whether it makes the same of all; `None` where that cannot happen.
    pub embedding: Option<Tensor<2>>,
}

impl Loss {
    /// A loss without parts.
    pub fn of(total: Tensor<1>) -> Self {
        Self {
            total,
            parts: Vec::new(),
            embedding: None,
        }
    }
}

/// Share of rows whose highest score is their label's.
fn accuracy(scores: &Tensor<2>, labels: &[usize]) -> Tensor<1> {
    let device = scores.device();
    let found = scores.clone().detach().argmax(1).into_data();
    let pairs = found.iter::<i64>().zip(labels);
    let num_right = pairs
        .filter(|(found, label)| *found as usize == **label)
        .count();
    Tensor::from_floats([num_right as f32 / labels.len() as f32], &device)
}
