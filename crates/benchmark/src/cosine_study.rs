use std::collections::BTreeMap;

use morphospace_core::Seed;
use rand::RngExt;
use rayon::prelude::*;

use crate::{BenchmarkError, EntityMap, kolmogorov_smirnov_statistic, wasserstein_distance};

/// What a row is, for [`cosine_study`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyRow {
    /// What was done to the cells.
    pub perturbation: String,
    /// The batch.
    pub experiment: String,
    /// Rows of different cell types are not compared.
    pub cell_type: String,
}

/// How alike are rows of the same and of different perturbations, within and
/// across experiments?
///
/// Where a batch correction keeps geometry, cosines within experiments and across
/// them are distributed alike.
#[derive(Clone, Debug, PartialEq)]
pub struct CosineStudy {
    /// Of the same perturbation.
    pub same_perturbation: CosinesOfPairs,
    /// Of different perturbations.
    pub different_perturbations: CosinesOfPairs,
}

/// Cosines of pairs of rows of one cell type, and how far the two distributions
/// are apart.
#[derive(Clone, Debug, PartialEq)]
pub struct CosinesOfPairs {
    /// Of pairs within an experiment.
    pub within: Vec<f64>,
    /// Of pairs of different experiments.
    pub across: Vec<f64>,
    /// Greatest distance of the two cumulative distributions, from 0 to 1.
    pub kolmogorov_smirnov: f64,
    /// First Wasserstein distance, in units of the cosine.
    pub wasserstein: f64,
}

impl CosinesOfPairs {
    fn new(what: &'static str, within: Vec<f64>, across: Vec<f64>) -> Result<Self, BenchmarkError> {
        for cosines in [&within, &across] {
            if cosines.is_empty() {
                return Err(BenchmarkError::TooFewValues {
                    what,
                    needed: 1,
                    found: 0,
                });
            }
        }
        Ok(Self {
            kolmogorov_smirnov: kolmogorov_smirnov_statistic(&within, &across)?,
            wasserstein: wasserstein_distance(&within, &across)?,
            within,
            across,
        })
    }
}

/// Compares the cosines of pairs within experiments with those across them.
///
/// All pairs are taken of each of the four kinds, or `max_pairs` random ones (with
/// replacement) where there are more: a screen of 10,000 images has 50 million
/// pairs, and distributions are known well from fewer.
///
/// # Shapes
/// `kinds`: one for each row of `rows`, whose labels have no part in it.
///
/// # Errors
/// [`BenchmarkError::TooFewValues`] says which of the four kinds of pairs there is
/// none of; [`BenchmarkError::WrongNumberOfValues`].
///
/// # Source
/// Sypetkowski et al. 2023, section 5.3 and figure 7; how many pairs were taken is
/// not said there.
///
/// # Example
/// ```
/// use morphospace_benchmark::{EntityMap, StudyRow, cosine_study};
/// use morphospace_core::Seed;
///
/// let kind = |perturbation: &str, experiment: &str| StudyRow {
///     perturbation: perturbation.to_owned(),
///     experiment: experiment.to_owned(),
///     cell_type: "HUVEC".to_owned(),
/// };
/// let kinds = ["1", "1", "2", "2"].map(|experiment| ["A", "B"].map(|name| kind(name, experiment)));
/// let rows = [1.0, 0.0, 0.0, 1.0].repeat(4);
/// let rows = EntityMap::new(vec![String::new(); 8], rows, 2)?;
/// let study = cosine_study(&rows, &kinds.concat(), 1_000, Seed::new(1))?;
/// assert_eq!(study.same_perturbation.within, [1.0; 4]);
/// assert_eq!(study.different_perturbations.kolmogorov_smirnov, 0.0);
/// # Ok::<(), morphospace_benchmark::BenchmarkError>(())
/// ```
pub fn cosine_study(
    rows: &EntityMap,
    kinds: &[StudyRow],
    max_pairs: usize,
    seed: Seed,
) -> Result<CosineStudy, BenchmarkError> {
    if kinds.len() != rows.num_entities() {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: rows.num_entities(),
            num_features: 1,
            expected: rows.num_entities(),
            found: kinds.len(),
        });
    }
    let numbered = numbered_kinds(kinds);
    let cosines = |name: &str, same_perturbation, same_experiment| -> Vec<f64> {
        let kind = PairKind {
            same_perturbation,
            same_experiment,
        };
        let pairs = kind.take(&numbered, max_pairs, seed.split(name));
        pairs
            .par_iter()
            .map(|&(first, second)| rows.cosine(first, second))
            .collect()
    };
    let same_perturbation = CosinesOfPairs::new(
        "cosines of one perturbation, within and across experiments of a cell type,",
        cosines("same within", true, true),
        cosines("same across", true, false),
    )?;
    let different_perturbations = CosinesOfPairs::new(
        "cosines of different perturbations, within and across experiments of a cell type,",
        cosines("different within", false, true),
        cosines("different across", false, false),
    )?;
    Ok(CosineStudy {
        same_perturbation,
        different_perturbations,
    })
}

/// Pairs of rows of one cell type that share the perturbation, or do not, and
/// likewise the experiment.
#[derive(Clone, Copy)]
struct PairKind {
    same_perturbation: bool,
    same_experiment: bool,
}

/// A row as numbers, equal where the texts are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    cell_type: usize,
    perturbation: usize,
    experiment: usize,
}

impl PairKind {
    fn holds(self, a: Kind, b: Kind) -> bool {
        (a.perturbation == b.perturbation) == self.same_perturbation
            && (a.experiment == b.experiment) == self.same_experiment
    }

    /// Pairs of this kind in a screen: all of them, or `max_pairs` random ones. What
    /// is held in memory are those alone.
    fn take(self, kinds: &[Kind], max_pairs: usize, seed: Seed) -> Vec<(usize, usize)> {
        // Rows that share what such a pair shares are looked for only there.
        let shared = |kind: &Kind| {
            let perturbation = self.same_perturbation.then_some(kind.perturbation);
            let experiment = self.same_experiment.then_some(kind.experiment);
            (kind.cell_type, perturbation, experiment)
        };
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (row, kind) in kinds.iter().enumerate() {
            groups.entry(shared(kind)).or_default().push(row);
        }
        let groups: Vec<Vec<usize>> = groups.into_values().collect();
        let num_pairs: usize = groups.iter().map(|group| self.count(kinds, group)).sum();
        if num_pairs <= max_pairs {
            let mut pairs = Vec::with_capacity(num_pairs);
            for group in &groups {
                for (place, &first) in group.iter().enumerate() {
                    let others = group[place + 1..].iter();
                    let others = others.filter(|&&other| self.holds(kinds[first], kinds[other]));
                    pairs.extend(others.map(|&other| (first, other)));
                }
            }
            return pairs;
        }
        // There are such pairs, so drawing any until one is found ends.
        let mut ends = Vec::with_capacity(groups.len());
        let mut num_candidates = 0;
        for group in &groups {
            num_candidates += group.len() * group.len();
            ends.push(num_candidates);
        }
        let mut rng = seed.rng();
        let mut draw = || loop {
            let at = rng.random_range(0..num_candidates);
            let place = ends.partition_point(|&end| end <= at);
            let (group, at) = (&groups[place], ends[place] - 1 - at);
            let (first, second) = (group[at / group.len()], group[at % group.len()]);
            if first != second && self.holds(kinds[first], kinds[second]) {
                return (first, second);
            }
        };
        (0..max_pairs).map(|_| draw()).collect()
    }

    /// How many there are in a group, by inclusion and exclusion.
    fn count(self, kinds: &[Kind], group: &[usize]) -> usize {
        let pairs_within = |key: fn(Kind) -> (usize, usize)| -> usize {
            let mut sizes: BTreeMap<(usize, usize), usize> = BTreeMap::new();
            for &row in group {
                *sizes.entry(key(kinds[row])).or_default() += 1;
            }
            sizes.values().map(|size| size * (size - 1) / 2).sum()
        };
        let all = pairs_within(|_| (0, 0));
        let of_perturbation = pairs_within(|kind| (kind.perturbation, 0));
        let of_experiment = pairs_within(|kind| (kind.experiment, 0));
        let of_both = pairs_within(|kind| (kind.perturbation, kind.experiment));
        match (self.same_perturbation, self.same_experiment) {
            (true, true) => of_both,
            (true, false) => of_perturbation - of_both,
            (false, true) => of_experiment - of_both,
            (false, false) => all + of_both - of_perturbation - of_experiment,
        }
    }
}

/// Numbers in the order of the texts.
fn numbered<'a>(texts: impl Iterator<Item = &'a str> + Clone) -> Vec<usize> {
    let places: BTreeMap<&str, ()> = texts.clone().map(|text| (text, ())).collect();
    let places: BTreeMap<&str, usize> = places.into_keys().zip(0..).collect();
    texts.map(|text| places[text]).collect()
}

fn numbered_kinds(rows: &[StudyRow]) -> Vec<Kind> {
    let cell_types = numbered(rows.iter().map(|row| row.cell_type.as_str()));
    let perturbations = numbered(rows.iter().map(|row| row.perturbation.as_str()));
    let experiments = numbered(rows.iter().map(|row| row.experiment.as_str()));
    (0..rows.len())
        .map(|row| Kind {
            cell_type: cell_types[row],
            perturbation: perturbations[row],
            experiment: experiments[row],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random_embeddings;

    fn kind(perturbation: &str, experiment: &str, cell_type: &str) -> StudyRow {
        StudyRow {
            perturbation: perturbation.to_owned(),
            experiment: experiment.to_owned(),
            cell_type: cell_type.to_owned(),
        }
    }

    #[test]
    fn pairs_by_hand() {
        let kinds = [
            kind("A", "1", "x"),
            kind("A", "1", "x"),
            kind("B", "1", "x"),
            kind("A", "2", "x"),
            kind("A", "3", "y"),
        ];
        let kinds = numbered_kinds(&kinds);
        let of = |same_perturbation, same_experiment| PairKind {
            same_perturbation,
            same_experiment,
        };
        let check = |kind: PairKind, expected: &[(usize, usize)]| {
            assert_eq!(kind.take(&kinds, 100, Seed::new(1)), expected);
            // As many as there are, or fewer: these and no others.
            for (first, second) in kind.take(&kinds, expected.len() - 1, Seed::new(1)) {
                let pair = (first.min(second), first.max(second));
                assert!(expected.contains(&pair), "{pair:?}");
            }
        };
        check(of(true, true), &[(0, 1)]);
        check(of(true, false), &[(0, 3), (1, 3)]);
        check(of(false, true), &[(0, 2), (1, 2)]);
        check(of(false, false), &[(2, 3)]);
    }

    #[test]
    fn batches_that_move_cells_are_seen() {
        let (num_rows, num_features) = (240, 8);
        let kinds: Vec<StudyRow> = (0..num_rows)
            .map(|row| kind(&(row % 6).to_string(), &(row / 60).to_string(), "x"))
            .collect();
        let noise = random_embeddings(num_rows, num_features, Seed::new(1));
        let shifts = random_embeddings(4, num_features, Seed::new(2));
        let study = |shift: f64| {
            let moved = noise.iter().enumerate().map(|(at, x)| {
                let batch = at / num_features / 60;
                x + shift * shifts[batch * num_features + at % num_features]
            });
            let rows = EntityMap::new(vec![String::new(); num_rows], moved.collect(), num_features);
            cosine_study(&rows.expect("finite"), &kinds, 5_000, Seed::new(3)).expect("all kinds")
        };
        let (still, moved) = (study(0.0), study(2.0));
        assert_eq!(still.different_perturbations.across.len(), 5_000);
        assert!(still.different_perturbations.kolmogorov_smirnov < 0.05);
        assert!(moved.different_perturbations.kolmogorov_smirnov > 0.5);
        assert!(moved.same_perturbation.wasserstein > 5.0 * still.same_perturbation.wasserstein);
    }

    #[test]
    fn a_screen_of_one_experiment_is_refused() {
        let kinds = vec![kind("A", "1", "x"); 3];
        let rows = EntityMap::new(vec![String::new(); 3], vec![1.0; 3], 1).expect("finite");
        let error = cosine_study(&rows, &kinds, 10, Seed::new(1)).expect_err("no pairs across");
        assert!(
            error.to_string().contains("within and across experiments"),
            "{error}"
        );
    }
}
