//! Tokens as a model reads them.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::{Config, LmError};

/// Token ids, `[batch, position]`: texts of the same length.
///
/// # Examples
///
/// ```
/// let tokens = lm::Tokens::new(vec![vec![3, 1, 4], vec![1, 5, 9]])?;
/// assert_eq!((tokens.n_texts(), tokens.n_positions()), (2, 3));
/// assert!(lm::Tokens::new(vec![vec![3], vec![1, 5]]).is_err());
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    ids: Vec<u32>,
    n_positions: usize,
}

impl Tokens {
    /// Texts side by side.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] if there is no text, an empty one, or two of different length.
    pub fn new(texts: Vec<Vec<u32>>) -> Result<Self, LmError> {
        let n_positions = texts.first().map_or(0, Vec::len);
        let expected = if texts.iter().any(|text| text.len() != n_positions) {
            "texts of one length"
        } else if n_positions == 0 {
            "a text, and in each at least the token that begins texts"
        } else {
            return Ok(Self { ids: texts.into_iter().flatten().collect(), n_positions });
        };
        let lengths: Vec<_> = texts.iter().take(10).map(Vec::len).collect();
        Err(LmError::Tokens {
            expected: expected.to_owned(),
            got: format!("{} texts, the first of lengths {lengths:?}", texts.len()),
        })
    }

    /// How many texts.
    pub const fn n_texts(&self) -> usize {
        self.ids.len() / self.n_positions
    }

    /// Tokens in each text.
    pub const fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// The ids of a text.
    ///
    /// # Panics
    ///
    /// If there are not so many texts.
    pub fn text(&self, text: usize) -> &[u32] {
        &self.ids[text * self.n_positions..(text + 1) * self.n_positions]
    }

    /// The ids as a tensor `[batch, position]`, once all are known to the model and so many fit after
    /// `start` tokens.
    pub(crate) fn to_tensor(
        &self,
        config: &Config,
        start: usize,
        device: &Device,
    ) -> Result<Tensor<2, Int>, LmError> {
        let vocab_size = config.vocab_size;
        if let Some(id) = self.ids.iter().find(|id| **id as usize >= vocab_size) {
            return Err(LmError::Tokens {
                expected: format!("ids below {vocab_size}, the size of the model's vocabulary"),
                got: format!("{id}: is the text from another tokenizer?"),
            });
        }
        let len = start + self.n_positions;
        if len > config.n_ctx {
            return Err(LmError::Tokens {
                expected: format!("at most {} tokens, the model's context", config.n_ctx),
                got: len.to_string(),
            });
        }
        let ids: Vec<i64> = self.ids.iter().map(|id| i64::from(*id)).collect();
        let data = TensorData::new(ids, [self.n_texts(), self.n_positions]);
        Ok(Tensor::from_data(data, device))
    }
}
