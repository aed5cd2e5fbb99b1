//! Products tile by tile, as a processor's registers hold them.
//!
//! Rows of both factors are laid side by side in panels, number after number: the first of each row, the second of each, and
//! so on. A tile of sums, a row of one panel by a row of the other, then stays in registers while the numbers of both go by,
//! each read once. One source serves vectors of any width.

use pulp::Simd;

/// Numbers of a line of the cache.
const LINE: usize = 16;
/// Rows, and numbers of each, that are turned together.
const BLOCK: usize = 8;

/// Numbers that begin with a line of the cache.
pub(super) struct Aligned {
    numbers: Vec<f32>,
    begin: usize,
    n: usize,
}

impl Aligned {
    /// Zeros.
    pub(super) fn zeros(n: usize) -> Self {
        let numbers = vec![0.0_f32; n + LINE];
        // Where no place is found the numbers are right still, if slower.
        let begin = numbers.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { numbers, begin, n }
    }

    pub(super) fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.numbers[self.begin..self.begin + self.n]
    }
}

/// Lays rows of `depth` numbers side by side in a panel of `lanes` rows; those that are missing are zeros.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(super) fn lay(panel: &mut [f32], rows: &[f32], depth: usize, lanes: usize) {
    let n_rows = rows.len() / depth;
    if n_rows < lanes {
        panel.fill(0.0);
    }
    // Blocks are turned in registers.
    let whole = n_rows / BLOCK * BLOCK;
    let (blocks, rest) = panel.split_at_mut(depth / BLOCK * BLOCK * lanes);
    for (at, panel) in blocks.chunks_exact_mut(BLOCK * lanes).enumerate() {
        let from = |row: usize| &rows[row * depth + at * BLOCK..][..BLOCK];
        for first in (0..whole).step_by(BLOCK) {
            let mut block = [[0.0; BLOCK]; BLOCK];
            for (lane, block) in block.iter_mut().enumerate() {
                block.copy_from_slice(from(first + lane));
            }
            for (at, numbers) in panel.chunks_exact_mut(lanes).enumerate() {
                let turned: [f32; BLOCK] = std::array::from_fn(|lane| block[lane][at]);
                numbers[first..first + BLOCK].copy_from_slice(&turned);
            }
        }
        for row in whole..n_rows {
            for (numbers, value) in panel.chunks_exact_mut(lanes).zip(from(row)) {
                numbers[row] = *value;
            }
        }
    }
    for (at, numbers) in (depth / BLOCK * BLOCK..).zip(rest.chunks_exact_mut(lanes)) {
        for (number, row) in numbers.iter_mut().zip(rows.chunks_exact(depth)) {
            *number = row[at];
        }
    }
}

/// The products of the rows of a panel of M with those of a panel of N vectors, or these added to `sums`: N vectors for each
/// of the M.
///
/// Each is summed number after number, so that it does not depend on the tile and on the width of vectors.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
pub(super) fn tile<S: Simd, const M: usize, const N: usize>(
    simd: S,
    sums: &mut [f32],
    add: bool,
    rows: &[f32],
    others: &[f32],
) {
    let sums = S::as_mut_simd_f32s(sums).0.as_chunks_mut::<N>().0;
    let others = S::as_simd_f32s(others).0.as_chunks::<N>().0;
    let mut tile = [[simd.splat_f32s(0.0); N]; M];
    if add {
        tile.iter_mut().zip(&*sums).for_each(|(tile, sums)| *tile = *sums);
    }
    for (row, other) in rows.as_chunks::<M>().0.iter().zip(others) {
        for (tile, value) in tile.iter_mut().zip(row) {
            let value = simd.splat_f32s(*value);
            for (sum, other) in tile.iter_mut().zip(other) {
                *sum = simd.mul_add_e_f32s(value, *other, *sum);
            }
        }
    }
    sums.iter_mut().zip(&tile).for_each(|(sums, tile)| *sums = *tile);
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::matrix;
    use super::*;

    #[test]
    fn panels_are_rows_side_by_side() {
        for (n_rows, depth, lanes) in
            [(48, 40, 48), (5, 9, 8), (8, 8, 8), (6, 21, 6), (1, 1, 16), (13, 30, 48)]
        {
            let rows = matrix(n_rows, depth, "rows");
            let mut panel = vec![7.0; lanes * depth];
            lay(&mut panel, rows.values(), depth, lanes);
            for (at, numbers) in panel.chunks(lanes).enumerate() {
                for (row, number) in numbers.iter().enumerate() {
                    let expected = if row < n_rows { rows.row(row)[at] } else { 0.0 };
                    assert_eq!(*number, expected, "number {at} of row {row} of {n_rows}");
                }
            }
        }
    }

    #[test]
    fn numbers_begin_with_a_line_and_are_zeros() {
        for n in [0, 1, 16, 100_000] {
            let mut numbers = Aligned::zeros(n);
            assert_eq!(numbers.numbers_mut(), vec![0.0; n]);
            assert!(numbers.numbers_mut().as_ptr().addr().is_multiple_of(64));
        }
    }

    /// A tile to which products are added is that of the whole depth.
    #[test]
    fn sums_go_on_where_they_stopped() {
        let (rows, others) = (matrix(10, 4, "rows"), matrix(10, 3, "others"));
        let (rows, others) = (rows.values(), others.values());
        let simd = pulp::Scalar;
        let (mut whole, mut parts) = ([5.0; 12], [5.0; 12]);
        tile::<_, 4, 3>(simd, &mut whole, false, rows, others);
        tile::<_, 4, 3>(simd, &mut parts, false, &rows[..16], &others[..12]);
        tile::<_, 4, 3>(simd, &mut parts, true, &rows[16..], &others[12..]);
        assert_eq!(whole, parts);
        for (at, sum) in whole.iter().enumerate() {
            let pairs = rows.chunks(4).zip(others.chunks(3));
            let expected = pairs.fold(0.0, |sum, (a, b)| a[at / 3] * b[at % 3] + sum);
            assert_eq!(*sum, expected);
        }
    }
}
