//! The demo's table over one or several seeds.

use std::fmt;

use morphospace::evaluation::{BATCH_LINEAR, BATCH_NEIGHBOURS, REPLICATES};
use morphospace_benchmark::Score;

use super::{SeedRun, alignments};

/// Mean scores over seeds, and paired differences between the trained network
/// and the rest. Displays as Markdown.
pub(super) struct Table {
    seeds: Vec<u64>,
    rows: Vec<Row>,
    differences: Vec<Difference>,
}

/// A model under an alignment: the mean of each column's score.
struct Row {
    model: &'static str,
    alignment: &'static str,
    means: Vec<f64>,
}

struct Difference {
    alignment: &'static str,
    other: &'static str,
    per_seed: Vec<f64>,
}

/// Columns: heading and benchmark.
const COLUMNS: [(&str, &str); 5] = [
    ("recall 5/95", "relationship recall 5/95"),
    ("recall 10/90", "relationship recall 10/90"),
    ("replicates (KS)", REPLICATES),
    ("batch, 15-NN", BATCH_NEIGHBOURS),
    ("batch, linear", BATCH_LINEAR),
];

/// The thresholds whose recall is compared.
pub(super) const COMPARED: (f64, f64) = (0.05, 0.95);

impl Table {
    pub(super) fn of(runs: &[SeedRun]) -> Self {
        let mut rows = Vec::new();
        let mut differences = Vec::new();
        for model in &runs[0].models {
            for (alignment, _) in alignments() {
                let means = COLUMNS
                    .iter()
                    .map(|column| {
                        mean(runs.iter().filter_map(|run| {
                            run.scores
                                .iter()
                                .find(|score| is_column(score, model.name, alignment, column))
                                .map(|score| score.value)
                        }))
                    })
                    .collect();
                rows.push(Row {
                    model: model.name,
                    alignment,
                    means,
                });
            }
        }
        for comparison in runs[0]
            .comparisons
            .iter()
            .filter(|c| c.found.thresholds == COMPARED)
        {
            let (alignment, other) = (comparison.alignment, comparison.other);
            let per_seed = runs
                .iter()
                .flat_map(|run| &run.comparisons)
                .filter(|c| {
                    c.alignment == alignment && c.other == other && c.found.thresholds == COMPARED
                })
                .map(|c| c.found.difference)
                .collect();
            differences.push(Difference {
                alignment,
                other,
                per_seed,
            });
        }
        Self {
            seeds: runs.iter().map(|run| run.seed).collect(),
            rows,
            differences,
        }
    }
}

fn is_column(score: &Score, model: &str, alignment: &str, (_, benchmark): &(&str, &str)) -> bool {
    score.benchmark == *benchmark && score.model == model && score.alignment == alignment
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0);
    for value in values {
        sum += value;
        n += 1;
    }
    sum / f64::from(n)
}

/// Student's t for a two-sided 95 % interval with 1, 2, ... degrees of
/// freedom.
const STUDENT_T: [f64; 10] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
];

/// Mean and half-width of its 95 % interval over seeds; no interval for a
/// single seed.
fn mean_and_half_width(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len();
    let mean = mean(values.iter().copied());
    if n < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = STUDENT_T.get(n - 2).copied().unwrap_or(1.96);
    (mean, Some(t * (variance / n as f64).sqrt()))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds: Vec<String> = self.seeds.iter().map(ToString::to_string).collect();
        write!(f, "| profiles | alignment |")?;
        for (heading, _) in COLUMNS {
            write!(f, " {heading} |")?;
        }
        writeln!(f, "\n|---|---|{}", "--:|".repeat(COLUMNS.len()))?;
        for row in &self.rows {
            write!(f, "| {} | {} |", row.model, row.alignment)?;
            for value in &row.means {
                write!(f, " {value:.3} |")?;
            }
            writeln!(f)?;
        }
        match seeds.len() {
            1 => writeln!(f, "\nSeed {}.", seeds[0])?,
            n => writeln!(f, "\nMeans over {n} seeds ({}).", seeds.join(", "))?,
        }
        writeln!(f, "\nRecall 5/95 of the trained network minus that of:\n")?;
        writeln!(
            f,
            "| other | alignment | difference | 95 % interval over seeds | per seed |"
        )?;
        writeln!(f, "|---|---|--:|---|---|")?;
        for difference in &self.differences {
            let (mean, half_width) = mean_and_half_width(&difference.per_seed);
            let interval = match half_width {
                Some(half) => format!("{:+.3} to {:+.3}", mean - half, mean + half),
                None => "one seed has none".to_owned(),
            };
            let per_seed: Vec<String> = difference
                .per_seed
                .iter()
                .map(|value| format!("{value:+.3}"))
                .collect();
            writeln!(
                f,
                "| {} | {} | {mean:+.3} | {interval} | {} |",
                difference.other,
                difference.alignment,
                per_seed.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use morphospace::evaluation::recall_name;

    use super::*;

    #[test]
    fn columns_are_benchmarks() {
        assert_eq!(COLUMNS[0].1, recall_name(0.05, 0.95));
        assert_eq!(COLUMNS[1].1, recall_name(0.1, 0.9));
    }

    #[test]
    fn the_interval_is_students() {
        // mean 2, sd 1, n 3: half-width 4.303 / sqrt(3).
        let (mean, half_width) = mean_and_half_width(&[1.0, 2.0, 3.0]);
        assert_eq!(mean, 2.0);
        assert!((half_width.expect("three seeds") - 4.303 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(mean_and_half_width(&[5.0]), (5.0, None));
    }
}
