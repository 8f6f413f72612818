use morphospace_core::Seed;
use serde::{Deserialize, Serialize};

use crate::preset::{Preset, Settings};
use crate::transform::Transform;
use crate::{Interpolation, View, ViewKind, ViewRecipe, ViewsError};

/// What a network is shown of a site in training, as `[views]` of a run's
/// TOML: a preset, and what differs from it.
///
/// Everything but the preset has the preset's own value if it is left out; see
/// [`Preset`] for these and for where they come from. What a preset has no use
/// for is refused.
///
/// ```
/// use morphospace_views::{ViewKind, ViewsConfig};
///
/// let config: ViewsConfig = toml::from_str("preset = 'simple'\nnum_local = 6")?;
/// let views = config.check()?;
/// let is_local = |recipe: &&_| matches!(recipe, morphospace_views::ViewRecipe {
///     kind: ViewKind::Local, ..
/// });
/// assert_eq!(views.recipes().iter().filter(is_local).count(), 6);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewsConfig {
    /// The recipe, by the name of the work it is from.
    pub preset: Preset,
    /// Length that the shorter edge of a site is brought to before anything
    /// else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize_px: Option<usize>,
    /// Edge of global views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop_px: Option<usize>,
    /// Edge of local views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_px: Option<usize>,
    /// Number of local views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_local: Option<usize>,
    /// Share of the site's area that a global view shows, from and to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_scale: Option<[f64; 2]>,
    /// Share of the site's area that a local view shows, from and to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_scale: Option<[f64; 2]>,
    /// Levels between pixels, where sites or parts of them are resized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpolation: Option<Interpolation>,
    /// Whether all sites of a batch share their draws, as in the public code
    /// of Lugli et al. 2025, which transforms whole batches at once; else each
    /// has its own.
    #[serde(default)]
    pub shared_draws: bool,
    /// Probabilities of steps, in all views that have them.
    #[serde(default, skip_serializing_if = "Probabilities::is_empty")]
    pub probabilities: Probabilities,
}

/// Probabilities that differ from a preset's, by the step; see [`Transform`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probabilities {
    /// [`Transform::FlipHorizontally`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip_horizontally: Option<f64>,
    /// [`Transform::FlipVertically`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flip_vertically: Option<f64>,
    /// [`Transform::Rot90`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rot90: Option<f64>,
    /// [`Transform::Transpose`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transpose: Option<f64>,
    /// [`Transform::ColourJitter`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub colour_jitter: Option<f64>,
    /// [`Transform::Grayscale`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grayscale: Option<f64>,
    /// [`Transform::ChannelShuffle`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_shuffle: Option<f64>,
    /// [`Transform::Blur`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blur: Option<f64>,
    /// [`Transform::Solarise`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub solarise: Option<f64>,
    /// [`Transform::ChannelAffine`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_affine: Option<f64>,
    /// [`Transform::Noise`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<f64>,
}

impl Probabilities {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// By the names they have in configurations.
    fn named(&self) -> [(&'static str, Option<f64>); 11] {
        [
            ("flip_horizontally", self.flip_horizontally),
            ("flip_vertically", self.flip_vertically),
            ("rot90", self.rot90),
            ("transpose", self.transpose),
            ("colour_jitter", self.colour_jitter),
            ("grayscale", self.grayscale),
            ("channel_shuffle", self.channel_shuffle),
            ("blur", self.blur),
            ("solarise", self.solarise),
            ("channel_affine", self.channel_affine),
            ("noise", self.noise),
        ]
    }
}

/// The name of a step's probability, and the probability.
fn probability(transform: &mut Transform) -> Option<(&'static str, &mut f64)> {
    Some(match transform {
        Transform::FlipHorizontally { p } => ("flip_horizontally", p),
        Transform::FlipVertically { p } => ("flip_vertically", p),
        Transform::Rot90 { p } => ("rot90", p),
        Transform::Transpose { p } => ("transpose", p),
        Transform::ColourJitter { p, .. } => ("colour_jitter", p),
        Transform::Grayscale { p, .. } => ("grayscale", p),
        Transform::ChannelShuffle { p } => ("channel_shuffle", p),
        Transform::Blur { p, .. } => ("blur", p),
        Transform::Solarise { p, .. } => ("solarise", p),
        Transform::ChannelAffine { p, .. } => ("channel_affine", p),
        Transform::Noise { p, .. } => ("noise", p),
        Transform::Resize { .. }
        | Transform::RandomResizedCrop { .. }
        | Transform::RandomZoom { .. }
        | Transform::RandomCrop { .. }
        | Transform::CenterCrop { .. }
        | Transform::Rotation { .. } => return None,
    })
}

/// Edges of views and sites in pixels: kernels of blurs fit into the smallest,
/// and the largest is beyond every screen.
const EDGES_PX: std::ops::RangeInclusive<usize> = 16..=8192;

/// More local views than any work has shown.
const MOST_LOCAL: usize = 64;

impl ViewsConfig {
    /// A preset as it is.
    pub fn new(preset: Preset) -> Self {
        Self {
            preset,
            resize_px: None,
            crop_px: None,
            local_px: None,
            num_local: None,
            global_scale: None,
            local_scale: None,
            interpolation: None,
            shared_draws: false,
            probabilities: Probabilities::default(),
        }
    }

    /// Checks every number, and expands the preset into recipes.
    ///
    /// # Errors
    /// [`ViewsError::InvalidConfig`] names the setting, its value and what it
    /// may be.
    pub fn check(self) -> Result<CheckedViews, ViewsError> {
        for (name, edge) in [
            ("resize_px", self.resize_px),
            ("crop_px", self.crop_px),
            ("local_px", self.local_px),
        ] {
            if let Some(edge) = edge
                && !EDGES_PX.contains(&edge)
            {
                let (low, high) = (EDGES_PX.start(), EDGES_PX.end());
                return invalid(format!("{name} {edge} is not in {low}..={high}"));
            }
        }
        if let Some(num_local) = self.num_local
            && num_local > MOST_LOCAL
        {
            return invalid(format!("num_local {num_local} is more than {MOST_LOCAL}"));
        }
        for (name, scale) in [
            ("global_scale", self.global_scale),
            ("local_scale", self.local_scale),
        ] {
            // Shares above 1 never fit and are drawn again, which is how
            // Haslum et al. 2022 write 0.9 to 1.1.
            let is_scale =
                |[low, high]: [f64; 2]| low > 0.0 && low <= 1.0 && high >= low && high <= 2.0;
            if let Some(scale) = scale
                && !is_scale(scale)
            {
                return invalid(format!(
                    "{name} {scale:?} is not a share of the area from above 0 to at most 1, and \
                     one from there to at most 2"
                ));
            }
        }
        for (name, p) in self.probabilities.named() {
            if let Some(p) = p
                && !(0.0..=1.0).contains(&p)
            {
                return invalid(format!("probabilities.{name} {p} is not in 0..=1"));
            }
        }
        let settings = self.settings();
        self.refuse_unused(&settings)?;
        if let (Some(crop_px), Some(resize_px)) = (settings.crop_px, settings.resize_px)
            && crop_px > resize_px
        {
            return invalid(format!(
                "crop_px {crop_px} is larger than resize_px {resize_px}, to which sites are \
                 brought before"
            ));
        }
        if let (Some(local_px), Some(crop_px)) = (settings.local_px, settings.crop_px)
            && local_px > crop_px
        {
            return invalid(format!(
                "local_px {local_px} is larger than crop_px {crop_px}: local views are the \
                 smaller ones"
            ));
        }
        let mut recipes = self.preset.recipes(&settings);
        self.set_probabilities(&mut recipes)?;
        Ok(CheckedViews {
            evaluation: self.preset.evaluation(&settings),
            recipes,
            config: self,
        })
    }

    /// The preset's, with what differs.
    fn settings(&self) -> Settings {
        let preset = self.preset.settings();
        Settings {
            resize_px: self.resize_px.or(preset.resize_px),
            crop_px: self.crop_px.or(preset.crop_px),
            local_px: self.local_px.or(preset.local_px),
            num_local: self.num_local.unwrap_or(preset.num_local),
            global_scale: self.global_scale.or(preset.global_scale),
            local_scale: self.local_scale.or(preset.local_scale),
            interpolation: self.interpolation.unwrap_or(preset.interpolation),
        }
    }

    /// A setting that would do nothing is a mistake of who wrote it.
    fn refuse_unused(&self, settings: &Settings) -> Result<(), ViewsError> {
        let preset = self.preset.settings();
        let has_local = preset.local_px.is_some();
        let resizes = settings.resize_px.is_some() || preset.global_scale.is_some();
        let has_scale = preset.global_scale.is_some();
        for (name, is_given, is_used, what) in [
            (
                "local_px",
                self.local_px.is_some(),
                has_local,
                "has no local views",
            ),
            (
                "num_local",
                self.num_local.is_some(),
                has_local,
                "has no local views",
            ),
            (
                "local_scale",
                self.local_scale.is_some(),
                has_local,
                "has no local views",
            ),
            (
                "global_scale",
                self.global_scale.is_some(),
                has_scale,
                "does not resize crops",
            ),
            (
                "interpolation",
                self.interpolation.is_some(),
                resizes,
                "resizes nothing",
            ),
        ] {
            if is_given && !is_used {
                let preset = self.preset;
                return invalid(format!("{name} is given, but preset '{preset}' {what}"));
            }
        }
        Ok(())
    }

    fn set_probabilities(&self, recipes: &mut [ViewRecipe]) -> Result<(), ViewsError> {
        for (name, given) in self.probabilities.named() {
            let Some(given) = given else { continue };
            let mut is_used = false;
            let transforms = recipes.iter_mut().flat_map(|recipe| &mut recipe.transforms);
            for (of, p) in transforms.filter_map(probability) {
                if of == name {
                    *p = given;
                    is_used = true;
                }
            }
            if !is_used {
                let preset = self.preset;
                return invalid(format!(
                    "probabilities.{name} is given, but preset '{preset}' has no such step"
                ));
            }
        }
        Ok(())
    }
}

fn invalid<T>(message: String) -> Result<T, ViewsError> {
    Err(ViewsError::InvalidConfig(message))
}

/// A [`ViewsConfig`] that has passed [`ViewsConfig::check`], with its recipes.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckedViews {
    config: ViewsConfig,
    recipes: Vec<ViewRecipe>,
    evaluation: ViewRecipe,
}

impl CheckedViews {
    /// The settings.
    pub fn get(&self) -> &ViewsConfig {
        &self.config
    }

    /// How the views of a site are made: global ones first, then local ones.
    pub fn recipes(&self) -> &[ViewRecipe] {
        &self.recipes
    }

    /// How a site is shown where nothing is random: the middle of what
    /// training shows parts of.
    pub fn evaluation(&self) -> &ViewRecipe {
        &self.evaluation
    }

    /// The seed of a site's draws, of the batch's seed and the site's place in
    /// the batch.
    pub fn seed_of(&self, batch: Seed, index: u64) -> Seed {
        if self.config.shared_draws {
            batch
        } else {
            batch.split_index(index)
        }
    }

    /// Draws the views of a site of the given size, as [`CheckedViews::recipes`].
    ///
    /// # Errors
    /// [`ViewsError::SiteTooSmall`]: the site does not hold a crop.
    pub fn draw(
        &self,
        channels: usize,
        height: usize,
        width: usize,
        seed: Seed,
    ) -> Result<Vec<View>, ViewsError> {
        let seed = seed.split("view");
        (0..)
            .zip(&self.recipes)
            .map(|(index, recipe)| recipe.draw(channels, height, width, seed.split_index(index)))
            .collect()
    }

    /// Number of global views of a site.
    pub fn num_global(&self) -> usize {
        let is_global = |recipe: &&ViewRecipe| recipe.kind == ViewKind::Global;
        self.recipes.iter().filter(is_global).count()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Operation;

    const PRESETS: [Preset; 11] = [
        Preset::Mae,
        Preset::Wsl,
        Preset::WslKaggle,
        Preset::Simple,
        Preset::PaperTable3,
        Preset::AibioHard,
        Preset::DinoOriginal,
        Preset::Cdcl,
        Preset::Simclr,
        Preset::AibioOneview,
        Preset::Dinov2,
    ];

    fn checked(text: &str) -> CheckedViews {
        let config: ViewsConfig = toml::from_str(text).expect(text);
        config.check().expect(text)
    }

    #[test]
    fn hostile_settings_are_refused_with_their_numbers() {
        let check = |text: &str, expect: &str| {
            let config: ViewsConfig = toml::from_str(text).expect(text);
            let message = config.check().expect_err(text).to_string();
            assert!(message.contains(expect), "{text}: {message}");
        };
        check(
            "preset = 'mae'\ncrop_px = 0",
            "crop_px 0 is not in 16..=8192",
        );
        check(
            "preset = 'mae'\ncrop_px = 100000",
            "crop_px 100000 is not in",
        );
        check("preset = 'simple'\nresize_px = 3", "resize_px 3 is not in");
        check("preset = 'simple'\nlocal_px = 0", "local_px 0 is not in");
        check(
            "preset = 'simple'\nlocal_px = 256",
            "local_px 256 is larger than crop_px 224",
        );
        check(
            "preset = 'simple'\ncrop_px = 300",
            "crop_px 300 is larger than resize_px 256",
        );
        check(
            "preset = 'mae'\nresize_px = 128",
            "crop_px 256 is larger than resize_px 128",
        );
        check(
            "preset = 'simple'\nnum_local = 65",
            "num_local 65 is more than 64",
        );
        for scale in [
            "[1.0, 0.9]",
            "[0.0, 1.0]",
            "[-1.0, 1.0]",
            "[nan, 1.0]",
            "[0.5, inf]",
        ] {
            for name in ["global_scale", "local_scale"] {
                let expect = format!("{name} [");
                check(&format!("preset = 'simple'\n{name} = {scale}"), &expect);
            }
        }
        for p in ["-0.1", "1.5", "nan"] {
            let text = format!("preset = 'mae'\n[probabilities]\nflip_vertically = {p}");
            check(&text, "probabilities.flip_vertically");
            check(&text, "is not in 0..=1");
        }
    }

    #[test]
    fn settings_of_no_use_are_refused() {
        let check = |text: &str, expect: &str| {
            let config: ViewsConfig = toml::from_str(text).expect(text);
            let message = config.check().expect_err(text).to_string();
            assert!(message.contains(expect), "{text}: {message}");
        };
        check("preset = 'mae'\nlocal_px = 96", "'mae' has no local views");
        check(
            "preset = 'simclr'\nnum_local = 2",
            "'simclr' has no local views",
        );
        check(
            "preset = 'mae'\nglobal_scale = [0.5, 1.0]",
            "'mae' does not resize crops",
        );
        check(
            "preset = 'wsl'\ninterpolation = 'bicubic'",
            "'wsl' resizes nothing",
        );
        let text = "preset = 'simple'\n[probabilities]\nrot90 = 0.5";
        check(text, "preset 'simple' has no such step");
        for text in [
            "preset = 'mea'",
            "preset = 'mae'\ncrop = 256",
            "preset = 'mae'\n[probabilities]\nflip = 0.5",
            "crop_px = 256",
        ] {
            assert!(toml::from_str::<ViewsConfig>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn presets_are_written_as_they_are_displayed() {
        for preset in PRESETS {
            let views = checked(&format!("preset = '{preset}'"));
            let text = toml::to_string(views.get()).expect("settings are TOML");
            assert_eq!(
                text,
                format!("preset = \"{preset}\"\nshared_draws = false\n")
            );
        }
    }

    #[test]
    fn views_have_the_published_numbers_and_sizes() {
        let check = |preset: Preset, sizes: &[(usize, usize)]| {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            let mut found: Vec<(usize, usize)> = Vec::new();
            let drawn = views.draw(6, 512, 512, Seed::new(1)).expect("fits");
            let site = crate::Image::new(6, 512, 512, vec![50.0; 6 * 512 * 512]);
            for view in drawn {
                let image = view.apply(&site);
                assert_eq!(image.channels(), 6);
                assert_eq!(image.height(), image.width());
                match found.last_mut() {
                    Some((num, size)) if *size == image.width() => *num += 1,
                    _ => found.push((1, image.width())),
                }
            }
            assert_eq!(found, sizes, "{preset}");
        };
        check(Preset::Mae, &[(1, 256)]);
        check(Preset::Wsl, &[(1, 512)]);
        check(Preset::WslKaggle, &[(1, 512)]);
        check(Preset::Simple, &[(2, 224), (8, 96)]);
        check(Preset::PaperTable3, &[(2, 224), (8, 96)]);
        check(Preset::AibioHard, &[(2, 224), (8, 112)]);
        check(Preset::DinoOriginal, &[(2, 224), (8, 96)]);
        check(Preset::Cdcl, &[(2, 224), (6, 112)]);
        check(Preset::Simclr, &[(2, 224)]);
        check(Preset::AibioOneview, &[(2, 256)]);
        check(Preset::Dinov2, &[(2, 224), (4, 96)]);
    }

    #[test]
    fn evaluation_shows_the_middle_and_nothing_random() {
        let check = |text: &str, expect: usize| {
            let views = checked(text);
            let draw = |seed| views.evaluation().draw(1, 600, 512, Seed::new(seed));
            assert_eq!(draw(1), draw(2), "{text}");
            let site = crate::Image::new(1, 600, 512, vec![50.0; 600 * 512]);
            let image = draw(1).expect("fits").apply(&site);
            assert_eq!(image.width(), expect, "{text}");
        };
        check("preset = 'mae'", 256);
        check("preset = 'wsl'", 512);
        check("preset = 'wsl'\ncrop_px = 128", 128);
        check("preset = 'simple'", 224);
        check("preset = 'simclr'", 224);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_others() {
        let levels = (0..6 * 300 * 280).map(|index| (index * 7 % 256) as f32);
        let site = crate::Image::new(6, 300, 280, levels.collect());
        for preset in PRESETS {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            let shown = |seed: u64| -> Vec<Vec<f32>> {
                let seed = views.seed_of(Seed::new(5), seed);
                let drawn = views.draw(6, 300, 280, seed).expect("fits");
                let show = |view: &View| {
                    let mut image = view.apply(&site);
                    view.apply_after(&mut image);
                    image.into_levels()
                };
                drawn.iter().map(show).collect()
            };
            assert!(shown(1) == shown(1), "{preset}");
            // A square has eight symmetries only: two seeds may agree.
            assert!((2..10).any(|seed| shown(seed) != shown(1)), "{preset}");
        }
    }

    #[test]
    fn batches_share_their_draws_if_asked_to() {
        let own = checked("preset = 'simple'");
        let shared = checked("preset = 'simple'\nshared_draws = true");
        let batch = Seed::new(9);
        assert_ne!(own.seed_of(batch, 0), own.seed_of(batch, 1));
        assert_eq!(shared.seed_of(batch, 0), shared.seed_of(batch, 1));
    }

    #[test]
    fn views_of_one_site_differ() {
        let drawn = checked("preset = 'simple'")
            .draw(6, 512, 512, Seed::new(2))
            .expect("fits");
        let texts: BTreeSet<String> = drawn.iter().map(|view| format!("{view:?}")).collect();
        assert_eq!(texts.len(), drawn.len());
    }

    #[test]
    fn a_probability_moves_no_other_draw() {
        let views = |p: &str| {
            let text = format!("preset = 'dino_original'\n[probabilities]\nblur = {p}");
            let mut drawn = checked(&text)
                .draw(6, 512, 512, Seed::new(3))
                .expect("fits");
            for view in &mut drawn {
                let is_blur = |operation: &Operation| matches!(operation, Operation::Blur { .. });
                view.operations.retain(|operation| !is_blur(operation));
            }
            drawn
        };
        assert_eq!(views("0.0"), views("1.0"));
    }

    #[test]
    fn a_view_of_its_crop_box_is_the_view_of_the_site() {
        let levels = (0..2 * 300 * 280).map(|index| (index * 31 % 256) as f32);
        let site = crate::Image::new(2, 300, 280, levels.collect());
        for preset in [Preset::Mae, Preset::Simclr, Preset::Dinov2, Preset::Cdcl] {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            for view in views.draw(2, 300, 280, Seed::new(4)).expect("fits") {
                let crop = view.crop_box().expect("these presets begin with a crop");
                assert!(crop.is_within(300, 280));
                let mut decoded = site.clone();
                Operation::Crop { crop }.apply(&mut decoded, crate::Levels::Grey);
                assert_eq!(view.of_crop_box().apply(&decoded), view.apply(&site));
            }
        }
        // Sites are resized first, or turned.
        for preset in [Preset::Simple, Preset::Wsl, Preset::WslKaggle] {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            let drawn = views.draw(2, 300, 280, Seed::new(4)).expect("fits");
            assert!(
                drawn.iter().all(|view| view.crop_box().is_none()),
                "{preset}"
            );
        }
    }

    #[test]
    fn all_views_at_once_are_those_one_by_one() {
        let levels = (0..3 * 300 * 280).map(|index| (index * 31 % 256) as f32);
        let site = crate::Image::new(3, 300, 280, levels.collect());
        for preset in PRESETS {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            let drawn = views.draw(3, 300, 280, Seed::new(8)).expect("fits");
            let one_by_one: Vec<_> = drawn.iter().map(|view| view.apply(&site)).collect();
            assert!(View::apply_all(&drawn, &site) == one_by_one, "{preset}");
        }
    }

    #[test]
    fn drawn_views_are_plain_data() {
        for preset in PRESETS {
            let views = ViewsConfig::new(preset).check().expect("presets are valid");
            for view in views.draw(6, 512, 512, Seed::new(6)).expect("fits") {
                let text = toml::to_string(&view).expect("views are TOML");
                assert_eq!(toml::from_str::<View>(&text).expect(&text), view);
            }
        }
    }

    #[test]
    fn sites_that_hold_no_crop_are_refused() {
        let drawn = checked("preset = 'mae'").draw(6, 200, 400, Seed::new(1));
        let message = drawn.expect_err("too small").to_string();
        assert!(
            message.contains("200 x 400") && message.contains("256 x 256"),
            "{message}"
        );
    }
}
