//! Where batch normalisation takes its statistics from.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::domain::DomainMember;

/// Where batch normalisation takes its statistics from in evaluation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormStatistics {
    /// Running averages of training.
    #[default]
    Running,
    /// Batches of one domain each, as AdaBN is trained: what comes of an image
    /// depends on those it shares a batch with.
    Batch,
    /// All images of a domain: exact, in any order, and with all of them in
    /// memory between any two layers.
    Domain,
}

impl NormStatistics {
    /// The word in configurations and provenance.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Batch => "batch",
            Self::Domain => "domain",
        }
    }
}

/// Which mean and variance batch normalisation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormSource {
    Running,
    Batch,
    GhostBatches(usize),
    Domain,
}

/// One pass through a network with batch normalisation: which mean and
/// variance its layers use, and what they saw.
///
/// | pass | mean and variance | an image's result depends on |
/// |---|---|---|
/// | [`NormPass::running`] | running averages of training | itself |
/// | [`NormPass::batch`] | of the batch | all images of the batch |
/// | [`NormPass::ghost_batches`] | of each run of some images (Hoffer et al. 2017) | its run |
/// | of [`forward_domain`](super::domain::forward_domain) | of all images of a domain | all images of the domain |
///
/// Adaptive batch normalisation (AdaBN, Li et al. 2016) is training with
/// batches of one domain each, and evaluation by the statistics of the test
/// images' own domain: of mini-batches ([`NormPass::batch`]; the result
/// depends on which images share one), or of all of it.
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_models::blocks::batch_norm::BatchNorm;
/// use morphospace_models::blocks::norm_pass::NormPass;
///
/// let device = Device::default();
/// let norm = BatchNorm::init(1, &device);
/// let images = Tensor::<4>::from_floats([[[[1.0, 3.0]]]], &device);
/// let mut pass = NormPass::batch();
/// norm.forward(images, &mut pass);
/// let norm = pass.update_running(norm);
/// let mean: Vec<f32> = norm.running_mean.val().into_data().iter::<f32>().collect();
/// assert!((mean[0] - 0.2).abs() < 1e-6); // 0.9 * 0 + 0.1 * 2
/// ```
#[derive(Debug)]
pub struct NormPass {
    source: NormSource,
    /// New running averages.
    averages: HashMap<ParamId, Tensor<1>>,
    member: Option<DomainMember>,
}

impl NormPass {
    fn new(source: NormSource) -> Self {
        Self {
            source,
            averages: HashMap::new(),
            member: None,
        }
    }

    /// By the running averages.
    pub fn running() -> Self {
        Self::new(NormSource::Running)
    }

    /// By the statistics of the batch.
    pub fn batch() -> Self {
        Self::new(NormSource::Batch)
    }

    /// By the statistics of each run of `size` images; the batch is a multiple
    /// of it.
    ///
    /// # Panics
    /// `size` is 0.
    pub fn ghost_batches(size: usize) -> Self {
        assert!(size > 0, "ghost batches have at least one image");
        Self::new(NormSource::GhostBatches(size))
    }

    pub(super) fn of_domain(member: DomainMember) -> Self {
        Self {
            member: Some(member),
            ..Self::new(NormSource::Domain)
        }
    }

    pub(super) fn source(&self) -> NormSource {
        self.source
    }

    /// Mean and biased variance of every channel over all of the domain.
    pub(super) fn domain_statistics<const D: usize>(&self, x: Tensor<D>) -> (Tensor<1>, Tensor<1>) {
        let member = self.member.as_ref();
        let member = member.expect("passes by a domain's statistics are of a member of it");
        member.statistics(x)
    }

    /// Takes what a batch had into a running average.
    pub(super) fn average(
        &mut self,
        average: &Param<Tensor<1>>,
        of_batch: Tensor<1>,
        momentum: f64,
    ) {
        let of_batch = of_batch.detach();
        let before = match self.averages.remove(&average.id) {
            Some(earlier) => earlier,
            None => average.val().detach(),
        };
        let after = before * (1.0 - momentum) + of_batch * momentum;
        self.averages.insert(average.id, after);
    }

    /// The network with the running averages that follow from this pass.
    pub fn update_running<M: Module>(self, network: M) -> M {
        struct Averages(HashMap<ParamId, Tensor<1>>);
        impl ModuleMapper for Averages {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let Some(average) = self.0.remove(&param.id) else {
                    return param;
                };
                let shape = [average.dims()[0]];
                param.map(|old| {
                    let values: Vec<f32> = average.into_data().iter::<f32>().collect();
                    let tensor =
                        Tensor::<1>::from_data(TensorData::new(values, shape), &old.device());
                    tensor.reshape(old.dims())
                })
            }
        }
        network.map(&mut Averages(self.averages))
    }
}
