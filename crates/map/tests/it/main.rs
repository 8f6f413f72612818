//! Integration tests of alignment and aggregation.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod aggregation;
mod alignment;
mod curation;
mod golden;
mod refusals;
mod relations;
mod tables;
