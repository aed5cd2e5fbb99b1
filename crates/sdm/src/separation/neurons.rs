//! The neuron view, seen as a separation function.

use kernels::{BitMatrix, KernelError};
use seed::Rng;

use super::{Cue, Separation};
use crate::SdmError;
use crate::store::radius_of;

/// The weights of a memory with real neurons: how many neurons lie within d bits of both pattern and query.
///
/// This is what the counters of a [`NeuronStore`](crate::NeuronStore) amount to: both read the same bits.
/// It keeps a bit for each pattern and neuron, so that single weights can be looked at; the store is what
/// scales.
#[derive(Clone, Debug)]
pub struct Neurons {
    addresses: BitMatrix,
    radius: u32,
    /// `[pattern, neuron]`: whether the pattern was written to the neuron.
    written: BitMatrix,
}

impl Neurons {
    /// Neurons at these addresses to which these patterns are written.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the widths differ, [`SdmError::Range`] if the radius exceeds the width.
    pub fn new(
        addresses: BitMatrix,
        patterns: &BitMatrix,
        radius: usize,
    ) -> Result<Self, SdmError> {
        let radius = radius_of(radius, addresses.n_bits())?;
        let mut written = BitMatrix::zeros(patterns.n_rows(), addresses.n_rows());
        for (pattern, neurons) in addresses.within_each(patterns, radius)?.iter().enumerate() {
            for neuron in neurons {
                written.flip(pattern, *neuron as usize);
            }
        }
        Ok(Self { addresses, radius, written })
    }

    /// How many neurons each pattern shares with a query.
    ///
    /// # Errors
    ///
    /// [`KernelError::Size`] if the query has another width.
    pub fn counts(&self, query: &[u64]) -> Result<Vec<u32>, KernelError> {
        let mut active = BitMatrix::zeros(1, self.addresses.n_rows());
        for neuron in self.addresses.within(query, self.radius)? {
            active.flip(0, neuron as usize);
        }
        let shared = |pattern: usize| {
            let pairs = self.written.row(pattern).iter().zip(active.row(0));
            pairs.map(|(a, b)| (a & b).count_ones()).sum()
        };
        Ok((0..self.written.n_rows()).map(shared).collect())
    }
}

impl Separation for Neurons {
    fn weigh(&self, cue: &Cue, _: &mut Rng, weights: &mut [f32]) {
        let counts = self.counts(cue.address).unwrap_or_else(|error| panic!("a query: {error}"));
        assert_eq!(counts.len(), weights.len(), "a weight for each pattern");
        weights.iter_mut().zip(counts).for_each(|(weight, count)| *weight = count as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_what_a_plain_loop_counts() {
        let mut rng = seed::Seed::new(6).stream("neurons-tests", "addresses");
        let addresses = BitMatrix::random(500, 40, &mut rng);
        let patterns = BitMatrix::random(9, 40, &mut rng);
        let neurons = Neurons::new(addresses.clone(), &patterns, 16).unwrap();
        let counts = neurons.counts(patterns.row(3)).unwrap();
        for (pattern, count) in counts.iter().enumerate() {
            let both = (0..500).filter(|neuron| {
                addresses.distance(*neuron, &patterns, pattern) <= 16
                    && addresses.distance(*neuron, &patterns, 3) <= 16
            });
            assert_eq!(*count as usize, both.count(), "{pattern}");
        }
        assert!(counts[3] > 20, "the radius reaches some neurons: {counts:?}");
        assert!(Neurons::new(addresses, &patterns, 41).is_err());
    }
}
