use std::ops::Range;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::DataType;
use morphospace_core::{Channel, PlateKey, Site, SiteKey};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, RowSelection, RowSelector};
use regex::Regex;

use crate::ScreenError;
use crate::decode::decode_image;
use crate::error::ImageProblem;
use crate::parquet_file::{cast_column, check_lengths, metadata_with_views};
use crate::readers::row_blocks::{BlockPlace, ImageBlock, RowBlocks};
use crate::readers::rxrx3;
use crate::record_batches::{RecordBatches, Selection};
use crate::screen::{Plane, Screen};
use crate::site_list::name_of;
use crate::store::{SharedStore, StoredFile, joined};
use crate::table::Table;

/// Names of the metadata table.
const METADATA_FILES: [&str; 2] = ["metadata_rxrx3_core.csv", "metadata_rxrx3_core.csv.gz"];

/// Where shards may lie.
const SHARD_FOLDERS: [&str; 2] = ["data", ""];

const KEY_COLUMN: &str = "__key__";
const IMAGE_COLUMN: &str = "jp2";

/// The six channels of a site.
const NUM_CHANNELS: usize = 6;

/// Bytes of images that are decompressed together. Row groups that hold more
/// are read in parts.
const BLOCK_LEN: usize = 16 << 20;

/// Longest file of an image: a 512 x 512 JPEG 2000 has a tenth of a megabyte.
const MAX_IMAGE_LEN: usize = 64 << 20;

/// RxRx3-core: the 735 unblinded genes and 1,674 compounds of RxRx3, cut to
/// 512 x 512 pixels, as JPEG 2000 in the shards of a Parquet table.
///
/// # Layout
/// `metadata_rxrx3_core.csv` (or `.csv.gz`) with the columns of
/// [`open_rxrx3`](crate::open_rxrx3), and shards
/// `data/train-000NN-of-000MM.parquet`:
///
/// | column | |
/// |---|---|
/// | `__key__` | `{experiment}/Plate{plate}/{address}_s1_{channel}`, channels 1 to 6 with or without `w` before them |
/// | `jp2` | the file's bytes, or a struct with them as `bytes` |
///
/// Opening reads the keys only. An image is read with the rows around it, at
/// most about 16 MiB at once; the last 16 such blocks are kept, so that
/// reading a screen in its order decompresses each block once.
///
/// Wells whose images are in no shard count as missing images. Images whose
/// well the metadata lacks are left out. [`Screen::notes`] counts both.
///
/// # Source
/// <https://huggingface.co/datasets/recursionpharma/rxrx3-core>; Kraus et
/// al. 2025, <https://arxiv.org/abs/2503.20158>.
pub struct Rxrx3CoreScreen {
    name: String,
    channels: Vec<Channel>,
    sites: Vec<Site>,
    notes: Vec<String>,
    shards: Vec<Shard>,
    /// For each site its channels' images.
    images: Vec<Option<ImagePlace>>,
    blocks: RowBlocks,
}

/// Row of an image.
#[derive(Clone, Copy, Debug)]
struct ImagePlace {
    shard: u32,
    row_group: u32,
    row: u32,
}

impl Rxrx3CoreScreen {
    /// Reads the metadata and the keys of all shards; no image is read.
    ///
    /// # Errors
    /// [`ScreenError`] names the table and its line or row: a column or value
    /// that is missing or not understood, an image that occurs twice, no
    /// shard at all.
    pub fn open_in(store: SharedStore) -> Result<Self, ScreenError> {
        let unknown = |found: &str| ScreenError::UnknownFormat {
            path: store.location().into(),
            found: found.to_owned(),
            markers: "'metadata_rxrx3_core.csv' and 'data/train-*.parquet'".to_owned(),
        };
        let metadata = metadata_file(&store).ok_or_else(|| unknown("it has no table of wells"))?;
        let table = Table::read(&store, metadata, None, &[])?;
        let sites = rxrx3::read_sites(&table)?;
        let (paths, num_shards) = shard_paths(&store)?;
        if paths.is_empty() {
            return Err(unknown("it has no shard of images"));
        }
        let mut notes = Vec::new();
        if let Some(num_shards) = num_shards.filter(|&all| all > paths.len()) {
            notes.push(format!("{} of {num_shards} shards are here", paths.len()));
        }
        let mut screen = Self {
            name: name_of(&store.location()),
            channels: Channel::rxrx1(),
            images: vec![None; sites.len() * NUM_CHANNELS],
            sites,
            notes,
            shards: Vec::with_capacity(paths.len()),
            blocks: RowBlocks::default(),
        };
        let mut unknown_wells = UnknownWells::default();
        for path in paths {
            screen.shards.push(Shard::open(&store, &path)?);
            screen.list_shard(&mut unknown_wells)?;
        }
        screen.count_unmatched(&unknown_wells, metadata);
        Ok(screen)
    }

    pub(super) fn recognises(store: &SharedStore) -> bool {
        metadata_file(store).is_some()
    }

    /// Enters the images of the last shard.
    fn list_shard(&mut self, unknown_wells: &mut UnknownWells) -> Result<(), ScreenError> {
        let shard_index = self.shards.len() - 1;
        let shard = &self.shards[shard_index];
        let mut last: Option<(String, Option<usize>)> = None;
        let (mut row_group, mut row) = (0, 0);
        let mut twice = None;
        shard.for_each_key(|key| {
            while shard.num_rows(row_group) == Some(row) {
                (row_group, row) = (row_group + 1, 0);
            }
            if shard.num_rows(row_group).is_none() {
                return Err("there are more rows than the file says".to_owned());
            }
            let place = ImagePlace {
                shard: shard_index as u32,
                row_group: row_group as u32,
                row: row as u32,
            };
            row += 1;
            let (site, channel_index) = parse_key(key)?;
            // The images of a site follow each other.
            let site_index = match &last {
                Some((known, site_index)) if known == site.text => *site_index,
                _ => {
                    let found = self
                        .sites
                        .binary_search_by(|other| other.key.cmp(&site.key));
                    let site_index = found.ok();
                    unknown_wells.num_wells += usize::from(site_index.is_none());
                    last = Some((site.text.to_owned(), site_index));
                    site_index
                }
            };
            let Some(site_index) = site_index else {
                unknown_wells.num_images += 1;
                unknown_wells.first.get_or_insert_with(|| key.to_owned());
                return Ok(());
            };
            let image = &mut self.images[site_index * NUM_CHANNELS + channel_index];
            if let Some(first) = image.replace(place) {
                twice.get_or_insert((site_index, channel_index, first, place));
            }
            Ok(())
        })?;
        let Some((site_index, channel_index, first, second)) = twice else {
            return Ok(());
        };
        Err(ScreenError::DuplicateImage {
            site: Box::new(self.sites[site_index].key.clone()),
            channel: self.channels[channel_index].clone(),
            first: self.shards[first.shard as usize].row_location(first),
            second: shard.row_location(second),
        })
    }

    /// Notes images without a well, and wells without an image.
    fn count_unmatched(&mut self, unknown_wells: &UnknownWells, metadata: &str) {
        if let Some(first) = &unknown_wells.first {
            self.notes.push(format!(
                "{} images of {} sites are left out, as '{metadata}' has no row for them (first: \
                 '{first}')",
                unknown_wells.num_images, unknown_wells.num_wells
            ));
        }
        let site_images = self.images.chunks(NUM_CHANNELS).zip(&self.sites);
        let mut without = site_images.filter(|(images, _)| images.iter().all(Option::is_none));
        if let Some((_, first)) = without.next() {
            self.notes.push(format!(
                "{} wells of '{metadata}' have no image in any shard (first: {} well {})",
                1 + without.count(),
                first.key.plate,
                first.key.well
            ));
        }
    }

    fn place(&self, site_index: usize, channel_index: usize) -> Option<ImagePlace> {
        assert!(
            channel_index < NUM_CHANNELS,
            "channel {channel_index} is out of range"
        );
        self.images[site_index * NUM_CHANNELS + channel_index]
    }

    fn read(&self, place: ImagePlace) -> Result<Plane, ImageProblem> {
        let shard = &self.shards[place.shard as usize];
        let (row_group, row) = (place.row_group as usize, place.row as usize);
        let rows = shard.rows_around(row_group, row);
        let block_place = BlockPlace {
            shard: place.shard,
            row_group: place.row_group,
            first_row: rows.start as u32,
        };
        let offset = row - rows.start;
        let block = self
            .blocks
            .get(block_place, || shard.read_images(row_group, rows))
            .map_err(ImageProblem::CannotRead)?;
        let bytes = block.value(offset);
        if bytes.len() > MAX_IMAGE_LEN {
            return Err(ImageProblem::CannotRead(format!(
                "it has {} bytes, more than {MAX_IMAGE_LEN} are not read\nhint: fetch the shard \
                 again from its source",
                bytes.len()
            )));
        }
        decode_image(bytes).map_err(ImageProblem::Undecodable)
    }
}

impl Screen for Rxrx3CoreScreen {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let place = self.place(site_index, channel_index)?;
        let key = &self.sites[site_index].key;
        Some(format!(
            "{}#{}/Plate{}/{}_s{}_{}",
            self.shards[place.shard as usize].location,
            key.plate.experiment,
            key.plate.plate,
            key.well,
            key.site,
            channel_index + 1
        ))
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        self.place(site_index, channel_index).is_some()
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let place = self.place(site_index, channel_index)?;
        let version = &self.shards[place.shard as usize].version;
        Some(format!("{version}#{}.{}", place.row_group, place.row))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        match self.place(site_index, channel_index) {
            Some(place) => self.read(place),
            None => Err(ImageProblem::Missing),
        }
        .map_err(|problem| self.image_error(site_index, channel_index, problem))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// Images of which the metadata has no row.
#[derive(Default)]
struct UnknownWells {
    num_images: usize,
    num_wells: usize,
    first: Option<String>,
}

fn metadata_file(store: &SharedStore) -> Option<&'static str> {
    let mut names = METADATA_FILES.into_iter();
    names.find(|name| store.is_present(name))
}

/// Paths of the shards, and how many there are in all.
fn shard_paths(store: &SharedStore) -> Result<(Vec<String>, Option<usize>), ScreenError> {
    let name = Regex::new(r"^train-\d+-of-(\d+)\.parquet$").expect("a valid expression");
    for folder in SHARD_FOLDERS {
        let entries = store
            .entries(folder)
            .map_err(|error| ScreenError::cannot_read(store.file_location(folder), &error))?;
        let mut paths = Vec::new();
        let mut num_shards = None;
        for entry in entries {
            if let Some(groups) = name.captures(&entry.name) {
                num_shards = num_shards.max(groups[1].parse().ok());
                paths.push(joined(folder, &entry.name));
            }
        }
        if !paths.is_empty() {
            return Ok((paths, num_shards));
        }
    }
    Ok((Vec::new(), None))
}

/// A site as a key gives it.
struct SiteOfKey<'a> {
    /// The key up to its channel.
    text: &'a str,
    key: SiteKey,
}

/// Reads `gene-001/Plate9/AA02_s1_3`, channels counting from 0.
fn parse_key(text: &str) -> Result<(SiteOfKey<'_>, usize), String> {
    let parse = || {
        let (site_text, channel) = text.rsplit_once('_')?;
        let (folder, file) = site_text.rsplit_once('/')?;
        let (experiment, plate) = folder.rsplit_once("/Plate")?;
        let (address, site) = file.split_once("_s")?;
        let channel: usize = channel
            .strip_prefix('w')
            .unwrap_or(channel)
            .parse()
            .ok()
            .filter(|channel| (1..=NUM_CHANNELS).contains(channel))?;
        let plate: u32 = plate.parse().ok()?;
        let plate = PlateKey::new(experiment, plate.to_string());
        let key = SiteKey::new(plate, address.parse().ok()?, site.parse().ok()?);
        let site = SiteOfKey {
            text: site_text,
            key,
        };
        Some((site, channel - 1))
    };
    parse().ok_or_else(|| {
        format!("'{text}' is not {{experiment}}/Plate{{n}}/{{address}}_s{{site}}_{{channel 1..6}}")
    })
}

/// One Parquet file of images.
struct Shard {
    location: String,
    /// Of its file: [`Store::version`](crate::store::Store::version).
    version: String,
    file: StoredFile,
    metadata: ArrowReaderMetadata,
    /// The leaf column that holds the images' bytes.
    image_column: String,
    /// Rows of each row group that are read together.
    block_rows: Vec<usize>,
}

impl Shard {
    fn open(store: &SharedStore, path: &str) -> Result<Self, ScreenError> {
        let location = store.file_location(path);
        let cannot_read = |error| ScreenError::cannot_read(location.clone(), &error);
        let file = StoredFile::open(store, path).map_err(cannot_read)?;
        let version = store.version(path).map_err(cannot_read)?;
        let invalid = |message: String| ScreenError::InvalidTable {
            table: location.clone(),
            message,
        };
        let metadata = metadata_with_views(&file).map_err(invalid)?;
        let schema = metadata.schema();
        let column = |name: &str| {
            schema
                .field_with_name(name)
                .map_err(|_| ScreenError::MissingColumn {
                    table: location.clone(),
                    column: name.to_owned(),
                    available: schema.fields().iter().map(|f| f.name().clone()).collect(),
                    near: None,
                })
        };
        column(KEY_COLUMN)?;
        let image_column = image_leaf(column(IMAGE_COLUMN)?.data_type()).ok_or_else(|| {
            invalid(format!(
                "column '{IMAGE_COLUMN}' holds neither bytes nor a struct with 'bytes'\nhint: \
                 fetch the shard again from its source"
            ))
        })?;
        let block_rows = metadata
            .metadata()
            .row_groups()
            .iter()
            .enumerate()
            .map(|(index, group)| {
                let columns = group.columns().iter();
                let len: i64 = columns
                    .filter(|column| column.column_path().string() == image_column)
                    .map(parquet::file::metadata::ColumnChunkMetaData::uncompressed_size)
                    .sum();
                let num_rows = group.num_rows().max(1) as usize;
                let row_len = (len.max(0) as usize / num_rows).max(1);
                if row_len > MAX_IMAGE_LEN {
                    return Err(invalid(format!(
                        "row group {}: its images have {row_len} bytes each, more than \
                         {MAX_IMAGE_LEN} are not read\nhint: fetch the shard again from its source",
                        index + 1
                    )));
                }
                Ok((BLOCK_LEN / row_len).clamp(1, num_rows))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            location,
            version: version.unwrap_or_default(),
            file,
            metadata,
            image_column,
            block_rows,
        })
    }

    fn num_rows(&self, row_group: usize) -> Option<usize> {
        let group = self.metadata.metadata().row_groups().get(row_group)?;
        usize::try_from(group.num_rows()).ok()
    }

    /// A row as it should stand in messages, counted from 1.
    fn row_location(&self, place: ImagePlace) -> String {
        let groups = 0..place.row_group as usize;
        let before: usize = groups.filter_map(|group| self.num_rows(group)).sum();
        format!("{} row {}", self.location, before + place.row as usize + 1)
    }

    /// The rows of a group that are read with one of them.
    fn rows_around(&self, row_group: usize, row: usize) -> Range<usize> {
        let len = self.block_rows[row_group];
        let start = row / len * len;
        let end = self.num_rows(row_group).unwrap_or(row + 1).min(start + len);
        start..end.max(row + 1)
    }

    /// All rows of a column.
    fn column(&self, column: &str) -> Selection {
        Selection {
            columns: ProjectionMask::columns(self.metadata.parquet_schema(), [column]),
            ..Selection::all(&self.metadata)
        }
    }

    fn batches(&self, selection: Selection) -> Result<RecordBatches, String> {
        RecordBatches::of(self.file.clone(), &self.metadata, selection)
    }

    /// Reads the keys of all rows in order, and no other column.
    fn for_each_key(
        &self,
        mut visit: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), ScreenError> {
        let invalid = |message: String| ScreenError::InvalidTable {
            table: self.location.clone(),
            message,
        };
        let batches = self.batches(self.column(KEY_COLUMN)).map_err(invalid)?;
        let mut num_rows = 0;
        for batch in batches {
            let batch = batch.map_err(invalid)?;
            check_lengths(&batch).map_err(invalid)?;
            let keys = cast_column(batch.column(0), &DataType::Utf8)
                .map_err(|error| invalid(format!("column '{KEY_COLUMN}': {error}")))?;
            for key in keys.as_string::<i32>() {
                num_rows += 1;
                key.ok_or_else(|| "there is no value".to_owned())
                    .and_then(&mut visit)
                    .map_err(|message| {
                        invalid(format!("row {num_rows}, column '{KEY_COLUMN}': {message}"))
                    })?;
            }
        }
        Ok(())
    }

    /// Reads the bytes of some images of a row group.
    fn read_images(&self, row_group: usize, rows: Range<usize>) -> Result<ImageBlock, String> {
        let selection = Selection {
            row_groups: vec![row_group],
            rows: Some(RowSelection::from(vec![
                RowSelector::skip(rows.start),
                RowSelector::select(rows.len()),
            ])),
            batch_len: rows.len(),
            ..self.column(&self.image_column)
        };
        let mut block = ImageBlock::default();
        for batch in self.batches(selection)? {
            let batch = batch?;
            let column = batch.column(0);
            let bytes = match column.data_type() {
                DataType::Struct(_) => column.as_struct().column(0),
                _ => column,
            };
            block.push(bytes.as_binary_view().clone());
        }
        match block.num_rows() == rows.len() {
            true => Ok(block),
            false => Err(format!(
                "the shard holds {} of the {} rows it claims",
                block.num_rows(),
                rows.len()
            )),
        }
    }
}

/// The column of an image's bytes within `jp2`.
fn image_leaf(data_type: &DataType) -> Option<String> {
    let is_bytes = |data_type: &DataType| *data_type == DataType::BinaryView;
    match data_type {
        DataType::Struct(fields) => {
            let bytes = fields.iter().find(|field| field.name() == "bytes")?;
            is_bytes(bytes.data_type()).then(|| format!("{IMAGE_COLUMN}.bytes"))
        }
        other => is_bytes(other).then(|| IMAGE_COLUMN.to_owned()),
    }
}
