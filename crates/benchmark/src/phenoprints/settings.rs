use morphospace_core::Seed;
use morphospace_map::ConditionColumns;
use serde::{Deserialize, Serialize};

use super::error::PhenoprintError;
use crate::ConsistencyForm;

/// How conditions are tested.
///
/// ```
/// use morphospace_benchmark::PhenoprintSettings;
///
/// let settings = PhenoprintSettings::default();
/// assert_eq!((settings.num_draws, settings.threshold), (5000, 0.01));
/// // The smallest p-value of 50 draws is 0.02.
/// let senseless = PhenoprintSettings { num_draws: 50, ..settings };
/// assert!(senseless.check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PhenoprintSettings {
    /// Where the table says what was done.
    pub columns: ConditionColumns,
    /// What is measured, and with what it is compared.
    pub form: ConsistencyForm,
    /// Draws behind each p-value.
    pub num_draws: usize,
    /// A condition with a smaller p-value has a phenoprint.
    pub threshold: f64,
    /// Conditions or targets that are known to do nothing, such as genes that are
    /// not expressed: the null of `efaar10`. Without any, those of the negative
    /// controls.
    pub null_conditions: Vec<String>,
    /// Seed of the draws.
    pub seed: Seed,
}

impl Default for PhenoprintSettings {
    fn default() -> Self {
        Self {
            columns: ConditionColumns::default(),
            form: ConsistencyForm::default(),
            num_draws: 5000,
            threshold: 0.01,
            null_conditions: Vec::new(),
            seed: Seed::new(0),
        }
    }
}

impl PhenoprintSettings {
    /// Refuses settings by which no condition could have a phenoprint.
    ///
    /// # Errors
    /// [`PhenoprintError::InvalidSetting`] names it and says what it can be.
    pub fn check(&self) -> Result<(), PhenoprintError> {
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            return Err(PhenoprintError::InvalidSetting {
                setting: "threshold",
                value: self.threshold.to_string(),
                expected: "more than 0 and at most 1".to_owned(),
            });
        }
        let draws = self.form != ConsistencyForm::DifferentPairs;
        if draws && self.num_draws as f64 * self.threshold <= 1.0 {
            return Err(PhenoprintError::InvalidSetting {
                setting: "num_draws",
                value: self.num_draws.to_string(),
                expected: format!(
                    "more than {}: no p-value is below one of the draws",
                    (1.0 / self.threshold).floor()
                ),
            });
        }
        Ok(())
    }
}
