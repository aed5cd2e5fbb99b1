//! The `FlyModel`: associations of a fixed sparse code, learned in one pass.

use kernels::{Matrix, top_k};
use rayon::prelude::*;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::student::largest;
use crate::{ContinualError, Dataset};

/// A `FlyModel`'s sizes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlyConfig {
    /// Numbers of an input.
    pub n_inputs: usize,
    /// Kenyon cells.
    pub n_cells: usize,
    /// Inputs that a cell sums.
    pub n_responses: usize,
    /// Classes.
    pub n_classes: usize,
    /// The part of the cells that stays active.
    pub active: f64,
    /// What a cell's activation is multiplied by when it is added to a weight.
    pub learning_rate: f32,
}

/// Kenyon cells that each sum a few inputs, of which the most active stay, and for each class how often each cell
/// answered to it.
///
/// A sample is scaled so that its least number is 0 and its largest 1; a cell sums its inputs; the most active
/// hundredth of the cells is kept and divided by its largest. Learning adds that, times the rate, to the weights
/// of the sample's class, up to 1. The answer is the class with the largest sum of weights of active cells.
///
/// # Source
///
/// Paper B's `FlyModel`, after Shen et al. 2021. The kept cells are those above numpy's 0.99 quantile, interpolated.
///
/// # Examples
///
/// ```
/// use continual::{Dataset, FlyConfig, FlyModel};
/// use kernels::Matrix;
///
/// let config =
///     FlyConfig { n_inputs: 2, n_cells: 50, n_responses: 1, n_classes: 2, active: 0.5, learning_rate: 0.1 };
/// let mut fly = FlyModel::new(config, &mut seed::Seed::new(0).stream("doc", "fly"))?;
/// let data = Dataset::new(Matrix::identity(2), vec![0, 1], 2)?;
/// fly.learn(&data)?;
/// let logits = fly.logits(data.inputs())?;
/// assert!(logits.row(0)[0] > 0.0 && logits.row(0)[1] == 0.0);
/// # Ok::<(), continual::ContinualError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FlyModel {
    config: FlyConfig,
    /// The inputs of each cell, cell after cell.
    responses: Vec<u32>,
    /// `[cell, class]`.
    weights: Matrix,
}

impl FlyModel {
    /// Cells with inputs drawn at random, without repetition, and weights of 0.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Range`] for a cell with more inputs than there are, or a part outside of (0, 1).
    pub fn new(config: FlyConfig, rng: &mut Rng) -> Result<Self, ContinualError> {
        let FlyConfig { n_inputs, n_cells, n_responses, n_classes, active, .. } = config;
        if n_responses == 0 || n_responses > n_inputs {
            let interval = "[1, the number of inputs]";
            return Err(ContinualError::Range {
                what: "the inputs of a cell",
                got: n_responses as f64,
                interval,
            });
        }
        if !(active > 0.0 && active < 1.0) {
            return Err(ContinualError::Range {
                what: "the part of active cells",
                got: active,
                interval: "(0, 1)",
            });
        }
        if n_cells == 0 || n_classes == 0 {
            return Err(ContinualError::Range {
                what: "cells or classes",
                got: 0.0,
                interval: "[1, ∞)",
            });
        }
        let mut inputs: Vec<u32> = (0..).take(n_inputs).collect();
        let mut responses = Vec::with_capacity(n_cells * n_responses);
        for _ in 0..n_cells {
            // The first steps of a shuffle.
            for at in 0..n_responses {
                let other = at + rng.below(n_inputs - at);
                inputs.swap(at, other);
            }
            responses.extend_from_slice(&inputs[..n_responses]);
        }
        Ok(Self { config, responses, weights: Matrix::zeros(n_cells, n_classes) })
    }

    /// The active cells of an input.
    fn code(&self, input: &[f32]) -> Vec<(usize, f32)> {
        let low = input.iter().copied().fold(f32::INFINITY, f32::min);
        let high = input.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let range = if high > low { high - low } else { 1.0 };
        let scaled: Vec<f32> = input.iter().map(|value| (value - low) / range).collect();
        let sums: Vec<f32> = self
            .responses
            .chunks_exact(self.config.n_responses)
            .map(|inputs| inputs.iter().map(|input| scaled[*input as usize]).sum::<f32>().max(0.0))
            .collect();
        let quantile = upper_quantile(&sums, self.config.active);
        let kept =
            sums.iter().copied().enumerate().filter(|(_, sum)| *sum >= quantile && *sum > 0.0);
        let largest = sums.iter().copied().fold(0.0, f32::max);
        kept.map(|(cell, sum)| (cell, sum / largest)).collect()
    }

    /// Passes once over the samples.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Kernel`] if they have another width.
    pub fn learn(&mut self, data: &Dataset) -> Result<(), ContinualError> {
        let codes = self.codes(data.inputs())?;
        for (code, label) in codes.iter().zip(data.labels()) {
            for (cell, h) in code {
                let weight = &mut self.weights.row_mut(*cell)[*label];
                *weight = (*weight + self.config.learning_rate * h).min(1.0);
            }
        }
        Ok(())
    }

    /// For each class the sum of its weights over the active cells, `[sample, class]`.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Kernel`] if the inputs have another width.
    pub fn logits(&self, inputs: &Matrix) -> Result<Matrix, ContinualError> {
        let mut logits = Matrix::zeros(inputs.n_rows(), self.config.n_classes);
        for (at, code) in self.codes(inputs)?.iter().enumerate() {
            for (cell, h) in code {
                let weights = self.weights.row(*cell).iter();
                logits.row_mut(at).iter_mut().zip(weights).for_each(|(logit, w)| *logit += h * w);
            }
        }
        Ok(logits)
    }

    /// The part of the samples whose class has the largest logit. Of equal ones, which are frequent where weights have
    /// reached 1, the first counts, as PyTorch's `argmax` has it.
    ///
    /// # Errors
    ///
    /// As [`FlyModel::logits`].
    pub fn accuracy(&self, data: &Dataset) -> Result<f64, ContinualError> {
        let logits = self.logits(data.inputs())?;
        let answers = logits.rows().map(largest);
        let n_right = answers.zip(data.labels()).filter(|(answer, label)| answer == *label).count();
        Ok(n_right as f64 / data.len().max(1) as f64)
    }

    fn codes(&self, inputs: &Matrix) -> Result<Vec<Vec<(usize, f32)>>, ContinualError> {
        kernels::KernelError::check(
            "numbers of an input",
            self.config.n_inputs,
            inputs.n_columns(),
        )?;
        let rows = (0..inputs.n_rows()).into_par_iter();
        Ok(rows.map(|row| self.code(inputs.row(row))).collect())
    }
}

/// The value that this part of the values lies above, interpolated between neighbors as numpy does.
fn upper_quantile(values: &[f32], part: f64) -> f32 {
    let place = part * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let above = place.floor() as usize;
    let top = top_k(values, above + 2);
    let at = |n: usize| top.get(n).map_or(0.0, |(_, value)| *value);
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    let share = (place - place.floor()) as f32;
    let high = at(above);
    if share > 0.0 { high - share * (high - at(above + 1)) } else { high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    #[test]
    fn the_quantile_is_numpys() {
        let values: Vec<f32> = (0..1000_u16).map(f32::from).collect();
        assert!((upper_quantile(&values, 0.01) - 989.01).abs() < 1e-3);
        assert_eq!(upper_quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
    }

    #[test]
    fn a_hundredth_of_the_cells_is_active_and_weights_end_at_one() {
        let config = FlyConfig {
            n_inputs: 50,
            n_cells: 1000,
            n_responses: 7,
            n_classes: 2,
            active: 0.01,
            learning_rate: 0.4,
        };
        let mut rng = Seed::new(0).stream("fly-tests", "cells");
        let mut fly = FlyModel::new(config, &mut rng).unwrap();
        for cell in fly.responses.chunks_exact(7) {
            let mut inputs = cell.to_vec();
            inputs.sort_unstable();
            inputs.dedup();
            assert_eq!(inputs.len(), 7);
        }
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values: Vec<f32> = (0..50).map(|_| rng.uniform() as f32).collect();
        let inputs = Matrix::from_rows(1, 50, values).unwrap();
        let code = fly.code(inputs.row(0));
        assert_eq!(code.len(), 10);
        assert_eq!(code.iter().map(|(_, h)| *h).fold(0.0, f32::max), 1.0);
        let data = Dataset::new(inputs.clone(), vec![1], 2).unwrap();
        for _ in 0..9 {
            fly.learn(&data).unwrap();
        }
        assert!(fly.weights.values().iter().all(|w| *w <= 1.0));
        let sum: f32 = code.iter().map(|(_, h)| h).sum();
        assert!((fly.logits(&inputs).unwrap().row(0)[1] - sum).abs() < 1e-5);
    }

    #[test]
    fn sizes_are_checked() {
        let config = FlyConfig {
            n_inputs: 3,
            n_cells: 9,
            n_responses: 4,
            n_classes: 2,
            active: 0.1,
            learning_rate: 0.1,
        };
        let mut rng = Seed::new(0).stream("fly-tests", "sizes");
        assert!(FlyModel::new(config, &mut rng).is_err());
        assert!(
            FlyModel::new(FlyConfig { n_responses: 2, active: 1.0, ..config }, &mut rng).is_err()
        );
        let fly = FlyModel::new(FlyConfig { n_responses: 2, ..config }, &mut rng).unwrap();
        // Nothing is active: all logits are 0, and class 0 is answered.
        let data = Dataset::new(Matrix::zeros(2, 3), vec![0, 1], 2).unwrap();
        assert_eq!(fly.accuracy(&data).unwrap(), 0.5);
        assert!(fly.logits(&Matrix::zeros(1, 4)).is_err());
        // A constant input excites no cell, and is no error.
        assert_eq!(fly.logits(&Matrix::zeros(1, 3)).unwrap().values(), [0.0, 0.0]);
    }
}
