//! Selection of the largest values.

/// How many values are looked at together before any is looked at alone.
const CHUNK: usize = 32;
/// Every so many values share a lane; the largest values of lanes tell how large the k-th is at least.
const LANES: usize = 64;

/// The k largest values with their places, the largest first and of equal ones the earlier first; all of them, if
/// there are fewer.
///
/// NaN counts as −∞.
///
/// # Examples
///
/// ```
/// let values = [3.0, 9.0, 4.0, 9.0];
/// assert_eq!(kernels::top_k(&values, 3), [(1, 9.0), (3, 9.0), (2, 4.0)]);
/// assert_eq!(kernels::top_k(&values[..1], 3), [(0, 3.0)]);
/// ```
pub fn top_k(values: &[f32], k: usize) -> Vec<(u32, f32)> {
    if k == 0 || k > LANES / 2 || values.len() < 2 * LANES {
        return sorted(0.., values.iter().copied(), k);
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has these features.
        return unsafe { top_k_avx2(values, k) };
    }
    top_k_of_many(values, k)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn top_k_avx2(values: &[f32], k: usize) -> Vec<(u32, f32)> {
    top_k_of_many(values, k)
}

#[expect(
    clippy::inline_always,
    reason = "a loop gets the instructions of its caller only where it is inlined there"
)]
#[inline(always)]
fn top_k_of_many(values: &[f32], k: usize) -> Vec<(u32, f32)> {
    // At least k values are as large as the k-th largest of the lanes' largest.
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for part in values.chunks(LANES) {
        for (lane, value) in lanes.iter_mut().zip(part) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let (_, bound, _) = lanes.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let bound = *bound;
    let mut places = Vec::with_capacity(2 * k);
    let mut largest = Vec::with_capacity(2 * k);
    for (chunk, part) in values.chunks(CHUNK).enumerate() {
        // Without a branch for each value, so that they are compared side by side.
        if part.iter().fold(0, |any, value| any | u8::from(*value >= bound)) > 0 {
            for (at, value) in part.iter().enumerate().filter(|(_, value)| **value >= bound) {
                places.push(place(chunk * CHUNK + at));
                largest.push(*value);
            }
        }
    }
    if places.len() < k {
        return sorted(0.., values.iter().copied(), k);
    }
    sorted(places, largest, k)
}

/// max(0, max(0, a) − g·t) where it is positive, with its place, for values a, a g for each and one t; `None` if
/// there are more than `most`.
///
/// # Panics
/// If there is not a g for each value.
///
/// # Examples
///
/// ```
/// let found = kernels::inhibited(&[2.0, 0.5, -1.0], &[1.0, 1.0, -1.0], 1.0, 2);
/// assert_eq!(found, Some(vec![(0, 1.0), (2, 1.0)]));
/// assert_eq!(kernels::inhibited(&[2.0, 2.0], &[1.0, 1.0], 1.0, 1), None);
/// ```
pub fn inhibited(values: &[f32], g: &[f32], t: f32, most: usize) -> Option<Vec<(u32, f32)>> {
    assert_eq!(values.len(), g.len(), "a g for each value");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has these features.
        return unsafe { inhibited_avx2(values, g, t, most) };
    }
    inhibited_plain(values, g, t, most)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn inhibited_avx2(values: &[f32], g: &[f32], t: f32, most: usize) -> Option<Vec<(u32, f32)>> {
    inhibited_plain(values, g, t, most)
}

#[expect(
    clippy::inline_always,
    reason = "a loop gets the instructions of its caller only where it is inlined there"
)]
#[inline(always)]
fn inhibited_plain(values: &[f32], g: &[f32], t: f32, most: usize) -> Option<Vec<(u32, f32)>> {
    let left = |value: &f32, g: &f32| (if *value > 0.0 { *value } else { 0.0 }) - g * t;
    let mut found = Vec::new();
    for (chunk, (values, g)) in values.chunks(CHUNK).zip(g.chunks(CHUNK)).enumerate() {
        let pairs = values.iter().zip(g);
        if pairs.clone().fold(0, |any, (value, g)| any | u8::from(left(value, g) > 0.0)) > 0 {
            for (at, (value, g)) in pairs.enumerate() {
                let left = left(value, g);
                if left > 0.0 {
                    found.push((place(chunk * CHUNK + at), left));
                }
            }
            if found.len() > most {
                return None;
            }
        }
    }
    Some(found)
}

/// By sorting what is left after a selection.
fn sorted(
    places: impl IntoIterator<Item = u32>,
    values: impl IntoIterator<Item = f32>,
    k: usize,
) -> Vec<(u32, f32)> {
    let number = |value: f32| if value.is_nan() { f32::NEG_INFINITY } else { value };
    let mut all: Vec<(u32, f32)> = places.into_iter().zip(values.into_iter().map(number)).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

#[expect(clippy::cast_possible_truncation, reason = "values number less than 2^32")]
fn place(at: usize) -> u32 {
    at as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn selecting_is_sorting(values in prop::collection::vec(-4_i8..100, 0..400), k in 0_usize..90) {
            let values: Vec<f32> = values.into_iter().map(f32::from).collect();
            let mut expected: Vec<(u32, f32)> = (0..).zip(values.iter().copied()).collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1));
            expected.truncate(k);
            prop_assert_eq!(&top_k(&values, k), &expected);
            if k > 0 && k <= LANES / 2 && values.len() >= 2 * LANES {
                prop_assert_eq!(&top_k_of_many(&values, k), &expected);
            }
        }

        #[test]
        fn inhibition_is_a_plain_loop(
            pairs in prop::collection::vec((-2.0_f32..3.0, -1.0_f32..1.0), 0..200), t in 0.0_f32..2.0, most in 0_usize..150,
        ) {
            let (values, g): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let each = values.iter().zip(&g).map(|(a, g)| a.max(0.0) - g * t);
            let expected: Vec<(u32, f32)> = (0..).zip(each).filter(|(_, h)| *h > 0.0).collect();
            let expected = Some(expected).filter(|found| found.len() <= most);
            prop_assert_eq!(&inhibited(&values, &g, t, most), &expected);
            prop_assert_eq!(&inhibited_plain(&values, &g, t, most), &expected);
        }
    }

    #[test]
    fn what_is_no_number_comes_last() {
        for n in [20, 300] {
            let mut values = vec![f32::NAN; n];
            values.extend([1.0, 2.0]);
            let places: Vec<u32> = top_k(&values, 3).into_iter().map(|(place, _)| place).collect();
            assert_eq!(places[..2], [place(n + 1), place(n)]);
            assert_eq!(top_k(&values, 3)[2], (0, f32::NEG_INFINITY));
        }
    }
}
