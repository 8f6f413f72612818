use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Experiment;

/// Which plate: source (imaging centre, where a data set has several),
/// experiment and plate name.
///
/// Plate barcodes repeat across sources, so the source is part of the key.
/// Plate names are text: `1` in RxRx1, `BR00116991` in JUMP.
///
/// ```
/// use morphospace_core::PlateKey;
///
/// let plate = PlateKey::new("HUVEC-01", "1");
/// assert_eq!(plate.to_string(), "HUVEC-01 plate 1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PlateKey {
    /// Imaging centre or data source, if the data set names one.
    pub source: Option<String>,
    /// The experiment (batch) the plate belongs to.
    pub experiment: Experiment,
    /// The plate's name or number within its experiment.
    pub plate: String,
}

impl PlateKey {
    /// A plate of a data set with a single source.
    pub fn new(experiment: impl Into<String>, plate: impl Into<String>) -> Self {
        Self {
            source: None,
            experiment: Experiment::new(experiment),
            plate: plate.into(),
        }
    }

    /// The experiment as people and tables name it: after its source, where
    /// the data set has several. Sources name their experiments each for
    /// itself, so that a name alone may stand for two.
    ///
    /// ```
    /// use morphospace_core::PlateKey;
    ///
    /// let plate = PlateKey::new("Batch1", "BR00116991");
    /// assert_eq!(plate.experiment_name(), "Batch1");
    /// let plate = PlateKey { source: Some("source_4".into()), ..plate };
    /// assert_eq!(plate.experiment_name(), "source_4 Batch1");
    /// ```
    pub fn experiment_name(&self) -> String {
        match &self.source {
            Some(source) => format!("{source} {}", self.experiment),
            None => self.experiment.to_string(),
        }
    }
}

impl fmt::Display for PlateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source} ")?;
        }
        write!(f, "{} plate {}", self.experiment, self.plate)
    }
}
