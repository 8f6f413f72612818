//! Recipes: the commands of an evaluation, from one TOML file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use morphospace_core::{ConfigError, read_config, suggestion};
use serde::{Deserialize, Serialize};

use crate::table_spec::TableSpec;

/// Why a recipe cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    /// The file cannot be read or does not hold a recipe.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What the recipe needs was not given.
    #[error(
        "recipe '{}' needs {}\nhint: give it with --input {}=...",
        recipe.display(),
        missing.join("; "),
        first
    )]
    MissingInputs {
        /// The recipe's file.
        recipe: PathBuf,
        /// `name (what it is)` of each.
        missing: Vec<String>,
        /// The first one's name.
        first: String,
    },
    /// Something else about it.
    #[error("recipe '{}': {message}", recipe.display())]
    Invalid {
        /// The recipe's file.
        recipe: PathBuf,
        /// What is wrong and what to do.
        message: String,
    },
}

/// A word of a command, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RecipeValue {
    /// One word, which may stand within another.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// Several words; `{name}` must stand alone and may become no word at all.
    Words(Vec<String>),
}

impl RecipeValue {
    fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Integer(number) => Some(number.to_string()),
            Self::Float(number) => Some(number.to_string()),
            Self::Words(_) => None,
        }
    }
}

/// A command of a recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// What it is called in messages, each once.
    pub name: String,
    /// The command without the program's name, words as in a shell; `{name}`
    /// stands for a value.
    pub command: String,
}

/// The commands of an evaluation and the tables of what comes out.
///
/// ```toml
/// title = "MAE ViT-S/16"
///
/// [inputs]                      # given with --input
/// screen = "the screen"
///
/// [values]                      # given here, or with --set values.method=...
/// method = "tvn"
///
/// [repeat]                      # every step once for each
/// seed = [1, 2, 3]
///
/// [[steps]]
/// name = "embed"
/// command = "embed {screen} --network untrained:vit --seed {seed} --output {out}/raw.parquet"
///
/// [[steps]]
/// name = "align"
/// command = "align {out}/raw.parquet --method {method} --output {out}/aligned.parquet"
/// ```
///
/// Beside inputs, values and what is repeated there are `{out}`, the folder of a
/// repetition, `{shared}`, the folder of what all repetitions have in common,
/// `{scores}`, the folder whose `.json` files are the repetition's scores, and
/// `{here}`, the recipe's own folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of its row in tables.
    pub title: String,
    /// What it reproduces, e.g. the paper and its table.
    #[serde(default)]
    pub about: String,
    /// What has to be given, and what that is.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// What is given.
    #[serde(default)]
    pub values: BTreeMap<String, RecipeValue>,
    /// What is gone through, every combination once.
    #[serde(default)]
    pub repeat: BTreeMap<String, Vec<RecipeValue>>,
    /// The commands, in order.
    pub steps: Vec<Step>,
    /// The tables in which it has a row.
    #[serde(default)]
    pub tables: BTreeMap<String, TableSpec>,
}

/// One way through a recipe's steps: a value of each thing that is repeated.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Repetition(pub BTreeMap<String, String>);

impl Repetition {
    /// Its folder below the run's: `cell_type-HUVEC/seed-1`; empty if nothing is
    /// repeated.
    pub fn folder(&self) -> PathBuf {
        let parts = self.0.iter();
        parts
            .map(|(name, value)| format!("{name}-{value}"))
            .collect()
    }
}

/// Where a recipe's files go.
#[derive(Clone, Debug)]
pub struct RunFolder(pub PathBuf);

impl RunFolder {
    /// What a repetition makes.
    pub fn of(&self, repetition: &Repetition) -> PathBuf {
        self.0.join(repetition.folder())
    }

    /// The scores of a repetition.
    pub fn scores(&self, repetition: &Repetition) -> PathBuf {
        self.of(repetition).join("scores")
    }

    /// What all repetitions have in common.
    pub fn shared(&self) -> PathBuf {
        self.0.join("shared")
    }
}

/// A step with every value in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepCommand {
    /// [`Step::name`].
    pub name: String,
    /// The words of the command, without the program's name.
    pub words: Vec<String>,
}

/// Names that every recipe has.
const RESERVED: [&str; 4] = ["out", "shared", "scores", "here"];

/// Values within values within values.
const MOST_NESTED: usize = 8;

impl Recipe {
    /// Reads a recipe; `inputs` are `name=value`, of which several of one name make
    /// a list.
    ///
    /// # Errors
    /// [`RecipeError`]: the file, a name that is not known, something that has to be
    /// given and is not.
    pub fn read(path: &Path, overrides: &[String], inputs: &[String]) -> Result<Self, RecipeError> {
        let recipe = Self::read_given(path, overrides, inputs)?;
        recipe.check(path)?;
        Ok(recipe)
    }

    /// [`Recipe::read`] of a recipe that is only looked at: what has to be given and is
    /// not stands in capitals.
    ///
    /// # Errors
    /// As [`Recipe::read`], but for what is not given.
    pub fn read_for_show(
        path: &Path,
        overrides: &[String],
        inputs: &[String],
    ) -> Result<Self, RecipeError> {
        let mut recipe = Self::read_given(path, overrides, inputs)?;
        for name in recipe.inputs.keys() {
            let capitals = || RecipeValue::Text(name.to_uppercase());
            recipe.values.entry(name.clone()).or_insert_with(capitals);
        }
        recipe.check(path)?;
        Ok(recipe)
    }

    fn read_given(
        path: &Path,
        overrides: &[String],
        inputs: &[String],
    ) -> Result<Self, RecipeError> {
        let mut recipe: Self = read_config(path, overrides)?;
        let invalid = |message: String| RecipeError::Invalid {
            recipe: path.to_owned(),
            message,
        };
        let mut given: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for input in inputs {
            let Some((name, value)) = input.split_once('=') else {
                let message = format!("--input '{input}' is not of the form name=value");
                return Err(invalid(message));
            };
            if !recipe.inputs.contains_key(name) && !recipe.values.contains_key(name) {
                let known = recipe.inputs.keys().chain(recipe.values.keys());
                let hint = hint(name, known.map(String::as_str));
                let message = format!("it has no input '{name}'\nhint: {hint}");
                return Err(invalid(message));
            }
            given.entry(name).or_default().push(value.to_owned());
        }
        for (name, mut values) in given {
            let value = match values.len() {
                1 => RecipeValue::Text(values.remove(0)),
                _ => RecipeValue::Words(values),
            };
            recipe.values.insert(name.to_owned(), value);
        }
        Ok(recipe)
    }

    /// Refuses values that stand in no step: they are misspelt.
    ///
    /// # Errors
    /// [`RecipeError::Invalid`] names the first.
    pub fn refuse_unused(&self, path: &Path) -> Result<(), RecipeError> {
        let commands = self.steps.iter().map(|step| step.command.as_str());
        let values = self.values.values().flat_map(|value| match value {
            RecipeValue::Text(text) => vec![text.as_str()],
            RecipeValue::Words(words) => words.iter().map(String::as_str).collect(),
            RecipeValue::Integer(_) | RecipeValue::Float(_) => Vec::new(),
        });
        let texts: Vec<&str> = commands.chain(values).collect();
        let is_used = |name: &str| {
            let place = format!("{{{name}}}");
            texts.iter().any(|text| text.contains(&place))
        };
        let names = || self.values.keys().chain(self.repeat.keys());
        let Some(name) = names().find(|name| !is_used(name)) else {
            return Ok(());
        };
        let used = names().filter(|name| is_used(name));
        let hint = hint(name, used.map(String::as_str));
        Err(RecipeError::Invalid {
            recipe: path.to_owned(),
            message: format!("value '{name}' stands in no step\nhint: {hint}"),
        })
    }

    fn check(&self, path: &Path) -> Result<(), RecipeError> {
        let invalid = |message: String| RecipeError::Invalid {
            recipe: path.to_owned(),
            message,
        };
        let missing: Vec<(&String, &String)> = self
            .inputs
            .iter()
            .filter(|(name, _)| !self.values.contains_key(*name))
            .collect();
        if let Some((first, _)) = missing.first() {
            return Err(RecipeError::MissingInputs {
                recipe: path.to_owned(),
                first: (*first).clone(),
                missing: missing
                    .iter()
                    .map(|(name, what)| format!("{name} ({what})"))
                    .collect(),
            });
        }
        if self.title.trim().is_empty() {
            return Err(invalid("it has no title".to_owned()));
        }
        if self.steps.is_empty() {
            return Err(invalid("it has no steps".to_owned()));
        }
        let mut seen = BTreeSet::new();
        for step in &self.steps {
            if !seen.insert(&step.name) {
                return Err(invalid(format!("two steps are called '{}'", step.name)));
            }
        }
        let names = self.values.keys().chain(self.repeat.keys());
        let mut seen = BTreeSet::new();
        for name in names {
            if RESERVED.contains(&name.as_str()) || !seen.insert(name) {
                return Err(invalid(format!("'{name}' stands for something already")));
            }
        }
        for (name, values) in &self.repeat {
            let mut words = BTreeSet::new();
            for value in values {
                let word = value.text().filter(|word| is_folder_name(word));
                let Some(word) = word else {
                    return Err(invalid(format!(
                        "repeat.{name} has a value that is no name of a folder\nhint: letters, \
                         digits, '.', '-' and '_' are"
                    )));
                };
                if !words.insert(word.clone()) {
                    return Err(invalid(format!("repeat.{name} has '{word}' twice")));
                }
            }
            if values.is_empty() {
                return Err(invalid(format!("repeat.{name} is empty")));
            }
        }
        for (name, table) in &self.tables {
            let message = table.check();
            message.map_err(|message| invalid(format!("tables.{name}: {message}")))?;
        }
        Ok(())
    }

    /// Every combination of what is repeated, the last name fastest; one of nothing
    /// if nothing is.
    pub fn repetitions(&self) -> Vec<Repetition> {
        let mut repetitions = vec![Repetition::default()];
        for (name, values) in &self.repeat {
            let longer = repetitions.iter().flat_map(|repetition| {
                values.iter().map(|value| {
                    let mut repetition = repetition.clone();
                    let value = value.text().expect("checked when read");
                    repetition.0.insert(name.clone(), value);
                    repetition
                })
            });
            repetitions = longer.collect();
        }
        repetitions
    }

    /// The commands of a repetition; `path` is the recipe's.
    ///
    /// # Errors
    /// [`RecipeError::Invalid`]: a name that is not known, a list within a word,
    /// quotes that do not end.
    pub fn commands(
        &self,
        path: &Path,
        repetition: &Repetition,
        folder: &RunFolder,
    ) -> Result<Vec<StepCommand>, RecipeError> {
        let mut known = self.values.clone();
        let repeated = repetition.0.iter();
        known.extend(repeated.map(|(name, word)| (name.clone(), RecipeValue::Text(word.clone()))));
        let here = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let folders = [
            folder.of(repetition),
            folder.shared(),
            folder.scores(repetition),
            here.to_owned(),
        ];
        for (name, folder) in RESERVED.iter().zip(folders) {
            let text = folder.to_string_lossy();
            let text = text.trim_end_matches('/').to_owned();
            known.insert((*name).to_owned(), RecipeValue::Text(text));
        }
        self.steps
            .iter()
            .map(|step| {
                let invalid = |message: String| RecipeError::Invalid {
                    recipe: path.to_owned(),
                    message: format!("step '{}': {message}", step.name),
                };
                let split = shlex::split(&step.command);
                let split =
                    split.ok_or_else(|| invalid("quotes in its command do not end".to_owned()))?;
                let mut words = Vec::new();
                for word in split {
                    words.extend(expanded(&word, &known, 0).map_err(invalid)?);
                }
                Ok(StepCommand {
                    name: step.name.clone(),
                    words,
                })
            })
            .collect()
    }

    /// Values of what has to be given, for whoever looks whether it is there.
    pub fn given(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inputs.keys().flat_map(|name| {
            let words: Vec<&str> = match self.values.get(name) {
                Some(RecipeValue::Text(text)) => vec![text],
                Some(RecipeValue::Words(words)) => words.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            words.into_iter().map(move |word| (name.as_str(), word))
        })
    }
}

/// Whether a word can be part of a folder's name anywhere.
fn is_folder_name(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    !word.is_empty() && word.chars().all(is_plain)
}

/// A word with values in the place of `{name}`.
fn expanded(
    word: &str,
    known: &BTreeMap<String, RecipeValue>,
    depth: usize,
) -> Result<Vec<String>, String> {
    if depth > MOST_NESTED {
        return Err(format!(
            "values in '{word}' stand for each other: is there a circle?"
        ));
    }
    let value = |name: &str| {
        known.get(name).ok_or_else(|| {
            let hint = hint(name, known.keys().map(String::as_str));
            format!("nothing is called '{{{name}}}'\nhint: {hint}")
        })
    };
    let alone = word
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    if let Some(name) = alone.filter(|name| !name.contains(['{', '}']))
        && let RecipeValue::Words(words) = value(name)?
    {
        let words = words.iter().map(|word| expanded(word, known, depth + 1));
        return Ok(words.collect::<Result<Vec<_>, _>>()?.concat());
    }
    let mut text = String::new();
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        let Some(length) = rest[start..].find('}') else {
            return Err(format!("'{word}' has '{{' without '}}'"));
        };
        text.push_str(&rest[..start]);
        let name = &rest[start + 1..start + length];
        let Some(inner) = value(name)?.text() else {
            return Err(format!(
                "{{{name}}} is several words and must stand alone, in '{word}' it does not"
            ));
        };
        match &expanded(&inner, known, depth + 1)?[..] {
            [one] => text.push_str(one),
            _ => return Err(format!("{{{name}}} is several words within '{word}'")),
        }
        rest = &rest[start + length + 1..];
    }
    text.push_str(rest);
    Ok(vec![text])
}

fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    match suggestion(name, known.clone()) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str) -> Recipe {
        morphospace_core::parse_config("text", text, &[]).expect("a recipe")
    }

    fn commands(recipe: &Recipe) -> Result<Vec<Vec<String>>, String> {
        let path = Path::new("recipes/row.toml");
        recipe.check(path).map_err(|error| error.to_string())?;
        let folder = RunFolder("run".into());
        let mut all = Vec::new();
        for repetition in recipe.repetitions() {
            let steps = recipe.commands(path, &repetition, &folder);
            let steps = steps.map_err(|error| error.to_string())?;
            all.extend(steps.into_iter().map(|step| step.words));
        }
        Ok(all)
    }

    #[test]
    fn values_stand_in_their_places() {
        let recipe = recipe(
            r#"
            title = "row"
            values = { screen = "my screen", more = ["--z", "max"], none = [], table = "{out}/a.csv" }
            repeat = { seed = [1, 2], cell = ["HUVEC"] }
            [[steps]]
            name = "embed"
            command = "embed {screen} {more} {none} --set 'a b={seed}' --output {table} {here}/x"
            "#,
        );
        let found = commands(&recipe).expect("commands");
        assert_eq!(found.len(), 2);
        let expected = "embed|my screen|--z|max|--set|a b=2|--output|run/cell-HUVEC/seed-2/a.csv|\
                        recipes/x";
        assert_eq!(found[1].join("|"), expected);
    }

    #[test]
    fn nothing_repeated_lies_in_the_folder_itself() {
        let recipe = recipe(
            "title = 'row'\nsteps = [{ name = 'a', command = 'align {shared}/x {scores}/y' }]",
        );
        assert_eq!(
            commands(&recipe).expect("commands"),
            [["align", "run/shared/x", "run/scores/y"]]
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let step =
            |command: &str| format!("[[steps]]\nname = 'embed'\ncommand = '''{command}'''\n");
        let cases = [
            (step("embed {sceen}"), "did you mean 'screen'?"),
            (step("embed {screen"), "has '{' without '}'"),
            (step("embed 'x"), "quotes in its command do not end"),
            (step("embed a{list}"), "must stand alone"),
            (step("embed {a}"), "is there a circle?"),
            (step("a") + &step("b"), "two steps are called 'embed'"),
        ];
        for (steps, message) in cases {
            let text = format!(
                "title = 'row'\nvalues = {{ screen = 's', list = ['1', '2'], a = '{{b}}', b = '{{a}}' }}\n{steps}"
            );
            let error = commands(&recipe(&text)).expect_err(message);
            assert!(error.contains(message), "{error}");
        }
        let empty = recipe("title = 'row'\nsteps = []");
        assert!(commands(&empty).expect_err("no steps").contains("no steps"));
        let taken = recipe(&format!("title = 'row'\nvalues.out = 'x'\n{}", step("a")));
        assert!(commands(&taken).expect_err("taken").contains("already"));
        let folder = recipe(&format!(
            "title = 'row'\nrepeat.x = ['../a']\n{}",
            step("a")
        ));
        assert!(
            commands(&folder)
                .expect_err("folder")
                .contains("no name of a folder")
        );
    }
}
