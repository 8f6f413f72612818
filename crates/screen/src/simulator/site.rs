use morphospace_core::{Seed, SiteKey};

use super::cell::{Cell, place_cells};
use super::draw::{PixelNoise, normal};
use super::microscope::Microscope;
use super::paint::{Planes, paint};
use super::plan::{culture_effects, well_seed};
use super::{CheckedSimulator, Effects, Morphology, Parameter};
use crate::screen::Plane;

/// One drawn site: its images and the truth about its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedSite {
    /// Which site.
    pub key: SiteKey,
    /// Side of the square images, pixels.
    pub image_px: usize,
    /// One image per channel of the [layout](super::ScreenLayout::channels),
    /// 8 bit in RxRx1's and RxRx3's, 16 bit in JUMP's.
    pub planes: Vec<Plane>,
    /// The cells whose centre lies in the image.
    /// [`Parameter::CellCount`](super::Parameter::CellCount) of each is the
    /// count in the image, per 256 x 256 pixels at magnification 1.
    pub cells: Vec<Morphology>,
}

/// Draws one site in memory. The same configuration, well and site always
/// give the same bytes.
///
/// # Panics
/// `well_index` is not an index into [`CheckedSimulator::wells`].
///
/// ```
/// use morphospace_screen::simulator::{SimulatorConfig, draw_site};
///
/// let config = SimulatorConfig { image_px: 64, ..SimulatorConfig::default() };
/// let screen = config.check()?;
/// let site = draw_site(&screen, 0, 1);
/// assert_eq!(site.key.site_id(), "HEPG2-01_1_B02_1");
/// assert_eq!((site.planes.len(), site.planes[0].num_pixels()), (6, 64 * 64));
/// # Ok::<(), morphospace_screen::simulator::SimulatorError>(())
/// ```
pub fn draw_site(screen: &CheckedSimulator, well_index: usize, site: u32) -> SimulatedSite {
    let config = screen.config();
    let well = &screen.wells()[well_index].well;
    let well_seed = well_seed(config, well);
    let (cells, matter) = paint_site(screen, well_index, site);
    let microscope = Microscope::set_up(config, well, well_seed);
    let mut noise = PixelNoise::new(site_seed(well_seed, site).split("noise"));
    SimulatedSite {
        key: SiteKey::new(well.plate.clone(), well.address, site),
        image_px: config.image_px,
        planes: microscope.expose(config.layout.stained(matter), config.image_px, &mut noise),
        cells: cells
            .iter()
            .filter(|cell| cell.is_inside)
            .map(|cell| cell.morphology)
            .collect(),
    }
}

/// The cells of a site, and where their stained matter lies.
pub(super) fn paint_site(
    screen: &CheckedSimulator,
    well_index: usize,
    site: u32,
) -> (Vec<Cell>, Planes) {
    let config = screen.config();
    let planned = &screen.wells()[well_index];
    let well_seed = well_seed(config, &planned.well);
    let site_seed = site_seed(well_seed, site);
    let mut well_rng = well_seed.split("culture").rng();
    let well_effects =
        Effects(Parameter::ALL.map(|_| config.effects.well_variation * normal(&mut well_rng)));
    let effects = screen.perturbations()[planned.perturbation_index]
        .effects
        .plus(&culture_effects(config, &planned.well))
        .plus(&well_effects);
    let cells = place_cells(
        planned.cell_type,
        &effects,
        config.effects.cell_variation,
        config.image_px,
        config.magnification,
        &mut site_seed.split("cells").rng(),
    );
    let magnification = config.magnification as f32;
    let rng = &mut site_seed.split("paint").rng();
    let matter = paint(&cells, config.image_px, magnification, rng);
    (cells, matter)
}

fn site_seed(well_seed: Seed, site: u32) -> Seed {
    well_seed.split("site").split_index(site.into())
}
