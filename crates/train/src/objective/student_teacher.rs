use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Device, Tensor, activation};
use morphospace_models::{DinoHead, Encoder, Network, NetworkConfig};
use serde::{Deserialize, Serialize};

use crate::{Moment, Span, TrainError, cosine_between, update_teacher};

/// One of the two networks of self-distillation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The one that learns: what Lugli et al.'s heads are trained on.
    Student,
    /// The one that follows: what DINO publishes.
    #[default]
    Teacher,
}

/// A backbone with a projection head.
#[derive(Module, Debug)]
pub struct DinoNetwork {
    /// Images to features.
    pub backbone: Network,
    /// Features to outputs.
    pub head: DinoHead,
}

/// A student that learns and a teacher that follows it.
#[derive(Module, Debug)]
pub struct StudentTeacher {
    /// Learns.
    pub student: DinoNetwork,
    /// Follows.
    pub teacher: DinoNetwork,
}

impl StudentTeacher {
    /// Both begin alike.
    pub(super) fn new(student: DinoNetwork) -> Self {
        Self {
            teacher: copy_of(&student),
            student,
        }
    }

    fn side(&self, side: Side) -> &DinoNetwork {
        match side {
            Side::Student => &self.student,
            Side::Teacher => &self.teacher,
        }
    }

    /// The backbone of a side, as [`Objective::network`](super::Objective) has
    /// it for a field called `networks`.
    pub(super) fn network(&self, side: Side) -> (NetworkConfig, &'static str) {
        let prefix = match side {
            Side::Student => "networks.student.backbone.",
            Side::Teacher => "networks.teacher.backbone.",
        };
        (self.side(side).backbone.config(), prefix)
    }

    pub(super) fn encoder(&self, side: Side) -> Box<dyn Encoder> {
        self.side(side).backbone.valid().into_encoder()
    }

    /// The teacher's share that stays rises from `start` to 1 along half a
    /// cosine.
    pub(super) fn follow(&mut self, start: f64, moment: &Moment) {
        let momentum = cosine_between(start, 1.0, moment.step, moment.num_steps);
        self.teacher = update_teacher(self.teacher.clone(), &self.student, momentum);
    }
}

/// Whether a parameter moves while the prototypes stay as they were drawn.
pub(super) fn moves(parameter: &str, freeze_last_layer: Span, moment: &Moment) -> bool {
    let is_frozen = moment.step < freeze_last_layer.in_steps(moment.steps_per_epoch);
    !(is_frozen && parameter.starts_with("networks.student.head.last_layer."))
}

pub(super) fn check_momentum(momentum: f64) -> Result<(), TrainError> {
    match (0.0..=1.0).contains(&momentum) {
        true => Ok(()),
        false => Err(TrainError::InvalidConfig(format!(
            "objective.teacher_momentum {momentum} is not in 0..=1"
        ))),
    }
}

/// The same weights under other identities, so that a gradient of one is none
/// of the other.
fn copy_of<M: Module>(network: &M) -> M {
    struct Renamed;
    impl ModuleMapper for Renamed {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            let (_, tensor, mapper) = param.consume();
            let tensor = Tensor::from_inner(tensor.inner());
            Param::from_mapped_value(ParamId::new(), tensor, mapper)
        }
    }
    network.clone().map(&mut Renamed)
}

/// A centre that is kept with the weights and never has a gradient.
pub(super) fn zeros(shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// The mean entropy of soft-max outputs, in nats: near 0 if all images get
/// one output, near `ln K` if each gets all of them.
pub(super) fn mean_entropy(logits: Tensor<2>) -> Tensor<1> {
    let log_shares = activation::log_softmax(logits, 1);
    -(log_shares.clone().exp() * log_shares).sum_dim(1).mean()
}
