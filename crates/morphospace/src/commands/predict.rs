use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use morphospace_benchmark::binomial_interval;
use morphospace_core::{Provenance, Site};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_profiles::{PredictionRow, Predictions, write_predictions};
use morphospace_screen::site_key_text;
use morphospace_train::{
    Checkpoint, Prediction, Predictor, TrainError, best_checkpoint, latest_checkpoint,
};

use serde::Serialize;

use crate::allocator;
use crate::cli::{CheckpointArg, NormArg, PredictArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{Progress, warn};

pub(crate) fn run(args: &PredictArgs) -> Result<Outcome, Failure> {
    allocator::keep_pages();
    super::refuse_unwritable_parquet("a table of predictions", &args.output)?;
    let device = args.device.device.open().or_refuse()?;
    let checkpoint = checkpoint_of(&args.network, args.checkpoint).or_refuse()?;
    let predictor = Predictor::open(&args.network, &checkpoint, &device).or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let norm = norm_of(args.norm, &predictor);
    let num_sites = screen.sites().len();
    let progress = Progress::new("predict", "sites", num_sites);
    let mut observer = |done: usize, _all: usize| progress.update(done, "");
    let found = predictor.predict(
        &*screen,
        norm,
        &device,
        args.loader.options(),
        &mut observer,
    );
    let found = found.map_err(|error| match error {
        TrainError::UnsuitableScreen { .. } | TrainError::Normalisation(_) => {
            Failure::Refused(error.into())
        }
        _ => Failure::Stopped(error.into()),
    })?;
    let rows: Vec<PredictionRow> = found
        .into_iter()
        .map(|prediction| row(&screen.sites()[prediction.site_index], prediction))
        .collect();
    let weights = checkpoint.folder.join("model.safetensors");
    let provenance = Provenance {
        config_sha256: None,
        ..screen.provenance("predict")
    };
    let provenance = provenance
        .with_setting("network", args.network.display())
        .with_setting("num_steps_done", checkpoint.num_steps_done)
        .with_setting("norm", format!("{norm:?}").to_lowercase())
        .with_setting("batch_size", predictor.config().batch_size)
        .with_input(&weights)
        .or_stop()?;
    let predictions = Predictions {
        rows,
        provenance: Some(super::with_screen(provenance, &args.screen).or_stop()?),
    };
    write_predictions(&args.output, &predictions).or_stop()?;
    let heads = predictor.heads();
    let mut told = Vec::new();
    for head in &heads {
        let found = Told::of(&predictions, head, predictor.classes(head));
        if let (Some(accuracy), Some([low, high])) = (found.accuracy, found.interval) {
            let Told {
                num_right,
                num_known,
                ..
            } = found;
            let percent = |share: f64| format!("{:.1}", 100.0 * share);
            told.push(format!(
                "{head} {num_right} of {num_known} right ({} %, 95 % interval {} to {})",
                percent(accuracy),
                percent(low),
                percent(high)
            ));
        } else {
            told.push(format!(
                "{head}: no site has a label that it was trained on"
            ));
        }
    }
    progress.finish(&told.join(", "));
    let num_told = predictions.rows.len() / heads.len();
    if num_told < num_sites {
        warn(format!(
            "sites that lack images, left out: {}; `inspect` names them",
            num_sites - num_told
        ));
    }
    if args.json {
        let heads = heads
            .iter()
            .map(|head| (*head, Told::of(&predictions, head, predictor.classes(head))));
        let heads: BTreeMap<&str, Told> = heads.collect();
        crate::print_line!("{}", serde_json::to_string_pretty(&heads).or_stop()?);
    } else {
        crate::print_line!("{}", args.output.display());
    }
    Ok(Outcome::with_failures(num_told < num_sites))
}

pub(super) fn norm_of(norm: Option<NormArg>, predictor: &Predictor) -> NormStatistics {
    norm.map_or_else(|| predictor.usual_norm(), NormStatistics::from)
}

/// What a head tells of the sites whose label is one of its classes.
#[derive(Clone, Copy, Debug, Serialize)]
struct Told {
    num_right: usize,
    num_known: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    /// Exact, at 95 %, as if sites were independent.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<[f64; 2]>,
}

impl Told {
    fn of(predictions: &Predictions, head: &str, classes: &[String]) -> Self {
        let (num_right, num_known) = predictions.num_right(head, classes);
        let interval = binomial_interval(num_right, num_known, 0.95);
        Self {
            num_right,
            num_known,
            accuracy: (num_known > 0).then(|| num_right as f64 / num_known as f64),
            interval: (num_known > 0).then_some([interval.low, interval.high]),
        }
    }
}

/// The checkpoint of a run that is asked for.
pub(super) fn checkpoint_of(run: &Path, which: CheckpointArg) -> Result<Checkpoint> {
    let (found, what) = match which {
        CheckpointArg::Last => (latest_checkpoint(run)?, "checkpoint"),
        CheckpointArg::Best => (best_checkpoint(run)?, "best checkpoint"),
    };
    found.with_context(|| {
        format!(
            "'{}' has no {what}\nhint: give the folder that `train --output` filled{}",
            run.display(),
            match which {
                CheckpointArg::Last => "",
                CheckpointArg::Best => ", of a run that was validated",
            }
        )
    })
}

fn row(site: &Site, prediction: Prediction) -> PredictionRow {
    let (predicted, log_prob) = prediction.likeliest[0].clone();
    PredictionRow {
        site_key: site_key_text(&site.key),
        experiment: site.key.plate.experiment_name(),
        cell_type: site.well.cell_type.clone(),
        head: prediction.head.to_owned(),
        label: prediction.label,
        predicted,
        top5: prediction
            .likeliest
            .into_iter()
            .map(|(name, _)| name)
            .collect(),
        log_prob,
    }
}
