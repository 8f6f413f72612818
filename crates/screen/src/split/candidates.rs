use std::collections::{BTreeMap, BTreeSet, HashSet};

use morphospace_core::{Experiment, Seed, Site, suggestion};

use super::error::SplitError;
use super::part::Part;
use super::scheme::SplitLevel;

/// The sites that a scheme may assign.
#[derive(Clone)]
pub(super) struct Candidates<'a> {
    /// All sites of the screen.
    sites: &'a [Site],
    /// Those that may be assigned, as positions in `sites`, ascending.
    indices: Vec<usize>,
    /// How messages call them.
    pub(super) name: &'static str,
}

impl<'a> Candidates<'a> {
    pub(super) fn all(sites: &'a [Site]) -> Self {
        Self {
            sites,
            indices: (0..sites.len()).collect(),
            name: "the screen",
        }
    }

    /// Those of experiments in which every label is known.
    pub(super) fn only_labelled(self) -> Result<Self, SplitError> {
        let hidden: HashSet<&Experiment> = self
            .sites()
            .filter(|site| is_unlabelled(site))
            .map(|site| &site.key.plate.experiment)
            .collect();
        let labelled = self.filter(|site| !hidden.contains(&site.key.plate.experiment));
        if labelled.indices.is_empty() {
            return Err(SplitError::NoLabelledExperiment {
                num_unknown: self.num_unlabelled(),
                num_sites: self.indices.len(),
            });
        }
        Ok(Self {
            name: "the labelled part of the screen",
            ..labelled
        })
    }

    /// Those of one cell type, in whatever case it is written.
    pub(super) fn of_cell_type(&self, cell_type: &str) -> Result<Self, SplitError> {
        let is_meant = |site: &Site| {
            let found = site.well.cell_type.as_deref();
            found.is_some_and(|found| found.eq_ignore_ascii_case(cell_type))
        };
        let found = self.filter(is_meant);
        if found.indices.is_empty() {
            let available: BTreeSet<&String> = self
                .sites()
                .filter_map(|site| site.well.cell_type.as_ref())
                .collect();
            return Err(SplitError::UnknownCellType {
                of: self.name,
                cell_type: cell_type.to_owned(),
                available: available.into_iter().cloned().collect(),
            });
        }
        Ok(found)
    }

    fn filter(&self, keep: impl Fn(&Site) -> bool) -> Self {
        let indices = self.indices.iter().copied();
        Self {
            indices: indices.filter(|&index| keep(&self.sites[index])).collect(),
            ..*self
        }
    }

    fn sites(&self) -> impl Iterator<Item = &'a Site> {
        self.indices.iter().map(|&index| &self.sites[index])
    }

    pub(super) fn num_sites(&self) -> usize {
        self.indices.len()
    }

    pub(super) fn num_unlabelled(&self) -> usize {
        self.sites().filter(|site| is_unlabelled(site)).count()
    }

    /// Experiments, sorted.
    pub(super) fn experiments(&self) -> Vec<&'a Experiment> {
        let mut found: Vec<&Experiment> = self
            .sites()
            .map(|site| &site.key.plate.experiment)
            .collect();
        // Runs of one experiment first: there is little left to sort.
        found.dedup();
        found.sort();
        found.dedup();
        found
    }

    /// Names of plates in whatever experiment, sorted.
    pub(super) fn plates(&self) -> BTreeSet<&'a String> {
        self.sites().map(|site| &site.key.plate.plate).collect()
    }

    /// Refuses names of experiments that are not there.
    pub(super) fn check_experiments(&self, named: &[Experiment]) -> Result<(), SplitError> {
        let known = self.experiments();
        let Some(unknown) = named.iter().find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let names = known.iter().map(|experiment| experiment.as_str());
        let hint = match suggestion(unknown.as_str(), names.clone()) {
            Some(near) => format!("did you mean '{near}'?"),
            None => format!("it has {}", names.collect::<Vec<_>>().join(", ")),
        };
        Err(SplitError::UnknownExperiment {
            of: self.name,
            experiment: unknown.to_string(),
            hint,
        })
    }

    /// A part for every candidate, decided site by site; sites that are no
    /// candidates get none.
    pub(super) fn assign(&self, part_of: impl Fn(&Site) -> Option<Part>) -> Vec<Option<Part>> {
        let mut parts = vec![None; self.sites.len()];
        for &index in &self.indices {
            parts[index] = part_of(&self.sites[index]);
        }
        parts
    }

    /// A part for every site of some units.
    pub(super) fn assign_units(&self, units: &[(Unit, Part)]) -> Vec<Option<Part>> {
        let mut parts = vec![None; self.sites.len()];
        for (unit, part) in units {
            for &index in unit {
                parts[index] = Some(*part);
            }
        }
        parts
    }

    /// What is assigned as a whole, by experiment.
    pub(super) fn units_by_experiment(
        &self,
        level: SplitLevel,
    ) -> BTreeMap<&'a Experiment, Vec<Unit>> {
        let mut units: BTreeMap<&Experiment, Vec<Unit>> = BTreeMap::new();
        let mut last_well = None;
        for &index in &self.indices {
            let site = &self.sites[index];
            let of_experiment = units.entry(&site.key.plate.experiment).or_default();
            // Sites are sorted, so those of a well follow each other.
            let well = Some((&site.key.plate, site.key.well));
            match of_experiment.last_mut() {
                Some(unit) if level == SplitLevel::Well && last_well == well => unit.push(index),
                _ => of_experiment.push(vec![index]),
            }
            last_well = well;
        }
        units
    }

    /// The label of a unit's first site.
    pub(super) fn label_of(&self, unit: &Unit) -> Option<String> {
        self.sites[unit[0]].well.label()
    }
}

/// Sites that are assigned together, as positions in the screen's sites.
pub(super) type Unit = Vec<usize>;

fn is_unlabelled(site: &Site) -> bool {
    site.well.label().is_none()
}

/// The seed of an experiment's draws, whichever way its number is written.
pub(super) fn experiment_seed(seed: Seed, experiment: &Experiment) -> Seed {
    let series = seed.split(experiment.series());
    match experiment.number() {
        Some(number) => series.split_index(number),
        None => series,
    }
}
