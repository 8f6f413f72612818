//! Integration tests of alignment and aggregation.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod aggregation;
mod alignment;
mod golden;
mod refusals;
mod tables;
