use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use morphospace_core::{
    Channel, ControlRole, Experiment, PlateKey, Site, SiteKey, Stain, Well, WellAddress, excerpt,
};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use super::zarr_array::{ZarrArray, damaged};
use crate::decode::{DecodeError, MAX_NUM_PIXELS};
use crate::error::ImageProblem;
use crate::manifest::read_manifest_in;
use crate::pack::packed_notes;
use crate::screen::{Plane, Screen};
use crate::site_list::{Wells, name_of, sorted_unique};
use crate::store::{SharedStore, joined, open_store};
use crate::tiling::Tile;
use crate::{Manifest, ScreenError};

/// Chunks of a plane that are asked for before it counts as missing.
const MAX_NUM_CHUNKS: usize = 4_096;

/// Arrays whose description is kept; opening one reads a small file.
const MAX_OPEN_ARRAYS: usize = 4_096;

/// A screen in OME-Zarr's layout for plates, versions 0.4 (Zarr v2) and 0.5
/// (Zarr v3).
///
/// # Layout
/// One `{plate}.zarr` per plate in a folder, or a single plate;
/// `{row}/{column}/{field}/{level}` in it, of which level 0, the full
/// resolution, is read. Channels are named by `omero.channels`. Fields of a
/// well are sites 1, 2, …; planes along `z` and `t` become sites of their own.
///
/// What was done to the wells is not part of OME-Zarr. A `manifest.parquet`
/// beside the plates, as [`pack`](crate::pack) writes it, tells; without one
/// every well is a treatment with an unknown label.
///
/// Source: <https://ngff.openmicroscopy.org/0.5/>, "High-content screening".
#[derive(Debug)]
pub struct OmeZarrScreen {
    name: String,
    store: SharedStore,
    channels: Vec<Channel>,
    sites: Vec<Site>,
    images: Vec<PlanePlace>,
    /// For each site whether its channels are there, where a manifest says.
    is_listed: Option<Vec<Vec<bool>>>,
    notes: Vec<String>,
    arrays: OpenArrays,
}

/// Where the planes of a site lie.
#[derive(Clone, Debug)]
struct PlanePlace {
    /// The array of level 0.
    path: String,
    axes: Axes,
    time: u64,
    z: u64,
}

/// The position of each axis of an image's arrays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Axes {
    t: Option<usize>,
    c: Option<usize>,
    z: Option<usize>,
    y: usize,
    x: usize,
}

#[derive(Default)]
struct OpenArrays(Mutex<HashMap<String, Arc<ZarrArray>>>);

impl fmt::Debug for OpenArrays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenArrays")
    }
}

#[derive(Deserialize)]
struct PlateAttributes {
    rows: Vec<Named>,
    columns: Vec<Named>,
    wells: Vec<WellPlace>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WellPlace {
    path: String,
    row_index: Option<usize>,
    column_index: Option<usize>,
}

#[derive(Deserialize)]
struct WellAttributes {
    images: Vec<FieldPlace>,
}

#[derive(Deserialize)]
struct FieldPlace {
    path: String,
}

#[derive(Deserialize)]
struct Multiscale {
    axes: Vec<Named>,
    datasets: Vec<FieldPlace>,
}

/// An image of a well, as its attributes describe it.
struct Field {
    plate: PlateKey,
    well: WellAddress,
    site: u32,
    place: PlanePlace,
    num_times: u64,
    num_z: u64,
    labels: Vec<String>,
    /// Why the labels are not those of the attributes.
    note: Option<String>,
    group: String,
}

impl OmeZarrScreen {
    /// The manifest that may lie beside the plates.
    pub(crate) const MANIFEST_FILE: &'static str = "manifest.parquet";

    /// Reads the attributes of plates, wells and images; no pixel is read.
    ///
    /// # Errors
    /// [`ScreenError`] names the file and what is missing or not understood
    /// in it.
    pub fn open(root: &Path) -> Result<Self, ScreenError> {
        let store = open_store(root)
            .map_err(|error| ScreenError::cannot_read(root.display().to_string(), &error))?;
        Self::open_in(store)
    }

    /// [`OmeZarrScreen::open`] for files in an archive or a bucket.
    ///
    /// # Errors
    /// As [`OmeZarrScreen::open`].
    pub fn open_in(store: SharedStore) -> Result<Self, ScreenError> {
        if store.is_present(Self::MANIFEST_FILE) {
            let manifest = read_manifest_in(&store, Self::MANIFEST_FILE)?;
            return Self::from_manifest(store, manifest);
        }
        let mut fields = Vec::new();
        for plate in plates(&store)? {
            fields.extend(fields_of(&store, &plate)?);
        }
        if fields.is_empty() {
            return Err(ScreenError::EmptyScreen {
                name: store.location(),
                reason: "no plate lists a well with images".to_owned(),
            });
        }
        Self::from_fields(store, fields)
    }

    /// Whether a place is a plate or holds one.
    pub(super) fn recognises(store: &SharedStore) -> bool {
        match plates(store) {
            Ok(plates) => !plates.is_empty(),
            // Opening it says which file is damaged.
            Err(error) => matches!(error, ScreenError::InvalidTable { .. }),
        }
    }

    /// The group of a site's image: where its attributes stand.
    pub(crate) fn image_group(&self, site_index: usize) -> &str {
        let path = &self.images[site_index].path;
        path.rsplit_once('/').map_or("", |(group, _)| group)
    }

    fn from_fields(store: SharedStore, mut fields: Vec<Field>) -> Result<Self, ScreenError> {
        let sites = fields.iter().map(|field| {
            let site = SiteKey::new(field.plate.clone(), field.well, field.site);
            (&*field.place.path, site)
        });
        check_unshared(&store, sites)?;
        let labels = fields[0].labels.clone();
        let notes = fields[0].note.take().into_iter().collect();
        let mut wells = Wells::default();
        let mut items = Vec::new();
        for field in fields {
            if field.labels != labels {
                return Err(ScreenError::InvalidTable {
                    table: store.file_location(&field.group),
                    message: format!(
                        "its channels are {}, those of the first image {}\nhint: plates of one \
                         screen have the same channels; open them one by one",
                        field.labels.join(", "),
                        labels.join(", ")
                    ),
                });
            }
            let described = Well {
                plate: field.plate.clone(),
                address: field.well,
                original_address: field.well.to_string(),
                perturbations: Vec::new(),
                background: None,
                control_role: ControlRole::Treatment,
                cell_type: None,
            };
            let well = wells.share(described, 0, |_| field.group.clone())?;
            for time in 0..field.num_times {
                for z in 0..field.num_z {
                    let mut key = SiteKey::new(field.plate.clone(), field.well, field.site);
                    key.time_index = (field.num_times > 1).then_some(time as u32);
                    key.z_index = (field.num_z > 1).then_some(z as u32);
                    let site = Site {
                        key,
                        well: Arc::clone(&well),
                    };
                    let place = PlanePlace {
                        time,
                        z,
                        ..field.place.clone()
                    };
                    items.push((site, place));
                }
            }
        }
        let (sites, images) = sorted_unique(items, |_, place| store.file_location(&place.path))?;
        let channel = |label: &String| Channel::new(label.clone(), Stain::from(label.clone()));
        Ok(Self {
            name: name_of(&store.location()),
            store,
            channels: labels.iter().map(channel).collect(),
            sites,
            images,
            is_listed: None,
            notes,
            arrays: OpenArrays::default(),
        })
    }

    /// A packed screen: its manifest names the image of each site.
    fn from_manifest(store: SharedStore, manifest: Manifest) -> Result<Self, ScreenError> {
        let table = store.file_location(Self::MANIFEST_FILE);
        let image = |paths: &Vec<Option<String>>, site: &Site| {
            let path = paths.iter().flatten().next();
            let path = path.ok_or_else(|| ScreenError::InvalidTable {
                table: table.clone(),
                message: format!("{} has no image at all", site.key),
            })?;
            Ok(PlanePlace {
                path: path.clone(),
                // As `pack` writes them.
                axes: Axes {
                    t: None,
                    c: Some(0),
                    z: None,
                    y: 1,
                    x: 2,
                },
                time: 0,
                z: 0,
            })
        };
        let images = manifest
            .paths
            .iter()
            .zip(&manifest.sites)
            .map(|(paths, site)| image(paths, site))
            .collect::<Result<Vec<_>, ScreenError>>()?;
        let keys = manifest.sites.iter().map(|site| site.key.clone());
        check_unshared(&store, images.iter().map(|image| &*image.path).zip(keys))?;
        let listed = |paths: &Vec<Option<String>>| paths.iter().map(Option::is_some).collect();
        let notes = packed_notes(&store);
        Ok(Self {
            name: name_of(&store.location()),
            is_listed: Some(manifest.paths.iter().map(listed).collect()),
            store,
            channels: manifest.channels,
            sites: manifest.sites,
            images,
            notes,
            arrays: OpenArrays::default(),
        })
    }

    fn array(&self, path: &str) -> Result<Arc<ZarrArray>, ImageProblem> {
        let lock = || self.arrays.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(array) = lock().get(path) {
            return Ok(Arc::clone(array));
        }
        let array = Arc::new(ZarrArray::open(&self.store, path)?);
        let mut arrays = lock();
        if arrays.len() >= MAX_OPEN_ARRAYS {
            arrays.clear();
        }
        arrays.insert(path.to_owned(), Arc::clone(&array));
        Ok(array)
    }

    /// Reads part of a plane, or all of it.
    fn read(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Option<Tile>,
    ) -> Result<Plane, ImageProblem> {
        let place = &self.images[site_index];
        if let Some(listed) = &self.is_listed
            && !listed[site_index][channel_index]
        {
            return Err(ImageProblem::NotListed);
        }
        let array = self.array(&place.path)?;
        let (width, height) = size(&array, place.axes)?;
        let (rows, columns) = match region {
            None => (0..height as u64, 0..width as u64),
            Some(tile) => {
                let (top, left, side) = (tile.top as u64, tile.left as u64, tile.crop_px as u64);
                (top..top + side, left..left + side)
            }
        };
        if rows.end > height as u64 || columns.end > width as u64 {
            return Err(ImageProblem::Undecodable(damaged(format!(
                "the image is {width} x {height} pixels, the region ends at {} x {}",
                columns.end, rows.end
            ))));
        }
        let (num_axes, channel) = (array.shape().len(), channel_index as u64);
        let ranges = place.ranges(num_axes, channel, rows, columns);
        let whole = place.plane_of(&array, channel_index)?;
        if !self.has_chunk(&array, &ranges)? && !self.has_chunk(&array, &whole)? {
            return Err(ImageProblem::Missing);
        }
        let (width, height) = region.map_or((width, height), |t| (t.crop_px, t.crop_px));
        let pixels = array.read(&ranges).map_err(ImageProblem::Undecodable)?;
        Ok(Plane {
            width,
            height,
            pixels,
        })
    }

    /// Whether there is something to read of a plane, readable or not.
    fn has_plane(&self, place: &PlanePlace, channel_index: usize) -> bool {
        let has_chunk = self.array(&place.path).and_then(|array| {
            let ranges = place.plane_of(&array, channel_index)?;
            self.has_chunk(&array, &ranges)
        });
        has_chunk.unwrap_or_else(|problem| !problem.is_missing())
    }

    /// Whether any chunk of a plane is stored: Zarr leaves out chunks that
    /// hold nothing, and reads lost ones as such.
    fn has_chunk(&self, array: &ZarrArray, ranges: &[Range<u64>]) -> Result<bool, ImageProblem> {
        for file in array.files_of(ranges)?.take(MAX_NUM_CHUNKS) {
            if self.store.len(&file)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl PlanePlace {
    /// All of a channel's plane.
    fn plane_of(
        &self,
        array: &ZarrArray,
        channel_index: usize,
    ) -> Result<Vec<Range<u64>>, ImageProblem> {
        let (width, height) = size(array, self.axes)?;
        let (rows, columns) = (0..height as u64, 0..width as u64);
        Ok(self.ranges(array.shape().len(), channel_index as u64, rows, columns))
    }

    fn ranges(
        &self,
        num_axes: usize,
        channel: u64,
        rows: Range<u64>,
        columns: Range<u64>,
    ) -> Vec<Range<u64>> {
        let mut ranges = vec![0..1; num_axes];
        let mut set = |axis: Option<usize>, index: u64| {
            if let Some(axis) = axis {
                ranges[axis] = index..index + 1;
            }
        };
        set(self.axes.t, self.time);
        set(self.axes.z, self.z);
        set(self.axes.c, channel);
        ranges[self.axes.y] = rows;
        ranges[self.axes.x] = columns;
        ranges
    }
}

impl Screen for OmeZarrScreen {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        if let Some(listed) = &self.is_listed
            && !listed[site_index][channel_index]
        {
            return None;
        }
        let place = &self.images[site_index];
        let array = self.store.file_location(&place.path);
        // All planes of an image are in one array.
        let mut plane = format!("c{channel_index}");
        if place.axes.z.is_some() {
            plane = format!("z{}{plane}", place.z);
        }
        if place.axes.t.is_some() {
            plane = format!("t{}{plane}", place.time);
        }
        Some(format!("{array}#{plane}"))
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        let place = &self.images[site_index];
        let is_listed = self
            .is_listed
            .as_ref()
            .is_none_or(|listed| listed[site_index][channel_index]);
        is_listed && self.has_plane(place, channel_index)
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let place = &self.images[site_index];
        let is_listed = self.is_listed.as_ref();
        if is_listed.is_some_and(|listed| !listed[site_index][channel_index]) {
            return None;
        }
        let versions = self.array(&place.path).and_then(|array| {
            let ranges = place.plane_of(&array, channel_index)?;
            let files = array.files_of(&ranges)?.take(MAX_NUM_CHUNKS);
            let versions = files.filter_map(|file| self.store.version(&file).ok()?);
            Ok(versions.collect::<Vec<String>>().join(","))
        });
        let version = match versions {
            Ok(versions) if versions.is_empty() => return None,
            Ok(versions) => versions,
            Err(problem) if problem.is_missing() => return None,
            // There is something, which cannot be read as it is now.
            Err(problem) => problem.to_string(),
        };
        let plane = format!("{}.{}.{channel_index}", place.time, place.z);
        Some(format!("{version}#{plane}"))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        self.read(site_index, channel_index, None)
            .map_err(|problem| self.image_error(site_index, channel_index, problem))
    }

    fn image_size(&self, site_index: usize) -> Result<Option<(usize, usize)>, ScreenError> {
        let place = &self.images[site_index];
        self.array(&place.path)
            .and_then(|array| size(&array, place.axes))
            .map(Some)
            .map_err(|problem| self.image_error(site_index, 0, problem))
    }

    fn read_region(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Tile,
    ) -> Result<Plane, ScreenError> {
        self.read(site_index, channel_index, Some(region))
            .map_err(|problem| self.image_error(site_index, channel_index, problem))
    }
}

/// Refuses an array that is the image of two sites.
fn check_unshared<'a>(
    store: &SharedStore,
    images: impl Iterator<Item = (&'a str, SiteKey)>,
) -> Result<(), ScreenError> {
    let mut sites = HashMap::new();
    for (path, site) in images {
        if let Some(first) = sites.insert(path, site.clone()) {
            return Err(ScreenError::SharedImage {
                file: store.file_location(path),
                first: first.to_string(),
                second: site.to_string(),
            });
        }
    }
    Ok(())
}

/// Width and height of an image.
fn size(array: &ZarrArray, axes: Axes) -> Result<(usize, usize), ImageProblem> {
    let side = |axis: usize| array.shape().get(axis).copied().unwrap_or(0) as usize;
    let (width, height) = (side(axes.x), side(axes.y));
    if width == 0 || height == 0 || width.saturating_mul(height) > MAX_NUM_PIXELS {
        return Err(ImageProblem::Undecodable(DecodeError::TooLarge {
            width,
            height,
        }));
    }
    Ok((width, height))
}

/// The `ome` attributes of a group: in `zarr.json` (0.5) or `.zattrs` (0.4).
fn attributes(store: &SharedStore, group: &str) -> Result<Option<Value>, ScreenError> {
    for (file, steps) in [("zarr.json", &["attributes", "ome"][..]), (".zattrs", &[])] {
        let path = joined(group, file);
        if !store.is_present(&path) {
            continue;
        }
        let name = store.file_location(&path);
        let bytes = store
            .read(&path)
            .map_err(|error| ScreenError::cannot_read(name.clone(), &error))?;
        let mut value: Value =
            serde_json::from_slice(&bytes).map_err(|error| ScreenError::InvalidTable {
                table: name,
                message: error.to_string(),
            })?;
        for &step in steps {
            value = value.get_mut(step).map(Value::take).unwrap_or_default();
        }
        return Ok(Some(value));
    }
    Ok(None)
}

/// Part of a group's attributes that must be there.
fn attribute<T: for<'a> Deserialize<'a>>(
    store: &SharedStore,
    group: &str,
    key: &str,
) -> Result<T, ScreenError> {
    let invalid = |message: String| ScreenError::InvalidTable {
        table: store.file_location(group),
        message,
    };
    let mut attributes = attributes(store, group)?
        .ok_or_else(|| invalid("it has neither 'zarr.json' nor '.zattrs'".to_owned()))?;
    let value = attributes.get_mut(key).map(Value::take).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| invalid(format!("attribute '{key}': {error}")))
}

/// Groups of a place that are plates: itself or its folders.
fn plates(store: &SharedStore) -> Result<Vec<String>, ScreenError> {
    let is_plate = |group: &str| -> Result<bool, ScreenError> {
        let found = attributes(store, group)?;
        Ok(found.is_some_and(|value| value.get("plate").is_some()))
    };
    if is_plate("")? {
        return Ok(vec![String::new()]);
    }
    let entries = store
        .entries("")
        .map_err(|error| ScreenError::cannot_read(store.location(), &error))?;
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_folder && entry.name.ends_with(".zarr") && is_plate(&entry.name)? {
            found.push(entry.name);
        }
    }
    Ok(found)
}

fn fields_of(store: &SharedStore, group: &str) -> Result<Vec<Field>, ScreenError> {
    let plate: PlateAttributes = attribute(store, group, "plate")?;
    let location = store.file_location(group);
    let name = name_of(&location);
    let name = name.trim_end_matches(".zarr").trim_end_matches(".ome");
    let key = PlateKey {
        source: None,
        experiment: Experiment::new(match group {
            "" => name.to_owned(),
            _ => name_of(&store.location()),
        }),
        plate: name.to_owned(),
    };
    let fields: Result<Vec<Vec<Field>>, ScreenError> = plate
        .wells
        .par_iter()
        .map(|well| {
            let address =
                well_address(&plate, well).map_err(|source| ScreenError::UnknownWell {
                    place: format!("plate '{location}'"),
                    source,
                })?;
            let by_path: Option<WellAddress> = well.path.replace('/', "").parse().ok();
            if by_path.is_some_and(|by_path| by_path != address) {
                return Err(ScreenError::InvalidTable {
                    table: location.clone(),
                    message: format!(
                        "attribute 'plate': the well at '{}' is of row and column {address}\nhint: \
                         keep the one that is right",
                        excerpt(&well.path)
                    ),
                });
            }
            let well_group = joined(group, &well.path);
            let images: WellAttributes = attribute(store, &well_group, "well")?;
            let of_image = |(index, image): (usize, &FieldPlace)| {
                let group = joined(&well_group, &image.path);
                field(store, group, &key, address, index as u32 + 1)
            };
            images.images.iter().enumerate().map(of_image).collect()
        })
        .collect();
    Ok(fields?.into_iter().flatten().collect())
}

fn well_address(
    plate: &PlateAttributes,
    well: &WellPlace,
) -> Result<WellAddress, morphospace_core::InvalidWellAddress> {
    let name = |list: &[Named], index: Option<usize>| {
        index.and_then(|index| Some(list.get(index)?.name.clone()))
    };
    let row = name(&plate.rows, well.row_index);
    let column = name(&plate.columns, well.column_index);
    match (row, column) {
        (Some(row), Some(column)) => format!("{row}{column}").parse(),
        // Version 0.1 had the path only.
        _ => well.path.replace('/', "").parse(),
    }
}

fn field(
    store: &SharedStore,
    group: String,
    plate: &PlateKey,
    well: WellAddress,
    site: u32,
) -> Result<Field, ScreenError> {
    let invalid = |message: String| ScreenError::InvalidTable {
        table: store.file_location(&group),
        message,
    };
    let multiscales: Vec<Multiscale> = attribute(store, &group, "multiscales")?;
    let first = multiscales.first();
    let (first, level) = first
        .and_then(|first| Some((first, first.datasets.first()?)))
        .ok_or_else(|| invalid("attribute 'multiscales' has no dataset".to_owned()))?;
    let position = |axis: &str| first.axes.iter().position(|found| found.name == axis);
    let axes = Axes {
        t: position("t"),
        c: position("c"),
        z: position("z"),
        y: position("y").ok_or_else(|| invalid("it has no axis 'y'".to_owned()))?,
        x: position("x").ok_or_else(|| invalid("it has no axis 'x'".to_owned()))?,
    };
    if axes.x < axes.y {
        return Err(invalid(
            "its axis 'x' comes before 'y', which is not read\nhint: write it with the axes in \
             the order t, c, z, y, x"
                .to_owned(),
        ));
    }
    let path = joined(&group, &level.path);
    let shape = match ZarrArray::open(store, &path) {
        Ok(array) if array.shape().len() == first.axes.len() => array.shape().to_vec(),
        Ok(array) => {
            return Err(invalid(format!(
                "its array has {} axes, 'multiscales' names {}",
                array.shape().len(),
                first.axes.len()
            )));
        }
        Err(problem) => return Err(invalid(format!("array '{}': {problem}", level.path))),
    };
    let count = |axis: Option<usize>| axis.map_or(1, |axis| shape[axis]);
    let planes = count(axes.t)
        .saturating_mul(count(axes.z))
        .saturating_mul(count(axes.c));
    if planes == 0 || planes > u64::from(u16::MAX) {
        return Err(invalid(format!(
            "its array of shape {shape:?} has {planes} planes\nhint: an image has 1 to 65,535 \
             planes (times x channels x z)"
        )));
    }
    let (labels, note) = labels(store, &group, count(axes.c))?;
    Ok(Field {
        plate: plate.clone(),
        well,
        site,
        place: PlanePlace {
            path,
            axes,
            time: 0,
            z: 0,
        },
        num_times: count(axes.t),
        num_z: count(axes.z),
        labels,
        note,
        group,
    })
}

/// Names of an image's channels; `c0`, `c1`, … where there are none, and with
/// a note where those that there are do not tell the channels apart.
fn labels(
    store: &SharedStore,
    group: &str,
    count: u64,
) -> Result<(Vec<String>, Option<String>), ScreenError> {
    let attributes = attributes(store, group)?.unwrap_or_default();
    let named: Vec<&str> = attributes["omero"]["channels"]
        .as_array()
        .map(|channels| {
            channels
                .iter()
                .filter_map(|c| c["label"].as_str())
                .collect()
        })
        .unwrap_or_default();
    let distinct: HashSet<&str> = named.iter().copied().filter(|n| !n.is_empty()).collect();
    if distinct.len() as u64 == count && named.len() as u64 == count {
        return Ok((named.into_iter().map(str::to_owned).collect(), None));
    }
    let note = (!named.is_empty()).then(|| {
        format!(
            "'{}' has {count} channels and labels them '{}': they are named c0, c1, ... here",
            store.file_location(group),
            excerpt(&named.join("', '"))
        )
    });
    let numbered = (0..count).map(|index| format!("c{index}"));
    Ok((numbered.collect(), note))
}
