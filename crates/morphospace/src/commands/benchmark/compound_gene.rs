use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::{
    Bootstrap, CompoundGeneMap, CompoundGeneSettings, EntityMap, Interaction, NotScored, Score,
    z_score,
};
use morphospace_core::Seed;
use morphospace_map::{Aggregate, Average, aggregate};
use morphospace_profiles::Profiles;

use crate::cli::CompoundGeneArgs;
use crate::terminal::warn;

/// How well compounds find the genes they act on.
pub(super) fn scores(args: &CompoundGeneArgs) -> Result<Vec<Score>> {
    let interactions = read_interactions(&args.interactions)?;
    let profiles = crate::commands::read(&args.score.profiles)?;
    let profiles = crate::commands::without_rows(profiles, &args.exclude)?;
    let map = map_of(&profiles, args)?;
    let seed = Seed::new(args.score.seed).split("compound gene");
    let settings = CompoundGeneSettings::default();
    let report = map.retrieval(&interactions, &settings, args.draws.into(), seed);

    let count = |reason: NotScored| report.not_scored.values().filter(|r| **r == reason).count();
    let left_out = [
        ("not in the map", count(NotScored::NotInMap)),
        (
            "no gene of the map interacts with it",
            count(NotScored::NoActiveGene),
        ),
        (
            "too few genes to tell from",
            count(NotScored::TooFewNegatives),
        ),
    ];
    let left_out: Vec<String> = left_out
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} ({reason})"))
        .collect();
    if report.of_compounds.is_empty() {
        bail!(
            "no compound can be scored: {}\nhint: compounds are looked for in column '{}' and \
             genes in '{}', under the names of '{}'",
            left_out.join(", "),
            compound_column(&profiles, args).0,
            args.gene_column,
            args.interactions.display()
        );
    }
    if !left_out.is_empty() {
        warn(format!(
            "compounds that are not scored: {}",
            left_out.join(", ")
        ));
    }

    let num_compounds = report.of_compounds.len();
    let score = |name: String, [mean, sd]: [f64; 2], [base, base_sd]: [f64; 2]| {
        let z = z_score([mean, sd], [base, base_sd]);
        Score::new(
            name,
            &args.score.model,
            &args.score.alignment,
            mean,
            num_compounds,
        )
        .with_null(base)
        .with_seed(seed)
        .with_setting("draws", args.draws)
        .with_setting("sd over draws", sd)
        .with_setting("sd of random scores", base_sd)
        .with_setting("z", z)
    };
    let mut scores = Vec::new();
    let number = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let mut of_concentrations: Vec<_> = report.concentrations.iter().collect();
    of_concentrations.sort_by(|a, b| {
        let [a, b] = [a, b].map(|found| number(&found.concentration).unwrap_or(f64::INFINITY));
        a.total_cmp(&b)
    });
    for found in of_concentrations {
        let at = match &found.concentration {
            None => "best concentration".to_owned(),
            Some(concentration) => concentration.clone(),
        };
        let baseline = report.baseline.average_precision;
        let name = format!("compound-gene average precision, {at}");
        let mut precision = score(name, found.average_precision, baseline);
        if found.concentration.is_none() {
            // Over compounds: those of one draw of genes are no sample of others.
            let values: Vec<f64> = report.of_compounds.values().copied().collect();
            let bootstrap = Bootstrap::new(seed.split("bootstrap"));
            if let Some(interval) = bootstrap.interval_of_mean(&values) {
                precision = precision.with_interval(interval);
            }
            let roc = format!("compound-gene area under ROC, {at}");
            let baseline = report.baseline.area_under_roc;
            scores.push(precision);
            scores.push(score(roc, found.area_under_roc, baseline));
        } else {
            scores.push(precision);
        }
    }
    Ok(scores)
}

/// The column that names compounds, and whether it names nothing else.
fn compound_column<'a>(profiles: &Profiles, args: &'a CompoundGeneArgs) -> (&'a str, bool) {
    match &args.compound_column {
        Some(column) => (column, false),
        None if profiles.has_column("Metadata_compound") => ("Metadata_compound", true),
        None => ("Metadata_treatment", false),
    }
}

/// Genes, and compounds at each of their concentrations: means of their rows.
fn map_of(profiles: &Profiles, args: &CompoundGeneArgs) -> Result<CompoundGeneMap> {
    let is_given = |column: &str| -> Result<Vec<bool>> {
        let values = profiles.text(column)?.into_iter();
        Ok(values
            .map(|value| value.is_some_and(|value| !value.is_empty()))
            .collect())
    };
    let (compound_column, names_nothing_else) = compound_column(profiles, args);
    let has_gene = is_given(&args.gene_column)?;
    let has_compound = is_given(compound_column)?;
    let rows_with = |is_taken: &dyn Fn(usize) -> bool| -> Vec<usize> {
        (0..profiles.num_rows())
            .filter(|&row| is_taken(row))
            .collect()
    };
    // A column of compounds decides; where it also holds other names, that of genes.
    let gene_rows = rows_with(&|row| has_gene[row] && !(names_nothing_else && has_compound[row]));
    let compound_rows =
        rows_with(&|row| has_compound[row] && (names_nothing_else || !has_gene[row]));
    let mean_of = |rows: &[usize], by: &[&str]| -> Result<Profiles> {
        let settings = Aggregate {
            average: Average::Mean,
            ..Aggregate::by(by.iter().copied())
        };
        Ok(aggregate(&profiles.select_rows(rows), &settings)?)
    };
    if gene_rows.is_empty() {
        bail!(
            "no row has a gene in column '{}'{}",
            args.gene_column,
            match names_nothing_else {
                true => " and no compound",
                false => "",
            }
        );
    }
    if compound_rows.is_empty() {
        bail!("column '{compound_column}' is empty where no gene is given");
    }
    let genes = mean_of(&gene_rows, &[&args.gene_column])?;
    let by = [compound_column, &args.concentration_column];
    let compounds = mean_of(&compound_rows, &by)?;
    Ok(CompoundGeneMap {
        genes: EntityMap::from_profiles(&genes, &args.gene_column)?,
        concentrations: compounds.keys(&args.concentration_column)?,
        compounds: EntityMap::from_profiles(&compounds, compound_column)?,
    })
}

/// A table with the columns `gene_symbol`, `nM_value` and `treatment`, as RxRx3-core
/// has it.
fn read_interactions(path: &Path) -> Result<Vec<Interaction>> {
    let named = |message: String| format!("'{}' {message}", path.display());
    let mut reader =
        csv::Reader::from_path(path).with_context(|| named("cannot be read".to_owned()))?;
    let header = reader
        .headers()
        .with_context(|| named("is no table".to_owned()))?
        .clone();
    let place = |column: &str| {
        header
            .iter()
            .position(|name| name.trim() == column)
            .with_context(|| {
                named(format!(
                    "has no column '{column}'; its header is '{}'",
                    header.iter().collect::<Vec<_>>().join(",")
                ))
            })
    };
    let (gene, value) = (place("gene_symbol")?, place("nM_value")?);
    let compound = place("treatment")?;
    let mut interactions = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let line = index + 2;
        let record = record.with_context(|| named(format!("line {line}")))?;
        let text = record.get(value).unwrap_or_default().trim();
        let concentration_nm = text.parse().ok().filter(|x: &f64| x.is_finite());
        interactions.push(Interaction {
            compound: record.get(compound).unwrap_or_default().trim().to_owned(),
            gene: record.get(gene).unwrap_or_default().trim().to_owned(),
            concentration_nm: concentration_nm
                .with_context(|| named(format!("line {line}: nM_value '{text}' is no number")))?,
        });
    }
    if interactions.is_empty() {
        bail!(named("holds no interaction".to_owned()));
    }
    Ok(interactions)
}
