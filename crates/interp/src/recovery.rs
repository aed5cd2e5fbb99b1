//! How much of a known dictionary another one has found.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};

use crate::confusion::Confusion;
use crate::error::{Result, active_values, small, some};
use crate::matching::{cosines, mcc_ica};

/// What a dictionary has of the true features.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovery {
    /// For each true feature the latent of the largest cosine, of equal ones the first, and that cosine. Several features
    /// may have the same latent.
    pub best: Vec<(u32, f32)>,
    /// For each latent the true feature of the largest cosine, and that cosine.
    pub best_feature: Vec<(u32, f32)>,
    /// For each true feature its own latent under the assignment of [`mcc_ica`], and their cosine.
    pub partners: Vec<Option<(u32, f32)>>,
    /// The mean |cosine| of features with their own latents.
    pub mcc: f64,
    /// The mean over features of the largest cosine.
    pub mean_best: f64,
}

impl Recovery {
    /// The share of true features with a latent at a cosine of at least `tau`.
    pub fn matched(&self, tau: f64) -> f64 {
        share(&self.best, tau)
    }

    /// The share of latents with a true feature at a cosine of at least `tau`.
    pub fn true_latents(&self, tau: f64) -> f64 {
        share(&self.best_feature, tau)
    }

    /// The share of true features whose own latent lies at a cosine of at least `tau`: no latent counts twice.
    pub fn matched_once(&self, tau: f64) -> f64 {
        let partners = self.partners.iter().flatten();
        let matched = partners.filter(|(_, cosine)| f64::from(*cosine) >= tau).count();
        matched as f64 / self.partners.len() as f64
    }
}

fn share(best: &[(u32, f32)], tau: f64) -> f64 {
    best.iter().filter(|(_, cosine)| f64::from(*cosine) >= tau).count() as f64 / best.len() as f64
}

/// Compares directions with the true ones, by cosine. A latent that points away from a feature does not match it, but
/// counts in [`Recovery::mcc`], which takes absolute values.
///
/// # Shapes
/// `features` `[feature, d]`, `decoder` `[latent, d]`, of any lengths.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without features or latents,
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Source
/// Paper C's calibration on a toy, after `SynthSAEBench` (arXiv 2602.14687).
///
/// # Examples
///
/// One of two features is found, at another length:
///
/// ```
/// use kernels::Matrix;
///
/// let features = Matrix::identity(2);
/// let decoder = Matrix::from_rows(3, 2, vec![2.0, 0.0, 0.0, -1.0, 3.0, -3.0])?;
/// let found = interp::recover(&features, &decoder)?;
/// assert_eq!((found.matched(0.9), found.true_latents(0.9)), (0.5, 1.0 / 3.0));
/// assert_eq!((found.mcc, found.partners[1]), (1.0, Some((1, -1.0))));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn recover(features: &Matrix, decoder: &Matrix) -> Result<Recovery> {
    some("true features", features.n_rows())?;
    some("latents", decoder.n_rows())?;
    let cosines = cosines(features, decoder)?;
    let best = best_of_rows(&cosines);
    let found = mcc_ica(&cosines)?;
    let sum: f64 = best.iter().map(|(_, cosine)| f64::from(*cosine)).sum();
    Ok(Recovery {
        mean_best: sum / best.len() as f64,
        best,
        best_feature: best_of_rows(&cosines.transposed()),
        partners: found.partners,
        mcc: found.value,
    })
}

fn best_of_rows(cosines: &Matrix) -> Vec<(u32, f32)> {
    let best = |row: &[f32]| {
        let better = |best: usize, at: usize| if row[at] > row[best] { at } else { best };
        let at = (1..row.len()).fold(0, better);
        (small(at), row[at])
    };
    cosines.rows().map(best).collect()
}

/// For each true feature with a latent how the latent's firing, z > 0, predicts the feature's.
///
/// # Shapes
/// `truth` and `found` are codes of the same rows; `latents` names a latent or none for each true feature, for instance
/// those of [`Recovery::partners`].
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without rows, [`InterpError::Sizes`](crate::InterpError::Sizes) for
/// other rows or a latent that does not exist, [`InterpError::Range`](crate::InterpError::Range) for a value of an active
/// latent that is not positive.
///
/// # Examples
///
/// ```
/// use kernels::dictionary::Codes;
///
/// let truth = Codes::from_rows(1, &[vec![(0, 1.0)], vec![(0, 1.0)], vec![]])?;
/// let found = Codes::from_rows(2, &[vec![(1, 0.3)], vec![], vec![]])?;
/// let firing = interp::firing(&truth, &found, &[Some(1)])?;
/// let counts = firing[0].unwrap();
/// assert_eq!((counts.precision(), counts.recall()), (Some(1.0), Some(0.5)));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn firing(
    truth: &Codes,
    found: &Codes,
    latents: &[Option<u32>],
) -> Result<Vec<Option<Confusion>>> {
    some("rows of the codes", truth.n_rows())?;
    KernelError::check("rows of the codes", truth.n_rows(), found.n_rows())?;
    KernelError::check("latents of true features", truth.n_latents(), latents.len())?;
    active_values(truth)?;
    active_values(found)?;
    let (of_truth, of_found) = (truth.by_latent(), found.by_latent());
    let n = truth.n_rows() as u64;
    latents
        .iter()
        .enumerate()
        .map(|(feature, latent)| {
            let Some(latent) = *latent else { return Ok(None) };
            let latent = latent as usize;
            KernelError::check(
                "latents of the codes",
                found.n_latents().max(latent + 1),
                found.n_latents(),
            )?;
            let (positive, predicted) = (of_truth.latent(feature), of_found.latent(latent));
            let is_predicted =
                |row: u32| predicted.binary_search_by_key(&row, |(row, _)| *row).is_ok();
            Ok(Some(Confusion {
                both: positive.iter().filter(|(row, _)| is_predicted(*row)).count() as u64,
                predicted: predicted.len() as u64,
                positive: positive.len() as u64,
                n,
            }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::toy::{Sample, ToyConfig, ToyModel};

    /// The true dictionary in another order, at other lengths, is found whole, and so is its firing.
    #[test]
    fn the_truth_recovers_itself() {
        let toy = ToyModel::new(&ToyConfig::synth_sae_mini(3)).unwrap();
        let rows = toy.dictionary().rows().to_vec();
        let n = toy.dictionary().n_features();
        let features = Matrix::from_rows(n, 128, rows).unwrap();
        let order: Vec<usize> = (0..n).map(|at| at * 5 % n).collect();
        let mut decoder = features.select(&order);
        decoder.values_mut().iter_mut().for_each(|value| *value *= 3.0);
        let found = recover(&features, &decoder).unwrap();
        assert!(found.mcc > 1.0 - 1e-6 && found.mean_best > 1.0 - 1e-6);
        assert_eq!(
            (found.matched(0.999), found.matched_once(0.999), found.true_latents(0.999)),
            (1.0, 1.0, 1.0)
        );
        let latents: Vec<_> =
            found.partners.iter().map(|partner| partner.map(|(latent, _)| latent)).collect();
        let mut sample = Sample::default();
        let (mut truth, mut codes) = (Vec::new(), Vec::new());
        for index in 0..40 {
            toy.write(index, &mut sample);
            truth.push(sample.acts.clone());
            let mut row: Vec<(u32, f32)> =
                sample.acts.iter().map(|(f, act)| (latents[*f as usize].unwrap(), *act)).collect();
            row.sort_by_key(|(latent, _)| *latent);
            codes.push(row);
        }
        let truth = Codes::from_rows(n, &truth).unwrap();
        let codes = Codes::from_rows(n, &codes).unwrap();
        let firing = firing(&truth, &codes, &latents).unwrap();
        let f1: Vec<f64> = firing.iter().filter_map(|counts| counts.unwrap().f1()).collect();
        assert!(f1.len() > 100 && f1.iter().all(|f1| *f1 == 1.0));
    }

    /// One latent stands between two orthogonal features: it is the best of both, at a cosine of √½, and of one its own.
    #[test]
    fn a_shared_latent_counts_once_under_the_assignment() {
        let found =
            recover(&Matrix::identity(2), &Matrix::from_rows(1, 2, vec![1.0, 1.0]).unwrap())
                .unwrap();
        assert_eq!(
            (found.matched(0.7), found.matched_once(0.7), found.true_latents(0.7)),
            (1.0, 0.5, 1.0)
        );
        assert!((found.mcc - 0.5_f64.sqrt() / 2.0).abs() < 1e-7);
        assert_eq!(found.matched(0.9), 0.0);
        // What points away is no match, and counts in the mean of absolute values.
        let away =
            recover(&Matrix::identity(1), &Matrix::from_rows(1, 1, vec![-2.0]).unwrap()).unwrap();
        assert_eq!((away.mcc, away.matched(0.9), away.matched_once(0.9)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(recover(&Matrix::zeros(0, 2), &Matrix::identity(2)).is_err());
        assert!(recover(&Matrix::identity(3), &Matrix::identity(2)).is_err());
        let codes = |n: usize| Codes::from_rows(1, &vec![vec![(0, 1.0)]; n]).unwrap();
        assert!(firing(&codes(2), &codes(3), &[None]).is_err());
        assert!(firing(&codes(2), &codes(2), &[Some(1)]).is_err());
        assert!(firing(&codes(2), &codes(2), &[]).is_err());
        assert_eq!(firing(&codes(2), &codes(2), &[None]).unwrap(), [None]);
    }
}
