use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use morphospace_core::{Provenance, suggestion};
use morphospace_screen::LoaderOptions;
use morphospace_screen::sampler::Batches;

use crate::loader::{LoadedBatch, spawn_loader};
use crate::prepare::Validation;
use crate::run_folder::{Line, RunFolder};
use crate::{
    Checkpoint, CheckpointFolder, EmbeddingSpread, EvaluationReport, GradientReduction,
    GradientSet, Loss, LossScale, Moment, Objective, Observer, Optimiser, Prepared, Resumed,
    Standing, StepReport, StepSize, TrainError, cosine_between, latest_checkpoint,
};

/// The resolved configuration.
pub(crate) const CONFIG_FILE: &str = "config.toml";
/// The screen, its sites and channels, as [`Provenance::to_json`] writes them.
const PROVENANCE_FILE: &str = "provenance.json";

/// Score of the mean loss of sites to validate with.
const VALIDATION_LOSS: &str = "validation/loss";

/// What a run came to.
#[derive(Clone, Debug)]
pub struct TrainSummary {
    /// The checkpoint of the last step.
    pub checkpoint: Checkpoint,
    /// Step from which the run went on; 0 for a fresh one.
    pub first_step: u64,
    /// Steps of the run, if it goes to its end.
    pub num_steps: u64,
    /// Whether it ended early, for want of better scores.
    pub is_early: bool,
    /// Reports of the steps done by this call.
    pub steps: Vec<StepReport>,
    /// Reports of its evaluations.
    pub evaluations: Vec<EvaluationReport>,
    /// Wall time of this call in seconds.
    pub wall_seconds: f64,
    /// Sites left out because images of theirs are missing.
    pub num_sites_left_out: usize,
    /// The first of them.
    pub first_site_left_out: Option<String>,
}

/// Trains an objective and leaves the run in `folder`: `config.toml`,
/// `provenance.json`, `metrics.jsonl`, `tensorboard/` and `checkpoints/`. A
/// run whose folder holds a checkpoint goes on from the last.
pub(crate) fn run<O: Objective>(
    fresh: O,
    prepared: &Prepared<'_>,
    folder: &Path,
    device: &Device,
    loader: LoaderOptions,
    reduction: &mut dyn GradientReduction,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, TrainError> {
    let started = Instant::now();
    let config = prepared.config;
    let settings = config.get();
    let seed = config.seed();
    let precision = settings.precision;
    let num_steps = prepared.num_steps;
    let accumulation = settings.accumulation as u64;
    let checkpoints = CheckpointFolder {
        run_folder: folder,
        config_sha256: &prepared.config_sha256,
        trained_on: &prepared.trained_on,
        keep_last: settings.keep_last,
    };

    if let Some(problem) = settings.optimiser.unknown_group(&fresh) {
        return Err(TrainError::InvalidConfig(problem));
    }

    // Fresh, or from the last checkpoint.
    let run_folder = RunFolder::open(folder)?;
    let resumed = match latest_checkpoint(folder)? {
        Some(last) => checkpoints.read(
            &last,
            &fresh,
            config,
            &*prepared.sampler,
            &device.clone().inner(),
        )?,
        None => Resumed {
            objective: fresh,
            optimiser: Optimiser::new(settings.optimiser.clone()),
            standing: Standing {
                num_steps_done: 0,
                batches: Batches::new(&*prepared.sampler),
                best: None,
                is_finished: false,
                loss_scale: LossScale::of(settings.precision),
            },
        },
    };
    let Resumed {
        mut objective,
        mut optimiser,
        mut standing,
    } = resumed;
    let first_step = standing.num_steps_done;
    check_metric(&objective, prepared, device, loader)?;

    // What the run is, for whoever finds its folder.
    let mut metrics = run_folder.metrics(first_step)?;
    let provenance = Provenance {
        config_sha256: Some(prepared.config_sha256.clone()),
        ..prepared.training.screen.provenance("train")
    };
    let provenance = provenance.with_seed("train", settings.seed);
    run_folder.write_text(CONFIG_FILE, &config.to_toml())?;
    run_folder.write_text(PROVENANCE_FILE, &provenance.to_json())?;
    observer.on_start(first_step, num_steps);

    let mut steps = Vec::new();
    let mut evaluations = Vec::new();
    let mut last_checkpoint = Instant::now();
    let between_checkpoints = Duration::from_secs_f64(settings.checkpoint_minutes * 60.0);
    thread::scope(|scope| {
        let end = match standing.is_finished {
            true => first_step,
            false => num_steps,
        };
        let mut loaded = spawn_loader(
            scope,
            &prepared.training,
            &standing.batches,
            prepared.training_recipe(),
            first_step * accumulation..end * accumulation,
            loader,
        );
        for step in first_step..end {
            let step_started = Instant::now();
            let waited_before = loaded.waited();
            let mut next = || -> Result<LoadedBatch, TrainError> {
                loaded
                    .next()
                    .expect("the loader sends every batch or an error")
            };
            let moment_of = |batch: &LoadedBatch, phase: usize| Moment {
                step,
                num_steps,
                steps_per_epoch: prepared.steps_per_epoch,
                epoch: batch.epoch,
                phase,
                seed: seed.split("step").split_index(batch.item),
                is_training: true,
            };

            // Loss, gradients, weights; in several phases of the same images
            // where networks are moved in turn.
            let size = step_size(prepared, step);
            let mut loss = MeanLoss::default();
            let mut gradient_norm = 0.0;
            let loss_scale = standing.loss_scale;
            let mut epoch = 0;
            let mut kept = Vec::new();
            let num_phases = objective.num_phases();
            for phase in 0..num_phases {
                let mut gradients = GradientSet::default();
                for place in 0..settings.accumulation {
                    if phase == 0 {
                        let batch = next()?;
                        let moment = moment_of(&batch, 0);
                        let first_site = batch.first_site(prepared.training.screen);
                        let images = batch.into_images(&prepared.labels, device);
                        kept.push((images, moment, first_site));
                    }
                    let (images, moment, first_site) = match num_phases {
                        1 => kept.pop().expect("it was just loaded"),
                        _ => kept[place].clone(),
                    };
                    let moment = Moment { phase, ..moment };
                    epoch = moment.epoch;
                    let of_batch = precision.within(|| objective.loss(&images, &moment));
                    let is_diagnosed = (step + 1) % settings.evaluation.diagnose_every == 0;
                    let value = loss.add(&of_batch, images.len(), is_diagnosed);
                    if !value.is_finite() {
                        let first_site = first_site.to_string();
                        return Err(TrainError::LossNotFinite {
                            step,
                            value,
                            first_site,
                        });
                    }
                    let backward = (of_batch.total * loss_scale.factor()).backward();
                    let moves = |name: &str| objective.moves(name, &moment);
                    gradients.add(GradientSet::of(&objective, &backward, moves));
                }
                gradients.scale(1.0 / (accumulation as f64 * loss_scale.factor()));
                reduction.reduce(&mut gradients);
                let norm = gradients.clip(settings.clip);
                if norm.is_finite() {
                    gradient_norm += f64::from(norm);
                    objective = optimiser.step(objective, &gradients, size);
                } else if standing.loss_scale.overflowed().is_none() {
                    return Err(TrainError::GradientNotFinite { step });
                }
            }
            let moment = Moment {
                step,
                num_steps,
                steps_per_epoch: prepared.steps_per_epoch,
                epoch,
                phase: 0,
                seed: seed.split("end_step").split_index(step),
                is_training: true,
            };
            objective.end_step(&moment);
            if standing.loss_scale == loss_scale {
                standing.loss_scale.succeeded();
            }

            // Account.
            let seconds = step_started.elapsed().as_secs_f64();
            let waited = (loaded.waited() - waited_before).as_secs_f64();
            let num_images = settings.batch_size * settings.accumulation;
            let report = StepReport {
                step,
                epoch,
                loss: loss.mean() * num_phases as f64,
                parts: loss.parts(),
                learning_rate: size.learning_rate,
                gradient_norm,
                embedding: loss.spread,
                loss_scale: (!loss_scale.is_fixed()).then(|| loss_scale.factor()),
                images_per_second: num_images as f64 / seconds,
                data_wait_share: waited / seconds,
            };
            metrics.add(&Line::Step(report.clone()))?;
            observer.on_step(&report);
            steps.push(report);
            standing.num_steps_done = step + 1;
            for _ in 0..accumulation {
                standing.batches.next();
            }

            // Evaluate.
            let is_last = step + 1 == num_steps;
            let mut is_best = false;
            if is_last || (step + 1).is_multiple_of(prepared.steps_between_evaluations) {
                let scores = evaluate(&objective, prepared, device, loader, observer)?;
                if !scores.is_empty() && !scores.contains_key(&settings.evaluation.metric) {
                    return Err(unknown_metric(&settings.evaluation.metric, &scores));
                }
                if let Some(score) = scores.get(&settings.evaluation.metric) {
                    let goal = settings.evaluation.goal;
                    standing.best = goal.next_best(standing.best, *score, step + 1);
                    is_best = standing.best.is_some_and(|best| best.step == step + 1);
                }
                let report = EvaluationReport {
                    num_steps_done: step + 1,
                    scores,
                };
                if !report.scores.is_empty() {
                    metrics.add(&Line::Evaluation(report.clone()))?;
                    observer.on_evaluation(&report, is_best);
                    evaluations.push(report);
                }
            }
            let num_since = standing.best.map_or(0, |best| best.num_since);
            let patience = settings.evaluation.patience.unwrap_or(u32::MAX);
            standing.is_finished = is_last || num_since >= patience;

            // Checkpoint.
            let keeps_best = is_best && settings.evaluation.keep_best;
            let is_due = last_checkpoint.elapsed() >= between_checkpoints;
            if standing.is_finished || keeps_best || is_due {
                checkpoints.write(&objective, &optimiser, &standing, keeps_best)?;
                last_checkpoint = Instant::now();
            }
            if standing.is_finished {
                break;
            }
        }
        Ok(())
    })?;

    let checkpoint = latest_checkpoint(folder)?.expect("one was written at the last step");
    Ok(TrainSummary {
        is_early: checkpoint.num_steps_done < num_steps,
        checkpoint,
        first_step,
        num_steps,
        steps,
        evaluations,
        wall_seconds: started.elapsed().as_secs_f64(),
        num_sites_left_out: prepared.training.num_incomplete,
        first_site_left_out: prepared.training.first_incomplete.clone(),
    })
}

/// Learning rate, weight decay and momentum of a step.
fn step_size(prepared: &Prepared<'_>, step: u64) -> StepSize {
    let Prepared {
        num_steps,
        steps_per_epoch,
        ..
    } = *prepared;
    let settings = prepared.config.get();
    let optimiser = &settings.optimiser;
    let factor = settings.schedule.factor(step, num_steps, steps_per_epoch);
    let start = optimiser.weight_decay;
    StepSize {
        learning_rate: optimiser.learning_rate * factor,
        weight_decay: match optimiser.weight_decay_end {
            Some(end) => cosine_between(start, end, step, num_steps),
            None => start,
        },
        beta1: settings.schedule.momentum(step, num_steps),
    }
}

/// The mean loss of the sites to validate with, and what the observer finds.
fn evaluate<O: Objective>(
    objective: &O,
    prepared: &Prepared<'_>,
    device: &Device,
    loader: LoaderOptions,
    observer: &mut dyn Observer,
) -> Result<BTreeMap<String, f64>, TrainError> {
    let Some(validation) = &prepared.validation else {
        return Ok(BTreeMap::new());
    };
    let device = device.clone().inner();
    let mut scores = BTreeMap::new();
    if prepared.config.get().evaluation.probe_sites > 0 {
        let encoder = objective.encoder();
        let network = (&*encoder, objective.pooling());
        let training = prepared.embed_sites(
            &prepared.training,
            &prepared.labels,
            &prepared.probe_sites,
            network,
            &device,
            loader,
        )?;
        let unseen = prepared.embed_sites(
            &validation.dataset,
            &validation.labels,
            &validation.probe_sites,
            network,
            &device,
            loader,
        )?;
        scores = observer
            .probe(&training, &unseen)
            .map_err(TrainError::Probe)?;
    }
    let mean = validate(objective, prepared, validation, &device, loader, None)?;
    scores.extend(mean.scores());
    Ok(scores)
}

/// The score to watch is known before any step, but for those of probes, which
/// need embeddings.
fn check_metric<O: Objective>(
    objective: &O,
    prepared: &Prepared<'_>,
    device: &Device,
    loader: LoaderOptions,
) -> Result<(), TrainError> {
    let evaluation = &prepared.config.get().evaluation;
    let metric = &evaluation.metric;
    let is_probes = metric.starts_with("probe/") && evaluation.probe_sites > 0;
    let Some(validation) = prepared.validation.as_ref().filter(|_| !is_probes) else {
        return Ok(());
    };
    if metric == VALIDATION_LOSS {
        return Ok(());
    }
    let device = device.clone().inner();
    let mean = validate(objective, prepared, validation, &device, loader, Some(1))?;
    let scores = mean.scores();
    match scores.contains_key(metric) {
        true => Ok(()),
        false => Err(unknown_metric(metric, &scores)),
    }
}

fn unknown_metric(metric: &str, scores: &BTreeMap<String, f64>) -> TrainError {
    TrainError::UnknownMetric {
        metric: metric.to_owned(),
        near: suggestion(metric, scores.keys().map(String::as_str)).map(str::to_owned),
        known: scores.keys().cloned().collect(),
    }
}

/// The mean loss of all or so many batches to validate with.
fn validate<O: Objective>(
    objective: &O,
    prepared: &Prepared<'_>,
    validation: &Validation<'_>,
    device: &Device,
    loader: LoaderOptions,
    most_batches: Option<u64>,
) -> Result<MeanLoss, TrainError> {
    let mut objective = objective.valid();
    let precision = prepared.config.get().precision;
    let num_batches = validation.sampler.plan(0).len() as u64;
    let num_batches = most_batches.map_or(num_batches, |most| most.min(num_batches));
    let batches = Batches::new(&*validation.sampler);
    let mut mean = MeanLoss::default();
    thread::scope(|scope| -> Result<(), TrainError> {
        let loaded = spawn_loader(
            scope,
            &validation.dataset,
            &batches,
            prepared.validation_recipe(),
            0..num_batches,
            loader,
        );
        for batch in loaded {
            let batch = batch?;
            let moment = Moment {
                step: 0,
                num_steps: prepared.num_steps,
                steps_per_epoch: prepared.steps_per_epoch,
                epoch: 0,
                phase: objective.num_phases() - 1,
                seed: prepared
                    .config
                    .seed()
                    .split("validation")
                    .split_index(batch.item),
                is_training: false,
            };
            let images = batch.into_images(&validation.labels, device);
            let loss = precision.within(|| objective.loss(&images, &moment));
            mean.add(&loss, images.len(), false);
        }
        Ok(())
    })?;
    Ok(mean)
}

/// Mean of losses and their parts over images.
#[derive(Default)]
struct MeanLoss {
    num_images: f64,
    total: f64,
    parts: BTreeMap<String, (f64, f64)>,
    /// Of the last batch that was looked at.
    spread: Option<EmbeddingSpread>,
}

impl MeanLoss {
    /// Takes a batch in and gives its loss.
    fn add(&mut self, loss: &Loss, num_images: usize, is_diagnosed: bool) -> f32 {
        let weight = num_images as f64;
        let value: f32 = loss.total.clone().into_scalar();
        self.num_images += weight;
        self.total += weight * f64::from(value);
        for (name, part) in &loss.parts {
            let part = f64::from(part.clone().into_scalar::<f32>());
            let sums = self.parts.entry((*name).to_owned()).or_default();
            sums.0 += weight * part;
            sums.1 += weight;
        }
        if let Some(embedding) = loss.embedding.clone().filter(|_| is_diagnosed) {
            self.spread = Some(EmbeddingSpread::of(embedding));
        }
        value
    }

    /// As scores of sites to validate with.
    fn scores(&self) -> BTreeMap<String, f64> {
        let parts = self.parts().into_iter();
        let mut scores: BTreeMap<String, f64> = parts
            .map(|(name, value)| (format!("validation/{name}"), value))
            .collect();
        scores.insert(VALIDATION_LOSS.to_owned(), self.mean());
        scores
    }

    fn mean(&self) -> f64 {
        self.total / self.num_images
    }

    fn parts(&self) -> BTreeMap<String, f64> {
        let parts = self.parts.iter();
        parts
            .map(|(name, (sum, weight))| (name.clone(), sum / weight))
            .collect()
    }
}
