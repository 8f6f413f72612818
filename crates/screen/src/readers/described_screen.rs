use std::sync::Arc;

use morphospace_core::{Channel, Experiment, Site, SiteKey, Well, suggestion};

use crate::ScreenError;
use crate::readers::found_site::FoundSite;
use crate::readers::index_screen::Labels;
use crate::readers::open::open_as;
use crate::readers::{IndexScreen, ScreenDescription, ScreenFormat, SelectedScreen, Selection};
use crate::screen::{Plane, Screen};
use crate::site_list::{Wells, sorted_unique};
use crate::store::SharedStore;
use crate::tiling::Tile;

/// Opens the screen that a description describes.
///
/// # Errors
/// As [`IndexScreen::open`] and, with a `format`, as its reader; also that
/// the reader finds no channel of a name.
pub(super) fn open_described(
    store: SharedStore,
    description: &ScreenDescription,
) -> Result<Box<dyn Screen>, ScreenError> {
    let mut selection = Selection {
        z: description.z,
        timepoint: description.timepoint,
        channels: None,
        sites: None,
        sites_by: None,
    };
    let screen: Box<dyn Screen> = match &description.format {
        None => {
            let alone = ScreenDescription {
                z: None,
                timepoint: None,
                ..description.clone()
            };
            Box::new(IndexScreen::open_in(store, &alone)?)
        }
        Some(format) => {
            description.check(&store.location())?;
            let format: ScreenFormat = format.parse()?;
            let screen = open_as(SharedStore::clone(&store), &format)?;
            let mut notes = screen.notes().to_vec();
            selection.channels = described_channels(&*screen, description, &mut notes)?;
            Box::new(LabelledScreen::new(screen, &store, description, notes)?)
        }
    };
    if selection.is_all() {
        return Ok(screen);
    }
    Ok(Box::new(SelectedScreen::new(screen, &selection)?))
}

/// The described channels with their positions among the reader's; `None`
/// where all are taken as they are.
fn described_channels(
    screen: &dyn Screen,
    description: &ScreenDescription,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<(usize, Channel)>>, ScreenError> {
    let available: Vec<&str> = screen.channels().iter().map(|c| c.name.as_str()).collect();
    let position = |name: &str| {
        let found = available.iter().position(|other| *other == name);
        found.ok_or_else(|| unknown_channel(screen, name, &available))
    };
    let ignored = &description.ignored_channels;
    let ignored = ignored.iter().map(|name| position(name));
    let ignored = ignored.collect::<Result<Vec<usize>, _>>()?;
    let mut chosen = Vec::new();
    if description.channels.is_empty() {
        if ignored.is_empty() {
            return Ok(None);
        }
        let kept = (0..available.len()).filter(|index| !ignored.contains(index));
        chosen.extend(kept.map(|index| (index, screen.channels()[index].clone())));
        return Ok(Some(chosen));
    }
    for (described, channel) in description.channels.iter().zip(description.channels()) {
        chosen.push((position(described.original_name())?, channel));
    }
    let is_known = |index: &usize| {
        ignored.contains(index) || chosen.iter().any(|(position, _)| position == index)
    };
    let left_out: Vec<&str> = (0..available.len())
        .filter(|index| !is_known(index))
        .map(|index| available[index])
        .collect();
    if !left_out.is_empty() {
        notes.push(format!(
            "channels that the description does not list are left out: {} (to have them, add them \
             under [[channels]])",
            left_out.join(", ")
        ));
    }
    Ok(Some(chosen))
}

fn unknown_channel(screen: &dyn Screen, name: &str, available: &[&str]) -> ScreenError {
    let near = suggestion(name, available.iter().copied())
        .map_or_else(String::new, |near| format!(" (did you mean '{near}'?)"));
    ScreenError::InvalidDescription {
        name: screen.name().to_owned(),
        message: format!(
            "the screen has no channel '{name}'{near}\nhint: its channels are {}; 'original_name' \
             is what the description's channel is called there",
            available.join(", ")
        ),
    }
}

/// A screen whose wells are labelled by what its own reader does not know.
struct LabelledScreen {
    screen: Box<dyn Screen>,
    name: String,
    sites: Vec<Site>,
    /// For each site its position in the screen.
    sources: Vec<usize>,
    notes: Vec<String>,
}

impl LabelledScreen {
    fn new(
        screen: Box<dyn Screen>,
        store: &SharedStore,
        description: &ScreenDescription,
        mut notes: Vec<String>,
    ) -> Result<Self, ScreenError> {
        let found: Vec<FoundSite> = screen
            .sites()
            .iter()
            .map(|site| found_site(site, description))
            .collect();
        let labels = Labels::read(store, description, None)?;
        labels.check_that_some_match(&found)?;
        notes.extend(labels.notes(&found));
        let mut wells = Wells::default();
        let mut items = Vec::with_capacity(found.len());
        for (source, found) in found.into_iter().enumerate() {
            let known = &screen.sites()[source].well;
            let well = labelled_well(&found, known, &labels, description)?;
            let place = |index: usize| {
                let earlier: Option<&(Site, (usize, String))> = items.get(index);
                earlier
                    .map_or(&found.place, |(_, (_, place))| place)
                    .clone()
            };
            let well = wells.share(well, items.len(), place)?;
            items.push((
                Site {
                    key: found.key,
                    well,
                },
                (source, found.place),
            ));
        }
        let (sites, sources) = sorted_unique(items, |_, (_, place)| place.clone())?;
        let name = description.name.clone();
        Ok(Self {
            name: name.unwrap_or_else(|| screen.name().to_owned()),
            screen,
            sites,
            sources: sources.into_iter().map(|(source, _)| source).collect(),
            notes,
        })
    }

    /// An error of the screen, by the names that its sites have here.
    fn named(&self, site_index: usize, channel_index: usize, error: ScreenError) -> ScreenError {
        match error {
            ScreenError::Image(image) => self.image_error(site_index, channel_index, image.problem),
            other => other,
        }
    }
}

/// A site of the reader with the description's source and experiment.
fn found_site(site: &Site, description: &ScreenDescription) -> FoundSite {
    let mut key: SiteKey = site.key.clone();
    if let Some(source) = &description.source {
        key.plate.source = Some(source.clone());
    }
    if let Some(experiment) = &description.experiment {
        key.plate.experiment = Experiment::new(experiment.as_str());
    }
    FoundSite {
        key,
        original_address: site.well.original_address.clone(),
        layout: None,
        images: Vec::new(),
        illumination: Vec::new(),
        row: None,
        place: site.key.to_string(),
    }
}

/// What the annotation says of a well, else what the reader knows, else what
/// the description says of all.
fn labelled_well(
    found: &FoundSite,
    known: &Arc<Well>,
    labels: &Labels,
    description: &ScreenDescription,
) -> Result<Well, ScreenError> {
    let mut well = labels.describe(found, description)?;
    if !labels.has_row(found) {
        well.perturbations.clone_from(&known.perturbations);
        well.control_role = known.control_role;
        well.cell_type = known.cell_type.clone().or(well.cell_type);
        well.background = known.background.clone().or(well.background);
    }
    Ok(well)
}

impl Screen for LabelledScreen {
    fn name(&self) -> &str {
        &self.name
    }

    fn channels(&self) -> &[Channel] {
        self.screen.channels()
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn plane_location(&self, site_index: usize, channel_index: usize) -> Option<String> {
        self.screen
            .plane_location(self.sources[site_index], channel_index)
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        self.screen
            .is_present(self.sources[site_index], channel_index)
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        self.screen
            .image_version(self.sources[site_index], channel_index)
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        self.screen
            .read_plane(self.sources[site_index], channel_index)
            .map_err(|error| self.named(site_index, channel_index, error))
    }

    fn image_size(&self, site_index: usize) -> Result<Option<(usize, usize)>, ScreenError> {
        self.screen.image_size(self.sources[site_index])
    }

    fn read_region(
        &self,
        site_index: usize,
        channel_index: usize,
        region: Tile,
    ) -> Result<Plane, ScreenError> {
        self.screen
            .read_region(self.sources[site_index], channel_index, region)
            .map_err(|error| self.named(site_index, channel_index, error))
    }

    fn unlisted_images(&self) -> Vec<String> {
        self.screen.unlisted_images()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn illumination_path(&self, site_index: usize, channel_index: usize) -> Option<String> {
        self.screen
            .illumination_path(self.sources[site_index], channel_index)
    }

    fn read_illumination(
        &self,
        site_index: usize,
        channel_index: usize,
    ) -> Result<Option<Vec<u8>>, ScreenError> {
        self.screen
            .read_illumination(self.sources[site_index], channel_index)
    }
}
