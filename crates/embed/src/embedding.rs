use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use morphospace_core::{Provenance, Site};
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_models::{Encoder, ModelError, Precision, Representation};
use morphospace_profiles::Profiles;
use morphospace_screen::sampler::Domain;
use morphospace_screen::{LoaderOptions, Normalisation, OnIncomplete, Screen, SkippedSite, Tiling};

use crate::mean_rows::FilledColumns;
use crate::pass::{Account, Pass, Sink};
use crate::screen_check::check_screen;
use crate::{EmbedError, Level, SiteMasks};

/// How a screen is embedded.
#[derive(Clone, Debug)]
pub struct EmbedConfig {
    /// How sites are cut; the side of a tile must be the network's.
    pub tiling: Tiling,
    /// How tiles are brought to the network's scale.
    pub normalisation: Normalisation,
    /// What is taken of the network, each once, all in one pass.
    pub representations: Vec<Representation>,
    /// What the rows are, each once.
    pub levels: Vec<Level>,
    /// Tiles per forward pass. The last batch is padded, so every pass has
    /// the same geometry and a tile's vector does not depend on its
    /// neighbours' number.
    pub batch_size: usize,
    /// In what products are computed.
    pub precision: Precision,
    /// Where batch normalisation takes its statistics from; other than from
    /// training, only networks of maps do so.
    pub norm: NormStatistics,
    /// What shares its statistics then.
    pub domain: Domain,
    /// Where sites have something to look at; patches without are not seen, of
    /// networks of tokens.
    pub masks: Option<SiteMasks>,
    /// What happens to sites that lack images.
    pub on_incomplete: OnIncomplete,
    /// How many sites are read ahead of the network; changes nothing in the
    /// result.
    pub loader: LoaderOptions,
}

impl EmbedConfig {
    /// Half as many tiles at a time, if it was memory that was lacking and there is
    /// half of them.
    pub(crate) fn halved(&self, error: EmbedError) -> Result<usize, EmbedError> {
        // A batch of one has no statistics but its own.
        let least = match self.norm {
            NormStatistics::Batch => 2,
            NormStatistics::Running | NormStatistics::Domain => 1,
        };
        match error {
            EmbedError::OutOfMemory { .. } if self.batch_size / 2 >= least => {
                Ok(self.batch_size / 2)
            }
            error => Err(error),
        }
    }

    /// Refuses what does not fit, before an image is read.
    ///
    /// # Errors
    /// A batch size of 0, a tile side, a number of channels, a pooling or a block
    /// that the network does not have, what is asked for twice.
    pub fn check(
        &self,
        screen: &dyn Screen,
        encoder: &dyn Encoder,
        device: &Device,
    ) -> Result<(), EmbedError> {
        let config = self;
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
        if !config.precision.is_supported(device) {
            return Err(EmbedError::InvalidConfig(format!(
                "the device does not compute in {}: take f32",
                config.precision
            )));
        }
        refuse_repeated("level", config.levels.iter().map(|level| level.as_str()))?;
        let names: Vec<String> = config
            .representations
            .iter()
            .map(Representation::name)
            .collect();
        refuse_repeated("representation", names.iter().map(String::as_str))?;
        if config.norm != NormStatistics::Running && encoder.as_map_network().is_none() {
            return Err(EmbedError::InvalidConfig(format!(
                "statistics of a {} are of batch normalisation, which the network does not have",
                config.norm.as_str()
            )));
        }
        if config.norm == NormStatistics::Batch && config.batch_size < 2 {
            return Err(EmbedError::InvalidConfig(
                "a batch of one tile has no statistics but its own: give a larger batch_size"
                    .to_owned(),
            ));
        }
        if config.masks.is_some() && encoder.patch_grid().is_none() {
            return Err(EmbedError::InvalidConfig(
                "masks leave out patches, and the network has none: it has maps".to_owned(),
            ));
        }
        let num_blocks = encoder.num_blocks();
        let blocks = config.representations.iter().filter_map(|one| one.block);
        if let Some(block) = blocks.max().filter(|block| *block >= num_blocks) {
            return Err(EmbedError::InvalidConfig(format!(
                "there is no block {}: the network has {num_blocks}, counted from 1",
                block + 1
            )));
        }
        let channels = screen.channels();
        let check = |one: &Representation| encoder.check(channels.len(), one.pooling);
        config
            .representations
            .iter()
            .try_for_each(check)
            .map_err(|source| match source {
                ModelError::WrongPooling(message) => EmbedError::InvalidConfig(message),
                source => EmbedError::WrongChannels {
                    screen: screen.name().to_owned(),
                    num_channels: channels.len(),
                    channels: channels
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .join(", "),
                    source: Box::new(source),
                },
            })
    }
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
    /// Sites whose mask has nothing inside, which are left out.
    pub outside: Vec<String>,
    /// Tiles through the network.
    pub num_tiles: usize,
    /// Tiles per forward pass: those of the settings, or fewer if the device had too
    /// little memory for them.
    pub batch_size: usize,
    /// Wall time in seconds.
    pub wall_seconds: f64,
    /// Share of that time spent waiting for images.
    pub data_wait_share: f64,
}

/// Embeds every site of a screen and averages tiles per well, in memory: of
/// [`EmbedConfig::representations`] and [`EmbedConfig::levels`] there is one.
/// Large screens are embedded [plate by plate](crate::PlateJob).
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
    config.check(screen, encoder, device)?;
    if (config.representations.len(), config.levels.len()) != (1, 1) {
        return Err(EmbedError::InvalidConfig(
            "one table holds one representation at one level: give a folder for several".to_owned(),
        ));
    }
    let normalisation = config.normalisation.check(screen)?;
    check_screen(screen, config.on_incomplete)?;
    if let Some(masks) = &config.masks {
        masks.check(screen.sites().iter().map(|site| &site.key))?;
    }
    let started = Instant::now();
    let all = 0..screen.sites().len();
    let groups = match config.norm {
        NormStatistics::Running => vec![all],
        NormStatistics::Batch | NormStatistics::Domain => domains(screen, config.domain),
    };
    let columns = Arc::new(FilledColumns::of(screen.sites()));
    let mut config = config.clone();
    let table = loop {
        let pass = Pass {
            screen,
            encoder,
            device,
            config: &config,
            normalisation: normalisation.clone(),
            columns: Arc::clone(&columns),
            stop: None,
        };
        let mut table = OneTable::default();
        match pass.run(&groups, &mut table, observer) {
            Ok(()) => break table,
            Err(error) => config.batch_size = config.halved(error)?,
        }
    };
    if table.chunks.is_empty() {
        return Err(table.failure.expect("every group gave rows or failed"));
    }
    let account = table.account;
    let provenance = provenance(screen, &config)
        .with_setting("level", config.levels[0].as_str())
        .with_setting("representation", config.representations[0].name())
        .with_setting("num_sites_of_16_bit", account.num_rescaled);
    let wall = started.elapsed().as_secs_f64();
    Ok(Embedded {
        profiles: Profiles::concat(&table.chunks)?.with_provenance(provenance),
        skipped: account.skipped,
        filled: account.filled,
        outside: account.outside,
        num_tiles: account.num_tiles,
        batch_size: config.batch_size,
        wall_seconds: wall,
        data_wait_share: account.waited.as_secs_f64() / wall,
    })
}

/// The sites of each domain, which stand together.
fn domains(screen: &dyn Screen, domain: Domain) -> Vec<Range<usize>> {
    let sites = screen.sites();
    let is_same = |a: &Site, b: &Site| domain.of(&a.key.plate) == domain.of(&b.key.plate);
    let mut end = 0;
    let lengths = sites.chunk_by(is_same).map(<[Site]>::len);
    let ranges = lengths.map(|len| {
        end += len;
        end - len..end
    });
    ranges.collect()
}

/// Keeps the rows of all groups.
#[derive(Default)]
struct OneTable {
    chunks: Vec<Profiles>,
    account: Account,
    /// Why the first group without rows has none.
    failure: Option<EmbedError>,
}

impl Sink for OneTable {
    fn rows(&mut self, _: Level, _: usize, rows: Profiles) -> Result<(), EmbedError> {
        self.chunks.push(rows);
        Ok(())
    }

    fn finish(&mut self, account: Account) -> Result<(), EmbedError> {
        self.account.add(account);
        Ok(())
    }

    fn fail(&mut self, account: Account, error: EmbedError) -> Result<(), EmbedError> {
        // All its sites have been left out, by name.
        let EmbedError::NothingToEmbed { .. } = &error else {
            return Err(error);
        };
        self.account.add(account);
        self.failure.get_or_insert(error);
        Ok(())
    }
}

fn refuse_repeated<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), EmbedError> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            let message = format!("{what} '{name}' is asked for twice");
            return Err(EmbedError::InvalidConfig(message));
        }
        seen.push(name);
    }
    match seen.is_empty() {
        true => Err(EmbedError::InvalidConfig(format!("no {what} is asked for"))),
        false => Ok(()),
    }
}

pub(crate) fn provenance(screen: &dyn Screen, config: &EmbedConfig) -> Provenance {
    let provenance = match config.normalisation.content_hash() {
        None => screen.provenance("embed"),
        Some(hash) => screen
            .provenance("embed")
            .with_setting("normalisation_content_hash", hash),
    };
    let provenance = provenance
        .with_setting("crop_px", config.tiling.crop_px)
        .with_setting("edge", config.tiling.edge.as_str())
        .with_setting("tiles", config.tiling.selection.as_str())
        .with_setting(
            "stride_px",
            config.tiling.stride_px.unwrap_or(config.tiling.crop_px),
        )
        .with_setting("normalisation", config.normalisation.name())
        .with_setting("batch_size", config.batch_size)
        .with_setting("on_incomplete", config.on_incomplete.as_str())
        .with_setting("precision", config.precision);
    let provenance = match config.norm {
        NormStatistics::Running => provenance,
        norm => provenance
            .with_setting("norm", norm.as_str())
            .with_setting("domain", config.domain.as_str()),
    };
    match &config.masks {
        None => provenance,
        Some(masks) => provenance.with_setting("masks", masks.pattern()),
    }
}
