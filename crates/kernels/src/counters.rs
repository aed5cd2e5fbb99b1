//! Sums of few rows of 16-bit counters, and additions to them: the reads and writes of a memory of neurons.
//!
//! The rows lie far apart in memory; each is asked for a few rows before it is needed.

#![expect(
    clippy::inline_always,
    reason = "a loop gets the instructions of its caller only where it is inlined there"
)]

/// Rows that are fetched ahead.
const AHEAD: usize = 4;

/// Asks for the lines of a row that is needed soon.
#[inline(always)]
fn fetch(row: Option<&[i16]>) {
    #[cfg(target_arch = "x86_64")]
    for line in row.into_iter().flat_map(|row| row.chunks(32)) {
        // SAFETY: a hint, whatever the address; it reads nothing.
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                line.as_ptr().cast(),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

/// Adds the picked rows of `counters` to `sums`, whose length is that of a row.
///
/// # Determinism
/// Integer arithmetic: the same on every machine.
///
/// # Panics
/// If a row does not exist, or a sum leaves 32 bits where overflow is checked.
///
/// # Examples
///
/// ```
/// let mut sums = [0, 10];
/// kernels::add_rows(&[1, 2, 3, 4, 5, 6], &[0, 2, 2], &mut sums);
/// assert_eq!(sums, [11, 24]);
/// ```
pub fn add_rows(counters: &[i16], picks: &[u32], sums: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has these features.
        return unsafe { add_rows_avx2(counters, picks, sums) };
    }
    add_rows_plain(counters, picks, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_rows_avx2(counters: &[i16], picks: &[u32], sums: &mut [i32]) {
    add_rows_plain(counters, picks, sums);
}

#[inline(always)]
fn add_rows_plain(counters: &[i16], picks: &[u32], sums: &mut [i32]) {
    let width = sums.len();
    for (at, pick) in picks.iter().enumerate() {
        if let Some(next) = picks.get(at + AHEAD) {
            fetch(counters.get(*next as usize * width..(*next as usize + 1) * width));
        }
        let row = &counters[*pick as usize * width..(*pick as usize + 1) * width];
        for (sum, counter) in sums.iter_mut().zip(row) {
            *sum += i32::from(*counter);
        }
    }
}

/// Adds rows of `values` to rows of `counters`, both `width` wide: `(a, b)` adds the values of row b to the counters
/// of row a. Additions wrap.
///
/// # Determinism
/// Integer arithmetic: the same on every machine.
///
/// # Panics
/// If a row does not exist.
///
/// # Examples
///
/// ```
/// let mut counters = [0; 4];
/// kernels::add_to_rows(&mut counters, &[(1, 0), (1, 1)], &[1, -1, 1, 1], 2);
/// assert_eq!(counters, [0, 0, 2, 0]);
/// ```
pub fn add_to_rows(counters: &mut [i16], pairs: &[(u32, u32)], values: &[i16], width: usize) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has these features.
        return unsafe { add_to_rows_avx2(counters, pairs, values, width) };
    }
    add_to_rows_plain(counters, pairs, values, width);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_to_rows_avx2(counters: &mut [i16], pairs: &[(u32, u32)], values: &[i16], width: usize) {
    add_to_rows_plain(counters, pairs, values, width);
}

#[inline(always)]
fn add_to_rows_plain(counters: &mut [i16], pairs: &[(u32, u32)], values: &[i16], width: usize) {
    for (at, (row, value)) in pairs.iter().enumerate() {
        if let Some((next, _)) = pairs.get(at + AHEAD) {
            fetch(counters.get(*next as usize * width..(*next as usize + 1) * width));
        }
        let row = &mut counters[*row as usize * width..(*row as usize + 1) * width];
        let values = &values[*value as usize * width..(*value as usize + 1) * width];
        for (counter, value) in row.iter_mut().zip(values) {
            *counter = counter.wrapping_add(*value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_adds_what_a_plain_loop_adds(
            width in 0_usize..90, n_rows in 1_usize..30, n_picks in 0_usize..40, seed in 0_u64..1000,
        ) {
            let mut rng = seed::Seed::new(seed).stream("counters", "rows");
            let mut draw = |n: usize| -> Vec<i16> {
                (0..n).map(|_| i16::try_from(rng.below(2001)).unwrap() - 1000).collect()
            };
            let (counters, values) = (draw(n_rows * width), draw(3 * width));
            let mut pick = |n: usize| u32::try_from(rng.below(n)).unwrap();
            let pairs: Vec<(u32, u32)> = (0..n_picks).map(|_| (pick(n_rows), pick(3))).collect();
            let picks: Vec<u32> = pairs.iter().map(|(row, _)| *row).collect();

            let mut expected = vec![5; width];
            let mut written = counters.clone();
            for (row, value) in &pairs {
                for column in 0..width {
                    let at = *row as usize * width + column;
                    expected[column] += i32::from(counters[at]);
                    written[at] = written[at].wrapping_add(values[*value as usize * width + column]);
                }
            }
            for add in [add_rows, add_rows_plain] {
                let mut sums = vec![5; width];
                add(&counters, &picks, &mut sums);
                prop_assert_eq!(&sums, &expected);
            }
            for add in [add_to_rows, add_to_rows_plain] {
                let mut counters = counters.clone();
                add(&mut counters, &pairs, &values, width);
                prop_assert_eq!(&counters, &written);
            }
        }
    }
}
