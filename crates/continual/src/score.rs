//! What became of a student's accuracy.

use crate::student::Evaluation;
use crate::{ContinualError, Dataset, Split};

/// Accuracies of a student by task, after each task.
///
/// # Examples
///
/// ```
/// use continual::{Dataset, Evaluation, Scores, Split};
/// use kernels::Matrix;
///
/// // Two classes with two samples each, a task each; the first is forgotten by half.
/// let test = Dataset::new(Matrix::zeros(4, 1), vec![0, 0, 1, 1], 2)?;
/// let split = Split::new(&[0, 1], 1)?;
/// let at = |epoch, n_tasks, n_right: [usize; 2]| {
///     Evaluation { epoch, n_tasks, n_right: n_right.to_vec(), n_alive: None }
/// };
/// let scores = Scores::new(&split, &test, &[at(0, 0, [0, 1]), at(1, 1, [2, 0]), at(2, 2, [1, 2])]);
/// assert_eq!(scores.last(), 0.75);
/// assert_eq!(scores.forgetting(), Some(0.5));
/// assert_eq!(scores.forward_transfer(), Some(-0.5));
/// assert_eq!(scores.running, [(0, 0.0), (1, 0.5), (2, 0.75)]);
/// # Ok::<(), continual::ContinualError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// After each task, the accuracy on the samples of each task.
    pub by_task: Vec<Vec<f64>>,
    /// The accuracy on each task before anything was learned.
    pub untrained: Vec<f64>,
    /// By epoch, the accuracy on the classes seen so far times the part of the tasks seen: Paper B's "validation
    /// accuracy", which ends as the accuracy on all classes.
    pub running: Vec<(usize, f64)>,
    /// By epoch, the accuracy on each task.
    pub over_time: Vec<(usize, Vec<f64>)>,
    last: f64,
}

impl Scores {
    /// From evaluations on the same test samples.
    pub fn new(split: &Split, test: &Dataset, history: &[Evaluation]) -> Self {
        let mut n_samples = vec![0_usize; test.n_classes()];
        test.labels().iter().for_each(|label| n_samples[*label] += 1);
        let accuracy = |evaluation: &Evaluation, classes: &[usize]| {
            let n: usize = classes.iter().map(|class| n_samples[*class]).sum();
            let n_right: usize = classes.iter().map(|class| evaluation.n_right[*class]).sum();
            n_right as f64 / n.max(1) as f64
        };
        let tasks = |evaluation: &Evaluation| -> Vec<f64> {
            split.tasks().iter().map(|classes| accuracy(evaluation, classes)).collect()
        };
        let n_tasks = split.tasks().len();
        let by_task = (1..=n_tasks)
            .filter_map(|n| history.iter().rfind(|evaluation| evaluation.n_tasks == n))
            .map(tasks)
            .collect();
        let running = history.iter().map(|evaluation| {
            let seen = split.seen(evaluation.n_tasks.saturating_sub(1));
            let part = evaluation.n_tasks as f64 / n_tasks as f64;
            (evaluation.epoch, part * accuracy(evaluation, &seen))
        });
        let all: Vec<usize> = split.tasks().concat();
        Self {
            by_task,
            untrained: history.first().map(tasks).unwrap_or_default(),
            running: running.collect(),
            over_time: history
                .iter()
                .map(|evaluation| (evaluation.epoch, tasks(evaluation)))
                .collect(),
            last: history.last().map_or(0.0, |evaluation| accuracy(evaluation, &all)),
        }
    }

    /// Over training, the mean running accuracy of several runs of one schedule: the part of the epochs that is
    /// done, the mean, and its standard error over runs.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Order`] for runs that were not evaluated after the same epochs.
    pub fn running_mean(runs: &[Self]) -> Result<Vec<[f64; 3]>, ContinualError> {
        let epochs = |run: &Self| run.running.iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>();
        let Some(first) = runs.first().map(epochs) else { return Ok(Vec::new()) };
        if runs.iter().any(|run| epochs(run) != first) {
            return Err(ContinualError::Order(
                "the runs were evaluated at other epochs".to_owned(),
            ));
        }
        let end = first.last().copied().unwrap_or(0).max(1) as f64;
        let n = runs.len() as f64;
        let at = |(place, epoch): (usize, &usize)| {
            let of = |run: &Self| run.running[place].1;
            let mean = runs.iter().map(of).sum::<f64>() / n;
            let squares: f64 = runs.iter().map(|run| (of(run) - mean) * (of(run) - mean)).sum();
            let error = if runs.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 };
            [*epoch as f64 / end, mean, error]
        };
        Ok(first.iter().enumerate().map(at).collect())
    }

    /// The accuracy on all classes in the end.
    pub fn last(&self) -> f64 {
        self.last
    }

    /// The mean, over all tasks but the last, of how far the accuracy fell from its best; none for one task.
    pub fn forgetting(&self) -> Option<f64> {
        let (last, before) = self.by_task.split_last()?;
        let n = before.len();
        let fall = |task: usize| {
            let best =
                self.by_task.iter().map(|after| after[task]).fold(f64::NEG_INFINITY, f64::max);
            best - last[task]
        };
        (n > 0).then(|| (0..n).map(fall).sum::<f64>() / n as f64)
    }

    /// The mean, over all tasks but the first, of the accuracy just before it is learned less that of the untrained
    /// student; none for one task.
    pub fn forward_transfer(&self) -> Option<f64> {
        let n = self.by_task.len().checked_sub(1).filter(|n| *n > 0)?;
        let gain = |task: usize| self.by_task[task - 1][task] - self.untrained[task];
        Some((1..=n).map(gain).sum::<f64>() / n as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::Matrix;

    #[test]
    fn the_running_mean_has_the_standard_error_of_its_runs() {
        let test = Dataset::new(Matrix::zeros(4, 1), vec![0, 0, 1, 1], 2).unwrap();
        let split = Split::new(&[0, 1], 1).unwrap();
        let run = |n_right: [usize; 2], epoch| {
            let at = |epoch, n_tasks, n_right: [usize; 2]| Evaluation {
                epoch,
                n_tasks,
                n_right: n_right.to_vec(),
                n_alive: None,
            };
            Scores::new(&split, &test, &[at(0, 0, [0, 0]), at(epoch, 2, n_right)])
        };
        let runs = [run([2, 2], 4), run([1, 1], 4)];
        // 1 and ½: deviation √(2·¼²), error ¼.
        assert_eq!(Scores::running_mean(&runs).unwrap(), [[0.0, 0.0, 0.0], [1.0, 0.75, 0.25]]);
        assert_eq!(Scores::running_mean(&runs[..1]).unwrap()[1], [1.0, 1.0, 0.0]);
        assert!(Scores::running_mean(&[run([2, 2], 4), run([1, 1], 3)]).is_err());
    }
}
