//! The nouns of a screen.
//!
//! Everything above this crate speaks of experiments, plates, wells, sites,
//! channels and perturbations; this crate says once what each of them is and
//! depends on nothing of ours.
//!
//! | noun | type | field's words |
//! |---|---|---|
//! | experiment | [`Experiment`] | RxRx "experiment", cytomining "batch": plates prepared together |
//! | plate | [`PlateKey`] | one multi-well plate of an experiment |
//! | well | [`WellAddress`], [`Well`] | `A01` .. `AF48`; what was done to the cells in it |
//! | site | [`SiteKey`], [`Site`] | one field of view of a well (with z-plane and time point, if any) |
//! | channel | [`Channel`], [`Stain`] | one grey image of a site and what it shows |
//! | perturbation | [`Perturbation`] | siRNA, CRISPR guide, open reading frame, compound |
//! | control role | [`ControlRole`] | what a well is for |
//!
//! Beside the nouns live three habits every stage shares: named seeds
//! ([`Seed`]), provenance ([`Provenance`]) and files that appear whole or not
//! at all ([`write_atomically`]).

mod atomic_file;
mod channel;
mod config;
mod excerpt;
mod experiment;
mod perturbation;
mod plate;
mod provenance;
mod seed;
mod site;
mod unfinished;
mod well;

pub use atomic_file::{check_writable, create_atomically, write_atomically};
pub use channel::{Channel, Stain};
pub use config::{
    ConfigError, apply_overrides, extended_files, parse_config, read_config, suggestion,
};
pub use excerpt::excerpt;
pub use experiment::Experiment;
pub use perturbation::{ControlRole, Perturbation, UnknownControlRole};
pub use plate::PlateKey;
pub use provenance::{InputHash, Provenance, sha256_hex, sha256_of_file};
pub use seed::Seed;
pub use site::{Site, SiteKey};
pub use unfinished::{UnfinishedFile, UnfinishedFolder, remove_abandoned};
pub use well::{InvalidWellAddress, Well, WellAddress};
