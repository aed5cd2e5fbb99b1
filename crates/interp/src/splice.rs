//! What a language model loses where reconstructions take the place of activations.
//!
//! The model runs elsewhere; here are its losses and logits, and the errors that reconstructions are compared with.

use geometry::symmetric_eigen;
use kernels::{KernelError, Matrix};
use rayon::prelude::*;
use seed::Rng;

use crate::error::{Result, finite, finite_list, narrowed, some, within};
use crate::fidelity::ratio;
use crate::moments::covariance;

/// Losses of the same tokens, in nats: of the model as it is, with reconstructions, and with an activation that says
/// nothing.
#[derive(Clone, Copy, Debug)]
pub struct Losses<'a> {
    /// Of the model as it is.
    pub clean: &'a [f64],
    /// With reconstructions in place of activations.
    pub spliced: &'a [f64],
    /// With 0 in place of activations.
    pub zero_ablated: &'a [f64],
    /// With the mean activation in place of each.
    pub mean_ablated: &'a [f64],
}

/// Cross-entropies and what is recovered of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropies {
    /// The mean loss of the model, in nats.
    pub clean: f64,
    /// ΔCE: by how much reconstructions raise it, in nats.
    pub delta: f64,
    /// (CE of 0 − CE spliced) / (CE of 0 − CE): the share recovered of what ablation by 0 costs. In a residual stream that
    /// costs so much that the share is near 1 for poor reconstructions too. `None` unless ablation costs something.
    pub recovered_of_zero: Option<f64>,
    /// The same against ablation by the mean.
    pub recovered_of_mean: Option<f64>,
}

/// What splicing costs in cross-entropy.
///
/// # Shapes
/// A loss for each token in each list.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without tokens, [`InterpError::Sizes`](crate::InterpError::Sizes),
/// [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Source
/// Paper C's table of the April update; `SAEBench` core.
///
/// # Examples
///
/// ```
/// use interp::{Losses, cross_entropies};
///
/// let found = cross_entropies(Losses {
///     clean: &[1.0, 3.0],
///     spliced: &[2.0, 3.0],
///     zero_ablated: &[12.0, 12.0],
///     mean_ablated: &[4.0, 4.0],
/// })?;
/// assert_eq!((found.clean, found.delta), (2.0, 0.5));
/// assert_eq!((found.recovered_of_zero, found.recovered_of_mean), (Some(0.95), Some(0.75)));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn cross_entropies(losses: Losses<'_>) -> Result<CrossEntropies> {
    let n = losses.clean.len();
    let mean = |what: &'static str, losses: &[f64]| -> Result<f64> {
        KernelError::check("tokens with a loss", n, losses.len())?;
        some("tokens with a loss", losses.len())?;
        finite_list(what, losses)?;
        Ok(stats::mean(losses)?)
    };
    let clean = mean("losses of the model", losses.clean)?;
    let spliced = mean("losses with reconstructions", losses.spliced)?;
    let recovered = |ablated: f64| ratio(ablated - spliced, ablated - clean);
    Ok(CrossEntropies {
        clean,
        delta: spliced - clean,
        recovered_of_zero: recovered(mean("losses with 0", losses.zero_ablated)?),
        recovered_of_mean: recovered(mean("losses with the mean", losses.mean_ablated)?),
    })
}

/// For each token the divergence of what a changed model expects from what the model expects, KL(p‖q) = Σ p·(ln p − ln q)
/// in nats, with p and q the softmax of logits.
///
/// # Shapes
/// `clean`, `changed` `[token, vocabulary]`, logits or logarithms of probabilities; the result is `[token]`.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty), [`InterpError::Sizes`](crate::InterpError::Sizes),
/// [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Examples
///
/// From 3:1 to even, ¾·ln(3/2) + ¼·ln(1/2):
///
/// ```
/// use kernels::Matrix;
///
/// let clean = Matrix::from_rows(1, 2, vec![3.0_f32.ln(), 0.0])?;
/// let found = interp::kl_divergences(&clean, &Matrix::from_rows(1, 2, vec![7.0, 7.0])?)?;
/// assert!((found[0] - 0.130_812).abs() < 1e-6);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn kl_divergences(clean: &Matrix, changed: &Matrix) -> Result<Vec<f64>> {
    some("tokens with logits", clean.n_rows())?;
    some("logits of a token", clean.n_columns())?;
    KernelError::check("tokens with logits", clean.n_rows(), changed.n_rows())?;
    KernelError::check("logits of a token", clean.n_columns(), changed.n_columns())?;
    finite("the logits of the model", clean)?;
    finite("the logits of the changed model", changed)?;
    let rows = (0..clean.n_rows()).into_par_iter().with_min_len(16);
    Ok(rows.map(|row| kl(clean.row(row), changed.row(row))).collect())
}

fn kl(p: &[f32], q: &[f32]) -> f64 {
    let normalizer = |logits: &[f32]| {
        let top = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = logits.iter().map(|logit| libm::exp(f64::from(*logit) - top)).sum();
        top + libm::log(sum)
    };
    let (of_p, of_q) = (normalizer(p), normalizer(q));
    let terms = p.iter().zip(q).map(|(p, q)| {
        let (p, q) = (f64::from(*p) - of_p, f64::from(*q) - of_q);
        libm::exp(p) * (p - q)
    });
    // Rounding may end below 0.
    terms.sum::<f64>().max(0.0)
}

/// (KL of ablation − KL of splicing) / KL of ablation, of mean divergences; `None` unless ablation changes anything.
///
/// # Source
/// `SAEBench` core.
///
/// # Examples
///
/// ```
/// assert_eq!(interp::kl_score(0.5, 2.0), Some(0.75));
/// assert_eq!(interp::kl_score(0.5, 0.0), None);
/// ```
pub fn kl_score(spliced: f64, ablated: f64) -> Option<f64> {
    ratio(ablated - spliced, ablated)
}

/// How much more reconstructions change a model than random errors of the same length do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ErrorControl {
    /// The mean divergence with reconstructions, in nats.
    pub spliced: f64,
    /// The mean divergence with random errors, in nats.
    pub random: f64,
    /// Their difference; above 0 the errors of reconstructions lie where they harm.
    pub excess: f64,
    /// Their ratio; `None` if random errors change nothing.
    pub ratio: Option<f64>,
}

/// Compares divergences of the same tokens with reconstructions and with errors of [`random_errors`] or
/// [`MatchedDraws::errors`].
///
/// # Errors
/// As [`cross_entropies`].
///
/// # Source
/// The test of pathological errors that the April update of paper C's authors discusses.
///
/// # Examples
///
/// ```
/// let control = interp::error_control(&[0.3, 0.5], &[0.1, 0.1])?;
/// assert_eq!(control.ratio, Some(4.0));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn error_control(spliced: &[f64], random: &[f64]) -> Result<ErrorControl> {
    KernelError::check("tokens with a divergence", spliced.len(), random.len())?;
    some("tokens with a divergence", spliced.len())?;
    finite_list("divergences with reconstructions", spliced)?;
    finite_list("divergences with random errors", random)?;
    let (spliced, random) = (stats::mean(spliced)?, stats::mean(random)?);
    Ok(ErrorControl { spliced, random, excess: spliced - random, ratio: ratio(spliced, random) })
}

/// Activations with errors as long as those of reconstructions, in random directions: x + ‖x − x̂‖·u for each row.
///
/// # Shapes
/// `x`, `x_hat` `[row, d]`; the result is `[row, d]`.
///
/// # Randomness
/// d normal numbers from `rng` for each row: u is uniform on the sphere.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Examples
///
/// In one dimension an error of 3 goes up or down:
///
/// ```
/// use kernels::Matrix;
///
/// let (x, x_hat) = (Matrix::from_rows(1, 1, vec![5.0])?, Matrix::from_rows(1, 1, vec![2.0])?);
/// let mut rng = seed::Seed::new(0).stream("doc", "random errors");
/// let changed = interp::random_errors(&x, &x_hat, &mut rng)?;
/// assert!(changed.values() == [8.0] || changed.values() == [2.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn random_errors(x: &Matrix, x_hat: &Matrix, rng: &mut Rng) -> Result<Matrix> {
    with_errors(x, x_hat, |width| (0..width).map(|_| rng.normal()).collect())
}

fn with_errors(
    x: &Matrix,
    x_hat: &Matrix,
    mut draw: impl FnMut(usize) -> Vec<f64>,
) -> Result<Matrix> {
    KernelError::check("rows of the reconstructions", x.n_rows(), x_hat.n_rows())?;
    KernelError::check("columns of the reconstructions", x.n_columns(), x_hat.n_columns())?;
    finite("the activations", x)?;
    finite("the reconstructions", x_hat)?;
    let mut changed = x.clone();
    for (row, x_hat) in x_hat.rows().enumerate() {
        let gaps = x.row(row).iter().zip(x_hat).map(|(x, x_hat)| f64::from(*x) - f64::from(*x_hat));
        let error = gaps.map(|gap| gap * gap).sum::<f64>().sqrt();
        let direction = draw(x.n_columns());
        let length = direction.iter().map(|u| u * u).sum::<f64>().sqrt();
        let scale = ratio(error, length).unwrap_or(0.0);
        for (x, u) in changed.row_mut(row).iter_mut().zip(direction) {
            *x = narrowed(f64::from(*x) + scale * u);
        }
    }
    Ok(changed)
}

/// Draws from the normal distribution of mean 0 with the covariance of rows.
///
/// # Examples
///
/// Rows that differ along one axis alone:
///
/// ```
/// use interp::MatchedDraws;
/// use kernels::Matrix;
///
/// let draws = MatchedDraws::new(&Matrix::from_rows(2, 2, vec![1.0, 5.0, 3.0, 5.0])?)?;
/// let draw = draws.draw(&mut seed::Seed::new(0).stream("doc", "matched draws"));
/// assert!(draw[0] != 0.0 && draw[1] == 0.0);
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatchedDraws {
    /// √λ·v of each principal direction.
    axes: Vec<Vec<f64>>,
    width: usize,
}

impl MatchedDraws {
    /// Of the covariance of these rows: of activations, or of their errors.
    ///
    /// # Shapes
    /// `rows` `[row, d]`.
    ///
    /// # Errors
    /// [`InterpError::Empty`](crate::InterpError::Empty) without rows,
    /// [`InterpError::NotFinite`](crate::InterpError::NotFinite), [`InterpError::Range`](crate::InterpError::Range) if all
    /// are equal.
    pub fn new(rows: &Matrix) -> Result<Self> {
        let (_, covariance) = covariance(rows)?;
        let eigen = symmetric_eigen(&covariance)?;
        let top = eigen.values[0];
        within("the largest variance of the rows", top, top > 0.0, "(0, ∞)")?;
        let parts = eigen.values.iter().zip(&eigen.vectors).filter(|(value, _)| **value > 0.0);
        let axis =
            |(value, vector): (&f64, &Vec<f64>)| vector.iter().map(|v| value.sqrt() * v).collect();
        Ok(Self { axes: parts.map(axis).collect(), width: rows.n_columns() })
    }

    /// A draw, `[d]`.
    ///
    /// # Randomness
    /// A normal number from `rng` for each direction with variance.
    pub fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        let mut sum = vec![0.0; self.width];
        for axis in &self.axes {
            let factor = rng.normal();
            sum.iter_mut().zip(axis).for_each(|(sum, axis)| *sum += factor * axis);
        }
        sum
    }

    /// As [`random_errors`], with directions of draws.
    ///
    /// # Errors
    /// As [`random_errors`].
    pub fn errors(&self, x: &Matrix, x_hat: &Matrix, rng: &mut Rng) -> Result<Matrix> {
        KernelError::check("columns of the activations", self.width, x.n_columns())?;
        with_errors(x, x_hat, |_| self.draw(rng))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    fn rng(purpose: &str) -> Rng {
        Seed::new(5).stream("splice", purpose)
    }

    fn normal(n: usize, d: usize, purpose: &str) -> Matrix {
        let mut rng = rng(purpose);
        Matrix::from_rows(n, d, (0..n * d).map(|_| narrowed(rng.normal())).collect()).unwrap()
    }

    #[test]
    fn perfect_splices_recover_all_and_ablations_nothing() {
        let (clean, ablated) = ([1.0, 2.0], [5.0, 7.0]);
        let of = |spliced: &[f64]| {
            let losses =
                Losses { clean: &clean, spliced, zero_ablated: &ablated, mean_ablated: &clean };
            cross_entropies(losses).unwrap()
        };
        assert_eq!((of(&clean).delta, of(&clean).recovered_of_zero), (0.0, Some(1.0)));
        assert_eq!((of(&ablated).delta, of(&ablated).recovered_of_zero), (4.5, Some(0.0)));
        // An ablation that costs nothing has nothing to be recovered.
        assert_eq!(of(&clean).recovered_of_mean, None);
        let short =
            Losses { clean: &clean, spliced: &[1.0], zero_ablated: &clean, mean_ablated: &clean };
        assert!(cross_entropies(short).is_err());
        let nan = Losses {
            clean: &[f64::NAN],
            spliced: &[1.0],
            zero_ablated: &[1.0],
            mean_ablated: &[1.0],
        };
        assert!(cross_entropies(nan).is_err());
        let none = Losses { clean: &[], spliced: &[], zero_ablated: &[], mean_ablated: &[] };
        assert!(cross_entropies(none).is_err());
    }

    #[test]
    fn divergences_are_of_probabilities_and_do_not_see_shifts() {
        let logits = normal(3, 9, "logits");
        let mut shifted = logits.clone();
        shifted.row_mut(1).iter_mut().for_each(|value| *value += 4.0);
        assert!(kl_divergences(&logits, &shifted).unwrap().iter().all(|kl| *kl < 1e-6));
        // All on one token against even: ln 4, at logits whose exponentials overflow.
        let sure = Matrix::from_rows(1, 4, vec![2000.0, 0.0, 0.0, 0.0]).unwrap();
        let kl = kl_divergences(&sure, &Matrix::zeros(1, 4)).unwrap()[0];
        assert!((kl - libm::log(4.0)).abs() < 1e-12, "{kl}");
        assert!(kl_divergences(&logits, &Matrix::zeros(3, 8)).is_err());
        assert!(kl_divergences(&Matrix::zeros(0, 4), &Matrix::zeros(0, 4)).is_err());
    }

    #[test]
    fn random_errors_are_as_long_as_the_given_ones() {
        let (x, mut x_hat) = (normal(20, 30, "x"), normal(20, 30, "x_hat"));
        x_hat.row_mut(3).copy_from_slice(x.row(3));
        let draws = MatchedDraws::new(&x).unwrap();
        let lengths = |other: &Matrix| -> Vec<f64> {
            let length = |row: usize| {
                let gaps = x.row(row).iter().zip(other.row(row)).map(|(x, y)| f64::from(x - y));
                gaps.map(|gap| gap * gap).sum::<f64>().sqrt()
            };
            (0..20).map(length).collect()
        };
        let expected = lengths(&x_hat);
        assert_eq!(expected[3], 0.0);
        for changed in [
            random_errors(&x, &x_hat, &mut rng("errors")).unwrap(),
            draws.errors(&x, &x_hat, &mut rng("errors")).unwrap(),
        ] {
            for (found, expected) in lengths(&changed).iter().zip(&expected) {
                assert!((found - expected).abs() < 1e-5, "{found} and {expected}");
            }
        }
    }

    #[test]
    fn draws_have_the_covariance_of_the_rows() {
        let mut rows = normal(300, 3, "rows");
        for row in rows.values_mut().chunks_exact_mut(3) {
            (row[0], row[1], row[2]) = (4.0 * row[0], row[0] + row[1], 7.0);
        }
        let draws = MatchedDraws::new(&rows).unwrap();
        let mut rng = rng("draws");
        let n = 20_000;
        let values = (0..n).flat_map(|_| draws.draw(&mut rng)).map(narrowed).collect();
        let drawn = covariance(&Matrix::from_rows(n, 3, values).unwrap()).unwrap().1;
        let expected = covariance(&rows).unwrap().1;
        for (drawn, expected) in drawn.iter().zip(&expected) {
            assert!((drawn - expected).abs() < 0.4, "{drawn} and {expected}");
        }
        // Constant columns stay so.
        assert!(drawn[8] < 1e-9);
        assert!(MatchedDraws::new(&Matrix::zeros(4, 2)).is_err());
    }
}
