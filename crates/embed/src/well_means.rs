use std::sync::Arc;

use morphospace_core::{Perturbation, SiteKey, Well};
use morphospace_profiles::{Column, Features, Profiles, ProfilesError};
use morphospace_screen::Screen;

/// Running means of feature vectors, one per well, in the order of the
/// screen's sites.
///
/// Sums are kept in f64 and added in site order, so the result does not
/// depend on how vectors were batched.
pub(crate) struct WellMeans {
    num_features: usize,
    wells: Vec<WellSum>,
}

struct WellSum {
    key: SiteKey,
    well: Arc<Well>,
    sum: Vec<f64>,
    num_vectors: i64,
    num_sites: i64,
    last_site: usize,
}

impl WellMeans {
    pub(crate) fn new(num_features: usize) -> Self {
        Self {
            num_features,
            wells: Vec::new(),
        }
    }

    /// Adds one vector of a site. Sites come in the screen's order, in which
    /// the sites of a well stand together.
    pub(crate) fn add(
        &mut self,
        screen: &dyn Screen,
        site_index: usize,
        vector: impl IntoIterator<Item = f64>,
    ) {
        let site = &screen.sites()[site_index];
        let is_same = self
            .wells
            .last()
            .is_some_and(|last| last.key.plate == site.key.plate && last.key.well == site.key.well);
        if !is_same {
            self.wells.push(WellSum {
                key: site.key.clone(),
                well: Arc::clone(&site.well),
                sum: vec![0.0; self.num_features],
                num_vectors: 0,
                num_sites: 0,
                last_site: usize::MAX,
            });
        }
        let well = self
            .wells
            .last_mut()
            .expect("one was just pushed if there was none");
        if well.last_site != site_index {
            well.num_sites += 1;
            well.last_site = site_index;
        }
        well.num_vectors += 1;
        let mut num_added = 0;
        for (sum, value) in well.sum.iter_mut().zip(vector) {
            *sum += value;
            num_added += 1;
        }
        debug_assert_eq!(num_added, self.num_features);
    }

    /// The table of wells.
    pub(crate) fn into_profiles(
        self,
        feature_names: Vec<String>,
    ) -> Result<Profiles, ProfilesError> {
        let mut features = Vec::with_capacity(self.wells.len() * self.num_features);
        for well in &self.wells {
            features.extend(
                well.sum
                    .iter()
                    .map(|sum| (sum / well.num_vectors as f64) as f32),
            );
        }
        let metadata = metadata_columns(&self.wells);
        Profiles::new(metadata, feature_names, Features::F32(features))
    }
}

fn metadata_columns(wells: &[WellSum]) -> Vec<(String, Column)> {
    let text = |name: &str, value: &dyn Fn(&WellSum) -> Option<String>| {
        (
            name.to_owned(),
            Column::Text(wells.iter().map(value).collect()),
        )
    };
    let count = |name: &str, value: fn(&WellSum) -> i64| {
        (
            name.to_owned(),
            Column::Integer(wells.iter().map(|well| Some(value(well))).collect()),
        )
    };
    let targets = |well: &Well| {
        let targets: Vec<&str> = well
            .perturbations
            .iter()
            .map(Perturbation::target)
            .collect();
        if targets.is_empty() {
            well.label()
        } else {
            Some(targets.join(" + "))
        }
    };
    let compounds = |well: &Well| -> Vec<(String, Option<f64>)> {
        let perturbations = well.perturbations.iter();
        perturbations
            .filter_map(|perturbation| match perturbation {
                Perturbation::Compound {
                    name,
                    concentration_micromolar,
                } => Some((name.clone(), *concentration_micromolar)),
                _ => None,
            })
            .collect()
    };
    let names = |well: &Well| {
        let names: Vec<String> = compounds(well).into_iter().map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| names.join(" + "))
    };
    // Of several compounds none has a dose that is that of the well.
    let concentrations = wells.iter().map(|w| match compounds(&w.well)[..] {
        [(_, concentration)] => concentration,
        _ => None,
    });
    let mut columns = vec![
        text("Metadata_Source", &|w| w.key.plate.source.clone()),
        text("Metadata_Batch", &|w| {
            Some(w.key.plate.experiment.to_string())
        }),
        text("Metadata_Plate", &|w| Some(w.key.plate.plate.clone())),
        text("Metadata_Well", &|w| Some(w.key.well.to_string())),
        text("Metadata_cell_type", &|w| w.well.cell_type.clone()),
        text("Metadata_control_role", &|w| {
            Some(w.well.control_role.to_string())
        }),
        text("Metadata_treatment", &|w| w.well.label()),
        text("Metadata_gene", &|w| targets(&w.well)),
        text("Metadata_compound", &|w| names(&w.well)),
        (
            "Metadata_concentration".to_owned(),
            Column::Float(concentrations.collect()),
        ),
        text("Metadata_background", &|w| w.well.background.clone()),
        count("Metadata_num_sites", |w| w.num_sites),
        count("Metadata_num_tiles", |w| w.num_vectors),
    ];
    // A column nobody fills says nothing.
    columns.retain(|(_, column)| match column {
        Column::Text(values) => values.iter().any(Option::is_some),
        Column::Float(values) => values.iter().any(Option::is_some),
        _ => true,
    });
    columns
}
