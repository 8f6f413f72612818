mod probe;
mod repeated;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use anyhow::Result;
use burn::tensor::Device;
use morphospace_core::read_config;
use morphospace_screen::split::{Part, read_split};
use morphospace_screen::{
    LoaderOptions, NormalisationStatistics, SITES_INPUT, Screen, sites_sha256,
};
use morphospace_train::{
    CheckedTrainConfig, EmbeddedSites, EvaluationReport, Observer, StepReport, TrainConfig,
    TrainError, TrainSummary, TrainingData, best_checkpoint, drop_corrupt_checkpoints,
    latest_checkpoint, train,
};

use crate::allocator;
use crate::cli::{TrainArgs, ValidationPart};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{Progress, warn};

pub(crate) fn run(args: &TrainArgs) -> Result<Outcome, Failure> {
    allocator::keep_pages();
    let config: TrainConfig = read_config(&args.config, &args.overrides).or_refuse()?;
    if args.dry_run {
        let config = config.check().or_refuse()?;
        crate::print_line!("{}", config.to_toml().trim_end());
        return Ok(Outcome::Done);
    }
    let output = args.output.as_deref().expect("required but for a dry run");
    if args.seeds.is_some() || args.folds.is_some() {
        return repeated::run(args, config, output);
    }
    let trained = train_once(args, config, args.screen.split.as_deref(), output)?;
    crate::print_line!("{}", trained.checkpoint.folder.display());
    Ok(Outcome::with_failures(trained.num_sites_left_out > 0))
}

/// One run on what the arguments and a split say.
fn train_once(
    args: &TrainArgs,
    config: TrainConfig,
    split: Option<&Path>,
    output: &Path,
) -> Result<TrainSummary, Failure> {
    let config = config.check().or_refuse()?;
    let device = args.device.device.open().or_refuse()?;
    let (training, validation) = open_parts(args, split).or_refuse()?;
    warn_of_statistics_of_others(&config, &*training).or_refuse()?;
    if args.drop_corrupt {
        for dropped in drop_corrupt_checkpoints(output).or_stop()? {
            warn(format!(
                "checkpoint '{}' was broken and is removed",
                dropped.folder.display()
            ));
            if latest_checkpoint(output).or_stop()?.is_none() {
                let best = best_checkpoint(output).or_stop()?;
                let best = best.map_or_else(String::new, |best| {
                    format!(
                        "\nhint: '{}' is left: --set init.checkpoint=... begins another run from it",
                        best.folder.display()
                    )
                });
                warn(format!("no checkpoint is left: the run begins anew{best}"));
            }
        }
    }
    train_under_progress(
        TrainingData {
            training: &*training,
            validation: validation.as_deref(),
        },
        &config,
        output,
        &device,
        args.loader.options(),
    )
}

type Parts = (Box<dyn Screen>, Option<Box<dyn Screen>>);

/// What is trained on, and what to validate with.
fn open_parts(args: &TrainArgs, split: Option<&Path>) -> Result<Parts> {
    let Some(path) = split else {
        return Ok((super::open(&args.screen)?, None));
    };
    let of_part = |part| super::part_of(&args.screen, path, part);
    let part = args.screen.part.unwrap_or(Part::Train);
    let has_validation = || -> Result<bool> {
        let mut rows = read_split(path)?.rows.into_iter();
        Ok(rows.any(|(_, part)| part == Part::Validation))
    };
    let validation = match args.validation_part {
        Some(ValidationPart::None) => None,
        Some(ValidationPart::Part(part)) => Some(part),
        None if part == Part::Train && has_validation()? => Some(Part::Validation),
        None => None,
    };
    if validation == Some(part) {
        anyhow::bail!(
            "part '{part}' cannot be both trained on and validated with\nhint: choose another \
             --validation-part"
        );
    }
    Ok((of_part(part)?, validation.map(of_part).transpose()?))
}

/// Says so if statistics are of other sites than are trained on: those of a
/// test set tell of it.
fn warn_of_statistics_of_others(config: &CheckedTrainConfig, screen: &dyn Screen) -> Result<()> {
    let Some(path) = config.get().normalisation.table() else {
        return Ok(());
    };
    let statistics = NormalisationStatistics::load(path)?;
    let inputs = &statistics.provenance.inputs;
    let of_sites = inputs.iter().find(|input| input.name == SITES_INPUT);
    if of_sites.is_some_and(|sites| sites.sha256 != sites_sha256(screen.sites())) {
        let notes = statistics.provenance.settings.get("screen_notes");
        let notes = notes.map_or_else(String::new, |notes| format!(" ({notes})"));
        warn(format!(
            "table '{}' is of other sites than are trained on{notes}\nhint: statistics of a test \
             set tell of it; `morphospace normalise` takes --split and --part, too",
            path.display()
        ));
    }
    Ok(())
}

/// The progress bar of a run.
#[derive(Default)]
struct TrainProgress {
    /// From the first step on.
    bar: Option<Progress>,
    /// The last scores, in words.
    scores: String,
}

impl Observer for TrainProgress {
    fn on_start(&mut self, num_steps_done: u64, num_steps: u64) {
        let bar = Progress::new("train", "steps", num_steps as usize);
        bar.update(num_steps_done as usize, "");
        self.bar = Some(bar);
    }

    fn on_step(&mut self, report: &StepReport) {
        let parts: Vec<String> = report
            .parts
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let parts = match &parts[..] {
            [] => String::new(),
            parts => format!(" ({})", parts.join(", ")),
        };
        let remark = format!(
            "loss {:.4}{parts}, {:.1} images/s, {:.0} % waiting for images{}",
            report.loss,
            report.images_per_second,
            100.0 * report.data_wait_share,
            self.scores
        );
        if let Some(bar) = &self.bar {
            bar.update(report.step as usize + 1, &remark);
        }
    }

    fn probe(
        &mut self,
        training: &EmbeddedSites,
        validation: &EmbeddedSites,
    ) -> Result<BTreeMap<String, f64>, Box<dyn Error + Send + Sync>> {
        Ok(probe::scores(training, validation)?)
    }

    fn on_evaluation(&mut self, report: &EvaluationReport, is_best: bool) {
        let scores: Vec<String> = report
            .scores
            .iter()
            .map(|(name, value)| format!("{name} {value:.4}"))
            .collect();
        let best = if is_best { " (best)" } else { "" };
        self.scores = format!("; {}{best}", scores.join(", "));
    }
}

/// Trains the network that the configuration names, under a progress bar.
pub(crate) fn train_under_progress(
    data: TrainingData<'_>,
    config: &CheckedTrainConfig,
    folder: &Path,
    device: &Device,
    loader: LoaderOptions,
) -> Result<TrainSummary, Failure> {
    let mut progress = TrainProgress::default();
    let trained = train(config, data, folder, device, loader, &mut progress);
    let summary = trained.map_err(|error| match error {
        TrainError::InvalidConfig(_)
        | TrainError::UnsuitableScreen { .. }
        | TrainError::UnsuitableLabels(_)
        | TrainError::Normalisation(_)
        | TrainError::Sampler(_)
        | TrainError::RunInUse { .. }
        | TrainError::CorruptCheckpoint { .. }
        | TrainError::ForeignCheckpoint { .. } => Failure::Refused(error.into()),
        _ => Failure::Stopped(error.into()),
    })?;
    if summary.num_sites_left_out > 0 {
        warn(format!(
            "sites that lack images and were not trained on: {}; `inspect` names them all, the \
             first is {}",
            summary.num_sites_left_out,
            summary.first_site_left_out.as_deref().unwrap_or_default()
        ));
    }
    let from = match summary.first_step {
        0 => String::new(),
        step => format!(" from step {step} on"),
    };
    let loss = summary
        .steps
        .last()
        .map_or(String::new(), |step| format!(", loss {:.4}", step.loss));
    let early = match summary.is_early {
        true => format!(
            " of {}, as scores grew no better for a while",
            summary.num_steps
        ),
        false => String::new(),
    };
    if let Some(bar) = progress.bar {
        bar.finish(&format!("{} steps{from}{early}{loss}", summary.steps.len()));
    }
    Ok(summary)
}
