use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use morphospace_core::Seed;

use crate::{
    BenchmarkError, Bootstrap, Interval, LabelClassifier, LogisticRegression, predict_labels,
};

/// The text of [`GeneGroups::anax`].
const ANAX: &str = include_str!("../data/anax.tsv");

/// Genes of groups that share a function.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneGroups {
    /// Group of each gene that is in one group only.
    group_of: BTreeMap<String, String>,
    /// Genes in several, which are left out.
    ambiguous: BTreeSet<String>,
}

impl GeneGroups {
    /// The groups of Kenyon-Dean et al. 2024, <https://arxiv.org/abs/2411.02572>,
    /// appendix A.4, as far as their table can be read: 39 of the 40 that the text
    /// counts, of which one (V-ATPase) is unreadable and two names are cut off.
    pub fn anax() -> Self {
        Self::parse(ANAX, Path::new("anax.tsv")).expect("the table in the program is one")
    }

    /// Groups of a table with a header that names the columns `group` and `gene`,
    /// tab-separated; lines that begin with `#` and rows without a gene are left out.
    ///
    /// # Errors
    /// [`BenchmarkError`] names the file, and the column or line.
    pub fn read(path: &Path) -> Result<Self, BenchmarkError> {
        let text = std::fs::read_to_string(path).map_err(|source| BenchmarkError::CannotRead {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, BenchmarkError> {
        let mut lines = (1..).zip(text.lines());
        let mut lines = lines
            .by_ref()
            .filter(|(_, line)| !line.starts_with('#') && !line.trim().is_empty());
        let header = lines.next().map_or("", |(_, line)| line);
        let columns: Vec<&str> = header.split('\t').map(str::trim).collect();
        let place = |column: &'static str| {
            let place = columns.iter().position(|name| *name == column);
            place.ok_or_else(|| BenchmarkError::MissingColumn {
                path: path.to_owned(),
                column,
                header: header.to_owned(),
                hint: "; columns are separated by tabs".to_owned(),
            })
        };
        let (group, gene) = (place("group")?, place("gene")?);
        let mut groups_of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (line, text) in lines {
            let cells: Vec<&str> = text.split('\t').map(str::trim).collect();
            let (Some(group), gene) = (cells.get(group), cells.get(gene)) else {
                return Err(BenchmarkError::InvalidLine {
                    path: path.to_owned(),
                    line,
                    message: "it has no group".to_owned(),
                });
            };
            if let Some(gene) = gene.filter(|gene| !gene.is_empty()) {
                let of_gene = groups_of.entry((*gene).to_owned()).or_default();
                of_gene.insert((*group).to_owned());
            }
        }
        let (mut group_of, mut ambiguous) = (BTreeMap::new(), BTreeSet::new());
        for (gene, groups) in groups_of {
            match groups.len() {
                1 => {
                    group_of.extend(groups.into_iter().map(|group| (gene.clone(), group)));
                }
                _ => {
                    ambiguous.insert(gene);
                }
            }
        }
        Ok(Self {
            group_of,
            ambiguous,
        })
    }

    /// The group of a gene that is in one.
    pub fn group_of(&self, gene: &str) -> Option<&str> {
        self.group_of.get(gene).map(String::as_str)
    }

    /// Genes in one group.
    pub fn genes(&self) -> impl Iterator<Item = &str> {
        self.group_of.keys().map(String::as_str)
    }

    /// Genes in several groups, which tell nothing.
    pub fn ambiguous(&self) -> impl Iterator<Item = &str> {
        self.ambiguous.iter().map(String::as_str)
    }
}

/// How well the functional group of a well's gene is told.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneGroupProbe {
    /// Mean over groups of the share of wells told right.
    pub balanced_accuracy: f64,
    /// Over genes.
    pub interval: Option<Interval>,
    /// Wells of genes in the groups.
    pub num_wells: usize,
    /// Those genes.
    pub num_genes: usize,
    /// Their groups: chance is one of them.
    pub num_groups: usize,
    /// Parts of the batches, each told by a probe of the others.
    pub num_folds: usize,
}

/// A linear probe of the functional groups of genes: batches (experiments) are dealt
/// to folds, and the wells of each fold told by a probe of the others.
///
/// # Shapes
/// `values`: row-major `[genes.len(), num_features]`; `batches`: one for each row
///
/// # Errors
/// [`BenchmarkError::TooFewClasses`]: the genes are in fewer than two groups;
/// [`BenchmarkError::TooFewGroups`]: fewer than two batches have such genes.
///
/// # Source
/// Kenyon-Dean et al. 2024, section 4 and appendix A.4; scikit-learn's
/// `LogisticRegression(class_weight="balanced")` on standardised features
pub fn probe_gene_groups(
    values: &[f64],
    num_features: usize,
    genes: &[String],
    batches: &[String],
    groups: &GeneGroups,
    num_folds: usize,
    seed: Seed,
) -> Result<GeneGroupProbe, BenchmarkError> {
    if values.len() != genes.len() * num_features || batches.len() != genes.len() {
        return Err(BenchmarkError::WrongNumberOfValues {
            num_labels: genes.len(),
            num_features,
            expected: genes.len() * num_features,
            found: values.len(),
        });
    }
    let rows: Vec<usize> = (0..genes.len())
        .filter(|&row| groups.group_of(&genes[row]).is_some())
        .collect();
    let group = |row: usize| groups.group_of(&genes[row]).expect("rows have groups");
    let of_rows =
        |names: &[String]| -> Vec<String> { rows.iter().map(|&row| names[row].clone()).collect() };
    let names: Vec<String> = rows.iter().map(|&row| group(row).to_owned()).collect();
    let (genes, batches) = (of_rows(genes), of_rows(batches));
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| &values[row * num_features..][..num_features])
        .copied()
        .collect();
    let classifier = LabelClassifier::Linear {
        num_folds,
        settings: LogisticRegression::default(),
        seed: seed.split("folds"),
    };
    let what = "the functional group of genes";
    let found = predict_labels(&values, num_features, what, &names, &batches, &classifier)?;
    let num = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len();
    Ok(GeneGroupProbe {
        balanced_accuracy: found.balanced_accuracy,
        interval: found.interval_over(&genes, &Bootstrap::new(seed.split("bootstrap"))),
        num_wells: rows.len(),
        num_genes: num(&genes),
        num_groups: found.labels.len(),
        num_folds: num_folds.clamp(2, num(&batches)),
    })
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn anax_has_the_groups_that_can_be_read() {
        let anax = GeneGroups::anax();
        let groups: BTreeSet<&str> = anax
            .genes()
            .filter_map(|gene| anax.group_of(gene))
            .collect();
        assert_eq!(groups.len(), 38);
        assert_eq!(anax.group_of("ELOVL2"), Some("Acyl Coa Biosynthesis"));
        // The unreadable row has no gene.
        assert!(!groups.contains("V-ATPase"));
        assert!(anax.ambiguous().all(|gene| anax.group_of(gene).is_none()));
    }

    fn parse(text: &str) -> Result<GeneGroups, BenchmarkError> {
        GeneGroups::parse(text, Path::new("groups.tsv"))
    }

    #[test]
    fn genes_of_several_groups_are_left_out_and_broken_tables_refused() {
        let groups = parse("# note\ngene\tgroup\nA\tx\nB\ty\nB\tx\n\ty\n").expect("a table");
        assert_eq!(groups.group_of("A"), Some("x"));
        assert_eq!(groups.group_of("B"), None);
        assert_eq!(groups.ambiguous().collect::<Vec<_>>(), ["B"]);
        let error = parse("gene,group\n").expect_err("commas").to_string();
        assert!(error.contains("has no column 'group'"), "{error}");
        let error = parse("gene\tgroup\nA\n")
            .expect_err("half a line")
            .to_string();
        assert!(error.contains("'groups.tsv' line 2"), "{error}");
    }

    #[test]
    fn planted_groups_are_told_and_shuffled_ones_are_not() {
        let groups = parse("gene\tgroup\nA\tx\nB\tx\nC\ty\nD\ty\n").expect("a table");
        let mut rng = Seed::new(2).rng();
        let (mut genes, mut batches) = (Vec::new(), Vec::new());
        let (mut planted, mut noise) = (Vec::new(), Vec::new());
        for index in 0..120 {
            let gene = ["A", "B", "C", "D", "other"][index % 5];
            genes.push(gene.to_owned());
            batches.push(format!("batch{}", index / 5 % 4));
            let shift = f64::from(u8::from(gene > "B")) * 2.0;
            for place in 0..3 {
                let x: f64 = rng.random::<f64>() - 0.5;
                noise.push(x);
                planted.push(x + if place == 0 { shift } else { 0.0 });
            }
        }
        let probe = |values: &[f64]| {
            probe_gene_groups(values, 3, &genes, &batches, &groups, 4, Seed::new(1))
        };
        let found = probe(&planted).expect("four batches");
        assert_eq!(found.balanced_accuracy, 1.0);
        assert_eq!((found.num_wells, found.num_genes), (96, 4));
        assert_eq!((found.num_groups, found.num_folds), (2, 4));
        let chance = probe(&noise).expect("four batches").balanced_accuracy;
        assert!((0.25..0.75).contains(&chance), "{chance}");
        let one = vec!["batch".to_owned(); genes.len()];
        let error = probe_gene_groups(&planted, 3, &genes, &one, &groups, 4, Seed::new(1));
        assert!(matches!(error, Err(BenchmarkError::TooFewGroups { .. })));
        let none = vec!["other".to_owned(); genes.len()];
        let error = probe_gene_groups(&planted, 3, &none, &batches, &groups, 4, Seed::new(1));
        assert!(matches!(
            error,
            Err(BenchmarkError::TooFewClasses { found: 0, .. })
        ));
    }
}
