use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::Seed;
use rand::RngExt;
use rand::seq::index::sample;
use rayon::prelude::*;

use crate::{EntityMap, Ties, area_under_roc, average_precision};

/// One measurement of a compound on the product of a gene.
#[derive(Clone, Debug, PartialEq)]
pub struct Interaction {
    /// The compound.
    pub compound: String,
    /// The gene.
    pub gene: String,
    /// Concentration of half effect, in nM.
    pub concentration_nm: f64,
}

/// What counts as an interaction, and how many genes without one it is told from.
///
/// # Source
/// RxRx3-core: Kraus et al. 2025, <https://arxiv.org/abs/2503.20158>;
/// EFAAR_benchmarking `compound_gene_benchmark`
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompoundGeneSettings {
    /// At most so much, in nM, is an interaction.
    pub active_nm: f64,
    /// Above it and up to here is neither; beyond, there is none.
    pub inactive_nm: f64,
    /// Genes without an interaction that are drawn for a compound, at least;
    /// twice its interactions, if that is more.
    pub min_negatives: usize,
    /// How genes of equal scores are ranked.
    pub ties: Ties,
}

impl Default for CompoundGeneSettings {
    fn default() -> Self {
        Self {
            active_nm: 1000.0,
            inactive_nm: 10_000.0,
            min_negatives: 20,
            ties: Ties::NegativesFirst,
        }
    }
}

/// The genes that a compound is scored on.
#[derive(Clone, Debug, PartialEq)]
pub struct CompoundItems {
    /// The compound.
    pub compound: String,
    /// Genes and whether they interact: those that do first, in order.
    pub genes: Vec<(String, bool)>,
}

/// Why a compound is not scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotScored {
    /// No gene interacts with it.
    NoActiveGene,
    /// There are fewer genes without an interaction than are to be drawn.
    TooFewNegatives,
    /// The map does not have it.
    NotInMap,
}

impl CompoundGeneSettings {
    /// Draws the genes of each compound, in the order of compounds, and says which
    /// are not scored and why. Only genes and compounds of the map count, if it
    /// is given as `genes` and `compounds`.
    ///
    /// Genes that may be drawn are sorted first, so that a draw follows from the
    /// seed and the compound's name; the public code draws from a set, whose order
    /// changes from run to run.
    pub fn draw_items(
        &self,
        interactions: &[Interaction],
        genes: &BTreeSet<String>,
        compounds: &BTreeSet<String>,
        seed: Seed,
    ) -> (Vec<CompoundItems>, BTreeMap<String, NotScored>) {
        let of_map = |interaction: &&Interaction| genes.contains(&interaction.gene);
        let known: BTreeSet<&String> = interactions
            .iter()
            .filter(of_map)
            .map(|interaction| &interaction.gene)
            .collect();
        let mut by_compound: BTreeMap<&String, Vec<&Interaction>> = BTreeMap::new();
        for interaction in interactions {
            let of_compound = by_compound.entry(&interaction.compound).or_default();
            if of_map(&interaction) {
                of_compound.push(interaction);
            }
        }
        let (mut items, mut not_scored) = (Vec::new(), BTreeMap::new());
        for (compound, interactions) in by_compound {
            let up_to = |most: f64| -> BTreeSet<&String> {
                let found = interactions.iter();
                let found = found.filter(|interaction| interaction.concentration_nm <= most);
                found.map(|interaction| &interaction.gene).collect()
            };
            let (active, not_inactive) = (up_to(self.active_nm), up_to(self.inactive_nm));
            let eligible: Vec<&&String> = known
                .iter()
                .filter(|gene| !not_inactive.contains(**gene))
                .collect();
            let num_negatives = (2 * active.len()).max(self.min_negatives);
            let reason = match () {
                () if !compounds.contains(compound) => Some(NotScored::NotInMap),
                () if active.is_empty() => Some(NotScored::NoActiveGene),
                () if eligible.len() < num_negatives => Some(NotScored::TooFewNegatives),
                () => None,
            };
            if let Some(reason) = reason {
                not_scored.insert(compound.clone(), reason);
                continue;
            }
            let mut rng = seed.split(compound).rng();
            let drawn = sample(&mut rng, eligible.len(), num_negatives);
            let negatives = drawn
                .iter()
                .map(|place| (eligible[place].to_string(), false));
            let genes = active.into_iter().map(|gene| (gene.clone(), true));
            items.push(CompoundItems {
                compound: compound.clone(),
                genes: genes.chain(negatives).collect(),
            });
        }
        (items, not_scored)
    }
}

/// How well the genes of a compound are found.
#[derive(Clone, Debug, PartialEq)]
pub struct CompoundPrecision {
    /// The compound.
    pub compound: String,
    /// Its concentration, as the map writes it; none for the greatest score over
    /// all concentrations.
    pub concentration: Option<String>,
    /// [`average_precision`].
    pub average_precision: f64,
    /// [`area_under_roc`].
    pub area_under_roc: f64,
}

/// A map of genes and of compounds at several concentrations.
#[derive(Clone, Debug)]
pub struct CompoundGeneMap {
    /// Genes.
    pub genes: EntityMap,
    /// Compounds, a row for each concentration.
    pub compounds: EntityMap,
    /// The concentration of each of these rows.
    pub concentrations: Vec<String>,
}

impl CompoundGeneMap {
    /// Scores every compound by the absolute cosine of each of its rows with each of
    /// its genes, and by the greatest of them over its rows.
    ///
    /// Items of compounds or genes that the map lacks are left out.
    pub fn precisions(&self, items: &[CompoundItems], ties: Ties) -> Vec<CompoundPrecision> {
        let row_of_gene: BTreeMap<&String, usize> = self.genes.labels().iter().zip(0..).collect();
        let mut rows_of_compound: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
        for (row, compound) in self.compounds.labels().iter().enumerate() {
            rows_of_compound.entry(compound).or_default().push(row);
        }
        let mut found = Vec::new();
        for CompoundItems { compound, genes } in items {
            let Some(rows) = rows_of_compound.get(compound) else {
                continue;
            };
            let known = genes
                .iter()
                .filter_map(|(gene, label)| Some((*row_of_gene.get(gene)?, *label)));
            let (genes, labels): (Vec<usize>, Vec<bool>) = known.unzip();
            let precision = |concentration: Option<String>, scores: &[f64]| CompoundPrecision {
                compound: compound.clone(),
                concentration,
                average_precision: average_precision(scores, &labels, ties),
                area_under_roc: area_under_roc(scores, &labels),
            };
            let mut greatest = vec![0.0_f64; genes.len()];
            for &row in rows {
                let direction = self.compounds.direction(row);
                let cosine = |gene: &usize| {
                    crate::entity_map::dot(direction, self.genes.direction(*gene)).abs()
                };
                let scores: Vec<f64> = genes.iter().map(cosine).collect();
                for (greatest, score) in greatest.iter_mut().zip(&scores) {
                    *greatest = greatest.max(*score);
                }
                found.push(precision(Some(self.concentrations[row].clone()), &scores));
            }
            found.push(precision(None, &greatest));
        }
        found
    }
}

/// Means over compounds, at each concentration.
#[derive(Clone, Debug, PartialEq)]
pub struct MacroPrecision {
    /// The concentration; none for the greatest score over all.
    pub concentration: Option<String>,
    /// Compounds.
    pub num_compounds: usize,
    /// Mean of [`CompoundPrecision::average_precision`].
    pub average_precision: f64,
    /// Mean of [`CompoundPrecision::area_under_roc`].
    pub area_under_roc: f64,
}

/// Means of one draw over compounds, first the greatest over concentrations.
pub fn macro_precisions(precisions: &[CompoundPrecision]) -> Vec<MacroPrecision> {
    let mut by_concentration: BTreeMap<&Option<String>, Vec<&CompoundPrecision>> = BTreeMap::new();
    for precision in precisions {
        let of = by_concentration.entry(&precision.concentration);
        of.or_default().push(precision);
    }
    let mean = |precisions: &[&CompoundPrecision], value: fn(&CompoundPrecision) -> f64| {
        precisions
            .iter()
            .map(|precision| value(precision))
            .sum::<f64>()
            / precisions.len() as f64
    };
    by_concentration
        .into_iter()
        .map(|(concentration, precisions)| MacroPrecision {
            concentration: concentration.clone(),
            num_compounds: precisions.len(),
            average_precision: mean(&precisions, |precision| precision.average_precision),
            area_under_roc: mean(&precisions, |precision| precision.area_under_roc),
        })
        .collect()
}

/// Compound-gene retrieval over several draws of genes.
#[derive(Clone, Debug, PartialEq)]
pub struct CompoundGeneReport {
    /// Mean and standard deviation over draws, first of the greatest score over
    /// concentrations, then of each concentration.
    pub concentrations: Vec<RetrievalSpread>,
    /// The same of random scores.
    pub baseline: RetrievalSpread,
    /// Mean average precision over draws of each compound, by its greatest score.
    pub of_compounds: BTreeMap<String, f64>,
    /// Compounds that are not scored, and why.
    pub not_scored: BTreeMap<String, NotScored>,
}

/// Means and standard deviations (`n - 1`) over draws.
#[derive(Clone, Debug, PartialEq)]
pub struct RetrievalSpread {
    /// The concentration; none for the greatest score over all, and random ones.
    pub concentration: Option<String>,
    /// Of the mean over compounds of [`CompoundPrecision::average_precision`].
    pub average_precision: [f64; 2],
    /// Of the mean over compounds of [`CompoundPrecision::area_under_roc`].
    pub area_under_roc: [f64; 2],
}

impl CompoundGeneMap {
    /// Draws genes `num_draws` times and scores every compound on each; draw `i`
    /// follows from `seed.split_index(i)`. No compound may be scored: then there are
    /// no concentrations, and the baseline is NaN.
    pub fn retrieval(
        &self,
        interactions: &[Interaction],
        settings: &CompoundGeneSettings,
        num_draws: usize,
        seed: Seed,
    ) -> CompoundGeneReport {
        let genes: BTreeSet<String> = self.genes.labels().iter().cloned().collect();
        let compounds: BTreeSet<String> = self.compounds.labels().iter().cloned().collect();
        let draws: Vec<Draw> = (0..num_draws)
            .into_par_iter()
            .map(|draw| {
                let seed = seed.split_index(draw as u64);
                let (items, not_scored) =
                    settings.draw_items(interactions, &genes, &compounds, seed);
                Draw {
                    precisions: self.precisions(&items, settings.ties),
                    baseline: random_precisions(&items, settings.ties, seed.split("baseline")),
                    not_scored,
                }
            })
            .collect();
        let mut by_concentration: BTreeMap<Option<String>, Vec<[f64; 2]>> = BTreeMap::new();
        let (mut baselines, mut of_compounds) = (Vec::new(), BTreeMap::new());
        for draw in &draws {
            for means in macro_precisions(&draw.precisions) {
                let found = by_concentration.entry(means.concentration).or_default();
                found.push([means.average_precision, means.area_under_roc]);
            }
            let means = macro_precisions(&draw.baseline);
            baselines.extend(
                means
                    .iter()
                    .map(|m| [m.average_precision, m.area_under_roc]),
            );
            for precision in draw.precisions.iter().filter(|p| p.concentration.is_none()) {
                let sum: &mut f64 = of_compounds.entry(precision.compound.clone()).or_default();
                *sum += precision.average_precision / num_draws as f64;
            }
        }
        let not_scored = draws.into_iter().next().map(|draw| draw.not_scored);
        CompoundGeneReport {
            concentrations: by_concentration
                .into_iter()
                .map(|(concentration, values)| spread(concentration, &values))
                .collect(),
            baseline: spread(None, &baselines),
            of_compounds,
            not_scored: not_scored.unwrap_or_default(),
        }
    }
}

/// What one draw of genes comes to.
struct Draw {
    precisions: Vec<CompoundPrecision>,
    baseline: Vec<CompoundPrecision>,
    not_scored: BTreeMap<String, NotScored>,
}

/// Of scores drawn between 0 and 1.
fn random_precisions(items: &[CompoundItems], ties: Ties, seed: Seed) -> Vec<CompoundPrecision> {
    let of_compound = |item: &CompoundItems| {
        let mut rng = seed.split(&item.compound).rng();
        let scores: Vec<f64> = item.genes.iter().map(|_| rng.random()).collect();
        let labels: Vec<bool> = item.genes.iter().map(|(_, label)| *label).collect();
        CompoundPrecision {
            compound: item.compound.clone(),
            concentration: None,
            average_precision: average_precision(&scores, &labels, ties),
            area_under_roc: area_under_roc(&scores, &labels),
        }
    };
    items.iter().map(of_compound).collect()
}

fn spread(concentration: Option<String>, values: &[[f64; 2]]) -> RetrievalSpread {
    let count = values.len() as f64;
    let of = |index: usize| {
        let mean = values.iter().map(|value| value[index]).sum::<f64>() / count;
        let squares = values
            .iter()
            .map(|value| (value[index] - mean).powi(2))
            .sum::<f64>();
        [mean, (squares / (count - 1.0)).sqrt()]
    };
    RetrievalSpread {
        concentration,
        average_precision: of(0),
        area_under_roc: of(1),
    }
}

/// How far a model is above a baseline, both with spreads:
/// `(mean - mean of the baseline) / sqrt(sd² + sd of the baseline²)`.
///
/// # Source
/// Kenyon-Dean et al. 2024, table 3, whose numbers it gives; no code of it is published
///
/// # Example
/// ```
/// use morphospace_benchmark::z_score;
///
/// assert_eq!(z_score([0.75, 0.3], [0.25, 0.4]), 1.0);
/// ```
pub fn z_score([mean, sd]: [f64; 2], [base, base_sd]: [f64; 2]) -> f64 {
    (mean - base) / sd.hypot(base_sd)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interaction(compound: &str, gene: &str, concentration_nm: f64) -> Interaction {
        Interaction {
            compound: compound.to_owned(),
            gene: gene.to_owned(),
            concentration_nm,
        }
    }

    fn names(prefix: &str, count: usize) -> BTreeSet<String> {
        (0..count)
            .map(|index| format!("{prefix}{index:02}"))
            .collect()
    }

    #[test]
    fn bounds_are_those_of_the_definition() {
        let mut all: Vec<Interaction> = names("G", 23)
            .iter()
            .map(|gene| interaction("other", gene, 1.0))
            .collect();
        all.extend([
            interaction("C", "G00", 1000.0),
            interaction("C", "G01", 1000.1),
            interaction("C", "G02", 10_000.0),
            interaction("C", "G03", 10_000.1),
            // Active by one measurement is active.
            interaction("C", "G02", 5.0),
            interaction("gray", "G04", 2000.0),
            interaction("absent", "G04", 1.0),
        ]);
        let compounds = ["C", "other", "gray"].map(str::to_owned).into();
        let draw = |seed| {
            CompoundGeneSettings::default().draw_items(&all, &names("G", 23), &compounds, seed)
        };
        let (items, not_scored) = draw(Seed::new(1));
        assert_eq!(items.len(), 1);
        let genes = &items[0].genes;
        assert_eq!(
            genes[..2],
            [("G00".to_owned(), true), ("G02".to_owned(), true)]
        );
        // G01 is neither; the other twenty are all drawn, G03 among them.
        assert_eq!(genes.len(), 22);
        assert!(genes.contains(&("G03".to_owned(), false)));
        assert!(!genes.iter().any(|(gene, _)| gene == "G01"));
        let expected = [
            ("absent", NotScored::NotInMap),
            ("gray", NotScored::NoActiveGene),
            ("other", NotScored::TooFewNegatives),
        ];
        let expected = expected.map(|(name, reason)| (name.to_owned(), reason));
        assert_eq!(not_scored, expected.into());
        assert_eq!(draw(Seed::new(1)).0, draw(Seed::new(1)).0);
    }

    #[test]
    fn a_map_that_knows_its_compounds_is_far_above_chance() {
        // Compounds lie with the first two genes of theirs.
        let num_genes = 60;
        let genes: Vec<String> = names("G", num_genes).into_iter().collect();
        let mut values = vec![0.0; num_genes * num_genes];
        (0..num_genes).for_each(|gene| values[gene * num_genes + gene] = 1.0);
        let compounds: Vec<String> = names("C", 5).into_iter().collect();
        let (mut all, mut of_compounds) = (Vec::new(), Vec::new());
        for (index, compound) in compounds.iter().enumerate() {
            let mut row = vec![0.01; num_genes];
            for gene in [2 * index, 2 * index + 1] {
                row[gene] = 1.0;
                all.push(interaction(compound, &genes[gene], 10.0));
            }
            of_compounds.extend(row);
        }
        all.extend(genes.iter().map(|gene| interaction("inactive", gene, 1e6)));
        let map = CompoundGeneMap {
            genes: EntityMap::new(genes, values, num_genes).expect("finite"),
            compounds: EntityMap::new(compounds, of_compounds, num_genes).expect("finite"),
            concentrations: vec!["1".to_owned(); 5],
        };
        let settings = CompoundGeneSettings::default();
        let report = map.retrieval(&all, &settings, 20, Seed::new(4));
        assert_eq!(report.concentrations.len(), 2);
        assert_eq!(report.concentrations[0].average_precision, [1.0, 0.0]);
        assert!(report.baseline.average_precision[0] < 0.4);
        assert!((report.of_compounds["C03"] - 1.0).abs() < 1e-12);
        assert_eq!(report.not_scored["inactive"], NotScored::NotInMap);
        assert_eq!(report, map.retrieval(&all, &settings, 20, Seed::new(4)));
        // A map without any of the compounds.
        let nothing = map.retrieval(&all[10..], &settings, 3, Seed::new(4));
        assert!(nothing.concentrations.is_empty());
    }

    #[test]
    fn the_greatest_cosine_counts_whatever_its_sign() {
        let map = CompoundGeneMap {
            genes: EntityMap::new(
                ["A", "B"].map(str::to_owned).to_vec(),
                vec![1.0, 0.0, 0.0, 1.0],
                2,
            )
            .expect("finite"),
            compounds: EntityMap::new(
                ["C", "C"].map(str::to_owned).to_vec(),
                vec![-1.0, 0.1, 0.2, 0.3],
                2,
            )
            .expect("finite"),
            concentrations: ["0.1", "1"].map(str::to_owned).to_vec(),
        };
        let items = [CompoundItems {
            compound: "C".to_owned(),
            genes: vec![("A".to_owned(), true), ("B".to_owned(), false)],
        }];
        let found = map.precisions(&items, Ties::NegativesFirst);
        let precisions: Vec<f64> = found.iter().map(|found| found.average_precision).collect();
        assert_eq!(precisions, [1.0, 0.5, 1.0]);
        let means = macro_precisions(&found);
        assert_eq!(means[0].concentration, None);
        assert_eq!(
            (means[1].num_compounds, means[1].average_precision),
            (1, 1.0)
        );
    }
}
