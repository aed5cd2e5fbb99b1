//! Pieces of images.

use kernels::{KernelError, Matrix};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::SdmError;

/// Square pieces of square images whose channels lie one after the other, each row by row.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sdm::layer::Patches;
///
/// // 0 1 2
/// // 3 4 5
/// // 6 7 8
/// let image = Matrix::from_rows(1, 9, (0_u8..9).map(f32::from).collect())?;
/// let patches = Patches { side: 3, channels: 1, size: 2, stride: 1 };
/// let pieces = patches.of(&image)?;
/// assert_eq!(pieces.n_rows(), 4);
/// assert_eq!(pieces.row(0), [0.0, 1.0, 3.0, 4.0]);
/// assert_eq!(pieces.row(3), [4.0, 5.0, 7.0, 8.0]);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patches {
    /// Pixels of a row of an image.
    pub side: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Pixels of a row of a patch.
    pub size: usize,
    /// Pixels from one patch to the next.
    pub stride: usize,
}

impl Patches {
    /// Numbers of an image: channels · side².
    pub const fn image_width(self) -> usize {
        self.channels * self.side * self.side
    }

    /// Numbers of a patch: channels · size².
    pub const fn width(self) -> usize {
        self.channels * self.size * self.size
    }

    /// Patches in a row of them: 1 + ⌊(side − size) / stride⌋; none where a patch does not fit or has no stride.
    pub const fn n_across(self) -> usize {
        match (self.side.checked_sub(self.size), self.stride) {
            (None, _) | (_, 0) => 0,
            (Some(room), stride) => 1 + room / stride,
        }
    }

    /// Patches of an image.
    pub const fn n_places(self) -> usize {
        self.n_across() * self.n_across()
    }

    pub(super) fn validate(self) -> Result<Self, SdmError> {
        let range =
            |what, got: usize, interval| SdmError::Range { what, got: got as f64, interval };
        if self.channels == 0 {
            return Err(range("the channels of an image", 0, "[1, ∞)"));
        }
        if self.size == 0 || self.size > self.side {
            return Err(range("the size of a patch", self.size, "[1, side of the image]"));
        }
        if self.stride == 0 {
            return Err(range("the stride of patches", 0, "[1, ∞)"));
        }
        Ok(self)
    }

    /// The patches of images, row by row of each image.
    ///
    /// # Shapes
    ///
    /// `[image, number]` to `[image · place, number of a patch]`.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] for a patch larger than the image or of no size, [`SdmError::Kernel`] for images of
    /// another width.
    pub fn of(self, images: &Matrix) -> Result<Matrix, SdmError> {
        let Self { side, size, stride, .. } = self.validate()?;
        KernelError::check("numbers of an image", self.image_width(), images.n_columns())?;
        let (across, width) = (self.n_across(), self.width());
        let mut pieces = Matrix::zeros(images.n_rows() * self.n_places(), width);
        let rows = pieces.values_mut().par_chunks_mut(width).enumerate();
        rows.with_min_len(across).for_each(|(row, piece)| {
            let (image, place) = (images.row(row / self.n_places()), row % self.n_places());
            let (top, left) = (place / across * stride, place % across * stride);
            for (line, piece) in piece.chunks_exact_mut(size).enumerate() {
                let (channel, y) = (line / size, top + line % size);
                let from = (channel * side + y) * side + left;
                piece.copy_from_slice(&image[from..from + size]);
            }
        });
        Ok(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_and_strides() {
        let patches = Patches { side: 5, channels: 2, size: 3, stride: 2 };
        let values = (0..2 * 2 * 25_u8).map(f32::from).collect();
        let images = Matrix::from_rows(2, 50, values).unwrap();
        let pieces = patches.of(&images).unwrap();
        assert_eq!((pieces.n_rows(), pieces.n_columns()), (8, 18));
        // The last patch of the second image: from row 2 and column 2 of both channels.
        let first = 50.0 + 12.0;
        let rows = [first, first + 5.0, first + 10.0];
        let expected: Vec<f32> = [0.0, 25.0]
            .into_iter()
            .flat_map(|channel| rows.map(|row| row + channel))
            .flat_map(|from| [from, from + 1.0, from + 2.0])
            .collect();
        assert_eq!(pieces.row(7), expected);
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let patches = Patches { side: 3, channels: 1, size: 2, stride: 1 };
        let image = Matrix::zeros(1, 9);
        for bad in [
            Patches { size: 4, ..patches },
            Patches { size: 0, ..patches },
            Patches { stride: 0, ..patches },
            Patches { channels: 0, ..patches },
            Patches { side: 4, ..patches },
        ] {
            assert!(bad.of(&image).is_err(), "{bad:?}");
        }
        for none in [Patches { size: 4, ..patches }, Patches { stride: 0, ..patches }] {
            assert_eq!(none.n_places(), 0);
            let mut rng = seed::Seed::new(0).stream("patches-tests", "net");
            let config = crate::layer::NetConfig::relu(9, 4, 2).over(none);
            assert!(crate::layer::Net::new(config, &mut rng).is_err(), "{none:?}");
        }
    }
}
