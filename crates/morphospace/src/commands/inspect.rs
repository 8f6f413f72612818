use std::io::Write;
use std::path::Path;

use anyhow::anyhow;
use morphospace::inspection_page::inspection_page;
use morphospace_core::{Provenance, parse_config, write_atomically};
use morphospace_report::write_page;
use morphospace_screen::{
    InspectDepth, InspectOptions, Inspected, Manifest, QualityThresholds, Screen, inspect_images,
    write_image_quality, write_manifest,
};

use crate::cli::{DepthArg, InspectArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

/// The value of `--json` that means standard output.
const STANDARD_OUTPUT: &str = "-";

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome, Failure> {
    let options = checked_options(args)?;
    let json_file = args
        .json
        .as_deref()
        .filter(|path| *path != Path::new(STANDARD_OUTPUT));
    for (what, path) in [
        ("a manifest", &args.manifest),
        ("the table of images", &args.qc),
    ] {
        if let Some(path) = path {
            super::refuse_unwritable_parquet(what, path)?;
        }
    }
    for path in [args.page.as_deref(), json_file].into_iter().flatten() {
        super::refuse_unwritable(path)?;
    }
    let screen = super::open(&args.screen).or_refuse()?;
    let inspected = inspect_under_progress(&*screen, &options)?;
    let inspection = &inspected.inspection;
    let provenance = provenance(&*screen, args, &options)?;
    if let Some(path) = &args.manifest {
        let manifest = Manifest {
            quality: Some(inspected.sites.clone()),
            provenance: Some(provenance.clone()),
            ..Manifest::of(&*screen)
        };
        write_manifest(path, &manifest).or_stop()?;
    }
    if let Some(path) = &args.qc {
        write_image_quality(path, &*screen, &inspected.images, &provenance).or_stop()?;
    }
    if let Some(path) = &args.page {
        let page = inspection_page(&*screen, &inspected, &provenance).to_page();
        write_page(path, &page).or_stop()?;
    }
    let json = || serde_json::to_string_pretty(inspection).or_stop();
    if let Some(path) = json_file {
        let json = json()?;
        write_atomically(path, |file| writeln!(file, "{json}")).or_stop()?;
    }
    if args.json.is_some() && json_file.is_none() {
        crate::print_line!("{}", json()?);
    } else {
        crate::print_line!("{inspection}");
    }
    Ok(Outcome::with_failures(!inspection.is_sound()))
}

fn checked_options(args: &InspectArgs) -> Result<InspectOptions, Failure> {
    let depth = match args.depth {
        _ if args.decode => InspectDepth::Decode,
        DepthArg::Presence => InspectDepth::Presence,
        DepthArg::Decode => InspectDepth::Decode,
        DepthArg::Quality => InspectDepth::Quality,
    };
    if depth != InspectDepth::Quality && (args.qc.is_some() || !args.overrides.is_empty()) {
        return Err(Failure::Refused(anyhow!(
            "--qc and --set are about measured images\nhint: add --depth quality"
        )));
    }
    let thresholds: QualityThresholds =
        parse_config("thresholds", "", &args.overrides).or_refuse()?;
    thresholds.check().or_refuse()?;
    Ok(InspectOptions { depth, thresholds })
}

fn inspect_under_progress(
    screen: &dyn Screen,
    options: &InspectOptions,
) -> Result<Inspected, Failure> {
    if options.depth == InspectDepth::Presence {
        return inspect_images(screen, options, &|_| ()).or_stop();
    }
    let progress = Progress::new("inspect", "sites", screen.sites().len());
    let update = |num_done| progress.update(num_done, "");
    let inspected = inspect_images(screen, options, &update).or_stop()?;
    progress.finish(&format!("{} sites", screen.sites().len()));
    Ok(inspected)
}

fn provenance(
    screen: &dyn Screen,
    args: &InspectArgs,
    options: &InspectOptions,
) -> Result<Provenance, Failure> {
    let depth = serde_json::to_value(options.depth).or_stop()?;
    let provenance = super::with_screen(screen.provenance("inspect"), &args.screen).or_stop()?;
    let mut provenance = provenance.with_setting("depth", depth.as_str().unwrap_or_default());
    if options.depth == InspectDepth::Quality {
        let thresholds = serde_json::to_string(&options.thresholds).or_stop()?;
        provenance = provenance.with_setting("thresholds", thresholds);
    }
    Ok(provenance)
}
