//! Dictionaries of several sizes, penalties and seeds.

use std::fs;
use std::path::Path;

use dictionaries::{ScalingRule, TrainConfig};
use sae::{Architecture, Dictionary, Member, Recipe, RunConfig};
use serde::{Deserialize, Serialize};

use crate::error::{InsideError, Result};
use crate::taught::{dictionary, io};

/// Says in a folder of dictionaries which there are.
const FILE: &str = "sweep.json";

/// Rows by which activations are scaled.
const SAMPLE_ROWS: usize = 8192;

/// Dictionaries of paper C's architecture: each size with each penalty for the first seed, and with the paper's for the others, but
/// for the largest size, which has two seeds at most.
///
/// # Examples
///
/// ```
/// use inside::Sweep;
///
/// let sweep = Sweep {
///     n_latents: vec![8, 32],
///     penalties: vec![2.0, 5.0],
///     penalty: 5.0,
///     n_steps: 10,
///     batch_rows: 4,
///     learning_rate: 1e-3,
///     seeds: vec![0, 1, 2],
/// };
/// // The largest is trained from two seeds at most.
/// let runs = sweep.runs(&[]);
/// assert_eq!(runs.iter().map(|run| run.run.members.len()).collect::<Vec<_>>(), [4, 2, 1]);
/// assert_eq!(runs[1].run.members[1].name, "32_5");
/// assert_eq!(sweep.points()[0].label(), "8 latents");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The sizes, ascending.
    pub n_latents: Vec<usize>,
    /// Values of λ.
    pub penalties: Vec<f64>,
    /// The one of the paper.
    pub penalty: f64,
    /// Steps of each run.
    pub n_steps: u32,
    /// Rows of a batch.
    pub batch_rows: usize,
    /// η.
    pub learning_rate: f32,
    /// One run each; those from the third on leave the largest size out, unless it is the only one.
    pub seeds: Vec<u64>,
}

/// A number of each training of the size and penalty of a point.
///
/// # Examples
///
/// ```
/// use inside::{Point, of_trainings};
///
/// let point = |seed| Point { n_latents: 8, penalty: 5.0, seed };
/// let other = Point { penalty: 2.0, ..point(0) };
/// let all = [(point(0), 0.5), (other, 0.7), (point(1), 0.6)];
/// assert_eq!(of_trainings(&all, &point(0), |number| Some(*number)), [0.5, 0.6]);
/// ```
pub fn of_trainings<T>(
    all: &[(Point, T)],
    point: &Point,
    of: impl Fn(&T) -> Option<f64>,
) -> Vec<f64> {
    let is = |it: &Point| {
        it.n_latents == point.n_latents && it.penalty.total_cmp(&point.penalty).is_eq()
    };
    all.iter().filter(|(it, _)| is(it)).filter_map(|(_, number)| of(number)).collect()
}

/// A dictionary of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its size.
    pub n_latents: usize,
    /// λ.
    pub penalty: f64,
    /// The seed of its run.
    pub seed: u64,
}

impl Point {
    /// `2,048 latents`.
    pub fn label(&self) -> String {
        let n = self.n_latents;
        let n = if n < 1000 { n.to_string() } else { format!("{},{:03}", n / 1000, n % 1000) };
        format!("{n} latents")
    }

    fn name(&self) -> String {
        format!("{}_{}", self.n_latents, self.penalty)
    }
}

impl Sweep {
    /// All dictionaries, seed by seed.
    pub fn points(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let largest = self.n_latents.iter().max();
        for (place, seed) in self.seeds.iter().enumerate() {
            for n_latents in &self.n_latents {
                for penalty in &self.penalties {
                    let is_of_all = penalty.total_cmp(&self.penalty).is_eq();
                    let is_of_two = Some(n_latents) == largest && self.n_latents.len() > 1;
                    if place == 0 || (is_of_all && (place == 1 || !is_of_two)) {
                        points.push(Point {
                            n_latents: *n_latents,
                            penalty: *penalty,
                            seed: *seed,
                        });
                    }
                }
            }
        }
        points
    }

    /// Whether a dictionary has the paper's penalty.
    pub fn is_central(&self, point: &Point) -> bool {
        point.penalty.total_cmp(&self.penalty).is_eq()
    }

    /// Sizes with each penalty, as rows of a table.
    pub fn grid(&self) -> impl Iterator<Item = Point> + '_ {
        let first = self.seeds.first().copied();
        self.points().into_iter().filter(move |point| Some(point.seed) == first)
    }

    /// What one of them is, and how it is trained.
    pub fn recipe(&self, n_latents: usize, penalty: f64) -> Recipe {
        let mut recipe = Recipe::paper_c(n_latents);
        if let Architecture::Relu(relu) = &mut recipe.architecture {
            relu.penalty = penalty;
        }
        recipe.with_learning_rate(self.learning_rate)
    }

    /// A run for each seed, with others beside those of the first.
    pub fn runs(&self, beside: &[Member]) -> Vec<TrainConfig> {
        let points = self.points();
        let run = |(place, seed): (usize, &u64)| {
            let own = points.iter().filter(|point| point.seed == *seed).map(|point| Member {
                name: point.name(),
                recipe: self.recipe(point.n_latents, point.penalty),
            });
            let beside = beside.iter().filter(|_| place == 0).cloned();
            let run = RunConfig {
                n_steps: self.n_steps,
                batch_rows: self.batch_rows,
                dead_after: 0.05,
                seed: *seed,
                members: own.chain(beside).collect(),
            };
            TrainConfig {
                run,
                scaling: ScalingRule::MeanSquare,
                sample_rows: SAMPLE_ROWS,
                save_every: (self.n_steps / 4).max(1),
            }
        };
        self.seeds.iter().enumerate().map(run).collect()
    }

    /// Says in a folder which dictionaries it has, for [`Sweep::open`].
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE);
        let text = serde_json::to_vec_pretty(self);
        let text = text.map_err(|source| InsideError::Json { path: path.clone(), source })?;
        fs::write(&path, text).map_err(io("write", &path))
    }

    /// Which dictionaries a folder has.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let text = fs::read(&path).map_err(io("read", &path))?;
        serde_json::from_slice(&text).map_err(|source| InsideError::Json { path, source })
    }

    /// Finds one of them where [`taught`](crate::taught) left it.
    ///
    /// # Errors
    /// As [`dictionary`].
    pub fn find(&self, folder: &Path, point: &Point) -> Result<Dictionary> {
        dictionary(folder, point.seed, &point.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_which_dictionaries_it_has() {
        let sweep = Sweep {
            n_latents: vec![8],
            penalties: vec![0.5, 5.0],
            penalty: 5.0,
            n_steps: 10,
            batch_rows: 4,
            learning_rate: 1e-3,
            seeds: vec![3, 4],
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(Sweep::open(folder.path()).is_err());
        sweep.keep(folder.path()).unwrap();
        assert_eq!(Sweep::open(folder.path()).unwrap(), sweep);
        // A size that is the only one is trained from every seed.
        let points: Vec<_> = sweep.points().iter().map(|it| (it.penalty, it.seed)).collect();
        assert_eq!(points, [(0.5, 3), (5.0, 3), (5.0, 4)]);
    }
}
