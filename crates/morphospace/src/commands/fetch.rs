use std::path::Path;

use anyhow::{Context, anyhow};
use morphospace_report::counted;
use morphospace_screen::fetch::{
    Dataset, FetchOptions, FetchPlan, FetchProgress, catalogue, fetch, find_dataset, plan_fetch,
};

use crate::cli::FetchArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{self, Progress};

pub(crate) fn run(args: &FetchArgs) -> Result<Outcome, Failure> {
    if args.list {
        print_catalogue();
        return Ok(Outcome::Done);
    }
    let name = args.dataset.as_deref().context("no dataset").or_refuse()?;
    // A name that is not there is said before an option that is not.
    let dataset = find_dataset(name).or_refuse()?;
    // Before any server is asked.
    dataset
        .check_licence(args.accept_licence || args.dry_run)
        .or_refuse()?;
    let output = match (&args.output, args.dry_run) {
        (None, false) => Err(anyhow!(
            "no folder to fetch '{name}' into is given\nhint: give one with --output, or look at \
             the files first with --dry-run"
        ))
        .or_refuse()?,
        (output, _) => output.as_deref().unwrap_or(Path::new(".")),
    };
    let mut plan = plan_fetch(dataset, &args.only, args.mirror.as_deref()).or_refuse()?;
    if args.dry_run {
        let problems = plan.ask_lengths();
        print_plan(dataset, &plan);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        terminal::warn_each("sizes that no server told", &problems);
        plan.check_len(args.max_bytes).or_refuse()?;
        return Ok(Outcome::Done);
    }
    let options = FetchOptions {
        accept_licence: args.accept_licence,
        max_bytes: args.max_bytes,
        num_connections: usize::from(args.connections),
        ..FetchOptions::default()
    };
    let (len, _) = plan.known_len();
    let progress = Progress::new("fetch", "kB", (len / 1_000) as usize);
    let num_files = plan.files.len();
    let on_progress = |done: FetchProgress| {
        let files = format!("{}/{num_files} files", done.num_files);
        progress.update((done.num_bytes / 1_000) as usize, &files);
    };
    let report = fetch(&plan, output, &options, &on_progress).or_refuse()?;
    progress.finish(&format!(
        "{} fetched, {} kept; {} in '{}'",
        counted(report.num_fetched, "file"),
        report.num_kept,
        size(report.num_bytes),
        output.display()
    ));
    terminal::warn_each("files not fetched", &report.failures);
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&report).or_stop()?);
    }
    Ok(Outcome::with_failures(!report.failures.is_empty()))
}

fn print_catalogue() {
    for dataset in catalogue() {
        crate::print_line!("{}", dataset.name);
        crate::print_line!("    {}", dataset.what);
        crate::print_line!("    licence: {}", dataset.licence.name);
    }
}

fn print_plan(dataset: &Dataset, plan: &FetchPlan) {
    crate::print_line!("{}", dataset.what);
    crate::print_line!("licence: {}", dataset.licence.name);
    crate::print_line!("         {}", dataset.licence.url);
    crate::print_line!("cite:    {}", dataset.citation);
    if let Some(usage) = &dataset.usage {
        crate::print_line!("use:     {usage}");
    }
    crate::print_line!("");
    for file in &plan.files {
        let len = file.len.map_or_else(|| "size unknown".to_owned(), size);
        crate::print_line!("{len:>12}  {}", file.path);
        crate::print_line!("{:>12}  {}", "", file.url);
    }
    let (len, num_unknown) = plan.known_len();
    let files = counted(plan.files.len(), "file");
    crate::print_line!("");
    if num_unknown == plan.files.len() {
        crate::print_line!("{files} of unknown size");
    } else if num_unknown > 0 {
        crate::print_line!("{files}: {}, and {num_unknown} of unknown size", size(len));
    } else {
        crate::print_line!("{files}: {}", size(len));
    }
}

/// Bytes in the largest unit of which there is one.
fn size(len: u64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    let found = units.iter().find(|(unit, _)| len as f64 >= *unit);
    found.map_or_else(
        || format!("{len} B"),
        |(unit, name)| format!("{:.1} {name}", len as f64 / unit),
    )
}
