use std::fmt;

use serde::{Deserialize, Serialize};

use crate::grouping::Grouping;
use crate::transform::Transform;
use crate::{Interpolation, ViewKind, ViewRecipe};

/// Recipes of views that published works trained with.
///
/// Where a work does not say a number, the text says that the default is ours.
/// `AIBIO` is the code of Lugli et al. 2025
/// (<https://github.com/theElandor/AIBIO_proj>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// One crop of 256 px in its own size, both flips at 0.5: Kraus et al.
    /// 2023, section 3; the probabilities are ours.
    Mae,
    /// The whole site (or a crop of `crop_px`), both flips at 0.5, any number
    /// of quarter turns: Sypetkowski et al. 2023, who give no probabilities,
    /// so these are ours.
    Wsl,
    /// Flips and transposition at 0.5 each, a square of half the edge to all of
    /// it brought to the site's size by nearest pixels, and after normalisation
    /// each channel scaled by N(1, 0.1) and shifted by N(0, 0.1):
    /// <https://github.com/maciej-sypetkowski/kaggle-rcic-1st>, `dataset.py`.
    WslKaggle,
    /// "Ours" of Lugli et al. 2025 as their code has it: sites at 256 px; two
    /// global views of 224 px (0.9..1 of the area), a horizontal flip at 0.5
    /// and a blur (3 px, sigma 0.1..2) at 1 and 0.1; eight local ones of 96 px
    /// (0.3..0.5), blur at 0.5. AIBIO, `dino/collate.py`,
    /// `DataAugmentationDINO_easy`.
    Simple,
    /// [`Preset::Simple`] with the quarter turns that Table 3 of Lugli et al.
    /// 2025 ticks and their code does not have, and draws of their own for
    /// channels 1-3 and 4-6. Their probability of 0.5 is that of
    /// [`Preset::Cdcl`]: the table has none.
    PaperTable3,
    /// What AIBIO calls original, `dino/collate.py`, `DataAugmentationDINO`:
    /// sites at 256 px; global views of 224 px (0.9..1 of the area), eight local
    /// ones of 112 px (0.3..0.5), both flips at 0.5, any angle in -90..90
    /// degrees, colour jitter (0.4, 0.4, 0.2, 0.1) at 0.8.
    AibioHard,
    /// Caron et al. 2021 (<https://github.com/facebookresearch/dino>,
    /// `main_dino.py`): global views of 224 px (0.4..1), eight local ones of 96
    /// px (0.05..0.4), bicubic, a horizontal flip at 0.5, colour jitter (0.4,
    /// 0.4, 0.2, 0.1) at 0.8, grayscale at 0.2, blur (sigma 0.1..2) at 1, 0.1
    /// and 0.5, solarisation from 128 on at 0.2 in the second. Six channels are
    /// two colour images and sites are first brought to 256 px, as in Lugli et
    /// al. 2025. The kernel of 17 px is ours; theirs comes out of box filters.
    DinoOriginal,
    /// Haslum et al. 2022 (<https://github.com/cfredinh/CDCL>,
    /// `self_supervised/DINO/augmentation_strategy-RxRx1.json`): global views of
    /// 224 px (0.9..1.1), six local ones of 112 px (0.3..0.5), plain bilinear,
    /// both flips and quarter turns at 0.5, and after normalisation each channel
    /// scaled by N(1, 0.1) and shifted by N(0, 0.1), at 0.8, and 0.5 in local
    /// views. (Their code calls this shifting colours, and does it at 0.5
    /// everywhere, whatever the file says.)
    Cdcl,
    /// SimCLR as Lugli et al. 2025 list its steps (sections 4.2 and 5.1): two
    /// views of 224 px. All numbers are ours, after Chen et al. 2020: 0.2..1 of
    /// the area, both flips at 0.5, channels in another order at 0.2, all alike
    /// at 0.2, brightness and contrast of each channel (0.4) at 0.8, noise of
    /// standard deviation 0.05 at 0.5 after normalisation.
    Simclr,
    /// The pair that AIBIO's code for SimCLR makes: the image as it is, and a
    /// crop of 256 px (0.08..1 of the area) with jitter (0.5, 0.5) and a blur
    /// (3 px, sigma 0.1..2).
    AibioOneview,
    /// Two global and four local views (the number: Kenyon-Dean et al. 2024,
    /// appendix A.9). All else as DINOv2 has it
    /// (<https://github.com/facebookresearch/dinov2>,
    /// `dinov2/data/augmentations.py` and its default configuration): 224 px
    /// (0.32..1) and 96 px (0.05..0.32), kernels of 9 px, and for the rest
    /// [`Preset::DinoOriginal`]; of each three channels as of a colour image,
    /// which is ours.
    Dinov2,
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mae => "mae",
            Self::Wsl => "wsl",
            Self::WslKaggle => "wsl_kaggle",
            Self::Simple => "simple",
            Self::PaperTable3 => "paper_table3",
            Self::AibioHard => "aibio_hard",
            Self::DinoOriginal => "dino_original",
            Self::Cdcl => "cdcl",
            Self::Simclr => "simclr",
            Self::AibioOneview => "aibio_oneview",
            Self::Dinov2 => "dinov2",
        })
    }
}

/// The numbers of a preset that configurations may set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) resize_px: Option<usize>,
    /// `None` for the whole site.
    pub(crate) crop_px: Option<usize>,
    /// `None` where there are no local views.
    pub(crate) local_px: Option<usize>,
    pub(crate) num_local: usize,
    /// `None` where crops keep their size.
    pub(crate) global_scale: Option<[f64; 2]>,
    pub(crate) local_scale: Option<[f64; 2]>,
    pub(crate) interpolation: Interpolation,
}

impl Preset {
    /// Its own numbers.
    pub(crate) fn settings(self) -> Settings {
        let whole_site = Settings {
            resize_px: None,
            crop_px: None,
            local_px: None,
            num_local: 0,
            global_scale: None,
            local_scale: None,
            interpolation: Interpolation::Bilinear,
        };
        let self_distillation = Settings {
            resize_px: Some(256),
            crop_px: Some(224),
            local_px: Some(96),
            num_local: 8,
            global_scale: Some([0.9, 1.0]),
            local_scale: Some([0.3, 0.5]),
            ..whole_site
        };
        match self {
            Self::Mae => Settings {
                crop_px: Some(256),
                ..whole_site
            },
            Self::Wsl | Self::WslKaggle => whole_site,
            Self::Simple | Self::PaperTable3 => self_distillation,
            Self::AibioHard => Settings {
                local_px: Some(112),
                ..self_distillation
            },
            Self::DinoOriginal => Settings {
                global_scale: Some([0.4, 1.0]),
                local_scale: Some([0.05, 0.4]),
                interpolation: Interpolation::Bicubic,
                ..self_distillation
            },
            Self::Cdcl => Settings {
                resize_px: None,
                local_px: Some(112),
                num_local: 6,
                global_scale: Some([0.9, 1.1]),
                interpolation: Interpolation::BilinearPlain,
                ..self_distillation
            },
            Self::Simclr => Settings {
                crop_px: Some(224),
                global_scale: Some([0.2, 1.0]),
                ..whole_site
            },
            Self::AibioOneview => Settings {
                resize_px: Some(256),
                crop_px: Some(256),
                global_scale: Some([0.08, 1.0]),
                ..whole_site
            },
            Self::Dinov2 => Settings {
                resize_px: None,
                num_local: 4,
                global_scale: Some([0.32, 1.0]),
                local_scale: Some([0.05, 0.32]),
                interpolation: Interpolation::Bicubic,
                ..self_distillation
            },
        }
    }

    /// How its views are made: global ones first, then local ones.
    pub(crate) fn recipes(self, settings: &Settings) -> Vec<ViewRecipe> {
        let global = |steps: Vec<Transform>| ViewRecipe {
            kind: ViewKind::Global,
            transforms: [settings.resize(), settings.global_crop(), steps].concat(),
        };
        let local = |steps: Vec<Transform>| ViewRecipe {
            kind: ViewKind::Local,
            transforms: [settings.resize(), settings.local_crop(), steps].concat(),
        };
        // The first global view, the second and all local ones.
        let with_local = |first, second, other: Vec<Transform>| {
            let mut recipes = vec![global(first), global(second)];
            recipes.resize(2 + settings.num_local, local(other));
            recipes
        };
        let flip_horizontally = || Transform::FlipHorizontally { p: 0.5 };
        let flip_vertically = || Transform::FlipVertically { p: 0.5 };
        match self {
            Self::Mae => vec![global(vec![flip_horizontally(), flip_vertically()])],
            Self::Wsl => vec![global(vec![
                flip_horizontally(),
                flip_vertically(),
                Transform::Rot90 { p: 1.0 },
            ])],
            Self::WslKaggle => {
                let zoom = Transform::RandomZoom {
                    size_px: settings.crop_px,
                    edge: [0.5, 1.0],
                };
                let steps = vec![
                    flip_horizontally(),
                    flip_vertically(),
                    Transform::Transpose { p: 0.5 },
                    zoom,
                    channel_affine(1.0),
                ];
                vec![ViewRecipe {
                    kind: ViewKind::Global,
                    transforms: [settings.resize(), steps].concat(),
                }]
            }
            Self::Simple => {
                let steps = |p| vec![flip_horizontally(), small_blur(Grouping::Together, p)];
                with_local(steps(1.0), steps(0.1), steps(0.5))
            }
            Self::PaperTable3 => {
                let steps = |p| {
                    vec![
                        flip_horizontally(),
                        Transform::Rot90 { p: 0.5 },
                        small_blur(Grouping::Threes, p),
                    ]
                };
                with_local(steps(1.0), steps(0.1), steps(0.5))
            }
            Self::AibioHard => {
                let steps = vec![
                    flip_horizontally(),
                    flip_vertically(),
                    Transform::Rotation { degrees: 90.0 },
                    colour_jitter(),
                ];
                with_local(steps.clone(), steps.clone(), steps)
            }
            Self::DinoOriginal | Self::Dinov2 => {
                let kernel_px = if self == Self::Dinov2 { 9 } else { 17 };
                let steps = |p| {
                    vec![
                        flip_horizontally(),
                        colour_jitter(),
                        Transform::Grayscale {
                            grouping: Grouping::Threes,
                            p: 0.2,
                        },
                        Transform::Blur {
                            grouping: Grouping::Threes,
                            kernel_px,
                            sigma_px: [0.1, 2.0],
                            p,
                        },
                    ]
                };
                let mut second = steps(0.1);
                second.push(Transform::Solarise {
                    grouping: Grouping::Threes,
                    threshold: 128.0,
                    p: 0.2,
                });
                with_local(steps(1.0), second, steps(0.5))
            }
            Self::Cdcl => {
                let steps = |p| {
                    vec![
                        flip_vertically(),
                        flip_horizontally(),
                        Transform::Rot90 { p: 0.5 },
                        channel_affine(p),
                    ]
                };
                with_local(steps(0.8), steps(0.8), steps(0.5))
            }
            Self::Simclr => {
                let view = global(vec![
                    flip_horizontally(),
                    flip_vertically(),
                    Transform::ChannelShuffle { p: 0.2 },
                    Transform::Grayscale {
                        grouping: Grouping::Together,
                        p: 0.2,
                    },
                    // Stains have no hue: only what one channel has.
                    Transform::ColourJitter {
                        grouping: Grouping::PerChannel,
                        brightness: 0.4,
                        contrast: 0.4,
                        saturation: 0.0,
                        hue: 0.0,
                        p: 0.8,
                    },
                    Transform::Noise { std: 0.05, p: 0.5 },
                ]);
                vec![view.clone(), view]
            }
            Self::AibioOneview => {
                let changed = global(vec![
                    Transform::ColourJitter {
                        grouping: Grouping::Threes,
                        brightness: 0.5,
                        contrast: 0.5,
                        saturation: 0.0,
                        hue: 0.0,
                        p: 1.0,
                    },
                    small_blur(Grouping::Together, 1.0),
                ]);
                vec![self.evaluation(settings), changed]
            }
        }
    }

    /// The middle of a site, at the scale at which training shows it.
    pub(crate) fn evaluation(self, settings: &Settings) -> ViewRecipe {
        let mut transforms = settings.resize();
        if let Some(size_px) = settings.crop_px {
            // Training resizes crops of about the whole site: so is the site.
            if settings.global_scale.is_some() && transforms.is_empty() {
                transforms.push(settings.resize_to(size_px));
            }
            transforms.push(Transform::CenterCrop { size_px });
        }
        ViewRecipe {
            kind: ViewKind::Global,
            transforms,
        }
    }
}

impl Settings {
    fn resize(&self) -> Vec<Transform> {
        let resize = self.resize_px.map(|size_px| self.resize_to(size_px));
        resize.into_iter().collect()
    }

    fn resize_to(&self, size_px: usize) -> Transform {
        Transform::Resize {
            size_px,
            interpolation: self.interpolation,
        }
    }

    fn global_crop(&self) -> Vec<Transform> {
        let crop = self.crop_px.map(|size_px| match self.global_scale {
            Some(scale) => Transform::RandomResizedCrop {
                size_px,
                scale,
                interpolation: self.interpolation,
            },
            None => Transform::RandomCrop { size_px },
        });
        crop.into_iter().collect()
    }

    fn local_crop(&self) -> Vec<Transform> {
        let crop = self.local_px.zip(self.local_scale);
        let crop = crop.map(|(size_px, scale)| Transform::RandomResizedCrop {
            size_px,
            scale,
            interpolation: self.interpolation,
        });
        crop.into_iter().collect()
    }
}

/// AIBIO's blur: `dino/utils.py`, `GaussianBlur`.
fn small_blur(grouping: Grouping, p: f64) -> Transform {
    Transform::Blur {
        grouping,
        kernel_px: 3,
        sigma_px: [0.1, 2.0],
        p,
    }
}

/// DINO's jitter; six channels as two images, as AIBIO's `Wrapper6C`.
fn colour_jitter() -> Transform {
    Transform::ColourJitter {
        grouping: Grouping::Threes,
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.2,
        hue: 0.1,
        p: 0.8,
    }
}

fn channel_affine(p: f64) -> Transform {
    Transform::ChannelAffine {
        scale_std: 0.1,
        shift_std: 0.1,
        p,
    }
}
