//! Learning a projection of keys by gradient descent on the reconstruction of images.

use kernels::{Matrix, product, product_transposed};
use seed::Seed;

use crate::{SdmError, perturb};

/// Adam with PyTorch's constants: β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
///
/// # Examples
///
/// ```
/// use sdm::projection::Adam;
///
/// // The first step has the length of the learning rate, whatever the gradient.
/// let mut adam = Adam::new(0.1, 2);
/// let mut weights = [1.0, 1.0];
/// adam.step(&mut weights, &[5.0, -0.01]);
/// assert!((weights[0] - 0.9).abs() < 1e-6 && (weights[1] - 1.1).abs() < 1e-6);
/// ```
#[derive(Clone, Debug)]
pub struct Adam {
    learning_rate: f64,
    means: Vec<f32>,
    squares: Vec<f32>,
    /// β₁ᵗ and β₂ᵗ.
    powers: (f64, f64),
}

impl Adam {
    /// For this many weights.
    pub fn new(learning_rate: f64, n_weights: usize) -> Self {
        let zeros = || vec![0.0; n_weights];
        Self { learning_rate, means: zeros(), squares: zeros(), powers: (1.0, 1.0) }
    }

    /// One step against the gradient.
    ///
    /// # Panics
    ///
    /// If there are not as many weights and gradients as it was made for.
    #[expect(clippy::cast_possible_truncation, reason = "weights in 32 bits")]
    pub fn step(&mut self, weights: &mut [f32], gradient: &[f32]) {
        assert_eq!((weights.len(), gradient.len()), (self.means.len(), self.means.len()));
        self.powers = (0.9 * self.powers.0, 0.999 * self.powers.1);
        let step = (self.learning_rate / (1.0 - self.powers.0)) as f32;
        let root = (1.0 - self.powers.1).sqrt() as f32;
        let moments = self.means.iter_mut().zip(&mut self.squares);
        for ((weight, gradient), (mean, square)) in weights.iter_mut().zip(gradient).zip(moments) {
            *mean = 0.9 * *mean + 0.1 * gradient;
            *square = 0.999 * *square + 0.001 * (gradient * gradient);
            *weight -= step * *mean / (square.sqrt() / root + 1e-8);
        }
    }
}

/// How a projection is trained.
#[derive(Clone, Copy, Debug)]
pub struct TrainingPlan {
    /// Dimensions of a key.
    pub n_key: usize,
    /// Attention's inverse temperature.
    pub beta: f64,
    /// Adam's learning rate.
    pub learning_rate: f64,
    /// Passes over the images.
    pub n_epochs: usize,
    /// Images of a step.
    pub batch: usize,
    /// Perturbations are uniform between these Hamming equivalents P, cos = 1 − 2P/n for n pixels.
    pub perturbation: (f64, f64),
}

/// Trains the keys W·x of a set of images: each image, perturbed, is read once by attention over all
/// images, and the squared difference between what is read and the image is what Adam makes smaller.
///
/// # Determinism
///
/// The same bits for any number of threads.
///
/// # Source
///
/// Paper A, the authors' `train_projection`.
#[derive(Clone, Debug)]
pub struct Trainer<'a> {
    plan: TrainingPlan,
    images: &'a Matrix,
    images_transposed: Matrix,
    projection: Matrix,
    adam: Adam,
}

impl<'a> Trainer<'a> {
    /// Begins with a projection of independent N(0, 1) entries.
    pub fn new(
        images: &'a Matrix,
        plan: TrainingPlan,
        seed: Seed,
        id: &str,
        purpose: &str,
    ) -> Self {
        let projection = random_projection(plan.n_key, images.n_columns(), seed, id, purpose);
        let adam = Adam::new(plan.learning_rate, projection.values().len());
        Self { plan, images, images_transposed: images.transposed(), projection, adam }
    }

    /// Runs all epochs and returns the projection with the mean loss of each epoch.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] for an empty set of images.
    pub fn run(
        mut self,
        seed: Seed,
        id: &str,
        purpose: &str,
    ) -> Result<(Matrix, Vec<f64>), SdmError> {
        let n = self.images.n_columns() as f64;
        let mut order: Vec<usize> = (0..self.images.n_rows()).collect();
        let mut losses = Vec::new();
        for epoch in 0..self.plan.n_epochs {
            let mut rng = seed.stream(id, &format!("{purpose}, epoch {epoch}"));
            rng.shuffle(&mut order);
            let mut total = 0.0;
            for batch in order.chunks(self.plan.batch.max(1)) {
                let targets = self.images.select(batch);
                let (low, high) = self.plan.perturbation;
                let cosines: Vec<f64> = batch
                    .iter()
                    .map(|_| 1.0 - 2.0 * (low + (high - low) * rng.uniform()) / n)
                    .collect();
                let queries = perturb::rotate_each(&targets, &cosines, &mut rng);
                let (loss, gradient) = loss_and_gradient(
                    &self.projection,
                    self.images,
                    &self.images_transposed,
                    &queries,
                    &targets,
                    self.plan.beta,
                )?;
                self.adam.step(self.projection.values_mut(), gradient.values());
                total += loss * batch.len() as f64;
            }
            losses.push(total / order.len().max(1) as f64);
        }
        Ok((self.projection, losses))
    }
}

/// A projection of independent N(0, 1) entries, `[key, pixel]`: where training begins, and the null that it
/// is measured against.
#[expect(clippy::cast_possible_truncation, reason = "weights in 32 bits")]
pub fn random_projection(
    n_key: usize,
    n_pixels: usize,
    seed: Seed,
    id: &str,
    purpose: &str,
) -> Matrix {
    let mut rng = seed.stream(id, purpose);
    let mut projection = Matrix::zeros(n_key, n_pixels);
    projection.values_mut().fill_with(|| rng.normal() as f32);
    projection
}

/// Σ‖read − target‖² / number of queries, for one read by attention over the keys W·x of `images`, and its
/// gradient by W.
///
/// # Shapes
///
/// `projection` `[key, pixel]`, `images` `[image, pixel]`, `queries` and `targets` `[query, pixel]`; the
/// gradient is as the projection.
///
/// # Errors
///
/// [`SdmError::Kernel`] if the widths differ.
///
/// # Source
///
/// Paper A, the reconstruction loss of the authors' `train_projection`. The gradient is worked out by hand
/// and tested against finite differences.
pub fn reconstruction_loss(
    projection: &Matrix,
    images: &Matrix,
    queries: &Matrix,
    targets: &Matrix,
    beta: f64,
) -> Result<(f64, Matrix), SdmError> {
    loss_and_gradient(projection, images, &images.transposed(), queries, targets, beta)
}

fn loss_and_gradient(
    projection: &Matrix,
    images: &Matrix,
    images_transposed: &Matrix,
    queries: &Matrix,
    targets: &Matrix,
    beta: f64,
) -> Result<(f64, Matrix), SdmError> {
    #[expect(clippy::cast_possible_truncation, reason = "computed in 32 bits")]
    let beta = beta as f32;
    let keys = Normalized::new(product_transposed(images, projection)?);
    let cues = Normalized::new(product_transposed(queries, projection)?);
    let mut weights = product_transposed(&cues.unit, &keys.unit)?;
    for row in 0..weights.n_rows() {
        softmax(beta, weights.row_mut(row));
    }
    // What is read, and twice its difference from the target by the number of queries.
    let mut residual = product(&weights, images)?;
    let scale = 2.0 / queries.n_rows() as f32;
    let mut loss = 0.0;
    for (read, target) in residual.values_mut().iter_mut().zip(targets.values()) {
        let difference = *read - target;
        loss += f64::from(difference) * f64::from(difference);
        *read = scale * difference;
    }
    loss /= queries.n_rows() as f64;
    // Through the softmax: w ∘ (g − Σ w g).
    let mut by_logit = product_transposed(&residual, images)?;
    for row in 0..weights.n_rows() {
        let pairs = weights.row(row).iter().zip(by_logit.row(row));
        let mean: f64 = pairs.map(|(w, g)| f64::from(*w) * f64::from(*g)).sum();
        #[expect(clippy::cast_possible_truncation, reason = "computed in 32 bits")]
        let mean = mean as f32;
        for (g, w) in by_logit.row_mut(row).iter_mut().zip(weights.row(row)) {
            *g = beta * w * (*g - mean);
        }
    }
    let by_cue = cues.back(product(&by_logit, &keys.unit)?);
    let by_key = keys.back(product(&by_logit.transposed(), &cues.unit)?);
    // Transposed, so that the many pixels are rows, which threads share.
    let mut gradient = product(images_transposed, &by_key)?;
    let of_queries = product(&queries.transposed(), &by_cue)?;
    for (sum, more) in gradient.values_mut().iter_mut().zip(of_queries.values()) {
        *sum += more;
    }
    Ok((loss, gradient.transposed()))
}

/// Cosines become the weights of attention, with sum 1.
fn softmax(beta: f32, row: &mut [f32]) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for value in row.iter_mut() {
        *value = kernels::exp(beta * (*value - largest));
        total += f64::from(*value);
    }
    #[expect(clippy::cast_possible_truncation, reason = "computed in 32 bits")]
    let scale = (1.0 / total) as f32;
    for value in row {
        *value *= scale;
    }
}

/// Rows scaled to length 1, with what undoes it.
struct Normalized {
    unit: Matrix,
    /// 1/length.
    scales: Vec<f32>,
}

impl Normalized {
    #[expect(clippy::cast_possible_truncation, reason = "computed in 32 bits")]
    fn new(rows: Matrix) -> Self {
        let length = |row: &[f32]| {
            let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            square.sqrt()
        };
        let scale = |row| (1.0 / f64::max(length(row), f64::MIN_POSITIVE)).min(1e30) as f32;
        let scales = rows.rows().map(scale).collect();
        let mut unit = rows;
        unit.normalize_rows();
        Self { unit, scales }
    }

    /// The gradient by the rows from that by the unit rows: (g − u·(u·g))/length.
    fn back(&self, mut gradient: Matrix) -> Matrix {
        for (row, scale) in self.scales.iter().enumerate() {
            let unit = self.unit.row(row);
            let along: f32 = unit.iter().zip(gradient.row(row)).map(|(u, g)| u * g).sum();
            for (g, u) in gradient.row_mut(row).iter_mut().zip(unit) {
                *g = scale * (*g - along * u);
            }
        }
        gradient
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normal;
    use super::*;

    /// The loss by plain loops in 64 bits.
    fn loss(w: &[f64], n_key: usize, images: &Matrix, queries: &Matrix, targets: &Matrix) -> f64 {
        let n = images.n_columns();
        let unit = |x: &[f32]| -> Vec<f64> {
            let key: Vec<f64> =
                (0..n_key).map(|k| (0..n).map(|i| w[k * n + i] * f64::from(x[i])).sum()).collect();
            let length = key.iter().map(|v| v * v).sum::<f64>().sqrt();
            key.iter().map(|v| v / length).collect()
        };
        let keys: Vec<Vec<f64>> = images.rows().map(unit).collect();
        let mut total = 0.0;
        for (query, target) in queries.rows().zip(targets.rows()) {
            let cue = unit(query);
            let dot = |key: &Vec<f64>| key.iter().zip(&cue).map(|(a, b)| a * b).sum::<f64>();
            let weights: Vec<f64> = keys.iter().map(|key| libm::exp(6.0 * dot(key))).collect();
            let sum: f64 = weights.iter().sum();
            for pixel in 0..n {
                let parts = weights.iter().zip(images.rows());
                let read: f64 = parts.map(|(w, x)| w / sum * f64::from(x[pixel])).sum();
                total += (read - f64::from(target[pixel])) * (read - f64::from(target[pixel]));
            }
        }
        total / queries.n_rows() as f64
    }

    #[test]
    fn the_gradient_is_that_of_finite_differences() {
        let (images, projection) = (normal(9, 7, "images"), normal(4, 7, "projection"));
        let targets = images.select(&[0, 3, 5]);
        let mut rng = Seed::new(1).stream("train-tests", "rotate");
        let queries = perturb::rotate_each(&targets, &[0.9, 0.6, 0.2], &mut rng);
        let (got, gradient) =
            reconstruction_loss(&projection, &images, &queries, &targets, 6.0).unwrap();
        let w: Vec<f64> = projection.values().iter().map(|w| f64::from(*w)).collect();
        let at = |w: &[f64]| loss(w, 4, &images, &queries, &targets);
        assert!((got - at(&w)).abs() < 1e-5 * got, "{got} {}", at(&w));
        let largest = gradient.values().iter().fold(0.0_f32, |most, g| most.max(g.abs()));
        assert!(largest > 0.1);
        for place in 0..w.len() {
            let moved = |by: f64| {
                let mut w = w.clone();
                w[place] += by;
                at(&w)
            };
            let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let got = f64::from(gradient.values()[place]);
            assert!((got - difference).abs() < 2e-5 * f64::from(largest), "{got} {difference}");
        }
    }

    // Worked by hand: g = 1, then g = 3 at a learning rate of 0.1. Second step: mean (0.09 + 0.3)/0.19,
    // square (0.000999 + 0.009)/0.001999.
    #[test]
    fn two_steps_of_adam() {
        let mut adam = Adam::new(0.1, 1);
        let mut weight = [0.0_f32];
        adam.step(&mut weight, &[1.0]);
        adam.step(&mut weight, &[3.0]);
        let second = 0.1 * (0.39 / 0.19) / (0.009_999_f64 / 0.001_999).sqrt();
        assert!((f64::from(weight[0]) + 0.1 + second).abs() < 1e-5, "{weight:?} {second}");
    }

    #[test]
    fn training_reconstructs_better_and_does_not_depend_on_threads() {
        let images = normal(120, 30, "images");
        let plan = TrainingPlan {
            n_key: 8,
            beta: 6.0,
            learning_rate: 0.05,
            n_epochs: 25,
            batch: 32,
            perturbation: (1.0, 4.0),
        };
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let trainer = Trainer::new(&images, plan, Seed::new(2), "t", "start");
            pool.install(|| trainer.run(Seed::new(2), "t", "epochs").unwrap())
        };
        let (projection, losses) = with(1);
        assert!(losses[24] < 0.8 * losses[0], "{losses:?}");
        assert_eq!(with(4).0, projection);
    }
}
