//! Tests of the training loop against hand-worked steps and simulated screens.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod optimiser;
mod resume;
mod support;
mod unsuitable;
