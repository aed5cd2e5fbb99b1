//! A net of one hidden layer.

use kernels::{KernelError, Matrix, product, product_transposed, sum_of_rows};
use rayon::prelude::*;
use seed::Rng;
use serde::{Deserialize, Serialize};

use super::activation::{Picks, gaba};
use super::{Activation, Inhibition, NetConfig, Rows};
use crate::SdmError;

/// What the hidden layer makes of a batch.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// W·x + b, `[sample · place, neuron]`.
    pub(super) excitation: Matrix,
    pub(super) activation: Active,
    /// What active neurons are scaled by: 1 but for dropout.
    pub(super) scale: f32,
    /// Rows of a sample.
    pub(super) n_places: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Active {
    /// `[sample · place, neuron]`.
    All(Matrix),
    /// By sample and place.
    Few(Vec<Picks>),
}

impl Hidden {
    /// For each sample, the active neurons with their activations; of a convolutional layer those that are active at
    /// a place at least, with the sum over places.
    pub fn active(&self) -> Vec<Vec<(u32, f32)>> {
        let rows: Vec<Picks> = match &self.activation {
            Active::Few(picks) => picks.clone(),
            Active::All(values) => values
                .rows()
                .map(|row| (0..).zip(row.iter().copied()).filter(|(_, h)| *h > 0.0).collect())
                .collect(),
        };
        if self.n_places == 1 {
            return rows;
        }
        rows.chunks(self.n_places).map(sum_over_places).collect()
    }

    /// Silences each neuron of each sample with this probability and scales the others up.
    pub fn drop_out(&mut self, probability: f32, rng: &mut Rng) {
        let scale = 1.0 / (1.0 - probability);
        let mut drop = |h: &mut f32| {
            *h = if rng.uniform() < f64::from(probability) { 0.0 } else { scale * *h }
        };
        match &mut self.activation {
            Active::All(values) => values.values_mut().iter_mut().for_each(&mut drop),
            Active::Few(picks) => {
                for sample in picks {
                    for (_, h) in sample.iter_mut() {
                        drop(h);
                    }
                    sample.retain(|(_, h)| *h > 0.0);
                }
            }
        }
        self.scale = scale;
    }
}

/// The neurons of one list at least, in ascending order, with their sum over all lists.
fn sum_over_places(places: &[Picks]) -> Picks {
    let mut all: Picks = places.concat();
    all.sort_by_key(|(neuron, _)| *neuron);
    let same = all.chunk_by(|(one, _), (other, _)| one == other);
    same.map(|picks| (picks[0].0, picks.iter().map(|(_, h)| h).sum())).collect()
}

/// A net of one hidden layer.
///
/// # Examples
///
/// Two neurons whose addresses are the axes, of which the nearer one answers:
///
/// ```
/// use kernels::Matrix;
/// use sdm::layer::{Activation, Anneal, Inhibition, Net, NetConfig};
///
/// let inhibition = Inhibition::Subtract(Anneal::None);
/// let config = NetConfig { activation: Activation::TopK { k: 1, inhibition }, ..NetConfig::sdm(2, 2, 2, 1, 1.0) };
/// let mut net = Net::new(config, &mut seed::Seed::new(0).stream("doc", "net"))?;
/// net.w = Matrix::identity(2);
/// net.v = Matrix::identity(2);
/// let x = net.prepare(&Matrix::from_rows(1, 2, vec![3.0, 4.0])?)?;
/// let hidden = net.hidden(&x, 0)?;
/// assert_eq!(hidden.active(), [[(1, 0.8_f32 - 0.6_f32)]]);
/// # Ok::<(), sdm::SdmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Net {
    config: NetConfig,
    /// Addresses, `[neuron, input]`, or `[neuron, number of a patch]`.
    pub w: Matrix,
    /// Biases of neurons; empty without biases.
    pub b: Vec<f32>,
    /// Values, `[neuron, class]`.
    pub v: Matrix,
    /// Biases of classes; empty without biases.
    pub c: Vec<f32>,
    /// For each neuron the number of samples that it was active for, where there is a GABA switch.
    pub counts: Vec<f64>,
}

impl Net {
    /// A net with random weights, uniform between ±1/√(inputs of the layer), as PyTorch's; of an SDM layer's about
    /// half are 0 then.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] for a config without neurons, inputs, classes or active neurons.
    pub fn new(config: NetConfig, rng: &mut Rng) -> Result<Self, SdmError> {
        let config = config.validate()?;
        let NetConfig { n_neurons, n_classes, biases, .. } = config;
        let n_inputs = config.n_address();
        #[expect(clippy::cast_possible_truncation, reason = "weights in 32 bits")]
        let mut draw = |n: usize, fan_in: usize| -> Vec<f32> {
            let bound = 1.0 / (fan_in as f64).sqrt();
            (0..n).map(|_| ((2.0 * rng.uniform() - 1.0) * bound) as f32).collect()
        };
        let mut net = Self {
            config,
            w: Matrix::from_rows(n_neurons, n_inputs, draw(n_neurons * n_inputs, n_inputs))?,
            b: if biases { draw(n_neurons, n_inputs) } else { Vec::new() },
            v: Matrix::from_rows(n_neurons, n_classes, draw(n_neurons * n_classes, n_neurons))?,
            c: if biases { draw(n_classes, n_neurons) } else { Vec::new() },
            counts: vec![0.0; n_neurons],
        };
        net.project(None);
        Ok(net)
    }

    /// The ingredients.
    pub fn config(&self) -> &NetConfig {
        &self.config
    }

    /// New values V and biases c for this many classes, and the addresses as they are: what follows pretraining.
    ///
    /// # Errors
    ///
    /// [`SdmError::Range`] without classes.
    pub fn with_new_head(self, n_classes: usize, rng: &mut Rng) -> Result<Self, SdmError> {
        let fresh = Self::new(NetConfig { n_classes, ..self.config }, rng)?;
        Ok(Self { w: self.w, b: self.b, counts: self.counts, ..fresh })
    }

    /// Inputs as the net takes them: for a convolutional layer cut to pieces, `[sample · place, number]`; for unit rows
    /// without negative numbers and of length 1.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if they have another width, [`SdmError::Range`] if one is not finite.
    pub fn prepare(&self, inputs: &Matrix) -> Result<Matrix, SdmError> {
        KernelError::check("numbers of an input", self.config.n_inputs, inputs.n_columns())?;
        if let Some(bad) = inputs.values().iter().find(|value| !value.is_finite()) {
            return Err(SdmError::Range {
                what: "a number of an input",
                got: f64::from(*bad),
                interval: "(-∞, ∞)",
            });
        }
        let mut inputs = match self.config.patches {
            Some(patches) => patches.of(inputs)?,
            None => inputs.clone(),
        };
        if self.config.rows == Rows::Unit {
            inputs.values_mut().iter_mut().for_each(|value| *value = value.max(0.0));
            inputs.normalize_rows();
        }
        Ok(inputs)
    }

    /// The hidden layer's answer to prepared inputs, `[sample, input]`, of whole samples.
    ///
    /// The epoch, counted from 0 over the whole training, matters to annealing only.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the inputs have another width.
    pub fn hidden(&self, x: &Matrix, epoch: usize) -> Result<Hidden, SdmError> {
        let n_places = self.config.n_places();
        let whole = x.n_rows().next_multiple_of(n_places);
        KernelError::check("pieces of whole samples", whole, x.n_rows())?;
        let mut excitation = match self.config.rows {
            Rows::Centered => product_transposed(x, &self.centered().0)?,
            Rows::Free | Rows::Unit => product_transposed(x, &self.w)?,
        };
        if !self.b.is_empty() {
            for row in excitation.values_mut().chunks_exact_mut(self.b.len()) {
                row.iter_mut().zip(&self.b).for_each(|(a, b)| *a += b);
            }
        }
        let inhibition = self.inhibition();
        let activation = match self.config.activation.picks(&excitation, epoch, &inhibition) {
            Some(picks) => Active::Few(picks),
            None => Active::All(self.config.activation.apply(&excitation, epoch, &inhibition)),
        };
        Ok(Hidden { excitation, activation, scale: 1.0, n_places })
    }

    /// g of each neuron; empty without a GABA switch.
    pub fn inhibition(&self) -> Vec<f32> {
        match self.config.activation {
            Activation::TopK { inhibition: Inhibition::Gaba { switch }, .. } => {
                self.counts.iter().map(|count| gaba(*count, switch)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Counts the samples that neurons were active for, where there is a GABA switch that goes by them.
    pub fn count(&mut self, hidden: &Hidden) {
        if !matches!(
            self.config.activation,
            Activation::TopK { inhibition: Inhibition::Gaba { .. }, .. }
        ) {
            return;
        }
        match &hidden.activation {
            Active::Few(picks) => {
                picks.iter().flatten().for_each(|(neuron, _)| self.counts[*neuron as usize] += 1.0);
            }
            Active::All(values) => {
                for row in values.rows() {
                    for (count, h) in self.counts.iter_mut().zip(row) {
                        *count += f64::from(u8::from(*h > 0.0));
                    }
                }
            }
        }
    }

    /// Vᵀ·h + c, `[sample, class]`; of a convolutional layer the sum over places.
    ///
    /// # Errors
    ///
    /// [`SdmError::Kernel`] if the hidden layer is another net's.
    pub fn logits(&self, hidden: &Hidden) -> Result<Matrix, SdmError> {
        let n_classes = self.config.n_classes;
        let mut logits = match &hidden.activation {
            Active::All(values) => product(values, &self.v)?,
            Active::Few(picks) => {
                let mut logits = Matrix::zeros(picks.len(), n_classes);
                let rows = logits.values_mut().par_chunks_mut(n_classes).zip(picks);
                rows.for_each(|(row, picks)| sum_of_rows(&self.v, picks, row));
                logits
            }
        };
        if hidden.n_places > 1 {
            logits = sums_of_rows(&logits, hidden.n_places);
        }
        if !self.c.is_empty() {
            for row in logits.values_mut().chunks_exact_mut(n_classes) {
                row.iter_mut().zip(&self.c).for_each(|(logit, c)| *logit += c);
            }
        }
        Ok(logits)
    }

    /// Rows without their mean and of length 1, and what each was divided by.
    pub(super) fn centered(&self) -> (Matrix, Vec<f32>) {
        let width = self.config.n_address();
        let mut rows = self.w.clone();
        let scales = rows.values_mut().par_chunks_mut(width).map(|row| {
            let mean = row.iter().sum::<f32>() / row.len() as f32;
            for w in row.iter_mut() {
                *w -= mean;
            }
            let length = row.iter().map(|w| w * w).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            for w in row.iter_mut() {
                *w /= length;
            }
            length
        });
        let scales = scales.collect();
        (rows, scales)
    }

    /// Negative weights become 0 and addresses unit vectors, where the config says so: all rows, or these.
    pub(super) fn project(&mut self, rows: Option<&[u32]>) {
        let NetConfig { n_classes, non_negative, rows: form, .. } = self.config;
        let n_inputs = self.config.n_address();
        if !non_negative && form != Rows::Unit {
            return;
        }
        let clamp = |values: &mut [f32]| {
            if non_negative {
                for value in values.iter_mut() {
                    *value = value.max(0.0);
                }
            }
        };
        let address = |row: &mut [f32]| {
            clamp(row);
            if form == Rows::Unit {
                unit(row);
            }
        };
        clamp(&mut self.b);
        clamp(&mut self.c);
        if let Some(rows) = rows {
            for row in rows {
                address(self.w.row_mut(*row as usize));
                clamp(self.v.row_mut(*row as usize));
            }
        } else {
            self.w.values_mut().par_chunks_mut(n_inputs).for_each(address);
            self.v.values_mut().par_chunks_mut(n_classes).for_each(clamp);
        }
    }
}

/// The sums of `n` rows each.
fn sums_of_rows(matrix: &Matrix, n: usize) -> Matrix {
    let width = matrix.n_columns();
    let mut sums = Matrix::zeros(matrix.n_rows() / n, width);
    let rows = sums.values_mut().chunks_exact_mut(width);
    for (sum, rows) in rows.zip(matrix.values().chunks_exact(n * width)) {
        for row in rows.chunks_exact(width) {
            sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
    }
    sums
}

/// Scales a row to length 1; a row of zeros stays.
fn unit(row: &mut [f32]) {
    // Eight sums, so that they add up side by side.
    let mut squares = [0.0_f32; 8];
    let (eights, rest) = row.as_chunks::<8>();
    for eight in eights {
        squares.iter_mut().zip(eight).for_each(|(sum, w)| *sum += w * w);
    }
    let square = squares.iter().sum::<f32>() + rest.iter().map(|w| w * w).sum::<f32>();
    if square > 0.0 {
        let scale = 1.0 / square.sqrt();
        for w in row.iter_mut() {
            *w *= scale;
        }
    }
}
