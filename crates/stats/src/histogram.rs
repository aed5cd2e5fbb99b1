//! Histograms with bins of equal width.

use crate::StatsError;
use crate::error::check;

/// Counts of values in bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The edges of the bins, one more than there are bins, in increasing order.
    pub edges: Vec<f64>,
    /// How many values lie in each bin: from its left edge (included) to its right edge (excluded,
    /// except in the last bin).
    pub counts: Vec<u64>,
}

/// The histogram of the values over `n_bins` bins of equal width from their minimum to their maximum.
///
/// For equal values v the bins cover [v − ½, v + ½].
///
/// # Errors
///
/// [`StatsError::TooFew`] without values or bins, [`StatsError::NotFinite`] for NaN or an infinity.
///
/// # Examples
///
/// ```
/// let histogram = stats::histogram(&[0.0, 1.0, 1.5, 4.0], 4)?;
/// assert_eq!(histogram.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(histogram.counts, [1, 2, 0, 1]);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn histogram(values: &[f64], n_bins: usize) -> Result<Histogram, StatsError> {
    check("histogram", 1, values)?;
    if n_bins == 0 {
        return Err(StatsError::TooFew { op: "histogram bins", expected: 1, got: 0 });
    }
    let mut low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let mut high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        (low, high) = (low - 0.5, high + 0.5);
    }
    let mut edges: Vec<f64> =
        (0..n_bins).map(|bin| low + (high - low) * (bin as f64 / n_bins as f64)).collect();
    edges.push(high);
    let mut counts = vec![0; n_bins];
    for value in values {
        let bin = edges.partition_point(|edge| edge <= value);
        counts[bin.clamp(1, n_bins) - 1] += 1;
    }
    Ok(Histogram { edges, counts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_values_fall_in_the_middle() {
        let histogram = histogram(&[3.0, 3.0, 3.0], 3).unwrap();
        assert_eq!((histogram.edges[0], histogram.edges[3]), (2.5, 3.5));
        assert_eq!(histogram.counts, [0, 3, 0]);
    }

    #[test]
    fn values_on_inner_edges_belong_to_the_right_bin() {
        let histogram = histogram(&[0.0, 1.0, 2.0], 2).unwrap();
        assert_eq!(histogram.counts, [1, 2]);
    }

    #[test]
    fn bad_data_is_refused() {
        assert!(matches!(histogram(&[], 3), Err(StatsError::TooFew { .. })));
        assert!(matches!(histogram(&[1.0], 0), Err(StatsError::TooFew { .. })));
        assert!(matches!(histogram(&[f64::NAN], 3), Err(StatsError::NotFinite { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_value_is_counted_once_in_its_bin(
            values in prop::collection::vec(-100.0_f64..100.0, 1..60), n_bins in 1_usize..20
        ) {
            let histogram = histogram(&values, n_bins)?;
            prop_assert_eq!(histogram.counts.iter().sum::<u64>(), values.len() as u64);
            for (bin, &count) in histogram.counts.iter().enumerate() {
                let (left, right) = (histogram.edges[bin], histogram.edges[bin + 1]);
                let last = bin + 1 == n_bins;
                let inside = |v: &&f64| left <= **v && (**v < right || last);
                prop_assert_eq!(values.iter().filter(inside).count() as u64, count);
            }
        }
    }
}
