//! Tests of the program as a whole.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[cfg(feature = "buckets")]
mod buckets;
mod channels;
mod cli;
mod embedding;
mod evaluations;
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
#[cfg(feature = "buckets")]
#[path = "../../../screen/tests/it/s3_server.rs"]
mod s3_server;
mod scores;
mod split;
mod support;
mod tables;
mod train_configs;
mod training;
#[cfg(feature = "buckets")]
#[path = "../../../screen/tests/it/web_server.rs"]
#[expect(dead_code, reason = "the tests of another crate need more of it")]
mod web_server;
