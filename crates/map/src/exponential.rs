/// Below its negative the exponential is 0 here.
pub(crate) const MAX_EXPONENT: f64 = 700.0;

/// The exponential of a number of at most 0, to two units in the last place,
/// without a branch or a call, so that several are computed at a time; 0 below
/// -700. The same on every instruction set.
///
/// # Source
/// Taylor's series of what is left of a power of 2 (Cody & Waite 1980).
///
/// # Example
/// ```
/// use morphospace_map::exp_below_0;
///
/// assert!((exp_below_0(-1.0) - 0.367_879_441_171_442_33).abs() < 1e-16);
/// assert_eq!(exp_below_0(f64::NEG_INFINITY), 0.0);
/// ```
#[inline(always)]
pub fn exp_below_0(x: f64) -> f64 {
    // Adding it rounds to a whole number, which is in the lowest bits then.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // ln 2 in two parts: products of the first with small whole numbers are
    // exact.
    const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let clamped = x.max(-MAX_EXPONENT);
    let rounded = clamped * std::f64::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = clamped - power * LN_2_HIGH - power * LN_2_LOW;
    // Taylor's series: |rest| is at most ln(2) / 2.
    let mut series = INVERSE_FACTORIALS[0];
    for coefficient in &INVERSE_FACTORIALS[1..] {
        series = series * rest + coefficient;
    }
    let scale = f64::from_bits((rounded.to_bits() << 52).wrapping_add(1023 << 52));
    let is_above = f64::from(u8::from(x >= -MAX_EXPONENT));
    series * scale * is_above
}

/// [`exp_below_0`] in single precision, to one and a half units in the last place;
/// 0 below -87.
///
/// # Source
/// The polynomial of Cephes' `expf` (Moshier 1992).
#[inline(always)]
pub fn exp_below_0_f32(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const LOWEST: f32 = -87.0;
    let clamped = x.max(LOWEST);
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let power = rounded - ROUND;
    let rest = clamped - power * LN_2_HIGH - power * LN_2_LOW;
    let mut series = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
        1.0,
        1.0,
    ] {
        series = series * rest + coefficient;
    }
    let scale = f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23));
    series * scale * f32::from(u8::from(x >= LOWEST))
}

/// 1 / 13!, ..., 1 / 1!, 1.
const INVERSE_FACTORIALS: [f64; 14] = {
    let mut found = [1.0; 14];
    let mut index = 13;
    while index > 0 {
        found[index - 1] = found[index] / (14 - index) as f64;
        index -= 1;
    }
    found
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_places() {
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.003_501;
            let (found, expect) = (exp_below_0(x), x.exp());
            if x < -MAX_EXPONENT {
                assert_eq!(found, 0.0);
            } else {
                assert!(
                    (found / expect - 1.0).abs() < 5e-16,
                    "{x}: {found} {expect}"
                );
            }
        }
        assert_eq!(exp_below_0(0.0), 1.0);
        assert_eq!(exp_below_0(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn the_exponential_in_single_precision() {
        for i in 0..87_000 {
            let x = -0.001 * i as f32;
            let (found, expect) = (f64::from(exp_below_0_f32(x)), f64::from(x).exp());
            assert!((found / expect - 1.0).abs() < 2e-7, "{x}: {found} {expect}");
        }
        assert_eq!(exp_below_0_f32(0.0), 1.0);
        assert_eq!(exp_below_0_f32(-87.5), 0.0);
        assert_eq!(exp_below_0_f32(f32::NEG_INFINITY), 0.0);
    }
}
