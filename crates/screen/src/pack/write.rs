use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use morphospace_core::{PlateKey, Provenance, SiteKey, WellAddress, sha256_hex, write_atomically};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::attributes::{image_group, plate_group, row_group, well_group, well_path};
use super::config::{PackConfig, PackError};
use super::site_array::SiteArray;
use crate::error::ImageProblem;
use crate::plate_names::plate_names;
use crate::readers::OmeZarrScreen;
use crate::screen::{Plane, Screen};
use crate::site_list::site_key_text;
use crate::store::SharedStore;
use crate::{Manifest, ScreenError, write_manifest};

/// What marks a folder as a pack, and says of what.
pub(super) const PACK_FILE: &str = "pack.json";

/// What was packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PackReport {
    /// Number of plates.
    pub num_plates: usize,
    /// Sites that were packed now.
    pub num_packed: usize,
    /// Sites that were there from a run before.
    pub num_kept: usize,
    /// Images that are not in the pack because the screen lacks them, by
    /// name; those of [`PackReport::empty_sites`] are not among them.
    pub missing: Vec<String>,
    /// Images that cannot be decoded and were left out, by name.
    pub unreadable: Vec<String>,
    /// Sites without a single image, by name; they are not in the pack.
    pub empty_sites: Vec<String>,
    /// Bytes of the pack's image data.
    pub num_bytes: u64,
}

/// [`PACK_FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    schema_version: u32,
    screen: String,
    num_sites: usize,
    channels: Vec<String>,
    /// Of the keys of all sites.
    sites_sha256: String,
    /// What should be known before relying on the images:
    /// [`Screen::notes`].
    #[serde(default)]
    notes: Vec<String>,
}

/// The notes of the screen that was packed; none of plates that were written
/// by another program.
pub(crate) fn packed_notes(store: &SharedStore) -> Vec<String> {
    let bytes = store.read(PACK_FILE).unwrap_or_default();
    serde_json::from_slice(&bytes).map_or(Vec::new(), |contents: Contents| contents.notes)
}

/// One site after packing.
struct PackedSite {
    /// Whether each channel has an image.
    is_present: Vec<bool>,
    missing: Vec<String>,
    unreadable: Vec<String>,
    is_new: bool,
    num_bytes: u64,
}

/// Packs a screen into a folder, sites in parallel. Sites that are there
/// already are kept if their images have not changed since
/// ([`Screen::image_version`]), so that the same command goes on after a
/// kill; a site's folder appears whole or not at all. `on_site` is called
/// after each site.
///
/// # Errors
/// [`PackError`]: a setting, an image that cannot be decoded (missing ones
/// are noted as missing), a folder that holds another pack or cannot be
/// written.
///
/// ```no_run
/// use morphospace_screen::{PackConfig, open_screen, pack};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let report = pack(&*screen, "packed".as_ref(), &PackConfig::default(), &|| {})?;
/// println!("{} sites", report.num_packed);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn pack(
    screen: &dyn Screen,
    output: &Path,
    config: &PackConfig,
    on_site: &(dyn Fn() + Sync),
) -> Result<PackReport, PackError> {
    config.check()?;
    claim(screen, output)?;
    let plates = plate_folders(screen);
    let packed: Vec<Option<PackedSite>> = (0..screen.sites().len())
        .into_par_iter()
        .map(|site_index| {
            let folder = output.join(field_path(&screen.sites()[site_index].key, &plates));
            let packed = pack_site(screen, site_index, &folder, config)?;
            on_site();
            Ok(packed)
        })
        .collect::<Result<_, PackError>>()?;
    write_groups(screen, output, &plates, &packed)?;
    write_pack_manifest(screen, output, &plates, &packed)?;
    Ok(report(screen, plates.len(), &packed))
}

/// Refuses a folder that is not ours, and marks it.
fn claim(screen: &dyn Screen, output: &Path) -> Result<(), PackError> {
    let keys: Vec<String> = screen
        .sites()
        .iter()
        .map(|site| site_key_text(&site.key))
        .collect();
    let contents = Contents {
        schema_version: Provenance::SCHEMA_VERSION,
        screen: screen.name().to_owned(),
        num_sites: keys.len(),
        channels: screen.channels().iter().map(ToString::to_string).collect(),
        sites_sha256: sha256_hex(keys.join("\n").as_bytes()),
        notes: screen.notes().to_vec(),
    };
    let path = output.join(PACK_FILE);
    let other = |found: String| PackError::OtherPack {
        path: output.to_owned(),
        found,
    };
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice::<Contents>(&bytes) {
            Ok(found) if found == contents => return Ok(()),
            Ok(found) => {
                return Err(other(format!(
                    "'{}', {} sites, or of other sites, channels or corrections than these",
                    found.screen, found.num_sites
                )));
            }
            Err(error) => return Err(other(format!("an unknown kind ({error})"))),
        },
        Err(_) if fs::read_dir(output).is_ok_and(|mut entries| entries.next().is_some()) => {
            return Err(other("something else".to_owned()));
        }
        Err(_) => {}
    }
    fs::create_dir_all(output).map_err(|error| cannot_write(output, &error))?;
    let json = serde_json::to_value(&contents).map_err(|error| cannot_write(&path, &error))?;
    write_json(&path, &json)
}

/// A folder for each plate.
fn plate_folders(screen: &dyn Screen) -> HashMap<PlateKey, String> {
    plate_names(screen.sites().iter().map(|site| &site.key.plate))
        .into_iter()
        .map(|(key, name)| (key.clone(), format!("{name}.zarr")))
        .collect()
}

/// Name of a site's folder in its well: `1`, or `1z0t2` in a stack.
fn field_name(key: &SiteKey) -> String {
    let mut name = key.site.to_string();
    for (letter, index) in [('z', key.z_index), ('t', key.time_index)] {
        if let Some(index) = index {
            name.push_str(&format!("{letter}{index}"));
        }
    }
    name
}

fn field_path(key: &SiteKey, plates: &HashMap<PlateKey, String>) -> String {
    let plate = &plates[&key.plate];
    format!("{plate}/{}/{}", well_path(key.well), field_name(key))
}

fn pack_site(
    screen: &dyn Screen,
    site_index: usize,
    folder: &Path,
    config: &PackConfig,
) -> Result<Option<PackedSite>, PackError> {
    let source = Source::of(screen, site_index);
    if let Some(num_bytes) = kept(folder, &source, config) {
        return Ok(Some(PackedSite {
            missing: source.missing(screen, site_index),
            is_present: source.is_present,
            unreadable: Vec::new(),
            is_new: false,
            num_bytes,
        }));
    }
    let (planes, unreadable) = read_planes(screen, site_index, config)?;
    let is_present = planes.iter().map(Option::is_some).collect();
    let Some(array) = SiteArray::new(planes) else {
        return Ok(None);
    };
    let partial = folder.with_file_name(format!(
        ".{}.partial",
        folder.file_name().unwrap_or_default().to_string_lossy()
    ));
    remove(&partial)?;
    fs::create_dir_all(&partial).map_err(|error| cannot_write(&partial, &error))?;
    array
        .write(&partial, config)
        .map_err(|message| cannot_write(&partial, &message))?;
    let mut origin = array.origin(config);
    origin["source_sha256"] = source.sha256.clone().into();
    origin["num_bytes"] = data_len(&partial).into();
    let group = image_group(screen.channels(), &array.largest(), origin);
    write_json(&partial.join("zarr.json"), &group)?;
    remove(folder)?;
    fs::rename(&partial, folder).map_err(|error| cannot_write(folder, &error))?;
    Ok(Some(PackedSite {
        missing: source.missing(screen, site_index),
        is_present,
        unreadable,
        is_new: true,
        num_bytes: data_len(folder),
    }))
}

/// The images that a site is packed from.
struct Source {
    is_present: Vec<bool>,
    /// Of their places and [`Screen::image_version`]s: files that were copied
    /// together, and are of one length, may have one version.
    sha256: String,
}

impl Source {
    fn of(screen: &dyn Screen, site_index: usize) -> Self {
        let channels = 0..screen.channels().len();
        let places: Vec<Option<String>> = channels
            .clone()
            .map(|channel| screen.plane_location(site_index, channel))
            .collect();
        let versions: Vec<Option<String>> = channels
            .map(|channel| screen.image_version(site_index, channel))
            .collect();
        Self {
            is_present: versions.iter().map(Option::is_some).collect(),
            sha256: sha256_hex(format!("{places:?} {versions:?}").as_bytes()),
        }
    }

    fn missing(&self, screen: &dyn Screen, site_index: usize) -> Vec<String> {
        let absent = (0..self.is_present.len()).filter(|&channel| !self.is_present[channel]);
        let error = |channel| screen.image_error(site_index, channel, ImageProblem::Missing);
        absent.map(|channel| error(channel).to_string()).collect()
    }
}

/// The bytes of a site that a run before packed with the same settings from
/// images that have not changed since, and that is still whole.
fn kept(folder: &Path, source: &Source, config: &PackConfig) -> Option<u64> {
    let bytes = fs::read(folder.join("zarr.json")).ok()?;
    let group: Value = serde_json::from_slice(&bytes).ok()?;
    let origin = &group["attributes"]["morphospace"];
    let sums = origin["pixels_sha256"].as_array()?;
    let holds: Vec<bool> = sums
        .iter()
        .map(|sum| sum.as_str().is_some_and(|sum| !sum.is_empty()))
        .collect();
    let num_bytes = data_len(folder);
    let is_same = holds == source.is_present
        && origin["source_sha256"] == source.sha256
        && origin["num_bytes"] == num_bytes
        && origin["chunk_px"] == config.chunk_px
        && origin["compression_level"] == config.compression_level;
    is_same.then_some(num_bytes)
}

type PlanesAndProblems = (Vec<Option<Plane>>, Vec<String>);

fn read_planes(
    screen: &dyn Screen,
    site_index: usize,
    config: &PackConfig,
) -> Result<PlanesAndProblems, PackError> {
    let channels = 0..screen.channels().len();
    let read: Vec<Result<Plane, ScreenError>> = channels
        .map(|channel| screen.read_plane(site_index, channel))
        .collect();
    let usual = usual_image(&read);
    let mut planes: Vec<Option<Plane>> = Vec::new();
    let mut unreadable = Vec::new();
    for (channel, read) in read.into_iter().enumerate() {
        let checked = read.and_then(|plane| match usual {
            Some((other, size)) if size != (plane.width, plane.height) => {
                let problem = ImageProblem::WrongSize {
                    size: (plane.width, plane.height),
                    other_channel: screen.channels()[other].clone(),
                    other_size: size,
                };
                Err(screen.image_error(site_index, channel, problem))
            }
            _ => Ok(plane),
        });
        match checked {
            Ok(plane) => planes.push(Some(plane)),
            Err(ScreenError::Image(image)) if image.problem.is_missing() => planes.push(None),
            Err(error) if config.skip_unreadable => {
                unreadable.push(error.to_string());
                planes.push(None);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((planes, unreadable))
}

/// The first channel of the size that most of a site's images have, and that
/// size; the earlier one's where two are as frequent.
fn usual_image(images: &[Result<Plane, ScreenError>]) -> Option<(usize, (usize, usize))> {
    let sizes: Vec<(usize, (usize, usize))> = images
        .iter()
        .enumerate()
        .filter_map(|(index, image)| {
            let image = image.as_ref().ok()?;
            Some((index, (image.width, image.height)))
        })
        .collect();
    let frequency = |size: (usize, usize)| sizes.iter().filter(|(_, s)| *s == size).count();
    let most = sizes.iter().map(|&(_, size)| frequency(size)).max()?;
    sizes
        .iter()
        .copied()
        .find(|&(_, size)| frequency(size) == most)
}

/// The groups above the fields: plates, rows and wells.
fn write_groups(
    screen: &dyn Screen,
    output: &Path,
    plates: &HashMap<PlateKey, String>,
    packed: &[Option<PackedSite>],
) -> Result<(), PackError> {
    let mut fields: BTreeMap<&PlateKey, BTreeMap<WellAddress, BTreeSet<String>>> = BTreeMap::new();
    for (site, _) in screen
        .sites()
        .iter()
        .zip(packed)
        .filter(|(_, packed)| packed.is_some())
    {
        let wells = fields.entry(&site.key.plate).or_default();
        wells
            .entry(site.key.well)
            .or_default()
            .insert(field_name(&site.key));
    }
    for (plate, wells) in fields {
        let name = &plates[plate];
        let folder = output.join(name);
        for (&well, fields) in &wells {
            let row = folder.join(well.row_name());
            write_json(&row.join("zarr.json"), &row_group())?;
            write_json(
                &folder.join(well_path(well)).join("zarr.json"),
                &well_group(fields),
            )?;
        }
        let field_count = wells.values().map(BTreeSet::len).max().unwrap_or(0);
        let addresses = wells.keys().copied().collect();
        let group = plate_group(&plate.to_string(), &addresses, field_count);
        write_json(&folder.join("zarr.json"), &group)?;
    }
    Ok(())
}

fn write_pack_manifest(
    screen: &dyn Screen,
    output: &Path,
    plates: &HashMap<PlateKey, String>,
    packed: &[Option<PackedSite>],
) -> Result<(), PackError> {
    let mut manifest = Manifest {
        channels: screen.channels().to_vec(),
        sites: Vec::new(),
        paths: Vec::new(),
        quality: None,
        provenance: Some(screen.provenance("pack")),
    };
    for (site, packed) in screen.sites().iter().zip(packed) {
        if let Some(packed) = packed {
            let path = format!("{}/0", field_path(&site.key, plates));
            let listed = packed.is_present.iter();
            manifest.sites.push(site.clone());
            manifest.paths.push(
                listed
                    .map(|&is_there| is_there.then(|| path.clone()))
                    .collect(),
            );
        }
    }
    Ok(write_manifest(
        &output.join(OmeZarrScreen::MANIFEST_FILE),
        &manifest,
    )?)
}

fn report(screen: &dyn Screen, num_plates: usize, packed: &[Option<PackedSite>]) -> PackReport {
    let mut report = PackReport {
        num_plates,
        num_packed: 0,
        num_kept: 0,
        missing: Vec::new(),
        unreadable: Vec::new(),
        empty_sites: Vec::new(),
        num_bytes: 0,
    };
    for (site, packed) in screen.sites().iter().zip(packed) {
        match packed {
            None => report.empty_sites.push(site.key.to_string()),
            Some(packed) => {
                report.num_packed += usize::from(packed.is_new);
                report.num_kept += usize::from(!packed.is_new);
                report.missing.extend(packed.missing.iter().cloned());
                report.unreadable.extend(packed.unreadable.iter().cloned());
                report.num_bytes += packed.num_bytes;
            }
        }
    }
    report
}

/// Bytes of a site's only shard.
fn data_len(folder: &Path) -> u64 {
    fs::metadata(folder.join("0/c/0/0/0")).map_or(0, |metadata| metadata.len())
}

fn remove(folder: &Path) -> Result<(), PackError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(cannot_write(folder, &error))
        }
        _ => Ok(()),
    }
}

fn write_json(path: &Path, value: &Value) -> Result<(), PackError> {
    let mut text = format!("{value:#}");
    text.push('\n');
    // An unchanged file keeps its time.
    if fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    write_atomically(path, |file| {
        std::io::Write::write_all(file, text.as_bytes())
    })
    .map_err(|error: std::io::Error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &dyn std::fmt::Display) -> PackError {
    PackError::CannotWrite {
        path: PathBuf::from(path),
        message: error.to_string(),
    }
}
