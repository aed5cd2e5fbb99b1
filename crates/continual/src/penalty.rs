//! What keeps weights where earlier tasks need them.

use kernels::Matrix;
use sdm::layer::{Gradients, Net};
use serde::{Deserialize, Serialize};

use crate::ContinualError;

/// Samples that importances are computed from at a time.
const BATCH: usize = 512;
/// Batches that importances are computed from: as many as the authors' loop runs.
const BATCHES: usize = 6;

/// A quadratic penalty λ/2·Σ Ω(θ − θ*)² on leaving the weights θ* of earlier tasks, by how the importance Ω of a
/// weight is found. Importances of tasks add up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Penalty {
    /// No penalty.
    None,
    /// Ω = 1 after every task; θ* are the weights after the last.
    L2 {
        /// λ.
        strength: f32,
    },
    /// Elastic Weight Consolidation: Ω is Fisher information; every task has its own θ*.
    Ewc {
        /// λ.
        strength: f32,
        /// How it is found.
        fisher: Fisher,
    },
    /// Memory Aware Synapses: Ω is the mean absolute gradient of the mean squared logit; θ* are the weights after
    /// the last task.
    Mas {
        /// λ.
        strength: f32,
    },
    /// Synaptic Intelligence: Ω is the loss that a weight took away on its path, −Σ g·Δθ, over (Δθ)² + ξ; θ* are the
    /// weights after the last task.
    Si {
        /// λ.
        strength: f32,
        /// ξ.
        damping: f32,
    },
}

/// How Fisher information is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fisher {
    /// The mean over samples of the expected squared gradient of the log-likelihood, exactly.
    PerSample,
    /// As in Paper B's code: the squared gradient of the summed log-likelihood of the net's own answers in a batch,
    /// with logits multiplied by `beta`, summed over six batches and divided by five times their size.
    BatchSum {
        /// What logits are multiplied by.
        beta: f32,
    },
}

impl Penalty {
    /// λ; 0 for no penalty.
    pub fn strength(self) -> f32 {
        match self {
            Self::None => 0.0,
            Self::L2 { strength }
            | Self::Ewc { strength, .. }
            | Self::Mas { strength }
            | Self::Si { strength, .. } => strength,
        }
    }

    /// The same with another λ.
    #[must_use]
    pub fn with_strength(self, strength: f32) -> Self {
        match self {
            Self::None => Self::None,
            Self::L2 { .. } => Self::L2 { strength },
            Self::Ewc { fisher, .. } => Self::Ewc { strength, fisher },
            Self::Mas { .. } => Self::Mas { strength },
            Self::Si { damping, .. } => Self::Si { strength, damping },
        }
    }
}

/// The sum of the penalties of all tasks so far: its gradient is λ(Ω·θ − P) with P = Σ Ω·θ*.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Anchor {
    stiffness: Gradients,
    pull: Gradients,
    /// Of synaptic intelligence: −Σ g·Δθ since the last task, and the weights then.
    path: Option<(Gradients, Gradients)>,
}

impl Anchor {
    pub(crate) fn new(net: &Net, penalty: Penalty) -> Self {
        let path = matches!(penalty, Penalty::Si { .. })
            .then(|| (Gradients::zeros(net), Gradients::weights(net)));
        Self { stiffness: Gradients::zeros(net), pull: Gradients::zeros(net), path }
    }

    /// Adds the gradient of the penalty.
    pub(crate) fn add_to(&self, net: &Net, gradients: Gradients, strength: f32) -> Gradients {
        let mut gradients = gradients.for_all(net);
        let weights = net.parts();
        let fixed = self.stiffness.parts().into_iter().zip(self.pull.parts());
        for ((gradients, weights), (stiffness, pull)) in
            gradients.parts_mut().into_iter().zip(weights).zip(fixed)
        {
            let each = gradients.iter_mut().zip(weights).zip(stiffness.iter().zip(pull));
            each.for_each(|((g, w), (stiffness, pull))| *g += strength * (stiffness * w - pull));
        }
        gradients
    }

    /// Follows the path of a step, for synaptic intelligence: the gradient of the loss alone, and what it changed.
    pub(crate) fn follow(&mut self, gradients: &Gradients, before: &Gradients, net: &Net) {
        let Some((path, _)) = &mut self.path else { return };
        let moved = before.parts().into_iter().zip(net.parts());
        for ((path, gradients), (before, after)) in
            path.parts_mut().into_iter().zip(gradients.parts()).zip(moved)
        {
            let each = path.iter_mut().zip(gradients).zip(before.iter().zip(after));
            each.for_each(|((path, g), (before, after))| *path -= g * (after - before));
        }
    }

    pub(crate) fn follows(&self) -> bool {
        self.path.is_some()
    }

    /// Takes a finished task into account, given its inputs in random order.
    pub(crate) fn consolidate(
        &mut self,
        net: &Net,
        penalty: Penalty,
        inputs: &Matrix,
        epoch: usize,
    ) -> Result<(), ContinualError> {
        let weights = Gradients::weights(net);
        let importance = match penalty {
            Penalty::None => return Ok(()),
            Penalty::L2 { .. } => {
                let mut ones = Gradients::zeros(net);
                ones.parts_mut().into_iter().for_each(|part| part.fill(1.0));
                ones
            }
            Penalty::Ewc { fisher: Fisher::PerSample, .. } => {
                mean(net, inputs, |net, x| Ok(net.fisher(x, &net.hidden(x, epoch)?)?))?
            }
            Penalty::Ewc { fisher: Fisher::BatchSum { beta }, .. } => {
                batch_sums(net, inputs, epoch, beta)?
            }
            Penalty::Mas { .. } => mean(net, inputs, |net, x| {
                let hidden = net.hidden(x, epoch)?;
                let mut error = net.logits(&hidden)?;
                let scale = 2.0 / error.n_columns() as f32;
                error.values_mut().iter_mut().for_each(|logit| *logit *= scale);
                Ok(net.gradients_of_each(x, &hidden, &error, f32::abs)?)
            })?,
            Penalty::Si { damping, .. } => match self.path.take() {
                None => return Ok(()),
                Some((mut path, start)) => {
                    let moved = start.parts().into_iter().zip(weights.parts());
                    for (path, (start, end)) in path.parts_mut().into_iter().zip(moved) {
                        for (path, (start, end)) in path.iter_mut().zip(start.iter().zip(end)) {
                            *path = path.max(0.0) / ((end - start) * (end - start) + damping);
                        }
                    }
                    self.path = Some((Gradients::zeros(net), weights.clone()));
                    path
                }
            },
        };
        let own_place = matches!(penalty, Penalty::Ewc { .. });
        let parts = self.stiffness.parts_mut().into_iter().zip(self.pull.parts_mut());
        for ((stiffness, pull), (importance, weights)) in
            parts.zip(importance.parts().into_iter().zip(weights.parts()))
        {
            let each = stiffness.iter_mut().zip(pull).zip(importance.iter().zip(weights));
            for ((stiffness, pull), (importance, weight)) in each {
                *stiffness += importance;
                *pull = if own_place { *pull + importance * weight } else { *stiffness * weight };
            }
        }
        Ok(())
    }
}

/// Samples that importances are computed from, in batches.
fn batches(inputs: &Matrix) -> Vec<Matrix> {
    let places: Vec<usize> = (0..inputs.n_rows().min(BATCH * BATCHES)).collect();
    places.chunks(BATCH).map(|places| inputs.select(places)).collect()
}

/// The mean over samples of what `sum` sums over a batch.
fn mean(
    net: &Net,
    inputs: &Matrix,
    sum: impl Fn(&Net, &Matrix) -> Result<Gradients, ContinualError>,
) -> Result<Gradients, ContinualError> {
    let mut total = Gradients::zeros(net);
    let mut n = 0;
    for batch in batches(inputs) {
        total.add(&sum(net, &net.prepare(&batch)?)?);
        n += batch.n_rows();
    }
    total.scale(1.0 / n.max(1) as f32);
    Ok(total)
}

fn batch_sums(
    net: &Net,
    inputs: &Matrix,
    epoch: usize,
    beta: f32,
) -> Result<Gradients, ContinualError> {
    let mut total = Gradients::zeros(net);
    for batch in batches(inputs) {
        let x = net.prepare(&batch)?;
        let hidden = net.hidden(&x, epoch)?;
        let mut logits = net.logits(&hidden)?;
        logits.values_mut().iter_mut().for_each(|logit| *logit *= beta);
        let own: Vec<usize> = logits.rows().map(crate::student::largest).collect();
        let (_, mut error) = sdm::layer::cross_entropy(&logits, &own)?;
        // The sum in the place of the mean, and the slope of the scaled logits.
        let scale = beta * batch.n_rows() as f32;
        error.values_mut().iter_mut().for_each(|e| *e *= scale);
        let mut squares = net.gradients(&x, &hidden, &error)?.for_all(net);
        squares.parts_mut().into_iter().flatten().for_each(|g| *g *= *g);
        total.add(&squares);
    }
    total.scale(1.0 / (5.0 * BATCH as f32));
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdm::layer::{NetConfig, cross_entropy};
    use seed::Seed;

    fn net() -> (Net, Matrix) {
        let mut rng = Seed::new(3).stream("penalty-tests", "net");
        let net = Net::new(NetConfig::relu(4, 10, 3), &mut rng).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values = (0..7 * 4).map(|_| rng.normal() as f32).collect();
        (net, Matrix::from_rows(7, 4, values).unwrap())
    }

    #[test]
    fn fisher_information_is_what_all_answers_would_give() {
        let (net, x) = net();
        let fisher = net.fisher(&x, &net.hidden(&x, 0).unwrap()).unwrap();
        let mut expected = Gradients::zeros(&net);
        for sample in 0..7 {
            let x = x.select(&[sample]);
            let hidden = net.hidden(&x, 0).unwrap();
            let logits = net.logits(&hidden).unwrap();
            for class in 0..3 {
                let (loss, error) = cross_entropy(&logits, &[class]).unwrap();
                let gradients = net.gradients(&x, &hidden, &error).unwrap();
                let p = libm::exp(-loss);
                for (sum, g) in expected.parts_mut().into_iter().zip(gradients.parts()) {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "32 bits are enough for a test"
                    )]
                    sum.iter_mut().zip(g).for_each(|(sum, g)| *sum += p as f32 * g * g);
                }
            }
        }
        for (got, want) in fisher.parts().into_iter().zip(expected.parts()) {
            assert!(
                got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-5 + 1e-3 * b),
                "{got:?} {want:?}"
            );
        }
    }

    #[test]
    fn the_penalty_of_two_tasks_is_the_sum_of_two() {
        let (mut net, x) = net();
        let penalty = Penalty::Ewc { strength: 1.0, fisher: Fisher::PerSample };
        let (mut both, mut first) = (Anchor::new(&net, penalty), Anchor::new(&net, penalty));
        both.consolidate(&net, penalty, &x, 0).unwrap();
        first.consolidate(&net, penalty, &x, 0).unwrap();
        net.w.values_mut().iter_mut().for_each(|w| *w += 0.1);
        let mut second = Anchor::new(&net, penalty);
        both.consolidate(&net, penalty, &x, 0).unwrap();
        second.consolidate(&net, penalty, &x, 0).unwrap();
        net.w.values_mut().iter_mut().for_each(|w| *w *= 0.7);
        let of = |anchor: &Anchor| anchor.add_to(&net, Gradients::zeros(&net), 2.0);
        let mut sum = of(&first);
        sum.add(&of(&second));
        for (a, b) in of(&both).parts().into_iter().zip(sum.parts()) {
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }

    #[test]
    fn the_path_of_small_steps_is_the_loss_that_they_took_away() {
        let (mut net, x) = net();
        let labels = [0, 1, 2, 0, 1, 2, 0];
        let loss = |net: &Net| {
            let hidden = net.hidden(&x, 0).unwrap();
            let (loss, error) = cross_entropy(&net.logits(&hidden).unwrap(), &labels).unwrap();
            (loss, net.gradients(&x, &hidden, &error).unwrap())
        };
        let penalty = Penalty::Si { strength: 1.0, damping: 0.1 };
        let mut anchor = Anchor::new(&net, penalty);
        let before = loss(&net).0;
        for _ in 0..300 {
            let gradients = loss(&net).1;
            let from = Gradients::weights(&net);
            net.w.values_mut().iter_mut().zip(&gradients.w).for_each(|(w, g)| *w -= 0.01 * g);
            net.v.values_mut().iter_mut().zip(&gradients.v).for_each(|(v, g)| *v -= 0.01 * g);
            anchor.follow(&gradients, &from, &net);
        }
        let path: f32 = anchor.path.as_ref().unwrap().0.parts().into_iter().flatten().sum();
        let taken = before - loss(&net).0;
        assert!(taken > 0.1 && (f64::from(path) - taken).abs() < 0.02 * taken, "{path} {taken}");
    }
}
