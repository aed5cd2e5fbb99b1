//! Rows of bits, packed in words.

use seed::Rng;

use crate::KernelError;

/// Rows of bits in 64-bit words: bit j of a row is bit j mod 64 of word ⌊j/64⌋. The bits of the last word
/// beyond the row's length are always zero.
///
/// # Examples
///
/// ```
/// use kernels::BitMatrix;
///
/// let rows = BitMatrix::from_fn(2, 3, |row, bit| row == 0 || bit == 2);
/// assert_eq!(rows.row(0), [0b111]);
/// assert_eq!(rows.row(1), [0b100]);
/// assert_eq!(rows.distance(0, &rows, 1), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BitMatrix {
    n_rows: usize,
    n_bits: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    /// Rows of zeros.
    pub fn zeros(n_rows: usize, n_bits: usize) -> Self {
        Self { n_rows, n_bits, words: vec![0; n_rows * n_bits.div_ceil(64)] }
    }

    /// Rows whose bits a function of row and bit tells.
    pub fn from_fn(n_rows: usize, n_bits: usize, bit: impl Fn(usize, usize) -> bool) -> Self {
        let mut rows = Self::zeros(n_rows, n_bits);
        for row in 0..n_rows {
            for (place, word) in rows.row_mut(row).iter_mut().enumerate() {
                let first = 64 * place;
                for shift in 0..64.min(n_bits - first) {
                    *word |= u64::from(bit(row, first + shift)) << shift;
                }
            }
        }
        rows
    }

    /// Uniformly random rows: one draw for each word, row by row.
    pub fn random(n_rows: usize, n_bits: usize, rng: &mut Rng) -> Self {
        let mut rows = Self::zeros(n_rows, n_bits);
        rows.words.fill_with(|| rng.next_u64());
        let used = n_bits % 64;
        if used > 0 {
            let words_per_row = rows.words_per_row();
            for last in rows.words.iter_mut().skip(words_per_row - 1).step_by(words_per_row) {
                *last &= (1 << used) - 1;
            }
        }
        rows
    }

    /// The number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The number of bits in a row.
    pub fn n_bits(&self) -> usize {
        self.n_bits
    }

    /// The number of words in a row, ⌈bits/64⌉.
    pub fn words_per_row(&self) -> usize {
        self.n_bits.div_ceil(64)
    }

    /// All words, row after row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words of a row.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn row(&self, row: usize) -> &[u64] {
        let words = self.words_per_row();
        &self.words[row * words..(row + 1) * words]
    }

    fn row_mut(&mut self, row: usize) -> &mut [u64] {
        let words = self.words_per_row();
        &mut self.words[row * words..(row + 1) * words]
    }

    /// One bit.
    ///
    /// # Panics
    /// Beyond the last row or bit.
    pub fn bit(&self, row: usize, bit: usize) -> bool {
        assert!(bit < self.n_bits, "bit {bit} of a row of {}", self.n_bits);
        self.row(row)[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// Turns one bit over.
    ///
    /// # Panics
    /// Beyond the last row or bit.
    pub fn flip(&mut self, row: usize, bit: usize) {
        assert!(bit < self.n_bits, "bit {bit} of a row of {}", self.n_bits);
        self.row_mut(row)[bit / 64] ^= 1 << (bit % 64);
    }

    /// The Hamming distance between a row and a row of another matrix of the same width.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn distance(&self, row: usize, other: &Self, other_row: usize) -> u32 {
        let pairs = self.row(row).iter().zip(other.row(other_row));
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    /// The rows at these places, in this order; a row may come more than once.
    ///
    /// # Panics
    /// Beyond the last row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let words = rows.iter().flat_map(|row| self.row(*row)).copied().collect();
        Self { n_rows: rows.len(), n_bits: self.n_bits, words }
    }

    /// Replaces the rows at these places by those of another matrix.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the other matrix has another width or another number of rows.
    ///
    /// # Panics
    /// Beyond the last row.
    pub fn put(&mut self, rows: &[usize], from: &Self) -> Result<(), KernelError> {
        KernelError::check("bits of a row", self.n_bits, from.n_bits)?;
        KernelError::check("rows", rows.len(), from.n_rows)?;
        for (at, row) in rows.iter().enumerate() {
            self.row_mut(*row).copy_from_slice(from.row(at));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use seed::Seed;

    #[test]
    fn bits_beyond_the_width_stay_zero() {
        for n_bits in [1, 63, 64, 65, 127, 1000] {
            let rows = BitMatrix::random(50, n_bits, &mut Seed::new(1).stream("bits", "width"));
            let ones: u32 = rows.words().iter().map(|word| word.count_ones()).sum();
            let bits = (0..50).flat_map(|row| (0..n_bits).map(move |bit| (row, bit)));
            let counted = bits.filter(|(row, bit)| rows.bit(*row, *bit)).count();
            assert_eq!(ones as usize, counted, "{n_bits}");
        }
    }

    #[test]
    fn flipping_k_bits_moves_a_row_by_k() {
        let mut rows = BitMatrix::zeros(3, 100);
        let origin = rows.clone();
        for bit in [0, 63, 64, 99] {
            rows.flip(1, bit);
        }
        assert_eq!(rows.distance(1, &origin, 1), 4);
        assert_eq!(rows.distance(0, &origin, 0), 0);
        rows.flip(1, 64);
        assert_eq!(rows.distance(1, &origin, 2), 3);
    }

    #[test]
    fn rows_are_selected_and_put_back() {
        let rows = BitMatrix::random(5, 70, &mut Seed::new(1).stream("bits", "select"));
        let some = rows.select(&[4, 0, 4]);
        assert_eq!(
            (some.row(0), some.row(1), some.row(2)),
            (rows.row(4), rows.row(0), rows.row(4))
        );
        let mut other = BitMatrix::zeros(5, 70);
        other.put(&[1, 2, 3], &some).unwrap();
        assert_eq!((other.row(1), other.row(2)), (rows.row(4), rows.row(0)));
        assert_eq!(other.row(0), [0, 0]);
        assert!(other.put(&[1], &some).is_err());
        assert!(other.put(&[1, 2, 3], &BitMatrix::zeros(3, 71)).is_err());
    }
}
