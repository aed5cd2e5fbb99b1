//! Keys and values of the tokens that were read already.

use burn::tensor::Tensor;

/// What attention needs of the tokens so far, so that each is computed once.
///
/// Begins empty; [`crate::Transformer::forward_cached`] adds to it. Keys are kept as they meet
/// queries, `[batch, kv head, position, d_head]`; with windows, too, all are kept.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    layers: Vec<[Tensor<4>; 2]>,
    n_positions: usize,
}

impl Cache {
    /// Of no tokens.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tokens of each text it holds.
    pub const fn n_positions(&self) -> usize {
        self.n_positions
    }

    /// How many texts it holds; none while it is empty.
    pub fn n_texts(&self) -> Option<usize> {
        self.layers.first().map(|[keys, _]| keys.dims()[0])
    }

    /// Keys and values of a layer, with these after those before.
    pub(super) fn extend(&mut self, layer: usize, now: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
        let all = match self.layers.get(layer) {
            None => now,
            Some([keys, values]) => {
                let [new_keys, new_values] = now;
                [
                    Tensor::cat(vec![keys.clone(), new_keys], 2),
                    Tensor::cat(vec![values.clone(), new_values], 2),
                ]
            }
        };
        match self.layers.get_mut(layer) {
            Some(kept) => kept.clone_from(&all),
            None => self.layers.push(all.clone()),
        }
        all
    }

    /// Counts the tokens of a pass, once it went through every layer.
    pub(super) fn advance(&mut self, n_positions: usize) {
        self.n_positions += n_positions;
    }
}
