//! Simulated screens: pixels whose biology is known.
//!
//! A screen is written in exactly the layout of RxRx1, RxRx3 or JUMP
//! ([`ScreenLayout`]), so that everything downstream reads it as it reads a
//! real one, together with what no real screen has: the true morphological
//! parameters of every well and the functional groups of the perturbations.
//!
//! # How a screen comes about
//! 1. [`SimulatorConfig::check`] plans it: perturbations in functional
//!    groups, whose members share the direction in which they move
//!    [`Parameter`]s and deviate on their own; plates with shuffled wells.
//! 2. [`draw_site`] places cells, each with parameters spread around its
//!    well's, and paints nucleus, endoplasmic reticulum, actin, nucleoli and
//!    RNA, mitochondria, Golgi and membrane into six channels; in JUMP's
//!    layout actin, Golgi and membrane share one.
//! 3. Stains saturate and haze differs from well to well; the microscope blurs
//!    and illuminates unevenly, exposes, and adds noise. Experiments, plates and
//!    places on a plate differ in density, passage, gain, background,
//!    illumination, focus and noise.
//! 4. [`simulate`] writes images, truth and, last, the table by which the
//!    screen's reader knows it.
//!
//! Illumination darkens stained matter over an even background in RxRx1's and
//! RxRx3's layouts. In JUMP's it darkens all light, so that dividing an image by
//! its `.npy` function leaves an even field, as real pipelines assume.
//!
//! # What is hard about it
//! Exposure and black level follow every image
//! ([`MicroscopeConfig::auto_exposure`]), and staining varies from well to
//! well, in amount, in how it saturates and in haze, so that minimum, maximum
//! and median say little too. Mean and standard deviation of a channel then tell
//! the experiment well and the perturbation hardly at all, as RxRx1's authors
//! found of their screen, while the structure of the cells tells the
//! perturbation. This is harsher than a real microscope of fixed exposure: a screen with
//! `auto_exposure = 0` leaves the amount of stained matter in the images.
//!
//! Measured on `configs/simulators/hardness.toml` (eight experiments, 24
//! perturbations) by `cargo test -p morphospace-screen hardness --
//! --nocapture`, linear discriminants throughout:
//!
//! | predicted | from | accuracy | chance |
//! |---|---|---|---|
//! | experiment | mean and sd of each channel | 1.00 | 0.125 |
//! | perturbation, in unseen experiments | mean and sd of each channel | 0.08 | 0.042 |
//! | perturbation, in unseen experiments | the same at fixed exposure, four experiments | 0.13 | 0.042 |
//! | perturbation, in unseen experiments | true morphology | 0.98 | 0.042 |
//!
//! In the demo, profiles centred on the controls of each experiment recall 95 %
//! of the planted relationships from the true morphology and 7 % from five
//! intensity statistics of each channel (10 % by chance); what alignment adds
//! is in `docs/demo.md`.
//!
//! # Source
//! The layout and the design of plates: Sypetkowski et al. 2023, "RxRx1: A
//! Dataset for Evaluating Experimental Batch Correction Methods". The shape
//! models are our own; simulating cells from parametric shapes and textures
//! follows SIMCEP (Lehmussola et al. 2007,
//! <https://doi.org/10.1109/TMI.2007.896925>).

mod blur;
mod cell;
mod config;
mod draw;
mod error;
#[cfg(test)]
mod hardness;
mod layout;
mod microscope;
mod morphology;
mod paint;
mod plan;
mod site;
mod texture;
mod write;

pub use config::{BatchConfig, EffectsConfig, MicroscopeConfig, PlateConfig, SimulatorConfig};
pub use error::SimulatorError;
pub use layout::ScreenLayout;
pub use morphology::{CellType, Effects, Morphology, Parameter};
pub use plan::{CheckedSimulator, PlannedPerturbation, PlannedWell};
pub use site::{SimulatedSite, draw_site};
pub use write::{SimulatedScreen, simulate};
