//! What a network is shown of an image in training: crops, turns and colours.
//!
//! Drawing and applying are apart. A [`ViewsConfig`] names a preset and expands
//! into [`ViewRecipe`]s; a recipe and a seed give a [`View`], which is plain
//! data and needs no pixels; and a view is applied to any site of the size it
//! was drawn for. So a test gives the numbers itself, a loader decodes only
//! what is shown, and nothing depends on which thread drew first.
//!
//! | file | what |
//! |---|---|
//! | `config.rs`, `preset.rs` | [`ViewsConfig`], `[views]` of a run, and the presets with their sources |
//! | `transform.rs`, `grouping.rs` | [`Transform`], a step with probabilities and ranges, and how it is drawn |
//! | `view.rs` | [`ViewRecipe`], [`View`] |
//! | `operations/` | [`Operation`], a drawn step, one kernel per file |
//! | `interpolation.rs` | weights of pixels between pixels |
//! | `image.rs`, `levels.rs`, `crop_box.rs` | [`Image`], [`Levels`], [`CropBox`] |
//! | `cutmix.rs` | [`CutMix`], which mixes batches and their labels |
//! | `normal.rs`, `beta.rs` | distributions |
//!
//! # Example
//! ```
//! use morphospace_core::Seed;
//! use morphospace_views::{Image, Preset, View, ViewsConfig};
//!
//! let views = ViewsConfig::new(Preset::Simple).check()?;
//! let site = Image::new(6, 512, 512, vec![100.0; 6 * 512 * 512]);
//! let seed = views.seed_of(Seed::new(42).split("step 17"), 0);
//! let drawn = views.draw(site.channels(), site.height(), site.width(), seed)?;
//! let shown: Vec<Image> = View::apply_all(&drawn, &site);
//! assert_eq!(shown.len(), 2 + 8);
//! assert_eq!((shown[0].height(), shown[9].height()), (224, 96));
//! # Ok::<(), morphospace_views::ViewsError>(())
//! ```

mod beta;
mod config;
mod crop_box;
mod cutmix;
mod error;
mod grouping;
mod image;
mod interpolation;
mod levels;
mod normal;
mod operations;
mod preset;
mod transform;
mod view;

pub use config::{CheckedViews, Probabilities, ViewsConfig};
pub use crop_box::CropBox;
pub use cutmix::{CutMix, CutMixConfig, CutMixConvention, dense_labels};
pub use error::ViewsError;
pub use grouping::Grouping;
pub use image::Image;
pub use interpolation::Interpolation;
pub use levels::Levels;
pub use operations::Operation;
pub use preset::Preset;
pub use transform::Transform;
pub use view::{View, ViewKind, ViewRecipe};
