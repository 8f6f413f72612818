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
/// A file may say `extends = "base.toml"`, a path from its own folder: what it
/// does not say is as there. Tables are merged key by key, but for one whose
/// `kind` is another: that stands for itself. It may hold tables
/// `[scales.NAME]`, which lie over the rest where `scale = "NAME"` is set, as
/// `--set scale=tiny` does.
///
/// # Errors
/// [`ConfigError`] names the file, the place and the fix.
pub fn read_config<T: DeserializeOwned>(
    path: &Path,
    overrides: &[String],
) -> Result<T, ConfigError> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    let table = parse_table(&name, &text)?;
    let is_plain = [EXTENDS, SCALE, SCALES]
        .iter()
        .all(|key| !table.contains_key(*key));
    let wants_scale = overrides.iter().any(|text| {
        text.split_once('=')
            .is_some_and(|(key, _)| key.trim() == SCALE)
    });
    if is_plain && !wants_scale {
        return parse_config(&name, &text, overrides);
    }
    let tables = extended(path)?.into_iter().rev().map(|(_, table)| table);
    let mut table = tables.reduce(merged).unwrap_or_default();
    apply_overrides(&mut table, overrides)?;
    let scale = table.remove(SCALE);
    let scales = table.remove(SCALES);
    if let Some(scale) = scale {
        let over = scale_of(&name, &scale, scales)?;
        table = merged(table, over);
        // What the command line says comes last.
        apply_overrides(&mut table, overrides)?;
        table.remove(SCALE);
    }
    table
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Invalid {
            name,
            message: with_suggestion(error.to_string().trim_end()),
        })
}

/// Key of the file that another one builds on.
const EXTENDS: &str = "extends";
/// Key of the scale that is chosen.
const SCALE: &str = "scale";
/// Key of the tables that scales lay over the rest.
const SCALES: &str = "scales";
/// Files that build on each other, one after the other.
const MOST_EXTENDS: usize = 16;

fn read_text(path: &Path) -> Result<String, ConfigError> {
    fs::read_to_string(path).map_err(|source| ConfigError::CannotRead {
        path: path.to_owned(),
        source,
    })
}

fn parse_table(name: &str, text: &str) -> Result<toml::Table, ConfigError> {
    toml::from_str(text).map_err(|error: toml::de::Error| ConfigError::Invalid {
        name: name.to_owned(),
        message: error.to_string().trim_end().to_owned(),
    })
}

/// A TOML file and those that it extends, itself first.
///
/// # Errors
/// As [`read_config`]: a file cannot be read or is no TOML, they extend each other.
pub fn extended_files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let files = extended(path)?.into_iter();
    Ok(files.map(|(path, _)| path).collect())
}

/// A file and those that it extends, itself first, each with what it says.
fn extended(path: &Path) -> Result<Vec<(PathBuf, toml::Table)>, ConfigError> {
    let mut files = Vec::new();
    let mut path = path.to_owned();
    loop {
        let name = path.display().to_string();
        let mut table = parse_table(&name, &read_text(&path)?)?;
        let base = table.remove(EXTENDS);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        files.push((path, table));
        let invalid = |message| ConfigError::Invalid { name, message };
        path = match base {
            None => return Ok(files),
            Some(_) if files.len() > MOST_EXTENDS => {
                return Err(invalid(format!(
                    "{MOST_EXTENDS} files extend each other: is there a circle?"
                )));
            }
            Some(toml::Value::String(base)) => folder.join(base),
            Some(base) => {
                return Err(invalid(format!("{EXTENDS} = {base} is no path in quotes")));
            }
        };
    }
}

/// The table of the scale that was chosen.
fn scale_of(
    name: &str,
    scale: &toml::Value,
    scales: Option<toml::Value>,
) -> Result<toml::Table, ConfigError> {
    let mut scales = match scales {
        Some(toml::Value::Table(scales)) => scales,
        _ => toml::Table::new(),
    };
    let chosen = scale.as_str().unwrap_or_default();
    match scales.remove(chosen) {
        Some(toml::Value::Table(over)) => Ok(over),
        _ => {
            let known: Vec<String> = scales.keys().map(|name| format!("'{name}'")).collect();
            Err(ConfigError::Invalid {
                name: name.to_owned(),
                message: format!(
                    "it has no table [{SCALES}.{chosen}]\nhint: its scales are {}",
                    if known.is_empty() {
                        "none".to_owned()
                    } else {
                        known.join(", ")
                    }
                ),
            })
        }
    }
}

/// One table over another.
fn merged(mut base: toml::Table, over: toml::Table) -> toml::Table {
    let kind = |table: &toml::Table| table.get("kind").cloned();
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(toml::Value::Table(before)), toml::Value::Table(after)) => {
                let is_other = kind(&after).is_some() && kind(&after) != kind(&before);
                toml::Value::Table(match is_other {
                    true => after,
                    false => merged(before, after),
                })
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
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
/// assert_eq!(suggestion("Metadata_dose", ["Metadata_Plate", "Metadata_Well"]), None);
/// assert_eq!(suggestion("Metadata_conc", ["Metadata_concentration"]), Some("Metadata_concentration"));
/// ```
pub fn suggestion<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            // What all names of metadata begin with tells none from another.
            let stripped = word
                .strip_prefix(PREFIX)
                .zip(candidate.strip_prefix(PREFIX));
            let (word, rest) = stripped.unwrap_or((word, candidate));
            let mut distance = strsim::damerau_levenshtein(word, rest);
            if word.len() >= 3 && rest.starts_with(word) {
                distance = distance.min(2);
            }
            let most = 1 + (rest.len() / 4).max(usize::from(stripped.is_some()));
            let is_near = distance <= most;
            (distance, Reverse(num_alike(word, rest)), candidate, is_near)
        })
        .filter(|(.., is_near)| *is_near)
        .min()
        .map(|(_, _, candidate, _)| candidate)
}

const PREFIX: &str = "Metadata_";

/// How many characters two words have in common at their start.
fn num_alike(a: &str, b: &str) -> usize {
    let pairs = a.chars().zip(b.chars());
    pairs.take_while(|(a, b)| a == b).count()
}

/// Adds "did you mean" to serde's message about an unknown field or word.
fn with_suggestion(message: &str) -> String {
    let quoted: Vec<&str> = message
        .split_once("unknown field")
        .or_else(|| message.split_once("unknown variant"))
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

    fn read_files(files: &[(&str, &str)], overrides: &[&str]) -> Result<Settings, ConfigError> {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("has one")).expect("can be made");
            fs::write(path, text).expect("can be written");
        }
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        read_config(&folder.path().join(files[0].0), &overrides)
    }

    #[test]
    fn files_extend_others_and_scales_lie_over_them() {
        let files = [
            (
                "rows/a.toml",
                "extends = '../base.toml'\nname = 'b'\n[scales.tiny.inner]\nrate = 0.1",
            ),
            ("base.toml", TEXT),
        ];
        let settings = |overrides: &[&str]| {
            let settings = read_files(&files, overrides).expect("valid");
            (settings.name, settings.inner.rate)
        };
        assert_eq!(settings(&[]), ("b".to_owned(), 0.5));
        assert_eq!(settings(&["scale=tiny"]), ("b".to_owned(), 0.1));
        assert_eq!(
            settings(&["scale=tiny", "inner.rate=2.0"]),
            ("b".to_owned(), 2.0)
        );
        let error = read_files(&files, &["scale=huge"]).expect_err("there is no such scale");
        assert!(
            error.to_string().contains("its scales are 'tiny'"),
            "{error}"
        );
        let plain = [("a.toml", "name = 'b'")];
        let error = read_files(&plain, &["scale=tiny"]).expect_err("there are no scales");
        assert!(error.to_string().contains("its scales are none"), "{error}");
    }

    #[test]
    fn a_table_of_another_kind_stands_for_itself() {
        let table = |text: &str| text.parse::<toml::Table>().expect("valid");
        let base = "a = { kind = 'x', p = 1 }\nb = { kind = 'x', p = 1 }\nc = [1, 2]";
        let over = "a = { kind = 'y', q = 2 }\nb = { q = 2 }\nc = [3]";
        let both = "a = { kind = 'y', q = 2 }\nb = { kind = 'x', p = 1, q = 2 }\nc = [3]";
        assert_eq!(merged(table(base), table(over)), table(both));
    }

    #[test]
    fn what_cannot_be_extended_is_named() {
        let circle = read_files(&[("a.toml", "extends = 'a.toml'")], &[]).expect_err("endless");
        assert!(
            circle.to_string().contains("is there a circle?"),
            "{circle}"
        );
        let gone = read_files(&[("a.toml", "extends = 'b.toml'")], &[]).expect_err("not there");
        assert!(gone.to_string().contains("b.toml"), "{gone}");
        let typo = [
            ("a.toml", "extends = 'b.toml'\nnam = 'c'"),
            ("b.toml", TEXT),
        ];
        let typo = read_files(&typo, &[]).expect_err("unknown").to_string();
        assert!(
            typo.contains("did you mean 'name'") && typo.contains("a.toml"),
            "{typo}"
        );
    }

    #[test]
    fn unknown_words_are_refused_with_a_suggestion() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Rule {
            AdamW,
            Lion,
        }
        #[derive(Debug, Deserialize)]
        struct Optimiser {
            rule: Rule,
        }
        let parse = |text: &str| parse_config::<Optimiser>("t", text, &[]);
        assert!(matches!(
            parse("rule = 'lion'").expect("valid").rule,
            Rule::Lion
        ));
        let error = parse("rule = 'adam_v'").expect_err("unknown").to_string();
        assert!(error.contains("did you mean 'adam_w'"), "{error}");
        assert!(matches!(
            parse("rule = 'adam_w'").expect("valid").rule,
            Rule::AdamW
        ));
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
