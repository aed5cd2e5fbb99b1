//! What the last token of a text asks of all tokens, head by head.

use crate::checkpoint::to_vec;
use crate::{Hook, Hooks, LmError, Site, Tokens, Transformer};

/// A head at the last token of a text: its query against every key.
///
/// # Examples
///
/// A query of length 2 in 4 dimensions and two keys, of which the first is longer and the second nearer:
///
/// ```
/// let head = lm::LastQuery {
///     scores: vec![1.5, 2.0],
///     lengths: vec![6.0, 2.5],
///     value_lengths: vec![1.0, 1.0],
/// };
/// assert_eq!(head.best_key(), 1);
/// assert_eq!(head.inverse_temperature(1), 2.5);
/// assert!((head.pattern()[1] - 1.0 / (1.0 + (-0.5_f64).exp())).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LastQuery {
    /// What the softmax gets for each key: q·k/√`d_head`, or g·cos(q, k) with query-key norm.
    pub scores: Vec<f64>,
    /// |q||k|/√`d_head` of each key, the score if both had one direction; with query-key norm, g.
    pub lengths: Vec<f64>,
    /// Length of each value.
    pub value_lengths: Vec<f64>,
}

impl LastQuery {
    /// The key of largest score, the first of equal ones.
    pub fn best_key(&self) -> usize {
        let mut best = 0;
        for (at, score) in self.scores.iter().enumerate() {
            if *score > self.scores[best] {
                best = at;
            }
        }
        best
    }

    /// The inverse temperature β at which a key is met: the score is β times the cosine of query and key.
    ///
    /// # Panics
    ///
    /// If there is no such key.
    pub fn inverse_temperature(&self, key: usize) -> f64 {
        self.lengths[key]
    }

    /// The weight of each key: the softmax of the scores. Windows and sinks are left out.
    pub fn pattern(&self) -> Vec<f64> {
        let largest = self.scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = self.scores.iter().map(|score| libm::exp(score - largest));
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / sum).collect()
    }
}

impl Transformer {
    /// What the last token of a text asks of all tokens, `[layer][head]`, in double precision from the
    /// model's queries, keys and values.
    ///
    /// # Errors
    ///
    /// As [`Transformer::forward`], and [`LmError::Device`] if the device cannot return them.
    pub fn last_queries(&self, text: &[u32]) -> Result<Vec<Vec<LastQuery>>, LmError> {
        let config = self.config();
        let attention = &config.attention;
        let mut hooks = Hooks::new();
        for layer in 0..config.n_layers {
            for site in [Site::Query, Site::Key, Site::Value] {
                hooks = hooks.capture(Hook::Block(layer, site));
            }
        }
        self.forward(&Tokens::new(vec![text.to_vec()])?, &mut hooks)?;
        let is_scaled = !self.betas()?.is_empty();
        let root = if is_scaled { 1.0 } else { (attention.d_head as f64).sqrt() };
        let mut layers = Vec::with_capacity(config.n_layers);
        for layer in 0..config.n_layers {
            let read = |site, what| to_vec(hooks.captured(Hook::Block(layer, site))?, what);
            let queries = read(Site::Query, "queries")?;
            let (keys, values) = (read(Site::Key, "keys")?, read(Site::Value, "values")?);
            let last = &queries[queries.len() - config.d_heads()..];
            let heads = last.chunks(attention.d_head).enumerate().map(|(head, query)| {
                let at = head / (attention.n_heads / attention.n_kv_heads) * attention.d_head;
                let of = |all: &[f32], f: &dyn Fn(&[f32]) -> f64| -> Vec<f64> {
                    let rows = all.chunks(config.d_kv_heads());
                    rows.map(|row| f(&row[at..at + attention.d_head])).collect()
                };
                LastQuery {
                    scores: of(&keys, &|key| dot(query, key) / root),
                    lengths: of(&keys, &|key| length(query) * length(key) / root),
                    value_lengths: of(&values, &length),
                }
            });
            layers.push(heads.collect());
        }
        Ok(layers)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

fn length(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// The scores are those of the hook, of grouped heads and of query-key norm.
    #[test]
    fn the_last_query_meets_the_scores_of_the_softmax() {
        let llama = r#"{"model_type": "llama", "vocab_size": 11, "max_position_embeddings": 8,
            "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "tie_word_embeddings": true,
            "hidden_act": "silu", "rope_theta": 10000.0}"#;
        let gpt2 = r#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 8,
            "n_layer": 2, "n_head": 2}"#;
        for text in [llama, gpt2] {
            let config = Config::from_json("config.json", text.as_bytes()).unwrap();
            let device = device::DeviceName::Flex.open().unwrap();
            let n_heads = config.attention.n_heads;
            let model = Transformer::random(config, seed::Seed::new(3), &device).unwrap();
            let ids = [3, 1, 4, 1, 5];
            let hook = Hook::Block(1, Site::AttnScores);
            let mut hooks = Hooks::new().capture(hook);
            model.forward(&Tokens::new(vec![ids.to_vec()]).unwrap(), &mut hooks).unwrap();
            let scores = to_vec(hooks.captured(hook).unwrap(), "scores").unwrap();
            let layers = model.last_queries(&ids).unwrap();
            assert_eq!((layers.len(), layers[1].len()), (2, n_heads));
            for (head, asked) in layers[1].iter().enumerate() {
                let last = &scores[(head * 5 + 4) * 5..(head * 5 + 5) * 5];
                for (ours, theirs) in asked.scores.iter().zip(last) {
                    assert!((ours - f64::from(*theirs)).abs() < 1e-6, "{ours} {theirs}");
                }
                let best = asked.best_key();
                assert!(asked.scores[best].abs() <= asked.inverse_temperature(best) + 1e-9);
                assert!((asked.pattern().iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
        }
    }
}
