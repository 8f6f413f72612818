use std::fmt;
use std::str::FromStr;

use morphospace_core::{Experiment, Provenance, Seed};

/// How a screen is split, and what is left out of it before.
#[derive(Clone, Debug, PartialEq)]
pub struct SplitConfig {
    /// The rule.
    pub scheme: SplitScheme,
    /// Seed of the schemes that draw.
    pub seed: Seed,
    /// Leave out experiments that have a site with an unknown label before
    /// anything else.
    pub only_labelled: bool,
}

/// The rule by which sites come to parts. Sites that a rule does not mention
/// are in no part.
///
/// "000" is Lugli et al. 2025, "001" Sypetkowski et al. 2023, WILDS is
/// Koh et al. 2021 and its `rxrx1_dataset.py`.
#[derive(Clone, Debug, PartialEq)]
pub enum SplitScheme {
    /// RxRx1's official split, 33 experiments to train and 18 to test: 001's
    /// batch-separated split, 000's `Full`, the `dataset` column of the
    /// metadata. Needs all 51 experiments.
    BatchSeparated,
    /// Every class and every experiment in both parts: 001's
    /// batch-stratified split, with 33/51 to train.
    ///
    /// The number of test wells of each class in each experiment, of each
    /// class, and of each experiment is its share rounded down or up, and
    /// every well has the same chance. 001 does not say whether wells or
    /// images are drawn.
    BatchStratified {
        /// The share to train, between 0 and 1.
        train_fraction: f64,
        /// What is drawn.
        level: SplitLevel,
    },
    /// Four fifths of every experiment to train, the rest to test, whatever
    /// the labels: 000's `Stratified`, of HUVEC there. 000 does not say
    /// whether wells or images are drawn.
    Stratified8020 {
        /// Only sites of this cell type.
        cell_type: Option<String>,
        /// What is drawn.
        level: SplitLevel,
    },
    /// One of the six folds of 000's cross-validation. The experiments of a
    /// cell type, sorted, are six blocks on a ring; fold k trains on four
    /// from block k, validates on the next and tests on the one after. With
    /// RxRx1's 24 HUVEC experiments: 16, 4 and 4.
    ///
    /// Fold 1 is 000's `F0`: train HUVEC-01..16, validation 17..20, test
    /// 21..24. The order of folds is that of the reference code's
    /// `defaults/datasets.py`; the paper does not print it.
    CrossValidation {
        /// 1 to 6.
        fold: u32,
        /// The cell type, `HUVEC` in 000.
        cell_type: String,
    },
    /// WILDS' official split of RxRx1: site 1 of the 33 official training
    /// experiments to train, 4 of the 18 others to validate.
    WildsOfficial {
        /// The experiments to validate on; empty for the first official test
        /// experiment of each cell type.
        ///
        /// Only the metadata that WILDS distributes names them. The default
        /// agrees with what WILDS prints, one experiment per cell type and
        /// 9,854 validation and 34,432 test images, but so do others.
        validation: Vec<Experiment>,
        /// Which of its two test sets.
        test: WildsTest,
    },
    /// WILDS' `mixed-to-test` split: as many training experiments of each
    /// cell type as there are to test, from the first, give way to site 1 of
    /// the test experiments, whose site 2 is the test.
    WildsMixedToTest {
        /// As in [`SplitScheme::WildsOfficial`].
        validation: Vec<Experiment>,
    },
    /// Some official training experiments of one cell type of RxRx1, drawn by
    /// the seed, to train, and its official test experiments to test: 001,
    /// table 3, with three.
    ExperimentsOfOneCellType {
        /// The cell type, e.g. `U2OS`.
        cell_type: String,
        /// How many experiments to train on.
        num_experiments: usize,
    },
    /// The named experiments to test and to validate, all others to train.
    LeaveExperimentOut {
        /// Experiments to test on.
        test: Vec<Experiment>,
        /// Experiments to validate on, possibly none.
        validation: Vec<Experiment>,
    },
    /// The named plates of every experiment to test, all others to train:
    /// which tells how well what is learnt holds within experiments that are
    /// known.
    LeavePlateOut {
        /// Plates to test on.
        plates: Vec<String>,
        /// Experiments all of whose plates are to test, possibly none.
        test: Vec<Experiment>,
    },
}

/// What a drawing scheme assigns as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SplitLevel {
    /// Wells: their sites stay together.
    #[default]
    Well,
    /// Sites: those of one well may come to different parts, so that test
    /// images show cells next to those of training images.
    Site,
}

/// The two test sets of WILDS' official split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WildsTest {
    /// `Test (OOD)`: the 14 experiments that are neither for training nor
    /// for validation.
    #[default]
    OutOfDistribution,
    /// `Test (ID)`: site 2 of the training wells.
    InDistribution,
}

impl SplitScheme {
    /// RxRx1's share of training experiments, 33 of 51.
    pub const BATCH_STRATIFIED_TRAIN_FRACTION: f64 = 33.0 / 51.0;
    /// 000's cell type.
    pub const CROSS_VALIDATION_CELL_TYPE: &'static str = "HUVEC";

    /// The scheme's name in messages and files.
    pub fn name(&self) -> &'static str {
        match self {
            Self::BatchSeparated => "batch-separated",
            Self::BatchStratified { .. } => "batch-stratified",
            Self::Stratified8020 { .. } => "stratified-80-20",
            Self::CrossValidation { .. } => "cross-validation",
            Self::WildsOfficial {
                test: WildsTest::OutOfDistribution,
                ..
            } => "wilds-official",
            Self::WildsOfficial {
                test: WildsTest::InDistribution,
                ..
            } => "wilds-official-id",
            Self::WildsMixedToTest { .. } => "wilds-mixed-to-test",
            Self::ExperimentsOfOneCellType { .. } => "experiments-of-one-cell-type",
            Self::LeaveExperimentOut { .. } => "leave-experiment-out",
            Self::LeavePlateOut { .. } => "leave-plate-out",
        }
    }

    /// Whether sites of one well may be in different parts, by the rule's
    /// intent.
    pub fn parts_wells(&self) -> bool {
        match self {
            Self::BatchStratified { level, .. } | Self::Stratified8020 { level, .. } => {
                *level == SplitLevel::Site
            }
            Self::WildsOfficial { test, .. } => *test == WildsTest::InDistribution,
            Self::WildsMixedToTest { .. } => true,
            Self::BatchSeparated
            | Self::CrossValidation { .. }
            | Self::ExperimentsOfOneCellType { .. }
            | Self::LeaveExperimentOut { .. }
            | Self::LeavePlateOut { .. } => false,
        }
    }

    /// The fold, where there are several.
    pub(super) fn fold(&self) -> Option<u32> {
        match self {
            Self::CrossValidation { fold, .. } => Some(*fold),
            _ => None,
        }
    }
}

impl SplitConfig {
    /// What a reader of the split should know.
    pub(super) fn provenance(&self) -> Provenance {
        let provenance = Provenance::new("split")
            .with_setting("scheme", self.scheme.name())
            .with_setting("only_labelled", self.only_labelled)
            .with_seed("split", self.seed.value());
        match &self.scheme {
            SplitScheme::BatchSeparated => provenance,
            SplitScheme::BatchStratified {
                train_fraction,
                level,
            } => provenance
                .with_setting("train_fraction", train_fraction)
                .with_setting("level", level),
            SplitScheme::Stratified8020 { cell_type, level } => provenance
                .with_setting("cell_type", cell_type.as_deref().unwrap_or("all"))
                .with_setting("level", level),
            SplitScheme::CrossValidation { fold, cell_type } => provenance
                .with_setting("fold", fold)
                .with_setting("cell_type", cell_type),
            SplitScheme::WildsOfficial { validation, .. }
            | SplitScheme::WildsMixedToTest { validation } => {
                provenance.with_setting("validation", super::wilds::described(validation))
            }
            SplitScheme::ExperimentsOfOneCellType {
                cell_type,
                num_experiments,
            } => provenance
                .with_setting("cell_type", cell_type)
                .with_setting("num_experiments", num_experiments),
            SplitScheme::LeaveExperimentOut { test, validation } => provenance
                .with_setting("test", joined(test))
                .with_setting("validation", joined(validation)),
            SplitScheme::LeavePlateOut { plates, test } => provenance
                .with_setting("plates", plates.join(", "))
                .with_setting("test", joined(test)),
        }
    }
}

/// Names of experiments in one line.
pub(super) fn joined(experiments: &[Experiment]) -> String {
    let names: Vec<&str> = experiments.iter().map(Experiment::as_str).collect();
    names.join(", ")
}

impl fmt::Display for SplitLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Well => "well",
            Self::Site => "site",
        })
    }
}

/// A text that names no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a level of a split (well, site)")]
pub struct UnknownSplitLevel {
    /// What was read.
    pub text: String,
}

impl FromStr for SplitLevel {
    type Err = UnknownSplitLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "well" => Ok(Self::Well),
            "site" => Ok(Self::Site),
            _ => Err(UnknownSplitLevel {
                text: text.to_owned(),
            }),
        }
    }
}
