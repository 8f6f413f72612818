use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::path::Path;
use std::sync::Arc;

use morphospace_core::{
    Channel, ControlRole, Experiment, Perturbation, PlateKey, Site, SiteKey, Well, WellAddress,
};
use regex::{Captures, Regex};

use crate::ScreenError;
use crate::decode::{read_image, read_image_plane};
use crate::error::ImageProblem;
use crate::readers::found_site::{FoundSite, NamedImage, SitesOfFiles};
use crate::readers::screen_description::{
    Annotation, ChannelDescription, ControlRoleColumn, FileNamePattern, Index, PerturbationColumns,
    PerturbationKind, ScreenDescription,
};
use crate::screen::{Plane, Screen};
use crate::site_list::{Wells, name_of, sorted_unique};
use crate::store::{FolderStore, LinkedStore, SharedStore, is_url};
use crate::table::{ColumnIndex, Table};

/// A screen whose images are listed by a table or by their names, as a
/// [`ScreenDescription`] says. `stack.tif#2` is plane 2 of a file that holds
/// several images, counted from 0.
///
/// ```no_run
/// use morphospace_screen::{IndexScreen, Screen, ScreenDescription};
///
/// let description = ScreenDescription::read("screen.toml".as_ref())?;
/// let screen = IndexScreen::open("plates".as_ref(), &description)?;
/// println!("{} sites", screen.sites().len());
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
pub struct IndexScreen {
    name: String,
    store: SharedStore,
    channels: Vec<Channel>,
    sites: Vec<Site>,
    images: ImagePaths,
    illumination: Option<ImagePaths>,
    notes: Vec<String>,
    /// [`hash_of_path`]s of images that its tables name and that are left
    /// out, by their paths or names alone; `None` where the tables need not
    /// name all images.
    left_out: Option<HashSet<u64>>,
}

/// Stands for a path among millions.
pub(super) fn hash_of_path(path: &str) -> u64 {
    BuildHasherDefault::<DefaultHasher>::new().hash_one(path)
}

/// Whether a file is an image, by its name; not what macOS hides beside one.
pub(super) fn is_image_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_of = |end: &str| lower.ends_with(end);
    !name.starts_with('.')
        && [".png", ".tif", ".tiff", ".jpg", ".jpeg", ".jp2"]
            .into_iter()
            .any(is_of)
}

impl IndexScreen {
    /// Reads the tables or lists the files; no image is read.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column, or the file:
    /// what is missing or not understood, an unknown well or channel, a site,
    /// image or well that occurs twice, no site at all. Descriptions with
    /// `format`, `z` or `timepoint` are refused:
    /// [`open_screen`](crate::open_screen) opens these.
    pub fn open(root: &Path, description: &ScreenDescription) -> Result<Self, ScreenError> {
        Self::open_in(Arc::new(FolderStore::new(root)), description)
    }

    /// [`IndexScreen::open`] for files in an archive or a bucket. Paths in
    /// the index may be URLs.
    ///
    /// # Errors
    /// As [`IndexScreen::open`].
    pub fn open_in(
        store: SharedStore,
        description: &ScreenDescription,
    ) -> Result<Self, ScreenError> {
        let store: SharedStore = Arc::new(LinkedStore::new(store));
        let name = description
            .name
            .clone()
            .unwrap_or_else(|| name_of(&store.location()));
        description.check(&name)?;
        refuse_what_wraps(description, &name)?;
        let (found, index_table) = match (&description.index, &description.pattern) {
            (Some(index), _) => {
                let missing = &description.missing_values;
                let table = Table::read(&store, &index.file, index.delimiter, missing)?;
                (list_rows(&table, index, description)?, Some(table))
            }
            (None, Some(pattern)) => (list_files(&store, pattern, description)?, None),
            (None, None) => unreachable!("check() refuses a description without either or format"),
        };
        if found.is_empty() {
            return Err(ScreenError::EmptyScreen {
                name,
                reason: match (&description.index, &description.pattern) {
                    (Some(index), _) => format!("'{}' has no row below its header", index.file),
                    (None, Some(pattern)) => nothing_matches(&store, pattern),
                    (None, None) => unreachable!("check() refuses a description without either"),
                },
            });
        }
        let named = index_table
            .as_ref()
            .map(|table| images_passed_over(table, description));
        let labels = Labels::read(&store, description, index_table)?;
        labels.check_that_some_match(&found)?;
        let notes = labels.notes(&found);
        let channels = description.channels();
        let screen = Self::from_found(name, store, channels, found, |site| {
            labels.describe(site, description)
        })?;
        let screen = screen.with_notes(notes);
        Ok(match named {
            Some(named) => screen.with_all_named(named),
            None => screen,
        })
    }

    /// A screen of sites in any order; `describe` says what is known of the
    /// well of each.
    ///
    /// # Errors
    /// [`ScreenError`]: a site or well occurs twice, or what `describe` says.
    pub(super) fn from_found(
        name: String,
        store: SharedStore,
        channels: Vec<Channel>,
        found: Vec<FoundSite>,
        mut describe: impl FnMut(&FoundSite) -> Result<Well, ScreenError>,
    ) -> Result<Self, ScreenError> {
        let mut wells = Wells::default();
        let mut items = Vec::with_capacity(found.len());
        for site in found {
            let place = |index: usize| {
                let earlier: Option<&(Site, FoundSite)> = items.get(index);
                earlier.map_or(&site, |(_, earlier)| earlier).place.clone()
            };
            let well = wells.share(describe(&site)?, items.len(), place)?;
            let key = site.key.clone();
            items.push((Site { key, well }, site));
        }
        let (sites, found) = sorted_unique(items, |_, site| site.place.clone())?;
        let mut images = ImagePaths::new(channels.len());
        let mut illumination = ImagePaths::new(channels.len());
        let is_illuminated = found.iter().any(|site| !site.illumination.is_empty());
        for mut site in found {
            images.push_site(site.images);
            if is_illuminated {
                site.illumination.resize(channels.len(), None);
                illumination.push_site_of_shared_files(site.illumination);
            }
        }
        images.check_unshared(&sites, &channels)?;
        Ok(Self {
            name,
            store,
            channels,
            sites,
            images,
            illumination: is_illuminated.then_some(illumination),
            notes: Vec::new(),
            left_out: None,
        })
    }

    /// One name for a folder however it is spelt, where it lies on this
    /// machine.
    fn real<'a>(&self, folder: &'a str) -> Cow<'a, str> {
        let location = self.store.file_location(folder.trim_end_matches('/'));
        match std::fs::canonicalize(location) {
            Ok(path) => path.to_string_lossy().into_owned().into(),
            Err(_) => folder.into(),
        }
    }

    /// The screen with what its user should know.
    pub(super) fn with_notes(mut self, notes: Vec<String>) -> Self {
        self.notes = notes;
        self
    }

    /// Says that its tables name every image there is, with [`hash_of_path`]s
    /// of those that are left out, or of their names alone: any other is
    /// unlisted.
    pub(super) fn with_all_named(mut self, left_out: HashSet<u64>) -> Self {
        self.left_out = Some(left_out);
        self
    }

    /// A screen from a table of sites at hand, such as a manifest. `sites`
    /// must be sorted and unique.
    ///
    /// # Errors
    /// [`ScreenError::SharedImage`].
    pub(crate) fn from_sites(
        name: String,
        store: SharedStore,
        channels: Vec<Channel>,
        sites: Vec<Site>,
        images: impl IntoIterator<Item = Vec<Option<String>>>,
    ) -> Result<Self, ScreenError> {
        let mut paths = ImagePaths::new(channels.len());
        for site in images {
            paths.push_site(site);
        }
        paths.check_unshared(&sites, &channels)?;
        Ok(Self {
            name,
            store,
            channels,
            sites,
            images: paths,
            illumination: None,
            notes: Vec::new(),
            left_out: None,
        })
    }
}

impl Screen for IndexScreen {
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
        let path = self.images.path(site_index, channel_index)?;
        Some(match split_plane(&path) {
            (file, Some(plane)) => format!("{}#{plane}", self.store.file_location(file)),
            (file, None) => self.store.file_location(file),
        })
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        let path = self.images.path(site_index, channel_index);
        path.is_some_and(|path| self.store.is_present(split_plane(&path).0))
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let path = self.images.path(site_index, channel_index)?;
        let (file, plane) = split_plane(&path);
        let version = self.store.version(file).ok()??;
        Some(plane.map_or(version.clone(), |plane| format!("{version}#{plane}")))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        match self.images.path(site_index, channel_index) {
            Some(path) => match split_plane(&path) {
                (file, Some(plane)) => read_image_plane(&*self.store, file, plane),
                (file, None) => read_image(&*self.store, file),
            },
            None => Err(ImageProblem::NotListed),
        }
        .map_err(|problem| self.image_error(site_index, channel_index, problem))
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn unlisted_images(&self) -> Vec<String> {
        let Some(left_out) = &self.left_out else {
            return Vec::new();
        };
        // A folder may be spelt in several ways, or be linked to.
        let real: Vec<Cow<'_, str>> = self.images.folders.iter().map(|f| self.real(f)).collect();
        let images = self.images.images.iter().flatten();
        let listed: HashSet<(&str, &str)> = images
            .map(|(folder, file)| (&*real[*folder as usize], split_plane(file).0))
            .collect();
        let mut looked_at = HashSet::new();
        let mut unlisted = Vec::new();
        for (folder, real) in self.images.folders.iter().zip(&real) {
            // A mirrored URL's folder cannot be listed by the URL.
            if is_url(folder) || !looked_at.insert(&**real) {
                continue;
            }
            let entries = self.store.entries(folder.trim_end_matches('/'));
            for entry in entries.unwrap_or_default() {
                let path = format!("{folder}{}", entry.name);
                let is_left_out = |path: &str| left_out.contains(&hash_of_path(path));
                let is_unlisted = !entry.is_folder
                    && is_image_name(&entry.name)
                    && !listed.contains(&(&**real, &*entry.name))
                    && !is_left_out(&path)
                    && !is_left_out(&entry.name);
                if is_unlisted {
                    unlisted.push(self.store.file_location(&path));
                }
            }
        }
        unlisted.sort();
        unlisted
    }

    fn illumination_path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let path = self
            .illumination
            .as_ref()?
            .path(site_index, channel_index)?;
        Some(self.store.file_location(&path))
    }

    fn read_illumination(
        &self,
        site_index: usize,
        channel_index: usize,
    ) -> Result<Option<Vec<u8>>, ScreenError> {
        let paths = self.illumination.as_ref();
        let Some(path) = paths.and_then(|paths| paths.path(site_index, channel_index)) else {
            return Ok(None);
        };
        match self.store.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) => Err(ScreenError::cannot_read(
                self.store.file_location(&path),
                &error,
            )),
        }
    }
}

/// Refuses a description that `open_described`
/// opens: what it says of more than files would be passed over.
fn refuse_what_wraps(description: &ScreenDescription, name: &str) -> Result<(), ScreenError> {
    let keys = [
        ("format", description.format.is_some()),
        ("z", description.z.is_some()),
        ("timepoint", description.timepoint.is_some()),
    ];
    match keys.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((key, _)) => Err(ScreenError::InvalidDescription {
            name: name.to_owned(),
            message: format!(
                "'{key}' is not for an index or files alone\nhint: open the screen with open_screen"
            ),
        }),
    }
}

/// The file of an image, and which of its planes it is where a path says so:
/// `stack.tif#2`. A `#` that does not follow an extension is part of a name.
fn split_plane(path: &str) -> (&str, Option<usize>) {
    let split = path.rsplit_once('#').and_then(|(file, digits)| {
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let (_, extension) = file.rsplit_once('.')?;
        let is_extension =
            !extension.is_empty() && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let plane = digits.parse().ok().filter(|_| is_number && is_extension)?;
        Some((file, Some(plane)))
    });
    split.unwrap_or((path, None))
}

/// A path without the parts that lead nowhere, so that a file has one:
/// `x/./y/../a.png` is `x/a.png`.
fn plain_path(path: &str) -> String {
    if is_url(path) {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    for (index, part) in path.split('/').enumerate() {
        let can_go_up = kept.last().is_some_and(|last| !matches!(*last, "" | ".."));
        match part {
            // An absolute path starts with an empty part.
            "" if index > 0 => {}
            "." => {}
            ".." if can_go_up => {
                kept.pop();
            }
            part => kept.push(part),
        }
    }
    kept.join("/")
}

/// Appends a plane to the path of its file.
fn with_plane(path: String, plane: Option<u32>) -> String {
    match plane {
        Some(plane) => format!("{path}#{plane}"),
        None => path,
    }
}

/// Paths of all images. Folders repeat for every image in them, so each is
/// held once.
struct ImagePaths {
    num_channels: usize,
    folders: Vec<String>,
    folder_indices: HashMap<String, u32>,
    images: Vec<Option<(u32, Box<str>)>>,
}

impl ImagePaths {
    fn new(num_channels: usize) -> Self {
        Self {
            num_channels,
            folders: Vec::new(),
            folder_indices: HashMap::new(),
            images: Vec::new(),
        }
    }

    /// Adds the images of the next site.
    fn push_site(&mut self, images: Vec<Option<String>>) {
        self.push(images, |path| path.rfind('/').map_or(0, |slash| slash + 1));
    }

    /// Adds a site whose files many sites share: each is held once, whole.
    fn push_site_of_shared_files(&mut self, files: Vec<Option<String>>) {
        self.push(files, str::len);
    }

    /// `shared_len` is the length of the part of a path that is held once.
    fn push(&mut self, paths: Vec<Option<String>>, shared_len: impl Fn(&str) -> usize) {
        assert_eq!(paths.len(), self.num_channels, "one path per channel");
        for path in paths {
            let image = path.map(|path| {
                let (folder, file) = path.split_at(shared_len(&path));
                let next = self.folders.len() as u32;
                let folder = match self.folder_indices.get(folder) {
                    Some(&index) => index,
                    None => {
                        self.folders.push(folder.to_owned());
                        self.folder_indices.insert(folder.to_owned(), next);
                        next
                    }
                };
                (folder, file.into())
            });
            self.images.push(image);
        }
    }

    /// Refuses a file that is the image of two sites or channels.
    fn check_unshared(&self, sites: &[Site], channels: &[Channel]) -> Result<(), ScreenError> {
        // There may be millions of paths: only where two have the same hash
        // are the paths themselves compared.
        let hash =
            |path: &(u32, Box<str>)| BuildHasherDefault::<DefaultHasher>::new().hash_one(path);
        let mut hashes: Vec<u64> = self.images.iter().flatten().map(hash).collect();
        hashes.sort_unstable();
        if hashes.windows(2).all(|pair| pair[0] != pair[1]) {
            return Ok(());
        }
        let mut first_places = HashMap::new();
        for (place, path) in self.images.iter().enumerate() {
            let Some(path) = path else { continue };
            if let Some(first) = first_places.insert(path, place) {
                let image = |place: usize| {
                    let (site, channel) = (place / self.num_channels, place % self.num_channels);
                    format!("{} channel {}", sites[site].key, channels[channel])
                };
                return Err(ScreenError::SharedImage {
                    file: format!("{}{}", self.folders[path.0 as usize], path.1),
                    first: image(first),
                    second: image(place),
                });
            }
        }
        Ok(())
    }

    fn path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        assert!(
            channel_index < self.num_channels,
            "channel {channel_index} is out of range"
        );
        let (folder, file) =
            self.images[site_index * self.num_channels + channel_index].as_ref()?;
        Some(format!("{}{file}", self.folders[*folder as usize]))
    }
}

/// Reads a well from its row (letters, or a number from 1) and column.
pub(super) fn well_from_row_and_column(
    row: &str,
    column: &str,
) -> Result<WellAddress, morphospace_core::InvalidWellAddress> {
    let invalid = || morphospace_core::InvalidWellAddress {
        text: format!("row {row} column {column}"),
    };
    if row.bytes().all(|byte| byte.is_ascii_digit()) {
        let from_one = |text: &str| text.parse::<usize>().ok()?.checked_sub(1);
        let (row, column) = from_one(row).zip(from_one(column)).ok_or_else(invalid)?;
        WellAddress::from_indices(row, column).ok_or_else(invalid)
    } else {
        format!("{row}{column}").parse()
    }
}

fn list_rows(
    table: &Table,
    index: &Index,
    description: &ScreenDescription,
) -> Result<Vec<FoundSite>, ScreenError> {
    let column = |name: &Option<String>| -> Result<Option<ColumnIndex>, ScreenError> {
        name.as_deref().map(|name| table.column(name)).transpose()
    };
    let source = column(&index.source)?;
    let experiment = column(&index.experiment)?;
    let plate = column(&index.plate)?;
    let well = column(&index.well)?;
    let row_and_column = column(&index.row)?.zip(column(&index.column)?);
    let site = column(&index.site)?;
    let z = column(&index.z)?;
    let time = column(&index.time)?;
    let layout = column(&index.layout)?;
    let mut path_columns = Vec::new();
    for channel in &description.channels {
        path_columns.push((
            column(&channel.folder_column)?,
            column(&channel.path_column)?,
            channel.plane,
        ));
    }
    let mut found = Vec::with_capacity(table.num_rows());
    for row in 0..table.num_rows() {
        let text = |column: Option<ColumnIndex>, constant: &Option<String>| match column {
            Some(column) => table.require(row, column).map(|text| Some(text.to_owned())),
            None => Ok(constant.clone()),
        };
        let number = |column: Option<ColumnIndex>| {
            column.map(|column| table.number(row, column)).transpose()
        };
        let (original_address, address) = match (well, row_and_column) {
            (Some(well), _) => {
                let text = table.require(row, well)?;
                (text.to_owned(), text.parse())
            }
            (None, Some((row_column, column))) => {
                let (letters, digits) =
                    (table.require(row, row_column)?, table.require(row, column)?);
                (
                    format!("{letters}{digits}"),
                    well_from_row_and_column(letters, digits),
                )
            }
            (None, None) => unreachable!("check() wants a well, or its row and column"),
        };
        let address = address.map_err(|source| ScreenError::UnknownWell {
            place: table.place(row),
            source,
        })?;
        let plate_key = plate_key(
            text(source, &description.source)?,
            text(experiment, &description.experiment)?,
            text(plate, &description.plate)?,
            description,
        );
        let images = path_columns
            .iter()
            .map(|&(folder, path, plane)| {
                let path = table.get(row, path?)?;
                let folder = folder.and_then(|folder| table.get(row, folder));
                let path = match folder {
                    Some(folder) => format!("{}/{path}", folder.trim_end_matches('/')),
                    None => path.to_owned(),
                };
                Some(with_plane(plain_path(&path), plane))
            })
            .collect();
        found.push(FoundSite {
            key: SiteKey {
                plate: plate_key,
                well: address,
                site: number(site)?.unwrap_or(1),
                z_index: number(z)?,
                time_index: number(time)?,
            },
            original_address,
            layout: layout
                .and_then(|layout| table.get(row, layout))
                .map(str::to_owned),
            images,
            illumination: Vec::new(),
            row: Some(row),
            place: table.place(row),
        });
    }
    Ok(found)
}

/// [`hash_of_path`]s of the names of images that an index has in columns that
/// no channel reads: masks, and channels that its screen does not list.
fn images_passed_over(table: &Table, description: &ScreenDescription) -> HashSet<u64> {
    let is_read = |column: &String| {
        let mut channels = description.channels.iter();
        channels.any(|channel| channel.path_column.as_ref() == Some(column))
    };
    let columns: Vec<&String> = table.columns().iter().filter(|c| !is_read(c)).collect();
    let columns: Vec<ColumnIndex> = columns
        .into_iter()
        .filter_map(|column| table.optional_column(column).ok()?)
        .collect();
    (0..table.num_rows())
        .flat_map(|row| {
            columns
                .iter()
                .filter_map(move |&column| table.get(row, column))
        })
        .map(|text| split_plane(text).0)
        .map(|path| path.rsplit(['/', '\\']).next().unwrap_or(path))
        .filter(|name| is_image_name(name))
        .map(hash_of_path)
        .collect()
}

/// The plate of a site. Without an experiment, all plates of the screen are
/// one: it takes the screen's name.
fn plate_key(
    source: Option<String>,
    experiment: Option<String>,
    plate: Option<String>,
    description: &ScreenDescription,
) -> PlateKey {
    let experiment = experiment
        .or_else(|| description.name.clone())
        .unwrap_or_else(|| "screen".to_owned());
    PlateKey {
        source,
        experiment: Experiment::new(experiment),
        plate: plate.expect("check() wants a plate from a column, a group or a constant"),
    }
}

fn list_files(
    store: &SharedStore,
    pattern: &FileNamePattern,
    description: &ScreenDescription,
) -> Result<Vec<FoundSite>, ScreenError> {
    let regex = Regex::new(&pattern.path).expect("check() compiled it");
    let channels = description.channels();
    let words: Vec<&str> = description
        .channels
        .iter()
        .map(ChannelDescription::word_in_file_name)
        .collect();
    let mut found = SitesOfFiles::new(&channels);
    for path in files_of(store)? {
        let Some(groups) = regex.captures(&path) else {
            continue;
        };
        let word = groups.name("channel").map(|word| word.as_str());
        // Several channels share a file that holds several planes.
        let in_file: Vec<usize> = (0..words.len())
            .filter(|&channel| word.is_none_or(|word| words[channel] == word))
            .collect();
        if let (Some(word), []) = (word, &in_file[..]) {
            if description.ignored_channels.iter().any(|w| w == word) {
                continue;
            }
            return Err(ScreenError::UnknownChannel {
                file: path.clone(),
                found: word.to_owned(),
                known: words.iter().map(ToString::to_string).collect(),
            });
        }
        let (key, original_address) = site_of_file(&path, &groups, description)?;
        let layout = groups.name("layout").map(|text| text.as_str().to_owned());
        for channel_index in in_file {
            let image = NamedImage {
                key: key.clone(),
                original_address: original_address.clone(),
                layout: layout.clone(),
                path: with_plane(path.clone(), description.channels[channel_index].plane),
            };
            found.add(image, channel_index)?;
        }
    }
    Ok(found.into_sites())
}

fn site_of_file(
    path: &str,
    groups: &Captures<'_>,
    description: &ScreenDescription,
) -> Result<(SiteKey, String), ScreenError> {
    let text = |group: &str, constant: &Option<String>| {
        groups
            .name(group)
            .map(|found| found.as_str().to_owned())
            .or_else(|| constant.clone())
    };
    let place = || format!("file '{path}'");
    let number = |group: &str| match groups.name(group) {
        None => Ok(None),
        Some(digits) => digits.as_str().parse().map(Some).map_err(|_| {
            ScreenError::InvalidDescription {
                name: "pattern.path".to_owned(),
                message: format!(
                    "{}: its {group} '{}' is not a whole number\nhint: capture only digits, as in \
                     (?<{group}>\\d+)",
                    place(),
                    digits.as_str()
                ),
            }
        }),
    };
    let (original_address, address) = match groups.name("well") {
        Some(well) => (well.as_str().to_owned(), well.as_str().parse()),
        None => {
            let group = |name| groups.name(name).map_or("", |found| found.as_str());
            let (row, column) = (group("row"), group("column"));
            (
                format!("{row}{column}"),
                well_from_row_and_column(row, column),
            )
        }
    };
    let well = address.map_err(|source| ScreenError::UnknownWell {
        place: place(),
        source,
    })?;
    let plate =
        text("plate", &description.plate).ok_or_else(|| ScreenError::InvalidDescription {
            name: "pattern.path".to_owned(),
            message: format!("{}: the plate's group matched nothing", place()),
        })?;
    let plate = plate_key(
        text("source", &description.source),
        text("experiment", &description.experiment),
        Some(plate),
        description,
    );
    let key = SiteKey {
        plate,
        well,
        site: number("site")?.unwrap_or(1),
        z_index: number("z")?,
        time_index: number("time")?,
    };
    Ok((key, original_address))
}

fn files_of(store: &SharedStore) -> Result<Vec<String>, ScreenError> {
    store
        .files("")
        .map_err(|error| ScreenError::cannot_read(store.location(), &error))
}

fn nothing_matches(store: &SharedStore, pattern: &FileNamePattern) -> String {
    let place = store.location();
    match files_of(store).unwrap_or_default().first() {
        Some(example) => format!(
            "no file below '{place}' matches pattern.path\nhint: the first file is '{example}', \
             the pattern is '{}'",
            pattern.path
        ),
        None => format!("there is no file below '{place}'"),
    }
}

/// What was done to the wells, by row.
pub(super) struct Labels {
    columns: Option<LabelColumns>,
    /// Rows of a joined table by key; `None` where the labels are columns of
    /// the index itself.
    joined: Option<JoinedRows>,
}

struct LabelColumns {
    table: Table,
    perturbations: Vec<LabelledPerturbation>,
    control_role: Option<(ColumnIndex, ControlRoleColumn)>,
    cell_type: Option<ColumnIndex>,
    background: Option<ColumnIndex>,
}

struct LabelledPerturbation {
    kind: PerturbationKind,
    name: ColumnIndex,
    gene: Option<ColumnIndex>,
    concentration_micromolar: Option<ColumnIndex>,
}

struct JoinedRows {
    keys: Vec<String>,
    rows: HashMap<Vec<String>, usize>,
    /// The first key of the table, for messages.
    example: String,
}

impl Labels {
    /// Reads the annotation; `index_table` holds its columns where it has no
    /// file.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn read(
        store: &SharedStore,
        description: &ScreenDescription,
        index_table: Option<Table>,
    ) -> Result<Self, ScreenError> {
        let Some(annotation) = &description.annotation else {
            return Ok(Self {
                columns: None,
                joined: None,
            });
        };
        let (table, joined) = match &annotation.file {
            Some(file) => {
                let table = Table::read(
                    store,
                    file,
                    annotation.delimiter,
                    &description.missing_values,
                )?;
                let joined = JoinedRows::read(&table, annotation)?;
                (table, Some(joined))
            }
            None => (
                index_table.expect("check() wants a file where there is no index"),
                None,
            ),
        };
        let optional = |name: &Option<String>| -> Result<Option<ColumnIndex>, ScreenError> {
            name.as_deref().map(|name| table.column(name)).transpose()
        };
        let perturbation = |columns: &PerturbationColumns| {
            Ok::<_, ScreenError>(LabelledPerturbation {
                kind: columns.kind,
                name: table.column(&columns.name)?,
                gene: optional(&columns.gene)?,
                concentration_micromolar: optional(&columns.concentration_micromolar)?,
            })
        };
        let perturbations = annotation
            .perturbations
            .iter()
            .map(perturbation)
            .collect::<Result<_, _>>()?;
        let control_role = annotation
            .control_role
            .as_ref()
            .map(|role| Ok::<_, ScreenError>((table.column(&role.column)?, role.clone())))
            .transpose()?;
        let cell_type = optional(&annotation.cell_type)?;
        let background = optional(&annotation.background)?;
        let columns = LabelColumns {
            table,
            perturbations,
            control_role,
            cell_type,
            background,
        };
        Ok(Self {
            columns: Some(columns),
            joined,
        })
    }

    /// Refuses an annotation of which not one row fits.
    ///
    /// # Errors
    /// [`ScreenError::AnnotationDoesNotMatch`] shows a key of either side.
    pub(super) fn check_that_some_match(&self, found: &[FoundSite]) -> Result<(), ScreenError> {
        let (Some(columns), Some(joined)) = (&self.columns, &self.joined) else {
            return Ok(());
        };
        if found.iter().any(|site| joined.row(site).is_some()) {
            return Ok(());
        }
        Err(ScreenError::AnnotationDoesNotMatch {
            table: columns.table.name().to_owned(),
            images: joined.text(&joined.key(&found[0])),
            rows: joined.example.clone(),
        })
    }

    /// What tells of wells that the annotation lacks, and of its rows that
    /// are of no well here.
    pub(super) fn notes(&self, found: &[FoundSite]) -> Vec<String> {
        let (Some(columns), Some(joined)) = (&self.columns, &self.joined) else {
            return Vec::new();
        };
        let table = columns.table.name();
        let mut notes = Vec::new();
        let mut unused: BTreeSet<usize> = joined.rows.values().copied().collect();
        let mut unlabelled = BTreeSet::new();
        for site in found {
            match joined.row(site) {
                Some(row) => drop(unused.remove(&row)),
                None => drop(unlabelled.insert((&site.key.plate, site.key.well))),
            }
        }
        if let Some((plate, well)) = unlabelled.first() {
            notes.push(format!(
                "{} wells do not occur in annotation '{table}' and have no label (first: {plate} \
                 well {well})",
                unlabelled.len()
            ));
        }
        if let Some(&row) = unused.first() {
            notes.push(format!(
                "{} rows of annotation '{table}' are of no well here (first: line {})",
                unused.len(),
                columns.table.line(row)
            ));
        }
        notes
    }

    /// Whether the annotation says something of a site's well.
    pub(super) fn has_row(&self, site: &FoundSite) -> bool {
        self.joined
            .as_ref()
            .is_some_and(|joined| joined.row(site).is_some())
    }

    /// The well of a site with what is known of it.
    ///
    /// # Errors
    /// [`ScreenError`] names the table with line and column.
    pub(super) fn describe(
        &self,
        site: &FoundSite,
        description: &ScreenDescription,
    ) -> Result<Well, ScreenError> {
        let mut well = site.unlabelled_well();
        well.background.clone_from(&description.background);
        well.cell_type.clone_from(&description.cell_type);
        let row = match &self.joined {
            Some(joined) => joined.row(site),
            None => site.row,
        };
        if let (Some(columns), Some(row)) = (&self.columns, row) {
            let get = |column: Option<ColumnIndex>| {
                column
                    .and_then(|column| columns.table.get(row, column))
                    .map(str::to_owned)
            };
            well.cell_type = get(columns.cell_type).or(well.cell_type);
            well.background = get(columns.background).or(well.background);
            well.control_role = columns.control_role(row)?;
            if well.control_role != ControlRole::Untreated {
                for perturbation in &columns.perturbations {
                    well.perturbations
                        .extend(columns.perturbation(row, perturbation)?);
                }
            }
        }
        Ok(well)
    }
}

impl LabelColumns {
    fn control_role(&self, row: usize) -> Result<ControlRole, ScreenError> {
        let Some((column, meaning)) = &self.control_role else {
            return Ok(ControlRole::Treatment);
        };
        let Some(text) = self.table.get(row, *column) else {
            return Ok(meaning.missing);
        };
        match (meaning.values.get(text), text.parse(), meaning.otherwise) {
            (Some(&role), _, _) => Ok(role),
            (None, Ok(role), _) => Ok(role),
            (None, Err(_), Some(role)) => Ok(role),
            (None, Err(error), None) => Err(self.table.invalid(
                row,
                *column,
                &format!(
                    "{error}\nhint: say what '{text}' means in annotation.control_role.values, or \
                     set 'otherwise'"
                ),
            )),
        }
    }

    fn perturbation(
        &self,
        row: usize,
        columns: &LabelledPerturbation,
    ) -> Result<Option<Perturbation>, ScreenError> {
        let get = |column: Option<ColumnIndex>| {
            column
                .and_then(|column| self.table.get(row, column))
                .map(str::to_owned)
        };
        let gene = get(columns.gene);
        let Some(name) = get(Some(columns.name)).or_else(|| gene.clone()) else {
            return Ok(None);
        };
        Ok(Some(match columns.kind {
            PerturbationKind::Sirna => Perturbation::Sirna { name, gene },
            PerturbationKind::Crispr => {
                // Guides that cut nothing have no gene and stand for themselves.
                let gene = gene.unwrap_or_else(|| name.clone());
                Perturbation::Crispr { guide: name, gene }
            }
            PerturbationKind::Orf => {
                let gene = gene.unwrap_or_else(|| name.clone());
                Perturbation::Orf {
                    reagent: name,
                    gene,
                }
            }
            PerturbationKind::Compound => {
                let concentration_micromolar = columns
                    .concentration_micromolar
                    .map(|column| self.table.concentration(row, column))
                    .transpose()?
                    .flatten();
                Perturbation::Compound {
                    name,
                    concentration_micromolar,
                }
            }
        }))
    }
}

impl JoinedRows {
    fn read(table: &Table, annotation: &Annotation) -> Result<Self, ScreenError> {
        let mut keys = Vec::new();
        let mut columns = Vec::new();
        for (key, column) in &annotation.join {
            keys.push(key.clone());
            columns.push(table.column(column)?);
        }
        let mut joined = Self {
            keys,
            rows: HashMap::new(),
            example: "no row".to_owned(),
        };
        for row in 0..table.num_rows() {
            let mut values = Vec::with_capacity(columns.len());
            for (key, &column) in joined.keys.iter().zip(&columns) {
                let text = table.require(row, column)?;
                let value = match key.as_str() {
                    "well" => table.well(row, column)?.to_string(),
                    "experiment" => experiment_key(&Experiment::new(text)),
                    "plate" | "layout" => plain_number(text),
                    _ => text.to_owned(),
                };
                values.push(value);
            }
            if row == 0 {
                joined.example = joined.text(&values);
            }
            let shown = joined.text(&values);
            if let Some(first) = joined.rows.insert(values, row) {
                return Err(table.invalid(
                    row,
                    columns[0],
                    &format!(
                        "{shown} is annotated a second time, first in line {}\nhint: keep one \
                         row, or join by more columns",
                        table.line(first)
                    ),
                ));
            }
        }
        Ok(joined)
    }

    fn key(&self, site: &FoundSite) -> Vec<String> {
        let plate = &site.key.plate;
        self.keys
            .iter()
            .map(|key| match key.as_str() {
                "well" => site.key.well.to_string(),
                "experiment" => experiment_key(&plate.experiment),
                "plate" => plain_number(&plate.plate),
                "layout" => plain_number(site.layout.as_deref().unwrap_or_default()),
                _ => plate.source.clone().unwrap_or_default(),
            })
            .collect()
    }

    fn row(&self, site: &FoundSite) -> Option<usize> {
        self.rows.get(&self.key(site)).copied()
    }

    fn text(&self, values: &[String]) -> String {
        let pairs: Vec<String> = self
            .keys
            .iter()
            .zip(values)
            .map(|(key, value)| format!("{key} '{value}'"))
            .collect();
        pairs.join(", ")
    }
}

/// One text for all spellings of an experiment.
fn experiment_key(experiment: &Experiment) -> String {
    match experiment.number() {
        Some(number) => format!("{}-{number}", experiment.series()),
        None => experiment.to_string(),
    }
}

/// `01` as `1`; anything but a number as it is.
fn plain_number(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        return if digits.is_empty() {
            "0".to_owned()
        } else {
            digits.to_owned()
        };
    }
    text.to_owned()
}
