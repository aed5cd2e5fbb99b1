//! Independent components.

use geometry::symmetric_eigen;
use kernels::{Matrix, product_transposed, transposed_product};
use rayon::prelude::*;
use sae::Dictionary;
use seed::Rng;

use crate::baselines::two_sided;
use crate::error::{Result, narrowed, within};
use crate::moments::covariance;

/// Rows of which a product is summed in 32 bits.
const BLOCK: usize = 2048;

/// How independent components are sought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IcaConfig {
    /// Components, of the subspace of as many principal components.
    pub n_components: usize,
    /// Iterations at most.
    pub max_iterations: usize,
    /// It ends when no component's direction, whitened, changes by more than this: 1 − |cos|.
    pub tolerance: f64,
}

/// Independent components, x ≈ c + Σ sᵢ·dᵢ with sᵢ = eᵢ·(x − c) of variance 1.
#[derive(Clone, Debug, PartialEq)]
pub struct IndependentComponents {
    /// c, the mean of the activations, `[d]`.
    pub center: Vec<f32>,
    /// A row e for each component, `[component, d]`: rows of the unmixing matrix.
    pub encoder: Matrix,
    /// A row d for each component, `[component, d]`: columns of the mixing matrix.
    pub decoder: Matrix,
    /// Iterations done.
    pub n_iterations: usize,
    /// Whether it ended before the last.
    pub converged: bool,
}

impl IndependentComponents {
    /// With both signs of each component as latents. Values are in units of deviations; [`Dictionary::folded`] gives those of
    /// activations, where there is no k.
    ///
    /// # Errors
    /// As [`two_sided`].
    pub fn dictionary(&self, k: Option<usize>) -> Result<Dictionary> {
        two_sided(&self.encoder, &self.decoder, &self.center, k)
    }
}

/// Independent components by `FastICA` with tanh, all at once: rows are whitened, z = Λ^(−½)·Vᵀ·(x − c); then
/// w ← E[z·tanh(w·z)] − E[1 − tanh²(w·z)]·w for all w, made orthonormal by W ← (W·Wᵀ)^(−½)·W, until nothing changes.
///
/// # Shapes
/// `x` `[row, d]`.
///
/// # Randomness
/// n² normal numbers from `rng`, where it begins. Sources that are normal themselves have no components to be found.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without rows, [`InterpError::NotFinite`](crate::InterpError::NotFinite),
/// [`InterpError::Range`](crate::InterpError::Range) for none, or more components than there are directions with variance.
/// That it has not converged is no error: see [`IndependentComponents::converged`].
///
/// # Source
/// Hyvärinen 1999.
///
/// # Examples
///
/// Two independent coins along oblique directions, (2, 1) and (−1, 3):
///
/// ```
/// use interp::{IcaConfig, cosines, independent_components, mcc_ica};
/// use kernels::Matrix;
///
/// let x = Matrix::from_rows(4, 2, vec![1.0, 4.0, 3.0, -2.0, -3.0, 2.0, -1.0, -4.0])?;
/// let config = IcaConfig { n_components: 2, max_iterations: 100, tolerance: 1e-9 };
/// let mut rng = seed::Seed::new(0).stream("doc", "ica");
/// let found = independent_components(&x, &config, &mut rng)?;
/// let truth = Matrix::from_rows(2, 2, vec![2.0, 1.0, -1.0, 3.0])?;
/// assert!(mcc_ica(&cosines(&truth, &found.decoder)?)?.value > 0.9999);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn independent_components(
    x: &Matrix,
    config: &IcaConfig,
    rng: &mut Rng,
) -> Result<IndependentComponents> {
    let (mean, covariance) = covariance(x)?;
    let (d, n) = (mean.len(), config.n_components);
    let eigen = symmetric_eigen(&covariance)?;
    let floor = 1e-10 * eigen.values[0];
    let rank = eigen.values.iter().filter(|value| **value > floor && **value > 0.0).count();
    let fits = (1..=rank).contains(&n);
    within("independent components", n as f64, fits, "[1, directions with variance]")?;
    within("iterations", config.max_iterations as f64, config.max_iterations > 0, "[1, ∞)")?;
    let scales: Vec<f64> = eigen.values[..n].iter().map(|value| value.sqrt()).collect();
    let whitening = (0..n).flat_map(|at| {
        let scale = scales[at];
        eigen.vectors[at].iter().map(move |value| narrowed(value / scale))
    });
    let whitening = Matrix::from_rows(n, d, whitening.collect())?;
    let white = whitened(x, &mean, &whitening)?;
    let start: Vec<f64> = (0..n * n).map(|_| rng.normal()).collect();
    let mut w = orthonormal(&start, n)?;
    let (mut n_iterations, mut converged) = (0, false);
    while n_iterations < config.max_iterations && !converged {
        n_iterations += 1;
        let next = orthonormal(&step(&white, &w, n)?, n)?;
        let changed = (0..n).map(|row| {
            let rows = next[row * n..][..n].iter().zip(&w[row * n..][..n]);
            1.0 - rows.map(|(a, b)| a * b).sum::<f64>().abs()
        });
        converged = changed.fold(0.0, f64::max) <= config.tolerance;
        w = next;
    }
    let mut encoder = Matrix::zeros(n, d);
    let mut decoder = Matrix::zeros(n, d);
    for row in 0..n {
        let w = &w[row * n..][..n];
        let sum = |column: usize, factor: &dyn Fn(f64) -> f64| {
            let parts = w.iter().zip(&scales).zip(&eigen.vectors);
            narrowed(parts.map(|((w, scale), vector)| w * factor(*scale) * vector[column]).sum())
        };
        for column in 0..d {
            encoder.row_mut(row)[column] = sum(column, &|scale| 1.0 / scale);
            decoder.row_mut(row)[column] = sum(column, &|scale| scale);
        }
    }
    let center = mean.iter().map(|value| narrowed(*value)).collect();
    Ok(IndependentComponents { center, encoder, decoder, n_iterations, converged })
}

/// Whitened rows, in blocks.
fn whitened(x: &Matrix, mean: &[f64], whitening: &Matrix) -> Result<Vec<Matrix>> {
    let mut blocks = Vec::new();
    for first in (0..x.n_rows()).step_by(BLOCK) {
        let rows: Vec<usize> = (first..x.n_rows().min(first + BLOCK)).collect();
        let mut centered = x.select(&rows);
        for row in centered.values_mut().chunks_exact_mut(mean.len()) {
            row.iter_mut().zip(mean).for_each(|(x, mean)| *x = narrowed(f64::from(*x) - mean));
        }
        blocks.push(product_transposed(&centered, whitening)?);
    }
    Ok(blocks)
}

/// E[z·tanh(w·z)] − E[1 − tanh²(w·z)]·w for all w.
fn step(white: &[Matrix], w: &[f64], n: usize) -> Result<Vec<f64>> {
    let rows = Matrix::from_rows(n, n, w.iter().map(|value| narrowed(*value)).collect())?;
    let mut products = vec![0.0; n * n];
    let mut slopes = vec![0.0; n];
    let mut n_rows = 0;
    for block in white {
        n_rows += block.n_rows();
        let mut bent = product_transposed(block, &rows)?;
        let chunks = bent.values_mut().par_chunks_mut(64 * n);
        chunks.for_each(|values| {
            for value in values {
                *value = libm::tanhf(*value);
            }
        });
        for row in bent.rows() {
            for (slope, value) in slopes.iter_mut().zip(row) {
                *slope += 1.0 - f64::from(*value) * f64::from(*value);
            }
        }
        let of_block = transposed_product(&bent, block)?;
        products.iter_mut().zip(of_block.values()).for_each(|(sum, part)| *sum += f64::from(*part));
    }
    let n_rows = n_rows as f64;
    for (row, slope) in slopes.iter().enumerate() {
        for column in 0..n {
            let at = row * n + column;
            products[at] = (products[at] - slope * w[at]) / n_rows;
        }
    }
    Ok(products)
}

/// (W·Wᵀ)^(−½)·W.
fn orthonormal(w: &[f64], n: usize) -> Result<Vec<f64>> {
    let row = |at: usize| &w[at * n..][..n];
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let squares: Vec<f64> = (0..n)
        .into_par_iter()
        .flat_map_iter(|a| (0..n).map(move |b| dot(row(a.max(b)), row(a.min(b)))))
        .collect();
    let eigen = symmetric_eigen(&squares)?;
    // Rows of Σ λ^(−½)·u·uᵀ·W.
    let turned: Vec<Vec<f64>> = eigen
        .vectors
        .par_iter()
        .map(|u| {
            let mut sum = vec![0.0; n];
            for (factor, from) in u.iter().zip(w.chunks_exact(n)) {
                sum.iter_mut().zip(from).for_each(|(sum, w)| *sum += factor * w);
            }
            sum
        })
        .collect();
    let rows: Vec<Vec<f64>> = (0..n)
        .into_par_iter()
        .map(|at| {
            let mut sum = vec![0.0; n];
            for ((value, u), turned) in eigen.values.iter().zip(&eigen.vectors).zip(&turned) {
                let factor = u[at] / value.max(f64::MIN_POSITIVE).sqrt();
                sum.iter_mut().zip(turned).for_each(|(sum, w)| *sum += factor * w);
            }
            sum
        })
        .collect();
    Ok(rows.concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fidelity, cosines, mcc_ica};
    use seed::Seed;

    const CONFIG: IcaConfig = IcaConfig { n_components: 4, max_iterations: 200, tolerance: 1e-7 };

    /// Two uniform sources, and two with long tails, along oblique directions in six dimensions.
    fn mixed() -> (Matrix, Matrix) {
        let mut rng = Seed::new(9).stream("ica", "mixed");
        let directions: Vec<f32> = (0..4 * 6).map(|_| narrowed(rng.normal())).collect();
        let directions = Matrix::from_rows(4, 6, directions).unwrap();
        let n = 6000;
        let draw = |at: usize| {
            let (flat, tail) = (rng.uniform() - 0.5, -libm::log(1.0 - rng.uniform()));
            narrowed(if at % 4 < 2 { flat } else { tail * flat.signum() })
        };
        let sources: Vec<f32> = (0..n * 4).map(draw).collect();
        let sources = Matrix::from_rows(n, 4, sources).unwrap();
        let mut x = kernels::product(&sources, &directions).unwrap();
        x.values_mut().iter_mut().for_each(|value| *value += 3.0);
        (x, directions)
    }

    #[test]
    fn independent_sources_are_found() {
        let (x, directions) = mixed();
        let found =
            independent_components(&x, &CONFIG, &mut Seed::new(0).stream("ica", "w")).unwrap();
        assert!(found.converged);
        let mcc = mcc_ica(&cosines(&directions, &found.decoder).unwrap()).unwrap().value;
        assert!(mcc > 0.99, "{mcc}");
        // Principal components are orthogonal, which the directions are not.
        let principal = crate::principal_components(&x, 4).unwrap().directions;
        let other = mcc_ica(&cosines(&directions, &principal).unwrap()).unwrap().value;
        assert!(other < 0.95, "{other}");
        // All components together are all of the variance.
        let mut fidelity = Fidelity::new(6, 8).unwrap();
        fidelity.add_reconstructed(&found.dictionary(None).unwrap(), &x).unwrap();
        assert!(fidelity.report().unwrap().fvu.unwrap() < 1e-9);
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let (x, _) = mixed();
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut rng = Seed::new(0).stream("ica", "w");
            pool.install(|| independent_components(&x, &CONFIG, &mut rng).unwrap())
        };
        assert_eq!(of(1), of(3));
    }

    #[test]
    fn more_components_than_directions_are_refused() {
        let (x, _) = mixed();
        let mut rng = Seed::new(0).stream("ica", "w");
        // Four sources in six dimensions; rounding to 32 bits is no direction.
        for n_components in [0, 5, 7] {
            assert!(
                independent_components(&x, &IcaConfig { n_components, ..CONFIG }, &mut rng)
                    .is_err()
            );
        }
        let few = IcaConfig { max_iterations: 1, ..CONFIG };
        assert!(!independent_components(&x, &few, &mut rng).unwrap().converged);
        let constant = Matrix::zeros(5, 2);
        assert!(
            independent_components(&constant, &IcaConfig { n_components: 1, ..CONFIG }, &mut rng)
                .is_err()
        );
    }
}
