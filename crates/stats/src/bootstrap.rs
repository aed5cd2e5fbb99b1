//! Bootstrap confidence intervals.

use crate::StatsError;
use crate::error::check;
use crate::summary::quantile_of_sorted;
use seed::Rng;

const OP: &str = "bootstrap interval";

/// An interval of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The percentile bootstrap interval of a statistic, at the confidence `level` (0.95 for 95 %).
///
/// Draws `n_resamples` samples of N values with replacement, computes the statistic of each, and
/// returns the (1−level)/2 and (1+level)/2 quantiles of those. No correction for bias or skewness.
///
/// For equal values the interval is the single point that the statistic gives.
///
/// # Randomness
///
/// N·`n_resamples` draws of [`Rng::below`] from `rng`: the same stream gives the same interval.
///
/// # Errors
///
/// [`StatsError::TooFew`] without values or resamples, [`StatsError::NotFinite`] if a value or a
/// resampled statistic is not finite, [`StatsError::Range`] unless 0 < `level` < 1.
///
/// # Examples
///
/// ```
/// use stats::{bootstrap_ci, sum};
///
/// let mut rng = seed::Seed::new(0).stream("doc", "bootstrap");
/// let mean = |sample: &[f64]| sum(sample.iter().copied()) / sample.len() as f64;
/// let interval = bootstrap_ci(&[1.0, 2.0, 3.0, 4.0, 5.0], mean, 1000, 0.95, &mut rng)?;
/// assert!(interval.low < 3.0 && 3.0 < interval.high);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn bootstrap_ci(
    values: &[f64],
    statistic: impl Fn(&[f64]) -> f64,
    n_resamples: usize,
    level: f64,
    rng: &mut Rng,
) -> Result<Interval, StatsError> {
    check(OP, 1, values)?;
    let mut sample = values.to_vec();
    let of_places = |places: &[usize]| {
        for (value, place) in sample.iter_mut().zip(places) {
            *value = values[*place];
        }
        statistic(&sample)
    };
    bootstrap_ci_of_places(values.len(), of_places, n_resamples, level, rng)
}

/// The mean with its 95 % percentile bootstrap interval.
///
/// # Randomness
///
/// As [`bootstrap_ci`].
///
/// # Errors
///
/// As [`bootstrap_ci`].
pub fn bootstrap_mean(
    values: &[f64],
    n_resamples: usize,
    rng: &mut Rng,
) -> Result<(f64, Interval), StatsError> {
    let mean = |values: &[f64]| crate::sum(values.iter().copied()) / values.len() as f64;
    Ok((mean(values), bootstrap_ci(values, mean, n_resamples, 0.95, rng)?))
}

/// As [`bootstrap_ci`], for observations that are no plain numbers: the statistic is told which of the N
/// observations were drawn.
///
/// # Randomness
///
/// N·`n_resamples` draws of [`Rng::below`] from `rng`: the same stream gives the same interval.
///
/// # Errors
///
/// As [`bootstrap_ci`].
///
/// # Examples
///
/// ```
/// use stats::{bootstrap_ci_of_places, sum};
///
/// // The slope through the origin of three points.
/// let points = [(1.0, 1.0), (2.0, 2.2), (3.0, 2.8)];
/// let slope = |places: &[usize]| {
///     let drawn = || places.iter().map(|place| points[*place]);
///     sum(drawn().map(|(x, y)| x * y)) / sum(drawn().map(|(x, _)| x * x))
/// };
/// let mut rng = seed::Seed::new(0).stream("doc", "bootstrap");
/// let interval = bootstrap_ci_of_places(3, slope, 1000, 0.95, &mut rng)?;
/// assert!(interval.low < slope(&[0, 1, 2]) && slope(&[0, 1, 2]) < interval.high);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn bootstrap_ci_of_places(
    n: usize,
    mut statistic: impl FnMut(&[usize]) -> f64,
    n_resamples: usize,
    level: f64,
    rng: &mut Rng,
) -> Result<Interval, StatsError> {
    if n == 0 {
        return Err(StatsError::TooFew { op: OP, expected: 1, got: 0 });
    }
    if !(level > 0.0 && level < 1.0) {
        return Err(StatsError::Range {
            op: OP,
            what: "the confidence level",
            got: level,
            interval: "(0, 1)",
        });
    }
    let mut places = vec![0; n];
    let mut statistics: Vec<f64> = (0..n_resamples)
        .map(|_| {
            places.fill_with(|| rng.below(n));
            statistic(&places)
        })
        .collect();
    check(OP, 1, &statistics)?;
    statistics.sort_by(f64::total_cmp);
    Ok(Interval {
        low: quantile_of_sorted(&statistics, (1.0 - level) / 2.0),
        high: quantile_of_sorted(&statistics, f64::midpoint(1.0, level)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::mean_of;
    use seed::Seed;

    fn rng(purpose: &str) -> Rng {
        Seed::new(5).stream("bootstrap-tests", purpose)
    }

    #[test]
    fn equal_values_give_a_point() {
        let interval = bootstrap_ci(&[2.0; 9], mean_of, 200, 0.95, &mut rng("equal")).unwrap();
        assert_eq!(interval, Interval { low: 2.0, high: 2.0 });
    }

    #[test]
    fn the_same_stream_gives_the_same_interval() {
        let values: Vec<f64> = (0..20).map(f64::from).collect();
        let run = || bootstrap_ci(&values, mean_of, 500, 0.9, &mut rng("again")).unwrap();
        assert_eq!(run(), run());
    }

    #[test]
    fn close_to_the_normal_interval_of_a_mean() {
        let mut draws = rng("sample");
        let values: Vec<f64> = (0..400).map(|_| draws.normal()).collect();
        let interval = bootstrap_ci(&values, mean_of, 4000, 0.95, &mut rng("mean")).unwrap();
        let center = mean_of(&values);
        let half_width = 1.96 * crate::std(&values).unwrap() / 20.0;
        assert!((interval.low - (center - half_width)).abs() < 0.01, "{interval:?}");
        assert!((interval.high - (center + half_width)).abs() < 0.01, "{interval:?}");
    }

    #[test]
    fn covers_the_true_mean_about_as_often_as_it_says() {
        let mut draws = rng("coverage");
        let mut covered = 0;
        for _ in 0..400 {
            let values: Vec<f64> = (0..50).map(|_| draws.normal()).collect();
            let interval = bootstrap_ci(&values, mean_of, 400, 0.9, &mut draws).unwrap();
            covered += i32::from(interval.low <= 0.0 && 0.0 <= interval.high);
        }
        // 360 expected, standard deviation 6; the percentile interval is a little too short.
        assert!((330..=378).contains(&covered), "{covered}");
    }

    #[test]
    fn bad_arguments_are_refused() {
        let run = |values: &[f64], resamples, level| {
            bootstrap_ci(values, mean_of, resamples, level, &mut rng("bad"))
        };
        assert!(matches!(run(&[], 10, 0.95), Err(StatsError::TooFew { .. })));
        assert!(matches!(run(&[1.0], 0, 0.95), Err(StatsError::TooFew { .. })));
        assert!(matches!(run(&[1.0], 10, 1.0), Err(StatsError::Range { .. })));
        assert!(matches!(run(&[f64::NAN], 10, 0.95), Err(StatsError::NotFinite { .. })));
    }
}
