//! The temperature of a teacher by epoch.

use serde::{Deserialize, Serialize};

use super::check_positive;
use crate::TrainError;

/// What a teacher's outputs are divided by: from one value to another in equal
/// steps over the first epochs, then constant. A low one makes sharp targets,
/// too high a one in the beginning makes training unstable.
///
/// # Source
/// Caron et al. 2021; facebookresearch/dino `main_dino.DINOLoss`
///
/// # Example
/// ```
/// use morphospace_train::losses::TeacherTemperature;
///
/// let temperature = TeacherTemperature {
///     warmup_teacher_temp: 0.04,
///     teacher_temp: 0.07,
///     warmup_teacher_temp_epochs: 4,
/// };
/// assert_eq!(temperature.of_epoch(0), 0.04);
/// assert!((temperature.of_epoch(1) - 0.05).abs() < 1e-12);
/// assert_eq!(temperature.of_epoch(4), 0.07);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeacherTemperature {
    /// Of the first epoch, if there is a warm-up.
    pub warmup_teacher_temp: f64,
    /// After the warm-up; the last epoch of it has this one too.
    pub teacher_temp: f64,
    /// Epochs of the warm-up.
    pub warmup_teacher_temp_epochs: usize,
}

impl Default for TeacherTemperature {
    /// Facebook's for DINO: always 0.04.
    fn default() -> Self {
        Self {
            warmup_teacher_temp: 0.04,
            teacher_temp: 0.04,
            warmup_teacher_temp_epochs: 0,
        }
    }
}

impl TeacherTemperature {
    /// DINOv2's: from 0.04 to 0.07 over 30 epochs.
    pub const DINO_V2: Self = Self {
        warmup_teacher_temp: 0.04,
        teacher_temp: 0.07,
        warmup_teacher_temp_epochs: 30,
    };

    /// Whether the numbers can be.
    ///
    /// # Errors
    /// [`TrainError::InvalidConfig`] gives the number and its range.
    pub fn check(&self) -> Result<(), TrainError> {
        check_positive("warmup_teacher_temp", self.warmup_teacher_temp)?;
        check_positive("teacher_temp", self.teacher_temp)
    }

    /// The temperature of an epoch, counted from 0.
    pub fn of_epoch(self, epoch: usize) -> f64 {
        let num_epochs = self.warmup_teacher_temp_epochs;
        if epoch >= num_epochs {
            return self.teacher_temp;
        }
        let progress = epoch as f64 / (num_epochs - 1).max(1) as f64;
        self.warmup_teacher_temp + (self.teacher_temp - self.warmup_teacher_temp) * progress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_numpy_linspace() {
        for (num_epochs, expected) in [
            (0, [0.07, 0.07, 0.07]),
            (1, [0.04, 0.07, 0.07]),
            (2, [0.04, 0.07, 0.07]),
            (3, [0.04, 0.055, 0.07]),
        ] {
            let temperature = TeacherTemperature {
                warmup_teacher_temp_epochs: num_epochs,
                ..TeacherTemperature::DINO_V2
            };
            for (epoch, expected) in expected.into_iter().enumerate() {
                let found = temperature.of_epoch(epoch);
                assert!((found - expected).abs() < 1e-12, "{num_epochs}, {epoch}");
            }
        }
    }
}
