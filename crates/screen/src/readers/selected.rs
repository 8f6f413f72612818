use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use morphospace_core::{Channel, PlateKey, Site, SiteKey};
use serde::{Deserialize, Serialize};

use crate::ScreenError;
use crate::focus::focus;
use crate::pixel_history::{CHANNELS_NOTE, Z_NOTE};
use crate::screen::{Pixels, Plane, Screen};
use crate::tiling::Tile;

/// What becomes of a stack of z-planes: networks see one image per channel.
///
/// ```
/// use morphospace_screen::ZSelection;
///
/// assert_eq!("max".parse(), Ok(ZSelection::Max));
/// assert_eq!("7".parse(), Ok(ZSelection::Index(7)));
/// assert!("middle".parse::<ZSelection>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ZSelection {
    /// Each pixel's largest value: the maximum projection.
    Max,
    /// The plane in focus, chosen for each channel: the one with the largest
    /// variance of the Laplacian (Pech-Pacheco et al. 2000).
    Focus,
    /// The plane of this index.
    Index(u32),
}

/// A text that names no [`ZSelection`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a choice of z-planes (max, focus, or the index of a plane)")]
pub struct UnknownZSelection(String);

impl FromStr for ZSelection {
    type Err = UnknownZSelection;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "max" => Ok(Self::Max),
            "focus" => Ok(Self::Focus),
            _ => text
                .parse()
                .map(Self::Index)
                .map_err(|_| UnknownZSelection(text.to_owned())),
        }
    }
}

impl fmt::Display for ZSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Focus => f.write_str("focus"),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl TryFrom<String> for ZSelection {
    type Error = UnknownZSelection;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ZSelection> for String {
    fn from(selection: ZSelection) -> Self {
        selection.to_string()
    }
}

/// What of a screen is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// What becomes of z-planes; `None` keeps each as a site of its own.
    pub z: Option<ZSelection>,
    /// The time point that is used; `None` keeps each as a site of its own.
    pub timepoint: Option<u32>,
    /// The channels that are used, by position, in the order they are to
    /// have. An entry may repeat one: JUMP's AGP stands for actin and Golgi.
    pub channels: Option<Vec<(usize, Channel)>>,
    /// The sites that are used, by position and in order, such as those of a
    /// part of a [`Split`](crate::split::Split).
    pub sites: Option<Vec<usize>>,
    /// What chose these sites, for the screen's notes, e.g. `part train of
    /// the split of SHA-256 7f9f…`.
    pub sites_by: Option<String>,
}

impl Selection {
    /// Whether the screen stays as it is.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Part of another screen: one time point, one image of each stack of
/// z-planes, chosen channels.
pub struct SelectedScreen {
    screen: Box<dyn Screen>,
    z: Option<ZSelection>,
    channels: Vec<Channel>,
    /// For each channel its position in the screen.
    sources: Vec<usize>,
    sites: Vec<Site>,
    /// For each site those of the screen that make it up, by z.
    stacks: Vec<Vec<usize>>,
    notes: Vec<String>,
}

impl SelectedScreen {
    /// Chooses from a screen.
    ///
    /// # Errors
    /// [`ScreenError::EmptyScreen`]: no site has that time point or plane;
    /// the message says which there are.
    pub fn new(screen: Box<dyn Screen>, selection: &Selection) -> Result<Self, ScreenError> {
        refuse_unknown(&*screen, selection)?;
        let mut stacks: BTreeMap<SiteKey, Vec<usize>> = BTreeMap::new();
        let mut wanted = BTreeSet::new();
        for (index, site) in screen.sites().iter().enumerate() {
            let chosen = selection.sites.as_ref();
            if chosen.is_some_and(|chosen| chosen.binary_search(&index).is_err()) {
                continue;
            }
            let mut key = site.key.clone();
            if selection.z.is_some() {
                key.z_index = None;
            }
            if selection.timepoint.is_some() {
                key.time_index = None;
            }
            let time = site.key.time_index;
            if selection.timepoint.is_none() || time.is_none() || time == selection.timepoint {
                stacks.entry(key.clone()).or_default().push(index);
            }
            wanted.insert(key);
        }
        if let Some(ZSelection::Index(wanted)) = selection.z {
            stacks.retain(|_, stack| {
                let z = |&site: &usize| screen.sites()[site].key.z_index;
                stack.iter().all(|site| z(site).is_none())
                    || stack.iter().any(|site| z(site) == Some(wanted))
            });
        }
        if stacks.is_empty() {
            return Err(nothing_selected(&*screen, selection));
        }
        wanted.retain(|key| !stacks.contains_key(key));
        let mut notes = screen.notes().to_vec();
        if let Some(z) = selection.z {
            notes.push(format!("{Z_NOTE}{z}"));
        }
        if let Some(timepoint) = selection.timepoint {
            notes.push(format!("time point: {timepoint}"));
        }
        if let Some(chosen) = &selection.channels {
            notes.extend(note_of_channels(screen.channels(), chosen));
        }
        notes.extend(note_of_left_out(&wanted, selection));
        if let Some(sites) = &selection.sites {
            let (chosen, all) = (sites.len(), screen.sites().len());
            let by = selection.sites_by.as_ref();
            let by = by.map_or_else(String::new, |by| format!(", {by}"));
            notes.push(format!("chosen sites: {chosen} of {all}{by}"));
        }
        let (sources, channels) = match &selection.channels {
            Some(chosen) => chosen.iter().cloned().unzip(),
            None => (0..screen.channels().len())
                .map(|index| (index, screen.channels()[index].clone()))
                .unzip(),
        };
        let mut sites = Vec::with_capacity(stacks.len());
        let mut members = Vec::with_capacity(stacks.len());
        for (key, stack) in stacks {
            let well = screen.sites()[stack[0]].well.clone();
            sites.push(Site { key, well });
            members.push(stack);
        }
        Ok(Self {
            screen,
            z: selection.z,
            channels,
            sources,
            sites,
            stacks: members,
            notes,
        })
    }

    /// The planes of a stack that have the channel. Microscopes take some
    /// channels at one height only, or store their projection alone: it stands
    /// in for planes that are not there, and adds nothing to a maximum.
    fn present(&self, site_index: usize, channel_index: usize) -> Vec<usize> {
        let source = self.sources[channel_index];
        let stack = self.stacks[site_index].iter().copied();
        let (planes, projections): (Vec<usize>, Vec<usize>) = stack
            .filter(|&site| self.screen.is_present(site, source))
            .partition(|&site| self.screen.sites()[site].key.z_index.is_some());
        match self.z {
            Some(ZSelection::Focus) if !planes.is_empty() => planes,
            Some(ZSelection::Index(_)) if !planes.is_empty() => {
                let plane = self.plane_of_index(site_index);
                planes
                    .into_iter()
                    .filter(|site| plane == Some(*site))
                    .collect()
            }
            // In the order of the stack.
            _ => projections.into_iter().chain(planes).collect(),
        }
    }

    /// The plane of a stack that [`ZSelection::Index`] means.
    fn plane_of_index(&self, site_index: usize) -> Option<usize> {
        let Some(ZSelection::Index(wanted)) = self.z else {
            return None;
        };
        let mut stack = self.stacks[site_index].iter().copied();
        stack.find(|&site| self.screen.sites()[site].key.z_index == Some(wanted))
    }

    /// One image of the planes of a stack.
    fn project(
        &self,
        site_index: usize,
        channel_index: usize,
        read: impl Fn(usize, usize) -> Result<Plane, ScreenError>,
    ) -> Result<Plane, ScreenError> {
        let source = self.sources[channel_index];
        let present = self.present(site_index, channel_index);
        let named = |error: ScreenError| match error {
            // The planes have names of their own; so has their image.
            ScreenError::Image(image) => self.image_error(site_index, channel_index, image.problem),
            other => other,
        };
        let Some((&first, rest)) = present.split_first() else {
            let lacking = self.plane_of_index(site_index);
            let lacking = lacking.unwrap_or(self.stacks[site_index][0]);
            return read(lacking, source).map_err(named);
        };
        let mut projected = read(first, source).map_err(named)?;
        let mut best_focus = match (self.z, rest.is_empty()) {
            (Some(ZSelection::Focus), false) => focus(&projected),
            _ => None,
        };
        for &site in rest {
            let plane = read(site, source).map_err(named)?;
            if self.z == Some(ZSelection::Focus) {
                let found = focus(&plane);
                if found > best_focus {
                    (projected, best_focus) = (plane, found);
                }
            } else {
                projected = self
                    .brighter(projected, &plane)
                    .ok_or_else(|| self.uneven_stack(site_index, channel_index))?;
            }
        }
        Ok(projected)
    }

    fn brighter(&self, mut a: Plane, b: &Plane) -> Option<Plane> {
        if (a.width, a.height) != (b.width, b.height) {
            return None;
        }
        match (&mut a.pixels, &b.pixels) {
            (Pixels::U8(a), Pixels::U8(b)) => a.iter_mut().zip(b).for_each(|(a, b)| *a = *b.max(a)),
            (Pixels::U16(a), Pixels::U16(b)) => {
                a.iter_mut().zip(b).for_each(|(a, b)| *a = *b.max(a));
            }
            _ => return None,
        }
        Some(a)
    }

    fn uneven_stack(&self, site_index: usize, channel_index: usize) -> ScreenError {
        let message = "the planes of its stack differ in size or bit depth".to_owned();
        let problem = crate::ImageProblem::CannotRead(message);
        self.image_error(site_index, channel_index, problem)
    }
}

/// Refuses an index that no site has.
fn refuse_unknown(screen: &dyn Screen, selection: &Selection) -> Result<(), ScreenError> {
    let mut keys = screen.sites().iter().map(|site| &site.key);
    let is_known = match (selection.z, selection.timepoint) {
        (Some(ZSelection::Index(z)), Some(time)) => {
            keys.clone().any(|key| key.z_index == Some(z))
                && keys.any(|key| key.time_index == Some(time))
        }
        (Some(ZSelection::Index(z)), None) => keys.any(|key| key.z_index == Some(z)),
        (_, Some(time)) => keys.any(|key| key.time_index == Some(time)),
        _ => true,
    };
    if is_known {
        Ok(())
    } else {
        Err(nothing_selected(screen, selection))
    }
}

/// Says which channels serve as others.
fn note_of_channels(available: &[Channel], chosen: &[(usize, Channel)]) -> Option<String> {
    let renamed = |(index, channel): &(usize, Channel)| {
        let source = &available[*index];
        (source != channel).then(|| format!("{channel} is {source}"))
    };
    let renamed: Vec<String> = chosen.iter().filter_map(renamed).collect();
    (!renamed.is_empty()).then(|| format!("{CHANNELS_NOTE}{}", renamed.join(", ")))
}

fn note_of_left_out(left_out: &BTreeSet<SiteKey>, selection: &Selection) -> Option<String> {
    let first = left_out.first()?;
    let plates: BTreeSet<&PlateKey> = left_out.iter().map(|key| &key.plate).collect();
    let (sites, plates) = (left_out.len(), plates.len());
    let mut lacking = Vec::new();
    if let Some(ZSelection::Index(z)) = selection.z {
        lacking.push(format!("z-plane {z}"));
    }
    if let Some(timepoint) = selection.timepoint {
        lacking.push(format!("time point {timepoint}"));
    }
    let lacking = lacking.join(" or ");
    Some(format!(
        "sites without {lacking} are left out: {sites}, on plates: {plates} (first {first})"
    ))
}

fn nothing_selected(screen: &dyn Screen, selection: &Selection) -> ScreenError {
    let found = |index: fn(&SiteKey) -> Option<u32>| {
        let indices: BTreeSet<u32> = screen
            .sites()
            .iter()
            .filter_map(|site| index(&site.key))
            .collect();
        let indices: Vec<String> = indices.iter().map(ToString::to_string).collect();
        match indices.is_empty() {
            true => "not told apart".to_owned(),
            false => indices.join(", "),
        }
    };
    let wanted_z = selection.z.map_or("any".to_owned(), |z| z.to_string());
    let wanted_time = selection
        .timepoint
        .map_or("any".to_owned(), |t| t.to_string());
    ScreenError::EmptyScreen {
        name: screen.name().to_owned(),
        reason: format!(
            "none has z {wanted_z} and time point {wanted_time}\nhint: z-planes are {}; time points \
             are {}",
            found(|key| key.z_index),
            found(|key| key.time_index)
        ),
    }
}

impl Screen for SelectedScreen {
    fn name(&self) -> &str {
        self.screen.name()
    }

    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let source = self.sources[channel_index];
        let present = self.present(site_index, channel_index);
        let first = present.first().or(self.stacks[site_index].first())?;
        self.screen.plane_location(*first, source)
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        !self.present(site_index, channel_index).is_empty()
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let source = self.sources[channel_index];
        let planes = self.present(site_index, channel_index);
        let versions: Option<Vec<String>> = planes
            .iter()
            .map(|&site| self.screen.image_version(site, source))
            .collect();
        let versions = versions.filter(|versions| !versions.is_empty())?;
        let z = self.z.map(|z| z.to_string()).unwrap_or_default();
        Some(format!("{z}({})", versions.join(",")))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        self.project(site_index, channel_index, |site, source| {
            self.screen.read_plane(site, source)
        })
    }

    fn image_size(&self, site_index: usize) -> Result<Option<(usize, usize)>, ScreenError> {
        self.screen.image_size(self.stacks[site_index][0])
    }

    fn read_region(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Tile,
    ) -> Result<Plane, ScreenError> {
        // Which plane is in focus is a matter of the whole image.
        if self.z == Some(ZSelection::Focus) && self.stacks[site_index].len() > 1 {
            return Ok(self.read_plane(site_index, channel_index)?.region(region));
        }
        self.project(site_index, channel_index, |site, source| {
            self.screen.read_region(site, source, region)
        })
    }

    fn unlisted_images(&self) -> Vec<String> {
        self.screen.unlisted_images()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn illumination_path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let site = self.stacks[site_index][0];
        self.screen
            .illumination_path(site, self.sources[channel_index])
    }

    fn read_illumination(
        &self,
        site_index: usize,
        channel_index: usize,
    ) -> Result<Option<Vec<u8>>, ScreenError> {
        let site = self.stacks[site_index][0];
        self.screen
            .read_illumination(site, self.sources[channel_index])
    }
}
