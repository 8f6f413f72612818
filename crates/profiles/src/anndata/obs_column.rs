use std::collections::BTreeMap;

use super::element::{ElementStore, Numbers, ValueKind, encoding, unreadable};
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

/// Reads a column of `obs`, whichever way it is encoded.
///
/// # Errors
/// Why it is not read, in words, which is no fault of the file; or what is
/// wrong with it.
pub(super) fn read(
    store: &dyn ElementStore,
    path: &str,
    num_rows: usize,
) -> Result<Result<Column, String>, ProfilesError> {
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
    let column = match name {
        "array" | "string-array" => plain(store, path)?,
        "categorical" => categorical(store, path)?,
        _ => {
            let mask = flags(store, &format!("{path}/mask"))?;
            masked(path, plain(store, &format!("{path}/values"))?, &mask)?
        }
    };
    if column.len() != num_rows {
        return Err(ProfilesError::WrongLength {
            column: path.to_owned(),
            found: column.len(),
            expected: num_rows,
        });
    }
    Ok(Ok(column))
}

/// An array of one dimension.
fn plain(store: &dyn ElementStore, path: &str) -> Result<Column, ProfilesError> {
    let info = store.array(path)?;
    let [len] = info.shape[..] else {
        return Err(unreadable(
            path,
            format!("it has the shape {:?} and not one dimension", info.shape),
        ));
    };
    if info.kind == ValueKind::Text {
        return Ok(Column::from(store.strings(path)?));
    }
    let some = |value: f64| (!value.is_nan()).then_some(value);
    Ok(match store.numbers(path, 0..len)? {
        Numbers::Integer(values) => Column::from(values),
        Numbers::Single(values) => {
            Column::Float(values.into_iter().map(|v| some(f64::from(v))).collect())
        }
        Numbers::Double(values) => Column::Float(values.into_iter().map(some).collect()),
        Numbers::Boolean(values) => Column::from(values),
    })
}

/// Codes into categories: the kind of the column is that of the categories.
fn categorical(store: &dyn ElementStore, path: &str) -> Result<Column, ProfilesError> {
    let codes_path = format!("{path}/codes");
    let info = store.array(&codes_path)?;
    let [len] = info.shape[..] else {
        return Err(unreadable(&codes_path, "it has not one dimension"));
    };
    let codes = store.numbers(&codes_path, 0..len)?;
    let categories = plain(store, &format!("{path}/categories"))?;
    let place = |row: usize| -> Result<Option<usize>, ProfilesError> {
        match codes.integer_at(row) {
            Some(-1) => Ok(None),
            Some(code) => match usize::try_from(code) {
                Ok(code) if code < categories.len() => Ok(Some(code)),
                _ => Err(unreadable(
                    &codes_path,
                    format!(
                        "code {code} of row {} is beyond the {} categories",
                        row + 1,
                        categories.len()
                    ),
                )),
            },
            None => Err(unreadable(&codes_path, "its values are no whole numbers")),
        }
    };
    let places: Vec<Option<usize>> = (0..codes.len()).map(place).collect::<Result<_, _>>()?;
    fn pick<T: Clone>(values: &[Option<T>], places: &[Option<usize>]) -> Vec<Option<T>> {
        let places = places.iter();
        places
            .map(|place| place.and_then(|place| values[place].clone()))
            .collect()
    }
    Ok(match &categories {
        Column::Text(values) => Column::Text(pick(values, &places)),
        Column::Integer(values) => Column::Integer(pick(values, &places)),
        Column::Float(values) => Column::Float(pick(values, &places)),
        Column::Boolean(values) => Column::Boolean(pick(values, &places)),
    })
}

fn flags(store: &dyn ElementStore, path: &str) -> Result<Vec<bool>, ProfilesError> {
    match plain(store, path)? {
        Column::Boolean(values) => Ok(values.into_iter().flatten().collect()),
        other => Err(unreadable(
            path,
            format!("it is {} and not flags", other.kind()),
        )),
    }
}

/// Takes away the values whose mask is true.
fn masked(path: &str, mut column: Column, mask: &[bool]) -> Result<Column, ProfilesError> {
    fn clear<T>(values: &mut [Option<T>], mask: &[bool]) {
        for (value, _) in values
            .iter_mut()
            .zip(mask)
            .filter(|(_, is_missing)| **is_missing)
        {
            *value = None;
        }
    }
    if mask.len() != column.len() {
        return Err(ProfilesError::WrongLength {
            column: format!("{path}/mask"),
            found: mask.len(),
            expected: column.len(),
        });
    }
    match &mut column {
        Column::Text(values) => clear(values, mask),
        Column::Integer(values) => clear(values, mask),
        Column::Float(values) => clear(values, mask),
        Column::Boolean(values) => clear(values, mask),
    }
    Ok(column)
}
