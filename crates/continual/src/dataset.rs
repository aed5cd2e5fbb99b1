//! Data, and which classes come when.

use kernels::Matrix;
use manifest::decode::image_folder::ImageFolder;
use seed::Rng;

use crate::ContinualError;

/// Inputs with labels.
#[derive(Clone, Debug)]
pub struct Dataset {
    inputs: Matrix,
    labels: Vec<usize>,
    n_classes: usize,
}

impl Dataset {
    /// Inputs, `[sample, number]`, with the class of each sample.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Kernel`] unless there is a label for each sample, [`ContinualError::Label`] for one beyond
    /// the classes, [`ContinualError::NotFinite`] for an input that is no number.
    ///
    /// # Examples
    ///
    /// ```
    /// use continual::Dataset;
    /// use kernels::Matrix;
    ///
    /// let data = Dataset::new(Matrix::zeros(3, 2), vec![0, 2, 1], 3)?;
    /// assert_eq!(data.of(&[1, 2]).labels(), [2, 1]);
    /// assert!(Dataset::new(Matrix::zeros(3, 2), vec![0, 3, 1], 3).is_err());
    /// # Ok::<(), continual::ContinualError>(())
    /// ```
    pub fn new(
        inputs: Matrix,
        labels: Vec<usize>,
        n_classes: usize,
    ) -> Result<Self, ContinualError> {
        kernels::KernelError::check("labels", inputs.n_rows(), labels.len())?;
        if let Some((sample, label)) =
            labels.iter().enumerate().find(|(_, label)| **label >= n_classes)
        {
            return Err(ContinualError::Label { sample, label: *label, n_classes });
        }
        if let Some((at, value)) =
            inputs.values().iter().enumerate().find(|(_, value)| !value.is_finite())
        {
            let width = inputs.n_columns();
            return Err(ContinualError::NotFinite {
                sample: at / width,
                column: at % width,
                value: *value,
            });
        }
        Ok(Self { inputs, labels, n_classes })
    }

    /// The images of a folder with a sub-folder for each class ([`manifest::decode::image_folder::read`]): pixels from 0 to 1, channel
    /// after channel, with the classes in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use continual::{Dataset, Split};
    /// use manifest::decode::image_folder::{Limits, read};
    ///
    /// // flowers/train/rose/1.png, flowers/train/tulip/2.png, …: PNG of one size.
    /// let folder = read("flowers/train".as_ref(), Limits::default())?;
    /// let train = Dataset::of_images(&folder)?;
    /// let all: Vec<usize> = (0..train.n_classes()).collect();
    /// let split = Split::new(&all, 2)?; // two classes a task
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_images(folder: &ImageFolder) -> Result<Self, ContinualError> {
        let n = folder.labels.data.len();
        let size = folder.pixels.data.len().checked_div(n).unwrap_or(0);
        let channels = folder.pixels.shape.last().copied().unwrap_or(1).max(1);
        let mut inputs = Matrix::zeros(n, size);
        for (row, image) in folder.pixels.data.chunks(size.max(1)).enumerate().take(n) {
            let input = inputs.row_mut(row);
            for (at, pixel) in image.iter().enumerate() {
                let place = at % channels * (size / channels) + at / channels;
                input[place] = f32::from(*pixel) / 255.0;
            }
        }
        let labels = folder.labels.data.iter().map(|label| *label as usize).collect();
        Self::new(inputs, labels, folder.classes.len())
    }

    /// The inputs.
    pub fn inputs(&self) -> &Matrix {
        &self.inputs
    }

    /// The labels.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The number of classes.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The samples at these places, in this order.
    ///
    /// # Panics
    ///
    /// Beyond the last sample.
    #[must_use]
    pub fn select(&self, places: &[usize]) -> Self {
        let labels = places.iter().map(|place| self.labels[*place]).collect();
        Self { inputs: self.inputs.select(places), labels, n_classes: self.n_classes }
    }

    /// The samples of these classes, in their order.
    #[must_use]
    pub fn of(&self, classes: &[usize]) -> Self {
        let each = self.labels.iter().enumerate();
        let places: Vec<usize> =
            each.filter(|(_, label)| classes.contains(label)).map(|(at, _)| at).collect();
        self.select(&places)
    }

    /// At most this many samples of each class, drawn at random, and the rest.
    pub fn draw(&self, per_class: usize, rng: &mut Rng) -> (Self, Self) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        rng.shuffle(&mut order);
        let mut left = vec![per_class; self.n_classes];
        let (mut drawn, mut rest) = (Vec::new(), Vec::new());
        for place in order {
            let left = &mut left[self.labels[place]];
            if *left > 0 {
                *left -= 1;
                drawn.push(place);
            } else {
                rest.push(place);
            }
        }
        drawn.sort_unstable();
        rest.sort_unstable();
        (self.select(&drawn), self.select(&rest))
    }

    /// The same with other inputs for the samples, as a frozen extractor or a net's preparation makes them.
    ///
    /// # Errors
    ///
    /// As [`Dataset::new`].
    pub fn with_inputs(&self, inputs: Matrix) -> Result<Self, ContinualError> {
        Self::new(inputs, self.labels.clone(), self.n_classes)
    }
}

/// Which classes come in which task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    tasks: Vec<Vec<usize>>,
}

impl Split {
    /// Consecutive classes of an order make the tasks; the last may have fewer.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Order`] for an order with a class twice or without classes, or tasks without classes.
    ///
    /// # Examples
    ///
    /// ```
    /// let split = continual::Split::new(&[3, 0, 2, 1], 2)?;
    /// assert_eq!(split.tasks(), [[3, 0], [2, 1]]);
    /// # Ok::<(), continual::ContinualError>(())
    /// ```
    pub fn new(order: &[usize], classes_per_task: usize) -> Result<Self, ContinualError> {
        let bad =
            |why: &str| Err(ContinualError::Order(format!("the order of classes {order:?} {why}")));
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < order.len() {
            return bad("names a class twice");
        }
        if order.is_empty() || classes_per_task == 0 {
            return bad("makes no task: name classes, and at least one for a task");
        }
        Ok(Self { tasks: order.chunks(classes_per_task).map(<[usize]>::to_vec).collect() })
    }

    /// The classes of each task.
    pub fn tasks(&self) -> &[Vec<usize>] {
        &self.tasks
    }

    /// The classes of all tasks up to and with this one.
    pub fn seen(&self, task: usize) -> Vec<usize> {
        self.tasks.iter().take(task + 1).flatten().copied().collect()
    }

    /// The samples of a task.
    ///
    /// # Errors
    ///
    /// [`ContinualError::EmptyTask`] if there is none.
    pub fn task(&self, data: &Dataset, task: usize) -> Result<Dataset, ContinualError> {
        let classes = &self.tasks[task];
        let data = data.of(classes);
        if data.is_empty() {
            return Err(ContinualError::EmptyTask { task, classes: classes.clone() });
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use manifest::decode::Array;
    use seed::Seed;

    #[test]
    fn drawing_takes_the_same_number_of_each_class() {
        let labels: Vec<usize> = (0..100).map(|at| at % 3).collect();
        let data = Dataset::new(Matrix::zeros(100, 1), labels, 4).unwrap();
        let (some, rest) = data.draw(10, &mut Seed::new(0).stream("t", "draw"));
        for class in 0..3 {
            assert_eq!(some.of(&[class]).len(), 10);
        }
        assert_eq!((some.len(), rest.len()), (30, 70));
    }

    #[test]
    fn a_folder_of_images_is_a_data_set() {
        let folder = ImageFolder {
            classes: vec!["rose".to_owned(), "tulip".to_owned()],
            labels: Array { shape: vec![2], data: vec![0, 1] },
            // Two images of one row and two columns, red, green and blue side by side.
            pixels: Array {
                shape: vec![2, 1, 2, 3],
                data: vec![255, 0, 51, 0, 102, 0, 0, 0, 0, 255, 255, 255],
            },
        };
        let data = Dataset::of_images(&folder).unwrap();
        assert_eq!((data.labels(), data.n_classes()), ([0, 1].as_slice(), 2));
        assert_eq!(data.inputs().row(0), [1.0, 0.0, 0.0, 0.4, 0.2, 0.0]);
        assert_eq!(data.inputs().row(1), [0.0, 1.0, 0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn what_cannot_be_learned_is_refused() {
        let labels = vec![0, 0, 2];
        let mut inputs = Matrix::zeros(3, 2);
        inputs.values_mut()[3] = f32::NAN;
        let bad = Dataset::new(inputs, labels.clone(), 3).unwrap_err();
        assert!(matches!(bad, ContinualError::NotFinite { sample: 1, column: 1, .. }));
        assert!(Dataset::new(Matrix::zeros(2, 2), labels.clone(), 3).is_err());
        let data = Dataset::new(Matrix::zeros(3, 2), labels, 3).unwrap();
        let split = Split::new(&[0, 1, 2], 1).unwrap();
        assert_eq!(split.task(&data, 0).unwrap().len(), 2);
        assert!(split.task(&data, 1).unwrap_err().to_string().contains("[1]"));
        assert!(Split::new(&[0, 1, 0], 2).is_err());
        assert!(Split::new(&[], 2).is_err());
        assert!(Split::new(&[0], 0).is_err());
        assert_eq!(Split::new(&[0, 1, 2], 2).unwrap().seen(1), [0, 1, 2]);
    }
}
