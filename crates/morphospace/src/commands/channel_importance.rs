use std::collections::BTreeMap;

use anyhow::{Result, bail};
use morphospace_benchmark::{Bootstrap, Interval, Score, shapley_values};
use morphospace_core::{Provenance, Seed};
use morphospace_report::{Bar, BarFigure};
use morphospace_screen::Screen;
use morphospace_train::{Prediction, Predictor, TrainError};

use super::predict::{checkpoint_of, norm_of};
use crate::cli::ChannelImportanceArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

/// More channels than this are more subsets than anybody waits for.
const MAX_CHANNELS: usize = 8;

pub(crate) fn run(args: &ChannelImportanceArgs) -> Result<Outcome, Failure> {
    for path in args.output.iter() {
        super::refuse_unwritable(path)?;
        if path.exists() {
            super::benchmark::read_scores(path).or_refuse()?;
        }
    }
    if let Some(path) = &args.figure {
        super::figure::refuse_unknown_ending(path)?;
    }
    let device = args.device.device.open().or_refuse()?;
    let checkpoint = checkpoint_of(&args.network, args.checkpoint).or_refuse()?;
    let predictor = Predictor::open(&args.network, &checkpoint, &device).or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let subsets = subsets(&*screen).or_refuse()?;
    let progress = Progress::new("channels", "sites", screen.sites().len());
    let mut observer = |done: usize, _all: usize| progress.update(done, "");
    let found = predictor.predict_masked(
        &*screen,
        &subsets,
        norm_of(args.norm, &predictor),
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
    let head = predictor.heads()[0];
    let told = Told::of(&*screen, &found, head, predictor.classes(head)).or_refuse()?;
    progress.finish(&format!(
        "{} subsets of channels, {} sites",
        subsets.len(),
        told.wells.len()
    ));
    let provenance = Provenance {
        config_sha256: None,
        ..screen.provenance("channel-importance")
    };
    let provenance = provenance
        .with_setting("network", args.network.display())
        .with_input(&checkpoint.folder.join("model.safetensors"))
        .or_stop()?;
    let provenance = super::with_screen(provenance, &args.screen).or_stop()?;

    let seed = Seed::new(args.seed).split("channel importance");
    let values = told.shapley(&vec![1; told.num_wells]);
    let intervals = told.intervals(&Bootstrap::new(seed));
    let accuracies = told.accuracies(&vec![1; told.num_wells]);
    let (none, all) = (accuracies[0], accuracies[accuracies.len() - 1]);
    let mut figure = BarFigure::new(
        format!("What each channel has to do with {head} accuracy"),
        "Shapley value (share of sites)",
    );
    let mut scores = Vec::new();
    for (channel, (value, interval)) in screen.channels().iter().zip(values.iter().zip(intervals)) {
        let name = channel.stain.to_string();
        let mut bar = Bar::new(&name, *value);
        let mut score = Score::new(
            format!("channel importance, {name} ({head} accuracy, Shapley)"),
            &args.model,
            "none",
            *value,
            told.wells.len(),
        )
        .with_null(0.0)
        .with_seed(seed)
        .with_setting("accuracy with all channels", format!("{all:.4}"))
        .with_setting("accuracy with none", format!("{none:.4}"));
        if let Some(interval) = interval {
            bar = bar.with_interval(interval.low, interval.high);
            score = score.with_interval(interval);
        }
        figure = figure.with_bar(bar);
        scores.push(score);
    }
    let output = args.output.as_deref();
    super::benchmark::print_and_add(scores, provenance, args.json, output).or_stop()?;
    if let Some(path) = &args.figure {
        let remark = format!("Accuracy with all channels {all:.3}, with none {none:.3}");
        super::figure::write(path, figure.with_remark(remark).into()).or_stop()?;
    }
    Ok(Outcome::Done)
}

/// All subsets of the channels; bit `c` of a subset's place says whether channel `c` is
/// in it.
fn subsets(screen: &dyn Screen) -> Result<Vec<Vec<bool>>> {
    let num_channels = screen.channels().len();
    if num_channels > MAX_CHANNELS {
        bail!(
            "{num_channels} channels have {} subsets, and at most {MAX_CHANNELS} channels are \
             taken\nhint: choose some with --channels",
            1_u64 << num_channels
        );
    }
    let subset = |place: usize| (0..num_channels).map(|c| place >> c & 1 == 1).collect();
    Ok((0..1 << num_channels).map(subset).collect())
}

/// Which sites are told right, for each subset of channels.
struct Told {
    /// `[subset][site]`
    is_right: Vec<Vec<bool>>,
    /// The well of each site.
    wells: Vec<usize>,
    num_wells: usize,
}

impl Told {
    fn of(
        screen: &dyn Screen,
        found: &[Vec<Prediction>],
        head: &str,
        classes: &[String],
    ) -> Result<Self> {
        let of_head = |prediction: &&Prediction| {
            let label = prediction.label.as_ref();
            prediction.head == head && label.is_some_and(|label| classes.contains(label))
        };
        let mut wells = BTreeMap::new();
        let sites: Vec<usize> = found[0]
            .iter()
            .filter(of_head)
            .map(|prediction| {
                let key = &screen.sites()[prediction.site_index].key;
                let next = wells.len();
                *wells.entry((key.plate.clone(), key.well)).or_insert(next)
            })
            .collect();
        if sites.is_empty() {
            bail!("no site has a {head} that the network was trained on");
        }
        let is_right = |predictions: &Vec<Prediction>| {
            let known = predictions.iter().filter(of_head);
            known
                .map(|told| Some(&told.likeliest[0].0) == told.label.as_ref())
                .collect()
        };
        Ok(Self {
            is_right: found.iter().map(is_right).collect(),
            wells: sites,
            num_wells: wells.len(),
        })
    }

    fn accuracies(&self, weights: &[u32]) -> Vec<f64> {
        let total: u32 = self.wells.iter().map(|&well| weights[well]).sum();
        let accuracy = |is_right: &Vec<bool>| {
            let right = is_right
                .iter()
                .zip(&self.wells)
                .filter(|(right, _)| **right);
            let right: u32 = right.map(|(_, &well)| weights[well]).sum();
            f64::from(right) / f64::from(total)
        };
        self.is_right.iter().map(accuracy).collect()
    }

    fn shapley(&self, weights: &[u32]) -> Vec<f64> {
        shapley_values(&self.accuracies(weights)).expect("there are all subsets")
    }

    /// Of each channel, over wells.
    fn intervals(&self, bootstrap: &Bootstrap) -> Vec<Option<Interval>> {
        let resamples: Vec<Vec<f64>> = (0..bootstrap.num_resamples)
            .map(|index| self.shapley(&bootstrap.weights(index, self.num_wells)))
            .collect();
        let num_channels = self.is_right.len().ilog2() as usize;
        (0..num_channels)
            .map(|channel| {
                let values = resamples.iter().map(|values| values[channel]);
                bootstrap.interval(values.collect())
            })
            .collect()
    }
}
