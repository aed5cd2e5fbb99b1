//! Autoassociative convergence: the algorithms that Paper A compares, on the same patterns and queries.
//!
//! Patterns are stored at themselves, queries are patterns turned away by P bits or by the cosine 1 − 2P/n that
//! stands for P bits, and each is read again and again. What is measured is where it ends.

use geometry::cap::{cap_angle, ln_cap_intersection_fraction};
use geometry::{HammingSpace, cosine_from_hamming};
use kernels::{BitMatrix, Matrix, product_transposed};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::separation::{Caps, Circles, SampledCaps, SampledCircles, Separation, Softmax, TopK};
use crate::{
    BinaryMemory, ContinuousMemory, Converged, Draws, Memory, NeuronStore, SdmError,
    SlopeEstimator, States, fit_beta, perturb,
};

/// An algorithm of Paper A's convergence experiments, or a baseline.
///
/// | | the authors' code | patterns | weights |
/// |---|---|---|---|
/// | `NeuronStore` | `Binary_Neuron_SDM` | bits | [`NeuronStore`] |
/// | `Circles` | `Binary_SDM` | bits | [`Circles`] |
/// | `SampledCircles` | `Binary_SDM_NeuronLimit` | bits | [`SampledCircles`] |
/// | `BitAttention` | `Binary_SDM_BFit_Attention` | bits | [`Softmax`], β fitted to the circles |
/// | `Caps` | `Cont_SDM` | vectors | [`Caps`] |
/// | `PublishedSampledCaps` | `Cont_SDM_NeuronLimit` | vectors | [`SampledCaps::published`] |
/// | `SampledCaps` | | vectors | [`SampledCaps`] with the right counts |
/// | `CirclesOfCosines` | `Cont_Binary_SDM` | vectors | [`Circles`] at ⌊n(1−cos)/2⌋ |
/// | `CircleFitAttention` | `Cont_SDM_BFit_Attention` | vectors | [`Softmax`], β fitted to the circles |
/// | `CapFitAttention` | `Cont_SDM_CFit_Attention` | vectors | [`Softmax`], β fitted to the caps |
/// | `NearestBits`, `NearestVector` | | both | [`TopK`] with k = 1: the nearest pattern |
///
/// Both fits use [`SlopeEstimator::Published`], as the authors' code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the table above")]
pub enum Algorithm {
    NeuronStore,
    Circles,
    SampledCircles,
    BitAttention,
    Caps,
    PublishedSampledCaps,
    SampledCaps,
    CirclesOfCosines,
    CircleFitAttention,
    CapFitAttention,
    NearestBits,
    NearestVector,
}

impl Algorithm {
    /// A short name for the keys of numbers.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NeuronStore => "neuron_store",
            Self::Circles => "circles",
            Self::SampledCircles => "sampled_circles",
            Self::BitAttention => "bit_attention",
            Self::Caps => "caps",
            Self::PublishedSampledCaps => "published_sampled_caps",
            Self::SampledCaps => "sampled_caps",
            Self::CirclesOfCosines => "circles_of_cosines",
            Self::CircleFitAttention => "circle_fit_attention",
            Self::CapFitAttention => "cap_fit_attention",
            Self::NearestBits => "nearest_bits",
            Self::NearestVector => "nearest_vector",
        }
    }

    /// What it is, for titles of panels.
    pub fn title(self) -> &'static str {
        match self {
            Self::NeuronStore => "real neurons, bits",
            Self::Circles => "SDM, bits",
            Self::SampledCircles => "SDM, bits, sampled counts",
            Self::BitAttention => "attention, bits",
            Self::Caps => "SDM, vectors",
            Self::PublishedSampledCaps => "SDM, vectors, published counts",
            Self::SampledCaps => "SDM, vectors, sampled counts",
            Self::CirclesOfCosines => "SDM, cosines as distances",
            Self::CircleFitAttention => "attention, β of circles",
            Self::CapFitAttention => "attention, β of caps",
            Self::NearestBits => "nearest pattern, bits",
            Self::NearestVector => "nearest pattern, vectors",
        }
    }

    /// Whether it reads bits, and not vectors.
    pub fn is_binary(self) -> bool {
        use Algorithm as A;
        matches!(
            self,
            A::NeuronStore | A::Circles | A::SampledCircles | A::BitAttention | A::NearestBits
        )
    }

    /// The algorithm at Hamming radius d in n dimensions with r neurons (which only the store and the sampled
    /// counts ask for).
    ///
    /// # Errors
    ///
    /// [`SdmError`] for a radius, a number of neurons or a fit that cannot be.
    pub fn at(self, n: usize, radius: usize, n_neurons: f64) -> Result<Model, SdmError> {
        let separation: Option<Box<dyn Separation>> = match self {
            Self::NeuronStore => None,
            Self::Circles | Self::CirclesOfCosines => Some(Box::new(Circles::new(n, radius)?)),
            Self::SampledCircles => Some(Box::new(SampledCircles::new(n, radius, n_neurons)?)),
            Self::Caps => Some(Box::new(Caps::new(n, radius)?)),
            Self::SampledCaps => Some(Box::new(SampledCaps::new(n, radius, n_neurons)?)),
            Self::PublishedSampledCaps => {
                Some(Box::new(SampledCaps::published(n, radius, n_neurons)?))
            }
            Self::BitAttention | Self::CircleFitAttention => {
                let ln_counts = HammingSpace::new(n)?.ln_intersections(radius);
                Some(Box::new(fitted(n, radius, &ln_counts)?))
            }
            Self::CapFitAttention => {
                let angle = cap_angle(n, radius);
                let at = |d_v: usize| {
                    let cosine = cosine_from_hamming(n, d_v as f64);
                    ln_cap_intersection_fraction(n, angle, libm::acos(cosine))
                };
                let ln_fractions = (0..radius).map(at).collect::<Result<Vec<_>, _>>()?;
                Some(Box::new(fitted(n, radius, &ln_fractions)?))
            }
            Self::NearestBits | Self::NearestVector => Some(Box::new(TopK::new(1, 1.0)?)),
        };
        Ok(Model { algorithm: self, radius, n_neurons, separation })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "β in 32 bits")]
fn fitted(n: usize, radius: usize, ln_counts: &[f64]) -> Result<Softmax, SdmError> {
    let fit = fit_beta(n, ln_counts, 0..radius, SlopeEstimator::Published)?;
    Softmax::new(fit.beta as f32)
}

/// Patterns to store, in both forms.
#[derive(Clone, Debug)]
pub struct Patterns {
    vectors: Matrix,
    bits: BitMatrix,
}

impl Patterns {
    /// The vectors scaled to length 1; bits are ones where a value exceeds the threshold.
    #[must_use]
    pub fn new(mut vectors: Matrix, threshold: f32) -> Self {
        let bits = BitMatrix::from_fn(vectors.n_rows(), vectors.n_columns(), |row, bit| {
            vectors.row(row)[bit] > threshold
        });
        vectors.normalize_rows();
        Self { vectors, bits }
    }

    /// Random patterns, uniform in [−1, 1]ⁿ, with the signs as bits.
    ///
    /// # Randomness
    ///
    /// n draws for each pattern, in order.
    #[must_use]
    pub fn uniform(n_patterns: usize, n: usize, rng: &mut Rng) -> Self {
        let mut vectors = Matrix::zeros(n_patterns, n);
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        vectors.values_mut().fill_with(|| (2.0 * rng.uniform() - 1.0) as f32);
        Self::new(vectors, 0.0)
    }

    /// Queries at P bits from these patterns, and at the cosine 1 − 2P/n that stands for them.
    ///
    /// Vectors that are nearer to another pattern are drawn again, up to `n_tries` times in all.
    ///
    /// # Panics
    ///
    /// If there are more flips than bits, or a target beyond the last pattern.
    #[must_use]
    pub fn perturbed(
        &self,
        targets: &[usize],
        n_flips: usize,
        n_tries: usize,
        rng: &mut Rng,
    ) -> Queries {
        let bits = perturb::flip_bits(&self.bits.select(targets), n_flips, rng);
        let cosine = cosine_from_hamming(self.bits.n_bits(), n_flips as f64);
        let vectors = if n_tries > 1 {
            perturb::rotate_while_nearest(&self.vectors, targets, cosine, n_tries, rng)
        } else {
            perturb::rotate(&self.vectors.select(targets), cosine, rng)
        };
        Queries { targets: targets.to_vec(), n_flips, vectors, bits }
    }
}

/// Perturbed patterns: see [`Patterns::perturbed`].
#[derive(Clone, Debug)]
pub struct Queries {
    targets: Vec<usize>,
    n_flips: usize,
    vectors: Matrix,
    bits: BitMatrix,
}

/// Where the queries of one perturbation end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// Cosine of each end with the query's own target; of a vector of zeros, 0.
    pub own: Vec<f64>,
    /// Mean cosine of each end with all other patterns: what shuffled targets give.
    pub others: Vec<f64>,
    /// Whether each end is nearer to its own target than to any other pattern.
    pub found: Vec<bool>,
}

/// An algorithm with its weights: see [`Algorithm::at`].
pub struct Model {
    algorithm: Algorithm,
    radius: usize,
    n_neurons: f64,
    separation: Option<Box<dyn Separation>>,
}

impl Model {
    /// Stores the patterns and reads all queries until they settle, each set by [`converge_together`].
    ///
    /// # Randomness
    ///
    /// Streams of `draws`, one for the neurons of a store and others for sampled counts.
    ///
    /// # Determinism
    ///
    /// The same for any number of threads.
    ///
    /// # Errors
    ///
    /// [`SdmError`] if queries do not fit the patterns, or a store does not fit into memory.
    pub fn ends(
        &self,
        stored: &Patterns,
        queries: &[Queries],
        max_reads: usize,
        epsilon: f32,
        draws: Draws,
    ) -> Result<Vec<Ends>, SdmError> {
        let purpose = format!("{}, {}, d = {}", draws.purpose, self.algorithm.slug(), self.radius);
        let settle = |queries: &Queries| Settle {
            purpose: format!("{purpose}, P = {}", queries.n_flips),
            max_reads,
            epsilon,
        };
        let (bits, vectors) = (stored.bits.clone(), stored.vectors.clone());
        if let Some(separation) = &self.separation {
            if self.algorithm.is_binary() {
                let memory = BinaryMemory::new(bits, separation);
                let end = |queries: &Queries| {
                    let settled = settle(queries).run(&memory, &queries.bits, draws)?;
                    Ok(ends_of_bits(&settled.states, stored, &queries.targets))
                };
                return queries.iter().map(end).collect();
            }
            let memory = ContinuousMemory::new(vectors, separation);
            let end = |queries: &Queries| {
                let settled = settle(queries).run(&memory, &queries.vectors, draws)?;
                ends_of_vectors(settled.states, stored, &queries.targets)
            };
            return queries.iter().map(end).collect();
        }
        let mut rng = draws.seed.stream(draws.id, &format!("{purpose}, neurons"));
        let neurons = BitMatrix::random(whole(self.n_neurons)?, bits.n_bits(), &mut rng);
        let mut memory = NeuronStore::new(neurons, bits.n_bits(), self.radius)?;
        memory.write(&bits, &bits)?;
        let end = |queries: &Queries| {
            let settled = settle(queries).run(&memory, &queries.bits, draws)?;
            Ok(ends_of_bits(&settled.states, stored, &queries.targets))
        };
        queries.iter().map(end).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
fn whole(n_neurons: f64) -> Result<usize, SdmError> {
    if (1.0..=4e9).contains(&n_neurons) && n_neurons.fract() == 0.0 {
        return Ok(n_neurons as usize);
    }
    let (what, interval) = ("the number of real neurons", "{1, 2, …, 4·10⁹}");
    Err(SdmError::Range { what, got: n_neurons, interval })
}

struct Settle {
    purpose: String,
    max_reads: usize,
    epsilon: f32,
}

impl Settle {
    fn run<M: Memory>(
        &self,
        memory: &M,
        queries: &M::States,
        draws: Draws,
    ) -> Result<Converged<M::States>, SdmError> {
        let draws = Draws { purpose: &self.purpose, ..draws };
        converge_together(memory, queries, self.max_reads, self.epsilon, draws)
    }
}

fn ends_of_bits(ends: &BitMatrix, stored: &Patterns, targets: &[usize]) -> Ends {
    let n = stored.bits.n_bits();
    let cosine = |row: usize, pattern: usize| {
        cosine_from_hamming(n, f64::from(ends.distance(row, &stored.bits, pattern)))
    };
    compared(targets, stored.bits.n_rows(), cosine)
}

fn ends_of_vectors(
    mut ends: Matrix,
    stored: &Patterns,
    targets: &[usize],
) -> Result<Ends, SdmError> {
    ends.normalize_rows();
    let cosines = product_transposed(&ends, &stored.vectors)?;
    let cosine = |row: usize, pattern: usize| f64::from(cosines.row(row)[pattern]);
    Ok(compared(targets, stored.vectors.n_rows(), cosine))
}

fn compared(targets: &[usize], n_patterns: usize, cosine: impl Fn(usize, usize) -> f64) -> Ends {
    let mut ends = Ends { own: Vec::new(), others: Vec::new(), found: Vec::new() };
    for (row, target) in targets.iter().enumerate() {
        let own = cosine(row, *target);
        let others = (0..n_patterns).filter(|pattern| pattern != target);
        let others: Vec<f64> = others.map(|pattern| cosine(row, pattern)).collect();
        ends.own.push(own);
        ends.found.push(others.iter().all(|other| *other < own));
        let n_others = others.len().max(1) as f64;
        ends.others.push(stats::sum(others) / n_others);
    }
    ends
}

/// Reads all queries again and again, until a read moves no coordinate of any of them by more than ε, or for at
/// most `max_reads` reads.
///
/// As [`crate::converge`], but a query that stands still goes on being read while another moves. With sampled
/// counts this matters: a query that rests on its pattern is lost at the first read that happens to draw
/// no neuron there. A query at a fixed point of a memory that draws nothing is not read again, since that
/// would change nothing.
///
/// # Determinism
///
/// The same for any number of threads.
///
/// # Errors
///
/// As [`Memory::read`].
///
/// # Source
///
/// Paper A, the authors' convergence loop: batches of 1024 queries, up to 100 reads, ε = 0.05.
pub fn converge_together<M: Memory>(
    memory: &M,
    queries: &M::States,
    max_reads: usize,
    epsilon: f32,
    draws: Draws,
) -> Result<Converged<M::States>, SdmError> {
    let mut states = queries.clone();
    let mut n_reads = vec![0; queries.n_rows()];
    let mut open: Vec<usize> = (0..queries.n_rows()).collect();
    for step in 0..max_reads {
        let before = states.select(&open);
        let after = memory.read(&before, &open, step, draws)?;
        states.put(&open, &after)?;
        n_reads.fill(step + 1);
        if (0..open.len()).all(|at| after.is_near(at, &before, at, epsilon)) {
            break;
        }
        if !memory.is_random() {
            let fixed = |at: usize| after.is_near(at, &before, at, 0.0);
            open = open.iter().enumerate().filter(|(at, _)| !fixed(*at)).map(|(_, q)| *q).collect();
        }
    }
    Ok(Converged { states, n_reads })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::converge;
    use seed::Seed;

    const DRAWS: Draws = Draws { seed: Seed::new(3), id: "convergence-tests", purpose: "reads" };

    fn patterns(n_patterns: usize, n: usize) -> (Patterns, Rng) {
        let mut rng = Seed::new(3).stream("convergence-tests", "patterns");
        (Patterns::uniform(n_patterns, n, &mut rng), rng)
    }

    fn ends(algorithm: Algorithm, radius: usize, n_flips: usize) -> Ends {
        let (stored, mut rng) = patterns(300, 64);
        let targets: Vec<usize> = (0..300).step_by(3).collect();
        let queries = stored.perturbed(&targets, n_flips, 10, &mut rng);
        let model = algorithm.at(64, radius, 1e5).unwrap();
        model.ends(&stored, &[queries], 100, 0.05, DRAWS).unwrap().remove(0)
    }

    fn mean(values: &[f64]) -> f64 {
        stats::mean(values).unwrap()
    }

    #[test]
    fn every_algorithm_finds_near_patterns_where_it_should() {
        use Algorithm as A;
        for (algorithm, radius) in [
            (A::NeuronStore, 19),
            (A::Circles, 11),
            (A::SampledCircles, 19),
            (A::BitAttention, 11),
            (A::Caps, 11),
            (A::PublishedSampledCaps, 19),
            (A::SampledCaps, 19),
            (A::CirclesOfCosines, 11),
            (A::CircleFitAttention, 11),
            (A::CapFitAttention, 11),
            (A::NearestBits, 11),
            (A::NearestVector, 11),
        ] {
            let ends = ends(algorithm, radius, 4);
            assert!(mean(&ends.own) > 0.97, "{algorithm:?}: {}", mean(&ends.own));
            assert!(mean(&ends.others).abs() < 0.02, "{algorithm:?}");
            assert!(ends.found.iter().filter(|found| **found).count() > 95, "{algorithm:?}");
        }
    }

    #[test]
    fn bits_out_of_reach_read_zeros_and_vectors_stay_where_they_are() {
        let bits = ends(Algorithm::Circles, 5, 12);
        assert!(mean(&bits.own).abs() < 0.05 && !bits.found.contains(&true));
        // cos = 1 − 24/64, and caps of radius 5 part at cos 2t = 0.42; but circles of radius 5 at 10 bits.
        let vectors = ends(Algorithm::CirclesOfCosines, 5, 12);
        assert!(vectors.own.iter().all(|own| (own - 0.625).abs() < 1e-6), "{:?}", vectors.own);
    }

    #[test]
    fn one_that_moves_keeps_all_in_motion() {
        let (stored, _) = patterns(300, 64);
        let queries = stored.bits.select(&(0..100).collect::<Vec<_>>());
        // Expected neurons at the pattern: 0.24.
        let counts = SampledCircles::new(64, 15, 2e4).unwrap();
        let memory = BinaryMemory::new(stored.bits.clone(), counts);
        let at_rest = |converged: &Converged<BitMatrix>| {
            (0..100).filter(|row| converged.states.row(*row) == queries.row(*row)).count()
        };
        let each = converge(&memory, &queries, 100, 0.0, DRAWS).unwrap();
        let together = converge_together(&memory, &queries, 100, 0.0, DRAWS).unwrap();
        assert!((10..40).contains(&at_rest(&each)), "{}", at_rest(&each));
        assert_eq!(at_rest(&together), 0);
        assert!(together.n_reads.iter().all(|reads| *reads == together.n_reads[0]));
    }

    #[test]
    fn where_nothing_is_drawn_resting_together_and_alone_end_alike() {
        let (stored, mut rng) = patterns(200, 64);
        let queries = stored.perturbed(&(0..200).collect::<Vec<_>>(), 12, 10, &mut rng);
        let memory = BinaryMemory::new(stored.bits, Circles::new(64, 19).unwrap());
        let each = converge(&memory, &queries.bits, 100, 0.0, DRAWS).unwrap();
        let together = converge_together(&memory, &queries.bits, 100, 0.0, DRAWS).unwrap();
        assert_eq!(each.states, together.states);
        assert_eq!(each.n_reads.iter().max(), together.n_reads.iter().max());
    }

    #[test]
    fn neurons_are_counted_in_whole_numbers() {
        for n_neurons in [0.0, 0.5, 1e20, f64::NAN] {
            assert!(whole(n_neurons).is_err(), "{n_neurons}");
        }
        assert_eq!(whole(1e5), Ok(100_000));
    }
}
