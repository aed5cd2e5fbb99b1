//! What the neurons of a net answer to.

use rayon::prelude::*;
use sdm::layer::Net;
use serde::{Deserialize, Serialize};

use crate::{ContinualError, Dataset, Split};

/// Samples that are answered together.
const BATCH: usize = 512;

/// What the neurons of a net answer to, over some samples.
#[derive(Clone, Debug, PartialEq)]
pub struct NeuronStatistics {
    /// For each neuron and class, the samples that it is active for.
    pub active_for: Vec<Vec<usize>>,
    /// For each neuron, the sum of its activations.
    pub activation: Vec<f64>,
    /// The number of samples.
    pub n_samples: usize,
}

/// Which neurons are active for which samples.
///
/// # Errors
///
/// Samples of another width.
pub fn neuron_statistics(
    net: &Net,
    data: &Dataset,
    epoch: usize,
) -> Result<NeuronStatistics, ContinualError> {
    let n_neurons = net.config().n_neurons;
    let places: Vec<usize> = (0..data.len()).collect();
    let batch = BATCH.div_ceil(net.config().n_places());
    let parts = places.par_chunks(batch).map(|places| {
        let x = net.prepare(&data.inputs().select(places))?;
        Ok(net.hidden(&x, epoch)?.active())
    });
    let parts: Vec<_> = parts.collect::<Result<_, ContinualError>>()?;
    let mut active_for = vec![vec![0; data.n_classes()]; n_neurons];
    let mut activation = vec![0.0; n_neurons];
    for (active, label) in parts.into_iter().flatten().zip(data.labels()) {
        for (neuron, h) in active {
            active_for[neuron as usize][*label] += 1;
            activation[neuron as usize] += f64::from(h);
        }
    }
    Ok(NeuronStatistics { active_for, activation, n_samples: data.len() })
}

impl NeuronStatistics {
    /// The part of the neurons that are active for a sample at least.
    pub fn alive(&self) -> f64 {
        let alive =
            self.active_for.iter().filter(|by_class| by_class.iter().any(|n| *n > 0)).count();
        alive as f64 / self.active_for.len().max(1) as f64
    }

    /// The part of the neurons that are active for a sample of each task at least.
    pub fn alive_by_task(&self, split: &Split) -> Vec<f64> {
        let alive = |classes: &Vec<usize>| {
            let knows = |by_class: &&Vec<usize>| classes.iter().any(|class| by_class[*class] > 0);
            self.active_for.iter().filter(knows).count()
        };
        let n = self.active_for.len().max(1) as f64;
        split.tasks().iter().map(|classes| alive(classes) as f64 / n).collect()
    }

    /// The numbers that Paper B gives of a net's neurons.
    ///
    /// # Examples
    ///
    /// ```
    /// let active_for = vec![vec![5, 5], vec![4, 0], vec![0, 0]];
    /// let statistics = continual::NeuronStatistics { active_for, activation: vec![1.0; 3], n_samples: 10 };
    /// let summary = statistics.summary(&continual::Split::new(&[1, 0], 1)?);
    /// assert_eq!(summary.alive_by_task, [1.0 / 3.0, 2.0 / 3.0]);
    /// assert_eq!(summary.class_entropy, 2.0_f64.ln() / 2.0);
    /// assert_eq!(summary.weighted_entropy, 2.0_f64.ln() * 10.0 / 14.0);
    /// assert_eq!(summary.active_per_sample, 1.4);
    /// # Ok::<(), continual::ContinualError>(())
    /// ```
    pub fn summary(&self, split: &Split) -> NeuronSummary {
        let entropies = self.class_entropies();
        let n_active: usize = entropies.iter().map(|(_, n)| n).sum();
        let weighted: f64 = entropies.iter().map(|(entropy, n)| entropy * *n as f64).sum();
        NeuronSummary {
            alive: self.alive(),
            alive_by_task: self.alive_by_task(split),
            class_entropy: entropies.iter().map(|(entropy, _)| entropy).sum::<f64>()
                / entropies.len().max(1) as f64,
            weighted_entropy: weighted / n_active.max(1) as f64,
            active_per_sample: self.active_per_sample(),
        }
    }

    /// The mean number of neurons that are active for a sample.
    pub fn active_per_sample(&self) -> f64 {
        self.active_for.iter().flatten().sum::<usize>() as f64 / self.n_samples.max(1) as f64
    }

    /// For each neuron that is ever active, the entropy in nats of the classes that it is active for, with the
    /// number of samples: 0 for a neuron of one class, ln 10 for one that answers to ten alike.
    ///
    /// # Examples
    ///
    /// ```
    /// let active_for = vec![vec![5, 5], vec![4, 0], vec![0, 0]];
    /// let statistics = continual::NeuronStatistics { active_for, activation: vec![1.0; 3], n_samples: 10 };
    /// assert_eq!(statistics.class_entropies(), [(2.0_f64.ln(), 10), (0.0, 4)]);
    /// assert_eq!(statistics.alive(), 2.0 / 3.0);
    /// ```
    pub fn class_entropies(&self) -> Vec<(f64, usize)> {
        let alive =
            self.active_for.iter().map(|by_class| (by_class, by_class.iter().sum::<usize>()));
        let alive = alive.filter(|(_, n)| *n > 0);
        alive
            .map(|(by_class, n)| {
                let parts = by_class.iter().filter(|count| **count > 0);
                let parts = parts.map(|count| *count as f64 / n as f64);
                (parts.map(|p| p * libm::log(1.0 / p)).sum(), n)
            })
            .collect()
    }
}

/// What Paper B tells of the neurons of a net.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeuronSummary {
    /// The part of the neurons that are active for a sample at least.
    pub alive: f64,
    /// The same of each task's samples.
    pub alive_by_task: Vec<f64>,
    /// The mean entropy in nats of the classes that a neuron is active for, over neurons that are alive.
    pub class_entropy: f64,
    /// The same mean, each neuron weighted by the samples that it is active for.
    pub weighted_entropy: f64,
    /// The mean number of neurons that are active for a sample.
    pub active_per_sample: f64,
}
