use std::sync::Arc;

use morphospace_core::{Perturbation, Site, SiteKey, Well};
use morphospace_profiles::{Column, Features, Profiles, ProfilesError};
use morphospace_screen::{Screen, Tile};

use crate::Level;

/// Rows of a table that is made vector by vector: means of wells, of sites, or
/// the vectors themselves, in the order of the screen's sites.
///
/// Sums are kept in f64 and added in site order, so the result does not
/// depend on how vectors were batched.
pub(crate) struct MeanRows {
    level: Level,
    columns: Arc<FilledColumns>,
    rows: Vec<Row>,
}

struct Row {
    key: SiteKey,
    well: Arc<Well>,
    /// Of crops.
    tile: Option<Tile>,
    sum: Vec<f64>,
    num_vectors: i64,
    num_sites: i64,
    last_site: usize,
}

impl MeanRows {
    pub(crate) fn new(level: Level, columns: Arc<FilledColumns>) -> Self {
        Self {
            level,
            columns,
            rows: Vec::new(),
        }
    }

    pub(crate) fn num_rows(&self) -> usize {
        self.rows.len()
    }

    /// Adds one vector of a site. Sites come in the screen's order, in which
    /// the sites of a well stand together.
    pub(crate) fn add(
        &mut self,
        screen: &dyn Screen,
        site_index: usize,
        tile: Option<Tile>,
        vector: impl ExactSizeIterator<Item = f64>,
    ) {
        let site = &screen.sites()[site_index];
        let is_same = self.rows.last().is_some_and(|last| match self.level {
            Level::Wells => last.key.plate == site.key.plate && last.key.well == site.key.well,
            Level::Sites => last.last_site == site_index,
            Level::Crops => false,
        });
        if !is_same {
            self.rows.push(Row {
                key: site.key.clone(),
                well: Arc::clone(&site.well),
                tile,
                sum: vec![0.0; vector.len()],
                num_vectors: 0,
                num_sites: 0,
                last_site: usize::MAX,
            });
        }
        let row = self
            .rows
            .last_mut()
            .expect("one was just pushed if there was none");
        if row.last_site != site_index {
            row.num_sites += 1;
            row.last_site = site_index;
        }
        row.num_vectors += 1;
        debug_assert_eq!(row.sum.len(), vector.len());
        for (sum, value) in row.sum.iter_mut().zip(vector) {
            *sum += value;
        }
    }

    /// The rows so far but the last, to which more may come.
    pub(crate) fn take_finished(
        &mut self,
        feature_names: &[String],
    ) -> Result<Profiles, ProfilesError> {
        let last = self.rows.len().saturating_sub(1);
        let unfinished = self.rows.split_off(last);
        let finished = std::mem::replace(&mut self.rows, unfinished);
        self.table(&finished, feature_names)
    }

    /// All rows.
    pub(crate) fn into_profiles(
        mut self,
        feature_names: &[String],
    ) -> Result<Profiles, ProfilesError> {
        let rows = std::mem::take(&mut self.rows);
        self.table(&rows, feature_names)
    }

    fn table(&self, rows: &[Row], feature_names: &[String]) -> Result<Profiles, ProfilesError> {
        let mut features = Vec::with_capacity(rows.len() * feature_names.len());
        for row in rows {
            let count = row.num_vectors as f64;
            features.extend(row.sum.iter().map(|sum| (sum / count) as f32));
        }
        Profiles::new(
            self.metadata(rows),
            feature_names.to_vec(),
            Features::F32(features),
        )
    }

    fn metadata(&self, rows: &[Row]) -> Vec<(String, Column)> {
        let text = |name: &str, value: &dyn Fn(&Row) -> Option<String>| {
            let values = rows.iter().map(value).collect();
            (name.to_owned(), Column::Text(values))
        };
        let integer = |name: &str, value: &dyn Fn(&Row) -> Option<i64>| {
            let values = rows.iter().map(value).collect();
            (name.to_owned(), Column::Integer(values))
        };
        let concentrations = rows.iter().map(|row| concentration(&row.well));
        let mut columns = vec![
            text("Metadata_Source", &|row| row.key.plate.source.clone()),
            text("Metadata_Batch", &|row| {
                Some(row.key.plate.experiment.to_string())
            }),
            text("Metadata_Plate", &|row| Some(row.key.plate.plate.clone())),
            text("Metadata_Well", &|row| Some(row.key.well.to_string())),
        ];
        if self.level != Level::Wells {
            columns.push(integer("Metadata_Site", &|row| {
                Some(i64::from(row.key.site))
            }));
        }
        if self.level == Level::Crops {
            let place = |of: fn(&Tile) -> usize| {
                move |row: &Row| row.tile.as_ref().map(|tile| of(tile) as i64)
            };
            columns.push(integer("Metadata_top", &place(|tile| tile.top)));
            columns.push(integer("Metadata_left", &place(|tile| tile.left)));
        }
        columns.extend([
            text("Metadata_cell_type", &|row| row.well.cell_type.clone()),
            text("Metadata_control_role", &|row| {
                Some(row.well.control_role.to_string())
            }),
            text("Metadata_treatment", &|row| row.well.label()),
            text("Metadata_gene", &|row| targets(&row.well)),
            text("Metadata_compound", &|row| compound_names(&row.well)),
            (
                "Metadata_concentration".to_owned(),
                Column::Float(concentrations.collect()),
            ),
            text("Metadata_background", &|row| row.well.background.clone()),
        ]);
        if self.level == Level::Wells {
            columns.push(integer("Metadata_num_sites", &|row| Some(row.num_sites)));
        }
        if self.level != Level::Crops {
            columns.push(integer("Metadata_num_tiles", &|row| Some(row.num_vectors)));
        }
        columns.retain(|(name, _)| self.columns.has(name));
        columns
    }
}

fn targets(well: &Well) -> Option<String> {
    let perturbations = well.perturbations.iter();
    let targets: Vec<&str> = perturbations.map(Perturbation::target).collect();
    match targets.is_empty() {
        true => well.label(),
        false => Some(targets.join(" + ")),
    }
}

fn compounds(well: &Well) -> Vec<(&str, Option<f64>)> {
    let perturbations = well.perturbations.iter();
    perturbations
        .filter_map(|perturbation| match perturbation {
            Perturbation::Compound {
                name,
                concentration_micromolar,
            } => Some((name.as_str(), *concentration_micromolar)),
            _ => None,
        })
        .collect()
}

fn compound_names(well: &Well) -> Option<String> {
    let names: Vec<&str> = compounds(well).into_iter().map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| names.join(" + "))
}

/// Of several compounds none has a dose that is that of the well.
fn concentration(well: &Well) -> Option<f64> {
    match compounds(well)[..] {
        [(_, concentration)] => concentration,
        _ => None,
    }
}

/// Which columns some site of a screen fills; one that nobody fills says
/// nothing. Told by the whole screen, so that the tables of its plates have the
/// same columns.
#[derive(Debug, Default)]
pub(crate) struct FilledColumns {
    filled: [(&'static str, bool); 7],
}

impl FilledColumns {
    pub(crate) fn of(sites: &[Site]) -> Self {
        let any = |is_filled: &dyn Fn(&Site) -> bool| sites.iter().any(is_filled);
        Self {
            filled: [
                (
                    "Metadata_Source",
                    any(&|site| site.key.plate.source.is_some()),
                ),
                (
                    "Metadata_cell_type",
                    any(&|site| site.well.cell_type.is_some()),
                ),
                (
                    "Metadata_treatment",
                    any(&|site| site.well.label().is_some()),
                ),
                ("Metadata_gene", any(&|site| targets(&site.well).is_some())),
                (
                    "Metadata_compound",
                    any(&|site| compound_names(&site.well).is_some()),
                ),
                (
                    "Metadata_concentration",
                    any(&|site| concentration(&site.well).is_some()),
                ),
                (
                    "Metadata_background",
                    any(&|site| site.well.background.is_some()),
                ),
            ],
        }
    }

    /// Names of the columns that would be left out if nobody filled them.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let filled = self.filled.iter().filter(|(_, is_filled)| *is_filled);
        filled.map(|(name, _)| *name).collect()
    }

    fn has(&self, name: &str) -> bool {
        let found = self.filled.iter().find(|(known, _)| *known == name);
        found.is_none_or(|(_, is_filled)| *is_filled)
    }
}
