use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use morphospace_core::Site;
use serde::{Deserialize, Serialize};

use super::leaks::Leaks;
use super::part::Part;

/// How many sites, wells and experiments are in each part of a split.
///
/// `Display` is the form for people; serialised, it is the form for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SplitSummary {
    /// Parts that have a site.
    pub parts: BTreeMap<Part, PartSummary>,
    /// Sites of the screen that are in no part.
    pub num_unassigned_sites: usize,
    /// What the parts share.
    pub leaks: Leaks,
}

/// One part of a split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartSummary {
    /// All of it.
    pub total: SplitCounts,
    /// By cell type; sites without one are in none.
    pub cell_types: BTreeMap<String, SplitCounts>,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitCounts {
    /// Experiments with a site here; those of two sources are two.
    pub num_experiments: usize,
    /// Wells with a site here.
    pub num_wells: usize,
    /// Sites.
    pub num_sites: usize,
    /// Sites whose perturbation is not known.
    pub num_unlabelled_sites: usize,
}

impl SplitSummary {
    /// Counts the parts of some sites; `parts` is as long as `sites`, which
    /// are sorted.
    pub fn of(sites: &[Site], parts: &[Option<Part>]) -> Self {
        let mut groups: BTreeMap<Part, BTreeMap<Option<&str>, Vec<&Site>>> = BTreeMap::new();
        let mut num_unassigned_sites = 0;
        for (site, part) in sites.iter().zip(parts) {
            match part {
                None => num_unassigned_sites += 1,
                Some(part) => {
                    let by_cell_type = groups.entry(*part).or_default();
                    let cell_type = site.well.cell_type.as_deref();
                    by_cell_type.entry(cell_type).or_default().push(site);
                }
            }
        }
        let parts_of = |by_cell_type: BTreeMap<Option<&str>, Vec<&Site>>| PartSummary {
            total: SplitCounts::of(by_cell_type.values().flatten().copied()),
            cell_types: by_cell_type
                .into_iter()
                .filter_map(|(cell_type, sites)| {
                    Some((cell_type?.to_owned(), SplitCounts::of(sites.into_iter())))
                })
                .collect(),
        };
        Self {
            parts: groups
                .into_iter()
                .map(|(part, by_cell_type)| (part, parts_of(by_cell_type)))
                .collect(),
            num_unassigned_sites,
            leaks: Leaks::of(sites, parts),
        }
    }
}

impl SplitCounts {
    fn of<'a>(sites: impl Iterator<Item = &'a Site>) -> Self {
        let mut counts = Self::default();
        let mut experiments = BTreeSet::new();
        let mut last_well = None;
        for site in sites {
            let well = Some((&site.key.plate, site.key.well));
            if last_well != well {
                let plate = &site.key.plate;
                experiments.insert((&plate.source, &plate.experiment));
                counts.num_wells += 1;
                last_well = well;
            }
            counts.num_sites += 1;
            counts.num_unlabelled_sites += usize::from(site.well.label().is_none());
        }
        counts.num_experiments = experiments.len();
        counts
    }
}

impl fmt::Display for SplitSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<12}{:<12}{:>12}{:>9}{:>9}{:>16}",
            "part", "cell type", "experiments", "wells", "sites", "unknown labels"
        )?;
        let line =
            |f: &mut fmt::Formatter<'_>, part: &str, cell_type: &str, counts: &SplitCounts| {
                writeln!(
                    f,
                    "{part:<12}{cell_type:<12}{:>12}{:>9}{:>9}{:>16}",
                    counts.num_experiments,
                    counts.num_wells,
                    counts.num_sites,
                    counts.num_unlabelled_sites
                )
            };
        for (part, summary) in &self.parts {
            line(f, part.as_str(), "all", &summary.total)?;
            for (cell_type, counts) in &summary.cell_types {
                line(f, "", cell_type, counts)?;
            }
        }
        writeln!(f, "sites in no part: {}", self.num_unassigned_sites)?;
        write!(f, "{}", self.leaks)
    }
}
