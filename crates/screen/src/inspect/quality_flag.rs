use std::fmt;

use serde::{Deserialize, Serialize};

/// Something about an image, or the site it belongs to, that a person should
/// know before it is used. A flag drops nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QualityFlag {
    /// The image is not there.
    Missing,
    /// The image is there but cannot be used: damaged, or not grey.
    Unreadable,
    /// All pixels are equal, or nearly so.
    Blank,
    /// Too many pixels have the greatest value of the bit depth.
    Saturated,
    /// Far less sharp than the images of the same plate and channel.
    OutOfFocus,
    /// Far brighter or darker than the images of the same plate and channel.
    IntensityOutlier,
    /// Of another size than most channels of its site, or, where images are
    /// measured, than most images of the screen.
    OddSize,
    /// Of another bit depth than most images of the screen's channel.
    OddBitDepth,
    /// Another image of the screen has exactly the same pixels.
    Duplicate,
    /// The well shows far less DNA than the wells of its plate.
    FewCells,
}

impl QualityFlag {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Missing,
        Self::Unreadable,
        Self::Blank,
        Self::Saturated,
        Self::OutOfFocus,
        Self::IntensityOutlier,
        Self::OddSize,
        Self::OddBitDepth,
        Self::Duplicate,
        Self::FewCells,
    ];

    /// The word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Blank => "blank",
            Self::Saturated => "saturated",
            Self::OutOfFocus => "out_of_focus",
            Self::IntensityOutlier => "intensity_outlier",
            Self::OddSize => "odd_size",
            Self::OddBitDepth => "odd_bit_depth",
            Self::Duplicate => "duplicate",
            Self::FewCells => "few_cells",
        }
    }

    /// The words for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::OutOfFocus => "out of focus",
            Self::IntensityOutlier => "intensity outlier",
            Self::OddSize => "odd size",
            Self::OddBitDepth => "odd bit depth",
            Self::FewCells => "few cells",
            other => other.as_str(),
        }
    }

    /// The column of a manifest, e.g. `qc_blank`.
    pub fn column(self) -> String {
        format!("qc_{}", self.as_str())
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for QualityFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of flags.
///
/// ```
/// use morphospace_screen::{QualityFlag, QualityFlags};
///
/// let flags: QualityFlags = [QualityFlag::Blank, QualityFlag::Duplicate].into_iter().collect();
/// assert!(flags.contains(QualityFlag::Blank));
/// assert!(!flags.contains(QualityFlag::Missing));
/// assert_eq!(flags.iter().count(), 2);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct QualityFlags(u16);

impl QualityFlags {
    /// Whether a flag is in the set.
    pub fn contains(self, flag: QualityFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Adds a flag.
    pub fn insert(&mut self, flag: QualityFlag) {
        self.0 |= flag.bit();
    }

    /// The flags of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is no flag.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flags, in the order of [`QualityFlag::ALL`].
    pub fn iter(self) -> impl Iterator<Item = QualityFlag> {
        QualityFlag::ALL
            .into_iter()
            .filter(move |flag| self.contains(*flag))
    }
}

impl FromIterator<QualityFlag> for QualityFlags {
    fn from_iter<I: IntoIterator<Item = QualityFlag>>(flags: I) -> Self {
        let mut set = Self::default();
        flags.into_iter().for_each(|flag| set.insert(flag));
        set
    }
}

impl fmt::Debug for QualityFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The flags of every site of a screen: those of its images, and of its well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteQuality {
    /// What was looked for at every site.
    pub looked_for: QualityFlags,
    /// What was found at each.
    pub flags: Vec<QualityFlags>,
}
