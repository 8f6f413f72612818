//! What stands in the tables of papers: columns, and what the papers report.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::Score;
use serde::{Deserialize, Serialize};

use crate::recipe::Repetition;

/// A table of a paper, and what stands in a recipe's row of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableSpec {
    /// Its title; runs whose tables have one title are its rows.
    pub title: String,
    /// Its columns.
    pub columns: Vec<ColumnSpec>,
    /// What the paper reports, by column.
    #[serde(default)]
    pub expected: BTreeMap<String, Expected>,
}

/// A column of a table: which score stands in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnSpec {
    /// Its heading.
    pub name: String,
    /// [`Score::benchmark`].
    pub benchmark: String,
    /// The setting `source` of the score, such as `CORUM`.
    #[serde(default)]
    pub source: Option<String>,
    /// [`Score::model`], where a repetition has scores of several.
    #[serde(default)]
    pub model: Option<String>,
    /// A number among the score's settings in place of its value.
    #[serde(default)]
    pub setting: Option<String>,
    /// Which of several scores: those of a network's blocks.
    #[serde(default)]
    pub pick: Pick,
    /// Only repetitions with these values, e.g. `cell_type = "U2OS"`.
    #[serde(default)]
    pub of: BTreeMap<String, String>,
    /// By what scores are multiplied: 100 for per cent.
    #[serde(default = "one")]
    pub factor: f64,
    /// Digits behind the point; without, three that count.
    #[serde(default)]
    pub decimals: Option<usize>,
}

fn one() -> f64 {
    1.0
}

/// Which of several scores of one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pick {
    /// There is but one.
    #[default]
    Only,
    /// The highest.
    Best,
    /// That of the last block.
    Last,
    /// Not the score but the block of the highest.
    BestBlock,
}

/// What a paper reports.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// A number.
    Value(f64),
    /// A mean and its spread.
    MeanAndSpread([f64; 2]),
}

impl Expected {
    pub(crate) fn mean(self) -> f64 {
        match self {
            Self::Value(mean) | Self::MeanAndSpread([mean, _]) => mean,
        }
    }
}

impl TableSpec {
    /// What is wrong with it.
    ///
    /// # Errors
    /// In words: columns of one name, something expected of none.
    pub fn check(&self) -> Result<(), String> {
        for (index, column) in self.columns.iter().enumerate() {
            if self.columns[..index]
                .iter()
                .any(|other| other.name == column.name)
            {
                return Err(format!("two columns are called '{}'", column.name));
            }
        }
        let is_column = |name: &String| self.columns.iter().any(|column| column.name == *name);
        match self.expected.keys().find(|name| !is_column(name)) {
            Some(name) => Err(format!(
                "something is expected of '{name}', which is no column"
            )),
            None => Ok(()),
        }
    }
}

impl ColumnSpec {
    pub(crate) fn is_of(&self, repetition: &Repetition) -> bool {
        let mut wanted = self.of.iter();
        wanted.all(|(name, value)| repetition.0.get(name) == Some(value))
    }

    /// The number that the scores of a repetition have for it; `None` if they have
    /// none.
    pub(crate) fn value(&self, scores: &[Score]) -> Result<Option<f64>> {
        let found: Vec<&Score> = scores
            .iter()
            .filter(|score| {
                let source = score.settings.get("source");
                score.benchmark == self.benchmark
                    && self
                        .model
                        .as_ref()
                        .is_none_or(|wanted| score.model == *wanted)
                    && self
                        .source
                        .as_ref()
                        .is_none_or(|wanted| source == Some(wanted))
            })
            .collect();
        // A network's own output is none of its blocks.
        let has_blocks = found.iter().any(|score| score.block.is_some());
        let of_blocks = || {
            let found = found.iter().copied();
            found.filter(|score| score.block.is_some() || !has_blocks)
        };
        // Of equal ones the first block: the shorter network.
        let best =
            || of_blocks().min_by(|a, b| b.value.total_cmp(&a.value).then(a.block.cmp(&b.block)));
        let score = match self.pick {
            Pick::Only if found.len() > 1 => bail!(
                "{} scores are called '{}'\nhint: name their source, or pick best or last",
                found.len(),
                self.benchmark
            ),
            Pick::Only => found.first().copied(),
            Pick::Best => best(),
            Pick::Last => of_blocks().max_by_key(|score| score.block),
            Pick::BestBlock => {
                return Ok(best().and_then(|score| score.block).map(f64::from));
            }
        };
        let Some(score) = score else { return Ok(None) };
        let value = match &self.setting {
            None => score.value,
            Some(name) => {
                let Some(text) = score.settings.get(name) else {
                    return Ok(None);
                };
                text.parse()
                    .with_context(|| format!("setting '{name}' of '{}'", self.benchmark))?
            }
        };
        Ok(Some(value * self.factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_block_is_the_first_of_equal_ones_and_no_output() {
        let score = |block: Option<u32>, value| Score {
            block,
            ..Score::new("recall", "model", "none", value, 3)
        };
        let scores = [
            score(Some(2), 0.5),
            score(Some(1), 0.5),
            score(Some(3), 0.4),
            score(None, 0.9),
        ];
        let text = "name = 'best'\nbenchmark = 'recall'";
        let mut column: ColumnSpec =
            morphospace_core::parse_config("text", text, &[]).expect("one");
        let mut picked = |pick| {
            column.pick = pick;
            column.value(&scores).expect("a number")
        };
        assert_eq!(picked(Pick::Best), Some(0.5));
        assert_eq!(picked(Pick::BestBlock), Some(1.0));
        assert_eq!(picked(Pick::Last), Some(0.4));
    }
}
