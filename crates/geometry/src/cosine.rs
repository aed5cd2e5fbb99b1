//! The map between Hamming distance and cosine similarity.

/// The cosine `1 − 2·d_v/n` between two vectors of {−1,+1}ⁿ whose signs differ in `distance`
/// places.
///
/// # Source
///
/// Paper A, the cosine–Hamming map for L2-normalized vectors.
///
/// # Examples
///
/// ```
/// assert_eq!(geometry::cosine_from_hamming(64, 16.0), 0.5);
/// ```
pub fn cosine_from_hamming(n: usize, distance: f64) -> f64 {
    1.0 - 2.0 * distance / n as f64
}

/// The Hamming distance ⌊n(1−cos)/2⌋ in 0..=n that corresponds to a cosine.
///
/// A cosine beyond ±1 by rounding counts as ±1. Where n(1−cos)/2 is within 1e-9 of an integer it is
/// that integer, so that this function undoes [`cosine_from_hamming`]; a plain floor of the rounded
/// number would sometimes lose one. NaN gives 0.
///
/// # Source
///
/// Paper A, the cosine–Hamming map.
///
/// # Examples
///
/// ```
/// assert_eq!(geometry::hamming_from_cosine(64, 0.5), 16);
/// assert_eq!(geometry::hamming_from_cosine(64, 0.49), 16);
/// ```
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=n")]
pub fn hamming_from_cosine(n: usize, cosine: f64) -> usize {
    let distance = n as f64 * (1.0 - cosine) / 2.0;
    (distance + 1e-9).floor().clamp(0.0, n as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_integer_distance_survives_the_round_trip() {
        for n in [1, 3, 64, 100, 784, 1000, 10_000] {
            for distance in 0..=n {
                let cosine = cosine_from_hamming(n, distance as f64);
                assert_eq!(hamming_from_cosine(n, cosine), distance, "n = {n}");
            }
        }
    }

    #[test]
    fn ends_and_beyond() {
        assert_eq!(cosine_from_hamming(10, 10.0), -1.0);
        assert_eq!(hamming_from_cosine(10, -1.000_000_1), 10);
        assert_eq!(hamming_from_cosine(10, 1.000_000_1), 0);
        assert_eq!(hamming_from_cosine(10, f64::NAN), 0);
        // Between integers, the floor.
        assert_eq!(hamming_from_cosine(10, cosine_from_hamming(10, 3.99)), 3);
    }
}
