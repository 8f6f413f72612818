//! Integration tests of the networks: one binary.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod convolutional;
mod evaluation;
mod golden;
mod import;
mod plain_vit;
mod plan;
mod properties;
mod support;
mod training;
mod weights;
