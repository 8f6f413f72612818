//! Integration tests of the readers and of what happens to their images.

// Tests say what they skip.
#![allow(clippy::print_stderr)]

mod decode;
mod described;
mod foreign_images;
mod golden;
mod inspect;
mod manifest;
mod pack;
mod real_data;
mod rxrx1;
mod site_image;
mod support;
