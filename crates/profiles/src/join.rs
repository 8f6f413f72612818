use std::collections::HashMap;

use morphospace_core::suggestion;

use crate::{Column, Profiles, ProfilesError};

/// How many rows of a table found theirs in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Rows with a partner.
    pub num_found: usize,
    /// Rows without: the added columns are empty there.
    pub num_missing: usize,
}

impl Profiles {
    /// Adds the metadata columns of another table, of the row that has the same key:
    /// published embeddings have an identifier (`well_id`, `site_id`), and what is in
    /// the wells stands in a table beside them.
    ///
    /// Columns that this table has already stay as they are.
    ///
    /// # Errors
    /// [`ProfilesError::MissingColumn`]; [`ProfilesError::DuplicateKey`] if two rows of
    /// the other table have one key; [`ProfilesError::NoCommonKey`] if no key is found.
    ///
    /// # Example
    /// ```
    /// use morphospace_profiles::{Column, Features, Profiles};
    ///
    /// let text = |values: Vec<&str>| Column::from(values);
    /// let embeddings = Profiles::new(
    ///     vec![("well_id".to_owned(), text(vec!["a", "b"]))],
    ///     vec!["feature_0".to_owned()],
    ///     Features::F32(vec![1.0, 2.0]),
    /// )?;
    /// let wells = Profiles::new(
    ///     vec![
    ///         ("well_id".to_owned(), text(vec!["b", "a"])),
    ///         ("gene".to_owned(), text(vec!["TP53", "KRAS"])),
    ///     ],
    ///     vec![],
    ///     Features::F32(vec![]),
    /// )?;
    /// let (joined, counts) = embeddings.join(&wells, "well_id", "well_id")?;
    /// assert_eq!(joined.keys("gene")?, ["KRAS", "TP53"]);
    /// assert_eq!((counts.num_found, counts.num_missing), (2, 0));
    /// # Ok::<(), morphospace_profiles::ProfilesError>(())
    /// ```
    pub fn join(
        self,
        other: &Self,
        column: &str,
        other_column: &str,
    ) -> Result<(Self, Joined), ProfilesError> {
        let keys = self.text(column)?;
        let mut rows: HashMap<String, usize> = HashMap::new();
        for (row, key) in other.text(other_column)?.into_iter().enumerate() {
            if let Some(key) = key
                && let Some(first) = rows.insert(key.clone(), row)
            {
                return Err(ProfilesError::DuplicateKey {
                    column: other_column.to_owned(),
                    key,
                    first: first + 1,
                    second: row + 1,
                });
            }
        }
        let partners: Vec<Option<usize>> = keys
            .iter()
            .map(|key| rows.get(key.as_ref()?).copied())
            .collect();
        let num_found = partners.iter().flatten().count();
        if num_found == 0 {
            let mine = keys.iter().flatten().next().cloned().unwrap_or_default();
            let mut theirs: Vec<&String> = rows.keys().collect();
            theirs.sort_unstable();
            let near = suggestion(&mine, theirs.iter().map(|key| key.as_str()));
            let near = near.or(theirs.first().map(|key| key.as_str()));
            return Err(ProfilesError::NoCommonKey {
                column: column.to_owned(),
                other_column: other_column.to_owned(),
                theirs: near.unwrap_or_default().to_owned(),
                mine,
            });
        }
        let mut joined = self;
        for (name, values) in other.metadata() {
            let is_there = joined.has_column(name) || joined.feature_names().contains(name);
            if name != other_column && !is_there {
                joined = joined.with_column(name.clone(), values.select_some(&partners))?;
            }
        }
        let counts = Joined {
            num_found,
            num_missing: partners.len() - num_found,
        };
        Ok((joined, counts))
    }
}

impl Column {
    /// The values at some rows, missing where there is none.
    fn select_some(&self, rows: &[Option<usize>]) -> Self {
        fn pick<T: Clone>(values: &[Option<T>], rows: &[Option<usize>]) -> Vec<Option<T>> {
            let rows = rows.iter();
            rows.map(|row| row.and_then(|row| values[row].clone()))
                .collect()
        }
        match self {
            Self::Text(values) => Self::Text(pick(values, rows)),
            Self::Integer(values) => Self::Integer(pick(values, rows)),
            Self::Float(values) => Self::Float(pick(values, rows)),
            Self::Boolean(values) => Self::Boolean(pick(values, rows)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Features;

    fn table(columns: Vec<(&str, Column)>) -> Profiles {
        let columns = columns.into_iter();
        let columns = columns.map(|(name, values)| (name.to_owned(), values));
        Profiles::new(columns.collect(), vec![], Features::F64(vec![])).expect("a table")
    }

    #[test]
    fn rows_without_a_partner_stay_and_own_columns_too() {
        let mine = table(vec![
            (
                "id",
                Column::Text(vec![Some("b".into()), None, Some("x".into())]),
            ),
            ("gene", Column::from(vec!["own"; 3])),
        ]);
        let theirs = table(vec![
            ("key", Column::from(vec!["a", "b"])),
            ("gene", Column::from(vec!["KRAS", "TP53"])),
            ("dose", Column::Float(vec![Some(1.0), Some(0.25)])),
        ]);
        let (joined, counts) = mine.join(&theirs, "id", "key").expect("one is found");
        assert_eq!(
            counts,
            Joined {
                num_found: 1,
                num_missing: 2
            }
        );
        let names: Vec<&str> = joined.metadata_names().collect();
        assert_eq!(names, ["id", "gene", "dose"]);
        assert_eq!(
            joined.column("dose").expect("joined").text_at(0).as_deref(),
            Some("0.25")
        );
        assert_eq!(joined.column("dose").expect("joined").text_at(2), None);
        assert_eq!(joined.keys("gene").expect("kept"), ["own"; 3]);
    }

    #[test]
    fn keys_that_do_not_fit_are_refused() {
        let mine = table(vec![("id", Column::from(vec!["HUVEC-1_1_B02"]))]);
        let twice = table(vec![("id", Column::from(vec!["a", "a"]))]);
        let error = mine.clone().join(&twice, "id", "id").expect_err("twice");
        assert!(error.to_string().contains("'a' in rows 1 and 2"), "{error}");
        let other = table(vec![("id", Column::from(vec!["HUVEC-01_1_B02"]))]);
        let error = mine.clone().join(&other, "id", "id").expect_err("none");
        assert!(error.to_string().contains("HUVEC-01_1_B02"), "{error}");
        assert!(mine.join(&other, "id", "key").is_err());
    }
}
