use std::borrow::Cow;

use flate2::{Decompress, FlushDecompress};

use super::jpeg::decode_jpeg;
use super::lzw::{MAX_LZW_RATIO, decode_lzw};
use super::{DecodeError, MAX_DEFLATE_RATIO, cannot_hold, checked_size};
use crate::screen::{Pixels, Plane};
use crate::store::MAX_FILE_LEN;

/// Most pages that are looked at; a stack of z-planes and time points has
/// thousands.
const MAX_PAGES: usize = 1 << 16;

/// Most colour components that are taken apart.
const MAX_COMPONENTS: usize = 16;

/// Most bytes that the pixels of all pages take: what the largest file that
/// is read could hold uncompressed.
const MAX_UNPACKED_LEN: u64 = MAX_FILE_LEN;

/// Longest tables that JPEG strips share: all that there can be, at the
/// longest segment each, is shorter.
const MAX_JPEG_TABLES_LEN: usize = 1 << 16;

// Tags of TIFF 6.0.
const NEW_SUBFILE_TYPE: u16 = 254;
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES_PER_PIXEL: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const PLANAR_CONFIGURATION: u16 = 284;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const JPEG_TABLES: u16 = 347;

pub(super) fn is_tiff(bytes: &[u8]) -> bool {
    matches!(
        bytes.get(..4),
        Some(b"II\x2a\0" | b"MM\0\x2a" | b"II\x2b\0" | b"MM\0\x2b")
    )
}

/// The pages of a TIFF, or BigTIFF, each with its colour components; pages
/// marked as reduced (thumbnails) are left out.
///
/// Strips and tiles; uncompressed, LZW, deflate, PackBits or JPEG; 8 and
/// 16 bit; horizontal differencing. Source: TIFF Revision 6.0 (Adobe, 1992)
/// and its Technical Note 2 for JPEG.
pub(super) fn decode_tiff(bytes: &[u8]) -> Result<Vec<Plane>, DecodeError> {
    let file = File::of(bytes)?;
    let pages = file.pages()?;
    let (mut planes, mut stored, mut unpacked) = (Vec::new(), 0u64, 0u64);
    for page in &pages {
        let is_thumbnail = page.first(NEW_SUBFILE_TYPE)?.unwrap_or(0) & 1 == 1;
        if is_thumbnail && pages.len() > 1 {
            continue;
        }
        let layout = Layout::of(page)?;
        // Each page alone is held against its strips; together they could
        // still claim the same bytes over and over.
        stored = stored.saturating_add(layout.stored_len());
        if stored > bytes.len() as u64 {
            return Err(damaged("its strips or tiles overlap"));
        }
        unpacked += layout.unpacked_len() as u64;
        if unpacked > MAX_UNPACKED_LEN {
            return Err(unsupported(format!(
                "more than {MAX_UNPACKED_LEN} bytes of pixels"
            )));
        }
        planes.extend(layout.decode()?);
    }
    if planes.is_empty() {
        return Err(damaged("it has no page"));
    }
    Ok(planes)
}

fn damaged(message: &str) -> DecodeError {
    DecodeError::Damaged {
        format: "TIFF",
        message: message.to_owned(),
    }
}

fn unsupported(found: impl Into<String>) -> DecodeError {
    DecodeError::Unsupported {
        format: "TIFF",
        found: found.into(),
    }
}

/// The bytes of a TIFF and how its numbers are written.
#[derive(Clone, Copy)]
struct File<'a> {
    bytes: &'a [u8],
    is_big_endian: bool,
    /// BigTIFF: offsets and counts have 64 bits.
    is_big: bool,
}

impl<'a> File<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let is_big_endian = bytes.starts_with(b"MM");
        let mut file = Self {
            bytes,
            is_big_endian,
            is_big: false,
        };
        file.is_big = file.number(2, 2)? == 43;
        Ok(file)
    }

    fn slice(&self, start: u64, len: u64) -> Result<&'a [u8], DecodeError> {
        let end = start
            .checked_add(len)
            .and_then(|end| usize::try_from(end).ok());
        end.and_then(|end| self.bytes.get(start as usize..end))
            .ok_or_else(|| damaged("the file ends before what it points to"))
    }

    fn number(&self, start: u64, len: u64) -> Result<u64, DecodeError> {
        let bytes = self.slice(start, len)?;
        let digit = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        Ok(match self.is_big_endian {
            true => bytes.iter().fold(0, digit),
            false => bytes.iter().rev().fold(0, digit),
        })
    }

    fn first_page(&self) -> Result<u64, DecodeError> {
        if self.is_big {
            self.number(8, 8)
        } else {
            self.number(4, 4)
        }
    }

    /// All pages, in the order of the file.
    fn pages(&self) -> Result<Vec<Page<'a>>, DecodeError> {
        let (mut pages, mut listed_len) = (Vec::new(), 0);
        let mut at = self.first_page()?;
        while at != 0 {
            let (page, next) = self.page(at)?;
            // Directories that lead back to one another, or lie within each
            // other, are longer than the file.
            listed_len += page.start - at + page.count * page.entry_len;
            if pages.len() == MAX_PAGES || listed_len > self.bytes.len() as u64 {
                return Err(damaged("its pages never end"));
            }
            pages.push(page);
            at = next;
        }
        Ok(pages)
    }

    /// The page at an offset, and the offset of the next, 0 if there is none.
    fn page(&self, at: u64) -> Result<(Page<'a>, u64), DecodeError> {
        let (count_len, entry_len, offset_len) = if self.is_big { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, count_len)?;
        let start = at + count_len;
        let entries = self.slice(start, count.saturating_mul(entry_len))?;
        let page = Page {
            file: *self,
            start,
            entry_len,
            count: entries.len() as u64 / entry_len,
        };
        // Some writers leave the last offset out.
        let next = self.number(start + entries.len() as u64, offset_len);
        Ok((page, next.unwrap_or(0)))
    }
}

/// One image file directory.
struct Page<'a> {
    file: File<'a>,
    start: u64,
    entry_len: u64,
    count: u64,
}

/// The values of one tag: where they start in the file, bytes per value.
struct TagValues<'a> {
    size: u64,
    start: u64,
    bytes: &'a [u8],
}

impl<'a> Page<'a> {
    fn values(&self, tag: u16) -> Result<Option<TagValues<'a>>, DecodeError> {
        let file = &self.file;
        for entry in 0..self.count {
            let at = self.start + entry * self.entry_len;
            if file.number(at, 2)? != u64::from(tag) {
                continue;
            }
            let size = match file.number(at + 2, 2)? {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 13 => 4,
                16..=18 => 8,
                other => return Err(damaged(&format!("tag {tag} has type {other}"))),
            };
            let word = if file.is_big { 8 } else { 4 };
            let count = file.number(at + 4, word)?;
            let len = count.saturating_mul(size);
            let inline = at + 4 + word;
            let start = if len <= word {
                inline
            } else {
                file.number(inline, word)?
            };
            return Ok(Some(TagValues {
                size,
                start,
                bytes: file.slice(start, len)?,
            }));
        }
        Ok(None)
    }

    /// The first values of a tag, as many as are wanted and there.
    fn some(&self, tag: u16, num_wanted: usize) -> Result<Vec<u64>, DecodeError> {
        let Some(values) = self.values(tag)? else {
            return Ok(Vec::new());
        };
        (0..values.bytes.len() as u64 / values.size)
            .take(num_wanted)
            .map(|index| {
                self.file
                    .number(values.start + index * values.size, values.size)
            })
            .collect()
    }

    fn first(&self, tag: u16) -> Result<Option<u64>, DecodeError> {
        match self.values(tag)? {
            Some(values) if !values.bytes.is_empty() => {
                self.file.number(values.start, values.size).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn required(&self, tag: u16, what: &str) -> Result<u64, DecodeError> {
        self.first(tag)?
            .ok_or_else(|| damaged(&format!("a page has no {what}")))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Jpeg,
}

/// Where the pixels of a page lie and how they are packed.
struct Layout<'a> {
    file: File<'a>,
    width: usize,
    height: usize,
    /// Bytes per value: 1 or 2.
    depth: usize,
    components: usize,
    /// Whether each component has strips or tiles of its own.
    is_planar: bool,
    is_white_zero: bool,
    is_differenced: bool,
    compression: Compression,
    /// Size of a strip or tile.
    chunk_width: usize,
    chunk_height: usize,
    is_tiled: bool,
    chunks: Vec<(u64, u64)>,
    jpeg_tables: Option<&'a [u8]>,
}

impl<'a> Layout<'a> {
    fn of(page: &Page<'a>) -> Result<Self, DecodeError> {
        let width = page.required(IMAGE_WIDTH, "width")?;
        let height = page.required(IMAGE_LENGTH, "height")?;
        let (width, height) = checked_size(saturated(width), saturated(height))?;
        if width == 0 || height == 0 {
            return Err(damaged("a page claims no pixels"));
        }
        let components = saturated(page.first(SAMPLES_PER_PIXEL)?.unwrap_or(1));
        if components == 0 || components > MAX_COMPONENTS {
            return Err(unsupported(format!("{components} values per pixel")));
        }
        let bits = page.some(BITS_PER_SAMPLE, components)?;
        let depth = match bits.first().copied().unwrap_or(1) {
            8 => 1,
            16 => 2,
            other => {
                return Err(DecodeError::UnsupportedDepth {
                    bits: u8::try_from(other).unwrap_or(u8::MAX),
                });
            }
        };
        if bits.iter().any(|&other| other != bits[0]) {
            return Err(unsupported("components of different depths"));
        }
        let formats = page.some(SAMPLE_FORMAT, components)?;
        if formats.iter().any(|&format| format != 1) {
            return Err(unsupported("values that are no unsigned integers"));
        }
        if page.first(FILL_ORDER)?.unwrap_or(1) != 1 {
            return Err(unsupported("reversed bits"));
        }
        let compression = compression_of(page)?;
        let is_white_zero = match (page.first(PHOTOMETRIC)?.unwrap_or(1), compression) {
            (0, _) => true,
            (1 | 2, _) | (6, Compression::Jpeg) => false,
            (3, _) => {
                return Err(DecodeError::NotGrey {
                    found: "a palette image".to_owned(),
                });
            }
            (other, _) => return Err(unsupported(format!("colours of kind {other}"))),
        };
        let is_differenced = match page.first(PREDICTOR)?.unwrap_or(1) {
            1 => false,
            2 => true,
            other => return Err(unsupported(format!("predictor {other}"))),
        };
        let is_tiled = page.first(TILE_WIDTH)?.is_some();
        let (chunk_width, chunk_height) = if is_tiled {
            let side = |tag| page.required(tag, "tile size").map(saturated);
            checked_size(side(TILE_WIDTH)?, side(TILE_LENGTH)?)?
        } else {
            let rows = saturated(page.first(ROWS_PER_STRIP)?.unwrap_or(u64::MAX));
            (width, rows.min(height))
        };
        if chunk_width == 0 || chunk_height == 0 {
            return Err(damaged("its strips or tiles are empty"));
        }
        let mut layout = Self {
            file: page.file,
            width,
            height,
            depth,
            components,
            is_planar: components > 1 && page.first(PLANAR_CONFIGURATION)? == Some(2),
            is_white_zero,
            is_differenced,
            compression,
            chunk_width,
            chunk_height,
            is_tiled,
            chunks: Vec::new(),
            jpeg_tables: page.values(JPEG_TABLES)?.map(|values| values.bytes),
        };
        if layout
            .jpeg_tables
            .is_some_and(|tables| tables.len() > MAX_JPEG_TABLES_LEN)
        {
            return Err(damaged("its JPEG tables are too long"));
        }
        layout.chunks = layout.chunk_places(page)?;
        Ok(layout)
    }

    /// Offset and length of each strip or tile, after checking that they can
    /// hold the pixels.
    fn chunk_places(&self, page: &Page<'a>) -> Result<Vec<(u64, u64)>, DecodeError> {
        let (offsets, counts) = match self.is_tiled {
            true => (TILE_OFFSETS, TILE_BYTE_COUNTS),
            false => (STRIP_OFFSETS, STRIP_BYTE_COUNTS),
        };
        let planes = if self.is_planar { self.components } else { 1 };
        let expected = self.chunks_across() * self.chunks_down() * planes;
        let (offsets, counts) = (page.some(offsets, expected)?, page.some(counts, expected)?);
        if offsets.len() < expected || counts.len() < expected {
            return Err(damaged(&format!(
                "{} of {expected} strips or tiles",
                offsets.len().min(counts.len())
            )));
        }
        let places: Vec<(u64, u64)> = offsets.into_iter().zip(counts).collect();
        let stored = total_len(&places);
        let ratio = match self.compression {
            Compression::None => 1,
            Compression::PackBits => 64,
            Compression::Lzw => MAX_LZW_RATIO,
            Compression::Deflate => MAX_DEFLATE_RATIO,
            // One byte holds eight blocks of 64 pixels at most.
            Compression::Jpeg => 512,
        };
        // Tiles are whole where the image ends within them.
        let (width, height) = match self.is_tiled {
            true => (
                self.chunks_across() * self.chunk_width,
                self.chunks_down() * self.chunk_height,
            ),
            false => (self.width, self.height),
        };
        let unpacked = width * height * self.components * self.depth;
        if (unpacked / ratio) as u64 > stored {
            return Err(damaged(&cannot_hold(saturated(stored), width, height)));
        }
        Ok(places)
    }

    /// Bytes of all strips or tiles.
    fn stored_len(&self) -> u64 {
        total_len(&self.chunks)
    }

    /// Bytes of all pixels.
    fn unpacked_len(&self) -> usize {
        self.width * self.height * self.components * self.depth
    }

    fn chunks_across(&self) -> usize {
        self.width.div_ceil(self.chunk_width)
    }

    fn chunks_down(&self) -> usize {
        self.height.div_ceil(self.chunk_height)
    }

    fn decode(&self) -> Result<Vec<Plane>, DecodeError> {
        let size = self.width * self.height;
        let mut planes = vec![vec![0u8; size * self.depth]; self.components];
        let mut buffer = Vec::new();
        let per_plane = self.chunks_across() * self.chunks_down();
        for (index, &(offset, len)) in self.chunks.iter().enumerate() {
            let (component, place) = (index / per_plane, index % per_plane);
            let left = place % self.chunks_across() * self.chunk_width;
            let top = place / self.chunks_across() * self.chunk_height;
            // The last strip is shorter; tiles are always whole.
            let rows = match self.is_tiled {
                true => self.chunk_height,
                false => self.chunk_height.min(self.height - top),
            };
            let stored = self.file.slice(offset, len)?;
            let chunk = self.unpack(stored, rows, &mut buffer)?;
            if self.is_planar {
                self.place(&chunk, 1, 0, (left, top), &mut planes[component]);
            } else {
                for (component, plane) in planes.iter_mut().enumerate() {
                    self.place(&chunk, self.components, component, (left, top), plane);
                }
            }
        }
        Ok(planes.into_iter().map(|bytes| self.plane(bytes)).collect())
    }

    /// The values of a strip or tile, in the machine's byte order.
    fn unpack<'b>(
        &self,
        stored: &'b [u8],
        rows: usize,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Cow<'b, [u8]>, DecodeError> {
        let interleaved = if self.is_planar { 1 } else { self.components };
        let row_len = self.chunk_width * interleaved * self.depth;
        let len = row_len * rows;
        if self.compression == Compression::Jpeg {
            return self.unpack_jpeg(stored, rows).map(Cow::Owned);
        }
        if self.compression == Compression::None && stored.len() < len {
            return Err(damaged("a strip or tile is too short"));
        }
        let needs_change = self.is_differenced
            || self.depth == 2 && self.file.is_big_endian != cfg!(target_endian = "big");
        if self.compression == Compression::None && !needs_change {
            return Ok(Cow::Borrowed(&stored[..len]));
        }
        buffer.resize(len, 0);
        let filled = match self.compression {
            Compression::Lzw => decode_lzw(stored, buffer).map_err(damaged)?,
            Compression::Deflate => inflate(stored, buffer)?,
            Compression::PackBits => unpack_bits(stored, buffer),
            Compression::None | Compression::Jpeg => {
                buffer.copy_from_slice(&stored[..len]);
                len
            }
        };
        if filled < len {
            return Err(damaged(&format!(
                "a strip or tile holds {filled} of {len} bytes"
            )));
        }
        if self.depth == 2 && self.file.is_big_endian != cfg!(target_endian = "big") {
            let (pairs, _) = buffer.as_chunks_mut::<2>();
            pairs.iter_mut().for_each(|pair| pair.reverse());
        }
        if self.is_differenced {
            for row in buffer.chunks_exact_mut(row_len) {
                undo_differences(row, interleaved, self.depth);
            }
        }
        Ok(Cow::Borrowed(buffer))
    }

    /// A strip or tile that is a JPEG; its tables may stand apart, once for
    /// the page.
    fn unpack_jpeg(&self, stored: &[u8], rows: usize) -> Result<Vec<u8>, DecodeError> {
        let whole = match self.jpeg_tables {
            Some(tables) if tables.len() >= 4 && stored.len() >= 2 => {
                // Without the tables' end marker and the image's start marker.
                let mut whole = tables[..tables.len() - 2].to_vec();
                whole.extend_from_slice(&stored[2..]);
                Cow::Owned(whole)
            }
            _ => Cow::Borrowed(stored),
        };
        let planes = decode_jpeg(&whole)?;
        let interleaved = if self.is_planar { 1 } else { self.components };
        let fits = |plane: &Plane| {
            (plane.width, plane.bit_depth()) == (self.chunk_width, 8) && plane.height >= rows
        };
        if planes.len() != interleaved || self.depth != 1 || !planes.iter().all(fits) {
            return Err(damaged("a JPEG strip or tile is not of the page's form"));
        }
        let mut values = vec![0; self.chunk_width * rows * interleaved];
        for (component, plane) in planes.iter().enumerate() {
            if let Pixels::U8(pixels) = &plane.pixels {
                let targets = values[component..].iter_mut().step_by(interleaved);
                for (value, &pixel) in targets.zip(pixels) {
                    *value = pixel;
                }
            }
        }
        Ok(values)
    }

    /// Copies one component of a strip or tile to its place in the plane.
    fn place(
        &self,
        chunk: &[u8],
        interleaved: usize,
        component: usize,
        (left, top): (usize, usize),
        plane: &mut [u8],
    ) {
        let columns = self.chunk_width.min(self.width - left);
        let depth = self.depth;
        let row_len = self.chunk_width * interleaved * depth;
        let rows = chunk.chunks_exact(row_len).take(self.height - top);
        for (row, source) in rows.enumerate() {
            let start = ((top + row) * self.width + left) * depth;
            let target = &mut plane[start..start + columns * depth];
            if interleaved == 1 {
                target.copy_from_slice(&source[..columns * depth]);
            } else {
                let pixels = source[component * depth..].chunks(interleaved * depth);
                for (target, pixel) in target.chunks_exact_mut(depth).zip(pixels) {
                    target.copy_from_slice(&pixel[..depth]);
                }
            }
        }
    }

    fn plane(&self, bytes: Vec<u8>) -> Plane {
        let pixels = if self.depth == 1 {
            let mut values = bytes;
            if self.is_white_zero {
                values.iter_mut().for_each(|value| *value = !*value);
            }
            Pixels::U8(values)
        } else {
            let (pairs, _) = bytes.as_chunks();
            let flip = if self.is_white_zero { u16::MAX } else { 0 };
            let value = |&pair: &[u8; 2]| u16::from_ne_bytes(pair) ^ flip;
            Pixels::U16(pairs.iter().map(value).collect())
        };
        Plane {
            width: self.width,
            height: self.height,
            pixels,
        }
    }
}

fn compression_of(page: &Page<'_>) -> Result<Compression, DecodeError> {
    Ok(match page.first(COMPRESSION)?.unwrap_or(1) {
        1 => Compression::None,
        5 => Compression::Lzw,
        7 => Compression::Jpeg,
        8 | 32_946 => Compression::Deflate,
        32_773 => Compression::PackBits,
        other => return Err(unsupported(format!("compression {other}"))),
    })
}

fn total_len(chunks: &[(u64, u64)]) -> u64 {
    let lens = chunks.iter().map(|&(_, len)| len);
    lens.fold(0, u64::saturating_add)
}

fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn inflate(stored: &[u8], buffer: &mut [u8]) -> Result<usize, DecodeError> {
    let mut inflater = Decompress::new(true);
    inflater
        .decompress(stored, buffer, FlushDecompress::Finish)
        .map_err(|error| damaged(&error.to_string()))?;
    Ok(inflater.total_out() as usize)
}

/// PackBits (TIFF 6.0, section 9): returns how many bytes were filled.
fn unpack_bits(stored: &[u8], buffer: &mut [u8]) -> usize {
    let (mut at, mut filled) = (0, 0);
    while filled < buffer.len() {
        let Some(&head) = stored.get(at) else { break };
        at += 1;
        let room = buffer.len() - filled;
        match head as i8 {
            count @ 0.. => {
                let count = count as usize + 1;
                let Some(literal) = stored.get(at..at + count) else {
                    break;
                };
                let taken = count.min(room);
                buffer[filled..filled + taken].copy_from_slice(&literal[..taken]);
                (at, filled) = (at + count, filled + taken);
            }
            // Writers may pad with it.
            i8::MIN => {}
            count => {
                let Some(&value) = stored.get(at) else { break };
                let taken = (1 - isize::from(count)) as usize;
                let taken = taken.min(room);
                buffer[filled..filled + taken].fill(value);
                (at, filled) = (at + 1, filled + taken);
            }
        }
    }
    filled
}

/// Horizontal differencing (TIFF 6.0, section 14) of one row.
fn undo_differences(row: &mut [u8], interleaved: usize, depth: usize) {
    if depth == 1 {
        for at in interleaved..row.len() {
            row[at] = row[at].wrapping_add(row[at - interleaved]);
        }
        return;
    }
    let (values, _) = row.as_chunks_mut::<2>();
    for at in interleaved..values.len() {
        let before = u16::from_ne_bytes(values[at - interleaved]);
        let value = u16::from_ne_bytes(values[at]).wrapping_add(before);
        values[at] = value.to_ne_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_packbits() {
        // Apple's Technical Note TN1023.
        let stored = [
            0xfe, 0xaa, 0x02, 0x80, 0x00, 0x2a, 0xfd, 0xaa, 0x03, 0x80, 0x00, 0x2a, 0x22, 0xf7,
            0xaa,
        ];
        let mut buffer = [0; 24];
        assert_eq!(unpack_bits(&stored, &mut buffer), 24);
        let expected = [
            0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0xaa, 0xaa, 0xaa, 0xaa, 0x80, 0x00, 0x2a, 0x22,
            0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa,
        ];
        assert_eq!(buffer, expected);
    }

    #[test]
    fn differences_add_up_along_a_row() {
        let mut row = [1, 10, 2, 20, 255, 1];
        undo_differences(&mut row, 2, 1);
        assert_eq!(row, [1, 10, 3, 30, 2, 31]);
        let mut row = [256u16.to_ne_bytes(), 1u16.to_ne_bytes()].concat();
        undo_differences(&mut row, 1, 2);
        assert_eq!(row, [256u16.to_ne_bytes(), 257u16.to_ne_bytes()].concat());
    }
}
