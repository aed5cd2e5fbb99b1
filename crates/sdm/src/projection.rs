//! Memories of images whose keys are learned projections.
//!
//! Paper A stores images at low-dimensional keys W·x, so that a memory of n = 64 dimensions can hold MNIST:
//! similarities are cosines between keys, and what is read is the weighted mean of the images themselves.
//! Every read but the last needs the keys only, since W·Σ wᵢxᵢ = Σ wᵢ·W·xᵢ: [`ProjectedMemory::recall`]
//! follows a query among the keys and forms an image once.
//!
//! - [`ProjectedMemory`]: reading until a query settles; [`RecallTest`]: how near it ends to its image;
//! - [`Trainer`]: learning W, as the authors do.

mod published;
mod recall_test;
mod train;

pub use published::{ImageSet, PAPER_ALGORITHMS, PUBLISHED_RECALL};
pub use recall_test::{RecallTest, part_of};
pub use train::{Adam, Trainer, TrainingPlan, random_projection, reconstruction_loss};

use kernels::{BitMatrix, Matrix, product, product_transposed};
use rayon::prelude::*;

use crate::perturb;
use crate::separation::{Cue, Separation, Similarities};
use crate::{Draws, SdmError, States};

/// Queries that are read together. Fixed, so that results do not depend on the number of threads.
const CHUNK: usize = 112;
/// A query has settled when no coordinate of its key, of length 1, moves by more than this.
const SETTLED: f32 = 1e-5;

/// Images stored at the keys W·x.
///
/// Unlike [`crate::ContinuousMemory::projected`] it keeps the images as they are, bright ones with more
/// weight in the mean than dark ones, and a query that reaches no pattern stays where it is: both as in the
/// authors' code.
///
/// # Examples
///
/// ```
/// use kernels::Matrix;
/// use sdm::{Draws, projection::ProjectedMemory, separation::Softmax};
///
/// // Two images of two pixels, and a projection that changes nothing.
/// let images = Matrix::from_rows(2, 2, vec![2.0, 0.0, 0.0, 1.0])?;
/// let identity = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, 1.0])?;
/// let memory = ProjectedMemory::new(&images, identity)?;
/// let query = Matrix::from_rows(1, 2, vec![0.9, 0.1])?;
/// let draws = Draws { seed: seed::Seed::new(0), id: "doc", purpose: "reads" };
/// let read = memory.recall(&query, &Softmax::new(50.0)?, 10, draws)?;
/// assert!((read.images.row(0)[0] - 2.0).abs() < 1e-3 && read.images.row(0)[1] < 1e-3);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProjectedMemory<'a> {
    projection: Matrix,
    /// W·x.
    latent: Matrix,
    /// The same scaled to length 1.
    keys: Matrix,
    images: &'a Matrix,
}

/// Where queries end.
#[derive(Clone, Debug)]
pub struct Recalled {
    /// The image that each query read last; the query itself if it never reached a pattern.
    pub images: Matrix,
    /// The number of reads of each query.
    pub n_reads: Vec<usize>,
}

impl<'a> ProjectedMemory<'a> {
    /// Stores images at their keys.
    ///
    /// # Shapes
    ///
    /// `images` `[image, pixel]`, `projection` `[key, pixel]`.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the widths differ.
    pub fn new(images: &'a Matrix, projection: Matrix) -> Result<Self, SdmError> {
        let latent = product_transposed(images, &projection)?;
        let mut keys = latent.clone();
        keys.normalize_rows();
        Ok(Self { projection, latent, keys, images })
    }

    /// Reads again and again until a query's key settles, or `max_reads` times. A read that reaches no
    /// pattern leaves the query where it is.
    ///
    /// # Determinism
    ///
    /// The same for any number of threads.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the queries are not as wide as the images.
    ///
    /// # Source
    ///
    /// Paper A, the projection experiments: up to 10 reads. Departs from the authors' code in when it stops:
    /// there a batch of 128 queries ends together, when no pixel of any moves by more than 0.05.
    pub fn recall<S: Separation + ?Sized>(
        &self,
        queries: &Matrix,
        separation: &S,
        max_reads: usize,
        draws: Draws,
    ) -> Result<Recalled, SdmError> {
        let rows: Vec<usize> = (0..queries.n_rows()).collect();
        let chunks: Vec<(Matrix, Vec<usize>)> = rows
            .par_chunks(CHUNK)
            .map(|rows| {
                self.recall_chunk(&queries.select(rows), rows, separation, max_reads, draws)
            })
            .collect::<Result<_, _>>()?;
        let mut images = Matrix::zeros(queries.n_rows(), self.images.n_columns());
        let mut n_reads = Vec::with_capacity(rows.len());
        for (rows, (read, reads)) in rows.chunks(CHUNK).zip(chunks) {
            images.put(rows, &read)?;
            n_reads.extend(reads);
        }
        Ok(Recalled { images, n_reads })
    }

    fn recall_chunk<S: Separation + ?Sized>(
        &self,
        queries: &Matrix,
        names: &[usize],
        separation: &S,
        max_reads: usize,
        draws: Draws,
    ) -> Result<(Matrix, Vec<usize>), SdmError> {
        let mut states = product_transposed(queries, &self.projection)?;
        states.normalize_rows();
        // The weights of each query's last read that reached a pattern, with sum 1.
        let mut last = Matrix::zeros(queries.n_rows(), self.images.n_rows());
        let mut n_reads = vec![0; queries.n_rows()];
        let mut moving: Vec<usize> = (0..queries.n_rows()).collect();
        for step in 0..max_reads {
            if moving.is_empty() {
                break;
            }
            let before = states.select(&moving);
            let mut weights = product_transposed(&before, &self.keys)?;
            for (at, query) in moving.iter().enumerate() {
                let mut rng = draws.stream(step, names[*query]);
                weigh(separation, before.row(at), weights.row_mut(at), &mut rng);
            }
            let mut after = product(&weights, &self.latent)?;
            after.normalize_rows();
            let mut still_moving = Vec::new();
            for (at, query) in moving.iter().enumerate() {
                n_reads[*query] += 1;
                let reached = weights.row(at).iter().any(|weight| *weight > 0.0);
                if reached {
                    last.row_mut(*query).copy_from_slice(weights.row(at));
                    states.row_mut(*query).copy_from_slice(after.row(at));
                }
                // Counts that are drawn anew may reach a pattern at the next read.
                let settled = if reached {
                    after.is_near(at, &before, at, SETTLED)
                } else {
                    !separation.is_random()
                };
                if !settled {
                    still_moving.push(*query);
                }
            }
            moving = still_moving;
        }
        let mut read = product(&last, self.images)?;
        for row in 0..queries.n_rows() {
            if last.row(row).iter().all(|weight| *weight <= 0.0) {
                read.row_mut(row).copy_from_slice(queries.row(row));
            }
        }
        Ok((read, n_reads))
    }

    /// The cosine between each target and what is recalled from it after turning it away to each of
    /// `cosines`. All separation functions are asked the same queries.
    ///
    /// # Shapes
    ///
    /// `targets` `[query, pixel]`; the result is `[cosine][query]`.
    ///
    /// # Errors
    ///
    /// As [`ProjectedMemory::recall`].
    pub fn recall_from<S: Separation + ?Sized>(
        &self,
        targets: &Matrix,
        cosines: &[f64],
        separation: &S,
        max_reads: usize,
        draws: Draws,
    ) -> Result<Vec<Vec<f64>>, SdmError> {
        let (n, width) = (targets.n_rows(), targets.n_columns());
        let purpose = format!("{}, perturbation", draws.purpose);
        let mut rng = draws.seed.stream(draws.id, &purpose);
        let mut values = Vec::with_capacity(n * cosines.len() * width);
        for cosine in cosines {
            values.extend_from_slice(perturb::rotate(targets, *cosine, &mut rng).values());
        }
        let queries = Matrix::from_rows(n * cosines.len(), width, values)?;
        let read = self.recall(&queries, separation, max_reads, draws)?.images;
        let ends =
            |place: usize| (0..n).map(|row| read.cosine(place * n + row, targets, row)).collect();
        Ok((0..cosines.len()).map(ends).collect())
    }
}

/// The cosines in `weights` become weights with sum 1, or zeros.
fn weigh<S: Separation + ?Sized>(
    separation: &S,
    key: &[f32],
    weights: &mut [f32],
    rng: &mut seed::Rng,
) {
    let cosines = weights.to_vec();
    let signs = BitMatrix::from_fn(1, key.len(), |_, coordinate| key[coordinate] > 0.0);
    let cue = Cue { address: signs.row(0), similarities: Similarities::Cosines(&cosines) };
    separation.weigh(&cue, rng, weights);
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    if total > 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        for weight in weights {
            *weight = (f64::from(*weight) / total) as f32;
        }
    }
}

/// Gray pixels of 0..=255 as brightness from 0 to 1, an image a row.
///
/// # Errors
///
/// [`SdmError::Kernel`] if the pixels do not make whole images.
///
/// # Examples
///
/// ```
/// let images = sdm::projection::brightness(2, &[0, 255, 51, 102])?;
/// assert_eq!(images.row(1), [0.2, 0.4]);
/// # Ok::<(), sdm::SdmError>(())
/// ```
pub fn brightness(n_pixels: usize, pixels: &[u8]) -> Result<Matrix, SdmError> {
    let values = pixels.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    Ok(Matrix::from_rows(pixels.len() / n_pixels.max(1), n_pixels, values)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::separation::{Caps, Circles, SampledCircles, Softmax};
    use crate::{ContinuousMemory, converge};
    use seed::Seed;

    const DRAWS: Draws = Draws { seed: Seed::new(5), id: "projection-tests", purpose: "reads" };

    pub(super) fn normal(n_rows: usize, n_columns: usize, purpose: &str) -> Matrix {
        let mut rng = Seed::new(5).stream("projection-tests", purpose);
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values = (0..n_rows * n_columns).map(|_| rng.normal() as f32).collect();
        Matrix::from_rows(n_rows, n_columns, values).unwrap()
    }

    #[test]
    fn following_keys_is_reading_images() {
        let (mut images, projection) = (normal(60, 90, "images"), normal(64, 90, "projection"));
        images.normalize_rows();
        let queries = perturb::rotate(&images, 0.6, &mut DRAWS.seed.stream("t", "rotate"));
        let softmax = Softmax::new(15.9).unwrap();
        let memory = ProjectedMemory::new(&images, projection.clone()).unwrap();
        let keys = memory.recall(&queries, &softmax, 3, DRAWS).unwrap();
        let plain = ContinuousMemory::projected(images.clone(), projection, softmax).unwrap();
        let plain = converge(&plain, &queries, 3, 0.0, DRAWS).unwrap();
        for row in 0..60 {
            assert!(keys.images.cosine(row, &plain.states, row) > 1.0 - 1e-6);
        }
    }

    #[test]
    fn a_query_out_of_reach_stays_itself() {
        let images = normal(3, 64, "images");
        let memory = ProjectedMemory::new(&images, normal(64, 64, "projection")).unwrap();
        let far = perturb::rotate(&images, -0.9, &mut DRAWS.seed.stream("t", "far"));
        let read = memory.recall(&far, &Circles::new(64, 5).unwrap(), 10, DRAWS).unwrap();
        assert_eq!(read.images, far);
        let ends = memory.recall_from(&images, &[1.0, 0.9], &Caps::new(64, 15).unwrap(), 10, DRAWS);
        let ends = ends.unwrap();
        assert!(ends.iter().flatten().all(|cosine| *cosine > 0.999), "{ends:?}");
    }

    #[test]
    fn the_same_for_any_number_of_threads() {
        let images = normal(300, 40, "images");
        let memory = ProjectedMemory::new(&images, normal(64, 40, "w")).unwrap();
        let queries = normal(250, 40, "queries");
        let sampled = SampledCircles::new(64, 15, 1e8).unwrap();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| memory.recall(&queries, &sampled, 4, DRAWS).unwrap().images)
        };
        assert_eq!(with(1), with(4));
    }
}
