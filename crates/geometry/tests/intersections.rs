//! Hamming balls in log space: against big integers, and by their laws.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "tests fail by panics and compare exact values"
)]

use geometry::{GeometryError, HammingSpace, exact, ln_exponential_upper_bound};
use proptest::prelude::*;

/// What the log-space counts may differ from the exact ones, as a relative error of the count, for
/// n ≤ 1000: the rounding of a logarithm near 693 is 1.1e-13.
const TOLERANCE_1000: f64 = 3e-13;

fn space(n: usize) -> HammingSpace {
    HammingSpace::new(n).unwrap()
}

#[test]
fn every_distance_matches_the_oracle_for_every_published_radius() {
    let radii: [(usize, Vec<usize>); 6] = [
        (64, (0..=64).collect()),
        (100, (0..=100).collect()),
        (128, (0..=128).collect()),
        (500, (0..=500).step_by(7).collect()),
        (784, vec![0, 1, 292, 308, 314, 332, 345, 349, 374, 392, 393, 600, 784]),
        (1000, vec![0, 1, 387, 405, 411, 433, 447, 448, 450, 451, 480, 500, 501, 800, 1000]),
    ];
    for (n, radii) in radii {
        let space = space(n);
        for radius in radii {
            let error = exact::max_relative_error(
                &space.ln_intersections(radius),
                &exact::intersections(n, radius),
            );
            assert!(error < TOLERANCE_1000, "n = {n}, d = {radius}: {error:e}");
        }
    }
}

#[test]
fn ten_thousand_bits_match_the_oracle() {
    let space = space(10_000);
    for radius in [3, 1000, 4900, 5000, 7000, 10_000] {
        let error = exact::max_relative_error(
            &space.ln_intersections(radius),
            &exact::intersections(10_000, radius),
        );
        assert!(error < 3e-12, "d = {radius}: {error:e}");
    }
}

#[test]
fn one_distance_agrees_with_all_distances() {
    let space = space(65);
    for radius in [0, 5, 32, 33, 50, 65, 70] {
        for (distance, ln_count) in space.ln_intersections(radius).into_iter().enumerate() {
            let one = space.ln_intersection(radius, distance).unwrap();
            assert_eq!(one.to_bits(), ln_count.to_bits(), "{radius} {distance}");
        }
    }
    assert_eq!(
        space.ln_intersection(1, 66),
        Err(GeometryError::Distance { got: 66, dimension: 65 })
    );
    assert!(HammingSpace::new(0).is_err());
}

// Paper A, p to d: Binomial(n, ½) quantiles.
#[test]
fn published_radii() {
    let fractions = [4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1];
    for (n, radii) in [
        (64, [5, 9, 11, 15, 19, 20, 27]),
        (100, [16, 21, 23, 29, 33, 35, 44]),
        (784, [292, 308, 314, 332, 345, 349, 374]),
        (1000, [387, 405, 411, 433, 447, 451, 480]),
    ] {
        let space = space(n);
        for (fraction, radius) in fractions.into_iter().zip(radii) {
            assert_eq!(space.radius_at_fraction(fraction).unwrap(), radius, "{n} {fraction}");
        }
    }
    // The fractions of the convergence experiment, and those of the largest-term figure.
    let radii = |n: usize, fractions: &[f64]| -> Vec<usize> {
        let space = space(n);
        fractions.iter().map(|&p| space.radius_at_fraction(p).unwrap()).collect()
    };
    assert_eq!(radii(64, &[1e-13, 1e-9, 1e-8, 7e-6, 3.68e-4, 0.1]), [5, 9, 11, 15, 19, 27]);
    assert_eq!(radii(1000, &[1e-13, 1e-7, 1e-4, 1e-2]), [384, 418, 441, 463]);
    // The fraction covered is not the fraction asked for.
    let space = space(1000);
    assert!((space.fraction_at_radius(447) - 4.45e-4).abs() < 5e-7);
    assert!((space.fraction_at_radius(448) - 5.57e-4).abs() < 6e-7);
}

#[test]
fn fractions_out_of_range_are_refused() {
    for fraction in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(matches!(space(8).radius_at_fraction(fraction), Err(GeometryError::Range { .. })));
    }
    assert_eq!(space(8).radius_at_fraction(1.0).unwrap(), 8);
    assert_eq!(space(8).radius_at_fraction(1e-300).unwrap(), 0);
}

// Paper A, table of circle intersections: column "exact", n = 1000, r = 1e6, d = 451.
#[test]
fn published_table_exact_column() {
    let space = space(1000);
    let ln_counts = space.ln_intersections(451);
    for (distance, published) in [
        (0, 1071.850),
        (1, 958.437),
        (10, 795.874),
        (50, 476.874),
        (100, 285.831),
        (150, 173.627),
        (200, 103.461),
        (300, 32.324),
        (400, 7.597),
        (500, 1.101),
    ] {
        let neurons = libm::exp(ln_counts[distance] - space.ln_points()) * 1e6;
        assert!((neurons - published).abs() < 5.1e-4, "{distance}: {neurons}");
    }
}

/// A dimension n ≤ `largest`, a radius ≤ n + 2 and a distance ≤ n.
fn point(largest: usize) -> impl Strategy<Value = (usize, usize, usize)> {
    (1..=largest).prop_flat_map(|n| (Just(n), 0..=n + 2, 0..=n))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn log_space_matches_the_oracle((n, radius, _) in point(300)) {
        let error = exact::max_relative_error(
            &space(n).ln_intersections(radius),
            &exact::intersections(n, radius),
        );
        prop_assert!(error < TOLERANCE_1000, "{error:e}");
    }

    #[test]
    fn laws_of_intersections((n, radius, _) in point(400)) {
        let space = space(n);
        let ln_counts = space.ln_intersections(radius);
        // A point has all of its ball in common with itself, and the empty set is beyond 2d.
        prop_assert!((ln_counts[0] - space.ln_ball(radius)).abs() < 1e-12);
        for (distance, &ln_count) in ln_counts.iter().enumerate() {
            prop_assert!(!ln_count.is_nan());
            prop_assert_eq!(ln_count == f64::NEG_INFINITY, distance > 2 * radius);
            if distance > 0 {
                // Staircase and monotonicity: I(2k−1) = I(2k), and no step goes up.
                prop_assert!(ln_count <= ln_counts[distance - 1]);
                if distance % 2 == 0 {
                    prop_assert_eq!(ln_count, ln_counts[distance - 1]);
                }
            }
        }
        if radius >= n {
            prop_assert!(ln_counts.iter().all(|v| (v - space.ln_points()).abs() < 1e-12));
        }
    }

    #[test]
    fn larger_balls_share_more((n, radius, distance) in point(400)) {
        let space = space(n);
        let smaller = space.ln_intersection(radius, distance).unwrap();
        let larger = space.ln_intersection(radius + 1, distance).unwrap();
        prop_assert!(larger >= smaller - 1e-12);
    }

    /// |A ∩ B| = |A| + |B| − 2ⁿ + |Aᶜ ∩ Bᶜ|, and the complement of a ball is a ball of radius n−d−1
    /// around the opposite point.
    #[test]
    fn complements((n, radius, distance) in point(200)) {
        prop_assume!(radius < n);
        let inside = exact::intersections(n, radius)[distance].clone();
        let outside = exact::intersections(n, n - radius - 1)[distance].clone();
        let points = exact::ball(n, n);
        prop_assert_eq!(inside + points, exact::ball(n, radius) * 2_u32 + outside);
    }

    #[test]
    fn up_to_ten_thousand_bits_no_nan_and_no_overflow(
        (n, radius, distance) in point(10_000)
    ) {
        let space = space(n);
        for value in [
            space.ln_ball(radius),
            space.ln_intersection(radius, distance).unwrap(),
            space.ln_largest_term(radius, distance).unwrap(),
        ] {
            prop_assert!(value <= space.ln_points() * (1.0 + 1e-15), "{value}");
        }
        let fraction = space.fraction_at_radius(radius);
        prop_assert!((0.0..=1.0).contains(&fraction));
    }

    #[test]
    fn radius_is_the_smallest_that_covers((n, radius, _) in point(300)) {
        let space = space(n);
        let fraction = space.fraction_at_radius(radius);
        if fraction > 0.999_999 {
            return Ok(()); // the spheres farther out are too small to tell apart
        }
        // Just below and just above the covered fraction, rounding aside.
        prop_assert_eq!(space.radius_at_fraction(fraction * (1.0 - 1e-9)).unwrap(), radius);
        prop_assert_eq!(space.radius_at_fraction(fraction * (1.0 + 1e-9)).unwrap(), radius + 1);
    }

    #[test]
    fn bounds_hold_everywhere((n, radius, distance) in point(300)) {
        let space = space(n);
        let ln_count = space.ln_intersection(radius, distance).unwrap();
        let bounds = space.ln_intersection_bounds(radius, distance).unwrap();
        prop_assert!(bounds.ln_lower <= ln_count + 1e-12, "{bounds:?} {ln_count}");
        prop_assert!(ln_count <= bounds.ln_upper + 1e-12, "{bounds:?} {ln_count}");
        // The term of the double sum is one of its terms.
        prop_assert!(space.ln_largest_term(radius, distance).unwrap() <= ln_count + 1e-12);
        if 2 * radius <= n {
            let upper = ln_exponential_upper_bound(n, radius, distance).unwrap();
            prop_assert!(ln_count - space.ln_points() <= upper + 1e-12, "{upper} {ln_count}");
        }
    }
}

#[test]
fn bounds_hold_for_every_small_space() {
    for n in 1..=40 {
        let space = space(n);
        for radius in 0..=n {
            for (distance, ln_count) in space.ln_intersections(radius).into_iter().enumerate() {
                let bounds = space.ln_intersection_bounds(radius, distance).unwrap();
                assert!(bounds.ln_lower <= ln_count + 1e-12, "{n} {radius} {distance}");
                assert!(ln_count <= bounds.ln_upper + 1e-12, "{n} {radius} {distance}");
                if 2 * radius <= n {
                    let upper = ln_exponential_upper_bound(n, radius, distance).unwrap();
                    assert!(ln_count - space.ln_points() <= upper + 1e-12);
                }
            }
        }
    }
}

#[test]
fn bounds_refuse_what_they_do_not_cover() {
    assert!(space(8).ln_intersection_bounds(1, 9).is_err());
    assert!(ln_exponential_upper_bound(8, 5, 1).is_err());
    assert!(ln_exponential_upper_bound(8, 1, 9).is_err());
}
