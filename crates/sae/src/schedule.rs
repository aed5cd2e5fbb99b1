//! How learning rate, penalties and k change in the course of a run.

use serde::{Deserialize, Serialize};

use crate::error::{Result, SaeError};
use crate::step::Step;

/// Settings of Adam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimizer {
    /// η, where the schedule leaves it as it is.
    pub learning_rate: f32,
    /// β₁ and β₂.
    pub decays: [f64; 2],
    /// ε.
    pub epsilon: f32,
    /// The largest norm of the gradient; none for any.
    pub max_gradient_norm: Option<f64>,
}

impl Optimizer {
    /// β = (0.9, 0.999), ε = 1e-8, gradients of norm up to 1.
    pub const fn new(learning_rate: f32) -> Self {
        Self { learning_rate, decays: [0.9, 0.999], epsilon: 1e-8, max_gradient_norm: Some(1.0) }
    }
}

/// Parts of a run, from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The first part, in which the learning rate rises linearly from 0.
    pub warm_up: f64,
    /// The last part, in which it falls linearly to 0.
    pub decay: f64,
    /// The first part, in which penalties rise linearly from 0.
    pub sparsity_warm_up: f64,
    /// What k is multiplied by at first, 1 or more.
    pub k_times: f64,
    /// The first part, in which that falls linearly to 1.
    pub k_anneal: f64,
}

impl Schedule {
    /// No change but a decay over the last fifth, as in the April 2024 update that paper C refers to.
    pub const fn new() -> Self {
        Self { warm_up: 0.0, decay: 0.2, sparsity_warm_up: 0.0, k_times: 1.0, k_anneal: 0.0 }
    }

    pub(crate) fn check(&self) -> Result<()> {
        for (what, got) in [
            ("the warm-up", self.warm_up),
            ("the decay", self.decay),
            ("the warm-up of penalties", self.sparsity_warm_up),
            ("the annealing of k", self.k_anneal),
            ("warm-up and decay together", self.warm_up + self.decay),
        ] {
            if !(0.0..=1.0).contains(&got) {
                return Err(SaeError::Range { what, got, interval: "[0, 1], parts of the run" });
            }
        }
        if !(self.k_times >= 1.0 && self.k_times.is_finite()) {
            return Err(SaeError::Range {
                what: "the factor of k",
                got: self.k_times,
                interval: "[1, ∞)",
            });
        }
        Ok(())
    }

    /// Step t of n, counted from 1.
    ///
    /// # Examples
    ///
    /// ```
    /// use sae::{Optimizer, Schedule};
    ///
    /// let schedule = Schedule { warm_up: 0.1, decay: 0.2, ..Schedule::new() };
    /// let rate = |t| schedule.step(&Optimizer::new(0.5), t, 100, u64::MAX).learning_rate;
    /// assert_eq!([1, 10, 50, 80, 90, 100].map(rate), [0.05, 0.5, 0.5, 0.5, 0.25, 0.0]);
    /// ```
    pub fn step(&self, optimizer: &Optimizer, t: u32, n: u32, dead_after: u64) -> Step {
        let (at, n) = (f64::from(t), f64::from(n.max(1)));
        let progress = (at / n).min(1.0);
        let rises = |part: f64| if part > 0.0 { (progress / part).min(1.0) } else { 1.0 };
        let falls = if self.decay > 0.0 { ((1.0 - progress) / self.decay).min(1.0) } else { 1.0 };
        let rate = f64::from(optimizer.learning_rate) * rises(self.warm_up) * falls;
        let Optimizer { decays, epsilon, max_gradient_norm, .. } = *optimizer;
        #[expect(clippy::cast_possible_truncation, reason = "a rate is single precision")]
        Step {
            t,
            learning_rate: rate as f32,
            decays,
            epsilon,
            max_gradient_norm: max_gradient_norm.unwrap_or(f64::INFINITY),
            dead_after,
            sparsity: rises(self.sparsity_warm_up),
            k_times: self.k_times + (1.0 - self.k_times) * rises(self.k_anneal),
            progress,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_and_k_change_in_their_parts() {
        let schedule =
            Schedule { sparsity_warm_up: 0.1, k_times: 5.0, k_anneal: 0.5, ..Schedule::new() };
        let at = |t| schedule.step(&Optimizer::new(1.0), t, 100, 7);
        assert_eq!([5, 10, 100].map(|t| at(t).sparsity), [0.5, 1.0, 1.0]);
        assert_eq!([25, 50, 100].map(|t| at(t).k_times), [3.0, 1.0, 1.0]);
        assert_eq!((at(40).progress, at(40).dead_after), (0.4, 7));
        assert!(at(1).check().is_ok());
    }

    #[test]
    fn parts_that_are_none_are_refused() {
        assert!(Schedule::new().check().is_ok());
        assert!(Schedule { warm_up: -0.1, ..Schedule::new() }.check().is_err());
        assert!(Schedule { warm_up: 0.9, ..Schedule::new() }.check().is_err());
        assert!(Schedule { k_times: 0.5, ..Schedule::new() }.check().is_err());
        assert!(Schedule { k_anneal: f64::NAN, ..Schedule::new() }.check().is_err());
    }
}
