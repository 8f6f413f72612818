use std::sync::Arc;

use morphospace_core::{ControlRole, Experiment, PlateKey, Seed, Well, WellAddress};
use rand::RngExt;
use rand::seq::SliceRandom;

use super::draw::normal;
use super::layout::Reagent;
use super::{CellType, Effects, Parameter, SimulatorConfig};

/// Effects beyond this leave the range in which cells still look like cells.
const LARGEST_EFFECT: f64 = 2.2;

/// A screen planned in full and ready to be drawn: made by
/// [`SimulatorConfig::check`].
#[derive(Clone, Debug)]
pub struct CheckedSimulator {
    config: SimulatorConfig,
    perturbations: Vec<PlannedPerturbation>,
    wells: Vec<PlannedWell>,
}

/// A perturbation of the plan and what it truly does.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedPerturbation {
    /// The reagent's name in the screen's tables: `s14321`,
    /// `PLK1_guide_1`, `JCP2022_805264`.
    pub name: String,
    /// Which of all: treatments first, then positive controls, then negative
    /// ones. RxRx1's column `sirna_id`.
    pub number: usize,
    /// The gene it acts on, where the layout's tables say it.
    pub gene: Option<String>,
    /// Functional group, from 0; controls have none.
    pub group: Option<usize>,
    /// What it is for.
    pub control_role: ControlRole,
    /// How it moves the cells.
    pub effects: Effects,
}

impl PlannedPerturbation {
    /// What [`Perturbation::target`](morphospace_core::Perturbation::target)
    /// says of its wells: the gene, or else the reagent.
    pub fn target(&self) -> &str {
        self.gene.as_deref().unwrap_or(&self.name)
    }

    /// Name of the functional group in tables, empty for controls.
    pub fn group_name(&self) -> String {
        self.group
            .map_or(String::new(), |group| format!("group_{:02}", group + 1))
    }
}

/// A well of the plan.
#[derive(Clone, Debug)]
pub struct PlannedWell {
    /// Plate, address, contents and cell type, in the nouns of every screen.
    pub well: Arc<Well>,
    /// Which cells.
    pub cell_type: CellType,
    /// Index into [`CheckedSimulator::perturbations`].
    pub perturbation_index: usize,
    /// Column `dataset`: a test experiment.
    pub is_test: bool,
}

impl PlannedWell {
    /// RxRx's `well_id`.
    pub fn well_id(&self) -> String {
        let plate = &self.well.plate;
        format!("{}_{}_{}", plate.experiment, plate.plate, self.well.address)
    }
}

impl CheckedSimulator {
    /// Plans a screen from a configuration that has passed its checks.
    pub(super) fn plan(config: SimulatorConfig, experiments: Vec<(Experiment, CellType)>) -> Self {
        let perturbations = plan_perturbations(&config);
        let mut wells = Vec::new();
        let (layout, kind) = (config.layout, config.perturbation_kind());
        for (experiment_index, (experiment, cell_type)) in experiments.into_iter().enumerate() {
            let is_test = config
                .test_experiments
                .iter()
                .any(|name| name == experiment.as_str());
            for plate_index in 0..config.num_plates {
                let plate = layout.plate(&experiment, experiment_index, plate_index);
                let contents = lay_out(&config, &plate, plate_index, &perturbations);
                for (address, perturbation_index) in contents {
                    let perturbation = &perturbations[perturbation_index];
                    let well = Well {
                        plate: plate.clone(),
                        address,
                        original_address: address.to_string(),
                        perturbations: layout
                            .perturbation(kind, perturbation)
                            .into_iter()
                            .collect(),
                        background: None,
                        control_role: perturbation.control_role,
                        cell_type: Some(cell_type.as_str().to_owned()),
                    };
                    wells.push(PlannedWell {
                        well: Arc::new(well),
                        cell_type,
                        perturbation_index,
                        is_test,
                    });
                }
            }
        }
        Self {
            config,
            perturbations,
            wells,
        }
    }

    /// The configuration that was checked.
    pub fn config(&self) -> &SimulatorConfig {
        &self.config
    }

    /// Treatments, then positive controls, then negative ones: in the order
    /// of their `number`.
    pub fn perturbations(&self) -> &[PlannedPerturbation] {
        &self.perturbations
    }

    /// All wells, sorted by experiment as configured, plate and address.
    pub fn wells(&self) -> &[PlannedWell] {
        &self.wells
    }

    /// The planted truth of relationship recall: every pair of genes (or
    /// reagents that name none) of one functional group.
    pub fn relationships(&self) -> Vec<(&str, &str)> {
        let mut targets: Vec<(Option<usize>, &str)> = self
            .perturbations
            .iter()
            .filter(|perturbation| perturbation.group.is_some())
            .map(|perturbation| (perturbation.group, perturbation.target()))
            .collect();
        // The guides of a gene follow each other.
        targets.dedup();
        let mut pairs = Vec::new();
        for (index, (group, one)) in targets.iter().enumerate() {
            let others = targets[index + 1..].iter();
            let of_group = others.filter(|(other_group, _)| other_group == group);
            pairs.extend(of_group.map(|(_, other)| (*one, *other)));
        }
        pairs
    }
}

pub(super) fn screen_seed(config: &SimulatorConfig) -> Seed {
    Seed::new(config.seed).split("simulator")
}

pub(super) fn experiment_seed(config: &SimulatorConfig, plate: &PlateKey) -> Seed {
    screen_seed(config)
        .split("experiment")
        .split(plate.experiment.as_str())
}

pub(super) fn plate_seed(config: &SimulatorConfig, plate: &PlateKey) -> Seed {
    experiment_seed(config, plate)
        .split("plate")
        .split(&plate.plate)
}

pub(super) fn well_seed(config: &SimulatorConfig, well: &Well) -> Seed {
    plate_seed(config, &well.plate)
        .split("well")
        .split(&well.address.to_string())
}

fn plan_perturbations(config: &SimulatorConfig) -> Vec<PlannedPerturbation> {
    let seed = screen_seed(config).split("perturbations");
    let (layout, kind) = (config.layout, config.perturbation_kind());
    let settings = &config.effects;
    let mut perturbations: Vec<PlannedPerturbation> = Vec::new();
    let mut add = |reagent: Reagent, group, control_role, effects: Effects| {
        perturbations.push(PlannedPerturbation {
            name: reagent.name,
            number: perturbations.len(),
            gene: reagent.gene,
            group,
            control_role,
            effects: Effects(effects.0.map(|e| e.clamp(-LARGEST_EFFECT, LARGEST_EFFECT))),
        });
    };
    let mut number = 0;
    for group in 0..config.num_groups {
        let group_seed = seed.split("group").split_index(group as u64);
        let direction = draw_effects(
            settings.num_group_parameters,
            settings.group_strength,
            group_seed,
        );
        for member in 0..config.group_size {
            let member_seed = group_seed.split("member").split_index(member as u64);
            let own = draw_effects(
                settings.num_own_parameters,
                settings.own_strength,
                member_seed,
            );
            let effects = direction.plus(&own);
            for guide in 0..config.num_guides {
                let gene_index = group * config.group_size + member;
                let reagent = layout.treatment(kind, number, gene_index, guide);
                let efficiency = efficiency(guide, member_seed);
                let effects = Effects(effects.0.map(|effect| efficiency * effect));
                add(reagent, Some(group), ControlRole::Treatment, effects);
                number += 1;
            }
        }
    }
    for (reagent, effect) in layout.positive_controls(config, number) {
        let control_seed = seed.split("positive control").split_index(effect as u64);
        let strength = 1.5 * settings.group_strength;
        let effects = draw_effects(settings.num_group_parameters, strength, control_seed);
        add(reagent, None, ControlRole::PositiveControl, effects);
    }
    for (reagent, control_role) in layout.negative_controls(kind) {
        add(reagent, None, control_role, Effects::NONE);
    }
    perturbations
}

/// How much of a gene's effect one of its guides has.
fn efficiency(guide: usize, gene_seed: Seed) -> f64 {
    match guide {
        0 => 1.0,
        _ => gene_seed
            .split("guide")
            .split_index(guide as u64)
            .rng()
            .random_range(0.6..1.0),
    }
}

/// Moves `num_parameters` parameters, each up or down by about `strength`.
fn draw_effects(num_parameters: usize, strength: f64, seed: Seed) -> Effects {
    let mut rng = seed.split("effects").rng();
    let mut parameters = Parameter::ALL;
    parameters.shuffle(&mut rng);
    let mut effects = Effects::NONE;
    for parameter in &parameters[..num_parameters] {
        let sign = if rng.random::<bool>() { 1.0 } else { -1.0 };
        effects.0[*parameter as usize] = sign * strength * rng.random_range(0.8..1.2);
    }
    effects
}

/// Which perturbation lies in which well of a plate, sorted by well. The
/// wells are drawn anew for every plate, so that no perturbation keeps a
/// position.
fn lay_out(
    config: &SimulatorConfig,
    plate: &PlateKey,
    plate_index: usize,
    perturbations: &[PlannedPerturbation],
) -> Vec<(WellAddress, usize)> {
    let is_negative = |p: &&PlannedPerturbation| p.control_role.is_negative();
    let num_negative = perturbations.iter().filter(is_negative).count();
    let first_negative = perturbations.len() - num_negative;
    let mut contents = Vec::new();
    for perturbation in perturbations {
        let index = perturbation.number;
        let num_wells = match perturbation.control_role {
            // Replicates are dealt like cards, round and round the plates.
            ControlRole::Treatment => (0..config.num_replicates)
                .filter(|r| (index * config.num_replicates + r) % config.num_plates == plate_index)
                .count(),
            ControlRole::PositiveControl => 1,
            ControlRole::NegativeControl | ControlRole::Untreated => (0..config
                .num_negative_controls)
                .filter(|well| well % num_negative == index - first_negative)
                .count(),
        };
        contents.extend(std::iter::repeat_n(index, num_wells));
    }
    let at_rim = config.layout.num_empty_at_rim();
    let mut addresses: Vec<WellAddress> = (0..config.num_rows * config.num_columns)
        .map(|place| {
            let (row, column) = (place / config.num_columns, place % config.num_columns);
            WellAddress::from_indices(row + at_rim, column + at_rim)
                .expect("rows and columns were checked")
        })
        .collect();
    addresses.shuffle(&mut plate_seed(config, plate).split("layout").rng());
    let mut layout: Vec<(WellAddress, usize)> = addresses.into_iter().zip(contents).collect();
    layout.sort_unstable();
    layout
}

/// How a well differs in brightness and density by its plate and place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// At the rim of the wells in use.
    pub(super) is_edge: bool,
    /// From the middle of the plate, -1 to 1 down the rows.
    pub(super) down: f64,
    /// From the middle of the plate, -1 to 1 along the columns.
    pub(super) along: f64,
}

impl Place {
    pub(super) fn of(config: &SimulatorConfig, address: WellAddress) -> Self {
        let at_rim = config.layout.num_empty_at_rim();
        let (row, column) = (
            address.row_index() - at_rim,
            address.column_index() - at_rim,
        );
        let (last_row, last_column) = (config.num_rows - 1, config.num_columns - 1);
        let centred = |index: usize, last: usize| match last {
            0 => 0.0,
            _ => 2.0 * index as f64 / last as f64 - 1.0,
        };
        Self {
            is_edge: row == 0 || column == 0 || row == last_row || column == last_column,
            down: centred(row, last_row),
            along: centred(column, last_column),
        }
    }
}

/// What all wells of a plate share in their cells: how the passage and the
/// plate differ from the average.
pub(super) fn culture_effects(config: &SimulatorConfig, well: &Well) -> Effects {
    let mut experiment_rng = experiment_seed(config, &well.plate).split("culture").rng();
    let mut effects =
        Effects(Parameter::ALL.map(|_| config.batch.morphology * normal(&mut experiment_rng)));
    let mut plate_rng = plate_seed(config, &well.plate).split("culture").rng();
    let mut log_density = config.batch.density * normal(&mut experiment_rng)
        + config.plate.density * normal(&mut plate_rng);
    if Place::of(config, well.address).is_edge {
        log_density += (1.0 - config.plate.edge_loss).ln();
    }
    effects.0[Parameter::CellCount as usize] += log_density / Parameter::CellCount.effect_unit();
    effects
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_plate_holds_its_controls_and_every_perturbation_its_replicates() {
        let config = SimulatorConfig {
            num_plates: 4,
            num_replicates: 3,
            num_rows: 14,
            num_columns: 22,
            ..SimulatorConfig::default()
        };
        let screen = config.check().expect("valid");
        let mut per_plate: BTreeMap<String, usize> = BTreeMap::new();
        let mut plates_of: BTreeMap<(String, usize), BTreeSet<String>> = BTreeMap::new();
        for well in screen.wells() {
            let perturbation = &screen.perturbations()[well.perturbation_index];
            let plate = well.well.plate.to_string();
            if perturbation.name == "EMPTY" {
                *per_plate.entry(plate.clone()).or_default() += 1;
            }
            if perturbation.control_role == ControlRole::Treatment {
                let key = (well.well.plate.experiment.to_string(), perturbation.number);
                plates_of.entry(key).or_default().insert(plate);
            }
        }
        assert_eq!(per_plate.len(), 16);
        assert!(per_plate.values().all(|n| *n == 16));
        assert_eq!(plates_of.len(), 4 * 42);
        assert!(
            plates_of.values().all(|plates| plates.len() == 3),
            "replicates on 3 plates"
        );
        let total = screen.wells().len() * config.num_sites;
        assert_eq!(total, config.num_sites_in_total());
        let ids: BTreeSet<String> = screen.wells().iter().map(PlannedWell::well_id).collect();
        assert_eq!(ids.len(), screen.wells().len(), "no well twice");
    }

    #[test]
    fn relationships_are_the_pairs_within_groups() {
        let config = SimulatorConfig {
            num_groups: 2,
            group_size: 3,
            ..Default::default()
        };
        let screen = config.check().expect("valid");
        let pairs = screen.relationships();
        assert_eq!(pairs.len(), 2 * 3);
        let group = |name: &str| {
            screen
                .perturbations()
                .iter()
                .find(|p| p.name == name)
                .expect("planned")
                .group
        };
        assert!(
            pairs
                .iter()
                .all(|(one, other)| one != other && group(one) == group(other))
        );
    }

    #[test]
    fn members_of_a_group_share_a_direction() {
        let screen = SimulatorConfig::default().check().expect("valid");
        let cosine = |a: &Effects, b: &Effects| {
            let dot =
                |a: &Effects, b: &Effects| -> f64 { a.0.iter().zip(b.0).map(|(a, b)| a * b).sum() };
            dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
        };
        let (mut within, mut across) = (Vec::new(), Vec::new());
        let treatments = &screen.perturbations()[..screen.config().num_treatments()];
        for one in treatments {
            for other in treatments.iter().filter(|other| other.number > one.number) {
                let pairs = if one.group == other.group {
                    &mut within
                } else {
                    &mut across
                };
                pairs.push(cosine(&one.effects, &other.effects));
            }
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean(&within) > 0.6, "{}", mean(&within));
        assert!(mean(&across).abs() < 0.1, "{}", mean(&across));
    }
}
