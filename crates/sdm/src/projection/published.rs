//! What Paper A stores at learned keys, and what its authors published of it.

use crate::Algorithm;

/// An image set on which Paper A learns keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageSet {
    /// MNIST, 28 × 28 pixels.
    Mnist,
    /// CIFAR-10 in gray, 32 × 32 pixels.
    GrayCifar,
}

impl ImageSet {
    /// As numbers and files name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mnist => "mnist",
            Self::GrayCifar => "cifar",
        }
    }

    /// Pixels of an image.
    pub fn n_pixels(self) -> usize {
        match self {
            Self::Mnist => 28 * 28,
            Self::GrayCifar => 32 * 32,
        }
    }

    /// The data files of training and test images.
    pub fn files(self) -> [&'static str; 2] {
        match self {
            Self::Mnist => ["mnist/train-images-idx3-ubyte.gz", "mnist/t10k-images-idx3-ubyte.gz"],
            Self::GrayCifar => ["cifar10-subset/train.bin.gz", "cifar10-subset/test.bin.gz"],
        }
    }

    /// The file of a projection that the authors learned: at a radius, from one of three starts.
    pub fn published_projection(self, radius: usize, start: u64) -> String {
        let set = self.name().to_uppercase();
        format!("attention-sdm/trained_weights/trained_W_k{set}_m_None_{radius}_{start}.torch")
    }
}

/// The algorithms that Paper A compares on learned keys. In the authors' run the last was given the β of the
/// third.
pub const PAPER_ALGORITHMS: [Algorithm; 4] = [
    Algorithm::ContinuousSdm,
    Algorithm::ContinuousCircles,
    Algorithm::ContinuousSoftmax,
    Algorithm::ContinuousCapSoftmax,
];

/// Mean cosines that the authors recall on MNIST, training images, at P = 0, 50, …, 300: by radius, for the first
/// three of [`PAPER_ALGORITHMS`]. In their run the fourth had the β of the third, and the same means.
///
/// # Source
///
/// The authors' notebook `LearnProjections`, cell 9.
#[rustfmt::skip]
pub const PUBLISHED_RECALL: [(usize, [[f64; 7]; 3]); 4] = [
    (5, [
        [0.99999, 0.99993, 0.9983, 0.9808, 0.8923, 0.6848, 0.4838],
        [0.9991, 0.9988, 0.9887, 0.8922, 0.5970, 0.3688, 0.2348],
        [0.9996, 0.9993, 0.9973, 0.9790, 0.8931, 0.7054, 0.5346],
    ]),
    (9, [
        [0.9979, 0.9975, 0.9969, 0.9894, 0.9347, 0.7530, 0.5290],
        [0.9944, 0.9940, 0.9925, 0.9832, 0.9282, 0.7547, 0.5423],
        [0.9945, 0.9941, 0.9928, 0.9825, 0.9228, 0.7526, 0.5539],
    ]),
    (11, [
        [0.9903, 0.9897, 0.9887, 0.9849, 0.9601, 0.8347, 0.5893],
        [0.9743, 0.9731, 0.9686, 0.9573, 0.9282, 0.8231, 0.6152],
        [0.9714, 0.9701, 0.9667, 0.9565, 0.9224, 0.8135, 0.6269],
    ]),
    (15, [
        [0.8206, 0.8200, 0.8193, 0.8182, 0.8154, 0.8071, 0.7605],
        [0.8135, 0.8132, 0.8124, 0.8112, 0.8087, 0.8010, 0.7579],
        [0.8159, 0.8155, 0.8147, 0.8134, 0.8105, 0.8019, 0.7583],
    ]),
];
