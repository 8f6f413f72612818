//! Self-distillation: a student that sees parts of an image tells what its
//! teacher, a slower copy of it, tells of the whole.
//!
//! DINO (Caron et al. 2021, <https://arxiv.org/abs/2104.14294>); cross-domain
//! consistency (Haslum et al. 2022, <https://arxiv.org/abs/2212.11595>), where
//! some crops are of another experiment's image of the same perturbation, and
//! every experiment may have a centre of its own; and Lugli et al. 2025, who
//! mix in Barlow Twins.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{DinoHeadConfig, Encoder, Network, NetworkConfig, Pooling};
use serde::{Deserialize, Serialize};

use super::classifier::num_features;
use super::student_teacher::{
    DinoNetwork, Side, StudentTeacher, check_momentum, mean_entropy, moves, zeros,
};
use super::{Loss, Objective};
use crate::losses::{
    CenterConfig, CropPairs, DinoBarlowConfig, TeacherTemperature, centered_teacher,
    centers_of_views, dino_barlow_loss,
};
use crate::{ImageBatch, Moment, Span, TrainError, multi_crop_features};

/// Options of [`Dino`]. The default is DINO as Caron et al. 2021 have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoConfig {
    /// The projection heads; `in_dim` is set to the backbone's features.
    pub head: DinoHeadConfig,
    /// What the heads see of the backbone's tokens.
    pub pooling: Pooling,
    /// DINO, Barlow Twins, or both.
    pub loss: DinoBarlowConfig,
    /// What the teacher's outputs are divided by.
    pub teacher_temperature: TeacherTemperature,
    /// How centres follow the teacher.
    pub centers: CenterConfig,
    /// Whether every domain that is trained on has a centre.
    pub center_per_domain: bool,
    /// Share of the teacher that stays in each step, which rises to 1 along
    /// half a cosine.
    pub teacher_momentum: f64,
    /// How long the prototypes stay as they were drawn.
    pub freeze_last_layer: Span,
    /// Which crops of a pair show the second image.
    pub pairing: CropPairing,
    /// Whether only crops of different images are compared.
    pub only_cross_domain: bool,
    /// Whose backbone is the network that is wanted.
    pub network_of: Side,
}

/// Which crops of a pair of images show the second one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CropPairing {
    /// All local ones (Lugli et al.'s code).
    #[default]
    Aibio,
    /// The second global one and the second half of the local ones (CDCL).
    Cdcl,
}

impl Default for DinoConfig {
    fn default() -> Self {
        Self {
            head: DinoHeadConfig::default(),
            pooling: Pooling::Cls,
            loss: DinoBarlowConfig::DINO,
            teacher_temperature: TeacherTemperature::default(),
            centers: CenterConfig::default(),
            center_per_domain: false,
            teacher_momentum: 0.996,
            freeze_last_layer: Span::Epochs(1.0),
            pairing: CropPairing::default(),
            only_cross_domain: false,
            network_of: Side::default(),
        }
    }
}

impl DinoConfig {
    pub(crate) fn check(&self, is_paired: bool) -> Result<(), TrainError> {
        let invalid = |message: String| Err(TrainError::InvalidConfig(message));
        check_momentum(self.teacher_momentum)?;
        self.loss.check()?;
        self.teacher_temperature.check()?;
        self.centers.check()?;
        if self.only_cross_domain && !is_paired {
            return invalid(
                "objective.only_cross_domain compares crops of two images: set sampler.kind to \
                 'cross_domain'"
                    .to_owned(),
            );
        }
        self.head.check()?;
        Ok(())
    }
}

/// Student, teacher and centres.
#[derive(Module, Debug)]
pub struct Dino {
    /// Student and teacher.
    pub networks: StudentTeacher,
    /// `[1, K]`, or one row for each domain.
    pub centers: Param<Tensor<2>>,
    #[module(skip)]
    config: DinoConfig,
    /// Images of each domain.
    #[module(skip)]
    num_images: Vec<usize>,
    #[module(skip)]
    is_paired: bool,
}

impl Dino {
    /// Both networks begin alike. `num_images` are those of each domain that is
    /// trained on; `is_paired` if crops are of two images.
    ///
    /// # Errors
    /// [`TrainError::Model`] for the head's sizes.
    pub fn new(
        backbone: Network,
        num_images: Vec<usize>,
        is_paired: bool,
        config: DinoConfig,
        device: &Device,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        let head = DinoHeadConfig {
            in_dim: num_features(&backbone, config.pooling),
            ..config.head.clone()
        };
        let num_centers = match config.center_per_domain {
            true => num_images.len(),
            false => 1,
        };
        let head = head.init(device, seed.split("head"))?;
        Ok(Self {
            networks: StudentTeacher::new(DinoNetwork { backbone, head }),
            centers: zeros([num_centers, config.head.out_dim], device),
            config,
            num_images,
            is_paired,
        })
    }

    /// Views of the teacher and crops of the student that are compared.
    fn pairs(&self, num_crops: usize) -> CropPairs {
        let num_local = num_crops - 2;
        let images: Vec<usize> = match self.config.pairing {
            CropPairing::Aibio => [0, 0].into_iter().chain(vec![1; num_local]).collect(),
            CropPairing::Cdcl => {
                let first = num_local.div_ceil(2);
                let local = (0..num_local).map(|crop| usize::from(crop >= first));
                [0, 1].into_iter().chain(local).collect()
            }
        };
        match self.is_paired && self.config.only_cross_domain {
            true => CropPairs::across_images(&images),
            false => CropPairs::all(num_crops),
        }
    }
}

impl Objective for Dino {
    fn network(&self) -> (NetworkConfig, &'static str) {
        self.networks.network(self.config.network_of)
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        self.networks.encoder(self.config.network_of)
    }

    fn pooling(&self) -> Pooling {
        self.config.pooling
    }

    fn moves(&self, parameter: &str, moment: &Moment) -> bool {
        moves(parameter, self.config.freeze_last_layer, moment)
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let pooling = self.config.pooling;
        let mut pass = match moment.is_training {
            true => NormPass::batch(),
            false => NormPass::running(),
        };
        let seed = moment.drop_path_seed();
        let features = multi_crop_features(&batch.views, |place, images| {
            let seed = seed.map(|seed| seed.split_index(place as u64));
            let backbone = &self.networks.student.backbone;
            backbone.forward_embedding(images, pooling, &mut pass, seed)
        });
        let student = self
            .networks
            .student
            .head
            .forward(features.clone(), &mut pass);

        let views: Vec<Tensor<4>> = batch.views[..2]
            .iter()
            .map(|view| view.clone().inner())
            .collect();
        let teacher = self.networks.teacher.valid();
        let mut teacher_pass = match moment.is_training {
            true => NormPass::batch(),
            false => NormPass::running(),
        };
        let told = multi_crop_features(&views, |_, images| {
            let backbone = &teacher.backbone;
            backbone.forward_embedding(images, pooling, &mut teacher_pass, None)
        });
        let told = teacher.head.forward(told, &mut teacher_pass);
        let centers = self.centers.val().inner();
        let knows_domains = batch.domains.len() == batch.len();
        let of_views = match (self.config.center_per_domain, knows_domains) {
            (false, _) => centers.clone(),
            (true, true) => centers_of_views(centers.clone(), &batch.domains, 2),
            // Of experiments that are not trained on there is none.
            (true, false) => centers.clone().mean_dim(0),
        };
        let temperature = self
            .config
            .teacher_temperature
            .of_epoch(moment.epoch as usize);
        let centered = centered_teacher(told.clone(), of_views, temperature);
        let entropy = mean_entropy(centered.clone());
        let pairs = self.pairs(batch.views.len());
        let loss = dino_barlow_loss(&self.config.loss, &pairs, student, centered);
        if moment.is_training {
            let next = match self.config.center_per_domain {
                true => self.config.centers.update_domains(
                    centers,
                    told,
                    &batch.domains,
                    &self.num_images,
                ),
                false => self.config.centers.update(centers, told),
            };
            self.centers = self.centers.clone().map(|_| Tensor::from_inner(next));
            self.networks.student = pass.update_running(self.networks.student.clone());
            self.networks.teacher = teacher_pass.update_running(self.networks.teacher.clone());
        }
        let mut parts = vec![("teacher_entropy", entropy)];
        parts.extend(loss.dino.map(|part| ("dino", part)));
        parts.extend(loss.barlow.map(|part| ("barlow", part)));
        Loss {
            total: loss.total,
            parts,
            embedding: Some(features.narrow(0, 0, batch.len())),
        }
    }

    fn end_step(&mut self, moment: &Moment) {
        self.networks.follow(self.config.teacher_momentum, moment);
    }
}
