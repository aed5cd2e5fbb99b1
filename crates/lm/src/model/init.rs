//! Models at random.

use burn::tensor::Device;
use seed::Seed;

use super::Transformer;
use crate::checkpoint::{Place, places};
use crate::{Config, LmError, Parameters};

/// Standard deviation of new weights (Radford et al. 2019).
const STD: f64 = 0.02;

impl Transformer {
    /// An untrained model: weights normal with standard deviation 0.02, those that write to the
    /// residual stream divided by √(2·`n_layers`); normalizations 1, biases and sinks 0. The scale of a
    /// head's cosines begins at log2(n² − n) with n the context (Henry et al. 2020, section 3).
    ///
    /// Every parameter has a stream of its own, so that two models of one seed share what they both
    /// have in the same shape.
    ///
    /// # Errors
    ///
    /// [`LmError::Config`] for a config that its family cannot have.
    pub fn random(config: Config, seed: Seed, device: &Device) -> Result<Self, LmError> {
        config.check()?;
        let mut parameters = Parameters::new("a random model", device);
        for place in places(&config) {
            let values = initial(&place, &config, seed);
            parameters.put(&place.name, &place.shape, values)?;
        }
        Self::new(config, parameters)
    }
}

fn initial(place: &Place, config: &Config, seed: Seed) -> Vec<f32> {
    let name = place.name.as_str();
    let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
    if last == "scale" {
        let n = config.n_ctx.max(2) as f64;
        return vec![single(libm::log2(n * n - n)); place.len()];
    }
    if last == "bias" || last == "sinks" || last.starts_with("b_") {
        return vec![0.0; place.len()];
    }
    if place.shape.len() == 1 {
        return vec![1.0; place.len()];
    }
    let writes = name.ends_with("output.weight") || last == "w_out";
    let std = if writes { STD / (2.0 * config.n_layers as f64).sqrt() } else { STD };
    let mut rng = seed.stream("lm.init", name);
    (0..place.len()).map(|_| single(std * rng.normal())).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "a small number loses digits only")]
fn single(x: f64) -> f32 {
    x as f32
}
