use std::fmt;
use std::str::FromStr;

use morphospace_core::{ControlRole, Experiment, PlateKey, suggestion};
use serde::{Deserialize, Serialize};

/// Over which pixels mean and standard deviation are taken, channel by
/// channel.
///
/// | name | pixels of | source |
/// |---|---|---|
/// | `all_images` | all images | Sypetkowski et al. 2023 (RxRx1), Table 4 |
/// | `controls_per_experiment` | the experiment's control images | the same |
/// | `all_per_experiment` | all images of the experiment | the same |
/// | `controls_per_plate` | the plate's control images | the same |
/// | `all_per_plate` | all images of the plate | the same |
/// | `self_standardisation` | the image itself: [`SelfStandardisation`](crate::SelfStandardisation), no table | the same |
/// | `global_mean_of_stats` | all images: mean over experiments of their means and of their standard deviations, not pooled | `kaggle-rcic-1st:dataset.py`, `normalization == 'global'` |
/// | `all_per_experiment_unbiased` | all images of the experiment, variance divided by n - 1 | Lugli et al. 2025; AIBIO's `normalizer6channels4cells.py`, `torch.var_mean` |
///
/// Variances are divided by n unless said. Normalisation by a plate's
/// negative controls, as in cross-domain consistency learning, is
/// `controls_per_plate` with [`ControlImages::Negative`].
///
/// Wells of unseen experiments have no labels but they have pixels, so the
/// papers normalise them by their own experiment or plate. Whoever wants
/// `all_images` over a training set alone names its sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalisationScheme {
    /// All images.
    AllImages,
    /// Control images of the experiment.
    ControlsPerExperiment,
    /// All images of the experiment.
    AllPerExperiment,
    /// Control images of the plate.
    ControlsPerPlate,
    /// All images of the plate.
    AllPerPlate,
    /// The image itself.
    SelfStandardisation,
    /// Mean over experiments of means and standard deviations.
    GlobalMeanOfStats,
    /// All images of the experiment, with the unbiased variance.
    AllPerExperimentUnbiased,
}

impl NormalisationScheme {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AllImages,
        Self::ControlsPerExperiment,
        Self::AllPerExperiment,
        Self::ControlsPerPlate,
        Self::AllPerPlate,
        Self::SelfStandardisation,
        Self::GlobalMeanOfStats,
        Self::AllPerExperimentUnbiased,
    ];

    /// The name in tables and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AllImages => "all_images",
            Self::ControlsPerExperiment => "controls_per_experiment",
            Self::AllPerExperiment => "all_per_experiment",
            Self::ControlsPerPlate => "controls_per_plate",
            Self::AllPerPlate => "all_per_plate",
            Self::SelfStandardisation => "self_standardisation",
            Self::GlobalMeanOfStats => "global_mean_of_stats",
            Self::AllPerExperimentUnbiased => "all_per_experiment_unbiased",
        }
    }

    /// To which images one row of statistics applies; `None` where every
    /// image has its own.
    pub fn scope(self) -> Option<NormalisationScope> {
        match self {
            Self::AllImages | Self::GlobalMeanOfStats => Some(NormalisationScope::Global),
            Self::ControlsPerExperiment
            | Self::AllPerExperiment
            | Self::AllPerExperimentUnbiased => Some(NormalisationScope::Experiment),
            Self::ControlsPerPlate | Self::AllPerPlate => Some(NormalisationScope::Plate),
            Self::SelfStandardisation => None,
        }
    }

    /// Whether only control images count.
    pub fn is_of_controls(self) -> bool {
        matches!(self, Self::ControlsPerExperiment | Self::ControlsPerPlate)
    }

    /// Degrees of freedom taken off the number of pixels in the variance.
    pub(crate) fn ddof(self) -> u64 {
        u64::from(self == Self::AllPerExperimentUnbiased)
    }
}

impl fmt::Display for NormalisationScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no scheme of normalisation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a normalisation scheme\nhint: {}", match near {
    Some(near) => format!("did you mean '{near}'?"),
    None => format!("give one of {}", NormalisationScheme::ALL.map(NormalisationScheme::as_str).join(", ")),
})]
pub struct UnknownNormalisationScheme {
    /// What was read.
    pub text: String,
    /// What was probably meant.
    pub near: Option<String>,
}

impl FromStr for NormalisationScheme {
    type Err = UnknownNormalisationScheme;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.as_str() == text)
            .ok_or_else(|| UnknownNormalisationScheme {
                text: text.to_owned(),
                near: suggestion(text, Self::ALL.map(Self::as_str)).map(str::to_owned),
            })
    }
}

/// To which images statistics apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalisationScope {
    /// To all.
    Global,
    /// To those of an experiment.
    Experiment,
    /// To those of a plate.
    Plate,
}

impl NormalisationScope {
    /// The word in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Experiment => "experiment",
            Self::Plate => "plate",
        }
    }

    /// Which statistics the images of a plate take.
    pub fn key(self, plate: &PlateKey) -> NormalisationKey {
        match self {
            Self::Global => NormalisationKey::Global,
            Self::Experiment => NormalisationKey::Experiment {
                source: plate.source.clone(),
                experiment: plate.experiment.clone(),
            },
            Self::Plate => NormalisationKey::Plate(plate.clone()),
        }
    }
}

/// Which experiment or plate statistics belong to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NormalisationKey {
    /// All images.
    Global,
    /// An experiment, of a source where the screen has several.
    Experiment {
        /// The source.
        source: Option<String>,
        /// The experiment.
        experiment: Experiment,
    },
    /// A plate.
    Plate(PlateKey),
}

impl fmt::Display for NormalisationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("all images"),
            Self::Experiment {
                source: Some(source),
                experiment,
            } => write!(f, "{source} {experiment}"),
            Self::Experiment { experiment, .. } => write!(f, "{experiment}"),
            Self::Plate(plate) => write!(f, "{plate}"),
        }
    }
}

/// Which images are control images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlImages {
    /// Those of every well that is no treatment. The RxRx1 paper says
    /// "control images" and no more.
    #[default]
    NegativeAndPositive,
    /// Those of negative controls and untreated wells.
    Negative,
}

impl ControlImages {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NegativeAndPositive => "negative_and_positive",
            Self::Negative => "negative",
        }
    }

    /// Whether the images of a well with this role count.
    pub fn includes(self, role: ControlRole) -> bool {
        match self {
            Self::NegativeAndPositive => role != ControlRole::Treatment,
            Self::Negative => role.is_negative(),
        }
    }
}
