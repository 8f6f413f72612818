use std::path::Path;

use morphospace_core::{ConfigError, Experiment, parse_config, suggestion};
use serde::{Deserialize, Serialize};

use super::{CellType, CheckedSimulator, Parameter, ScreenLayout, SimulatorError};
use crate::PerturbationKind;

/// Parameters of a simulated screen, as read from TOML. The default is the
/// screen of the `demo` command; [`SimulatorConfig::read`] takes what the TOML
/// leaves out from the layout's preset.
///
/// [`SimulatorConfig::check`] yields the only thing that can be simulated.
///
/// ```
/// use morphospace_screen::simulator::SimulatorConfig;
///
/// let text = "num_groups = 3\nexperiments = ['HUVEC-01', 'RPE-01']\n[batch]\nblur = 0.5";
/// let config = SimulatorConfig::parse("text", text, &[])?;
/// assert_eq!(config.num_sites_in_total(), 2 * (2 * 3 * 3 + 2 * (16 + 2)));
///
/// let crowded = SimulatorConfig { num_groups: 200, ..config };
/// let message = crowded.check().err().map(|error| error.to_string());
/// assert!(message.unwrap().contains("hold 60 wells"));
/// # Ok::<(), morphospace_core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimulatorConfig {
    /// Whose tables and files are written.
    #[serde(skip_serializing_if = "ScreenLayout::is_rxrx1")]
    pub layout: ScreenLayout,
    /// The one number from which everything is drawn.
    pub seed: u64,
    /// Names of the experiments. RxRx1: `<cell type>-<number>` with the cell
    /// types HEPG2, HUVEC, RPE and U2OS; RxRx3: `gene-<number>`; JUMP: batches,
    /// each in a source (laboratory) of its own.
    pub experiments: Vec<String>,
    /// Those of them whose column `dataset` says `test`. RxRx1 only.
    pub test_experiments: Vec<String>,
    /// Plates per experiment.
    pub num_plates: usize,
    /// Rows of wells in use. RxRx1: 14, from row B down; RxRx3: 32; JUMP: 16.
    pub num_rows: usize,
    /// Columns of wells in use. RxRx1: 22, from column 02 on; RxRx3: 48;
    /// JUMP: 24.
    pub num_columns: usize,
    /// Images per well. RxRx1: 2; RxRx3: 1, and no other number; JUMP: 9.
    pub num_sites: usize,
    /// Side of the square images, pixels. RxRx1: 512; RxRx3: 2048; JUMP:
    /// 1080.
    pub image_px: usize,
    /// Size of cells in pixels relative to the table of
    /// [`Parameter`]; at 1 a cell is about 50 pixels wide.
    pub magnification: f64,
    /// Functional groups of perturbations.
    pub num_groups: usize,
    /// Perturbations in each group; genes, where they have several guides.
    pub group_size: usize,
    /// Guides, or constructs, of each gene. The first does all that the gene's
    /// loss does, the others 0.6 to 1 times as much. RxRx1 has reagents
    /// without genes, 1; RxRx3 up to 6.
    #[serde(skip_serializing_if = "is_one")]
    pub num_guides: usize,
    /// What perturbations are, where the layout leaves a choice: JUMP's are
    /// `crispr` (unless said), `orf` or `compound`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perturbation_kind: Option<PerturbationKind>,
    /// Wells per perturbation and experiment, dealt over the plates.
    /// RxRx1: 1.
    pub num_replicates: usize,
    /// Wells on every plate in which nothing happens: RxRx1's `EMPTY`;
    /// RxRx3's `EMPTY_control` and `CRISPR_control`; JUMP's `no-guide` and
    /// `non-targeting`, four inert genes, or `DMSO`. RxRx1 has 1 or more;
    /// alignment on controls wants at least 16.
    pub num_negative_controls: usize,
    /// Perturbations with a strong effect of their own, one well of each on
    /// every plate. RxRx1: 30. RxRx3: up to 16, its own guides; JUMP: up to
    /// 1 guide, 1 construct or 8 compounds, its own.
    pub num_positive_controls: usize,
    /// What perturbations do to cells.
    pub effects: EffectsConfig,
    /// What differs between experiments.
    pub batch: BatchConfig,
    /// What differs between plates and positions on a plate.
    pub plate: PlateConfig,
    /// What the microscope does.
    pub microscope: MicroscopeConfig,
}

/// Perturbation effects and the spread of cells. Strengths are in effect
/// units (see [`Parameter::effect_unit`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EffectsConfig {
    /// Parameters that a group moves.
    pub num_group_parameters: usize,
    /// How far a group moves each of them.
    pub group_strength: f64,
    /// Parameters that a perturbation moves beside those of its group.
    pub num_own_parameters: usize,
    /// How far a perturbation moves each of them.
    pub own_strength: f64,
    /// Spread of the cells of a well.
    pub cell_variation: f64,
    /// Spread of the wells of a perturbation.
    pub well_variation: f64,
}

/// Standard deviations of the differences between experiments. Those named
/// as factors act on the logarithm: 0.3 means about 30 %.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BatchConfig {
    /// Factor on each channel's contrast.
    pub gain: f64,
    /// Factor on each channel's background level.
    pub offset: f64,
    /// Depth of each channel's illumination field: how much darker the
    /// darkest corner is, as a share of the brightest spot.
    pub illumination: f64,
    /// Factor on the width of the point-spread function.
    pub blur: f64,
    /// Factor on the density of cells.
    pub density: f64,
    /// Factor on the camera's noise.
    pub noise: f64,
    /// Shift of every morphological parameter, effect units: passages of one
    /// line differ.
    pub morphology: f64,
}

/// Differences between plates of an experiment (standard deviations) and
/// between positions on a plate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlateConfig {
    /// Factor on each channel's contrast, per plate.
    pub gain: f64,
    /// Factor on each channel's background level, per plate.
    pub offset: f64,
    /// Factor on the density of cells, per plate.
    pub density: f64,
    /// How much contrast changes from one side of a plate to the other, as
    /// standard deviation of a gradient along rows and one along columns.
    pub gradient: f64,
    /// Share of cells missing in wells at the rim of the plate, which dry
    /// out first.
    pub edge_loss: f64,
}

/// The camera's way from fluorescence to grey levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MicroscopeConfig {
    /// How far exposure and black level follow each image, as automatic
    /// exposure does: 0 keeps them fixed, so that brightness tells how much
    /// stained matter there is; 1 gives every image of a channel and plate
    /// the same mean and contrast, so that only structure is left.
    pub auto_exposure: f64,
    /// Factor on each channel's contrast from well to well (uneven staining),
    /// as standard deviation.
    pub gain_jitter: f64,
    /// Factor on each channel's background level from well to well.
    pub offset_jitter: f64,
    /// Bend of every stain's response to the amount of matter (dye runs out,
    /// structures shade each other): 0 is a straight line, 1 halves the slope
    /// at the brightness of an average image's bright structures.
    pub saturation: f64,
    /// Factor on each channel's bend from well to well.
    pub saturation_jitter: f64,
    /// Share of each channel's light that comes from out of focus.
    pub haze: f64,
    /// Factor on that share from well to well.
    pub haze_jitter: f64,
    /// Standard deviation of the point-spread function, pixels.
    pub blur_px: f64,
    /// Contrast (standard deviation) of an average image, grey levels.
    pub contrast: f64,
    /// Background of an average image, grey levels.
    pub background: f64,
    /// Camera noise at the darkest level, grey levels; shot noise comes on
    /// top.
    pub noise: f64,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            layout: ScreenLayout::Rxrx1,
            seed: 1,
            experiments: ["HEPG2-01", "HUVEC-01", "RPE-01", "U2OS-01"]
                .map(str::to_owned)
                .into(),
            test_experiments: Vec::new(),
            num_plates: 2,
            num_rows: 6,
            num_columns: 10,
            num_sites: 1,
            image_px: 256,
            magnification: 1.0,
            num_groups: 14,
            group_size: 3,
            num_guides: 1,
            perturbation_kind: None,
            num_replicates: 2,
            num_negative_controls: 16,
            num_positive_controls: 2,
            effects: EffectsConfig::default(),
            batch: BatchConfig::default(),
            plate: PlateConfig::default(),
            microscope: MicroscopeConfig::default(),
        }
    }
}

impl Default for EffectsConfig {
    fn default() -> Self {
        Self {
            num_group_parameters: 5,
            group_strength: 1.2,
            num_own_parameters: 3,
            own_strength: 0.8,
            cell_variation: 0.6,
            well_variation: 0.12,
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            gain: 0.3,
            offset: 0.35,
            illumination: 0.35,
            blur: 0.2,
            density: 0.12,
            noise: 0.25,
            morphology: 0.3,
        }
    }
}

impl Default for PlateConfig {
    fn default() -> Self {
        Self {
            gain: 0.06,
            offset: 0.08,
            density: 0.05,
            gradient: 0.05,
            edge_loss: 0.1,
        }
    }
}

impl Default for MicroscopeConfig {
    fn default() -> Self {
        Self {
            auto_exposure: 1.0,
            gain_jitter: 0.1,
            offset_jitter: 0.1,
            saturation: 0.8,
            saturation_jitter: 1.5,
            haze: 0.25,
            haze_jitter: 0.8,
            blur_px: 0.9,
            contrast: 22.0,
            background: 10.0,
            noise: 1.0,
        }
    }
}

/// For serde, which hands references.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_one(number: &usize) -> bool {
    *number == 1
}

impl SimulatorConfig {
    /// A screen with images, plates and sites of the published screen's size,
    /// but few experiments and perturbations; RxRx1's is the default.
    pub fn preset(layout: ScreenLayout) -> Self {
        layout.preset()
    }

    /// Reads settings from a TOML file; see [`SimulatorConfig::parse`].
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the place and the fix.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::CannotRead {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&path.display().to_string(), &text, overrides)
    }

    /// Reads settings from TOML and `key=value` overrides. What both leave
    /// out is as in the preset of the layout they name.
    ///
    /// # Errors
    /// [`ConfigError`] names the place and the fix.
    ///
    /// ```
    /// use morphospace_screen::simulator::SimulatorConfig;
    ///
    /// let overrides = ["layout=rxrx3".to_owned(), "num_rows=4".to_owned()];
    /// let config = SimulatorConfig::parse("text", "image_px = 64", &overrides)?;
    /// assert_eq!((config.num_rows, config.num_columns, config.image_px), (4, 48, 64));
    /// # Ok::<(), morphospace_core::ConfigError>(())
    /// ```
    pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let given: Self = parse_config(name, text, overrides)?;
        if given.layout.is_rxrx1() {
            return Ok(given);
        }
        let in_text: toml::Table = parse_config(name, text, &[])?;
        let mut settings = preset_overrides(given.layout, &in_text);
        settings.extend_from_slice(overrides);
        parse_config(name, text, &settings)
    }

    /// Reagents under study (controls not counted).
    pub fn num_treatments(&self) -> usize {
        self.num_groups * self.group_size * self.num_guides
    }

    /// What perturbations are.
    pub fn perturbation_kind(&self) -> PerturbationKind {
        self.perturbation_kind
            .unwrap_or(self.layout.perturbation_kind())
    }

    /// Sites that the screen will have, each with an image per channel.
    pub fn num_sites_in_total(&self) -> usize {
        let num_controls =
            self.num_plates * (self.num_negative_controls + self.num_positive_controls);
        let num_wells = self.num_treatments() * self.num_replicates + num_controls;
        self.experiments.len() * num_wells * self.num_sites
    }

    /// Wells taken on the fullest plate.
    fn num_wells_per_plate(&self) -> usize {
        (self.num_treatments() * self.num_replicates).div_ceil(self.num_plates)
            + self.num_negative_controls
            + self.num_positive_controls
    }

    /// Plans the screen: perturbations and their effects, plate layouts.
    ///
    /// # Errors
    /// [`SimulatorError::InvalidParameter`] names the parameter, its value
    /// and the nearest valid ones.
    pub fn check(&self) -> Result<CheckedSimulator, SimulatorError> {
        let experiments = self.check_experiments()?;
        in_range("num_plates", self.num_plates, 1, 999)?;
        let at_rims = 2 * self.layout.num_empty_at_rim();
        in_range("num_rows", self.num_rows, 1, 32 - at_rims)?;
        in_range("num_columns", self.num_columns, 1, 48 - at_rims)?;
        in_range("num_sites", self.num_sites, 1, 99)?;
        in_range("image_px", self.image_px, 32, 4096)?;
        in_range("num_groups", self.num_groups, 1, 10_000)?;
        in_range("group_size", self.group_size, 1, 1_000)?;
        in_range("num_replicates", self.num_replicates, 1, 10_000)?;
        real_in_range("magnification", self.magnification, 0.25, 4.0)?;
        self.layout.check(self)?;
        self.check_wells()?;
        self.effects.check()?;
        self.batch.check()?;
        self.plate.check()?;
        self.microscope.check()?;
        Ok(CheckedSimulator::plan(self.clone(), experiments))
    }

    fn check_experiments(&self) -> Result<Vec<(Experiment, CellType)>, SimulatorError> {
        if self.experiments.is_empty() {
            return Err(invalid(
                "experiments",
                format!(
                    "is empty; a screen has at least one, such as '{}'",
                    Self::preset(self.layout).experiments[0]
                ),
            ));
        }
        let mut checked: Vec<(Experiment, CellType)> = Vec::new();
        for name in &self.experiments {
            let experiment = Experiment::new(name.as_str());
            let cell_type = self.layout.cell_type(&experiment)?;
            if checked.iter().any(|(other, _)| *other == experiment) {
                return Err(invalid(
                    "experiments",
                    format!("'{name}' stands there twice"),
                ));
            }
            checked.push((experiment, cell_type));
        }
        for name in &self.test_experiments {
            if !self.experiments.contains(name) {
                let near = suggestion(name, self.experiments.iter().map(String::as_str))
                    .map_or(String::new(), |near| format!(" (nearest: '{near}')"));
                return Err(invalid(
                    "test_experiments",
                    format!("'{name}' is not one of the experiments{near}"),
                ));
            }
        }
        Ok(checked)
    }

    fn check_wells(&self) -> Result<(), SimulatorError> {
        let room = self.num_rows * self.num_columns;
        let needed = self.num_wells_per_plate();
        if needed <= room {
            return Ok(());
        }
        let controls = self.num_negative_controls + self.num_positive_controls;
        let fitting = match room.checked_sub(controls) {
            Some(left) if left > 0 => format!(
                "nearest: {} plates, or at most {} perturbations",
                (self.num_treatments() * self.num_replicates).div_ceil(left),
                left * self.num_plates / self.num_replicates
            ),
            _ => format!("the {controls} controls alone leave no room"),
        };
        Err(invalid(
            "num_rows",
            format!(
                "{} rows of {} columns hold {room} wells, but the fullest plate needs {needed}: {} \
                 perturbations x {} replicates over {} plates + {controls} controls ({fitting})",
                self.num_rows,
                self.num_columns,
                self.num_treatments(),
                self.num_replicates,
                self.num_plates,
            ),
        ))
    }
}

impl EffectsConfig {
    fn check(&self) -> Result<(), SimulatorError> {
        in_range(
            "effects.num_group_parameters",
            self.num_group_parameters,
            0,
            Parameter::COUNT,
        )?;
        in_range(
            "effects.num_own_parameters",
            self.num_own_parameters,
            0,
            Parameter::COUNT,
        )?;
        real_in_range("effects.group_strength", self.group_strength, 0.0, 3.0)?;
        real_in_range("effects.own_strength", self.own_strength, 0.0, 3.0)?;
        real_in_range("effects.cell_variation", self.cell_variation, 0.0, 2.0)?;
        real_in_range("effects.well_variation", self.well_variation, 0.0, 2.0)
    }
}

impl BatchConfig {
    fn check(&self) -> Result<(), SimulatorError> {
        real_in_range("batch.gain", self.gain, 0.0, 1.0)?;
        real_in_range("batch.offset", self.offset, 0.0, 1.0)?;
        real_in_range("batch.illumination", self.illumination, 0.0, 0.9)?;
        real_in_range("batch.blur", self.blur, 0.0, 1.0)?;
        real_in_range("batch.density", self.density, 0.0, 1.0)?;
        real_in_range("batch.noise", self.noise, 0.0, 1.0)?;
        real_in_range("batch.morphology", self.morphology, 0.0, 2.0)
    }
}

impl PlateConfig {
    fn check(&self) -> Result<(), SimulatorError> {
        real_in_range("plate.gain", self.gain, 0.0, 1.0)?;
        real_in_range("plate.offset", self.offset, 0.0, 1.0)?;
        real_in_range("plate.density", self.density, 0.0, 1.0)?;
        real_in_range("plate.gradient", self.gradient, 0.0, 1.0)?;
        real_in_range("plate.edge_loss", self.edge_loss, 0.0, 0.9)
    }
}

impl MicroscopeConfig {
    fn check(&self) -> Result<(), SimulatorError> {
        real_in_range("microscope.auto_exposure", self.auto_exposure, 0.0, 1.0)?;
        real_in_range("microscope.gain_jitter", self.gain_jitter, 0.0, 1.0)?;
        real_in_range("microscope.offset_jitter", self.offset_jitter, 0.0, 1.0)?;
        real_in_range("microscope.saturation", self.saturation, 0.0, 10.0)?;
        real_in_range(
            "microscope.saturation_jitter",
            self.saturation_jitter,
            0.0,
            3.0,
        )?;
        real_in_range("microscope.haze", self.haze, 0.0, 0.8)?;
        real_in_range("microscope.haze_jitter", self.haze_jitter, 0.0, 3.0)?;
        real_in_range("microscope.blur_px", self.blur_px, 0.3, 10.0)?;
        real_in_range("microscope.contrast", self.contrast, 1.0, 60.0)?;
        real_in_range("microscope.background", self.background, 0.0, 100.0)?;
        real_in_range("microscope.noise", self.noise, 0.0, 20.0)
    }
}

/// What a preset has otherwise than the default and the text does not set,
/// as overrides.
fn preset_overrides(layout: ScreenLayout, in_text: &toml::Table) -> Vec<String> {
    let settings = |config: SimulatorConfig| {
        toml::Table::try_from(config).expect("a configuration is a plain table")
    };
    let default = settings(SimulatorConfig::default());
    let mut overrides = Vec::new();
    for (key, value) in settings(layout.preset()) {
        let entries = match &value {
            toml::Value::Table(table) => table
                .iter()
                .map(|(inner, value)| (vec![key.as_str(), inner], value))
                .collect(),
            _ => vec![(vec![key.as_str()], &value)],
        };
        for (keys, value) in entries {
            if at(&default, &keys) != Some(value) && at(in_text, &keys).is_none() {
                overrides.push(format!("{}={value}", keys.join(".")));
            }
        }
    }
    overrides
}

fn at<'a>(table: &'a toml::Table, keys: &[&str]) -> Option<&'a toml::Value> {
    let (first, rest) = keys.split_first()?;
    let value = table.get(*first)?;
    match rest {
        [] => Some(value),
        _ => at(value.as_table()?, rest),
    }
}

pub(super) fn invalid(parameter: &'static str, message: impl Into<String>) -> SimulatorError {
    SimulatorError::InvalidParameter {
        parameter,
        message: message.into(),
    }
}

pub(super) fn in_range(
    parameter: &'static str,
    value: usize,
    low: usize,
    high: usize,
) -> Result<(), SimulatorError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let near = value.clamp(low, high);
    Err(invalid(
        parameter,
        format!("{value} is not in {low}..={high} (nearest: {near})"),
    ))
}

fn real_in_range(
    parameter: &'static str,
    value: f64,
    low: f64,
    high: f64,
) -> Result<(), SimulatorError> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    // NaN has no nearest value.
    let near = if value.is_nan() {
        low
    } else {
        value.clamp(low, high)
    };
    Err(invalid(
        parameter,
        format!("{value} is not in {low}..={high} (nearest: {near})"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut SimulatorConfig)) -> String {
        let mut config = SimulatorConfig::default();
        change(&mut config);
        config.check().expect_err("refused").to_string()
    }

    #[test]
    fn refusals_give_the_numbers_and_the_nearest_valid_value() {
        let check = |text: String, expected: &str| assert!(text.contains(expected), "{text}");
        check(
            message(|c| c.experiments.clear()),
            "'experiments': is empty",
        );
        check(
            message(|c| c.experiments[1] = "HUVAC-01".into()),
            "(nearest: 'HUVEC-01')",
        );
        check(
            message(|c| c.experiments[1] = "HUVEC".into()),
            "'HUVEC' is not <cell type>-<number>",
        );
        check(
            message(|c| c.experiments[1] = "HEPG2-1".into()),
            "'HEPG2-1' stands there twice",
        );
        check(
            message(|c| c.test_experiments = vec!["RPE-02".into()]),
            "'RPE-02' is not one of the experiments (nearest: 'RPE-01')",
        );
        check(
            message(|c| c.num_plates = 0),
            "'num_plates': 0 is not in 1..=999 (nearest: 1)",
        );
        check(message(|c| c.image_px = 8192), "(nearest: 4096)");
        check(
            message(|c| c.num_rows = 31),
            "31 is not in 1..=30 (nearest: 30)",
        );
        check(
            message(|c| c.num_groups = 15),
            "6 rows of 10 columns hold 60 wells, but the fullest plate needs 63: 45 perturbations \
             x 2 replicates over 2 plates + 18 controls (nearest: 3 plates, or at most 42 \
             perturbations)",
        );
        check(
            message(|c| c.num_negative_controls = 90),
            "the 92 controls alone leave no room",
        );
        check(
            message(|c| c.effects.num_own_parameters = 40),
            "(nearest: 22)",
        );
        check(
            message(|c| c.batch.gain = -0.5),
            "'batch.gain': -0.5 is not in 0..=1 (nearest: 0)",
        );
        check(
            message(|c| c.microscope.noise = f64::NAN),
            "NaN is not in 0..=20",
        );
    }

    #[test]
    fn a_config_survives_toml() {
        for layout in ScreenLayout::ALL {
            let config = SimulatorConfig::preset(layout);
            let text = toml::to_string(&config).expect("written");
            let read = SimulatorConfig::parse("text", &text, &[]).expect("read");
            assert_eq!(read, config);
        }
    }

    #[test]
    fn the_text_is_stronger_than_the_preset_and_overrides_than_the_text() {
        let text = "layout = 'jump'\nnum_sites = 2\nimage_px = 256\n[effects]\nown_strength = 0.5";
        let overrides = [
            "image_px=64".to_owned(),
            "effects.well_variation=0.2".to_owned(),
        ];
        let config = SimulatorConfig::parse("text", text, &overrides).expect("valid");
        assert_eq!(
            (config.num_sites, config.image_px, config.num_rows),
            (2, 64, 16)
        );
        assert_eq!(config.effects.own_strength, 0.5);
        assert_eq!(config.effects.well_variation, 0.2);
        assert_eq!(
            config.effects.group_strength,
            EffectsConfig::default().group_strength
        );
        // The layout of the command line brings its preset, too.
        let overrides = ["layout=rxrx3".to_owned()];
        let config = SimulatorConfig::parse("text", "[microscope]\nnoise = 2.0", &overrides);
        let microscope = config.expect("valid").microscope;
        assert_eq!((microscope.noise, microscope.blur_px), (2.0, 1.8));
        let error = SimulatorConfig::parse("text", "layout = 'jump'\nnum_site = 2", &[]);
        let error = error.expect_err("misspelt").to_string();
        assert!(
            error.contains("line 2") && error.contains("'num_sites'"),
            "{error}"
        );
    }

    #[test]
    fn each_layout_refuses_what_its_tables_cannot_say() {
        use PerturbationKind::{Compound, Crispr, Orf};
        use ScreenLayout::{Jump, Rxrx1, Rxrx3};
        let refused = |layout: ScreenLayout, change: fn(&mut SimulatorConfig), expected: &str| {
            let mut config = SimulatorConfig::preset(layout);
            change(&mut config);
            let error = config.check().expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        };
        refused(
            Rxrx1,
            |c| c.num_guides = 2,
            "'num_guides': 2 is not in 1..=1",
        );
        refused(
            Rxrx1,
            |c| c.perturbation_kind = Some(Crispr),
            "has sirna and not 'crispr'",
        );
        refused(Rxrx3, |c| c.num_sites = 2, "'num_sites': 2 is not in 1..=1");
        refused(Rxrx3, |c| c.num_guides = 7, "(nearest: 6)");
        refused(Rxrx3, |c| c.num_positive_controls = 17, "(nearest: 16)");
        refused(Rxrx3, |c| c.num_rows = 33, "(nearest: 32)");
        refused(Rxrx3, |c| c.num_columns = 49, "(nearest: 48)");
        refused(
            Rxrx3,
            |c| c.perturbation_kind = Some(Orf),
            "has crispr and not 'orf'",
        );
        refused(
            Rxrx3,
            |c| c.experiments[0] = "HUVEC-01".into(),
            "is not gene-<number>",
        );
        refused(
            Rxrx3,
            |c| c.test_experiments = vec!["gene-002".into()],
            "only the layout 'rxrx1'",
        );
        refused(
            Jump,
            |c| c.experiments[1] = "../Batch".into(),
            "'../Batch' is no batch",
        );
        refused(Jump, |c| c.num_positive_controls = 2, "(nearest: 1)");
        refused(
            Jump,
            |c| (c.perturbation_kind, c.num_guides) = (Some(Compound), 2),
            "(nearest: 1)",
        );
        refused(
            Jump,
            |c| c.experiments.clear(),
            "such as '2021_04_26_Batch1'",
        );
    }
}
