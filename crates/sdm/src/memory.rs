//! Associative memories: what a query reads, and where reading again and again leads.

use kernels::{BitMatrix, Matrix, product, product_transposed};
use rayon::prelude::*;
use seed::{Rng, Seed};

use crate::separation::{Cue, Separation, Similarities};
use crate::{NeuronStore, SdmError, States};

/// Queries that are weighed together. Fixed, so that results do not depend on the number of threads.
const BATCH: usize = 256;

/// Where the random draws of reads come from: each query of each read has a stream of its own, so that
/// results do not depend on threads, nor on which other queries are read.
#[derive(Clone, Copy, Debug)]
pub struct Draws<'a> {
    /// The base seed.
    pub seed: Seed,
    /// Id of the experiment.
    pub id: &'a str,
    /// What the reads are for; different for each memory and each set of queries.
    pub purpose: &'a str,
}

impl Draws<'_> {
    pub(crate) fn stream(self, step: usize, query: usize) -> Rng {
        self.seed.stream(self.id, &format!("{}, step {step}, query {query}", self.purpose))
    }
}

/// An associative memory: reading maps queries to queries.
pub trait Memory: Sync {
    /// What it reads and answers.
    type States: States;

    /// What each query reads. `step` numbers the reads of one run and `queries` its rows, for the random
    /// draws of sampled memories.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the queries do not fit the memory.
    fn read(
        &self,
        states: &Self::States,
        queries: &[usize],
        step: usize,
        draws: Draws,
    ) -> Result<Self::States, SdmError>;

    /// Whether two reads of the same query may differ.
    fn is_random(&self) -> bool {
        false
    }
}

impl Memory for NeuronStore {
    type States = BitMatrix;

    fn read(
        &self,
        states: &BitMatrix,
        _: &[usize],
        _: usize,
        _: Draws,
    ) -> Result<BitMatrix, SdmError> {
        self.read(states)
    }
}

/// A memory of binary patterns under any separation function: a bit of the answer is one where the weighted
/// mean of the patterns exceeds ½, Paper A, Eq. (1). A query that reaches no pattern reads zeros.
#[derive(Clone, Debug)]
pub struct BinaryMemory<S> {
    addresses: BitMatrix,
    signs: Matrix,
    separation: S,
}

impl<S: Separation> BinaryMemory<S> {
    /// A memory that stores each pattern at itself.
    pub fn new(patterns: BitMatrix, separation: S) -> Self {
        let mut signs = Matrix::zeros(patterns.n_rows(), patterns.n_bits());
        for row in 0..patterns.n_rows() {
            for (bit, sign) in signs.row_mut(row).iter_mut().enumerate() {
                *sign = if patterns.bit(row, bit) { 1.0 } else { -1.0 };
            }
        }
        Self { addresses: patterns, signs, separation }
    }
}

impl<S: Separation> Memory for BinaryMemory<S> {
    type States = BitMatrix;

    fn read(
        &self,
        states: &BitMatrix,
        queries: &[usize],
        step: usize,
        draws: Draws,
    ) -> Result<BitMatrix, SdmError> {
        let (n_bits, n_patterns) = (self.addresses.n_bits(), self.addresses.n_rows());
        let mut read = BitMatrix::zeros(states.n_rows(), n_bits);
        let rows: Vec<usize> = (0..states.n_rows()).collect();
        for batch in rows.chunks(BATCH) {
            let mut weights = Matrix::zeros(batch.len(), n_patterns);
            let of_batch = weights.values_mut().par_chunks_mut(n_patterns.max(1)).zip(batch);
            of_batch.try_for_each(|(weights, row)| {
                let address = states.row(*row);
                let distances = self.addresses.distances(address)?;
                let similarities = Similarities::Distances { n_bits, distances: &distances };
                let mut rng = draws.stream(step, queries[*row]);
                self.separation.weigh(&Cue { address, similarities }, &mut rng, weights);
                Ok::<(), SdmError>(())
            })?;
            let sums = product(&weights, &self.signs)?;
            let bits = BitMatrix::from_fn(batch.len(), n_bits, |row, bit| sums.row(row)[bit] > 0.0);
            read.put(batch, &bits)?;
        }
        Ok(read)
    }

    fn is_random(&self) -> bool {
        self.separation.is_random()
    }
}

/// A memory of vectors under any separation function: the weighted mean of the values, scaled to length 1.
///
/// Similarities are cosines between keys: of the vectors themselves, or of their images under a learned
/// projection. A query that reaches no pattern stays where it is, as in the authors' code of Paper A (whose
/// bits, in that case, become zeros).
#[derive(Clone, Debug)]
pub struct ContinuousMemory<S> {
    projection: Option<Matrix>,
    keys: Matrix,
    values: Matrix,
    separation: S,
}

impl<S: Separation> ContinuousMemory<S> {
    /// A memory that stores each pattern at itself. Patterns are scaled to length 1.
    pub fn new(mut patterns: Matrix, separation: S) -> Self {
        patterns.normalize_rows();
        Self { projection: None, keys: patterns.clone(), values: patterns, separation }
    }

    /// A memory that stores each pattern at its key W·x. Patterns and keys are scaled to length 1.
    ///
    /// # Shapes
    ///
    /// `projection` `[key, value]`, `patterns` `[pattern, value]`.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the widths differ.
    pub fn projected(
        mut patterns: Matrix,
        projection: Matrix,
        separation: S,
    ) -> Result<Self, SdmError> {
        patterns.normalize_rows();
        let mut keys = product_transposed(&patterns, &projection)?;
        keys.normalize_rows();
        Ok(Self { projection: Some(projection), keys, values: patterns, separation })
    }
}

impl<S: Separation> Memory for ContinuousMemory<S> {
    type States = Matrix;

    fn read(
        &self,
        states: &Matrix,
        queries: &[usize],
        step: usize,
        draws: Draws,
    ) -> Result<Matrix, SdmError> {
        let mut read = Matrix::zeros(states.n_rows(), self.values.n_columns());
        let rows: Vec<usize> = (0..states.n_rows()).collect();
        for batch in rows.chunks(BATCH) {
            let mut keys = states.select(batch);
            if let Some(projection) = &self.projection {
                keys = product_transposed(&keys, projection)?;
            }
            keys.normalize_rows();
            let signs = BitMatrix::from_fn(batch.len(), keys.n_columns(), |row, coordinate| {
                keys.row(row)[coordinate] > 0.0
            });
            let mut weights = product_transposed(&keys, &self.keys)?;
            let n_patterns = weights.n_columns().max(1);
            let of_batch = weights.values_mut().par_chunks_mut(n_patterns).enumerate();
            of_batch.for_each(|(at, weights)| {
                let cosines = weights.to_vec();
                let cue =
                    Cue { address: signs.row(at), similarities: Similarities::Cosines(&cosines) };
                let mut rng = draws.stream(step, queries[batch[at]]);
                self.separation.weigh(&cue, &mut rng, weights);
            });
            let mut means = product(&weights, &self.values)?;
            for (at, row) in batch.iter().enumerate() {
                if weights.row(at).iter().all(|weight| *weight == 0.0) {
                    means.row_mut(at).copy_from_slice(states.row(*row));
                }
            }
            means.normalize_rows();
            read.put(batch, &means)?;
        }
        Ok(read)
    }

    fn is_random(&self) -> bool {
        self.separation.is_random()
    }
}

/// Where queries end, and after how many reads.
#[derive(Clone, Debug)]
pub struct Converged<T> {
    /// The last state of each query.
    pub states: T,
    /// The number of reads until a read changed nothing more than ε, or the limit.
    pub n_reads: Vec<usize>,
}

impl<T: States> Converged<T> {
    /// The cosine between each end and the row of `targets` at the same place.
    pub fn cosines(&self, targets: &T) -> Vec<f64> {
        (0..self.states.n_rows()).map(|row| self.states.cosine(row, targets, row)).collect()
    }
}

/// Reads again and again, each query until no coordinate moves by more than ε (no bit changes), or for at
/// most `max_reads` reads.
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
/// Paper A, the convergence experiments: up to 100 reads, ε = 0.05.
pub fn converge<M: Memory>(
    memory: &M,
    queries: &M::States,
    max_reads: usize,
    epsilon: f32,
    draws: Draws,
) -> Result<Converged<M::States>, SdmError> {
    read_on(memory, queries, Stop { max_reads, epsilon, together: false }, draws)
}

/// When queries that are read again and again stop.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    /// The most reads of a query.
    pub max_reads: usize,
    /// A query is still when a read moves no coordinate by more than this (changes no bit).
    pub epsilon: f32,
    /// Whether all are read until a read leaves all of them still, as in the authors' code, rather than each
    /// until it is still itself. A memory that draws anew at each read can lead a query away after it arrived.
    pub together: bool,
}

/// Reads again and again until the queries stop, each alone or all together.
///
/// # Determinism
///
/// The same for any number of threads. The ends of queries that stop together depend on each other.
///
/// # Errors
///
/// As [`Memory::read`].
///
/// # Source
///
/// Paper A, the authors' `convergence_loop`, which reads until no query of a data set moves.
pub fn read_on<M: Memory>(
    memory: &M,
    queries: &M::States,
    stop: Stop,
    draws: Draws,
) -> Result<Converged<M::States>, SdmError> {
    let mut states = queries.clone();
    let mut n_reads = vec![0; queries.n_rows()];
    let mut moving: Vec<usize> = (0..queries.n_rows()).collect();
    for step in 0..stop.max_reads {
        if moving.is_empty() {
            break;
        }
        let before = states.select(&moving);
        let after = memory.read(&before, &moving, step, draws)?;
        states.put(&moving, &after)?;
        for query in &moving {
            n_reads[*query] += 1;
        }
        let still = |at: usize| after.is_near(at, &before, at, stop.epsilon);
        if !stop.together {
            let kept = moving.iter().enumerate().filter(|(at, _)| !still(*at));
            moving = kept.map(|(_, query)| *query).collect();
        } else if (0..moving.len()).all(still) {
            break;
        } else if !memory.is_random() {
            // To read a fixed point again changes nothing.
            let fixed = |at: usize| after.is_near(at, &before, at, 0.0);
            let kept = moving.iter().enumerate().filter(|(at, _)| !fixed(*at));
            moving = kept.map(|(_, query)| *query).collect();
        }
    }
    Ok(Converged { states, n_reads })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::separation::{Circles, Neurons, Softmax, TopK};

    const DRAWS: Draws = Draws { seed: Seed::new(9), id: "memory-tests", purpose: "reads" };

    fn rng(purpose: &str) -> Rng {
        Seed::new(9).stream("memory-tests", purpose)
    }

    fn flipped(patterns: &BitMatrix, n_flips: usize) -> BitMatrix {
        crate::perturb::flip_bits(patterns, n_flips, &mut rng("flips"))
    }

    #[test]
    fn the_neuron_view_is_the_pattern_view_with_counted_neurons() {
        let neurons = BitMatrix::random(20_000, 64, &mut rng("neurons"));
        let patterns = BitMatrix::random(60, 64, &mut rng("patterns"));
        let mut store = NeuronStore::new(neurons.clone(), 64, 22).unwrap();
        store.write(&patterns, &patterns).unwrap();
        let counted = Neurons::new(neurons, &patterns, 22).unwrap();
        let memory = BinaryMemory::new(patterns.clone(), counted);
        let queries = flipped(&patterns, 8);
        let rows: Vec<usize> = (0..60).collect();
        let seen = memory.read(&queries, &rows, 0, DRAWS).unwrap();
        assert_eq!(store.read(&queries).unwrap(), seen);
        assert_ne!(seen, queries);
    }

    #[test]
    fn queries_near_a_pattern_converge_to_it_and_others_stay_apart() {
        let patterns = BitMatrix::random(200, 64, &mut rng("patterns"));
        let memory = BinaryMemory::new(patterns.clone(), Circles::new(64, 11).unwrap());
        let near = converge(&memory, &flipped(&patterns, 6), 100, 0.0, DRAWS).unwrap();
        assert_eq!(near.states, patterns);
        // The first read changes bits, the second finds nothing to change.
        assert!(near.n_reads.iter().all(|reads| *reads == 2), "{:?}", near.n_reads);
        let stored = converge(&memory, &patterns, 100, 0.0, DRAWS).unwrap();
        assert!(stored.n_reads.iter().all(|reads| *reads == 1));
        assert!(stored.cosines(&patterns).iter().all(|cosine| *cosine == 1.0));
    }

    #[test]
    fn a_query_out_of_reach_reads_zeros() {
        let patterns = BitMatrix::from_fn(1, 64, |_, _| true);
        let memory = BinaryMemory::new(patterns, Circles::new(64, 5).unwrap());
        let far = BitMatrix::from_fn(1, 64, |_, bit| bit >= 11);
        let read = memory.read(&far, &[0], 0, DRAWS).unwrap();
        assert_eq!(read, BitMatrix::zeros(1, 64));
    }

    #[test]
    fn a_vector_out_of_reach_stays() {
        let pattern = Matrix::from_rows(1, 3, vec![1.0, 0.0, 0.0]).unwrap();
        let caps = crate::separation::Caps::new(3, 1).unwrap();
        let memory = ContinuousMemory::new(pattern, caps);
        let far = Matrix::from_rows(1, 3, vec![-1.0, 0.0, 0.0]).unwrap();
        assert_eq!(memory.read(&far, &[0], 0, DRAWS).unwrap(), far);
    }

    #[test]
    fn vectors_converge_as_bits_do() {
        let mut values = vec![0.0; 50 * 64];
        let mut draws = rng("vectors");
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        values.fill_with(|| (2.0 * draws.uniform() - 1.0) as f32);
        let mut patterns = Matrix::from_rows(50, 64, values).unwrap();
        patterns.normalize_rows();
        let memory = ContinuousMemory::new(patterns.clone(), Softmax::new(15.9).unwrap());
        let queries = crate::perturb::rotate(&patterns, 0.7, &mut rng("rotate"));
        let ends = converge(&memory, &queries, 100, 0.001, DRAWS).unwrap();
        assert!(
            ends.cosines(&patterns).iter().all(|cosine| *cosine > 0.9),
            "{:?}",
            ends.cosines(&patterns)
        );
        // A projection that changes nothing changes nothing.
        let identity = (0..64 * 64).map(|at| if at % 65 == 0 { 1.0 } else { 0.0 }).collect();
        let identity = Matrix::from_rows(64, 64, identity).unwrap();
        let same =
            ContinuousMemory::projected(patterns, identity, Softmax::new(15.9).unwrap()).unwrap();
        let rows: Vec<usize> = (0..50).collect();
        let (one, other) = (
            memory.read(&queries, &rows, 0, DRAWS).unwrap(),
            same.read(&queries, &rows, 0, DRAWS).unwrap(),
        );
        assert!((0..50).all(|row| one.is_near(row, &other, row, 1e-5)));
    }

    #[test]
    fn the_nearest_pattern_alone_is_read_back_whole() {
        let patterns = BitMatrix::random(500, 64, &mut rng("patterns"));
        let memory = BinaryMemory::new(patterns.clone(), TopK::new(1, 1.0).unwrap());
        let ends = converge(&memory, &flipped(&patterns, 9), 100, 0.0, DRAWS).unwrap();
        assert_eq!(ends.states, patterns);
    }

    #[test]
    fn sampled_reads_lead_settled_queries_away_when_all_are_read_on() {
        // 1.2 neurons near each pattern: one is always there, but a stray second one spoils a read.
        let patterns = BitMatrix::random(1024, 64, &mut rng("patterns"));
        let sampled = crate::separation::SampledCircles::new(64, 15, 1e5).unwrap();
        let memory = BinaryMemory::new(patterns.clone(), sampled);
        let kept = |together| {
            let stop = Stop { max_reads: 100, epsilon: 0.0, together };
            let ends = read_on(&memory, &patterns, stop, DRAWS).unwrap();
            let identified =
                ends.states.identify(&patterns, &(0..1024).collect::<Vec<_>>()).unwrap();
            (identified.iter().filter(|own| **own).count(), ends.n_reads.iter().max().copied())
        };
        let ((alone, _), (together, most)) = (kept(false), kept(true));
        assert!(alone > 950 && together < 600, "{alone} {together}");
        assert_eq!(most, Some(100));
    }

    #[test]
    fn the_same_ends_for_any_number_of_threads_and_in_any_company() {
        let patterns = BitMatrix::random(300, 64, &mut rng("patterns"));
        let queries = flipped(&patterns, 12);
        let sampled = crate::separation::SampledCircles::new(64, 15, 1e5).unwrap();
        let memory = BinaryMemory::new(patterns, sampled);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| converge(&memory, &queries, 20, 0.0, DRAWS).unwrap().states)
        };
        assert_eq!(with(1), with(4));
        let alone = memory.read(&queries.select(&[7]), &[7], 0, DRAWS).unwrap();
        let rows: Vec<usize> = (0..300).collect();
        assert_eq!(memory.read(&queries, &rows, 0, DRAWS).unwrap().row(7), alone.row(0));
    }
}
