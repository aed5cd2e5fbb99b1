//! Predictions of a concept, counted.

use crate::fidelity::ratio;

/// How often a prediction and the truth are positive, and both.
///
/// # Examples
///
/// ```
/// use interp::Confusion;
///
/// let counts = Confusion { both: 3, predicted: 4, positive: 6, n: 10 };
/// assert_eq!((counts.precision(), counts.recall()), (Some(0.75), Some(0.5)));
/// assert_eq!((counts.f1(), counts.accuracy()), (Some(0.6), Some(0.6)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    /// Rows with both: true positives.
    pub both: u64,
    /// Rows that are predicted to be positive.
    pub predicted: u64,
    /// Rows that are positive.
    pub positive: u64,
    /// All rows.
    pub n: u64,
}

impl Confusion {
    /// Of predictions and truths.
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (predicted, positive) in pairs {
            counts.both += u64::from(predicted && positive);
            counts.predicted += u64::from(predicted);
            counts.positive += u64::from(positive);
            counts.n += 1;
        }
        counts
    }

    /// The share of predictions that are right; `None` without predictions.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.both as f64, self.predicted as f64)
    }

    /// The share of positive rows that are predicted; `None` without positive rows.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.both as f64, self.positive as f64)
    }

    /// F1 = 2·both / (predicted + positive), the harmonic mean of precision and recall; 0 without predictions, `None`
    /// without positive rows.
    pub fn f1(&self) -> Option<f64> {
        (self.positive > 0)
            .then(|| 2.0 * self.both as f64 / (self.predicted + self.positive) as f64)
    }

    /// The share of rows whose prediction is right; `None` without rows.
    pub fn accuracy(&self) -> Option<f64> {
        let [both, predicted, positive, n] = self.numbers();
        ratio(n + 2.0 * both - predicted - positive, n)
    }

    /// φ, the correlation of prediction and truth, which is Matthews' coefficient:
    /// (n·both − predicted·positive) / √(predicted·(n − predicted)·positive·(n − positive)). `None` where either is the
    /// same in all rows. The other "MCC" of this field is [`mcc_ica`](crate::mcc_ica).
    pub fn phi(&self) -> Option<f64> {
        let [both, predicted, positive, n] = self.numbers();
        let (of_predicted, of_truth) = (predicted * (n - predicted), positive * (n - positive));
        ratio(n * both - predicted * positive, (of_predicted * of_truth).sqrt())
    }

    fn numbers(&self) -> [f64; 4] {
        [self.both, self.predicted, self.positive, self.n].map(|count| count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_table() {
        // 6 right, 2 false alarms, 4 misses, 8 rightly silent.
        let pairs = [(true, true, 6), (true, false, 2), (false, true, 4), (false, false, 8)];
        let rows = pairs.iter().flat_map(|(p, t, n)| std::iter::repeat_n((*p, *t), *n));
        let counts = Confusion::of(rows);
        assert_eq!(counts, Confusion { both: 6, predicted: 8, positive: 10, n: 20 });
        assert_eq!((counts.precision(), counts.recall()), (Some(0.75), Some(0.6)));
        assert!((counts.f1().unwrap() - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!(counts.accuracy(), Some(0.7));
        // (6·8 − 2·4) / √(8·12·10·10)
        assert!((counts.phi().unwrap() - 40.0 / 9600.0_f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn perfect_opposite_and_nothing() {
        let perfect = Confusion { both: 3, predicted: 3, positive: 3, n: 9 };
        assert_eq!(
            (perfect.f1(), perfect.phi(), perfect.accuracy()),
            (Some(1.0), Some(1.0), Some(1.0))
        );
        let opposite = Confusion { both: 0, predicted: 6, positive: 3, n: 9 };
        assert_eq!(
            (opposite.f1(), opposite.phi(), opposite.accuracy()),
            (Some(0.0), Some(-1.0), Some(0.0))
        );
        let silent = Confusion { both: 0, predicted: 0, positive: 3, n: 9 };
        assert_eq!((silent.precision(), silent.f1(), silent.phi()), (None, Some(0.0), None));
        let absent = Confusion { both: 0, predicted: 2, positive: 0, n: 9 };
        assert_eq!((absent.recall(), absent.f1(), absent.phi()), (None, None, None));
        assert_eq!(Confusion::default().accuracy(), None);
    }
}
