//! What dictionaries have of a toy whose features are known.

use kernels::Matrix;
use kernels::dictionary::Codes;
use sae::Dictionary;
use serde::{Deserialize, Serialize};
use world::toy::{Sample, ToyModel};

use crate::error::{InterpError, Result, some};
use crate::fidelity::Fidelity;
use crate::recovery::{firing, recover};

/// The features of a toy, and rows of it with what fires in each.
#[derive(Clone, Debug)]
pub struct ToyTruth {
    features: Matrix,
    /// Features without parent and children.
    is_alone: Vec<bool>,
    parents: Vec<Option<usize>>,
    rows: Matrix,
    truth: Codes,
}

/// Fidelity on rows of a toy, and what a dictionary has of its features. A latent stands for a feature at a cosine of
/// [`ToyTruth::FOUND`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToyScore {
    /// Active latents of a row, on average.
    pub l0: f64,
    /// The share of variance that is not explained.
    pub fvu: f64,
    /// Latents that were active in no row.
    pub dead: f64,
    /// Mean |cosine| of features with their latents under the best assignment, one to one.
    pub mcc: f64,
    /// Of features that stand alone, those that a latent stands for.
    pub alone: f64,
    /// Of features in trees, those that a latent stands for; 0 without trees.
    pub tree: f64,
    /// Mean over features in trees of the largest cosine with a latent; 0 without trees. Where a parent always fires with one
    /// of its children, one latent for both has a cosine of 0.7 with each.
    pub tree_cosine: f64,
    /// Of the latents, those that stand for a feature.
    pub precision: f64,
    /// Mean over features of the F1 with which a feature's own latent, under the assignment, tells that it fires; 0 for a
    /// feature that is not told at all.
    pub f1: f64,
}

impl ToyTruth {
    /// The cosine at which a latent stands for a feature.
    pub const FOUND: f64 = 0.9;

    /// Samples of a toy, from a number on.
    ///
    /// # Errors
    /// [`InterpError::Empty`] without rows.
    pub fn new(toy: &ToyModel, from: u64, n_rows: usize) -> Result<Self> {
        some("rows of the toy", n_rows)?;
        let (n, d) = (toy.dictionary().n_features(), toy.dictionary().d_model());
        let parents: Vec<_> = (0..n).map(|feature| toy.firing().parent(feature)).collect();
        let mut is_alone: Vec<bool> = parents.iter().map(Option::is_none).collect();
        for parent in parents.iter().flatten() {
            is_alone[*parent] = false;
        }
        let (mut rows, mut truth) = (Matrix::zeros(n_rows, d), Vec::new());
        let mut sample = Sample::default();
        for at in 0..n_rows {
            toy.write(from + at as u64, &mut sample);
            rows.row_mut(at).copy_from_slice(&sample.x);
            truth.push(sample.acts.clone());
        }
        let features = Matrix::from_rows(n, d, toy.dictionary().rows().to_vec())?;
        Ok(Self { features, is_alone, parents, rows, truth: Codes::from_rows(n, &truth)? })
    }

    /// Features that fire in a row, on average.
    pub fn l0(&self) -> f64 {
        self.truth.values().len() as f64 / self.rows.n_rows() as f64
    }

    /// The share of features that stand alone.
    pub fn share_alone(&self) -> f64 {
        let n = self.is_alone.iter().filter(|alone| **alone).count();
        n as f64 / self.is_alone.len() as f64
    }

    /// Of the times that a feature with children fires, those at which one of its children does too; none if none fires.
    pub fn share_with_child(&self) -> Option<f64> {
        let mut is_parent = vec![false; self.parents.len()];
        for parent in self.parents.iter().flatten() {
            is_parent[*parent] = true;
        }
        let (mut n, mut n_with) = (0_u32, 0_u32);
        for row in 0..self.truth.n_rows() {
            let fires = self.truth.row(row).0;
            for feature in fires.iter().filter(|feature| is_parent[**feature as usize]) {
                let of = |child: &u32| self.parents[*child as usize] == Some(*feature as usize);
                n += 1;
                n_with += u32::from(fires.iter().any(of));
            }
        }
        (n > 0).then(|| f64::from(n_with) / f64::from(n))
    }

    /// What a dictionary has of them.
    ///
    /// # Errors
    /// Those of [`Fidelity::add_reconstructed`] and [`recover`]; [`InterpError::Empty`] for rows that do not differ.
    ///
    /// # Examples
    ///
    /// The true dictionary itself, for which a feature fires where its cosine with a row is large: all is found.
    ///
    /// ```
    /// use interp::{ToyTruth, one_sided};
    /// use kernels::Matrix;
    /// use world::toy::{ToyConfig, ToyModel};
    ///
    /// let toy = ToyModel::new(&ToyConfig::synth_sae_mini(0))?;
    /// let truth = ToyTruth::new(&toy, 0, 50)?;
    /// let features = Matrix::from_rows(1024, 128, toy.dictionary().rows().to_vec())?;
    /// let score = truth.score(&one_sided(&features, &features, &[0.0; 128], Some(16))?)?;
    /// assert_eq!((score.alone, score.tree, score.precision), (1.0, 1.0, 1.0));
    /// assert!(score.mcc > 0.999 && score.l0 <= 16.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn score(&self, dictionary: &Dictionary) -> Result<ToyScore> {
        let mut fidelity = Fidelity::new(dictionary.width(), dictionary.n_latents())?;
        fidelity.add_reconstructed(dictionary, &self.rows)?;
        let fidelity = fidelity.report()?;
        let found = recover(&self.features, dictionary.decoder())?;
        let cosines = |alone: bool| -> Vec<f64> {
            let best = found.best.iter().zip(&self.is_alone).filter(|(_, is)| **is == alone);
            best.map(|((_, cosine), _)| f64::from(*cosine)).collect()
        };
        let (alone, tree) = (cosines(true), cosines(false));
        let share = |cosines: &[f64]| {
            let n = cosines.iter().filter(|cosine| **cosine >= Self::FOUND).count();
            n as f64 / cosines.len().max(1) as f64
        };
        let own: Vec<Option<u32>> =
            found.partners.iter().map(|partner| partner.map(|(latent, _)| latent)).collect();
        let told = firing(&self.truth, &dictionary.encode(&self.rows)?, &own)?;
        let f1: f64 = told.iter().map(|told| told.and_then(|it| it.f1()).unwrap_or(0.0)).sum();
        Ok(ToyScore {
            l0: fidelity.l0,
            fvu: fidelity.fvu.ok_or(InterpError::Empty { what: "rows that differ" })?,
            dead: fidelity.dead_share,
            mcc: found.mcc,
            alone: share(&alone),
            tree: share(&tree),
            tree_cosine: tree.iter().sum::<f64>() / tree.len().max(1) as f64,
            precision: found.true_latents(Self::FOUND),
            f1: f1 / told.len() as f64,
        })
    }
}

/// A quantity at an L0, along straight lines between measured points in ln L0; none for an L0 that is more than 5 % below
/// the least or above the largest. Dictionaries can be compared only where as many latents are active.
///
/// # Shapes
/// `points`: L0 and quantity of each, in any order.
///
/// # Examples
///
/// ```
/// let points = [(16.0, 1.0), (4.0, 3.0)];
/// assert!((interp::at_l0(&points, 8.0).unwrap() - 2.0).abs() < 1e-12);
/// assert_eq!(interp::at_l0(&points, 16.5), Some(1.0));
/// assert_eq!(interp::at_l0(&points, 32.0), None);
/// ```
pub fn at_l0(points: &[(f64, f64)], l0: f64) -> Option<f64> {
    let mut points: Vec<_> = points.iter().map(|(l0, value)| (libm::log(*l0), *value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (at, slack) = (libm::log(l0), libm::log(1.05));
    points.windows(2).find_map(|pair| {
        let [(low, of_low), (high, of_high)] = [pair[0], pair[1]];
        if at < low - slack || at > high + slack || high <= low {
            return None;
        }
        let part = ((at - low) / (high - low)).clamp(0.0, 1.0);
        Some(of_low + part * (of_high - of_low))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baselines::one_sided;
    use world::toy::{FiringConfig, Hierarchy, Magnitude, ToyConfig};

    /// A parent with two children, of which one fires at most, and a fourth feature that stands alone.
    fn toy() -> ToyModel {
        let hierarchy = Hierarchy { roots: 1, branching: 2, depth: 1, exclusive: true };
        let firing = FiringConfig {
            n_features: 4,
            zipf_exponent: 0.5,
            p_max: 0.6,
            p_min: 0.1,
            hierarchy: Some(hierarchy),
            correlation_rank: 0,
            correlation_scale: 0.0,
        };
        let config =
            ToyConfig { seed: 1, d_model: 16, firing, magnitude: Magnitude::One, noise: 0.0 };
        ToyModel::new(&config).unwrap()
    }

    #[test]
    fn parents_and_children_are_counted_as_they_fire() {
        let toy = toy();
        let truth = ToyTruth::new(&toy, 0, 400).unwrap();
        let parent = (0..4).find_map(|feature| toy.firing().parent(feature)).unwrap();
        let (mut n, mut n_with, mut n_fired) = (0.0, 0.0, 0.0);
        let mut sample = Sample::default();
        for at in 0..400 {
            toy.write(at, &mut sample);
            let fires = |feature: usize| sample.acts.iter().any(|(it, _)| *it as usize == feature);
            n_fired += sample.acts.len() as f64;
            if fires(parent) {
                n += 1.0;
                let of = |child: usize| toy.firing().parent(child) == Some(parent) && fires(child);
                n_with += f64::from(u8::from((0..4).any(of)));
            }
        }
        assert!(n_with > 0.0 && n_with < n);
        assert_eq!(truth.share_with_child(), Some(n_with / n));
        assert_eq!(truth.l0(), n_fired / 400.0);
        assert_eq!(truth.share_alone(), 0.25);
    }

    /// Latents point away from the features in the tree, and along the one that stands alone.
    #[test]
    fn trees_are_judged_apart_from_what_stands_alone() {
        let toy = toy();
        let truth = ToyTruth::new(&toy, 0, 50).unwrap();
        let mut decoder = Matrix::from_rows(4, 16, toy.dictionary().rows().to_vec()).unwrap();
        let alone = truth.is_alone.iter().position(|alone| *alone).unwrap();
        for feature in (0..4).filter(|feature| *feature != alone) {
            decoder.row_mut(feature).iter_mut().for_each(|w| *w = -*w);
        }
        let score = truth.score(&one_sided(&decoder, &decoder, &[0.0; 16], None).unwrap()).unwrap();
        assert_eq!((score.alone, score.tree, score.precision), (1.0, 0.0, 0.25));
        assert!(score.tree_cosine < ToyTruth::FOUND, "{}", score.tree_cosine);
    }
}
