use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use morphospace_core::{Provenance, suggestion};

use crate::{Column, Features, ProfilesError, Schema};

/// A profile table: one row per well (or site, or perturbation), metadata
/// columns that say what the row is, and a row-major matrix of features.
///
/// Column names are unique over metadata and features together. Features
/// keep the precision they were read in ([`Profiles::features`]); arithmetic
/// takes them in double precision ([`Profiles::values`]). A missing feature
/// value is NaN, and [`Profiles::check_finite`] refuses it by name.
///
/// ```
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let profiles = Profiles::new(
///     vec![("Metadata_Well".to_owned(), Column::from(vec!["A01", "A02"]))],
///     vec!["feature_0".to_owned(), "feature_1".to_owned()],
///     Features::F64(vec![1.0, 2.0, 3.0, 4.0]),
/// )?;
/// assert_eq!(profiles.num_rows(), 2);
/// assert_eq!(profiles.keys("Metadata_Well")?, ["A01", "A02"]);
/// assert_eq!(profiles.row(1), [3.0, 4.0]);
///
/// let error = profiles.column("Metadata_Wel").unwrap_err();
/// assert!(error.to_string().contains("did you mean 'Metadata_Well'"));
/// # Ok::<(), morphospace_profiles::ProfilesError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    metadata: Vec<(String, Column)>,
    feature_names: Vec<String>,
    features: Features,
    num_rows: usize,
    provenance: Option<Provenance>,
}

impl Profiles {
    /// A table from its parts.
    ///
    /// # Errors
    /// Columns of different lengths, a number of values that is not rows
    /// times features, or a column name that is empty or occurs twice.
    pub fn new(
        metadata: Vec<(String, Column)>,
        feature_names: Vec<String>,
        features: Features,
    ) -> Result<Self, ProfilesError> {
        let num_features = feature_names.len();
        let num_rows = match metadata.first() {
            Some((_, column)) => column.len(),
            None if num_features == 0 => 0,
            None => features.len() / num_features,
        };
        for (name, column) in &metadata {
            if column.len() != num_rows {
                return Err(ProfilesError::WrongLength {
                    column: name.clone(),
                    found: column.len(),
                    expected: num_rows,
                });
            }
        }
        if num_rows.checked_mul(num_features) != Some(features.len()) {
            return Err(ProfilesError::WrongNumberOfValues {
                found: features.len(),
                num_rows,
                num_features,
            });
        }
        let names = metadata.iter().map(|(name, _)| name.as_str());
        check_names(names.chain(feature_names.iter().map(String::as_str)))?;
        Ok(Self {
            metadata,
            feature_names,
            features,
            num_rows,
            provenance: None,
        })
    }

    /// Number of rows.
    pub fn num_rows(&self) -> usize {
        self.num_rows
    }

    /// Number of features.
    pub fn num_features(&self) -> usize {
        self.feature_names.len()
    }

    /// The metadata columns with their names, in file order.
    pub fn metadata(&self) -> &[(String, Column)] {
        &self.metadata
    }

    /// Names of the metadata columns, in file order.
    pub fn metadata_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.metadata.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is a metadata column of this name.
    pub fn has_column(&self, name: &str) -> bool {
        self.metadata_names().any(|other| other == name)
    }

    /// The name under which the table has a column, in whichever schema it names
    /// its own: `Metadata_Batch` finds `experiment`. Letters count in either case
    /// where no column has the very name.
    ///
    /// # Errors
    /// [`ProfilesError::MissingColumn`] suggests the nearest name.
    pub fn column_in_any_schema(&self, name: &str) -> Result<&str, ProfilesError> {
        let shared = |name: &str| Schema::Cytomining.column_name(name);
        let asked = shared(name);
        let mut names = self.metadata_names();
        names
            .clone()
            .find(|other| *other == name)
            .or_else(|| names.find(|other| shared(other).eq_ignore_ascii_case(&asked)))
            .ok_or_else(|| self.missing_column(name))
    }

    /// A metadata column by its name.
    ///
    /// # Errors
    /// [`ProfilesError::MissingColumn`] suggests the nearest name.
    pub fn column(&self, name: &str) -> Result<&Column, ProfilesError> {
        self.metadata
            .iter()
            .find(|(other, _)| other == name)
            .map(|(_, column)| column)
            .ok_or_else(|| self.missing_column(name))
    }

    fn missing_column(&self, name: &str) -> ProfilesError {
        ProfilesError::MissingColumn {
            name: name.to_owned(),
            suggestion: suggestion(name, self.metadata_names()).map(str::to_owned),
            available: self.metadata_names().map(str::to_owned).collect(),
        }
    }

    /// A metadata column of any kind as text, `None` where a value is
    /// missing.
    ///
    /// # Errors
    /// [`ProfilesError::MissingColumn`] suggests the nearest name.
    pub fn text(&self, name: &str) -> Result<Vec<Option<String>>, ProfilesError> {
        let column = self.column(name)?;
        Ok((0..column.len()).map(|row| column.text_at(row)).collect())
    }

    /// [`Profiles::text`] of a column that must be filled: batches, labels.
    ///
    /// # Errors
    /// The column is missing, or [`ProfilesError::MissingKey`] names the
    /// first row without a value.
    pub fn keys(&self, name: &str) -> Result<Vec<String>, ProfilesError> {
        let missing = |row| ProfilesError::MissingKey {
            column: name.to_owned(),
            row: self.describe_row(row),
        };
        let values = self.text(name)?;
        values
            .into_iter()
            .enumerate()
            .map(|(row, value)| value.ok_or_else(|| missing(row)))
            .collect()
    }

    /// Names of the features, in column order.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The features in the precision they were stored with.
    pub fn features(&self) -> &Features {
        &self.features
    }

    /// The features in double precision, row-major
    /// `[num_rows, num_features]`.
    pub fn values(&self) -> Cow<'_, [f64]> {
        self.features.to_f64()
    }

    /// One row's features in double precision.
    ///
    /// # Panics
    /// `row` is beyond the last one.
    pub fn row(&self, row: usize) -> Vec<f64> {
        let num_features = self.num_features();
        (row * num_features..(row + 1) * num_features)
            .map(|i| self.features.at(i))
            .collect()
    }

    /// The same rows with other features, e.g. after an alignment. The
    /// provenance is dropped: it was that of the old values.
    ///
    /// # Errors
    /// The number of values is not rows times features, or a name is taken.
    pub fn with_values(
        &self,
        feature_names: Vec<String>,
        values: Vec<f64>,
    ) -> Result<Self, ProfilesError> {
        Self::new(self.metadata.clone(), feature_names, Features::F64(values))
    }

    /// Adds a metadata column, or replaces the one of the same name in its
    /// place.
    ///
    /// # Errors
    /// The column's length differs from the table's, or a feature has its
    /// name.
    pub fn with_column(
        mut self,
        name: impl Into<String>,
        column: Column,
    ) -> Result<Self, ProfilesError> {
        let name = name.into();
        if column.len() != self.num_rows {
            return Err(ProfilesError::WrongLength {
                column: name,
                found: column.len(),
                expected: self.num_rows,
            });
        }
        if name.is_empty() {
            return Err(ProfilesError::UnnamedColumn {
                position: self.metadata.len() + 1,
            });
        }
        if self.feature_names.contains(&name) {
            return Err(ProfilesError::DuplicateColumn { name });
        }
        match self.metadata.iter_mut().find(|(other, _)| *other == name) {
            Some((_, old)) => *old = column,
            None => self.metadata.push((name, column)),
        }
        Ok(self)
    }

    /// Removes a metadata column, if it is there.
    #[must_use]
    pub fn without_column(mut self, name: &str) -> Self {
        self.metadata.retain(|(other, _)| other != name);
        self
    }

    /// Some rows, in the order given; a row may be named several times.
    ///
    /// # Panics
    /// A row is beyond the last one.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let metadata = self
            .metadata
            .iter()
            .map(|(name, column)| (name.clone(), column.select(rows)));
        Self {
            metadata: metadata.collect(),
            feature_names: self.feature_names.clone(),
            features: self.features.select(rows, self.num_features()),
            num_rows: rows.len(),
            provenance: self.provenance.clone(),
        }
    }

    /// One table below the other, in the order given; where they came from is
    /// what the first says.
    ///
    /// # Errors
    /// [`ProfilesError::OtherColumns`] if the columns differ, or
    /// [`ProfilesError::Empty`] if there is no table.
    ///
    /// ```
    /// use morphospace_profiles::{Column, Features, Profiles};
    ///
    /// let row = |well: &str, value| {
    ///     let wells = vec![("Metadata_Well".to_owned(), Column::from(vec![well]))];
    ///     Profiles::new(wells, vec!["feature_0".to_owned()], Features::F32(vec![value]))
    /// };
    /// let both = Profiles::concat(&[row("A01", 0.5)?, row("A02", 1.5)?])?;
    /// assert_eq!(both.keys("Metadata_Well")?, ["A01", "A02"]);
    /// assert_eq!(both.row(1), [1.5]);
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    pub fn concat(tables: &[Self]) -> Result<Self, ProfilesError> {
        let Some((first, others)) = tables.split_first() else {
            let what = "there is no table to begin with";
            return Err(ProfilesError::Empty { what });
        };
        let mut all = first.clone();
        for table in others {
            if let Some(difference) = first.difference_of_columns(table) {
                return Err(ProfilesError::OtherColumns { difference });
            }
            for ((_, column), (_, more)) in all.metadata.iter_mut().zip(&table.metadata) {
                column.extend(more);
            }
            let values = 0..table.features.len();
            all.features.extend_from(&table.features, values);
            all.num_rows += table.num_rows;
        }
        Ok(all)
    }

    /// In what another table's columns differ from these.
    pub(crate) fn difference_of_columns(&self, other: &Self) -> Option<String> {
        let number = |found: usize, expected: usize, noun: &str| {
            let message = format!("{found} {noun} columns in place of {expected}");
            (found != expected).then_some(message)
        };
        number(other.metadata().len(), self.metadata().len(), "metadata")
            .or_else(|| number(other.num_features(), self.num_features(), "feature"))
            .or_else(|| {
                let mut pairs = other.metadata().iter().zip(self.metadata());
                pairs.find_map(|((name, column), (expected, like))| {
                    let (found, kind) = (column.kind(), like.kind());
                    if name != expected {
                        Some(format!("column '{name}' in place of '{expected}'"))
                    } else if found != kind {
                        Some(format!("column '{name}' is {found} and not {kind}"))
                    } else {
                        None
                    }
                })
            })
            .or_else(|| {
                let mut pairs = other.feature_names().iter().zip(self.feature_names());
                let (name, expected) = pairs.find(|(name, expected)| name != expected)?;
                Some(format!("feature '{name}' in place of '{expected}'"))
            })
            .or_else(|| {
                let (found, expected) = (other.features().precision(), self.features().precision());
                (found != expected).then(|| format!("the features are {found} and not {expected}"))
            })
    }

    /// Refuses NaN and infinity, which would spread from one well to every
    /// other through a covariance.
    ///
    /// # Errors
    /// [`ProfilesError::NotFinite`] names the first feature and row and says
    /// how many values are concerned.
    pub fn check_finite(&self) -> Result<(), ProfilesError> {
        let mut first = None;
        let mut count = 0;
        for index in 0..self.features.len() {
            let value = self.features.at(index);
            if !value.is_finite() {
                count += 1;
                first.get_or_insert((index, value));
            }
        }
        match first {
            None => Ok(()),
            Some((index, value)) => Err(ProfilesError::NotFinite {
                count,
                value,
                feature: self.feature_names[index % self.num_features()].clone(),
                row: self.describe_row(index / self.num_features()),
            }),
        }
    }

    /// Refuses two rows with the same values in some metadata columns, such as
    /// plate and well. Missing values are alike.
    ///
    /// # Errors
    /// [`ProfilesError::DuplicateRow`] names both rows, the first such pair from
    /// the top; or one of the columns is missing.
    ///
    /// ```
    /// use morphospace_profiles::{Column, Features, Profiles};
    ///
    /// let profiles = Profiles::new(
    ///     vec![
    ///         ("Metadata_Plate".to_owned(), Column::from(vec!["P1", "P2", "P1"])),
    ///         ("Metadata_Well".to_owned(), Column::from(vec!["A01", "A01", "A01"])),
    ///     ],
    ///     vec!["feature_0".to_owned()],
    ///     Features::F32(vec![0.0; 3]),
    /// )?;
    /// let error = profiles.check_unique(&["Metadata_Plate", "Metadata_Well"]).unwrap_err();
    /// assert!(error.to_string().starts_with(
    ///     "row 1 (plate 'P1' well 'A01') and row 3 (plate 'P1' well 'A01') are the same by \
    ///      'Metadata_Plate', 'Metadata_Well'"
    /// ));
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    pub fn check_unique(&self, columns: &[&str]) -> Result<(), ProfilesError> {
        let texts: Vec<Vec<Option<String>>> = columns
            .iter()
            .map(|name| self.text(name))
            .collect::<Result<_, _>>()?;
        let mut seen: HashMap<Vec<Option<&str>>, usize> = HashMap::new();
        for row in 0..self.num_rows {
            let key = texts.iter().map(|column| column[row].as_deref()).collect();
            if let Some(first) = seen.insert(key, row) {
                return Err(ProfilesError::DuplicateRow {
                    columns: columns.iter().map(ToString::to_string).collect(),
                    first: self.describe_row(first),
                    second: self.describe_row(row),
                });
            }
        }
        Ok(())
    }

    /// The same table with another beginning of its features' names: those that
    /// begin with `from` begin with `to`, others stay.
    ///
    /// pycytominer takes columns that begin with `Cells_`, `Cytoplasm_` or
    /// `Nuclei_` for features, and no others unless it is told.
    ///
    /// # Errors
    /// [`ProfilesError::NoSuchColumns`] if no feature begins so,
    /// [`ProfilesError::DuplicateColumn`] if a new name is taken.
    ///
    /// ```
    /// use morphospace_profiles::{Features, Profiles};
    ///
    /// let names = vec!["feature_0".to_owned(), "feature_1".to_owned()];
    /// let profiles = Profiles::new(vec![], names, Features::F32(vec![0.5, 1.5]))?;
    /// let renamed = profiles.clone().rename_features("feature_", "Cells_")?;
    /// assert_eq!(renamed.feature_names(), ["Cells_0", "Cells_1"]);
    /// assert_eq!(renamed.rename_features("Cells_", "feature_")?, profiles);
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    pub fn rename_features(mut self, from: &str, to: &str) -> Result<Self, ProfilesError> {
        if !self.feature_names.iter().any(|name| name.starts_with(from)) {
            let begins = self.feature_names.iter();
            let begins = begins.filter_map(|name| name.split_inclusive('_').next());
            return Err(ProfilesError::NoSuchColumns {
                pattern: from.to_owned(),
                suggestion: suggestion(from, begins).map(str::to_owned),
                available: self.feature_names,
            });
        }
        for name in &mut self.feature_names {
            if let Some(rest) = name.strip_prefix(from) {
                *name = format!("{to}{rest}");
            }
        }
        let features = self.feature_names.iter().map(String::as_str);
        check_names(self.metadata_names().chain(features))?;
        Ok(self)
    }

    /// Where the table came from, if its file said so.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Sets the provenance, which is written into the table's file.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// A row as messages name it: its number from 1, and batch, plate, well
    /// and site where the table has them.
    pub fn describe_row(&self, row: usize) -> String {
        const PLACES: [(&str, [&str; 3]); 4] = [
            ("batch", ["Metadata_Batch", "experiment", "experiment_name"]),
            ("plate", ["Metadata_Plate", "plate", "Metadata_Plate"]),
            ("well", ["Metadata_Well", "well", "address"]),
            ("site", ["Metadata_Site", "site", "Metadata_Site"]),
        ];
        let places: Vec<String> = PLACES
            .iter()
            .filter_map(|(noun, names)| {
                let column = names.iter().find_map(|name| self.column(name).ok())?;
                Some(format!("{noun} '{}'", column.text_at(row)?))
            })
            .collect();
        if places.is_empty() {
            format!("row {}", row + 1)
        } else {
            format!("row {} ({})", row + 1, places.join(" "))
        }
    }

    /// Renames metadata columns to what `rename` says, with how much each has a
    /// claim to its new name: of two with one new name the lower claim has it,
    /// of equal claims the first. A column that does not get its new name keeps
    /// its old one.
    pub(crate) fn rename_columns(&self, rename: impl Fn(&str) -> (String, usize)) -> Self {
        let mut taken: HashSet<String> = self.feature_names.iter().cloned().collect();
        taken.extend(self.metadata_names().map(str::to_owned));
        let mut wishes: Vec<(usize, usize, String)> = self
            .metadata_names()
            .enumerate()
            .map(|(index, name)| {
                let (new, claim) = rename(name);
                (claim, index, new)
            })
            .collect();
        wishes.sort();
        let mut renamed = self.clone();
        for (_, index, new) in wishes {
            let name = &mut renamed.metadata[index].0;
            if new != *name && taken.insert(new.clone()) {
                taken.remove(name.as_str());
                *name = new;
            }
        }
        renamed
    }
}

/// Refuses a name that is empty or occurs twice.
pub(crate) fn check_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), ProfilesError> {
    let mut seen = HashSet::new();
    for (index, name) in names.enumerate() {
        if name.is_empty() {
            return Err(ProfilesError::UnnamedColumn {
                position: index + 1,
            });
        }
        if !seen.insert(name) {
            return Err(ProfilesError::DuplicateColumn {
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}
