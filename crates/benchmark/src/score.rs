use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::Path;

use morphospace_core::{Provenance, write_atomically};
use serde::{Deserialize, Serialize};

use crate::BenchmarkError;

/// One number, with everything needed to read it.
///
/// # Example
/// ```
/// use morphospace_benchmark::Score;
///
/// let score = Score::new("recall CORUM", "vit_small", "tvn", 0.31, 5742).with_null(0.1);
/// assert_eq!(score.null, Some(0.1));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// What was measured, e.g. `recall CORUM 0.05 0.95`.
    pub benchmark: String,
    /// What made the embeddings.
    pub model: String,
    /// The network's block they were read from, if not the last.
    pub block: Option<u32>,
    /// The alignment applied before scoring, e.g. `tvn`.
    pub alignment: String,
    /// The score.
    pub value: f64,
    /// What chance reaches.
    pub null: Option<f64>,
    /// Number of things scored (pairs, wells, perturbations).
    pub n: usize,
    /// Seeds that had a part in it.
    pub seeds: Vec<u64>,
    /// Lower end of the confidence interval.
    pub ci_low: Option<f64>,
    /// Upper end of the confidence interval.
    pub ci_high: Option<f64>,
    /// Files read.
    pub inputs: Vec<String>,
    /// Settings a reader should know.
    pub settings: BTreeMap<String, String>,
}

impl Score {
    /// A score without null, interval, seeds or settings.
    pub fn new(
        benchmark: impl Into<String>,
        model: impl Into<String>,
        alignment: impl Into<String>,
        value: f64,
        n: usize,
    ) -> Self {
        Self {
            benchmark: benchmark.into(),
            model: model.into(),
            block: None,
            alignment: alignment.into(),
            value,
            null: None,
            n,
            seeds: Vec::new(),
            ci_low: None,
            ci_high: None,
            inputs: Vec::new(),
            settings: BTreeMap::new(),
        }
    }

    /// Adds what chance reaches.
    #[must_use]
    pub fn with_null(mut self, null: f64) -> Self {
        self.null = Some(null);
        self
    }

    /// Adds a confidence interval.
    #[must_use]
    pub fn with_interval(mut self, interval: crate::Interval) -> Self {
        (self.ci_low, self.ci_high) = (Some(interval.low), Some(interval.high));
        self
    }

    /// Adds a seed.
    #[must_use]
    pub fn with_seed(mut self, seed: morphospace_core::Seed) -> Self {
        self.seeds.push(seed.value());
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn with_setting(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.settings.insert(name.into(), value.to_string());
        self
    }
}

/// The contents of a `scores.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Version of this file's schema.
    pub schema_version: u32,
    /// Where the scores came from.
    pub provenance: Provenance,
    /// The scores.
    pub scores: Vec<Score>,
}

impl Scores {
    /// Version this release writes, and the newest it reads.
    pub const SCHEMA_VERSION: u32 = 1;

    /// Scores with their provenance.
    pub fn new(provenance: Provenance, scores: Vec<Score>) -> Self {
        Self {
            schema_version: Self::SCHEMA_VERSION,
            provenance,
            scores,
        }
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// [`BenchmarkError::InvalidScores`] names a score that is not finite
    /// (JSON has no NaN); [`BenchmarkError::CannotWrite`].
    pub fn write(&self, path: &Path) -> Result<(), BenchmarkError> {
        for score in &self.scores {
            let numbers = [Some(score.value), score.null, score.ci_low, score.ci_high];
            if let Some(number) = numbers
                .into_iter()
                .flatten()
                .find(|number| !number.is_finite())
            {
                return Err(BenchmarkError::InvalidScores {
                    path: path.to_owned(),
                    message: format!("'{}' of '{}' is {number}", score.benchmark, score.model),
                });
            }
        }
        let mut text = serde_json::to_vec_pretty(self).expect("finite numbers and text serialise");
        text.push(b'\n');
        write_atomically(path, |file| file.write_all(&text)).map_err(|source| {
            BenchmarkError::CannotWrite {
                path: path.to_owned(),
                source,
            }
        })
    }

    /// Reads what [`Scores::write`] wrote.
    ///
    /// # Errors
    /// [`BenchmarkError::CannotRead`], or [`BenchmarkError::InvalidScores`]
    /// if the text is no scores file or of a newer schema.
    pub fn read(path: &Path) -> Result<Self, BenchmarkError> {
        let text = std::fs::read(path).map_err(|source| BenchmarkError::CannotRead {
            path: path.to_owned(),
            source,
        })?;
        let invalid = |message: String| BenchmarkError::InvalidScores {
            path: path.to_owned(),
            message,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| invalid(error.to_string()))?;
        // Said first: an older reader would only report an unknown field.
        if let Some(version) = value
            .get("schema_version")
            .and_then(serde_json::Value::as_u64)
            && version > u64::from(Self::SCHEMA_VERSION)
        {
            return Err(invalid(format!(
                "schema version {version} is newer than {}; update morphospace",
                Self::SCHEMA_VERSION
            )));
        }
        serde_json::from_value(value).map_err(|error| invalid(error.to_string()))
    }
}

impl fmt::Display for Scores {
    /// A table for people, one score per line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: f64| format!("{value:.4}");
        let optional = |value: Option<f64>| value.map_or_else(String::new, number);
        let header = [
            "benchmark",
            "model",
            "alignment",
            "value",
            "95 % interval",
            "null",
            "n",
        ];
        let mut rows = vec![header.map(str::to_owned)];
        for score in &self.scores {
            let model = match score.block {
                Some(block) => format!("{} block {block}", score.model),
                None => score.model.clone(),
            };
            let interval = match (score.ci_low, score.ci_high) {
                (Some(low), Some(high)) => format!("{low:.4} to {high:.4}"),
                _ => String::new(),
            };
            // Scores of several sources are told apart by it.
            let benchmark = match score.settings.get("source") {
                Some(source) => format!("{}, {source}", score.benchmark),
                None => score.benchmark.clone(),
            };
            rows.push([
                benchmark,
                model,
                score.alignment.clone(),
                number(score.value),
                interval,
                optional(score.null),
                score.n.to_string(),
            ]);
        }
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                // Text to the left, numbers to the right.
                if column < 3 {
                    line.push_str(&format!("{cell:<width$}  "));
                } else {
                    line.push_str(&format!("{cell:>width$}  "));
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Scores {
        let interval = crate::Interval {
            low: 0.25,
            high: 0.375,
        };
        let first = Score::new("recall CORUM", "vit_small", "tvn", 0.3125, 5742)
            .with_null(0.1)
            .with_interval(interval)
            .with_seed(morphospace_core::Seed::new(7));
        let second = Score::new("recall", "random", "none", 0.1, 5742);
        let second = second.with_setting("source", "CORUM");
        Scores::new(Provenance::new("benchmark"), vec![first, second])
    }

    #[test]
    fn files_round_trip() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("scores.json");
        scores().write(&path).expect("written");
        assert_eq!(Scores::read(&path).expect("read"), scores());
    }

    #[test]
    fn refuses_what_json_cannot_hold_and_newer_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("scores.json");
        let mut nan = scores();
        nan.scores[1].value = f64::NAN;
        let error = nan.write(&path).expect_err("NaN").to_string();
        assert!(error.ends_with("'recall' of 'random' is NaN"), "{error}");
        assert!(!path.exists());
        std::fs::write(&path, r#"{"schema_version": 9}"#).expect("written");
        let error = Scores::read(&path).expect_err("newer").to_string();
        assert!(
            error.ends_with("schema version 9 is newer than 1; update morphospace"),
            "{error}"
        );
        std::fs::write(&path, "half a fi").expect("written");
        assert!(Scores::read(&path).is_err());
    }

    #[test]
    fn the_table_lines_up() {
        let expected = "\
benchmark      model      alignment   value     95 % interval    null     n
recall CORUM   vit_small  tvn        0.3125  0.2500 to 0.3750  0.1000  5742
recall, CORUM  random     none       0.1000                            5742
";
        assert_eq!(scores().to_string(), expected);
    }
}
