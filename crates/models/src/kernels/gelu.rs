//! The exact GELU.

use burn::tensor::Tensor;

use super::exp::exp;
use super::host::Host;
use super::rows::{Start, rows_by_blocks};
use super::vector_unit::vectorised;

/// `x Φ(x)`, to a relative error of `6e-7 + x² 2^-24` in both tails.
///
/// # Source
/// `Φ(-z) = erfc(z / √2) / 2` by the fit of Press et al., Numerical Recipes
/// (`erfcc`): relative error below 1.2e-7 everywhere
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    x * normal_distribution(x)
}

/// `Φ(x)`, as exact.
#[inline(always)]
pub(super) fn normal_distribution(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = 1.0 / z.mul_add(0.5, 1.0);
    let mut p = 0.170_872_77;
    p = t.mul_add(p, -0.822_152_23);
    p = t.mul_add(p, 1.488_515_9);
    p = t.mul_add(p, -1.135_204);
    p = t.mul_add(p, 0.278_868_07);
    p = t.mul_add(p, -0.186_288_06);
    p = t.mul_add(p, 0.096_784_18);
    p = t.mul_add(p, 0.374_091_96);
    p = t.mul_add(p, 1.000_023_7);
    p = t.mul_add(p, -1.265_512_2);
    let tail = 0.5 * t * exp(z.mul_add(-z, p));
    if x >= 0.0 { 1.0 - tail } else { tail }
}

/// [`gelu`] of a tensor; `None` where the kernel does not apply.
pub(crate) fn gelu_tensor<const D: usize>(x: &Tensor<D>) -> Option<Tensor<D>> {
    let shape = x.dims();
    let x = Host::of(x)?;
    let x = x.rows(shape[D - 1])?;
    let output = rows_by_blocks(x.count, Start::Zeros(x.len), |_, first, output| {
        vectorised(
            #[inline(always)]
            || {
                for (index, row) in output.chunks_exact_mut(x.len).enumerate() {
                    for (output, x) in row.iter_mut().zip(x.row(first + index)) {
                        *output = gelu(*x);
                    }
                }
            },
        );
    });
    Some(Host::tensor(output, shape))
}

#[cfg(test)]
mod tests {
    use super::gelu;

    #[test]
    fn both_tails_are_exact_to_rounding() {
        // x Φ(x) by mpmath, 12 digits.
        let cases = [
            (-12.0, -2.131_778_534_49e-32),
            (-5.0, -1.433_257_859_40e-6),
            (-3.0, -0.004_049_694_094_89),
            (-1.0, -0.158_655_253_931),
            (-0.1, -0.046_017_216_272_3),
            (0.0, 0.0),
            (0.5, 0.345_731_230_637),
            (1.0, 0.841_344_746_069),
            (4.0, 3.999_873_315_03),
        ];
        for (x, expected) in cases {
            let found = f64::from(gelu(x));
            let error = (found - expected).abs();
            let tolerance = 6e-7 + f64::from(x * x) * 6e-8;
            assert!(error <= tolerance * expected.abs(), "{x}: {found}");
        }
        assert!(gelu(f32::NAN).is_nan());
        assert_eq!(gelu(f32::INFINITY), f32::INFINITY);
    }
}
