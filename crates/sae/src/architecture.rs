//! Every architecture by name: its settings, and a dictionary of it in training.

use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::checkpoint::Part;
use crate::dictionary::Dictionary;
use crate::error::Result;
use crate::parameters::{Freeze, Parameters};
use crate::step::{Report, Step};
use crate::{
    BatchTopK, BatchTopKConfig, Gated, GatedConfig, JumpRelu, JumpReluConfig, Matryoshka,
    MatryoshkaConfig, PAnneal, PAnnealConfig, Relu, ReluConfig, TopK, TopKConfig, Transcoder,
    TranscoderConfig, UnitRelu, UnitReluConfig,
};

/// The settings of a dictionary of some architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Architecture {
    /// See [`Relu`].
    Relu(ReluConfig),
    /// See [`UnitRelu`].
    UnitRelu(UnitReluConfig),
    /// See [`PAnneal`].
    PAnneal(PAnnealConfig),
    /// See [`Gated`].
    Gated(GatedConfig),
    /// See [`JumpRelu`].
    JumpRelu(JumpReluConfig),
    /// See [`TopK`].
    TopK(TopKConfig),
    /// See [`BatchTopK`].
    BatchTopK(BatchTopKConfig),
    /// See [`Matryoshka`].
    Matryoshka(MatryoshkaConfig),
    /// See [`Transcoder`].
    Transcoder(TranscoderConfig),
}

impl Architecture {
    /// n, the number of latents.
    pub fn n_latents(&self) -> usize {
        match self {
            Self::Relu(config) => config.n_latents,
            Self::UnitRelu(config) => config.n_latents,
            Self::PAnneal(config) => config.n_latents,
            Self::Gated(config) => config.n_latents,
            Self::JumpRelu(config) => config.n_latents,
            Self::TopK(config) => config.n_latents,
            Self::BatchTopK(config) => config.n_latents,
            Self::Matryoshka(config) => config.whole.n_latents,
            Self::Transcoder(config) => config.n_latents,
        }
    }

    /// Active latents of a row, where they are set.
    pub fn k(&self) -> Option<usize> {
        match self {
            Self::TopK(config) => Some(config.k),
            Self::BatchTopK(config) => Some(config.k),
            Self::Matryoshka(config) => Some(config.whole.k),
            Self::Transcoder(config) => Some(config.k),
            _ => None,
        }
    }

    /// A dictionary that was not trained yet, for activations like those of a sample.
    ///
    /// # Errors
    /// Those of the architecture's `new`; [`SaeError::Targets`](crate::SaeError::Targets) for a sample with targets of its
    /// own, but for a transcoder.
    pub fn begin(&self, sample: Batch<'_>, rng: &mut Rng) -> Result<Sae> {
        if !matches!(self, Self::Transcoder(_)) {
            sample.reconstructs()?;
        }
        let rows = sample.inputs;
        Ok(match self {
            Self::Relu(config) => Sae::Relu(Relu::new(config, rows.n_columns(), rng)?),
            Self::UnitRelu(config) => Sae::UnitRelu(UnitRelu::new(config, rows, rng)?),
            Self::PAnneal(config) => Sae::PAnneal(PAnneal::new(config, rows, rng)?),
            Self::Gated(config) => Sae::Gated(Gated::new(config, rows, rng)?),
            Self::JumpRelu(config) => Sae::JumpRelu(JumpRelu::new(config, rows, rng)?),
            Self::TopK(config) => Sae::TopK(TopK::new(config, rows, rng)?),
            Self::BatchTopK(config) => Sae::BatchTopK(BatchTopK::new(config, rows, rng)?),
            Self::Matryoshka(config) => Sae::Matryoshka(Matryoshka::new(config, rows, rng)?),
            Self::Transcoder(config) => Sae::Transcoder(Transcoder::new(config, sample, rng)?),
        })
    }
}

/// A dictionary of some architecture in training.
#[derive(Clone, Debug, PartialEq)]
pub enum Sae {
    /// See [`Relu`].
    Relu(Relu),
    /// See [`UnitRelu`].
    UnitRelu(UnitRelu),
    /// See [`PAnneal`].
    PAnneal(PAnneal),
    /// See [`Gated`].
    Gated(Gated),
    /// See [`JumpRelu`].
    JumpRelu(JumpRelu),
    /// See [`TopK`].
    TopK(TopK),
    /// See [`BatchTopK`].
    BatchTopK(BatchTopK),
    /// See [`Matryoshka`].
    Matryoshka(Matryoshka),
    /// See [`Transcoder`].
    Transcoder(Transcoder),
}

/// The same for each architecture.
macro_rules! each {
    ($sae:expr, $it:ident => $value:expr) => {
        match $sae {
            Sae::Relu($it) => $value,
            Sae::UnitRelu($it) => $value,
            Sae::PAnneal($it) => $value,
            Sae::Gated($it) => $value,
            Sae::JumpRelu($it) => $value,
            Sae::TopK($it) => $value,
            Sae::BatchTopK($it) => $value,
            Sae::Matryoshka($it) => $value,
            Sae::Transcoder($it) => $value,
        }
    };
}

impl Sae {
    /// One step on a batch, against the loss of the architecture.
    ///
    /// # Errors
    /// As [`TopK::step`]; the dictionary stays as it was.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        each!(self, it => it.step(batch, step))
    }

    /// The dictionary as it is now.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        each!(self, it => it.dictionary())
    }

    /// Leaves a part of the parameters as it is from now on.
    pub fn freeze(&mut self, freeze: Freeze) {
        self.parameters_mut().freeze(freeze);
    }

    /// All numbers that a step changes, with their names.
    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        each!(self, it => it.numbers())
    }

    fn parameters_mut(&mut self) -> &mut Parameters {
        each!(self, it => &mut it.parameters)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::dense::random;
    use crate::jump_relu::Sparsity;
    use crate::k_sparse::Aux;
    use seed::Seed;

    /// One of each.
    pub(crate) fn all(n_latents: usize) -> Vec<Architecture> {
        let aux = Some(Aux { k: 2, coefficient: 0.1 });
        let whole = BatchTopKConfig::of_run(n_latents, 3, aux.clone(), 40);
        let jump = JumpReluConfig {
            bandwidth: 0.2,
            initial_threshold: 0.2,
            ..JumpReluConfig::target_l0(n_latents, 6, 3.0)
        };
        vec![
            Architecture::Relu(ReluConfig { penalty: 0.5, ..ReluConfig::paper_c(n_latents) }),
            Architecture::UnitRelu(UnitReluConfig::new(n_latents, 0.5)),
            Architecture::PAnneal(PAnnealConfig::new(n_latents, 0.5)),
            Architecture::Gated(GatedConfig { n_latents, penalty: 0.5 }),
            Architecture::JumpRelu(jump.clone()),
            Architecture::JumpRelu(JumpReluConfig {
                sparsity: Sparsity::Tanh { coefficient: 0.5, slope: 4.0, revive: 1e-3 },
                ..jump
            }),
            Architecture::TopK(TopKConfig { n_latents, k: 3, aux: aux.clone() }),
            Architecture::BatchTopK(whole.clone()),
            Architecture::Matryoshka(MatryoshkaConfig::fourfold(whole)),
            Architecture::Transcoder(TranscoderConfig { n_latents, k: 3, aux, skip: true }),
        ]
    }

    fn begin(architecture: &Architecture, rows: &kernels::Matrix) -> Sae {
        architecture.begin(Batch::of(rows), &mut Seed::new(7).stream("sae", "init")).unwrap()
    }

    fn at(t: u32) -> Step {
        Step { dead_after: 200, progress: f64::from(t) / 40.0, ..Step::new(t, 3e-3) }
    }

    #[test]
    fn every_architecture_learns_and_threads_change_no_bit() {
        let rows = random(300, 6, "rows");
        for architecture in all(70) {
            let with = |n_threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| {
                    let mut sae = begin(&architecture, &rows);
                    let first = sae.step(Batch::of(&rows), &at(1)).unwrap();
                    let mut last = first;
                    for t in 2..=40 {
                        last = sae.step(Batch::of(&rows), &at(t)).unwrap();
                    }
                    assert!(last.loss < first.loss, "{architecture:?}: {first:?}, {last:?}");
                    (sae, last)
                })
            };
            let one = with(1);
            assert!(one == with(2) && one == with(4), "{architecture:?}");
        }
    }

    #[test]
    fn what_is_frozen_stays() {
        let rows = random(100, 6, "rows");
        // A transcoder's decoder begins at 0: frozen, nothing is learned.
        let all = all(20).into_iter();
        for architecture in all.filter(|it| !matches!(it, Architecture::Transcoder(_))) {
            let of = |freeze: Freeze| {
                let mut sae = begin(&architecture, &rows);
                sae.freeze(freeze);
                let before = sae.dictionary().unwrap();
                for t in 1..=20 {
                    sae.step(Batch::of(&rows), &at(t)).unwrap();
                }
                (before, sae.dictionary().unwrap())
            };
            let (before, after) = of(Freeze::Decoder);
            assert_eq!(before.decoder(), after.decoder(), "{architecture:?}");
            assert_ne!(before.encoder(), after.encoder(), "{architecture:?}");
            let (before, after) = of(Freeze::Encoder);
            assert_eq!(before.encoder(), after.encoder(), "{architecture:?}");
            assert_ne!(before.decoder(), after.decoder(), "{architecture:?}");
            let (before, after) = of(Freeze::SoftDecoder { least_cosine: 0.999 });
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let pairs = before.decoder().rows().zip(after.decoder().rows());
            let cosines = pairs.map(|(a, b)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt());
            assert!(cosines.fold(1.0, f32::min) > 0.9989, "{architecture:?}");
        }
    }

    #[test]
    fn settings_survive_being_written() {
        for architecture in all(20) {
            let text = serde_json::to_string(&architecture).unwrap();
            assert_eq!(serde_json::from_str::<Architecture>(&text).unwrap(), architecture);
            let more = text.replacen('{', "{\"unheard_of\": 1, ", 1);
            let error = serde_json::from_str::<Architecture>(&more).unwrap_err().to_string();
            assert!(error.contains("unheard_of"), "{error}");
        }
    }
}
