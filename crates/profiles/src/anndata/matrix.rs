use std::ops::Range;

use super::element::{ArrayInfo, ElementStore, Numbers, ValueKind, encoding, unreadable};
use super::obs_column::one_dimension;
use crate::ProfilesError;

/// `X`, dense or sparse, from which rows are read.
pub(super) struct Matrix {
    pub(super) num_rows: u64,
    pub(super) num_columns: u64,
    pub(super) kind: ValueKind,
    storage: Storage,
}

enum Storage {
    Dense {
        chunk_rows: u64,
    },
    /// `csr_matrix`: where the values of each row begin.
    Rows {
        starts: Vec<u64>,
    },
    /// `csc_matrix`, which no rows can be read from: sorted by rows, in memory.
    Sorted {
        starts: Vec<u64>,
        columns: Vec<u64>,
        values: Vec<f64>,
    },
}

/// The path of the matrix.
const X: &str = "X";

impl Matrix {
    pub(super) fn open(store: &dyn ElementStore) -> Result<Self, ProfilesError> {
        if !store.is_array(X) && !store.is_group(X) {
            return Err(ProfilesError::Empty {
                what: "AnnData has no matrix X",
            });
        }
        let attributes = store.attributes(X)?;
        let known = [
            ("array", "0.2.0"),
            ("csr_matrix", "0.1.0"),
            ("csc_matrix", "0.1.0"),
            ("null", "0.1.0"),
        ];
        match encoding(&attributes, &known).map_err(|message| unreadable(X, message))? {
            "array" => Self::dense(store),
            "null" => Err(ProfilesError::Empty {
                what: "AnnData has no matrix X",
            }),
            name => {
                let shape = attributes
                    .get("shape")
                    .and_then(serde_json::Value::as_array);
                let shape: Option<Vec<u64>> =
                    shape.and_then(|s| s.iter().map(serde_json::Value::as_u64).collect());
                match shape.as_deref() {
                    Some(&[num_rows, num_columns]) => {
                        Self::sparse(store, num_rows, num_columns, name == "csr_matrix")
                    }
                    _ => Err(unreadable(X, "its attribute 'shape' is not two sizes")),
                }
            }
        }
    }

    fn dense(store: &dyn ElementStore) -> Result<Self, ProfilesError> {
        let ArrayInfo {
            shape,
            kind,
            chunk_rows,
        } = store.array(X)?;
        let [num_rows, num_columns] = shape[..] else {
            return Err(unreadable(
                X,
                format!("its shape {shape:?} is not two sizes"),
            ));
        };
        if kind == ValueKind::Text {
            return Err(unreadable(X, "it holds text"));
        }
        Ok(Self {
            num_rows,
            num_columns,
            kind,
            storage: Storage::Dense { chunk_rows },
        })
    }

    fn sparse(
        store: &dyn ElementStore,
        num_rows: u64,
        num_columns: u64,
        is_by_row: bool,
    ) -> Result<Self, ProfilesError> {
        let kind = match store.array("X/data")?.kind {
            ValueKind::Text => return Err(unreadable("X/data", "it holds text")),
            ValueKind::Single => ValueKind::Single,
            _ => ValueKind::Double,
        };
        let (num_major, num_minor) = match is_by_row {
            true => (num_rows, num_columns),
            false => (num_columns, num_rows),
        };
        let num_values = one_dimension(store, "X/data")?.shape[0];
        if one_dimension(store, "X/indices")?.shape[0] != num_values {
            return Err(unreadable("X/indices", "it is not as long as 'X/data'"));
        }
        let num_starts = one_dimension(store, "X/indptr")?.shape[0];
        let starts = whole_numbers(store, "X/indptr", 0..num_starts)?;
        let is_ascending = starts.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends_there = starts.first() == Some(&0) && starts.last() == Some(&num_values);
        if starts.len() as u64 != num_major + 1 || !is_ascending || !ends_there {
            let message = format!("it does not divide {num_values} values by {num_major}");
            return Err(unreadable("X/indptr", message));
        }
        let storage = if is_by_row {
            Storage::Rows { starts }
        } else {
            sorted_by_row(store, &starts, num_minor)?
        };
        Ok(Self {
            num_rows,
            num_columns,
            kind,
            storage,
        })
    }

    /// Rows that are best read together.
    pub(super) fn chunk_rows(&self) -> u64 {
        match self.storage {
            Storage::Dense { chunk_rows } => chunk_rows,
            Storage::Rows { .. } | Storage::Sorted { .. } => 1,
        }
    }

    /// What is held of it in memory between reads.
    pub(super) fn num_bytes(&self) -> usize {
        match &self.storage {
            Storage::Dense { .. } => 0,
            Storage::Rows { starts } => size_of_val(&starts[..]),
            Storage::Sorted {
                starts,
                columns,
                values,
            } => size_of_val(&starts[..]) + size_of_val(&columns[..]) + size_of_val(&values[..]),
        }
    }

    /// Some rows, one after the other.
    pub(super) fn rows(
        &self,
        store: &dyn ElementStore,
        rows: Range<u64>,
    ) -> Result<Numbers, ProfilesError> {
        let (starts, values, columns) = match &self.storage {
            Storage::Dense { .. } => return store.numbers(X, rows),
            Storage::Rows { starts } => {
                let range = starts[index(rows.start)]..starts[index(rows.end)];
                let values = store.numbers("X/data", range.clone())?;
                let columns = whole_numbers(store, "X/indices", range)?;
                (starts, values, columns)
            }
            Storage::Sorted {
                starts,
                columns,
                values,
            } => {
                let range = index(starts[index(rows.start)])..index(starts[index(rows.end)]);
                let values = Numbers::Double(values[range.clone()].to_vec());
                (starts, values, columns[range].to_vec())
            }
        };
        let first = starts[index(rows.start)];
        let num_columns = index(self.num_columns);
        let mut dense = vec![0.0; index(rows.end - rows.start) * num_columns];
        for row in rows.clone() {
            for place in starts[index(row)]..starts[index(row + 1)] {
                let place = index(place - first);
                if columns[place] >= self.num_columns {
                    let message = format!(
                        "column {} of row {} is beyond the last",
                        columns[place],
                        row + 1
                    );
                    return Err(unreadable("X/indices", message));
                }
                let cell = index(row - rows.start) * num_columns + index(columns[place]);
                // As SciPy does where a place is named twice.
                dense[cell] += values.at(place);
            }
        }
        Ok(match self.kind {
            #[expect(clippy::cast_possible_truncation, reason = "they were single before")]
            ValueKind::Single => Numbers::Single(dense.into_iter().map(|v| v as f32).collect()),
            _ => Numbers::Double(dense),
        })
    }
}

fn index(place: u64) -> usize {
    usize::try_from(place).expect("what is in memory can be counted")
}

fn whole_numbers(
    store: &dyn ElementStore,
    path: &str,
    range: Range<u64>,
) -> Result<Vec<u64>, ProfilesError> {
    let numbers = store.numbers(path, range)?;
    (0..numbers.len())
        .map(|index| {
            numbers
                .integer_at(index)
                .and_then(|n| u64::try_from(n).ok())
        })
        .collect::<Option<_>>()
        .ok_or_else(|| unreadable(path, "its values are no counts"))
}

/// A counting sort of the values of a `csc_matrix` by row.
fn sorted_by_row(
    store: &dyn ElementStore,
    column_starts: &[u64],
    num_rows: u64,
) -> Result<Storage, ProfilesError> {
    let num_values = *column_starts
        .last()
        .expect("it has as many as columns, and one");
    let rows = whole_numbers(store, "X/indices", 0..num_values)?;
    let found = store.numbers("X/data", 0..num_values)?;
    if let Some(row) = rows.iter().find(|row| **row >= num_rows) {
        return Err(unreadable(
            "X/indices",
            format!("row {row} is beyond the last"),
        ));
    }
    let mut starts = vec![0u64; index(num_rows) + 1];
    rows.iter().for_each(|row| starts[index(*row) + 1] += 1);
    for row in 1..starts.len() {
        starts[row] += starts[row - 1];
    }
    let mut next = starts.clone();
    let mut columns = vec![0; rows.len()];
    let mut values = vec![0.0; rows.len()];
    for (column, bounds) in (0u64..).zip(column_starts.windows(2)) {
        for place in bounds[0]..bounds[1] {
            let to = &mut next[index(rows[index(place)])];
            columns[index(*to)] = column;
            values[index(*to)] = found.at(index(place));
            *to += 1;
        }
    }
    Ok(Storage::Sorted {
        starts,
        columns,
        values,
    })
}
