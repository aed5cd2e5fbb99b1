//! Tokens as a model reads them.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};

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
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    ids: Vec<u32>,
    n_positions: usize,
    patches: Option<Patches>,
}

/// What stands in the place of some tokens' embeddings.
#[derive(Clone, Debug, PartialEq)]
struct Patches {
    /// text · `n_positions` + position, rising.
    places: Vec<i64>,
    width: usize,
    values: Vec<f32>,
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
            let ids = texts.into_iter().flatten().collect();
            return Ok(Self { ids, n_positions, patches: None });
        };
        let lengths: Vec<_> = texts.iter().take(10).map(Vec::len).collect();
        Err(LmError::Tokens {
            expected: expected.to_owned(),
            got: format!("{} texts, the first of lengths {lengths:?}", texts.len()),
        })
    }

    /// The same with patches of images in the place of some tokens, whose ids then say nothing: at each
    /// (text, position), in rising order, `width` numbers, one patch after the other.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] for places that are not there or do not rise, for values of another number or
    /// that are not finite.
    pub fn with_patches(
        mut self,
        places: &[(usize, usize)],
        width: usize,
        values: Vec<f32>,
    ) -> Result<Self, LmError> {
        let n = self.n_positions;
        let flat = places.iter().map(|(text, position)| text.saturating_mul(n) + position);
        let flat: Vec<usize> = flat.collect();
        let is_there = |(text, position): &(usize, usize)| *text < self.n_texts() && *position < n;
        let wrong = if !places.iter().all(is_there) || !flat.is_sorted_by(|a, b| a < b) {
            Some((
                "patches at places of the texts, in rising order".to_owned(),
                "others".to_owned(),
            ))
        } else if width == 0 || width.checked_mul(places.len()) != Some(values.len()) {
            let expected = format!("{} patches of {width} numbers", places.len());
            Some((expected, format!("{} numbers", values.len())))
        } else {
            let wrong = values.iter().find(|value| !value.is_finite());
            wrong.map(|value| ("patches of finite numbers".to_owned(), value.to_string()))
        };
        if let Some((expected, got)) = wrong {
            return Err(LmError::Tokens { expected, got });
        }
        let places = flat.into_iter().map(|place| i64::try_from(place).unwrap_or(i64::MAX));
        let places: Vec<i64> = places.collect();
        self.patches = (!places.is_empty()).then_some(Patches { places, width, values });
        Ok(self)
    }

    /// Puts patches in the place of embeddings, `[batch, position, d_model]`, once the projection `embed`
    /// of `[patch, width]` to `[patch, d_model]` has brought them to its width.
    pub(crate) fn place_patches(
        &self,
        x: Tensor<3>,
        embed: impl FnOnce(Tensor<2>) -> Tensor<2>,
    ) -> Tensor<3> {
        let Some(patches) = &self.patches else { return x };
        let device = x.device();
        let dims @ [batch, len, d_model] = x.dims();
        let mut kept = vec![1.0_f32; batch * len];
        for place in &patches.places {
            kept[usize::try_from(*place).unwrap_or(usize::MAX)] = 0.0;
        }
        let n = patches.places.len();
        let kept = Tensor::<2>::from_data(TensorData::new(kept, [batch * len, 1]), &device);
        let places = TensorData::new(patches.places.clone(), [n]);
        let places = Tensor::<1, Int>::from_data(places, &device);
        let values = TensorData::new(patches.values.clone(), [n, patches.width]);
        let embedded = embed(Tensor::from_data(values, &device));
        let x = x.reshape([batch * len, d_model]) * kept;
        let placed = x.zeros_like().select_assign(0, places, embedded, IndexingUpdateOp::Add);
        (x + placed).reshape(dims)
    }

    /// The numbers of a patch; none if there are no patches.
    pub(crate) fn patch_width(&self) -> Option<usize> {
        self.patches.as_ref().map(|patches| patches.width)
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
        if let Some(width) = self.patch_width().filter(|width| Some(*width) != config.patch_width) {
            return Err(LmError::Tokens {
                expected: match config.patch_width {
                    Some(width) => format!("patches of {width} numbers"),
                    None => "no patches: the model has no projection for them".to_owned(),
                },
                got: format!("patches of {width} numbers"),
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
