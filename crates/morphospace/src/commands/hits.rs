use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use morphospace_benchmark::{Hit, HitSettings, find_hits, rank_correlation};
use morphospace_core::Seed;
use morphospace_profiles::Profiles;
use morphospace_report::{
    Colouring, KeyValueTable, LineFigure, LineSeries, Page, Projection, ScatterFigure, Section,
    write_page,
};

use crate::cli::HitsArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

/// Perturbations that a page names.
const NUM_NAMED: usize = 25;
/// Perturbations whose doses a page draws.
const NUM_DRAWN: usize = 8;
/// Between a perturbation and its dose where the two are one name; in no name.
const SEPARATOR: char = '\u{1f}';

pub(crate) fn run(args: &HitsArgs) -> Result<Outcome, Failure> {
    let separator = separator_of(&args.output).or_refuse()?;
    super::refuse_unwritable(&args.output)?;
    if let Some(page) = &args.page {
        super::refuse_unwritable(page)?;
    }
    let screened = Screened::read(args).or_refuse()?;
    let settings = HitSettings {
        num_draws: args.draws as usize,
        false_discovery_rate: args.false_discovery_rate,
        seed: Seed::new(args.seed),
    };
    let hits = find_hits(
        &screened.profiles.values(),
        screened.profiles.num_features(),
        &screened.perturbations,
        screened.batches.as_deref(),
        &settings,
    );
    let hits = hits.or_refuse()?;
    let doses = dose_orders(&hits);
    write_hits(args, &hits, &doses, separator).or_stop()?;
    if let Some(path) = &args.page {
        write_page(path, &page(args, &screened, &hits)).or_stop()?;
    }
    let num_hits = hits.iter().filter(|hit| hit.is_hit).count();
    let num_single = hits.iter().filter(|hit| hit.num_wells < 2).count();
    crate::say!(
        "hits: {num_hits} of {} at a false discovery rate of {}, told from {} negative controls",
        hits.len() - num_single,
        args.false_discovery_rate,
        screened.num_controls
    );
    if num_single > 0 {
        warn(format!(
            "perturbations of a single well, which have no replicate to find and are not tested: \
             {num_single}"
        ));
    }
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

/// The wells of a table that take part.
struct Screened {
    profiles: Profiles,
    /// None of a negative control.
    perturbations: Vec<Option<String>>,
    batches: Option<Vec<String>>,
    num_controls: usize,
}

impl Screened {
    fn read(args: &HitsArgs) -> Result<Self> {
        let profiles = super::read(&args.profiles)?;
        let rule = super::control_rule(&args.controls)?;
        let is_control = rule.select(&profiles)?;
        let names = profiles.text(&args.perturbation_column)?;
        let doses = match &args.dose_column {
            Some(column) => profiles.text(column)?,
            None => vec![None; names.len()],
        };
        // Wells that are neither a control nor have a name are left out.
        let kept: Vec<usize> = (0..names.len())
            .filter(|&row| is_control[row] || names[row].is_some())
            .collect();
        if kept.len() < names.len() {
            warn(format!(
                "rows without a value in {} that are no controls, left out: {}",
                args.perturbation_column,
                names.len() - kept.len()
            ));
        }
        let name = |row: &usize| -> Result<Option<String>> {
            let Some(name) = names[*row].as_ref().filter(|_| !is_control[*row]) else {
                return Ok(None);
            };
            Ok(Some(match (&args.dose_column, &doses[*row]) {
                (Some(column), Some(dose)) => {
                    let is_number = dose.trim().parse::<f64>().is_ok_and(f64::is_finite);
                    if !is_number {
                        bail!("column '{column}' of row {row}: '{dose}' is no number");
                    }
                    format!("{name}{SEPARATOR}{}", dose.trim())
                }
                _ => name.clone(),
            }))
        };
        let perturbations = kept.iter().map(name).collect::<Result<Vec<_>>>()?;
        let profiles = profiles.select_rows(&kept);
        profiles.check_finite()?;
        let batches = match args.within_batch {
            true => Some(profiles.keys(&args.controls.batch_column)?),
            false => None,
        };
        Ok(Self {
            num_controls: perturbations.iter().filter(|name| name.is_none()).count(),
            profiles,
            perturbations,
            batches,
        })
    }
}

/// A perturbation's name and its dose.
fn name_and_dose(hit: &Hit) -> (&str, Option<f64>) {
    match hit.perturbation.split_once(SEPARATOR) {
        Some((name, dose)) => (name, dose.parse().ok()),
        None => (&hit.perturbation, None),
    }
}

/// Doses and distances of each perturbation that has several.
fn responses(hits: &[Hit]) -> BTreeMap<&str, Vec<(f64, f64)>> {
    let mut responses: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for hit in hits.iter().filter(|hit| hit.energy_distance.is_finite()) {
        if let (name, Some(dose)) = name_and_dose(hit) {
            responses
                .entry(name)
                .or_default()
                .push((dose, hit.energy_distance));
        }
    }
    for response in responses.values_mut() {
        response.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    responses.retain(|_, response| response.len() > 1);
    responses
}

/// How far the effect of each perturbation grows with its dose.
fn dose_orders(hits: &[Hit]) -> BTreeMap<&str, f64> {
    let orders = responses(hits).into_iter().map(|(name, response)| {
        let (doses, distances): (Vec<f64>, Vec<f64>) = response.into_iter().unzip();
        (name, rank_correlation(&doses, &distances))
    });
    orders.collect()
}

fn separator_of(path: &Path) -> Result<u8> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(b','),
        Some("tsv") => Ok(b'\t'),
        _ => bail!(
            "'{}' ends neither in .csv nor in .tsv\nhint: hits are written as a table of text, \
             e.g. '{}'",
            path.display(),
            path.with_extension("csv").display()
        ),
    }
}

fn write_hits(
    args: &HitsArgs,
    hits: &[Hit],
    doses: &BTreeMap<&str, f64>,
    separator: u8,
) -> Result<()> {
    let mut table = csv::WriterBuilder::new()
        .delimiter(separator)
        .from_writer(Vec::new());
    let dose = args.dose_column.as_deref();
    let mut header = vec![args.perturbation_column.as_str()];
    header.extend(dose);
    header.extend([
        "num_wells",
        "normalised_map",
        "p_value",
        "q_value",
        "energy_distance",
        "replicate_cosine",
        "is_hit",
    ]);
    header.extend(dose.map(|_| "dose_order"));
    table.write_record(&header)?;
    // Nothing is known is nothing written.
    let number = |x: f64| {
        if x.is_nan() {
            String::new()
        } else {
            x.to_string()
        }
    };
    for hit in hits {
        let (name, at) = name_and_dose(hit);
        let mut record = vec![name.to_owned()];
        record.extend(dose.map(|_| at.map_or_else(String::new, |at| at.to_string())));
        record.extend([
            hit.num_wells.to_string(),
            number(hit.normalised_precision),
            number(hit.p_value),
            number(hit.q_value),
            number(hit.energy_distance),
            number(hit.replicate_cosine),
            hit.is_hit.to_string(),
        ]);
        record.extend(dose.map(|_| number(doses.get(name).copied().unwrap_or(f64::NAN))));
        table.write_record(&record)?;
    }
    super::write_csv(&args.output, table)
}

fn page(args: &HitsArgs, screened: &Screened, hits: &[Hit]) -> Page {
    let num_hits = hits.iter().filter(|hit| hit.is_hit).count();
    let title = |hit: &Hit| match name_and_dose(hit) {
        (name, Some(dose)) => format!("{name} at {dose}"),
        (name, None) => name.to_owned(),
    };
    let known: Vec<&Hit> = hits.iter().filter(|hit| hit.q_value.is_finite()).collect();
    let projection = Projection {
        title: "Every perturbation".to_owned(),
        x_label: "energy distance from the controls".to_owned(),
        y_label: "-log10 q".to_owned(),
        coordinates: known
            .iter()
            .map(|hit| (hit.energy_distance, -hit.q_value.log10()))
            .collect(),
    };
    let colouring = Colouring {
        name: format!("q at most {}", args.false_discovery_rate),
        labels: known
            .iter()
            .map(|hit| if hit.is_hit { "hit" } else { "no hit" }.to_owned())
            .collect(),
    };
    let mut top = KeyValueTable::new("The most active perturbations");
    for hit in hits.iter().filter(|hit| hit.is_hit).take(NUM_NAMED) {
        let value = format!(
            "q {:.2e}, energy distance {:.3}, mean cosine of replicates {:.2}, {} wells",
            hit.q_value, hit.energy_distance, hit.replicate_cosine, hit.num_wells
        );
        top = top.with(title(hit), value);
    }
    let mut section = Section::new("Hits").with_intro(
        "A perturbation is a hit if its wells find each other among the negative controls: its \
         mean average precision is larger than that of random orders, corrected for the number \
         of perturbations (Benjamini and Hochberg). The energy distance says how far its wells \
         are from the controls.",
    );
    if !known.is_empty() {
        section = section.with(ScatterFigure::grid(
            "Effect and certainty",
            &[projection],
            &[colouring],
        ));
    }
    section = section.with(top);
    let mut page = Page::new("Which perturbations are active").with_lead(format!(
        "{}: {num_hits} of {} perturbations at a false discovery rate of {}, told from {} \
         negative controls{}.",
        args.profiles.display(),
        hits.len(),
        args.false_discovery_rate,
        screened.num_controls,
        if args.within_batch {
            " of their own batch"
        } else {
            ""
        }
    ));
    page = page.with_section(section);
    let mut of_doses: Vec<(&str, Vec<(f64, f64)>)> = responses(hits).into_iter().collect();
    let greatest = |response: &[(f64, f64)]| {
        response
            .iter()
            .map(|point| point.1)
            .fold(f64::MIN, f64::max)
    };
    of_doses.sort_by(|a, b| greatest(&b.1).total_cmp(&greatest(&a.1)));
    if !of_doses.is_empty() {
        let mut figure = LineFigure::new(
            "Effect by dose, of those that do most",
            "log10 of the dose",
            "energy distance from the controls",
        );
        for (name, response) in of_doses.into_iter().take(NUM_DRAWN) {
            let points = response.into_iter().filter(|(dose, _)| *dose > 0.0);
            let points = points
                .map(|(dose, distance)| (dose.log10(), distance))
                .collect();
            figure = figure.with_series(LineSeries::new(name, points));
        }
        page = page.with_section(Section::new("Doses").with(figure));
    }
    page
}
