use std::fmt;

use crate::ProfilesError;
use crate::schema::METADATA_PREFIX;

/// Prefixes that mark a feature: our own and EFAAR's embeddings, and
/// CellProfiler's three compartments (pycytominer's inference).
const FEATURE_PREFIXES: [&str; 4] = ["feature_", "Cells_", "Cytoplasm_", "Nuclei_"];

/// Bare names that are metadata whatever their type: the columns of the RxRx
/// data sets, the words for doses, positions and counts that tables carry
/// beside their features, and index columns that pandas leaves behind.
/// Compared without regard to case.
const METADATA_NAMES: [&str; 65] = [
    // RxRx1, RxRx2, RxRx19, RxRx3 and the competition's tables
    "site_id",
    "well_id",
    "id_code",
    "cell_type",
    "dataset",
    "experiment",
    "experiment_name",
    "source",
    "batch",
    "plate",
    "well",
    "address",
    "site",
    "well_type",
    "sirna",
    "sirna_id",
    "treatment",
    "treatment_conc",
    "treatment_concentration",
    "disease_condition",
    "gene",
    "guide",
    "smiles",
    "concentration",
    "perturbation",
    "perturbation_type",
    // Tables of other tools and of our own stages
    "site_key",
    "block",
    "control",
    "control_role",
    "compound",
    "dose",
    "dose_micromolar",
    "pert",
    "pert_dose",
    "pert_time",
    "time",
    "timepoint",
    "time_point",
    "label",
    "split",
    "part",
    "fold",
    "row",
    "col",
    "column",
    "well_row",
    "well_col",
    "well_column",
    "field",
    "z",
    "x",
    "y",
    "replicate",
    "passage",
    "index",
    "id",
    "n",
    "count",
    "cell_count",
    "num_cells",
    "num_rows",
    "num_sites",
    "num_wells",
    "chromosome_arm",
];

/// What a column is to a profile table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Says what the row is.
    Metadata,
    /// One number of the profile.
    Feature,
}

/// Which columns are metadata and which are features, where the rule is to
/// be overridden.
///
/// The rule, by which [`read_profiles`](crate::read_profiles) works; the first line that applies to a
/// column decides:
///
/// 1. a column named in `metadata` is metadata;
/// 2. with `features`, those columns are features and all others metadata;
///    with `feature_prefixes`, the columns that begin with one of them;
/// 3. a Parquet file that we wrote says what each column is;
/// 4. `Metadata_*`, the column names of the RxRx data sets, and common words
///    for doses, positions and counts (`concentration`, `row`, `count`, ..)
///    are metadata, numeric or not;
/// 5. `feature_*`, `Cells_*`, `Cytoplasm_*` and `Nuclei_*` are features, and
///    where there is one such column every other column is metadata;
/// 6. of what remains, numbers are features, anything else is metadata.
///
/// ```
/// use morphospace_profiles::ReadOptions;
///
/// let options = ReadOptions {
///     metadata: vec!["passage_number".to_owned()],
///     ..ReadOptions::default()
/// };
/// assert_eq!(options.features, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Columns that are metadata whatever the rule says.
    pub metadata: Vec<String>,
    /// The features by name; every other column is then metadata.
    pub features: Option<Vec<String>>,
    /// The features by how their names begin; every other column is then
    /// metadata.
    pub feature_prefixes: Option<Vec<String>>,
}

/// What became of each column of a file that was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRoles {
    /// Columns taken as features, in file order.
    pub features: Vec<String>,
    /// Columns taken as metadata, in file order.
    pub metadata: Vec<String>,
    /// Columns left out, each with the reason.
    pub skipped: Vec<(String, String)>,
}

impl fmt::Display for ColumnRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} features", self.features.len())?;
        if let (Some(first), Some(last)) = (self.features.first(), self.features.last()) {
            write!(f, " ('{first}' .. '{last}')")?;
        }
        write!(f, ", {} metadata columns", self.metadata.len())?;
        if !self.metadata.is_empty() {
            write!(f, " ('{}')", self.metadata.join("', '"))?;
        }
        for (name, reason) in &self.skipped {
            write!(f, ", '{name}' left out: {reason}")?;
        }
        Ok(())
    }
}

/// What is known of a column before its values are read.
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// Whether its values are numbers; `None` where that is not known yet.
    pub(crate) is_number: Option<bool>,
    /// The role a file of ours gives it.
    pub(crate) written: Option<Role>,
}

/// A column's role by lines 1 to 5 of the rule, `None` where line 6 has to
/// look at the values.
pub(crate) fn roles_by_name(
    columns: &[FoundColumn],
    options: &ReadOptions,
) -> Result<Vec<Option<Role>>, ProfilesError> {
    let asked = options
        .metadata
        .iter()
        .chain(options.features.iter().flatten());
    for name in asked {
        if !columns.iter().any(|column| column.name == *name) {
            let available: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
            let suggestion =
                morphospace_core::suggestion(name, available.iter().map(String::as_str));
            return Err(ProfilesError::MissingColumn {
                name: name.clone(),
                suggestion: suggestion.map(str::to_owned),
                available: available.clone(),
            });
        }
    }
    let is_asked_for = |name: &str| {
        let by_name = options
            .features
            .as_ref()
            .map(|features| features.iter().any(|f| f == name));
        let by_prefix = options
            .feature_prefixes
            .as_ref()
            .map(|prefixes| prefixes.iter().any(|prefix| name.starts_with(prefix)));
        match (by_name, by_prefix) {
            (None, None) => None,
            (by_name, by_prefix) => Some(by_name == Some(true) || by_prefix == Some(true)),
        }
    };
    let is_prefixed = |name: &str| {
        FEATURE_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let any_prefixed = columns.iter().any(|column| {
        column.written == Some(Role::Feature)
            || (is_prefixed(&column.name) && !options.metadata.contains(&column.name))
    });
    let role = |column: &FoundColumn| {
        let name = column.name.as_str();
        if options.metadata.iter().any(|other| other == name) {
            return Some(Role::Metadata);
        }
        if let Some(asked) = is_asked_for(name) {
            return Some(if asked { Role::Feature } else { Role::Metadata });
        }
        if column.written.is_some() {
            return column.written;
        }
        if is_metadata_name(name) {
            return Some(Role::Metadata);
        }
        if is_prefixed(name) {
            return Some(Role::Feature);
        }
        if any_prefixed {
            return Some(Role::Metadata);
        }
        column.is_number.map(|number| {
            if number {
                Role::Feature
            } else {
                Role::Metadata
            }
        })
    };
    Ok(columns.iter().map(role).collect())
}

fn is_metadata_name(name: &str) -> bool {
    name.starts_with(METADATA_PREFIX)
        || name.starts_with("Unnamed:")
        || name.starts_with("__index_level_")
        || METADATA_NAMES
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roles of numeric columns, `F` feature and `m` metadata.
    fn check(names: &[&str], options: &ReadOptions, expect: &str) {
        let columns: Vec<FoundColumn> = names
            .iter()
            .map(|name| FoundColumn {
                name: (*name).to_owned(),
                is_number: Some(true),
                written: None,
            })
            .collect();
        let roles: String = roles_by_name(&columns, options)
            .expect("names are there")
            .into_iter()
            .map(|role| {
                if role == Some(Role::Feature) {
                    'F'
                } else {
                    'm'
                }
            })
            .collect();
        assert_eq!(roles, expect, "{names:?}");
    }

    #[test]
    fn numeric_metadata_never_lands_in_features() {
        let rule = ReadOptions::default();
        check(&["well_id", "feature_0", "feature_1"], &rule, "mFF");
        check(&["row", "zfpkm", "guide", "feature_0"], &rule, "mmmF");
        check(
            &["Metadata_mmoles_per_liter", "Cells_Area", "Image_Count"],
            &rule,
            "mFm",
        );
        check(
            &["concentration", "SMILES", "Concentration", "IL-6", "TNF"],
            &rule,
            "mmmFF",
        );
        check(&["Unnamed: 0", "site", "0", "1"], &rule, "mmFF");
    }

    #[test]
    fn options_override_the_rule() {
        let names = ["dose", "IL-6", "passage_number", "TNF"];
        let metadata = vec!["passage_number".to_owned()];
        check(
            &names,
            &ReadOptions {
                metadata,
                ..ReadOptions::default()
            },
            "mFmF",
        );
        let features = Some(vec!["dose".to_owned()]);
        check(
            &names,
            &ReadOptions {
                features,
                ..ReadOptions::default()
            },
            "Fmmm",
        );
        let feature_prefixes = Some(vec!["T".to_owned()]);
        check(
            &names,
            &ReadOptions {
                feature_prefixes,
                ..ReadOptions::default()
            },
            "mmmF",
        );
    }

    #[test]
    fn an_option_that_names_no_column_is_refused() {
        let columns = [FoundColumn {
            name: "feature_0".into(),
            is_number: Some(true),
            written: None,
        }];
        let options = ReadOptions {
            features: Some(vec!["featur_0".into()]),
            ..ReadOptions::default()
        };
        let error = roles_by_name(&columns, &options).expect_err("misspelt");
        assert!(
            error.to_string().contains("did you mean 'feature_0'"),
            "{error}"
        );
    }
}
