//! Which documents serve what.

use seed::Seed;
use serde::{Deserialize, Serialize};

use crate::error::{CorpusError, Result};

/// What a document serves. No document serves two things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Language models are trained on it.
    Train,
    /// Dictionaries are trained on activations from it.
    Dictionary,
    /// Both are tested on it.
    Test,
}

impl Split {
    /// Every split; its place is its code in the store.
    pub const ALL: [Self; 3] = [Self::Train, Self::Dictionary, Self::Test];

    /// The name in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dictionary => "dictionary",
            Self::Test => "test",
        }
    }

    /// The code in the store.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// How documents are split: each is drawn by its number, whatever the others are.
///
/// # Examples
///
/// ```
/// use corpus::{Split, Splits};
///
/// let splits = Splits { dictionary: 0.0, test: 1.0, seed: 7 };
/// assert_eq!(splits.of(3), Split::Test);
/// assert!(Splits { dictionary: 0.6, test: 0.6, seed: 7 }.check().is_err());
/// # Ok::<(), corpus::CorpusError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Splits {
    /// The probability of [`Split::Dictionary`].
    pub dictionary: f64,
    /// The probability of [`Split::Test`]; what is left is [`Split::Train`].
    pub test: f64,
    /// Decides which.
    pub seed: u64,
}

impl Splits {
    /// The split of a document.
    pub fn of(&self, document: u64) -> Split {
        let mut rng = Seed::new(self.seed).stream("corpus split", &document.to_string());
        let drawn = rng.uniform();
        if drawn < self.test {
            Split::Test
        } else if drawn < self.test + self.dictionary {
            Split::Dictionary
        } else {
            Split::Train
        }
    }

    /// Refuses probabilities that are none.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Range`].
    pub fn check(&self) -> Result<()> {
        let parts = [
            ("splits.dictionary", self.dictionary),
            ("splits.test", self.test),
            ("the sum of splits", self.dictionary + self.test),
        ];
        let bad = parts.into_iter().find(|(_, part)| !(0.0..=1.0).contains(part));
        bad.map_or(Ok(()), |(what, got)| Err(CorpusError::Range { what, got, interval: "[0, 1]" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 20,000 draws; five standard errors.
    #[test]
    fn documents_fall_into_splits_as_often_as_asked() {
        let splits = Splits { dictionary: 0.3, test: 0.1, seed: 4 };
        let n = 20_000;
        let mut counts = [0_u32; 3];
        (0..n).for_each(|document| counts[usize::from(splits.of(document).code())] += 1);
        for (count, p) in counts.into_iter().zip([0.6, 0.3, 0.1]) {
            let error = (p * (1.0 - p) / n as f64).sqrt();
            assert!((f64::from(count) / n as f64 - p).abs() < 5.0 * error, "{counts:?}");
        }
        let other = Splits { seed: 5, ..splits };
        assert!((0..100).any(|document| other.of(document) != splits.of(document)));
    }

    #[test]
    fn probabilities_that_are_none_are_refused() {
        for (dictionary, test) in [(-0.1, 0.1), (0.1, 1.1), (0.6, 0.6), (f64::NAN, 0.0)] {
            assert!(Splits { dictionary, test, seed: 0 }.check().is_err());
        }
    }

    #[test]
    fn the_place_of_a_split_is_its_code() {
        for (code, split) in (0..).zip(Split::ALL) {
            assert_eq!(split.code(), code);
        }
    }
}
