//! Sparse codes by row.

use std::ops::Range;

use rayon::prelude::*;

use super::dense::{self, has_dense_products, has_dense_sums};
use crate::transformer::lanes::sum2;
use crate::{KernelError, Matrix, sum_of_rows};

/// Rows of a batch that one task takes.
const TASK_ROWS: usize = 64;

/// What is active in each row of a batch: latents in ascending order, with their values.
///
/// # Examples
///
/// Two rows over three latents, and the batch as the decoder has it:
///
/// ```
/// use kernels::Matrix;
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(3, &[vec![(0, 2.0), (2, 1.0)], vec![]])?;
/// let decoder = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, 5.0, 5.0])?;
/// let decoded = codes.decode(&decoder, &[0.5, 0.0])?;
/// assert_eq!(decoded.values(), [7.5, 5.0, 0.5, 0.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    n_latents: usize,
    /// Where each row begins among latents and values; at last their number.
    starts: Vec<usize>,
    latents: Vec<u32>,
    values: Vec<f32>,
}

impl Codes {
    /// Of pairs of latent and value for each row.
    ///
    /// # Errors
    /// [`KernelError::Size`] for a latent that does not exist, or does not come after the one before it.
    pub fn from_rows(n_latents: usize, rows: &[Vec<(u32, f32)>]) -> Result<Self, KernelError> {
        for row in rows {
            ascending(row.iter().map(|(latent, _)| *latent), n_latents)?;
        }
        Ok(Self::collect(n_latents, rows))
    }

    /// Of rows that are known to be right.
    pub(super) fn collect(n_latents: usize, rows: &[Vec<(u32, f32)>]) -> Self {
        let mut starts = Vec::with_capacity(rows.len() + 1);
        let n = rows.iter().map(Vec::len).sum();
        let (mut latents, mut values) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for row in rows {
            starts.push(latents.len());
            latents.extend(row.iter().map(|(latent, _)| *latent));
            values.extend(row.iter().map(|(_, value)| *value));
        }
        starts.push(latents.len());
        Self { n_latents, starts, latents, values }
    }

    /// Rows of the batch.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Latents of the dictionary.
    pub fn n_latents(&self) -> usize {
        self.n_latents
    }

    /// Active latents of a row, and their values.
    ///
    /// # Panics
    /// If the row does not exist.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let place = self.place(row);
        (&self.latents[place.clone()], &self.values[place])
    }

    /// Active latents of all rows, row after row.
    pub fn latents(&self) -> &[u32] {
        &self.latents
    }

    /// Their values.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The same of a larger dictionary, in which latent i is `names[i]`.
    ///
    /// # Errors
    /// [`KernelError::Size`] if there is not a name for each latent, or names do not ascend within `n_latents`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernels::dictionary::Codes;
    ///
    /// let codes = Codes::from_rows(2, &[vec![(0, 0.5), (1, 1.0)]])?;
    /// assert_eq!(codes.renamed(&[3, 7], 9)?, Codes::from_rows(9, &[vec![(3, 0.5), (7, 1.0)]])?);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn renamed(mut self, names: &[u32], n_latents: usize) -> Result<Self, KernelError> {
        KernelError::check("names of latents", self.n_latents, names.len())?;
        ascending(names.iter().copied(), n_latents)?;
        for latent in &mut self.latents {
            *latent = names[*latent as usize];
        }
        self.n_latents = n_latents;
        Ok(self)
    }

    /// These rows, and below them others.
    ///
    /// # Errors
    /// [`KernelError::Size`] for codes of a dictionary of another size.
    pub fn below(mut self, other: &Self) -> Result<Self, KernelError> {
        KernelError::check("latents of the codes below", self.n_latents, other.n_latents)?;
        let n = self.latents.len();
        self.starts.pop();
        self.starts.extend(other.starts.iter().map(|start| n + start));
        self.latents.extend_from_slice(&other.latents);
        self.values.extend_from_slice(&other.values);
        Ok(self)
    }

    /// Leaves the n largest values of the batch active; of equal ones the earlier row, and in a row the earlier latent.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernels::dictionary::Codes;
    ///
    /// let mut codes = Codes::from_rows(9, &[vec![(1, 2.0), (8, 3.0)], vec![(0, 2.0)]])?;
    /// codes.keep_largest(2);
    /// assert_eq!(codes, Codes::from_rows(9, &[vec![(1, 2.0), (8, 3.0)], vec![]])?);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn keep_largest(&mut self, n: usize) {
        if n >= self.values.len() {
            return;
        }
        let mut values = self.values.clone();
        let bound = match n.checked_sub(1) {
            None => f32::INFINITY,
            Some(last) => *values.select_nth_unstable_by(last, |a, b| b.total_cmp(a)).1,
        };
        let is_above = |value: f32| value.total_cmp(&bound).is_gt();
        let mut n_equal = n - self.values.iter().filter(|value| is_above(**value)).count().min(n);
        self.retain(|_, value| {
            let is_equal = n_equal > 0 && value.total_cmp(&bound).is_eq();
            n_equal -= usize::from(is_equal);
            (is_equal || is_above(value)).then_some(value)
        });
    }

    /// Codes with what becomes of each latent and value; latents of which nothing becomes are not active.
    ///
    /// # Examples
    ///
    /// ```
    /// use kernels::dictionary::Codes;
    ///
    /// let codes = Codes::from_rows(9, &[vec![(1, 2.0), (8, 3.0)], vec![(0, 2.0)]])?;
    /// let less = codes.map(|latent, value| (latent > 0).then_some(value - 1.0));
    /// assert_eq!(less, Codes::from_rows(9, &[vec![(1, 1.0), (8, 2.0)], vec![]])?);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    #[must_use]
    pub fn map(mut self, value: impl Fn(usize, f32) -> Option<f32>) -> Self {
        self.retain(value);
        self
    }

    /// As [`Self::map`], in order.
    fn retain(&mut self, mut value: impl FnMut(usize, f32) -> Option<f32>) {
        let (mut kept, mut start) = (0, 0);
        for row in 0..self.n_rows() {
            let end = self.starts[row + 1];
            self.starts[row] = kept;
            for at in start..end {
                if let Some(value) = value(self.latents[at] as usize, self.values[at]) {
                    self.latents[kept] = self.latents[at];
                    self.values[kept] = value;
                    kept += 1;
                }
            }
            start = end;
        }
        if let Some(end) = self.starts.last_mut() {
            *end = kept;
        }
        self.latents.truncate(kept);
        self.values.truncate(kept);
    }

    /// Reconstructions: bias + Σ value · row of the decoder, over what is active, by ascending latent.
    ///
    /// # Shapes
    /// `decoder` `[n_latents, d]`, `bias` `[d]`; the result is `[n_rows, d]`.
    ///
    /// # Complexity and memory
    /// d for each active latent, but no more than a product with dense codes; with many active latents 512 KiB for each
    /// thread.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the sizes do not fit.
    pub fn decode(&self, decoder: &Matrix, bias: &[f32]) -> Result<Matrix, KernelError> {
        self.fits(decoder)?;
        let width = decoder.n_columns();
        KernelError::check("numbers of the bias", width, bias.len())?;
        let mut decoded = Matrix::zeros(self.n_rows(), width);
        if has_dense_sums(self.latents.len(), self.n_rows(), self.n_latents) {
            dense::decode(self, decoder, bias, &mut decoded);
            return Ok(decoded);
        }
        let rows = decoded.values_mut().par_chunks_mut(TASK_ROWS * width.max(1)).enumerate();
        rows.for_each(|(task, rows)| {
            let mut picks = Vec::new();
            for (at, sum) in rows.chunks_exact_mut(width.max(1)).enumerate() {
                let (latents, values) = self.row(task * TASK_ROWS + at);
                picks.clear();
                picks.extend(latents.iter().copied().zip(values.iter().copied()));
                sum_of_rows(decoder, &picks, sum);
                sum.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
            }
        });
        Ok(decoded)
    }

    /// For each active latent, in the order of [`Self::values`], the product of its row of the decoder with the row of
    /// `gradient`: what a loss changes by with its value, if `gradient` is what it changes by with reconstructions.
    ///
    /// # Shapes
    /// `gradient` `[n_rows, d]`, `decoder` `[n_latents, d]`.
    ///
    /// # Complexity and memory
    /// As [`Self::decode`].
    ///
    /// # Errors
    /// [`KernelError::Size`] if the sizes do not fit.
    pub fn products(&self, gradient: &Matrix, decoder: &Matrix) -> Result<Vec<f32>, KernelError> {
        self.fits(decoder)?;
        KernelError::check("rows of the gradient", self.n_rows(), gradient.n_rows())?;
        KernelError::check("columns of the gradient", decoder.n_columns(), gradient.n_columns())?;
        let mut products = vec![0.0; self.values.len()];
        if has_dense_products(self.latents.len(), self.n_rows(), self.n_latents) {
            dense::products(self, gradient, decoder, &mut products);
            return Ok(products);
        }
        let tasks = self.tasks(TASK_ROWS, &mut products);
        tasks.into_par_iter().for_each(|(rows, products)| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let mut products = products.iter_mut();
                    for row in rows {
                        let gradient = gradient.row(row);
                        for (latent, product) in self.row(row).0.iter().zip(&mut products) {
                            *product = sum2(gradient, decoder.row(*latent as usize), |a, b| a * b);
                        }
                    }
                },
            );
        });
        Ok(products)
    }

    /// Where what is active in a row stands among latents and values.
    pub(super) fn place(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// Rows that a task takes, each with its part of what there is for each active latent.
    pub(super) fn tasks<'a>(
        &self,
        n_rows: usize,
        of_active: &'a mut [f32],
    ) -> Vec<(Range<usize>, &'a mut [f32])> {
        let mut left = of_active;
        let task = |first: usize| {
            let last = self.n_rows().min(first + n_rows);
            let n = self.starts[last] - self.starts[first];
            (first..last, left.split_off_mut(..n).unwrap_or_default())
        };
        (0..self.n_rows()).step_by(n_rows).map(task).collect()
    }

    fn fits(&self, decoder: &Matrix) -> Result<(), KernelError> {
        KernelError::check("rows of the decoder", self.n_latents, decoder.n_rows())
    }
}

/// Refuses latents that do not ascend, and one that does not exist.
fn ascending(latents: impl Iterator<Item = u32>, n_latents: usize) -> Result<(), KernelError> {
    let mut next = 0;
    for latent in latents {
        let latent = latent as usize;
        KernelError::check("ascending latents", next.max(latent), latent)?;
        KernelError::check("latents of the dictionary", n_latents.max(latent + 1), n_latents)?;
        next = latent + 1;
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use seed::Seed;

    /// Codes with none to six active latents in each row.
    pub(in super::super) fn random(n_rows: usize, n_latents: usize, seed: u64) -> Codes {
        with_share(n_rows, n_latents, 3.0 / n_latents as f64, seed)
    }

    /// Codes with a share of all latents active.
    pub(in super::super) fn with_share(
        n_rows: usize,
        n_latents: usize,
        share: f64,
        seed: u64,
    ) -> Codes {
        let mut rng = Seed::new(seed).stream("dictionary", "codes");
        let mut row = || {
            let mut row: Vec<(u32, f32)> = Vec::new();
            for latent in 0..n_latents {
                if rng.uniform() < share {
                    row.push((u32::try_from(latent).unwrap(), rng.below(4) as f32 + 0.5));
                }
            }
            row
        };
        Codes::from_rows(n_latents, &(0..n_rows).map(|_| row()).collect::<Vec<_>>()).unwrap()
    }

    pub(in super::super) fn dense(codes: &Codes) -> Matrix {
        let mut dense = Matrix::zeros(codes.n_rows(), codes.n_latents());
        for row in 0..codes.n_rows() {
            let (latents, values) = codes.row(row);
            for (latent, value) in latents.iter().zip(values) {
                dense.row_mut(row)[*latent as usize] = *value;
            }
        }
        dense
    }

    pub(in super::super) fn matrix(n_rows: usize, n_columns: usize, purpose: &str) -> Matrix {
        let mut rng = Seed::new(2).stream("dictionary", purpose);
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let values = (0..n_rows * n_columns).map(|_| rng.normal() as f32).collect();
        Matrix::from_rows(n_rows, n_columns, values).unwrap()
    }

    pub(in super::super) fn near(a: &[f32], b: &[f32]) {
        near_at(a, b, 1.0);
    }

    /// Near for sums of this length.
    pub(in super::super) fn near_at(a: &[f32], b: &[f32], length: f64) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b))) {
            assert!((a - b).abs() <= 1e-5 * (length + b.abs()), "{a} and {b}");
        }
    }

    proptest! {
        #[test]
        fn sums_are_products_with_dense_codes_for_few_and_for_many_active(
            n_rows in 0_usize..600, n_latents in 1_usize..700, width in 0_usize..50,
            share in 0.0..0.35, seed in 0_u64..99,
        ) {
            let codes = with_share(n_rows, n_latents, share, seed);
            let decoder = matrix(n_latents, width, "decoder");
            let bias = matrix(1, width, "bias").into_values();
            let mut expected = crate::product(&dense(&codes), &decoder).unwrap();
            for row in 0..n_rows {
                expected.row_mut(row).iter_mut().zip(&bias).for_each(|(sum, bias)| *sum += bias);
            }
            let norm = (1.0 + share * n_latents as f64).sqrt();
            let decoded = codes.decode(&decoder, &bias).unwrap();
            near_at(decoded.values(), expected.values(), norm);
            let gradient = matrix(n_rows, width, "gradient");
            let by_value = crate::product_transposed(&gradient, &decoder).unwrap();
            let expected: Vec<f32> = (0..n_rows)
                .flat_map(|row| codes.row(row).0.iter().map(move |latent| (row, *latent as usize)))
                .map(|(row, latent)| by_value.row(row)[latent])
                .collect();
            near_at(&codes.products(&gradient, &decoder).unwrap(), &expected, (width as f64).sqrt());
        }

        #[test]
        fn the_largest_of_a_batch_are_kept(
            n_rows in 0_usize..40, n_latents in 1_usize..20, seed in 0_u64..99, n in 0_usize..60,
        ) {
            let codes = random(n_rows, n_latents, seed);
            let mut all: Vec<(usize, u32, f32)> = Vec::new();
            for row in 0..n_rows {
                let (latents, values) = codes.row(row);
                all.extend(latents.iter().zip(values).map(|(latent, value)| (row, *latent, *value)));
            }
            all.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
            all.truncate(n);
            all.sort_by_key(|(row, latent, _)| (*row, *latent));
            let mut rows = vec![Vec::new(); n_rows];
            for (row, latent, value) in all {
                rows[row].push((latent, value));
            }
            let mut kept = codes;
            kept.keep_largest(n);
            prop_assert_eq!(kept, Codes::from_rows(n_latents, &rows).unwrap());
        }
    }

    #[test]
    fn threads_change_no_bit_of_few_and_of_many() {
        let (decoder, gradient) = (matrix(700, 19, "decoder"), matrix(600, 19, "gradient"));
        for share in [0.02, 0.1, 0.5] {
            let codes = with_share(600, 700, share, 1);
            let with = |n_threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| {
                    let decoded = codes.decode(&decoder, &[0.5; 19]).unwrap();
                    (decoded, codes.products(&gradient, &decoder).unwrap())
                })
            };
            assert_eq!(with(1), with(2));
            assert_eq!(with(1), with(4));
        }
    }

    #[test]
    fn rows_below_follow_the_rows_above() {
        let (above, below) = (random(7, 9, 1), random(5, 9, 2));
        let both = above.clone().below(&below).unwrap();
        assert_eq!(both.n_rows(), 12);
        assert!((0..7).all(|row| both.row(row) == above.row(row)));
        assert!((0..5).all(|row| both.row(7 + row) == below.row(row)));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Codes::from_rows(2, &[vec![(2, 1.0)]]).is_err());
        assert!(Codes::from_rows(2, &[vec![(1, 1.0), (1, 1.0)]]).is_err());
        assert!(Codes::from_rows(2, &[vec![(1, 1.0), (0, 1.0)]]).is_err());
        let codes = random(3, 4, 0);
        assert!(codes.clone().renamed(&[0, 1, 2], 9).is_err());
        assert!(codes.clone().renamed(&[0, 1, 2, 9], 9).is_err());
        assert!(codes.clone().below(&random(3, 5, 0)).is_err());
        assert!(codes.decode(&Matrix::zeros(5, 2), &[0.0; 2]).is_err());
        assert!(codes.decode(&Matrix::zeros(4, 2), &[0.0; 3]).is_err());
        assert!(codes.products(&Matrix::zeros(2, 2), &Matrix::zeros(4, 2)).is_err());
        assert!(codes.products(&Matrix::zeros(3, 1), &Matrix::zeros(4, 2)).is_err());
    }
}
