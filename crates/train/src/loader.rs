use std::thread::Scope;

use morphospace_core::{Seed, SiteKey};
use morphospace_screen::sampler::Batches;
use morphospace_screen::{
    CheckedNormalisation, Loader, LoaderOptions, OnIncomplete, ReadSite, Screen, ScreenError,
    SiteImage, Tile, read_site_crop,
};

use crate::crops::{Crop, crops_of_step};

/// The images of one step.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The step it belongs to.
    pub(crate) step: u64,
    /// `[batch, channel, row, column]`, normalised.
    pub(crate) images: Vec<f32>,
    /// The site of the first crop, for messages.
    pub(crate) first_site: SiteKey,
}

/// What a loader needs to know.
#[derive(Clone, Copy)]
pub(crate) struct LoaderSettings {
    pub(crate) first_step: u64,
    pub(crate) num_steps: u64,
    pub(crate) crop_px: usize,
    pub(crate) seed: Seed,
}

/// Decodes the batches of all steps ahead of the training thread; `batches`
/// stands at the first.
pub(crate) fn spawn_loader<'scope>(
    scope: &'scope Scope<'scope, '_>,
    screen: &'scope dyn Screen,
    batches: &Batches<'scope>,
    normalisation: &'scope CheckedNormalisation,
    settings: LoaderSettings,
    options: LoaderOptions,
) -> Loader<Result<Batch, ScreenError>> {
    let steps = settings.first_step..settings.num_steps;
    Loader::spawn(scope, steps, options, move || {
        let mut batches = batches.clone();
        let mut next_step = settings.first_step;
        move |step| {
            // The steps between are other threads'.
            let batch = batches.nth((step - next_step) as usize);
            next_step = step + 1;
            let sites = batch.expect("samplers never end").site_indices;
            let crops = crops_of_step(&sites, step, settings.seed);
            load_step(screen, &crops, normalisation, step, settings.crop_px)
        }
    })
}

fn load_step(
    screen: &dyn Screen,
    crops: &[Crop],
    normalisation: &CheckedNormalisation,
    step: u64,
    crop_px: usize,
) -> Result<Batch, ScreenError> {
    let image_len = screen.channels().len() * crop_px * crop_px;
    let mut images = vec![0.0; crops.len() * image_len];
    for (crop, image) in crops.iter().zip(images.chunks_exact_mut(image_len)) {
        let tile = |width, height| crop.tile(width, height, crop_px);
        match read_site_crop(screen, crop.site_index, OnIncomplete::Fail, tile)? {
            ReadSite::Image(site) => cut(&site, crop, normalisation, image),
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

/// Normalises a crop and turns it as was drawn.
fn cut(site: &SiteImage, crop: &Crop, normalisation: &CheckedNormalisation, image: &mut [f32]) {
    let crop_px = site.width();
    let all = Tile {
        top: 0,
        left: 0,
        crop_px,
    };
    normalisation.crop_into(site, all, image);
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
