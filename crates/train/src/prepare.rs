use morphospace_core::Seed;
use morphospace_models::NetworkConfig;
use morphospace_screen::sampler::{Remainder, Sampler, SamplerChoice};
use morphospace_screen::{Screen, pixel_history};
use morphospace_views::{CheckedViews, Image};

use crate::dataset::{Dataset, unsuitable};
use crate::loader::{Pairing, Recipe};
use crate::probe_sites::choose_sites;
use crate::{CheckedTrainConfig, DataIdentity, Labels, ObjectiveConfig, TrainError, TrainedOn};

/// The screens of a run.
#[derive(Clone, Copy)]
pub struct TrainingData<'a> {
    /// Whose sites are trained on.
    pub training: &'a dyn Screen,
    /// Whose sites tell whether what is learnt holds elsewhere: other
    /// experiments of the same screen.
    pub validation: Option<&'a dyn Screen>,
}

/// A run that can begin: configuration and screens fit each other.
pub struct Prepared<'a> {
    pub(crate) config: &'a CheckedTrainConfig,
    pub(crate) config_sha256: String,
    pub(crate) training: Dataset<'a>,
    pub(crate) sampler: Box<dyn Sampler>,
    pub(crate) labels: Labels,
    /// Sites that probes are learnt from.
    pub(crate) probe_sites: Vec<usize>,
    pub(crate) views: CheckedViews,
    pub(crate) validation: Option<Validation<'a>>,
    pub(crate) trained_on: TrainedOn,
    pub(crate) num_steps: u64,
    pub(crate) steps_per_epoch: f64,
    pub(crate) steps_between_evaluations: u64,
}

/// What a run is validated with.
pub(crate) struct Validation<'a> {
    pub(crate) dataset: Dataset<'a>,
    pub(crate) sampler: Box<dyn Sampler>,
    pub(crate) labels: Labels,
    /// Sites that probes are tried on.
    pub(crate) probe_sites: Vec<usize>,
}

impl<'a> Prepared<'a> {
    /// Checks the screens of a run against its configuration, before any work
    /// is done.
    ///
    /// # Errors
    /// [`TrainError`]: what does not fit, and the fix.
    pub fn new(config: &'a CheckedTrainConfig, data: TrainingData<'a>) -> Result<Self, TrainError> {
        let settings = config.get();
        let screen = data.training;
        let network = &settings.network;
        check_channels(network, screen)?;
        let normalisation = settings.normalisation.open()?;
        let training = Dataset::new(screen, normalisation.check(screen)?, &settings.labels)?;
        let views = settings.views.clone().expect("resolved by the check");
        let views = views.check().expect("checked with the configuration");
        let takes_any = matches!(
            settings.objective,
            ObjectiveConfig::Dino(_) | ObjectiveConfig::DinoV2(_)
        );
        check_views(&views, network, takes_any, &training)?;
        let sampler = settings.sampler.open(
            screen.sites(),
            &training.site_indices,
            settings.batch_size,
            config.seed().split("sites"),
        )?;
        let labels = Labels::of_training(&settings.labels, screen.sites(), &training.site_indices);
        if settings.objective.needs_classes() {
            labels.check(&settings.labels, screen.sites(), &training.site_indices)?;
        }
        let num_probed = settings.evaluation.probe_sites;
        let probe_seed = config.seed().split("probe");
        let probe_sites = choose_sites(&training.site_indices, &labels, num_probed, probe_seed);
        let validation = match data.validation {
            Some(screen) => {
                let normalisation = normalisation.check(screen)?;
                Some(Validation::new(config, screen, normalisation, &labels)?)
            }
            None => None,
        };
        if settings.evaluation.patience.is_some() && validation.is_none() {
            return Err(TrainError::InvalidConfig(
                "evaluation.patience waits for better scores, and there are no sites to validate \
                 with: give a split with such a part, or leave patience out"
                    .to_owned(),
            ));
        }
        let batches_per_epoch = sampler.plan(0).len() as f64;
        let steps_per_epoch = batches_per_epoch / settings.accumulation as f64;
        let num_steps = settings.length.in_steps(steps_per_epoch);
        if num_steps == 0 {
            return Err(TrainError::InvalidConfig(format!(
                "length \"{}\" is not one step of {} batches: an epoch has {batches_per_epoch}",
                settings.length, settings.accumulation
            )));
        }
        if let Some(problem) = settings.schedule.problem(num_steps, steps_per_epoch) {
            return Err(TrainError::InvalidConfig(problem));
        }
        let every = settings.evaluation.every;
        let trained_on = TrainedOn {
            channels: screen
                .channels()
                .iter()
                .map(|channel| channel.stain.clone())
                .collect(),
            normalisation: normalisation.name(),
            pixel_history: pixel_history(screen),
            uses_labels: sampler.uses_labels() || settings.objective.needs_classes(),
            classes: settings
                .objective
                .needs_classes()
                .then(|| labels.names.clone()),
            data: DataIdentity {
                pixels: training.pixels_sha256(),
                validation_sites: validation
                    .as_ref()
                    .map(|validation| validation.dataset.sites_sha256()),
            },
        };
        Ok(Self {
            config,
            config_sha256: config.sha256(normalisation.content_hash()),
            training,
            sampler,
            labels,
            probe_sites,
            views,
            validation,
            trained_on,
            num_steps,
            steps_per_epoch,
            steps_between_evaluations: every.in_steps(steps_per_epoch).max(1),
        })
    }

    /// Steps of the run.
    pub fn num_steps(&self) -> u64 {
        self.num_steps
    }

    /// What is told apart.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(crate) fn training_recipe(&self) -> Recipe<'_> {
        let settings = self.config.get();
        Recipe {
            views: &self.views,
            is_evaluation: false,
            cutmix: settings.cutmix,
            pairing: self.pairing(),
            seed: self.config.seed().split("views"),
        }
    }

    /// The same draws at every evaluation; none where one view is looked at.
    pub(crate) fn validation_recipe(&self) -> Recipe<'_> {
        Recipe {
            views: &self.views,
            is_evaluation: self.views.recipes().len() == 1,
            cutmix: None,
            pairing: self.pairing(),
            seed: self.config.seed().split("validation_views"),
        }
    }

    fn pairing(&self) -> Pairing {
        let settings = self.config.get();
        match settings.sampler {
            SamplerChoice::CrossDomain { .. } => settings.objective.pairing(),
            _ => Pairing::None,
        }
    }
}

impl<'a> Validation<'a> {
    fn new(
        config: &CheckedTrainConfig,
        screen: &'a dyn Screen,
        normalisation: morphospace_screen::CheckedNormalisation,
        training: &Labels,
    ) -> Result<Self, TrainError> {
        let settings = config.get();
        check_channels(&settings.network, screen)?;
        let dataset = Dataset::new(screen, normalisation, &settings.labels)?;
        let names = training.names.clone();
        let sites = screen.sites();
        let labels = Labels::of(&settings.labels, names, sites, &dataset.site_indices);
        if settings.objective.needs_classes() {
            let class = |site: &&usize| labels.class(**site).is_none();
            if let Some(site) = dataset.site_indices.iter().find(class) {
                let label = settings.labels.class;
                let name = label.of(&sites[*site].well);
                let name = name.unwrap_or_else(|| "(unknown)".to_owned());
                return Err(TrainError::UnsuitableLabels(format!(
                    "{} '{name}' of {} is to be validated with, and no training site has it",
                    label.as_str(),
                    sites[*site].key
                )));
            }
        }
        // Every site, the last ones together with some of the first.
        let sampler = match settings.sampler {
            SamplerChoice::SingleDomain {
                domain,
                ghost_batch_size,
                ..
            } => SamplerChoice::SingleDomain {
                domain,
                ghost_batch_size,
                remainder: Remainder::Wrap,
            },
            SamplerChoice::CrossDomain {
                other_cell_type,
                on_unpaired,
                ..
            } => SamplerChoice::CrossDomain {
                other_cell_type,
                on_unpaired,
                remainder: Remainder::Wrap,
            },
            _ => SamplerChoice::Uniform {
                remainder: Remainder::Wrap,
            },
        };
        let sampler = sampler.open(
            sites,
            &dataset.site_indices,
            settings.batch_size,
            config.seed().split("validation_sites"),
        )?;
        let num_probed = settings.evaluation.probe_sites;
        let probe_seed = config.seed().split("validation_probe");
        let probe_sites = choose_sites(&dataset.site_indices, &labels, num_probed, probe_seed);
        Ok(Self {
            dataset,
            sampler,
            labels,
            probe_sites,
        })
    }
}

/// Whether the network takes the views of the first site.
fn check_views(
    views: &CheckedViews,
    network: &NetworkConfig,
    takes_any: bool,
    dataset: &Dataset<'_>,
) -> Result<(), TrainError> {
    let (width, height) = dataset.image_size()?;
    let refuse = |message: String| Err(unsuitable(dataset.screen, message));
    let drawn = match views.draw(1, height, width, Seed::new(0)) {
        Ok(drawn) => drawn,
        Err(error) => {
            return refuse(format!("its images are {width} x {height}: {error}"));
        }
    };
    let blank = Image::new(1, height, width, vec![0.0; height * width]);
    for view in drawn {
        let view = view.apply(&blank);
        let (width, height) = (view.width(), view.height());
        let problem = match (width == height, network) {
            (false, _) => Some("are not square".to_owned()),
            (true, NetworkConfig::PlainVit(vit)) if width.is_multiple_of(vit.patch_size) => None,
            (true, NetworkConfig::PlainVit(vit)) => Some(format!(
                "are no multiple of its patch_size {}",
                vit.patch_size
            )),
            // Self-distillation interpolates positions.
            (true, NetworkConfig::Vit(vit))
                if takes_any && width.is_multiple_of(vit.patch_size) =>
            {
                None
            }
            (true, NetworkConfig::Vit(_) | NetworkConfig::Mae(_) | NetworkConfig::CaMae(_))
                if width != network.img_size() =>
            {
                Some(format!("are not the {} it takes", network.img_size()))
            }
            (true, NetworkConfig::MuNet(munet)) if !width.is_multiple_of(munet.deepest_pixel()) => {
                Some(format!("are no multiple of {}", munet.deepest_pixel()))
            }
            (true, _) => None,
        };
        if let Some(problem) = problem {
            return refuse(format!(
                "views of {width} x {height} pixels {problem}; hint: set views.crop_px"
            ));
        }
    }
    Ok(())
}

pub(crate) fn check_channels(
    network: &NetworkConfig,
    screen: &dyn Screen,
) -> Result<(), TrainError> {
    let num_channels = screen.channels().len();
    let (expected, setting) = network.training_channels();
    if num_channels == expected {
        return Ok(());
    }
    Err(unsuitable(
        screen,
        format!(
            "it has {num_channels} channels, the network is trained on {expected}; hint: set \
             network.config.{setting} = {num_channels}"
        ),
    ))
}
