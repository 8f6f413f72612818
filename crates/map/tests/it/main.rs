//! Integration tests of alignment and aggregation.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod aggregation;
mod alignment;
mod batch_methods;
mod curation;
mod golden;
mod refusals;
mod relations;
mod shrinkage;
mod stream;
mod tables;
mod umap;
