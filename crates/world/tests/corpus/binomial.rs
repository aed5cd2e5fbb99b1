//! Exact bounds of binomial counts.

/// Whether a count of `hits` among `n` trials of probability `p` is one that fewer than `level` of all runs fall outside
/// of, on either side.
pub(super) fn plausible(hits: u64, n: u64, p: f64, level: f64) -> bool {
    let below = tail(n, p, 0, hits);
    let above = tail(n, p, hits, n);
    below > level / 2.0 && above > level / 2.0
}

/// P(from ≤ X ≤ to), X ~ Binomial(n, p), summed from ln C(n, k) p^k (1−p)^(n−k).
fn tail(n: u64, p: f64, from: u64, to: u64) -> f64 {
    let ln_factorial = |k: u64| libm::lgamma(k as f64 + 1.0);
    let term = |k: u64| {
        if p <= 0.0 || p >= 1.0 {
            return if k == if p >= 1.0 { n } else { 0 } { 1.0 } else { 0.0 };
        }
        let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
        libm::exp(ln_choose + k as f64 * libm::log(p) + (n - k) as f64 * libm::log1p(-p))
    };
    (from..=to).map(term).sum()
}

#[test]
fn bounds_are_those_of_ten_coins() {
    // P(X ≤ 1) = 11/1024, P(X ≤ 2) = 56/1024.
    assert!((tail(10, 0.5, 0, 1) - 11.0 / 1024.0).abs() < 1e-12);
    assert!(!plausible(1, 10, 0.5, 0.05));
    assert!(plausible(2, 10, 0.5, 0.05));
    assert!(plausible(0, 10, 0.0, 0.05) && !plausible(1, 10, 0.0, 0.05));
}
