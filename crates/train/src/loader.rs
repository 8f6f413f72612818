use std::ops::Range;
use std::thread::Scope;

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::{Seed, SiteKey};
use morphospace_screen::sampler::{Batch, Batches};
use morphospace_screen::{
    Loader, LoaderOptions, OnIncomplete, Pixels, Plane, ReadSite, Screen, ScreenError, SiteImage,
    Tile, read_site, read_site_crop,
};
use morphospace_views::{CheckedViews, CutMixConfig, Image, View, ViewKind, ViewsError};

use crate::dataset::Dataset;
use crate::{ImageBatch, Labels, Mixture, TrainError};

/// What is made of a batch of sites.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    pub(crate) views: &'a CheckedViews,
    /// Whether nothing is drawn: validation of what has one view.
    pub(crate) is_evaluation: bool,
    pub(crate) cutmix: Option<CutMixConfig>,
    /// Which views are of a site's partner.
    pub(crate) pairing: Pairing,
    pub(crate) seed: Seed,
}

/// Which views of a pair show the second site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairing {
    /// None: sites have no partners.
    None,
    /// All local ones.
    Local,
    /// The second half of the global ones and of the local ones.
    Half,
    /// The second half of all.
    SecondView,
}

/// A batch, before it lies on a device.
#[derive(Debug)]
pub(crate) struct LoadedBatch {
    /// Which of the run it is, from 0.
    pub(crate) item: u64,
    pub(crate) epoch: u64,
    /// Of each view its side and `[B, C, side, side]`.
    views: Vec<(usize, Vec<f32>)>,
    num_channels: usize,
    pub(crate) batch: Batch,
    mixture: Option<Mixture>,
}

impl LoadedBatch {
    /// Puts the images onto a device.
    pub(crate) fn into_images(self, labels: &Labels, device: &Device) -> ImageBatch {
        let sites = &self.batch.site_indices;
        let tensor = |(side, levels): (usize, Vec<f32>)| -> Tensor<4> {
            let shape = [sites.len(), self.num_channels, side, side];
            Tensor::from_data(TensorData::new(levels, shape), device)
        };
        ImageBatch {
            classes: sites
                .iter()
                .filter_map(|site| labels.class(*site))
                .collect(),
            domains: sites
                .iter()
                .filter_map(|site| labels.domain(*site))
                .collect(),
            views: self.views.into_iter().map(tensor).collect(),
            mixture: self.mixture,
            ghost_batch_size: self.batch.ghost_batch_size,
        }
    }

    /// The site of the first image, for messages.
    pub(crate) fn first_site<'a>(&self, screen: &'a dyn Screen) -> &'a SiteKey {
        &screen.sites()[self.batch.site_indices[0]].key
    }
}

/// Makes the batches of a range ahead of the training thread; `batches` stands
/// at the first.
pub(crate) fn spawn_loader<'scope>(
    scope: &'scope Scope<'scope, '_>,
    dataset: &'scope Dataset<'scope>,
    batches: &Batches<'scope>,
    recipe: Recipe<'scope>,
    items: Range<u64>,
    options: LoaderOptions,
) -> Loader<Result<LoadedBatch, TrainError>> {
    let first_item = items.start;
    Loader::spawn(scope, items, options, move || {
        let mut batches = batches.clone();
        let mut next_item = first_item;
        move |item| {
            // The batches between are other threads'.
            for _ in next_item..item {
                batches.next();
            }
            next_item = item + 1;
            let epoch = batches.position().epoch;
            let batch = batches.next().expect("samplers never end");
            load(dataset, batch, recipe, item, epoch)
        }
    })
}

/// Makes batches of given sites ahead of whoever looks at them.
pub(crate) fn spawn_loader_of_sites<'scope>(
    scope: &'scope Scope<'scope, '_>,
    dataset: &'scope Dataset<'scope>,
    batches: &'scope [Vec<usize>],
    recipe: Recipe<'scope>,
    options: LoaderOptions,
) -> Loader<Result<LoadedBatch, TrainError>> {
    Loader::spawn(scope, 0..batches.len() as u64, options, move || {
        move |item| {
            let batch = Batch {
                site_indices: batches[item as usize].clone(),
                partner_indices: Vec::new(),
                ghost_batch_size: None,
            };
            load(dataset, batch, recipe, item, 0)
        }
    })
}

fn load(
    dataset: &Dataset<'_>,
    batch: Batch,
    recipe: Recipe<'_>,
    item: u64,
    epoch: u64,
) -> Result<LoadedBatch, TrainError> {
    let num_channels = dataset.screen.channels().len();
    let seed = recipe.seed.split_index(item);
    let mut views: Vec<(usize, Vec<f32>)> = Vec::new();
    for (place, &site) in batch.site_indices.iter().enumerate() {
        let seed = match recipe.is_evaluation {
            true => None,
            false => Some(recipe.views.seed_of(seed, place as u64)),
        };
        let of_partner = recipe.pairing.of_partner(recipe.views);
        let mut images = views_of_site(dataset, site, recipe.views, seed, |view| {
            !of_partner.get(view).is_some_and(|is| *is)
        })?;
        if recipe.pairing != Pairing::None {
            let partner = batch.partner_indices[place];
            images.extend(views_of_site(
                dataset,
                partner,
                recipe.views,
                seed,
                |view| of_partner[view],
            )?);
        }
        images.sort_by_key(|(view, _)| *view);
        let images: Vec<Image> = images.into_iter().map(|(_, image)| image).collect();
        if views.is_empty() {
            let capacity = |image: &Image| batch.site_indices.len() * image.levels().len();
            views = images
                .iter()
                .map(|image| (image.width(), Vec::with_capacity(capacity(image))))
                .collect();
        }
        for (image, (side, levels)) in images.iter().zip(&mut views) {
            if image.width() != *side || image.height() != *side {
                let site = &dataset.screen.sites()[site].key;
                let (width, height) = (image.width(), image.height());
                return Err(TrainError::UnsuitableImage {
                    site: site.to_string(),
                    message: format!(
                        "a view of it has {width} x {height} pixels, where those of its batch \
                         have {side} x {side}; hint: set views.crop_px, so that all have one size"
                    ),
                });
            }
            levels.extend_from_slice(image.levels());
        }
    }
    let mixture = recipe.cutmix.and_then(|cutmix| {
        let (side, levels) = &mut views[0];
        let drawn = cutmix.draw(batch.site_indices.len(), *side, *side, seed)?;
        let own_share = drawn.mix_images(levels, num_channels, *side, *side);
        Some(Mixture {
            partners: drawn.partners,
            own_share,
        })
    });
    Ok(LoadedBatch {
        item,
        epoch,
        views,
        num_channels,
        batch,
        mixture,
    })
}

impl Pairing {
    /// Of each view whether it shows the partner; nothing where there is none.
    fn of_partner(self, views: &CheckedViews) -> Vec<bool> {
        let (num_views, num_global) = (views.recipes().len(), views.num_global());
        let num_local = num_views - num_global;
        let is_of_partner = |view: usize| match self {
            Self::None => false,
            Self::Local => views.recipes()[view].kind == ViewKind::Local,
            Self::Half if view < num_global => view >= num_global.div_ceil(2),
            Self::Half => view - num_global >= num_local.div_ceil(2),
            Self::SecondView => view >= num_views / 2,
        };
        (0..num_views).map(is_of_partner).collect()
    }
}

/// The views of a site that are wanted, normalised, with their places among
/// all; without a seed, the one of evaluation.
fn views_of_site(
    dataset: &Dataset<'_>,
    site_index: usize,
    views: &CheckedViews,
    seed: Option<Seed>,
    is_wanted: impl Fn(usize) -> bool,
) -> Result<Vec<(usize, Image)>, TrainError> {
    let channels = dataset.screen.channels().len();
    let draw = |width: usize, height: usize| match seed {
        Some(seed) => views.draw(channels, height, width, seed),
        // Evaluation draws nothing: any seed will do.
        None => {
            let view = views
                .evaluation()
                .draw(channels, height, width, Seed::new(0));
            view.map(|view| vec![view])
        }
    };
    let too_small = |error: ViewsError| TrainError::UnsuitableImage {
        site: dataset.screen.sites()[site_index].key.to_string(),
        message: error.to_string(),
    };
    let (drawn, site) = match dataset.screen.image_size(site_index)? {
        Some((width, height)) => {
            let drawn = draw(width, height).map_err(too_small)?;
            match the_square_of(&drawn) {
                Some(square) => {
                    let site = read_square(dataset.screen, site_index, square)?;
                    (vec![drawn[0].of_crop_box()], site)
                }
                None => (drawn, read(dataset.screen, site_index)?),
            }
        }
        None => {
            let site = read(dataset.screen, site_index)?;
            (draw(site.width(), site.height()).map_err(too_small)?, site)
        }
    };
    let drawn = drawn.into_iter().enumerate();
    let wanted = drawn.filter(|(place, _)| is_wanted(*place));
    let (places, drawn): (Vec<usize>, Vec<View>) = wanted.unzip();
    let mut images = View::apply_all(&drawn, &grey_levels(&site));
    for (image, view) in images.iter_mut().zip(&drawn) {
        let levels = image.levels_mut();
        dataset
            .normalisation
            .levels_in_place(site_index, channels, levels);
        view.apply_after(image);
    }
    Ok(places.into_iter().zip(images).collect())
}

/// The square that a single view is cut from.
fn the_square_of(drawn: &[View]) -> Option<Tile> {
    let [view] = drawn else {
        return None;
    };
    let crop = view.crop_box()?;
    (crop.height == crop.width).then_some(Tile {
        top: crop.top,
        left: crop.left,
        crop_px: crop.width,
    })
}

fn read(screen: &dyn Screen, site_index: usize) -> Result<SiteImage, ScreenError> {
    read_site(screen, site_index, OnIncomplete::Fail).map(complete)
}

fn read_square(
    screen: &dyn Screen,
    site_index: usize,
    square: Tile,
) -> Result<SiteImage, ScreenError> {
    read_site_crop(screen, site_index, OnIncomplete::Fail, |_, _| square).map(complete)
}

fn complete(site: ReadSite) -> SiteImage {
    match site {
        ReadSite::Image(site) => site,
        ReadSite::Skipped(_) => unreachable!("incomplete sites fail under OnIncomplete::Fail"),
    }
}

/// Levels on the 0..255 scale.
fn grey_levels(site: &SiteImage) -> Image {
    let mut levels = Vec::with_capacity(site.planes().len() * site.width() * site.height());
    for Plane { pixels, .. } in site.planes() {
        match pixels {
            Pixels::U8(pixels) => levels.extend(pixels.iter().map(|pixel| f32::from(*pixel))),
            Pixels::U16(pixels) => {
                levels.extend(pixels.iter().map(|pixel| f32::from(*pixel) / 257.0));
            }
        }
    }
    Image::new(site.planes().len(), site.height(), site.width(), levels)
}
