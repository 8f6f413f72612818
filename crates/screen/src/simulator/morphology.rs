use serde::{Deserialize, Serialize};

/// Which cells a simulated experiment uses: analogues of the four lines of
/// RxRx1, told apart by their base [`Morphology`] and how they lie together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CellType {
    /// Liver carcinoma: small, round, in tight islands.
    #[serde(rename = "HEPG2")]
    HepG2,
    /// Umbilical vein endothelium: long cells with parallel stress fibres.
    #[serde(rename = "HUVEC")]
    Huvec,
    /// Retinal pigment epithelium: an even layer of polygons.
    #[serde(rename = "RPE")]
    Rpe,
    /// Osteosarcoma: large, flat, irregular, sparse.
    #[serde(rename = "U2OS")]
    U2os,
}

impl CellType {
    /// All four, in the order of RxRx1's tables.
    pub const ALL: [Self; 4] = [Self::HepG2, Self::Huvec, Self::Rpe, Self::U2os];

    /// The name used in `metadata.csv` and in front of experiment numbers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HepG2 => "HEPG2",
            Self::Huvec => "HUVEC",
            Self::Rpe => "RPE",
            Self::U2os => "U2OS",
        }
    }

    /// How strongly cells seek neighbours, 0 (they spread evenly) to 1
    /// (islands with empty ground between them).
    pub(super) fn clumping(self) -> f64 {
        match self {
            Self::HepG2 => 0.6,
            Self::Huvec => 0.15,
            Self::Rpe => 0.0,
            Self::U2os => 0.1,
        }
    }

    /// How far neighbouring cells share one direction, 0 to 1.
    pub(super) fn alignment(self) -> f64 {
        match self {
            Self::HepG2 => 0.1,
            Self::Huvec => 0.75,
            Self::Rpe => 0.3,
            Self::U2os => 0.2,
        }
    }
}

/// One way in which cells differ. Lengths are in pixels at magnification 1,
/// ratios and counts are bare; every parameter is positive and varies on a
/// logarithmic scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parameter {
    /// Cells per 256 x 256 pixels.
    CellCount,
    /// Radius of the circle as large as the cell, pixels.
    CellSize,
    /// Long axis over short axis of the cell.
    CellElongation,
    /// Amplitude of lobes on the outline, as a share of the radius.
    CellIrregularity,
    /// Radius of the nucleus over radius of the cell.
    NucleusSize,
    /// Long axis over short axis of the nucleus.
    NucleusElongation,
    /// Size of chromatin clumps, pixels.
    ChromatinGrain,
    /// Relative amplitude of chromatin clumps.
    ChromatinContrast,
    /// Distance from the nucleus over which the endoplasmic reticulum fades,
    /// pixels.
    ErExtent,
    /// Mesh width of the endoplasmic reticulum, pixels.
    ErMesh,
    /// Stress fibres per cell.
    FibreCount,
    /// Spread of fibre directions in a cell, radians.
    FibreDisorder,
    /// Brightness of the cell's actin rim over that of its inside.
    ActinCortex,
    /// Nucleoli per nucleus.
    NucleoliCount,
    /// Radius of a nucleolus, pixels.
    NucleoliSize,
    /// RNA in the nucleus over RNA in the cytoplasm.
    NuclearRna,
    /// Mitochondrial filaments per cell.
    MitoCount,
    /// Length of a mitochondrial filament, pixels.
    MitoLength,
    /// Reach of the mitochondria from the nucleus, as a share of the cell
    /// radius.
    MitoSpread,
    /// Width of the Golgi cluster, pixels.
    GolgiSpread,
    /// Distance of the Golgi cluster from the centre of the nucleus over
    /// the radius of the nucleus.
    GolgiDistance,
    /// Brightness of the plasma membrane over that of the Golgi.
    MembraneShare,
}

impl Parameter {
    /// How many there are.
    pub const COUNT: usize = 22;

    /// All, in the order of their columns in `truth.csv`.
    pub const ALL: [Self; Self::COUNT] = [
        Self::CellCount,
        Self::CellSize,
        Self::CellElongation,
        Self::CellIrregularity,
        Self::NucleusSize,
        Self::NucleusElongation,
        Self::ChromatinGrain,
        Self::ChromatinContrast,
        Self::ErExtent,
        Self::ErMesh,
        Self::FibreCount,
        Self::FibreDisorder,
        Self::ActinCortex,
        Self::NucleoliCount,
        Self::NucleoliSize,
        Self::NuclearRna,
        Self::MitoCount,
        Self::MitoLength,
        Self::MitoSpread,
        Self::GolgiSpread,
        Self::GolgiDistance,
        Self::MembraneShare,
    ];

    /// The name in tables, without the `param_` in front.
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// The change of the natural logarithm that counts as an effect of 1.
    pub fn effect_unit(self) -> f64 {
        self.row().effect_unit
    }

    /// The value in an average untreated cell.
    pub fn base(self, cell_type: CellType) -> f64 {
        self.row().base[cell_type as usize]
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}

struct Row {
    name: &'static str,
    effect_unit: f64,
    /// HEPG2, HUVEC, RPE, U2OS.
    base: [f64; 4],
}

const fn row(name: &'static str, effect_unit: f64, base: [f64; 4]) -> Row {
    Row {
        name,
        effect_unit,
        base,
    }
}

/// In the order of [`Parameter::ALL`]. Units are set so that an effect of 1
/// can be seen by eye in every parameter.
static TABLE: [Row; Parameter::COUNT] = [
    row("cell_count", 0.25, [30.0, 24.0, 27.0, 17.0]),
    row("cell_size", 0.14, [21.0, 27.0, 26.0, 31.0]),
    row("cell_elongation", 0.28, [1.20, 1.95, 1.35, 1.50]),
    row("cell_irregularity", 0.50, [0.06, 0.10, 0.08, 0.13]),
    row("nucleus_size", 0.15, [0.50, 0.40, 0.42, 0.37]),
    row("nucleus_elongation", 0.22, [1.15, 1.40, 1.25, 1.30]),
    row("chromatin_grain", 0.40, [3.2, 4.0, 3.8, 4.4]),
    row("chromatin_contrast", 0.55, [0.22, 0.16, 0.16, 0.18]),
    row("er_extent", 0.45, [8.0, 12.0, 11.0, 13.0]),
    row("er_mesh", 0.40, [3.6, 4.4, 4.0, 4.6]),
    row("fibre_count", 0.65, [5.0, 14.0, 10.0, 12.0]),
    row("fibre_disorder", 0.70, [0.60, 0.14, 0.28, 0.35]),
    row("actin_cortex", 0.50, [1.5, 0.7, 1.0, 0.8]),
    row("nucleoli_count", 0.45, [2.6, 3.2, 3.0, 3.8]),
    row("nucleoli_size", 0.28, [1.8, 1.8, 1.8, 2.0]),
    row("nuclear_rna", 0.45, [0.75, 0.60, 0.65, 0.60]),
    row("mito_count", 0.45, [34.0, 46.0, 42.0, 48.0]),
    row("mito_length", 0.55, [6.0, 11.0, 9.0, 11.0]),
    row("mito_spread", 0.40, [0.26, 0.34, 0.32, 0.36]),
    row("golgi_spread", 0.45, [3.0, 4.2, 3.8, 4.6]),
    row("golgi_distance", 0.30, [1.05, 1.15, 1.10, 1.15]),
    row("membrane_share", 0.50, [0.8, 0.5, 0.6, 0.5]),
];

/// A value of every [`Parameter`]: of one cell, or the mean over the cells
/// of a well.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Morphology([f64; Parameter::COUNT]);

impl Morphology {
    /// The average untreated cell.
    pub fn base(cell_type: CellType) -> Self {
        Self(Parameter::ALL.map(|parameter| parameter.base(cell_type)))
    }

    /// The parameter's value.
    pub fn get(&self, parameter: Parameter) -> f64 {
        self.0[parameter as usize]
    }

    /// Replaces the parameter's value.
    pub(super) fn set(&mut self, parameter: Parameter, value: f64) {
        self.0[parameter as usize] = value;
    }

    /// This morphology moved by effects (in effect units, on the logarithm).
    pub(super) fn moved(&self, effects: &Effects) -> Self {
        let mut moved = *self;
        for (parameter, effect) in Parameter::ALL.into_iter().zip(effects.0) {
            moved.0[parameter as usize] *= (parameter.effect_unit() * effect).exp();
        }
        moved
    }

    /// The mean of some cells; `None` of no cells.
    pub fn mean<'a>(cells: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = [0.0; Parameter::COUNT];
        let mut num_cells = 0.0;
        for cell in cells {
            sum.iter_mut()
                .zip(cell.0)
                .for_each(|(sum, value)| *sum += value);
            num_cells += 1.0;
        }
        (num_cells > 0.0).then(|| Self(sum.map(|sum| sum / num_cells)))
    }
}

/// A shift of every [`Parameter`] in its effect units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effects(pub(super) [f64; Parameter::COUNT]);

impl Effects {
    pub(super) const NONE: Self = Self([0.0; Parameter::COUNT]);

    /// The shift of one parameter.
    pub fn get(&self, parameter: Parameter) -> f64 {
        self.0[parameter as usize]
    }

    pub(super) fn plus(&self, other: &Self) -> Self {
        let mut sum = *self;
        sum.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(sum, value)| *sum += value);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_parameters() {
        for (index, parameter) in Parameter::ALL.into_iter().enumerate() {
            assert_eq!(parameter as usize, index);
            let written = format!("{parameter:?}").to_lowercase();
            assert_eq!(parameter.as_str().replace('_', ""), written);
        }
    }

    #[test]
    fn an_effect_of_one_is_one_unit_of_the_logarithm() {
        let base = Morphology::base(CellType::Rpe);
        let mut effects = Effects::NONE;
        effects.0[Parameter::CellSize as usize] = 1.0;
        let moved = base.moved(&effects);
        let ratio = moved.get(Parameter::CellSize) / base.get(Parameter::CellSize);
        assert!((ratio.ln() - Parameter::CellSize.effect_unit()).abs() < 1e-12);
        assert_eq!(moved.get(Parameter::ErMesh), base.get(Parameter::ErMesh));
        assert_eq!(base.moved(&effects.plus(&Effects::NONE)), moved);
    }

    #[test]
    fn the_mean_of_no_cells_is_nothing() {
        assert_eq!(Morphology::mean([]), None);
        let base = Morphology::base(CellType::Huvec);
        assert_eq!(Morphology::mean([&base]), Some(base));
    }
}
