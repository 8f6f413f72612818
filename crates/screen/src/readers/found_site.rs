use std::collections::BTreeMap;

use morphospace_core::{Channel, ControlRole, SiteKey, Well};

use crate::ScreenError;

/// A site as a table row or file names gave it.
pub(super) struct FoundSite {
    pub(super) key: SiteKey,
    pub(super) original_address: String,
    pub(super) layout: Option<String>,
    /// One path per channel, relative to the root.
    pub(super) images: Vec<Option<String>>,
    /// Likewise of the illumination functions; empty where there are none.
    pub(super) illumination: Vec<Option<String>>,
    /// The row of the index, if there is one.
    pub(super) row: Option<usize>,
    /// For messages.
    pub(super) place: String,
}

impl FoundSite {
    /// The site's well, of which nothing but the address is known.
    pub(super) fn unlabelled_well(&self) -> Well {
        Well {
            plate: self.key.plate.clone(),
            address: self.key.well,
            original_address: self.original_address.clone(),
            perturbations: Vec::new(),
            background: None,
            control_role: ControlRole::Treatment,
            cell_type: None,
        }
    }
}

/// Gathers images, each told by its file's name, into sites.
pub(super) struct SitesOfFiles<'a> {
    channels: &'a [Channel],
    sites: BTreeMap<SiteKey, FoundSite>,
}

/// What a file's name says.
pub(super) struct NamedImage {
    pub(super) key: SiteKey,
    pub(super) original_address: String,
    pub(super) layout: Option<String>,
    pub(super) path: String,
}

impl<'a> SitesOfFiles<'a> {
    pub(super) fn new(channels: &'a [Channel]) -> Self {
        Self {
            channels,
            sites: BTreeMap::new(),
        }
    }

    /// Adds an image to its site.
    ///
    /// # Errors
    /// [`ScreenError::DuplicateImage`]: the site has one of this channel.
    pub(super) fn add(
        &mut self,
        image: NamedImage,
        channel_index: usize,
    ) -> Result<(), ScreenError> {
        let site = self
            .sites
            .entry(image.key)
            .or_insert_with_key(|key| FoundSite {
                key: key.clone(),
                original_address: image.original_address,
                layout: image.layout,
                images: vec![None; self.channels.len()],
                illumination: Vec::new(),
                row: None,
                place: format!("file '{}'", image.path),
            });
        if let Some(first) = &site.images[channel_index] {
            return Err(ScreenError::DuplicateImage {
                site: Box::new(site.key.clone()),
                channel: self.channels[channel_index].clone(),
                first: first.clone(),
                second: image.path,
            });
        }
        site.images[channel_index] = Some(image.path);
        Ok(())
    }

    pub(super) fn into_sites(self) -> Vec<FoundSite> {
        self.sites.into_values().collect()
    }
}
