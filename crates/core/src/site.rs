use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{PlateKey, Well, WellAddress};

/// Which field of view: plate, well, site number, and z-plane and time point
/// where the microscope recorded several.
///
/// ```
/// use morphospace_core::{PlateKey, SiteKey};
///
/// let site = SiteKey::new(PlateKey::new("HUVEC-01", "1"), "B02".parse()?, 2);
/// assert_eq!(site.to_string(), "HUVEC-01 plate 1 well B02 site 2");
/// assert_eq!(site.site_id(), "HUVEC-01_1_B02_2");
/// assert_eq!(site.well_id(), "HUVEC-01_1_B02");
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SiteKey {
    /// The plate.
    pub plate: PlateKey,
    /// The well.
    pub well: WellAddress,
    /// Site number as the data set counts (RxRx1: 1 and 2).
    pub site: u32,
    /// Index of the z-plane, from 0, if there are several.
    pub z_index: Option<u32>,
    /// Index of the time point, from 0, if there are several.
    pub time_index: Option<u32>,
}

impl SiteKey {
    /// A site with a single z-plane and time point.
    pub fn new(plate: PlateKey, well: WellAddress, site: u32) -> Self {
        Self {
            plate,
            well,
            site,
            z_index: None,
            time_index: None,
        }
    }

    /// RxRx's `well_id`: `{experiment}_{plate}_{well}`.
    pub fn well_id(&self) -> String {
        format!(
            "{}_{}_{}",
            self.plate.experiment, self.plate.plate, self.well
        )
    }

    /// RxRx's `site_id`: `{well_id}_{site}`.
    pub fn site_id(&self) -> String {
        format!("{}_{}", self.well_id(), self.site)
    }
}

impl fmt::Display for SiteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} well {} site {}", self.plate, self.well, self.site)?;
        if let Some(z) = self.z_index {
            write!(f, " z {z}")?;
        }
        if let Some(t) = self.time_index {
            write!(f, " time point {t}")?;
        }
        Ok(())
    }
}

/// A site and the well it belongs to. Sites of one well share the well.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// Which field of view.
    pub key: SiteKey,
    /// The well it was taken in.
    pub well: Arc<Well>,
}
