use std::collections::BTreeMap;
use std::fmt;

use morphospace_core::suggestion;

use crate::ProfilesError;
use crate::name_pattern::name_fits;
use crate::schema::METADATA_PREFIX;

/// Prefixes that mark a feature: our own and EFAAR's embeddings, and
/// CellProfiler's three compartments (pycytominer's inference).
const FEATURE_PREFIXES: [&str; 4] = ["feature_", "Cells_", "Cytoplasm_", "Nuclei_"];

/// Bare names that are metadata whatever their type: the columns of the RxRx
/// data sets, the words for doses, positions and counts that tables carry
/// beside their features, and index columns that pandas leaves behind.
/// Compared without regard to case.
const METADATA_NAMES: [&str; 77] = [
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
    // JUMP, the Cell Painting Gallery and CellProfiler without `Metadata_`
    "jcp2022",
    "broad_sample",
    "pert_type",
    "pert_iname",
    "inchikey",
    "mmoles_per_liter",
    "well_position",
    "plate_map_name",
    "ncbi_gene_id",
    "tablenumber",
    "imagenumber",
    "objectnumber",
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
/// 1. a column named in `metadata` is metadata, then one named in `features`
///    is a feature;
/// 2. a column that fits a pattern of `metadata_patterns` is metadata;
/// 3. with `features`, `feature_prefixes` or `feature_patterns`, the columns
///    that any of them asks for are features and all others metadata;
/// 4. a file that says what each column is, is believed: Parquet that we
///    wrote, `obs` of AnnData, the rows and columns of GCT;
/// 5. `Metadata_*`, the column names of the RxRx data sets, and common words
///    for doses, positions and counts (`concentration`, `row`, `count`, ..)
///    are metadata, numeric or not;
/// 6. `feature_*`, `Cells_*`, `Cytoplasm_*` and `Nuclei_*` are features, and
///    where there is one such column every other column is metadata;
/// 7. of what remains, numbers are features, anything else is metadata.
///
/// In patterns `*` stands for any characters and `?` for one. A name, prefix or
/// pattern that no column of the file has is refused: it is a slip of the pen.
/// [`ColumnRoles`] says what was chosen, and by which line.
///
/// ```
/// use morphospace_profiles::{ReadOptions, read_profiles_with};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("cytokines.csv");
/// std::fs::write(&path, "well,IL-6,TNF,bead_count_1\nA01,0.5,1.5,98\n")?;
/// let options = ReadOptions {
///     metadata_patterns: vec!["bead_count_*".to_owned()],
///     ..ReadOptions::default()
/// };
/// let (profiles, roles) = read_profiles_with(&path, &options)?;
/// assert_eq!(profiles.feature_names(), ["IL-6", "TNF"]);
/// assert_eq!(
///     roles.to_string(),
///     "2 features: 2 holding numbers ('IL-6', 'TNF')\n\
///      2 metadata columns: 1 asked for ('bead_count_1'), 1 named like metadata ('well')"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Columns that are metadata whatever the rule says.
    pub metadata: Vec<String>,
    /// The same by pattern, such as `bead_count_*`.
    pub metadata_patterns: Vec<String>,
    /// The features by name; every other column is then metadata.
    pub features: Option<Vec<String>>,
    /// The features by how their names begin; every other column is then
    /// metadata.
    pub feature_prefixes: Option<Vec<String>>,
    /// The features by pattern, such as `*_Intensity_*`; every other column is
    /// then metadata.
    pub feature_patterns: Option<Vec<String>>,
}

/// Why a column has its role: the line of the rule of [`ReadOptions`] that
/// applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RoleReason {
    /// The options ask for it, by name, prefix or pattern.
    Asked,
    /// The options say which columns are features, and this is not one.
    NotAsked,
    /// The file says so.
    Written,
    /// Its name is one of the field's for metadata.
    MetadataName,
    /// Its name begins as those of features do.
    FeaturePrefix,
    /// Other columns have names that begin as those of features do.
    NoFeaturePrefix,
    /// It holds numbers, and no name says what is a feature.
    Number,
    /// It does not hold numbers.
    NoNumber,
}

impl fmt::Display for RoleReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked for",
            Self::NotAsked => "not among the features asked for",
            Self::Written => "as the file says",
            Self::MetadataName => "named like metadata",
            Self::FeaturePrefix => "named like features",
            Self::NoFeaturePrefix => "not named like the features",
            Self::Number => "holding numbers",
            Self::NoNumber => "holding no numbers",
        })
    }
}

impl ReadOptions {
    /// Whether no column is asked for as a feature.
    pub(crate) fn is_metadata_only(&self) -> bool {
        let is_empty = |names: &Option<Vec<String>>| names.as_ref().is_some_and(Vec::is_empty);
        is_empty(&self.features) && self.feature_prefixes.is_none()
    }
}

/// What became of each column of a file that was read.
///
/// As text it is a line each for features, metadata and what was left out,
/// with how many columns there are, why, and the first and last of them: see
/// [`ReadOptions`] for one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRoles {
    /// Columns taken as features, in file order.
    pub features: Vec<String>,
    /// Columns taken as metadata, in file order.
    pub metadata: Vec<String>,
    /// Columns left out, each with the reason.
    pub skipped: Vec<(String, String)>,
    /// Why each feature and metadata column is one.
    pub reasons: BTreeMap<String, RoleReason>,
}

impl ColumnRoles {
    /// Takes a column as a feature or metadata.
    pub(crate) fn take(&mut self, name: &str, role: Role, reason: RoleReason) {
        match role {
            Role::Metadata => self.metadata.push(name.to_owned()),
            Role::Feature => self.features.push(name.to_owned()),
        }
        self.reasons.insert(name.to_owned(), reason);
    }

    /// `3 named like features ('a', 'b', 'c'), 1 asked for ('d')`.
    fn by_reason(&self, names: &[String]) -> String {
        /// Names that are listed; of more, the first and the last.
        const LISTED: usize = 6;
        let mut groups: BTreeMap<Option<RoleReason>, Vec<&str>> = BTreeMap::new();
        for name in names {
            let reason = self.reasons.get(name).copied();
            groups.entry(reason).or_default().push(name);
        }
        let groups = groups.into_iter().map(|(reason, names)| {
            let reason = reason.map_or_else(String::new, |reason| format!(" {reason}"));
            let examples = match names.as_slice() {
                [first, .., last] if names.len() > LISTED => format!("'{first}' .. '{last}'"),
                few => format!("'{}'", few.join("', '")),
            };
            format!("{}{reason} ({examples})", names.len())
        });
        groups.collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for ColumnRoles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
        write!(f, "{}", count(self.features.len(), "feature"))?;
        if !self.features.is_empty() {
            write!(f, ": {}", self.by_reason(&self.features))?;
        }
        write!(f, "\n{}", count(self.metadata.len(), "metadata column"))?;
        if !self.metadata.is_empty() {
            write!(f, ": {}", self.by_reason(&self.metadata))?;
        }
        for (name, reason) in &self.skipped {
            write!(f, "\n'{name}' left out: {reason}")?;
        }
        Ok(())
    }
}

/// What is known of a column before its values are read.
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// Whether its values are numbers; `None` where that is not known yet.
    pub(crate) is_number: Option<bool>,
    /// The role that the file gives it.
    pub(crate) written: Option<Role>,
}

impl ReadOptions {
    /// What the options say of a column: lines 1 to 3 of the rule.
    fn asked(&self, name: &str) -> Option<(Role, RoleReason)> {
        let named = |names: &[String]| names.iter().any(|other| other == name);
        let fits = |patterns: &[String]| patterns.iter().any(|pattern| name_fits(name, pattern));
        let begins = |prefixes: &[String]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let features = self.features.as_deref();
        let prefixes = self.feature_prefixes.as_deref();
        let patterns = self.feature_patterns.as_deref();
        if named(&self.metadata) {
            Some((Role::Metadata, RoleReason::Asked))
        } else if features.is_some_and(named) {
            Some((Role::Feature, RoleReason::Asked))
        } else if fits(&self.metadata_patterns) {
            Some((Role::Metadata, RoleReason::Asked))
        } else if prefixes.is_some_and(begins) || patterns.is_some_and(fits) {
            Some((Role::Feature, RoleReason::Asked))
        } else if features.is_some() || prefixes.is_some() || patterns.is_some() {
            Some((Role::Metadata, RoleReason::NotAsked))
        } else {
            None
        }
    }

    /// Refuses what no column has.
    fn check(&self, columns: &[FoundColumn]) -> Result<(), ProfilesError> {
        let names = || columns.iter().map(|column| column.name.as_str());
        for name in self.metadata.iter().chain(self.features.iter().flatten()) {
            if !names().any(|other| other == name) {
                return Err(ProfilesError::MissingColumn {
                    name: name.clone(),
                    suggestion: suggestion(name, names()).map(str::to_owned),
                    available: names().map(str::to_owned).collect(),
                });
            }
        }
        let prefixes = self.feature_prefixes.iter().flatten();
        let prefixes = prefixes.map(|prefix| (prefix, format!("{prefix}*")));
        let patterns = self.metadata_patterns.iter();
        let patterns = patterns.chain(self.feature_patterns.iter().flatten());
        let patterns = patterns.map(|pattern| (pattern, pattern.clone()));
        for (asked, pattern) in prefixes.chain(patterns) {
            if !names().any(|name| name_fits(name, &pattern)) {
                // Names mostly begin with a word and `_`: `Cells_`, `Metadata_`.
                let begins = names().filter_map(|name| name.split_inclusive('_').next());
                let near = suggestion(asked.trim_end_matches('*'), begins);
                return Err(ProfilesError::NoSuchColumns {
                    pattern: asked.clone(),
                    suggestion: near.map(str::to_owned),
                    available: names().map(str::to_owned).collect(),
                });
            }
        }
        Ok(())
    }
}

/// A column's role by lines 1 to 6 of the rule, `None` where line 7 has to
/// look at the values.
pub(crate) fn roles_by_name(
    columns: &[FoundColumn],
    options: &ReadOptions,
) -> Result<Vec<Option<(Role, RoleReason)>>, ProfilesError> {
    options.check(columns)?;
    let is_prefixed = |name: &str| {
        FEATURE_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let any_prefixed = columns.iter().any(|column| {
        column.written == Some(Role::Feature)
            || (is_prefixed(&column.name) && options.asked(&column.name).is_none())
    });
    let role = |column: &FoundColumn| {
        let name = column.name.as_str();
        if let Some(asked) = options.asked(name) {
            return Some(asked);
        }
        if let Some(written) = column.written {
            return Some((written, RoleReason::Written));
        }
        if is_metadata_name(name) {
            return Some((Role::Metadata, RoleReason::MetadataName));
        }
        if is_prefixed(name) {
            return Some((Role::Feature, RoleReason::FeaturePrefix));
        }
        if any_prefixed {
            return Some((Role::Metadata, RoleReason::NoFeaturePrefix));
        }
        column.is_number.map(|number| {
            if number {
                (Role::Feature, RoleReason::Number)
            } else {
                (Role::Metadata, RoleReason::NoNumber)
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
                if role.is_some_and(|(role, _)| role == Role::Feature) {
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

    #[test]
    fn patterns_override_the_rule_and_names_override_patterns() {
        let names = ["IL-6", "TNF", "bead_count_1", "bead_count_2"];
        let some = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let metadata_patterns = some(&["bead_*"]);
        let options = ReadOptions {
            metadata_patterns,
            ..ReadOptions::default()
        };
        check(&names, &options, "FFmm");
        let options = ReadOptions {
            features: Some(some(&["bead_count_2"])),
            feature_patterns: Some(some(&["T?F", "IL*"])),
            ..options
        };
        check(&names, &options, "FFmF");
        let options = ReadOptions {
            metadata: some(&["bead_count_2"]),
            ..options
        };
        check(&names, &options, "FFmm");
    }

    #[test]
    fn a_pattern_that_fits_no_column_is_refused() {
        let columns = ["Metadata_Well", "Cells_Area", "Cells_Texture"].map(|name| FoundColumn {
            name: name.into(),
            is_number: Some(true),
            written: None,
        });
        let refused = |options: ReadOptions, expect: &[&str]| {
            let error = roles_by_name(&columns, &options).expect_err("misspelt");
            for word in expect {
                assert!(error.to_string().contains(word), "'{word}': {error}");
            }
        };
        let wrong = || vec!["Cell_*".to_owned()];
        let words = ["'Cell_*'", "did you mean 'Cells_'"];
        let default = ReadOptions::default;
        refused(
            ReadOptions {
                feature_patterns: Some(wrong()),
                ..default()
            },
            &words,
        );
        refused(
            ReadOptions {
                metadata_patterns: wrong(),
                ..default()
            },
            &words,
        );
        let feature_prefixes = Some(vec!["Cell_".to_owned()]);
        refused(
            ReadOptions {
                feature_prefixes,
                ..default()
            },
            &["'Cell_'", "did you mean 'Cells_'"],
        );
        let metadata_patterns = vec!["*zfpkm*".to_owned()];
        refused(
            ReadOptions {
                metadata_patterns,
                ..default()
            },
            &["'*zfpkm*'", "the table has 'Metadata_Well'"],
        );
    }

    #[test]
    fn what_was_chosen_can_be_read_by_people() {
        let mut roles = ColumnRoles::default();
        for index in 0..128 {
            let name = format!("feature_{index}");
            roles.take(&name, Role::Feature, RoleReason::FeaturePrefix);
        }
        roles.take("well", Role::Metadata, RoleReason::MetadataName);
        roles.take("zfpkm", Role::Metadata, RoleReason::NoFeaturePrefix);
        roles.take("plate", Role::Metadata, RoleReason::MetadataName);
        let reason = "metadata of type Binary is not read".to_owned();
        roles.skipped.push(("thumbnail".to_owned(), reason));
        assert_eq!(
            roles.to_string(),
            "128 features: 128 named like features ('feature_0' .. 'feature_127')\n\
             3 metadata columns: 2 named like metadata ('well', 'plate'), \
             1 not named like the features ('zfpkm')\n\
             'thumbnail' left out: metadata of type Binary is not read"
        );
        let mut one = ColumnRoles::default();
        one.take("IL-6", Role::Feature, RoleReason::Number);
        assert_eq!(
            one.to_string(),
            "1 feature: 1 holding numbers ('IL-6')\n0 metadata columns"
        );
    }
}
