//! Gradients of a net's weights.

use std::borrow::Cow;

use kernels::{KernelError, Matrix, product_transposed, sum_of_rows, transposed_product};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Rows;
use super::net::{Active, Hidden, Net};
use crate::SdmError;

/// Neurons whose gradients one task sums. Each is summed alone, so that nothing depends on it but speed.
const TASK_NEURONS: usize = 64;

/// A number for every weight of a net, or for the weights of some neurons and zero elsewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gradients {
    /// The neurons that it is about, in ascending order; none: all.
    pub rows: Option<Vec<u32>>,
    /// Of W, row after row.
    pub w: Vec<f32>,
    /// Of b; empty without biases.
    pub b: Vec<f32>,
    /// Of V, row after row.
    pub v: Vec<f32>,
    /// Of c; empty without biases.
    pub c: Vec<f32>,
}

impl Gradients {
    /// Zeros for all weights of a net.
    pub fn zeros(net: &Net) -> Self {
        Self {
            rows: None,
            w: vec![0.0; net.w.values().len()],
            b: vec![0.0; net.b.len()],
            v: vec![0.0; net.v.values().len()],
            c: vec![0.0; net.c.len()],
        }
    }

    /// The weights of a net.
    pub fn weights(net: &Net) -> Self {
        let v = net.v.values().to_vec();
        Self { rows: None, w: net.w.values().to_vec(), b: net.b.clone(), v, c: net.c.clone() }
    }

    /// W, b, V and c in this order.
    pub fn parts(&self) -> [&[f32]; 4] {
        [&self.w, &self.b, &self.v, &self.c]
    }

    /// W, b, V and c in this order, to be changed.
    pub fn parts_mut(&mut self) -> [&mut [f32]; 4] {
        [&mut self.w, &mut self.b, &mut self.v, &mut self.c]
    }

    /// The Euclidean norm.
    pub fn norm(&self) -> f64 {
        let square = |part: &[f32]| -> f64 {
            // Sums of fixed pieces, so that the result does not depend on threads.
            let pieces: Vec<f64> = part
                .par_chunks(1 << 14)
                .map(|piece| {
                    let (eights, rest) = piece.as_chunks::<8>();
                    let mut sums = [0.0_f64; 8];
                    for eight in eights {
                        sums.iter_mut()
                            .zip(eight)
                            .for_each(|(s, g)| *s += f64::from(*g) * f64::from(*g));
                    }
                    sums.iter()
                        .chain(
                            &rest.iter().map(|g| f64::from(*g) * f64::from(*g)).collect::<Vec<_>>(),
                        )
                        .sum()
                })
                .collect();
            pieces.iter().sum()
        };
        self.parts().map(square).iter().sum::<f64>().sqrt()
    }

    /// Multiplies every number.
    pub fn scale(&mut self, factor: f32) {
        for part in self.parts_mut() {
            for g in part.iter_mut() {
                *g *= factor;
            }
        }
    }

    /// Adds another, number by number.
    ///
    /// # Panics
    ///
    /// If the two are not about the same neurons.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.rows, other.rows, "gradients of the same neurons");
        for (part, other) in self.parts_mut().into_iter().zip(other.parts()) {
            part.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        }
    }

    /// The same with the zeros of the neurons that it is not about.
    #[must_use]
    pub fn for_all(self, net: &Net) -> Self {
        let Some(rows) = &self.rows else { return self };
        let mut all = Self { c: self.c.clone(), ..Self::zeros(net) };
        let (n_inputs, n_classes) = (net.w.n_columns(), net.v.n_columns());
        for (at, row) in rows.iter().map(|row| *row as usize).enumerate() {
            all.w[row * n_inputs..][..n_inputs]
                .copy_from_slice(&self.w[at * n_inputs..][..n_inputs]);
            all.v[row * n_classes..][..n_classes]
                .copy_from_slice(&self.v[at * n_classes..][..n_classes]);
            if let Some(b) = self.b.get(at) {
                all.b[row] = *b;
            }
        }
        all
    }
}

impl Net {
    /// W, b, V and c in this order.
    pub fn parts(&self) -> [&[f32]; 4] {
        [self.w.values(), &self.b, self.v.values(), &self.c]
    }

    /// Σ over samples of the Fisher information of each: the expectation of the squared gradient of the
    /// log-likelihood under the net's own distribution p over classes, exactly.
    ///
    /// With δ the gradient by a neuron's excitation, E δ² is the variance under p of the neuron's values where it is
    /// active, and the gradient by logit c has E = `p_c(1` − `p_c`).
    ///
    /// # Errors
    ///
    /// As [`Net::gradients_of_each`].
    pub fn fisher(&self, x: &Matrix, hidden: &Hidden) -> Result<Gradients, SdmError> {
        // Errors whose squares are what is expected of squares: roots of expectations.
        let mut p = self.logits(hidden)?;
        for row in p.values_mut().chunks_exact_mut(self.v.n_columns()) {
            super::softmax(row);
        }
        let mut squared = self.v.clone();
        squared.values_mut().iter_mut().for_each(|v| *v *= *v);
        let means = product_transposed(&p, &self.v)?;
        let mut by_activation = product_transposed(&p, &squared)?;
        for (square, mean) in by_activation.values_mut().iter_mut().zip(means.values()) {
            *square = (*square - mean * mean).max(0.0).sqrt();
        }
        p.values_mut().iter_mut().for_each(|p| *p = (*p * (1.0 - *p)).max(0.0).sqrt());
        self.check_products("whose Fisher information is asked for")?;
        self.through_hidden(x, hidden, by_activation, &p, Some(|g: f32| g * g))
    }

    /// Σ over samples of the gradients, given those by the logits.
    ///
    /// Where few neurons are active, only their rows are computed and returned.
    ///
    /// # Shapes
    ///
    /// `x` `[sample, input]` as prepared, `error` `[sample, class]`.
    ///
    /// # Determinism
    ///
    /// The same bits for any number of threads.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the sizes do not fit.
    pub fn gradients(
        &self,
        x: &Matrix,
        hidden: &Hidden,
        error: &Matrix,
    ) -> Result<Gradients, SdmError> {
        let n_samples = x.n_rows() / hidden.n_places;
        KernelError::check("samples of the error", n_samples, error.n_rows())?;
        let error = match hidden.n_places {
            1 => Cow::Borrowed(error),
            // Each place has the error of the sum.
            n => {
                let of: Vec<usize> = (0..n_samples * n).map(|row| row / n).collect();
                Cow::Owned(error.select(&of))
            }
        };
        let mut gradients = match &hidden.activation {
            Active::Few(picks) if self.config().rows != Rows::Centered => {
                self.sparse_gradients(x, hidden, picks, &error)
            }
            _ => self.dense_gradients(x, hidden, &error, None::<fn(f32) -> f32>)?,
        };
        // c was added once for all places.
        for c in &mut gradients.c {
            *c /= hidden.n_places as f32;
        }
        Ok(gradients)
    }

    /// Σ over samples of f of the gradients of each: of their squares for Fisher information, of their absolute
    /// values for sensitivities. f must map a product to the product of its values, as these two do.
    ///
    /// # Errors
    ///
    /// As [`Net::gradients`]; [`SdmError::NoProduct`] for centered rows and convolutional layers, whose gradients of a
    /// sample are no products.
    pub fn gradients_of_each(
        &self,
        x: &Matrix,
        hidden: &Hidden,
        error: &Matrix,
        f: impl Fn(f32) -> f32 + Sync + Copy,
    ) -> Result<Gradients, SdmError> {
        self.check_products("whose gradients by sample are asked for")?;
        self.dense_gradients(x, hidden, error, Some(f))
    }

    fn check_products(&self, what: &'static str) -> Result<(), SdmError> {
        if self.config().rows == Rows::Centered || self.config().patches.is_some() {
            return Err(SdmError::NoProduct { what });
        }
        Ok(())
    }

    fn dense_gradients(
        &self,
        x: &Matrix,
        hidden: &Hidden,
        error: &Matrix,
        f: Option<impl Fn(f32) -> f32 + Sync + Copy>,
    ) -> Result<Gradients, SdmError> {
        let by_activation = product_transposed(error, &self.v)?;
        self.through_hidden(x, hidden, by_activation, error, f)
    }

    /// Gradients by weights, given those by activations and by logits.
    fn through_hidden(
        &self,
        x: &Matrix,
        hidden: &Hidden,
        mut by_excitation: Matrix,
        error: &Matrix,
        f: Option<impl Fn(f32) -> f32 + Sync + Copy>,
    ) -> Result<Gradients, SdmError> {
        let map = |matrix: &mut Matrix| {
            if let Some(f) = f {
                let values = matrix.values_mut().par_iter_mut().with_min_len(1 << 13);
                values.for_each(|value| *value = f(*value));
            }
        };
        let n = hidden.excitation.n_columns();
        let mut values = match &hidden.activation {
            Active::All(values) => Cow::Borrowed(values),
            Active::Few(picks) => {
                let mut values = Matrix::zeros(picks.len(), n);
                for (at, picks) in picks.iter().enumerate() {
                    let row = values.row_mut(at);
                    for (neuron, h) in picks {
                        row[*neuron as usize] = *h;
                    }
                }
                Cow::Owned(values)
            }
        };
        self.config().activation.pull_back(
            &hidden.excitation,
            &values,
            hidden.scale,
            &mut by_excitation,
        );
        map(&mut by_excitation);
        let (mut x, mut error) = (Cow::Borrowed(x), Cow::Borrowed(error));
        if f.is_some() {
            for matrix in [&mut values, &mut x, &mut error] {
                map(matrix.to_mut());
            }
        }
        let mut w = transposed_product(&by_excitation, &x)?;
        if self.config().rows == Rows::Centered {
            self.through_centering(&mut w);
        }
        let sums = |matrix: &Matrix| {
            let mut sums = vec![0.0; matrix.n_columns()];
            matrix.rows().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, g)| *sum += g));
            sums
        };
        Ok(Gradients {
            rows: None,
            w: w.into_values(),
            b: if self.b.is_empty() { Vec::new() } else { sums(&by_excitation) },
            v: transposed_product(&values, &error)?.into_values(),
            c: if self.c.is_empty() { Vec::new() } else { sums(&error) },
        })
    }

    /// With ŵ = (w − mean)/‖w − mean‖: ∂/∂w is ∂/∂ŵ less its parts along ŵ and along (1, …, 1), over the norm.
    fn through_centering(&self, gradient: &mut Matrix) {
        let (rows, scales) = self.centered();
        let width = gradient.n_columns();
        let each = gradient.values_mut().par_chunks_mut(width).zip(rows.values().par_chunks(width));
        each.zip(scales).for_each(|((gradient, row), scale)| {
            let along: f32 = gradient.iter().zip(row).map(|(g, w)| g * w).sum();
            let mean = gradient.iter().sum::<f32>() / width as f32;
            for (g, w) in gradient.iter_mut().zip(row) {
                *g = (*g - mean - along * w) / scale;
            }
        });
    }

    fn sparse_gradients(
        &self,
        x: &Matrix,
        hidden: &Hidden,
        picks: &[Vec<(u32, f32)>],
        error: &Matrix,
    ) -> Gradients {
        let (n_inputs, n_classes) = (x.n_columns(), error.n_columns());
        // By neuron: the samples that it is active for.
        let mut begins = vec![0_usize; self.w.n_rows() + 1];
        picks.iter().flatten().for_each(|(neuron, _)| begins[*neuron as usize + 1] += 1);
        let rows: Vec<u32> =
            (0..).zip(&begins[1..]).filter(|(_, n)| **n > 0).map(|(row, _)| row).collect();
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut samples = vec![(0_u32, 0.0_f32); begins.last().copied().unwrap_or(0)];
        let mut next = begins.clone();
        for (sample, picks) in (0_u32..).zip(picks) {
            for (neuron, h) in picks {
                let place = &mut next[*neuron as usize];
                samples[*place] = (sample, *h);
                *place += 1;
            }
        }
        let mut gradients = Gradients {
            w: vec![0.0; rows.len() * n_inputs],
            b: if self.b.is_empty() { Vec::new() } else { vec![0.0; rows.len()] },
            v: vec![0.0; rows.len() * n_classes],
            c: vec![0.0; self.c.len()],
            rows: None,
        };
        let mut biases = vec![0.0; rows.len()];
        let tasks = gradients.w.par_chunks_mut(TASK_NEURONS * n_inputs);
        let tasks = tasks.zip(gradients.v.par_chunks_mut(TASK_NEURONS * n_classes));
        let tasks =
            tasks.zip(biases.par_chunks_mut(TASK_NEURONS)).zip(rows.par_chunks(TASK_NEURONS));
        tasks.for_each(|(((w, v), b), rows)| {
            let mut errors = Vec::new();
            let each = w.chunks_exact_mut(n_inputs).zip(v.chunks_exact_mut(n_classes)).zip(b);
            for (((w, v), b), row) in each.zip(rows) {
                let row = *row as usize;
                let samples = &samples[begins[row]..begins[row + 1]];
                sum_of_rows(error, samples, v);
                errors.clear();
                for (sample, _) in samples {
                    // Without an excitation above 0 its rectification has no slope.
                    if hidden.excitation.row(*sample as usize)[row] > 0.0 {
                        let error = error.row(*sample as usize).iter();
                        let by_h: f32 = self.v.row(row).iter().zip(error).map(|(v, e)| v * e).sum();
                        errors.push((*sample, hidden.scale * by_h));
                    }
                }
                *b = errors.iter().map(|(_, error)| error).sum();
                sum_of_rows(x, &errors, w);
            }
        });
        if !self.b.is_empty() {
            gradients.b = biases;
        }
        if !self.c.is_empty() {
            for row in error.rows() {
                gradients.c.iter_mut().zip(row).for_each(|(sum, e)| *sum += e);
            }
        }
        gradients.rows = Some(rows);
        gradients
    }
}
