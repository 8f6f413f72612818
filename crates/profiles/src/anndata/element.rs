use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Value};

use crate::ProfilesError;

/// What the values of an array are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    Integer,
    Single,
    Double,
    Boolean,
    Text,
}

/// An array before its values are read.
#[derive(Clone, Debug)]
pub(super) struct ArrayInfo {
    pub(super) shape: Vec<u64>,
    pub(super) kind: ValueKind,
    /// Rows that are packed together.
    pub(super) chunk_rows: u64,
}

/// Values of an array that are not text.
#[derive(Clone, Debug)]
pub(super) enum Numbers {
    Integer(Vec<i64>),
    Single(Vec<f32>),
    Double(Vec<f64>),
    Boolean(Vec<bool>),
}

impl Numbers {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Integer(values) => values.len(),
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
            Self::Boolean(values) => values.len(),
        }
    }

    /// A value in double precision; flags are 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "as NumPy does")]
    pub(super) fn at(&self, index: usize) -> f64 {
        match self {
            Self::Integer(values) => values[index] as f64,
            Self::Single(values) => f64::from(values[index]),
            Self::Double(values) => values[index],
            Self::Boolean(values) => f64::from(u8::from(values[index])),
        }
    }

    /// A whole number, `None` where it is none.
    pub(super) fn integer_at(&self, index: usize) -> Option<i64> {
        match self {
            Self::Integer(values) => Some(values[index]),
            Self::Boolean(values) => Some(i64::from(values[index])),
            Self::Single(_) | Self::Double(_) => None,
        }
    }
}

/// Where AnnData's elements lie. Paths are those of AnnData, `obs/Metadata_Well`.
pub(super) trait ElementStore: Send + Sync {
    fn is_group(&self, path: &str) -> bool;

    fn is_array(&self, path: &str) -> bool;

    /// Names of what lies in a group, in no order; of none if it is no group.
    fn names(&self, path: &str) -> Vec<String>;

    /// The attributes of a group or an array.
    fn attributes(&self, path: &str) -> Result<Map<String, Value>, ProfilesError>;

    fn array(&self, path: &str) -> Result<ArrayInfo, ProfilesError>;

    /// Some rows of an array of text; of one without dimensions its one value,
    /// as row 0.
    fn strings(&self, path: &str, rows: Range<u64>) -> Result<Vec<String>, ProfilesError>;

    /// Some rows of an array of numbers, one after the other.
    fn numbers(&self, path: &str, rows: Range<u64>) -> Result<Numbers, ProfilesError>;
}

/// An error about an element.
pub(super) fn unreadable(element: &str, message: impl std::fmt::Display) -> ProfilesError {
    ProfilesError::UnreadableElement {
        element: element.to_owned(),
        message: message.to_string(),
    }
}

/// The encoding of an element, if it is one of those given as type and newest
/// version that is read.
///
/// # Errors
/// Why it is not read, in words.
pub(super) fn encoding(
    attributes: &Map<String, Value>,
    known: &[(&'static str, &str)],
) -> Result<&'static str, String> {
    let text = |key: &str| attributes.get(key).and_then(Value::as_str);
    let found = text("encoding-type").unwrap_or_default();
    let version = text("encoding-version").unwrap_or_default();
    let Some((name, newest)) = known.iter().find(|(name, _)| *name == found) else {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        return Err(format!(
            "its encoding-type is '{}' and not {}",
            morphospace_core::excerpt(found),
            names.join(" or ")
        ));
    };
    let parts = |version: &str| -> Option<Vec<u32>> {
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    match parts(version) {
        Some(parts_found) if parts_found <= parts(newest).expect("ours are numbers") => Ok(name),
        _ => Err(format!(
            "its encoding-version of '{found}' is '{}', the newest that is read is {newest}\n\
             hint: write it again with an older anndata, or update this program",
            morphospace_core::excerpt(version)
        )),
    }
}

/// Runs what decodes a foreign element. The decoders panic at some values that
/// contradict each other; here that is damage like any other.
pub(super) fn caught<T>(
    element: &str,
    decode: impl FnOnce() -> Result<T, String>,
) -> Result<T, ProfilesError> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("its contents contradict each other".to_owned()))
        .map_err(|message| unreadable(element, message))
}

/// Refuses what no memory holds before a decoder asks for it, which would end
/// the program.
pub(super) fn check_room(num_values: u64, value_bytes: u64) -> Result<(), String> {
    let num_bytes = num_values.checked_mul(value_bytes);
    let num_bytes = num_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    num_bytes
        .and_then(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).ok())
        .ok_or_else(|| format!("{num_values} values do not fit into memory"))
}
