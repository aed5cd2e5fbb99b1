//! Sum, mean, spread and quantiles.

use crate::StatsError;
use crate::error::check;

/// Σ values, with Neumaier's compensation: the error does not grow with the number of values.
///
/// The empty sum is 0.
///
/// # Examples
///
/// ```
/// assert_eq!(stats::sum([1e100, 1.0, -1e100]), 1.0);
/// ```
pub fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut total, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = total + value;
        lost += if total.abs() >= value.abs() {
            (total - next) + value
        } else {
            (value - next) + total
        };
        total = next;
    }
    total + lost
}

/// The arithmetic mean.
///
/// # Errors
///
/// [`StatsError::TooFew`] without values, [`StatsError::NotFinite`] for NaN or an infinity.
///
/// # Examples
///
/// ```
/// assert_eq!(stats::mean(&[1.0, 2.0, 6.0])?, 3.0);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn mean(values: &[f64]) -> Result<f64, StatsError> {
    check("mean", 1, values)?;
    Ok(mean_of(values))
}

pub(crate) fn mean_of(values: &[f64]) -> f64 {
    sum(values.iter().copied()) / values.len() as f64
}

/// The sample variance, Σ(x−x̄)²/(N−1); 0 for equal values.
///
/// # Errors
///
/// [`StatsError::TooFew`] for fewer than two values, [`StatsError::NotFinite`] for NaN or an infinity.
///
/// # Examples
///
/// ```
/// assert_eq!(stats::variance(&[1.0, 2.0, 3.0, 4.0, 5.0])?, 2.5);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn variance(values: &[f64]) -> Result<f64, StatsError> {
    check("variance", 2, values)?;
    let center = mean_of(values);
    let squares = values.iter().map(|v| (v - center) * (v - center));
    Ok(sum(squares) / (values.len() - 1) as f64)
}

/// The sample standard deviation, the root of [`variance`].
///
/// # Errors
///
/// As [`variance`].
pub fn std(values: &[f64]) -> Result<f64, StatsError> {
    variance(values).map(f64::sqrt)
}

/// The quantile at `fraction` in [0, 1], by linear interpolation between order statistics: the value
/// at position fraction·(N−1) of the sorted values.
///
/// # Errors
///
/// [`StatsError::TooFew`] without values, [`StatsError::NotFinite`] for NaN or an infinity,
/// [`StatsError::Range`] for a fraction outside of [0, 1].
///
/// # Examples
///
/// ```
/// let values = [3.0, 1.0, 2.0, 4.0];
/// assert_eq!(stats::quantile(&values, 0.5)?, 2.5);
/// assert_eq!(stats::quantile(&values, 1.0)?, 4.0);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn quantile(values: &[f64], fraction: f64) -> Result<f64, StatsError> {
    check("quantile", 1, values)?;
    if !(0.0..=1.0).contains(&fraction) {
        return Err(StatsError::Range {
            op: "quantile",
            what: "the fraction",
            got: fraction,
            interval: "[0, 1]",
        });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(quantile_of_sorted(&sorted, fraction))
}

/// [`quantile`] of values that are sorted and not empty.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in 0..=N−1")]
pub(crate) fn quantile_of_sorted(sorted: &[f64], fraction: f64) -> f64 {
    let position = fraction * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = position - below as f64;
    sorted[below] + share * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sums_keep_small_terms() {
        assert_eq!(sum([]), 0.0);
        let tenths = sum(std::iter::repeat_n(0.1, 1_000_000));
        assert!((tenths - 1e5).abs() < 1e-10, "{tenths}");
    }

    #[test]
    fn constant_data() {
        assert_eq!(mean(&[0.1; 7]).unwrap(), 0.1);
        assert_eq!(variance(&[0.1; 7]).unwrap(), 0.0);
        assert_eq!(std(&[0.1; 7]).unwrap(), 0.0);
        assert_eq!(quantile(&[0.1; 7], 0.3).unwrap(), 0.1);
    }

    #[test]
    fn variance_does_not_suffer_from_a_large_mean() {
        let shifted = [1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0];
        assert_eq!(variance(&shifted).unwrap(), 1.0);
        assert_eq!(
            std(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap(),
            (32.0_f64 / 7.0).sqrt()
        );
    }

    #[test]
    fn quantiles_between_order_statistics() {
        let values = [10.0, 0.0, 30.0, 20.0, 40.0];
        for (fraction, expected) in
            [(0.0, 0.0), (0.25, 10.0), (0.3, 12.0), (0.5, 20.0), (1.0, 40.0)]
        {
            assert!((quantile(&values, fraction).unwrap() - expected).abs() < 1e-14);
        }
    }

    #[test]
    fn bad_data_is_refused() {
        assert!(matches!(mean(&[]), Err(StatsError::TooFew { .. })));
        assert!(matches!(variance(&[1.0]), Err(StatsError::TooFew { expected: 2, got: 1, .. })));
        assert!(matches!(quantile(&[], 0.5), Err(StatsError::TooFew { .. })));
        assert!(matches!(quantile(&[1.0], 1.5), Err(StatsError::Range { .. })));
        let bad = mean(&[1.0, f64::NAN]);
        assert!(matches!(bad, Err(StatsError::NotFinite { index: 1, .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn order_does_not_matter(mut values in prop::collection::vec(-1e6_f64..1e6, 2..50)) {
            let forward = (mean(&values)?, variance(&values)?, quantile(&values, 0.3)?);
            values.reverse();
            let backward = (mean(&values)?, variance(&values)?, quantile(&values, 0.3)?);
            prop_assert!((forward.0 - backward.0).abs() <= 1e-9);
            prop_assert!((forward.1 - backward.1).abs() <= 1e-12 * forward.1.max(1.0));
            prop_assert_eq!(forward.2.to_bits(), backward.2.to_bits());
        }
    }
}
