//! How well a score tells two kinds apart.

use crate::error::{StatsError, check};

/// The area under the receiver operating characteristic: the probability that a score drawn from `positives` is larger
/// than one drawn from `negatives`, ties counted as half.
///
/// AUROC = (Σ ranks of positives − n₊(n₊ + 1)/2) / (n₊·n₋), with the mean rank for ties (Mann and Whitney 1947).
///
/// # Errors
///
/// [`StatsError::TooFew`] if either is empty, [`StatsError::NotFinite`].
///
/// # Examples
///
/// Of the six pairs four are in order and one is a tie:
///
/// ```
/// assert_eq!(stats::auroc(&[2.0, 3.0], &[1.0, 2.0, 2.5])?, 4.5 / 6.0);
/// # Ok::<(), stats::StatsError>(())
/// ```
pub fn auroc(positives: &[f64], negatives: &[f64]) -> Result<f64, StatsError> {
    check("auroc", 1, positives)?;
    check("auroc", 1, negatives)?;
    let positive = positives.iter().map(|score| (*score, true));
    let mut all: Vec<(f64, bool)> =
        positive.chain(negatives.iter().map(|score| (*score, false))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    // −0 and 0 sort apart and are one score.
    #[expect(clippy::float_cmp, reason = "ties are scores that are equal")]
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, is_positive)| *is_positive).count() as f64;
        let negative = tied.len() as f64 - positive;
        pairs += positive * (below + negative / 2.0);
        below += negative;
    }
    Ok(pairs / (positives.len() as f64 * negatives.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apart_reversed_and_alike() {
        assert_eq!(auroc(&[2.0, 3.0], &[0.0, 1.0]), Ok(1.0));
        assert_eq!(auroc(&[0.0, 1.0], &[2.0, 3.0]), Ok(0.0));
        assert_eq!(auroc(&[5.0; 3], &[5.0; 7]), Ok(0.5));
        assert_eq!(auroc(&[0.0], &[-0.0]), Ok(0.5));
    }

    /// Against the definition, pair by pair, on scores with many ties.
    #[test]
    fn it_counts_pairs() {
        let mut rng = seed::Seed::new(5).stream("stats", "auroc");
        let mut draw = |n: usize| (0..n).map(|_| rng.below(9) as f64 - 4.0).collect::<Vec<f64>>();
        let (positives, negatives) = (draw(40), draw(27));
        let mut pairs = 0.0;
        for p in &positives {
            for n in &negatives {
                pairs += if p > n {
                    1.0
                } else if p == n {
                    0.5
                } else {
                    0.0
                };
            }
        }
        assert_eq!(auroc(&positives, &negatives), Ok(pairs / (40.0 * 27.0)));
    }

    #[test]
    fn no_score_and_nan_are_refused() {
        assert!(matches!(auroc(&[], &[1.0]), Err(StatsError::TooFew { .. })));
        assert!(matches!(auroc(&[1.0], &[f64::NAN]), Err(StatsError::NotFinite { .. })));
    }
}
