//! How much latents contribute to what a model says: by gradient, and by switching them off.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};

use crate::error::{InterpError, Result, finite, finite_list, narrowed};

/// For each active latent, in the order of [`Codes::values`], its attribution: A = z·(d·∇), to first order what switching
/// it off takes away.
///
/// # Shapes
/// `decoder` `[latent, d]`, `gradient` `[row, d]`: of the quantity in question with respect to the activations, in units of the
/// decoder; for a dictionary that scales activations by a number take [`Dictionary::unscaled`](sae::Dictionary::unscaled).
///
/// # Errors
/// [`InterpError::Sizes`], [`InterpError::NotFinite`].
///
/// # Source
/// Paper C, attribution: a·d·∇(logit − logit of a baseline).
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 2.0), (1, 0.5)]])?;
/// let gradient = Matrix::from_rows(1, 2, vec![3.0, -4.0])?;
/// assert_eq!(interp::attributions(&codes, &Matrix::identity(2), &gradient)?, [6.0, -2.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn attributions(codes: &Codes, decoder: &Matrix, gradient: &Matrix) -> Result<Vec<f64>> {
    finite("the gradient", gradient)?;
    finite("the decoder", decoder)?;
    let products = codes.products(gradient, decoder)?;
    let pairs = codes.values().iter().zip(&products);
    Ok(pairs.map(|(value, product)| f64::from(*value) * f64::from(*product)).collect())
}

/// Sums over rows, by latent, of a number for each active latent.
///
/// # Shapes
/// `numbers` in the order of [`Codes::values`]; the result is `[latent]`.
///
/// # Errors
/// [`InterpError::Sizes`].
///
/// # Examples
///
/// ```
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0), (1, 1.0)], vec![(1, 1.0)]])?;
/// assert_eq!(interp::sums_by_latent(&codes, &[1.0, 2.0, 3.0])?, [1.0, 5.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn sums_by_latent(codes: &Codes, numbers: &[f64]) -> Result<Vec<f64>> {
    KernelError::check("numbers of active latents", codes.values().len(), numbers.len())?;
    let mut sums = vec![0.0; codes.n_latents()];
    for (latent, number) in codes.latents().iter().zip(numbers) {
        sums[*latent as usize] += number;
    }
    Ok(sums)
}

/// For each pair of row and latent what is lost when the latent is switched off there: effect(x) − effect(x′), where x′ is x
/// with z·d taken from that row. The error of the reconstruction stays, and no reconstruction is needed. 0 where the latent
/// is not active.
///
/// `effect` is what the model makes of activations: for instance it runs on from them and gives a difference of logits.
///
/// # Shapes
/// `x` `[row, d]`, `decoder` `[latent, d]`, in the same units; the result is in the order of `places`.
///
/// # Errors
/// [`InterpError::Sizes`] for sizes that do not fit, [`InterpError::NotFinite`] for an effect that is not finite, and those
/// of `effect`.
///
/// # Source
/// Paper C, ablations.
///
/// # Examples
///
/// The effect is a product, so that each factor is worth all of it:
///
/// ```
/// use interp::{InterpError, ablations};
/// use kernels::Matrix;
/// use kernels::dictionary::Codes;
///
/// let x = Matrix::from_rows(1, 2, vec![2.0, 5.0])?;
/// let codes = Codes::from_rows(2, &[vec![(0, 2.0), (1, 4.0)]])?;
/// let product = |x: &Matrix| Ok::<_, InterpError>(f64::from(x.row(0)[0] * x.row(0)[1]));
/// let found = ablations(&x, &codes, &Matrix::identity(2), &[(0, 0), (0, 1)], product)?;
/// assert_eq!(found, [10.0, 8.0]);
/// # Ok::<(), InterpError>(())
/// ```
pub fn ablations<E: From<InterpError>>(
    x: &Matrix,
    codes: &Codes,
    decoder: &Matrix,
    places: &[(usize, u32)],
    mut effect: impl FnMut(&Matrix) -> std::result::Result<f64, E>,
) -> std::result::Result<Vec<f64>, E> {
    check(x, codes, decoder, places)?;
    let mut of = |x: &Matrix| -> std::result::Result<f64, E> {
        let found = effect(x)?;
        finite_list("effects", &[found])?;
        Ok(found)
    };
    let clean = of(x)?;
    let mut changed = x.clone();
    let mut found = Vec::with_capacity(places.len());
    for (row, latent) in places {
        let (active, values) = codes.row(*row);
        found.push(match active.binary_search(latent) {
            Err(_) => 0.0,
            Ok(at) => {
                let value = f64::from(values[at]);
                let direction = decoder.row(*latent as usize);
                for (x, d) in changed.row_mut(*row).iter_mut().zip(direction) {
                    *x = narrowed(f64::from(*x) - value * f64::from(*d));
                }
                let without = of(&changed)?;
                changed.row_mut(*row).copy_from_slice(x.row(*row));
                clean - without
            }
        });
    }
    Ok(found)
}

fn check(x: &Matrix, codes: &Codes, decoder: &Matrix, places: &[(usize, u32)]) -> Result<()> {
    KernelError::check("rows of the activations", codes.n_rows(), x.n_rows())?;
    KernelError::check("rows of the decoder", codes.n_latents(), decoder.n_rows())?;
    KernelError::check("columns of the decoder", x.n_columns(), decoder.n_columns())?;
    for (row, latent) in places {
        let latent = *latent as usize;
        KernelError::check("rows", x.n_rows().max(row + 1), x.n_rows())?;
        KernelError::check("latents", codes.n_latents().max(latent + 1), codes.n_latents())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    /// Numbers with few bits, so that sums are exact.
    fn draw(n: usize, d: usize, purpose: &str) -> Matrix {
        let mut rng = Seed::new(12).stream("attribution", purpose);
        let values = (0..n * d).map(|_| rng.below(17) as f32 / 4.0 - 2.0).collect();
        Matrix::from_rows(n, d, values).unwrap()
    }

    fn codes(n: usize, n_latents: u32) -> Codes {
        let row = |row: u32| {
            let active = (0..n_latents).filter(|latent| !(row + latent).is_multiple_of(3));
            active.map(|latent| (latent, (1 + (row + 2 * latent) % 5) as f32 / 2.0)).collect()
        };
        let rows: Vec<Vec<(u32, f32)>> = (0..u32::try_from(n).unwrap()).map(row).collect();
        Codes::from_rows(n_latents as usize, &rows).unwrap()
    }

    /// Where what comes after is linear, attribution is ablation.
    #[test]
    fn of_a_linear_effect_attribution_is_ablation() {
        let (x, decoder, weights) = (draw(4, 6, "x"), draw(5, 6, "decoder"), draw(4, 6, "weights"));
        let codes = codes(4, 5);
        let by_gradient = attributions(&codes, &decoder, &weights).unwrap();
        let linear = |x: &Matrix| {
            let products = x.values().iter().zip(weights.values());
            Ok::<_, InterpError>(products.map(|(x, w)| f64::from(x * w)).sum())
        };
        let places: Vec<(usize, u32)> = (0..4)
            .flat_map(|row| codes.row(row).0.iter().map(move |latent| (row, *latent)))
            .collect();
        assert_eq!(ablations(&x, &codes, &decoder, &places, linear).unwrap(), by_gradient);
        assert!(by_gradient.len() > 10 && by_gradient.iter().any(|a| *a != 0.0));
        let silent = (0..5).find(|latent| !codes.row(0).0.contains(latent)).unwrap();
        assert_eq!(ablations(&x, &codes, &decoder, &[(0, silent)], linear).unwrap(), [0.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let (x, decoder) = (draw(4, 6, "x"), draw(5, 6, "decoder"));
        let codes = codes(4, 5);
        let zero = |_: &Matrix| Ok::<_, InterpError>(0.0);
        assert!(ablations(&x, &codes, &decoder, &[(4, 0)], zero).is_err());
        assert!(ablations(&x, &codes, &decoder, &[(0, 5)], zero).is_err());
        assert!(ablations(&x, &codes, &draw(5, 7, "wide"), &[], zero).is_err());
        let nan = |_: &Matrix| Ok::<_, InterpError>(f64::NAN);
        assert!(ablations(&x, &codes, &decoder, &[(0, 1)], nan).is_err());
        assert!(attributions(&codes, &decoder, &draw(3, 6, "few")).is_err());
        assert!(sums_by_latent(&codes, &[1.0]).is_err());
    }
}
