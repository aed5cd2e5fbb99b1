//! Gradients of encoder and decoder, and the step against them, latent by latent.

use rayon::prelude::*;

use super::ByLatent;
use crate::transformer::AdamW;
use crate::transformer::lanes::{sum, sum2};
use crate::{KernelError, Matrix, sum_of_rows};

/// Latents that one task steps.
const TASK_LATENTS: usize = 32;

/// A parameter with a row for each latent, and Adam's moments of it.
///
/// # Memory
/// Three numbers for each.
#[derive(Clone, Debug, PartialEq)]
pub struct Atoms {
    rows: Matrix,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Atoms {
    /// A parameter that was not stepped yet.
    pub fn new(rows: Matrix) -> Self {
        let n = rows.values().len();
        Self { rows, first: vec![0.0; n], second: vec![0.0; n] }
    }

    /// The parameter.
    pub fn rows(&self) -> &Matrix {
        &self.rows
    }

    /// The parameter and both moments, row after row, to be stored and to be put in again.
    pub fn numbers_mut(&mut self) -> [&mut [f32]; 3] {
        [self.rows.values_mut(), &mut self.first, &mut self.second]
    }

    /// The parameter, to be changed.
    pub fn rows_mut(&mut self) -> &mut Matrix {
        &mut self.rows
    }

    /// First and second moments, row after row.
    pub fn moments(&self) -> [&[f32]; 2] {
        [&self.first, &self.second]
    }
}

/// What becomes of the lengths of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// They follow the gradient.
    Free,
    /// The part of the gradient along a row is taken out before the step, and the row has length 1 after it.
    One,
}

/// The gradient of a parameter with a row for each latent: of row i
///
/// gᵢ = Σ coefficient · sample + alongᵢ·wᵢ + sharedᵢ·v,
///
/// the sum over the rows in which the latent is active, wᵢ the parameter's own row, v one vector for all.
///
/// Of a decoder coefficients are values and samples the gradient of reconstructions, of an encoder coefficients are the
/// gradient of values and samples the batch.
#[derive(Clone, Copy, Debug)]
pub struct RowGradient<'a> {
    /// In the order of [`Codes::values`](super::Codes::values).
    pub coefficients: &'a [f32],
    /// `[n, d]`; row r of the codes has sample r mod n, so that codes of one batch may stand below each other several times.
    pub samples: &'a Matrix,
    /// By latent; empty for none.
    pub along: &'a [f32],
    /// A number for each latent, and v, `[d]`.
    pub shared: Option<(&'a [f32], &'a [f32])>,
    /// What becomes of the lengths of rows.
    pub length: Length,
}

impl<'a> RowGradient<'a> {
    /// Without the other terms.
    pub fn new(coefficients: &'a [f32], samples: &'a Matrix, length: Length) -> Self {
        Self { coefficients, samples, along: &[], shared: None, length }
    }
}

impl ByLatent {
    /// A step of each row of a parameter against its gradient.
    ///
    /// `t` counts from 1; `scale` multiplies gradients.
    ///
    /// # Shapes
    /// `atoms` `[n_latents, d]`.
    ///
    /// # Determinism
    /// The same bits for any number of threads and on every platform.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the sizes do not fit.
    ///
    /// # Examples
    ///
    /// The first step moves by the learning rate where there is a gradient, and nowhere else:
    ///
    /// ```
    /// use kernels::Matrix;
    /// use kernels::dictionary::{Atoms, Codes, Length, RowGradient};
    /// use kernels::transformer::AdamW;
    ///
    /// let codes = Codes::from_rows(2, &[vec![(1, 3.0)], vec![(1, 1.0)]])?;
    /// let samples = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, -2.0])?;
    /// let mut atoms = Atoms::new(Matrix::zeros(2, 2));
    /// let rule = AdamW { weight_decay: 0.0, ..AdamW::new(0.5) };
    /// let gradient = RowGradient::new(codes.values(), &samples, Length::Free);
    /// codes.by_latent().step(&gradient, &mut atoms, (&rule, 1, 1.0))?;
    /// let expected = [0.0, 0.0, -0.5, 0.5];
    /// assert!(atoms.rows().values().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6));
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn step(
        &self,
        gradient: &RowGradient<'_>,
        atoms: &mut Atoms,
        (rule, t, scale): (&AdamW, u32, f32),
    ) -> Result<(), KernelError> {
        let width = self.fits(gradient, atoms)?;
        if width == 0 {
            return Ok(());
        }
        let numbers = rule.at(t, scale);
        let task = TASK_LATENTS * width;
        let moments = atoms.first.par_chunks_mut(task).zip(atoms.second.par_chunks_mut(task));
        let tasks = atoms.rows.values_mut().par_chunks_mut(task).zip(moments).enumerate();
        tasks.for_each(|(task, (rows, (first, second)))| {
            let mut gradients = Gradients::new(self, gradient);
            let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
            let rows = rows.chunks_exact_mut(width).zip(moments);
            for (latent, (row, (first, second))) in (task * TASK_LATENTS..).zip(rows) {
                let of_row = gradients.of(latent, row);
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        numbers.step(row, [first, second], of_row);
                        if gradient.length == Length::One {
                            let norm = sum(row, |w| w * w).sqrt();
                            if norm > 0.0 {
                                for w in row {
                                    *w /= norm;
                                }
                            }
                        }
                    },
                );
            }
        });
        Ok(())
    }

    /// Σ‖g‖² over latents of the gradients against which [`Self::step`] goes, before they are scaled.
    ///
    /// # Shapes and determinism
    /// As [`Self::step`]; squares are added up in double precision in the order of latents.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn squared_norm(
        &self,
        gradient: &RowGradient<'_>,
        atoms: &Atoms,
    ) -> Result<f64, KernelError> {
        self.fits(gradient, atoms)?;
        let firsts: Vec<usize> = (0..self.n_latents()).step_by(TASK_LATENTS).collect();
        let task = |first: &usize| {
            let mut gradients = Gradients::new(self, gradient);
            let latents = *first..self.n_latents().min(first + TASK_LATENTS);
            let squares = latents.map(|latent| {
                let of_row = gradients.of(latent, atoms.rows.row(latent));
                f64::from(sum(of_row, |g| g * g))
            });
            squares.sum::<f64>()
        };
        Ok(firsts.par_iter().map(task).collect::<Vec<f64>>().into_iter().sum())
    }

    /// The width of rows.
    fn fits(&self, gradient: &RowGradient<'_>, atoms: &Atoms) -> Result<usize, KernelError> {
        let RowGradient { coefficients, samples, along, shared, .. } = gradient;
        let (n, width) = (self.n_latents(), samples.n_columns());
        KernelError::check("coefficients", self.n_places(), coefficients.len())?;
        let n_rows = self.n_rows.next_multiple_of(samples.n_rows().max(1));
        KernelError::check("rows of the codes", n_rows, self.n_rows)?;
        KernelError::check("rows of the samples", self.n_rows.min(1), samples.n_rows().min(1))?;
        KernelError::check("rows of the parameter", n, atoms.rows.n_rows())?;
        KernelError::check("columns of the parameter", width, atoms.rows.n_columns())?;
        if !along.is_empty() {
            KernelError::check("numbers along rows", n, along.len())?;
        }
        if let Some((factors, vector)) = shared {
            KernelError::check("factors of the shared vector", n, factors.len())?;
            KernelError::check("numbers of the shared vector", width, vector.len())?;
        }
        Ok(width)
    }
}

/// The gradient of one latent after the other.
struct Gradients<'a> {
    by_latent: &'a ByLatent,
    of: &'a RowGradient<'a>,
    n_samples: u32,
    picks: Vec<(u32, f32)>,
    sum: Vec<f32>,
}

impl<'a> Gradients<'a> {
    fn new(by_latent: &'a ByLatent, of: &'a RowGradient<'a>) -> Self {
        let sum = vec![0.0; of.samples.n_columns()];
        // Codes have less than 2^32 rows, and samples no more.
        let n_samples = u32::try_from(of.samples.n_rows()).unwrap_or(u32::MAX).max(1);
        Self { by_latent, of, n_samples, picks: Vec::new(), sum }
    }

    /// The gradient of a row of the parameter.
    fn of(&mut self, latent: usize, row: &[f32]) -> &[f32] {
        let RowGradient { coefficients, samples, along, shared, length } = *self.of;
        let places = self.by_latent.latent(latent).iter();
        self.picks.clear();
        let pick = |(row, at): &(u32, u32)| (row % self.n_samples, coefficients[*at as usize]);
        self.picks.extend(places.map(pick));
        sum_of_rows(samples, &self.picks, &mut self.sum);
        let mut add = |factor: f32, vector: &[f32]| {
            self.sum.iter_mut().zip(vector).for_each(|(g, v)| *g += factor * v);
        };
        if let Some(along) = along.get(latent) {
            add(*along, row);
        }
        if let Some((factors, vector)) = shared {
            add(factors[latent], vector);
        }
        if length == Length::One {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let along = sum2(row, &self.sum, |w, g| w * g);
                    self.sum.iter_mut().zip(row).for_each(|(g, w)| *g -= along * w);
                },
            );
        }
        &self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::Codes;
    use super::super::codes::tests::{matrix, near, random};
    use super::*;
    use crate::transposed_product;

    /// The gradient as a dense product, and Adam over all of it.
    #[test]
    fn a_step_is_that_of_the_dense_gradient() {
        let (n_rows, n_latents, width) = (70, 45, 37);
        let rule = AdamW { weight_decay: 0.0, epsilon: 1e-3, ..AdamW::new(0.01) };
        let mut atoms = Atoms::new(matrix(n_latents, width, "atoms"));
        let mut expected = atoms.clone();
        for t in 1..4 {
            let codes = random(n_rows, n_latents, u64::from(t));
            let samples = matrix(n_rows, width, &format!("samples {t}"));
            let by_latent = codes.by_latent();
            let gradient =
                transposed_product(&super::super::codes::tests::dense(&codes), &samples).unwrap();
            let norm: f64 = gradient.values().iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
            let sparse = RowGradient::new(codes.values(), &samples, Length::Free);
            let got = by_latent.squared_norm(&sparse, &atoms).unwrap();
            assert!((got / norm - 1.0).abs() < 1e-5);
            by_latent.step(&sparse, &mut atoms, (&rule, t, 0.5)).unwrap();
            let moments = [&mut expected.first[..], &mut expected.second[..]];
            rule.step(t, expected.rows.values_mut(), moments, gradient.values(), 0.5);
            near(atoms.rows().values(), expected.rows().values());
        }
    }

    #[test]
    fn rows_of_length_one_stay_so_and_turn_against_the_rest_of_the_gradient() {
        let mut atoms = Atoms::new(Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.6, 0.8]).unwrap());
        let codes = random(20, 2, 3);
        let samples = Matrix::from_rows(20, 2, [1.0, 1.0].repeat(20)).unwrap();
        let rule = AdamW { weight_decay: 0.0, ..AdamW::new(0.1) };
        let by_latent = codes.by_latent();
        let n = codes.values().iter().zip(codes.latents()).map(|(value, latent)| match latent {
            // Of the gradient (v, v) the part along (0.6, 0.8) is 1.4·v, and 2·v² − (1.4·v)² is left.
            0 => [*value, 0.0],
            _ => [0.0, *value],
        });
        let [first, second] =
            n.fold([0.0_f32; 2], |sum, value| [sum[0] + value[0], sum[1] + value[1]]);
        let expected = f64::from(first * first + 0.04 * second * second);
        let gradient = RowGradient::new(codes.values(), &samples, Length::One);
        let norm = by_latent.squared_norm(&gradient, &atoms).unwrap();
        assert!((norm / expected - 1.0).abs() < 1e-4, "{norm} and {expected}");
        by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).unwrap();
        for row in atoms.rows().rows() {
            assert!((row[0].hypot(row[1]) - 1.0).abs() < 1e-6);
        }
        // The first has its gradient along (0, 1) only, so a step of 0.1 down.
        near(atoms.rows().row(0), &[1.0 / 1.01_f32.sqrt(), -0.1 / 1.01_f32.sqrt()]);
        assert!(atoms.rows().row(0)[1] < 0.0);
    }

    #[test]
    fn other_terms_by_hand_and_codes_twice_below_each_other() {
        let codes = Codes::from_rows(2, &[vec![(0, 3.0)], vec![(1, 1.0)]]).unwrap();
        let twice = codes.clone().below(&codes).unwrap();
        let samples = Matrix::from_rows(2, 2, vec![1.0, 0.0, 0.0, -2.0]).unwrap();
        let atoms = Atoms::new(Matrix::from_rows(2, 2, vec![1.0, 2.0, 0.0, 1.0]).unwrap());
        let gradient = RowGradient {
            along: &[0.5, 0.0],
            shared: Some((&[0.0, 2.0], &[1.0, 1.0])),
            ..RowGradient::new(twice.values(), &samples, Length::Free)
        };
        // (6 + 0.5, 0 + 1) and (0 + 2, −4 + 2).
        let norm = twice.by_latent().squared_norm(&gradient, &atoms).unwrap();
        assert_eq!(norm, 6.5 * 6.5 + 1.0 + 4.0 + 4.0);
    }

    #[test]
    fn threads_change_no_bit() {
        let codes = random(300, 100, 1);
        let samples = matrix(300, 19, "samples");
        let by_latent = codes.by_latent();
        let rule = AdamW::new(0.1);
        let with = |n_threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| {
                let mut atoms = Atoms::new(matrix(100, 19, "atoms"));
                let gradient = RowGradient::new(codes.values(), &samples, Length::One);
                by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).unwrap();
                let norm = by_latent.squared_norm(&gradient, &atoms);
                (atoms, norm.unwrap().to_bits())
            })
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let codes = random(5, 4, 0);
        let by_latent = codes.by_latent();
        let (rule, samples) = (AdamW::new(0.1), Matrix::zeros(5, 3));
        let mut atoms = Atoms::new(Matrix::zeros(4, 2));
        let mut step = |samples: &Matrix| {
            let gradient = RowGradient::new(codes.values(), samples, Length::Free);
            by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).is_ok()
        };
        assert!(step(&Matrix::zeros(5, 2)) && step(&Matrix::zeros(1, 2)));
        assert!(!step(&Matrix::zeros(4, 2)) && !step(&Matrix::zeros(0, 2)) && !step(&samples));
        let samples = Matrix::zeros(5, 2);
        let good = RowGradient::new(codes.values(), &samples, Length::Free);
        let norm = |gradient: RowGradient<'_>| by_latent.squared_norm(&gradient, &atoms).is_ok();
        assert!(norm(good));
        assert!(!norm(RowGradient { coefficients: &[], ..good }));
        assert!(!norm(RowGradient { along: &[0.0; 3], ..good }));
        assert!(!norm(RowGradient { shared: Some((&[0.0; 3], &[0.0; 2])), ..good }));
        assert!(!norm(RowGradient { shared: Some((&[0.0; 4], &[0.0; 3])), ..good }));
    }
}
