use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{ControlRole, Seed};
use rand::RngExt;
use rand::seq::index::sample;
use serde::{Deserialize, Serialize};

use super::curation::DroppedRow;
use super::error::CurateError;
use super::table::CurationTable;

/// Which share of wells is kept by their role; all sites of a well share its fate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnderSampling {
    /// Of positive controls.
    pub positive_controls: f64,
    /// Of wells without perturbation.
    pub untreated: f64,
    /// Of negative controls.
    pub negative_controls: f64,
    /// Of all others.
    pub treatments: f64,
    /// How wells are drawn.
    pub draw: Draw,
    /// Seed of the draw.
    pub seed: Seed,
}

/// How wells are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// The share of the wells of each experiment, rounded (halves up).
    #[default]
    Exact,
    /// Each well by itself; how many there are varies.
    Bernoulli,
}

impl Default for UnderSampling {
    fn default() -> Self {
        Self {
            positive_controls: 0.1,
            untreated: 0.1,
            negative_controls: 0.3,
            treatments: 1.0,
            draw: Draw::Exact,
            seed: Seed::new(0),
        }
    }
}

/// Roles in the order of the summary, and what their wells are called.
const ROLES: [(ControlRole, &str); 4] = [
    (ControlRole::PositiveControl, "positive controls"),
    (ControlRole::Untreated, "wells without perturbation"),
    (ControlRole::NegativeControl, "negative controls"),
    (ControlRole::Treatment, "treatments"),
];

impl UnderSampling {
    pub(super) fn check(&self) -> Result<(), CurateError> {
        for (setting, share) in [
            ("under_sampling.positive_controls", self.positive_controls),
            ("under_sampling.untreated", self.untreated),
            ("under_sampling.negative_controls", self.negative_controls),
            ("under_sampling.treatments", self.treatments),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(CurateError::InvalidSetting {
                    setting,
                    value: share.to_string(),
                    expected: "from 0 to 1",
                });
            }
        }
        Ok(())
    }

    fn share_of(&self, role: ControlRole) -> f64 {
        match role {
            ControlRole::PositiveControl => self.positive_controls,
            ControlRole::Untreated => self.untreated,
            ControlRole::NegativeControl => self.negative_controls,
            ControlRole::Treatment => self.treatments,
        }
    }

    /// The rows of wells that are not drawn, and what should be known of it.
    pub(super) fn apply(
        &self,
        table: &CurationTable,
        rows: &[usize],
    ) -> (Vec<DroppedRow>, Vec<String>) {
        // Sorted, so that a draw does not depend on the order of rows.
        let left: BTreeSet<u32> = rows.iter().map(|&row| table.well_of_row[row]).collect();
        let mut groups: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for &well in &left {
            let of_well = &table.wells[well as usize];
            let key = (of_well.role, of_well.experiment());
            groups.entry(key).or_default().push(well);
        }
        let mut is_kept = vec![false; table.num_wells()];
        let mut bereft: BTreeMap<ControlRole, usize> = BTreeMap::new();
        for ((role, (source, experiment)), wells) in groups {
            let share = self.share_of(role);
            let seed = self.seed.split("under-sampling").split(role.as_str());
            let seed = seed.split(source.unwrap_or_default());
            // `HUVEC-01` and `HUVEC-1` are one experiment, and draw alike.
            let seed = seed.split(experiment.series());
            let mut rng = seed
                .split_index(experiment.number().unwrap_or(u64::MAX))
                .rng();
            let kept: Vec<u32> = match self.draw {
                Draw::Exact => {
                    let amount = (share * wells.len() as f64).round() as usize;
                    let drawn = sample(&mut rng, wells.len(), amount);
                    drawn.iter().map(|place| wells[place]).collect()
                }
                Draw::Bernoulli => {
                    let drawn = wells.into_iter();
                    drawn.filter(|_| rng.random_bool(share)).collect()
                }
            };
            if kept.is_empty() && share > 0.0 {
                *bereft.entry(role).or_default() += 1;
            }
            kept.into_iter()
                .for_each(|well| is_kept[well as usize] = true);
        }
        let dropped = rows.iter().filter(|&&row| {
            let well = table.well_of_row[row];
            !is_kept[well as usize]
        });
        let dropped = dropped.map(|&row| {
            let role = table.well(row).role;
            let (share, name) = (self.share_of(role), name_of(role));
            let why = format!("a share of {share} of {name} is kept");
            DroppedRow {
                row,
                category: why.clone(),
                words: why,
            }
        });
        let notes = bereft.into_iter().map(|(role, num_experiments)| {
            format!(
                "experiments that keep none of their {}, having too few: {num_experiments}",
                name_of(role)
            )
        });
        (dropped.collect(), notes.collect())
    }
}

fn name_of(role: ControlRole) -> &'static str {
    let found = ROLES.into_iter().find(|(other, _)| *other == role);
    found.expect("every role is listed").1
}
