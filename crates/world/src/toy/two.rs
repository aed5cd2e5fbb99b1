//! The toy of two models that share most of their concepts (Paper E, appendix B.2).

use seed::{Rng, Seed};
use serde::{Deserialize, Serialize};

use super::add_noise;
use super::dictionary::{Dictionary, check_sizes};
use crate::error::{WorldError, within};

/// The models that have a concept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Both.
    Shared,
    /// Only A.
    ExclusiveA,
    /// Only B.
    ExclusiveB,
}

/// When logits are drawn, on which the paper can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogitDraws {
    /// Once: concepts have fixed probabilities and occur independently.
    Once,
    /// For each pair: concepts whose logits are correlated occur together.
    EachPair,
}

/// The options of the toy of two models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoModelsConfig {
    /// Decides the concepts, the map, the probabilities, and every pair.
    pub seed: u64,
    /// n, the number of concepts.
    pub n_concepts: usize,
    /// d, the width of both models.
    pub d_model: usize,
    /// `r_excl`: the share of concepts that only one of the models has, half of them A's. Each half is rounded down.
    pub exclusive: f64,
    /// `k_target`: the expected number of concepts in a pair, before the least probability raises it.
    pub k_target: f64,
    /// The standard deviation of the entries of the map from A to B.
    pub map_std: f64,
    /// The standard deviation of its offset.
    pub offset_std: f64,
    /// The rank of the correlations between concepts.
    pub correlation_rank: usize,
    /// When logits are drawn.
    pub logits: LogitDraws,
    /// The standard deviation of the noise that is added to each coordinate.
    pub noise: f64,
}

impl TwoModelsConfig {
    /// The published sizes: 2,048 concepts in 256 dimensions, 51 exclusive to each.
    ///
    /// Three things can be read in two ways: N(0, 0.25) as a variance or a deviation (here: a variance, so a deviation of
    /// 1/2); `k_target` is 5 in the text and n/100 in a table (here: 5); logits are drawn once or for each pair (here:
    /// once).
    #[must_use]
    pub fn paper(seed: u64) -> Self {
        Self {
            seed,
            n_concepts: 2048,
            d_model: 256,
            exclusive: 0.05,
            k_target: 5.0,
            map_std: 0.5,
            offset_std: 0.1,
            correlation_rank: 10,
            logits: LogitDraws::Once,
            noise: 0.01,
        }
    }

    /// A quarter of the published sizes in each direction: 512 concepts in 64 dimensions.
    #[must_use]
    pub fn quarter(seed: u64) -> Self {
        Self { n_concepts: 512, d_model: 64, ..Self::paper(seed) }
    }
}

/// A pair of activations of the two models on the same input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TwoSample {
    /// The activation of A.
    pub x_a: Vec<f32>,
    /// The activation of B.
    pub x_b: Vec<f32>,
    /// The concepts that are present, ascending, each with its scale, which is the same in both.
    pub acts: Vec<(u32, f32)>,
}

/// Two models, each with its vectors of the same concepts.
///
/// - A's vectors cᵢ are uniform on the unit sphere; B's are c'ᵢ = s·(A cᵢ + b), with Aⱼₖ ~ N(0, `map_std`²),
///   bⱼ ~ N(0, `offset_std`²), and s such that the median norm of all is that of the cᵢ: 1.
/// - Σ = L Lᵀ + I with Lᵢⱼ ~ N(0, (0.5/√rank)²). Logits g ~ N(0, Σ), drawn once or for each pair, give
///   pᵢ = sigmoid(gᵢ)·exp(−0.001·π(i)), with π a random permutation of 0 to n − 1, and then
///   pᵢ ← min(1, max(1e-4, pᵢ·`k_target` / Σp)).
/// - In a pair, concept i is present with probability pᵢ, alone, and has a scale sᵢ ~ U(0, 1).
///   `x_a` = Σ sᵢ cᵢ + noise over the present concepts that A has, and the same for B. Where none is present, one is drawn
///   by p, so no pair is noise alone.
///
/// Departs from the paper: its last step is printed inside out, and is read as above.
///
/// # Examples
///
/// ```
/// use world::toy::{Side, TwoModels, TwoModelsConfig};
///
/// let toy = TwoModels::new(&TwoModelsConfig::paper(0))?;
/// let count = |side| (0..2048).filter(|&i| toy.side(i) == side).count();
/// assert_eq!(count(Side::ExclusiveA), 51);
/// assert_eq!(count(Side::ExclusiveB), 51);
/// # Ok::<(), world::WorldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TwoModels {
    config: TwoModelsConfig,
    a: Dictionary,
    b: Dictionary,
    sides: Vec<Side>,
    logits: Logits,
    /// Of logits that are drawn once.
    fixed: Option<Vec<f64>>,
}

/// The least probability of a concept.
const LEAST: f64 = 1e-4;
/// How fast the permuted ranks lower it.
const DECAY: f64 = 0.001;

impl TwoModels {
    /// The models of these options.
    ///
    /// # Errors
    ///
    /// [`WorldError::Range`] where an option lies outside of its interval.
    pub fn new(config: &TwoModelsConfig) -> Result<Self, WorldError> {
        let n = config.n_concepts;
        check_sizes(n, config.d_model)?;
        check_sizes(config.d_model, config.d_model)?;
        check_sizes(n, config.correlation_rank.max(1))?;
        within("exclusive", config.exclusive, 0.0..=1.0, "[0, 1]")?;
        within("k_target", config.k_target, f64::MIN_POSITIVE..=n as f64, "(0, n_concepts]")?;
        for (option, std) in [
            ("map_std", config.map_std),
            ("offset_std", config.offset_std),
            ("noise", config.noise),
        ] {
            within(option, std, 0.0..=1e6, "[0, 1e6]")?;
        }
        within(
            "map_std + offset_std",
            config.map_std + config.offset_std,
            1e-12..=2e6,
            "(0, 2e6]",
        )?;

        let stream = |purpose| Seed::new(config.seed).stream("toy two", purpose);
        let a = Dictionary::random(n, config.d_model, &mut stream("concepts"))?;
        let b = map(&a, config, &mut stream("map"));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of n, rounded down"
        )]
        let each = (n as f64 * config.exclusive / 2.0) as usize;
        let mut order: Vec<usize> = (0..n).collect();
        stream("sides").shuffle(&mut order);
        let mut sides = vec![Side::Shared; n];
        order[..each].iter().for_each(|&i| sides[i] = Side::ExclusiveA);
        order[each..2 * each].iter().for_each(|&i| sides[i] = Side::ExclusiveB);
        let mut draws = stream("logits");
        let logits = Logits::new(config, &mut draws);
        let fixed = match config.logits {
            LogitDraws::Once => Some(logits.probabilities(config, &mut draws)),
            LogitDraws::EachPair => None,
        };
        Ok(Self { config: *config, a, b, sides, logits, fixed })
    }

    /// The vectors of A, those of concepts that only B has too.
    pub fn dictionary_a(&self) -> &Dictionary {
        &self.a
    }

    /// The vectors of B, those of concepts that only A has too.
    pub fn dictionary_b(&self) -> &Dictionary {
        &self.b
    }

    /// Who has concept i.
    ///
    /// # Panics
    ///
    /// If there is no such concept.
    pub fn side(&self, i: usize) -> Side {
        self.sides[i]
    }

    /// All pᵢ; `None` where each pair has its own.
    pub fn probabilities(&self) -> Option<&[f64]> {
        self.fixed.as_deref()
    }

    /// Writes pair `index` in place of what `sample` held.
    pub fn write(&self, index: u64, sample: &mut TwoSample) {
        let mut rng = Seed::new(self.config.seed).stream("toy two sample", &index.to_string());
        let drawn;
        let probabilities = if let Some(fixed) = &self.fixed {
            fixed
        } else {
            drawn = self.logits.probabilities(&self.config, &mut rng);
            &drawn
        };
        sample.acts.clear();
        for (i, &p) in (0_u32..).zip(probabilities) {
            if rng.uniform() < p {
                sample.acts.push((i, scale(&mut rng)));
            }
        }
        if sample.acts.is_empty() {
            let mut left = rng.uniform() * probabilities.iter().sum::<f64>();
            let mut one = 0;
            for (i, &p) in (0_u32..).zip(probabilities) {
                one = i;
                left -= p;
                if left < 0.0 {
                    break;
                }
            }
            sample.acts.push((one, scale(&mut rng)));
        }
        let of = |without: Side| -> Vec<(u32, f32)> {
            let acts = sample.acts.iter().copied();
            acts.filter(|&(i, _)| self.sides[i as usize] != without).collect()
        };
        let (acts_a, acts_b) = (of(Side::ExclusiveB), of(Side::ExclusiveA));
        self.a.compose(&acts_a, &mut sample.x_a);
        self.b.compose(&acts_b, &mut sample.x_b);
        add_noise(&mut sample.x_a, self.config.noise, &mut rng);
        add_noise(&mut sample.x_b, self.config.noise, &mut rng);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
fn scale(rng: &mut Rng) -> f32 {
    rng.uniform() as f32
}

/// c'ᵢ = s·(A cᵢ + b).
fn map(a: &Dictionary, config: &TwoModelsConfig, rng: &mut Rng) -> Dictionary {
    let d = config.d_model;
    let matrix: Vec<f64> = (0..d * d).map(|_| config.map_std * rng.normal()).collect();
    let offset: Vec<f64> = (0..d).map(|_| config.offset_std * rng.normal()).collect();
    let mut rows = Vec::with_capacity(a.rows().len());
    let mut norms = Vec::with_capacity(a.n_features());
    for i in 0..a.n_features() {
        let start = rows.len();
        for (row, offset) in matrix.chunks_exact(d).zip(&offset) {
            let product: f64 = row.iter().zip(a.feature(i)).map(|(m, c)| m * f64::from(*c)).sum();
            rows.push(product + offset);
        }
        norms.push(rows[start..].iter().map(|v| v * v).sum::<f64>().sqrt());
    }
    norms.sort_by(f64::total_cmp);
    let scale = 1.0 / norms[norms.len() / 2].max(f64::MIN_POSITIVE);
    #[expect(clippy::cast_possible_truncation, reason = "features are single precision")]
    let rows = rows.iter().map(|v| (scale * v) as f32).collect();
    Dictionary::from_rows(d, rows)
}

/// What logits are drawn with: the rows of L, and exp(−0.001·π(i)).
#[derive(Clone, Debug)]
struct Logits {
    factor: Vec<f64>,
    decay: Vec<f64>,
}

impl Logits {
    fn new(config: &TwoModelsConfig, rng: &mut Rng) -> Self {
        let (n, rank) = (config.n_concepts, config.correlation_rank);
        let std = 0.5 / (rank.max(1) as f64).sqrt();
        let mut permutation: Vec<usize> = (0..n).collect();
        rng.shuffle(&mut permutation);
        Self {
            factor: (0..n * rank).map(|_| std * rng.normal()).collect(),
            decay: permutation.iter().map(|&i| libm::exp(-DECAY * i as f64)).collect(),
        }
    }

    /// pᵢ of one draw of g = L u + e.
    fn probabilities(&self, config: &TwoModelsConfig, rng: &mut Rng) -> Vec<f64> {
        let rank = config.correlation_rank;
        let u: Vec<f64> = (0..rank).map(|_| rng.normal()).collect();
        let p = self.decay.iter().enumerate().map(|(i, decay)| {
            let row = &self.factor[i * rank..(i + 1) * rank];
            let logit = row.iter().zip(&u).map(|(l, u)| l * u).sum::<f64>() + rng.normal();
            decay / (1.0 + libm::exp(-logit))
        });
        let p: Vec<f64> = p.collect();
        let total: f64 = p.iter().sum();
        p.iter().map(|p| (p * config.k_target / total).clamp(LEAST, 1.0)).collect()
    }
}
