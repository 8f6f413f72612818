use std::collections::{BTreeMap, BTreeSet, HashMap};

use morphospace_core::{ControlRole, PlateKey, Site};
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
#[serde(default)]
pub struct GroupCount {
    /// What they have in common.
    pub name: String,
    /// Their cell types, where known.
    pub cell_types: BTreeSet<String>,
    /// Number of plates.
    pub num_plates: usize,
    /// Number of wells.
    pub num_wells: usize,
    /// Number of sites.
    pub num_sites: usize,
    /// Wells by control role; roles that no well has are left out.
    pub control_roles: BTreeMap<ControlRole, usize>,
    /// Treated wells whose perturbation is not known.
    pub num_unlabelled_wells: usize,
    /// Number of sites with each flag; flags that no site has are left out.
    pub flagged_sites: BTreeMap<QualityFlag, usize>,
}

impl GroupCount {
    /// Number of sites that lack an image of at least one channel.
    pub fn num_incomplete_sites(&self) -> usize {
        let missing = self.flagged_sites.get(&QualityFlag::Missing);
        missing.copied().unwrap_or(0)
    }
}

impl Counts {
    /// The classes, those of the fewest wells first.
    pub fn smallest_classes(&self) -> Vec<&GroupCount> {
        let mut classes: Vec<&GroupCount> = self.classes.iter().collect();
        classes.sort_by_key(|class| class.num_wells);
        classes
    }

    /// Sites are sorted, so those of a plate and of a well follow each other.
    pub(super) fn of(screen: &dyn Screen, flags: &[QualityFlags]) -> Self {
        let mut experiments = Tally::default();
        let mut plates = Tally::default();
        let mut cell_types = Tally::default();
        let mut classes = Tally::default();
        let mut last = None;
        for (site, &flags) in screen.sites().iter().zip(flags) {
            let plate = &site.key.plate;
            let key = (plate, site.key.well);
            let is_new_well = last.replace(key) != Some(key);
            let found = Found {
                site,
                is_new_well,
                flags,
            };
            experiments.add(plate.experiment_name(), &found);
            plates.add(plate.to_string(), &found);
            if let Some(cell_type) = &site.well.cell_type {
                cell_types.add(cell_type.clone(), &found);
            }
            if let Some(label) = site.well.label() {
                classes.add(label, &found);
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

/// A site as it comes in.
struct Found<'a> {
    site: &'a Site,
    is_new_well: bool,
    flags: QualityFlags,
}

/// Counts as sites come in, in the order in which names first occur.
#[derive(Default)]
struct Tally<'a> {
    positions: HashMap<String, usize>,
    groups: Vec<GroupCount>,
    /// The plate that each group was seen on last.
    last_plates: Vec<Option<&'a PlateKey>>,
}

impl<'a> Tally<'a> {
    fn add(&mut self, name: String, found: &Found<'a>) {
        let position = match self.positions.get(&name) {
            Some(&position) => position,
            None => {
                self.groups.push(GroupCount {
                    name: name.clone(),
                    ..GroupCount::default()
                });
                self.last_plates.push(None);
                self.positions.insert(name, self.groups.len() - 1);
                self.groups.len() - 1
            }
        };
        let group = &mut self.groups[position];
        if found.is_new_well {
            let well = &found.site.well;
            let plate = &found.site.key.plate;
            let last_plate = self.last_plates[position].replace(plate);
            group.num_plates += usize::from(last_plate != Some(plate));
            group.num_wells += 1;
            *group.control_roles.entry(well.control_role).or_default() += 1;
            group.num_unlabelled_wells += usize::from(well.label().is_none());
            group.cell_types.extend(well.cell_type.clone());
        }
        group.num_sites += 1;
        for flag in found.flags.iter() {
            *group.flagged_sites.entry(flag).or_default() += 1;
        }
    }

    fn sorted(mut self) -> Vec<GroupCount> {
        self.groups.sort_by(|a, b| a.name.cmp(&b.name));
        self.groups
    }
}
