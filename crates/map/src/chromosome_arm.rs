//! Chromosome-arm correction of knock-out maps.
//!
//! A cut by CRISPR-Cas9 often costs the cell the rest of that chromosome
//! arm, so genes of one arm look alike whatever they do. Genes that are not
//! expressed have no other effect: their mean over an arm is what the loss
//! of the arm looks like, and is taken from every gene on it.
//!
//! Source: Lazar et al. 2024, <https://doi.org/10.1038/s41588-024-01758-y>;
//! proxbias commit fa12675 `arm_centering` and `utils.chromosome_info`.

use std::collections::BTreeMap;

use morphospace_profiles::{Profiles, ProfilesError};
use serde::{Deserialize, Serialize};

/// A piece of a chromosome, as tables of transcripts and centromeres list
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Gene symbol of a transcript, name of a centromere model.
    pub name: String,
    /// Chromosome, e.g. `chr7`.
    pub chromosome: String,
    /// First base.
    pub start: u64,
    /// Last base.
    pub end: u64,
}

/// Which uncharacterised genes are left out of the arms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LocFilter {
    /// Symbols that are `LOC` and a number.
    #[default]
    Numbered,
    /// Every symbol that begins with `LO`, as the published pattern `^LOC*`
    /// does: it loses LOX, LONP1 and LOXL1 too.
    AsPublished,
}

impl LocFilter {
    fn drops(self, gene: &str) -> bool {
        match self {
            Self::Numbered => gene
                .strip_prefix("LOC")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())),
            Self::AsPublished => gene.starts_with("LO"),
        }
    }
}

/// A gene's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneArm {
    /// Gene symbol.
    pub gene: String,
    /// Chromosome, e.g. `chr7`.
    pub chromosome: String,
    /// First base of any transcript.
    pub start: u64,
    /// Last base of any transcript.
    pub end: u64,
    /// `p` (short) or `q` (long).
    pub arm: char,
}

impl GeneArm {
    /// The arm's name, e.g. `chr7q`.
    pub fn arm_name(&self) -> String {
        format!("{}{}", self.chromosome, self.arm)
    }
}

/// The arm of every gene, sorted by chromosome, start and end.
///
/// A gene reaches from the first to the last base of its transcripts and is
/// on the `q` arm when its end lies beyond the middle of the centromere.
/// Only `chr1`..`chr22`, `chrX` and `chrY` count; genes seen on two of them
/// are left out, and those of `filter`.
///
/// ```
/// use morphospace_map::chromosome_arm::{Interval, LocFilter, gene_arms};
///
/// let interval = |name: &str, start, end| Interval {
///     name: name.to_owned(),
///     chromosome: "chr16".to_owned(),
///     start,
///     end,
/// };
/// let transcripts =
///     [interval("PLK1", 23_600_000, 23_700_000), interval("LOC101", 40_000_000, 40_100_000)];
/// let centromeres = [interval("GJ212", 36_337_667, 38_265_669)];
/// let arms = gene_arms(&transcripts, &centromeres, LocFilter::default());
/// assert_eq!(arms.len(), 1);
/// assert_eq!(arms[0].arm_name(), "chr16p");
/// ```
pub fn gene_arms(
    transcripts: &[Interval],
    centromeres: &[Interval],
    filter: LocFilter,
) -> Vec<GeneArm> {
    let mut middle: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    for centromere in centromeres {
        if let Some(chromosome) = chromosome_index(&centromere.chromosome) {
            let (start, end) = middle
                .entry(chromosome)
                .or_insert((centromere.start, centromere.end));
            *start = (*start).min(centromere.start);
            *end = (*end).max(centromere.end);
        }
    }
    // `None` marks a gene that was seen on two chromosomes.
    let mut genes: BTreeMap<&str, Option<(usize, u64, u64)>> = BTreeMap::new();
    for transcript in transcripts {
        let Some(chromosome) = chromosome_index(&transcript.chromosome) else {
            continue;
        };
        if filter.drops(&transcript.name) {
            continue;
        }
        let place = (chromosome, transcript.start, transcript.end);
        genes
            .entry(&transcript.name)
            .and_modify(|gene| {
                *gene = gene
                    .filter(|(other, ..)| *other == chromosome)
                    .map(|(_, start, end)| {
                        (
                            chromosome,
                            start.min(transcript.start),
                            end.max(transcript.end),
                        )
                    });
            })
            .or_insert(Some(place));
    }
    let mut places: Vec<(usize, u64, u64, &str)> = genes
        .into_iter()
        .filter_map(|(gene, place)| {
            place.map(|(chromosome, start, end)| (chromosome, start, end, gene))
        })
        .collect();
    places.sort_unstable();
    places
        .into_iter()
        .filter_map(|(chromosome, start, end, gene)| {
            let (first, last) = middle.get(&chromosome)?;
            Some(GeneArm {
                gene: gene.to_owned(),
                chromosome: chromosome_name(chromosome),
                start,
                end,
                // Twice both sides, so that a half stays exact.
                arm: if 2 * end > first + last { 'q' } else { 'p' },
            })
        })
        .collect()
}

/// 1..=22, X 23, Y 24.
fn chromosome_index(name: &str) -> Option<usize> {
    (1..=24).find(|&index| chromosome_name(index) == name)
}

fn chromosome_name(index: usize) -> String {
    match index {
        23 => "chrX".to_owned(),
        24 => "chrY".to_owned(),
        index => format!("chr{index}"),
    }
}

/// How the mean of an arm is taken.
///
/// Alignment comes first, then this, then aggregation; a table of genes, of
/// guides or of wells will do, as long as its rows have arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArmCentering {
    /// Column of the arm's name, missing where the gene has none.
    pub arm_column: String,
    /// Column of the gene's expression in these cells, as zFPKM. Without
    /// one every row counts.
    pub expression_column: Option<String>,
    /// Genes below this are not expressed.
    pub unexpressed_below: f64,
    /// An arm is corrected when *more* rows than this are not expressed.
    pub min_num_genes: usize,
}

impl Default for ArmCentering {
    fn default() -> Self {
        Self {
            arm_column: "Metadata_chromosome_arm".to_owned(),
            expression_column: None,
            unexpressed_below: -3.0,
            min_num_genes: 20,
        }
    }
}

/// The mean of an arm's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmMean {
    /// Rows that went in.
    pub num_rows: usize,
    /// The mean of each feature.
    pub mean: Vec<f64>,
}

/// Why arms could not be centred.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArmError {
    /// The table was refused.
    #[error(transparent)]
    Profiles(#[from] ProfilesError),
    /// The expression is no number.
    #[error("column '{column}' holds '{text}' in row {row}, but expression must be a number")]
    NotANumber {
        /// The column.
        column: String,
        /// Row, from 1.
        row: usize,
        /// What stands there.
        text: String,
    },
    /// The means are of other features.
    #[error("arm '{arm}' has a mean of {found} features, the table has {expected}")]
    OtherFeatures {
        /// The arm.
        arm: String,
        /// Features of the mean.
        found: usize,
        /// Features of the table.
        expected: usize,
    },
}

impl ArmCentering {
    /// The means of the arms with enough rows, by the arms' names.
    ///
    /// # Errors
    /// A missing column, expression that is no number, values that are not
    /// finite.
    pub fn arm_means(&self, profiles: &Profiles) -> Result<BTreeMap<String, ArmMean>, ArmError> {
        profiles.check_finite()?;
        let arms = profiles.text(&self.arm_column)?;
        let is_counted = match &self.expression_column {
            None => vec![true; profiles.num_rows()],
            Some(column) => self.is_unexpressed(profiles, column)?,
        };
        let num_features = profiles.num_features();
        let mut means: BTreeMap<String, ArmMean> = BTreeMap::new();
        let values = profiles.values();
        for ((arm, is_counted), row) in arms.iter().zip(is_counted).zip(values.chunks(num_features))
        {
            let Some(arm) = arm.as_ref().filter(|_| is_counted) else {
                continue;
            };
            let mean = means.entry(arm.clone()).or_insert_with(|| ArmMean {
                num_rows: 0,
                mean: vec![0.0; num_features],
            });
            mean.num_rows += 1;
            mean.mean
                .iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += value);
        }
        means.retain(|_, mean| mean.num_rows > self.min_num_genes);
        for mean in means.values_mut() {
            let num_rows = mean.num_rows as f64;
            mean.mean.iter_mut().for_each(|sum| *sum /= num_rows);
        }
        Ok(means)
    }

    /// Takes the mean of its arm from every row on one; other rows stay.
    ///
    /// # Errors
    /// As [`ArmCentering::arm_means`].
    pub fn center(&self, profiles: &Profiles) -> Result<Profiles, ArmError> {
        self.subtract(profiles, &self.arm_means(profiles)?)
    }

    /// [`ArmCentering::center`] with means taken elsewhere, e.g. from
    /// another table of the same features.
    ///
    /// # Errors
    /// A missing column, or means of other features.
    pub fn subtract(
        &self,
        profiles: &Profiles,
        means: &BTreeMap<String, ArmMean>,
    ) -> Result<Profiles, ArmError> {
        let expected = profiles.num_features();
        if let Some((arm, mean)) = means.iter().find(|(_, mean)| mean.mean.len() != expected) {
            let found = mean.mean.len();
            return Err(ArmError::OtherFeatures {
                arm: arm.clone(),
                found,
                expected,
            });
        }
        let arms = profiles.text(&self.arm_column)?;
        let mut values = profiles.values().into_owned();
        for (arm, row) in arms.iter().zip(values.chunks_mut(expected.max(1))) {
            if let Some(mean) = arm.as_ref().and_then(|arm| means.get(arm)) {
                row.iter_mut()
                    .zip(&mean.mean)
                    .for_each(|(value, mean)| *value -= mean);
            }
        }
        Ok(profiles.with_values(profiles.feature_names().to_vec(), values)?)
    }

    fn is_unexpressed(&self, profiles: &Profiles, column: &str) -> Result<Vec<bool>, ArmError> {
        let expression = profiles.text(column)?;
        expression
            .into_iter()
            .enumerate()
            .map(|(row, text)| match text {
                None => Ok(false),
                Some(text) => match text.parse::<f64>() {
                    Ok(value) => Ok(value < self.unexpressed_below),
                    Err(_) => {
                        let column = column.to_owned();
                        Err(ArmError::NotANumber {
                            column,
                            row: row + 1,
                            text,
                        })
                    }
                },
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_pattern_loses_lox() {
        for (gene, numbered, published) in [
            ("LOC100130000", true, true),
            ("LOX", false, true),
            ("LONP1", false, true),
            ("LOCX", false, true),
            ("PLK1", false, false),
        ] {
            assert_eq!(LocFilter::Numbered.drops(gene), numbered, "{gene}");
            assert_eq!(LocFilter::AsPublished.drops(gene), published, "{gene}");
        }
    }
}
