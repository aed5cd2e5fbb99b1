//! What is done to activations before a dictionary sees them, and undone after it.

use kernels::Matrix;
use serde::{Deserialize, Serialize};

use crate::dictionary::{LEAVE_OUT, finite};
use crate::error::{Result, SaeError};

/// How activations are scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Scaling {
    /// Not at all.
    None,
    /// All by one number: s·x.
    By {
        /// s > 0.
        factor: f32,
    },
    /// Each row to the length √d: `constant_norm_rescale` of `SAELens`.
    Length,
    /// Each row to mean 0 and deviation 1, (x − μ)/(σ + 1e-5) with σ over d − 1, and back by x·σ + μ: `layer_norm` of
    /// `SAELens`.
    LayerNorm,
}

impl Scaling {
    /// By the number with which the mean of ‖x‖² over a sample is its width.
    ///
    /// # Errors
    /// [`SaeError::Empty`] without rows, [`SaeError::NotFinite`] for a number that is not finite, [`SaeError::Range`] if all
    /// are 0.
    ///
    /// # Source
    /// Paper C: E‖x‖² = D. Other libraries set the mean of ‖x‖ to √D, which is a little larger a scale.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernels::Matrix;
    /// use sae::Scaling;
    ///
    /// let sample = Matrix::from_rows(2, 2, vec![3.0, 4.0, 3.0, -4.0])?;
    /// let Scaling::By { factor } = Scaling::of(&sample)? else { unreachable!() };
    /// assert!((25.0 * factor * factor - 2.0).abs() < 1e-6);
    /// # Ok::<(), sae::SaeError>(())
    /// ```
    pub fn of(sample: &Matrix) -> Result<Self> {
        if sample.n_rows() == 0 {
            return Err(SaeError::Empty { what: "the sample of activations" });
        }
        finite("the sample of activations", sample.values(), sample.n_columns(), LEAVE_OUT)?;
        let squares: f64 = sample.values().iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
        let factor = (sample.values().len() as f64 / squares).sqrt() as f32;
        let scaling = Self::By { factor };
        scaling.check()?;
        Ok(scaling)
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::By { factor } if !(factor.is_finite() && *factor > 0.0) => Err(SaeError::Range {
                what: "the scale of activations",
                got: f64::from(*factor),
                interval: "(0, ∞)",
            }),
            _ => Ok(()),
        }
    }

    /// Scaled rows.
    pub fn apply(&self, x: &Matrix) -> Matrix {
        let mut scaled = x.clone();
        for row in scaled.values_mut().chunks_exact_mut(x.n_columns().max(1)) {
            let Some([shift, factor, _]) = self.of_row(row) else { return scaled };
            for x in row {
                *x = (*x - shift) * factor;
            }
        }
        scaled
    }

    /// Takes rows back to the units of those that were scaled.
    pub(crate) fn undo(&self, x: &Matrix, decoded: &mut Matrix) {
        let rows = decoded.values_mut().chunks_exact_mut(x.n_columns().max(1));
        for (x, row) in x.rows().zip(rows) {
            let Some([shift, _, divisor]) = self.of_row(x) else { return };
            for x in row {
                *x = *x / divisor + shift;
            }
        }
    }

    /// What is taken from the numbers of a row, what they are multiplied by, and divided by on the way back.
    fn of_row(&self, row: &[f32]) -> Option<[f32; 3]> {
        let n = row.len() as f32;
        let squares = |from: f32| row.iter().map(|x| (x - from) * (x - from)).sum::<f32>();
        match self {
            Self::None => None,
            Self::By { factor } => Some([0.0, *factor, *factor]),
            Self::Length => {
                let norm = squares(0.0).sqrt();
                let factor = if norm > 0.0 { n.sqrt() / norm } else { 1.0 };
                Some([0.0, factor, factor])
            }
            Self::LayerNorm => {
                let mean = row.iter().sum::<f32>() / n;
                let deviation = (squares(mean) / (n - 1.0).max(1.0)).sqrt();
                Some([mean, 1.0 / (deviation + 1e-5), 1.0 / deviation])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scaled_is_unscaled() {
        let x = Matrix::from_rows(2, 3, vec![1.0, 2.0, 6.0, -3.0, 0.0, 4.0]).unwrap();
        for scaling in
            [Scaling::None, Scaling::By { factor: 0.25 }, Scaling::Length, Scaling::LayerNorm]
        {
            let mut scaled = scaling.apply(&x);
            scaling.undo(&x, &mut scaled);
            let gaps = scaled.values().iter().zip(x.values()).map(|(a, b)| (a - b).abs());
            // The 1e-5 of layer norm comes back as that part of a deviation.
            assert!(gaps.fold(0.0, f32::max) < 2e-5, "{scaling:?}");
        }
    }

    #[test]
    fn rows_by_hand() {
        let x = Matrix::from_rows(1, 2, vec![3.0, 4.0]).unwrap();
        let length = Scaling::Length.apply(&x);
        let root = 2.0_f32.sqrt();
        assert!((length.values()[0] - 0.6 * root).abs() < 1e-6);
        assert!((length.values()[1] - 0.8 * root).abs() < 1e-6);
        // Mean 3.5, deviation √(0.5).
        let norm = Scaling::LayerNorm.apply(&x);
        assert!((norm.values()[1] - 0.5 / (0.5_f32.sqrt() + 1e-5)).abs() < 1e-6);
    }

    #[test]
    fn a_sample_of_zeros_has_no_scale() {
        assert!(Scaling::of(&Matrix::zeros(3, 2)).unwrap_err().to_string().contains("(0, ∞)"));
        assert!(Scaling::of(&Matrix::zeros(0, 2)).is_err());
    }
}
