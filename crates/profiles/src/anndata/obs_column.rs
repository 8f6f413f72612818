use std::collections::BTreeMap;
use std::ops::Range;

use super::element::{ArrayInfo, ElementStore, Numbers, ValueKind, encoding, unreadable};
use crate::column::ColumnKind;
use crate::{Column, ProfilesError};

/// A metadata column as AnnData encodes it. Each is an encoding-type.
pub(super) enum EncodedColumn<'a> {
    /// `string-array`
    Strings(Vec<&'a str>),
    /// `categorical`: -1 where the value is missing. Categories are sorted, as
    /// pandas has them.
    Categorical {
        codes: Vec<i32>,
        categories: Vec<&'a str>,
    },
    /// `array`
    Integers(Vec<i64>),
    /// `nullable-integer`: the mask is true where the value is missing.
    NullableIntegers(Vec<i64>, Vec<bool>),
    /// `array`
    Floats(Vec<f64>),
    /// `array`
    Booleans(Vec<bool>),
    /// `nullable-boolean`
    NullableBooleans(Vec<bool>, Vec<bool>),
}

impl<'a> EncodedColumn<'a> {
    pub(super) fn of(column: &'a Column) -> Self {
        fn masked<T: Copy + Default>(values: &[Option<T>]) -> (Vec<T>, Vec<bool>) {
            let mask = values.iter().map(Option::is_none).collect();
            let values = values.iter().map(|value| value.unwrap_or_default());
            (values.collect(), mask)
        }
        match column {
            Column::Text(values) => Self::of_text(values),
            Column::Float(values) => {
                Self::Floats(values.iter().map(|v| v.unwrap_or(f64::NAN)).collect())
            }
            Column::Integer(values) => {
                let (values, mask) = masked(values);
                match mask.contains(&true) {
                    true => Self::NullableIntegers(values, mask),
                    false => Self::Integers(values),
                }
            }
            Column::Boolean(values) => {
                let (values, mask) = masked(values);
                match mask.contains(&true) {
                    true => Self::NullableBooleans(values, mask),
                    false => Self::Booleans(values),
                }
            }
        }
    }

    /// Categorical where a value repeats, as anndata's `strings_to_categoricals`
    /// has it, or is missing, which a string-array has no place for.
    fn of_text(values: &'a [Option<String>]) -> Self {
        let texts = values.iter().flatten().map(String::as_str);
        let mut codes: BTreeMap<&str, i32> = texts.clone().map(|text| (text, 0)).collect();
        if codes.len() == values.len() {
            return Self::Strings(texts.collect());
        }
        for (code, place) in codes.values_mut().zip(0..) {
            *code = place;
        }
        let code = |value: &Option<String>| value.as_deref().map_or(-1, |text| codes[text]);
        Self::Categorical {
            codes: values.iter().map(code).collect(),
            categories: codes.keys().copied().collect(),
        }
    }
}

/// A column of `obs` where it lies, whichever way it is encoded.
pub(super) struct ObsColumn {
    path: String,
    pub(super) kind: ColumnKind,
    /// Rows that are packed together.
    pub(super) chunk_rows: u64,
    storage: Storage,
}

enum Storage {
    /// One array.
    Plain,
    /// Codes into categories, which are in memory.
    Categorical(Column),
    /// Values, and which of them are missing.
    Masked,
}

impl ObsColumn {
    /// Settles what a column is.
    ///
    /// # Errors
    /// Why it is not read, in words, which is no fault of the file; or what is
    /// wrong with it.
    pub(super) fn open(
        store: &dyn ElementStore,
        path: &str,
        num_rows: usize,
    ) -> Result<Result<Self, String>, ProfilesError> {
        const KNOWN: [(&str, &str); 7] = [
            ("array", "0.2.0"),
            ("string-array", "0.2.0"),
            ("categorical", "0.2.0"),
            ("nullable-integer", "0.1.0"),
            ("nullable-boolean", "0.1.0"),
            ("nullable-float", "0.1.0"),
            ("nullable-string-array", "0.1.0"),
        ];
        let attributes = store.attributes(path)?;
        let name = match encoding(&attributes, &KNOWN) {
            Ok(name) => name,
            Err(reason) => return Ok(Err(reason)),
        };
        let (values, storage) = match name {
            "array" | "string-array" => (path.to_owned(), Storage::Plain),
            "categorical" => {
                let categories = format!("{path}/categories");
                let len = one_dimension(store, &categories)?.shape[0];
                let categories = plain(store, &categories, 0..len)?;
                (format!("{path}/codes"), Storage::Categorical(categories))
            }
            _ => {
                let mask = format!("{path}/mask");
                let info = one_dimension(store, &mask)?;
                check_len(&mask, &info, num_rows)?;
                if info.kind != ValueKind::Boolean {
                    return Err(unreadable(&mask, "it does not hold flags"));
                }
                (format!("{path}/values"), Storage::Masked)
            }
        };
        let info = one_dimension(store, &values)?;
        // The column is named, where it is no array of its own.
        check_len(
            if name == "categorical" { &values } else { path },
            &info,
            num_rows,
        )?;
        let kind = match (&storage, info.kind) {
            (Storage::Categorical(categories), ValueKind::Integer) => categories.column_kind(),
            (Storage::Categorical(_), _) => {
                return Err(unreadable(&values, "its values are no whole numbers"));
            }
            (_, ValueKind::Text) => ColumnKind::Text,
            (_, ValueKind::Integer) => ColumnKind::Integer,
            (_, ValueKind::Single | ValueKind::Double) => ColumnKind::Float,
            (_, ValueKind::Boolean) => ColumnKind::Boolean,
        };
        Ok(Ok(Self {
            path: path.to_owned(),
            kind,
            chunk_rows: info.chunk_rows,
            storage,
        }))
    }

    /// Some rows.
    pub(super) fn rows(
        &self,
        store: &dyn ElementStore,
        rows: Range<u64>,
    ) -> Result<Column, ProfilesError> {
        let path = &self.path;
        match &self.storage {
            Storage::Plain => plain(store, path, rows),
            Storage::Categorical(categories) => categorical(store, path, categories, rows),
            Storage::Masked => {
                let mask = store.numbers(&format!("{path}/mask"), rows.clone())?;
                let mut column = plain(store, &format!("{path}/values"), rows)?;
                clear(&mut column, &mask);
                Ok(column)
            }
        }
    }

    /// What is held of it in memory between reads.
    pub(super) fn num_bytes(&self) -> usize {
        match &self.storage {
            Storage::Categorical(categories) => categories.num_bytes(0..categories.len()),
            Storage::Plain | Storage::Masked => 0,
        }
    }
}

fn check_len(path: &str, info: &ArrayInfo, num_rows: usize) -> Result<(), ProfilesError> {
    match info.shape[0] == num_rows as u64 {
        true => Ok(()),
        false => Err(ProfilesError::WrongLength {
            column: path.to_owned(),
            found: usize::try_from(info.shape[0]).unwrap_or(usize::MAX),
            expected: num_rows,
        }),
    }
}

/// An array that has one dimension.
pub(super) fn one_dimension(
    store: &dyn ElementStore,
    path: &str,
) -> Result<ArrayInfo, ProfilesError> {
    let info = store.array(path)?;
    match info.shape.len() {
        1 => Ok(info),
        _ => {
            let message = format!("it has the shape {:?} and not one dimension", info.shape);
            Err(unreadable(path, message))
        }
    }
}

/// Rows of an array of one dimension.
fn plain(store: &dyn ElementStore, path: &str, rows: Range<u64>) -> Result<Column, ProfilesError> {
    if store.array(path)?.kind == ValueKind::Text {
        return Ok(Column::from(store.strings(path, rows)?));
    }
    let some = |value: f64| (!value.is_nan()).then_some(value);
    Ok(match store.numbers(path, rows)? {
        Numbers::Integer(values) => Column::from(values),
        Numbers::Single(values) => {
            Column::Float(values.into_iter().map(|v| some(f64::from(v))).collect())
        }
        Numbers::Double(values) => Column::Float(values.into_iter().map(some).collect()),
        Numbers::Boolean(values) => Column::from(values),
    })
}

/// Codes into categories: the kind of the column is that of the categories.
fn categorical(
    store: &dyn ElementStore,
    path: &str,
    categories: &Column,
    rows: Range<u64>,
) -> Result<Column, ProfilesError> {
    fn pick<T: Clone>(values: &[Option<T>], places: &[Option<usize>]) -> Vec<Option<T>> {
        let places = places.iter();
        places
            .map(|place| place.and_then(|place| values[place].clone()))
            .collect()
    }
    let codes_path = format!("{path}/codes");
    let codes = store.numbers(&codes_path, rows.clone())?;
    let place = |index: usize| -> Result<Option<usize>, ProfilesError> {
        let code = codes.integer_at(index).expect("codes are whole numbers");
        match usize::try_from(code) {
            Err(_) if code == -1 => Ok(None),
            Ok(code) if code < categories.len() => Ok(Some(code)),
            _ => Err(unreadable(
                &codes_path,
                format!(
                    "code {code} of row {} is beyond the {} categories",
                    rows.start + index as u64 + 1,
                    categories.len()
                ),
            )),
        }
    };
    let places: Vec<Option<usize>> = (0..codes.len()).map(place).collect::<Result<_, _>>()?;
    Ok(match categories {
        Column::Text(values) => Column::Text(pick(values, &places)),
        Column::Integer(values) => Column::Integer(pick(values, &places)),
        Column::Float(values) => Column::Float(pick(values, &places)),
        Column::Boolean(values) => Column::Boolean(pick(values, &places)),
    })
}

/// Takes away the values whose flag in the mask is set.
fn clear(column: &mut Column, mask: &Numbers) {
    fn clear<T>(values: &mut [Option<T>], mask: &Numbers) {
        for (index, value) in values.iter_mut().enumerate() {
            if mask.integer_at(index) == Some(1) {
                *value = None;
            }
        }
    }
    match column {
        Column::Text(values) => clear(values, mask),
        Column::Integer(values) => clear(values, mask),
        Column::Float(values) => clear(values, mask),
        Column::Boolean(values) => clear(values, mask),
    }
}
