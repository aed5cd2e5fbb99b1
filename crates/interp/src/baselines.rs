//! Directions that no dictionary was trained for, as dictionaries: what a metric has to be compared with.
//!
//! Raw axes are [`Matrix::identity`]; others are made here. As a [`Dictionary`] they go through every metric unchanged.

use geometry::symmetric_eigen;
use kernels::{KernelError, Matrix};
use sae::{Activation, Dictionary, Parts, Scaling};
use seed::Rng;

use crate::error::{Result, narrowed, some, within};
use crate::moments::covariance;

/// Directions as latents: z = max(0, e·(x − c)), x̂ = c + Σ z·d, with a row e of the encoder and d of the decoder for each.
///
/// # Shapes
/// `encoder`, `decoder` `[latent, d]`, `center` `[d]`.
///
/// # Errors
/// [`InterpError::Dictionary`](crate::InterpError::Dictionary) for shapes that do not fit, numbers that are not finite, and
/// k beyond the latents.
///
/// # Examples
///
/// ```
/// use interp::one_sided;
/// use kernels::Matrix;
///
/// let axes = one_sided(&Matrix::identity(2), &Matrix::identity(2), &[1.0, 0.0], None)?;
/// let x = Matrix::from_rows(1, 2, vec![3.0, -1.0])?;
/// assert_eq!(axes.encode(&x)?.row(0), (&[0][..], &[2.0][..]));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn one_sided(
    encoder: &Matrix,
    decoder: &Matrix,
    center: &[f32],
    k: Option<usize>,
) -> Result<Dictionary> {
    Ok(Dictionary::new(Parts {
        encoder_bias: vec![0.0; encoder.n_rows()],
        encoder: encoder.clone(),
        decoder: decoder.clone(),
        decoder_bias: center.to_vec(),
        activation: k.map_or(Activation::Relu, |k| Activation::TopK { k }),
        centers: true,
        skip: None,
        scaling: Scaling::None,
    })?)
}

/// Directions and their opposites as latents, 2i for direction i and 2i + 1 for its opposite: at most one of the two is active. With
/// `k` only the k largest are.
///
/// # Shapes
/// `encoder`, `decoder` `[direction, d]`, `center` `[d]`.
///
/// # Errors
/// As [`one_sided`].
///
/// # Examples
///
/// All of an orthonormal basis reconstructs everything:
///
/// ```
/// use interp::two_sided;
/// use kernels::Matrix;
///
/// let basis = Matrix::identity(2);
/// let x = Matrix::from_rows(1, 2, vec![3.0, -1.0])?;
/// let all = two_sided(&basis, &basis, &[0.5, 0.0], None)?;
/// assert_eq!(all.encode(&x)?.row(0), (&[0, 3][..], &[2.5, 1.0][..]));
/// assert_eq!(all.reconstruct(&x)?, x);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn two_sided(
    encoder: &Matrix,
    decoder: &Matrix,
    center: &[f32],
    k: Option<usize>,
) -> Result<Dictionary> {
    one_sided(&with_opposites(encoder), &with_opposites(decoder), center, k)
}

fn with_opposites(rows: &Matrix) -> Matrix {
    let twice: Vec<usize> = (0..rows.n_rows()).flat_map(|row| [row, row]).collect();
    let mut both = rows.select(&twice);
    for row in (1..both.n_rows()).step_by(2) {
        both.row_mut(row).iter_mut().for_each(|value| *value = -*value);
    }
    both
}

/// Directions uniform on the sphere, of length 1.
///
/// # Shapes
/// The result is `[n, width]`.
///
/// # Randomness
/// n·width normal numbers from `rng`.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) if either is 0.
///
/// # Examples
///
/// In one dimension there are two:
///
/// ```
/// let mut rng = seed::Seed::new(0).stream("doc", "random directions");
/// let directions = interp::random_directions(9, 1, &mut rng)?;
/// assert!(directions.values().iter().all(|value| value.abs() == 1.0));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn random_directions(n: usize, width: usize, rng: &mut Rng) -> Result<Matrix> {
    some("random directions", n)?;
    some("columns of random directions", width)?;
    let values = (0..n * width).map(|_| narrowed(rng.normal())).collect();
    let mut directions = Matrix::from_rows(n, width, values)?;
    directions.normalize_rows();
    Ok(directions)
}

/// Principal components: the orthonormal directions of the largest variances.
#[derive(Clone, Debug, PartialEq)]
pub struct PrincipalComponents {
    /// The mean of the activations, `[d]`.
    pub center: Vec<f32>,
    /// A row for each component, `[component, d]`.
    pub directions: Matrix,
    /// The variance along each, from the largest down.
    pub variances: Vec<f64>,
    /// The variance in all directions.
    pub total_variance: f64,
}

impl PrincipalComponents {
    /// With both signs of each direction as latents.
    ///
    /// # Errors
    /// As [`two_sided`].
    pub fn dictionary(&self, k: Option<usize>) -> Result<Dictionary> {
        two_sided(&self.directions, &self.directions, &self.center, k)
    }
}

/// The `n` principal components of the rows.
///
/// # Shapes
/// `x` `[row, d]`.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without rows, [`InterpError::NotFinite`](crate::InterpError::NotFinite),
/// [`InterpError::Range`](crate::InterpError::Range) for none or more than d.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
///
/// let x = Matrix::from_rows(4, 2, vec![3.0, 0.0, -3.0, 0.0, 0.0, 1.0, 0.0, -1.0])?;
/// let found = interp::principal_components(&x, 1)?;
/// assert_eq!((found.variances, found.directions.values()), (vec![4.5], &[1.0, 0.0][..]));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn principal_components(x: &Matrix, n: usize) -> Result<PrincipalComponents> {
    let (mean, covariance) = covariance(x)?;
    within("principal components", n as f64, (1..=mean.len()).contains(&n), "[1, d]")?;
    let eigen = symmetric_eigen(&covariance)?;
    let directions = eigen.vectors.iter().take(n).flatten().map(|value| narrowed(*value));
    Ok(PrincipalComponents {
        center: mean.iter().map(|value| narrowed(*value)).collect(),
        directions: Matrix::from_rows(n, mean.len(), directions.collect())?,
        // Rounding may leave the least below 0.
        variances: eigen.values.iter().take(n).map(|value| value.max(0.0)).collect(),
        total_variance: (0..mean.len()).map(|at| covariance[at * mean.len() + at]).sum(),
    })
}

/// The mean of rows of one kind less that of the others.
///
/// # Shapes
/// `x` `[row, d]`, `positive` `[row]`; the result is `[d]`.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without rows of either kind,
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Source
/// The few-shot vectors of paper C.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
///
/// let x = Matrix::from_rows(3, 2, vec![1.0, 0.0, 3.0, 0.0, 0.0, 4.0])?;
/// assert_eq!(interp::difference_of_means(&x, &[true, true, false])?, [2.0, -4.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn difference_of_means(x: &Matrix, positive: &[bool]) -> Result<Vec<f64>> {
    KernelError::check("labels of the rows", x.n_rows(), positive.len())?;
    crate::error::finite("the activations", x)?;
    let mut sums = [vec![0.0; x.n_columns()], vec![0.0; x.n_columns()]];
    let mut n = [0_usize; 2];
    for (row, positive) in x.rows().zip(positive) {
        let kind = usize::from(*positive);
        n[kind] += 1;
        sums[kind].iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    some("rows without the concept", n[0])?;
    some("rows with the concept", n[1])?;
    let [without, with] = sums;
    let means = with.iter().zip(&without);
    Ok(means.map(|(with, without)| with / n[1] as f64 - without / n[0] as f64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fidelity, error::small};
    use seed::Seed;

    /// The fraction of variance that n components leave unexplained is that of the variances left out.
    #[test]
    fn principal_components_have_a_known_fidelity() {
        let mut rng = Seed::new(8).stream("baselines", "pca");
        let scales = [5.0, 3.0, 2.0, 1.0, 0.5];
        let values =
            (0..500).flat_map(|_| scales.map(|s| narrowed(10.0 + s * rng.normal()))).collect();
        let x = Matrix::from_rows(500, 5, values).unwrap();
        let all = principal_components(&x, 5).unwrap();
        for n in 1..=5 {
            let found = principal_components(&x, n).unwrap();
            let kept: f64 = all.variances[..n].iter().sum();
            let mut fidelity = Fidelity::new(5, 2 * n).unwrap();
            fidelity.add_reconstructed(&found.dictionary(None).unwrap(), &x).unwrap();
            let fvu = fidelity.report().unwrap().fvu.unwrap();
            assert!((fvu - (1.0 - kept / found.total_variance)).abs() < 1e-6, "{fvu}");
        }
        assert!(principal_components(&x, 0).is_err() && principal_components(&x, 6).is_err());
    }

    #[test]
    fn the_largest_components_alone_are_active() {
        let basis = Matrix::identity(3);
        let top = two_sided(&basis, &basis, &[0.0; 3], Some(1)).unwrap();
        let x = Matrix::from_rows(2, 3, vec![1.0, -5.0, 2.0, 0.5, 0.25, 0.0]).unwrap();
        let codes = top.encode(&x).unwrap();
        assert_eq!((codes.row(0), codes.row(1)), ((&[3][..], &[5.0][..]), (&[0][..], &[0.5][..])));
        assert!(two_sided(&basis, &basis, &[0.0; 3], Some(7)).is_err());
        assert!(two_sided(&basis, &basis, &[0.0; 2], None).is_err());
    }

    #[test]
    fn random_directions_have_unit_length() {
        let mut rng = Seed::new(8).stream("baselines", "random");
        let directions = random_directions(20, 30, &mut rng).unwrap();
        for row in directions.rows() {
            let square: f32 = row.iter().map(|value| value * value).sum();
            assert!((square - 1.0).abs() < 1e-5);
        }
        assert_eq!(small(directions.n_rows()), 20);
        assert!(random_directions(0, 3, &mut rng).is_err());
    }

    #[test]
    fn one_kind_alone_has_no_difference() {
        let x = Matrix::identity(2);
        assert!(difference_of_means(&x, &[true, true]).is_err());
        assert!(difference_of_means(&x, &[true]).is_err());
    }
}
