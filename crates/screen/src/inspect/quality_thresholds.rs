use serde::{Deserialize, Serialize};

use crate::ScreenError;

/// Where quality control draws its lines.
///
/// ```
/// use morphospace_screen::QualityThresholds;
///
/// let strict = QualityThresholds { saturated_fraction: 0.001, ..QualityThresholds::default() };
/// assert!(strict.check().is_ok());
/// let senseless = QualityThresholds { saturated_fraction: 1.5, ..strict };
/// assert!(senseless.check().unwrap_err().to_string().contains("saturated_fraction"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualityThresholds {
    /// An image whose standard deviation is below this is blank; in grey
    /// levels of its own bit depth.
    pub blank_sd: f64,
    /// An image with a larger share of pixels at the greatest value of its
    /// bit depth is saturated. Cameras of 12 bit in files of 16 saturate at
    /// 4,095, which this does not see.
    pub saturated_fraction: f64,
    /// An image is an outlier in intensity, or out of focus, if its robust
    /// z-score among the images of its plate and channel is beyond this.
    /// Iglewicz & Hoaglin 1993 recommend 3.5; phenotypes need more room.
    pub outlier_z: f64,
    /// Plates with fewer images of a channel have no outliers.
    pub min_images: usize,
    /// A well with less than this share of the DNA foreground of its plate's
    /// median well has few cells.
    pub few_cells_fraction: f64,
}

impl Default for QualityThresholds {
    fn default() -> Self {
        Self {
            blank_sd: 0.5,
            saturated_fraction: 0.01,
            outlier_z: 5.0,
            min_images: 10,
            few_cells_fraction: 0.25,
        }
    }
}

impl QualityThresholds {
    /// Refuses thresholds that no image, or every image, would meet.
    ///
    /// # Errors
    /// [`ScreenError::InvalidThreshold`] names it and says what it can be.
    pub fn check(&self) -> Result<(), ScreenError> {
        let refused = |name, value: f64, allowed| {
            Err(ScreenError::InvalidThreshold {
                name,
                value,
                allowed,
            })
        };
        if !(self.blank_sd >= 0.0 && self.blank_sd.is_finite()) {
            return refused("blank_sd", self.blank_sd, "0 or more");
        }
        if !(0.0..1.0).contains(&self.saturated_fraction) {
            return refused(
                "saturated_fraction",
                self.saturated_fraction,
                "at least 0 and less than 1",
            );
        }
        if !(self.outlier_z > 0.0 && self.outlier_z.is_finite()) {
            return refused("outlier_z", self.outlier_z, "more than 0");
        }
        if self.min_images < 3 {
            return refused("min_images", self.min_images as f64, "3 or more");
        }
        if !(0.0..=1.0).contains(&self.few_cells_fraction) {
            return refused("few_cells_fraction", self.few_cells_fraction, "0 to 1");
        }
        Ok(())
    }
}
