//! The generator itself: integers, uniform and normal floating-point numbers, shuffles.

use core::f64::consts::TAU;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng};

/// A stream of random numbers, the same on every platform.
///
/// Made by [`Seed::stream`](crate::Seed::stream). A clone continues from the same position.
#[derive(Clone, Debug)]
pub struct Rng {
    chacha: ChaCha8Rng,
    spare_normal: Option<f64>,
}

impl Rng {
    pub(crate) fn from_key(key: [u8; 32]) -> Self {
        Self { chacha: ChaCha8Rng::from_seed(key), spare_normal: None }
    }

    /// The next 64 bits of the stream.
    pub fn next_u64(&mut self) -> u64 {
        self.chacha.next_u64()
    }

    /// A number uniform in [0, 1): the top 53 bits of one draw, divided by 2^53.
    pub fn uniform(&mut self) -> f64 {
        const TWO_TO_MINUS_53: f64 = 1.0 / 9_007_199_254_740_992.0;
        (self.next_u64() >> 11) as f64 * TWO_TO_MINUS_53
    }

    /// A standard normal number, by the Box-Muller transform.
    ///
    /// With u, v uniform in [0, 1), drawn in this order, the pair
    /// √(−2 ln(1−u))·cos(2πv) and √(−2 ln(1−u))·sin(2πv) is returned over two calls.
    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare_normal.take() {
            return spare;
        }
        let radius = (-2.0 * libm::log(1.0 - self.uniform())).sqrt();
        let (sin, cos) = libm::sincos(TAU * self.uniform());
        self.spare_normal = Some(radius * sin);
        radius * cos
    }

    /// An integer uniform in 0..n, without bias.
    ///
    /// The high word of (64-bit draw)·n, where draws whose low word would favor some results are
    /// drawn again.
    ///
    /// # Panics
    ///
    /// If `n` is 0: no integer lies in an empty range.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut rng = seed::Seed::new(1).stream("doc", "die");
    /// assert!((0..100).all(|_| rng.below(6) < 6));
    /// assert_eq!(rng.below(1), 0);
    /// ```
    #[expect(clippy::cast_possible_truncation, reason = "words are split; the result is below n")]
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "below: n must be at least 1");
        let n = n as u64;
        let rejected = n.wrapping_neg() % n; // 2^64 mod n
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= rejected {
                return (product >> 64) as usize;
            }
        }
    }

    /// Puts the items in a uniformly random order (Fisher-Yates, from the last item down).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Seed;

    fn rng(purpose: &str) -> super::Rng {
        Seed::new(2024).stream("seed-tests", purpose)
    }

    #[test]
    fn golden_values() {
        let mut r = rng("golden");
        let words: Vec<u64> = (0..3).map(|_| r.next_u64()).collect();
        assert_eq!(
            words,
            [13_750_071_365_164_908_811, 3_554_720_852_950_128_145, 8_759_834_635_875_310_229]
        );
        assert_eq!(r.uniform().to_bits(), 4_592_297_917_716_970_720);
        let normals = [r.normal().to_bits(), r.normal().to_bits()];
        assert_eq!(normals, [13_832_205_429_648_985_090, 4_592_314_681_273_236_832]);
        assert_eq!([r.below(6), r.below(1000), r.below(1 << 31)], [3, 547, 31_147_032]);
        let mut order = [0, 1, 2, 3, 4, 5, 6, 7];
        r.shuffle(&mut order);
        assert_eq!(order, [3, 1, 7, 6, 0, 5, 2, 4]);
    }

    #[test]
    fn uniform_is_in_range_with_the_right_moments() {
        let mut r = rng("uniform");
        let n = 100_000;
        let values: Vec<f64> = (0..n).map(|_| r.uniform()).collect();
        assert!(values.iter().all(|v| (0.0..1.0).contains(v)));
        let mean = values.iter().sum::<f64>() / f64::from(n);
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / f64::from(n);
        assert!((mean - 0.5).abs() < 0.004, "{mean}"); // 4 standard errors
        assert!((variance - 1.0 / 12.0).abs() < 0.001, "{variance}");
    }

    #[test]
    fn normal_has_the_right_moments() {
        let mut r = rng("normal");
        let n = 200_000;
        let values: Vec<f64> = (0..n).map(|_| r.normal()).collect();
        let moment = |k: i32| {
            values.iter().map(|v| (0..k).fold(1.0, |a, _| a * v)).sum::<f64>() / f64::from(n)
        };
        // Standard errors at this n: 0.0022, 0.0032, 0.0087, 0.022.
        assert!(moment(1).abs() < 0.009);
        assert!((moment(2) - 1.0).abs() < 0.013);
        assert!(moment(3).abs() < 0.035);
        assert!((moment(4) - 3.0).abs() < 0.09);
        // The two halves of a pair are uncorrelated.
        let pairs = values.chunks_exact(2).map(|p| p[0] * p[1]).sum::<f64>() / f64::from(n / 2);
        assert!(pairs.abs() < 0.013);
    }

    #[test]
    fn below_is_uniform() {
        let mut r = rng("below");
        let mut counts = [0_u32; 7];
        for _ in 0..70_000 {
            counts[r.below(7)] += 1;
        }
        let chi_square: f64 =
            counts.iter().map(|&c| libm::pow(f64::from(c) - 1e4, 2.0) / 1e4).sum();
        assert!(chi_square < 22.5, "{counts:?}"); // 0.1 % point with 6 degrees of freedom
    }

    #[test]
    #[should_panic(expected = "at least 1")]
    fn below_zero_is_refused() {
        rng("empty").below(0);
    }

    #[test]
    fn shuffle_reaches_every_order_equally() {
        let mut r = rng("shuffle");
        let mut counts = std::collections::BTreeMap::new();
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            r.shuffle(&mut items);
            *counts.entry(items).or_insert(0_u32) += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi_square: f64 =
            counts.values().map(|&c| libm::pow(f64::from(c) - 1e3, 2.0) / 1e3).sum();
        assert!(chi_square < 49.7, "{counts:?}"); // 0.1 % point with 23 degrees of freedom
        r.shuffle::<u8>(&mut []);
    }
}
