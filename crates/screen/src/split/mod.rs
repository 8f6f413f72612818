//! Splits: which sites are for training, validation and test, as data.
//!
//! A split is a table that is made once from a screen's metadata, written to
//! `split.parquet`, and read by every stage that needs to know. It is made by
//! one of the [`SplitScheme`]s the field reports on:
//!
//! | scheme | for | needs labels |
//! |---|---|---|
//! | `batch-separated` | RxRx1's official 33/18 experiments | no |
//! | `batch-stratified` | any screen | yes |
//! | `stratified-80-20` | any screen | no |
//! | `cross-validation` | six folds of the experiments of a cell type | no |
//! | `wilds-official`, `wilds-official-id`, `wilds-mixed-to-test` | RxRx1 as WILDS splits it | no |
//! | `experiments-of-one-cell-type` | a few training experiments of RxRx1 | no |
//! | `leave-experiment-out` | any screen | no |
//!
//! The parts of a split differ in what they share, and a score means nothing
//! without it: [`Leaks`] says it, and [`SplitSummary`] counts the rest.
//!
//! # Example
//! ```no_run
//! use morphospace_core::Seed;
//! use morphospace_screen::open_screen;
//! use morphospace_screen::split::{
//!     SplitConfig, SplitScheme, SplitSummary, make_split, write_split,
//! };
//!
//! let screen = open_screen("rxrx1".as_ref(), None)?;
//! let config = SplitConfig {
//!     scheme: SplitScheme::BatchSeparated,
//!     seed: Seed::new(0),
//!     only_labelled: false,
//! };
//! let split = make_split(screen.sites(), &config)?;
//! write_split("split.parquet".as_ref(), &split)?;
//! println!("{}", SplitSummary::of(screen.sites(), &split.parts(screen.sites())?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch_separated;
mod batch_stratified;
mod candidates;
mod cross_validation;
mod dependent_rounding;
mod error;
mod leaks;
mod leave_experiment_out;
mod leave_plate_out;
mod one_cell_type;
mod part;
mod rxrx1_design;
mod scheme;
mod split_table;
mod stratified_80_20;
mod summary;
mod wilds;

use std::collections::HashSet;

use morphospace_core::Site;

use self::candidates::Candidates;
use crate::site_list::site_key_text;
use crate::sites_hash::{SITES_INPUT, sites_sha256};

pub use error::SplitError;
pub use leaks::Leaks;
pub use part::{Part, UnknownPart};
pub use scheme::{SplitConfig, SplitLevel, SplitScheme, UnknownSplitLevel, WildsTest};
pub use split_table::{Split, read_split, write_split};
pub use summary::{PartSummary, SplitCounts, SplitSummary};

/// Splits a screen. The same sites and settings give the same split.
///
/// # Errors
/// [`SplitError`]: the screen has not the experiments, cell types or labels
/// that the scheme needs, a setting is out of range, or nothing is left to
/// train or to test on.
///
/// # Example
/// ```
/// use std::sync::Arc;
///
/// use morphospace_core::{ControlRole, PlateKey, Seed, Site, SiteKey, Well};
/// use morphospace_screen::split::{Part, SplitConfig, SplitScheme, make_split};
///
/// let site = |experiment: &str| {
///     let well = Well {
///         plate: PlateKey::new(experiment, "1"),
///         address: "B02".parse().unwrap(),
///         original_address: "B02".into(),
///         perturbations: vec![],
///         background: None,
///         control_role: ControlRole::Untreated,
///         cell_type: None,
///     };
///     let key = SiteKey::new(well.plate.clone(), well.address, 1);
///     Site { key, well: Arc::new(well) }
/// };
/// let config = SplitConfig {
///     scheme: SplitScheme::LeaveExperimentOut {
///         test: vec!["week-2".into()],
///         validation: vec![],
///     },
///     seed: Seed::new(0),
///     only_labelled: false,
/// };
/// let split = make_split(&[site("week-1"), site("week-2")], &config)?;
/// assert_eq!(split.rows[1], ("week-2_1_B02_1".to_owned(), Part::Test));
/// # Ok::<(), morphospace_screen::split::SplitError>(())
/// ```
pub fn make_split(sites: &[Site], config: &SplitConfig) -> Result<Split, SplitError> {
    let scheme = config.scheme.name();
    let parts = assign(sites, config)?;
    for (part, name) in [(Part::Train, "train on"), (Part::Test, "test on")] {
        if !parts.contains(&Some(part)) {
            return Err(SplitError::EmptyPart { scheme, part: name });
        }
    }
    if !config.scheme.parts_wells() {
        Leaks::of(sites, &parts).refuse_shared_wells()?;
    }
    let rows: Vec<(String, Part)> = sites
        .iter()
        .zip(parts)
        .filter_map(|(site, part)| Some((site_key_text(&site.key), part?)))
        .collect();
    let mut seen = HashSet::with_capacity(rows.len());
    if let Some((key, _)) = rows.iter().find(|(key, _)| !seen.insert(key)) {
        return Err(SplitError::AmbiguousKey { key: key.clone() });
    }
    Ok(Split {
        rows,
        fold: config.scheme.fold(),
        provenance: Some(
            config
                .provenance()
                .with_hash(SITES_INPUT, sites_sha256(sites)),
        ),
    })
}

fn assign(sites: &[Site], config: &SplitConfig) -> Result<Vec<Option<Part>>, SplitError> {
    let mut candidates = Candidates::all(sites);
    if config.only_labelled {
        candidates = candidates.only_labelled()?;
    }
    let name = config.scheme.name();
    let seed = config.seed.split(name);
    match &config.scheme {
        SplitScheme::BatchSeparated => batch_separated::assign(&candidates, name),
        SplitScheme::BatchStratified {
            train_fraction,
            level,
        } => batch_stratified::assign(&candidates, name, *train_fraction, *level, seed),
        SplitScheme::Stratified8020 { cell_type, level } => {
            stratified_80_20::assign(&candidates, cell_type.as_deref(), *level, seed)
        }
        SplitScheme::CrossValidation { fold, cell_type } => {
            cross_validation::assign(&candidates, name, *fold, cell_type)
        }
        SplitScheme::WildsOfficial { validation, test } => {
            wilds::official(&candidates, name, validation, *test)
        }
        SplitScheme::WildsMixedToTest { validation } => {
            wilds::mixed_to_test(&candidates, name, validation)
        }
        SplitScheme::ExperimentsOfOneCellType {
            cell_type,
            num_experiments,
        } => one_cell_type::assign(&candidates, name, cell_type, *num_experiments, seed),
        SplitScheme::LeaveExperimentOut { test, validation } => {
            leave_experiment_out::assign(&candidates, name, test, validation)
        }
        SplitScheme::LeavePlateOut { plates, test } => {
            leave_plate_out::assign(&candidates, name, plates, test)
        }
    }
}
