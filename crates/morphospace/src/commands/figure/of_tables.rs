use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use morphospace_benchmark::quantile_of_sorted;
use morphospace_report::{
    Block, Density, DistributionFigure, Population, SpreadFigure, SpreadGroup,
};

use crate::cli::{CosinesFigureArgs, MagnitudesFigureArgs};

/// Rows of a table with a header, of which some columns are taken.
fn read<const N: usize>(path: &Path, columns: [&str; N]) -> Result<Vec<[String; N]>> {
    let named = || format!("'{}'", path.display());
    let mut reader = csv::Reader::from_path(path).with_context(named)?;
    let header = reader.headers().with_context(named)?.clone();
    let mut places = [0; N];
    for (place, column) in places.iter_mut().zip(columns) {
        let found = header.iter().position(|name| name == column);
        *place = found.with_context(|| format!("{} has no column '{column}'", named()))?;
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.with_context(named)?;
        rows.push(places.map(|place| record.get(place).unwrap_or_default().to_owned()));
    }
    if rows.is_empty() {
        bail!("{} has no row", named());
    }
    Ok(rows)
}

fn number(path: &Path, row: usize, text: &str) -> Result<f64> {
    let number = text.parse().ok().filter(|x: &f64| x.is_finite());
    number.with_context(|| {
        format!(
            "'{}' row {}: '{text}' is no number",
            path.display(),
            row + 1
        )
    })
}

/// Kenyon-Dean et al. 2024, figure 6.
pub(super) fn magnitudes(args: &MagnitudesFigureArgs) -> Result<Block> {
    let mut figure = SpreadFigure::new(
        "Distance of perturbations from the controls",
        "energy distance",
    );
    for (name, path) in &args.perturbations {
        let rows = read(path, ["energy_distance"])?;
        let values = rows
            .iter()
            .enumerate()
            .map(|(row, [text])| number(path, row, text))
            .collect::<Result<Vec<f64>>>()?;
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let quantiles =
            [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| quantile_of_sorted(&sorted, share));
        let group = SpreadGroup::new(format!("{name} (n = {})", values.len()));
        figure = figure.with_group(group.with_quantiles(quantiles).with_values(values));
    }
    Ok(figure
        .with_remark("Boxes: quartiles; whiskers: 5 and 95 %")
        .into())
}

/// Sypetkowski et al. 2023, figure 7.
pub(super) fn cosines(args: &CosinesFigureArgs) -> Result<Block> {
    let path = &args.histograms;
    let wanted = match args.different {
        true => "different perturbations",
        false => "same perturbation",
    };
    let mut populations: BTreeMap<String, Vec<(f64, f64, f64)>> = BTreeMap::new();
    for (row, [pairs, low, high, count]) in read(path, ["pairs", "low", "high", "count"])?
        .iter()
        .enumerate()
    {
        let of = |text: &str| number(path, row, text);
        if let Some(whose) = pairs.strip_prefix(wanted) {
            let name = whose.trim_start_matches([',', ' ']).to_owned();
            let bins = populations.entry(name).or_default();
            bins.push((of(low)?, of(high)?, of(count)?));
        }
    }
    if populations.is_empty() {
        bail!(
            "'{}' has no pairs of {wanted}\nhint: give a table that `benchmark cosine-similarity \
             --histograms` wrote",
            path.display()
        );
    }
    let mut figure = DistributionFigure::new(format!("Cosines, {wanted}"), "cosine");
    let mut shares = Vec::new();
    for (name, bins) in &populations {
        let total: f64 = bins.iter().map(|bin| bin.2).sum();
        let density = |(low, high, count): &(f64, f64, f64)| count / total / (high - low);
        let mut edges: Vec<f64> = bins.iter().map(|bin| bin.0).collect();
        edges.extend(bins.last().map(|bin| bin.1));
        let densities = bins.iter().map(density).collect();
        let label = format!("{name} ({total} pairs)");
        figure = figure.with_population(Population::new(label, Density::Bins { edges, densities }));
        shares.push(bins.iter().map(|bin| bin.2 / total).collect::<Vec<f64>>());
    }
    if let [first, second] = &shares[..]
        && first.len() == second.len()
    {
        let (mut difference, mut greatest) = (0.0_f64, 0.0_f64);
        for (first, second) in first.iter().zip(second) {
            difference += first - second;
            greatest = greatest.max(difference.abs());
        }
        figure = figure.with_remark(format!(
            "Kolmogorov-Smirnov statistic: {greatest:.2}, from the bins"
        ));
    }
    Ok(figure.into())
}
