//! The data sets of Paper B.

use kernels::Matrix;
use manifest::decode::{idx, npy};
use serde::{Deserialize, Serialize};

use crate::{ContinualError, Dataset, Split, numpy_order};

/// A data set of Paper B, as it goes into the nets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Benchmark {
    /// MNIST: 784 pixels from 0 to 1, 10 classes.
    Mnist,
    /// Fashion-MNIST: 784 pixels from 0 to 1, 10 classes.
    FashionMnist,
    /// CIFAR-10 through the authors' ConvMixer, which was trained on `ImageNet32`: 256 numbers, 10 classes.
    Cifar10,
    /// CIFAR-100 through the same ConvMixer: 256 numbers, 100 classes.
    Cifar100,
}

impl Benchmark {
    /// The key of its numbers in a record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion_mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
        }
    }

    /// Its name in figures.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Cifar10 => "CIFAR-10 embeddings",
            Self::Cifar100 => "CIFAR-100 embeddings",
        }
    }

    /// Numbers of an input.
    pub const fn n_inputs(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist => 784,
            Self::Cifar10 | Self::Cifar100 => 256,
        }
    }

    /// Classes.
    pub const fn n_classes(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// Its classes in tasks, in the order that a seed of numpy shuffles them to ([`numpy_order`]); none: from 0 on.
    ///
    /// # Errors
    ///
    /// Tasks without classes.
    ///
    /// # Examples
    ///
    /// ```
    /// let split = continual::Benchmark::Cifar10.split(Some(3), 2)?;
    /// assert_eq!(split.tasks()[0], [5, 4]);
    /// # Ok::<(), continual::ContinualError>(())
    /// ```
    pub fn split(
        self,
        order: Option<u32>,
        classes_per_task: usize,
    ) -> Result<Split, ContinualError> {
        let n = self.n_classes();
        let order = order.map_or_else(|| (0..n).collect(), |seed| numpy_order(seed, n));
        Split::new(&order, classes_per_task)
    }

    /// Its files: training inputs and labels, test inputs and labels.
    pub fn files(self) -> [String; 4] {
        let names = match self {
            Self::Mnist | Self::FashionMnist => [
                "train-images-idx3-ubyte.gz",
                "train-labels-idx1-ubyte.gz",
                "t10k-images-idx3-ubyte.gz",
                "t10k-labels-idx1-ubyte.gz",
            ],
            Self::Cifar10 | Self::Cifar100 => {
                ["train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"]
            }
        };
        let folder = match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion-mnist",
            Self::Cifar10 => "cifar10-convmixer",
            Self::Cifar100 => "cifar100-convmixer",
        };
        names.map(|name| format!("{folder}/{name}"))
    }

    /// Training and test samples, by a function that reads a file; none if one is missing.
    ///
    /// # Errors
    ///
    /// What the function says, or a file that is not what it should be.
    pub fn read<E: From<ContinualError>>(
        self,
        read: impl Fn(&str) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Option<[Dataset; 2]>, E> {
        let contents = self.files().map(|file| read(&file));
        let [Some(train_x), Some(train_y), Some(test_x), Some(test_y)] = transpose(contents)?
        else {
            return Ok(None);
        };
        Ok(Some(self.decode(&[train_x, train_y, test_x, test_y])?))
    }

    /// Training and test samples, from the content of [`Benchmark::files`].
    ///
    /// # Errors
    ///
    /// A file that is not what it should be.
    pub fn decode(self, contents: &[Vec<u8>; 4]) -> Result<[Dataset; 2], ContinualError> {
        let files = self.files();
        let part = |at: usize| {
            let labels = self.numbers(&files[at + 1], &contents[at + 1])?;
            let inputs = self.numbers(&files[at], &contents[at])?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "labels are small numbers"
            )]
            let labels: Vec<usize> = labels.into_iter().map(|label| label as usize).collect();
            let inputs = match self {
                Self::Mnist | Self::FashionMnist => {
                    inputs.into_iter().map(|pixel| pixel / 255.0).collect()
                }
                Self::Cifar10 | Self::Cifar100 => inputs,
            };
            Dataset::new(
                Matrix::from_rows(labels.len(), self.n_inputs(), inputs)?,
                labels,
                self.n_classes(),
            )
        };
        Ok([part(0)?, part(2)?])
    }

    fn numbers(self, file: &str, content: &[u8]) -> Result<Vec<f32>, ContinualError> {
        let widen = |bytes: Vec<u8>| bytes.into_iter().map(f32::from).collect();
        Ok(match self {
            Self::Mnist | Self::FashionMnist => widen(idx::decode(file, content)?.data),
            Self::Cifar10 | Self::Cifar100 => match npy::decode(file, content)? {
                manifest::decode::Numbers::U8(labels) => widen(labels.data),
                other => other.into_finite_f32(file)?.data,
            },
        })
    }
}

/// The first error, or all values.
fn transpose<T, E, const N: usize>(
    results: [Result<Option<T>, E>; N],
) -> Result<[Option<T>; N], E> {
    let mut values = std::array::from_fn(|_| None);
    for (value, result) in values.iter_mut().zip(results) {
        *value = result?;
    }
    Ok(values)
}
