//! From the bytes of an image file to planes of pixels, whatever the format.
//! The format is told by the bytes, not by a name.

mod jpeg;
mod jpeg2000;
mod lzw;
mod png;
mod tiff;

use crate::error::ImageProblem;
use crate::npy::{NpyArray, NpyError, decode_npy};
use crate::screen::Plane;
use crate::store::Store;

/// Longest side of an image that is decoded. The largest plate scanners stay
/// below a tenth of it; a header that claims more is hostile or broken.
pub const MAX_SIDE_PX: usize = 65_535;

/// Most pixels of an image that is decoded: 11,585 x 11,585. The bound keeps
/// a forged header from claiming all memory.
pub const MAX_NUM_PIXELS: usize = 1 << 27;

/// No deflate stream expands by more than 1,032 to 1 (zlib's documentation,
/// "Maximum Compression Factor"), so a file that is shorter than its pixels
/// divided by this cannot be whole. Checked before memory is claimed.
const MAX_DEFLATE_RATIO: usize = 1_032;

/// What is wrong with the bytes of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// None of the formats that are read, whatever the file's extension says.
    #[error("the file is no PNG, TIFF, JPEG, JPEG 2000 or .npy (it starts with {start})")]
    UnknownFormat {
        /// The first bytes.
        start: String,
    },
    /// The file ends before the image does, or is damaged.
    #[error("the {format} file is truncated or damaged ({message})")]
    Damaged {
        /// `PNG`, `TIFF`, `JPEG`, or `JPEG 2000`.
        format: &'static str,
        /// What the decoder said.
        message: String,
    },
    /// Colour, palette or transparency.
    #[error("the image is {found}, not grey")]
    NotGrey {
        /// What it is.
        found: String,
    },
    /// A bit depth other than 8 and 16.
    #[error("the image has {bits} bits per pixel, not 8 or 16")]
    UnsupportedDepth {
        /// Bits per pixel.
        bits: u8,
    },
    /// A feature of the format that microscopes' files do not use.
    #[error("the {format} file has {found}, which is not read")]
    Unsupported {
        /// As of [`DecodeError::Damaged`].
        format: &'static str,
        /// The feature.
        found: String,
    },
    /// A NumPy array that is no image.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// Several images where one is expected.
    #[error("the file holds {count} images (pages or colours), not one grey image")]
    SeveralPlanes {
        /// How many.
        count: usize,
    },
    /// Fewer images than the plane that is wanted.
    #[error("the file holds {count} images (pages or colours), and no plane {plane}")]
    NoSuchPlane {
        /// The plane, from 0.
        plane: usize,
        /// How many there are.
        count: usize,
    },
    /// The header claims an image larger than the bounds.
    #[error(
        "the header claims {width} x {height} pixels; more than {MAX_NUM_PIXELS}, or \
         {MAX_SIDE_PX} a side, are not read"
    )]
    TooLarge {
        /// Claimed width.
        width: usize,
        /// Claimed height.
        height: usize,
    },
    /// The header claims an image larger than its format's own bound.
    #[error(
        "the header claims {width} x {height} pixels; of {format}, more than {max_num_pixels} are \
         not read"
    )]
    TooLargeForFormat {
        /// As of [`DecodeError::Damaged`].
        format: &'static str,
        /// Claimed width.
        width: usize,
        /// Claimed height.
        height: usize,
        /// The bound.
        max_num_pixels: usize,
    },
}

impl DecodeError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::Damaged { .. } => "fetch the file again from its source",
            Self::UnknownFormat { .. } | Self::Unsupported { .. } => {
                "convert it to a grey PNG or TIFF of 8 or 16 bit"
            }
            Self::NotGrey { .. } => {
                "split it into one grey file per channel (8- or 16-bit PNG or TIFF)"
            }
            Self::SeveralPlanes { .. } => {
                "say in a screen.toml which 'plane' of it each channel is, or split it into one grey \
                 file per channel, z-plane and time point"
            }
            Self::NoSuchPlane { .. } => {
                "planes count from 0: the first page or colour is 0 (in the screen description, \
                 'plane' of the channel)"
            }
            Self::Npy(error) => error.hint(),
            Self::UnsupportedDepth { .. } => "save it with 8 or 16 bits per pixel",
            Self::TooLarge { .. } | Self::TooLargeForFormat { .. } => {
                "check the file, or cut the image into fields of view"
            }
        }
    }
}

/// Reads and decodes an image.
///
/// # Errors
/// What is wrong with the file; the caller knows which image it is.
pub(crate) fn read_image(store: &dyn Store, path: &str) -> Result<Plane, ImageProblem> {
    let bytes = store.read(path)?;
    decode_image(&bytes).map_err(ImageProblem::Undecodable)
}

/// Reads and decodes one of the images that a file holds, from 0 in the order
/// of [`decode_planes`].
///
/// # Errors
/// As [`read_image`]; also that there is no such plane.
pub(crate) fn read_image_plane(
    store: &dyn Store,
    path: &str,
    plane: usize,
) -> Result<Plane, ImageProblem> {
    let bytes = store.read(path)?;
    let mut planes = decode_planes(&bytes).map_err(ImageProblem::Undecodable)?;
    let count = planes.len();
    if plane >= count {
        let error = DecodeError::NoSuchPlane { plane, count };
        return Err(ImageProblem::Undecodable(error));
    }
    Ok(planes.swap_remove(plane))
}

/// Decodes the bytes of a grey image: PNG, TIFF, JPEG, JPEG 2000 or `.npy`,
/// of 8 or 16 bit. An image that is not whole is an error, never half an
/// image.
///
/// # Errors
/// [`DecodeError`] says what is wrong; its `hint` says what to do.
///
/// ```
/// use morphospace_screen::{DecodeError, decode_image};
///
/// assert_eq!(decode_image(b""), Err(DecodeError::Empty));
/// let error = decode_image(b"not an image").unwrap_err();
/// assert!(error.to_string().starts_with("the file is no PNG"));
/// ```
pub fn decode_image(bytes: &[u8]) -> Result<Plane, DecodeError> {
    let mut planes = decode_planes(bytes)?;
    match planes.len() {
        1 => Ok(planes.remove(0)),
        count => Err(DecodeError::SeveralPlanes { count }),
    }
}

/// Decodes all that a file holds: the pages of a TIFF (thumbnails left out),
/// each with its colour components one after the other.
///
/// # Errors
/// As [`decode_image`].
pub fn decode_planes(bytes: &[u8]) -> Result<Vec<Plane>, DecodeError> {
    if bytes.is_empty() {
        Err(DecodeError::Empty)
    } else if bytes.starts_with(png::SIGNATURE) {
        png::decode_png(bytes)
    } else if tiff::is_tiff(bytes) {
        tiff::decode_tiff(bytes)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        jpeg::decode_jpeg(bytes)
    } else if jpeg2000::is_jpeg2000(bytes) {
        Ok(vec![jpeg2000::decode_jpeg2000(bytes)?])
    } else if NpyArray::is_npy(bytes) {
        Ok(vec![decode_npy(bytes)?.into_plane()?])
    } else {
        let start = &bytes[..bytes.len().min(8)];
        Err(DecodeError::UnknownFormat {
            start: format!("'{}'", start.escape_ascii()),
        })
    }
}

fn cannot_hold(len: usize, width: usize, height: usize) -> String {
    format!("{len} bytes cannot hold the {width} x {height} pixels that the header claims")
}

fn checked_size(width: usize, height: usize) -> Result<(usize, usize), DecodeError> {
    let too_large = width > MAX_SIDE_PX
        || height > MAX_SIDE_PX
        || width
            .checked_mul(height)
            .is_none_or(|pixels| pixels > MAX_NUM_PIXELS);
    if too_large {
        return Err(DecodeError::TooLarge { width, height });
    }
    Ok((width, height))
}
