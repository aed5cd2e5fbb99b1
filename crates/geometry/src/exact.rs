//! Hamming-ball intersections as big integers: the oracle for everything in log space.
//!
//! Two independent forms, which must and do agree: the paper's double sum and Kanerva's lunes.

use core::f64::consts::LN_2;
use num_bigint::BigUint;
use num_traits::{One, ToPrimitive, Zero};

/// C(n, k); 0 for k > n.
pub fn binomial(n: usize, k: usize) -> BigUint {
    if k > n {
        return BigUint::zero();
    }
    let mut result = BigUint::one();
    for i in 0..k.min(n - k) {
        result = result * (n - i) / (i + 1);
    }
    result
}

/// Σ_{k ≤ radius} C(n, k), the number of points of {0,1}ⁿ within `radius` of a point.
pub fn ball(n: usize, radius: usize) -> BigUint {
    binomial_row(n).iter().take(radius.saturating_add(1)).sum()
}

/// The number of points within `radius` of both of two points of {0,1}ⁿ that lie `distance` apart,
/// as the paper's double sum
///
/// ```text
/// I(d_v) = Σ_a Σ_c C(n−d_v, a)·C(d_v, c)
/// n−d−⌊d_v/2⌋ ≤ a ≤ n−d_v
/// max(0, n−d−a) ≤ c ≤ min(d_v, d_v−(n−d−a))
/// ```
///
/// over a of the agreeing bits and c of the differing bits kept. `None` for `distance` > n.
///
/// # Source
///
/// Paper A, Eq. (2), with r = 2ⁿ.
///
/// # Examples
///
/// ```
/// // The balls of radius 1 around 0000 and 1100 share {1000, 0100}.
/// assert_eq!(geometry::exact::intersection_double_sum(4, 1, 2), Some(2_u32.into()));
/// ```
pub fn intersection_double_sum(n: usize, radius: usize, distance: usize) -> Option<BigUint> {
    let agreeing = binomial_row(n.checked_sub(distance)?);
    // prefix[c] = Σ_{c' < c} C(d_v, c')
    let mut prefix = vec![BigUint::zero()];
    for (c, term) in binomial_row(distance).iter().enumerate() {
        prefix.push(&prefix[c] + term);
    }
    let least_kept = n.saturating_sub(radius);
    let first = least_kept.saturating_sub(distance / 2);
    let mut sum = BigUint::zero();
    for (a, ways) in agreeing.iter().enumerate().skip(first) {
        // c differing bits agree with one point and d_v−c with the other; both need n−d−a.
        let needed = least_kept.saturating_sub(a);
        if 2 * needed <= distance {
            sum += ways * (&prefix[distance - needed + 1] - &prefix[needed]);
        }
    }
    Some(sum)
}

/// The number of points within `radius` of both of two points, for every distance 0..=n between
/// them, by Kanerva's lunes: I(0) is the ball, and for odd j
/// I(j) = I(j−1) − C(j−1, (j−1)/2)·C(n−j, d−(j−1)/2), with I(j) = I(j−1) for even j.
///
/// Each lune follows from the one before by multiplying and dividing by small integers, so that
/// n = 1000 takes about a millisecond.
///
/// # Source
///
/// Kanerva's book (1988), Appendix B; equal to Paper A, Eq. (2).
///
/// # Examples
///
/// ```
/// let counts = geometry::exact::intersections(3, 1);
/// assert_eq!(counts, [4_u32, 2, 2, 0].map(Into::into));
/// ```
pub fn intersections(n: usize, radius: usize) -> Vec<BigUint> {
    let radius = radius.min(n);
    let mut result = vec![ball(n, radius)];
    // The lune of j = 2k+1 is C(2k, k)·C(left, take) with left = n−j, take = d−k.
    let mut lune = if n == 0 { BigUint::zero() } else { binomial(n - 1, radius) };
    for j in 1..=n {
        let previous = result[j - 1].clone();
        if j % 2 == 0 {
            result.push(previous);
            continue;
        }
        result.push(previous - &lune);
        let (k, left) = ((j - 1) / 2, n - j);
        if left < 2 || radius < k + 1 || left < radius - k {
            lune = BigUint::zero();
        } else {
            let take = radius - k;
            lune = lune * (2 * (2 * k + 1)) * take * (left - take) / (k + 1) / left / (left - 1);
        }
    }
    result
}

/// ln x, to a relative error of 1e-15, from the top 64 bits of `x`; −∞ for 0.
pub fn ln_of_biguint(x: &BigUint) -> f64 {
    let dropped_bits = x.bits().saturating_sub(64);
    match (x >> dropped_bits).to_u64() {
        None | Some(0) => f64::NEG_INFINITY,
        Some(top) => libm::log(top as f64) + dropped_bits as f64 * LN_2,
    }
}

/// The largest relative error of the counts exp(`ln_counts`) against the exact `counts`:
/// `max |exp(ln_count)/count − 1|` over pairs where the exact count is not 0.
///
/// Where the exact count is 0 the logarithm must be −∞; else the result is +∞. The logarithm of the
/// exact count is itself rounded, so results below about 1e-16·ln(count) mean equality.
pub fn max_relative_error(ln_counts: &[f64], counts: &[BigUint]) -> f64 {
    ln_counts.iter().zip(counts).fold(0.0, |worst, (&ln_count, count)| {
        let error = match (count.is_zero(), ln_count == f64::NEG_INFINITY) {
            (true, true) => 0.0,
            (false, false) => libm::expm1(ln_count - ln_of_biguint(count)).abs(),
            _ => f64::INFINITY,
        };
        if error > worst || error.is_nan() { error } else { worst }
    })
}

/// C(n, 0), …, C(n, n).
fn binomial_row(n: usize) -> Vec<BigUint> {
    let mut row = vec![BigUint::one()];
    for k in 0..n {
        row.push(&row[k] * (n - k) / (k + 1));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_binomials_and_balls() {
        assert_eq!(binomial(5, 2), 10_u32.into());
        assert_eq!(binomial(2, 5), BigUint::zero());
        assert_eq!(ball(5, 2), 16_u32.into());
        assert_eq!(ball(5, 9), 32_u32.into());
    }

    #[test]
    fn both_forms_count_what_enumeration_counts() {
        for n in 0..=7_usize {
            for radius in 0..=n + 1 {
                let lunes = intersections(n, radius);
                assert_eq!(lunes.len(), n + 1);
                for (distance, lune) in lunes.iter().enumerate() {
                    // Centers 0 and a word with `distance` ones.
                    let other = (1_u32 << distance) - 1;
                    let within = |x: u32| x.count_ones() as usize <= radius;
                    let count = (0..1_u32 << n).filter(|&x| within(x) && within(x ^ other)).count();
                    assert_eq!(*lune, count.into(), "lune {n} {radius} {distance}");
                    let sum = intersection_double_sum(n, radius, distance).unwrap();
                    assert_eq!(sum, count.into(), "double sum {n} {radius} {distance}");
                }
            }
        }
        assert!(intersection_double_sum(3, 1, 4).is_none());
    }

    #[test]
    fn double_sum_equals_lunes_at_64_and_1000() {
        for radius in 0..=64 {
            for (distance, lune) in intersections(64, radius).iter().enumerate() {
                assert_eq!(intersection_double_sum(64, radius, distance).as_ref(), Some(lune));
            }
        }
        for radius in [387, 451, 480, 700] {
            let lunes = intersections(1000, radius);
            for distance in [0, 1, 2, 77, 500, 999, 1000] {
                let sum = intersection_double_sum(1000, radius, distance);
                assert_eq!(sum.as_ref(), Some(&lunes[distance]), "{radius} {distance}");
            }
        }
    }

    // Paper A, counts printed by the authors' code for n = 64.
    #[test]
    fn published_counts() {
        let at_11 = [
            (0, 927_740_240_713_u64),
            (1, 311_949_983_890),
            (3, 131_595_643_438),
            (5, 56_201_615_872),
            (7, 23_153_386_372),
            (9, 8_948_445_622),
            (11, 3_163_160_662),
        ];
        let counts = intersections(64, 11);
        for (distance, count) in at_11 {
            assert_eq!(counts[distance], count.into(), "d = 11, d_v = {distance}");
        }
        let at_5 = [(1, 1_274_786_u64), (3, 231_076), (5, 36_022), (7, 4_102), (9, 252)];
        let counts = intersections(64, 5);
        for (distance, count) in at_5 {
            assert_eq!(counts[distance], count.into(), "d = 5, d_v = {distance}");
            assert_eq!(counts[distance + 1], count.into(), "d = 5, d_v = {distance} + 1");
        }
    }

    #[test]
    fn logarithms_of_big_integers() {
        assert_eq!(ln_of_biguint(&BigUint::zero()), f64::NEG_INFINITY);
        assert_eq!(ln_of_biguint(&BigUint::one()), 0.0);
        for bits in [1_u32, 63, 64, 65, 1000, 10_000] {
            // ln(3·2^bits) from the exact integer, and in closed form
            let value = BigUint::from(3_u32) << bits;
            let expected = libm::log(3.0) + f64::from(bits) * LN_2;
            assert!((ln_of_biguint(&value) / expected - 1.0).abs() < 1e-15, "{bits}");
        }
    }

    #[test]
    fn relative_error_sees_errors_and_empty_sets() {
        let counts = [BigUint::from(100_u32), BigUint::zero()];
        let ln_counts = [libm::log(101.0), f64::NEG_INFINITY];
        assert!((max_relative_error(&ln_counts, &counts) - 0.01).abs() < 1e-14);
        assert_eq!(max_relative_error(&[0.0, 0.0], &counts), f64::INFINITY);
        assert!(max_relative_error(&[f64::NAN, 0.0], &counts).is_nan());
    }
}
