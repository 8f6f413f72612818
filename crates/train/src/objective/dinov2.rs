//! DINOv2: self-distillation of images, of hidden patches, and features that
//! spread out.
//!
//! Oquab et al. 2023 (<https://arxiv.org/abs/2304.07193>), as Kenyon-Dean et
//! al. 2024 (<https://arxiv.org/abs/2411.02572>, appendix A.9) tried it on
//! RxRx3, once from an autoencoder's weights. One head serves images and
//! patches. A network that has no token for hidden patches, such as an
//! autoencoder's encoder, gets one of the objective's own.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use morphospace_core::Seed;
use morphospace_models::blocks::norm_pass::NormPass;
use morphospace_models::{DinoHeadConfig, Encoder, Initializer, Network, NetworkConfig, Pooling};
use serde::{Deserialize, Serialize};

use super::student_teacher::{
    DinoNetwork, Side, StudentTeacher, check_momentum, mean_entropy, moves, zeros,
};
use super::{Loss, Objective};
use crate::losses::{
    BlockMaskConfig, DinoV2Config, DinoV2Outputs, TeacherTemperature, centered_teacher, dinov2_loss,
};
use crate::{ImageBatch, Moment, Span, TrainError};

/// Options of [`DinoV2`]. The default is DINOv2's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DinoV2ObjectiveConfig {
    /// The projection head; `in_dim` is set to the backbone's features.
    pub head: DinoHeadConfig,
    /// The terms and their weights.
    pub loss: DinoV2Config,
    /// Which patches are hidden from the student.
    pub masks: BlockMaskConfig,
    /// What the teacher's outputs are divided by.
    pub teacher_temperature: TeacherTemperature,
    /// Share of the teacher that stays in each step, which rises to 1 along
    /// half a cosine.
    pub teacher_momentum: f64,
    /// How long the prototypes stay as they were drawn.
    pub freeze_last_layer: Span,
    /// Whose backbone is the network that is wanted.
    pub network_of: Side,
}

impl Default for DinoV2ObjectiveConfig {
    fn default() -> Self {
        Self {
            head: DinoHeadConfig {
                out_dim: 65_536,
                ..DinoHeadConfig::default()
            },
            loss: DinoV2Config::default(),
            masks: BlockMaskConfig::default(),
            teacher_temperature: TeacherTemperature {
                warmup_teacher_temp: 0.04,
                teacher_temp: 0.07,
                warmup_teacher_temp_epochs: 30,
            },
            teacher_momentum: 0.992,
            freeze_last_layer: Span::Epochs(1.0),
            network_of: Side::default(),
        }
    }
}

impl DinoV2ObjectiveConfig {
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        check_momentum(self.teacher_momentum)?;
        self.loss.check()?;
        self.masks.check()?;
        self.teacher_temperature.check()?;
        self.head.check()?;
        Ok(())
    }
}

/// Student, teacher and centres.
#[derive(Module, Debug)]
pub struct DinoV2 {
    /// Student and teacher.
    pub networks: StudentTeacher,
    /// Stands for hidden patches, `[1, D]`, of a network that has no such
    /// token.
    pub mask_token: Option<Param<Tensor<2>>>,
    /// `[1, K]`.
    pub image_center: Param<Tensor<2>>,
    /// `[1, K]`.
    pub patch_center: Param<Tensor<2>>,
    #[module(skip)]
    config: DinoV2ObjectiveConfig,
}

impl DinoV2 {
    /// Both networks begin alike.
    ///
    /// # Errors
    /// [`TrainError`]: the backbone has no patches, or the head's sizes cannot
    /// be.
    pub fn new(
        backbone: Network,
        config: DinoV2ObjectiveConfig,
        device: &Device,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        let (dim, has_mask_token) = match &backbone {
            Network::PlainVit(vit) => (vit.config().embed_dim, vit.config().mask_token),
            Network::Vit(vit) => (vit.config().embed_dim, false),
            _ => {
                return Err(TrainError::InvalidConfig(
                    "objective 'dinov2' hides patches, which only vision transformers have: \
                     choose network.kind 'plain_vit' or 'vit'"
                        .to_owned(),
                ));
            }
        };
        let head = DinoHeadConfig {
            in_dim: dim,
            ..config.head.clone()
        };
        let shape = [1, config.head.out_dim];
        let head = head.init(device, seed.split("head"))?;
        let mask_token =
            (!has_mask_token).then(|| Initializer::ZEROS.parameter([1, dim], seed, device));
        Ok(Self {
            networks: StudentTeacher::new(DinoNetwork { backbone, head }),
            mask_token,
            image_center: zeros(shape, device),
            patch_center: zeros(shape, device),
            config,
        })
    }
}

/// Class tokens `[B, D]` and patch tokens `[B, L, D]` behind the last norm.
fn tokens(
    network: &Network,
    images: Tensor<4>,
    hidden: Option<(Tensor<2>, Option<Tensor<2>>)>,
    drop_path_seed: Option<Seed>,
) -> (Tensor<2>, Tensor<3>) {
    let (tokens, num_prefix) = match network {
        Network::PlainVit(vit) => {
            let mask = hidden.map(|(mask, _)| mask);
            let tokens = vit.forward_tokens(vit.embed_tokens(images, mask), drop_path_seed);
            (vit.normalise(tokens), 1 + vit.config().num_registers)
        }
        Network::Vit(vit) => {
            let hidden = hidden.map(|(mask, token)| {
                let token = token.expect("the objective has one for networks without");
                (mask, token)
            });
            let embedded = vit.embed_tokens_with(images, hidden);
            (vit.forward_tokens(embedded, drop_path_seed), 1)
        }
        _ => unreachable!("others are refused when the objective is made"),
    };
    let [batch, num_tokens, dim] = tokens.dims();
    let cls = tokens.clone().narrow(1, 0, 1).reshape([batch, dim]);
    let patches = tokens.narrow(1, num_prefix, num_tokens - num_prefix);
    (cls, patches)
}

impl Objective for DinoV2 {
    fn network(&self) -> (NetworkConfig, &'static str) {
        self.networks.network(self.config.network_of)
    }

    fn encoder(&self) -> Box<dyn Encoder> {
        self.networks.encoder(self.config.network_of)
    }

    fn pooling(&self) -> Pooling {
        Pooling::Cls
    }

    fn moves(&self, parameter: &str, moment: &Moment) -> bool {
        moves(parameter, self.config.freeze_last_layer, moment)
    }

    fn loss(&mut self, batch: &ImageBatch, moment: &Moment) -> Loss {
        let batch_size = batch.len();
        let global = Tensor::cat(batch.views[..2].to_vec(), 0);
        let seed = |name: &str| moment.drop_path_seed().map(|seed| seed.split(name));
        let patch_size = match &self.networks.student.backbone {
            Network::PlainVit(vit) => vit.config().patch_size,
            Network::Vit(vit) => vit.config().patch_size,
            _ => unreachable!("others are refused when the objective is made"),
        };
        let [_, _, height, width] = global.dims();
        let grid = [height / patch_size, width / patch_size];
        let masks = self
            .config
            .masks
            .draw(2 * batch_size, grid, moment.seed.split("masks"));

        // Heads without batch normalisation take no statistics.
        let pass = &mut NormPass::running();
        let teacher = self.networks.teacher.valid();
        let (cls, patches) = tokens(&teacher.backbone, global.clone().inner(), None, None);
        let teacher_global = teacher.head.forward(cls, pass);
        let teacher_patches = teacher.head.forward(masks.select(patches), pass);

        let mask_token = self.mask_token.as_ref().map(Param::val);
        let hidden = (masks.mask(&global.device()), mask_token);
        let backbone = &self.networks.student.backbone;
        let (features, patches) = tokens(backbone, global, Some(hidden), seed("global"));
        let head = &self.networks.student.head;
        let student_global = head.forward(features.clone(), pass);
        let student_patches = head.forward(masks.select(patches), pass);
        let student_local = (batch.views.len() > 2).then(|| {
            let local = Tensor::cat(batch.views[2..].to_vec(), 0);
            let (cls, _) = tokens(backbone, local, None, seed("local"));
            head.forward(cls, pass)
        });

        let temperature = self
            .config
            .teacher_temperature
            .of_epoch(moment.epoch as usize);
        let image_center = self.image_center.val().inner();
        let patch_center = self.patch_center.val().inner();
        let centered = centered_teacher(teacher_global.clone(), image_center.clone(), temperature);
        let entropy = mean_entropy(centered);
        let outputs = DinoV2Outputs {
            teacher_global,
            teacher_patches,
            student_global,
            student_local,
            student_patches,
            student_features: features.clone(),
        };
        let centers = [image_center, patch_center];
        let loss = dinov2_loss(&self.config.loss, outputs, &masks, centers, temperature);
        if moment.is_training {
            let (image, patch) = (loss.image_center, loss.patch_center);
            self.image_center = self.image_center.clone().map(|_| Tensor::from_inner(image));
            self.patch_center = self.patch_center.clone().map(|_| Tensor::from_inner(patch));
        }
        let mut parts = vec![
            ("teacher_entropy", entropy),
            ("dino_global", loss.dino_global),
            ("ibot", loss.ibot),
        ];
        parts.extend(loss.dino_local.map(|part| ("dino_local", part)));
        parts.extend(loss.koleo.map(|part| ("koleo", part)));
        Loss {
            total: loss.total,
            parts,
            embedding: Some(features.narrow(0, 0, batch_size)),
        }
    }

    fn end_step(&mut self, moment: &Moment) {
        self.networks.follow(self.config.teacher_momentum, moment);
    }
}
