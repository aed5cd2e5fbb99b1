//! Learning one task after the other.

use kernels::Matrix;
use rayon::prelude::*;
use sdm::Draws;
use sdm::layer::{Gradients, Learner, LearnerConfig, Net, NetConfig};
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::neurons::{NeuronStatistics, neuron_statistics};
use crate::penalty::Anchor;
use crate::{ContinualError, Dataset, FlyConfig, FlyModel, Penalty, Split};

/// Samples that are answered together.
const ANSWER: usize = 512;

/// What learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// A net by gradient descent.
    Net(NetMethod),
    /// Associations of a fixed sparse code.
    Fly(FlyConfig),
}

impl Method {
    /// The same with another strength of its penalty, if it has one.
    #[must_use]
    pub fn with_strength(mut self, strength: f32) -> Self {
        if let Self::Net(net) = &mut self {
            net.penalty = net.penalty.with_strength(strength);
        }
        self
    }

    /// The same for inputs of another width.
    #[must_use]
    pub fn with_inputs(mut self, n_inputs: usize) -> Self {
        match &mut self {
            Self::Net(method) => method.net.n_inputs = n_inputs,
            Self::Fly(fly) => fly.n_inputs = n_inputs,
        }
        self
    }
}

/// A net by gradient descent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetMethod {
    /// Its ingredients.
    pub net: NetConfig,
    /// How it learns.
    pub learner: LearnerConfig,
    /// What keeps its weights in place.
    pub penalty: Penalty,
    /// Samples of each class that are kept and learned again beside every later batch.
    pub replay: usize,
    /// Whether the GABA switch counts the samples of evaluations too, one pass over the task's test samples each
    /// epoch, as in Paper B's code.
    pub count_evaluations: bool,
}

impl NetMethod {
    /// A net without penalty and replay.
    pub const fn new(net: NetConfig, learner: LearnerConfig) -> Self {
        Self { net, learner, penalty: Penalty::None, replay: 0, count_evaluations: false }
    }
}

/// How long a task is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Passes over the samples of a task.
    pub epochs: usize,
    /// Samples of a step.
    pub batch: usize,
    /// Epochs between evaluations; the last of a task is always one.
    pub evaluate_every: usize,
}

/// The samples of each class that were answered rightly, after so many epochs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs over all tasks so far.
    pub epoch: usize,
    /// Tasks finished or being learned; 0 before the first.
    pub n_tasks: usize,
    /// By class.
    pub n_right: Vec<usize>,
    /// Neurons that were active for a sample at least; none of a `FlyModel`.
    pub n_alive: Option<usize>,
}

/// A method that learns task by task.
///
/// # Determinism
///
/// A student that was stored between two tasks and read back goes on to the last bit.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Student {
    mind: Mind,
    n_tasks: usize,
    n_epochs: usize,
    history: Vec<Evaluation>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Mind {
    Net(Box<NetMind>),
    Fly(FlyModel),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct NetMind {
    learner: Learner,
    method: NetMethod,
    anchor: Anchor,
    /// Kept samples with their labels.
    kept: Option<(Matrix, Vec<usize>)>,
}

fn stream(draws: Draws, what: &str) -> Rng {
    draws.seed.stream(draws.id, &format!("{}, {what}", draws.purpose))
}

impl Student {
    /// One that has learned nothing.
    ///
    /// # Errors
    ///
    /// A setting outside of its interval.
    pub fn new(method: Method, draws: Draws) -> Result<Self, ContinualError> {
        let mut rng = stream(draws, "start");
        let mind = match method {
            Method::Fly(config) => Mind::Fly(FlyModel::new(config, &mut rng)?),
            Method::Net(method) => return Self::with_net(Net::new(method.net, &mut rng)?, method),
        };
        Ok(Self { mind, n_tasks: 0, n_epochs: 0, history: Vec::new() })
    }

    /// One that begins with a net, for instance a pretrained one.
    ///
    /// # Errors
    ///
    /// A setting outside of its interval.
    pub fn with_net(net: Net, method: NetMethod) -> Result<Self, ContinualError> {
        let anchor = Anchor::new(&net, method.penalty);
        let learner = Learner::new(net, method.learner)?;
        let mind = Mind::Net(Box::new(NetMind { learner, method, anchor, kept: None }));
        Ok(Self { mind, n_tasks: 0, n_epochs: 0, history: Vec::new() })
    }

    /// One that has learned all tasks of a split, and was asked the test samples meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Student::new`] and [`Student::learn_next`].
    pub fn taught(
        method: Method,
        split: &Split,
        [train, test]: [&Dataset; 2],
        schedule: Schedule,
        draws: Draws,
    ) -> Result<Self, ContinualError> {
        let mut student = Self::new(method, draws)?;
        for _ in split.tasks() {
            student.learn_next(split, train, test, schedule, draws)?;
        }
        Ok(student)
    }

    /// The net; none of a `FlyModel`.
    pub fn net(&self) -> Option<&Net> {
        match &self.mind {
            Mind::Net(mind) => Some(mind.learner.net()),
            Mind::Fly(_) => None,
        }
    }

    /// Evaluations so far.
    pub fn history(&self) -> &[Evaluation] {
        &self.history
    }

    /// Tasks learned so far.
    pub fn n_tasks(&self) -> usize {
        self.n_tasks
    }

    /// Learns the next task of a split.
    ///
    /// A `FlyModel` passes over its samples once, whatever the schedule.
    ///
    /// # Errors
    ///
    /// [`ContinualError::EmptyTask`], sizes that do not fit, or a loss that is not finite.
    ///
    /// # Panics
    ///
    /// After the last task.
    pub fn learn_next(
        &mut self,
        split: &Split,
        train: &Dataset,
        test: &Dataset,
        schedule: Schedule,
        draws: Draws,
    ) -> Result<(), ContinualError> {
        if self.history.is_empty() {
            self.evaluate(test)?;
        }
        let task = self.n_tasks;
        let data = split.task(train, task)?;
        self.n_tasks += 1;
        if let Mind::Fly(fly) = &mut self.mind {
            fly.learn(&data)?;
            self.n_epochs += 1;
            return self.evaluate(test);
        }
        let own_test = test.of(&split.tasks()[task]);
        for epoch in 1..=schedule.epochs {
            let mut rng = stream(draws, &format!("task {task}, epoch {epoch}"));
            if let Mind::Net(mind) = &mut self.mind {
                mind.epoch(&data, self.n_epochs, schedule.batch, &mut rng)?;
                if mind.method.count_evaluations {
                    mind.count(&own_test, self.n_epochs)?;
                }
            }
            self.n_epochs += 1;
            if epoch % schedule.evaluate_every.max(1) == 0 || epoch == schedule.epochs {
                self.evaluate(test)?;
            }
        }
        let mut rng = stream(draws, &format!("task {task}, end"));
        if let Mind::Net(mind) = &mut self.mind {
            mind.end_task(&data, self.n_epochs, &mut rng)?;
        }
        Ok(())
    }

    /// The class that it answers for each input.
    ///
    /// # Errors
    ///
    /// Inputs of another width.
    pub fn answers(&self, inputs: &Matrix) -> Result<Vec<usize>, ContinualError> {
        Ok(self.answered(inputs)?.0)
    }

    /// What it answers, and which neurons were ever active.
    fn answered(&self, inputs: &Matrix) -> Result<(Vec<usize>, Option<Vec<bool>>), ContinualError> {
        let places: Vec<usize> = (0..inputs.n_rows()).collect();
        let n_places = self.net().map_or(1, |net| net.config().n_places());
        let parts = places.par_chunks(ANSWER.div_ceil(n_places)).map(|places| {
            let inputs = inputs.select(places);
            let (logits, alive) = match &self.mind {
                Mind::Fly(fly) => (fly.logits(&inputs)?, None),
                Mind::Net(mind) => {
                    let net = mind.learner.net();
                    let hidden = net.hidden(&net.prepare(&inputs)?, self.n_epochs)?;
                    let mut alive = vec![false; net.config().n_neurons];
                    for (neuron, _) in hidden.active().into_iter().flatten() {
                        alive[neuron as usize] = true;
                    }
                    (net.logits(&hidden)?, Some(alive))
                }
            };
            Ok((logits.rows().map(largest).collect::<Vec<usize>>(), alive))
        });
        let parts: Vec<_> = parts.collect::<Result<_, ContinualError>>()?;
        let (answers, alive): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let either = |one: Vec<bool>, other: Vec<bool>| {
            one.into_iter().zip(other).map(|(one, other)| one || other).collect()
        };
        Ok((answers.concat(), alive.into_iter().flatten().reduce(either)))
    }

    /// What its neurons answer to, at the end of its learning; none of a `FlyModel`.
    ///
    /// # Errors
    ///
    /// Samples of another width.
    pub fn neurons(&self, data: &Dataset) -> Result<Option<NeuronStatistics>, ContinualError> {
        self.net().map(|net| neuron_statistics(net, data, self.n_epochs)).transpose()
    }

    /// The part of the samples that it answers rightly.
    ///
    /// # Errors
    ///
    /// Samples of another width.
    pub fn accuracy(&self, data: &Dataset) -> Result<f64, ContinualError> {
        let answers = self.answers(data.inputs())?;
        let n_right =
            answers.iter().zip(data.labels()).filter(|(answer, label)| answer == label).count();
        Ok(n_right as f64 / data.len().max(1) as f64)
    }

    fn evaluate(&mut self, test: &Dataset) -> Result<(), ContinualError> {
        let mut n_right = vec![0; test.n_classes()];
        let (answers, alive) = self.answered(test.inputs())?;
        for (answer, label) in answers.iter().zip(test.labels()) {
            n_right[*label] += usize::from(answer == label);
        }
        let n_alive = alive.map(|alive| alive.into_iter().filter(|is_alive| *is_alive).count());
        let (epoch, n_tasks) = (self.n_epochs, self.n_tasks);
        self.history.push(Evaluation { epoch, n_tasks, n_right, n_alive });
        Ok(())
    }
}

impl NetMind {
    fn epoch(
        &mut self,
        data: &Dataset,
        epoch: usize,
        batch: usize,
        rng: &mut Rng,
    ) -> Result<(), ContinualError> {
        let mut order: Vec<usize> = (0..data.len()).collect();
        rng.shuffle(&mut order);
        for places in order.chunks(batch.max(1)) {
            let mut labels: Vec<usize> = places.iter().map(|place| data.labels()[*place]).collect();
            let mut inputs = data.inputs().select(places);
            if let Some((kept, kept_labels)) = &self.kept {
                let again: Vec<usize> =
                    places.iter().map(|_| rng.below(kept_labels.len())).collect();
                labels.extend(again.iter().map(|place| kept_labels[*place]));
                inputs = inputs.below(&kept.select(&again))?;
            }
            let x = self.learner.net().prepare(&inputs)?;
            self.step(&x, &labels, epoch, rng)?;
        }
        Ok(())
    }

    fn step(
        &mut self,
        x: &Matrix,
        labels: &[usize],
        epoch: usize,
        rng: &mut Rng,
    ) -> Result<(), ContinualError> {
        let (strength, anchor) = (self.method.penalty.strength(), &self.anchor);
        if !anchor.follows() {
            self.learner.step(x, labels, epoch, rng, |net, gradients| {
                if strength > 0.0 { anchor.add_to(net, gradients, strength) } else { gradients }
            })?;
            return Ok(());
        }
        let before = Gradients::weights(self.learner.net());
        let mut loss = None;
        self.learner.step(x, labels, epoch, rng, |net, gradients| {
            let gradients = gradients.for_all(net);
            loss = Some(gradients.clone());
            anchor.add_to(net, gradients, strength)
        })?;
        if let Some(loss) = loss {
            self.anchor.follow(&loss, &before, self.learner.net());
        }
        Ok(())
    }

    fn count(&mut self, data: &Dataset, epoch: usize) -> Result<(), ContinualError> {
        let net = self.learner.net();
        let hidden = net.hidden(&net.prepare(data.inputs())?, epoch)?;
        self.learner.count(&hidden);
        Ok(())
    }

    fn end_task(
        &mut self,
        data: &Dataset,
        epoch: usize,
        rng: &mut Rng,
    ) -> Result<(), ContinualError> {
        let mut order: Vec<usize> = (0..data.len()).collect();
        rng.shuffle(&mut order);
        if self.method.penalty != Penalty::None {
            self.anchor.consolidate(
                self.learner.net(),
                self.method.penalty,
                &data.inputs().select(&order),
                epoch,
            )?;
        }
        if self.method.replay > 0 {
            let (some, _) = data.draw(self.method.replay, rng);
            self.kept = Some(match self.kept.take() {
                None => (some.inputs().clone(), some.labels().to_vec()),
                Some((kept, mut labels)) => {
                    labels.extend(some.labels());
                    (kept.below(some.inputs())?, labels)
                }
            });
        }
        Ok(())
    }
}

/// The place of the largest value, the first of equal ones.
pub(crate) fn largest(row: &[f32]) -> usize {
    let mut best = 0;
    for (at, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = at;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fisher, Scores};
    use kernels::Rule;
    use seed::Seed;

    const DRAWS: Draws = Draws { seed: Seed::new(2), id: "student-tests", purpose: "toy" };

    /// Four classes around four of eight axes.
    fn data(n_per_class: usize, purpose: &str) -> Dataset {
        let mut rng = stream(DRAWS, purpose);
        let mut values = Vec::new();
        let mut labels = Vec::new();
        for sample in 0..4 * n_per_class {
            let class = sample % 4;
            #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
            values.extend(
                (0..8).map(|at| (rng.uniform() + if at == 2 * class { 2.0 } else { 0.0 }) as f32),
            );
            labels.push(class);
        }
        Dataset::new(Matrix::from_rows(4 * n_per_class, 8, values).unwrap(), labels, 4).unwrap()
    }

    fn relu() -> NetMethod {
        let rule = Rule::Sgd { learning_rate: 0.1 };
        NetMethod::new(NetConfig::relu(8, 50, 4), LearnerConfig::with(rule))
    }

    fn sdm() -> NetMethod {
        NetMethod { net: NetConfig::sdm(8, 50, 4, 5, 400.0), ..relu() }
    }

    const EWC: Penalty = Penalty::Ewc { strength: 100.0, fisher: Fisher::PerSample };

    fn methods() -> Vec<NetMethod> {
        let with = |penalty| NetMethod { penalty, ..relu() };
        vec![
            relu(),
            sdm(),
            NetMethod { penalty: EWC, ..sdm() },
            with(EWC),
            with(Penalty::Ewc { strength: 100.0, fisher: Fisher::BatchSum { beta: 0.08 } }),
            with(Penalty::Mas { strength: 1.0 }),
            with(Penalty::Si { strength: 1.0, damping: 0.01 }),
            with(Penalty::L2 { strength: 1.0 }),
            NetMethod { replay: 5, ..relu() },
            NetMethod { count_evaluations: true, ..sdm() },
            NetMethod { learner: LearnerConfig { dropout: 0.1, ..relu().learner }, ..relu() },
        ]
    }

    const SCHEDULE: Schedule = Schedule { epochs: 15, batch: 16, evaluate_every: 5 };

    fn learn(method: Method) -> (Student, Scores) {
        let split = Split::new(&[2, 0, 3, 1], 2).unwrap();
        let (train, test) = (data(40, "train"), data(20, "test"));
        let mut student = Student::new(method, DRAWS).unwrap();
        for _ in split.tasks() {
            student.learn_next(&split, &train, &test, SCHEDULE, DRAWS).unwrap();
        }
        let scores = Scores::new(&split, &test, student.history());
        (student, scores)
    }

    #[test]
    fn a_plain_net_forgets_and_others_less() {
        let (student, plain) = learn(Method::Net(relu()));
        assert!(plain.by_task[0][0] > 0.95, "the first task is learned");
        assert!(plain.last() < 0.6 && plain.forgetting() > Some(0.8), "{plain:?}");
        assert_eq!(student.history().len(), 1 + 2 * 3);
        assert_eq!(plain.running.last(), Some(&(30, plain.last())));
        let better = [
            Method::Net(NetMethod { replay: 5, ..relu() }),
            Method::Net(sdm()),
            Method::Fly(FlyConfig {
                n_inputs: 8,
                n_cells: 200,
                n_responses: 2,
                n_classes: 4,
                active: 0.1,
                learning_rate: 0.005,
            }),
        ];
        for method in better {
            let (_, scores) = learn(method);
            assert!(scores.last() > plain.last() + 0.15, "{method:?}: {scores:?}");
        }
    }

    #[test]
    fn a_strong_penalty_keeps_weights_in_place() {
        let (train, test) = (data(40, "train"), data(20, "test"));
        let split = Split::new(&[0, 1, 2, 3], 2).unwrap();
        let moved = |penalty: Penalty| {
            let mut student =
                Student::new(Method::Net(NetMethod { penalty, ..relu() }), DRAWS).unwrap();
            student.learn_next(&split, &train, &test, SCHEDULE, DRAWS).unwrap();
            let before = student.net().unwrap().clone();
            student.learn_next(&split, &train, &test, SCHEDULE, DRAWS).unwrap();
            let pairs = before.w.values().iter().zip(student.net().unwrap().w.values());
            pairs.map(|(a, b)| (a - b).abs()).sum::<f32>()
        };
        let free = moved(Penalty::None);
        let penalties = [
            EWC.with_strength(1e5),
            Penalty::Mas { strength: 300.0 },
            Penalty::L2 { strength: 3.0 },
            Penalty::Si { strength: 300.0, damping: 0.01 },
        ];
        for penalty in penalties {
            assert!(moved(penalty) < 0.5 * free, "{penalty:?}");
        }
        assert_eq!(moved(EWC.with_strength(0.0)), free);
    }

    #[test]
    fn a_stored_student_goes_on_to_the_last_bit() {
        let split = Split::new(&[2, 0, 3, 1], 2).unwrap();
        let (train, test) = (data(30, "train"), data(10, "test"));
        for method in methods() {
            let mut whole = Student::new(Method::Net(method), DRAWS).unwrap();
            whole.learn_next(&split, &train, &test, SCHEDULE, DRAWS).unwrap();
            let stored = serde_json::to_string(&whole).unwrap();
            let mut again: Student = serde_json::from_str(&stored).unwrap();
            for student in [&mut whole, &mut again] {
                student.learn_next(&split, &train, &test, SCHEDULE, DRAWS).unwrap();
            }
            assert_eq!(whole.net(), again.net(), "{method:?}");
            assert_eq!(whole.history(), again.history());
        }
    }

    #[test]
    fn the_same_student_for_any_number_of_threads() {
        for method in methods() {
            let with = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| learn(Method::Net(method)).0.net().cloned())
            };
            let one = with(1);
            assert_eq!(one, with(2), "{method:?}");
            assert_eq!(one, with(4), "{method:?}");
        }
    }

    #[test]
    fn a_task_may_have_one_class_but_not_none() {
        let (train, test) = (data(10, "train"), data(5, "test"));
        let one = Split::new(&[0, 1, 2], 1).unwrap();
        let mut student = Student::new(Method::Net(sdm()), DRAWS).unwrap();
        for _ in one.tasks() {
            student.learn_next(&one, &train, &test, SCHEDULE, DRAWS).unwrap();
        }
        assert_eq!(student.n_tasks(), 3);
        let short = train.of(&[0, 1, 2]);
        let four = Split::new(&[0, 3], 1).unwrap();
        let mut student = Student::new(Method::Net(sdm()), DRAWS).unwrap();
        student.learn_next(&four, &short, &test, SCHEDULE, DRAWS).unwrap();
        let error = student.learn_next(&four, &short, &test, SCHEDULE, DRAWS).unwrap_err();
        assert!(matches!(error, ContinualError::EmptyTask { task: 1, .. }));
        assert_eq!(student.n_tasks(), 1);
    }

    #[test]
    fn counting_evaluations_turns_the_switch_earlier() {
        let split = Split::new(&[0, 1, 2, 3], 2).unwrap();
        let (train, test) = (data(40, "train"), data(20, "test"));
        let count = |count_evaluations| {
            let method = Method::Net(NetMethod { count_evaluations, ..sdm() });
            let mut student = Student::new(method, DRAWS).unwrap();
            let once = Schedule { epochs: 1, ..SCHEDULE };
            student.learn_next(&split, &train, &test, once, DRAWS).unwrap();
            student.net().unwrap().counts.iter().sum::<f64>()
        };
        // At first every neuron is active for every sample: 80 of training, and 40 of the test.
        assert!(count(false) <= 80.0 * 50.0 && count(false) > 60.0 * 50.0);
        assert!(count(true) > 1.3 * count(false));
    }
}
