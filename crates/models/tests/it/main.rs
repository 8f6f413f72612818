//! Integration tests of the networks: one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod golden;
mod properties;
mod weights;
