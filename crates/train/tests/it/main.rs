//! Tests of the training loop against hand-worked steps and simulated screens.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic is a failed test; what is not built yet is printed"
)]

mod evaluation;
mod golden;
mod objectives;
mod optimiser;
mod resume;
mod support;
mod unsuitable;
