//! Integration tests of the profile table: round trips, foreign files and
//! hostile ones.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod anndata;
mod foreign_files;
mod gct;
mod hostile_files;
mod memory;
mod python_packages;
mod round_trip;
mod streaming;
