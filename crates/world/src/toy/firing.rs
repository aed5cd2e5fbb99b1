//! Which features of a toy model fire together.

use seed::Rng;
use serde::{Deserialize, Serialize};

use super::dictionary::check_sizes;
use crate::error::{WorldError, within};

/// A forest of features: children fire only where their parent does.
///
/// The first features are the forest, roots first, then level by level; the others stand alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hierarchy {
    /// The number of trees.
    pub roots: usize,
    /// The number of children of each feature that has some.
    pub branching: usize,
    /// The number of levels below the roots.
    pub depth: usize,
    /// Whether at most one child of a feature fires.
    pub exclusive: bool,
}

impl Hierarchy {
    /// The features of the forest, roots·Σ branching^level over levels 0 to depth; `None` where it is too large to count.
    fn n_features(&self) -> Option<usize> {
        let mut level = self.roots;
        let mut total = level;
        for _ in 0..self.depth {
            level = level.checked_mul(self.branching)?;
            total = total.checked_add(level)?;
        }
        Some(total)
    }
}

/// How often features fire, and which of them together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiringConfig {
    /// The number of features.
    pub n_features: usize,
    /// The exponent e of `p(i) = max(p_min, p_max / (rank + 1)^e)`.
    pub zipf_exponent: f64,
    /// The probability of the most frequent feature.
    pub p_max: f64,
    /// The probability that none falls below.
    pub p_min: f64,
    /// A forest; `None` where all stand alone.
    pub hierarchy: Option<Hierarchy>,
    /// The rank of correlations; 0 for none.
    pub correlation_rank: usize,
    /// The standard deviation of the entries of the factor of correlations.
    pub correlation_scale: f64,
}

/// Draws sets of features.
///
/// 1. Latent normal numbers with low-rank correlations: zᵢ = (lᵢ·u + eᵢ) / √(|lᵢ|² + 1), with u and e standard normal
///    and lᵢ the rows of a fixed random factor, so that zᵢ is standard normal.
/// 2. Feature i is wanted where Φ(zᵢ) < pᵢ, so with probability pᵢ (for a child: pᵢ over that of its parent, at most
///    1, so that gating leaves it pᵢ where correlations are absent and several children may fire).
/// 3. Gating, from the roots down: a child fires only where its parent does.
/// 4. Exclusion: of the children of one parent that would fire, one stays, each as likely.
///
/// Probabilities of features that stand alone, and of roots, are exact; exclusion lowers those of children.
///
/// # Examples
///
/// ```
/// use seed::Seed;
/// use world::toy::{Firing, FiringConfig};
///
/// let config = FiringConfig {
///     n_features: 3,
///     zipf_exponent: 1.0,
///     p_max: 0.6,
///     p_min: 0.25,
///     hierarchy: None,
///     correlation_rank: 0,
///     correlation_scale: 0.0,
/// };
/// let firing = Firing::new(&config, &mut Seed::new(0).stream("doc", "firing"))?;
/// let mut p: Vec<f64> = (0..3).map(|i| firing.probability(i)).collect();
/// p.sort_by(f64::total_cmp);
/// assert_eq!(p, [0.25, 0.3, 0.6]);
/// # Ok::<(), world::WorldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Firing {
    probabilities: Vec<f64>,
    parents: Vec<Option<u32>>,
    exclusive: bool,
    /// Rows lᵢ.
    factor: Vec<f64>,
    rank: usize,
    /// Φ⁻¹ of what each feature is wanted with, times √(|lᵢ|² + 1).
    thresholds: Vec<f64>,
}

impl Firing {
    /// Draws what is fixed: which feature has which rank, and the factor of correlations. Parents rank before their
    /// children.
    ///
    /// # Errors
    ///
    /// [`WorldError::Range`] where an option lies outside of its interval.
    pub fn new(config: &FiringConfig, rng: &mut Rng) -> Result<Self, WorldError> {
        let n = config.n_features;
        check_sizes(n, config.correlation_rank.max(1))?;
        within("zipf_exponent", config.zipf_exponent, 0.0..=100.0, "[0, 100]")?;
        within("p_max", config.p_max, f64::MIN_POSITIVE..=1.0, "(0, 1]")?;
        within("p_min", config.p_min, f64::MIN_POSITIVE..=config.p_max, "(0, p_max]")?;
        within("correlation_scale", config.correlation_scale, 0.0..=1e3, "[0, 1000]")?;
        let parents = parents(config.hierarchy.as_ref(), n)?;

        // Levels of the forest come in their order; within a level, and among those that stand alone, chance decides.
        let mut order: Vec<usize> = (0..n).collect();
        rng.shuffle(&mut order);
        let levels: Vec<usize> = (0..n).map(|i| level(&parents, i)).collect();
        let mut probabilities = vec![0.0; n];
        let mut ranked = order;
        ranked.sort_by_key(|&i| levels[i]); // stable: chance decides within a level
        for (rank, &i) in ranked.iter().enumerate() {
            let zipf = config.p_max / libm::pow((rank + 1) as f64, config.zipf_exponent);
            probabilities[i] = zipf.max(config.p_min);
        }
        let rank = config.correlation_rank;
        let factor: Vec<f64> =
            (0..n * rank).map(|_| config.correlation_scale * rng.normal()).collect();
        let mut thresholds = Vec::with_capacity(n);
        for i in 0..n {
            let above = parents[i].map_or(1.0, |parent| probabilities[parent as usize]);
            let row = &factor[i * rank..(i + 1) * rank];
            let scale = (row.iter().map(|l| l * l).sum::<f64>() + 1.0).sqrt();
            thresholds.push(scale * quantile(probabilities[i] / above));
        }
        let exclusive = config.hierarchy.is_some_and(|hierarchy| hierarchy.exclusive);
        Ok(Self { probabilities, parents, exclusive, factor, rank, thresholds })
    }

    /// The number of features.
    pub fn n_features(&self) -> usize {
        self.probabilities.len()
    }

    /// pᵢ: how often feature i fires before correlations meet gating, and before exclusion.
    ///
    /// # Panics
    ///
    /// If there is no such feature.
    pub fn probability(&self, i: usize) -> f64 {
        self.probabilities[i]
    }

    /// The feature that must fire where i does.
    ///
    /// # Panics
    ///
    /// If there is no such feature.
    pub fn parent(&self, i: usize) -> Option<usize> {
        self.parents[i].map(|parent| parent as usize)
    }

    /// The features that fire in one sample, ascending.
    pub fn draw(&self, rng: &mut Rng) -> Vec<u32> {
        let u: Vec<f64> = (0..self.rank).map(|_| rng.normal()).collect();
        let mut fires = vec![false; self.n_features()];
        for (i, fires) in fires.iter_mut().enumerate() {
            let row = &self.factor[i * self.rank..(i + 1) * self.rank];
            let correlated: f64 = row.iter().zip(&u).map(|(l, u)| l * u).sum();
            *fires = correlated + rng.normal() < self.thresholds[i];
        }
        self.gate(&mut fires, rng);
        (0_u32..).zip(fires).filter(|(_, fires)| *fires).map(|(i, _)| i).collect()
    }

    /// Steps 3 and 4. Siblings lie side by side, and parents before them.
    fn gate(&self, fires: &mut [bool], rng: &mut Rng) {
        let mut start = 0;
        while start < fires.len() {
            let Some(parent) = self.parents[start] else {
                start += 1;
                continue;
            };
            let mut end = start;
            while end < fires.len() && self.parents[end] == Some(parent) {
                end += 1;
            }
            let siblings = start..end;
            start = end;
            if !fires[parent as usize] {
                fires[siblings].fill(false);
            } else if self.exclusive {
                let wanted: Vec<usize> = siblings.clone().filter(|&i| fires[i]).collect();
                if wanted.len() > 1 {
                    let kept = wanted[rng.below(wanted.len())];
                    fires[siblings].fill(false);
                    fires[kept] = true;
                }
            }
        }
    }
}

/// Φ⁻¹(p), infinite at 0 and from 1 on.
fn quantile(p: f64) -> f64 {
    stats::normal_quantile(p).unwrap_or(if p < 0.5 { f64::NEG_INFINITY } else { f64::INFINITY })
}

fn level(parents: &[Option<u32>], i: usize) -> usize {
    core::iter::successors(parents[i], |&parent| parents[parent as usize]).count()
}

/// The parent of each feature: those of a level are numbered parent by parent.
fn parents(hierarchy: Option<&Hierarchy>, n: usize) -> Result<Vec<Option<u32>>, WorldError> {
    let mut parents = vec![None; n];
    let Some(hierarchy) = hierarchy else { return Ok(parents) };
    let most = n as f64;
    let size = hierarchy.n_features().map_or(f64::INFINITY, |size| size as f64);
    within("the features of the hierarchy", size, 1.0..=most, "1..=n_features")?;
    within("hierarchy.branching", hierarchy.branching as f64, 1.0..=most, "1..=n_features")?;
    let mut above = 0..hierarchy.roots;
    for _ in 0..hierarchy.depth {
        let start = above.end;
        let mut next = start;
        for parent in above {
            for _ in 0..hierarchy.branching {
                parents[next] = u32::try_from(parent).ok();
                next += 1;
            }
        }
        above = start..next;
    }
    Ok(parents)
}
