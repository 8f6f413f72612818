use std::io::Cursor;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::{DecodeError, MAX_DEFLATE_RATIO, cannot_hold, checked_size};
use crate::screen::{Pixels, Plane};

/// What every PNG starts with.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The colour components of a PNG: one of a grey, three of an RGB image.
///
/// Grey images without interlacing, which is what microscopes and screens
/// have, take a short way: the whole file is in memory, so its data are
/// inflated in one go and unfiltered where they lie. All others go through
/// the `png` crate. Specification: <https://www.w3.org/TR/png-3/>.
pub(super) fn decode_png(bytes: &[u8]) -> Result<Vec<Plane>, DecodeError> {
    let header = Header::read(bytes)?;
    let (width, height) = checked_size(header.width as usize, header.height as usize)?;
    if width == 0 || height == 0 {
        return Err(damaged("the header claims no pixels"));
    }
    let (components, what) = match header.colour_type {
        0 => (1, "grey"),
        2 => (3, "a colour image"),
        3 => return Err(not_grey("a palette image")),
        4 => return Err(not_grey("grey with transparency")),
        6 => return Err(not_grey("a colour image with transparency")),
        other => return Err(damaged(&format!("colour type {other}"))),
    };
    let bytes_per_value = match header.bit_depth {
        8 => 1,
        16 => 2,
        bits => return Err(DecodeError::UnsupportedDepth { bits }),
    };
    let num_bytes = width * height * components * bytes_per_value;
    if num_bytes / MAX_DEFLATE_RATIO > bytes.len() {
        return Err(damaged(&cannot_hold(bytes.len(), width, height)));
    }
    if header.is_interlaced || components > 1 {
        return decode_any(bytes, num_bytes, components).map_err(|error| match error {
            DecodeError::NotGrey { .. } => not_grey(what),
            other => other,
        });
    }
    let data = inflate(bytes, width * bytes_per_value, height)?;
    let pixels = match bytes_per_value {
        1 => Pixels::U8(unfilter::<1>(data, width, height)?),
        _ => {
            let data = unfilter::<2>(data, width * 2, height)?;
            let (pairs, _) = data.as_chunks();
            Pixels::U16(pairs.iter().map(|&pair| u16::from_be_bytes(pair)).collect())
        }
    };
    Ok(vec![Plane {
        width,
        height,
        pixels,
    }])
}

fn damaged(message: &str) -> DecodeError {
    DecodeError::Damaged {
        format: "PNG",
        message: message.to_owned(),
    }
}

fn not_grey(found: &str) -> DecodeError {
    DecodeError::NotGrey {
        found: found.to_owned(),
    }
}

/// The `IHDR` chunk.
struct Header {
    width: u32,
    height: u32,
    bit_depth: u8,
    colour_type: u8,
    is_interlaced: bool,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let first = Chunks::of(bytes).next();
        let chunk = first.ok_or_else(|| damaged("no header"))??;
        match (chunk.kind, chunk.data) {
            (
                b"IHDR",
                &[
                    a,
                    b,
                    c,
                    d,
                    e,
                    f,
                    g,
                    h,
                    bit_depth,
                    colour_type,
                    0,
                    0,
                    interlace @ 0..=1,
                ],
            ) => Ok(Self {
                width: u32::from_be_bytes([a, b, c, d]),
                height: u32::from_be_bytes([e, f, g, h]),
                bit_depth,
                colour_type,
                is_interlaced: interlace == 1,
            }),
            _ => Err(damaged("no header")),
        }
    }
}

struct Chunk<'a> {
    kind: &'a [u8; 4],
    data: &'a [u8],
}

/// The chunks of a PNG, each checked against its sum.
struct Chunks<'a> {
    rest: &'a [u8],
}

impl<'a> Chunks<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes.get(SIGNATURE.len()..).unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<Chunk<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let ends_early = Some(Err(damaged("the file ends within a chunk")));
        let Some((length, rest)) = self.rest.split_first_chunk() else {
            return ends_early;
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some((named, rest)) = rest.split_at_checked(length.saturating_add(4)) else {
            return ends_early;
        };
        let (Some((kind, data)), Some((sum, rest))) =
            (named.split_first_chunk(), rest.split_first_chunk())
        else {
            return ends_early;
        };
        self.rest = rest;
        let mut crc = Crc::new();
        crc.update(named);
        if crc.sum() != u32::from_be_bytes(*sum) {
            self.rest = &[];
            let kind = kind.escape_ascii();
            return Some(Err(damaged(&format!("the sum of chunk {kind} is wrong"))));
        }
        Some(Ok(Chunk { kind, data }))
    }
}

/// Inflates the image data to `height` rows of a filter byte and `row_len`
/// bytes.
fn inflate(bytes: &[u8], row_len: usize, height: usize) -> Result<Vec<u8>, DecodeError> {
    let mut data = vec![0; (row_len + 1) * height];
    let mut inflater = Decompress::new(true);
    let mut is_complete = false;
    let mut has_end = false;
    for chunk in Chunks::of(bytes) {
        let chunk = chunk?;
        match chunk.kind {
            b"IDAT" if !is_complete => {
                let filled = inflater.total_out() as usize;
                let status = inflater
                    .decompress(chunk.data, &mut data[filled..], FlushDecompress::None)
                    .map_err(|error| damaged(&error.to_string()))?;
                is_complete = status == Status::StreamEnd;
            }
            b"IEND" => {
                has_end = true;
                break;
            }
            _ => {}
        }
    }
    let filled = inflater.total_out() as usize;
    if filled != data.len() {
        return Err(damaged(&format!("{filled} of {} bytes", data.len())));
    }
    if !is_complete {
        return Err(damaged("its data do not end where its pixels do"));
    }
    if !has_end {
        return Err(damaged("no end chunk"));
    }
    Ok(data)
}

/// Rows of Paeth's filter that are undone side by side.
const ROWS_AT_ONCE: usize = 4;

/// Undoes the filter of each row and closes the gaps that the filter bytes
/// leave. `BPP` is bytes per pixel.
fn unfilter<const BPP: usize>(
    mut data: Vec<u8>,
    row_len: usize,
    height: usize,
) -> Result<Vec<u8>, DecodeError> {
    let filters: Vec<u8> = data.chunks_exact(row_len + 1).map(|row| row[0]).collect();
    for row in 0..height {
        let from = row * (row_len + 1) + 1;
        data.copy_within(from..from + row_len, row * row_len);
    }
    data.truncate(row_len * height);
    let mut row = 0;
    while row < height {
        let (above, rest) = data.split_at_mut(row * row_len);
        // Above the first row there are zeros.
        let previous = (row > 0).then(|| &above[above.len() - row_len..]);
        if let Some(up) = previous
            && filters[row..].starts_with(&[4; ROWS_AT_ONCE])
        {
            undo_paeth_rows::<BPP>(&mut rest[..row_len * ROWS_AT_ONCE], row_len, up);
            row += ROWS_AT_ONCE;
            continue;
        }
        let line = &mut rest[..row_len];
        match (filters[row], previous) {
            (0, _) | (2, None) => {}
            (1, _) | (4, None) => undo_sub::<BPP>(line),
            (2, Some(up)) => {
                for (value, &up) in line.iter_mut().zip(up) {
                    *value = value.wrapping_add(up);
                }
            }
            (3, up) => undo_average::<BPP>(line, up),
            (4, Some(up)) => undo_paeth::<BPP>(line, up),
            (other, _) => return Err(damaged(&format!("row {row} has filter {other}"))),
        }
        row += 1;
    }
    Ok(data)
}

fn undo_sub<const BPP: usize>(line: &mut [u8]) {
    let mut left = [0; BPP];
    let (pixels, _) = line.as_chunks_mut::<BPP>();
    for pixel in pixels {
        for byte in 0..BPP {
            pixel[byte] = pixel[byte].wrapping_add(left[byte]);
        }
        left = *pixel;
    }
}

fn undo_average<const BPP: usize>(line: &mut [u8], up: Option<&[u8]>) {
    let mut left = [0u8; BPP];
    let (pixels, _) = line.as_chunks_mut::<BPP>();
    for (index, pixel) in pixels.iter_mut().enumerate() {
        for byte in 0..BPP {
            let above = up.map_or(0, |up| up[index * BPP + byte]);
            let mean = u16::midpoint(u16::from(left[byte]), u16::from(above)) as u8;
            pixel[byte] = pixel[byte].wrapping_add(mean);
        }
        left = *pixel;
    }
}

fn undo_paeth<const BPP: usize>(line: &mut [u8], up: &[u8]) {
    let mut row = Row::<BPP>::default();
    let (pixels, _) = line.as_chunks_mut::<BPP>();
    let (above, _) = up.as_chunks::<BPP>();
    for (pixel, above) in pixels.iter_mut().zip(above) {
        row.undo(pixel, above.map(i32::from));
    }
}

/// Undoes Paeth's filter of several rows at once. Every pixel waits for the
/// one to its left, so a row alone leaves the processor idle; here each row
/// follows one pixel behind the row above it, and the waits overlap.
fn undo_paeth_rows<const BPP: usize>(rows: &mut [u8], row_len: usize, up: &[u8]) {
    let num_pixels = row_len / BPP;
    let mut rows = rows
        .chunks_exact_mut(row_len)
        .map(|row| row.as_chunks_mut::<BPP>().0);
    let [first, second, third, fourth] =
        std::array::from_fn(|_| rows.next().expect("the caller gives four rows"));
    let up = up.as_chunks::<BPP>().0;
    let mut states = [Row::<BPP>::default(); ROWS_AT_ONCE];
    for time in 0..num_pixels + ROWS_AT_ONCE - 1 {
        // From the last row up: what a row finds above is what that row had
        // before this step.
        let before = states;
        if let Some(pixel) = time.checked_sub(3).and_then(|at| fourth.get_mut(at)) {
            states[3].undo(pixel, before[2].left);
        }
        if let Some(pixel) = time.checked_sub(2).and_then(|at| third.get_mut(at)) {
            states[2].undo(pixel, before[1].left);
        }
        if let Some(pixel) = time.checked_sub(1).and_then(|at| second.get_mut(at)) {
            states[1].undo(pixel, before[0].left);
        }
        if let (Some(pixel), Some(above)) = (first.get_mut(time), up.get(time)) {
            states[0].undo(pixel, above.map(i32::from));
        }
    }
}

/// The pixel to the left of the next one, and the one above that.
#[derive(Clone, Copy)]
struct Row<const BPP: usize> {
    left: [i32; BPP],
    corner: [i32; BPP],
}

impl<const BPP: usize> Default for Row<BPP> {
    fn default() -> Self {
        Self {
            left: [0; BPP],
            corner: [0; BPP],
        }
    }
}

impl<const BPP: usize> Row<BPP> {
    #[inline(always)]
    fn undo(&mut self, pixel: &mut [u8; BPP], above: [i32; BPP]) {
        for byte in 0..BPP {
            let predicted = paeth(self.left[byte], above[byte], self.corner[byte]);
            pixel[byte] = pixel[byte].wrapping_add(predicted as u8);
            self.left[byte] = i32::from(pixel[byte]);
        }
        self.corner = above;
    }
}

/// The neighbour nearest to `left + up - corner`, without a branch, in the
/// fewest steps from `left`, for which every pixel waits. After Fabian
/// Giesen's form in `stb_image`.
#[inline]
fn paeth(left: i32, up: i32, corner: i32) -> i32 {
    let threshold = corner * 3 - up - left;
    let (low, high) = (left.min(up), left.max(up));
    let below = if high <= threshold { low } else { corner };
    if threshold <= low { high } else { below }
}

/// Interlaced and colour images, by the `png` crate.
fn decode_any(
    bytes: &[u8],
    num_bytes: usize,
    num_components: usize,
) -> Result<Vec<Plane>, DecodeError> {
    let failed = |error: png::DecodingError| damaged(&error.to_string());
    let mut options = png::DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = png::Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(png::Transformations::IDENTITY);
    decoder.set_limits(png::Limits {
        bytes: num_bytes + (1 << 20),
    });
    let mut reader = decoder.read_info().map_err(failed)?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let is_deep = reader.info().bit_depth == png::BitDepth::Sixteen;
    let mut data = vec![0; num_bytes];
    reader.next_frame(&mut data).map_err(failed)?;
    // A file that lost its end may still hold every pixel; it is damaged
    // all the same, and reading on to the end finds out.
    reader.finish().map_err(failed)?;
    let plane = |component: usize| {
        let pixels = if is_deep {
            let (values, _) = data.as_chunks();
            let values = values[component..].iter().step_by(num_components);
            Pixels::U16(values.map(|&pair| u16::from_be_bytes(pair)).collect())
        } else {
            let values = data[component..].iter().step_by(num_components);
            Pixels::U8(values.copied().collect())
        };
        Plane {
            width,
            height,
            pixels,
        }
    };
    Ok((0..num_components).map(plane).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paeth_is_that_of_the_specification() {
        let specified = |a: i32, b: i32, c: i32| {
            let p = a + b - c;
            let (pa, pb, pc) = ((p - a).abs(), (p - b).abs(), (p - c).abs());
            if pa <= pb && pa <= pc {
                a
            } else if pb <= pc {
                b
            } else {
                c
            }
        };
        let values = (0..256).step_by(5);
        for a in values.clone() {
            for b in values.clone() {
                for c in values.clone() {
                    assert_eq!(paeth(a, b, c), specified(a, b, c), "{a} {b} {c}");
                }
            }
        }
    }
}
