//! Paper A's normalized weights and fitted β, to the digits printed.
#![allow(clippy::unwrap_used, reason = "tests fail by panics and compare exact values")]

use SlopeEstimator::{LeastSquares, Published};
use geometry::cap::{cap_angle, ln_cap_intersection_fraction};
use geometry::{HammingSpace, cosine_from_hamming};
use sdm::{SlopeEstimator, fit_beta, softmax_weights, weights_from_ln_counts};

fn binary(n: usize, radius: usize) -> Vec<f64> {
    HammingSpace::new(n).unwrap().ln_intersections(radius)
}

fn continuous(n: usize, radius: usize) -> Vec<f64> {
    let angle = cap_angle(n, radius);
    cosines(n)
        .into_iter()
        .map(|cosine| ln_cap_intersection_fraction(n, angle, libm::acos(cosine)).unwrap())
        .collect()
}

fn cosines(n: usize) -> Vec<f64> {
    (0..=n).map(|d_v| cosine_from_hamming(n, d_v as f64)).collect()
}

fn assert_close(values: &[f64], published: &[f64], half_digit: f64) {
    assert!(values.len() >= published.len());
    for (i, (value, published)) in values.iter().zip(published).enumerate() {
        assert!((value - published).abs() <= half_digit, "{i}: {value} is not {published}");
    }
}

#[test]
fn weights_at_64_with_radius_11() {
    let weights = weights_from_ln_counts(&binary(64, 11)).unwrap();
    assert_close(&weights, &[0.46377, 0.15594, 0.15594], 5e-6);
    assert_close(&weights[3..], &[0.065_784, 0.065_784, 0.028_095, 0.028_095, 0.011_574], 5.1e-7);
    let softmax = softmax_weights(15.8528, &cosines(64)).unwrap();
    assert_close(&softmax, &[0.39067, 0.23805, 0.14505], 5e-6);
    assert_close(&softmax[3..], &[0.088_382, 0.053_854, 0.032_815], 5.1e-7);
    let gap: f64 = weights.iter().zip(&softmax).map(|(a, b)| (a - b).abs()).sum();
    assert!((gap - 0.2211).abs() < 5e-5, "{gap}");
}

#[test]
fn continuous_weights_at_64() {
    let at_11 = weights_from_ln_counts(&continuous(64, 11)).unwrap();
    assert_close(&at_11, &[0.5454, 0.2029, 0.1101, 0.0621, 0.0354, 0.0200], 5e-5);
    let at_5 = weights_from_ln_counts(&continuous(64, 5)).unwrap();
    assert_close(&at_5, &[0.88154, 0.09591, 0.01840, 0.00345], 5e-6);
}

#[test]
fn beta_table_at_64() {
    for (radius, published, published_from_1, least_squares, r2) in [
        (5, 35.4848, 29.1462, 28.3878, 0.887),
        (9, 20.0410, 18.9639, 17.8142, 0.960),
        (11, 15.8528, 15.2399, 14.4116, 0.972),
        (15, 10.1104, 9.8548, 9.4364, 0.984),
        (19, 6.3033, 6.1743, 5.9716, 0.988),
        (27, 1.8487, 1.8074, 1.7802, 0.991),
    ] {
        let ln_counts = binary(64, radius);
        let fit = |first, estimator| fit_beta(64, &ln_counts, first..radius, estimator).unwrap();
        let betas = [fit(0, Published).beta, fit(1, Published).beta, fit(0, LeastSquares).beta];
        assert_close(&betas, &[published, published_from_1, least_squares], 5.1e-5);
        assert!((fit(0, LeastSquares).r2 - r2).abs() < 5.1e-4, "d = {radius}");
        assert_eq!(fit(0, Published).n_points, radius);
    }
}

#[test]
fn beta_at_other_dimensions() {
    for (n, radius, published, least_squares) in [
        (100, 16, 25.0066, 23.4437),
        (100, 35, 5.4563, 5.3004),
        (1000, 411, 15.5285, 15.4907),
        (1000, 451, 5.9664, 5.9532),
    ] {
        let ln_counts = binary(n, radius);
        let beta = |estimator| fit_beta(n, &ln_counts, 0..radius, estimator).unwrap().beta;
        assert_close(&[beta(Published), beta(LeastSquares)], &[published, least_squares], 5.1e-5);
    }
}

#[test]
fn continuous_beta_at_64() {
    for (radius, published, least_squares) in
        [(5, 71.7092, 57.3674), (11, 21.5397, 19.5816), (15, 12.2298, 11.4145)]
    {
        let ln_counts = continuous(64, radius);
        let beta = |estimator| fit_beta(64, &ln_counts, 0..radius, estimator).unwrap().beta;
        assert_close(&[beta(Published), beta(LeastSquares)], &[published, least_squares], 5.1e-5);
    }
}

// Printed by the authors' code beside the largest-term figure. That code subtracts lunes from the ball
// in floating point; its β differs from that of the exact integers by up to 2e-8 of its value.
#[test]
fn beta_of_the_largest_term_figure_at_1000() {
    for (radius, published) in [
        (384, 24.619_424_184_698),
        (418, 13.518_642_022_068),
        (441, 7.918_296_950_716),
        (463, 4.012_134_668_720),
    ] {
        let fit = fit_beta(1000, &binary(1000, radius), 0..radius, Published).unwrap();
        assert!((fit.beta / published - 1.0).abs() < 2e-8, "{radius}: {}", fit.beta);
    }
}
