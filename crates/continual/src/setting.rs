//! A data set in some form, with a net and a schedule.

use sdm::Draws;
use sdm::layer::Patches;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::{
    Benchmark, ContinualError, Dataset, Method, PaperMethod, PatchFeatures, PatchFeaturesConfig,
    Schedule, Student,
};

/// What of a data set a net sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The numbers of a sample.
    Plain,
    /// Pieces of an image, each alike: nets are convolutional.
    Pieces(Patches),
    /// Features of pieces of an image, learned from the training images of all classes without their labels.
    Features(PatchFeaturesConfig),
}

/// A data set in some form, with the size of nets and the length of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The data set.
    pub data: Benchmark,
    /// What of it nets see.
    pub form: Form,
    /// Neurons of a net.
    pub n_neurons: usize,
    /// Classes of a task.
    pub classes_per_task: usize,
    /// Epochs of a task for nets with sparse gradients.
    pub epochs: usize,
    /// Epochs of a task for other nets. Methods in one pass have one.
    pub epochs_dense: usize,
    /// Samples of a step.
    pub batch: usize,
    /// The GABA switch, as a part of what neurons see in the first task.
    pub switch: f64,
    /// Epochs over which Top-K anneals, as a part of the first task's.
    pub anneal: f64,
}

impl Setting {
    /// Training and test samples in their form. Only the training images are learned from.
    ///
    /// # Errors
    ///
    /// As [`PatchFeatures::learned`].
    pub fn formed(
        &self,
        [train, test]: [Dataset; 2],
        rng: &mut Rng,
    ) -> Result<[Dataset; 2], ContinualError> {
        let Form::Features(config) = self.form else { return Ok([train, test]) };
        let features = PatchFeatures::learned(&train, config, rng)?;
        Ok([features.of(&train)?, features.of(&test)?])
    }

    /// Epochs of a task for a method.
    pub fn epochs_of(&self, method: PaperMethod) -> usize {
        match method {
            method if method.in_one_pass() || method == PaperMethod::Fly => 1,
            method if method.has_sparse_gradients() => self.epochs,
            _ => self.epochs_dense,
        }
    }

    /// The method for samples in their form, of which the first task has `n_first`.
    pub fn method(&self, method: PaperMethod, n_inputs: usize, n_first: usize) -> Method {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few epochs")]
        let anneal = (self.anneal * self.epochs as f64).ceil() as usize;
        let n_places = match self.form {
            Form::Pieces(patches) => patches.n_places(),
            Form::Plain | Form::Features(_) => 1,
        };
        let switch = self.switch * (self.epochs * n_first * n_places) as f64;
        let kind = method.method(self.data, self.n_neurons, switch, anneal).with_inputs(n_inputs);
        match (kind, self.form) {
            (Method::Net(mut net), Form::Pieces(patches)) => {
                net.net = net.net.over(patches);
                Method::Net(net)
            }
            (kind, _) => kind,
        }
    }

    /// A student that learned all tasks in an order of classes ([`Benchmark::split`]), evaluated after each of them.
    ///
    /// # Errors
    ///
    /// As [`Student::taught`].
    pub fn taught(
        &self,
        method: PaperMethod,
        order: Option<u32>,
        [train, test]: [&Dataset; 2],
        draws: Draws,
    ) -> Result<Student, ContinualError> {
        let split = self.data.split(order, self.classes_per_task)?;
        let n_first = train.of(&split.tasks()[0]).len();
        let epochs = self.epochs_of(method);
        let batch = if method.in_one_pass() { 64 } else { self.batch };
        let schedule = Schedule { epochs, batch, evaluate_every: epochs };
        let method = self.method(method, train.inputs().n_columns(), n_first);
        Student::taught(method, &split, [train, test], schedule, draws)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetMethod;
    use sdm::layer::{Activation, Inhibition};
    use seed::Seed;

    const SETTING: Setting = Setting {
        data: Benchmark::Glyphs,
        form: Form::Plain,
        n_neurons: 50,
        classes_per_task: 2,
        epochs: 10,
        epochs_dense: 3,
        batch: 32,
        switch: 0.5,
        anneal: 0.2,
    };

    fn switch(setting: &Setting) -> f64 {
        match setting.method(PaperMethod::Sdm, 784, 100) {
            Method::Net(NetMethod { net, .. }) => match net.activation {
                Activation::TopK { inhibition: Inhibition::Gaba { switch }, .. } => switch,
                other => unreachable!("{other:?} has no switch"),
            },
            Method::Fly(_) => unreachable!("the SDM layer is a net"),
        }
    }

    #[test]
    fn a_switch_goes_by_what_neurons_see() {
        assert_eq!(switch(&SETTING), 0.5 * 10.0 * 100.0);
        let patches = Patches { side: 28, channels: 1, size: 7, stride: 7 };
        assert_eq!(switch(&Setting { form: Form::Pieces(patches), ..SETTING }), 16.0 * 500.0);
    }

    #[test]
    fn digits_are_learned_in_every_form() {
        let [train, test] = Benchmark::Glyphs.decode(&[]).unwrap();
        let mut rng = Seed::new(1).stream("setting-tests", "draw");
        let [(train, _), (test, _)] = [train.draw(150, &mut rng), test.draw(50, &mut rng)];
        let patches = Patches { side: 28, channels: 1, size: 6, stride: 4 };
        let features = PatchFeaturesConfig { patches, n_centers: 20, n_samples: 2000, n_rounds: 5 };
        let forms = [
            (Form::Plain, PaperMethod::Relu),
            (Form::Pieces(patches), PaperMethod::TopK),
            (Form::Features(features), PaperMethod::Relu),
        ];
        for (form, method) in forms {
            let setting = Setting { form, epochs: 60, epochs_dense: 20, ..SETTING };
            let [train, test] = setting.formed([train.clone(), test.clone()], &mut rng).unwrap();
            let draws = Draws { seed: Seed::new(1), id: "setting-tests", purpose: "taught" };
            let student = setting.taught(method, None, [&train, &test], draws).unwrap();
            // After the last task at least this one is known: its two classes of ten.
            let last = student.accuracy(&test.of(&[8, 9])).unwrap();
            assert!(last > 0.6, "{form:?}: {last}");
            assert_eq!(student.n_tasks(), 5);
        }
    }
}
