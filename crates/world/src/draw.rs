//! Choices whose information is kept.

use seed::Rng;

use crate::error::WorldError;

/// A distribution over 0..n, drawn from by bisection.
#[derive(Clone, Debug)]
pub(crate) struct Categorical {
    cumulative: Vec<f64>,
    nats: Vec<f64>,
}

impl Categorical {
    /// Probabilities in the proportion of `weights`.
    pub(crate) fn new(option: &'static str, weights: &[f64]) -> Result<Self, WorldError> {
        let total: f64 = weights.iter().sum();
        for &got in weights {
            crate::error::within(option, got, 0.0..=f64::MAX, "[0, ∞)")?;
        }
        crate::error::within(option, total, f64::MIN_POSITIVE..=f64::MAX, "(0, ∞) in sum")?;
        let mut sum = 0.0;
        let cumulative = weights.iter().map(|weight| {
            sum += weight / total;
            sum
        });
        let cumulative: Vec<f64> = cumulative.collect();
        let nats = weights.iter().map(|weight| -libm::log(weight / total)).collect();
        Ok(Self { cumulative, nats })
    }

    /// Zipf's law over n ranks: P(i) ∝ 1 / (i + 1).
    pub(crate) fn zipf(n: usize) -> Self {
        let weights: Vec<f64> = (1..=n).map(|rank| 1.0 / rank as f64).collect();
        Self::new("zipf", &weights).expect("weights are positive")
    }

    pub(crate) fn probability(&self, at: usize) -> f64 {
        libm::exp(-self.nats[at])
    }
}

/// A stream of random choices that adds up −ln p of each.
pub(crate) struct Draw {
    rng: Rng,
    nats: f64,
}

impl Draw {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { rng, nats: 0.0 }
    }

    /// What was added up since the last call.
    pub(crate) fn take_nats(&mut self) -> f64 {
        core::mem::take(&mut self.nats)
    }

    /// One of 0..n, each as likely.
    pub(crate) fn choose(&mut self, n: usize) -> usize {
        if n > 1 {
            self.nats += ln(n);
        }
        self.rng.below(n)
    }

    /// Yes with this probability.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        let yes = self.rng.uniform() < p;
        if p > 0.0 && p < 1.0 {
            self.nats -= libm::log(if yes { p } else { 1.0 - p });
        }
        yes
    }

    /// One of 0..n by a distribution.
    pub(crate) fn pick(&mut self, distribution: &Categorical) -> usize {
        let at = self.rng.uniform();
        let place = distribution.cumulative.partition_point(|&sum| sum <= at);
        // Rounding can leave the last sum below 1, and a last weight may be 0.
        let mut place = place.min(distribution.cumulative.len() - 1);
        while distribution.nats[place].is_infinite() {
            place -= 1;
        }
        self.nats += distribution.nats[place];
        place
    }

    /// A standard normal number that is no part of the text.
    pub(crate) fn noise(&mut self) -> f64 {
        self.rng.normal()
    }
}

/// ln n, from a table for the small numbers that nearly all choices have.
fn ln(n: usize) -> f64 {
    use std::sync::LazyLock;
    static TABLE: LazyLock<[f64; 512]> =
        LazyLock::new(|| core::array::from_fn(|n| libm::log(n as f64)));
    TABLE.get(n).copied().unwrap_or_else(|| libm::log(n as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nats_of_choices_are_minus_ln_of_their_probability() {
        let mut draw = Draw::new(seed::Seed::new(3).stream("world", "draw"));
        draw.choose(8);
        assert!((draw.take_nats() - 3.0 * core::f64::consts::LN_2).abs() < 1e-15);
        let coin = Categorical::new("coin", &[1.0, 0.0, 3.0]).unwrap();
        for _ in 0..100 {
            let p = [0.25, 0.0, 0.75][draw.pick(&coin)];
            assert!((draw.take_nats() + libm::log(p)).abs() < 1e-15);
            let p = if draw.chance(0.1) { 0.1 } else { 0.9 };
            assert!((draw.take_nats() + libm::log(p)).abs() < 1e-15);
        }
        assert!(draw.chance(1.0) && !draw.chance(0.0) && draw.choose(1) == 0);
        assert!(draw.take_nats() == 0.0);
    }

    #[test]
    fn weights_that_are_no_distribution_are_refused() {
        for weights in [&[][..], &[0.0], &[1.0, -1.0], &[f64::NAN], &[f64::INFINITY]] {
            assert!(Categorical::new("weights", weights).is_err(), "{weights:?}");
        }
    }
}
