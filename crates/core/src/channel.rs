use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a channel shows, so that channels can be matched by meaning and not
/// by their order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Stain {
    /// Nuclei: Hoechst, DAPI; JUMP's `DNA`.
    Dna,
    /// Endoplasmic reticulum: concanavalin A.
    Er,
    /// Filamentous actin: phalloidin.
    Actin,
    /// Nucleoli and cytoplasmic RNA: SYTO 14.
    Rna,
    /// Mitochondria: MitoTracker.
    Mito,
    /// Golgi apparatus and plasma membrane: wheat-germ agglutinin.
    Golgi,
    /// Actin, Golgi and plasma membrane in one channel, as in JUMP.
    Agp,
    /// Tubulin.
    Tubulin,
    /// Transmitted light.
    Brightfield,
    /// Anything else, named as the data set names it.
    Other(String),
}

impl Stain {
    /// The short name used in tables and figures.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dna => "DNA",
            Self::Er => "ER",
            Self::Actin => "Actin",
            Self::Rna => "RNA",
            Self::Mito => "Mito",
            Self::Golgi => "Golgi",
            Self::Agp => "AGP",
            Self::Tubulin => "Tubulin",
            Self::Brightfield => "Brightfield",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Stain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Stain {
    type Err = std::convert::Infallible;

    /// Reads the names of stains, dyes and structures in common use.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.trim().to_ascii_lowercase().as_str() {
            "dna" | "nuclei" | "nucleus" | "hoechst" | "dapi" => Self::Dna,
            "er" | "cona" | "concanavalin a" => Self::Er,
            "actin" | "phalloidin" | "f-actin" => Self::Actin,
            "rna" | "syto14" | "syto 14" | "nucleoli" => Self::Rna,
            "mito" | "mitochondria" | "mitotracker" => Self::Mito,
            "golgi" | "wga" => Self::Golgi,
            "agp" => Self::Agp,
            "tubulin" => Self::Tubulin,
            "brightfield" | "bf" => Self::Brightfield,
            _ => Self::Other(text.trim().to_owned()),
        })
    }
}

impl From<String> for Stain {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(stain) => stain,
            Err(never) => match never {},
        }
    }
}

impl From<Stain> for String {
    fn from(stain: Stain) -> Self {
        stain.as_str().to_owned()
    }
}

/// One grey image of every site: its name in the data set and its stain.
///
/// ```
/// use morphospace_core::{Channel, Stain};
///
/// let w1 = Channel::new("w1", Stain::Dna);
/// assert_eq!(w1.to_string(), "w1 (DNA)");
/// assert_eq!(Channel::rxrx1().len(), 6);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Channel {
    /// The data set's name, e.g. `w1` or `OrigDNA`.
    pub name: String,
    /// What it shows.
    pub stain: Stain,
}

impl Channel {
    /// A channel by its name and stain.
    pub fn new(name: impl Into<String>, stain: Stain) -> Self {
        Self {
            name: name.into(),
            stain,
        }
    }

    /// RxRx1's six channels in file order `w1`..`w6`: Hoechst, ConA,
    /// phalloidin, SYTO 14, MitoTracker, WGA.
    pub fn rxrx1() -> Vec<Self> {
        [
            Stain::Dna,
            Stain::Er,
            Stain::Actin,
            Stain::Rna,
            Stain::Mito,
            Stain::Golgi,
        ]
        .into_iter()
        .enumerate()
        .map(|(index, stain)| Self::new(format!("w{}", index + 1), stain))
        .collect()
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name == self.stain.as_str() {
            f.write_str(&self.name)
        } else {
            write!(f, "{} ({})", self.name, self.stain)
        }
    }
}
