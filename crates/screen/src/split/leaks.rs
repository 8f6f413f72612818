use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use morphospace_core::{Experiment, Site};
use serde::{Deserialize, Serialize};

use super::error::SplitError;
use super::part::Part;

/// What parts of a split share, which a result on one of them has to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leaks {
    /// Wells with sites in several parts.
    pub num_shared_wells: usize,
    /// The first of them.
    pub first_shared_well: Option<String>,
    /// Experiments with sites in several parts, sorted; with their source
    /// where the screen has several.
    pub shared_experiments: Vec<String>,
    /// Pairs of experiments in different parts whose plates hold the same
    /// perturbations in the same wells.
    pub shared_layouts: Vec<(Experiment, Experiment)>,
}

/// Experiments of RxRx1 with one layout: HUVEC-18 is RPE-03 with its plates
/// in another order, as the winners of the Kaggle challenge found.
const SAME_LAYOUT: [(&str, &str); 1] = [("HUVEC-18", "RPE-03")];

impl Leaks {
    /// What the parts of some sites share; `parts` is as long as `sites`,
    /// which are sorted.
    pub fn of(sites: &[Site], parts: &[Option<Part>]) -> Self {
        let mut leaks = Self {
            num_shared_wells: 0,
            first_shared_well: None,
            shared_experiments: Vec::new(),
            shared_layouts: Vec::new(),
        };
        let mut by_experiment: BTreeMap<_, (String, BTreeSet<Part>)> = BTreeMap::new();
        let assigned: Vec<(&Site, Part)> = sites
            .iter()
            .zip(parts)
            .filter_map(|(site, part)| Some((site, (*part)?)))
            .collect();
        let of_one_well = |a: &(&Site, Part), b: &(&Site, Part)| {
            (&a.0.key.plate, a.0.key.well) == (&b.0.key.plate, b.0.key.well)
        };
        for well in assigned.chunk_by(of_one_well) {
            let plate = &well[0].0.key.plate;
            let (_, of_experiment) = by_experiment
                .entry((&plate.source, &plate.experiment))
                .or_insert_with(|| (plate.experiment_name(), BTreeSet::new()));
            of_experiment.extend(well.iter().map(|(_, part)| *part));
            if well.iter().any(|(_, part)| *part != well[0].1) {
                let key = &well[0].0.key;
                let name = || format!("{} well {}", key.plate, key.well);
                leaks.first_shared_well.get_or_insert_with(name);
                leaks.num_shared_wells += 1;
            }
        }
        for (first, second) in SAME_LAYOUT.map(|(a, b)| (Experiment::new(a), Experiment::new(b))) {
            let parts_of = |experiment| Some(&by_experiment.get(&(&None, experiment))?.1);
            if let (Some(a), Some(b)) = (parts_of(&first), parts_of(&second))
                && (a != b || a.len() > 1)
            {
                leaks.shared_layouts.push((first, second));
            }
        }
        leaks.shared_experiments = by_experiment
            .into_values()
            .filter(|(_, parts)| parts.len() > 1)
            .map(|(experiment, _)| experiment)
            .collect();
        leaks
    }

    /// Refuses parts that share a well.
    ///
    /// # Errors
    /// [`SplitError::SharedWells`] counts them and names the first.
    pub fn refuse_shared_wells(&self) -> Result<(), SplitError> {
        match &self.first_shared_well {
            None => Ok(()),
            Some(first) => Err(SplitError::SharedWells {
                num_wells: self.num_shared_wells,
                first: first.clone(),
            }),
        }
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.first_shared_well {
            None => writeln!(f, "wells in several parts: none")?,
            Some(first) => writeln!(
                f,
                "wells in several parts: {} (first {first}): test images show cells next to those \
                 of training images",
                self.num_shared_wells
            )?,
        }
        match &self.shared_experiments[..] {
            [] => writeln!(f, "experiments in several parts: none")?,
            [first, ..] => writeln!(
                f,
                "experiments in several parts: {} (first {first}): no batch effect has to be \
                 bridged",
                self.shared_experiments.len()
            )?,
        }
        for (first, second) in &self.shared_layouts {
            writeln!(
                f,
                "same layout in different parts: {first} and {second}; do not use plate positions"
            )?;
        }
        Ok(())
    }
}
