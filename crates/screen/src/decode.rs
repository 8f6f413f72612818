use std::io::Cursor;

use crate::error::ImageProblem;
use crate::screen::{Pixels, Plane};
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

/// Every 8 x 8 block of a JPEG takes at least one bit (its first coefficient
/// is coded on its own), so one byte holds at most 512 pixels.
const MAX_JPEG_RATIO: usize = 512;

/// What is wrong with the bytes of an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// Neither PNG nor JPEG, whatever the file's extension says.
    #[error("the file is neither PNG nor JPEG (it starts with {start})")]
    UnknownFormat {
        /// The first bytes.
        start: String,
    },
    /// The file ends before the image does, or is damaged.
    #[error("the {format} file is truncated or damaged ({message})")]
    Damaged {
        /// `PNG` or `JPEG`.
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
    /// The header claims an image larger than the bounds.
    #[error("the header claims {width} x {height} pixels, more than {MAX_NUM_PIXELS} are not read")]
    TooLarge {
        /// Claimed width.
        width: usize,
        /// Claimed height.
        height: usize,
    },
}

impl DecodeError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty | Self::Damaged { .. } => "fetch the file again from its source",
            Self::UnknownFormat { .. } => "convert it to a grey PNG of 8 or 16 bit",
            Self::NotGrey { .. } => {
                "split it into one grey file per channel (8- or 16-bit PNG, or grey JPEG)"
            }
            Self::UnsupportedDepth { .. } => "save it with 8 or 16 bits per pixel",
            Self::TooLarge { .. } => "check the file, or cut the image into fields of view",
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

/// Decodes the bytes of a grey PNG (8 or 16 bit) or a grey JPEG. The format
/// is told by the bytes, not by a name. An image that is not whole is an
/// error, never half an image.
///
/// # Errors
/// [`DecodeError`] says what is wrong; its `hint` says what to do.
///
/// ```
/// use morphospace_screen::{DecodeError, decode_image};
///
/// assert_eq!(decode_image(b""), Err(DecodeError::Empty));
/// let error = decode_image(b"not an image").unwrap_err();
/// assert!(error.to_string().starts_with("the file is neither PNG nor JPEG"));
/// ```
pub fn decode_image(bytes: &[u8]) -> Result<Plane, DecodeError> {
    if bytes.is_empty() {
        Err(DecodeError::Empty)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        decode_png(bytes)
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        decode_jpeg(bytes)
    } else {
        let start = &bytes[..bytes.len().min(8)];
        Err(DecodeError::UnknownFormat {
            start: format!("'{}'", start.escape_ascii()),
        })
    }
}

fn decode_png(bytes: &[u8]) -> Result<Plane, DecodeError> {
    let damaged = |error: png::DecodingError| DecodeError::Damaged {
        format: "PNG",
        message: error.to_string(),
    };
    let mut options = png::DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = png::Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(png::Transformations::IDENTITY);
    let header = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = checked_size(header.width as usize, header.height as usize)?;
    match header.color_type {
        png::ColorType::Grayscale => {}
        png::ColorType::GrayscaleAlpha => return Err(not_grey("grey with transparency")),
        png::ColorType::Indexed => return Err(not_grey("a palette image")),
        png::ColorType::Rgb | png::ColorType::Rgba => return Err(not_grey("a colour image")),
    }
    let bytes_per_pixel = match header.bit_depth {
        png::BitDepth::Eight => 1,
        png::BitDepth::Sixteen => 2,
        other => return Err(DecodeError::UnsupportedDepth { bits: other as u8 }),
    };
    let num_bytes = width * height * bytes_per_pixel;
    if num_bytes / MAX_DEFLATE_RATIO > bytes.len() {
        return Err(DecodeError::Damaged {
            format: "PNG",
            message: cannot_hold(bytes.len(), width, height),
        });
    }
    decoder.set_limits(png::Limits {
        bytes: num_bytes + (1 << 20),
    });
    let mut reader = decoder.read_info().map_err(damaged)?;
    let mut data = vec![0; num_bytes];
    reader.next_frame(&mut data).map_err(damaged)?;
    // A file that lost its end may still hold every pixel; it is damaged
    // all the same, and reading on to the end finds out.
    reader.finish().map_err(damaged)?;
    let pixels = match bytes_per_pixel {
        1 => Pixels::U8(data),
        _ => Pixels::U16(
            data.chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect(),
        ),
    };
    Ok(Plane {
        width,
        height,
        pixels,
    })
}

fn decode_jpeg(bytes: &[u8]) -> Result<Plane, DecodeError> {
    let damaged = |message: String| DecodeError::Damaged {
        format: "JPEG",
        message,
    };
    // The decoder pads a scan that ends early with zeros; the end-of-image
    // marker is what tells a whole file.
    if !has_end_of_image(bytes) {
        return Err(damaged("no end-of-image marker".to_owned()));
    }
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_max_decoding_buffer_size(MAX_NUM_PIXELS * 2);
    decoder
        .read_info()
        .map_err(|error| damaged(error.to_string()))?;
    let info = decoder
        .info()
        .ok_or_else(|| damaged("no header".to_owned()))?;
    let (width, height) = checked_size(usize::from(info.width), usize::from(info.height))?;
    if width * height / MAX_JPEG_RATIO > bytes.len() {
        return Err(damaged(cannot_hold(bytes.len(), width, height)));
    }
    match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 | jpeg_decoder::PixelFormat::L16 => {}
        jpeg_decoder::PixelFormat::RGB24 => return Err(not_grey("a colour image")),
        jpeg_decoder::PixelFormat::CMYK32 => return Err(not_grey("a CMYK image")),
    }
    let data = decoder
        .decode()
        .map_err(|error| damaged(error.to_string()))?;
    let pixels = match info.pixel_format {
        jpeg_decoder::PixelFormat::L16 => Pixels::U16(
            data.chunks_exact(2)
                .map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
                .collect(),
        ),
        _ => Pixels::U8(data),
    };
    let plane = Plane {
        width,
        height,
        pixels,
    };
    if plane.num_pixels() != width * height {
        return Err(damaged(format!(
            "{} of {} pixels",
            plane.num_pixels(),
            width * height
        )));
    }
    Ok(plane)
}

/// Whether the scans of a JPEG are followed by an end-of-image marker (and
/// then by whatever a microscope's writer appended). Headers may hold a
/// thumbnail with a marker of its own and are stepped over; in a scan the
/// marker's two bytes occur as nothing else.
fn has_end_of_image(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        if marker == 0xda {
            return bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]);
        }
        // A marker may be preceded by any number of fill bytes.
        at += match marker {
            0xff => 1,
            _ => 2 + usize::from(u16::from_be_bytes([high, low])),
        };
    }
    false
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

fn not_grey(found: &str) -> DecodeError {
    DecodeError::NotGrey {
        found: found.to_owned(),
    }
}
