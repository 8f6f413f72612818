use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{ControlRole, Perturbation, PlateKey, excerpt};

/// Where a well lies on its plate, up to 1,536 wells: rows `A`..`Z`,
/// `AA`..`AF`, columns 1..48.
///
/// `a1`, `A1`, `A01` and `A001` all name the same well; the canonical form is
/// upper case with at least two digits. Wells sort by row, then column.
///
/// ```
/// use morphospace_core::WellAddress;
///
/// let well: WellAddress = "a1".parse()?;
/// assert_eq!(well.to_string(), "A01");
/// assert_eq!("AF48".parse::<WellAddress>()?.row_index(), 31);
/// assert!("A00".parse::<WellAddress>().is_err());
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WellAddress {
    row_index: u8,
    column_index: u8,
}

/// Rows of a 1,536-well plate.
const NUM_ROWS: u8 = 32;
/// Columns of a 1,536-well plate.
const NUM_COLUMNS: u8 = 48;

impl WellAddress {
    /// The well at a zero-based row and column, `None` beyond `AF48`.
    pub fn from_indices(row_index: usize, column_index: usize) -> Option<Self> {
        if row_index >= usize::from(NUM_ROWS) || column_index >= usize::from(NUM_COLUMNS) {
            return None;
        }
        Some(Self {
            row_index: row_index as u8,
            column_index: column_index as u8,
        })
    }

    /// Row from the top, 0 for `A`.
    pub fn row_index(self) -> usize {
        usize::from(self.row_index)
    }

    /// Column from the left, 0 for column `01`.
    pub fn column_index(self) -> usize {
        usize::from(self.column_index)
    }

    /// The row's letters: `A`..`Z`, `AA`..`AF`.
    pub fn row_name(self) -> String {
        let letter = |index: u8| char::from(b'A' + index);
        if self.row_index < 26 {
            letter(self.row_index).to_string()
        } else {
            format!("A{}", letter(self.row_index - 26))
        }
    }
}

/// A text that names no well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is not a well (rows A..Z, AA..AF, columns 1..48, such as 'B02' or 'AF48')",
    excerpt(text)
)]
pub struct InvalidWellAddress {
    /// What was read.
    pub text: String,
}

impl FromStr for WellAddress {
    type Err = InvalidWellAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidWellAddress {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let digits_at = trimmed
            .find(|c: char| c.is_ascii_digit())
            .ok_or_else(invalid)?;
        let (letters, digits) = trimmed.split_at(digits_at);
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(invalid());
        }
        let row_index = match letters.to_ascii_uppercase().as_bytes() {
            [letter @ b'A'..=b'Z'] => letter - b'A',
            [b'A', letter @ b'A'..=b'F'] => 26 + letter - b'A',
            _ => return Err(invalid()),
        };
        match digits.parse::<u8>() {
            Ok(column @ 1..=NUM_COLUMNS) => Ok(Self {
                row_index,
                column_index: column - 1,
            }),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for WellAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:02}", self.row_name(), self.column_index + 1)
    }
}

impl TryFrom<String> for WellAddress {
    type Error = InvalidWellAddress;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<WellAddress> for String {
    fn from(address: WellAddress) -> Self {
        address.to_string()
    }
}

/// A well: where it is and what was done to the cells in it.
///
/// An untreated well has no perturbation and the role
/// [`ControlRole::Untreated`]. A well with the role
/// [`ControlRole::Treatment`] and *no* perturbation is one whose label is
/// unknown (hidden test labels of a public challenge): it is never taken for
/// an untreated one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Well {
    /// The plate the well lies on.
    pub plate: PlateKey,
    /// Where on the plate.
    pub address: WellAddress,
    /// The address as the data set writes it, e.g. `Well-A003`.
    pub original_address: String,
    /// What was added: none, one, or several combined.
    pub perturbations: Vec<Perturbation>,
    /// A treatment that the whole plate shares (a disease state, a
    /// stimulus), on top of which the perturbation acts.
    pub background: Option<String>,
    /// What the well is for.
    pub control_role: ControlRole,
    /// The cells, e.g. `HUVEC`.
    pub cell_type: Option<String>,
}

impl Well {
    /// The well's label in tables: the labels of its perturbations joined by
    /// ` + `, `EMPTY` for an untreated well, nothing where the label is
    /// unknown.
    pub fn label(&self) -> Option<String> {
        if self.perturbations.is_empty() {
            return (self.control_role == ControlRole::Untreated).then(|| "EMPTY".to_owned());
        }
        let labels: Vec<String> = self.perturbations.iter().map(Perturbation::label).collect();
        Some(labels.join(" + "))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_every_spelling_and_keeps_one() {
        for text in ["a1", "A1", "A01", "a01", "A001", " A01 "] {
            assert_eq!(text.parse::<WellAddress>().expect(text).to_string(), "A01");
        }
        assert_eq!(
            "aa1".parse::<WellAddress>().expect("row 27").to_string(),
            "AA01"
        );
        assert_eq!(
            "P24"
                .parse::<WellAddress>()
                .expect("last of 384")
                .row_index(),
            15
        );
    }

    #[test]
    fn refuses_what_is_no_well() {
        for text in [
            "", "A", "1", "A0", "A49", "AG01", "BA01", "AAA1", "A1B", "A-1", "Ä1", "A300",
        ] {
            let error = text.parse::<WellAddress>().expect_err(text);
            assert_eq!(error.text, text);
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(row in 0usize..32, column in 0usize..48) {
            let well = WellAddress::from_indices(row, column).expect("on the plate");
            prop_assert_eq!(well.to_string().parse::<WellAddress>(), Ok(well));
        }
    }

    #[test]
    fn sorts_by_row_then_column() {
        let mut wells: Vec<WellAddress> = ["AA01", "B01", "A10", "A02"]
            .iter()
            .map(|t| t.parse().expect("valid"))
            .collect();
        wells.sort();
        let sorted: Vec<String> = wells.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["A02", "A10", "B01", "AA01"]);
    }
}
