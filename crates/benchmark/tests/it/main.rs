//! Integration tests: golden cases and properties of the scores.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod coverage;
mod golden;
mod golden_perturbations;
mod label_prediction;
mod phenoprints;
mod properties;
mod table;
