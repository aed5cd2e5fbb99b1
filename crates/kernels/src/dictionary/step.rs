//! Gradients of encoder and decoder, and the step against them, latent by latent.

use rayon::prelude::*;

use super::ByLatent;
use super::by_latent::BLOCK;
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
    /// The same bits for any number of threads, and with few active latents on every platform; with many the last bits
    /// depend on the CPU class.
    ///
    /// # Complexity and memory
    /// d for each active latent, but no more than a product with dense codes, and n·d for Adam. For each thread the gradients
    /// of 32 latents, with many active latents of 256 and 256 KiB.
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
        let of = gradient;
        let width = self.fits(of, atoms)?;
        if width == 0 {
            return Ok(());
        }
        let numbers = rule.at(t, scale);
        let n = self.task_latents();
        let moments =
            atoms.first.par_chunks_mut(n * width).zip(atoms.second.par_chunks_mut(n * width));
        let tasks = atoms.rows.values_mut().par_chunks_mut(n * width).zip(moments).enumerate();
        tasks.for_each(|(task, (rows, (first, second)))| {
            let mut gradients = self.gradients(of, task, rows);
            let moments = first.chunks_exact_mut(width).zip(second.chunks_exact_mut(width));
            let rows = rows.chunks_exact_mut(width).zip(moments);
            for (gradient, (row, (first, second))) in gradients.chunks_exact_mut(width).zip(rows) {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        numbers.step(row, [first, second], gradient);
                        if of.length == Length::One {
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
        let width = self.fits(gradient, atoms)?;
        if width == 0 {
            return Ok(0.0);
        }
        let task = |(task, rows)| {
            let gradients = self.gradients(gradient, task, rows);
            let mut squares = 0.0;
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for gradient in gradients.chunks_exact(width) {
                        squares += f64::from(sum(gradient, |g| g * g));
                    }
                },
            );
            squares
        };
        let tasks = atoms.rows.values().par_chunks(self.task_latents() * width).enumerate();
        Ok(tasks.map(task).collect::<Vec<f64>>().into_iter().sum())
    }

    /// Latents that one task steps.
    fn task_latents(&self) -> usize {
        if self.is_dense() { BLOCK } else { TASK_LATENTS }
    }

    /// The gradients of the rows of a task.
    fn gradients(&self, of: &RowGradient<'_>, task: usize, rows: &[f32]) -> Vec<f32> {
        let RowGradient { coefficients, samples, along, shared, length } = *of;
        let width = samples.n_columns();
        let mut gradients = vec![0.0; rows.len()];
        let first = task * self.task_latents();
        if self.is_dense() {
            self.sums(task, coefficients, samples, &mut gradients);
        } else {
            // Codes have less than 2^32 rows, and samples no more.
            let n_samples = u32::try_from(samples.n_rows()).unwrap_or(u32::MAX).max(1);
            let mut picks = Vec::new();
            for (latent, gradient) in (first..).zip(gradients.chunks_exact_mut(width)) {
                let places = self.latent(latent).iter();
                picks.clear();
                picks.extend(places.map(|(row, at)| (row % n_samples, coefficients[*at as usize])));
                sum_of_rows(samples, &picks, gradient);
            }
        }
        let each = gradients.chunks_exact_mut(width).zip(rows.chunks_exact(width));
        for (latent, (gradient, row)) in (first..).zip(each) {
            let mut add = |factor: f32, vector: &[f32]| {
                gradient.iter_mut().zip(vector).for_each(|(g, v)| *g += factor * v);
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
                        let along = sum2(row, gradient, |w, g| w * g);
                        gradient.iter_mut().zip(row).for_each(|(g, w)| *g -= along * w);
                    },
                );
            }
        }
        gradients
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

#[cfg(test)]
mod tests {
    use super::super::Codes;
    use super::super::codes::tests::{matrix, near, near_at, random, with_share};
    use super::*;
    use crate::transposed_product;
    use proptest::prelude::*;

    /// The gradient as a dense product with the other terms, in double precision from there.
    fn expected(codes: &Codes, of: &RowGradient<'_>, atoms: &Atoms) -> Matrix {
        let (n, width) = (of.samples.n_rows(), of.samples.n_columns());
        let mut dense = Matrix::zeros(n, codes.n_latents());
        let mut coefficients = of.coefficients.iter();
        for row in 0..codes.n_rows() {
            for (latent, coefficient) in codes.row(row).0.iter().zip(&mut coefficients) {
                dense.row_mut(row % n)[*latent as usize] += coefficient;
            }
        }
        let mut gradient = transposed_product(&dense, of.samples).unwrap();
        for latent in 0..codes.n_latents() {
            let row = atoms.rows.row(latent);
            let mut g: Vec<f64> = gradient.row(latent).iter().map(|g| f64::from(*g)).collect();
            for at in 0..width {
                g[at] += of.along.get(latent).map_or(0.0, |a| f64::from(a * row[at]));
                g[at] += of.shared.map_or(0.0, |(a, v)| f64::from(a[latent] * v[at]));
            }
            if of.length == Length::One {
                let along: f64 = g.iter().zip(row).map(|(g, w)| g * f64::from(*w)).sum();
                g.iter_mut().zip(row).for_each(|(g, w)| *g -= along * f64::from(*w));
            }
            #[expect(clippy::cast_possible_truncation, reason = "gradients are single precision")]
            gradient.row_mut(latent).iter_mut().zip(g).for_each(|(to, g)| *to = g as f32);
        }
        gradient
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        /// Adam over all of the dense gradient, for few and for many active.
        #[test]
        fn a_step_is_that_of_the_dense_gradient(
            (n_samples, n_copies) in (1_usize..300, 1_usize..4),
            n_latents in 1_usize..600, width in 1_usize..40,
            share in 0.0..0.35, (terms, one) in (0_usize..4, proptest::bool::ANY), seed in 0_u64..99,
        ) {
            let rule = AdamW { weight_decay: 0.0, epsilon: 0.1, ..AdamW::new(0.01) };
            let mut rows = matrix(n_latents, width, "atoms");
            rows.normalize_rows();
            let mut atoms = Atoms::new(rows);
            let mut dense = atoms.clone();
            let codes = with_share(n_samples * n_copies, n_latents, share, seed);
            let coefficients = matrix(1, codes.values().len(), "coefficients").into_values();
            let samples = matrix(n_samples, width, "samples");
            let [along, factors] = ["along", "factors"].map(|what| matrix(1, n_latents, what).into_values());
            let vector = matrix(1, width, "vector").into_values();
            let by_latent = codes.by_latent();
            let length = if one { Length::One } else { Length::Free };
            let gradient = RowGradient {
                along: if terms & 1 == 1 { &along } else { &[] },
                shared: (terms & 2 == 2).then_some((&factors, &vector)),
                ..RowGradient::new(&coefficients, &samples, length)
            };
            for t in 1..3 {
                let wanted = expected(&codes, &gradient, &dense);
                let norm: f64 = wanted.values().iter().map(|g| f64::from(*g) * f64::from(*g)).sum();
                let got = by_latent.squared_norm(&gradient, &atoms).unwrap();
                prop_assert!((got - norm).abs() <= 1e-5 * norm + 1e-9, "{} and {}", got, norm);
                by_latent.step(&gradient, &mut atoms, (&rule, t, 0.5)).unwrap();
                let moments = [&mut dense.first[..], &mut dense.second[..]];
                rule.step(t, dense.rows.values_mut(), moments, wanted.values(), 0.5);
                if one {
                    dense.rows.normalize_rows();
                }
                near_at(&atoms.first, &dense.first, 3.0);
                near_at(atoms.rows().values(), dense.rows().values(), 3.0);
            }
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
    fn threads_change_no_bit_of_few_and_of_many() {
        for share in [0.02, 0.5] {
            let codes = with_share(600, 700, share, 1);
            let samples = matrix(300, 19, "samples");
            let by_latent = codes.by_latent();
            let rule = AdamW::new(0.1);
            let with = |n_threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
                pool.install(|| {
                    let mut atoms = Atoms::new(matrix(700, 19, "atoms"));
                    let gradient = RowGradient::new(codes.values(), &samples, Length::One);
                    by_latent.step(&gradient, &mut atoms, (&rule, 1, 1.0)).unwrap();
                    let norm = by_latent.squared_norm(&gradient, &atoms);
                    (atoms, norm.unwrap().to_bits())
                })
            };
            assert_eq!(with(1), with(2));
            assert_eq!(with(1), with(4));
        }
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
