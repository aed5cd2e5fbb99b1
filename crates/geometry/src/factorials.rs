//! Logarithms of factorials with more digits than one `f64` holds.

/// ln k! for k = 0..=n, each as an unevaluated sum of two `f64`.
///
/// ln 10000! is about 82109, where neighboring `f64` are 1.5e-11 apart; differences of such numbers,
/// which is what binomial coefficients are, would inherit that. The second part keeps what rounding
/// takes away, so that the error is that of the logarithms summed: below 1e-13 at n = 10000.
#[derive(Clone, Debug)]
pub(crate) struct LnFactorials {
    high: Vec<f64>,
    low: Vec<f64>,
}

impl LnFactorials {
    pub(crate) fn up_to(n: usize) -> Self {
        let (mut sum, mut lost) = (0.0, 0.0);
        let mut table = Self { high: vec![0.0], low: vec![0.0] };
        for k in 1..=n {
            let (next, error) = two_sum(sum, libm::log(k as f64));
            sum = next;
            lost += error;
            table.high.push(sum);
            table.low.push(lost);
        }
        table
    }

    /// ln C(n, k) as (high, low); `None` where C(n, k) = 0, that is k > n.
    pub(crate) fn ln_binomial(&self, n: usize, k: usize) -> Option<(f64, f64)> {
        let rest = n.checked_sub(k)?;
        let (partial, error_1) = two_sum(self.high[n], -self.high[k]);
        let (high, error_2) = two_sum(partial, -self.high[rest]);
        let low = self.low[n] - self.low[k] - self.low[rest] + (error_1 + error_2);
        Some((high, low))
    }
}

/// a + b as the rounded sum and the exact rounding error.
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_rounded = sum - a;
    (sum, (a - (sum - b_rounded)) + (b - b_rounded))
}

/// A sum of positive numbers that are given by their logarithms.
///
/// Kept as `scale` and `mantissa` with value mantissa·exp(scale), and rescaled when a larger term
/// arrives, so that nothing overflows and the small terms added first are not lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogSum {
    scale: f64,
    mantissa: f64,
}

impl LogSum {
    pub(crate) const EMPTY: Self = Self { scale: f64::NEG_INFINITY, mantissa: 0.0 };

    /// Adds exp(high + low).
    pub(crate) fn add(&mut self, (high, low): (f64, f64)) {
        if high > self.scale {
            self.mantissa *= libm::exp(self.scale - high);
            self.scale = high;
        }
        self.mantissa += libm::exp(high - self.scale + low);
    }

    /// The logarithm of the sum; −∞ while nothing was added.
    pub(crate) fn ln(self) -> f64 {
        if self.mantissa > 0.0 { self.scale + libm::log(self.mantissa) } else { f64::NEG_INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{binomial, ln_of_biguint};

    #[test]
    fn ln_binomial_matches_big_integers() {
        let table = LnFactorials::up_to(10_000);
        for n in [1_usize, 2, 10, 64, 1000, 9_999, 10_000] {
            for k in [0, 1, n / 7, n / 3, n / 2, n - 1, n] {
                let (high, low) = table.ln_binomial(n, k).unwrap();
                let exact = ln_of_biguint(&binomial(n, k));
                // One unit in the last place of the result, or the sum's own 1e-13.
                let tolerance = 1e-13 + exact * f64::EPSILON;
                assert!((high + low - exact).abs() <= tolerance, "{n} {k}: {high} {low} {exact}");
            }
        }
        assert!(table.ln_binomial(3, 4).is_none());
    }

    #[test]
    fn sum_of_logarithms_keeps_large_and_small_terms() {
        let mut sum = LogSum::EMPTY;
        assert_eq!(sum.ln(), f64::NEG_INFINITY);
        for term in [5000.0, 5000.0 + core::f64::consts::LN_2, 4000.0] {
            sum.add((term, 0.0));
        }
        assert!((sum.ln() - (5000.0 + libm::log(3.0))).abs() < 1e-12);
    }
}
