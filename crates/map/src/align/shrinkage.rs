use faer::MatRef;
use serde::{Deserialize, Serialize};

use super::AlignError;
use crate::decompose::product;

/// How far the covariance `S` of few rows is drawn towards a multiple of the
/// identity: `(1 - amount) S + amount * mean variance * I`.
///
/// With fewer rows than features `S` says nothing of most directions, and
/// even with twice as many its small eigenvalues are far too small; to divide
/// by them is to amplify noise. Files write `"none"`, `"ledoit_wolf"` or a
/// number.
///
/// # Source
/// Ledoit & Wolf 2004, <https://doi.org/10.1016/S0047-259X(03)00096-4>; the
/// amount is that of scikit-learn 1.9.1 `ledoit_wolf_shrinkage` on centred
/// rows, with which it agrees to 1e-12 (`tests/it/shrinkage.rs`).
///
/// ```
/// use morphospace_map::{Shrinkage, Tvn};
///
/// let tvn: Tvn = toml::from_str("shrinkage = 'ledoit_wolf'")?;
/// assert_eq!(tvn.shrinkage, Shrinkage::LedoitWolf);
/// let tvn: Tvn = toml::from_str("shrinkage = 0.1")?;
/// assert_eq!(tvn.shrinkage, Shrinkage::Amount(0.1));
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Shrinkage {
    /// Not at all.
    #[default]
    None,
    /// By the amount that makes the expected squared error least, told from
    /// the rows themselves.
    LedoitWolf,
    /// By this share, from 0 to 1.
    Amount(f64),
}

/// As files have it.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Amount(f64),
    Name(String),
}

impl TryFrom<Written> for Shrinkage {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Amount(amount) => Ok(Self::Amount(amount)),
            Written::Name(name) if name == "none" => Ok(Self::None),
            Written::Name(name) if name == "ledoit_wolf" => Ok(Self::LedoitWolf),
            Written::Name(name) => Err(format!(
                "'{name}' is not a shrinkage (none, ledoit_wolf or a number from 0 to 1)"
            )),
        }
    }
}

impl From<Shrinkage> for Written {
    fn from(shrinkage: Shrinkage) -> Self {
        match shrinkage {
            Shrinkage::None => Self::Name("none".to_owned()),
            Shrinkage::LedoitWolf => Self::Name("ledoit_wolf".to_owned()),
            Shrinkage::Amount(amount) => Self::Amount(amount),
        }
    }
}

impl Shrinkage {
    pub(crate) fn check(self) -> Result<(), AlignError> {
        match self {
            Self::Amount(amount) if !(0.0..=1.0).contains(&amount) => {
                Err(AlignError::InvalidSetting {
                    setting: "shrinkage",
                    value: amount.to_string(),
                    expected: "from 0 to 1",
                })
            }
            _ => Ok(()),
        }
    }

    /// The share for these centred rows.
    pub(crate) fn amount(self, centred: MatRef<'_, f64>) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Amount(amount) => amount,
            Self::LedoitWolf => ledoit_wolf_amount(centred),
        }
    }
}

/// The amount of Ledoit and Wolf for centred rows, from 0 to 1: the expected
/// squared error of the covariance over its squared distance from a multiple
/// of the identity.
///
/// # Shapes
/// - `centred`: `[num_rows, num_features]`, each column with mean 0
pub fn ledoit_wolf_amount(centred: MatRef<'_, f64>) -> f64 {
    if centred.ncols() == 1 {
        // One variance is a multiple of the identity.
        return 0.0;
    }
    let (n, d) = (centred.nrows() as f64, centred.ncols() as f64);
    // The squared Frobenius norm of X'X is that of the smaller XX', too.
    let squares: Vec<f64> = (0..centred.nrows())
        .map(|i| centred.row(i).iter().map(|x| x * x).sum())
        .collect();
    let inner = if centred.nrows() < centred.ncols() {
        product(centred, centred.transpose(), 1.0)
    } else {
        product(centred.transpose(), centred, 1.0)
    };
    let norm_of_covariance = inner.squared_norm_l2() / (n * n);
    let mean_variance = squares.iter().sum::<f64>() / (n * d);
    let fourth = squares.iter().map(|square| square * square).sum::<f64>() / n;
    let distance = (norm_of_covariance - d * mean_variance * mean_variance) / d;
    let error = ((fourth - norm_of_covariance) / (d * n)).min(distance);
    if error <= 0.0 { 0.0 } else { error / distance }
}
