//! Tests of the way from a screen to profiles.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod domains;
mod embedding;
mod intensity;
mod masks;
mod plates;
mod support;
