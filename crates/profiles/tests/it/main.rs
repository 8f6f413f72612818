//! Integration tests of the profile table: round trips, foreign files and
//! hostile ones.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod foreign_files;
mod hostile_files;
mod round_trip;
mod streaming;
