//! The Hamming radii that Paper A draws.

/// Dimensions n, each with the seven Hamming radii for which Paper A compares memory and attention.
///
/// The radii are those of balls that hold about p = 4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3 and 0.1 of the
/// space: [`geometry::HammingSpace::radius_at_fraction`], which a test confirms.
///
/// # Source
///
/// Paper A, the authors' figures `SoftmaxComparison/*combo*`.
pub const PAPER_RADII: [(usize, [usize; 7]); 4] = [
    (64, [5, 9, 11, 15, 19, 20, 27]),
    (100, [16, 21, 23, 29, 33, 35, 44]),
    (784, [292, 308, 314, 332, 345, 349, 374]),
    (1000, [387, 405, 411, 433, 447, 451, 480]),
];

#[cfg(test)]
mod tests {
    use super::PAPER_RADII;
    use geometry::HammingSpace;

    #[test]
    fn radii_are_the_quantiles_of_the_fractions() {
        for (n, radii) in PAPER_RADII {
            let space = HammingSpace::new(n).unwrap();
            let fractions = [4e-13, 1e-9, 1e-8, 1e-5, 3.7e-4, 1e-3, 0.1];
            let quantiles = fractions.map(|fraction| space.radius_at_fraction(fraction).unwrap());
            assert_eq!(quantiles, radii, "n = {n}");
        }
    }
}
