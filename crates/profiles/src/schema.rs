use crate::Profiles;

/// The families of column names in use.
///
/// | meaning | [`Schema::Recursion`] | [`Schema::RecursionRxRx3`] | [`Schema::Cytomining`] |
/// |---|---|---|---|
/// | laboratory | `source` | `source` | `Metadata_Source` |
/// | experiment | `experiment` | `experiment_name` | `Metadata_Batch` |
/// | plate | `plate` | `plate` | `Metadata_Plate` |
/// | well | `well` | `address` | `Metadata_Well` |
/// | site | `site` | `site` | `Metadata_Site` |
/// | what the well is for | `well_type` | `well_type` | `Metadata_control_role` |
/// | anything else | `name` | `name` | `Metadata_name` |
///
/// `Batch` and the like, cytomining's names without the prefix, are known, too.
///
/// There and back is the identity: a table whose names are those of one schema
/// ([`Schema::holds`]) comes back from another as it was. For that a name keeps
/// its prefix if its bare form means something else: `Metadata_well`, which is
/// not `Metadata_Well`, stays `Metadata_well`. Names of columns are turned, not
/// what is in them: `well_type` has `negative_control` where
/// JUMP's `Metadata_pert_type` has `negcon`. Feature names do not change
/// ([`Profiles::rename_features`] does that).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schema {
    /// RxRx1, RxRx2 and RxRx19: bare names.
    Recursion,
    /// RxRx3 and RxRx3-core: bare names, two of them others.
    RecursionRxRx3,
    /// pycytominer, JUMP and the Cell Painting Gallery: `Metadata_` names.
    Cytomining,
}

/// Names that differ by more than the prefix: RxRx1's, RxRx3's, cytomining's.
const NAMES: [[&str; 3]; 6] = [
    ["source", "source", "Metadata_Source"],
    ["experiment", "experiment_name", "Metadata_Batch"],
    ["plate", "plate", "Metadata_Plate"],
    ["well", "address", "Metadata_Well"],
    ["site", "site", "Metadata_Site"],
    ["well_type", "well_type", "Metadata_control_role"],
];

/// Where a name stands in [`NAMES`], if it does; the last have lost their prefix.
fn place(name: &str) -> Option<(&'static [&'static str; 3], usize)> {
    NAMES.iter().find_map(|names| {
        let bare = names[2].strip_prefix(METADATA_PREFIX);
        let place = names
            .iter()
            .copied()
            .chain(bare)
            .position(|other| other == name)?;
        Some((names, place))
    })
}

/// What marks a metadata column in cytomining tables.
pub(crate) const METADATA_PREFIX: &str = "Metadata_";

impl Schema {
    /// Every schema.
    pub const ALL: [Self; 3] = [Self::Recursion, Self::RecursionRxRx3, Self::Cytomining];

    /// A metadata column's name in this schema, whichever it is named by.
    ///
    /// ```
    /// use morphospace_profiles::Schema;
    ///
    /// assert_eq!(Schema::Cytomining.column_name("experiment"), "Metadata_Batch");
    /// assert_eq!(Schema::Cytomining.column_name("sirna_id"), "Metadata_sirna_id");
    /// assert_eq!(Schema::Recursion.column_name("Metadata_Well"), "well");
    /// assert_eq!(Schema::RecursionRxRx3.column_name("Metadata_Well"), "address");
    /// ```
    pub fn column_name(self, name: &str) -> String {
        if let Some((names, _)) = place(name) {
            return names[self.position()].to_owned();
        }
        match (self, name.strip_prefix(METADATA_PREFIX)) {
            (Self::Cytomining, None) => format!("{METADATA_PREFIX}{name}"),
            (Self::Recursion | Self::RecursionRxRx3, Some(bare))
                if Self::Cytomining.column_name(bare) == name && !bare.is_empty() =>
            {
                bare.to_owned()
            }
            _ => name.to_owned(),
        }
    }

    /// Whether every metadata column of a table is named as in this schema.
    ///
    /// ```
    /// use morphospace_profiles::{Column, Features, Profiles, Schema};
    ///
    /// let wells = ("address".to_owned(), Column::from(vec!["Z43"]));
    /// let features = vec!["feature_0".to_owned()];
    /// let profiles = Profiles::new(vec![wells], features, Features::F32(vec![0.5]))?;
    /// assert!(Schema::RecursionRxRx3.holds(&profiles));
    /// assert!(!Schema::Recursion.holds(&profiles));
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    pub fn holds(self, profiles: &Profiles) -> bool {
        let mut names = profiles.metadata_names();
        names.all(|name| self.column_name(name) == name)
    }

    /// Of the columns of [`NAMES`].
    fn position(self) -> usize {
        match self {
            Self::Recursion => 0,
            Self::RecursionRxRx3 => 1,
            Self::Cytomining => 2,
        }
    }
}

impl Profiles {
    /// The same table with its metadata columns named in a schema. A column
    /// whose new name is already taken keeps its old one; of `well` and
    /// `address` in one table, `well` is the well.
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
        self.rename_columns(|name| {
            // Names of the first schema come first, then of the second.
            let claim = place(name).map_or(0, |(_, claim)| claim);
            (schema.column_name(name), claim)
        })
    }
}
