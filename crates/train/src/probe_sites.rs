use std::thread;

use burn::tensor::Device;
use morphospace_core::Seed;
use morphospace_models::{Encoder, Pooling};
use morphospace_screen::LoaderOptions;
use rand::seq::SliceRandom;

use crate::dataset::Dataset;
use crate::loader::{Pairing, Recipe, spawn_loader_of_sites};
use crate::predict::filled_batches;
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
        let batches = filled_batches(sites, self.config.get().batch_size);
        let recipe = Recipe {
            views: &self.views,
            is_evaluation: true,
            cutmix: None,
            pairing: Pairing::None,
            seed: self.config.seed(),
        };
        thread::scope(|scope| -> Result<(), TrainError> {
            for batch in spawn_loader_of_sites(scope, dataset, &batches, recipe, loader) {
                let images = batch?.into_images(labels, device).views.swap_remove(0);
                let vectors = encoder.forward_pooled(images, pooling);
                embedded.num_features = vectors.dims()[1];
                embedded.values.extend(vectors.into_data().iter::<f32>());
            }
            Ok(())
        })?;
        // The last batch was filled up.
        embedded
            .values
            .truncate(sites.len() * embedded.num_features);
        let class = |site: &usize| labels.class(*site).expect("chosen by class");
        embedded.classes = sites.iter().map(class).collect();
        Ok(embedded)
    }
}
