//! Toy models of features: activations of a dictionary that is known.
//!
//! A sample is x = Σ aᵢ dᵢ + noise over the features that fire, with unit vectors dᵢ. Which features fire follows
//! from [`Firing`]; a dictionary that is trained on the samples can be compared with the true one.

mod dictionary;
mod firing;
mod two;

pub use dictionary::Dictionary;
pub use firing::{Firing, FiringConfig, Hierarchy};
pub use two::{LogitDraws, Side, TwoModels, TwoModelsConfig, TwoSample};

use seed::{Rng, Seed};
use serde::{Deserialize, Serialize};

use crate::error::{WorldError, within};

/// How strongly a feature fires that fires.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Magnitude {
    /// Always 1.
    One,
    /// Uniform in [0, 1).
    Uniform,
    /// max(0, N(mean, std²)).
    RectifiedNormal {
        /// The mean before the rectification.
        mean: f64,
        /// The standard deviation before it.
        std: f64,
    },
}

impl Magnitude {
    fn check(self) -> Result<(), WorldError> {
        let Self::RectifiedNormal { mean, std } = self else { return Ok(()) };
        within("magnitude.mean", mean, -1e6..=1e6, "[-1e6, 1e6]")?;
        within("magnitude.std", std, 0.0..=1e6, "[0, 1e6]")
    }

    fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Uniform => rng.uniform(),
            Self::RectifiedNormal { mean, std } => (mean + std * rng.normal()).max(0.0),
        }
    }
}

/// The options of a toy model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToyConfig {
    /// Decides the dictionary, the firing, and every sample.
    pub seed: u64,
    /// The length of a sample.
    pub d_model: usize,
    /// Which features there are and when they fire.
    pub firing: FiringConfig,
    /// How strongly.
    pub magnitude: Magnitude,
    /// The standard deviation of what is added to each coordinate.
    pub noise: f64,
}

impl ToyConfig {
    /// The calibration toy: 1,024 features in 128 dimensions, a forest of 8 roots with 4 children each, 3 levels
    /// below; Zipf's law with exponent 1/2 from 0.4 down to 5e-4, correlations of rank 25.
    ///
    /// Modeled on `SynthSAEBench` (arXiv 2602.14687), an eighth of its width and a sixteenth of its features.
    #[must_use]
    pub fn synth_sae_mini(seed: u64) -> Self {
        Self {
            seed,
            d_model: 128,
            firing: FiringConfig {
                n_features: 1024,
                zipf_exponent: 0.5,
                p_max: 0.4,
                p_min: 5e-4,
                hierarchy: Some(Hierarchy { roots: 8, branching: 4, depth: 3, exclusive: true }),
                correlation_rank: 25,
                correlation_scale: 0.3,
            },
            magnitude: Magnitude::RectifiedNormal { mean: 1.0, std: 0.15 },
            noise: 0.01,
        }
    }
}

/// A sample with what it is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// x, of length `d_model`.
    pub x: Vec<f32>,
    /// The features that fire, ascending, each with its magnitude.
    pub acts: Vec<(u32, f32)>,
}

/// Sparse features in superposition: x = Σ aᵢ dᵢ + σ n, with n standard normal in each coordinate.
///
/// Sample i follows from the options and i alone.
///
/// # Examples
///
/// ```
/// use world::toy::{Sample, ToyConfig, ToyModel};
///
/// let mut config = ToyConfig::synth_sae_mini(0);
/// config.noise = 0.0;
/// let toy = ToyModel::new(&config)?;
/// let mut sample = Sample::default();
/// toy.write(5, &mut sample);
///
/// // Without noise the sample is the sum of its features.
/// let mut sum = vec![0.0; 128];
/// for &(feature, act) in &sample.acts {
///     for (sum, d) in sum.iter_mut().zip(toy.dictionary().feature(feature as usize)) {
///         *sum += act * d;
///     }
/// }
/// assert_eq!(sum, sample.x);
/// # Ok::<(), world::WorldError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ToyModel {
    config: ToyConfig,
    dictionary: Dictionary,
    firing: Firing,
}

impl ToyModel {
    /// The model of these options.
    ///
    /// # Errors
    ///
    /// [`WorldError`] where an option lies outside of its interval.
    pub fn new(config: &ToyConfig) -> Result<Self, WorldError> {
        config.magnitude.check()?;
        within("noise", config.noise, 0.0..=1e6, "[0, 1e6]")?;
        let seed = Seed::new(config.seed);
        let n_features = config.firing.n_features;
        Ok(Self {
            firing: Firing::new(&config.firing, &mut seed.stream("toy", "firing"))?,
            dictionary: Dictionary::random(
                n_features,
                config.d_model,
                &mut seed.stream("toy", "dictionary"),
            )?,
            config: config.clone(),
        })
    }

    /// The true features.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// When they fire.
    pub fn firing(&self) -> &Firing {
        &self.firing
    }

    /// Writes sample `index` in place of what `sample` held.
    pub fn write(&self, index: u64, sample: &mut Sample) {
        let mut rng = Seed::new(self.config.seed).stream("toy sample", &index.to_string());
        let fires = self.firing.draw(&mut rng);
        sample.acts.clear();
        for feature in fires {
            #[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
            let act = self.config.magnitude.draw(&mut rng) as f32;
            if act > 0.0 {
                sample.acts.push((feature, act));
            }
        }
        self.dictionary.compose(&sample.acts, &mut sample.x);
        add_noise(&mut sample.x, self.config.noise, &mut rng);
    }
}

/// x + σ n, n standard normal.
fn add_noise(x: &mut [f32], noise: f64, rng: &mut Rng) {
    if noise == 0.0 {
        return;
    }
    for x in x {
        #[expect(clippy::cast_possible_truncation, reason = "samples are single precision")]
        let n = (noise * rng.normal()) as f32;
        *x += n;
    }
}
