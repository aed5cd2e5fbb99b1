//! How well reconstructions stand for activations, and how often latents are active.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};
use rayon::prelude::*;
use sae::{Dictionary, Scaling};
use stats::Histogram;

use crate::error::{InterpError, Result, active_values, finite, some};

/// Columns of which one task has the sums. Fixed, so that results do not depend on the number of threads.
const TASK_COLUMNS: usize = 16;

/// Sums over rows of activations x, their reconstructions x̂ and their codes, batch after batch.
///
/// # Determinism
/// Sums are of 64 bits and in the order of the rows: the same bits for any split into batches and any number of threads.
///
/// # Examples
///
/// Reconstructions half as long as activations:
///
/// ```
/// use interp::Fidelity;
/// use kernels::Matrix;
/// use kernels::dictionary::Codes;
///
/// let x = Matrix::from_rows(2, 1, vec![2.0, -2.0])?;
/// let x_hat = Matrix::from_rows(2, 1, vec![1.0, -1.0])?;
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0)], vec![]])?;
/// let mut fidelity = Fidelity::new(1, 2)?;
/// fidelity.add(&x, &x_hat, &codes)?;
/// let report = fidelity.report()?;
/// assert_eq!((report.fvu, report.l2_ratio, report.gamma), (Some(0.25), Some(0.5), Some(0.5)));
/// assert_eq!((report.l0, report.dead_share, report.n_rows), (0.5, 0.5, 2));
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fidelity {
    n_rows: u64,
    columns: Vec<Column>,
    n_active: Vec<u64>,
    squares: Squares,
    by_row: ByRow,
}

/// Running means of a column and sums of squares about them, of x and of x − x̂.
#[derive(Clone, Copy, Debug, Default)]
struct Column {
    x: Moments,
    error: Moments,
}

#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f64,
    about_mean: f64,
}

impl Moments {
    /// Adds the number that makes 1/`share` of them.
    fn add(&mut self, value: f64, share: f64) {
        let gap = value - self.mean;
        self.mean += gap * share;
        self.about_mean += gap * (value - self.mean);
    }
}

/// Sums of products of rows with each other.
#[derive(Clone, Copy, Debug, Default)]
struct Squares {
    x: f64,
    x_hat: f64,
    both: f64,
    error: f64,
}

/// Sums of ratios of single rows.
#[derive(Clone, Copy, Debug, Default)]
struct ByRow {
    n: u64,
    cosine: f64,
    l2_ratio: f64,
    error: f64,
}

/// What [`Fidelity`] found. Ratios are `None` where their denominator is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct FidelityReport {
    /// Rows seen. Shares of latents, the dead ones above all, are to be read beside it.
    pub n_rows: u64,
    /// Rows with x = 0, which are left out of `cosine`, `l2_ratio` and `nmse_of_rows`.
    pub n_zero_rows: u64,
    /// E‖z‖₀, active latents of a row.
    pub l0: f64,
    /// E‖x − x̂‖², the sum over columns and the mean over rows, in squared units of x.
    pub squared_error: f64,
    /// Σ Var(x − x̂) / Σ Var(x), sums over columns, variances about the mean: the fraction of variance unexplained. An
    /// error that is the same in all rows does not count; `nmse_of_variance` counts it.
    pub fvu: Option<f64>,
    /// 1 − `fvu`.
    pub explained_variance: Option<f64>,
    /// E‖x − x̂‖² / E‖x‖², normalized by squared length about 0. One minus this is not the explained variance: where
    /// activations have a large mean, it is near 1 for the mean alone.
    pub nmse_of_norm: Option<f64>,
    /// E‖x − x̂‖² / Σ Var(x), normalized by variance; one minus this is R².
    pub nmse_of_variance: Option<f64>,
    /// E[‖x − x̂‖² / ‖x‖²], each row normalized by its own squared length.
    pub nmse_of_rows: Option<f64>,
    /// E[cos(x, x̂)]; a reconstruction that is 0 counts as 0.
    pub cosine: Option<f64>,
    /// E[‖x̂‖ / ‖x‖].
    pub l2_ratio: Option<f64>,
    /// γ = E‖x̂‖² / E[x·x̂], the relative reconstruction bias: 1 without shrinkage, below 1 where x̂ is too short. `None`
    /// unless E[x·x̂] > 0.
    pub gamma: Option<f64>,
    /// Latents that were never active in the rows seen, as a share of all.
    pub dead_share: f64,
    /// Latents active in more than 1 row of 100, as a share of all.
    pub dense_share: f64,
    /// Latents active in more than 1 row of 10, as a share of all.
    pub very_dense_share: f64,
}

impl Fidelity {
    /// Of activations of this width and a dictionary of this many latents, without rows.
    ///
    /// # Errors
    /// [`InterpError::Empty`] if either is 0.
    pub fn new(width: usize, n_latents: usize) -> Result<Self> {
        some("columns of the activations", width)?;
        some("latents of the dictionary", n_latents)?;
        Ok(Self {
            n_rows: 0,
            columns: vec![Column::default(); width],
            n_active: vec![0; n_latents],
            squares: Squares::default(),
            by_row: ByRow::default(),
        })
    }

    /// Adds rows. x and x̂ are in the same units; [`Self::add_reconstructed`] sees to that.
    ///
    /// # Shapes
    /// `x`, `x_hat` `[row, width]`, `codes` of as many rows.
    ///
    /// # Errors
    /// [`InterpError::Sizes`] for other shapes, [`InterpError::NotFinite`], [`InterpError::Range`] for a value of an active
    /// latent that is not positive. Nothing is added then.
    pub fn add(&mut self, x: &Matrix, x_hat: &Matrix, codes: &Codes) -> Result<()> {
        let width = self.columns.len();
        KernelError::check("columns of the activations", width, x.n_columns())?;
        KernelError::check("columns of the reconstructions", width, x_hat.n_columns())?;
        KernelError::check("rows of the reconstructions", x.n_rows(), x_hat.n_rows())?;
        KernelError::check("rows of the codes", x.n_rows(), codes.n_rows())?;
        KernelError::check("latents of the codes", self.n_active.len(), codes.n_latents())?;
        finite("the activations", x)?;
        finite("the reconstructions", x_hat)?;
        active_values(codes)?;
        let before = self.n_rows;
        let tasks = self.columns.par_chunks_mut(TASK_COLUMNS).enumerate();
        tasks.for_each(|(task, columns)| {
            let first = task * TASK_COLUMNS;
            let mut n = before;
            for (x, x_hat) in x.rows().zip(x_hat.rows()) {
                n += 1;
                let share = 1.0 / n as f64;
                let pairs = x[first..].iter().zip(&x_hat[first..]);
                for (column, (x, x_hat)) in columns.iter_mut().zip(pairs) {
                    let (x, x_hat) = (f64::from(*x), f64::from(*x_hat));
                    column.x.add(x, share);
                    column.error.add(x - x_hat, share);
                }
            }
        });
        let squares: Vec<Squares> = (0..x.n_rows())
            .into_par_iter()
            .with_min_len(64)
            .map(|row| Squares::of(x.row(row), x_hat.row(row)))
            .collect();
        for row in &squares {
            self.add_row(row);
        }
        for latent in codes.latents() {
            self.n_active[*latent as usize] += 1;
        }
        self.n_rows += x.n_rows() as u64;
        Ok(())
    }

    /// Encodes activations, reconstructs them in the units of the model, and adds them.
    ///
    /// # Errors
    /// As [`Self::add`], and [`InterpError::Dictionary`].
    pub fn add_reconstructed(&mut self, dictionary: &Dictionary, x: &Matrix) -> Result<()> {
        let codes = dictionary.encode(x)?;
        // Decoding gives scaled activations without what passes the latents by.
        let parts = dictionary.parts();
        let is_plain = parts.scaling == Scaling::None && parts.skip.is_none();
        let x_hat =
            if is_plain { dictionary.decode(&codes)? } else { dictionary.reconstruct(x)? };
        self.add(x, &x_hat, &codes)
    }

    fn add_row(&mut self, row: &Squares) {
        self.squares.x += row.x;
        self.squares.x_hat += row.x_hat;
        self.squares.both += row.both;
        self.squares.error += row.error;
        if row.x > 0.0 {
            self.by_row.n += 1;
            self.by_row.l2_ratio += (row.x_hat / row.x).sqrt();
            self.by_row.error += row.error / row.x;
            if row.x_hat > 0.0 {
                self.by_row.cosine += row.both / (row.x.sqrt() * row.x_hat.sqrt());
            }
        }
    }

    /// In how many of the rows each latent was active, as a share: P(zᵢ > 0).
    ///
    /// # Errors
    /// [`InterpError::Empty`] without rows.
    pub fn densities(&self) -> Result<Vec<f64>> {
        self.has_rows()?;
        Ok(self.n_active.iter().map(|n| *n as f64 / self.n_rows as f64).collect())
    }

    /// The histogram of log₁₀ of the densities of the latents that were active at all.
    ///
    /// # Errors
    /// [`InterpError::Empty`] without rows, [`InterpError::Statistic`] without a latent that was active, or without bins.
    pub fn log10_densities(&self, n_bins: usize) -> Result<Histogram> {
        let densities = self.densities()?;
        let alive = densities.iter().filter(|density| **density > 0.0);
        let logs: Vec<f64> = alive.map(|density| libm::log10(*density)).collect();
        Ok(stats::histogram(&logs, n_bins)?)
    }

    /// The metrics of all rows so far.
    ///
    /// # Errors
    /// [`InterpError::Empty`] without rows.
    pub fn report(&self) -> Result<FidelityReport> {
        let densities = self.densities()?;
        let n = self.n_rows as f64;
        let variance = |of: fn(&Column) -> Moments| -> f64 {
            self.columns.iter().map(|column| of(column).about_mean).sum()
        };
        let (of_x, of_error) = (variance(|column| column.x), variance(|column| column.error));
        let Squares { x, x_hat, both, error } = self.squares;
        let fvu = ratio(of_error, of_x);
        let rows = |sum: f64| ratio(sum, self.by_row.n as f64);
        let share = |is: fn(f64) -> bool| {
            densities.iter().filter(|density| is(**density)).count() as f64 / densities.len() as f64
        };
        Ok(FidelityReport {
            n_rows: self.n_rows,
            n_zero_rows: self.n_rows - self.by_row.n,
            l0: self.n_active.iter().sum::<u64>() as f64 / n,
            squared_error: error / n,
            fvu,
            explained_variance: fvu.map(|fvu| 1.0 - fvu),
            nmse_of_norm: ratio(error, x),
            nmse_of_variance: ratio(error, of_x),
            nmse_of_rows: rows(self.by_row.error),
            cosine: rows(self.by_row.cosine),
            l2_ratio: rows(self.by_row.l2_ratio),
            gamma: ratio(x_hat, both),
            dead_share: share(|density| density <= 0.0),
            dense_share: share(|density| density > 1e-2),
            very_dense_share: share(|density| density > 1e-1),
        })
    }

    fn has_rows(&self) -> Result<()> {
        if self.n_rows == 0 {
            return Err(InterpError::Empty { what: "rows of activations" });
        }
        Ok(())
    }
}

impl Squares {
    fn of(x: &[f32], x_hat: &[f32]) -> Self {
        let mut sums = Self::default();
        for (x, x_hat) in x.iter().zip(x_hat) {
            let (x, x_hat) = (f64::from(*x), f64::from(*x_hat));
            sums.x += x * x;
            sums.x_hat += x_hat * x_hat;
            sums.both += x * x_hat;
            sums.error += (x - x_hat) * (x - x_hat);
        }
        sums
    }
}

/// The ratio to a positive number.
pub(crate) fn ratio(top: f64, bottom: f64) -> Option<f64> {
    (bottom > 0.0).then(|| top / bottom)
}

#[cfg(test)]
mod tests;
