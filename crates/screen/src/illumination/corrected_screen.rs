use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use morphospace_core::{Channel, PlateKey, Site, sha256_hex};

use super::{Illumination, IlluminationError};
use crate::ScreenError;
use crate::error::ImageProblem;
use crate::pixel_history::ILLUMINATION_NOTE;
use crate::plate_names::plate_names;
use crate::screen::{Plane, Screen};
use crate::tiling::Tile;

/// Functions that are kept in memory: with 9 MB for 1080 x 1080 pixels, a
/// third of a gibibyte.
const NUM_KEPT: usize = 40;

/// Where illumination functions come from.
///
/// ```
/// use morphospace_screen::IlluminationSource;
///
/// assert_eq!("screen".parse(), Ok(IlluminationSource::Screen));
/// assert_eq!("illum".parse(), Ok(IlluminationSource::Folder("illum".into())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IlluminationSource {
    /// The screen's own tables name them, as `LoadData` tables with
    /// illumination do.
    Screen,
    /// A folder with an [`Illumination::path_of`] each channel and plate. The
    /// plate goes by its name in [`plate_names`], or, where no two plates of
    /// the screen share it, by its barcode as in the Cell Painting Gallery.
    Folder(PathBuf),
}

impl FromStr for IlluminationSource {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "screen" => Self::Screen,
            folder => Self::Folder(folder.into()),
        })
    }
}

impl fmt::Display for IlluminationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Screen => f.write_str("screen"),
            Self::Folder(folder) => folder.display().fmt(f),
        }
    }
}

type LoadedFunction = Arc<OnceLock<Result<Arc<Illumination>, String>>>;

/// Another screen with its uneven illumination divided out, in whole grey
/// levels of the images' own bit depth.
pub struct CorrectedScreen {
    screen: Box<dyn Screen>,
    source: IlluminationSource,
    notes: Vec<String>,
    /// Of a folder: what each plate is called in it.
    folders: HashMap<PlateKey, String>,
    /// Functions by their file, the one used last at the end.
    kept: Mutex<VecDeque<(String, LoadedFunction)>>,
    /// SHA-256 of functions by their file.
    versions: Mutex<HashMap<String, Arc<OnceLock<String>>>>,
}

impl CorrectedScreen {
    /// Corrects every image of a screen by the function of its plate and
    /// channel.
    ///
    /// # Errors
    /// [`IlluminationError::NoFunction`]: an image has none; no function is
    /// opened yet.
    pub fn new(
        screen: Box<dyn Screen>,
        source: IlluminationSource,
    ) -> Result<Self, IlluminationError> {
        let mut notes = screen.notes().to_vec();
        notes.push(format!("{ILLUMINATION_NOTE} (functions: {source})"));
        let folders = match &source {
            IlluminationSource::Screen => HashMap::new(),
            IlluminationSource::Folder(folder) => folders_of_plates(&*screen, folder),
        };
        let corrected = Self {
            screen,
            folders,
            source,
            notes,
            kept: Mutex::default(),
            versions: Mutex::default(),
        };
        corrected.check()?;
        Ok(corrected)
    }

    /// Whether there is a function for every plate and channel.
    fn check(&self) -> Result<(), IlluminationError> {
        let sites = self.screen.sites();
        for (site_index, site) in sites.iter().enumerate() {
            let is_first = site_index == 0 || sites[site_index - 1].key.plate != site.key.plate;
            if !is_first && self.source != IlluminationSource::Screen {
                continue;
            }
            for (channel_index, channel) in self.screen.channels().iter().enumerate() {
                let path = self.function_path(site_index, channel_index);
                let is_there = path.as_ref().is_some_and(|path| match self.source {
                    IlluminationSource::Screen => true,
                    IlluminationSource::Folder(_) => Path::new(path).is_file(),
                });
                if !is_there {
                    return Err(IlluminationError::NoFunction {
                        plate: Box::new(site.key.plate.clone()),
                        channel: Box::new(channel.clone()),
                        path,
                    });
                }
            }
        }
        Ok(())
    }

    fn function_path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        match &self.source {
            IlluminationSource::Screen => self.screen.illumination_path(site_index, channel_index),
            IlluminationSource::Folder(folder) => {
                let plate = &self.screen.sites()[site_index].key.plate;
                let channel = &self.screen.channels()[channel_index];
                let path = folder.join(Illumination::path_of(&self.folders[plate], channel));
                Some(path.display().to_string())
            }
        }
    }

    /// The function of an image, from memory if it was used lately. Threads
    /// that ask for the same one read it once.
    fn function(
        &self,
        site_index: usize,
        channel_index: usize,
    ) -> Result<Arc<Illumination>, String> {
        let path = self
            .function_path(site_index, channel_index)
            .expect("checked when the screen was opened");
        let function = {
            // Nothing that may panic happens under the lock.
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let position = kept.iter().position(|(known, _)| *known == path);
            let entry = match position.and_then(|position| kept.remove(position)) {
                Some(entry) => entry,
                None => (path.clone(), LoadedFunction::default()),
            };
            let function = Arc::clone(&entry.1);
            kept.push_back(entry);
            if kept.len() > NUM_KEPT {
                kept.pop_front();
            }
            function
        };
        let load = || self.load(&path, site_index, channel_index).map(Arc::new);
        let loaded = function.get_or_init(|| load().map_err(|error| error.to_string()));
        loaded.clone()
    }

    /// SHA-256 of a function's file, which is read once; empty where it cannot
    /// be read.
    fn function_version(&self, site_index: usize, channel_index: usize) -> String {
        let Some(path) = self.function_path(site_index, channel_index) else {
            return String::new();
        };
        let version = {
            let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(versions.entry(path.clone()).or_default())
        };
        let read = || {
            let bytes = match self.source {
                IlluminationSource::Folder(_) => std::fs::read(&path).ok(),
                IlluminationSource::Screen => {
                    let read = self.screen.read_illumination(site_index, channel_index);
                    read.ok().flatten()
                }
            };
            bytes.map_or_else(String::new, |bytes| sha256_hex(&bytes))
        };
        version.get_or_init(read).clone()
    }

    fn load(
        &self,
        path: &str,
        site_index: usize,
        channel_index: usize,
    ) -> Result<Illumination, IlluminationError> {
        match self.source {
            IlluminationSource::Folder(_) => Illumination::load(path.as_ref()),
            IlluminationSource::Screen => {
                let bytes = self.screen.read_illumination(site_index, channel_index)?;
                Illumination::decode(&bytes.unwrap_or_default(), path.as_ref())
            }
        }
    }

    fn corrected(
        &self,
        site_index: usize,
        channel_index: usize,
        plane: &Plane,
        region: Option<Tile>,
    ) -> Result<Plane, ScreenError> {
        let corrected = self
            .function(site_index, channel_index)
            .and_then(|function| {
                let corrected = match region {
                    None => function.correct_plane(plane),
                    Some(region) => function.correct_region(plane, region),
                };
                corrected.map_err(|error| error.to_string())
            });
        corrected.map_err(|message| {
            let problem = ImageProblem::Illumination(message);
            self.image_error(site_index, channel_index, problem)
        })
    }
}

/// Of two folders that a plate's functions may lie in, the one that is there.
fn folders_of_plates(screen: &dyn Screen, folder: &Path) -> HashMap<PlateKey, String> {
    let names = plate_names(screen.sites().iter().map(|site| &site.key.plate));
    let mut num_of_barcode: HashMap<&str, usize> = HashMap::new();
    for key in names.keys() {
        *num_of_barcode.entry(&key.plate).or_default() += 1;
    }
    let chosen = |(key, name): (&&PlateKey, &String)| {
        let is_known_by_barcode =
            num_of_barcode[&*key.plate] == 1 && folder.join(&key.plate).is_dir();
        let name = match !folder.join(name).is_dir() && is_known_by_barcode {
            true => &key.plate,
            false => name,
        };
        (PlateKey::clone(key), name.clone())
    };
    names.iter().map(chosen).collect()
}

impl Screen for CorrectedScreen {
    fn name(&self) -> &str {
        self.screen.name()
    }

    fn channels(&self) -> &[Channel] {
        self.screen.channels()
    }

    fn sites(&self) -> &[Site] {
        self.screen.sites()
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        self.screen.plane_location(site_index, channel_index)
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        self.screen.is_present(site_index, channel_index)
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let version = self.screen.image_version(site_index, channel_index)?;
        let function = self.function_version(site_index, channel_index);
        Some(format!("{version}/{function}"))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        let plane = self.screen.read_plane(site_index, channel_index)?;
        self.corrected(site_index, channel_index, &plane, None)
    }

    fn image_size(&self, site_index: usize) -> Result<Option<(usize, usize)>, ScreenError> {
        self.screen.image_size(site_index)
    }

    fn read_region(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Tile,
    ) -> Result<Plane, ScreenError> {
        let plane = self.screen.read_region(site_index, channel_index, region)?;
        self.corrected(site_index, channel_index, &plane, Some(region))
    }

    fn unlisted_images(&self) -> Vec<String> {
        self.screen.unlisted_images()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }
}
