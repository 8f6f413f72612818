//! Whose tables and files a simulated screen imitates.

mod jump;
mod rxrx1;
mod rxrx3;

use std::fmt;
use std::path::Path;

use morphospace_core::{Channel, ControlRole, Experiment, Perturbation, PlateKey, SiteKey};
use serde::{Deserialize, Serialize};

use super::config;
use super::paint::Planes;
use super::{CellType, CheckedSimulator, PlannedPerturbation, SimulatorConfig, SimulatorError};
use crate::PerturbationKind;

/// The published screen in whose layout a simulated one is written.
///
/// ```
/// use morphospace_screen::simulator::{ScreenLayout, SimulatorConfig};
///
/// let jump = SimulatorConfig::preset(ScreenLayout::Jump);
/// assert_eq!((jump.image_px, jump.num_rows, jump.num_columns), (1080, 16, 24));
/// let names: Vec<String> = jump.layout.channels().iter().map(ToString::to_string).collect();
/// assert_eq!(names, ["DNA", "ER", "RNA", "AGP", "Mito"]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScreenLayout {
    /// RxRx1: siRNAs, four cell types, six 8-bit PNGs per site,
    /// `metadata.csv`.
    #[default]
    Rxrx1,
    /// RxRx3: CRISPR guides, HUVEC, six 8-bit PNGs per site, one site per
    /// well of 1,536-well plates, `metadata_rxrx3.csv`.
    Rxrx3,
    /// JUMP and the Cell Painting Gallery: guides, open reading frames or
    /// compounds, U2OS, five 16-bit TIFFs per site, `LoadData` tables,
    /// illumination functions.
    Jump,
}

/// What a layout's tables call a perturbation.
pub(super) struct Reagent {
    pub(super) name: String,
    /// Where the tables say which one it acts on.
    pub(super) gene: Option<String>,
}

/// Names of the columns in which the tables of the truth name perturbations.
pub(super) struct TruthColumns {
    pub(super) name: &'static str,
    /// What stands beside the name.
    pub(super) beside: &'static str,
}

impl ScreenLayout {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Rxrx1, Self::Rxrx3, Self::Jump];

    /// The name in settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rxrx1 => "rxrx1",
            Self::Rxrx3 => "rxrx3",
            Self::Jump => "jump",
        }
    }

    /// The channels of a site, in the order in which the screen's reader has
    /// them.
    pub fn channels(self) -> Vec<Channel> {
        match self {
            Self::Rxrx1 | Self::Rxrx3 => Channel::rxrx1(),
            Self::Jump => jump::channels(),
        }
    }

    pub(super) fn is_rxrx1(&self) -> bool {
        *self == Self::Rxrx1
    }

    pub(super) fn preset(self) -> SimulatorConfig {
        match self {
            Self::Rxrx1 => SimulatorConfig::default(),
            Self::Rxrx3 => rxrx3::preset(),
            Self::Jump => jump::preset(),
        }
    }

    /// Rows and columns of wells at each rim of the plate that stay empty.
    pub(super) fn num_empty_at_rim(self) -> usize {
        match self {
            Self::Rxrx1 => 1,
            Self::Rxrx3 | Self::Jump => 0,
        }
    }

    /// What perturbations are, unless the settings say so.
    pub(super) fn perturbation_kind(self) -> PerturbationKind {
        match self {
            Self::Rxrx1 => PerturbationKind::Sirna,
            Self::Rxrx3 | Self::Jump => PerturbationKind::Crispr,
        }
    }

    /// The cells of an experiment.
    ///
    /// # Errors
    /// [`SimulatorError::InvalidParameter`]: it has no name of this layout.
    pub(super) fn cell_type(self, experiment: &Experiment) -> Result<CellType, SimulatorError> {
        match self {
            Self::Rxrx1 => rxrx1::cell_type(experiment),
            Self::Rxrx3 => rxrx3::check_experiment(experiment).map(|()| CellType::Huvec),
            Self::Jump => jump::check_experiment(experiment).map(|()| CellType::U2os),
        }
    }

    /// Checks what only this layout asks of settings.
    pub(super) fn check(self, config: &SimulatorConfig) -> Result<(), SimulatorError> {
        let allowed: &[PerturbationKind] = match self {
            Self::Rxrx1 => &[PerturbationKind::Sirna],
            Self::Rxrx3 => &[PerturbationKind::Crispr],
            Self::Jump => &jump::KINDS,
        };
        if !allowed.contains(&config.perturbation_kind()) {
            let names: Vec<&str> = allowed.iter().map(|kind| kind_name(*kind)).collect();
            return Err(config::invalid(
                "perturbation_kind",
                format!(
                    "the layout '{self}' has {} and not '{}'",
                    names.join(" or "),
                    kind_name(config.perturbation_kind())
                ),
            ));
        }
        if self != Self::Rxrx1
            && let Some(name) = config.test_experiments.first()
        {
            return Err(config::invalid(
                "test_experiments",
                format!("'{name}': only the layout 'rxrx1' has a column that tells them"),
            ));
        }
        match self {
            Self::Rxrx1 => rxrx1::check(config),
            Self::Rxrx3 => rxrx3::check(config),
            Self::Jump => jump::check(config),
        }
    }

    /// A plate's name; both indices count from 0.
    pub(super) fn plate(
        self,
        experiment: &Experiment,
        experiment_index: usize,
        plate_index: usize,
    ) -> PlateKey {
        match self {
            Self::Rxrx1 | Self::Rxrx3 => {
                PlateKey::new(experiment.as_str(), (plate_index + 1).to_string())
            }
            Self::Jump => jump::plate(experiment, experiment_index, plate_index),
        }
    }

    /// A treatment: the how-many-eth of all, of which gene and of that gene's
    /// guides; all count from 0.
    pub(super) fn treatment(
        self,
        kind: PerturbationKind,
        number: usize,
        gene_index: usize,
        guide_index: usize,
    ) -> Reagent {
        match self {
            Self::Rxrx1 => rxrx1::sirna(number),
            Self::Rxrx3 => rxrx3::guide(&gene_name(gene_index), guide_index),
            Self::Jump => jump::treatment(kind, number, gene_index),
        }
    }

    /// The positive controls, each with the number of its effect: those of
    /// one gene share one. `number` is that of the first.
    pub(super) fn positive_controls(
        self,
        config: &SimulatorConfig,
        number: usize,
    ) -> Vec<(Reagent, usize)> {
        let all: Vec<(Reagent, usize)> = match self {
            Self::Rxrx1 => (0..config.num_positive_controls)
                .map(|index| (rxrx1::sirna(number + index), index))
                .collect(),
            Self::Rxrx3 => rxrx3::positive_controls(),
            Self::Jump => jump::positive_controls(config.perturbation_kind()),
        };
        all.into_iter().take(config.num_positive_controls).collect()
    }

    /// What lies in the wells in which nothing happens; they share these
    /// wells evenly.
    pub(super) fn negative_controls(self, kind: PerturbationKind) -> Vec<(Reagent, ControlRole)> {
        match self {
            Self::Rxrx1 => rxrx1::negative_controls(),
            Self::Rxrx3 => rxrx3::negative_controls(),
            Self::Jump => jump::negative_controls(kind),
        }
    }

    /// What the screen's reader says was done to a well.
    pub(super) fn perturbation(
        self,
        kind: PerturbationKind,
        planned: &PlannedPerturbation,
    ) -> Option<Perturbation> {
        let name = planned.name.clone();
        let gene = planned.gene.clone();
        let is_untreated = match self {
            // Its negative controls are empty wells.
            Self::Rxrx1 => planned.control_role.is_negative(),
            Self::Rxrx3 | Self::Jump => planned.control_role == ControlRole::Untreated,
        };
        if is_untreated {
            return None;
        }
        let gene_or_name = gene.clone().unwrap_or_else(|| name.clone());
        Some(match kind {
            PerturbationKind::Sirna => Perturbation::Sirna { name, gene },
            PerturbationKind::Crispr => Perturbation::Crispr {
                guide: name,
                gene: gene_or_name,
            },
            PerturbationKind::Orf => Perturbation::Orf {
                reagent: name,
                gene: gene_or_name,
            },
            PerturbationKind::Compound => Perturbation::Compound {
                name,
                concentration_micromolar: None,
            },
        })
    }

    /// The stains of the six structures as this layout's channels show them.
    pub(super) fn stained(self, planes: Planes) -> Vec<Vec<f32>> {
        match self {
            Self::Rxrx1 | Self::Rxrx3 => planes.into(),
            Self::Jump => jump::stained(planes),
        }
    }

    /// The file of an image, relative to the screen's folder.
    pub(super) fn image_path(self, site: &SiteKey, channel: &Channel) -> String {
        match self {
            Self::Rxrx1 => format!("images/{}", rxrx1::image_path(site, channel)),
            Self::Rxrx3 => rxrx1::image_path(site, channel),
            Self::Jump => jump::image_path(site, channel),
        }
    }

    pub(super) fn truth_columns(self) -> TruthColumns {
        match self {
            Self::Rxrx1 => TruthColumns {
                name: "sirna",
                beside: "sirna_id",
            },
            Self::Rxrx3 => TruthColumns {
                name: "treatment",
                beside: "gene",
            },
            Self::Jump => TruthColumns {
                name: "Metadata_JCP2022",
                beside: "Metadata_Symbol",
            },
        }
    }

    /// Writes the tables that make the images a screen, and last the one by
    /// which its reader knows it.
    pub(super) fn write_tables(
        self,
        screen: &CheckedSimulator,
        folder: &Path,
    ) -> Result<(), SimulatorError> {
        match self {
            Self::Rxrx1 => rxrx1::write_tables(screen, folder),
            Self::Rxrx3 => rxrx3::write_tables(screen, folder),
            Self::Jump => jump::write_tables(screen, folder),
        }
    }
}

impl fmt::Display for ScreenLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Numbers that tell nothing about their order, so that names tell nothing
/// about groups: up to 90,000 distinct ones (7,919 and 90,000 share no
/// factor), each of five digits.
fn shuffled_number(index: usize) -> usize {
    10_000 + (index * 7_919 + 4_321) % 90_000
}

/// The symbol of a gene that does not exist.
fn gene_name(gene_index: usize) -> String {
    format!("SIM{}", shuffled_number(gene_index))
}

fn kind_name(kind: PerturbationKind) -> &'static str {
    match kind {
        PerturbationKind::Sirna => "sirna",
        PerturbationKind::Crispr => "crispr",
        PerturbationKind::Orf => "orf",
        PerturbationKind::Compound => "compound",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_distinct() {
        let numbers: BTreeSet<usize> = (0..90_000).map(shuffled_number).collect();
        assert_eq!(numbers.len(), 90_000);
        for kind in jump::KINDS {
            let names: BTreeSet<String> = (0..70_000)
                .map(|number| jump::treatment(kind, number, number).name)
                .chain(
                    jump::positive_controls(kind)
                        .into_iter()
                        .map(|(reagent, _)| reagent.name),
                )
                .chain(
                    jump::negative_controls(kind)
                        .into_iter()
                        .map(|(reagent, _)| reagent.name),
                )
                .collect();
            let num_controls =
                jump::positive_controls(kind).len() + jump::negative_controls(kind).len();
            assert_eq!(names.len(), 70_000 + num_controls, "{kind:?}");
        }
    }
}
