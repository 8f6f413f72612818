use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use morphospace_core::{PlateKey, Provenance, sha256_hex};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_models::{Encoder, Representation};
use morphospace_profiles::{Profiles, ProfilesWriter};
use morphospace_screen::Screen;
use morphospace_screen::sampler::Domain;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::embedding::{EmbedConfig, EmbedProgress, provenance};
use crate::embedding_folder::{EmbeddingFolder, PlateRecord, TableRecord};
use crate::mean_rows::FilledColumns;
use crate::pass::{Account, Pass, Sink};
use crate::screen_check::check_sites;
use crate::{EmbedError, Level, Shard};

/// How a screen is embedded plate by plate.
pub struct PlateJob<'a> {
    /// The screen.
    pub screen: &'a dyn Screen,
    /// The network, which is what [`EmbeddingFolder::settings`] say.
    pub encoder: &'a dyn Encoder,
    /// Where it computes.
    pub device: &'a Device,
    /// The device's name in records.
    pub device_name: &'a str,
    /// How; what [`EmbeddingFolder::settings`] say.
    pub config: &'a EmbedConfig,
    /// Where tables go.
    pub folder: &'a EmbeddingFolder,
    /// Which plates.
    pub shard: Shard,
    /// Set from outside to end after the site at hand; the plate at hand is
    /// dropped.
    pub stop: &'a AtomicBool,
    /// Part of the tables' provenance.
    pub provenance: &'a (dyn Fn(Provenance) -> Provenance + Sync),
}

/// What [`PlateJob::run`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlatesDone {
    /// Plates of the shard.
    pub num_plates: usize,
    /// Those that were done before.
    pub before: Vec<PlateRecord>,
    /// What became of the others.
    pub records: Vec<PlateRecord>,
}

/// What became of a screen so far: `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file.
    pub schema_version: u32,
    /// Plates of the screen.
    pub num_plates: usize,
    /// Their names.
    pub plates: Vec<String>,
    /// Plates with tables.
    pub num_plates_done: usize,
    /// Plates that nobody has come to.
    pub missing: Vec<String>,
    /// Plates without tables, or with those of before, and why.
    pub failed: BTreeMap<String, String>,
    /// Sites, of plates with tables.
    pub num_sites: usize,
    /// Tiles through the network.
    pub num_tiles: usize,
    /// Sites left out, each with the images to blame.
    pub skipped: Vec<String>,
    /// Sites with zeros in the place of missing channels.
    pub filled: Vec<String>,
    /// Sites whose mask has nothing inside, left out.
    pub outside: Vec<String>,
    /// Plates by tiles per forward pass, of which there are fewer than set where a
    /// device had too little memory.
    pub batch_sizes: BTreeMap<usize, usize>,
    /// Seconds, of all processes together.
    pub seconds: f64,
    /// Tiles per second of one process.
    pub tiles_per_second: f64,
    /// Share of the time spent waiting for images.
    pub data_wait_share: f64,
}

impl PlateJob<'_> {
    /// Embeds the plates of a shard that are not done and whose images, labels
    /// or settings have changed since, each into tables of its own. A plate that
    /// cannot be embedded is recorded as such, and the others go on.
    ///
    /// # Errors
    /// As [`embed`](crate::embed), before any image is read; later what stops
    /// everything: a table that cannot be written, or [`PlateJob::stop`].
    pub fn run(
        &self,
        observer: &mut dyn FnMut(EmbedProgress),
        on_plate: &mut dyn FnMut(&PlateRecord),
    ) -> Result<PlatesDone, EmbedError> {
        self.config.check(self.screen, self.encoder, self.device)?;
        self.refuse_experiments()?;
        let normalisation = self.config.normalisation.check(self.screen)?;
        let all = plates_of(self.screen);
        let columns = Arc::new(FilledColumns::of(self.screen.sites()));
        let of_shard: Vec<&(PlateKey, Range<usize>)> = all
            .iter()
            .enumerate()
            .filter(|(index, _)| self.shard.takes(*index))
            .map(|(_, plate)| plate)
            .collect();
        let hashes: Vec<String> = of_shard
            .iter()
            .map(|(_, sites)| self.content_sha256(sites.clone(), &columns))
            .collect();
        let (mut pending, mut before) = (Vec::new(), Vec::new());
        for ((plate, sites), content_sha256) in of_shard.iter().zip(hashes) {
            match self.done(plate, &content_sha256)? {
                Some(record) => before.push(record),
                None => pending.push(PendingPlate {
                    plate: plate.clone(),
                    sites: sites.clone(),
                    content_sha256,
                }),
            }
        }
        let sites: Vec<Range<usize>> = pending.iter().map(|one| one.sites.clone()).collect();
        check_sites(self.screen, &sites, self.config.on_incomplete)?;
        if let Some(masks) = &self.config.masks {
            let sites = sites.iter().flat_map(Clone::clone);
            masks.check(sites.map(|site| &self.screen.sites()[site].key))?;
        }
        let mut config = self.config.clone();
        let mut sink = FolderSink {
            job: self,
            pending,
            group: 0,
            batch_size: config.batch_size,
            writers: BTreeMap::new(),
            records: Vec::new(),
            on_plate,
        };
        let ran = loop {
            let pass = Pass {
                screen: self.screen,
                encoder: self.encoder,
                device: self.device,
                config: &config,
                normalisation: normalisation.clone(),
                columns: Arc::clone(&columns),
                stop: Some(self.stop),
            };
            let ran = pass.run(&sites[sink.group..], &mut sink, observer);
            match ran {
                Ok(()) => break Ok(()),
                Err(error) => match config.halved(error) {
                    Ok(batch_size) => config.batch_size = batch_size,
                    Err(error) => break Err(error),
                },
            }
            sink.begin_anew(config.batch_size);
        };
        let records = sink.records;
        self.folder.remove_abandoned()?;
        self.update_manifest(&all)?;
        ran?;
        Ok(PlatesDone {
            num_plates: of_shard.len(),
            before,
            records,
        })
    }

    /// A plate's vectors depend on no other plate, so that parts and kills change
    /// nothing.
    fn refuse_experiments(&self) -> Result<(), EmbedError> {
        match (self.config.norm, self.config.domain) {
            (NormStatistics::Batch | NormStatistics::Domain, Domain::Experiment) => {
                Err(EmbedError::InvalidConfig(
                    "plates of a folder are embedded one by one, and have no statistics of their \
                     experiment\n\
                     hint: --domain plate, or write one table"
                        .to_owned(),
                ))
            }
            _ => Ok(()),
        }
    }

    /// The record of a plate that is done.
    fn done(
        &self,
        plate: &PlateKey,
        content_sha256: &str,
    ) -> Result<Option<PlateRecord>, EmbedError> {
        let Some(record) = self.folder.record(plate)? else {
            return Ok(None);
        };
        // Whole sites are the same whatever becomes of others.
        let is_whole = record.skipped.is_empty() && record.filled.is_empty();
        let is_done = record.failure.is_none()
            && record.content_sha256 == content_sha256
            && (is_whole || record.on_incomplete == self.config.on_incomplete.as_str())
            && self.folder.has_tables(&record)?;
        if is_done && record.later_failure.is_some() {
            // What was amiss is as it was.
            let record = PlateRecord {
                later_failure: None,
                ..record
            };
            self.folder.write_record(&record)?;
            return Ok(Some(record));
        }
        Ok(is_done.then_some(record))
    }

    /// Of all that a plate's tables depend on. Images are told by their
    /// versions, not read.
    fn content_sha256(&self, sites: Range<usize>, columns: &FilledColumns) -> String {
        let num_channels = self.screen.channels().len();
        let lines: Vec<String> = sites
            .into_par_iter()
            .map(|site| {
                let versions: Vec<Option<String>> = (0..num_channels)
                    .map(|channel| self.screen.image_version(site, channel))
                    .collect();
                let site = &self.screen.sites()[site];
                let masks = self.config.masks.as_ref();
                let mask = masks.and_then(|masks| masks.version(&site.key));
                serde_json::to_string(&(&site.key, &*site.well, versions, mask))
                    .expect("keys and labels are JSON")
            })
            .collect();
        let whole = (self.folder.settings().sha256(), columns.names(), lines);
        sha256_hex(&serde_json::to_vec(&whole).expect("texts are JSON"))
    }

    /// Several processes may do so at once: what came meanwhile is looked for
    /// until nothing has.
    fn update_manifest(&self, plates: &[(PlateKey, Range<usize>)]) -> Result<(), EmbedError> {
        let mut records = self.folder.records()?;
        loop {
            self.folder.write_manifest(&manifest(plates, &records))?;
            let now = self.folder.records()?;
            if now == records {
                return Ok(());
            }
            records = now;
        }
    }
}

/// The plates of a screen, each with its sites.
fn plates_of(screen: &dyn Screen) -> Vec<(PlateKey, Range<usize>)> {
    let mut plates: Vec<(PlateKey, Range<usize>)> = Vec::new();
    for (index, site) in screen.sites().iter().enumerate() {
        match plates.last_mut() {
            Some((plate, sites)) if *plate == site.key.plate => sites.end = index + 1,
            _ => plates.push((site.key.plate.clone(), index..index + 1)),
        }
    }
    plates
}

fn manifest(plates: &[(PlateKey, Range<usize>)], records: &[PlateRecord]) -> Manifest {
    // What is left of plates that the screen does not have any more is not told of.
    let of_screen: BTreeSet<&PlateKey> = plates.iter().map(|(plate, _)| plate).collect();
    let records: Vec<&PlateRecord> = records
        .iter()
        .filter(|record| of_screen.contains(&record.key()))
        .collect();
    let known: BTreeSet<PlateKey> = records.iter().map(|record| record.key()).collect();
    let done = || {
        let records = records.iter().copied();
        records.filter(|record| record.failure.is_none())
    };
    let seconds: f64 = done().map(|record| record.seconds).sum();
    let waited: f64 = done().map(|one| one.seconds * one.data_wait_share).sum();
    let num_tiles = done().map(|record| record.num_tiles).sum();
    let per_second = |count: f64| if seconds > 0.0 { count / seconds } else { 0.0 };
    let failures = records.iter().filter_map(|record| {
        let failure = record.why_not()?;
        Some((record.key().to_string(), failure))
    });
    let names = |of: fn(&PlateRecord) -> &Vec<String>| done().flat_map(of).cloned().collect();
    let mut batch_sizes = BTreeMap::new();
    for record in done() {
        *batch_sizes.entry(record.batch_size).or_insert(0) += 1;
    }
    Manifest {
        schema_version: 1,
        num_plates: plates.len(),
        plates: plates.iter().map(|(plate, _)| plate.to_string()).collect(),
        num_plates_done: done().count(),
        missing: plates
            .iter()
            .filter(|(plate, _)| !known.contains(plate))
            .map(|(plate, _)| plate.to_string())
            .collect(),
        failed: failures.collect(),
        num_sites: done().map(|record| record.num_sites).sum(),
        num_tiles,
        skipped: names(|record| &record.skipped),
        filled: names(|record| &record.filled),
        outside: names(|record| &record.outside),
        batch_sizes,
        seconds,
        tiles_per_second: per_second(num_tiles as f64),
        data_wait_share: per_second(waited),
    }
}

struct PendingPlate {
    plate: PlateKey,
    sites: Range<usize>,
    content_sha256: String,
}

/// Writes the tables of the plate at hand.
struct FolderSink<'a> {
    job: &'a PlateJob<'a>,
    pending: Vec<PendingPlate>,
    /// The plate at hand.
    group: usize,
    batch_size: usize,
    writers: BTreeMap<(Level, usize), ProfilesWriter>,
    records: Vec<PlateRecord>,
    on_plate: &'a mut dyn FnMut(&PlateRecord),
}

impl FolderSink<'_> {
    /// Begins the plate at hand again, with fewer tiles at a time.
    fn begin_anew(&mut self, batch_size: usize) {
        self.writers.clear();
        self.batch_size = batch_size;
    }

    fn representation(&self, index: usize) -> &Representation {
        &self.job.config.representations[index]
    }

    fn path(&self, level: Level, representation: usize) -> String {
        let name = self.representation(representation).name();
        let plate = &self.pending[self.group].plate;
        self.job.folder.table_path(level, &name, plate)
    }

    fn record(&self, account: &Account) -> PlateRecord {
        let PendingPlate {
            plate,
            sites,
            content_sha256,
        } = &self.pending[self.group];
        let seconds = account.wall.as_secs_f64();
        PlateRecord {
            source: plate.source.clone(),
            batch: plate.experiment.to_string(),
            plate: plate.plate.clone(),
            content_sha256: content_sha256.clone(),
            failure: None,
            later_failure: None,
            tables: Vec::new(),
            num_sites: sites.len(),
            num_tiles: account.num_tiles,
            skipped: account.skipped.iter().map(ToString::to_string).collect(),
            filled: account.filled.clone(),
            outside: account.outside.clone(),
            batch_size: self.batch_size,
            on_incomplete: self.job.config.on_incomplete.as_str().to_owned(),
            device: self.job.device_name.to_owned(),
            seconds,
            data_wait_share: match seconds > 0.0 {
                true => account.waited.as_secs_f64() / seconds,
                false => 0.0,
            },
        }
    }

    /// Writes the record, which makes the plate done, and goes on.
    fn close(&mut self, record: PlateRecord) -> Result<(), EmbedError> {
        self.job.folder.write_record(&record)?;
        (self.on_plate)(&record);
        self.records.push(record);
        self.group += 1;
        Ok(())
    }
}

impl Sink for FolderSink<'_> {
    fn rows(
        &mut self,
        level: Level,
        representation: usize,
        rows: Profiles,
    ) -> Result<(), EmbedError> {
        if !self.writers.contains_key(&(level, representation)) {
            let path = self.path(level, representation);
            let path = self.job.folder.place().path_to_write(&path);
            let writer = ProfilesWriter::begin(&path)?;
            self.writers.insert((level, representation), writer);
        }
        let writer = self.writers.get_mut(&(level, representation));
        Ok(writer.expect("it was just begun").append(&rows)?)
    }

    fn finish(&mut self, account: Account) -> Result<(), EmbedError> {
        let mut record = self.record(&account);
        let common = provenance(self.job.screen, self.job.config)
            .with_setting("batch_size", self.batch_size);
        for ((level, index), writer) in std::mem::take(&mut self.writers) {
            let representation = self.representation(index).name();
            let provenance = common
                .clone()
                .with_setting("level", level.as_str())
                .with_setting("representation", &representation)
                .with_setting("num_sites_of_16_bit", account.num_rescaled)
                .with_hash("content of the plate", record.content_sha256.clone());
            let provenance = (self.job.provenance)(provenance);
            writer.with_provenance(provenance).finish()?;
            let path = self.path(level, index);
            let (num_bytes, sha256) = self.job.folder.place().publish(&path)?;
            record.tables.push(TableRecord {
                level,
                representation,
                num_bytes,
                sha256,
                path,
            });
        }
        self.close(record)
    }

    fn fail(&mut self, _: Account, error: EmbedError) -> Result<(), EmbedError> {
        // Unfinished tables leave nothing behind, those that were finished before stand.
        self.writers.clear();
        let folder = self.job.folder;
        let plate = &self.pending[self.group].plate;
        let before = folder.record(plate)?.filter(|one| one.failure.is_none());
        if let Some(mut before) = before
            && folder.has_tables(&before)?
        {
            before.later_failure = Some(error.to_string());
            return self.close(before);
        }
        folder.remove_tables(plate)?;
        let mut record = self.record(&Account::default());
        record.failure = Some(error.to_string());
        self.close(record)
    }
}
