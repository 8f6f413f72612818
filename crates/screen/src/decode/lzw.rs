/// No code of 9 bits or more stands for more than 4,096 bytes.
pub(super) const MAX_LZW_RATIO: usize = 4_096;

const CLEAR: usize = 256;
const END: usize = 257;
const FIRST_STRING: usize = 258;
const MAX_CODES: usize = 4_096;

/// Decodes TIFF's LZW (most significant bit first, codes widen one early;
/// TIFF 6.0, section 13) into `output`. Returns how many bytes it held, at
/// most the length of `output`.
///
/// Every string of the table has just been written, so the table holds its
/// place and length in the output, and decoding a code is copying within it.
/// Noise, which is most of what microscopes' images are, hardly compresses:
/// nine codes of ten are single bytes.
///
/// # Errors
/// A code that means nothing, or old-style LZW.
// Not inlined: among its callers' variables its own would leave the registers.
#[inline(never)]
pub(super) fn decode_lzw(input: &[u8], output: &mut [u8]) -> Result<usize, &'static str> {
    const UNDEFINED: &str = "an LZW code that was never defined";
    if input.starts_with(&[0, 1]) {
        return Err("LZW of before TIFF 6.0");
    }
    let mut bits = Bits::of(input);
    let mut starts = [0u32; MAX_CODES];
    let mut lengths = [0u16; MAX_CODES];
    let mut filled = 0;
    while filled < output.len() {
        // After a clear code all codes have 9 bits, and the first is a byte.
        let Some(code) = bits.take(9) else {
            return Ok(filled);
        };
        match code {
            CLEAR => continue,
            END => return Ok(filled),
            0..CLEAR => output[filled] = code as u8,
            _ => return Err(UNDEFINED),
        }
        // The string before: where it stands and how long it is.
        let (mut start, mut length) = (filled, 1);
        filled += 1;
        let (mut next, mut width) = (FIRST_STRING, 9);
        while filled < output.len() {
            let Some(code) = bits.take(width) else {
                return Ok(filled);
            };
            if next < MAX_CODES {
                // The string before and the first byte of this one, which
                // follows it in the output.
                starts[next] = start as u32;
                lengths[next] = length as u16 + 1;
                next += 1;
                if next + 1 >= 1 << width && width < 12 {
                    width += 1;
                }
            }
            start = filled;
            if code < CLEAR {
                output[filled] = code as u8;
                length = 1;
            } else if code >= FIRST_STRING && code < next {
                length = usize::from(lengths[code]).min(output.len() - filled);
                copy_string(output, starts[code] as usize, filled, length);
            } else if code == CLEAR {
                break;
            } else if code == END {
                return Ok(filled);
            } else {
                return Err(UNDEFINED);
            }
            filled += length;
        }
    }
    Ok(filled)
}

/// Copies bytes that were written before to where the output ends. A string
/// may begin before that place and reach into itself, hence byte by byte.
#[inline]
fn copy_string(output: &mut [u8], from: usize, to: usize, length: usize) {
    for at in 0..length {
        output[to + at] = output[from + at];
    }
}

/// Codes, most significant bit first.
struct Bits<'a> {
    input: &'a [u8],
    /// In bits.
    position: usize,
}

impl<'a> Bits<'a> {
    fn of(input: &'a [u8]) -> Self {
        Self { input, position: 0 }
    }

    /// The next `width` bits, at most 16.
    #[inline]
    fn take(&mut self, width: u32) -> Option<usize> {
        let rest = self.input.get(self.position / 8..)?;
        // Eight bytes at once, whether needed or not, spare a branch that
        // noise makes unpredictable.
        let word = match rest.first_chunk::<8>() {
            Some(&eight) => u64::from_be_bytes(eight),
            None => {
                let within = (self.position % 8) as u32;
                if rest.len() as u32 * 8 < within + width {
                    return None;
                }
                let mut eight = [0; 8];
                eight[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(eight)
            }
        };
        let code = word << (self.position % 8) >> (64 - width);
        self.position += width as usize;
        Some(code as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packs codes of 9 bits.
    fn packed(codes: &[u16]) -> Vec<u8> {
        let mut bits: Vec<bool> = codes
            .iter()
            .flat_map(|code| (0..9).rev().map(move |bit| code >> bit & 1 == 1))
            .collect();
        bits.resize(bits.len().next_multiple_of(8), false);
        bits.chunks(8)
            .map(|byte| {
                byte.iter()
                    .fold(0, |value, &bit| value << 1 | u8::from(bit))
            })
            .collect()
    }

    #[test]
    fn the_example_of_the_specification() {
        // TIFF 6.0, page 59: 7 7 7 8 8 7 7 6 6 as 256 7 258 8 8 258 6 6 257.
        let input = packed(&[256, 7, 258, 8, 8, 258, 6, 6, 257]);
        let mut output = [0; 9];
        assert_eq!(decode_lzw(&input, &mut output), Ok(9));
        assert_eq!(output, [7, 7, 7, 8, 8, 7, 7, 6, 6]);
    }

    #[test]
    fn a_string_may_reach_into_itself() {
        // 258 is used while it is being defined: 5, 55, 555.
        let input = packed(&[256, 5, 258, 259, 257]);
        let mut output = [0; 6];
        assert_eq!(decode_lzw(&input, &mut output), Ok(6));
        assert_eq!(output, [5; 6]);
    }

    #[test]
    fn codes_that_mean_nothing_are_refused() {
        let mut output = [0; 4];
        for codes in [&[256, 300][..], &[258], &[256, 1, 260]] {
            assert!(
                decode_lzw(&packed(codes), &mut output).is_err(),
                "{codes:?}"
            );
        }
        assert!(decode_lzw(&[0, 1, 2, 3], &mut output).is_err());
        assert_eq!(decode_lzw(&[], &mut output), Ok(0));
    }
}
