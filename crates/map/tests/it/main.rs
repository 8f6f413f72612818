//! Integration tests of alignment and aggregation.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod aggregation;
mod alignment;
mod curation;
mod golden;
mod refusals;
mod relations;
mod batch_methods;
mod golden;
mod refusals;
mod shrinkage;
mod stream;
mod tables;
mod umap;
