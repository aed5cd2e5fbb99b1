use super::*;
use crate::error::narrowed;
use seed::Seed;

/// Two normal classes with the covariance 4 and 1/4 along the axes, means (±1, ±½): the logarithm of the odds is
/// 2·(1/4·x + 2·y).
fn gaussians(n: usize) -> (Matrix, Vec<bool>) {
    let mut rng = Seed::new(11).stream("logistic", "gaussians");
    let positive: Vec<bool> = (0..n).map(|at| at % 2 == 0).collect();
    let values = positive.iter().flat_map(|is| {
        let sign = if *is { 1.0 } else { -1.0 };
        [sign + 2.0 * rng.normal(), 0.5 * sign + 0.5 * rng.normal()]
    });
    (Matrix::from_rows(n, 2, values.map(narrowed).collect()).unwrap(), positive)
}

#[test]
fn normal_classes_have_known_weights() {
    let (x, positive) = gaussians(40_000);
    let probe = Logistic::fit(&x, &positive, 1e-8).unwrap();
    assert!(probe.converged && probe.n_steps < 15);
    assert!((probe.weights[0] - 0.5).abs() < 0.03, "{:?}", probe.weights);
    assert!((probe.weights[1] - 4.0).abs() < 0.1, "{:?}", probe.weights);
    assert!(probe.bias.abs() < 0.05);
    // The best accuracy is Φ(√(1/4 + 1)).
    let scores = probe.scores(&x, &positive).unwrap();
    let best = stats::normal_cdf(1.25_f64.sqrt());
    assert!((scores.accuracy().unwrap() - best).abs() < 0.01);
    // AUROC is Φ(√2·√(5/4)).
    let auroc = stats::normal_cdf(2.5_f64.sqrt());
    assert!((scores.auroc.unwrap() - auroc).abs() < 0.01);
    // The difference of means forgets how the axes vary.
    let of_means = Logistic::of_means(&x, &positive).unwrap();
    assert!((of_means.weights[0] / of_means.weights[1] - 2.0).abs() < 0.1);
    assert!(of_means.scores(&x, &positive).unwrap().accuracy().unwrap() < best - 0.05);
}

/// The gradient of the penalized loss is 0 at the end.
#[test]
fn the_end_is_a_minimum() {
    let (x, positive) = gaussians(700);
    for l2 in [1e-6, 0.1, 10.0] {
        let probe = Logistic::fit(&x, &positive, l2).unwrap();
        let problem = Problem::new(&x, &positive, l2);
        let mut at: Vec<f64> =
            probe.weights.iter().zip(&problem.scale).map(|(w, scale)| w / scale).collect();
        let shift: f64 = probe.weights.iter().zip(&problem.mean).map(|(w, m)| w * m).sum();
        at.push(probe.bias + shift);
        let (_, gradient, _) = problem.second_order(&at);
        assert!(gradient.iter().all(|g| g.abs() < 1e-9), "{gradient:?}");
    }
}

#[test]
fn separable_rows_are_told_apart_with_finite_weights() {
    let x = Matrix::from_rows(6, 1, vec![-3.0, -2.0, -1.0, 1.0, 2.0, 3.0]).unwrap();
    let positive = [false, false, false, true, true, true];
    let probe = Logistic::fit(&x, &positive, 1e-6).unwrap();
    let scores = probe.scores(&x, &positive).unwrap();
    assert_eq!((scores.auroc, scores.counts.f1()), (Some(1.0), Some(1.0)));
    assert!(probe.converged && probe.weights[0] > 3.0 && probe.weights[0].is_finite());
}

/// Columns in other units, and one that is constant, change nothing.
#[test]
fn units_and_constants_do_not_matter() {
    let (x, positive) = gaussians(600);
    let probe = Logistic::fit(&x, &positive, 0.01).unwrap();
    let values = x.rows().flat_map(|row| [row[0] * 1024.0, 0.3, row[1] / 64.0]);
    let other = Matrix::from_rows(600, 3, values.collect()).unwrap();
    let same = Logistic::fit(&other, &positive, 0.01).unwrap();
    assert_eq!(same.weights[1], 0.0);
    let logits = probe.logits(&x).unwrap();
    for (a, b) in logits.iter().zip(same.logits(&other).unwrap()) {
        assert!((a - b).abs() < 1e-9, "{a} and {b}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (x, positive) = gaussians(3000);
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Logistic::fit(&x, &positive, 1e-3).unwrap())
    };
    assert_eq!(of(1), of(3));
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let x = Matrix::identity(2);
    assert!(Logistic::fit(&x, &[true, true], 0.1).is_err());
    assert!(Logistic::fit(&x, &[false, false], 0.1).is_err());
    assert!(Logistic::fit(&x, &[true, false], 0.0).is_err());
    assert!(Logistic::fit(&x, &[true], 0.1).is_err());
    let nan = Matrix::from_rows(2, 1, vec![f32::NAN, 0.0]).unwrap();
    assert!(Logistic::fit(&nan, &[true, false], 0.1).is_err());
    let probe = Logistic::fit(&x, &[true, false], 0.1).unwrap();
    assert!(probe.logits(&Matrix::identity(3)).is_err());
    assert!(probe.scores(&Matrix::zeros(0, 2), &[]).is_err());
    assert_eq!(probe.scores(&x, &[true, true]).unwrap().auroc, None);
}
