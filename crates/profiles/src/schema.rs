use crate::Profiles;

/// The two families of column names in use.
///
/// | meaning | [`Schema::Recursion`] | [`Schema::Cytomining`] |
/// |---|---|---|
/// | laboratory | `source` | `Metadata_Source` |
/// | experiment | `experiment` (`experiment_name`) | `Metadata_Batch` |
/// | plate | `plate` | `Metadata_Plate` |
/// | well | `well` (`address`) | `Metadata_Well` |
/// | site | `site` | `Metadata_Site` |
/// | what the well is for | `well_type` | `Metadata_control_role` |
/// | anything else | `name` | `Metadata_name` |
///
/// The names in brackets are read and turned into the cytomining name, but
/// come back as the first one. Feature names do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schema {
    /// RxRx data sets: bare names.
    Recursion,
    /// pycytominer, JUMP and the Cell Painting Gallery: `Metadata_` names.
    Cytomining,
}

/// Pairs whose names differ by more than the prefix; of two Recursion names
/// the first is the one written.
const NAMES: [(&str, &str); 8] = [
    ("source", "Metadata_Source"),
    ("experiment", "Metadata_Batch"),
    ("experiment_name", "Metadata_Batch"),
    ("plate", "Metadata_Plate"),
    ("well", "Metadata_Well"),
    ("address", "Metadata_Well"),
    ("site", "Metadata_Site"),
    ("well_type", "Metadata_control_role"),
];

/// What marks a metadata column in cytomining tables.
pub(crate) const METADATA_PREFIX: &str = "Metadata_";

impl Schema {
    /// A metadata column's name in this schema.
    ///
    /// ```
    /// use morphospace_profiles::Schema;
    ///
    /// assert_eq!(Schema::Cytomining.column_name("experiment"), "Metadata_Batch");
    /// assert_eq!(Schema::Cytomining.column_name("sirna_id"), "Metadata_sirna_id");
    /// assert_eq!(Schema::Recursion.column_name("Metadata_Well"), "well");
    /// ```
    pub fn column_name(self, name: &str) -> String {
        match self {
            Self::Cytomining => {
                if name.starts_with(METADATA_PREFIX) {
                    return name.to_owned();
                }
                match NAMES.iter().find(|(recursion, _)| *recursion == name) {
                    Some((_, cytomining)) => (*cytomining).to_owned(),
                    None => format!("{METADATA_PREFIX}{name}"),
                }
            }
            Self::Recursion => {
                match NAMES.iter().find(|(_, cytomining)| *cytomining == name) {
                    Some((recursion, _)) => (*recursion).to_owned(),
                    // A column called just `Metadata_` has no other name.
                    None => match name.strip_prefix(METADATA_PREFIX) {
                        Some(bare) if !bare.is_empty() => bare.to_owned(),
                        _ => name.to_owned(),
                    },
                }
            }
        }
    }
}

impl Profiles {
    /// The same table with its metadata columns named in a schema. A column
    /// whose new name is already taken keeps its old one.
    ///
    /// ```
    /// use morphospace_profiles::{Column, Features, Profiles, Schema};
    ///
    /// let profiles = Profiles::new(
    ///     vec![("experiment".to_owned(), Column::from(vec!["HUVEC-01"]))],
    ///     vec!["feature_0".to_owned()],
    ///     Features::F32(vec![0.5]),
    /// )?;
    /// let cytomining = profiles.to_schema(Schema::Cytomining);
    /// assert_eq!(cytomining.keys("Metadata_Batch")?, ["HUVEC-01"]);
    /// assert_eq!(cytomining.to_schema(Schema::Recursion), profiles);
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    #[must_use]
    pub fn to_schema(&self, schema: Schema) -> Profiles {
        self.rename_columns(|name| schema.column_name(name))
    }
}
