//! Spherical caps: against closed forms in two and three dimensions, and by their laws.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests fail by panics and compare exact values"
)]

use core::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, TAU};
use geometry::cap::{cap_angle, ln_cap_fraction, ln_cap_intersection_fraction};
use proptest::prelude::*;

fn fraction(n: usize, t: f64, separation: f64) -> f64 {
    libm::exp(ln_cap_intersection_fraction(n, t, separation).unwrap())
}

/// The area of the lens of two caps of angle t on the sphere in three dimensions, over 4π, by
/// Gauss-Bonnet: 2π − 2·acos((cos θ − cos²t)/sin²t) − 4·cos t·acos(cos t·(1−cos θ)/(sin t·sin θ)).
fn lens(t: f64, separation: f64) -> f64 {
    let (sin, cos) = libm::sincos(t);
    let (sin_sep, cos_sep) = libm::sincos(separation);
    let corner = libm::acos((cos_sep - cos * cos) / (sin * sin));
    let half_arc = libm::acos(cos * (1.0 - cos_sep) / (sin * sin_sep));
    (TAU - 2.0 * corner - 4.0 * cos * half_arc) / (2.0 * TAU)
}

#[test]
fn arcs_of_a_circle() {
    for t in [0.1, 1.0, FRAC_PI_2] {
        for separation in [0.0, 0.05, 0.15, 0.9, 1.9] {
            let expected = ((2.0 * t - separation) / TAU).max(0.0);
            let got = fraction(2, t, separation);
            assert!((got - expected).abs() < 1e-14, "{t} {separation}: {got} {expected}");
        }
    }
}

#[test]
fn lenses_on_the_sphere_in_three_dimensions() {
    for t in [0.3, 1.0, 1.4] {
        for share in [0.01, 0.1, 0.5, 0.9, 0.99] {
            let separation = 2.0 * t * share;
            let (got, expected) = (fraction(3, t, separation), lens(t, separation));
            assert!((got - expected).abs() < 1e-13, "{t} {separation}: {got} {expected}");
        }
    }
}

#[test]
fn half_spheres_intersect_in_a_lune_in_every_dimension() {
    // The caps are half-spaces through the center: the fraction is (π − θ)/(2π).
    for n in [2, 3, 4, 10, 64, 784, 1000] {
        for separation in [0.0, 1e-6, 0.1, FRAC_PI_4, FRAC_PI_2, 3.0] {
            let expected = (PI - separation) / TAU;
            let got = fraction(n, FRAC_PI_2, separation);
            assert!((got / expected - 1.0).abs() < 1e-11, "{n} {separation}: {got} {expected}");
        }
    }
}

#[test]
fn without_separation_the_intersection_is_the_cap() {
    for n in [2, 3, 5, 64, 100, 784, 1000] {
        for t in [0.2, cap_angle(64, 5), cap_angle(64, 11), cap_angle(1000, 451), 1.5] {
            let cap = ln_cap_fraction(n, t).unwrap();
            let both = ln_cap_intersection_fraction(n, t, 0.0).unwrap();
            assert!((cap - both).abs() < 1e-11, "{n} {t}: {cap} {both}");
        }
    }
}

#[test]
fn caps_that_do_not_meet() {
    for n in [2, 3, 64, 1000] {
        for separation in [0.8, 0.80001, PI] {
            let ln_fraction = ln_cap_intersection_fraction(n, 0.4, separation).unwrap();
            assert_eq!(ln_fraction, f64::NEG_INFINITY);
        }
        // Barely touching: tiny, but neither zero nor NaN.
        let ln_fraction = ln_cap_intersection_fraction(n, 0.4, 0.8 - 1e-9).unwrap();
        assert!(ln_fraction.is_finite(), "{n}: {ln_fraction}");
    }
}

#[test]
fn arguments_out_of_range_are_refused() {
    for t in [0.0, -1.0, 1.6, f64::NAN] {
        assert!(ln_cap_intersection_fraction(64, t, 0.1).is_err());
        assert!(ln_cap_fraction(64, t).is_err());
    }
    for separation in [-0.1, 3.2, f64::NAN] {
        assert!(ln_cap_intersection_fraction(64, 1.0, separation).is_err());
    }
    assert!(ln_cap_intersection_fraction(1, 1.0, 0.1).is_err());
}

/// The fraction in n dimensions as an integral over parallels, by the midpoint rule: the second cap
/// cuts the parallel at the angle φ from the first center in a cap of the sphere in n−1 dimensions.
fn by_parallels(n: usize, t: f64, separation: f64) -> f64 {
    let integral = |end: f64, f: &dyn Fn(f64) -> f64| {
        let steps = 20_000;
        let width = end / f64::from(steps);
        (0..steps).map(|i| f(width * (f64::from(i) + 0.5)) * width).sum::<f64>()
    };
    let density = |phi: f64| libm::pow(libm::sin(phi), n as f64 - 2.0);
    let share = |phi: f64| {
        let (sin, cos) = libm::sincos(phi);
        let cos_cut = (libm::cos(t) - libm::cos(separation) * cos) / (libm::sin(separation) * sin);
        let cut = libm::acos(cos_cut.clamp(-1.0, 1.0));
        let smaller = match ln_cap_fraction(n - 1, cut.min(PI - cut)) {
            Ok(ln_fraction) => libm::exp(ln_fraction),
            Err(_) => 0.0, // no cap at all
        };
        if cut <= FRAC_PI_2 { smaller } else { 1.0 - smaller }
    };
    integral(t, &|phi| density(phi) * share(phi)) / integral(PI, &density)
}

#[test]
fn agrees_with_an_integral_over_parallels() {
    for (n, radius, separation) in [(4, 1, 0.7), (8, 2, 0.5), (64, 11, 0.4), (100, 35, 0.9)] {
        let t = cap_angle(n, radius);
        let (got, expected) = (fraction(n, t, separation), by_parallels(n, t, separation));
        assert!((got / expected - 1.0).abs() < 1e-5, "{n} {radius}: {got} {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn decreasing_in_the_separation_and_increasing_in_the_angle(
        n in 2_usize..1000, t in 0.05_f64..1.5, share in 0.0_f64..0.99
    ) {
        let separation = 2.0 * t * share;
        let here = ln_cap_intersection_fraction(n, t, separation).unwrap();
        let farther = ln_cap_intersection_fraction(n, t, separation + 0.001).unwrap();
        let wider = ln_cap_intersection_fraction(n, t + 0.001, separation).unwrap();
        prop_assert!(here.is_finite());
        prop_assert!(farther <= here + 1e-11);
        prop_assert!(wider >= here - 1e-11);
        prop_assert!(here <= ln_cap_fraction(n, t).unwrap() + 1e-11);
    }
}
