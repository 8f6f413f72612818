//! The demo's page.

use anyhow::Result;
use morphospace::evaluation::{BATCH_LINEAR, BATCH_NEIGHBOURS, REPLICATES, recall_name};
use morphospace::run_report::{distance_heat_map, image_panel, scatter_grid};
use morphospace_core::{ControlRole, Provenance};
use morphospace_report::{
    Better, KeyValueTable, LineFigure, LineSeries, Notes, Page, ScoreRow, ScoreTable, Section,
};

use super::seeds::COMPARED;
use super::{BATCH, Comparison, ENTITY, ORACLE, SeedRun, TRAINED};

pub(super) fn build(run: &SeedRun) -> Result<Page> {
    let trained = run
        .models
        .iter()
        .find(|m| m.name == TRAINED)
        .expect("the demo embeds it");
    let before = &trained.aligned[0];
    let after = trained.aligned.last().expect("alignments are tried");
    Ok(Page::new("morphospace demo")
        .with_lead(format!(
            "A simulated Cell Painting screen ({} sites, {} wells), a small masked autoencoder \
             trained on it for minutes, and what its profiles are worth. Everything here was \
             computed by one command.",
            run.screen.sites().len(),
            before.num_rows()
        ))
        .with_section(scores(run))
        .with_section(comparisons(run))
        .with_section(map(run, before, after)?)
        .with_section(plate(after)?)
        .with_section(images(run)?)
        .with_section(training(run))
        .with_section(provenance(run)))
}

fn scores(run: &SeedRun) -> Section {
    let rows = run.scores.iter().map(|score| ScoreRow {
        // What they are computed with stands in scores.json.
        notes: Vec::new(),
        ..ScoreRow::from(score)
    });
    let table = ScoreTable::new(
        "Whiskers are 95 % bootstrap intervals, ticks the chance level",
        rows,
    )
    .with_better(recall_name(0.05, 0.95), Better::Higher)
    .with_better(recall_name(0.1, 0.9), Better::Higher)
    .with_better(REPLICATES, Better::Higher)
    .with_better(BATCH_NEIGHBOURS, Better::Lower)
    .with_better(BATCH_LINEAR, Better::Lower)
    .with_reference(ORACLE)
    .with_reference("random");
    Section::new("Scores")
        .with_intro(
            "Relationship recall: the share of planted functional partners whose cosine lies in \
             the tails of all pairs. Replicate consistency: how far the cosines of the same \
             perturbation in two experiments lie from those of random pairs. Batch prediction: \
             how well the experiment is told from a well's profile; a good alignment makes it \
             fall towards chance. The oracle sees the true shape parameters that the images were \
             drawn from.",
        )
        .with(table)
}

/// Differences have rows of their own, drawn around zero.
fn comparisons(run: &SeedRun) -> Section {
    let compared = run
        .comparisons
        .iter()
        .filter(|comparison| comparison.found.thresholds == COMPARED);
    let rows = compared.map(
        |Comparison {
             alignment,
             other,
             found,
         }| ScoreRow {
            benchmark: "recall 5/95 of the trained network minus that of ...".to_owned(),
            model: (*other).to_owned(),
            alignment: (*alignment).to_owned(),
            value: found.difference,
            ci: found.interval.map(|interval| (interval.low, interval.high)),
            null: Some(0.0),
            n: found.num_query,
            notes: Vec::new(),
        },
    );
    let caption = "Paired: both maps are scored on the same bootstrap samples of \
                   perturbations";
    Section::new("Is it better?").with(ScoreTable::new(caption, rows))
}

fn map(
    run: &SeedRun,
    before: &morphospace_profiles::Profiles,
    after: &morphospace_profiles::Profiles,
) -> Result<Section> {
    let groups = planted_groups(run, before)?;
    let colours = [
        ("experiment", before.keys(BATCH)?),
        ("planted group", groups),
    ];
    let tables = [("before alignment", before), ("after TVN", after)];
    let caption = "Wells of the trained network on their first two principal components";
    Ok(Section::new("Map").with(scatter_grid(caption, &tables, BATCH, &colours)?))
}

/// The functional group of each well's perturbation.
fn planted_groups(run: &SeedRun, wells: &morphospace_profiles::Profiles) -> Result<Vec<String>> {
    let mut group_of = std::collections::HashMap::new();
    let path = run.folder.join("screen").join("perturbations.csv");
    let mut reader = csv::Reader::from_path(path)?;
    for record in reader.deserialize() {
        let (sirna, _, group): (String, String, Option<String>) = record?;
        group_of.insert(sirna, group);
    }
    let names = wells.text(ENTITY)?;
    Ok(names
        .into_iter()
        .map(
            |name| match name.and_then(|name| group_of.get(&name).cloned().flatten()) {
                Some(group) => group.replace('_', " "),
                None => "control".to_owned(),
            },
        )
        .collect())
}

fn plate(after: &morphospace_profiles::Profiles) -> Result<Section> {
    let batch = &after.keys(BATCH)?[0];
    let plate = &after.keys("Metadata_Plate")?[0];
    Ok(Section::new("Plate")
        .with_intro("Framed wells are controls.")
        .with(distance_heat_map(after, batch, plate)?))
}

/// A control and a treatment of the first and the last experiment.
fn images(run: &SeedRun) -> Result<Section> {
    let sites = run.screen.sites();
    let mut section = Section::new("Example images")
        .with_intro("Each channel is stretched between two of its own percentiles.");
    let ends = [sites.first(), sites.last()].map(|site| site.map(|site| &site.key.plate));
    for plate in ends.into_iter().flatten() {
        for role in [ControlRole::Untreated, ControlRole::Treatment] {
            let found = sites
                .iter()
                .position(|site| site.key.plate == *plate && site.well.control_role == role);
            if let Some(site_index) = found {
                section = section.with(image_panel(&*run.screen, site_index)?);
            }
        }
    }
    Ok(section)
}

fn training(run: &SeedRun) -> Section {
    let points = run
        .training
        .iter()
        .map(|step| (step.step as f64, step.loss))
        .collect();
    let rate: f64 = run
        .training
        .iter()
        .map(|step| step.images_per_second)
        .sum::<f64>()
        / run.training.len() as f64;
    let figure = LineFigure::new(
        "Reconstruction of masked patches",
        "step",
        "mean squared error",
    )
    .with_series(LineSeries::new("training", points));
    let waiting: f64 = run
        .training
        .iter()
        .map(|step| step.data_wait_share)
        .sum::<f64>()
        / run.training.len() as f64;
    Section::new("Training")
        .with(figure)
        .with(Notes::default().with_note(format!(
            "{} steps, {rate:.0} images/s, {:.0} % of the time spent waiting for images",
            run.training.len(),
            100.0 * waiting
        )))
}

fn provenance(run: &SeedRun) -> Section {
    let provenance = Provenance::new("demo")
        .with_seed("run", run.seed)
        .with_setting("screen", run.screen.name());
    Section::new("What ran")
        .with(KeyValueTable::from(&provenance))
        .with(Notes::default().with_note(
            "The screen is simulated: these numbers show that the pipeline works, not how well \
             a network does on real cells.",
        ))
}
