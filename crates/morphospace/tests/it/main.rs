//! Tests of the program as a whole.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod channels;
mod cli;
mod embedding;
#[cfg(feature = "buckets")]
mod fetch;
mod hostile_tables;
mod import;
mod invariance;
mod layers;
mod maps;
mod normalisation;
mod pipeline;
mod plan;
mod predictions;
mod quality;
mod recipes;
mod scores;
mod split;
mod support;
mod tables;
mod train_configs;
mod training;
