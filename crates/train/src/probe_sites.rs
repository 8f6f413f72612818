use std::thread;

use burn::tensor::Device;
use morphospace_core::Seed;
use morphospace_models::{Encoder, Pooling};
use morphospace_screen::LoaderOptions;
use morphospace_screen::sampler::{Batches, Remainder, SamplerChoice};
use rand::seq::SliceRandom;

use crate::dataset::Dataset;
use crate::loader::{Pairing, Recipe, spawn_loader};
use crate::{Labels, Prepared, TrainError};

/// What a network makes of some sites, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EmbeddedSites {
    /// Row-major `[sites, num_features]`.
    pub values: Vec<f32>,
    /// Features of a site.
    pub num_features: usize,
    /// Class of each site, numbered as in training.
    pub classes: Vec<usize>,
}

/// A drawn number of sites of known class, in order.
pub(crate) fn choose_sites(
    site_indices: &[usize],
    labels: &Labels,
    count: usize,
    seed: Seed,
) -> Vec<usize> {
    let known = |site: &usize| labels.class(*site).is_some();
    let mut chosen: Vec<usize> = site_indices.iter().copied().filter(known).collect();
    chosen.shuffle(&mut seed.rng());
    chosen.truncate(count);
    chosen.sort_unstable();
    chosen
}

impl Prepared<'_> {
    /// Embeds chosen sites as they are shown in evaluation.
    pub(crate) fn embed_sites(
        &self,
        dataset: &Dataset<'_>,
        labels: &Labels,
        sites: &[usize],
        (encoder, pooling): (&dyn Encoder, Pooling),
        device: &Device,
        loader: LoaderOptions,
    ) -> Result<EmbeddedSites, TrainError> {
        let mut embedded = EmbeddedSites::default();
        if sites.is_empty() {
            return Ok(embedded);
        }
        // Any order will do: the sites of a batch are known.
        let choice = SamplerChoice::Uniform {
            remainder: Remainder::Wrap,
        };
        let batch_size = self.config.get().batch_size;
        let seed = self.config.seed().split("probe_sites");
        let sampler = choice.open(dataset.screen.sites(), sites, batch_size, seed)?;
        let num_batches = sampler.plan(0).len() as u64;
        let batches = Batches::new(&*sampler);
        let recipe = Recipe {
            views: &self.views,
            is_evaluation: true,
            cutmix: None,
            pairing: Pairing::None,
            seed,
        };
        thread::scope(|scope| -> Result<(), TrainError> {
            for batch in spawn_loader(scope, dataset, &batches, recipe, 0..num_batches, loader) {
                let batch = batch?;
                let of_batch = batch.batch.site_indices.clone();
                let images = batch.into_images(labels, device).views.swap_remove(0);
                let vectors = encoder.forward_pooled(images, pooling);
                embedded.num_features = vectors.dims()[1];
                // The last batch is filled up with sites of the first.
                let num_left = sites.len() - embedded.classes.len();
                let num = of_batch.len().min(num_left);
                let values: Vec<f32> = vectors.into_data().iter().collect();
                embedded
                    .values
                    .extend(&values[..num * embedded.num_features]);
                let classes = of_batch[..num].iter();
                embedded
                    .classes
                    .extend(classes.map(|site| labels.class(*site).expect("chosen by class")));
            }
            Ok(())
        })?;
        Ok(embedded)
    }
}
