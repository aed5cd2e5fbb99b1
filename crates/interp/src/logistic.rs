//! Logistic regression.

use kernels::{KernelError, Matrix};
use rayon::prelude::*;

use crate::baselines::difference_of_means;
use crate::confusion::Confusion;
use crate::error::{InterpError, Result, finite, some, within};
use crate::fidelity::ratio;

/// Tasks that rows are shared out to, and rows that a task has at least. Fixed, so that results do not depend on the number
/// of threads.
const TASKS: usize = 32;
const TASK_ROWS: usize = 512;
/// Newton steps at most; a dozen are enough.
const MOST_STEPS: usize = 100;
/// The fall of the loss that a step promises from which on there is nothing to be gained.
const LEAST_GAIN: f64 = 1e-13;

/// A probe: the logarithm of the odds that a row has a concept is `bias` + weights·x.
///
/// # Examples
///
/// One bit that is 1 in 3 of 4 rows with the concept and in 1 of 4 without: odds of 3 and 1/3.
///
/// ```
/// use interp::Logistic;
/// use kernels::Matrix;
///
/// let x = Matrix::from_rows(8, 1, vec![1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0])?;
/// let positive = [true, true, true, true, false, false, false, false];
/// let probe = Logistic::fit(&x, &positive, 1e-9)?;
/// assert!((probe.bias - (1.0_f64 / 3.0).ln()).abs() < 1e-6);
/// assert!((probe.weights[0] - 9.0_f64.ln()).abs() < 1e-6);
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// One for each column, `[d]`.
    pub weights: Vec<f64>,
    /// The logarithm of the odds at x = 0.
    pub bias: f64,
    /// Steps done; 0 for a probe that was not fitted by steps.
    pub n_steps: usize,
    /// Whether no step gains anything more.
    pub converged: bool,
}

/// How well a probe does on rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeScores {
    /// Of a logit of at least 0 against the concept.
    pub counts: Confusion,
    /// Of the logits; `None` if all rows have the concept, or none.
    pub auroc: Option<f64>,
}

impl Logistic {
    /// Minimizes the mean over rows of −ln P(label) + l2/2·‖v‖² by Newton's method, where v are the weights of columns that are
    /// centered and have deviation 1: what units a column has does not matter, and a constant one has weight 0. The bias is
    /// free.
    ///
    /// In libraries that minimize sums, `l2` is 1/(C·rows).
    ///
    /// # Shapes
    /// `x` `[row, d]`, `positive` `[row]`.
    ///
    /// # Cost
    /// About n·d² for each of a few steps, and 32 matrices of d² numbers.
    ///
    /// # Determinism
    /// Sums are of 64 bits and in a fixed order: the same bits for any number of threads, and on every platform.
    ///
    /// # Errors
    /// [`InterpError::Sizes`], [`InterpError::NotFinite`], [`InterpError::Range`] unless `l2` > 0, [`InterpError::Empty`] if all
    /// rows have the concept, or none.
    pub fn fit(x: &Matrix, positive: &[bool], l2: f64) -> Result<Self> {
        KernelError::check("labels of the rows", x.n_rows(), positive.len())?;
        within("the penalty of weights", l2, l2 > 0.0 && l2.is_finite(), "(0, ∞)")?;
        finite("the activations", x)?;
        let n_positive = positive.iter().filter(|is| **is).count();
        some("rows with the concept", n_positive)?;
        some("rows without the concept", positive.len() - n_positive)?;
        let problem = Problem::new(x, positive, l2);
        let d = x.n_columns();
        // The last parameter is the bias; it begins at the odds of all rows.
        let mut at = vec![0.0; d + 1];
        at[d] = libm::log(n_positive as f64 / (positive.len() - n_positive) as f64);
        let (mut n_steps, mut converged) = (0, false);
        while n_steps < MOST_STEPS && !converged {
            n_steps += 1;
            let (loss, gradient, mut curvature) = problem.second_order(&at);
            let mut step = gradient.clone();
            solve(&mut curvature, &mut step);
            let gain: f64 = gradient.iter().zip(&step).map(|(g, s)| g * s).sum();
            let mut scale = 1.0;
            // Halved until the loss falls by a part of what the slope promises.
            let moved = loop {
                let moved: Vec<f64> = at.iter().zip(&step).map(|(at, s)| at - scale * s).collect();
                if problem.loss(&moved) <= loss - 1e-4 * scale * gain {
                    break Some(moved);
                }
                scale /= 2.0;
                if scale < 1e-12 {
                    break None;
                }
            };
            converged = gain <= LEAST_GAIN || moved.is_none();
            at = moved.unwrap_or(at);
        }
        Ok(problem.in_units_of_x(&at, n_steps, converged))
    }

    /// The difference of means as a probe: weights μ₊ − μ₋, and logit 0 halfway between the means.
    ///
    /// # Errors
    /// As [`difference_of_means`].
    ///
    /// # Examples
    ///
    /// ```
    /// use interp::Logistic;
    /// use kernels::Matrix;
    ///
    /// let x = Matrix::from_rows(2, 1, vec![1.0, 5.0])?;
    /// let probe = Logistic::of_means(&x, &[false, true])?;
    /// assert_eq!((probe.weights, probe.bias), (vec![4.0], -12.0));
    /// # Ok::<(), interp::InterpError>(())
    /// ```
    pub fn of_means(x: &Matrix, positive: &[bool]) -> Result<Self> {
        let weights = difference_of_means(x, positive)?;
        let n_positive = positive.iter().filter(|is| **is).count() as f64;
        let n_negative = positive.len() as f64 - n_positive;
        let mut middle = 0.0;
        for (row, is) in x.rows().zip(positive) {
            let along: f64 = row.iter().zip(&weights).map(|(x, w)| f64::from(*x) * w).sum();
            middle += along / (2.0 * if *is { n_positive } else { n_negative });
        }
        Ok(Self { weights, bias: -middle, n_steps: 0, converged: true })
    }

    /// The logarithm of the odds of each row.
    ///
    /// # Errors
    /// [`InterpError::Sizes`] for another width, [`InterpError::NotFinite`].
    pub fn logits(&self, x: &Matrix) -> Result<Vec<f64>> {
        KernelError::check("columns of the activations", self.weights.len(), x.n_columns())?;
        finite("the activations", x)?;
        let along = |row: &[f32]| -> f64 {
            row.iter().zip(&self.weights).map(|(x, w)| f64::from(*x) * w).sum()
        };
        Ok(x.rows().map(|row| self.bias + along(row)).collect())
    }

    /// How well it does on rows.
    ///
    /// # Errors
    /// As [`Self::logits`], and [`InterpError::Empty`] without rows.
    pub fn scores(&self, x: &Matrix, positive: &[bool]) -> Result<ProbeScores> {
        KernelError::check("labels of the rows", x.n_rows(), positive.len())?;
        some("rows to be scored", positive.len())?;
        let logits = self.logits(x)?;
        let pairs = || logits.iter().zip(positive);
        let of = |kind: bool| -> Vec<f64> {
            pairs().filter(|(_, is)| **is == kind).map(|(logit, _)| *logit).collect()
        };
        let (with, without) = (of(true), of(false));
        let auroc = if with.is_empty() || without.is_empty() {
            None
        } else {
            Some(stats::auroc(&with, &without)?)
        };
        Ok(ProbeScores { counts: Confusion::of(pairs().map(|(l, is)| (*l >= 0.0, *is))), auroc })
    }
}

/// Rows with columns of mean 0 and deviation 1, with their labels.
struct Problem<'a> {
    x: &'a Matrix,
    positive: &'a [bool],
    l2: f64,
    mean: Vec<f64>,
    /// One over the deviation; 0 for a constant.
    scale: Vec<f64>,
}

/// Loss, gradient, and curvature from the diagonal on, summed over rows.
type Sums = (f64, Vec<f64>, Vec<f64>);

impl<'a> Problem<'a> {
    fn new(x: &'a Matrix, positive: &'a [bool], l2: f64) -> Self {
        let mean = crate::moments::mean(x);
        let mut squares = vec![0.0; mean.len()];
        let mut differs = vec![false; mean.len()];
        for row in x.rows() {
            for (column, value) in row.iter().enumerate() {
                let gap = f64::from(*value) - mean[column];
                squares[column] += gap * gap;
                differs[column] |= value.total_cmp(&x.row(0)[column]).is_ne();
            }
        }
        let n = x.n_rows() as f64;
        let scale = squares.iter().zip(&differs).map(|(squares, differs)| {
            if *differs { ratio(1.0, (squares / n).sqrt()).unwrap_or(0.0) } else { 0.0 }
        });
        Self { scale: scale.collect(), x, positive, l2, mean }
    }

    fn task_rows(&self) -> usize {
        self.x.n_rows().div_ceil(TASKS).max(TASK_ROWS)
    }

    /// The rows of each task with their logits and signs.
    fn by_task<T: Send>(
        &self,
        at: &[f64],
        of_task: impl Fn(&[(f64, f64)], &[Vec<f64>]) -> T + Sync,
    ) -> Vec<T> {
        let (rows, d) = (self.task_rows(), self.mean.len());
        let tasks = self.x.n_rows().div_ceil(rows);
        (0..tasks)
            .into_par_iter()
            .map(|task| {
                let places = task * rows..self.x.n_rows().min((task + 1) * rows);
                let standard: Vec<Vec<f64>> = places
                    .clone()
                    .map(|row| {
                        let row = self.x.row(row).iter().zip(&self.mean).zip(&self.scale);
                        row.map(|((x, mean), scale)| (f64::from(*x) - mean) * scale).collect()
                    })
                    .collect();
                let logits: Vec<(f64, f64)> = standard
                    .iter()
                    .zip(places)
                    .map(|(row, place)| {
                        let along: f64 = row.iter().zip(at).map(|(x, w)| x * w).sum();
                        (along + at[d], f64::from(u8::from(self.positive[place])))
                    })
                    .collect();
                of_task(&logits, &standard)
            })
            .collect()
    }

    fn penalty(&self, at: &[f64]) -> f64 {
        let weights = &at[..self.mean.len()];
        self.l2 / 2.0 * weights.iter().map(|v| v * v).sum::<f64>()
    }

    fn loss(&self, at: &[f64]) -> f64 {
        let of_task = |rows: &[(f64, f64)], _: &[Vec<f64>]| rows.iter().map(row_loss).sum::<f64>();
        let sum: f64 = self.by_task(at, of_task).iter().sum();
        sum / self.x.n_rows() as f64 + self.penalty(at)
    }

    fn second_order(&self, at: &[f64]) -> Sums {
        let d = self.mean.len();
        let size = d + 1;
        let of_task = |rows: &[(f64, f64)], standard: &[Vec<f64>]| -> Sums {
            let (mut gradient, mut curvature) = (vec![0.0; size], vec![0.0; size * size]);
            let mut with_bias = vec![1.0; size];
            for ((logit, label), row) in rows.iter().zip(standard) {
                with_bias[..d].copy_from_slice(row);
                let p = probability(*logit);
                let (slope, bend) = (p - label, p * (1.0 - p));
                for (i, x) in with_bias.iter().enumerate() {
                    gradient[i] += slope * x;
                    let factor = bend * x;
                    let sums = &mut curvature[i * size + i..(i + 1) * size];
                    sums.iter_mut().zip(&with_bias[i..]).for_each(|(sum, y)| *sum += factor * y);
                }
            }
            (rows.iter().map(row_loss).sum(), gradient, curvature)
        };
        let (mut loss, mut gradient, mut curvature) =
            (0.0, vec![0.0; size], vec![0.0; size * size]);
        for (of_loss, of_gradient, of_curvature) in self.by_task(at, of_task) {
            loss += of_loss;
            gradient.iter_mut().zip(of_gradient).for_each(|(sum, part)| *sum += part);
            curvature.iter_mut().zip(of_curvature).for_each(|(sum, part)| *sum += part);
        }
        let n = self.x.n_rows() as f64;
        for sum in gradient.iter_mut().chain(&mut curvature) {
            *sum /= n;
        }
        for i in 0..d {
            gradient[i] += self.l2 * at[i];
            curvature[i * size + i] += self.l2;
        }
        (loss / n + self.penalty(at), gradient, curvature)
    }

    fn in_units_of_x(&self, at: &[f64], n_steps: usize, converged: bool) -> Logistic {
        let weights: Vec<f64> = at.iter().zip(&self.scale).map(|(v, scale)| v * scale).collect();
        let shift: f64 = weights.iter().zip(&self.mean).map(|(w, mean)| w * mean).sum();
        Logistic { weights, bias: at[self.mean.len()] - shift, n_steps, converged }
    }
}

/// 1/(1 + exp(−z)).
fn probability(logit: f64) -> f64 {
    if logit >= 0.0 {
        1.0 / (1.0 + libm::exp(-logit))
    } else {
        let odds = libm::exp(logit);
        odds / (1.0 + odds)
    }
}

/// −ln P(label), without overflow.
fn row_loss((logit, label): &(f64, f64)) -> f64 {
    logit.max(0.0) + libm::log1p(libm::exp(-logit.abs())) - label * logit
}

/// Solves A·x = b for a positive definite A, of which the part from the diagonal on is read, by Cholesky's
/// decomposition in place.
fn solve(a: &mut [f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        // A pivot that rounding made 0 is one along which there is nothing to be gained.
        let pivot = a[i * n + i].max(1e-300).sqrt();
        for column in i..n {
            a[i * n + column] /= pivot;
        }
        a[i * n + i] = pivot;
        let (done, rest) = a.split_at_mut((i + 1) * n);
        let row = &done[i * n..];
        for (below, target) in (i + 1..n).zip(rest.chunks_exact_mut(n)) {
            let factor = row[below];
            target[below..].iter_mut().zip(&row[below..]).for_each(|(t, r)| *t -= factor * r);
        }
    }
    for i in 0..n {
        b[i] /= a[i * n + i];
        let value = b[i];
        b[i + 1..]
            .iter_mut()
            .zip(&a[i * n + i + 1..(i + 1) * n])
            .for_each(|(b, a)| *b -= value * a);
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[i * n + j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i * n + i];
    }
}

impl ProbeScores {
    /// The share of rows it is right on.
    ///
    /// # Errors
    /// [`InterpError::Empty`] for scores of no rows.
    pub fn accuracy(&self) -> Result<f64> {
        self.counts.accuracy().ok_or(InterpError::Empty { what: "rows to be scored" })
    }
}

#[cfg(test)]
mod tests;
