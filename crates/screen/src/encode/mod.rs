//! From planes of pixels to the bytes of an image file.

mod png;
mod tiff;

pub(crate) use png::write_png;
pub use tiff::encode_tiff;
