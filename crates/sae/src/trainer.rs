//! Several dictionaries trained on one stream of activations.

use std::collections::BTreeSet;

use seed::Seed;
use serde::{Deserialize, Serialize};

use crate::architecture::Sae;
use crate::batch::Batch;
use crate::dictionary::{Dictionary, Parts};
use crate::error::{Result, SaeError};
use crate::recipe::Recipe;
use crate::scaling::Scaling;
use crate::step::Report;

/// A dictionary of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Tells it from others of the run, and names its random numbers.
    pub name: String,
    /// What it is and how it is trained.
    pub recipe: Recipe,
}

/// Settings of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Steps.
    pub n_steps: u32,
    /// Rows of a batch; what one row less would mean for windows of dead latents, batches are told by their own size.
    pub batch_rows: usize,
    /// A latent counts as dead if it was active in no row of the last such part of the run. Libraries take a fixed number of
    /// tokens, 10 million mostly, which a shorter run never reaches.
    pub dead_after: f64,
    /// The base seed.
    pub seed: u64,
    /// The dictionaries.
    pub members: Vec<Member>,
}

impl RunConfig {
    /// Refuses what cannot be meant.
    ///
    /// # Errors
    /// [`SaeError::Range`] for no steps, an empty batch, a part of the run out of (0, 1] and schedules that are none,
    /// [`SaeError::Names`] for two dictionaries of a name.
    pub fn check(&self) -> Result<()> {
        for (what, got, is_right, interval) in [
            ("the number of steps", f64::from(self.n_steps), self.n_steps > 0, "[1, 2^32)"),
            ("the rows of a batch", self.batch_rows as f64, self.batch_rows > 0, "[1, ∞)"),
            (
                "the part of the run after which a latent is dead",
                self.dead_after,
                self.dead_after > 0.0 && self.dead_after <= 1.0,
                "(0, 1]",
            ),
        ] {
            if !is_right {
                return Err(SaeError::Range { what, got, interval });
            }
        }
        let mut names = BTreeSet::new();
        for Member { name, recipe } in &self.members {
            if name.is_empty() || !names.insert(name) {
                return Err(SaeError::Names { name: name.clone() });
            }
            recipe.schedule.check()?;
            recipe.schedule.step(&recipe.optimizer, 1, self.n_steps, 0).check()?;
        }
        Ok(())
    }

    /// Rows after which an idle latent is dead.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number of rows, below 2^53 and positive"
    )]
    pub fn dead_after_rows(&self) -> u64 {
        let rows = f64::from(self.n_steps) * self.batch_rows as f64;
        ((rows * self.dead_after).round() as u64).max(1)
    }
}

/// Dictionaries in training. Each is to the last bit what it would be if it were trained alone.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sae::{Batch, Member, Recipe, RunConfig, Scaling, Trainer};
///
/// let rows = Matrix::from_rows(4, 2, vec![1.0, 0.0, 0.0, 1.0, 2.0, 0.0, 0.0, 3.0])?;
/// let member = |name: &str, recipe: Recipe| {
///     Member { name: name.to_owned(), recipe: recipe.with_learning_rate(0.01) }
/// };
/// let config = RunConfig {
///     n_steps: 500,
///     batch_rows: 4,
///     dead_after: 0.05,
///     seed: 0,
///     members: vec![
///         member("one", Recipe::top_k(8, 2, 1)),
///         member("two", Recipe::batch_top_k(8, 2, 1, 500)),
///     ],
/// };
/// let mut trainer = Trainer::new(config, Scaling::of(&rows)?, Batch::of(&rows))?;
/// while !trainer.is_done() {
///     trainer.step(Batch::of(&rows))?;
/// }
/// for (name, dictionary) in trainer.dictionaries()? {
///     let decoded = dictionary.reconstruct(&rows)?;
///     assert!((decoded.values()[0] - 1.0).abs() < 0.2, "{name}: {decoded:?}");
/// }
/// # Ok::<(), sae::SaeError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Trainer {
    pub(crate) config: RunConfig,
    pub(crate) scaling: Scaling,
    pub(crate) saes: Vec<Sae>,
    /// Steps taken.
    pub(crate) t: u32,
}

impl Trainer {
    /// Begins, with a sample of activations as they come ([`TopK::new`](crate::TopK::new) says what a sample is for).
    ///
    /// # Errors
    /// [`RunConfig::check`], those of each architecture's `new`, and [`SaeError::Scaled`] for a transcoder of scaled
    /// activations.
    pub fn new(config: RunConfig, scaling: Scaling, sample: Batch<'_>) -> Result<Self> {
        config.check()?;
        scaling.check()?;
        sample.check()?;
        let reconstructs = sample.reconstructs().is_ok();
        if !reconstructs && scaling != Scaling::None {
            return Err(SaeError::Scaled);
        }
        let scaled = scaling.apply(sample.inputs);
        let sample = if reconstructs { Batch::of(&scaled) } else { sample };
        let begin = |Member { name, recipe }: &Member| {
            let mut rng = Seed::new(config.seed).stream(name, "dictionary");
            let mut sae = recipe.architecture.begin(sample, &mut rng)?;
            sae.freeze(recipe.freeze);
            Ok(sae)
        };
        let saes = config.members.iter().map(begin).collect::<Result<_>>()?;
        Ok(Self { config, scaling, saes, t: 0 })
    }

    /// Settings of the run.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    /// How activations are scaled before they are learned.
    pub fn scaling(&self) -> &Scaling {
        &self.scaling
    }

    /// Steps taken.
    pub fn n_steps(&self) -> u32 {
        self.t
    }

    /// Whether all steps were taken.
    pub fn is_done(&self) -> bool {
        self.t >= self.config.n_steps
    }

    /// A step of every dictionary on a batch of activations as they come; what each found before it, in the units of scaled
    /// activations.
    ///
    /// # Errors
    /// As [`TopK::step`](crate::TopK::step), with the name of the dictionary. Those before it have taken the step then: go on
    /// from a checkpoint, without it.
    pub fn step(&mut self, batch: Batch<'_>) -> Result<Vec<Report>> {
        batch.check()?;
        let scaled;
        let batch = if self.scaling == Scaling::None {
            batch
        } else {
            scaled = self.scaling.apply(batch.inputs);
            Batch::of(&scaled)
        };
        let t = self.t + 1;
        let dead_after = self.config.dead_after_rows();
        let mut reports = Vec::with_capacity(self.saes.len());
        for (Member { name, recipe }, sae) in self.config.members.iter().zip(&mut self.saes) {
            let step = recipe.schedule.step(&recipe.optimizer, t, self.config.n_steps, dead_after);
            let report = sae.step(batch, &step);
            reports.push(report.map_err(|source| SaeError::Member {
                name: name.clone(),
                source: Box::new(source),
            })?);
        }
        self.t = t;
        Ok(reports)
    }

    /// The dictionaries as they are now, by name, with their scaling.
    ///
    /// # Errors
    /// As [`Dictionary::new`].
    pub fn dictionaries(&self) -> Result<Vec<(String, Dictionary)>> {
        let of = |(member, sae): (&Member, &Sae)| {
            let parts = Parts { scaling: self.scaling.clone(), ..sae.dictionary()?.into_parts() };
            Ok((member.name.clone(), Dictionary::new(parts)?))
        };
        self.config.members.iter().zip(&self.saes).map(of).collect()
    }
}
