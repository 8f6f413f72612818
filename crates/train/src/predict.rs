use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread;

use burn::tensor::{Device, Tensor, TensorData, activation};
use morphospace_core::{Seed, Site, parse_config};
use morphospace_models::blocks::domain::forward_domain;
use morphospace_models::blocks::norm_pass::{NormPass, NormStatistics};
use morphospace_models::{
    CheckpointConfig, MapNetwork, ModelError, Network, SupervisedNetwork, Unexpected, WeightsFile,
    load_weights_as, read_checkpoint_config,
};
use morphospace_screen::sampler::{Domain, SamplerChoice};
use morphospace_screen::{LoaderOptions, Screen};

use crate::dataset::Dataset;
use crate::loader::{Pairing, Recipe, spawn_loader_of_sites};
use crate::prepare::check_channels;
use crate::training_loop::CONFIG_FILE;
use crate::{
    CheckedTrainConfig, Checkpoint, Classes, Classifier, Labels, LabelsConfig, ObjectiveConfig,
    TrainConfig, TrainError,
};

/// Classes that are told of every site, the likeliest first.
const NUM_TOP: usize = 5;

/// The name of the head of domains.
const BATCH_HEAD: &str = "batch";

fn run_config(run_folder: &Path) -> Result<TrainConfig, TrainError> {
    let path = run_folder.join(CONFIG_FILE);
    let text = fs::read_to_string(&path).map_err(TrainError::file(&path))?;
    parse_config(&path.display().to_string(), &text, &[])
        .map_err(|error| TrainError::InvalidConfig(error.to_string()))
}

/// By what the images of a batch belonged together in a run, if it was trained with
/// AdaBN; `None` also of folders that are no runs, such as a checkpoint alone.
///
/// # Errors
/// [`TrainError`]: the run's configuration cannot be read.
pub fn adabn_domain(folder: &Path) -> Result<Option<Domain>, TrainError> {
    if !folder.join(CONFIG_FILE).is_file() {
        return Ok(None);
    }
    let config = run_config(folder)?;
    Ok(match &config.objective {
        ObjectiveConfig::Supervised(supervised) if supervised.adabn => Some(config.labels.domain),
        _ => None,
    })
}

/// What a head tells of a site.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Position of the site in its screen.
    pub site_index: usize,
    /// What is told: `perturbation`, `target` or `cell_type`
    /// ([`ClassLabel::as_str`](crate::ClassLabel::as_str)), or `batch`.
    pub head: &'static str,
    /// What it is, if that is known.
    pub label: Option<String>,
    /// The likeliest classes, at most five, with the logarithms of their
    /// probabilities.
    pub likeliest: Vec<(String, f64)>,
}

/// A trained network with heads.
pub struct Predictor {
    config: CheckedTrainConfig,
    network: Heads,
    names: Classes,
}

/// Networks that tell classes.
enum Heads {
    Supervised(Box<SupervisedNetwork>),
    Classifier(Box<Classifier>),
}

impl Predictor {
    /// Opens a checkpoint of a run that was trained to tell classes.
    ///
    /// # Errors
    /// [`TrainError`]: the run's configuration or weights cannot be read, or it
    /// has no heads.
    pub fn open(
        run_folder: &Path,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let config = run_config(run_folder)?.check()?;
        let folder = &checkpoint.folder;
        let saved: CheckpointConfig = read_checkpoint_config(folder)?;
        let no_heads = || {
            TrainError::InvalidConfig(format!(
                "run '{}' was trained for objective '{}', which tells no classes\nhint: predict \
                 with a run of objective 'supervised' or 'classifier'",
                run_folder.display(),
                config.get().objective.name()
            ))
        };
        let names = Classes {
            classes: saved.classes.ok_or_else(no_heads)?,
            domains: saved.domains.unwrap_or_default(),
        };
        let weights = |file: &str| WeightsFile::open(&folder.join(file)).map_err(ModelError::from);
        // Every weight is loaded, so nothing is ever drawn from the seed.
        let seed = Seed::new(0);
        let whole = |name: &str| Some(name.to_owned());
        let network = saved.network.init(device, seed)?;
        let file = weights("model.safetensors")?;
        let loaded = load_weights_as(&network, &file, &whole, "", Unexpected::Refuse);
        let (network, _) = loaded.map_err(ModelError::from)?;
        let network = match (&config.get().objective, network) {
            (ObjectiveConfig::Supervised(_), Network::Supervised(network)) => {
                Heads::Supervised(Box::new(network))
            }
            (ObjectiveConfig::Classifier(classifier), network) => {
                let num_classes = names.classes.len();
                let classifier =
                    Classifier::new(network, num_classes, classifier.clone(), device, seed);
                let of_head = |name: &str| name.starts_with("head.").then(|| name.to_owned());
                let file = weights("objective.safetensors")?;
                let loaded = load_weights_as(&classifier, &file, &of_head, "", Unexpected::Refuse);
                Heads::Classifier(Box::new(loaded.map_err(ModelError::from)?.0))
            }
            _ => return Err(no_heads()),
        };
        Ok(Self {
            config,
            network,
            names,
        })
    }

    /// What the run was trained with.
    pub fn config(&self) -> &TrainConfig {
        self.config.get()
    }

    /// What is told, by [`Prediction::head`].
    pub fn heads(&self) -> Vec<&'static str> {
        let class = self.config.get().labels.class.as_str();
        match &self.network {
            Heads::Supervised(_) => vec![class, BATCH_HEAD],
            Heads::Classifier(_) => vec![class],
        }
    }

    /// What a head can tell.
    pub fn classes(&self, head: &str) -> &[String] {
        match head {
            BATCH_HEAD => &self.names.domains,
            _ => &self.names.classes,
        }
    }

    /// Where statistics come from if nothing else is said: as in training.
    pub fn usual_norm(&self) -> NormStatistics {
        match &self.config.get().objective {
            ObjectiveConfig::Supervised(supervised) if supervised.adabn => NormStatistics::Batch,
            _ => NormStatistics::Running,
        }
    }

    /// Tells the classes of all complete sites of a screen, shown as in
    /// evaluation, in the order of the screen; first those of a head, then
    /// those of the next.
    ///
    /// Every batch is as large as in training, a ghost batch where there are
    /// any; the last of a domain is filled up with its first sites.
    ///
    /// # Errors
    /// [`TrainError`]: the screen does not fit the network, or a site cannot
    /// be read.
    pub fn predict(
        &self,
        screen: &dyn Screen,
        norm: NormStatistics,
        device: &Device,
        loader: LoaderOptions,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Prediction>, TrainError> {
        let all = vec![true; screen.channels().len()];
        let mut found = self.predict_masked(screen, &[all], norm, device, loader, observer)?;
        Ok(found.swap_remove(0))
    }

    /// As [`Predictor::predict`], several times: of each list of channels only those
    /// that it marks are shown, the others are 0, their mean. Images are read once.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    ///
    /// # Panics
    /// A list has more or fewer entries than the screen has channels.
    pub fn predict_masked(
        &self,
        screen: &dyn Screen,
        shown: &[Vec<bool>],
        norm: NormStatistics,
        device: &Device,
        loader: LoaderOptions,
        observer: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Vec<Prediction>>, TrainError> {
        let settings = self.config.get();
        check_channels(&settings.network, screen)?;
        let normalisation = settings.normalisation.open()?.check(screen)?;
        let dataset = Dataset::new(screen, normalisation, &settings.labels)?;
        let sites = screen.sites();
        let views = settings.views.clone().expect("resolved by the check");
        let views = views.check().expect("checked with the configuration");
        let site_indices = &dataset.site_indices;
        let labels = Labels::of(&settings.labels, self.names.clone(), sites, site_indices);
        let recipe = Recipe {
            views: &views,
            is_evaluation: true,
            cutmix: None,
            pairing: Pairing::None,
            seed: self.config.seed(),
        };
        let groups = match norm {
            NormStatistics::Running => vec![site_indices.clone()],
            _ => by_domain(&settings.labels, sites, site_indices),
        };
        let batch_size = match settings.sampler {
            SamplerChoice::SingleDomain {
                ghost_batch_size, ..
            } => ghost_batch_size,
            _ => settings.batch_size,
        };
        let mut num_done = 0;
        let mut told: Vec<BTreeMap<(usize, usize), Vec<f64>>> = vec![BTreeMap::new(); shown.len()];
        for group in groups {
            let batches = filled_batches(&group, batch_size);
            let mut images = Vec::with_capacity(batches.len());
            let mut scores = vec![Vec::with_capacity(batches.len()); shown.len()];
            let mut num_batches = 0;
            thread::scope(|scope| -> Result<(), TrainError> {
                for batch in spawn_loader_of_sites(scope, &dataset, &batches, recipe, loader) {
                    let of_batch = batch?.into_images(&labels, device).views.swap_remove(0);
                    num_batches += 1;
                    match norm {
                        NormStatistics::Domain => images.push(of_batch),
                        _ => {
                            for (scores, shown) in scores.iter_mut().zip(shown) {
                                let mut pass = match norm {
                                    NormStatistics::Running => NormPass::running(),
                                    _ => NormPass::batch(),
                                };
                                let of_batch = only_channels(of_batch.clone(), shown);
                                scores.push(self.scores(of_batch, &mut pass));
                            }
                        }
                    }
                    let num = (num_batches * batch_size).min(group.len());
                    observer(num_done + num, site_indices.len());
                }
                Ok(())
            })?;
            if norm == NormStatistics::Domain {
                // Sites that fill up the last batch would count twice.
                let num_last = group.len() - (batches.len() - 1) * batch_size;
                if let Some(last) = images.pop() {
                    images.push(last.narrow(0, 0, num_last));
                }
                for (scores, shown) in scores.iter_mut().zip(shown) {
                    let images = images.iter().cloned();
                    let images = images.map(|images| only_channels(images, shown)).collect();
                    *scores = forward_domain(images, |images, pass| self.scores(images, pass));
                }
            }
            num_done += group.len();
            for (told, scores) in told.iter_mut().zip(scores) {
                for (batch, of_batch) in batches.iter().zip(scores) {
                    for (head, scores) in of_batch.into_iter().enumerate() {
                        let num_classes = scores.dims()[1];
                        let rows: Vec<f64> = scores.into_data().iter::<f64>().collect();
                        for (site, row) in batch.iter().zip(rows.chunks_exact(num_classes)) {
                            // The first time is the one that is not filled up with.
                            told.entry((head, *site)).or_insert_with(|| row.to_vec());
                        }
                    }
                }
            }
        }
        let prediction = |((head, site_index), log_probs): ((usize, usize), Vec<f64>)| {
            let site = &sites[site_index];
            let class = settings.labels.class;
            let (head, names, label) = match head {
                0 => (class.as_str(), &self.names.classes, class.of(&site.well)),
                _ => {
                    let domain = settings.labels.domain_of(site);
                    (BATCH_HEAD, &self.names.domains, Some(domain))
                }
            };
            Prediction {
                site_index,
                head,
                label,
                likeliest: likeliest(names, &log_probs),
            }
        };
        let told = told.into_iter();
        Ok(told
            .map(|told| told.into_iter().map(prediction).collect())
            .collect())
    }

    /// Logarithms of probabilities, of each head.
    fn scores(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<2>> {
        let scores = match &self.network {
            Heads::Supervised(network) => {
                let embedding = network.forward_embedding(images, pass);
                let head = &network.head;
                let of_batches = head.classify_batches(embedding.clone(), 1.0);
                vec![head.classify(embedding), of_batches]
            }
            Heads::Classifier(classifier) => vec![classifier.classify(images)],
        };
        let scores = scores.into_iter();
        scores
            .map(|scores| activation::log_softmax(scores, 1))
            .collect()
    }
}

/// Images of which the channels that are not shown are 0.
fn only_channels(images: Tensor<4>, shown: &[bool]) -> Tensor<4> {
    let num_channels = images.dims()[1];
    assert_eq!(shown.len(), num_channels, "one entry for each channel");
    if !shown.contains(&false) {
        return images;
    }
    let factors: Vec<f32> = shown
        .iter()
        .map(|&shown| f32::from(u8::from(shown)))
        .collect();
    let factors = TensorData::new(factors, [1, num_channels, 1, 1]);
    let factors = Tensor::<4>::from_data(factors, &images.device());
    images * factors
}

/// The sites of each domain, in order.
fn by_domain(labels: &LabelsConfig, sites: &[Site], site_indices: &[usize]) -> Vec<Vec<usize>> {
    let mut domains: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &site in site_indices {
        domains
            .entry(labels.domain_of(&sites[site]))
            .or_default()
            .push(site);
    }
    domains.into_values().collect()
}

/// Batches of one size, the last filled up with the first sites.
pub(crate) fn filled_batches(sites: &[usize], batch_size: usize) -> Vec<Vec<usize>> {
    let batch = |part: &[usize]| {
        let rest = sites.iter().cycle().take(batch_size - part.len());
        part.iter().chain(rest).copied().collect()
    };
    sites.chunks(batch_size).map(batch).collect()
}

/// The likeliest classes, the first of equally likely ones first.
fn likeliest(names: &[String], log_probs: &[f64]) -> Vec<(String, f64)> {
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|a, b| log_probs[*b].total_cmp(&log_probs[*a]));
    order.truncate(NUM_TOP);
    order
        .into_iter()
        .map(|class| (names[class].clone(), log_probs[class]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_batch_is_filled_up() {
        assert_eq!(filled_batches(&[3, 5, 8], 2), [[3, 5], [8, 3]]);
        assert_eq!(filled_batches(&[4], 3), [[4, 4, 4]]);
        assert!(filled_batches(&[], 3).is_empty());
    }

    #[test]
    fn the_likeliest_come_first() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let found = likeliest(&names, &[-2.0, -0.5, -2.0]);
        let order: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(order, ["b", "a", "c"]);
        assert_eq!(found[0].1, -0.5);
    }
}
