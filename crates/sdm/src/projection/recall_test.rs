//! How well a memory of images recalls, by the perturbation of the query.

use kernels::{Matrix, product};
use seed::Rng;

use super::ProjectedMemory;
use crate::separation::Separation;
use crate::{Draws, SdmError, States};

/// Stored images, and images that are perturbed and asked for.
///
/// # Source
///
/// Paper A, the authors' `test_projection`.
#[derive(Clone, Debug)]
pub struct RecallTest<'a> {
    /// `[image, pixel]`
    pub stored: &'a Matrix,
    /// `[query, pixel]`; stored or not.
    pub targets: Matrix,
    /// Perturbations P: a target of n pixels is turned away to the cosine 1 − 2P/n.
    pub perturbations: &'a [usize],
    /// The most reads of a query.
    pub max_reads: usize,
    /// Where perturbations and reads draw from.
    pub draws: Draws<'a>,
}

impl RecallTest<'_> {
    /// The cosine between each target and what is recalled, at the keys W·x of one projection. All separation
    /// functions are asked the same queries.
    ///
    /// # Shapes
    ///
    /// `[separation][perturbation][query]`
    ///
    /// # Errors
    ///
    /// As [`ProjectedMemory::recall`].
    pub fn recall(
        &self,
        projection: &Matrix,
        separations: &[Box<dyn Separation>],
    ) -> Result<Vec<Vec<Vec<f64>>>, SdmError> {
        let memory = ProjectedMemory::new(self.stored, projection.clone())?;
        let n = self.targets.n_columns();
        let cosine = |p: &usize| geometry::cosine_from_hamming(n, *p as f64);
        let cosines: Vec<f64> = self.perturbations.iter().map(cosine).collect();
        let ask = |separation: &dyn Separation| {
            memory.recall_from(&self.targets, &cosines, separation, self.max_reads, self.draws)
        };
        separations.iter().map(|separation| ask(separation.as_ref())).collect()
    }

    /// The cosine between each target and the mean of the stored images, which a read comes to that blends
    /// them all.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the targets have another width.
    pub fn mean_image(&self) -> Result<Vec<f64>, SdmError> {
        let n = self.stored.n_rows();
        let mean = product(&Matrix::from_rows(1, n, vec![1.0; n])?, self.stored)?;
        Ok((0..self.targets.n_rows()).map(|row| self.targets.cosine(row, &mean, 0)).collect())
    }
}

/// Images in random order, cut into parts of `n`: the part at this place, or the last one whole.
///
/// # Randomness
///
/// A shuffle; the same stream cuts the same parts.
#[must_use]
pub fn part_of(images: &Matrix, n: usize, place: usize, rng: &mut Rng) -> Matrix {
    let mut order: Vec<usize> = (0..images.n_rows()).collect();
    rng.shuffle(&mut order);
    images.select(order.chunks(n.max(1)).nth(place).unwrap_or(&order))
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal;
    use super::*;
    use crate::separation::Softmax;
    use seed::Seed;

    #[test]
    fn a_sharp_memory_recalls_and_a_flat_one_blends() {
        let images = normal(40, 80, "images");
        let mut rng = Seed::new(0).stream("recall-tests", "part");
        let test = RecallTest {
            stored: &images,
            targets: part_of(&images, 8, 1, &mut rng),
            perturbations: &[0, 10],
            max_reads: 10,
            draws: Draws { seed: Seed::new(0), id: "recall-tests", purpose: "reads" },
        };
        let separations: Vec<Box<dyn Separation>> =
            vec![Box::new(Softmax::new(200.0).unwrap()), Box::new(Softmax::new(1e-4).unwrap())];
        let ends = test.recall(&Matrix::identity(80), &separations).unwrap();
        assert!(ends[0].iter().flatten().all(|cosine| *cosine > 0.999));
        let blend = test.mean_image().unwrap();
        assert_eq!(blend.len(), 8);
        for ends in &ends[1] {
            assert!(ends.iter().zip(&blend).all(|(end, blend)| (end - blend).abs() < 1e-3));
        }
    }
}
