//! What unrelated patterns add to the noise of a read, in three readings.
//!
//! A read sums, over the stored patterns, a bit ±1 times the number N of neurons that the pattern
//! shares with the query. The bits of an unrelated pattern are coin tosses: it adds `E[N²]` to the
//! variance. N depends on two random things, the distance D ~ Bin(n, ½) of the pattern from the query,
//! and the neurons: given D, N ~ Bin(r, I(D)/r).

use geometry::HammingSpace;
use stats::normal_cdf;

/// The second moment `E[N²]` of the neurons that an unrelated pattern shares with the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseModel {
    /// I₀ = I(⌊n/2⌋): each shared neuron adds a coin toss of its own.
    ///
    /// Our reading of Kanerva's book (1988), by what Paper A adds to it; it leaves out that the neurons
    /// shared with one pattern all hold the same bit.
    Book,
    /// I₀ + I₀²: Paper A, Eq. (25). A Poisson number of neurons, every pattern at distance n/2.
    Published,
    /// `E_D[I(D) + (1−1/r)·I(D)²]`, exact: both random things, over all distances. Its first part is
    /// p²r, since two balls around independent points are independent.
    Exact,
}

impl NoiseModel {
    /// `ln E[N²]`; `ln_neurons[d_v]` is `ln I(d_v)` over 0..=n as of
    /// [`ln_expected_neurons`](super::ln_expected_neurons), and `n_neurons` is r. −∞ where no neuron is
    /// ever shared; NaN for a list of other length than n+1.
    ///
    /// # Source
    ///
    /// Paper A, Eq. (25), for [`NoiseModel::Published`]; [`NoiseModel::Exact`] is ours.
    ///
    /// # Examples
    ///
    /// ```
    /// use sdm::optimal::NoiseModel;
    ///
    /// // n = 1, d = 0, r = 2: a pattern is at distance 0 or 1, with I = 1 or 0 expected neurons there.
    /// let space = geometry::HammingSpace::new(1)?;
    /// let second_moment = |model: NoiseModel| model.ln_second_moment(&space, &[0.0, f64::NEG_INFINITY], 2.0);
    /// // ½·(1 + ½·1²) + ½·0
    /// assert!((second_moment(NoiseModel::Exact).exp() - 0.75).abs() < 1e-15);
    /// // I₀ = I(0) = 1: 1 + 1²
    /// assert!((second_moment(NoiseModel::Published).exp() - 2.0).abs() < 1e-15);
    /// # Ok::<(), geometry::GeometryError>(())
    /// ```
    pub fn ln_second_moment(self, space: &HammingSpace, ln_neurons: &[f64], n_neurons: f64) -> f64 {
        let n = space.dimension();
        if ln_neurons.len() != n + 1 {
            return f64::NAN;
        }
        let ln_background = ln_neurons[n / 2];
        match self {
            Self::Book => ln_background,
            Self::Published => ln_sum(&[ln_background, 2.0 * ln_background]),
            Self::Exact => {
                let ln_pairs = libm::log1p(-1.0 / n_neurons);
                let terms = ln_neurons.iter().enumerate().flat_map(|(distance, ln_count)| {
                    let ln_chance = space.ln_sphere(distance) - space.ln_points();
                    [ln_chance + ln_count, ln_chance + ln_pairs + 2.0 * ln_count]
                });
                ln_sum(&terms.collect::<Vec<_>>())
            }
        }
    }
}

/// ln Σ exp.
fn ln_sum(ln_terms: &[f64]) -> f64 {
    let largest = ln_terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + libm::log(stats::sum(ln_terms.iter().map(|ln| libm::exp(ln - largest))))
}

/// [`signal_to_noise`](super::signal_to_noise) with any second moment of unrelated patterns:
/// `SNR = I/√(I + (m−1)·E[N²])`. `None` where it is 0/0.
///
/// # Source
///
/// Paper A, Eq. (25), with a [`NoiseModel`].
///
/// # Examples
///
/// ```
/// // I = 4, E[N²] = 2, m = 7: 4/√(4 + 6·2) = 1.
/// let ratio = sdm::optimal::signal_to_noise_against(4_f64.ln(), 2_f64.ln(), 7).unwrap();
/// assert!((ratio - 1.0).abs() < 1e-15);
/// ```
pub fn signal_to_noise_against(
    ln_signal: f64,
    ln_second_moment: f64,
    n_patterns: u64,
) -> Option<f64> {
    if ln_signal == f64::NEG_INFINITY {
        let noise = ln_second_moment > f64::NEG_INFINITY && n_patterns > 1;
        return noise.then_some(0.0);
    }
    let others = n_patterns.saturating_sub(1) as f64;
    let background = others * libm::exp(ln_second_moment - 2.0 * ln_signal);
    Some(1.0 / (libm::exp(-ln_signal) + background).sqrt())
}

/// [`step_distances`](super::step_distances) with any second moment of unrelated patterns.
///
/// # Source
///
/// Paper A, Eq. (25) and the critical distance, with a [`NoiseModel`].
///
/// # Examples
///
/// ```
/// // No signal at distance 2, only noise: half of the two bits are wrong.
/// let steps = sdm::optimal::step_distances_against(&[0.0, 0.0, f64::NEG_INFINITY], 0.0, 2);
/// assert_eq!(steps[2], Some(1.0));
/// ```
pub fn step_distances_against(
    ln_neurons: &[f64],
    ln_second_moment: f64,
    n_patterns: u64,
) -> Vec<Option<f64>> {
    let n = ln_neurons.len().saturating_sub(1);
    let step = |&ln_signal: &f64| {
        let ratio = signal_to_noise_against(ln_signal, ln_second_moment, n_patterns)?;
        Some(n as f64 * normal_cdf(-ratio))
    };
    ln_neurons.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimal::{
        ln_expected_neurons, published_critical_distance, signal_to_noise, step_distances,
    };

    #[test]
    fn the_published_model_is_the_published_equation() {
        let space = HammingSpace::new(1000).unwrap();
        let ln_neurons = ln_expected_neurons(&space, 451, libm::log(1e6));
        let ln_second_moment = NoiseModel::Published.ln_second_moment(&space, &ln_neurons, 1e6);
        let own = step_distances_against(&ln_neurons, ln_second_moment, 10_000);
        for (one, other) in own.iter().zip(step_distances(&ln_neurons, 10_000)) {
            assert!((one.unwrap() - other.unwrap()).abs() < 1e-10);
        }
        assert_eq!(signal_to_noise_against(f64::NEG_INFINITY, f64::NEG_INFINITY, 5), None);
        assert_eq!(
            signal_to_noise_against(f64::NEG_INFINITY, 0.0, 1),
            signal_to_noise(f64::NEG_INFINITY, 0.0, 1)
        );
    }

    // E_D[I(D)] = p²r, by a sum over all distances.
    #[test]
    fn the_mean_over_distances_is_that_of_independent_balls() {
        for (n, radius, r) in [(64_usize, 20, 1e5), (100, 35, 1e4), (1000, 451, 1e6), (7, 2, 50.0)]
        {
            let space = HammingSpace::new(n).unwrap();
            let ln_neurons = ln_expected_neurons(&space, radius, libm::log(r));
            let mean = stats::sum(ln_neurons.iter().enumerate().map(|(distance, ln)| {
                libm::exp(space.ln_sphere(distance) - space.ln_points() + ln)
            }));
            let p = space.fraction_at_radius(radius);
            assert!((mean / (p * p * r) - 1.0).abs() < 1e-11, "{n}: {mean}");
        }
    }

    // Every choice of neurons and of a pattern, counted: n = 2, d = 1, r = 2, the query at 00.
    #[test]
    fn exact_second_moment_by_enumeration() {
        let near = |a: u32, b: u32| (a ^ b).count_ones() <= 1;
        let mut sum = 0.0;
        for (pattern, one, two) in (0..64).map(|k: u32| (k & 3, (k >> 2) & 3, k >> 4)) {
            let shared = [one, two].iter().filter(|&&x| near(x, 0) && near(x, pattern)).count();
            sum += (shared * shared) as f64 / 64.0;
        }
        let space = HammingSpace::new(2).unwrap();
        let ln_neurons = ln_expected_neurons(&space, 1, libm::log(2.0));
        let exact = libm::exp(NoiseModel::Exact.ln_second_moment(&space, &ln_neurons, 2.0));
        assert!((exact - sum).abs() < 1e-14, "{exact} {sum}");
    }

    // Recomputed with big integers: n = 1000, r = 1e6, d = 451, m = 1e4.
    #[test]
    fn the_three_models_of_the_canonical_memory() {
        let space = HammingSpace::new(1000).unwrap();
        let ln_neurons = ln_expected_neurons(&space, 451, libm::log(1e6));
        for (model, variance, critical_distance) in [
            (NoiseModel::Book, 11_011.544, 222),
            (NoiseModel::Published, 23_138.167, 164),
            (NoiseModel::Exact, 26_415.969, 152),
        ] {
            let ln_second_moment = model.ln_second_moment(&space, &ln_neurons, 1e6);
            let noise = 9999.0 * libm::exp(ln_second_moment);
            // The big integers had (1−1/r) left out.
            assert!((noise - variance).abs() < 0.02, "{model:?}: {noise}");
            let steps = step_distances_against(&ln_neurons, ln_second_moment, 10_000);
            assert_eq!(published_critical_distance(&steps), critical_distance, "{model:?}");
        }
        assert!(NoiseModel::Exact.ln_second_moment(&space, &[], 1e6).is_nan());
    }
}
