//! Directions and codes of one dictionary beside those of another.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix, product_transposed};
use rayon::prelude::*;
use sae::Dictionary;

use crate::assignment::assign;
use crate::error::{Result, active_values, finite, narrowed, small, some, within};
use crate::moments::Spread;

/// Latents that one task takes. Fixed, so that memory stays bounded.
const TASK_LATENTS: usize = 32;

/// The cosines of the rows of `a` with the rows of `b`; 0 for a row of zeros.
///
/// # Shapes
/// `a` `[n, d]`, `b` `[m, d]`; the result is `[n, m]`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for unlike widths, [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
///
/// let a = Matrix::from_rows(1, 2, vec![3.0, 4.0])?;
/// let b = Matrix::from_rows(2, 2, vec![2.0, 0.0, 0.0, 0.0])?;
/// let cosines = interp::cosines(&a, &b)?;
/// assert!((cosines.values()[0] - 0.6).abs() < 1e-6 && cosines.values()[1] == 0.0);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn cosines(a: &Matrix, b: &Matrix) -> Result<Matrix> {
    finite("the directions", a)?;
    finite("the directions", b)?;
    let (mut a, mut b) = (a.clone(), b.clone());
    a.normalize_rows();
    b.normalize_rows();
    let mut cosines = product_transposed(&a, &b)?;
    cosines.values_mut().iter_mut().for_each(|cosine| *cosine = cosine.clamp(-1.0, 1.0));
    Ok(cosines)
}

/// Pearson's correlations of the latents of `a` with those of `b` over the same rows, silent ones as 0; 0 for a latent
/// that has the same value in all rows.
///
/// # Shapes
/// The result is `[latent of a, latent of b]`.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for other rows, [`InterpError::Empty`](crate::InterpError::Empty)
/// without rows, [`InterpError::Range`](crate::InterpError::Range) for a value of an active latent that is not positive.
///
/// # Examples
///
/// ```
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0)], vec![(1, 5.0)]])?;
/// assert_eq!(interp::correlations(&codes, &codes)?.values(), [1.0, -1.0, -1.0, 1.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn correlations(a: &Codes, b: &Codes) -> Result<Matrix> {
    some("rows of the codes", a.n_rows())?;
    KernelError::check("rows of the codes", a.n_rows(), b.n_rows())?;
    active_values(a)?;
    active_values(b)?;
    let n = a.n_rows() as u64;
    let of_a = a.by_latent();
    let [spreads_a, spreads_b] = [a, b].map(|codes| spreads(codes, n));
    let mut found = Matrix::zeros(a.n_latents(), b.n_latents());
    let width = b.n_latents().max(1);
    let tasks = found.values_mut().par_chunks_mut(TASK_LATENTS * width).enumerate();
    tasks.for_each(|(task, rows)| {
        let mut products = vec![0.0; width];
        for (at, row) in rows.chunks_exact_mut(width).enumerate() {
            let latent = task * TASK_LATENTS + at;
            products.fill(0.0);
            for (place, at) in of_a.latent(latent) {
                let value = f64::from(a.values()[*at as usize]);
                let (latents, values) = b.row(*place as usize);
                for (latent, other) in latents.iter().zip(values) {
                    products[*latent as usize] += value * f64::from(*other);
                }
            }
            for ((to, products), spread) in row.iter_mut().zip(&products).zip(&spreads_b) {
                let found = spreads_a[latent].correlation(*products, spread);
                *to = narrowed(found.unwrap_or(0.0));
            }
        }
    });
    Ok(found)
}

fn spreads(codes: &Codes, n: u64) -> Vec<Spread> {
    let by_latent = codes.by_latent();
    let values =
        |latent| by_latent.latent(latent).iter().map(|(_, at)| codes.values()[*at as usize]);
    (0..codes.n_latents()).map(|latent| Spread::of(values(latent), n)).collect()
}

/// Which latent stands for each factor, and how well.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanCorrelation {
    /// The mean of |similarity| over all factors; one without a latent counts as 0.
    pub value: f64,
    /// The latent of each factor with their similarity, sign and all.
    pub partners: Vec<Option<(u32, f32)>>,
}

/// The mean correlation coefficient: the mean of |similarity| of factors and latents under the assignment with the
/// largest sum of it, each latent for one factor.
///
/// In papers on independent components this is "MCC"; the other is [`Confusion::phi`](crate::Confusion::phi).
///
/// # Shapes
/// `similarity` `[factor, latent]`, of [`cosines`] or of [`correlations`].
///
/// # Errors
/// As [`assign`].
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
///
/// let similarity = Matrix::from_rows(2, 2, vec![0.25, -1.0, 0.5, 0.9])?;
/// let found = interp::mcc_ica(&similarity)?;
/// assert_eq!((found.value, found.partners[0]), (0.75, Some((1, -1.0))));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn mcc_ica(similarity: &Matrix) -> Result<MeanCorrelation> {
    let mut sizes = similarity.clone();
    sizes.values_mut().iter_mut().for_each(|value| *value = value.abs());
    let found = assign(&sizes)?;
    let partner = |(row, latent): (usize, &Option<u32>)| {
        latent.map(|latent| (latent, similarity.row(row)[latent as usize]))
    };
    Ok(MeanCorrelation {
        value: found.total / similarity.n_rows() as f64,
        partners: found.of_row.iter().enumerate().map(partner).collect(),
    })
}

/// Which latents two trainings share.
#[derive(Clone, Debug, PartialEq)]
pub struct Stability {
    /// For each latent of the first dictionary its partner by decoder, with the cosine of both.
    pub by_decoder: Vec<Option<(u32, f32)>>,
    /// The same by encoder.
    pub by_encoder: Vec<Option<(u32, f32)>>,
    /// Latents of the first that have the same partner by both, at cosines above the threshold; each with its partner.
    pub shared: Vec<(u32, u32)>,
    /// Shared latents as a share of those of the smaller dictionary.
    pub share: f64,
    /// The share with a partner above the threshold by decoder alone.
    pub decoder_share: f64,
    /// The share with a partner above the threshold by encoder alone.
    pub encoder_share: f64,
}

/// The latents that two dictionaries of one model share: the best assignment by cosines of decoders and the one by cosines
/// of encoders name the same partner, and both cosines are above `threshold`.
///
/// # Cost
/// Two assignments, see [`assign`], and 8 bytes for each pair of latents.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for dictionaries of unlike widths,
/// [`InterpError::Range`](crate::InterpError::Range) for a threshold outside of [−1, 1].
///
/// # Source
/// After arXiv 2501.16615; 0.7 is the usual threshold.
///
/// # Examples
///
/// A dictionary and itself in another order:
///
/// ```
/// use interp::{one_sided, stability};
/// use kernels::Matrix;
///
/// let rows = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, -0.6, -0.8])?;
/// let a = one_sided(&rows, &rows, &[0.0; 2], None)?;
/// let turned = rows.select(&[2, 0, 1]);
/// let b = one_sided(&turned, &turned, &[0.0; 2], None)?;
/// let found = stability(&a, &b, 0.7)?;
/// assert_eq!((found.share, found.shared), (1.0, vec![(0, 1), (1, 2), (2, 0)]));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn stability(a: &Dictionary, b: &Dictionary, threshold: f64) -> Result<Stability> {
    within("the threshold of cosines", threshold, (-1.0..=1.0).contains(&threshold), "[-1, 1]")?;
    let partners = |a: &Matrix, b: &Matrix| -> Result<Vec<Option<(u32, f32)>>> {
        let cosines = cosines(a, b)?;
        let found = assign(&cosines)?.of_row.into_iter().enumerate();
        Ok(found
            .map(|(row, column)| column.map(|column| (column, cosines.row(row)[column as usize])))
            .collect())
    };
    let by_decoder = partners(a.decoder(), b.decoder())?;
    let by_encoder = partners(a.encoder(), b.encoder())?;
    let is_above = |cosine: f32| f64::from(cosine) > threshold;
    let shared: Vec<(u32, u32)> = by_decoder
        .iter()
        .zip(&by_encoder)
        .enumerate()
        .filter_map(|(latent, (decoder, encoder))| {
            let ((partner, decoder), (other, encoder)) = ((*decoder)?, (*encoder)?);
            (partner == other && is_above(decoder) && is_above(encoder))
                .then_some((small(latent), partner))
        })
        .collect();
    let n = a.n_latents().min(b.n_latents()) as f64;
    let share = |partners: &[Option<(u32, f32)>]| {
        let above = partners.iter().flatten().filter(|(_, cosine)| is_above(*cosine));
        above.count() as f64 / n
    };
    Ok(Stability {
        share: shared.len() as f64 / n,
        decoder_share: share(&by_decoder),
        encoder_share: share(&by_encoder),
        by_decoder,
        by_encoder,
        shared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::{one_sided, random_directions};
    use seed::Seed;

    #[test]
    fn correlations_are_those_with_zeros_in_place() {
        let a = Codes::from_rows(
            2,
            &[vec![(0, 1.0)], vec![(0, 3.0), (1, 2.0)], vec![], vec![(1, 2.0)]],
        );
        let b = Codes::from_rows(
            2,
            &[vec![(1, 7.0)], vec![(0, 4.0), (1, 7.0)], vec![(1, 7.0)], vec![(1, 7.0)]],
        );
        let found = correlations(&a.unwrap(), &b.unwrap()).unwrap();
        // (1, 3, 0, 0) with (0, 4, 0, 0): 8 / √(6·12); (0, 2, 0, 2) with it: 4 / √(4·12); the other is constant.
        let expected = [8.0 / 72.0_f32.sqrt(), 0.0, 4.0 / 48.0_f32.sqrt(), 0.0];
        for (found, expected) in found.values().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} and {expected}");
        }
    }

    #[test]
    fn fewer_latents_than_factors_count_as_zero() {
        let similarity = Matrix::from_rows(3, 1, vec![0.5, -1.0, 0.25]).unwrap();
        let found = mcc_ica(&similarity).unwrap();
        assert!((found.value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(found.partners, [None, Some((0, -1.0)), None]);
    }

    /// The encoder of the second dictionary names other partners for two latents, and one is turned around.
    #[test]
    fn shared_latents_have_the_same_partner_twice() {
        let axes = Matrix::identity(4);
        let a = one_sided(&axes, &axes, &[0.0; 4], None).unwrap();
        let mut decoder = axes.clone();
        decoder.row_mut(3)[3] = -1.0;
        let b = one_sided(&axes.select(&[1, 0, 2, 3]), &decoder, &[0.0; 4], None).unwrap();
        let found = stability(&a, &b, 0.7).unwrap();
        assert_eq!(found.shared, [(2, 2)]);
        assert_eq!((found.share, found.decoder_share, found.encoder_share), (0.25, 0.75, 1.0));
        assert!(stability(&a, &b, 1.5).is_err());
    }

    #[test]
    fn random_dictionaries_share_nothing() {
        let draw = |purpose: &str| {
            let mut rng = Seed::new(0).stream("matching", purpose);
            let rows = random_directions(40, 64, &mut rng).unwrap();
            one_sided(&rows, &rows, &[0.0; 64], None).unwrap()
        };
        assert_eq!(stability(&draw("a"), &draw("b"), 0.7).unwrap().share, 0.0);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let codes = |n: usize| Codes::from_rows(1, &vec![vec![(0, 1.0)]; n]).unwrap();
        assert!(correlations(&codes(1), &codes(2)).is_err());
        assert!(correlations(&codes(0), &codes(0)).is_err());
        assert!(cosines(&Matrix::identity(2), &Matrix::identity(3)).is_err());
        assert!(
            cosines(&Matrix::from_rows(1, 1, vec![f32::NAN]).unwrap(), &Matrix::identity(1))
                .is_err()
        );
    }
}
