//! What a recipe that was followed left behind.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use morphospace_benchmark::Scores;
use morphospace_core::write_atomically;
use serde::{Deserialize, Serialize};

use crate::recipe::{Recipe, Repetition};
use crate::result_table::ScoredRow;
use crate::table_spec::TableSpec;

/// `run.json`: the recipe with all that was given, and its repetitions. Written
/// before the first step and behind the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeRun {
    /// Of this file.
    pub schema_version: u32,
    /// Version of the program.
    pub tool_version: String,
    /// With every value in it.
    pub recipe: Recipe,
    /// What was gone through.
    pub repetitions: Vec<Repetition>,
    /// The files of scores that its steps write, of each repetition, below the run's
    /// folder.
    pub scores: Vec<Vec<PathBuf>>,
    /// What of the recipe was changed on the command line, as `key=value`.
    pub overrides: Vec<String>,
    /// What became of it.
    #[serde(default)]
    pub state: RunState,
}

/// How far a run has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not to its end: scores may be missing, or those of before.
    #[default]
    Unfinished,
    /// To its end, but for what these steps left out.
    Incomplete(Vec<String>),
    /// To its end.
    Complete,
}

impl RunState {
    /// In a word, of what is not complete.
    fn in_brackets(&self) -> Option<&'static str> {
        match self {
            Self::Unfinished => Some("unfinished"),
            Self::Incomplete(_) => Some("incomplete"),
            Self::Complete => None,
        }
    }
}

impl RecipeRun {
    /// The version this release writes, and the newest it reads.
    pub const SCHEMA_VERSION: u32 = 1;
    /// Its file.
    pub const FILE: &str = "run.json";

    /// A run to come; `scores` as [`RecipeRun::scores`].
    pub fn new(recipe: Recipe, scores: Vec<Vec<PathBuf>>, overrides: Vec<String>) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            repetitions: recipe.repetitions(),
            scores,
            overrides,
            recipe,
            state: RunState::Unfinished,
        }
    }

    /// Writes it into a run's folder.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(Self::FILE);
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        write_atomically(&path, |file| file.write_all(&json))
            .with_context(|| format!("cannot write '{}'", path.display()))
    }

    /// Reads that of a run's folder.
    ///
    /// # Errors
    /// There is none, or it is damaged or newer.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(Self::FILE);
        let text = fs::read_to_string(&path).with_context(|| {
            format!(
                "'{}' is no folder that `run` filled: cannot read '{}'",
                folder.display(),
                path.display()
            )
        })?;
        let run: Self = serde_json::from_str(&text)
            .with_context(|| format!("'{}' is damaged", path.display()))?;
        if run.schema_version > Self::SCHEMA_VERSION {
            bail!(
                "'{}' has schema version {}, which is newer than {}\nhint: update morphospace",
                path.display(),
                run.schema_version,
                Self::SCHEMA_VERSION
            );
        }
        Ok(run)
    }

    /// Its rows, one for each of the recipe's tables.
    ///
    /// # Errors
    /// A file of scores cannot be read.
    pub fn scored_rows(&self, folder: &Path) -> Result<Vec<ScoredRow>> {
        let mut repetitions = Vec::new();
        for (repetition, files) in self.repetitions.iter().zip(&self.scores) {
            let mut scores = Vec::new();
            for file in files.iter().map(|file| folder.join(file)) {
                // Not yet, if there is none.
                if file.exists() {
                    scores.extend(Scores::read(&file)?.scores);
                }
            }
            repetitions.push((repetition.clone(), scores));
        }
        // Whoever ran less than the recipe says so.
        let overrides = self.overrides.iter().map(String::as_str);
        let remarks: Vec<&str> = overrides.chain(self.state.in_brackets()).collect();
        let title = match &remarks[..] {
            [] => self.recipe.title.clone(),
            remarks => format!("{} [{}]", self.recipe.title, remarks.join(", ")),
        };
        let tables = self.recipe.tables.values();
        let row = |spec: &TableSpec| ScoredRow {
            title: title.clone(),
            spec: spec.clone(),
            repetitions: repetitions.clone(),
        };
        Ok(tables.map(row).collect())
    }
}
