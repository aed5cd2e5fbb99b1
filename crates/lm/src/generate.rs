//! Text from a model, token by token.

use burn::tensor::Tensor;
use seed::Rng;

use crate::checkpoint::to_vec;
use crate::{Cache, Hooks, LmError, Tokens, Transformer};

/// How the next token is taken from the logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampling {
    /// The most likely; of equal ones that of the smallest id.
    Greedy,
    /// At random.
    Random {
        /// Logits are divided by it; above 0.
        temperature: f64,
        /// Only the most likely tokens are drawn from, the fewest whose probabilities come to this much;
        /// 1 leaves all. In (0, 1].
        top_p: f64,
    },
}

impl Sampling {
    /// The next token of these logits.
    ///
    /// p(t) ∝ exp(logit(t)/temperature) over the tokens that `top_p` leaves (Holtzman et al. 2019,
    /// arXiv 1904.09751), in double precision. One number is drawn, none when greedy.
    ///
    /// # Errors
    ///
    /// [`LmError::Range`] for a setting out of its interval, [`LmError::NotFinite`] for a logit that
    /// is not finite, [`LmError::Tokens`] for no logits.
    ///
    /// # Examples
    ///
    /// ```
    /// use lm::Sampling;
    ///
    /// let mut rng = seed::Seed::new(1).stream("doc", "next");
    /// assert_eq!(Sampling::Greedy.next(&[0.0, 2.0, 2.0], &mut rng)?, 1);
    /// // Two thirds of the probability are token 1's, so that half of it is had by it alone.
    /// let sampling = Sampling::Random { temperature: 1.0, top_p: 0.5 };
    /// assert_eq!(sampling.next(&[0.0, 1.4, 0.0], &mut rng)?, 1);
    /// # Ok::<(), lm::LmError>(())
    /// ```
    pub fn next(self, logits: &[f32], rng: &mut Rng) -> Result<u32, LmError> {
        if let Some(value) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(LmError::NotFinite {
                what: "a logit".to_owned(),
                value: *value,
                remedy: "look for activations that overflow, or an edit that is not finite",
            });
        }
        // Stable, so that equal logits stay in the order of their ids.
        let mut order: Vec<u32> = (0..).take(logits.len()).collect();
        let logit = |id: &u32| logits[*id as usize];
        order.sort_by(|a, b| logit(b).total_cmp(&logit(a)));
        let Some(best) = order.first().copied() else {
            let (expected, got) = ("a logit for each token".to_owned(), "none".to_owned());
            return Err(LmError::Tokens { expected, got });
        };
        let Self::Random { temperature, top_p } = self else { return Ok(best) };
        self.check()?;
        let weight = |id: &u32| libm::exp(f64::from(logit(id) - logit(&best)) / temperature);
        let weights: Vec<f64> = order.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        let mut kept = 0.0;
        let n_kept = weights.iter().take_while(|weight| {
            let is_needed = kept < top_p * total;
            kept += **weight;
            is_needed
        });
        let n_kept = n_kept.count().max(1);
        let mut left = rng.uniform() * weights[..n_kept].iter().sum::<f64>();
        let drawn = weights[..n_kept].iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        Ok(order[drawn.unwrap_or(n_kept - 1)])
    }

    fn check(self) -> Result<(), LmError> {
        let Self::Random { temperature, top_p } = self else { return Ok(()) };
        let range = |what, got, interval| Err(LmError::Range { what, got, interval });
        if !(temperature > 0.0 && temperature.is_finite()) {
            return range("the temperature", temperature, "(0, ∞); Greedy is its limit at 0");
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return range("top_p", top_p, "(0, 1]");
        }
        Ok(())
    }
}

/// What is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// How each token is taken.
    pub sampling: Sampling,
    /// Most tokens after the prompt.
    pub n_tokens: usize,
    /// Tokens that end the text, and are no part of it.
    pub stop: Vec<u32>,
}

impl Transformer {
    /// Goes on with a prompt; returns the tokens after it.
    ///
    /// Keys and values are kept, so each token is read once. Hooks act on the prompt and on every token
    /// generated; captures hold the latest.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] if the prompt is empty, has ids outside of the vocabulary, or leaves no room
    /// for so many tokens; else as [`Transformer::forward`] and [`Sampling::next`].
    pub fn generate(
        &self,
        prompt: &[u32],
        generation: &Generation,
        rng: &mut Rng,
        hooks: &mut Hooks,
    ) -> Result<Vec<u32>, LmError> {
        let n_ctx = self.config().n_ctx;
        if prompt.len().saturating_add(generation.n_tokens) > n_ctx {
            return Err(LmError::Tokens {
                expected: format!("at most {n_ctx} tokens with the prompt, the model's context"),
                got: format!("{} and {} more", prompt.len(), generation.n_tokens),
            });
        }
        generation.sampling.check()?;
        let mut cache = Cache::new();
        let mut read = prompt.to_vec();
        let mut text = Vec::new();
        while text.len() < generation.n_tokens {
            let logits = self.forward_cached(&Tokens::new(vec![read])?, &mut cache, hooks)?;
            let next = generation.sampling.next(&last(logits)?, rng)?;
            if generation.stop.contains(&next) {
                break;
            }
            text.push(next);
            read = vec![next];
        }
        Ok(text)
    }
}

/// The logits of the last position of the first text.
fn last(logits: Tensor<3>) -> Result<Vec<f32>, LmError> {
    let [_, len, _] = logits.dims();
    to_vec(logits.narrow(0, 0, 1).narrow(1, len - 1, 1), "the logits")
}

#[cfg(test)]
mod tests {
    use seed::Seed;

    use super::*;

    fn share(sampling: Sampling, logits: &[f32], token: u32) -> f64 {
        let mut rng = Seed::new(3).stream("lm.test", "share");
        let n = 20_000;
        let hits = (0..n).filter(|_| sampling.next(logits, &mut rng).unwrap() == token).count();
        hits as f64 / f64::from(n)
    }

    /// Probabilities 1/7, 2/7, 4/7 at temperature 1; 1/21, 4/21, 16/21 at 1/2. Five standard errors.
    #[test]
    fn tokens_come_as_often_as_the_softmax_says() {
        let logits = [0.0, std::f32::consts::LN_2, 2.0 * std::f32::consts::LN_2];
        for (temperature, top_p, expected) in [
            (1.0, 1.0, [1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]),
            (0.5, 1.0, [1.0 / 21.0, 4.0 / 21.0, 16.0 / 21.0]),
            (1.0, 0.6, [0.0, 1.0 / 3.0, 2.0 / 3.0]),
            (1.0, 0.5, [0.0, 0.0, 1.0]),
        ] {
            let sampling = Sampling::Random { temperature, top_p };
            for (token, expected) in (0..).zip(expected) {
                let error = (expected * (1.0 - expected) / 20_000.0_f64).sqrt();
                let got = share(sampling, &logits, token);
                assert!((got - expected).abs() <= 5.0 * error, "{sampling:?} {token}: {got}");
            }
        }
    }

    #[test]
    fn settings_and_logits_out_of_their_range_are_refused() {
        let mut rng = Seed::new(1).stream("lm.test", "refused");
        for (temperature, top_p) in [(0.0, 1.0), (f64::NAN, 1.0), (1.0, 0.0), (1.0, 1.1)] {
            let sampling = Sampling::Random { temperature, top_p };
            assert!(matches!(sampling.next(&[1.0], &mut rng), Err(LmError::Range { .. })));
        }
        let next = |logits: &[f32], rng: &mut Rng| Sampling::Greedy.next(logits, rng);
        assert!(matches!(next(&[f32::NAN, 1.0], &mut rng), Err(LmError::NotFinite { .. })));
        assert!(matches!(next(&[], &mut rng), Err(LmError::Tokens { .. })));
    }
}
