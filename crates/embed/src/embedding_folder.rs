use std::io;
use std::path::{Path, PathBuf};

use morphospace_core::{PlateKey, sha256_hex, sha256_of_file};
use morphospace_models::Representation;
use morphospace_models::blocks::norm_pass::NormStatistics;
use morphospace_profiles::{Profiles, read_profiles};
use morphospace_screen::{Screen, Tiling, pixel_history, renamed_channels};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::place::Place;
use crate::{EmbedConfig, EmbedError, Level, Manifest};

/// What a network is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkIdentity {
    /// As it is called in messages.
    pub name: String,
    /// SHA-256 of what makes it: its weights and configuration.
    pub sha256: String,
}

/// What all tables of an [`EmbeddingFolder`] have in common: `settings.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingSettings {
    /// Of this file.
    pub schema_version: u32,
    /// Version of the program, whose numbers may change from one to the next.
    pub tool_version: String,
    /// [`NetworkIdentity::sha256`].
    pub network_sha256: String,
    /// Channels that were given to the network, in its order.
    pub channels: Vec<String>,
    /// Which of the files' channels they are, where they were given other names, and
    /// what was done to pixels: illumination, z-planes.
    #[serde(default)]
    pub pixels: Vec<String>,
    /// How sites are cut.
    pub tiling: Tiling,
    /// How tiles are brought to the network's scale.
    pub normalisation: String,
    /// Of a normalisation by a table: the hash of its contents.
    pub normalisation_sha256: Option<String>,
    /// Folders of [`Representation`]s.
    pub representations: Vec<String>,
    /// What rows are.
    pub levels: Vec<Level>,
    /// In what products are computed.
    pub precision: String,
    /// Tiles per forward pass, the last of a plate padded.
    pub batch_size: usize,
    /// Where batch normalisation takes its statistics from.
    pub norm: NormStatistics,
    /// Pattern of the sites' masks.
    pub masks: Option<String>,
}

impl EmbeddingSettings {
    const SCHEMA_VERSION: u32 = 1;

    /// Those of an embedding to come.
    pub fn new(screen: &dyn Screen, network: &NetworkIdentity, config: &EmbedConfig) -> Self {
        let channels = screen.channels().iter();
        let representations = config.representations.iter();
        let mut levels = config.levels.clone();
        levels.sort_unstable();
        let mut pixels = renamed_channels(screen);
        pixels.extend(pixel_history(screen));
        Self {
            schema_version: Self::SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            network_sha256: network.sha256.clone(),
            channels: channels.map(ToString::to_string).collect(),
            pixels,
            tiling: config.tiling,
            normalisation: config.normalisation.name().to_owned(),
            normalisation_sha256: config.normalisation.content_hash().map(str::to_owned),
            representations: representations.map(Representation::name).collect(),
            levels,
            precision: config.precision.to_string(),
            batch_size: config.batch_size,
            norm: config.norm,
            masks: config
                .masks
                .as_ref()
                .map(|masks| masks.pattern().to_owned()),
        }
    }

    pub(crate) fn sha256(&self) -> String {
        sha256_hex(&to_json(self))
    }

    /// `name: there / here` of every setting in which two differ.
    fn differences(&self, here: &Self) -> Vec<String> {
        let fields = |settings: &Self| match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(fields)) => fields,
            _ => unreachable!("settings are an object"),
        };
        let (there, here) = (fields(self), fields(here));
        there
            .iter()
            .filter(|(name, value)| here.get(*name) != Some(value))
            .map(|(name, value)| format!("{name}: {value} there, {} now", here[name]))
            .collect()
    }
}

/// A table of a plate, as its record lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRecord {
    /// What its rows are.
    pub level: Level,
    /// Name of the [`Representation`].
    pub representation: String,
    /// Below the folder.
    pub path: String,
    /// Length of the file in bytes.
    pub num_bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
}

/// What became of a plate: `plates/<plate>.json`, written after its tables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlateRecord {
    /// Imaging centre or data source, if the data set names one.
    pub source: Option<String>,
    /// The experiment.
    pub batch: String,
    /// The plate.
    pub plate: String,
    /// SHA-256 of all that its tables depend on: network, settings, sites,
    /// labels and images.
    pub content_sha256: String,
    /// Why there are no tables; empty if there are.
    pub failure: Option<String>,
    /// Why its tables could not be made anew when something had changed; they stand as
    /// they were.
    #[serde(default)]
    pub later_failure: Option<String>,
    /// Its tables.
    pub tables: Vec<TableRecord>,
    /// Sites of the screen on this plate.
    pub num_sites: usize,
    /// Tiles through the network.
    pub num_tiles: usize,
    /// Sites left out, each with the images to blame.
    pub skipped: Vec<String>,
    /// Sites with zeros in the place of missing channels.
    pub filled: Vec<String>,
    /// Sites whose mask has nothing inside, left out.
    pub outside: Vec<String>,
    /// Tiles per forward pass: of the settings, or fewer if the device had too
    /// little memory.
    pub batch_size: usize,
    /// Policy for sites that lack images.
    pub on_incomplete: String,
    /// Where it was computed.
    pub device: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Share of that time spent waiting for images.
    pub data_wait_share: f64,
}

impl PlateRecord {
    /// Why its tables are not there, or not those of now.
    pub fn why_not(&self) -> Option<String> {
        let later = self.later_failure.as_ref();
        let later = later.map(|why| format!("{why}\nits tables of before stand"));
        self.failure.clone().or(later)
    }

    /// The plate's key.
    pub fn key(&self) -> PlateKey {
        PlateKey {
            source: self.source.clone(),
            ..PlateKey::new(self.batch.clone(), self.plate.clone())
        }
    }
}

/// Embeddings of a screen, plate by plate, on disk.
///
/// ```text
/// settings.json                            what all tables have in common
/// wells/output/HUVEC-01/1.parquet          level / representation / batch / plate
/// wells/block-07/HUVEC-01/1.parquet
/// plates/HUVEC-01/1.json                   what became of the plate
/// manifest.json                            what became of the screen
/// ```
///
/// A data set that names its sources has a folder for each above the batches.
/// Every file appears whole or not at all, a plate's record last. Several
/// processes may fill one folder. It may lie in a bucket: tables are then written
/// on disk, in the system's folder of temporary files, plate by plate.
#[derive(Clone, Debug)]
pub struct EmbeddingFolder {
    place: Place,
    settings: EmbeddingSettings,
    is_new: bool,
}

const SETTINGS: &str = "settings.json";
const PLATES: &str = "plates";
const MANIFEST: &str = "manifest.json";

impl EmbeddingFolder {
    /// Begins a folder, or goes on with one that has the same settings; `root` is a
    /// path or the URL of a folder in a bucket.
    ///
    /// # Errors
    /// [`EmbedError::OtherSettings`] says what differs, e.g. the network's
    /// weights; [`EmbedError::Folder`] has the system's words.
    pub fn begin(root: &Path, settings: EmbeddingSettings) -> Result<Self, EmbedError> {
        let place = Place::open(root)?;
        if place.read(SETTINGS)?.is_none() && place.holds_something()? {
            return Err(EmbedError::NotEmpty {
                folder: root.to_owned(),
            });
        }
        let is_new = place.create(SETTINGS, &to_json(&settings))?;
        if !is_new {
            let there = Self::in_place(place.clone())?;
            let differences = there.settings.differences(&settings);
            if !differences.is_empty() {
                return Err(EmbedError::OtherSettings {
                    folder: root.to_owned(),
                    differences,
                });
            }
        }
        Ok(Self {
            place,
            settings,
            is_new,
        })
    }

    /// Takes back what [`EmbeddingFolder::begin`] wrote, if it began a folder and nobody
    /// has embedded into it since.
    ///
    /// # Errors
    /// The place cannot be asked or written.
    pub fn take_back(self) -> Result<(), EmbedError> {
        if self.is_new && self.records()?.is_empty() {
            self.place.remove(SETTINGS)?;
        }
        Ok(())
    }

    /// Opens what [`EmbeddingFolder::begin`] began.
    ///
    /// # Errors
    /// There is no such folder, or its settings cannot be read.
    pub fn open(root: &Path) -> Result<Self, EmbedError> {
        Self::in_place(Place::open(root)?)
    }

    fn in_place(place: Place) -> Result<Self, EmbedError> {
        match read_json(&place, SETTINGS)? {
            Some(settings) => Ok(Self {
                place,
                settings,
                is_new: false,
            }),
            None => Err(EmbedError::NoFolder {
                folder: place.location(),
            }),
        }
    }

    /// What all its tables have in common.
    pub fn settings(&self) -> &EmbeddingSettings {
        &self.settings
    }

    /// SHA-256 of the settings.
    pub fn settings_sha256(&self) -> String {
        self.settings.sha256()
    }

    /// Where it is.
    pub fn location(&self) -> PathBuf {
        self.place.location()
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The table of a plate, relative to the folder.
    pub fn table_path(&self, level: Level, representation: &str, plate: &PlateKey) -> String {
        let plate = path_of(plate);
        format!("{}/{representation}/{plate}.parquet", level.as_str())
    }

    /// What became of a plate; `None` if nothing yet, or if its record is damaged:
    /// then it is embedded anew.
    ///
    /// # Errors
    /// The place cannot be asked, which is no reason to do hours of work again.
    pub fn record(&self, plate: &PlateKey) -> Result<Option<PlateRecord>, EmbedError> {
        let text = self.place.read(&record_path(plate))?;
        Ok(text.and_then(|text| serde_json::from_slice(&text).ok()))
    }

    pub(crate) fn write_record(&self, record: &PlateRecord) -> Result<(), EmbedError> {
        self.place
            .write(&record_path(&record.key()), to_json(record))
    }

    /// A table of a plate, if it is as it was written.
    ///
    /// # Errors
    /// The record lists no such table, or the file is gone or another.
    pub fn read_table(
        &self,
        record: &PlateRecord,
        level: Level,
        representation: &str,
    ) -> Result<Profiles, EmbedError> {
        let mut tables = record.tables.iter();
        let found =
            tables.find(|table| table.level == level && table.representation == representation);
        let Some(table) = found else {
            return Err(EmbedError::NoTable {
                plate: record.key().to_string(),
                level,
                representation: representation.to_owned(),
            });
        };
        let path = self.place.file_location(&table.path);
        let Some(file) = self.place.on_disk(&table.path)? else {
            let missing = io::Error::from(io::ErrorKind::NotFound);
            return Err(EmbedError::folder(&path, missing));
        };
        let sha256 = sha256_of_file(&file).map_err(|error| EmbedError::folder(&path, error))?;
        if sha256 != table.sha256 {
            return Err(EmbedError::OtherTable { path });
        }
        let profiles = read_profiles(&file)?;
        self.place.forget(&file);
        Ok(profiles)
    }

    /// Removes a plate's tables, which say nothing any more.
    pub(crate) fn remove_tables(&self, plate: &PlateKey) -> Result<(), EmbedError> {
        for level in &self.settings.levels {
            for representation in &self.settings.representations {
                self.place
                    .remove(&self.table_path(*level, representation, plate))?;
            }
        }
        Ok(())
    }

    /// Whether a record's tables are there as they were written, by their length.
    pub(crate) fn has_tables(&self, record: &PlateRecord) -> Result<bool, EmbedError> {
        for table in &record.tables {
            if self.place.len(&table.path)? != Some(table.num_bytes) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// All records, sorted by plate.
    ///
    /// # Errors
    /// A record cannot be read.
    pub fn records(&self) -> Result<Vec<PlateRecord>, EmbedError> {
        let is_record = |path: &&String| {
            let name = path.rsplit('/').next().unwrap_or_default();
            name.ends_with(".json") && !name.starts_with('.')
        };
        let mut records: Vec<PlateRecord> = Vec::new();
        for path in self.place.files(PLATES)?.iter().filter(is_record) {
            records.extend(read_json::<PlateRecord>(&self.place, path)?);
        }
        records.sort_by_key(PlateRecord::key);
        Ok(records)
    }

    /// Removes what kills have left of files.
    pub(crate) fn remove_abandoned(&self) -> Result<(), EmbedError> {
        self.place.remove_abandoned()
    }

    /// What became of the screen; `None` before a process has come to its end, or
    /// if it cannot be read: the next process writes it anew.
    pub fn manifest(&self) -> Option<Manifest> {
        read_json(&self.place, MANIFEST).ok().flatten()
    }

    pub(crate) fn write_manifest(&self, manifest: &Manifest) -> Result<(), EmbedError> {
        self.place.write(MANIFEST, to_json(manifest))
    }
}

fn record_path(plate: &PlateKey) -> String {
    format!("{PLATES}/{}.json", path_of(plate))
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("records are JSON");
    json.push(b'\n');
    json
}

fn read_json<T: DeserializeOwned>(place: &Place, path: &str) -> Result<Option<T>, EmbedError> {
    let Some(text) = place.read(path)? else {
        return Ok(None);
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let hint = match path {
            SETTINGS => "hint: it is damaged; put back a copy of it, or embed into another folder",
            _ => "hint: it is damaged; delete it and run `embed` again",
        };
        let error = io::Error::other(format!("{error}\n{hint}"));
        EmbedError::folder(&place.file_location(path), error)
    })
}

/// `source/batch/plate`, in letters that every file system and bucket takes.
fn path_of(plate: &PlateKey) -> String {
    let source = plate.source.iter().map(String::as_str);
    let experiment = plate.experiment.to_string();
    let parts = source.chain([experiment.as_str(), plate.plate.as_str()]);
    parts.map(encoded).collect::<Vec<_>>().join("/")
}

/// A name with all but letters, digits, `-`, `_` and inner dots as `%` and two
/// hexadecimal digits for each byte: different names stay different.
fn encoded(name: &str) -> String {
    let mut encoded = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'_')
            || (byte == b'.' && index > 0);
        match is_plain {
            true => encoded.push(char::from(byte)),
            false => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    match encoded.is_empty() {
        true => "%".to_owned(),
        false => encoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_plates_leave_no_folder() {
        assert_eq!(path_of(&PlateKey::new("HUVEC-01", "1")), "HUVEC-01/1");
        assert_eq!(path_of(&PlateKey::new("..", "a/b c.d")), "%2E./a%2Fb%20c.d");
        let of_source = PlateKey {
            source: Some("source_4".to_owned()),
            ..PlateKey::new("Batch1", "µ")
        };
        assert_eq!(path_of(&of_source), "source_4/Batch1/%C2%B5");
    }
}
