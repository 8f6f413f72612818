use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use morphospace_core::Provenance;
use morphospace_embed::{
    EmbedConfig, EmbedProgress, EmbeddingFolder, EmbeddingSettings, NetworkIdentity, PlateJob,
    PlateRecord, PlatesDone, Shard,
};
use morphospace_models::Encoder;
use morphospace_screen::Screen;

use crate::cli::{EmbedArgs, ShardArg};
use crate::failure::{Failure, Outcome, Phase};
use crate::signals::StopWhenTold;
use crate::terminal::{Progress, warn_each};

/// Embeds into a folder, plate by plate.
pub(super) fn embed_into(
    args: &EmbedArgs,
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    device: &Device,
    config: &EmbedConfig,
) -> Result<Outcome, Failure> {
    let shard = match args.shard {
        None => Shard::WHOLE,
        Some(ShardArg::Part(shard)) => shard,
        Some(ShardArg::Auto) => Shard::of_scheduler(|name| std::env::var(name).ok())
            .context("--shard auto")
            .or_refuse()?,
    };
    let checked = config.check(screen, encoder, device);
    checked.map_err(super::failure)?;
    let network = NetworkIdentity {
        name: args.network.to_string(),
        sha256: args.network.sha256(args.seed).or_refuse()?,
    };
    // By contents, not by names: the same from wherever a part is run.
    let origin = Provenance::new("embed")
        .with_hash("network", network.sha256.clone())
        .with_seed("untrained network", args.seed);
    let origin = match args.network.uses_labels().or_refuse()? {
        Some(uses_labels) => origin.with_setting("network_uses_labels", uses_labels),
        None => origin,
    };
    let settings = EmbeddingSettings::new(screen, &network, config);
    let folder = EmbeddingFolder::begin(&args.output, settings).or_refuse()?;
    let stop = StopWhenTold::listen().or_refuse()?;
    let job = PlateJob {
        screen,
        encoder,
        device,
        device_name: &super::device_name(args, device),
        config,
        folder: &folder,
        shard,
        stop: stop.flag(),
        provenance: &|provenance| super::joined(provenance, &origin),
    };
    // Begun once it is known how much there is left to do.
    let mut progress: Option<Progress> = None;
    let mut observer = |at: EmbedProgress| {
        let begun = progress.get_or_insert_with(|| Progress::new("embed", "sites", at.num_sites));
        begun.update(at.num_sites_done, "");
    };
    let done = job.run(&mut observer, &mut |_| {});
    let done = match done.map_err(super::failure) {
        // Nothing has been done: the next command may have other settings.
        Err(refused @ Failure::Refused(_)) if shard == Shard::WHOLE => {
            folder.take_back().or_stop()?;
            return Err(refused);
        }
        done => done?,
    };
    let progress = progress.unwrap_or_else(|| Progress::new("embed", "sites", 0));
    progress.finish(&summary(&done, shard));
    Ok(report(args, &done))
}

/// Refuses what is the name of neither a table nor a folder.
pub(super) fn refuse_no_folder(path: &Path) -> Result<()> {
    if path.is_file() {
        bail!(
            "'{}' is a file, and no table by its name\nhint: name a folder, or a table, e.g. \
             profiles.parquet",
            path.display()
        );
    }
    // Mistyped endings are no folders; a slash says that it is one.
    let says_folder = path.is_dir() || path.to_string_lossy().ends_with(std::path::MAIN_SEPARATOR);
    if path.extension().is_some() && !says_folder {
        bail!(
            "'{}' is no table that can be written; endings: {}\nhint: for a folder of this name put \
             a slash behind it",
            path.display(),
            crate::commands::TABLE_ENDINGS.join(", ")
        );
    }
    Ok(())
}

fn summary(done: &PlatesDone, shard: Shard) -> String {
    let embedded = || done.records.iter().filter(|one| one.why_not().is_none());
    let num_tiles: usize = embedded().map(|one| one.num_tiles).sum();
    let seconds: f64 = embedded().map(|one| one.seconds).sum();
    let waited: f64 = embedded()
        .map(|one| one.seconds * one.data_wait_share)
        .sum();
    let of_shard = match shard {
        Shard::WHOLE => String::new(),
        shard => format!(" of part {shard}"),
    };
    let before = match done.before.len() {
        0 => String::new(),
        num => format!(" ({num} were done before)"),
    };
    let speed = match seconds > 0.0 {
        true => format!(
            ", {num_tiles} tiles, {:.1} tiles/s, {:.0} % waiting for images",
            num_tiles as f64 / seconds,
            100.0 * waited / seconds
        ),
        false => String::new(),
    };
    format!(
        "{} of {} plates{of_shard}{before}{speed}",
        done.before.len() + embedded().count(),
        done.num_plates
    )
}

fn report(args: &EmbedArgs, done: &PlatesDone) -> Outcome {
    let names = |of: fn(&PlateRecord) -> &Vec<String>| -> Vec<String> {
        let all = done.before.iter().chain(&done.records);
        all.flat_map(of).cloned().collect()
    };
    let skipped = names(|record| &record.skipped);
    let filled = names(|record| &record.filled);
    let outside = names(|record| &record.outside);
    let failed = done.records.iter().filter_map(|record| {
        let failure = record.why_not()?;
        Some(format!("{}: {failure}", record.key()))
    });
    let failed: Vec<String> = failed.collect();
    warn_each("sites left out", &skipped);
    warn_each("sites with zeros in place of missing channels", &filled);
    warn_each("sites whose mask has nothing inside", &outside);
    let used = done.records.iter().map(|record| record.batch_size).min();
    if let Some(used) = used.filter(|used| *used < args.batch_size) {
        super::warn_of_smaller_batches(args.batch_size, used);
    }
    warn_each("plates that could not be embedded", &failed);
    crate::print_line!("{}", args.output.display());
    let is_all = [&skipped, &filled, &outside, &failed]
        .iter()
        .all(|names| names.is_empty());
    Outcome::with_failures(!is_all)
}
