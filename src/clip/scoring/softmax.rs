//! Softmax over thousands of labels, in vector code for the processor at hand.

use pulp::{Arch, Simd, WithSimd};

/// Powers below this one's, 4e-31, are taken for zero: processors are slow with numbers so small that 32
/// bits can hardly hold them.
const NOTHING: f32 = -70.0;
/// Sums side by side, so that no addition has to wait for another.
const LANES: usize = 16;

/// What log-odds are made of, beside a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Powers {
    /// The largest logit.
    pub(super) top: f64,
    /// The logarithm of the sum of `exp(x - top)` over all logits.
    pub(super) log_sum: f64,
}

/// Puts `exp(x - max) / sum` in the place of each value, where `logit` makes `x` of it: the subtraction
/// changes nothing and keeps `exp` from overflowing. Powers of 32 bits are exact enough; their sum is not.
/// A logit of minus infinity takes no part; without any other all shares are zero.
pub(super) fn softmax(values: &mut [f32], logit: impl Fn(f32) -> f64) -> Powers {
    Arch::new().dispatch(Softmax { values, logit })
}

struct Softmax<'a, F> {
    values: &'a mut [f32],
    logit: F,
}

impl<F: Fn(f32) -> f64> WithSimd for Softmax<'_, F> {
    type Output = Powers;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Powers {
        let Self { values, logit } = self;
        let mut tops = [f64::NEG_INFINITY; LANES];
        for values in values.chunks(LANES) {
            for (value, top) in values.iter().zip(&mut tops) {
                *top = top.max(logit(*value));
            }
        }
        let top = tops.into_iter().fold(f64::NEG_INFINITY, f64::max);
        if top == f64::NEG_INFINITY {
            values.fill(0.0);
            return Powers { top, log_sum: 0.0 };
        }
        let mut sums = [0.0; LANES];
        for values in values.chunks_mut(LANES) {
            for (value, sum) in values.iter_mut().zip(&mut sums) {
                *value = power::<S>((logit(*value) - top) as f32);
                *sum += f64::from(*value);
            }
        }
        let sum: f64 = sums.iter().sum();
        let share = (1.0 / sum) as f32;
        for power in values {
            *power *= share;
        }
        Powers { top, log_sum: sum.ln() }
    }
}

/// `exp(x)` for an `x` of 0 at most, to the last bit or two; the library's is a call for every number.
///
/// `exp(x) = 2^n · exp(x - n ln 2)`, where `ln 2` is subtracted in two parts, and a polynomial of the sixth
/// degree for what is left: S. L. Moshier's Cephes library, `expf.c`.
#[inline(always)]
fn power<S: Simd>(x: f32) -> f32 {
    /// Added to a number it leaves that number's whole part in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const POLYNOMIAL: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];
    // Where there are no vectors there is no such instruction either, and what stands for it is slow.
    let add = |a: f32, b: f32, c: f32| if S::F32_LANES > 1 { a.mul_add(b, c) } else { a * b + c };

    let whole = add(x, std::f32::consts::LOG2_E, WHOLE);
    let n = whole - WHOLE;
    let rest = add(n, -LN_2[1], add(n, -LN_2[0], x));
    let sum = POLYNOMIAL.iter().skip(1).fold(POLYNOMIAL[0], |sum, next| add(sum, rest, *next));
    let fraction = add(sum * rest, rest, rest) + 1.0;
    // The lowest bits of `whole`, as an exponent.
    let power = f32::from_bits(whole.to_bits().wrapping_add(127) << 23);
    if x < NOTHING { 0.0 } else { fraction * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_library() {
        for step in 0..700_000_u32 {
            let x = step as f32 * -1e-4;
            let exact = f64::from(x).exp();
            for found in [power::<pulp::Scalar>(x), power::<pulp::Scalar128b>(x)] {
                let off = (f64::from(found) - exact).abs() / exact;
                assert!(off < 2.5e-7, "exp({x}) is {exact}, not {found}");
            }
        }
        assert_eq!(power::<pulp::Scalar>(0.0), 1.0);
        for x in [-70.1, -1e30, f32::NEG_INFINITY] {
            assert_eq!(power::<pulp::Scalar>(x), 0.0);
        }
    }

    fn shares<const N: usize>(mut logits: [f32; N]) -> ([f32; N], Powers) {
        let powers = softmax(&mut logits, f64::from);
        (logits, powers)
    }

    #[test]
    fn what_has_no_part_gets_none() {
        let (found, powers) = shares([f32::NEG_INFINITY, 1.0, 1.0]);
        assert_eq!(found, [0.0, 0.5, 0.5]);
        assert_eq!(powers, Powers { top: 1.0, log_sum: 2.0_f64.ln() });
        assert_eq!(shares([f32::NEG_INFINITY; 2]).0, [0.0, 0.0]);
        assert_eq!(shares([]).1.log_sum, 0.0);
    }

    #[test]
    fn many_are_as_the_definition_says() {
        let logits: [f32; 1000] = std::array::from_fn(|label| (label * 37 % 1000) as f32 / 20.0);
        let (found, powers) = shares(logits);
        let exact = |logit: f32| (f64::from(logit) - powers.top).exp();
        let sum: f64 = logits.iter().map(|logit| exact(*logit)).sum();
        assert!((powers.log_sum - sum.ln()).abs() < 1e-6);
        for (share, logit) in found.iter().zip(logits) {
            let wanted = exact(logit) / sum;
            // 32 bits hold a distance of 50 to 2e-6.
            assert!((f64::from(*share) - wanted).abs() <= 4e-6 * wanted, "{share} {wanted}");
        }
    }
}
