//! What few latents tell of a concept.

use std::collections::BTreeMap;

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};

use crate::error::{Result, active_values, narrowed, small, some, within};
use crate::logistic::{Logistic, ProbeScores};

/// A logistic probe on few latents.
///
/// # Source
/// k-sparse probing of `SAEBench`, k of 1, 2 and 5.
///
/// # Examples
///
/// Latent 1 is the concept:
///
/// ```
/// use interp::SparseProbe;
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0), (1, 3.0)], vec![(0, 2.0)], vec![(1, 2.0)], vec![]])?;
/// let positive = [true, false, true, false];
/// let probe = SparseProbe::fit(&codes, &positive, 1, 1e-3)?;
/// assert_eq!(probe.latents, [1]);
/// assert_eq!(probe.scores(&codes, &positive)?.auroc, Some(1.0));
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SparseProbe {
    /// The latents, the one that differs most first.
    pub latents: Vec<u32>,
    /// The probe on their values, in this order.
    pub probe: Logistic,
}

impl SparseProbe {
    /// On the k latents whose means over rows with and without the concept differ most.
    ///
    /// # Errors
    /// As [`largest_differences`] and [`Logistic::fit`].
    pub fn fit(codes: &Codes, positive: &[bool], k: usize, l2: f64) -> Result<Self> {
        let latents = largest_differences(codes, positive, k)?;
        let probe = Logistic::fit(&columns(codes, &latents)?, positive, l2)?;
        Ok(Self { latents, probe })
    }

    /// How well it does on rows.
    ///
    /// # Errors
    /// [`InterpError::Sizes`](crate::InterpError::Sizes) for codes of a smaller dictionary, and as [`Logistic::scores`].
    pub fn scores(&self, codes: &Codes, positive: &[bool]) -> Result<ProbeScores> {
        self.probe.scores(&columns(codes, &self.latents)?, positive)
    }
}

/// The k latents with the largest |mean over rows with the concept − mean over the others|, the largest first; of equal
/// ones the first.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) unless each row has a label,
/// [`InterpError::Empty`](crate::InterpError::Empty) if all rows have the concept, or none,
/// [`InterpError::Range`](crate::InterpError::Range) for no latent or more than there are, and for a value of an active latent
/// that is not positive.
///
/// # Examples
///
/// Means of 1 and 3 with the concept, of 0.5 and 0 without:
///
/// ```
/// use interp::largest_differences;
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0), (1, 3.0)], vec![(0, 1.0)], vec![]])?;
/// assert_eq!(largest_differences(&codes, &[true, false, false], 2)?, [1, 0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn largest_differences(codes: &Codes, positive: &[bool], k: usize) -> Result<Vec<u32>> {
    KernelError::check("labels of the rows", codes.n_rows(), positive.len())?;
    let n = codes.n_latents();
    within("latents of a probe", k as f64, (1..=n).contains(&k), "[1, latents]")?;
    active_values(codes)?;
    let n_positive = positive.iter().filter(|is| **is).count();
    some("rows with the concept", n_positive)?;
    some("rows without the concept", positive.len() - n_positive)?;
    let mut sums = vec![[0.0_f64; 2]; n];
    for (row, is) in positive.iter().enumerate() {
        let (latents, values) = codes.row(row);
        for (latent, value) in latents.iter().zip(values) {
            sums[*latent as usize][usize::from(*is)] += f64::from(*value);
        }
    }
    let n_each = [(positive.len() - n_positive) as f64, n_positive as f64];
    let difference = |sums: &[f64; 2]| (sums[1] / n_each[1] - sums[0] / n_each[0]).abs();
    let mut order: Vec<(f64, u32)> = sums.iter().map(difference).zip(0..small(n)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Ok(order[..k].iter().map(|(_, latent)| *latent).collect())
}

/// Values of some latents in all rows, silent ones as 0.
///
/// # Shapes
/// The result is `[row, latent of latents]`.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for a latent that does not exist.
///
/// # Examples
///
/// ```
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(3, &[vec![(0, 1.0), (2, 3.0)], vec![(1, 2.0)]])?;
/// assert_eq!(interp::columns(&codes, &[2, 1])?.values(), [3.0, 0.0, 0.0, 2.0]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn columns(codes: &Codes, latents: &[u32]) -> Result<Matrix> {
    for latent in latents {
        let latent = *latent as usize;
        KernelError::check("latents", codes.n_latents().max(latent + 1), codes.n_latents())?;
    }
    let mut dense = Matrix::zeros(codes.n_rows(), latents.len());
    for row in 0..codes.n_rows() {
        let (active, values) = codes.row(row);
        for (to, latent) in dense.row_mut(row).iter_mut().zip(latents) {
            if let Ok(at) = active.binary_search(latent) {
                *to = values[at];
            }
        }
    }
    Ok(dense)
}

/// The mean of each latent over rows that follow each other, a row for each such sequence.
///
/// # Shapes
/// `lengths` are the numbers of rows of the sequences, in their order.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) unless lengths sum to the rows,
/// [`InterpError::Empty`](crate::InterpError::Empty) for a sequence without rows.
///
/// # Source
/// `SAEBench` probes the mean of a text's tokens.
///
/// # Examples
///
/// ```
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0)], vec![(0, 2.0), (1, 3.0)], vec![(1, 5.0)]])?;
/// let pooled = interp::mean_pooled(&codes, &[2, 1])?;
/// assert_eq!(pooled, Codes::from_rows(2, &[vec![(0, 1.5), (1, 1.5)], vec![(1, 5.0)]])?);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn mean_pooled(codes: &Codes, lengths: &[usize]) -> Result<Codes> {
    KernelError::check("rows of all sequences", codes.n_rows(), lengths.iter().sum())?;
    let mut first = 0;
    let mut pooled = Vec::with_capacity(lengths.len());
    for length in lengths {
        some("rows of a sequence", *length)?;
        let mut sums = BTreeMap::new();
        for row in first..first + length {
            let (latents, values) = codes.row(row);
            for (latent, value) in latents.iter().zip(values) {
                *sums.entry(*latent).or_insert(0.0) += f64::from(*value);
            }
        }
        let mean = |(latent, sum): (u32, f64)| (latent, narrowed(sum / *length as f64));
        pooled.push(sums.into_iter().map(mean).collect());
        first += length;
    }
    Ok(Codes::from_rows(codes.n_latents(), &pooled)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A concept that is split over two latents: one alone finds half of it, two find all.
    #[test]
    fn a_split_concept_takes_two_latents() {
        let kind = |row: u32| match row % 8 {
            0 | 1 => vec![(0, 4.0), (3, 1.0)],
            2 => vec![(1, 4.0), (3, 1.0)],
            3 => vec![(2, 1.0)],
            _ => vec![(3, 1.0)],
        };
        let rows: Vec<Vec<(u32, f32)>> = (0..80).map(kind).collect();
        let codes = Codes::from_rows(4, &rows).unwrap();
        let positive: Vec<bool> = (0..80).map(|row| row % 8 < 3).collect();
        let f1 = |k: usize| {
            let probe = SparseProbe::fit(&codes, &positive, k, 1e-4).unwrap();
            (probe.latents.clone(), probe.scores(&codes, &positive).unwrap().counts.f1().unwrap())
        };
        // Recall 2/3, precision 1.
        assert_eq!(f1(1), (vec![0], 0.8));
        assert_eq!(f1(2), (vec![0, 1], 1.0));
        assert_eq!(largest_differences(&codes, &positive, 4).unwrap(), [0, 1, 2, 3]);
        assert!(largest_differences(&codes, &positive, 5).is_err());
        assert!(largest_differences(&codes, &[true; 80], 1).is_err());
        assert!(SparseProbe::fit(&codes, &positive[1..], 1, 1e-4).is_err());
    }

    #[test]
    fn sequences_have_to_fit() {
        let codes = Codes::from_rows(1, &[vec![(0, 1.0)], vec![]]).unwrap();
        assert!(mean_pooled(&codes, &[1]).is_err());
        assert!(mean_pooled(&codes, &[2, 0]).is_err());
        assert_eq!(mean_pooled(&codes, &[2]).unwrap().values(), [0.5]);
    }

    /// A latent that is silent where the concept is tells as much as one that is active.
    #[test]
    fn a_difference_may_go_either_way() {
        let codes = Codes::from_rows(
            2,
            &[vec![(0, 1.0)], vec![(0, 1.5), (1, 9.0)], vec![(0, 1.0), (1, 9.0)]],
        );
        let codes = codes.unwrap();
        let positive = [true, false, false];
        assert_eq!(largest_differences(&codes, &positive, 1).unwrap(), [1]);
        let probe = SparseProbe::fit(&codes, &positive, 1, 1e-3).unwrap();
        assert!(probe.probe.weights[0] < 0.0);
        assert_eq!(probe.scores(&codes, &positive).unwrap().accuracy().unwrap(), 1.0);
        assert!(columns(&codes, &[2]).is_err());
    }
}
