//! The data sets of Paper B.

use glyphs::Drawing;
use kernels::Matrix;
use manifest::decode::{cifar, idx, npy};
use seed::Seed;
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
    /// 8,000 training and 2,000 test images of CIFAR-10: 3,072 pixels from 0 to 1, channel after channel, 10 classes.
    Cifar10Pixels,
    /// Digits drawn from typefaces ([`glyphs`]), 1,200 training and 200 test images of each: 784 pixels from 0 to 1.
    /// They need no file.
    Glyphs,
}

impl Benchmark {
    /// The key of its numbers in a record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::FashionMnist => "fashion_mnist",
            Self::Cifar10 => "cifar10",
            Self::Cifar100 => "cifar100",
            Self::Cifar10Pixels => "cifar10_pixels",
            Self::Glyphs => "glyphs",
        }
    }

    /// Its name in figures.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mnist => "MNIST",
            Self::FashionMnist => "Fashion-MNIST",
            Self::Cifar10 => "CIFAR-10 embeddings",
            Self::Cifar100 => "CIFAR-100 embeddings",
            Self::Cifar10Pixels => "CIFAR-10 pixels",
            Self::Glyphs => "drawn digits",
        }
    }

    /// Numbers of an input.
    pub const fn n_inputs(self) -> usize {
        match self {
            Self::Mnist | Self::FashionMnist | Self::Glyphs => 784,
            Self::Cifar10 | Self::Cifar100 => 256,
            Self::Cifar10Pixels => 3 * 32 * 32,
        }
    }

    /// Classes.
    pub const fn n_classes(self) -> usize {
        match self {
            Self::Cifar100 => 100,
            _ => 10,
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

    /// Its files, of training and then of test samples, and inputs before labels where they are apart; none of
    /// [`Benchmark::Glyphs`].
    pub fn files(self) -> Vec<String> {
        let (folder, names): (_, &[&str]) = match self {
            Self::Mnist => ("mnist", &IDX),
            Self::FashionMnist => ("fashion-mnist", &IDX),
            Self::Cifar10 => ("cifar10-convmixer", &NPY),
            Self::Cifar100 => ("cifar100-convmixer", &NPY),
            Self::Cifar10Pixels => ("cifar10-subset", &["train.bin.gz", "test.bin.gz"]),
            Self::Glyphs => ("", &[]),
        };
        names.iter().map(|name| format!("{folder}/{name}")).collect()
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
        let contents =
            self.files().iter().map(|file| read(file)).collect::<Result<Option<Vec<_>>, E>>()?;
        Ok(contents.map(|contents| self.decode(&contents)).transpose()?)
    }

    /// Training and test samples, from the content of [`Benchmark::files`].
    ///
    /// # Errors
    ///
    /// A file that is not what it should be.
    ///
    /// # Panics
    ///
    /// Unless there is a content for each file.
    ///
    /// # Examples
    ///
    /// ```
    /// let [train, test] = continual::Benchmark::Glyphs.decode(&[])?;
    /// assert_eq!((train.len(), test.len(), train.inputs().n_columns()), (12_000, 2000, 784));
    /// # Ok::<(), continual::ContinualError>(())
    /// ```
    pub fn decode(self, contents: &[Vec<u8>]) -> Result<[Dataset; 2], ContinualError> {
        let files = self.files();
        assert_eq!(files.len(), contents.len(), "a content for each file");
        let half = files.len() / 2;
        let part = |test: bool| {
            let at = if test { half } else { 0 };
            if self == Self::Glyphs {
                return self.drawn(test);
            }
            let (inputs, labels) = if self == Self::Cifar10Pixels {
                let images = cifar::decode(&files[at], &contents[at])?;
                (scaled(&images.pixels.data), images.labels.data)
            } else {
                let labels = self.labels(&files[at + 1], &contents[at + 1])?;
                (self.numbers(&files[at], &contents[at])?, labels)
            };
            let of_files = files[at..at + half].join(" and ");
            self.dataset(inputs, &labels)
                .map_err(|error| ContinualError::Files { files: of_files, problem: error.into() })
        };
        Ok([part(false)?, part(true)?])
    }

    fn dataset(self, inputs: Vec<f32>, labels: &[u8]) -> Result<Dataset, ContinualError> {
        let inputs = Matrix::from_rows(labels.len(), self.n_inputs(), inputs)?;
        let labels = labels.iter().map(|label| usize::from(*label)).collect();
        Dataset::new(inputs, labels, self.n_classes())
    }

    fn numbers(self, file: &str, content: &[u8]) -> Result<Vec<f32>, ContinualError> {
        Ok(match self {
            Self::Mnist | Self::FashionMnist => scaled(&idx::decode(file, content)?.data),
            _ => npy::decode(file, content)?.into_finite_f32(file)?.data,
        })
    }

    fn labels(self, file: &str, content: &[u8]) -> Result<Vec<u8>, ContinualError> {
        Ok(match self {
            Self::Mnist | Self::FashionMnist => idx::decode(file, content)?.data,
            _ => npy::decode(file, content)?.into_u8(file)?.data,
        })
    }

    /// Always the same images: they are a data set like the others.
    fn drawn(self, test: bool) -> Result<Dataset, ContinualError> {
        let digits: Vec<char> = ('0'..='9').collect();
        let (purpose, n_per_class) = if test { ("test", 200) } else { ("train", 1200) };
        let mut rng = Seed::new(0).stream("glyphs", purpose);
        let glyphs = Drawing::new(&digits, 28).draw(n_per_class, &mut rng)?;
        let inputs = Matrix::from_rows(glyphs.labels.len(), self.n_inputs(), glyphs.pixels)?;
        Dataset::new(inputs, glyphs.labels, self.n_classes())
    }
}

const IDX: [&str; 4] = [
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
];
const NPY: [&str; 4] = ["train_x.npy", "train_y.npy", "test_x.npy", "test_y.npy"];

/// Pixels from 0 to 1.
fn scaled(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An idx file of zeros, but for the first.
    fn idx(shape: &[u8], first: u8) -> Vec<u8> {
        let mut file = vec![0, 0, 8, u8::try_from(shape.len()).unwrap()];
        file.extend(shape.iter().flat_map(|size| [0, 0, 0, *size]));
        file.push(first);
        file.extend(vec![0; shape.iter().map(|size| usize::from(*size)).product::<usize>() - 1]);
        file
    }

    #[test]
    fn files_that_do_not_fit_each_other_are_named() {
        let (images, labels) = (idx(&[2, 28, 28], 0), idx(&[2], 9));
        let told = |images: &[u8], labels: &[u8]| {
            let test = [idx(&[1, 28, 28], 0), idx(&[1], 0)];
            let contents = [images.to_vec(), labels.to_vec()].into_iter().chain(test);
            let read = Benchmark::Mnist.decode(&contents.collect::<Vec<_>>());
            read.err().map_or_else(String::new, |error| error.to_string())
        };
        assert_eq!(told(&images, &labels), "");
        for (images, labels) in
            [(&images, &idx(&[3], 9)), (&images, &idx(&[2], 10)), (&idx(&[2, 28, 27], 0), &labels)]
        {
            let told = told(images, labels);
            assert!(told.contains("mnist/train-images-idx3-ubyte.gz"), "{told}");
            assert!(told.contains("mnist/train-labels-idx1-ubyte.gz"), "{told}");
        }
    }
}
