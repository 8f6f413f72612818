use std::io::{self, Write};
use std::path::Path;

use morphospace_core::write_atomically;

use crate::decode::{MAX_NUM_PIXELS, MAX_SIDE_PX};
use crate::screen::{Pixels, Plane};

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest header that is read, numpy's own bound (`max_header_size` of
/// `numpy.load`).
const MAX_HEADER_LEN: usize = 10_000;

/// Most axes that a header may name; numpy has no more.
const MAX_NUM_AXES: usize = 64;

/// A two-dimensional array of a `.npy` file.
///
/// # Shapes
/// Values are row-major `[height, width]`, whatever order the file has.
#[derive(Clone, Debug, PartialEq)]
pub struct NpyArray {
    /// Number of rows.
    pub height: usize,
    /// Values per row.
    pub width: usize,
    /// The values.
    pub values: NpyValues,
}

/// Values of a [`NpyArray`].
#[derive(Clone, Debug, PartialEq)]
pub enum NpyValues {
    /// Of a file of type `u1`.
    U8(Vec<u8>),
    /// Of a file of type `u2`.
    U16(Vec<u16>),
    /// Of a file of type `f4`, `f8`, `i1`, `i2`, `i4` or `u4`, all of which
    /// a 64-bit float holds exactly.
    F64(Vec<f64>),
}

/// Floating-point types of a `.npy` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NpyFloat {
    /// 32 bit.
    F32,
    /// 64 bit.
    F64,
}

/// What is wrong with the bytes of a `.npy` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NpyError {
    /// The first bytes are not numpy's.
    #[error("the file is no .npy file (it starts with '{start}')")]
    NotNpy {
        /// The first bytes.
        start: String,
    },
    /// A version of the format that is not known.
    #[error("the .npy file has format version {major}, not 1, 2 or 3")]
    UnknownVersion {
        /// The version's first number.
        major: u8,
    },
    /// The header is not the dictionary that numpy writes.
    #[error("the header of the .npy file is damaged: {message}")]
    DamagedHeader {
        /// What is wrong with it.
        message: String,
    },
    /// Values of a type that is not read, such as objects or 64-bit integers.
    #[error("the .npy file holds values of type '{descr}'")]
    UnsupportedType {
        /// The type as numpy writes it.
        descr: String,
    },
    /// An array of another number of axes than two, or without values.
    #[error("the .npy file holds an array of shape {shape:?}, not an image of [height, width]")]
    NotAnImage {
        /// The shape.
        shape: Vec<usize>,
    },
    /// The header claims an array larger than the bounds of images.
    #[error("the header claims {height} x {width} values, more than {MAX_NUM_PIXELS} are not read")]
    TooLarge {
        /// Claimed number of rows.
        height: usize,
        /// Claimed number of values per row.
        width: usize,
    },
    /// There are fewer or more bytes than the header claims.
    #[error("the header claims {expected} bytes of values, {found} follow it")]
    WrongLength {
        /// Bytes that the shape and type come to.
        expected: usize,
        /// Bytes after the header.
        found: usize,
    },
    /// Values that are no grey levels where an image was wanted.
    #[error("the .npy file holds neither 8- nor 16-bit unsigned integers")]
    NotGreyLevels,
}

impl NpyError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NotNpy { .. } | Self::UnknownVersion { .. } => "save the array with numpy.save",
            Self::DamagedHeader { .. } | Self::WrongLength { .. } => {
                "fetch the file again from its source"
            }
            Self::UnsupportedType { .. } => {
                "convert it with array.astype('float32') and save it again"
            }
            Self::NotAnImage { .. } => "save one two-dimensional array per file",
            Self::TooLarge { .. } => "check the file, or cut the image into fields of view",
            Self::NotGreyLevels => "convert it with array.astype('uint16') and save it again",
        }
    }
}

/// Decodes the bytes of a `.npy` file that holds one two-dimensional array:
/// format versions 1 to 3, either byte order, C or Fortran order. Nothing is
/// allocated before the header's claims have been checked against the length
/// of the file.
///
/// The format is that of `numpy.lib.format`,
/// <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.
///
/// # Errors
/// [`NpyError`] says what is wrong; its `hint` says what to do.
///
/// ```
/// use morphospace_screen::{NpyFloat, NpyValues, decode_npy, encode_npy};
///
/// let bytes = encode_npy(1, 3, &[1.0, 1.5, 2.0], NpyFloat::F32);
/// let array = decode_npy(&bytes)?;
/// assert_eq!((array.height, array.width), (1, 3));
/// assert_eq!(array.values, NpyValues::F64(vec![1.0, 1.5, 2.0]));
/// # Ok::<(), morphospace_screen::NpyError>(())
/// ```
pub fn decode_npy(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    let (header, body) = split_header(bytes)?;
    let header = Header::parse(header)?;
    let (height, width) = match header.shape[..] {
        [height, width] if height > 0 && width > 0 => (height, width),
        _ => {
            return Err(NpyError::NotAnImage {
                shape: header.shape,
            });
        }
    };
    let num_values = height
        .checked_mul(width)
        .filter(|&count| count <= MAX_NUM_PIXELS && height.max(width) <= MAX_SIDE_PX)
        .ok_or(NpyError::TooLarge { height, width })?;
    let element = Element::parse(&header.descr)?;
    let expected = num_values * element.num_bytes;
    if body.len() != expected {
        return Err(NpyError::WrongLength {
            expected,
            found: body.len(),
        });
    }
    let mut values = element.read(body);
    if header.is_fortran_order {
        values = match values {
            NpyValues::U8(values) => NpyValues::U8(transposed(&values, height, width)),
            NpyValues::U16(values) => NpyValues::U16(transposed(&values, height, width)),
            NpyValues::F64(values) => NpyValues::F64(transposed(&values, height, width)),
        };
    }
    Ok(NpyArray {
        height,
        width,
        values,
    })
}

impl NpyArray {
    /// Whether bytes start as a `.npy` file does.
    pub fn is_npy(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// The array as a grey image.
    ///
    /// # Errors
    /// [`NpyError::NotGreyLevels`]: the values are neither `u1` nor `u2`.
    pub fn into_plane(self) -> Result<Plane, NpyError> {
        let pixels = match self.values {
            NpyValues::U8(values) => Pixels::U8(values),
            NpyValues::U16(values) => Pixels::U16(values),
            NpyValues::F64(_) => return Err(NpyError::NotGreyLevels),
        };
        Ok(Plane {
            width: self.width,
            height: self.height,
            pixels,
        })
    }

    /// The values as floats.
    pub fn to_f64(&self) -> Vec<f64> {
        match &self.values {
            NpyValues::U8(values) => values.iter().copied().map(f64::from).collect(),
            NpyValues::U16(values) => values.iter().copied().map(f64::from).collect(),
            NpyValues::F64(values) => values.clone(),
        }
    }
}

/// The bytes that `numpy.save` writes for a two-dimensional array of floats,
/// little-endian and in C order.
///
/// # Shapes
/// `values`: row-major `[height, width]`.
///
/// # Panics
/// There are not `height * width` values.
pub fn encode_npy(height: usize, width: usize, values: &[f64], float: NpyFloat) -> Vec<u8> {
    assert_eq!(values.len(), height * width, "one value per place");
    let descr = match float {
        NpyFloat::F32 => "<f4",
        NpyFloat::F64 => "<f8",
    };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({height}, {width}), }}");
    // numpy leaves room to grow along the first axis in place, then aligns.
    const GROWTH_DIGITS: usize = 21;
    header.push_str(&" ".repeat(GROWTH_DIGITS - height.to_string().len()));
    let prefix_len = MAGIC.len() + 4;
    let padding = 64 - (prefix_len + header.len() + 1) % 64;
    header.push_str(&" ".repeat(padding));
    header.push('\n');
    let mut bytes = Vec::with_capacity(prefix_len + header.len() + values.len() * 8);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    let header_len = u16::try_from(header.len()).expect("three short entries");
    bytes.extend_from_slice(&header_len.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    match float {
        NpyFloat::F32 => {
            bytes.extend(
                values
                    .iter()
                    .flat_map(|&value| (value as f32).to_le_bytes()),
            );
        }
        NpyFloat::F64 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
    }
    bytes
}

/// Writes [`encode_npy`]'s bytes; the file appears whole or not at all.
///
/// # Errors
/// What the file system says.
pub(crate) fn write_npy(
    path: &Path,
    (height, width): (usize, usize),
    values: &[f64],
    float: NpyFloat,
) -> io::Result<()> {
    let bytes = encode_npy(height, width, values, float);
    write_atomically(path, |file| file.write_all(&bytes))
}

/// The header's text and the bytes that follow it.
fn split_header(bytes: &[u8]) -> Result<(&str, &[u8]), NpyError> {
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| NpyError::NotNpy {
        start: bytes[..bytes.len().min(8)].escape_ascii().to_string(),
    })?;
    let ends_early = || damaged("the file ends inside it");
    let (len, rest) = match *rest {
        [1, _, low, high, ref rest @ ..] => (u32::from(u16::from_le_bytes([low, high])), rest),
        [2 | 3, _, a, b, c, d, ref rest @ ..] => (u32::from_le_bytes([a, b, c, d]), rest),
        [major, ..] if !(1..=3).contains(&major) => {
            return Err(NpyError::UnknownVersion { major });
        }
        _ => return Err(ends_early()),
    };
    let len = len as usize;
    if len > MAX_HEADER_LEN {
        return Err(damaged(format!(
            "it claims {len} bytes, more than {MAX_HEADER_LEN} are not read"
        )));
    }
    let (header, body) = rest.split_at_checked(len).ok_or_else(ends_early)?;
    let header = std::str::from_utf8(header).map_err(|_| damaged("it is not text"))?;
    Ok((header, body))
}

fn damaged(message: impl Into<String>) -> NpyError {
    NpyError::DamagedHeader {
        message: message.into(),
    }
}

/// `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`
struct Header {
    descr: String,
    is_fortran_order: bool,
    shape: Vec<usize>,
}

impl Header {
    fn parse(text: &str) -> Result<Self, NpyError> {
        let (mut descr, mut is_fortran_order, mut shape) = (None, None, None);
        let mut rest = Literal(text);
        rest.expect('{')?;
        while !rest.skip('}') {
            let key = rest.string()?;
            rest.expect(':')?;
            let is_first = match key {
                "descr" => descr.replace(rest.type_name()?).is_none(),
                "fortran_order" => is_fortran_order.replace(rest.boolean()?).is_none(),
                "shape" => shape.replace(rest.tuple()?).is_none(),
                other => return Err(damaged(format!("it has an entry '{other}'"))),
            };
            if !is_first {
                return Err(damaged(format!("it has '{key}' twice")));
            }
            if !rest.skip(',') {
                rest.expect('}')?;
                break;
            }
        }
        if !rest.0.trim().is_empty() {
            return Err(damaged("something follows the dictionary"));
        }
        let missing = |key: &str| damaged(format!("it has no '{key}'"));
        Ok(Self {
            descr: descr.ok_or_else(|| missing("descr"))?,
            is_fortran_order: is_fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// What is left to read of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    /// Steps over a character if it comes next.
    fn skip(&mut self, wanted: char) -> bool {
        match self.0.trim_start().strip_prefix(wanted) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(), NpyError> {
        match self.skip(wanted) {
            true => Ok(()),
            false => {
                let found: String = self.0.trim_start().chars().take(12).collect();
                Err(damaged(format!("'{wanted}' was expected at '{found}'")))
            }
        }
    }

    fn string(&mut self) -> Result<&'a str, NpyError> {
        let quote = if self.skip('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let (text, rest) = self
            .0
            .split_once(quote)
            .ok_or_else(|| damaged("a text has no end"))?;
        self.0 = rest;
        Ok(text)
    }

    /// A text; a list is the type of records, which are no image.
    fn type_name(&mut self) -> Result<String, NpyError> {
        if self.0.trim_start().starts_with('[') {
            return Err(NpyError::UnsupportedType {
                descr: "record".to_owned(),
            });
        }
        self.string().map(str::to_owned)
    }

    fn boolean(&mut self) -> Result<bool, NpyError> {
        let text = self.0.trim_start();
        for (word, value) in [("True", true), ("False", false)] {
            if let Some(rest) = text.strip_prefix(word) {
                self.0 = rest;
                return Ok(value);
            }
        }
        Err(damaged("'fortran_order' is neither True nor False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, NpyError> {
        self.expect('(')?;
        let mut numbers = Vec::new();
        while !self.skip(')') {
            let text = self.0.trim_start();
            let end = text
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(text.len());
            let number = text[..end]
                .parse()
                .map_err(|_| damaged("'shape' holds something that is no length of an axis"))?;
            numbers.push(number);
            if numbers.len() > MAX_NUM_AXES {
                return Err(damaged("'shape' has too many axes"));
            }
            self.0 = &text[end..];
            // Python 2 wrote `1080L`.
            self.skip('L');
            if !self.skip(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(numbers)
    }
}

/// How the values of a file are stored.
struct Element {
    num_bytes: usize,
    kind: ElementKind,
    is_big_endian: bool,
}

enum ElementKind {
    U8,
    U16,
    U32,
    I8,
    I16,
    I32,
    F32,
    F64,
}

impl Element {
    fn parse(descr: &str) -> Result<Self, NpyError> {
        let unsupported = || NpyError::UnsupportedType {
            descr: descr.to_owned(),
        };
        let order = descr.chars().next().ok_or_else(unsupported)?;
        let (num_bytes, kind) = match descr.get(1..).ok_or_else(unsupported)? {
            "u1" => (1, ElementKind::U8),
            "u2" => (2, ElementKind::U16),
            "u4" => (4, ElementKind::U32),
            "i1" => (1, ElementKind::I8),
            "i2" => (2, ElementKind::I16),
            "i4" => (4, ElementKind::I32),
            "f4" => (4, ElementKind::F32),
            "f8" => (8, ElementKind::F64),
            _ => return Err(unsupported()),
        };
        let is_big_endian = match (order, num_bytes) {
            ('<', _) | ('|', 1) => false,
            ('>', _) => true,
            _ => return Err(unsupported()),
        };
        Ok(Self {
            num_bytes,
            kind,
            is_big_endian,
        })
    }

    fn read(&self, body: &[u8]) -> NpyValues {
        let is_big_endian = self.is_big_endian;
        // Each closure takes an element's bytes in little-endian order.
        match self.kind {
            ElementKind::U8 => NpyValues::U8(body.to_vec()),
            ElementKind::U16 => NpyValues::U16(elements(body, is_big_endian, u16::from_le_bytes)),
            ElementKind::U32 => floats(body, is_big_endian, u32::from_le_bytes),
            ElementKind::I8 => floats(body, is_big_endian, i8::from_le_bytes),
            ElementKind::I16 => floats(body, is_big_endian, i16::from_le_bytes),
            ElementKind::I32 => floats(body, is_big_endian, i32::from_le_bytes),
            ElementKind::F32 => floats(body, is_big_endian, f32::from_le_bytes),
            ElementKind::F64 => floats(body, is_big_endian, f64::from_le_bytes),
        }
    }
}

fn elements<const N: usize, T>(
    body: &[u8],
    is_big_endian: bool,
    from_le_bytes: impl Fn([u8; N]) -> T,
) -> Vec<T> {
    body.chunks_exact(N)
        .map(|chunk| {
            let mut bytes: [u8; N] = chunk.try_into().expect("chunks have N bytes");
            if is_big_endian {
                bytes.reverse();
            }
            from_le_bytes(bytes)
        })
        .collect()
}

fn floats<const N: usize, T: Into<f64>>(
    body: &[u8],
    is_big_endian: bool,
    from_le_bytes: impl Fn([u8; N]) -> T,
) -> NpyValues {
    NpyValues::F64(elements(body, is_big_endian, |bytes| {
        from_le_bytes(bytes).into()
    }))
}

/// Row-major values from column-major ones.
fn transposed<T: Copy>(values: &[T], height: usize, width: usize) -> Vec<T> {
    (0..height)
        .flat_map(|row| (0..width).map(move |column| values[column * height + row]))
        .collect()
}
