use morphospace_core::SiteKey;

use super::cell::place_cells;
use super::draw::{PixelNoise, normal};
use super::microscope::Microscope;
use super::paint::paint;
use super::plan::{culture_effects, well_seed};
use super::{CheckedSimulator, Effects, Morphology, NUM_CHANNELS, Parameter};

/// One drawn site: its six images and the truth about its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedSite {
    /// Which site.
    pub key: SiteKey,
    /// Side of the square images, pixels.
    pub image_px: usize,
    /// Grey levels of `w1` to `w6`, row-major `[image_px, image_px]`.
    pub planes: [Vec<u8>; NUM_CHANNELS],
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
/// assert_eq!(site.planes[0].len(), 64 * 64);
/// # Ok::<(), morphospace_screen::simulator::SimulatorError>(())
/// ```
pub fn draw_site(screen: &CheckedSimulator, well_index: usize, site: u32) -> SimulatedSite {
    let config = screen.config();
    let planned = &screen.wells()[well_index];
    let well = &planned.well;
    let well_seed = well_seed(config, well);
    let site_seed = well_seed.split("site").split_index(site.into());

    let mut well_rng = well_seed.split("culture").rng();
    let well_effects =
        Effects(Parameter::ALL.map(|_| config.effects.well_variation * normal(&mut well_rng)));
    let effects = screen.perturbations()[planned.perturbation_index]
        .effects
        .plus(&culture_effects(config, well))
        .plus(&well_effects);

    let image_px = config.image_px;
    let cells = place_cells(
        planned.cell_type,
        &effects,
        config.effects.cell_variation,
        image_px,
        config.magnification,
        &mut site_seed.split("cells").rng(),
    );
    let matter = paint(
        &cells,
        image_px,
        config.magnification as f32,
        &mut site_seed.split("paint").rng(),
    );
    let microscope = Microscope::set_up(config, well, well_seed);
    let mut noise = PixelNoise::new(site_seed.split("noise"));
    SimulatedSite {
        key: SiteKey::new(well.plate.clone(), well.address, site),
        image_px,
        planes: microscope.expose(matter, image_px, &mut noise),
        cells: cells
            .iter()
            .filter(|cell| cell.is_inside)
            .map(|cell| cell.morphology)
            .collect(),
    }
}
