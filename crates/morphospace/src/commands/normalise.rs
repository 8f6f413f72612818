use anyhow::{Result, bail};
use morphospace_core::{Experiment, suggestion};
use morphospace_screen::{
    CachedStatistics, NormalisationError, NormalisationOptions, NormalisationStatistics, Screen,
};

use crate::cli::NormaliseArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{Progress, warn, warn_each};

pub(crate) fn run(args: &NormaliseArgs) -> Result<Outcome, Failure> {
    super::refuse_unwritable_parquet("a table of statistics", &args.output)?;
    let screen = super::open(&args.screen).or_refuse()?;
    let sites = sites_of(&*screen, &args.experiments).or_refuse()?;
    let options = NormalisationOptions {
        scheme: args.scheme,
        controls: args.controls.into(),
        on_incomplete: args.on_incomplete,
    };
    let progress = Progress::new("normalise", "sites", sites.len());
    let update = |num_done| progress.update(num_done, "");
    let found = NormalisationStatistics::cached(&args.output, &*screen, &sites, &options, &update);
    let CachedStatistics {
        statistics,
        is_reused,
    } = found.map_err(failure)?;
    let verb = if is_reused { "found in" } else { "written to" };
    progress.finish(&format!(
        "{} of {} sites, {verb} '{}'",
        statistics.options.scheme,
        sites.len(),
        args.output.display()
    ));
    if statistics.is_rescaled_to_8_bit_range {
        warn("16-bit pixels were divided by 257, to the 0..255 scale");
    }
    warn_each("sites left out", &statistics.skipped);
    print_table(&statistics);
    Ok(Outcome::with_failures(!statistics.skipped.is_empty()))
}

/// The sites of some experiments; of all if none is named.
fn sites_of(screen: &dyn Screen, experiments: &[String]) -> Result<Vec<usize>> {
    let sites = screen.sites();
    let wanted: Vec<Experiment> = experiments.iter().map(Experiment::new).collect();
    for experiment in &wanted {
        let is_there = |site: &morphospace_core::Site| site.key.plate.experiment == *experiment;
        if !sites.iter().any(is_there) {
            let names = sites.iter().map(|site| site.key.plate.experiment.as_str());
            let near = suggestion(experiment.as_str(), names);
            let hint = near.map_or(
                "`morphospace inspect` counts experiments".to_owned(),
                |near| format!("did you mean '{near}'?"),
            );
            bail!("the screen has no experiment '{experiment}'\nhint: {hint}");
        }
    }
    let is_wanted =
        |index: &usize| wanted.is_empty() || wanted.contains(&sites[*index].key.plate.experiment);
    Ok((0..sites.len()).filter(is_wanted).collect())
}

fn print_table(statistics: &NormalisationStatistics) {
    let names = statistics
        .keys
        .keys()
        .map(|key| key.to_string().chars().count());
    let width = names.max().unwrap_or(0);
    let channels = statistics.channels.iter().map(|name| name.chars().count());
    let channel_width = channels.max().unwrap_or(0).max("channel".len());
    let scope = statistics.scope.as_str();
    let width = width.max(scope.len());
    crate::print_line!(
        "{scope:<width$}  {:<channel_width$}  {:>9}  {:>9}  {:>14}",
        "channel",
        "mean",
        "sd",
        "pixels"
    );
    for (key, found) in &statistics.keys {
        let key = key.to_string();
        for (channel, found) in statistics.channels.iter().zip(found) {
            crate::print_line!(
                "{key:<width$}  {channel:<channel_width$}  {:>9.4}  {:>9.4}  {:>14}",
                found.mean,
                found.sd,
                found.num_pixels
            );
        }
    }
}

fn failure(error: NormalisationError) -> Failure {
    match error {
        NormalisationError::NothingToCompute
        | NormalisationError::WouldCountZeros
        | NormalisationError::NoSites
        | NormalisationError::NoControls { .. }
        | NormalisationError::Incomplete { .. }
        | NormalisationError::InvalidTable { .. } => Failure::Refused(error.into()),
        _ => Failure::Stopped(error.into()),
    }
}
