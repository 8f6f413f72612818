use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use morphospace::run_report::{distance_heat_map, image_panel, scatter_grid};
use morphospace_benchmark::Score;
use morphospace_core::Provenance;
use morphospace_profiles::Profiles;
use morphospace_report::{
    Failure as NamedFailure, FailureTable, KeyValueTable, Page, ScoreRow, ScoreTable, Section,
    write_page,
};
use morphospace_screen::{InspectDepth, Screen, inspect, open_screen};

use super::benchmark::read_scores;
use crate::cli::ReportArgs;
use crate::failure::{Failure, Outcome, Phase};

/// Sites shown of a screen.
const NUM_EXAMPLES: usize = 4;

pub(crate) fn run(args: &ReportArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable(&args.output)?;
    let page = build(args).or_refuse()?;
    write_page(&args.output, &page).or_stop()?;
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

fn build(args: &ReportArgs) -> Result<Page> {
    let before = super::read(&args.profiles)?;
    let after = args.aligned.as_deref().map(super::read).transpose()?;
    if let Some(after) = &after {
        ensure!(
            after.num_rows() == before.num_rows(),
            "'{}' has {} rows, the profiles before alignment have {}",
            args.aligned.as_deref().unwrap_or(&args.profiles).display(),
            after.num_rows(),
            before.num_rows()
        );
        for column in ["Metadata_Plate", "Metadata_Well", &args.batch_column] {
            refuse_other_rows(&before, after, column)?;
        }
    }
    let mut page = Page::new(&args.title).with_lead(format!(
        "{} rows of {} features from '{}'.",
        before.num_rows(),
        before.num_features(),
        args.profiles.display()
    ));
    let scores = read_all(&args.scores)?;
    if !scores.is_empty() {
        let rows = scores.iter().map(ScoreRow::from);
        page = page.with_section(Section::new("Scores").with(ScoreTable::new("", rows)));
    }
    page = page.with_section(map_section(args, &before, after.as_ref())?);
    if let Some(section) = plate_section(after.as_ref().unwrap_or(&before)) {
        page = page.with_section(section);
    }
    if let Some(path) = &args.screen {
        let screen = open_screen(path, args.format.as_ref())?;
        page = page.with_section(image_section(&*screen)?);
        page = page.with_section(inspection_section(&*screen));
    }
    Ok(page.with_section(provenance_section(&before, after.as_ref())))
}

/// Points after the alignment take the colours of the rows before it.
fn refuse_other_rows(before: &Profiles, after: &Profiles, column: &str) -> Result<()> {
    if !(before.has_column(column) && after.has_column(column)) {
        return Ok(());
    }
    let (one, other) = (before.text(column)?, after.text(column)?);
    if let Some(row) = (0..one.len()).find(|row| one[*row] != other[*row]) {
        let name = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".into());
        bail!(
            "the two tables hold different rows: in row {} column '{column}' is {} before and \
             {} after alignment\nhint: give the table that `align` made of --profiles",
            row + 1,
            name(&one[row]),
            name(&other[row])
        );
    }
    Ok(())
}

fn read_all(paths: &[PathBuf]) -> Result<Vec<Score>> {
    let mut scores = Vec::new();
    for path in paths {
        scores.extend(read_scores(path)?.scores);
    }
    Ok(scores)
}

fn map_section(args: &ReportArgs, before: &Profiles, after: Option<&Profiles>) -> Result<Section> {
    let labels = |column: &str| -> Result<Vec<String>> {
        let values = before.text(column)?;
        Ok(values
            .into_iter()
            .map(|value| value.unwrap_or_else(|| "unknown".into()))
            .collect())
    };
    let colours = [
        (args.batch_column.as_str(), labels(&args.batch_column)?),
        (args.group_column.as_str(), labels(&args.group_column)?),
    ];
    let mut tables = vec![(
        if after.is_some() {
            "before alignment"
        } else {
            ""
        },
        before,
    )];
    tables.extend(after.map(|after| ("after alignment", after)));
    let caption = "One point per row on the first two principal components";
    let figure = scatter_grid(caption, &tables, &args.batch_column, &colours)
        .context("projecting the profiles")?;
    Ok(Section::new("Map").with(figure))
}

/// The first plate, if the table says where its rows lie.
fn plate_section(profiles: &Profiles) -> Option<Section> {
    let batch = profiles
        .text("Metadata_Batch")
        .ok()?
        .into_iter()
        .flatten()
        .next()?;
    let plate = profiles
        .text("Metadata_Plate")
        .ok()?
        .into_iter()
        .flatten()
        .next()?;
    let heat_map = distance_heat_map(profiles, &batch, &plate).ok()?;
    Some(Section::new("Plate").with(heat_map))
}

fn image_section(screen: &dyn Screen) -> Result<Section> {
    let mut section = Section::new("Example images")
        .with_intro("Each channel is stretched from its 0.5th to its 99.8th percentile.");
    let num_sites = screen.sites().len();
    let step = (num_sites / NUM_EXAMPLES).max(1);
    for site_index in (0..num_sites).step_by(step).take(NUM_EXAMPLES) {
        section = section.with(image_panel(screen, site_index)?);
    }
    Ok(section)
}

fn inspection_section(screen: &dyn Screen) -> Section {
    let inspection = inspect(screen, InspectDepth::Presence);
    let failures = inspection
        .missing
        .iter()
        .map(|found| (found, "missing"))
        .chain(
            inspection
                .unreadable
                .iter()
                .map(|found| (found, "unreadable")),
        )
        .map(|(found, handling)| {
            let subject = format!(
                "{} plate {} well {} site {} channel {}",
                found.experiment, found.plate, found.well, found.site, found.channel
            );
            NamedFailure::new(subject, &found.problem, handling)
        })
        .collect();
    let num_checked = inspection.num_sites * inspection.channels.len();
    Section::new("Missing and unreadable images").with(FailureTable {
        num_checked,
        failures,
    })
}

fn provenance_section(before: &Profiles, after: Option<&Profiles>) -> Section {
    let mut section = Section::new("What ran");
    for profiles in std::iter::once(before).chain(after) {
        let table = match profiles.provenance() {
            Some(provenance) => KeyValueTable::from(provenance),
            None => KeyValueTable::from(&Provenance::new("read")).with("provenance", "none given"),
        };
        section = section.with(table);
    }
    section
}
