//! A screen whose images are in memory.

use std::sync::Arc;

use morphospace_core::{Channel, ControlRole, Perturbation, PlateKey, Site, SiteKey, Well};
use morphospace_screen::{ImageProblem, Pixels, Plane, Screen, ScreenError};

/// Sites are added in sorted order.
pub(crate) struct MemoryScreen {
    pub(crate) channels: Vec<Channel>,
    pub(crate) sites: Vec<Site>,
    /// For each site, the image of each channel.
    pub(crate) planes: Vec<Vec<Option<Plane>>>,
    pub(crate) notes: Vec<String>,
}

impl MemoryScreen {
    pub(crate) fn new(channels: Vec<Channel>) -> Self {
        Self {
            channels,
            sites: Vec::new(),
            planes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a site of a well that holds one reagent, none if untreated.
    pub(crate) fn add(
        &mut self,
        plate: &PlateKey,
        well: &str,
        site: u32,
        control_role: ControlRole,
        planes: Vec<Option<Plane>>,
    ) {
        let address = well.parse().expect("a well");
        let reagent = Perturbation::Sirna {
            name: format!("s{well}"),
            gene: None,
        };
        let perturbations = match control_role {
            ControlRole::Untreated => vec![],
            _ => vec![reagent],
        };
        let described = Well {
            plate: plate.clone(),
            address,
            original_address: well.to_owned(),
            perturbations,
            background: None,
            control_role,
            cell_type: Some(plate.experiment.series().to_owned()),
        };
        self.sites.push(Site {
            key: SiteKey::new(plate.clone(), address, site),
            well: Arc::new(described),
        });
        self.planes.push(planes);
    }
}

/// An 8-bit image whose pixels are a function of column and row.
pub(crate) fn plane(width: usize, height: usize, pixel: impl Fn(usize, usize) -> u8) -> Plane {
    let place = |index: usize| (index % width, index / width);
    let pixels = (0..width * height)
        .map(|index| pixel(place(index).0, place(index).1))
        .collect();
    Plane {
        width,
        height,
        pixels: Pixels::U8(pixels),
    }
}

impl Screen for MemoryScreen {
    fn name(&self) -> &str {
        "memory"
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
        let channel = &self.channels[channel_index].name;
        Some(format!("{} {channel}", self.sites[site_index].key))
    }

    fn is_present(&self, site_index: usize, channel_index: usize) -> bool {
        self.planes[site_index][channel_index].is_some()
    }

    fn image_version(&self, site_index: usize, channel_index: usize) -> Option<String> {
        let plane = self.planes[site_index][channel_index].as_ref()?;
        let bytes: Vec<u8> = plane
            .values()
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        Some(morphospace_core::sha256_hex(&bytes))
    }

    fn read_plane(&self, site_index: usize, channel_index: usize) -> Result<Plane, ScreenError> {
        let plane = self.planes[site_index][channel_index].clone();
        plane.ok_or_else(|| self.image_error(site_index, channel_index, ImageProblem::Missing))
    }
}
