//! True dictionaries.

use seed::Rng;

use crate::error::{WorldError, within};

/// The most numbers of a dictionary or a factor of correlations: 1 GiB of single precision.
const MOST: usize = 1 << 28;

/// Vectors of features, one row each.
///
/// # Examples
///
/// ```
/// use seed::Seed;
/// use world::toy::Dictionary;
///
/// let dictionary = Dictionary::random(6, 3, &mut Seed::new(0).stream("doc", "toy"))?;
/// let d = dictionary.feature(5);
/// let norm: f32 = d.iter().map(|d| d * d).sum();
/// assert!((norm - 1.0).abs() < 1e-6);
/// # Ok::<(), world::WorldError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dictionary {
    d_model: usize,
    rows: Vec<f32>,
}

impl Dictionary {
    /// `n_features` vectors of length `d_model`, uniform on the unit sphere: normal numbers over their norm.
    ///
    /// # Errors
    ///
    /// [`WorldError::Range`] where a size is 0 or their product above 2²⁸, which is a gigabyte.
    pub fn random(n_features: usize, d_model: usize, rng: &mut Rng) -> Result<Self, WorldError> {
        check_sizes(n_features, d_model)?;
        let mut rows = Vec::with_capacity(n_features * d_model);
        for _ in 0..n_features {
            let row: Vec<f64> = (0..d_model).map(|_| rng.normal()).collect();
            let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
            rows.extend(row.iter().map(|v| (v / norm) as f32));
        }
        Ok(Self { d_model, rows })
    }

    pub(super) fn from_rows(d_model: usize, rows: Vec<f32>) -> Self {
        Self { d_model, rows }
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.rows.len() / self.d_model
    }

    /// The length of a feature.
    pub fn d_model(&self) -> usize {
        self.d_model
    }

    /// dᵢ.
    ///
    /// # Panics
    ///
    /// If there is no such feature.
    pub fn feature(&self, i: usize) -> &[f32] {
        &self.rows[i * self.d_model..(i + 1) * self.d_model]
    }

    /// All features, row after row: `[n_features, d_model]`.
    pub fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Puts x = Σ aᵢ dᵢ into `x`, in the order of `acts`.
    ///
    /// # Panics
    ///
    /// If `acts` names a feature that there is not.
    pub fn compose(&self, acts: &[(u32, f32)], x: &mut Vec<f32>) {
        x.clear();
        x.resize(self.d_model, 0.0);
        for &(feature, act) in acts {
            for (x, d) in x.iter_mut().zip(self.feature(feature as usize)) {
                *x += act * d;
            }
        }
    }
}

/// `Ok` where both are at least 1 and the product is one that memory may hold.
pub(super) fn check_sizes(n_features: usize, d_model: usize) -> Result<(), WorldError> {
    for (option, size) in [("n_features", n_features), ("d_model", d_model)] {
        within(option, size as f64, 1.0..=MOST as f64, "1..=2^28")?;
    }
    let product = n_features as f64 * d_model as f64;
    within("n_features times d_model", product, 1.0..=MOST as f64, "1..=2^28")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_gigabyte_is_refused_before_it_is_asked_for() {
        let mut rng = seed::Seed::new(0).stream("toy", "sizes");
        for (n_features, d_model) in
            [(1 << 20, 1 << 20), (1 << 16, (1 << 12) + 1), (usize::MAX, 2), (0, 1)]
        {
            assert!(Dictionary::random(n_features, d_model, &mut rng).is_err());
        }
    }

    #[test]
    fn features_have_unit_length_and_point_everywhere() {
        let (n, d) = (4000, 8);
        let mut rng = seed::Seed::new(1).stream("toy", "sphere");
        let dictionary = Dictionary::random(n, d, &mut rng).unwrap();
        let mut second_moment = vec![0.0_f64; d];
        for i in 0..n {
            let row = dictionary.feature(i);
            let norm: f32 = row.iter().map(|v| v * v).sum();
            assert!((norm - 1.0).abs() < 1e-5);
            for (moment, v) in second_moment.iter_mut().zip(row) {
                *moment += f64::from(v * v) / n as f64;
            }
        }
        // E v² = 1/d with variance 2(d−1)/(d²(d+2)): five standard errors.
        let variance = 2.0 * 7.0 / (64.0 * 10.0);
        for moment in second_moment {
            assert!((moment - 0.125).abs() < 5.0 * f64::sqrt(variance / n as f64), "{moment}");
        }
    }

    #[test]
    fn a_sample_is_the_weighted_sum_of_rows() {
        let dictionary = Dictionary::from_rows(2, vec![1.0, 0.0, 0.6, 0.8]);
        let mut x = vec![9.0];
        dictionary.compose(&[(0, 2.0), (1, 0.5)], &mut x);
        assert_eq!(x, [2.3, 0.4]);
    }

    #[test]
    fn sizes_that_are_none_or_too_large_are_refused() {
        for (n, d) in [(0, 1), (1, 0), (1 << 20, 1 << 20), (usize::MAX, usize::MAX)] {
            assert!(check_sizes(n, d).is_err());
        }
    }
}
