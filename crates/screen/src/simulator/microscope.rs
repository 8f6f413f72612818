use morphospace_core::{Channel, Stain, Well};
use rand::RngExt;

use super::blur::{add_haze, blur, gaussian_kernel};
use super::draw::{PixelNoise, normal};
use super::plan::{Place, experiment_seed, plate_seed};
use super::{ScreenLayout, SimulatorConfig};
use crate::screen::{Pixels, Plane};

/// Mean and standard deviation of stained matter in an average image of a
/// channel: what a fixed exposure is set for.
fn average_image(stain: &Stain) -> (f32, f32) {
    match stain {
        Stain::Dna => (0.15, 0.34),
        Stain::Er => (0.17, 0.22),
        Stain::Actin => (0.16, 0.22),
        Stain::Rna => (0.32, 0.33),
        Stain::Mito => (0.11, 0.26),
        Stain::Golgi => (0.12, 0.24),
        Stain::Agp => (0.28, 0.37),
        other => unreachable!("no layout has a channel of {other}"),
    }
}

/// Grey levels of 16 bit for one of 8 bit: what would be white in 8 bit has
/// room above it.
const LEVELS_16_BIT: f32 = 100.0;

/// Room for images in which cells cover more than usual: their mean is larger
/// for the same contrast, and black level must not fall below zero.
const HEADROOM: f64 = 1.2;

/// Beyond this share of light from out of focus nothing could be seen.
const MOST_HAZE: f64 = 0.8;

/// How one channel of one site is seen.
#[derive(Clone, Debug)]
pub(super) struct ChannelOptics {
    /// Mean and contrast of matter in an average image.
    average: (f32, f32),
    /// Contrast aimed at, grey levels.
    contrast: f64,
    /// Background aimed at, grey levels.
    background: f64,
    /// Bend of the stain's response: 0 is a straight line.
    saturation: f32,
    /// Share of the light that comes from out of focus.
    haze: f32,
    /// Brightest spot of the illumination, as a share of the image's side.
    bright_spot: (f64, f64),
    /// How much darker the darkest corner is.
    depth: f64,
}

/// How one site is seen: experiment, plate, place, and well each add theirs.
#[derive(Clone, Debug)]
pub(super) struct Microscope {
    layout: ScreenLayout,
    channels: Vec<ChannelOptics>,
    blur_px: f64,
    noise: f64,
    auto_exposure: f64,
}

impl Microscope {
    pub(super) fn set_up(
        config: &SimulatorConfig,
        well: &Well,
        well_seed: morphospace_core::Seed,
    ) -> Self {
        let (batch, plate, settings) = (&config.batch, &config.plate, &config.microscope);
        let mut experiment_rng = experiment_seed(config, &well.plate)
            .split("microscope")
            .rng();
        let mut plate_rng = plate_seed(config, &well.plate).split("microscope").rng();
        let mut well_rng = well_seed.split("microscope").rng();
        let mut stain_rng = well_seed.split("stain").rng();
        let place = Place::of(config, well.address);
        let down = plate.gradient * normal(&mut plate_rng) * place.down;
        let along = plate.gradient * normal(&mut plate_rng) * place.along;
        let blur_px = settings.blur_px * (batch.blur * normal(&mut experiment_rng)).exp();
        let noise = settings.noise * (batch.noise * normal(&mut experiment_rng)).exp();
        let optics = |channel: &Channel| {
            let log_gain = batch.gain * normal(&mut experiment_rng)
                + plate.gain * normal(&mut plate_rng)
                + settings.gain_jitter * normal(&mut well_rng)
                + down
                + along;
            let log_offset = batch.offset * normal(&mut experiment_rng)
                + plate.offset * normal(&mut plate_rng)
                + settings.offset_jitter * normal(&mut well_rng);
            let mut lognormal =
                |median: f64, jitter: f64| median * (jitter * normal(&mut stain_rng)).exp();
            ChannelOptics {
                average: average_image(&channel.stain),
                contrast: settings.contrast * log_gain.exp(),
                background: settings.background * log_offset.exp(),
                saturation: lognormal(settings.saturation, settings.saturation_jitter) as f32,
                haze: lognormal(settings.haze, settings.haze_jitter).min(MOST_HAZE) as f32,
                bright_spot: (
                    experiment_rng.random_range(0.15..0.85),
                    experiment_rng.random_range(0.15..0.85),
                ),
                depth: batch.illumination * experiment_rng.random_range(0.3..1.0),
            }
        };
        Self {
            layout: config.layout,
            channels: config.layout.channels().iter().map(optics).collect(),
            blur_px,
            noise,
            auto_exposure: settings.auto_exposure,
        }
    }

    /// Images of stained cells.
    pub(super) fn expose(
        &self,
        mut planes: Vec<Vec<f32>>,
        image_px: usize,
        noise: &mut PixelNoise,
    ) -> Vec<Plane> {
        let kernel = gaussian_kernel(self.blur_px);
        for (optics, plane) in self.channels.iter().zip(&mut planes) {
            optics.saturate(plane);
            blur(plane, image_px, &kernel);
            add_haze(plane, image_px, optics.haze);
            if !self.is_divided_out() {
                optics.illuminate(plane, image_px);
            }
        }
        let channels = self.channels.iter().zip(planes);
        let expose = |(optics, mut plane): (&ChannelOptics, Vec<f32>)| {
            self.set_exposure(optics, &mut plane);
            if self.is_divided_out() {
                optics.illuminate(&mut plane, image_px);
            }
            Plane {
                width: image_px,
                height: image_px,
                pixels: self.digitise(&plane, noise),
            }
        };
        channels.map(expose).collect()
    }

    /// Whether the illumination darkens all light, and dividing by
    /// [`Microscope::illumination`] takes it out, as the pipelines of the Cell
    /// Painting Gallery assume. Otherwise the background is even.
    fn is_divided_out(&self) -> bool {
        self.layout == ScreenLayout::Jump
    }

    /// How much light each pixel of a channel gets, row-major
    /// `[image_px, image_px]`, 1 at its darkest.
    pub(super) fn illumination(&self, channel: usize, image_px: usize) -> Vec<f64> {
        let mut field = vec![1.0; image_px * image_px];
        self.channels[channel].illuminate(&mut field, image_px);
        let darkest = field.iter().copied().fold(f32::INFINITY, f32::min);
        field
            .iter()
            .map(|light| f64::from(light / darkest))
            .collect()
    }

    /// Sets exposure and black level: from matter to grey levels of 8 bit.
    fn set_exposure(&self, optics: &ChannelOptics, plane: &mut [f32]) {
        let (mean, sd) = mean_and_sd(plane);
        let (usual_mean, usual_sd) = optics.average;
        // An image without cells has no contrast to follow.
        let follow = if sd > 1e-4 {
            self.auto_exposure as f32
        } else {
            0.0
        };
        let sd_met = sd.max(1e-4).powf(follow) * usual_sd.powf(1.0 - follow);
        let mean_met = follow * mean + (1.0 - follow) * usual_mean;
        let gain = optics.contrast as f32 / sd_met;
        let usual_ratio = HEADROOM * f64::from(usual_mean / usual_sd);
        let aim = (optics.background + usual_ratio * optics.contrast) as f32;
        let black = aim - gain * mean_met;
        plane
            .iter_mut()
            .for_each(|matter| *matter = black + gain * *matter);
    }

    /// Adds the camera's noise to grey levels of 8 bit.
    fn digitise(&self, levels: &[f32], noise: &mut PixelNoise) -> Pixels {
        let read_variance = (self.noise * self.noise) as f32;
        let noisy = levels.iter().map(|level| {
            // Shot noise doubles the variance at 30 grey levels.
            let spread = (read_variance * (1.0 + level.max(0.0) / 30.0)).sqrt();
            level + spread * noise.next()
        });
        // The casts saturate, as a camera does.
        match self.layout {
            ScreenLayout::Rxrx1 | ScreenLayout::Rxrx3 => {
                Pixels::U8(noisy.map(|level| (level + 0.5) as u8).collect())
            }
            ScreenLayout::Jump => {
                let wide = noisy.map(|level| (LEVELS_16_BIT * level + 0.5) as u16);
                Pixels::U16(wide.collect())
            }
        }
    }
}

impl ChannelOptics {
    /// Dense matter takes less stain than its share, dim matter more; what is
    /// bright in an average image stays as it is.
    fn saturate(&self, plane: &mut [f32]) {
        let (usual_mean, usual_sd) = self.average;
        let bend = self.saturation / (usual_mean + 2.0 * usual_sd);
        let scale = 1.0 + self.saturation;
        plane
            .iter_mut()
            .for_each(|matter| *matter *= scale / (1.0 + bend * *matter));
    }

    /// A field that darkens with the square of the distance from its
    /// brightest spot.
    fn illuminate(&self, plane: &mut [f32], image_px: usize) {
        let side = image_px as f64;
        let (x, y) = self.bright_spot;
        let farthest = x.max(1.0 - x).powi(2) + y.max(1.0 - y).powi(2);
        let fall = self.depth / farthest;
        let along: Vec<f32> = (0..image_px)
            .map(|column| (fall * ((column as f64 + 0.5) / side - x).powi(2)) as f32)
            .collect();
        for (row, pixels) in plane.chunks_exact_mut(image_px).enumerate() {
            let down = 1.0 - (fall * ((row as f64 + 0.5) / side - y).powi(2)) as f32;
            for (pixel, along) in pixels.iter_mut().zip(&along) {
                *pixel *= down - along;
            }
        }
    }
}

fn mean_and_sd(plane: &[f32]) -> (f32, f32) {
    let num_pixels = plane.len() as f64;
    // Per-row sums in f32 keep the loop fast; rows are added in f64.
    let (mut sum, mut square_sum) = (0.0, 0.0);
    for part in plane.chunks(256) {
        sum += f64::from(part.iter().sum::<f32>());
        square_sum += f64::from(part.iter().map(|v| v * v).sum::<f32>());
    }
    let mean = sum / num_pixels;
    (
        mean as f32,
        (square_sum / num_pixels - mean * mean).max(0.0).sqrt() as f32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_darkest_corner_is_darker_by_the_depth() {
        let optics = ChannelOptics {
            average: (0.2, 0.2),
            contrast: 1.0,
            background: 0.0,
            saturation: 0.0,
            haze: 0.0,
            bright_spot: (0.25, 0.25),
            depth: 0.4,
        };
        let mut plane = vec![1.0; 400 * 400];
        optics.illuminate(&mut plane, 400);
        assert!((plane[100 * 400 + 100] - 1.0).abs() < 1e-3);
        assert!((plane[400 * 400 - 1] - 0.6).abs() < 3e-3);
    }

    /// The stated averages are those of the demo's images, whatever stains
    /// share a channel.
    #[track_caller]
    fn check_average_image(layout: ScreenLayout) {
        let screen = SimulatorConfig::default().check().expect("valid");
        let channels = layout.channels();
        let mut sums = vec![(0.0, 0.0); channels.len()];
        let wells: Vec<usize> = (0..screen.wells().len()).step_by(16).collect();
        for &well_index in &wells {
            let (_, matter) = super::super::site::paint_site(&screen, well_index, 1);
            for (sum, plane) in sums.iter_mut().zip(layout.stained(matter)) {
                let (mean, sd) = mean_and_sd(&plane);
                *sum = (sum.0 + mean, sum.1 + sd);
            }
        }
        for ((mean, sd), channel) in sums.into_iter().zip(channels) {
            let measured = (mean / wells.len() as f32, sd / wells.len() as f32);
            let stated = average_image(&channel.stain);
            let near = |a: f32, b: f32| (a / b - 1.0).abs() < 0.1;
            assert!(
                near(measured.0, stated.0) && near(measured.1, stated.1),
                "{channel}: {measured:.2?}"
            );
        }
    }

    #[test]
    fn the_average_image_is_that_of_the_demo() {
        check_average_image(ScreenLayout::Rxrx1);
        check_average_image(ScreenLayout::Jump);
    }

    #[test]
    fn automatic_exposure_meets_its_aim_whatever_is_painted() {
        let config = SimulatorConfig {
            microscope: super::super::MicroscopeConfig {
                noise: 0.0,
                ..Default::default()
            },
            ..Default::default()
        };
        let screen = config.check().expect("valid");
        let well = &screen.wells()[0].well;
        let seed = morphospace_core::Seed::new(1);
        let microscope = Microscope::set_up(&config, well, seed);
        let images = [0.2, 3.0].map(|amount| {
            let wave = |pixel: usize| amount * (1.0 + (pixel as f32 / 9.0).sin());
            let planes = vec![(0..64 * 64).map(wave).collect(); 6];
            microscope.expose(planes, 64, &mut PixelNoise::new(seed))
        });
        let [faint, bright] = images.map(|image| {
            let values: Vec<f32> = image[2].values().into_iter().map(f32::from).collect();
            mean_and_sd(&values)
        });
        assert!((faint.0 - bright.0).abs() < 0.3 && (faint.1 - bright.1).abs() < 0.3);
    }
}
