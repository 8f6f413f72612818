use std::cmp::Reverse;
use std::fs;
use std::num::IntErrorKind;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read config '{}'", path.display())]
    CannotRead {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The text is not valid TOML or does not fit the settings.
    #[error("config '{name}': {message}")]
    Invalid {
        /// File name, or what the text is.
        name: String,
        /// What is wrong, where, and the nearest valid key.
        message: String,
    },
    /// `--set` was not `key=value`.
    #[error("override '{text}' is not of the form key=value (example: --set seed=7)")]
    InvalidOverride {
        /// What was given.
        text: String,
    },
    /// A whole number that TOML cannot hold.
    #[error(
        "override '{text}': the number is too large\nhint: whole numbers lie between {} and {}",
        i64::MIN,
        i64::MAX
    )]
    NumberTooLarge {
        /// What was given.
        text: String,
    },
}

/// Reads a TOML file into settings; unknown keys are refused with the
/// nearest valid one (the type must be `#[serde(deny_unknown_fields)]`).
///
/// # Errors
/// [`ConfigError`] names the file, the place and the fix.
pub fn read_config<T: DeserializeOwned>(
    path: &Path,
    overrides: &[String],
) -> Result<T, ConfigError> {
    let text = fs::read_to_string(path).map_err(|source| ConfigError::CannotRead {
        path: path.to_owned(),
        source,
    })?;
    parse_config(&path.display().to_string(), &text, overrides)
}

/// [`read_config`] for text already in hand.
///
/// # Errors
/// [`ConfigError`] names the place and the fix.
///
/// ```
/// use morphospace_core::parse_config;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Settings { num_plates: usize }
///
/// let settings: Settings = parse_config("text", "num_plates = 2", &["num_plates=3".into()])?;
/// assert_eq!(settings.num_plates, 3);
/// let error = parse_config::<Settings>("text", "num_plate = 2", &[]).err().unwrap();
/// assert!(error.to_string().contains("did you mean 'num_plates'"));
/// # Ok::<(), morphospace_core::ConfigError>(())
/// ```
pub fn parse_config<T: DeserializeOwned>(
    name: &str,
    text: &str,
    overrides: &[String],
) -> Result<T, ConfigError> {
    let invalid = |error: toml::de::Error| ConfigError::Invalid {
        name: name.to_owned(),
        message: with_suggestion(error.to_string().trim_end()),
    };
    if overrides.is_empty() {
        // Straight from text, so that messages can point at line and column.
        return toml::from_str(text).map_err(invalid);
    }
    let mut table: toml::Table = toml::from_str(text).map_err(invalid)?;
    apply_overrides(&mut table, overrides)?;
    table.try_into().map_err(invalid)
}

/// Sets `a.b.c=value` pairs in a table. A value that is not TOML is taken as
/// text, so `--set name=HUVEC` needs no quotes.
///
/// # Errors
/// [`ConfigError::InvalidOverride`] for anything but `key=value`.
pub fn apply_overrides(table: &mut toml::Table, overrides: &[String]) -> Result<(), ConfigError> {
    for text in overrides {
        let invalid = || ConfigError::InvalidOverride { text: text.clone() };
        let (key, value) = text.split_once('=').ok_or_else(invalid)?;
        let value = match toml::from_str::<toml::Table>(&format!("value = {value}")) {
            Ok(mut parsed) => parsed.remove("value").ok_or_else(invalid)?,
            Err(_) if is_too_large(value.trim()) => {
                return Err(ConfigError::NumberTooLarge { text: text.clone() });
            }
            Err(_) => toml::Value::String(value.trim().to_owned()),
        };
        let mut place = &mut *table;
        let mut parts = key.trim().split('.').peekable();
        while let Some(part) = parts.next() {
            if part.is_empty() {
                return Err(invalid());
            }
            if parts.peek().is_none() {
                place.insert(part.to_owned(), value);
                break;
            }
            place = place
                .entry(part)
                .or_insert_with(|| toml::Value::Table(toml::Table::new()))
                .as_table_mut()
                .ok_or_else(invalid)?;
        }
    }
    Ok(())
}

fn is_too_large(text: &str) -> bool {
    let overflows =
        |kind: &IntErrorKind| matches!(kind, IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
    text.parse::<i64>()
        .is_err_and(|error| overflows(error.kind()))
}

/// The candidate nearest to a misspelt word, if one is near enough to be
/// meant. Of two that are equally near it is the one that begins alike:
/// first letters are rarely wrong.
///
/// ```
/// use morphospace_core::suggestion;
///
/// assert_eq!(suggestion("num_plate", ["num_plates", "seed"]), Some("num_plates"));
/// assert_eq!(suggestion("wel_type", ["cell_type", "well_type"]), Some("well_type"));
/// assert_eq!(suggestion("colour", ["num_plates", "seed"]), None);
/// ```
pub fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(word, candidate);
            (distance, Reverse(num_alike(word, candidate)), candidate)
        })
        .filter(|(distance, _, candidate)| *distance <= 1 + candidate.len() / 4)
        .min()
        .map(|(_, _, candidate)| candidate)
}

/// How many characters two words have in common at their start.
fn num_alike(a: &str, b: &str) -> usize {
    let pairs = a.chars().zip(b.chars());
    pairs.take_while(|(a, b)| a == b).count()
}

/// Adds "did you mean" to serde's message about an unknown field.
fn with_suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message
        .split_once("unknown field")
        .map(|(_, rest)| rest.split('`').skip(1).step_by(2).collect())
        .unwrap_or_default();
    match quoted.split_first() {
        Some((word, candidates)) => match suggestion(word, candidates.iter().copied()) {
            Some(near) => format!("{message}\nhint: did you mean '{near}'?"),
            None => message.to_owned(),
        },
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Settings {
        name: String,
        inner: Inner,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        rate: f64,
    }

    const TEXT: &str = "name = 'a'\n[inner]\nrate = 0.5\n";

    #[test]
    fn overrides_reach_inner_tables_and_bare_text() {
        let overrides = ["inner.rate=0.25".to_owned(), "name=HUVEC".to_owned()];
        let settings: Settings = parse_config("t", TEXT, &overrides).expect("valid");
        assert_eq!(
            settings,
            Settings {
                name: "HUVEC".into(),
                inner: Inner { rate: 0.25 }
            }
        );
    }

    #[test]
    fn bad_overrides_are_named() {
        for text in ["rate", "inner.=3", ".rate=3", "name.first=3"] {
            let error = parse_config::<Settings>("t", TEXT, &[text.to_owned()]).expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn numbers_beyond_64_bit_are_not_taken_for_text() {
        for value in ["18446744073709551616", "-9223372036854775809"] {
            let overrides = [format!("inner.rate={value}")];
            let error = parse_config::<Settings>("t", TEXT, &overrides).expect_err(value);
            let message = error.to_string();
            assert!(message.contains(&overrides[0]), "{message}");
            assert!(message.contains("9223372036854775807"), "{message}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_line_and_suggestion() {
        let text = TEXT.replace("rate", "raet");
        let error = parse_config::<Settings>("run.toml", &text, &[]).expect_err("misspelt");
        let message = error.to_string();
        assert!(
            message.contains("run.toml") && message.contains("line 3"),
            "{message}"
        );
        assert!(message.contains("did you mean 'rate'"), "{message}");
        let overridden =
            parse_config::<Settings>("run.toml", TEXT, &["inner.raet=1".into()]).expect_err("bad");
        assert!(
            overridden.to_string().contains("did you mean 'rate'"),
            "{overridden}"
        );
    }
}
