//! The oracle of tests: parameters in double precision, and slopes of losses by differences.

use kernels::Matrix;
use seed::Seed;

use crate::parameters::Parameters;
use crate::step::Step;

/// Encoder, decoder, their biases, and what else an architecture has.
#[derive(Clone)]
pub(crate) struct Dense {
    pub(crate) numbers: Vec<Vec<f64>>,
}

impl Dense {
    pub(crate) fn of(parameters: &Parameters, others: &[&[f32]]) -> Self {
        let own = [
            parameters.encoder.rows().values(),
            parameters.decoder.rows().values(),
            &parameters.encoder_bias.numbers,
            &parameters.decoder_bias.numbers,
        ];
        let double = |numbers: &&[f32]| numbers.iter().map(|x| f64::from(*x)).collect();
        Self { numbers: own.iter().chain(others).map(double).collect() }
    }

    pub(crate) fn n(&self) -> usize {
        self.numbers[2].len()
    }

    /// W·(x − c) of each latent, without the encoder's bias.
    pub(crate) fn products(&self, x: &[f32], centers: bool) -> Vec<f64> {
        let d = x.len();
        let center = |at: usize| if centers { self.numbers[3][at] } else { 0.0 };
        let dot = |row: &[f64]| -> f64 {
            row.iter().enumerate().map(|(at, w)| (f64::from(x[at]) - center(at)) * w).sum()
        };
        self.numbers[0].chunks(d).map(dot).collect()
    }

    /// Pre-activations.
    pub(crate) fn pre(&self, x: &[f32], centers: bool) -> Vec<f64> {
        let products = self.products(x, centers);
        products.into_iter().zip(&self.numbers[2]).map(|(product, bias)| product + bias).collect()
    }

    /// Σ value · row of the decoder.
    pub(crate) fn sum(&self, values: &[f64]) -> Vec<f64> {
        let width = self.numbers[3].len();
        let mut sum = vec![0.0; width];
        for (value, row) in values.iter().zip(self.numbers[1].chunks(width)) {
            sum.iter_mut().zip(row).for_each(|(sum, w)| *sum += value * w);
        }
        sum
    }

    /// What the decoder's bias and these values lack to x.
    pub(crate) fn residual(&self, x: &[f32], values: &[f64]) -> Vec<f64> {
        let sum = self.sum(values);
        let each = x.iter().zip(sum).zip(&self.numbers[3]);
        each.map(|((x, sum), bias)| f64::from(*x) - sum - bias).collect()
    }

    /// Lengths of the decoder's rows.
    pub(crate) fn norms(&self) -> Vec<f64> {
        let width = self.numbers[3].len();
        self.numbers[1].chunks(width).map(|row| squares(row).sqrt()).collect()
    }

    /// Compares first moments after a step without decay, which are gradients, with slopes of a loss; with rows of the
    /// decoder of length 1 the part of its gradient along them is taken out. The norm of all slopes.
    pub(crate) fn agrees(
        &self,
        found: &[&[f32]],
        unit_rows: bool,
        loss: impl Fn(&Self) -> f64,
    ) -> f64 {
        let mut dense = self.clone();
        assert_eq!(found.len(), self.numbers.len());
        let mut total = 0.0;
        for which in 0..self.numbers.len() {
            let mut slopes = Vec::new();
            for at in 0..self.numbers[which].len() {
                let mut at_shift = |shift: f64| {
                    let before = dense.numbers[which][at];
                    dense.numbers[which][at] = before + shift;
                    let loss = loss(&dense);
                    dense.numbers[which][at] = before;
                    loss
                };
                slopes.push((at_shift(1e-6) - at_shift(-1e-6)) / 2e-6);
            }
            if which == 1 && unit_rows {
                let width = self.numbers[3].len();
                for (slopes, row) in slopes.chunks_mut(width).zip(self.numbers[1].chunks(width)) {
                    let along: f64 = slopes.iter().zip(row).map(|(slope, w)| slope * w).sum();
                    slopes.iter_mut().zip(row).for_each(|(slope, w)| *slope -= along * w);
                }
            }
            assert_eq!(found[which].len(), slopes.len());
            for (at, (found, slope)) in found[which].iter().zip(&slopes).enumerate() {
                let gap = (f64::from(*found) - slope).abs();
                assert!(gap < 3e-5 * (1.0 + slope.abs()), "{which}, {at}: {found} and {slope}");
            }
            total += squares(&slopes);
        }
        total.sqrt()
    }
}

/// First moments of parameters, which are gradients after a [`plain`] step.
pub(crate) fn gradients(parameters: &Parameters) -> [&[f32]; 4] {
    [
        parameters.encoder.moments()[0],
        parameters.decoder.moments()[0],
        &parameters.encoder_bias.moments[0],
        &parameters.decoder_bias.moments[0],
    ]
}

/// The first step, whose moments are the gradient.
pub(crate) fn plain() -> Step {
    Step { decays: [0.0; 2], max_gradient_norm: f64::INFINITY, ..Step::new(1, 1e-3) }
}

/// Parameters of their own, so that nothing is tested at a special point; rows of the decoder have length 1 or not.
pub(crate) fn disturb(parameters: &mut Parameters, unit_rows: bool) {
    let (n, d) = (parameters.n_latents(), parameters.encoder.rows().n_columns());
    let out = parameters.decoder.rows().n_columns();
    add(parameters.encoder.rows_mut(), &random(n, d, "encoder"), 0.3);
    add(parameters.decoder.rows_mut(), &random(n, out, "decoder"), 0.3);
    if unit_rows {
        parameters.decoder.rows_mut().normalize_rows();
    }
    parameters.encoder_bias.numbers = random(1, n, "encoder bias").into_values();
    parameters.decoder_bias.numbers = random(1, out, "decoder bias").into_values();
}

fn add(rows: &mut Matrix, others: &Matrix, by: f32) {
    rows.values_mut().iter_mut().zip(others.values()).for_each(|(w, other)| *w += by * other);
}

pub(crate) fn random(n_rows: usize, width: usize, purpose: &str) -> Matrix {
    let mut rng = Seed::new(7).stream("sae", purpose);
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
    let numbers = (0..n_rows * width).map(|_| rng.normal() as f32).collect();
    Matrix::from_rows(n_rows, width, numbers).unwrap()
}

pub(crate) fn squares(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum()
}

/// Rows that are sums of two of some directions, each 1 to 2 times.
pub(crate) fn sparse(n_rows: usize, truth: &Matrix, seed: u64) -> Matrix {
    let mut rng = Seed::new(seed).stream("sae", "sparse");
    let mut rows = Matrix::zeros(n_rows, truth.n_columns());
    for row in 0..n_rows {
        for _ in 0..2 {
            let direction = rng.below(truth.n_rows());
            #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
            let size = 1.0 + rng.uniform() as f32;
            let sum = rows.row_mut(row).iter_mut().zip(truth.row(direction));
            sum.for_each(|(sum, x)| *sum += size * x);
        }
    }
    rows
}

/// Sixteen directions in 24 dimensions.
pub(crate) fn truth() -> Matrix {
    let mut truth = random(16, 24, "truth");
    truth.normalize_rows();
    truth
}

/// Of these directions, those that are near a row of the decoder.
pub(crate) fn n_found(truth: &Matrix, dictionary: &crate::Dictionary) -> usize {
    let mut decoder = dictionary.decoder().clone();
    decoder.normalize_rows();
    let cosines = kernels::product_transposed(truth, &decoder).unwrap();
    let best = cosines.rows().map(|row| row.iter().copied().fold(0.0, f32::max));
    best.filter(|cosine| *cosine > 0.95).count()
}
