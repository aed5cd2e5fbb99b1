//! How alike two rankings are.

use kernels::KernelError;
use seed::Rng;
use stats::{Interval, bootstrap_ci_of_places};

use crate::error::{Result, finite_list, some, within};
use crate::fidelity::ratio;

/// The share of the k largest of `a` that are among the k largest of `b`; of equal numbers the first count as larger.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::NotFinite`](crate::InterpError::NotFinite),
/// [`InterpError::Range`](crate::InterpError::Range) for k of 0 or above the numbers that there are.
///
/// # Examples
///
/// ```
/// assert_eq!(interp::top_k_overlap(&[3.0, 2.0, 1.0], &[3.0, 1.0, 2.0], 2)?, 0.5);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn top_k_overlap(a: &[f64], b: &[f64], k: usize) -> Result<f64> {
    pairs(a, b)?;
    within("k", k as f64, (1..=a.len()).contains(&k), "[1, numbers]")?;
    let top = |numbers: &[f64]| {
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|i, j| numbers[*j].total_cmp(&numbers[*i]).then(i.cmp(j)));
        order.truncate(k);
        order.sort_unstable();
        order
    };
    let (of_a, of_b) = (top(a), top(b));
    let both = of_a.iter().filter(|at| of_b.binary_search(at).is_ok()).count();
    Ok(both as f64 / k as f64)
}

/// Pearson's correlation of two lists; `None` if all numbers of either are equal.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty), [`InterpError::Sizes`](crate::InterpError::Sizes),
/// [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Examples
///
/// ```
/// assert_eq!(interp::pearson(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0])?, Some(0.8));
/// assert_eq!(interp::pearson(&[1.0, 2.0], &[7.0, 7.0])?, None);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn pearson(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    pairs(a, b)?;
    Ok(correlation(a, b))
}

/// Spearman's rank correlation: Pearson's of the ranks, with mean ranks for ties. `None` if all numbers of either are equal.
///
/// # Errors
/// As [`pearson`].
///
/// # Examples
///
/// ```
/// assert_eq!(interp::spearman(&[1.0, 2.0, 30.0], &[-1.0, 0.0, 0.5])?, Some(1.0));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn spearman(a: &[f64], b: &[f64]) -> Result<Option<f64>> {
    pairs(a, b)?;
    Ok(correlation(&ranks(a), &ranks(b)))
}

/// The percentile bootstrap interval of [`spearman`] over pairs, at a confidence `level`. A sample in which all numbers of
/// either list are equal counts as 0.
///
/// # Randomness
/// As [`stats::bootstrap_ci_of_places`].
///
/// # Errors
/// As [`pearson`], and [`InterpError::Statistic`](crate::InterpError::Statistic) for a level or a number of resamples that
/// makes no sense.
///
/// # Examples
///
/// ```
/// let mut rng = seed::Seed::new(0).stream("doc", "spearman");
/// let numbers: Vec<f64> = (0..20).map(f64::from).collect();
/// let found = interp::spearman_interval(&numbers, &numbers, 200, 0.95, &mut rng)?;
/// assert!(found.low > 0.999 && found.high <= 1.0);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn spearman_interval(
    a: &[f64],
    b: &[f64],
    n_resamples: usize,
    level: f64,
    rng: &mut Rng,
) -> Result<Interval> {
    pairs(a, b)?;
    let statistic = |places: &[usize]| {
        let of = |numbers: &[f64]| -> Vec<f64> { places.iter().map(|at| numbers[*at]).collect() };
        correlation(&ranks(&of(a)), &ranks(&of(b))).unwrap_or(0.0)
    };
    Ok(bootstrap_ci_of_places(a.len(), statistic, n_resamples, level, rng)?)
}

fn pairs(a: &[f64], b: &[f64]) -> Result<()> {
    some("pairs of numbers", a.len())?;
    KernelError::check("pairs of numbers", a.len(), b.len())?;
    finite_list("the first numbers", a)?;
    finite_list("the second numbers", b)
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let is_constant = |numbers: &[f64]| numbers.iter().all(|x| x.total_cmp(&numbers[0]).is_eq());
    if is_constant(a) || is_constant(b) {
        return None;
    }
    let mean = |numbers: &[f64]| stats::sum(numbers.iter().copied()) / numbers.len() as f64;
    let (a_mean, b_mean) = (mean(a), mean(b));
    let centered = || a.iter().zip(b).map(|(a, b)| (a - a_mean, b - b_mean));
    let squares =
        stats::sum(centered().map(|(a, _)| a * a)) * stats::sum(centered().map(|(_, b)| b * b));
    let found = ratio(stats::sum(centered().map(|(a, b)| a * b)), squares.sqrt())?;
    Some(found.clamp(-1.0, 1.0))
}

/// From 1 for the smallest, the mean rank for ties.
fn ranks(numbers: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..numbers.len()).collect();
    order.sort_by(|i, j| numbers[*i].total_cmp(&numbers[*j]).then(i.cmp(j)));
    let mut ranks = vec![0.0; numbers.len()];
    let mut below = 0;
    // −0 and 0 sort apart and are one number.
    #[expect(clippy::float_cmp, reason = "ties are numbers that are equal")]
    for tied in order.chunk_by(|i, j| numbers[*i] == numbers[*j]) {
        let rank = below as f64 + (tied.len() + 1) as f64 / 2.0;
        for at in tied {
            ranks[*at] = rank;
        }
        below += tied.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    #[test]
    fn ties_have_mean_ranks() {
        assert_eq!(ranks(&[5.0, 1.0, 5.0, -0.0, 0.0]), [4.5, 3.0, 4.5, 1.5, 1.5]);
    }

    /// Without ties 1 − 6·Σd²/(n³ − n).
    #[test]
    fn the_formula_of_rank_differences() {
        let mut rng = Seed::new(13).stream("rankings", "formula");
        let a: Vec<f64> = (0..30).map(|_| rng.normal()).collect();
        let b: Vec<f64> = a.iter().map(|a| a + rng.normal()).collect();
        let differences = ranks(&a).into_iter().zip(ranks(&b)).map(|(a, b)| (a - b) * (a - b));
        let expected = 1.0 - 6.0 * differences.sum::<f64>() / f64::from(27_000 - 30);
        let found = spearman(&a, &b).unwrap().unwrap();
        assert!((found - expected).abs() < 1e-12);
        let interval = spearman_interval(&a, &b, 500, 0.95, &mut rng).unwrap();
        assert!(interval.low < found && found < interval.high);
        let opposite: Vec<f64> = a.iter().map(|a| -a * a * a).collect();
        assert_eq!(spearman(&a, &opposite).unwrap(), Some(-1.0));
    }

    #[test]
    fn overlaps_of_known_rankings() {
        let up: Vec<f64> = (0..10).map(f64::from).collect();
        let down: Vec<f64> = up.iter().map(|x| -x).collect();
        assert_eq!(top_k_overlap(&up, &up, 3).unwrap(), 1.0);
        assert_eq!(top_k_overlap(&up, &down, 3).unwrap(), 0.0);
        assert_eq!(top_k_overlap(&up, &down, 10).unwrap(), 1.0);
        assert_eq!(top_k_overlap(&[1.0; 4], &[0.0, 0.0, 1.0, 1.0], 2).unwrap(), 0.0);
    }

    #[test]
    fn what_cannot_be_ranked_is_refused() {
        assert!(
            top_k_overlap(&[1.0], &[1.0], 0).is_err() && top_k_overlap(&[1.0], &[1.0], 2).is_err()
        );
        assert!(pearson(&[], &[]).is_err() && spearman(&[1.0], &[1.0, 2.0]).is_err());
        assert!(spearman(&[f64::NAN, 1.0], &[1.0, 2.0]).is_err());
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]).unwrap(), None);
    }
}
