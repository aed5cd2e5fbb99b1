//! Queries at a chosen distance from a pattern.

use kernels::{BitMatrix, Matrix};
use seed::Rng;

/// Each pattern with this many of its bits turned over, chosen at random without replacement.
///
/// # Randomness
///
/// `n_flips` draws for each pattern, in order.
///
/// # Panics
///
/// If there are fewer bits than flips.
///
/// # Examples
///
/// ```
/// use kernels::BitMatrix;
///
/// let patterns = BitMatrix::zeros(4, 100);
/// let mut rng = seed::Seed::new(0).stream("doc", "flips");
/// let queries = sdm::perturb::flip_bits(&patterns, 30, &mut rng);
/// assert!((0..4).all(|row| queries.distance(row, &patterns, row) == 30));
/// ```
#[must_use]
pub fn flip_bits(patterns: &BitMatrix, n_flips: usize, rng: &mut Rng) -> BitMatrix {
    let n_bits = patterns.n_bits();
    assert!(n_flips <= n_bits, "{n_flips} flips of {n_bits} bits");
    let mut queries = patterns.clone();
    let mut bits: Vec<usize> = (0..n_bits).collect();
    for row in 0..patterns.n_rows() {
        // The first steps of a shuffle; where it starts from does not matter.
        for place in 0..n_flips {
            bits.swap(place, place + rng.below(n_bits - place));
            queries.flip(row, bits[place]);
        }
    }
    queries
}

/// Each pattern turned away to a chosen cosine: cos·x + √(1−cos²)·u for the unit vector x of the pattern and
/// a random unit vector u orthogonal to it, made from a vector uniform in [−1, 1]ⁿ.
///
/// # Randomness
///
/// n draws for each pattern, in order.
///
/// # Source
///
/// Paper A, the perturbations of continuous patterns, cos = 1 − 2P/n.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sdm::States as _;
///
/// let patterns = Matrix::from_rows(1, 4, vec![1.0, 0.0, 0.0, 0.0])?;
/// let mut rng = seed::Seed::new(0).stream("doc", "rotate");
/// let queries = sdm::perturb::rotate(&patterns, 0.6, &mut rng);
/// assert!((queries.cosine(0, &patterns, 0) - 0.6).abs() < 1e-6);
/// # Ok::<(), kernels::KernelError>(())
/// ```
#[must_use]
pub fn rotate(patterns: &Matrix, cosine: f64, rng: &mut Rng) -> Matrix {
    rotate_each(patterns, &vec![cosine; patterns.n_rows()], rng)
}

/// As [`rotate`], each pattern to a cosine of its own.
///
/// # Panics
///
/// If there are not as many cosines as patterns.
#[must_use]
pub fn rotate_each(patterns: &Matrix, cosines: &[f64], rng: &mut Rng) -> Matrix {
    assert_eq!(patterns.n_rows(), cosines.len(), "a cosine for each pattern");
    let mut queries = patterns.clone();
    for (row, cosine) in cosines.iter().enumerate() {
        rotate_row(patterns.row(row), *cosine, rng, queries.row_mut(row));
    }
    queries
}

/// As [`rotate`], but a query that is nearer to another pattern than to its own is drawn again, up to
/// `n_tries` times in all.
///
/// # Panics
///
/// If there are not as many targets as patterns to turn away from.
///
/// # Source
///
/// Paper A, the authors' convergence experiments on random patterns: up to 10 tries.
#[must_use]
pub fn rotate_while_nearest(
    stored: &Matrix,
    targets: &[usize],
    cosine: f64,
    n_tries: usize,
    rng: &mut Rng,
) -> Matrix {
    let mut queries = stored.select(targets);
    for (row, target) in targets.iter().enumerate() {
        for _ in 0..n_tries.max(1) {
            rotate_row(stored.row(*target), cosine, rng, queries.row_mut(row));
            if nearest(stored, queries.row(row)) == Some(*target) {
                break;
            }
        }
    }
    queries
}

/// The stored unit vector with the largest dot product; of equals the first.
fn nearest(stored: &Matrix, query: &[f32]) -> Option<usize> {
    let dots = stored.rows().map(|row| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>());
    let best = dots.enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(at, _)| at)
}

fn rotate_row(pattern: &[f32], cosine: f64, rng: &mut Rng, query: &mut [f32]) {
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut along: Vec<f64> = pattern.iter().map(|x| f64::from(*x)).collect();
    let length = norm(&along).max(f64::MIN_POSITIVE);
    for x in &mut along {
        *x /= length;
    }
    let mut across: Vec<f64> = along.iter().map(|_| 2.0 * rng.uniform() - 1.0).collect();
    let shadow: f64 = along.iter().zip(&across).map(|(a, b)| a * b).sum();
    for (across, along) in across.iter_mut().zip(&along) {
        *across -= shadow * along;
    }
    let width = norm(&across).max(f64::MIN_POSITIVE);
    let sine = (1.0 - cosine * cosine).max(0.0).sqrt();
    for ((query, along), across) in query.iter_mut().zip(along).zip(across) {
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        {
            *query = (cosine * along + sine * across / width) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::States as _;
    use seed::Seed;

    #[test]
    fn flips_fall_everywhere() {
        let patterns = BitMatrix::zeros(4000, 20);
        let mut rng = Seed::new(1).stream("perturb-tests", "flips");
        let queries = flip_bits(&patterns, 5, &mut rng);
        for bit in 0..20 {
            let ones = (0..4000).filter(|row| queries.bit(*row, bit)).count();
            // 1000 expected, standard deviation 27.
            assert!((880..1120).contains(&ones), "{bit}: {ones}");
        }
    }

    #[test]
    fn rotated_queries_have_length_one_and_stay_nearest() {
        let mut rng = Seed::new(1).stream("perturb-tests", "rotate");
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values = (0..200 * 16).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect();
        let mut stored = Matrix::from_rows(200, 16, values).unwrap();
        stored.normalize_rows();
        let targets: Vec<usize> = (0..200).collect();
        let once = rotate(&stored, 0.6, &mut rng);
        let tried = rotate_while_nearest(&stored, &targets, 0.6, 10, &mut rng);
        let hits = |queries: &Matrix| {
            targets.iter().filter(|row| nearest(&stored, queries.row(**row)) == Some(**row)).count()
        };
        assert!(hits(&tried) > hits(&once), "{} {}", hits(&tried), hits(&once));
        for row in 0..200 {
            assert!((tried.cosine(row, &stored, row) - 0.6).abs() < 1e-6);
            let length: f32 = tried.row(row).iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-5);
        }
    }
}
