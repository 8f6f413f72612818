//! Tests of the way from a screen to profiles.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod embedding;
mod intensity;
mod plates;
mod support;
