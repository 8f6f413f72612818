use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use morphospace_core::{Seed, SiteKey};
use morphospace_screen::{
    OnIncomplete, ReadSite, Screen, ScreenError, SelfStandardisation, SiteImage, read_site,
};

use crate::crops::{Crop, CropSampler};

/// How many batches are decoded ahead of the training thread.
const NUM_BATCHES_AHEAD: usize = 3;

/// The images of one step.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The step it belongs to.
    pub(crate) step: u64,
    /// `[batch, channel, row, column]`, self-standardised.
    pub(crate) images: Vec<f32>,
    /// The site of the first crop, for messages.
    pub(crate) first_site: SiteKey,
}

/// What a loader needs to know.
#[derive(Clone, Copy)]
pub(crate) struct LoaderSettings {
    pub(crate) first_step: u64,
    pub(crate) num_steps: u64,
    pub(crate) batch_size: usize,
    pub(crate) crop_px: usize,
    pub(crate) seed: Seed,
}

/// Decodes the batches of all steps, in order, on a thread of their own. The
/// thread ends when the receiver is dropped.
pub(crate) fn spawn_loader<'scope>(
    scope: &'scope Scope<'scope, '_>,
    screen: &'scope dyn Screen,
    site_indices: Vec<usize>,
    settings: LoaderSettings,
) -> (
    Receiver<Result<Batch, ScreenError>>,
    ScopedJoinHandle<'scope, ()>,
) {
    let (sender, receiver) = sync_channel(NUM_BATCHES_AHEAD);
    let sampler = CropSampler::new(site_indices, settings.batch_size, settings.seed);
    let handle = scope.spawn(move || load(screen, sampler, settings, &sender));
    (receiver, handle)
}

fn load(
    screen: &dyn Screen,
    mut sampler: CropSampler,
    settings: LoaderSettings,
    sender: &SyncSender<Result<Batch, ScreenError>>,
) {
    for step in settings.first_step..settings.num_steps {
        let batch = load_step(screen, &sampler.step(step), step, settings.crop_px);
        let is_last = batch.is_err();
        if sender.send(batch).is_err() || is_last {
            return;
        }
    }
}

fn load_step(
    screen: &dyn Screen,
    crops: &[Crop],
    step: u64,
    crop_px: usize,
) -> Result<Batch, ScreenError> {
    let image_len = screen.channels().len() * crop_px * crop_px;
    let mut images = vec![0.0; crops.len() * image_len];
    for (crop, image) in crops.iter().zip(images.chunks_exact_mut(image_len)) {
        match read_site(screen, crop.site_index, OnIncomplete::Fail)? {
            ReadSite::Image(site) => cut(&site, crop, crop_px, image),
            ReadSite::Skipped(_) => unreachable!("incomplete sites fail under OnIncomplete::Fail"),
        }
    }
    let first_site = screen.sites()[crops[0].site_index].key.clone();
    Ok(Batch {
        step,
        images,
        first_site,
    })
}

fn cut(site: &SiteImage, crop: &Crop, crop_px: usize, image: &mut [f32]) {
    let tile = crop.tile(site.width(), site.height(), crop_px);
    site.crop_into(tile, SelfStandardisation::InstanceNorm, image);
    for plane in image.chunks_exact_mut(crop_px * crop_px) {
        if crop.is_flipped_horizontally {
            plane.chunks_exact_mut(crop_px).for_each(<[f32]>::reverse);
        }
        if crop.is_flipped_vertically {
            let (upper, lower) = plane.split_at_mut(crop_px * (crop_px / 2));
            let upper_rows = upper.chunks_exact_mut(crop_px);
            let lower_rows = lower.chunks_exact_mut(crop_px).rev();
            upper_rows
                .zip(lower_rows)
                .for_each(|(a, b)| a.swap_with_slice(b));
        }
    }
}
