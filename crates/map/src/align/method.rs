use std::path::Path;
use std::str::FromStr;

use faer::MatRef;
use serde::{Deserialize, Serialize};

use super::{
    AlignError, AlignInput, Aligned, CenterScale, Combat, Coral, FitReport, FittedAligner, Harmony,
    MadRobustize, Pca, PcaCenterScale, Reference, Spherize, Tvn,
};

/// The settings of an alignment method.
///
/// Implementations pass [`crate::conformance::check_align`].
pub trait Align {
    /// What fitting gives.
    type Fitted: Aligner;

    /// Refuses settings that make no sense, before any work.
    ///
    /// # Errors
    /// [`AlignError::InvalidSetting`] names the setting and what is allowed.
    fn check(&self) -> Result<(), AlignError>;

    /// Learns the correction. Deterministic, whatever the number of
    /// threads.
    ///
    /// # Errors
    /// Settings that do not pass [`Align::check`], or too few rows to learn
    /// from, naming the batch.
    fn fit(&self, input: &AlignInput<'_>) -> Result<Self::Fitted, AlignError>;
}

/// A fitted correction, applicable to the rows it was fitted on and to
/// further ones.
pub trait Aligner: Sized {
    /// Corrects rows; their order is kept, and what becomes of a row does
    /// not depend on the rows beside it.
    ///
    /// # Errors
    /// [`AlignError::UnknownBatch`] for a batch whose controls were not
    /// there when fitting, other numbers of features, values that are not
    /// finite.
    fn transform(&self, values: MatRef<'_, f64>, batch: &[String]) -> Result<Aligned, AlignError>;

    /// What was fitted on, and what to warn of.
    fn report(&self) -> &FitReport;

    /// Writes the correction into a folder.
    ///
    /// # Errors
    /// [`AlignError::CannotSave`].
    fn save(&self, folder: &Path) -> Result<(), AlignError>;

    /// Reads what [`Aligner::save`] wrote.
    ///
    /// # Errors
    /// [`AlignError::CannotLoad`] says which file is missing or damaged.
    fn load(folder: &Path) -> Result<Self, AlignError>;
}

/// One of the alignment methods, as configuration files choose it.
///
/// ```
/// use morphospace_map::{AlignMethod, Tvn};
///
/// let method: AlignMethod = "tvn".parse()?;
/// assert_eq!(method, AlignMethod::Tvn(Tvn::default()));
/// assert_eq!("pca-center-scale".parse::<AlignMethod>()?.name(), "pca_center_scale");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum AlignMethod {
    /// [`CenterScale`].
    CenterScale(CenterScale),
    /// [`Pca`].
    Pca(Pca),
    /// [`PcaCenterScale`].
    PcaCenterScale(PcaCenterScale),
    /// [`MadRobustize`].
    MadRobustize(MadRobustize),
    /// [`Spherize`].
    Spherize(Spherize),
    /// [`Tvn`].
    Tvn(Tvn),
    /// [`Coral`].
    Coral(Coral),
    /// [`Combat`].
    Combat(Combat),
    /// [`Harmony`].
    Harmony(Harmony),
}

impl AlignMethod {
    /// The names of all methods.
    pub const NAMES: [&str; 9] = [
        "center_scale",
        "pca",
        "pca_center_scale",
        "mad_robustize",
        "spherize",
        "tvn",
        "coral",
        "combat",
        "harmony",
    ];

    /// The method's name, as files and score tables write it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CenterScale(_) => "center_scale",
            Self::Pca(_) => "pca",
            Self::PcaCenterScale(_) => "pca_center_scale",
            Self::MadRobustize(_) => "mad_robustize",
            Self::Spherize(_) => "spherize",
            Self::Tvn(_) => "tvn",
            Self::Coral(_) => "coral",
            Self::Combat(_) => "combat",
            Self::Harmony(_) => "harmony",
        }
    }

    /// The rows that the method is fitted on: nothing is learnt from others.
    pub fn reference(&self) -> Reference {
        match self {
            Self::CenterScale(method) => method.reference,
            Self::Pca(method) => method.reference,
            Self::MadRobustize(method) => method.reference,
            Self::Spherize(method) => method.reference,
            Self::Coral(method) => method.reference,
            Self::Combat(method) => method.reference,
            Self::PcaCenterScale(_) | Self::Tvn(_) => Reference::Controls,
            Self::Harmony(_) => Reference::All,
        }
    }

    /// Rows that each batch needs; 0 for a method that does not tell batches
    /// apart.
    pub(crate) fn rows_per_batch(&self) -> usize {
        let is_per_batch = match self {
            Self::CenterScale(method) => method.per_batch,
            Self::MadRobustize(method) => method.per_batch,
            Self::PcaCenterScale(method) => method.per_batch,
            Self::Tvn(method) => method.per_batch,
            Self::Coral(_) => true,
            Self::Combat(_) | Self::Harmony(_) => return 1,
            Self::Pca(_) | Self::Spherize(_) => false,
        };
        if is_per_batch { 2 } else { 0 }
    }

    /// The column of what is to stay, for a method that takes account of one.
    pub fn covariate(&self) -> Option<&str> {
        match self {
            Self::Combat(method) => method.covariate.as_deref(),
            _ => None,
        }
    }
}

impl FromStr for AlignMethod {
    type Err = String;

    /// A method by its name, with its defaults. `-` and `_` are the same.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().to_ascii_lowercase().replace('-', "_");
        match name.as_str() {
            "center_scale" | "centerscale" => Ok(Self::CenterScale(CenterScale::default())),
            "pca" => Ok(Self::Pca(Pca::default())),
            "pca_center_scale" | "pca_centerscale" => {
                Ok(Self::PcaCenterScale(PcaCenterScale::default()))
            }
            "mad_robustize" => Ok(Self::MadRobustize(MadRobustize::default())),
            "spherize" => Ok(Self::Spherize(Spherize::default())),
            "tvn" => Ok(Self::Tvn(Tvn::default())),
            "coral" => Ok(Self::Coral(Coral::default())),
            "combat" => Ok(Self::Combat(Combat::default())),
            "harmony" => Ok(Self::Harmony(Harmony::default())),
            _ => Err(format!(
                "'{text}' is not an alignment method (one of {})",
                Self::NAMES.join(", ")
            )),
        }
    }
}

impl Align for AlignMethod {
    type Fitted = FittedAligner;

    fn check(&self) -> Result<(), AlignError> {
        match self {
            Self::CenterScale(method) => method.check(),
            Self::Pca(method) => method.check(),
            Self::PcaCenterScale(method) => method.check(),
            Self::MadRobustize(method) => method.check(),
            Self::Spherize(method) => method.check(),
            Self::Tvn(method) => method.check(),
            Self::Coral(method) => method.check(),
            Self::Combat(method) => method.check(),
            Self::Harmony(method) => method.check(),
        }
    }

    fn fit(&self, input: &AlignInput<'_>) -> Result<FittedAligner, AlignError> {
        match self {
            Self::CenterScale(method) => method.fit(input),
            Self::Pca(method) => method.fit(input),
            Self::PcaCenterScale(method) => method.fit(input),
            Self::MadRobustize(method) => method.fit(input),
            Self::Spherize(method) => method.fit(input),
            Self::Tvn(method) => method.fit(input),
            Self::Coral(method) => method.fit(input),
            Self::Combat(method) => method.fit(input),
            Self::Harmony(method) => method.fit(input),
        }
    }
}

impl From<CenterScale> for AlignMethod {
    fn from(method: CenterScale) -> Self {
        Self::CenterScale(method)
    }
}

impl From<Pca> for AlignMethod {
    fn from(method: Pca) -> Self {
        Self::Pca(method)
    }
}

impl From<PcaCenterScale> for AlignMethod {
    fn from(method: PcaCenterScale) -> Self {
        Self::PcaCenterScale(method)
    }
}

impl From<MadRobustize> for AlignMethod {
    fn from(method: MadRobustize) -> Self {
        Self::MadRobustize(method)
    }
}

impl From<Spherize> for AlignMethod {
    fn from(method: Spherize) -> Self {
        Self::Spherize(method)
    }
}

impl From<Tvn> for AlignMethod {
    fn from(method: Tvn) -> Self {
        Self::Tvn(method)
    }
}

impl From<Coral> for AlignMethod {
    fn from(method: Coral) -> Self {
        Self::Coral(method)
    }
}

impl From<Combat> for AlignMethod {
    fn from(method: Combat) -> Self {
        Self::Combat(method)
    }
}

impl From<Harmony> for AlignMethod {
    fn from(method: Harmony) -> Self {
        Self::Harmony(method)
    }
}
