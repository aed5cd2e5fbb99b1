//! Where a measured curve crosses a level.

/// The largest x at which a curve falls from `level` or above to below it, linear between its points; the
/// first x if it begins below and never is above, the last x if it never falls. 0 for no points.
///
/// # Panics
///
/// If there are not as many x as y.
///
/// # Examples
///
/// ```
/// // From (10, 0.8) to (20, 0.3) the curve falls through one half at 16.
/// assert_eq!(stats::last_fall(&[0.0, 10.0, 20.0], &[1.0, 0.8, 0.3], 0.5), 16.0);
/// ```
pub fn last_fall(x: &[f64], y: &[f64], level: f64) -> f64 {
    assert_eq!(x.len(), y.len(), "an x for each y");
    let falls = y.windows(2).rposition(|pair| pair[0] >= level && pair[1] < level);
    match (falls, y.first()) {
        (Some(at), _) => {
            let part = (y[at] - level) / (y[at] - y[at + 1]);
            x[at] + part * (x[at + 1] - x[at])
        }
        (None, None) => 0.0,
        (None, Some(first)) if *first < level => x[0],
        (None, Some(_)) => x[x.len() - 1],
    }
}

#[cfg(test)]
mod tests {
    use super::last_fall;

    #[test]
    fn ends_and_several_falls() {
        let x = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(last_fall(&x, &[0.4, 0.3, 0.2, 0.1], 0.5), 1.0, "never above");
        assert_eq!(last_fall(&x, &[1.0, 0.9, 0.8, 0.7], 0.5), 4.0, "never below");
        assert_eq!(last_fall(&x, &[1.0, 0.0, 1.0, 0.0], 0.5), 3.5, "the last of two");
        assert_eq!(last_fall(&x, &[1.0, 0.5, 0.0, 0.0], 0.5), 2.0, "at a point");
        assert_eq!(last_fall(&[], &[], 0.5), 0.0);
    }
}
