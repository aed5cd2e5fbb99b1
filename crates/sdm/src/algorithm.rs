//! The memories that Paper A's convergence experiments compare.

use geometry::HammingSpace;
use geometry::cap::{cap_angle, ln_cap_intersection_fraction};
use kernels::{BitMatrix, Matrix};
use seed::Rng;

use crate::separation::{Caps, Circles, SampledCaps, SampledCircles, Separation, Softmax, TopK};
use crate::{
    BinaryMemory, ContinuousMemory, Draws, Memory, NeuronStore, SdmError, SlopeEstimator, States,
    Stop, fit_beta, perturb, read_on,
};

/// An algorithm of Paper A, or the nearest neighbor, against which they are measured.
///
/// # Source
///
/// The authors' code, whose names [`Algorithm::name`] keeps. Both softmax fits use the published slope
/// ([`SlopeEstimator::Published`]), as there.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sdm::{Algorithm, Draws, Patterns, Setting, Stop};
///
/// // Two patterns of 16 numbers, opposite to each other.
/// let vectors = Matrix::from_rows(2, 16, [[1.0; 16], [-1.0; 16]].concat())?;
/// let patterns = Patterns::new(vectors, 0.0);
/// let mut rng = seed::Seed::new(0).stream("doc", "perturbations");
/// let queries = patterns.perturbed(&[0, 1], 3, 1, &mut rng);
/// let setting = Setting { n: 16, radius: 4, n_neurons: 65_536.0, published_caps: false };
/// let memory = Algorithm::BinarySdm.store(&setting, &patterns, &mut rng)?;
/// let stop = Stop { max_reads: 100, epsilon: 0.0, together: true };
/// let draws = Draws { seed: seed::Seed::new(0), id: "doc", purpose: "none" };
/// let ends = memory.ends(&patterns, &queries, stop, draws)?;
/// assert_eq!((ends.own, ends.other), (vec![1.0; 2], vec![-1.0; 2]));
/// assert_eq!(ends.identified, [true; 2]);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// Real neurons: [`NeuronStore`].
    BinaryNeurons,
    /// [`Circles`] between bits.
    BinarySdm,
    /// [`SampledCircles`].
    BinaryLimit,
    /// [`Softmax`] of bits, β fitted to the circles.
    BinarySoftmax,
    /// The nearest pattern in bits.
    BinaryNearest,
    /// [`Caps`].
    ContinuousSdm,
    /// [`SampledCaps`].
    ContinuousLimit,
    /// [`Circles`] at the distances that cosines stand for.
    ContinuousCircles,
    /// [`Softmax`], β fitted to the circles.
    ContinuousSoftmax,
    /// [`Softmax`], β fitted to the caps.
    ContinuousCapSoftmax,
    /// The nearest pattern by cosine.
    ContinuousNearest,
}

/// The size of a memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Dimensions n.
    pub n: usize,
    /// Hamming radius d.
    pub radius: usize,
    /// Neurons r, for the algorithms that count them.
    pub n_neurons: f64,
    /// Whether the limited caps have the e²/2 times too many neurons of the authors' code,
    /// [`SampledCaps::published`].
    pub published_caps: bool,
}

/// Stored patterns, as vectors of length 1 and as bits.
#[derive(Clone, Debug)]
pub struct Patterns {
    vectors: Matrix,
    bits: BitMatrix,
}

/// Perturbed patterns, as vectors and as bits.
#[derive(Clone, Debug)]
pub struct Queries {
    targets: Vec<usize>,
    vectors: Matrix,
    bits: BitMatrix,
}

impl Patterns {
    /// Patterns whose bits are the coordinates above a threshold.
    pub fn new(mut vectors: Matrix, threshold: f32) -> Self {
        let bits = BitMatrix::from_fn(vectors.n_rows(), vectors.n_columns(), |row, column| {
            vectors.row(row)[column] > threshold
        });
        vectors.normalize_rows();
        Self { vectors, bits }
    }

    /// The targets with `n_flips` bits turned over, and turned away as vectors to the cosine 1 − 2P/n, in at
    /// most `n_tries` tries for a query nearest to its target.
    ///
    /// # Randomness
    ///
    /// [`perturb::flip_bits`], then [`perturb::rotate_while_nearest`].
    #[must_use]
    pub fn perturbed(
        &self,
        targets: &[usize],
        n_flips: usize,
        n_tries: usize,
        rng: &mut Rng,
    ) -> Queries {
        let bits = perturb::flip_bits(&self.bits.select(targets), n_flips, rng);
        let cosine = geometry::cosine_from_hamming(self.bits.n_bits(), n_flips as f64);
        let vectors = perturb::rotate_while_nearest(&self.vectors, targets, cosine, n_tries, rng);
        Queries { targets: targets.to_vec(), vectors, bits }
    }
}

/// Where queries ended, query after query.
#[derive(Clone, Debug, PartialEq)]
pub struct Ends {
    /// Cosine with the own target.
    pub own: Vec<f64>,
    /// Cosine with the target of the next query: what resemblance between patterns alone gives.
    pub other: Vec<f64>,
    /// Whether the end is nearer to its target than to every other pattern.
    pub identified: Vec<bool>,
}

/// A memory that patterns were written to.
#[derive(Debug)]
pub enum StoredMemory {
    /// Of real neurons.
    Neurons(NeuronStore),
    /// Of bits.
    Bits(BinaryMemory<Box<dyn Separation>>),
    /// Of vectors.
    Vectors(ContinuousMemory<Box<dyn Separation>>),
}

impl Algorithm {
    /// The name in the authors' code.
    pub fn name(self) -> &'static str {
        match self {
            Self::BinaryNeurons => "Binary_Neuron_SDM",
            Self::BinarySdm => "Binary_SDM",
            Self::BinaryLimit => "Binary_SDM_NeuronLimit",
            Self::BinarySoftmax => "Binary_SDM_BFit_Attention",
            Self::BinaryNearest => "Binary nearest neighbor",
            Self::ContinuousSdm => "Cont_SDM",
            Self::ContinuousLimit => "Cont_SDM_NeuronLimit",
            Self::ContinuousCircles => "Cont_Binary_SDM",
            Self::ContinuousSoftmax => "Cont_SDM_BFit_Attention",
            Self::ContinuousCapSoftmax => "Cont_SDM_CFit_Attention",
            Self::ContinuousNearest => "Continuous nearest neighbor",
        }
    }

    /// Whether it reads bits.
    pub fn is_binary(self) -> bool {
        self <= Self::BinaryNearest
    }

    /// Its separation function; none for real neurons, which are addresses in a store.
    ///
    /// # Errors
    ///
    /// [`SdmError`] for a size that cannot be, and where β cannot be fitted.
    #[expect(clippy::cast_possible_truncation, reason = "β in 32 bits")]
    pub fn separation(self, setting: &Setting) -> Result<Option<Box<dyn Separation>>, SdmError> {
        let Setting { n, radius, n_neurons, published_caps } = *setting;
        let softmax = |caps: bool| Softmax::new(fitted_beta(n, radius, caps)? as f32);
        Ok(Some(match self {
            Self::BinaryNeurons => return Ok(None),
            Self::BinarySdm | Self::ContinuousCircles => Box::new(Circles::new(n, radius)?),
            Self::BinaryLimit => Box::new(SampledCircles::new(n, radius, n_neurons)?),
            Self::BinarySoftmax | Self::ContinuousSoftmax => Box::new(softmax(false)?),
            Self::BinaryNearest | Self::ContinuousNearest => Box::new(TopK::new(1, 1.0)?),
            Self::ContinuousSdm => Box::new(Caps::new(n, radius)?),
            Self::ContinuousLimit if published_caps => {
                Box::new(SampledCaps::published(n, radius, n_neurons)?)
            }
            Self::ContinuousLimit => Box::new(SampledCaps::new(n, radius, n_neurons)?),
            Self::ContinuousCapSoftmax => Box::new(softmax(true)?),
        }))
    }

    /// The memory with these patterns stored at themselves.
    ///
    /// # Randomness
    ///
    /// Real neurons draw their addresses from `rng`; the others draw nothing here.
    ///
    /// # Errors
    ///
    /// [`SdmError`] for a size that cannot be, and where β cannot be fitted.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of neurons is whole and not negative"
    )]
    pub fn store(
        self,
        setting: &Setting,
        patterns: &Patterns,
        rng: &mut Rng,
    ) -> Result<StoredMemory, SdmError> {
        let Some(separation) = self.separation(setting)? else {
            let addresses = BitMatrix::random(setting.n_neurons as usize, setting.n, rng);
            let mut store = NeuronStore::new(addresses, setting.n, setting.radius)?;
            store.write(&patterns.bits, &patterns.bits)?;
            return Ok(StoredMemory::Neurons(store));
        };
        Ok(if self.is_binary() {
            StoredMemory::Bits(BinaryMemory::new(patterns.bits.clone(), separation))
        } else {
            StoredMemory::Vectors(ContinuousMemory::new(patterns.vectors.clone(), separation))
        })
    }
}

/// β of the published fit over d_v = 0..d, to circles or to caps.
///
/// # Errors
///
/// [`SdmError::Geometry`] for a space that cannot be, [`SdmError::Fit`] for a radius below 2.
pub fn fitted_beta(n: usize, radius: usize, caps: bool) -> Result<f64, SdmError> {
    let ln_counts = if caps {
        let angle = cap_angle(n, radius);
        let at = |distance| libm::acos(geometry::cosine_from_hamming(n, f64::from(distance)));
        let end = u32::try_from(radius).unwrap_or(u32::MAX);
        (0..end)
            .map(|distance| ln_cap_intersection_fraction(n, angle, at(distance)))
            .collect::<Result<Vec<_>, _>>()?
    } else {
        HammingSpace::new(n)?.ln_intersections(radius)
    };
    Ok(fit_beta(n, &ln_counts, 0..radius, SlopeEstimator::Published)?.beta)
}

impl StoredMemory {
    /// Where queries end. `patterns` are those that the memory stores.
    ///
    /// # Errors
    ///
    /// As [`Memory::read`].
    pub fn ends(
        &self,
        patterns: &Patterns,
        queries: &Queries,
        stop: Stop,
        draws: Draws,
    ) -> Result<Ends, SdmError> {
        let (targets, bits) = (&queries.targets, &queries.bits);
        match self {
            Self::Neurons(memory) => ends(memory, &patterns.bits, targets, bits, stop, draws),
            Self::Bits(memory) => ends(memory, &patterns.bits, targets, bits, stop, draws),
            Self::Vectors(memory) => {
                ends(memory, &patterns.vectors, targets, &queries.vectors, stop, draws)
            }
        }
    }
}

fn ends<M: Memory>(
    memory: &M,
    stored: &M::States,
    targets: &[usize],
    queries: &M::States,
    stop: Stop,
    draws: Draws,
) -> Result<Ends, SdmError> {
    let converged = read_on(memory, queries, stop, draws)?;
    let mut others = targets.to_vec();
    let by = usize::from(targets.len() > 1);
    others.rotate_left(by);
    Ok(Ends {
        own: converged.cosines(&stored.select(targets)),
        other: converged.cosines(&stored.select(&others)),
        identified: converged.states.identify(stored, targets)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    const ALL: [Algorithm; 11] = [
        Algorithm::BinaryNeurons,
        Algorithm::BinarySdm,
        Algorithm::BinaryLimit,
        Algorithm::BinarySoftmax,
        Algorithm::BinaryNearest,
        Algorithm::ContinuousSdm,
        Algorithm::ContinuousLimit,
        Algorithm::ContinuousCircles,
        Algorithm::ContinuousSoftmax,
        Algorithm::ContinuousCapSoftmax,
        Algorithm::ContinuousNearest,
    ];

    #[test]
    fn every_algorithm_finds_its_way_back_and_none_out_of_reach() {
        let stream = |purpose: &str| Seed::new(6).stream("algorithm-tests", purpose);
        let mut rng = stream("patterns");
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values = (0..40 * 64).map(|_| (2.0 * rng.uniform() - 1.0) as f32).collect();
        let patterns = Patterns::new(Matrix::from_rows(40, 64, values).unwrap(), 0.0);
        let targets: Vec<usize> = (3..27).collect();
        let near = patterns.perturbed(&targets, 4, 10, &mut stream("near"));
        let far = patterns.perturbed(&targets, 32, 1, &mut stream("far"));
        let setting = Setting { n: 64, radius: 19, n_neurons: 1e5, published_caps: false };
        let stop = Stop { max_reads: 50, epsilon: 0.01, together: true };
        for algorithm in ALL {
            let memory = algorithm.store(&setting, &patterns, &mut stream("neurons")).unwrap();
            let draws =
                Draws { seed: Seed::new(6), id: "algorithm-tests", purpose: algorithm.name() };
            let ends = |queries| memory.ends(&patterns, queries, stop, draws).unwrap();
            let found = ends(&near);
            assert!(found.own.iter().all(|own| *own > 0.95), "{algorithm:?} {:?}", found.own);
            assert!(found.other.iter().all(|other| *other < 0.7), "{algorithm:?}");
            assert!(found.identified.iter().all(|own| *own), "{algorithm:?}");
            let lost = ends(&far).identified.iter().filter(|own| **own).count();
            assert!(lost < 8, "{algorithm:?} {lost}");
        }
    }

    #[test]
    fn fitted_betas_are_the_published_ones() {
        for (radius, circles, caps) in
            [(5, 35.4848, 71.7092), (11, 15.8528, 21.5397), (15, 10.1104, 12.2298)]
        {
            assert!((fitted_beta(64, radius, false).unwrap() - circles).abs() < 1e-3);
            assert!((fitted_beta(64, radius, true).unwrap() - caps).abs() < 2e-3);
        }
    }
}
