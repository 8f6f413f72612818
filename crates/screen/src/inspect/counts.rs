use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::quality_flag::{QualityFlag, QualityFlags};
use crate::screen::Screen;

/// Wells and sites of each experiment, plate, cell type and class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// By experiment, sorted.
    pub experiments: Vec<GroupCount>,
    /// By plate, sorted.
    pub plates: Vec<GroupCount>,
    /// By cell type, sorted by name; cells of no known type are left out.
    pub cell_types: Vec<GroupCount>,
    /// By label of the well (a perturbation, or `EMPTY`), sorted by name;
    /// wells whose label is unknown are left out.
    pub classes: Vec<GroupCount>,
}

/// How much of a screen has something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupCount {
    /// What they have in common.
    pub name: String,
    /// Number of wells.
    pub num_wells: usize,
    /// Number of sites.
    pub num_sites: usize,
    /// Number of sites with each flag; flags that no site has are left out.
    pub flagged_sites: BTreeMap<QualityFlag, usize>,
}

impl Counts {
    pub(super) fn of(screen: &dyn Screen, flags: &[QualityFlags]) -> Self {
        let mut experiments = Tally::default();
        let mut plates = Tally::default();
        let mut cell_types = Tally::default();
        let mut classes = Tally::default();
        let mut last = None;
        for (site, &flags) in screen.sites().iter().zip(flags) {
            // Sites are sorted, so those of a well follow each other.
            let key = (&site.key.plate, site.key.well);
            let is_new_well = last.replace(key) != Some(key);
            let plate = &site.key.plate;
            let source = plate.source.iter().map(|source| format!("{source} "));
            let experiment = source.collect::<String>() + plate.experiment.as_str();
            experiments.add(experiment, is_new_well, flags);
            plates.add(plate.to_string(), is_new_well, flags);
            if let Some(cell_type) = &site.well.cell_type {
                cell_types.add(cell_type.clone(), is_new_well, flags);
            }
            if let Some(label) = site.well.label() {
                classes.add(label, is_new_well, flags);
            }
        }
        Self {
            experiments: experiments.groups,
            plates: plates.groups,
            cell_types: cell_types.sorted(),
            classes: classes.sorted(),
        }
    }
}

/// Counts as sites come in, in the order in which names first occur.
#[derive(Default)]
struct Tally {
    positions: HashMap<String, usize>,
    groups: Vec<GroupCount>,
}

impl Tally {
    fn add(&mut self, name: String, is_new_well: bool, flags: QualityFlags) {
        let position = match self.positions.get(&name) {
            Some(&position) => position,
            None => {
                self.groups.push(GroupCount {
                    name: name.clone(),
                    ..GroupCount::default()
                });
                self.positions.insert(name, self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[position];
        group.num_wells += usize::from(is_new_well);
        group.num_sites += 1;
        for flag in flags.iter() {
            *group.flagged_sites.entry(flag).or_default() += 1;
        }
    }

    fn sorted(mut self) -> Vec<GroupCount> {
        self.groups.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups
    }
}
