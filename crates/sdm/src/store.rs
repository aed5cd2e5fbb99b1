//! Sparse Distributed Memory with real neurons: the neuron view.

use kernels::{BLOCK_ROWS, BitMatrix, KernelError, Queries, add_rows, add_to_rows};
use rayon::prelude::*;

use crate::SdmError;

/// Writes that keep every counter within 16 bits, whatever is written.
const MAX_WRITES: usize = i16::MAX as usize;

/// Neurons of one query whose counters one task sums.
const SHARED_NEURONS: usize = 128;

/// A memory of r neurons at fixed addresses, each with a counter for every bit of a value.
///
/// Writing a value at an address adds +1 for each one and −1 for each zero to the counters of all neurons
/// within d bits of the address. Reading sums the counters of all neurons within d bits of the query; a
/// bit of the answer is one where the sum is positive. A query that reaches no neuron reads zeros.
///
/// # Memory
///
/// r·n/8 bytes for the addresses and 2·r·n bytes for the counters: 2.1 GB for the canonical memory with
/// n = 1000 and r = 10⁶.
///
/// # Determinism
///
/// Integer arithmetic: the same bits on every machine and for any number of threads.
///
/// # Source
///
/// Paper A, the neuron view: a bit is one where the mean of what was stored exceeds ½. With ones and zeros
/// counted as ±1 the mean need not be divided by the number of writes.
///
/// # Examples
///
/// ```
/// use kernels::BitMatrix;
/// use sdm::NeuronStore;
///
/// // Neurons at 000 and 111, radius 1.
/// let neurons = BitMatrix::from_fn(2, 3, |neuron, _| neuron == 1);
/// let mut store = NeuronStore::new(neurons, 3, 1)?;
/// let pattern = BitMatrix::from_fn(1, 3, |_, bit| bit != 1); // 101, near 111
/// store.write(&pattern, &pattern)?;
/// let queries = BitMatrix::from_fn(2, 3, |query, _| query == 0); // 111 and 000
/// assert_eq!(store.sums(&queries)?, [[1, -1, 1], [0, 0, 0]].concat());
/// assert_eq!(store.read(&queries)?.row(0), pattern.row(0));
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NeuronStore {
    addresses: BitMatrix,
    radius: u32,
    n_value_bits: usize,
    counters: Vec<i16>,
    n_written: usize,
}

/// A Hamming radius as the scans take it.
pub(crate) fn radius_of(radius: usize, n_bits: usize) -> Result<u32, SdmError> {
    match u32::try_from(radius) {
        Ok(small) if radius <= n_bits => Ok(small),
        _ => Err(SdmError::Range {
            what: "the Hamming radius",
            got: radius as f64,
            interval: "[0, n] for n bits",
        }),
    }
}

/// The place of a neuron in a block, or of a write: there are at most 32,767 of them.
#[expect(clippy::cast_possible_truncation, reason = "small numbers")]
fn small(place: usize) -> u32 {
    place as u32
}

impl NeuronStore {
    /// An empty memory with neurons at these addresses, for values of this many bits.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] if the radius exceeds the width, [`SdmError::Memory`] if the counters do not fit
    /// into memory.
    pub fn new(addresses: BitMatrix, n_value_bits: usize, radius: usize) -> Result<Self, SdmError> {
        let radius = radius_of(radius, addresses.n_bits())?;
        let too_large = || SdmError::Memory { n_neurons: addresses.n_rows(), n_value_bits };
        let n_counters = addresses.n_rows().checked_mul(n_value_bits).ok_or_else(too_large)?;
        let mut counters = Vec::new();
        counters.try_reserve_exact(n_counters).map_err(|_| too_large())?;
        counters.resize(n_counters, 0);
        Ok(Self { addresses, radius, n_value_bits, counters, n_written: 0 })
    }

    /// The number of neurons r.
    pub fn n_neurons(&self) -> usize {
        self.addresses.n_rows()
    }

    /// The number of patterns written so far.
    pub fn n_written(&self) -> usize {
        self.n_written
    }

    /// Bytes of addresses and counters.
    pub fn n_bytes(&self) -> usize {
        size_of_val(self.addresses.words()) + size_of_val(self.counters.as_slice())
    }

    /// Writes each value at the address beside it.
    ///
    /// A block of neurons is written by all patterns while its counters lie in the cache.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the sizes do not fit, [`SdmError::Range`] beyond 32,767 writes in all, which
    /// the counters might not hold. Nothing is written then.
    pub fn write(&mut self, at: &BitMatrix, values: &BitMatrix) -> Result<(), SdmError> {
        KernelError::check("bits of an address", self.addresses.n_bits(), at.n_bits())?;
        KernelError::check("bits of a value", self.n_value_bits, values.n_bits())?;
        KernelError::check("values to write", at.n_rows(), values.n_rows())?;
        let n_written = self.n_written + at.n_rows();
        if n_written > MAX_WRITES {
            return Err(SdmError::Range {
                what: "the number of writes",
                got: n_written as f64,
                interval: "[0, 32767], what a counter of 16 bits holds",
            });
        }
        self.n_written = n_written;
        let (words, width) = (self.addresses.words_per_row(), self.n_value_bits);
        if words == 0 || width == 0 {
            return Ok(());
        }
        let signs: Vec<i16> = (0..values.n_rows())
            .flat_map(|row| (0..width).map(move |bit| if values.bit(row, bit) { 1 } else { -1 }))
            .collect();
        let (prepared, radius) = (Queries::new(at), self.radius);
        let blocks = self.counters.par_chunks_mut(BLOCK_ROWS * width);
        blocks.zip(self.addresses.words().par_chunks(BLOCK_ROWS * words)).for_each(
            |(counters, rows)| {
                let mut pairs = Vec::new();
                prepared
                    .within(rows, radius, |pattern, row| pairs.push((small(row), small(pattern))));
                add_to_rows(counters, &pairs, &signs, width);
            },
        );
        Ok(())
    }

    /// The sums over the counters of all neurons that each query reaches.
    ///
    /// # Shapes
    ///
    /// `[query, bit]`, query after query.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the queries have another width than the addresses.
    pub fn sums(&self, queries: &BitMatrix) -> Result<Vec<i32>, SdmError> {
        let width = self.n_value_bits;
        let mut sums = vec![0; queries.n_rows() * width];
        if width == 0 {
            return Ok(sums);
        }
        let add = |sums: &mut [i32], neurons: &[u32]| add_rows(&self.counters, neurons, sums);
        let reached = self.reached(queries)?;
        if let [neurons] = reached.as_slice() {
            // One query's neurons are shared out; integers add up to the same in any order.
            let parts = neurons.par_chunks(SHARED_NEURONS).map(|neurons| {
                let mut sums = vec![0; width];
                add(&mut sums, neurons);
                sums
            });
            for part in parts.collect::<Vec<_>>() {
                sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            }
        } else {
            sums.par_chunks_mut(width).zip(&reached).for_each(|(sums, neurons)| add(sums, neurons));
        }
        Ok(sums)
    }

    /// The neurons that each query reaches.
    fn reached(&self, queries: &BitMatrix) -> Result<Vec<Vec<u32>>, SdmError> {
        KernelError::check("bits of a query", self.addresses.n_bits(), queries.n_bits())?;
        // One query is limited by memory and splits over the neurons; many share each block of them.
        if queries.n_rows() == 1 {
            return Ok(vec![self.addresses.within(queries.row(0), self.radius)?]);
        }
        Ok(self.addresses.within_each(queries, self.radius)?)
    }

    /// What each query reads: ones where the sum is positive.
    ///
    /// # Errors
    ///
    /// As [`NeuronStore::sums`].
    pub fn read(&self, queries: &BitMatrix) -> Result<BitMatrix, SdmError> {
        let (sums, width) = (self.sums(queries)?, self.n_value_bits);
        Ok(BitMatrix::from_fn(queries.n_rows(), width, |row, bit| sums[row * width + bit] > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use seed::Seed;

    fn random(n_rows: usize, n_bits: usize, purpose: &str) -> BitMatrix {
        BitMatrix::random(n_rows, n_bits, &mut Seed::new(8).stream("store-tests", purpose))
    }

    /// Sums of a plain loop over neurons, patterns and bits.
    fn plain(
        neurons: &BitMatrix,
        at: &BitMatrix,
        values: &BitMatrix,
        radius: u32,
        query: &BitMatrix,
    ) -> Vec<i32> {
        let mut sums = vec![0; values.n_bits()];
        for neuron in (0..neurons.n_rows()).filter(|n| neurons.distance(*n, query, 0) <= radius) {
            for pattern in (0..at.n_rows()).filter(|p| neurons.distance(neuron, at, *p) <= radius) {
                for (bit, sum) in sums.iter_mut().enumerate() {
                    *sum += if values.bit(pattern, bit) { 1 } else { -1 };
                }
            }
        }
        sums
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn a_store_sums_what_a_plain_loop_sums(
            n_neurons in 1_usize..700, n_bits in 1_usize..130, n_value_bits in 1_usize..40, m in 1_usize..20,
        ) {
            let neurons = random(n_neurons, n_bits, "neurons");
            let (at, values) = (random(m, n_bits, "at"), random(m, n_value_bits, "values"));
            let query = random(1, n_bits, "query");
            let radius = n_bits * 9 / 20;
            let mut store = NeuronStore::new(neurons.clone(), n_value_bits, radius).unwrap();
            store.write(&at, &values).unwrap();
            let expected = plain(&neurons, &at, &values, u32::try_from(radius).unwrap(), &query);
            prop_assert_eq!(store.sums(&query).unwrap(), expected.clone());
            // The other path: many queries at once.
            let both = store.sums(&query.select(&[0, 0])).unwrap();
            prop_assert_eq!(both, [expected.clone(), expected].concat());
        }
    }

    #[test]
    fn writing_in_parts_is_writing_at_once() {
        let neurons = random(3000, 100, "neurons");
        let patterns = random(50, 100, "patterns");
        let mut whole = NeuronStore::new(neurons.clone(), 100, 42).unwrap();
        whole.write(&patterns, &patterns).unwrap();
        let mut parts = NeuronStore::new(neurons, 100, 42).unwrap();
        for part in [0..17, 17..50] {
            let part = patterns.select(&part.collect::<Vec<_>>());
            parts.write(&part, &part).unwrap();
        }
        assert_eq!(whole.counters, parts.counters);
        assert_eq!((whole.n_written(), parts.n_written()), (50, 50));
        assert_eq!(whole.n_bytes(), 3000 * (16 + 200));
    }

    #[test]
    fn the_same_counters_for_any_number_of_threads() {
        let patterns = random(40, 100, "patterns");
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let neurons = random(2000, 100, "neurons");
                let mut store = NeuronStore::new(neurons, 100, 42).unwrap();
                store.write(&patterns, &patterns).unwrap();
                store.sums(&patterns).unwrap()
            })
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_is_written() {
        let patterns = random(3, 64, "patterns");
        assert!(matches!(NeuronStore::new(patterns.clone(), 64, 65), Err(SdmError::Range { .. })));
        let mut store = NeuronStore::new(random(100, 64, "neurons"), 64, 28).unwrap();
        assert!(matches!(store.write(&random(3, 65, "x"), &patterns), Err(SdmError::Kernel(_))));
        assert!(matches!(store.write(&patterns, &random(2, 64, "x")), Err(SdmError::Kernel(_))));
        let many = BitMatrix::zeros(40_000, 64);
        assert!(matches!(store.write(&many, &many), Err(SdmError::Range { .. })));
        assert!(store.counters.iter().all(|counter| *counter == 0));
        assert_eq!(store.n_written(), 0);
        assert!(store.sums(&random(1, 63, "x")).is_err());
        let huge = NeuronStore::new(BitMatrix::zeros(10, 1), usize::MAX / 4, 0);
        assert!(matches!(huge, Err(SdmError::Memory { .. })));
    }
}
