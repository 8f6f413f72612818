use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::blocks::domain::forward_domain;
use morphospace_models::blocks::norm_pass::{NormPass, NormStatistics};
use morphospace_models::{Encoder, MapNetwork};
use morphospace_profiles::Profiles;
use morphospace_screen::{CheckedNormalisation, Loader, OnIncomplete, Screen, SkippedSite, Tile};
use rand::seq::SliceRandom;

use crate::domain_tiles::{DomainSite, DomainTiles};
use crate::embedding::{EmbedConfig, EmbedProgress};
use crate::mean_rows::{FilledColumns, MeanRows};
use crate::site_reader::{SiteReader, SiteTiles};
use crate::tile_batch::TileBatch;
use crate::{EmbedError, Level};

/// Rows of a table that are held before they are handed on.
const ROWS_AT_ONCE: usize = 256;

/// Where the rows of an embedding go, group of sites by group, in order.
pub(crate) trait Sink {
    /// Rows of the group at hand: of the table of a level and a representation.
    fn rows(
        &mut self,
        level: Level,
        representation: usize,
        rows: Profiles,
    ) -> Result<(), EmbedError>;

    /// The group is done.
    fn finish(&mut self, account: Account) -> Result<(), EmbedError>;

    /// The group cannot be embedded; what it gave before does not count. Ends
    /// the pass by returning an error.
    fn fail(&mut self, account: Account, error: EmbedError) -> Result<(), EmbedError>;
}

/// What happened to a group of sites.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) skipped: Vec<SkippedSite>,
    pub(crate) filled: Vec<String>,
    /// Sites whose mask has nothing inside.
    pub(crate) outside: Vec<String>,
    /// Sites with 16-bit pixels, which were divided by 257.
    pub(crate) num_rescaled: usize,
    pub(crate) num_tiles: usize,
    pub(crate) wall: Duration,
    /// Of that, waiting for images.
    pub(crate) waited: Duration,
}

impl Account {
    /// Adds what happened to another group.
    pub(crate) fn add(&mut self, other: Self) {
        self.skipped.extend(other.skipped);
        self.filled.extend(other.filled);
        self.outside.extend(other.outside);
        self.num_rescaled += other.num_rescaled;
        self.num_tiles += other.num_tiles;
        self.wall += other.wall;
        self.waited += other.waited;
    }
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

/// Vectors of tiles, of one representation.
struct Vectors {
    num_features: usize,
    values: Vec<f32>,
}

/// A group of sites on its way.
struct Group {
    tables: Vec<OpenTable>,
    account: Account,
    batch: TileBatch,
    /// Sites that wait for the statistics of their domain.
    waiting: DomainTiles,
    /// Tiles that have their vectors, of each representation, in any order.
    done: Vec<(usize, Tile, Vec<Vectors>)>,
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
            .flat_map(|(group, sites)| {
                let sites = self.in_order(sites.clone());
                sites.into_iter().map(move |site| (group, site))
            })
            .collect();
        let is_abandoned: Vec<AtomicBool> = groups.iter().map(|_| AtomicBool::new(false)).collect();
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
            grid: self.encoder.patch_grid(),
        };
        let (sites, is_abandoned) = (&sites, &is_abandoned);
        let shares_cores = *self.device == Device::flex();
        thread::scope(|scope| {
            let options = self.config.loader;
            let mut loader = Loader::spawn(scope, 0..sites.len() as u64, options, || {
                let mut is_new = true;
                move |position| {
                    if std::mem::take(&mut is_new) && shares_cores {
                        yield_to_network();
                    }
                    let (group, site) = sites[position as usize];
                    match is_abandoned[group].load(Ordering::Relaxed) {
                        true => Ok(SiteTiles::Abandoned),
                        false => reader.read_tiles(site),
                    }
                }
            });
            for (index, group_sites) in groups.iter().enumerate() {
                let started = Instant::now();
                let waited_before = loader.waited();
                let mut group = self.group();
                let num_tiles_before = progress.num_tiles;
                let mut failure = None;
                for site in self.in_order(group_sites.clone()) {
                    self.check_stop()?;
                    let read = loader.next().expect("one item for each site");
                    progress.num_sites_done += 1;
                    if failure.is_some() {
                        continue;
                    }
                    match read {
                        Ok(read) => self.take_site(site, read, &mut group, sink)?,
                        Err(error) => {
                            is_abandoned[index].store(true, Ordering::Relaxed);
                            failure = Some(error);
                        }
                    }
                    progress.num_tiles = num_tiles_before + group.account.num_tiles;
                    observer(progress);
                }
                if failure.is_none() {
                    self.take_rest(&mut group, sink)?;
                    progress.num_tiles = num_tiles_before + group.account.num_tiles;
                }
                observer(progress);
                let mut account = group.account;
                account.wall = started.elapsed();
                account.waited = loader.waited() - waited_before;
                if failure.is_none() && account.num_tiles == 0 {
                    failure = Some(self.nothing_to_embed(group_sites, &account));
                }
                if let Some(error) = failure {
                    sink.fail(account, error)?;
                    continue;
                }
                for table in group.tables {
                    let names = feature_names(table.num_features);
                    let rows = table.rows.into_profiles(&names)?;
                    sink.rows(table.level, table.representation, rows)?;
                }
                sink.finish(account)?;
            }
            Ok(())
        })
    }

    /// The order in which a group's sites are read: by chance where a batch's
    /// statistics stand for those of the domain, so that no batch is of a few
    /// wells that stand together.
    fn in_order(&self, sites: Range<usize>) -> Vec<usize> {
        let mut order: Vec<usize> = sites.collect();
        if self.config.norm == NormStatistics::Batch
            && let Some(first) = order.first()
        {
            let plate = &self.screen.sites()[*first].key.plate;
            let seed = Seed::new(0).split(&plate.to_string());
            order.shuffle(&mut seed.rng());
        }
        order
    }

    fn check_stop(&self) -> Result<(), EmbedError> {
        match self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(EmbedError::Stopped),
            _ => Ok(()),
        }
    }

    fn group(&self) -> Group {
        let side = self.config.tiling.crop_px;
        let num_channels = self.screen.channels().len();
        let representations = 0..self.config.representations.len();
        let tables = representations.flat_map(|representation| {
            self.config.levels.iter().map(move |&level| OpenTable {
                level,
                representation,
                num_features: 0,
                rows: MeanRows::new(level, Arc::clone(&self.columns)),
            })
        });
        Group {
            tables: tables.collect(),
            account: Account::default(),
            batch: TileBatch::new(self.config.batch_size, num_channels, side),
            waiting: DomainTiles::default(),
            done: Vec::new(),
        }
    }

    /// Takes a site that was read.
    fn take_site(
        &self,
        site_index: usize,
        read: SiteTiles,
        group: &mut Group,
        sink: &mut dyn Sink,
    ) -> Result<(), EmbedError> {
        let site = match read {
            SiteTiles::Tiles(site) => site,
            SiteTiles::Skipped(site) => {
                group.account.skipped.push(site);
                return Ok(());
            }
            SiteTiles::Abandoned => unreachable!("its failure was taken note of"),
        };
        group.account.filled.extend(site.filled);
        group.account.num_rescaled += usize::from(site.is_rescaled);
        if let Some(seen) = site.seen {
            let tiles = site
                .tiles
                .chunks_exact(site.tiles.len() / site.places.len());
            let mut any = false;
            for ((tile, place), seen) in tiles.zip(site.places).zip(seen) {
                if !seen.is_empty() {
                    any = true;
                    self.embed_seen(tile, (site_index, place), &seen, group, sink)?;
                }
            }
            if !any {
                let site = &self.screen.sites()[site_index].key;
                group.account.outside.push(site.to_string());
            }
            return Ok(());
        }
        match self.config.norm {
            NormStatistics::Running => {
                let tiles = site
                    .tiles
                    .chunks_exact(site.tiles.len() / site.places.len());
                for (tile, place) in tiles.zip(site.places) {
                    group.batch.push(tile, site_index, place);
                    if group.batch.is_full() {
                        self.embed_batch(group, sink)?;
                    }
                }
            }
            NormStatistics::Batch | NormStatistics::Domain => {
                group.waiting.push(DomainSite {
                    site_index,
                    tiles: site.tiles,
                    places: site.places,
                });
                if self.config.norm == NormStatistics::Batch
                    && let Some(sites) = group.waiting.take_full(self.config.batch_size)
                {
                    self.embed_side_by_side(&sites, group)?;
                }
            }
        }
        Ok(())
    }

    /// Embeds what is left of a group.
    fn take_rest(&self, group: &mut Group, sink: &mut dyn Sink) -> Result<(), EmbedError> {
        match self.config.norm {
            NormStatistics::Running if group.batch.len() > 0 => self.embed_batch(group, sink)?,
            NormStatistics::Running => {}
            NormStatistics::Batch => {
                for sites in group.waiting.take_rest(self.config.batch_size) {
                    self.embed_side_by_side(&sites, group)?;
                }
            }
            NormStatistics::Domain => self.embed_domain(group)?,
        }
        // Rows come in the order of sites.
        let mut done = std::mem::take(&mut group.done);
        done.sort_by_key(|(site_index, place, _)| (*site_index, place.top, place.left));
        for (site_index, place, vectors) in done {
            self.add_rows(&vectors, &[(site_index, place)], group, sink)?;
        }
        Ok(())
    }

    /// Sends a batch through the network and hands on the rows that are full.
    fn embed_batch(&self, group: &mut Group, sink: &mut dyn Sink) -> Result<(), EmbedError> {
        let images = group.batch.take_images(self.device);
        let wanted = &self.config.representations;
        let vectors = self.forward(|| self.encoder.forward_representations(images, wanted))?;
        let places = std::mem::take(&mut group.batch.places);
        group.account.num_tiles += places.len();
        self.add_rows(&vectors, &places, group, sink)
    }

    /// Sends the patches of one tile through the network that its mask shows.
    fn embed_seen(
        &self,
        tile: &[f32],
        place: (usize, Tile),
        seen: &[usize],
        group: &mut Group,
        sink: &mut dyn Sink,
    ) -> Result<(), EmbedError> {
        let side = self.config.tiling.crop_px;
        let shape = [1, self.screen.channels().len(), side, side];
        let image = Tensor::from_data(TensorData::new(tile.to_vec(), shape), self.device);
        let wanted = &self.config.representations;
        let vectors = self.forward(|| self.encoder.forward_seen(image, seen, wanted))?;
        group.account.num_tiles += 1;
        self.add_rows(&vectors, &[place], group, sink)
    }

    /// Sends sites through the network whose statistics stand for those of their
    /// domain: the first tile of each in one batch, then the second of each.
    fn embed_side_by_side(
        &self,
        sites: &[DomainSite],
        group: &mut Group,
    ) -> Result<(), EmbedError> {
        let network = self.map_network();
        let wanted = &self.config.representations;
        let most_tiles = sites.iter().map(|site| site.places.len()).max();
        for tile in 0..most_tiles.unwrap_or(0) {
            for site in sites.iter().filter(|site| tile < site.places.len()) {
                let place = site.places[tile];
                group.batch.push(site.tile(tile), site.site_index, place);
            }
            group.batch.fill_up();
            let images = group.batch.take_images(self.device);
            let pass = &mut NormPass::batch();
            let vectors =
                self.forward(|| network.forward_representations_in(images, wanted, pass))?;
            let places = std::mem::take(&mut group.batch.places);
            self.take_note(&vectors, &places, group);
        }
        Ok(())
    }

    /// Sends all that waits through the network by the statistics of all of it.
    fn embed_domain(&self, group: &mut Group) -> Result<(), EmbedError> {
        let network = self.map_network();
        let wanted = &self.config.representations;
        let mut places = Vec::new();
        let mut batches: Vec<Vec<f32>> = Vec::new();
        let size = self.config.batch_size;
        let mut num_in_last = size;
        for site in group.waiting.take_all() {
            for (tile, place) in site.places.iter().enumerate() {
                if num_in_last == size {
                    batches.push(Vec::new());
                    num_in_last = 0;
                }
                let last = batches.last_mut().expect("one was just pushed");
                last.extend_from_slice(site.tile(tile));
                num_in_last += 1;
                places.push((site.site_index, *place));
            }
        }
        let side = self.config.tiling.crop_px;
        let tile_shape = [self.screen.channels().len(), side, side];
        let tile_len: usize = tile_shape.iter().product();
        let tensors: Vec<Tensor<4>> = batches
            .into_iter()
            .map(|images| {
                let [channels, height, width] = tile_shape;
                let shape = [images.len() / tile_len, channels, height, width];
                Tensor::from_data(TensorData::new(images, shape), self.device)
            })
            .collect();
        let precision = self.config.precision;
        let of_batches = out_of_memory_or(size, || {
            forward_domain(tensors, |images, pass| {
                let forward = || network.forward_representations_in(images, wanted, pass);
                precision
                    .within(forward)
                    .into_iter()
                    .map(read)
                    .collect::<Vec<_>>()
            })
        })?;
        for (vectors, places) in of_batches.iter().zip(places.chunks(size)) {
            self.take_note(vectors, places, group);
        }
        Ok(())
    }

    fn map_network(&self) -> &dyn MapNetwork {
        let network = self.encoder.as_map_network();
        network.expect("the configuration was checked")
    }

    /// Vectors of a forward pass, or that the device has not enough memory for it.
    fn forward(
        &self,
        forward: impl FnOnce() -> Vec<Tensor<2>>,
    ) -> Result<Vec<Vectors>, EmbedError> {
        out_of_memory_or(self.config.batch_size, || {
            // Some devices tell of their troubles when results are read.
            let vectors = self.config.precision.within(forward).into_iter();
            vectors.map(read).collect()
        })
    }

    /// Keeps vectors until rows are made of them.
    fn take_note(&self, vectors: &[Vectors], places: &[(usize, Tile)], group: &mut Group) {
        group.account.num_tiles += places.len();
        for (index, (site_index, place)) in places.iter().enumerate() {
            let own = vectors.iter().map(|vectors| {
                let start = index * vectors.num_features;
                Vectors {
                    num_features: vectors.num_features,
                    values: vectors.values[start..start + vectors.num_features].to_vec(),
                }
            });
            group.done.push((*site_index, *place, own.collect()));
        }
    }

    /// Adds vectors to the tables' rows, and hands on those that are full.
    fn add_rows(
        &self,
        vectors: &[Vectors],
        places: &[(usize, Tile)],
        group: &mut Group,
        sink: &mut dyn Sink,
    ) -> Result<(), EmbedError> {
        for table in &mut group.tables {
            let vectors = &vectors[table.representation];
            table.num_features = vectors.num_features;
            let rows = vectors.values.chunks_exact(vectors.num_features);
            for (vector, (site_index, place)) in rows.zip(places) {
                let values = vector.iter().map(|value| f64::from(*value));
                table
                    .rows
                    .add(self.screen, *site_index, Some(*place), values);
            }
            if table.rows.num_rows() > ROWS_AT_ONCE {
                let names = feature_names(vectors.num_features);
                let rows = table.rows.take_finished(&names)?;
                sink.rows(table.level, table.representation, rows)?;
            }
        }
        Ok(())
    }

    fn nothing_to_embed(&self, sites: &Range<usize>, account: &Account) -> EmbedError {
        let first = account.skipped.first().map(ToString::to_string);
        let outside = account.outside.first();
        let first = first.or(outside.map(|site| format!("{site} has nothing inside its mask")));
        EmbedError::NothingToEmbed {
            screen: self.screen.name().to_owned(),
            num_sites: sites.len(),
            first_problem: first.unwrap_or("it is empty".to_owned()),
            hint: match outside {
                Some(_) => "pixels of masks that are not 0 are inside",
                None => nothing_there(self.config.on_incomplete),
            },
        }
    }
}

/// What to do if no site can be read.
pub(crate) fn nothing_there(policy: OnIncomplete) -> &'static str {
    match policy {
        OnIncomplete::Fill => "`inspect` lists what is missing",
        OnIncomplete::Fail | OnIncomplete::Skip => {
            "`inspect` lists what is missing; --on-incomplete fill embeds sites that lack channels"
        }
    }
}

/// Lets the network go first where a thread that reads wants the same core: work that is
/// divided between all cores waits for the slowest. While the network waits for images,
/// there is nobody to yield to.
fn yield_to_network() {
    /// The lowest.
    #[cfg(target_os = "linux")]
    const NICENESS: i32 = 19;
    // On Linux, of this thread alone. If it cannot be, nothing but speed is lost.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Reads vectors from the device.
fn read(vectors: Tensor<2>) -> Vectors {
    let [_, num_features] = vectors.dims();
    let values = vectors.into_data().try_to_vec();
    Vectors {
        num_features,
        values: values.expect("encoders return f32"),
    }
}

/// What work gives, or that a device said that it has no memory for it.
fn out_of_memory_or<T>(batch_size: usize, work: impl FnOnce() -> T) -> Result<T, EmbedError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let Some(message) = out_of_memory(&*panic) else {
            resume_unwind(panic);
        };
        EmbedError::OutOfMemory {
            batch_size,
            message,
        }
    })
}

/// What a device says of a lack of memory, in the words of the programs below us.
fn out_of_memory(panic: &(dyn Any + Send)) -> Option<String> {
    let message = panic.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| panic.downcast_ref::<&str>().copied())?;
    let words = message.to_lowercase().replace(['_', ' '], "");
    let is_it = [
        "outofmemory",
        "outofdevicememory",
        "outofhostmemory",
        "notenoughmemory",
    ]
    .iter()
    .any(|said| words.contains(said));
    is_it.then(|| message.to_owned())
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
