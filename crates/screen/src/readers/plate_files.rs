use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{Channel, Experiment, PlateKey, SiteKey, Stain, WellAddress};

use crate::ScreenError;
use crate::readers::IndexScreen;
use crate::readers::found_site::{NamedImage, SitesOfFiles};
use crate::store::SharedStore;

/// An image as the file name of a microscope's software tells it.
pub(super) struct PlateFile {
    /// Folder of the plate, relative to the root.
    pub(super) plate_folder: String,
    pub(super) address: WellAddress,
    pub(super) original_address: String,
    pub(super) site: u32,
    /// The channel's number on its plate.
    pub(super) channel: u32,
    /// Index of the z-plane; `None` for a projection or a single plane.
    pub(super) z_index: Option<u32>,
    pub(super) time_index: Option<u32>,
    pub(super) path: String,
}

/// What the software wrote about a plate beside its images.
#[derive(Default)]
pub(super) struct PlateSheet {
    /// Names of channels by number.
    pub(super) channels: BTreeMap<u32, String>,
    /// Whether it says that there are several z-planes, or time points.
    pub(super) has_z: bool,
    pub(super) has_time: bool,
}

/// Names of channels by plate folder and number.
type ChannelNames = BTreeMap<(String, u32), String>;

/// Images of one or more plates, and what is known about the plates.
pub(super) struct PlateFiles {
    pub(super) files: Vec<PlateFile>,
    /// By plate folder.
    pub(super) sheets: BTreeMap<String, PlateSheet>,
    /// Names of plates by folder.
    pub(super) plate_names: BTreeMap<String, String>,
    /// What precedes the number of a channel without a name: `w`, `ch`.
    pub(super) channel_prefix: &'static str,
    pub(super) notes: Vec<String>,
}

impl PlateFiles {
    /// The screen of these images. Channels are matched by name across
    /// plates; a channel of which a plate's sheet tells but no image is
    /// found anywhere is left out and noted.
    ///
    /// # Errors
    /// [`ScreenError::DuplicateImage`]: two files claim the same image.
    pub(super) fn into_screen(
        mut self,
        name: String,
        experiment: &str,
        store: SharedStore,
    ) -> Result<IndexScreen, ScreenError> {
        let names = self.channel_names();
        let channels = self.channels(&names);
        self.forget_single_z_and_time();
        let mut sites = SitesOfFiles::new(&channels);
        for file in self.files {
            let channel = &names[&(file.plate_folder.clone(), file.channel)];
            let channel_index = channels.iter().position(|other| other.name == *channel);
            let plate = self.plate_names.get(&file.plate_folder);
            let image = NamedImage {
                key: SiteKey {
                    plate: PlateKey {
                        source: None,
                        experiment: Experiment::new(experiment),
                        plate: plate.unwrap_or(&file.plate_folder).clone(),
                    },
                    well: file.address,
                    site: file.site,
                    z_index: file.z_index,
                    time_index: file.time_index,
                },
                original_address: file.original_address,
                layout: None,
                path: file.path,
            };
            sites.add(
                image,
                channel_index.expect("channels were made of these files"),
            )?;
        }
        let found = sites.into_sites();
        let screen = IndexScreen::from_found(name, store, channels, found, |site| {
            Ok(site.unlabelled_well())
        })?;
        Ok(screen.with_notes(self.notes))
    }

    /// The channels of all plates, each once, in the order of their numbers.
    fn channels(&mut self, names: &ChannelNames) -> Vec<Channel> {
        let mut ordered: Vec<(u32, &String)> = names
            .iter()
            .map(|((_, number), name)| (*number, name))
            .collect();
        ordered.sort();
        let mut seen = BTreeSet::new();
        let channels: Vec<Channel> = ordered
            .into_iter()
            .filter(|(_, name)| seen.insert(*name))
            .map(|(_, name)| Channel::new(name.clone(), Stain::from(name.clone())))
            .collect();
        let unseen: BTreeSet<&String> = self
            .sheets
            .values()
            .flat_map(|sheet| sheet.channels.values())
            .filter(|name| !channels.iter().any(|channel| channel.name == **name))
            .collect();
        for name in unseen {
            self.notes.push(format!(
                "channel '{name}' was recorded but has no image here: it is left out"
            ));
        }
        channels
    }

    /// The name of every channel of every plate that has images.
    fn channel_names(&self) -> ChannelNames {
        let mut names = ChannelNames::new();
        for file in &self.files {
            let key = (file.plate_folder.clone(), file.channel);
            names.entry(key).or_insert_with(|| {
                let sheet = self.sheets.get(&file.plate_folder);
                match sheet.and_then(|sheet| sheet.channels.get(&file.channel)) {
                    Some(name) => name.clone(),
                    None => format!("{}{}", self.channel_prefix, file.channel),
                }
            });
        }
        names
    }

    /// A plate with one z-plane and no projection, or with one time point,
    /// has sites without one.
    fn forget_single_z_and_time(&mut self) {
        let mut planes: BTreeMap<String, BTreeSet<Option<u32>>> = BTreeMap::new();
        let mut times = planes.clone();
        for file in &self.files {
            let folder = &file.plate_folder;
            planes
                .entry(folder.clone())
                .or_default()
                .insert(file.z_index);
            times
                .entry(folder.clone())
                .or_default()
                .insert(file.time_index);
        }
        for file in &mut self.files {
            let sheet = self.sheets.get(&file.plate_folder);
            if planes[&file.plate_folder].len() == 1 && !sheet.is_some_and(|sheet| sheet.has_z) {
                file.z_index = None;
            }
            if times[&file.plate_folder].len() == 1 && !sheet.is_some_and(|sheet| sheet.has_time) {
                file.time_index = None;
            }
        }
    }
}

/// Channel names of one plate, each once: a name that stands for several
/// channels is followed by their numbers.
pub(super) fn told_apart(names: BTreeMap<u32, String>, prefix: &str) -> BTreeMap<u32, String> {
    let is_shared = |name: &String| names.values().filter(|other| *other == name).count() > 1;
    names
        .iter()
        .map(|(number, name)| {
            let name = match is_shared(name) {
                true => format!("{name} {prefix}{number}"),
                false => name.clone(),
            };
            (*number, name)
        })
        .collect()
}

/// What tells of files that were left out because of their names.
pub(super) fn note_of_strangers(strangers: &[String], what: &str) -> Option<String> {
    let first = strangers.first()?;
    Some(format!(
        "{} image files are left out, as their names are not {what}'s (first: '{first}')",
        strangers.len()
    ))
}

/// Whether a file's name ends as an image's does.
pub(super) fn is_tiff(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    lower.ends_with(".tif") || lower.ends_with(".tiff")
}
