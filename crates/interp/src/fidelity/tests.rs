use super::*;
use crate::error::narrowed;
use sae::{Activation, Parts};
use seed::Seed;

fn normal(n: usize, d: usize, mean: f64, purpose: &str) -> Matrix {
    let mut rng = Seed::new(3).stream("fidelity", purpose);
    let values = (0..n * d).map(|_| narrowed(mean + rng.normal())).collect();
    Matrix::from_rows(n, d, values).unwrap()
}

fn silent(n: usize) -> Codes {
    Codes::from_rows(1, &vec![vec![]; n]).unwrap()
}

fn report(x: &Matrix, x_hat: &Matrix) -> FidelityReport {
    let mut fidelity = Fidelity::new(x.n_columns(), 1).unwrap();
    fidelity.add(x, x_hat, &silent(x.n_rows())).unwrap();
    fidelity.report().unwrap()
}

fn near(a: Option<f64>, b: f64) {
    let a = a.unwrap();
    assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} and {b}");
}

/// x̂ = x + ε·x⊥ with x⊥ as long as x: every metric follows from ε.
#[test]
fn a_known_error_has_known_metrics() {
    let x = Matrix::from_rows(4, 2, vec![1., 0., -1., 0., 0., 2., 0., -2.]).unwrap();
    let x_hat = Matrix::from_rows(4, 2, vec![1., 0.5, -1., -0.5, -1., 2., 1., -2.]).unwrap();
    let report = report(&x, &x_hat);
    for metric in [report.fvu, report.nmse_of_norm, report.nmse_of_variance, report.nmse_of_rows] {
        near(metric, 0.25);
    }
    near(report.explained_variance, 0.75);
    near(report.cosine, 1.0 / 1.25_f64.sqrt());
    near(report.l2_ratio, 1.25_f64.sqrt());
    near(report.gamma, 1.25);
    // ‖e‖² is 0.25 in two rows and 1 in two.
    near(Some(report.squared_error), 0.625);
}

/// The explained variance of the mean alone is 0, although it explains nearly all of the length.
#[test]
fn variance_is_about_the_mean_and_not_about_zero() {
    let x = Matrix::from_rows(4, 1, vec![11., 9., 11., 9.]).unwrap();
    let mean = report(&x, &Matrix::from_rows(4, 1, vec![10.0; 4]).unwrap());
    assert_eq!(mean.explained_variance, Some(0.0));
    near(mean.nmse_of_norm, 1.0 / 101.0);
    // An error that is the same in all rows is no variance, and counts in R².
    let shifted = report(&x, &Matrix::from_rows(4, 1, vec![12., 10., 12., 10.]).unwrap());
    assert_eq!((shifted.fvu, shifted.nmse_of_variance), (Some(0.0), Some(1.0)));
}

/// The squared error is a mean over rows: more tokens of the same kind do not change it.
#[test]
fn errors_do_not_grow_with_the_number_of_tokens() {
    let (x, x_hat) = (normal(60, 5, 1.0, "x"), normal(60, 5, 1.0, "x_hat"));
    let once = report(&x, &x_hat);
    let both = |m: &Matrix| m.clone().below(m).unwrap().below(m).unwrap();
    let thrice = report(&both(&x), &both(&x_hat));
    near(Some(thrice.squared_error), once.squared_error);
    near(thrice.fvu, once.fvu.unwrap());
    near(thrice.cosine, once.cosine.unwrap());
}

#[test]
fn batches_and_threads_do_not_change_a_bit() {
    let (x, x_hat) = (normal(301, 37, 50.0, "x"), normal(301, 37, 50.0, "x_hat"));
    let rows = |m: &Matrix, from: usize, to: usize| m.select(&(from..to).collect::<Vec<_>>());
    let of = |bounds: &[usize], threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut fidelity = Fidelity::new(37, 1).unwrap();
            for pair in bounds.windows(2) {
                let n = pair[1] - pair[0];
                let (x, x_hat) = (rows(&x, pair[0], pair[1]), rows(&x_hat, pair[0], pair[1]));
                fidelity.add(&x, &x_hat, &silent(n)).unwrap();
            }
            fidelity.report().unwrap()
        })
    };
    let all = of(&[0, 301], 1);
    assert_eq!(of(&[0, 1, 1, 64, 200, 301], 3), all);
    // Against sums in two passes.
    let variance = |of: &dyn Fn(usize, usize) -> f64| -> f64 {
        (0..37)
            .map(|c| {
                let column: Vec<f64> = (0..301).map(|r| of(r, c)).collect();
                stats::variance(&column).unwrap()
            })
            .sum()
    };
    let at = |m: &Matrix, r: usize, c: usize| f64::from(m.row(r)[c]);
    let (top, bottom) =
        (variance(&|r, c| at(&x, r, c) - at(&x_hat, r, c)), variance(&|r, c| at(&x, r, c)));
    near(all.fvu, top / bottom);
}

/// Reconstructions are compared in the units of the model, however the dictionary scales activations.
#[test]
fn scaled_and_raw_units_are_not_mixed() {
    let parts = Parts {
        encoder: Matrix::from_rows(2, 2, vec![0.5, 0.0, 0.0, 0.5]).unwrap(),
        decoder: Matrix::identity(2),
        encoder_bias: vec![0.0; 2],
        decoder_bias: vec![0.0; 2],
        activation: Activation::Relu,
        centers: false,
        skip: None,
        scaling: Scaling::By { factor: 0.25 },
    };
    let dictionary = Dictionary::new(parts).unwrap();
    let x = Matrix::from_rows(3, 2, vec![4., 8., 8., 0., 0., 4.]).unwrap();
    let mut fidelity = Fidelity::new(2, 2).unwrap();
    fidelity.add_reconstructed(&dictionary, &x).unwrap();
    // x̂ = x/2 on positive activations.
    let right = fidelity.report().unwrap();
    assert_eq!((right.fvu, right.gamma), (Some(0.25), Some(0.5)));
    let mut same = Fidelity::new(2, 2).unwrap();
    same.add_reconstructed(&dictionary.unscaled().unwrap(), &x).unwrap();
    assert_eq!(same.report().unwrap(), right);
    // What decoding gives is in other units: x̂ = x/8.
    let codes = dictionary.encode(&x).unwrap();
    let mut mixed = Fidelity::new(2, 2).unwrap();
    mixed.add(&x, &dictionary.decode(&codes).unwrap(), &codes).unwrap();
    near(mixed.report().unwrap().fvu, 49.0 / 64.0);
}

#[test]
fn densities_dead_and_dense_latents() {
    // Latent 0 in all rows, 1 in 10 of 100, 2 in 2, 3 in 1, 4 in none.
    let rows: Vec<Vec<(u32, f32)>> = (0..100)
        .map(|row| {
            let active = [true, row < 10, row < 2, row < 1, false];
            (0..5).zip(active).filter(|(_, active)| *active).map(|(i, _)| (i, 1.0)).collect()
        })
        .collect();
    let codes = Codes::from_rows(5, &rows).unwrap();
    let x = normal(100, 2, 0.0, "x");
    let mut fidelity = Fidelity::new(2, 5).unwrap();
    fidelity.add(&x, &x, &codes).unwrap();
    assert_eq!(fidelity.densities().unwrap(), [1.0, 0.1, 0.02, 0.01, 0.0]);
    let report = fidelity.report().unwrap();
    assert_eq!((report.l0, report.n_rows), (1.13, 100));
    assert_eq!((report.dead_share, report.dense_share, report.very_dense_share), (0.2, 0.6, 0.2));
    assert_eq!((report.fvu, report.gamma), (Some(0.0), Some(1.0)));
    // −2, −1.7, −1 and 0, in halves.
    let histogram = fidelity.log10_densities(2).unwrap();
    assert_eq!((histogram.counts, histogram.edges[1]), (vec![2, 2], -1.0));
}

#[test]
fn constant_and_zero_activations_have_no_ratio() {
    let constant = Matrix::from_rows(3, 1, vec![0.1; 3]).unwrap();
    let report_of = report(&constant, &Matrix::zeros(3, 1));
    assert_eq!((report_of.fvu, report_of.gamma), (None, None));
    assert_eq!(report_of.cosine, Some(0.0));
    let zero = report(&Matrix::zeros(3, 1), &constant);
    assert_eq!((zero.n_zero_rows, zero.cosine, zero.nmse_of_norm), (3, None, None));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    assert!(Fidelity::new(0, 1).is_err() && Fidelity::new(1, 0).is_err());
    let mut fidelity = Fidelity::new(2, 1).unwrap();
    assert!(matches!(fidelity.report(), Err(InterpError::Empty { .. })));
    let good = Matrix::zeros(1, 2);
    for (x, x_hat, codes) in [
        (&Matrix::zeros(1, 3), &good, silent(1)),
        (&good, &Matrix::zeros(2, 2), silent(1)),
        (&good, &good, silent(2)),
        (&good, &good, Codes::from_rows(2, &[vec![]]).unwrap()),
        (&good, &good, Codes::from_rows(1, &[vec![(0, 0.0)]]).unwrap()),
        (&Matrix::from_rows(1, 2, vec![0.0, f32::NAN]).unwrap(), &good, silent(1)),
    ] {
        assert!(fidelity.add(x, x_hat, &codes).is_err());
    }
    assert!(fidelity.report().is_err());
}
