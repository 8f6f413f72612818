//! Integration tests: golden cases and properties of the scores.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod batch;
mod golden;
mod golden_perturbations;
mod properties;
mod table;
