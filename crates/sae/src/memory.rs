//! The memory that a run takes, before it takes it.

use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::trainer::RunConfig;

/// Bytes that a run takes at its peak, apart from where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Parameters of all dictionaries with their moments.
    pub parameters: u64,
    /// What the step of the largest one takes besides: rows, and what is active.
    pub step: u64,
}

impl Memory {
    /// All of it.
    pub const fn total(&self) -> u64 {
        self.parameters + self.step
    }
}

/// Bytes for each place that is active: latent and value, twice, gradients by both, and the same by latent.
const PLACE_BYTES: u64 = 2 * 8 + 3 * 4 + 8;
/// Matrices of the size of a batch that are held at once: rows, scaled, centered, residuals and their multiples.
const N_BATCHES: u64 = 6;

impl RunConfig {
    /// What it will take for activations of width d, and d′ of what is predicted (d, where they are reconstructed).
    ///
    /// Where nothing bounds what is active, half of all latents count as active: so dictionaries with penalties begin.
    ///
    /// # Examples
    ///
    /// A `TopK` dictionary of 1024 latents over 128 numbers: parameters three times, and 2,048 rows with 32 of them active.
    ///
    /// ```
    /// use sae::{Member, Recipe, RunConfig};
    ///
    /// let members = vec![Member { name: "a".to_owned(), recipe: Recipe::top_k(1024, 128, 32) }];
    /// let config = RunConfig { n_steps: 10, batch_rows: 2048, dead_after: 0.1, seed: 0, members };
    /// let memory = config.memory(128, 128);
    /// assert_eq!(memory.parameters, 3 * 4 * (2 * 1024 * 128 + 1024 + 128) + 8 * 1024);
    /// assert!(memory.total() < 20_000_000);
    /// ```
    pub fn memory(&self, width: usize, predicted_width: usize) -> Memory {
        let (d, out, rows) = (width as u64, predicted_width as u64, self.batch_rows as u64);
        let (mut parameters, mut step) = (0, 0);
        for member in &self.members {
            let recipe = &member.recipe;
            let architecture = &recipe.architecture;
            let n = architecture.n_latents() as u64;
            let (by_latent, n_blocks) = match architecture {
                Architecture::Gated(_) => (3 * n, 1),
                Architecture::JumpRelu(_) => (2 * n, 1),
                Architecture::Transcoder(config) if config.skip => (n + d * out, 1),
                Architecture::Matryoshka(config) => (n, config.prefixes.len() as u64),
                _ => (n, 1),
            };
            parameters += 12 * (n * (d + out) + by_latent + out) + 8 * n;
            let n_active = match architecture.k() {
                // Dead latents may be active besides, as many as half the width.
                Some(k) => {
                    let first = recipe.schedule.step(&recipe.optimizer, 1, self.n_steps, 0);
                    (first.k(k, architecture.n_latents()) as u64 + d / 2).min(n)
                }
                None => n / 2,
            };
            let of_rows = 4 * rows * (N_BATCHES * d.max(out) + 2 * (n_blocks - 1) * out);
            step = step.max(of_rows + PLACE_BYTES * rows * n_active);
        }
        Memory { parameters, step }
    }
}
