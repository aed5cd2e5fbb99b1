//! Fifty training steps of dictionaries beside the same with dense products and automatic gradients in double precision.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use kernels::Matrix;
use sae::{Architecture, Batch, Dictionary, ReluConfig, Step, TopKConfig};
use seed::Seed;

const ROWS: usize = 64;
const WIDTH: usize = 12;
const LATENTS: usize = 48;
const K: usize = 4;
const PENALTY: f64 = 0.3;
const RATE: f32 = 3e-3;
const STEPS: u32 = 50;
/// What rounding to 24 bits makes of parameters in fifty steps, relative to their size. Adam divides small gradients by
/// their own size, so that a last bit of a gradient near 0 is a whole step.
const TOLERANCE: f64 = 2e-3;

/// A parameter in double precision, with Adam's moments.
struct Parameter {
    shape: [usize; 2],
    numbers: Vec<f64>,
    moments: [Vec<f64>; 2],
}

impl Parameter {
    fn new(shape: [usize; 2], numbers: &[f32]) -> Self {
        let zero = vec![0.0; numbers.len()];
        let numbers = numbers.iter().map(|x| f64::from(*x)).collect();
        Self { shape, numbers, moments: [zero.clone(), zero] }
    }

    fn tensor(&self, device: &Device) -> Tensor<2> {
        tensor(&self.numbers, self.shape, device).require_grad()
    }

    fn step(&mut self, gradient: &[f64], t: u32, scale: f64) {
        let rate = f64::from(RATE);
        let [first, second] = &mut self.moments;
        for (at, gradient) in gradient.iter().enumerate() {
            let g = gradient * scale;
            first[at] = 0.9 * first[at] + 0.1 * g;
            second[at] = 0.999 * second[at] + 0.001 * g * g;
            let m = first[at] / (1.0 - libm::pow(0.9, f64::from(t)));
            let s = second[at] / (1.0 - libm::pow(0.999, f64::from(t)));
            self.numbers[at] -= rate * m / (s.sqrt() + 1e-8);
        }
    }
}

fn tensor(numbers: &[f64], shape: [usize; 2], device: &Device) -> Tensor<2> {
    let data = TensorData::new(numbers.to_vec(), shape);
    Tensor::<2>::from_data(data, (device, DType::F64)).detach()
}

fn batch(t: u32) -> Matrix {
    let mut rng = Seed::new(5).stream("dense oracle", &format!("batch {t}"));
    #[expect(clippy::cast_possible_truncation, reason = "activations are single precision")]
    let numbers = (0..ROWS * WIDTH).map(|_| rng.normal() as f32).collect();
    Matrix::from_rows(ROWS, WIDTH, numbers).unwrap()
}

/// Each row less its part along another, of length 1.
fn project(gradient: &mut [f64], rows: &[f64]) {
    for (gradient, row) in gradient.chunks_mut(WIDTH).zip(rows.chunks(WIDTH)) {
        let along: f64 = gradient.iter().zip(row).map(|(g, w)| g * w).sum();
        gradient.iter_mut().zip(row).for_each(|(g, w)| *g -= along * w);
    }
}

fn squares(numbers: &[f64]) -> f64 {
    numbers.iter().map(|x| x * x).sum()
}

/// The losses of fifty dense steps from where a dictionary begins, and where they end.
fn dense(begins: &Dictionary, is_top_k: bool) -> (Vec<f64>, [Parameter; 4]) {
    let device = Device::flex().autodiff();
    let parts = begins.parts();
    let mut parameters = [
        Parameter::new([LATENTS, WIDTH], parts.encoder.values()),
        Parameter::new([LATENTS, WIDTH], parts.decoder.values()),
        Parameter::new([1, LATENTS], &parts.encoder_bias),
        Parameter::new([1, WIDTH], &parts.decoder_bias),
    ];
    let mut losses = Vec::new();
    for t in 1..=STEPS {
        let numbers: Vec<f64> = batch(t).values().iter().map(|x| f64::from(*x)).collect();
        let x = tensor(&numbers, [ROWS, WIDTH], &device);
        let [encoder, decoder, encoder_bias, decoder_bias] =
            parameters.each_ref().map(|parameter| parameter.tensor(&device));
        let centered = if is_top_k { x.clone() - decoder_bias.clone() } else { x.clone() };
        let pre = centered.matmul(encoder.clone().transpose()) + encoder_bias.clone();
        // What is active is told by numbers, and has no gradient.
        let values = pre.clone().detach().try_into_vec_as::<f64>().unwrap();
        let mut mask = vec![0.0; values.len()];
        for (mask, values) in mask.chunks_mut(LATENTS).zip(values.chunks(LATENTS)) {
            let mut order: Vec<usize> = (0..LATENTS).collect();
            order.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
            let n = if is_top_k { K } else { LATENTS };
            for latent in order.into_iter().take(n).filter(|latent| values[*latent] > 0.0) {
                mask[latent] = 1.0;
            }
        }
        let z = pre * tensor(&mask, [ROWS, LATENTS], &device);
        let left = x - z.clone().matmul(decoder.clone()) - decoder_bias.clone();
        let mut loss = (left.clone() * left).sum() / ROWS as f64;
        if !is_top_k {
            let norms = (decoder.clone() * decoder.clone()).sum_dim(1).sqrt().transpose();
            loss = loss + (z * norms).sum() * (PENALTY / ROWS as f64);
        }
        losses.push(loss.clone().detach().try_into_vec_as::<f64>().unwrap()[0]);
        let gradients = loss.backward();
        let tensors = [encoder, decoder, encoder_bias, decoder_bias];
        let mut found = tensors
            .map(|tensor| tensor.grad(&gradients).unwrap().try_into_vec_as::<f64>().unwrap());
        if is_top_k {
            project(&mut found[1], &parameters[1].numbers);
        }
        let norm = found.iter().map(|gradient| squares(gradient)).sum::<f64>().sqrt();
        for (parameter, gradient) in parameters.iter_mut().zip(&found) {
            parameter.step(gradient, t, (1.0 / norm).min(1.0));
        }
        if is_top_k {
            for row in parameters[1].numbers.chunks_mut(WIDTH) {
                let norm = squares(row).sqrt();
                for w in row {
                    *w /= norm;
                }
            }
        }
    }
    (losses, parameters)
}

fn agree(architecture: &Architecture, is_top_k: bool) {
    let sample = batch(0);
    let mut rng = Seed::new(5).stream("dense oracle", "init");
    let mut sae = architecture.begin(Batch::of(&sample), &mut rng).unwrap();
    let (losses, parameters) = dense(&sae.dictionary().unwrap(), is_top_k);
    for (t, expected) in (1..).zip(&losses) {
        let report = sae.step(Batch::of(&batch(t)), &Step::new(t, RATE)).unwrap();
        let gap = (report.loss / expected - 1.0).abs();
        assert!(gap < TOLERANCE, "loss of step {t}: {} and {expected}", report.loss);
    }
    assert!(losses[49] < 0.9 * losses[0]);
    let ends = sae.dictionary().unwrap().into_parts();
    let found =
        [ends.encoder.values(), ends.decoder.values(), &ends.encoder_bias, &ends.decoder_bias];
    for (which, (found, expected)) in found.iter().zip(&parameters).enumerate() {
        let gaps: Vec<f64> =
            found.iter().zip(&expected.numbers).map(|(a, b)| f64::from(*a) - b).collect();
        let gap = (squares(&gaps) / squares(&expected.numbers)).sqrt();
        assert!(gap < TOLERANCE, "parameter {which}: {gap}");
    }
}

#[test]
fn top_k_steps_are_dense_steps() {
    let config = TopKConfig { n_latents: LATENTS, k: K, aux: None };
    agree(&Architecture::TopK(config), true);
}

#[test]
fn relu_steps_are_dense_steps() {
    let config = ReluConfig { penalty: PENALTY, ..ReluConfig::paper_c(LATENTS) };
    agree(&Architecture::Relu(config), false);
}
