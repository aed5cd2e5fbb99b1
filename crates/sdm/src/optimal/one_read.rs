//! What one read of a memory with real neurons does, without the simplifications of Eq. (25).

use geometry::HammingSpace;
use stats::normal_cdf;

use crate::SdmError;

/// The expected distance of a read's answer to the target, for a query at every distance 0..=n from it.
///
/// Eq. (25) puts every other pattern at the distance n/2 from the query. They lie at D ~ Binomial(n, ½),
/// which changes two things:
///
/// - the noise: the m−1 others add the variance `(m−1)·(E[I(D)²+I(D)] − b²)`, and `E[I(D)²] > I(n/2)²`;
/// - where patterns are stored at themselves, a pull toward the query: an other that shares many neurons
///   with the query is nearer to it than n/2, so its bits agree with the query's more often than not. Each
///   adds `b = E[I(D)·(1−2D/n)]` in the direction of the query's own bit, which holds right bits and wrong
///   bits alike.
///
/// With B = (m−1)·b and `σ² = I(d_v) + (m−1)·(E[I²+I] − b²)`, of the `n−d_v` bits that are right in the query
/// the share Φ(−(I+B)/σ) is answered wrong, of the `d_v` wrong ones Φ(−(I−B)/σ).
#[derive(Clone, Debug)]
pub struct OneRead {
    n: usize,
    neurons: Vec<f64>,
    pull: f64,
    noise: f64,
}

impl OneRead {
    /// For r neurons at random addresses, Hamming radius d, and m random patterns.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] unless r is positive and finite.
    pub fn new(
        space: &HammingSpace,
        radius: usize,
        n_neurons: f64,
        n_patterns: u64,
    ) -> Result<Self, SdmError> {
        super::check_neurons(n_neurons)?;
        let n = space.dimension();
        let ln_density = libm::log(n_neurons) - space.ln_points();
        let ln_counts = space.ln_intersections(radius);
        let neurons: Vec<f64> =
            ln_counts.iter().map(|ln_count| libm::exp(ln_count + ln_density)).collect();
        let mean = |of: &dyn Fn(usize, f64) -> f64| {
            let terms = neurons.iter().enumerate();
            stats::sum(terms.map(|(distance, count)| {
                libm::exp(space.ln_sphere(distance) - space.ln_points()) * of(distance, *count)
            }))
        };
        let others = n_patterns.saturating_sub(1) as f64;
        let toward =
            mean(&|distance, count| count * geometry::cosine_from_hamming(n, distance as f64));
        let square = mean(&|_, count| count * count + count);
        let noise = others * (square - toward * toward);
        Ok(Self { n, pull: others * toward, noise, neurons })
    }

    /// B: the sum that the other patterns add in the direction of the query's own bit, where each is stored
    /// at itself.
    pub fn pull(&self) -> f64 {
        self.pull
    }

    /// The expected distance after reading patterns that are stored at themselves.
    ///
    /// # Examples
    ///
    /// ```
    /// use geometry::HammingSpace;
    /// use sdm::optimal::OneRead;
    ///
    /// let read = OneRead::new(&HammingSpace::new(1000)?, 451, 1e6, 10_000)?;
    /// let (autoassociative, others) = (read.autoassociative(), read.heteroassociative());
    /// // From 200 bits away an answer is nearer, by the pull of the query on itself alone.
    /// assert!(autoassociative[200] < 200.0 && others[200] > 200.0);
    /// # Ok::<(), sdm::SdmError>(())
    /// ```
    pub fn autoassociative(&self) -> Vec<f64> {
        self.distances(self.pull)
    }

    /// The expected distance to the target's value where values have nothing to do with addresses: no pull.
    pub fn heteroassociative(&self) -> Vec<f64> {
        self.distances(0.0)
    }

    fn distances(&self, pull: f64) -> Vec<f64> {
        let distance = |(distance, signal): (usize, &f64)| {
            let deviation = (signal + self.noise).sqrt();
            let wrong = |margin: f64| {
                if deviation > 0.0 { normal_cdf(-margin / deviation) } else { 0.5 }
            };
            let right = (self.n - distance) as f64;
            right * wrong(signal + pull) + distance as f64 * wrong(signal - pull)
        };
        self.neurons.iter().enumerate().map(distance).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NeuronStore, States as _, perturb};
    use kernels::BitMatrix;
    use seed::Seed;

    #[test]
    fn without_others_only_the_signal_counts() {
        let read = OneRead::new(&HammingSpace::new(64).unwrap(), 20, 1e5, 1).unwrap();
        assert_eq!(read.pull(), 0.0);
        assert_eq!(read.autoassociative(), read.heteroassociative());
        // σ = √I, so that n·Φ(−√I) bits are wrong.
        let wrong = 64.0 * normal_cdf(-read.neurons[8].sqrt());
        assert!((read.heteroassociative()[8] - wrong).abs() < 1e-12);
        // Where no neuron is read bits are coin tosses.
        assert_eq!(read.heteroassociative()[50], 32.0);
        assert!(OneRead::new(&HammingSpace::new(64).unwrap(), 20, 0.0, 1).is_err());
    }

    /// A real store of 20,000 neurons and 400 patterns of 200 bits, with values of their own beside.
    #[test]
    fn a_real_store_reads_as_expected() {
        let (n, radius, n_neurons, m) = (200, 82, 20_000, 400);
        let mut rng = Seed::new(3).stream("one-read-tests", "store");
        let addresses = BitMatrix::random(n_neurons, n, &mut rng);
        let patterns = BitMatrix::random(m, n, &mut rng);
        let values = BitMatrix::random(m, n, &mut rng);
        let mut own = NeuronStore::new(addresses.clone(), n, radius).unwrap();
        own.write(&patterns, &patterns).unwrap();
        let mut other = NeuronStore::new(addresses, n, radius).unwrap();
        other.write(&patterns, &values).unwrap();
        let space = HammingSpace::new(n).unwrap();
        let read = OneRead::new(&space, radius, 2e4, 400).unwrap();
        for distance in [0, 20, 40, 60] {
            let queries = perturb::flip_bits(&patterns, distance, &mut rng);
            let mean = |answers: &BitMatrix, targets: &BitMatrix| {
                let cosines: Vec<f64> =
                    (0..m).map(|row| answers.cosine(row, targets, row)).collect();
                (1.0 - stats::mean(&cosines).unwrap()) * n as f64 / 2.0
            };
            let auto = mean(&own.read(&queries).unwrap(), &patterns);
            let hetero = mean(&other.read(&queries).unwrap(), &values);
            // Values of their own: within the standard error. The pull comes from few near patterns, so that
            // its sum is skewed and the normal distribution good to three bits.
            let (expected_auto, expected_hetero) =
                (read.autoassociative()[distance], read.heteroassociative()[distance]);
            assert!(
                (hetero - expected_hetero).abs() < 1.0,
                "{distance}: {hetero} {expected_hetero}"
            );
            assert!((auto - expected_auto).abs() < 3.0, "{distance}: {auto} {expected_auto}");
            assert!(
                distance == 0 || (auto - expected_hetero).abs() > 3.0,
                "without the pull it is far off"
            );
        }
    }
}
