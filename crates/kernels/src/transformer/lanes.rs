//! Sums of rows in sixteen lanes, added up in one order: the same bits for every width of vectors.

const LANES: usize = 16;

#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn total(lanes: [f32; LANES], rest: f32) -> f32 {
    let mut lanes = lanes;
    let mut half = LANES / 2;
    while half > 0 {
        for at in 0..half {
            lanes[at] += lanes[at + half];
        }
        half /= 2;
    }
    lanes[0] + rest
}

/// Σ f(x).
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(crate) fn sum(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += f(*x);
        }
    }
    total(lanes, rest.iter().map(|x| f(*x)).sum())
}

/// Σ f(x, y).
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(crate) fn sum2(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let (others, others_rest) = y.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (block, other) in blocks.iter().zip(others) {
        for (lane, (x, y)) in lanes.iter_mut().zip(block.iter().zip(other)) {
            *lane += f(*x, *y);
        }
    }
    total(lanes, rest.iter().zip(others_rest).map(|(x, y)| f(*x, *y)).sum())
}

/// Σ f(x, y, z).
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(super) fn sum3(x: &[f32], y: &[f32], z: &[f32], f: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let (others, others_rest) = y.as_chunks::<LANES>();
    let (thirds, thirds_rest) = z.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (block, (other, third)) in blocks.iter().zip(others.iter().zip(thirds)) {
        for (lane, (x, (y, z))) in lanes.iter_mut().zip(block.iter().zip(other.iter().zip(third))) {
            *lane += f(*x, *y, *z);
        }
    }
    let rest = rest.iter().zip(others_rest.iter().zip(thirds_rest));
    total(lanes, rest.map(|(x, (y, z))| f(*x, *y, *z)).sum())
}

/// The largest number; −∞ of none.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let (blocks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_the_largest_of_any_length() {
        for n in 0..70_u16 {
            let x: Vec<f32> = (0..n).map(|at| f32::from((at * 37) % 101)).collect();
            let plain: f32 = x.iter().sum();
            assert_eq!(sum(&x, |x| x), plain);
            assert_eq!(sum2(&x, &x, |x, y| x + y), 2.0 * plain);
            assert_eq!(sum3(&x, &x, &x, |x, y, z| x + y + z), 3.0 * plain);
            assert_eq!(largest(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
