use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_models::Encoder;
use morphospace_profiles::Profiles;
use morphospace_screen::{
    CheckedNormalisation, Loader, ReadSite, Screen, SiteImage, SkippedSite, Tile, read_site,
};

use crate::embedding::{EmbedConfig, EmbedProgress};
use crate::mean_rows::{FilledColumns, MeanRows};
use crate::{EmbedError, Level};

/// Rows of a table that are held before they are handed on.
const ROWS_AT_ONCE: usize = 256;

/// Where the rows of an embedding go, group of sites by group.
pub(crate) trait Sink {
    /// Rows of the group at hand: of the table of a level and a representation.
    fn rows(
        &mut self,
        level: Level,
        representation: usize,
        rows: Profiles,
    ) -> Result<(), EmbedError>;

    /// The group is done.
    fn finish(&mut self, group: usize, account: Account) -> Result<(), EmbedError>;

    /// The group cannot be embedded; what it gave before does not count. Ends
    /// the pass by returning an error.
    fn fail(&mut self, group: usize, error: EmbedError) -> Result<(), EmbedError>;
}

/// What happened to a group of sites.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) skipped: Vec<SkippedSite>,
    pub(crate) filled: Vec<String>,
    /// Sites with 16-bit pixels, which were divided by 257.
    pub(crate) num_rescaled: usize,
    pub(crate) num_tiles: usize,
    pub(crate) wall: Duration,
    /// Of that, waiting for images.
    pub(crate) waited: Duration,
}

/// A screen on its way through a network. Images are decoded ahead on threads
/// of their own, also those of the next group while one ends.
pub(crate) struct Pass<'a> {
    pub(crate) screen: &'a dyn Screen,
    pub(crate) encoder: &'a dyn Encoder,
    pub(crate) device: &'a Device,
    pub(crate) config: &'a EmbedConfig,
    pub(crate) normalisation: CheckedNormalisation,
    pub(crate) columns: Arc<FilledColumns>,
    /// Told from outside to come to an end.
    pub(crate) stop: Option<&'a AtomicBool>,
}

/// A site as the reading threads hand it over.
enum SiteTiles {
    /// `[tile, channel, row, column]`; what is said of channels that stand as
    /// zeros; whether there are 16-bit pixels.
    Tiles {
        tiles: Vec<f32>,
        places: Vec<Tile>,
        filled: Option<String>,
        is_rescaled: bool,
    },
    Skipped(SkippedSite),
    /// Its group has failed.
    Abandoned,
}

impl Pass<'_> {
    /// Embeds groups of sites one after the other. A batch holds tiles of one
    /// group, so that a group's vectors do not depend on the other groups.
    pub(crate) fn run(
        &self,
        groups: &[Range<usize>],
        sink: &mut dyn Sink,
        observer: &mut dyn FnMut(EmbedProgress),
    ) -> Result<(), EmbedError> {
        let sites: Vec<(usize, usize)> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, sites)| sites.clone().map(move |site| (group, site)))
            .collect();
        let is_abandoned: Vec<AtomicBool> = groups.iter().map(|_| AtomicBool::new(false)).collect();
        let side = self.config.tiling.crop_px;
        let tile_len = self.screen.channels().len() * side * side;
        let mut batch = TileBatch::new(self.config.batch_size, tile_len);
        let mut progress = EmbedProgress {
            num_sites_done: 0,
            num_sites: sites.len(),
            num_tiles: 0,
        };
        observer(progress);
        let reader = SiteReader {
            screen: self.screen,
            config: self.config,
            normalisation: &self.normalisation,
        };
        let (sites, is_abandoned) = (&sites, &is_abandoned);
        thread::scope(|scope| {
            let options = self.config.loader;
            let mut loader = Loader::spawn(scope, 0..sites.len() as u64, options, || {
                move |position| {
                    let (group, site) = sites[position as usize];
                    match is_abandoned[group].load(Ordering::Relaxed) {
                        true => Ok(SiteTiles::Abandoned),
                        false => reader.read_tiles(site),
                    }
                }
            });
            for (group, group_sites) in groups.iter().enumerate() {
                let started = Instant::now();
                let waited_before = loader.waited();
                let mut tables = self.tables();
                let mut account = Account::default();
                let mut failure = None;
                for site_index in group_sites.clone() {
                    self.check_stop()?;
                    let site = loader.next().expect("one item for each site");
                    progress.num_sites_done += 1;
                    if failure.is_some() {
                        continue;
                    }
                    let (tiles, places) = match site {
                        Ok(SiteTiles::Tiles {
                            tiles,
                            places,
                            filled,
                            is_rescaled,
                        }) => {
                            account.filled.extend(filled);
                            account.num_rescaled += usize::from(is_rescaled);
                            (tiles, places)
                        }
                        Ok(SiteTiles::Skipped(site)) => {
                            account.skipped.push(site);
                            continue;
                        }
                        Ok(SiteTiles::Abandoned) => unreachable!("its failure was taken note of"),
                        Err(error) => {
                            is_abandoned[group].store(true, Ordering::Relaxed);
                            failure = Some(error);
                            continue;
                        }
                    };
                    for (tile, place) in tiles.chunks_exact(tile_len).zip(places) {
                        batch.push(tile, site_index, place);
                        if batch.is_full() {
                            account.num_tiles += batch.len();
                            progress.num_tiles += batch.len();
                            self.embed_batch(&mut batch, &mut tables, sink)?;
                            observer(progress);
                        }
                    }
                }
                if failure.is_some() {
                    batch.take_images();
                    batch.places.clear();
                } else if batch.len() > 0 {
                    account.num_tiles += batch.len();
                    progress.num_tiles += batch.len();
                    self.embed_batch(&mut batch, &mut tables, sink)?;
                }
                observer(progress);
                if failure.is_none() && account.num_tiles == 0 {
                    failure = Some(self.nothing_to_embed(group_sites, &account));
                }
                match failure {
                    Some(error) => sink.fail(group, error)?,
                    None => {
                        for table in tables {
                            let names = feature_names(table.num_features);
                            let rows = table.rows.into_profiles(&names)?;
                            sink.rows(table.level, table.representation, rows)?;
                        }
                        account.wall = started.elapsed();
                        account.waited = loader.waited() - waited_before;
                        sink.finish(group, account)?;
                    }
                }
            }
            Ok(())
        })
    }

    fn check_stop(&self) -> Result<(), EmbedError> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(EmbedError::Stopped),
            _ => Ok(()),
        }
    }

    fn tables(&self) -> Vec<OpenTable> {
        let representations = 0..self.config.representations.len();
        representations
            .flat_map(|representation| {
                self.config.levels.iter().map(move |&level| OpenTable {
                    level,
                    representation,
                    num_features: 0,
                    rows: MeanRows::new(level, Arc::clone(&self.columns)),
                })
            })
            .collect()
    }

    /// Sends a batch through the network and hands on the rows that are full.
    fn embed_batch(
        &self,
        batch: &mut TileBatch,
        tables: &mut [OpenTable],
        sink: &mut dyn Sink,
    ) -> Result<(), EmbedError> {
        let images = batch.take_images();
        let side = self.config.tiling.crop_px;
        let num_channels = self.screen.channels().len();
        let shape = [self.config.batch_size, num_channels, side, side];
        let images = Tensor::from_data(TensorData::new(images, shape), self.device);
        let wanted = &self.config.representations;
        let vectors = self
            .config
            .precision
            .within(|| self.encoder.forward_representations(images, wanted));
        for (representation, vectors) in vectors.into_iter().enumerate() {
            let [_, num_features] = vectors.dims();
            let vectors: Vec<f32> = vectors
                .into_data()
                .try_to_vec()
                .expect("encoders return f32");
            for table in tables.iter_mut() {
                if table.representation != representation {
                    continue;
                }
                table.num_features = num_features;
                let vectors = vectors.chunks_exact(num_features);
                for (vector, (site_index, place)) in vectors.zip(&batch.places) {
                    let values = vector.iter().map(|value| f64::from(*value));
                    table
                        .rows
                        .add(self.screen, *site_index, Some(*place), values);
                }
                if table.rows.num_rows() > ROWS_AT_ONCE {
                    let names = feature_names(num_features);
                    let rows = table.rows.take_finished(&names)?;
                    sink.rows(table.level, representation, rows)?;
                }
            }
        }
        batch.places.clear();
        Ok(())
    }

    fn nothing_to_embed(&self, sites: &Range<usize>, account: &Account) -> EmbedError {
        let first = account.skipped.first();
        EmbedError::NothingToEmbed {
            screen: self.screen.name().to_owned(),
            num_sites: sites.len(),
            first_problem: first.map_or("it is empty".to_owned(), ToString::to_string),
        }
    }
}

/// What the reading threads need.
#[derive(Clone, Copy)]
struct SiteReader<'a> {
    screen: &'a dyn Screen,
    config: &'a EmbedConfig,
    normalisation: &'a CheckedNormalisation,
}

impl SiteReader<'_> {
    /// Reads a site and cuts it into tiles.
    fn read_tiles(self, site_index: usize) -> Result<SiteTiles, EmbedError> {
        let image = match read_site(self.screen, site_index, self.config.on_incomplete)? {
            ReadSite::Skipped(site) => return Ok(SiteTiles::Skipped(site)),
            ReadSite::Image(image) => image,
        };
        let plan = self
            .config
            .tiling
            .plan(image.width(), image.height())
            .map_err(|source| EmbedError::Tiling {
                site: self.screen.sites()[site_index].key.to_string(),
                source,
            })?;
        let side = self.config.tiling.crop_px;
        let tile_len = self.screen.channels().len() * side * side;
        let mut tiles = vec![0.0; plan.tiles().len() * tile_len];
        for (tile, output) in plan.tiles().iter().zip(tiles.chunks_exact_mut(tile_len)) {
            self.normalisation.crop_into(&image, *tile, output);
        }
        Ok(SiteTiles::Tiles {
            tiles,
            places: plan.tiles().to_vec(),
            filled: filled_channels(self.screen, &image),
            is_rescaled: image.is_rescaled_to_8_bit_range(),
        })
    }
}

/// A table of a group, of which rows come and go.
struct OpenTable {
    level: Level,
    representation: usize,
    /// 0 until the first batch.
    num_features: usize,
    rows: MeanRows,
}

fn feature_names(num_features: usize) -> Vec<String> {
    let indices = 0..num_features;
    indices.map(|index| format!("feature_{index}")).collect()
}

/// The tiles of a forward pass.
struct TileBatch {
    size: usize,
    tile_len: usize,
    /// `[size, channel, row, column]`, zeros behind the last tile.
    images: Vec<f32>,
    /// Site and place of each tile.
    places: Vec<(usize, Tile)>,
}

impl TileBatch {
    fn new(size: usize, tile_len: usize) -> Self {
        Self {
            size,
            tile_len,
            images: vec![0.0; size * tile_len],
            places: Vec::with_capacity(size),
        }
    }

    fn len(&self) -> usize {
        self.places.len()
    }

    fn is_full(&self) -> bool {
        self.places.len() == self.size
    }

    fn push(&mut self, tile: &[f32], site_index: usize, place: Tile) {
        let start = self.places.len() * self.tile_len;
        self.images[start..start + self.tile_len].copy_from_slice(tile);
        self.places.push((site_index, place));
    }

    /// The images; what comes next begins with zeros.
    fn take_images(&mut self) -> Vec<f32> {
        std::mem::replace(&mut self.images, vec![0.0; self.size * self.tile_len])
    }
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
