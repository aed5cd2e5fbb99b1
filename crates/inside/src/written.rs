//! Texts that a model writes.

use lm::{Cache, Hooks, LmError, Sampling, Tokens, Transformer};
use seed::Seed;

use crate::error::{InsideError, Result};

/// Texts that a model writes side by side.
const N_TEXTS: usize = 64;

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Writing {
    /// The token that begins texts.
    pub begin: u32,
    /// Texts, each from that token on.
    pub n_texts: usize,
    /// Tokens of each, the first included; at most the model's context.
    pub n_positions: usize,
    /// How each token is taken.
    pub sampling: Sampling,
}

/// Texts in the distribution of a model: its own. Where it writes the token that begins texts, a text ends and the next
/// begins; the token itself is left out, and so are texts of no token.
///
/// # Randomness
/// A stream of `seed` for each of the `n_texts`, whatever is written beside it; one number for each token.
///
/// # Errors
/// [`InsideError::Positions`] for less than two positions or more than the model's context; as
/// [`Transformer::forward_cached`] and [`Sampling::next`].
///
/// # Examples
///
/// ```
/// use inside::{Writing, written};
/// use lm::{Config, Sampling, Transformer};
/// use seed::Seed;
///
/// # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
/// #     "n_layer": 1, "n_head": 2}"#;
/// # let config = Config::from_json("config.json", text)?;
/// # let device = device::DeviceName::Flex.open().unwrap();
/// let model = Transformer::random(config, Seed::new(1), &device)?;
/// let sampling = Sampling::Random { temperature: 1.0, top_p: 1.0 };
/// let writing = Writing { begin: 0, n_texts: 3, n_positions: 8, sampling };
/// let texts = written(&model, &writing, Seed::new(2), &mut |_| {})?;
/// let n_tokens: usize = texts.iter().map(Vec::len).sum();
/// assert!(n_tokens <= 3 * 7 && texts.iter().flatten().all(|token| *token != 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn written(
    model: &Transformer,
    writing: &Writing,
    seed: Seed,
    on_text: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<u32>>> {
    let Writing { begin, n_texts, n_positions, sampling } = *writing;
    if n_positions < 2 || n_positions > model.config().n_ctx {
        return Err(InsideError::Positions { what: "texts to be written", got: n_positions });
    }
    let mut texts = Vec::new();
    for first in (0..n_texts).step_by(N_TEXTS) {
        let n = N_TEXTS.min(n_texts - first);
        let stream = |at: usize| seed.stream("inside: written", &(first + at).to_string());
        let mut rngs: Vec<_> = (0..n).map(stream).collect();
        let mut cache = Cache::new();
        let mut all = vec![vec![begin]; n];
        for _ in 1..n_positions {
            let last = all.iter().map(|text| text[text.len() - 1..].to_vec()).collect();
            let tokens = Tokens::new(last)?;
            let logits = model.forward_cached(&tokens, &mut cache, &mut Hooks::new())?;
            let [_, _, n_tokens] = logits.dims();
            let logits = logits.try_into_vec_as::<f32>().map_err(|error| LmError::Device {
                what: "the logits".to_owned(),
                problem: error.to_string(),
            })?;
            let rows = logits.chunks_exact(n_tokens);
            for ((text, logits), rng) in all.iter_mut().zip(rows).zip(&mut rngs) {
                text.push(sampling.next(logits, rng)?);
            }
        }
        for text in all {
            let parts = text.split(|token| *token == begin).filter(|part| !part.is_empty());
            texts.extend(parts.map(<[u32]>::to_vec));
        }
        on_text(first + n);
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use device::DeviceName;
    use lm::{Config, Generation};

    use super::*;

    /// Greedy texts are those of the model's own loop, as many times as they were asked for.
    #[test]
    fn side_by_side_is_as_one_by_one() {
        let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 9, "n_embd": 6,
            "n_layer": 2, "n_head": 2}"#;
        let config = Config::from_json("config.json", text).unwrap();
        let device = DeviceName::Flex.open().unwrap();
        let model = Transformer::random(config, Seed::new(5), &device).unwrap();
        let sampling = Sampling::Greedy;
        let generation = Generation { sampling, n_tokens: 8, stop: Vec::new() };
        let mut rng = Seed::new(1).stream("inside.test", "one by one");
        let one = model.generate(&[3], &generation, &mut rng, &mut Hooks::new()).unwrap();
        let one: Vec<Vec<u32>> = one
            .split(|token| *token == 3)
            .filter(|part| !part.is_empty())
            .map(<[u32]>::to_vec)
            .collect();
        let writing = Writing { begin: 3, n_texts: 65, n_positions: 9, sampling };
        let texts = written(&model, &writing, Seed::new(1), &mut |_| {}).unwrap();
        assert_eq!(texts.len(), 65 * one.len());
        assert_eq!(texts[..one.len()], one);
    }

    #[test]
    fn texts_do_not_depend_on_those_beside_them() {
        let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 6, "n_embd": 6,
            "n_layer": 1, "n_head": 2}"#;
        let config = Config::from_json("config.json", text).unwrap();
        let device = DeviceName::Flex.open().unwrap();
        let model = Transformer::random(config, Seed::new(5), &device).unwrap();
        let sampling = Sampling::Random { temperature: 1.0, top_p: 1.0 };
        let of = |n_texts, n_positions| {
            let writing = Writing { begin: 0, n_texts, n_positions, sampling };
            written(&model, &writing, Seed::new(1), &mut |_| {})
        };
        let (few, many) = (of(2, 6).unwrap(), of(9, 6).unwrap());
        assert_eq!(many[..few.len()], few);
        assert!(of(1, 7).is_err() && of(1, 1).is_err());
    }
}
