//! What one step reads.

use crate::{LmError, Tokens};

/// Texts with the token that follows each of theirs.
///
/// # Examples
///
/// Of a text of four tokens three are followed by one:
///
/// ```
/// let batch = lm::Batch::of_texts(&[vec![3, 1, 4, 1]])?;
/// assert_eq!(batch.inputs().text(0), [3, 1, 4]);
/// assert_eq!((batch.targets(), batch.weights()), (&[1, 4, 1][..], &[1.0; 3][..]));
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    inputs: Tokens,
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl Batch {
    /// Inputs, the token to come after each (row by row), and how much each counts: 0 for one that is
    /// not to be predicted.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] if there are not as many targets and weights as inputs, or a weight is
    /// negative or not finite, or all are 0.
    pub fn new(inputs: Tokens, targets: Vec<u32>, weights: Vec<f32>) -> Result<Self, LmError> {
        let n = inputs.n_texts() * inputs.n_positions();
        if targets.len() != n || weights.len() != n {
            return Err(LmError::Tokens {
                expected: format!("{n} targets and weights, one for each input"),
                got: format!("{} and {}", targets.len(), weights.len()),
            });
        }
        let wrong = weights.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0));
        if wrong.is_some() || weights.iter().all(|weight| *weight == 0.0) {
            return Err(LmError::Tokens {
                expected: "finite weights of at least 0, and not all 0".to_owned(),
                got: wrong.map_or_else(|| "only 0".to_owned(), ToString::to_string),
            });
        }
        Ok(Self { inputs, targets, weights })
    }

    /// Texts of one length, at least two tokens: every token but the last is an input, every token but
    /// the first a target that counts.
    ///
    /// # Errors
    ///
    /// As [`Tokens::new`].
    pub fn of_texts(texts: &[Vec<u32>]) -> Result<Self, LmError> {
        let inputs = texts.iter().map(|text| text[..text.len().saturating_sub(1)].to_vec());
        let inputs = Tokens::new(inputs.collect())?;
        let targets: Vec<u32> = texts.iter().flat_map(|text| &text[1..]).copied().collect();
        let weights = vec![1.0; targets.len()];
        Self::new(inputs, targets, weights)
    }

    /// What the model reads.
    pub const fn inputs(&self) -> &Tokens {
        &self.inputs
    }

    /// The token after each input, row by row.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    /// How much each target counts.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Refuses targets that the vocabulary lacks.
    pub(crate) fn check(&self, vocab_size: usize) -> Result<(), LmError> {
        match self.targets.iter().find(|target| **target as usize >= vocab_size) {
            None => Ok(()),
            Some(id) => Err(LmError::Tokens {
                expected: format!("targets below {vocab_size}, the size of the vocabulary"),
                got: id.to_string(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_that_say_nothing_are_refused() {
        let inputs = || Tokens::new(vec![vec![1, 2]]).unwrap();
        assert!(Batch::new(inputs(), vec![2, 3], vec![0.0, 1.0]).is_ok());
        assert!(Batch::new(inputs(), vec![2], vec![1.0]).is_err());
        assert!(Batch::new(inputs(), vec![2, 3], vec![0.0, 0.0]).is_err());
        assert!(Batch::new(inputs(), vec![2, 3], vec![1.0, f32::NAN]).is_err());
        assert!(Batch::of_texts(&[vec![1]]).is_err());
        assert!(Batch::of_texts(&[]).is_err());
        let batch = Batch::of_texts(&[vec![1, 9]]).unwrap();
        assert!(batch.check(10).is_ok() && batch.check(9).is_err());
    }
}
