use std::path::Path;

use anyhow::Result;
use morphospace_core::Provenance;
use morphospace_map::{
    CurateSettings, CurationSummary, CurationTable, PhenoprintTable, curate, curate_profiles,
};
use morphospace_profiles::{Column, Profiles, read_metadata, write_profiles};
use morphospace_screen::{Manifest, read_manifest, write_curation};

use crate::cli::CurateArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

pub(crate) fn run(args: &CurateArgs) -> Result<Outcome, Failure> {
    let settings: CurateSettings = super::settings(&args.settings).or_refuse()?;
    settings.check().or_refuse()?;
    super::refuse_unwritable_table(&args.output)?;
    if let Some(path) = &args.summary {
        super::refuse_unwritable_table(path)?;
    }
    let phenoprints = args
        .phenoprints
        .iter()
        .map(|path| phenoprint_table(path))
        .collect::<Result<Vec<_>>>()
        .or_refuse()?;
    let table = read_metadata(&args.table).or_refuse()?;
    let provenance = Provenance::new("curate")
        .with_input(&args.table)
        .or_stop()?
        .with_seed("under-sampling", settings.under_sampling.seed.value());
    let provenance = args
        .phenoprints
        .iter()
        .try_fold(provenance, |provenance, path| provenance.with_input(path))
        .or_stop()?;

    let summary = if table.has_column("site_key") {
        super::refuse_unwritable_parquet("a curated manifest", &args.output)?;
        let manifest = read_manifest(&args.table).or_refuse()?;
        let rows = rows_of(&manifest, &table, &settings).or_refuse()?;
        let curated = curate(&rows, &phenoprints, &settings).or_refuse()?;
        let manifest = Manifest {
            provenance: Some(provenance),
            ..manifest
        };
        write_curation(&args.output, &manifest, &curated.keep, &curated.reasons).or_stop()?;
        curated.summary
    } else {
        let (curated, summary) = curate_profiles(&table, &phenoprints, &settings).or_refuse()?;
        write_profiles(&args.output, &curated.with_provenance(provenance)).or_stop()?;
        summary
    };
    if let Some(path) = &args.summary {
        write_profiles(path, &summary.to_table()).or_stop()?;
    }
    print(&summary);
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

fn phenoprint_table(path: &Path) -> Result<PhenoprintTable> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(PhenoprintTable::of_profiles(name, &read_metadata(path)?)?)
}

/// The sites of a manifest with what an inspection found.
fn rows_of(
    manifest: &Manifest,
    table: &Profiles,
    settings: &CurateSettings,
) -> Result<CurationTable> {
    let mut rows = CurationTable::of_sites(&manifest.sites)?;
    let num_channels = manifest.paths.iter();
    let num_channels =
        num_channels.map(|paths| paths.iter().filter(|path| path.is_some()).count() as u32);
    rows = rows.with_num_channels(num_channels.collect())?;
    let bounds = &settings.quality.bounds;
    for (name, column) in table.metadata() {
        match column {
            Column::Boolean(values) if name.starts_with("qc_") => {
                rows = rows.with_flag(name, values.clone())?;
            }
            Column::Float(values) if bounds.iter().any(|bound| bound.column == *name) => {
                rows = rows.with_measure(name, values.clone())?;
            }
            _ => {}
        }
    }
    Ok(rows)
}

fn print(summary: &CurationSummary) {
    let without_notes = CurationSummary {
        notes: Vec::new(),
        ..summary.clone()
    };
    crate::say!("{}", without_notes.to_string().trim_end());
    for note in &summary.notes {
        warn(note);
    }
}
