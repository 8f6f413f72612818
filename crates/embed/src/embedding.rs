use std::thread;
use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::Provenance;
use morphospace_models::{Encoder, Pooling};
use morphospace_profiles::Profiles;
use morphospace_screen::{
    CheckedNormalisation, Loader, LoaderOptions, Normalisation, OnIncomplete, ReadSite, Screen,
    SiteImage, SkippedSite, Tiling, read_site,
};

use crate::EmbedError;
use crate::screen_check::check_screen;
use crate::well_means::WellMeans;

/// How a screen is embedded.
#[derive(Clone, Debug)]
pub struct EmbedConfig {
    /// How sites are cut; the side of a tile must be the network's.
    pub tiling: Tiling,
    /// How tiles are brought to the network's scale.
    pub normalisation: Normalisation,
    /// What is made of a tile's tokens.
    pub pooling: Pooling,
    /// Tiles per forward pass. The last batch is padded, so every pass has
    /// the same geometry and a tile's vector does not depend on its
    /// neighbours' number.
    pub batch_size: usize,
    /// What happens to sites that lack images.
    pub on_incomplete: OnIncomplete,
    /// How many sites are read ahead of the network; changes nothing in the
    /// result.
    pub loader: LoaderOptions,
}

/// Where an embedding stands, told to the observer after every batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EmbedProgress {
    /// Sites read, of `num_sites`.
    pub num_sites_done: usize,
    /// Sites of the screen.
    pub num_sites: usize,
    /// Tiles through the network so far.
    pub num_tiles: usize,
}

/// Profiles of a screen and what happened on the way.
#[derive(Debug)]
pub struct Embedded {
    /// One row per well, f32, in the order plate, well.
    pub profiles: Profiles,
    /// Sites left out, each with the images to blame.
    pub skipped: Vec<SkippedSite>,
    /// Sites with missing channels that were embedded with zeros in their
    /// place ([`OnIncomplete::Fill`]), as `site: channels`.
    pub filled: Vec<String>,
    /// Tiles through the network.
    pub num_tiles: usize,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// Share of that time spent waiting for images.
    pub data_wait_share: f64,
}

/// A site as the reading threads hand it over.
enum SiteTiles {
    /// `[tile, channel, row, column]`; what is said of channels that stand as
    /// zeros; whether there are 16-bit pixels, which were divided by 257.
    Tiles {
        tiles: Vec<f32>,
        filled: Option<String>,
        is_rescaled: bool,
    },
    Skipped(SkippedSite),
}

/// Embeds every site of a screen and averages tiles per well.
///
/// # Errors
/// Before any image is read: a batch size of 0, a tile side or a number of
/// channels that the network does not take, sites that the normalisation's
/// table lacks, missing images under [`OnIncomplete::Fail`]. Later: what
/// [`EmbedConfig::on_incomplete`] makes of images that cannot be read, or that
/// no site was left.
pub fn embed(
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    device: &Device,
    config: &EmbedConfig,
    observer: &mut dyn FnMut(EmbedProgress),
) -> Result<Embedded, EmbedError> {
    check(screen, encoder, config)?;
    let normalisation = config.normalisation.check(screen)?;
    check_screen(screen, config.on_incomplete)?;
    let started = Instant::now();
    let num_channels = screen.channels().len();
    let num_features = encoder.num_pooled_features(num_channels, config.pooling);
    let side = config.tiling.crop_px;
    let num_sites = screen.sites().len();

    let tile_len = num_channels * side * side;
    let mut means = WellMeans::new(num_features);
    let mut skipped = Vec::new();
    let mut filled = Vec::new();
    let mut num_rescaled = 0;
    let mut num_tiles = 0;
    let mut batch = TileBatch::new(config.batch_size, tile_len);
    let mut embed_batch = |batch: &mut TileBatch, num_sites_done| {
        let images = std::mem::replace(&mut batch.images, vec![0.0; config.batch_size * tile_len]);
        let shape = [config.batch_size, num_channels, side, side];
        let images = Tensor::from_data(TensorData::new(images, shape), device);
        let vectors = encoder.forward_pooled(images, config.pooling).into_data();
        let vectors: Vec<f32> = vectors.try_to_vec().expect("encoders return f32");
        for (vector, site_index) in vectors.chunks_exact(num_features).zip(&batch.site_indices) {
            means.add(screen, *site_index, vector.iter().map(|v| f64::from(*v)));
        }
        num_tiles += batch.site_indices.len();
        batch.site_indices.clear();
        observer(EmbedProgress {
            num_sites_done,
            num_sites,
            num_tiles,
        });
    };
    let waited = thread::scope(|scope| {
        let mut loader = Loader::spawn(scope, 0..num_sites as u64, config.loader, || {
            |site| read_tiles(screen, config, &normalisation, site as usize)
        });
        for site_index in 0..num_sites {
            let site = loader.next().expect("one item for each site");
            let tiles = match site? {
                SiteTiles::Tiles {
                    tiles,
                    filled: remark,
                    is_rescaled,
                } => {
                    filled.extend(remark);
                    num_rescaled += usize::from(is_rescaled);
                    tiles
                }
                SiteTiles::Skipped(site) => {
                    skipped.push(site);
                    continue;
                }
            };
            for tile in tiles.chunks_exact(tile_len) {
                batch.push(tile, site_index);
                if batch.site_indices.len() == config.batch_size {
                    embed_batch(&mut batch, site_index + 1);
                }
            }
        }
        Ok::<_, EmbedError>(loader.waited())
    })?;
    if !batch.site_indices.is_empty() {
        embed_batch(&mut batch, num_sites);
    }

    if num_tiles == 0 {
        return Err(EmbedError::NothingToEmbed {
            screen: screen.name().to_owned(),
            num_sites,
            first_problem: skipped
                .first()
                .map_or("it is empty".to_owned(), ToString::to_string),
        });
    }
    let names = (0..num_features)
        .map(|index| format!("feature_{index}"))
        .collect();
    let wall = started.elapsed().as_secs_f64();
    Ok(Embedded {
        profiles: means.into_profiles(names)?.with_provenance(
            provenance(screen, config).with_setting("num_sites_of_16_bit", num_rescaled),
        ),
        skipped,
        filled,
        num_tiles,
        wall_seconds: wall,
        data_wait_share: waited.as_secs_f64() / wall,
    })
}

fn check(
    screen: &dyn Screen,
    encoder: &dyn Encoder,
    config: &EmbedConfig,
) -> Result<(), EmbedError> {
    if config.batch_size == 0 {
        return Err(EmbedError::InvalidConfig(
            "batch_size is 0: give at least 1".to_owned(),
        ));
    }
    if config.tiling.crop_px != encoder.img_size() {
        return Err(EmbedError::InvalidConfig(format!(
            "tiles of {} pixels do not fit the network, which takes {}",
            config.tiling.crop_px,
            encoder.img_size()
        )));
    }
    let channels = screen.channels();
    encoder
        .check(channels.len(), config.pooling)
        .map_err(|source| EmbedError::WrongChannels {
            screen: screen.name().to_owned(),
            num_channels: channels.len(),
            channels: channels
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            source: Box::new(source),
        })
}

fn provenance(screen: &dyn Screen, config: &EmbedConfig) -> Provenance {
    let provenance = match config.normalisation.content_hash() {
        None => screen.provenance("embed"),
        Some(hash) => screen
            .provenance("embed")
            .with_setting("normalisation_content_hash", hash),
    };
    provenance
        .with_setting("crop_px", config.tiling.crop_px)
        .with_setting("edge", config.tiling.edge.as_str())
        .with_setting("tiles", config.tiling.selection.as_str())
        .with_setting("normalisation", config.normalisation.name())
        .with_setting("pooling", config.pooling.as_str())
        .with_setting("batch_size", config.batch_size)
        .with_setting("on_incomplete", config.on_incomplete.as_str())
        .with_setting("precision", "f32")
}

/// The tiles of a forward pass.
struct TileBatch {
    /// `[batch_size, channel, row, column]`, zeros behind the last tile.
    images: Vec<f32>,
    /// The site of each tile.
    site_indices: Vec<usize>,
}

impl TileBatch {
    fn new(batch_size: usize, tile_len: usize) -> Self {
        Self {
            images: vec![0.0; batch_size * tile_len],
            site_indices: Vec::with_capacity(batch_size),
        }
    }

    fn push(&mut self, tile: &[f32], site_index: usize) {
        let place = self.site_indices.len() * tile.len();
        self.images[place..place + tile.len()].copy_from_slice(tile);
        self.site_indices.push(site_index);
    }
}

/// Reads a site and cuts it into tiles.
fn read_tiles(
    screen: &dyn Screen,
    config: &EmbedConfig,
    normalisation: &CheckedNormalisation,
    site_index: usize,
) -> Result<SiteTiles, EmbedError> {
    let image = match read_site(screen, site_index, config.on_incomplete)? {
        ReadSite::Skipped(site) => return Ok(SiteTiles::Skipped(site)),
        ReadSite::Image(image) => image,
    };
    let plan = config
        .tiling
        .plan(image.width(), image.height())
        .map_err(|source| EmbedError::Tiling {
            site: screen.sites()[site_index].key.to_string(),
            source,
        })?;
    let side = config.tiling.crop_px;
    let tile_len = screen.channels().len() * side * side;
    let mut tiles = vec![0.0; plan.tiles().len() * tile_len];
    for (tile, output) in plan.tiles().iter().zip(tiles.chunks_exact_mut(tile_len)) {
        normalisation.crop_into(&image, *tile, output);
    }
    Ok(SiteTiles::Tiles {
        tiles,
        filled: filled_channels(screen, &image),
        is_rescaled: image.is_rescaled_to_8_bit_range(),
    })
}

/// `site: channels` for a site some of whose channels stand as zeros.
fn filled_channels(screen: &dyn Screen, image: &SiteImage) -> Option<String> {
    let names: Vec<String> = screen
        .channels()
        .iter()
        .zip(image.is_filled())
        .filter(|(_, is_filled)| **is_filled)
        .map(|(channel, _)| channel.to_string())
        .collect();
    let site = &screen.sites()[image.site_index()].key;
    (!names.is_empty()).then(|| format!("{site}: {}", names.join(", ")))
}
