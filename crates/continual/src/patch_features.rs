//! Features of images from k-means over their pieces.

use geometry::symmetric_eigen;
use kernels::{Matrix, product_transposed};
use rayon::prelude::*;
use sdm::layer::Patches;
use seed::Rng;
use serde::{Deserialize, Serialize};

use crate::{ContinualError, Dataset};

/// Added to the variance of a piece before it is divided out, with ink from 0 to 1: 10 where it is from 0 to 255.
const CONTRAST: f32 = 10.0 / (255.0 * 255.0);
/// Added to the variances of whitened directions.
const WHITENING: f64 = 0.1;
/// Images whose features are computed together.
const BATCH: usize = 32;
/// Images at most that means and deviations of features are taken from.
const STANDARD: usize = 2000;

/// How the features are learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchFeaturesConfig {
    /// Which pieces of an image.
    pub patches: Patches,
    /// Centers of k-means; an image has four features of each.
    pub n_centers: usize,
    /// Pieces that centers are learned from, drawn at random from all images.
    pub n_samples: usize,
    /// Rounds of k-means.
    pub n_rounds: usize,
}

/// A frozen map from images to features, learned without labels, after Coates and Ng.
///
/// Each piece x is brought to mean 0 and contrast 1 and whitened; with zₖ its distance from center k and μ their mean,
/// it answers fₖ = max(0, μ − zₖ). Features of an image are the means of f over each quarter of its places, each brought
/// to mean 0 and variance 1 over the images learned from: `4 · n_centers` numbers.
///
/// # Determinism
///
/// The same bits for any number of threads.
///
/// # Examples
///
/// ```
/// use continual::{Dataset, PatchFeatures, PatchFeaturesConfig};
/// use sdm::layer::Patches;
///
/// let mut rng = seed::Seed::new(0).stream("example", "patch features");
/// let pixels: Vec<f32> = (0..20 * 64).map(|_| if rng.uniform() < 0.5 { 0.0 } else { 1.0 }).collect();
/// let images = Dataset::new(kernels::Matrix::from_rows(20, 64, pixels)?, vec![0; 20], 1)?;
/// let config = PatchFeaturesConfig {
///     patches: Patches { side: 8, channels: 1, size: 3, stride: 1 },
///     n_centers: 5,
///     n_samples: 200,
///     n_rounds: 5,
/// };
/// let features = PatchFeatures::learned(&images, config, &mut rng)?.of(&images)?;
/// assert_eq!((features.len(), features.inputs().n_columns()), (20, 4 * 5));
/// # Ok::<(), continual::ContinualError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PatchFeatures {
    patches: Patches,
    /// Subtracted from a normalized piece.
    mean: Vec<f32>,
    /// The symmetric whitening, `[number, number]`.
    whitening: Matrix,
    /// `[center, number]`.
    centers: Matrix,
    /// Mean and deviation of each feature.
    moments: Vec<[f32; 2]>,
}

impl PatchFeatures {
    /// Learns whitening and centers from images.
    ///
    /// # Errors
    ///
    /// Images of another size, no image, or fewer pieces than centers.
    pub fn learned(
        images: &Dataset,
        config: PatchFeaturesConfig,
        rng: &mut Rng,
    ) -> Result<Self, ContinualError> {
        let PatchFeaturesConfig { patches, n_centers, n_samples, n_rounds } = config;
        let range = |what, got: usize, interval| {
            Err(ContinualError::Range { what, got: got as f64, interval })
        };
        if images.is_empty() {
            return range("the number of images", 0, "[1, ∞)");
        }
        if n_centers == 0 || n_centers > n_samples {
            return range("the number of centers", n_centers, "[1, pieces]");
        }
        let mut pieces = sampled(images.inputs(), patches, n_samples, rng)?;
        normalize_contrast(&mut pieces);
        let (mean, whitening) = whitening(&pieces)?;
        let mut features =
            Self { patches, mean, whitening, centers: Matrix::zeros(0, 0), moments: Vec::new() };
        let pieces = features.whitened(pieces)?;
        features.centers = k_means(&pieces, n_centers, n_rounds, rng)?;
        features.moments = vec![[0.0, 1.0]; features.n_features()];
        let mut order: Vec<usize> = (0..images.len()).collect();
        rng.shuffle(&mut order);
        order.truncate(STANDARD);
        features.moments = moments(features.of(&images.select(&order))?.inputs());
        Ok(features)
    }

    /// Numbers of an image's features.
    pub fn n_features(&self) -> usize {
        4 * self.centers.n_rows()
    }

    /// The features of images, with their labels.
    ///
    /// # Errors
    ///
    /// Images of another size.
    pub fn of(&self, images: &Dataset) -> Result<Dataset, ContinualError> {
        let mut features = Matrix::zeros(images.len(), self.n_features());
        let width = BATCH * self.n_features();
        let batches = features.values_mut().par_chunks_mut(width).enumerate();
        let done = batches.map(|(batch, features)| {
            let n = features.len() / self.n_features();
            let places: Vec<usize> = (batch * BATCH..batch * BATCH + n).collect();
            self.fill(&images.inputs().select(&places), features)
        });
        done.collect::<Result<Vec<()>, ContinualError>>()?;
        Dataset::new(features, images.labels().to_vec(), images.n_classes())
    }

    fn fill(&self, images: &Matrix, features: &mut [f32]) -> Result<(), ContinualError> {
        let mut pieces = self.patches.of(images)?;
        normalize_contrast(&mut pieces);
        let distances = distances(&self.whitened(pieces)?, &self.centers)?;
        let (across, n_centers) = (self.patches.n_across(), self.centers.n_rows());
        let half = across.div_ceil(2);
        // Pieces of each quarter.
        let n = |low: bool| if low { half } else { across - half };
        for (row, distances) in distances.rows().enumerate() {
            let (image, place) = (row / (across * across), row % (across * across));
            let (top, left) = (place / across < half, place % across < half);
            let quarter = 2 * usize::from(!top) + usize::from(!left);
            let share = 1.0 / (n(top) * n(left)) as f32;
            let mean = distances.iter().sum::<f32>() / n_centers as f32;
            let features = &mut features[(4 * image + quarter) * n_centers..][..n_centers];
            for (feature, distance) in features.iter_mut().zip(distances) {
                *feature += share * (mean - distance).max(0.0);
            }
        }
        for image in features.chunks_exact_mut(self.n_features()) {
            for (feature, [mean, deviation]) in image.iter_mut().zip(&self.moments) {
                *feature = (*feature - mean) / deviation;
            }
        }
        Ok(())
    }

    fn whitened(&self, mut pieces: Matrix) -> Result<Matrix, ContinualError> {
        for row in pieces.values_mut().chunks_exact_mut(self.mean.len()) {
            row.iter_mut().zip(&self.mean).for_each(|(value, mean)| *value -= mean);
        }
        Ok(product_transposed(&pieces, &self.whitening)?)
    }
}

/// Pieces at random places of random images.
fn sampled(
    images: &Matrix,
    patches: Patches,
    n: usize,
    rng: &mut Rng,
) -> Result<Matrix, ContinualError> {
    // One piece of each image that is drawn, so that pieces are independent.
    let picks: Vec<usize> = (0..n).map(|_| rng.below(images.n_rows())).collect();
    let mut pieces = Matrix::zeros(0, patches.width());
    for picks in picks.chunks(BATCH) {
        let all = patches.of(&images.select(picks))?;
        let n_places = patches.n_places();
        let rows: Vec<usize> =
            (0..picks.len()).map(|at| at * n_places + rng.below(n_places)).collect();
        pieces = pieces.below(&all.select(&rows))?;
    }
    Ok(pieces)
}

/// Each row to mean 0 and, nearly, variance 1.
fn normalize_contrast(pieces: &mut Matrix) {
    let width = pieces.n_columns();
    for row in pieces.values_mut().chunks_exact_mut(width) {
        let mean = row.iter().sum::<f32>() / width as f32;
        let variance = row.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / width as f32;
        let scale = 1.0 / (variance + CONTRAST).sqrt();
        for x in row {
            *x = scale * (*x - mean);
        }
    }
}

/// The mean of rows, and the symmetric matrix after which directions have variance λ/(λ + ε).
fn whitening(pieces: &Matrix) -> Result<(Vec<f32>, Matrix), ContinualError> {
    let (n, width) = (pieces.n_rows() as f64, pieces.n_columns());
    let mut mean = vec![0.0_f64; width];
    for row in pieces.rows() {
        mean.iter_mut().zip(row).for_each(|(mean, x)| *mean += f64::from(*x) / n);
    }
    let mut covariance = vec![0.0_f64; width * width];
    for row in pieces.rows() {
        let centered: Vec<f64> =
            row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean).collect();
        for (line, x) in covariance.chunks_exact_mut(width).zip(&centered) {
            line.iter_mut().zip(&centered).for_each(|(sum, y)| *sum += x * y / n);
        }
    }
    let eigen = symmetric_eigen(&covariance)?;
    let mut matrix = vec![0.0_f64; width * width];
    for (value, vector) in eigen.values.iter().zip(&eigen.vectors) {
        let scale = 1.0 / (value.max(0.0) + WHITENING).sqrt();
        for (line, x) in matrix.chunks_exact_mut(width).zip(vector) {
            line.iter_mut().zip(vector).for_each(|(sum, y)| *sum += scale * x * y);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    let narrow = |values: Vec<f64>| values.into_iter().map(|x| x as f32).collect::<Vec<f32>>();
    Ok((narrow(mean), Matrix::from_rows(width, width, narrow(matrix))?))
}

/// Mean and deviation of each column; 1 for the deviation of a column that does not vary.
fn moments(rows: &Matrix) -> Vec<[f32; 2]> {
    let n = rows.n_rows().max(1) as f64;
    let mut sums = vec![[0.0_f64; 2]; rows.n_columns()];
    for row in rows.rows() {
        for ([sum, squares], x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x) / n;
            *squares += f64::from(*x) * f64::from(*x) / n;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    let of = |[mean, square]: [f64; 2]| {
        let variance = square - mean * mean;
        let deviation = if variance > 1e-9 * square { variance.sqrt() } else { 1.0 };
        [mean as f32, deviation as f32]
    };
    sums.into_iter().map(of).collect()
}

/// The distance of each row of `a` from each row of `b`, `[row of a, row of b]`.
fn distances(a: &Matrix, b: &Matrix) -> Result<Matrix, ContinualError> {
    let square = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    let squares: Vec<f32> = b.rows().map(square).collect();
    let mut result = product_transposed(a, b)?;
    for (line, row) in result.values_mut().chunks_exact_mut(squares.len().max(1)).zip(a.rows()) {
        let own = square(row);
        for (distance, other) in line.iter_mut().zip(&squares) {
            *distance = (own - 2.0 * *distance + other).max(0.0).sqrt();
        }
    }
    Ok(result)
}

/// Lloyd's rounds from random rows; a center that no row is nearest to begins again at a random row.
fn k_means(
    rows: &Matrix,
    k: usize,
    n_rounds: usize,
    rng: &mut Rng,
) -> Result<Matrix, ContinualError> {
    let mut order: Vec<usize> = (0..rows.n_rows()).collect();
    rng.shuffle(&mut order);
    let mut centers = rows.select(&order[..k]);
    for _ in 0..n_rounds {
        let distances = distances(rows, &centers)?;
        let mut sums = Matrix::zeros(k, rows.n_columns());
        let mut counts = vec![0_usize; k];
        for (row, distances) in rows.rows().zip(distances.rows()) {
            let mut nearest = 0;
            for (center, distance) in distances.iter().enumerate() {
                if *distance < distances[nearest] {
                    nearest = center;
                }
            }
            counts[nearest] += 1;
            sums.row_mut(nearest).iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        for (center, count) in counts.iter().enumerate() {
            if *count == 0 {
                let row = rows.row(rng.below(rows.n_rows()));
                centers.row_mut(center).copy_from_slice(row);
            } else {
                let mean = sums.row(center).iter().map(|sum| sum / *count as f32);
                centers.row_mut(center).iter_mut().zip(mean).for_each(|(c, mean)| *c = mean);
            }
        }
    }
    Ok(centers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    fn rng(purpose: &str) -> Rng {
        Seed::new(8).stream("patch-feature-tests", purpose)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
    fn normal(n: usize, width: usize, purpose: &str) -> Matrix {
        let mut rng = rng(purpose);
        let values = (0..n * width).map(|_| rng.normal() as f32).collect();
        Matrix::from_rows(n, width, values).unwrap()
    }

    #[test]
    fn k_means_finds_clusters_that_are_apart() {
        // Around the corners of a square of side 10.
        let mut rows = normal(400, 2, "clusters");
        for (at, x) in rows.values_mut().iter_mut().enumerate() {
            let corner = at / 2 % 4;
            *x = 0.1 * *x
                + if at % 2 == 0 { 10.0 * (corner % 2) as f32 } else { 10.0 * (corner / 2) as f32 };
        }
        // Of a few starts one at least has a center in each corner; rounds keep it there.
        let best = (0..10).map(|start| {
            let centers = k_means(&rows, 4, 10, &mut rng(&format!("start {start}"))).unwrap();
            let near = |corner: usize| {
                let at = [10.0 * (corner % 2) as f32, 10.0 * (corner / 2) as f32];
                centers.rows().any(|c| (c[0] - at[0]).abs() < 0.1 && (c[1] - at[1]).abs() < 0.1)
            };
            (0..4).filter(|corner| near(*corner)).count()
        });
        assert_eq!(best.max(), Some(4));
    }

    #[test]
    fn whitened_pieces_have_the_stated_variances() {
        let mut pieces = normal(5000, 3, "white");
        for row in pieces.values_mut().chunks_exact_mut(3) {
            row[1] = 4.0 * row[0] + 0.5 * row[1] + 1.0;
        }
        let (mean, matrix) = whitening(&pieces).unwrap();
        let before = symmetric_eigen(&covariance(&pieces)).unwrap();
        let features = PatchFeatures {
            moments: Vec::new(),
            patches: Patches { side: 1, channels: 3, size: 1, stride: 1 },
            mean,
            whitening: matrix,
            centers: Matrix::zeros(0, 0),
        };
        let white = features.whitened(pieces).unwrap();
        let after = symmetric_eigen(&covariance(&white)).unwrap();
        let mut expected: Vec<f64> = before.values.iter().map(|v| v / (v + WHITENING)).collect();
        expected.sort_by(|a, b| b.total_cmp(a));
        for (got, want) in after.values.iter().zip(expected) {
            assert!((got - want).abs() < 1e-4, "{got} {want}");
        }
    }

    fn covariance(rows: &Matrix) -> Vec<f64> {
        let (n, width) = (rows.n_rows() as f64, rows.n_columns());
        let mean: Vec<f64> = (0..width)
            .map(|at| rows.rows().map(|row| f64::from(row[at])).sum::<f64>() / n)
            .collect();
        let each = (0..width * width).map(|at| {
            let (i, j) = (at / width, at % width);
            let of = |row: &[f32]| (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j]);
            rows.rows().map(of).sum::<f64>() / n
        });
        each.collect()
    }

    #[test]
    fn contrast_and_brightness_do_not_matter() {
        let mut pieces = normal(2, 9, "contrast");
        let first: Vec<f32> = pieces.row(0).to_vec();
        pieces.row_mut(1).iter_mut().zip(&first).for_each(|(x, of)| *x = 50.0 * of + 7.0);
        normalize_contrast(&mut pieces);
        assert!(pieces.row(0).iter().zip(pieces.row(1)).all(|(a, b)| (a - b).abs() < 1e-3));
        let mean: f32 = pieces.row(0).iter().sum::<f32>() / 9.0;
        assert!(mean.abs() < 1e-6);
        // A flat piece has no contrast and stays flat.
        let mut flat = Matrix::from_rows(1, 4, vec![0.3; 4]).unwrap();
        normalize_contrast(&mut flat);
        assert!(flat.values().iter().all(|x| x.abs() < 1e-5));
    }

    const CONFIG: PatchFeaturesConfig = PatchFeaturesConfig {
        patches: Patches { side: 8, channels: 1, size: 4, stride: 1 },
        n_centers: 6,
        n_samples: 300,
        n_rounds: 4,
    };

    #[test]
    fn features_say_in_which_quarter_something_lies() {
        let mut images = normal(40, 64, "images");
        images.values_mut().iter_mut().for_each(|x| *x = x.abs().min(1.0));
        let data = Dataset::new(images, vec![0; 40], 1).unwrap();
        let features = PatchFeatures::learned(&data, CONFIG, &mut rng("learned")).unwrap();
        // Something in the upper left corner, and the same in the lower right one.
        let mut two = Matrix::zeros(2, 64);
        for (row, column) in [(0, 0), (0, 1), (1, 0), (2, 2)] {
            two.row_mut(0)[row * 8 + column] = 1.0;
            two.row_mut(1)[(row + 4) * 8 + column + 4] = 1.0;
        }
        let of = features.of(&Dataset::new(two, vec![0, 0], 1).unwrap()).unwrap();
        let (first, second) = (of.inputs().row(0), of.inputs().row(1));
        assert_eq!(first.len(), 24);
        // Pieces begin at rows and columns 0 to 4, of which 0 to 2 are the upper left quarter.
        assert_ne!(first[..6], second[..6]);
        assert_ne!(first[18..], second[18..]);
        // Over the images learned from, features have mean 0 and variance 1.
        let all = features.of(&data).unwrap();
        for [mean, deviation] in moments(all.inputs()) {
            assert!(mean.abs() < 1e-5 && (deviation - 1.0).abs() < 1e-3, "{mean} {deviation}");
        }
        assert!(features.of(&Dataset::new(Matrix::zeros(1, 63), vec![0], 1).unwrap()).is_err());
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads_and_batches() {
        let mut images = normal(70, 64, "images");
        images.values_mut().iter_mut().for_each(|x| *x = x.abs().min(1.0));
        let data = Dataset::new(images, vec![0; 70], 1).unwrap();
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let features = PatchFeatures::learned(&data, CONFIG, &mut rng("learned")).unwrap();
                features.of(&data).unwrap().inputs().clone()
            })
        };
        let all = with(1);
        assert_eq!(all, with(3));
        let features = PatchFeatures::learned(&data, CONFIG, &mut rng("learned")).unwrap();
        let one = features.of(&data.select(&[65])).unwrap();
        assert!(one.inputs().row(0).iter().zip(all.row(65)).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn what_cannot_be_learned_is_an_error() {
        let data = Dataset::new(Matrix::zeros(3, 64), vec![0; 3], 1).unwrap();
        let learn = |config| PatchFeatures::learned(&data, config, &mut rng("x"));
        assert!(learn(PatchFeaturesConfig { n_centers: 0, ..CONFIG }).is_err());
        assert!(learn(PatchFeaturesConfig { n_centers: 301, ..CONFIG }).is_err());
        let none = Dataset::new(Matrix::zeros(0, 64), Vec::new(), 1).unwrap();
        assert!(PatchFeatures::learned(&none, CONFIG, &mut rng("x")).is_err());
        // Blank images have nothing to tell apart, but are no error.
        let blank = learn(CONFIG).unwrap().of(&data).unwrap();
        assert!(blank.inputs().values().iter().all(|f| f.is_finite()));
    }
}
