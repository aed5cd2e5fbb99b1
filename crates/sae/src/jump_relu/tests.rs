use super::*;
use crate::dense::{Dense, disturb, gradients, n_found, plain, random, sparse, squares, truth};
use seed::Seed;

fn sae(config: &JumpReluConfig, sample: &Matrix) -> JumpRelu {
    JumpRelu::new(config, sample, &mut Seed::new(7).stream("sae", "init")).unwrap()
}

/// Away from jumps encoder, decoder and biases follow the loss itself. The band is so narrow that no row lies in it.
#[test]
fn gradients_are_slopes_of_the_dense_loss() {
    let batch = random(24, 6, "batch");
    let tanh = Sparsity::Tanh { coefficient: 0.7, slope: 1.5, revive: 0.2 };
    for sparsity in [Sparsity::L0 { coefficient: 0.7 }, tanh] {
        let config = JumpReluConfig {
            n_latents: 20,
            sparsity: sparsity.clone(),
            bandwidth: 1e-6,
            initial_threshold: 0.4,
        };
        let mut sae = sae(&config, &batch);
        let unit_rows = config.length() == Length::One;
        disturb(&mut sae.parameters, unit_rows);
        let dense = Dense::of(&sae.parameters, &[&sae.log_thresholds.numbers]);
        let report = sae.step(Batch::of(&batch), &plain()).unwrap();
        let loss = |dense: &Dense| {
            let norms = dense.norms();
            let of_row = |row: &[f32]| {
                let pre = dense.pre(row, false);
                let bound = |latent: usize| libm::exp(dense.numbers[4][latent]);
                let values: Vec<f64> = (0..dense.n())
                    .map(|latent| if pre[latent] > bound(latent) { pre[latent] } else { 0.0 })
                    .collect();
                let cost: f64 = (0..dense.n())
                    .map(|latent| match sparsity {
                        Sparsity::Tanh { .. } => {
                            0.7 * libm::tanh(1.5 * values[latent] * norms[latent])
                                + 0.2 * (bound(latent) - pre[latent]).max(0.0) * norms[latent]
                        }
                        _ => 0.7 * f64::from(u8::from(values[latent] > 0.0)),
                    })
                    .sum();
                squares(&dense.residual(row, &values)) + cost
            };
            batch.rows().map(of_row).sum::<f64>() / 24.0
        };
        assert!((report.loss / loss(&dense) - 1.0).abs() < 1e-5);
        let mut found = gradients(&sae.parameters).to_vec();
        found.push(&sae.log_thresholds.moments[0]);
        let norm = dense.agrees(&found, unit_rows, loss);
        assert!((report.gradient_norm / norm - 1.0).abs() < 1e-4);
    }
}

/// One latent over one dimension: by differences over many rows the expected loss has a slope by θ, which a narrow band
/// estimates.
#[test]
fn the_slope_by_thresholds_is_that_of_the_expected_loss() {
    // Evenly from −2 to 2, and none at the bounds of the band.
    let line = (0..200_000).map(|at| (at as f32 + 0.5) / 5e4 - 2.0).collect();
    let batch = Matrix::from_rows(200_000, 1, line).unwrap();
    for coefficient in [0.0, 0.3] {
        let config = JumpReluConfig {
            n_latents: 1,
            sparsity: Sparsity::L0 { coefficient },
            bandwidth: 0.005,
            initial_threshold: 0.8,
        };
        let mut sae = sae(&config, &batch);
        let one = |weights: &mut Matrix| weights.values_mut()[0] = 1.0;
        one(sae.parameters.encoder.rows_mut());
        one(sae.parameters.decoder.rows_mut());
        // With a decoder's bias, so that what a jump changes is not 0 on both sides alike.
        sae.parameters.decoder_bias.numbers = vec![0.3];
        let loss = |threshold: f64| {
            let of_row = |x: &f32| {
                let x = f64::from(*x);
                let (value, cost) = if x > threshold { (x, coefficient) } else { (0.0, 0.0) };
                (x - value - 0.3) * (x - value - 0.3) + cost
            };
            batch.values().iter().map(of_row).sum::<f64>() / 200_000.0
        };
        let slope = (loss(0.8025) - loss(0.7975)) / 0.005;
        sae.step(Batch::of(&batch), &plain()).unwrap();
        // By t, where dθ = θ·dt.
        let found = f64::from(sae.log_thresholds.moments[0][0]) / 0.8;
        let gap = (found - slope).abs();
        assert!(gap < 0.01 * slope.abs(), "{found} and {slope}");
    }
}

#[test]
fn directions_that_rows_are_sums_of_are_found_at_the_target() {
    let truth = truth();
    let config = JumpReluConfig {
        bandwidth: 0.3,
        initial_threshold: 0.3,
        ..JumpReluConfig::target_l0(32, 24, 2.0)
    };
    let mut sae = sae(&config, &sparse(500, &truth, 0));
    let mut l0 = 0.0;
    for t in 1..=1000 {
        let batch = sparse(256, &truth, u64::from(t));
        let step = Step { max_gradient_norm: 100.0, ..Step::new(t, 3e-3) };
        l0 = sae.step(Batch::of(&batch), &step).unwrap().l0;
    }
    let n = n_found(&truth, &sae.dictionary().unwrap());
    assert!((l0 - 2.0).abs() < 0.5, "{l0}");
    assert!(n >= 14, "{n} of 16");
}

#[test]
fn the_recipe_with_tanh_begins_with_the_share_that_it_names() {
    let sample = random(900, 6, "sample");
    let sae = sae(&JumpReluConfig::tanh(50_000, 10.0), &sample);
    let l0 = sae.dictionary().unwrap().encode(&sample).unwrap().values().len() as f64 / 900.0;
    assert!((l0 / 10_000.0 - 1.0).abs() < 0.02, "{l0}");
}

#[test]
fn settings_that_cannot_be_meant_are_refused() {
    let sample = random(9, 3, "sample");
    let new = |config: &JumpReluConfig| {
        JumpRelu::new(config, &sample, &mut Seed::new(0).stream("a", "b")).is_ok()
    };
    let good = JumpReluConfig::target_l0(4, 3, 2.0);
    assert!(new(&good));
    assert!(!new(&JumpReluConfig { bandwidth: 0.0, ..good.clone() }));
    assert!(!new(&JumpReluConfig { initial_threshold: 0.0, ..good.clone() }));
    let sparsity = Sparsity::TargetL0 { coefficient: 1.0, target: 0.0 };
    assert!(!new(&JumpReluConfig { sparsity, ..good.clone() }));
    let sparsity = Sparsity::L0 { coefficient: -1.0 };
    assert!(!new(&JumpReluConfig { sparsity, ..good }));
}
