//! The critical distance: how far from a stored pattern a query may start and still converge to it.

use super::signal::signal_to_noise;
use stats::normal_cdf;

/// The expected distance to a stored pattern after one read, for every distance 0..=n before it:
///
/// ```text
/// d_v ↦ n·(1 − Φ(SNR(d_v)))
/// ```
///
/// the number of bits in which the noise outweighs the signal. `ln_neurons[d_v]` is `ln I(d_v)`, with I
/// an expected number of neurons; the background is I(⌊n/2⌋). `None` where the signal-to-noise ratio
/// is 0/0: no neuron is read at all.
///
/// # Source
///
/// Paper A, Eq. (25) and the critical distance.
///
/// # Examples
///
/// ```
/// use sdm::optimal::step_distances;
///
/// // n = 2 and no signal at d_v = 2, only noise: half of the two bits are wrong.
/// let steps = step_distances(&[0.0, 0.0, f64::NEG_INFINITY], 2);
/// assert_eq!(steps[2], Some(1.0));
/// ```
pub fn step_distances(ln_neurons: &[f64], n_patterns: u64) -> Vec<Option<f64>> {
    let n = ln_neurons.len().saturating_sub(1);
    let Some(&ln_background) = ln_neurons.get(n / 2) else { return Vec::new() };
    let step = |&ln_signal: &f64| {
        let ratio = signal_to_noise(ln_signal, ln_background, n_patterns)?;
        Some(n as f64 * normal_cdf(-ratio))
    };
    ln_neurons.iter().map(step).collect()
}

/// The critical distance: from below it, reading again and again converges to the stored pattern, to
/// within half a bit.
///
/// It is the first point at which the map of [`step_distances`], drawn linearly between integers,
/// rises above the diagonal. Where no neuron is read, the bits are coin tosses: the map is n/2.
/// `None` if the pattern is not recovered from any distance, n if it is from all.
///
/// # Source
///
/// Paper A, `d*_CD`: the radius at which this is largest. Departs from the paper: see
/// [`published_critical_distance`].
///
/// # Examples
///
/// ```
/// // n = 4. Distances 0 and 1 lead to 0; 2 leads to 2.5 and more.
/// let steps = [0.0, 0.0, 2.5, 2.5, 2.5].map(Some);
/// // From (1, 0) to (2, 2.5) the map crosses the diagonal at 5/3.
/// assert!((sdm::optimal::critical_distance(&steps).unwrap() - 5.0 / 3.0).abs() < 1e-15);
/// ```
pub fn critical_distance(step_distances: &[Option<f64>]) -> Option<f64> {
    let n = step_distances.len().checked_sub(1)?;
    let excess = |d: usize| step_distances[d].unwrap_or(n as f64 / 2.0) - d as f64;
    // The map is below the diagonal at half a bit, and so is its lowest fixed point.
    if n == 0 || excess(0) + excess(1) >= 0.0 {
        return None;
    }
    let crossing = (1..=n).find(|&d| excess(d) > 0.0);
    Some(crossing.map_or(n as f64, |d| d as f64 - excess(d) / (excess(d) - excess(d - 1))))
}

/// The critical distance as the paper's numbers have it: one less than the first distance ≥ 1 at which the
/// map of [`step_distances`] lies above the diagonal.
///
/// A 0/0, where no neuron is read, does not count as above; if the map never rises, the result is the
/// first distance of a 0/0 (2d+1 for n = 64, r = 2^64 and d ≤ 15), or n.
///
/// # Source
///
/// Paper A, the critical distances behind `d*_CD`.
///
/// # Examples
///
/// ```
/// use sdm::optimal::published_critical_distance;
///
/// assert_eq!(published_critical_distance(&[0.0, 0.0, 2.5, 2.5, 2.5].map(Some)), 1);
/// assert_eq!(published_critical_distance(&[Some(0.0), Some(0.0), Some(0.0), None, None]), 3);
/// ```
pub fn published_critical_distance(step_distances: &[Option<f64>]) -> usize {
    let above = |(d, step): (usize, &Option<f64>)| step.is_some_and(|step| step > d as f64);
    let rise = step_distances.iter().enumerate().skip(1).position(above);
    let never = || step_distances.iter().position(Option::is_none);
    rise.or_else(never).unwrap_or(step_distances.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use geometry::HammingSpace;

    fn steps(space: &HammingSpace, radius: usize, r: f64, m: u64) -> Vec<Option<f64>> {
        let ln_neurons_per_point = libm::log(r) - space.ln_points();
        let ln_neurons: Vec<f64> =
            space.ln_intersections(radius).iter().map(|ln| ln + ln_neurons_per_point).collect();
        step_distances(&ln_neurons, m)
    }

    // Paper A, n = 64 and m = 1024.
    #[test]
    fn published_critical_distances_at_64() {
        let space = HammingSpace::new(64).unwrap();
        let list = |radii: core::ops::RangeInclusive<usize>, r: f64| -> Vec<usize> {
            radii.map(|d| published_critical_distance(&steps(&space, d, r, 1024))).collect()
        };
        let every_address = libm::exp2(64.0);
        assert_eq!(
            list(9..=23, every_address),
            [19, 21, 23, 25, 27, 29, 31, 30, 30, 28, 26, 24, 20, 12, 0]
        );
        let all = list(1..=32, every_address);
        let d_star = (1..=32).max_by_key(|&d| (all[d - 1], usize::MAX - d));
        assert_eq!(d_star, Some(15));
        assert_eq!(list(15..=22, 1e6), [4, 14, 18, 20, 22, 22, 18, 10]);
    }

    // Paper A, n = 64, m = 1024, r = 2^64: radii 15, 16 and 17 reach practically equally far.
    #[test]
    fn critical_distance_is_flat_around_its_maximum() {
        let space = HammingSpace::new(64).unwrap();
        let at = |d| critical_distance(&steps(&space, d, libm::exp2(64.0), 1024));
        for (radius, expected) in [(14, 28.90), (15, 30.97), (16, 30.96), (17, 30.90), (18, 28.91)]
        {
            assert!((at(radius).unwrap() - expected).abs() < 5e-3, "{radius}: {:?}", at(radius));
        }
        // With a radius this large not even the pattern itself is stable.
        assert_eq!(at(23), None);
    }

    // Paper A, n = 1000 and r = 1e6.
    #[test]
    fn published_critical_distances_at_1000() {
        let space = HammingSpace::new(1000).unwrap();
        for (radius, m, published) in [(450, 1000, 330), (451, 1000, 332), (452, 1000, 330)] {
            let steps = steps(&space, radius, 1e6, m);
            assert_eq!(published_critical_distance(&steps), published, "{radius}");
        }
        for (radius, published) in [(448, 176.7), (451, 164.55)] {
            let distance = critical_distance(&steps(&space, radius, 1e6, 10_000)).unwrap();
            assert!((distance - published).abs() < 0.01, "{radius}: {distance}");
        }
        let d_star = (440..=455).max_by(|&a, &b| {
            let at = |d| critical_distance(&steps(&space, d, 1e6, 10_000)).unwrap_or(0.0);
            at(a).total_cmp(&at(b))
        });
        assert_eq!(d_star, Some(448));
    }

    #[test]
    fn iterating_the_map_agrees_with_the_crossing() {
        let space = HammingSpace::new(64).unwrap();
        for radius in 10..=22 {
            let steps = steps(&space, radius, libm::exp2(64.0), 1024);
            let boundary = critical_distance(&steps).unwrap();
            let converges = |start: f64| {
                let mut x = start;
                for _ in 0..2000 {
                    let below = (0..64).rev().find(|&d| d as f64 <= x).unwrap();
                    let at = |d: usize| steps[d].unwrap_or(32.0);
                    x = at(below) + (x - below as f64) * (at(below + 1) - at(below));
                }
                x < 0.5
            };
            assert!(converges(boundary - 0.01), "{radius}");
            assert!(!converges(boundary + 0.01), "{radius}");
        }
    }

    #[test]
    fn degenerate_maps() {
        assert_eq!(step_distances(&[], 3), []);
        assert_eq!(critical_distance(&[]), None);
        assert_eq!(critical_distance(&[Some(0.0)]), None);
        assert_eq!(published_critical_distance(&[]), 0);
        // Always back to the pattern: from everywhere.
        let steps = [Some(0.0); 5];
        assert_eq!(critical_distance(&steps), Some(4.0));
        assert_eq!(published_critical_distance(&steps), 4);
    }
}
