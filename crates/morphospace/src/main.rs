//! The command-line program.
//!
//! Results go to standard output, progress and messages to standard error.
//! Exit status: 0 done, 1 finished or stopped with failures that were
//! reported, 2 refused before any work.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the place that prints"
)]

mod allocator;
mod cli;
mod commands;
mod failure;
mod network_source;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::failure::{Failure, Outcome};

/// Every step of a network takes and gives back buffers of megabytes; this
/// allocator keeps them, where the system's returns their pages each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Clap itself exits with 2 on a usage error.
    let cli = Cli::parse();
    match commands::run(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::DoneWithFailures) => ExitCode::from(1),
        Err(failure) => {
            let (status, error) = match failure {
                Failure::Stopped(error) => (1, error),
                Failure::Refused(error) => (2, error),
            };
            terminal::print_error(&error);
            ExitCode::from(status)
        }
    }
}
