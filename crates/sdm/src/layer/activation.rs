//! What neurons make of their excitation.

use kernels::{Matrix, inhibited, top_k};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The active neurons of a sample with their activations, in ascending order.
pub(super) type Picks = Vec<(u32, f32)>;

/// What neurons make of their excitation a.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Activation {
    /// h = max(0, a).
    Relu,
    /// The k most excited neurons: with I the (k+1)-th largest of max(0, a), as [`Inhibition`] tells.
    TopK {
        /// k.
        k: usize,
        /// What is done with I.
        inhibition: Inhibition,
    },
    /// Hard Adaptive `SwisH`: h = clip(a, 0, 2)·σ(α(a − μ − `zσ_a`)), with mean μ and deviation `σ_a` over the neurons
    /// of a sample and the hard sigmoid σ(y) = clip(y/6 + ½, 0, 1).
    ///
    /// Source: Keskinen 2024, "Hard ASH", with α = 3 and z = 2.3.
    HardAsh {
        /// α.
        alpha: f32,
        /// z.
        z: f32,
    },
    /// h = 1/(1 + |a/s|ᵈ) with d even.
    ///
    /// Source: Lan and Mahmood 2023, "Elephant Neural Networks".
    Elephant {
        /// s.
        width: f32,
        /// d.
        power: i32,
    },
}

/// How the k most excited neurons silence the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Inhibition {
    /// h = max(0, max(0, a) − g·I) with a g for each neuron, −1 before it was ever active and 1 once it was active
    /// for `switch` samples: g = clip(2c/s − 1, −1, 1). The GABA switch: at first interneurons excite.
    Gaba {
        /// s, in samples.
        switch: f64,
    },
    /// h = max(0, a − I).
    Subtract(Anneal),
    /// h = a where a > I.
    Mask(Anneal),
}

/// From how many active neurons k falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Anneal {
    /// k from the start.
    None,
    /// From all neurons to k, linearly over this many epochs.
    Epochs(usize),
}

impl Anneal {
    /// The number of active neurons in an epoch, counted from 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use sdm::layer::Anneal;
    ///
    /// assert_eq!(Anneal::Epochs(10).k_at(5, 1000, 10), 505);
    /// assert_eq!(Anneal::Epochs(10).k_at(12, 1000, 10), 10);
    /// assert_eq!(Anneal::None.k_at(0, 1000, 10), 10);
    /// ```
    pub fn k_at(self, epoch: usize, n_neurons: usize, k: usize) -> usize {
        match self {
            Self::Epochs(n_epochs) if epoch < n_epochs => {
                let more = n_neurons.saturating_sub(k);
                n_neurons.max(k) - more * epoch / n_epochs
            }
            _ => k,
        }
    }
}

/// The inhibition of a neuron that was active for c samples, g = clip(2c/s − 1, −1, 1).
pub(super) fn gaba(count: f64, switch: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    {
        (2.0 * count / switch - 1.0).clamp(-1.0, 1.0) as f32
    }
}

/// The threshold I of a sample: the (k+1)-th largest excitation above 0.
fn threshold(excitation: &[f32], k: usize) -> f32 {
    top_k(excitation, k + 1).get(k).map_or(0.0, |(_, a)| a.max(0.0))
}

/// The neurons that are more excited than the threshold I, in ascending order, less `subtract`·I.
fn winners(excitation: &[f32], k: usize, subtract: f32) -> Picks {
    let mut top = top_k(excitation, k + 1);
    let threshold = top.get(k).map_or(0.0, |(_, a)| a.max(0.0));
    top.retain(|(_, a)| *a > threshold);
    for (_, a) in &mut top {
        *a -= subtract * threshold;
    }
    top.sort_unstable_by_key(|(neuron, _)| *neuron);
    top
}

impl Activation {
    /// The active neurons of each sample, if they are at most an eighth: else `None`.
    ///
    /// `inhibition` is g of each neuron, where there is one.
    pub(super) fn picks(
        self,
        excitation: &Matrix,
        epoch: usize,
        inhibition: &[f32],
    ) -> Option<Vec<Picks>> {
        let Self::TopK { k, inhibition: kind } = self else { return None };
        let n = excitation.n_columns();
        let most = n / 8;
        let rows = excitation.values().par_chunks(n.max(1));
        match kind {
            Inhibition::Gaba { .. } if k <= most && inhibition.iter().all(|g| *g >= 1.0) => {
                Some(rows.map(|row| winners(row, k, 1.0)).collect())
            }
            Inhibition::Gaba { .. } => {
                rows.map(|row| inhibited(row, inhibition, threshold(row, k), most)).collect()
            }
            Inhibition::Subtract(anneal) | Inhibition::Mask(anneal) => {
                let k = anneal.k_at(epoch, n, k);
                let subtract = if matches!(kind, Inhibition::Mask(_)) { 0.0 } else { 1.0 };
                (k <= most).then(|| rows.map(|row| winners(row, k, subtract)).collect())
            }
        }
    }

    /// The activation of every neuron.
    pub(super) fn apply(self, excitation: &Matrix, epoch: usize, inhibition: &[f32]) -> Matrix {
        let n = excitation.n_columns();
        let mut result = excitation.clone();
        result.values_mut().par_chunks_mut(n.max(1)).for_each(|row| match self {
            Self::Relu => row.iter_mut().for_each(|a| *a = a.max(0.0)),
            Self::TopK { k, inhibition: Inhibition::Gaba { .. } } => {
                let threshold = threshold(row, k);
                for (a, g) in row.iter_mut().zip(inhibition) {
                    *a = (a.max(0.0) - g * threshold).max(0.0);
                }
            }
            Self::TopK { k, inhibition: Inhibition::Subtract(anneal) } => {
                let threshold = threshold(row, anneal.k_at(epoch, n, k));
                for a in row.iter_mut() {
                    *a = (*a - threshold).max(0.0);
                }
            }
            Self::TopK { k, inhibition: Inhibition::Mask(anneal) } => {
                let threshold = threshold(row, anneal.k_at(epoch, n, k));
                for a in row.iter_mut() {
                    *a = if *a > threshold { *a } else { 0.0 };
                }
            }
            Self::HardAsh { alpha, z } => {
                let (mean, deviation) = moments(row);
                for a in row {
                    *a = a.clamp(0.0, 2.0) * gate(alpha * (*a - mean - z * deviation));
                }
            }
            Self::Elephant { width, power } => {
                for a in row.iter_mut() {
                    *a = 1.0 / (1.0 + (*a / width).abs().powi(power));
                }
            }
        });
        result
    }

    /// Gradients by activations become gradients by excitations.
    ///
    /// `scale` is what active neurons were scaled by (dropout); the threshold I has no gradient.
    pub(super) fn pull_back(
        self,
        excitation: &Matrix,
        activation: &Matrix,
        scale: f32,
        gradient: &mut Matrix,
    ) {
        let n = excitation.n_columns().max(1);
        let rows = excitation.values().par_chunks(n).zip(activation.values().par_chunks(n));
        gradient.values_mut().par_chunks_mut(n).zip(rows).for_each(
            |(gradient, (a, h))| match self {
                Self::Relu | Self::TopK { .. } => {
                    for ((g, a), h) in gradient.iter_mut().zip(a).zip(h) {
                        // Without a branch, so that neurons go side by side.
                        let through = scale * *g;
                        let open = u8::from(*h > 0.0) & u8::from(*a > 0.0);
                        *g = if open > 0 { through } else { 0.0 };
                    }
                }
                Self::HardAsh { alpha, z } => hard_ash_gradient(alpha, z, a, gradient),
                Self::Elephant { width, power } => {
                    for ((g, a), h) in gradient.iter_mut().zip(a).zip(h) {
                        let slope =
                            power as f32 / width * (a / width).abs().powi(power - 1) * a.signum();
                        *g *= -slope * h * h;
                    }
                }
            },
        );
    }
}

fn gate(y: f32) -> f32 {
    (y / 6.0 + 0.5).clamp(0.0, 1.0)
}

#[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
fn moments(row: &[f32]) -> (f32, f32) {
    let n = row.len().max(1) as f64;
    let mean = row.iter().map(|a| f64::from(*a)).sum::<f64>() / n;
    let square =
        row.iter().map(|a| (f64::from(*a) - mean) * (f64::from(*a) - mean)).sum::<f64>() / n;
    (mean as f32, square.sqrt() as f32)
}

/// With hᵢ = c(aᵢ)·σ(yᵢ) and yᵢ = α(aᵢ − μ − zσ): ∂/∂aᵢ has a part through c, one through yᵢ, and one through
/// the mean and the deviation, which all neurons share.
fn hard_ash_gradient(alpha: f32, z: f32, excitation: &[f32], gradient: &mut [f32]) {
    let (mean, deviation) = moments(excitation);
    let n = excitation.len().max(1) as f32;
    let y = |a: f32| alpha * (a - mean - z * deviation);
    let slope = |a: f32| if y(a).abs() < 3.0 { 1.0 / 6.0 } else { 0.0 };
    let through = |a: f32, g: f32| g * a.clamp(0.0, 2.0) * slope(a);
    let shared: f32 = excitation.iter().zip(&*gradient).map(|(a, g)| through(*a, *g)).sum();
    for (a, g) in excitation.iter().zip(gradient) {
        let own = if *a > 0.0 && *a < 2.0 { *g * gate(y(*a)) } else { 0.0 };
        let bend = if deviation > 0.0 { z * (a - mean) / deviation } else { 0.0 };
        *g = own + alpha * (through(*a, *g) - shared / n * (1.0 + bend));
    }
}
