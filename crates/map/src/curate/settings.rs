use serde::{Deserialize, Serialize};

use super::error::CurateError;
use super::quality::QualityRules;
use super::step::CurateStep;
use super::under_sampling::UnderSampling;
use crate::ConditionColumns;

/// How a screen is curated. The defaults are the numbers of Kenyon-Dean et al. 2024,
/// appendix A.1.
///
/// ```
/// use morphospace_map::{CurateSettings, CurateStep};
///
/// let settings = CurateSettings {
///     skip: vec![CurateStep::UnderSampling],
///     min_experiments: 2,
///     ..CurateSettings::default()
/// };
/// assert!(settings.check().is_ok());
/// let senseless = CurateSettings { min_wells: 0, ..settings };
/// assert!(senseless.check().unwrap_err().to_string().contains("min_wells"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CurateSettings {
    /// Steps that are not taken.
    pub skip: Vec<CurateStep>,
    /// Where a table says what was done; not used for sites of a screen.
    pub columns: ConditionColumns,
    /// The column of plates of a table.
    pub plate: String,
    /// The column of wells of a table.
    pub well: String,
    /// Which rows quality control refuses.
    pub quality: QualityRules,
    /// A row with more perturbations is dropped.
    pub max_perturbations: usize,
    /// Channels that a row must have; of most rows, if none is given.
    pub num_channels: Option<u32>,
    /// Width and height that images must have, in pixels; those of most rows, if
    /// none are given.
    pub image_size_px: Option<[u32; 2]>,
    /// A condition in fewer experiments is dropped.
    pub min_experiments: usize,
    /// A condition in fewer wells is dropped.
    pub min_wells: usize,
    /// Which share of wells is kept by their role.
    pub under_sampling: UnderSampling,
    /// Whether negative controls must have a phenoprint, too. They have none by
    /// design, so that all of them would go.
    pub controls_need_phenoprints: bool,
}

impl Default for CurateSettings {
    fn default() -> Self {
        Self {
            skip: Vec::new(),
            columns: ConditionColumns::default(),
            plate: "Metadata_Plate".to_owned(),
            well: "Metadata_Well".to_owned(),
            quality: QualityRules::default(),
            max_perturbations: 3,
            num_channels: None,
            image_size_px: None,
            min_experiments: 3,
            min_wells: 20,
            under_sampling: UnderSampling::default(),
            controls_need_phenoprints: false,
        }
    }
}

impl CurateSettings {
    /// Refuses settings by which every row, or none, would be dropped.
    ///
    /// # Errors
    /// [`CurateError::InvalidSetting`] names it and says what it can be.
    pub fn check(&self) -> Result<(), CurateError> {
        for (setting, value) in [
            ("max_perturbations", self.max_perturbations),
            ("min_experiments", self.min_experiments),
            ("min_wells", self.min_wells),
        ] {
            if value == 0 {
                return Err(CurateError::InvalidSetting {
                    setting,
                    value: value.to_string(),
                    expected: "at least 1",
                });
            }
        }
        self.quality.check()?;
        self.under_sampling.check()
    }

    /// Whether a step is taken.
    pub fn takes(&self, step: CurateStep) -> bool {
        !self.skip.contains(&step)
    }
}
