//! Draws the pictures of the simulator's documentation into a folder:
//!
//! ```text
//! cargo run --release -p morphospace-screen --example simulated_site -- docs
//! ```
//!
//! - `simulated_site.png`: the six channels of one control well and, on the
//!   right, colour composites of two cell types.
//! - `simulated_perturbations.png`: a control beside five perturbations of
//!   the same cells, the first two of one functional group.

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use morphospace_screen::Plane;
use morphospace_screen::simulator::{
    CheckedSimulator, MicroscopeConfig, SimulatedSite, SimulatorConfig, draw_site,
};

/// Colours in which composites of Cell Painting are often shown: nuclei
/// blue, reticulum green, actin orange, RNA olive, mitochondria red, Golgi
/// and membrane violet.
const COLOURS: [[f32; 3]; 6] = [
    [0.10, 0.25, 0.95],
    [0.03, 0.32, 0.14],
    [0.55, 0.28, 0.02],
    [0.10, 0.14, 0.0],
    [0.60, 0.05, 0.10],
    [0.45, 0.30, 0.65],
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let config = SimulatorConfig {
        // Less noise than in the demo makes smaller files.
        microscope: MicroscopeConfig {
            noise: 0.2,
            ..MicroscopeConfig::default()
        },
        ..SimulatorConfig::default()
    };
    let screen = config.check()?;

    let huvec = draw_well(&screen, "HUVEC-01", "EMPTY");
    let u2os = draw_well(&screen, "U2OS-01", "EMPTY");
    let mut panels: Vec<Panel> = huvec.planes.iter().map(grey).collect();
    panels.insert(3, composite(&huvec));
    panels.push(composite(&u2os));
    write_panels(
        &Path::new(&folder).join("simulated_site.png"),
        &panels,
        4,
        huvec.image_px,
    )?;

    let sirnas = [0, 1, 9, 21, 30].map(|id| screen.perturbations()[id].name.as_str());
    let panels: Vec<Panel> = ["EMPTY"]
        .into_iter()
        .chain(sirnas)
        .map(|sirna| composite(&draw_well(&screen, "HUVEC-01", sirna)))
        .collect();
    let path = Path::new(&folder).join("simulated_perturbations.png");
    write_panels(&path, &panels, 3, huvec.image_px)
}

/// The first site of the first well with a perturbation in an experiment.
fn draw_well(screen: &CheckedSimulator, experiment: &str, sirna: &str) -> SimulatedSite {
    let well_index = screen
        .wells()
        .iter()
        .position(|planned| {
            planned.well.plate.experiment.as_str() == experiment
                && screen.perturbations()[planned.perturbation_index].name == sirna
        })
        .expect("the demo has every perturbation in every experiment");
    draw_site(screen, well_index, 1)
}

/// Red, green and blue of every pixel.
type Panel = Vec<[u8; 3]>;

fn grey(plane: &Plane) -> Panel {
    stretched(plane)
        .into_iter()
        .map(|level| [posterised(level); 3])
        .collect()
}

fn composite(site: &SimulatedSite) -> Panel {
    let planes: Vec<Vec<f32>> = site.planes.iter().map(stretched).collect();
    (0..planes[0].len())
        .map(|pixel| {
            [0, 1, 2].map(|part| {
                let light: f32 = (0..COLOURS.len())
                    .map(|channel| planes[channel][pixel] * COLOURS[channel][part])
                    .sum();
                posterised(light.min(1.0))
            })
        })
        .collect()
}

/// 24 levels, which the eye cannot tell from 256 in textures and which halve
/// the size of the file.
fn posterised(light: f32) -> u8 {
    ((light * 23.0).round() / 23.0 * 255.0) as u8
}

/// Grey levels between the 2nd and the 99.7th percentile as 0 to 1.
fn stretched(plane: &Plane) -> Vec<f32> {
    let levels = plane.values();
    let mut sorted = levels.clone();
    sorted.sort_unstable();
    let low = f32::from(sorted[sorted.len() * 2 / 100]);
    let high = f32::from(sorted[sorted.len() * 997 / 1000]).max(low + 1.0);
    levels
        .iter()
        .map(|level| ((f32::from(*level) - low) / (high - low)).clamp(0.0, 1.0))
        .collect()
}

fn write_panels(
    path: &Path,
    panels: &[Panel],
    num_columns: usize,
    panel_px: usize,
) -> Result<(), Box<dyn Error>> {
    let (width, height) = (
        num_columns * panel_px,
        panels.len() / num_columns * panel_px,
    );
    let mut pixels = vec![0; width * height * 3];
    for (index, panel) in panels.iter().enumerate() {
        let (top, left) = (
            index / num_columns * panel_px,
            index % num_columns * panel_px,
        );
        for (pixel, colour) in panel.iter().enumerate() {
            let (row, column) = (top + pixel / panel_px, left + pixel % panel_px);
            pixels[(row * width + column) * 3..][..3].copy_from_slice(colour);
        }
    }
    let file = BufWriter::new(File::create(path)?);
    let mut encoder = png::Encoder::new(file, u32::try_from(width)?, u32::try_from(height)?);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    Ok(writer.finish()?)
}
