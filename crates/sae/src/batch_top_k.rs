//! `BatchTopK`: the k·B largest pre-activations of a batch of B rows are active, so that rows may have more or fewer.
//!
//! In use a row is alone: a latent is active above a threshold, the running mean of the least value that was active.
//!
//! # Source
//! Bussmann et al. 2024 (arXiv 2412.06410); constants as in `dictionary_learning`'s `BatchTopKTrainer`.

use kernels::Matrix;
use kernels::dictionary::{Codes, Length, codes_above};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::checkpoint::Part;
use crate::dictionary::{Activation, Dictionary, active};
use crate::error::{Result, SaeError};
use crate::k_sparse::{Aux, Reconstruction};
use crate::median::geometric_median;
use crate::parameters::Parameters;
use crate::step::{Report, Step};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchTopKConfig {
    /// Latents.
    pub n_latents: usize,
    /// Active latents of a row, on average.
    pub k: usize,
    /// What revives dead latents.
    pub aux: Option<Aux>,
    /// How much of the threshold is kept at a step: θ ← decay·θ + (1 − decay)·least.
    pub decay: f64,
    /// After which part of the run the threshold begins, with the least value of one batch.
    pub threshold_from: f64,
}

impl BatchTopKConfig {
    /// decay 0.999 from a tenth of the run on, as `dictionary_learning` has it from its 1000th step on; a smaller decay in a
    /// run of less than 20,000 steps, so that the threshold is the mean of no more than a twentieth of the run.
    pub fn of_run(n_latents: usize, k: usize, aux: Option<Aux>, n_steps: u32) -> Self {
        let decay = 0.999_f64.min(1.0 - 20.0 / f64::from(n_steps.max(20)));
        Self { n_latents, k, aux, decay, threshold_from: 0.1 }
    }
}

/// A `BatchTopK` dictionary in training.
///
/// # Examples
///
/// Of two rows the larger one gets both active latents:
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, BatchTopK, BatchTopKConfig, Step};
/// use seed::Seed;
///
/// let rows = Matrix::from_rows(3, 2, vec![9.0, 5.0, 0.1, 0.0, -0.1, 0.0])?;
/// let config = BatchTopKConfig::of_run(6, 1, None, 10);
/// let mut sae = BatchTopK::new(&config, &rows, &mut Seed::new(3).stream("example", "init"))?;
/// let report = sae.step(Batch::of(&rows), &Step::new(1, 0.01))?;
/// assert_eq!(report.l0, 1.0);
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BatchTopK {
    config: BatchTopKConfig,
    pub(crate) parameters: Parameters,
    running: Running,
}

/// Above which values latents are active in use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Running {
    /// θ, the least active value of the last batch, and 1 once θ has begun.
    numbers: [f64; 3],
}

impl Running {
    pub(crate) const fn new() -> Self {
        Self { numbers: [0.0; 3] }
    }

    pub(crate) fn numbers(&mut self) -> &mut [f64] {
        &mut self.numbers
    }

    /// θ; before it has begun, the least active value of the last batch.
    #[expect(clippy::cast_possible_truncation, reason = "values are single precision")]
    pub(crate) fn threshold(&self) -> f32 {
        let [threshold, least, begun] = self.numbers;
        (if begun > 0.0 { threshold } else { least }) as f32
    }

    /// A lower bound of what will be active in the next batch, most likely.
    #[expect(clippy::cast_possible_truncation, reason = "values are single precision")]
    pub(crate) fn guess(&self) -> f32 {
        self.numbers[1] as f32
    }

    /// Takes in what was active at a step.
    pub(crate) fn take(&mut self, codes: &Codes, decay: f64, begins: bool) {
        let Some(least) = codes.values().iter().copied().min_by(f32::total_cmp) else { return };
        let least = f64::from(least);
        self.numbers[1] = least;
        if begins {
            let [threshold, _, begun] = self.numbers;
            self.numbers[0] =
                if begun > 0.0 { decay * threshold + (1.0 - decay) * least } else { least };
            self.numbers[2] = 1.0;
        }
    }
}

impl BatchTopK {
    /// Begins as [`TopK`](crate::TopK).
    ///
    /// # Errors
    /// As [`TopK::new`](crate::TopK::new), and [`SaeError::Range`] for a decay out of [0, 1].
    pub fn new(config: &BatchTopKConfig, sample: &Matrix, rng: &mut Rng) -> Result<Self> {
        config.check()?;
        let parameters = Parameters::random(config.n_latents, geometric_median(sample)?, 1.0, rng)?;
        Ok(Self { config: config.clone(), parameters, running: Running::new() })
    }

    /// The dictionary as it is now, with its threshold for all latents; before that has begun, the least active value of the
    /// last batch.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionary(&self) -> Result<Dictionary> {
        let thresholds = vec![self.threshold(); self.config.n_latents];
        Dictionary::new(self.parameters.parts(Activation::JumpRelu { thresholds }, true))
    }

    /// Above which value a latent is active in use.
    pub fn threshold(&self) -> f32 {
        self.running.threshold()
    }

    /// One step on a batch, against the loss of [`TopK::step`](crate::TopK::step).
    ///
    /// # Determinism
    /// As there.
    ///
    /// # Errors
    /// As there.
    pub fn step(&mut self, batch: Batch<'_>, step: &Step) -> Result<Report> {
        let prefixes = [(self.config.n_latents, 1.0)];
        self.config.step((&mut self.parameters, &mut self.running), batch, step, &prefixes)
    }

    pub(crate) fn numbers(&mut self) -> Vec<(String, Part<'_>)> {
        let mut all = self.parameters.numbers();
        all.push(("threshold".to_owned(), Part::F64(self.running.numbers())));
        all
    }
}

impl BatchTopKConfig {
    pub(crate) fn check(&self) -> Result<()> {
        for (what, got) in [
            ("the decay of the threshold", self.decay),
            ("the part of the run before the threshold begins", self.threshold_from),
        ] {
            if !(0.0..=1.0).contains(&got) {
                return Err(SaeError::Range { what, got, interval: "[0, 1]" });
            }
        }
        active(self.k, self.n_latents)?;
        self.aux.as_ref().map_or(Ok(()), Aux::check)
    }

    /// One step for the losses of prefixes.
    pub(crate) fn step(
        &self,
        (parameters, running): (&mut Parameters, &mut Running),
        batch: Batch<'_>,
        step: &Step,
        prefixes: &[(usize, f64)],
    ) -> Result<Report> {
        batch.reconstructs()?;
        let n_active = step.k(self.k, self.n_latents) * batch.inputs.n_rows();
        let guess = running.guess();
        let reconstruction = Reconstruction { prefixes, aux: self.aux.as_ref(), centers: true };
        let gradients =
            reconstruction.gradients(parameters, batch, step, |inputs, parameters| {
                largest(inputs, parameters, n_active, guess)
            })?;
        let (report, codes) = gradients.descend(parameters, &mut [], step, Length::One)?;
        running.take(&codes, self.decay, step.progress > self.threshold_from);
        Ok(report)
    }
}

/// Rows whose pre-activations are all looked at for a first guess.
const SAMPLE_ROWS: usize = 64;

/// The n largest positive pre-activations of a batch.
///
/// Those above a bound that is lower than the least of them suffice, and are not many more if it is little lower. What the
/// guess is changes what it costs, and nothing else.
fn largest(inputs: &Matrix, parameters: &Parameters, n: usize, guess: f32) -> Result<Codes> {
    let (encoder, bias) = (parameters.encoder.rows(), &parameters.encoder_bias.numbers);
    let above = |x: &Matrix, bound: f32| codes_above(x, encoder, bias, &vec![bound; bias.len()]);
    let mut bound = 0.9 * guess;
    if bound <= 0.0 {
        let rows: Vec<usize> = (0..inputs.n_rows().min(SAMPLE_ROWS)).collect();
        let mut codes = above(&inputs.select(&rows), 0.0)?;
        codes.keep_largest(n * rows.len() / inputs.n_rows().max(1));
        let least = codes.values().iter().copied().min_by(f32::total_cmp);
        bound = 0.9 * least.unwrap_or(0.0);
    }
    for part in [1.0, 0.7, 0.4] {
        let mut codes = above(inputs, part * bound)?;
        if codes.values().len() >= n {
            codes.keep_largest(n);
            return Ok(codes);
        }
    }
    let mut codes = above(inputs, 0.0)?;
    codes.keep_largest(n);
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    fn random(n_rows: usize, width: usize, purpose: &str) -> Matrix {
        let mut rng = Seed::new(7).stream("batch-top-k", purpose);
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let numbers = (0..n_rows * width).map(|_| rng.normal() as f32).collect();
        Matrix::from_rows(n_rows, width, numbers).unwrap()
    }

    fn sae(config: &BatchTopKConfig, sample: &Matrix) -> BatchTopK {
        BatchTopK::new(config, sample, &mut Seed::new(7).stream("batch-top-k", "init")).unwrap()
    }

    #[test]
    fn the_largest_of_the_batch_are_found_whatever_the_guess() {
        let x = random(90, 6, "x");
        let sae = sae(&BatchTopKConfig::of_run(40, 3, None, 10), &x);
        let parameters = &sae.parameters;
        let mut all: Vec<f32> = kernels::product_transposed(&x, parameters.encoder.rows())
            .unwrap()
            .into_values()
            .into_iter()
            .filter(|value| *value > 0.0)
            .collect();
        all.sort_by(|a, b| b.total_cmp(a));
        for n in [0, 1, 270, all.len(), all.len() + 5] {
            let expected = &all[..n.min(all.len())];
            let found = largest(&x, parameters, n, 0.0).unwrap();
            let mut values = found.values().to_vec();
            values.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(values.len(), expected.len(), "{n}");
            assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
            for guess in [1e-3, 0.5, 2.0, 100.0] {
                assert_eq!(largest(&x, parameters, n, guess).unwrap(), found, "{n}, {guess}");
            }
        }
    }

    #[test]
    fn rows_alone_have_as_many_active_latents_as_rows_in_batches() {
        let config = BatchTopKConfig { decay: 0.9, ..BatchTopKConfig::of_run(60, 4, None, 400) };
        let mut sae = sae(&config, &random(300, 12, "sample"));
        let mut least = Vec::new();
        for t in 1..=400 {
            let batch = random(200, 12, &format!("{t}"));
            let step = Step { progress: f64::from(t) / 400.0, ..Step::new(t, 1e-3) };
            let report = sae.step(Batch::of(&batch), &step).unwrap();
            assert!((report.l0 - 4.0).abs() < 1e-9);
            least.push(sae.running.guess());
            assert_eq!(sae.running.numbers[2] > 0.0, t > 40);
        }
        // θ is a mean of the last values.
        let last = &least[300..];
        let (low, high) =
            (last.iter().copied().fold(9.0, f32::min), last.iter().copied().fold(0.0, f32::max));
        assert!((low..=high).contains(&sae.threshold()));
        let dictionary = sae.dictionary().unwrap();
        let test = random(1000, 12, "test");
        let l0 = dictionary.encode(&test).unwrap().values().len() as f64 / 1000.0;
        assert!((l0 - 4.0).abs() < 0.4, "{l0}");
        let activation = Activation::JumpRelu { thresholds: vec![sae.threshold(); 60] };
        assert_eq!(dictionary.parts().activation, activation);
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        let sample = random(9, 4, "sample");
        let new = |config: &BatchTopKConfig| {
            BatchTopK::new(config, &sample, &mut Seed::new(0).stream("batch-top-k", "init"))
                .map(|_| ())
        };
        let good = BatchTopKConfig::of_run(8, 2, None, 100);
        assert!(new(&good).is_ok());
        assert!(new(&BatchTopKConfig { decay: 1.5, ..good.clone() }).is_err());
        assert!(new(&BatchTopKConfig { k: 9, ..good }).is_err());
    }
}
