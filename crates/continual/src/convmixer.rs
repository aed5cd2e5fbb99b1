//! The `ConvMixer` through which Paper B looks at images.

use std::collections::BTreeMap;

use kernels::{Matrix, product_transposed};
use manifest::decode::{Numbers, pytorch};
use rayon::prelude::*;

use crate::ContinualError;

/// Means and deviations of red, green and blue that the authors' images are normalized by.
const MEAN: [f32; 3] = [0.4914, 0.4822, 0.4465];
const DEVIATION: [f32; 3] = [0.2471, 0.2435, 0.2616];
/// What batch normalization adds to a variance.
const EPSILON: f32 = 1e-5;
const COLORS: usize = 3;

/// A frozen `ConvMixer`: patches become vectors of `width` numbers, which blocks mix across places and across numbers;
/// their mean over places is the embedding.
///
/// With G the exact GELU and N the batch normalization with running statistics: y = N(G(patch convolution)), then for
/// each block y ← y + N(G(depthwise convolution of y)), y ← N(G(A·y + b)) at each place.
///
/// # Determinism
///
/// The same bits for any number of threads; last bits depend on the CPU class, as those of products do.
///
/// # Source
///
/// Trockman and Kolter 2022, "Patches Are All You Need?", with the sizes of Paper B: width 256, 8 blocks, patches of
/// 2×2, kernels of 5×5.
#[derive(Clone, Debug)]
pub struct ConvMixer {
    side: usize,
    patch: usize,
    /// `[number, color·row·column of a patch]`.
    embed: Pointwise,
    blocks: Vec<Block>,
}

/// A product at each place, GELU, normalization.
#[derive(Clone, Debug)]
struct Pointwise {
    weight: Matrix,
    bias: Vec<f32>,
    norm: Norm,
}

#[derive(Clone, Debug)]
struct Block {
    /// Of the depthwise convolution, `[row·column, number]`.
    kernel: Matrix,
    side: usize,
    bias: Vec<f32>,
    norm: Norm,
    mix: Pointwise,
}

/// x ↦ scale·x + shift, number by number.
#[derive(Clone, Debug)]
struct Norm {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

/// Tensors by name, with what they are expected to be.
struct Tensors<'a> {
    file: &'a str,
    all: BTreeMap<String, Numbers>,
}

impl Tensors<'_> {
    /// The shape and the values of a tensor with so many dimensions.
    fn take(
        &mut self,
        name: &str,
        n_dimensions: usize,
    ) -> Result<(Vec<usize>, Vec<f32>), ContinualError> {
        let Some(numbers) = self.all.remove(name) else {
            return Err(self.wrong(name, "a tensor of this name", "none"));
        };
        let array = numbers.into_finite_f32(&format!("{}, {name}", self.file))?;
        if array.shape.len() != n_dimensions {
            let expected = format!("{n_dimensions} dimensions");
            return Err(self.wrong(name, &expected, &format!("the shape {:?}", array.shape)));
        }
        Ok((array.shape, array.data))
    }

    fn vector(&mut self, name: &str, length: usize) -> Result<Vec<f32>, ContinualError> {
        let (shape, data) = self.take(name, 1)?;
        if shape != [length] {
            return Err(self.wrong(
                name,
                &format!("{length} numbers"),
                &format!("the shape {shape:?}"),
            ));
        }
        Ok(data)
    }

    fn norm(&mut self, name: &str, width: usize) -> Result<Norm, ContinualError> {
        let mut of = |what: &str| self.vector(&format!("{name}.{what}"), width);
        let (gamma, beta) = (of("weight")?, of("bias")?);
        let (mean, variance) = (of("running_mean")?, of("running_var")?);
        if variance.iter().any(|variance| *variance < 0.0) {
            return Err(self.wrong(
                &format!("{name}.running_var"),
                "variances of 0 at least",
                "a negative one",
            ));
        }
        let scale: Vec<f32> =
            gamma.iter().zip(&variance).map(|(gamma, v)| gamma / (v + EPSILON).sqrt()).collect();
        let shift = (0..width).map(|at| beta[at] - mean[at] * scale[at]).collect();
        Ok(Norm { scale, shift })
    }

    /// A convolution whose kernel is flattened, with the normalization that follows it: its input numbers, the side of
    /// its kernel, and itself.
    fn pointwise(
        &mut self,
        convolution: &str,
        norm: &str,
    ) -> Result<(usize, usize, Pointwise), ContinualError> {
        let name = format!("{convolution}.weight");
        let (shape, data) = self.take(&name, 4)?;
        let [width, inputs, side, across] = [shape[0], shape[1], shape[2], shape[3]];
        if side != across || width == 0 || inputs == 0 || side == 0 {
            return Err(self.wrong(&name, "a square kernel", &format!("the shape {shape:?}")));
        }
        let weight = Matrix::from_rows(width, inputs * side * side, data)?;
        let bias = self.vector(&format!("{convolution}.bias"), width)?;
        Ok((inputs, side, Pointwise { weight, bias, norm: self.norm(norm, width)? }))
    }

    fn block(&mut self, at: usize, width: usize) -> Result<Block, ContinualError> {
        let name = format!("features.{at}.0.fn.0");
        let (inputs, side, depthwise) = self.pointwise(&name, &format!("features.{at}.0.fn.2"))?;
        if inputs != 1 || depthwise.bias.len() != width || side % 2 == 0 {
            let got =
                format!("{} kernels of side {side} over {inputs} numbers", depthwise.bias.len());
            return Err(self.wrong(
                &name,
                &format!("{width} kernels of odd side over one number"),
                &got,
            ));
        }
        let name = format!("features.{at}.1");
        let (inputs, one, mix) = self.pointwise(&name, &format!("features.{at}.3"))?;
        if inputs != width || one != 1 || mix.bias.len() != width {
            return Err(self.wrong(
                &name,
                &format!("{width} by {width} numbers"),
                &format!("{} by {inputs}", mix.bias.len()),
            ));
        }
        let Pointwise { weight, bias, norm } = depthwise;
        Ok(Block { kernel: weight.transposed(), side, bias, norm, mix })
    }

    fn wrong(&self, name: &str, expected: &str, got: &str) -> ContinualError {
        ContinualError::Weights {
            what: format!("{}: {name}", self.file),
            expected: expected.to_owned(),
            got: got.to_owned(),
        }
    }
}

impl ConvMixer {
    /// The features of a network as PyTorch stores it (`features.0` the patches, `features.2` their normalization,
    /// `features.3` and on the blocks), for square images of this side. A classifier is passed over.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Data`] for bytes that are no such file, [`ContinualError::Weights`] for tensors that are
    /// missing or do not fit, with the file's and the tensor's name.
    pub fn decode(file: &str, bytes: &[u8], side: usize) -> Result<Self, ContinualError> {
        let mut tensors = Tensors { file, all: pytorch::decode_state_dict(file, bytes)? };
        let (colors, patch, embed) = tensors.pointwise("features.0", "features.2")?;
        if colors != COLORS || side == 0 || !side.is_multiple_of(patch) {
            let got = format!("{patch}×{patch} of {colors} colors, for images of side {side}");
            return Err(tensors.wrong(
                "features.0",
                "patches of three colors that fill an image",
                &got,
            ));
        }
        let mut blocks = Vec::new();
        while tensors.all.contains_key(&format!("features.{}.0.fn.0.weight", blocks.len() + 3)) {
            blocks.push(tensors.block(blocks.len() + 3, embed.bias.len())?);
        }
        if blocks.is_empty() {
            return Err(tensors.wrong("features.3.0.fn.0.weight", "a first block", "none"));
        }
        Ok(Self { side, patch, embed, blocks })
    }

    /// Numbers of an embedding.
    pub fn width(&self) -> usize {
        self.embed.bias.len()
    }

    /// The embeddings of images.
    ///
    /// # Shapes
    ///
    /// `pixels` `[image, color, row, column]` as CIFAR files have them, from 0 to 255; the result `[image, number]`.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Kernel`] if the pixels do not fill whole images.
    pub fn embed(&self, pixels: &[u8]) -> Result<Matrix, ContinualError> {
        let size = COLORS * self.side * self.side;
        let n = pixels.len() / size;
        kernels::KernelError::check("pixels of whole images", n * size, pixels.len())?;
        let images: Vec<_> = pixels.par_chunks(size).map(|image| self.embedding(image)).collect();
        let mut values = Vec::with_capacity(n * self.width());
        for image in images {
            values.extend(image?);
        }
        Ok(Matrix::from_rows(n, self.width(), values)?)
    }

    fn embedding(&self, image: &[u8]) -> Result<Vec<f32>, ContinualError> {
        let n_side = self.side / self.patch;
        let mut y = self.embed.apply(&self.patches(image)?)?;
        for block in &self.blocks {
            let mixed = block.across(&y, n_side);
            y.values_mut().iter_mut().zip(mixed.values()).for_each(|(y, more)| *y += more);
            y = block.mix.apply(&y)?;
        }
        let mut mean = vec![0.0_f32; self.width()];
        for place in y.rows() {
            mean.iter_mut().zip(place).for_each(|(mean, value)| *mean += value);
        }
        let n_places = y.n_rows() as f32;
        Ok(mean.into_iter().map(|mean| mean / n_places).collect())
    }

    /// Normalized pixels by patch: `[place, color·row·column]`.
    fn patches(&self, image: &[u8]) -> Result<Matrix, ContinualError> {
        let (side, patch) = (self.side, self.patch);
        let n_side = side / patch;
        let mut values = Vec::with_capacity(image.len());
        for place in 0..n_side * n_side {
            let (row, column) = (place / n_side * patch, place % n_side * patch);
            for color in 0..COLORS {
                for at in 0..patch * patch {
                    let (row, column) = (row + at / patch, column + at % patch);
                    let pixel = f32::from(image[(color * side + row) * side + column]) / 255.0;
                    values.push((pixel - MEAN[color]) / DEVIATION[color]);
                }
            }
        }
        Ok(Matrix::from_rows(n_side * n_side, COLORS * patch * patch, values)?)
    }
}

impl Pointwise {
    fn apply(&self, x: &Matrix) -> Result<Matrix, ContinualError> {
        let mut y = product_transposed(x, &self.weight)?;
        finish(&mut y, &self.bias, &self.norm);
        Ok(y)
    }
}

impl Block {
    /// N(G(depthwise convolution)); beyond the image are zeros.
    fn across(&self, x: &Matrix, n_side: usize) -> Matrix {
        let (width, reach) = (x.n_columns(), self.side / 2);
        let mut y = Matrix::zeros(x.n_rows(), width);
        for row in 0..n_side {
            for column in 0..n_side {
                let sums = y.row_mut(row * n_side + column);
                for down in 0..self.side {
                    for right in 0..self.side {
                        let (Some(row), Some(column)) =
                            ((row + down).checked_sub(reach), (column + right).checked_sub(reach))
                        else {
                            continue;
                        };
                        if row < n_side && column < n_side {
                            let weights = self.kernel.row(down * self.side + right);
                            let from = x.row(row * n_side + column);
                            for ((sum, weight), value) in sums.iter_mut().zip(weights).zip(from) {
                                *sum += weight * value;
                            }
                        }
                    }
                }
            }
        }
        finish(&mut y, &self.bias, &self.norm);
        y
    }
}

/// y ← N(G(y + bias)).
fn finish(y: &mut Matrix, bias: &[f32], norm: &Norm) {
    let width = bias.len();
    for row in y.values_mut().chunks_exact_mut(width) {
        for (at, value) in row.iter_mut().enumerate() {
            *value = gelu(*value + bias[at]) * norm.scale[at] + norm.shift[at];
        }
    }
}

/// x·Φ(x), with Φ the normal distribution.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mixer of width 2 with one block on images of 4×4: patches of 2×2, kernels of 3×3.
    fn tiny() -> ConvMixer {
        let values = |n: usize, seed: usize| -> Vec<f32> {
            (0..n).map(|at| ((at * 7 + seed * 5) % 11) as f32 / 10.0 - 0.5).collect()
        };
        let norm = |seed| Norm { scale: vec![1.5, 0.5], shift: values(2, seed) };
        let pointwise = |inputs: usize, seed| Pointwise {
            weight: Matrix::from_rows(2, inputs, values(2 * inputs, seed)).unwrap(),
            bias: values(2, seed + 1),
            norm: norm(seed + 2),
        };
        let block = Block {
            kernel: Matrix::from_rows(9, 2, values(18, 3)).unwrap(),
            side: 3,
            bias: values(2, 4),
            norm: norm(5),
            mix: pointwise(2, 6),
        };
        ConvMixer { side: 4, patch: 2, embed: pointwise(12, 1), blocks: vec![block] }
    }

    /// The same by sums over everything, as a convolution is defined.
    fn naive(mixer: &ConvMixer, image: &[u8]) -> Vec<f64> {
        let activate = |x: f64, bias: f32, norm: &Norm, at: usize| {
            let x = x + f64::from(bias);
            let gelu = 0.5 * x * (1.0 + libm::erf(x / 2.0_f64.sqrt()));
            gelu * f64::from(norm.scale[at]) + f64::from(norm.shift[at])
        };
        let pixel = |color: usize, row: usize, column: usize| {
            let value = f64::from(image[(color * 4 + row) * 4 + column]) / 255.0;
            (value - f64::from(MEAN[color])) / f64::from(DEVIATION[color])
        };
        let mut y = [[[0.0_f64; 2]; 2]; 2];
        for (row, column, out) in (0..8).map(|at| (at / 4, at / 2 % 2, at % 2)) {
            let mut sum = 0.0;
            for (color, down, right) in (0..12).map(|at| (at / 4, at / 2 % 2, at % 2)) {
                let weight = f64::from(mixer.embed.weight.row(out)[color * 4 + down * 2 + right]);
                sum += weight * pixel(color, 2 * row + down, 2 * column + right);
            }
            y[row][column][out] = activate(sum, mixer.embed.bias[out], &mixer.embed.norm, out);
        }
        let block = &mixer.blocks[0];
        let mut mixed = y;
        for (row, column, out) in (0..8).map(|at| (at / 4, at / 2 % 2, at % 2)) {
            let mut sum = 0.0;
            for (from_row, from_column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = (from_row + 1 - row) * 3 + from_column + 1 - column;
                sum += f64::from(block.kernel.row(at)[out]) * y[from_row][from_column][out];
            }
            mixed[row][column][out] += activate(sum, block.bias[out], &block.norm, out);
        }
        let mut mean = vec![0.0; 2];
        for place in mixed.iter().flatten() {
            for (out, mean) in mean.iter_mut().enumerate() {
                let weights = block.mix.weight.row(out);
                let sum = f64::from(weights[0]) * place[0] + f64::from(weights[1]) * place[1];
                *mean += activate(sum, block.mix.bias[out], &block.mix.norm, out) / 4.0;
            }
        }
        mean
    }

    #[test]
    fn a_mixer_is_what_its_sums_say() {
        let mixer = tiny();
        let images: Vec<u8> =
            (0..96_usize).map(|at| u8::try_from(at * 83 % 256).unwrap()).collect();
        let embeddings = mixer.embed(&images).unwrap();
        for (image, embedding) in images.chunks(48).zip(embeddings.rows()) {
            for (expected, got) in naive(&mixer, image).iter().zip(embedding) {
                assert!((expected - f64::from(*got)).abs() < 1e-5, "{expected} {got}");
            }
        }
        assert!(mixer.embed(&images[1..]).unwrap_err().to_string().contains("whole images"));
    }

    #[test]
    fn gelu_has_its_known_values() {
        assert_eq!(gelu(0.0), 0.0);
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
        assert!((gelu(-1.0) + 0.158_655_3).abs() < 1e-6);
    }

    #[test]
    fn bytes_that_are_no_network_are_refused_by_name() {
        let error = ConvMixer::decode("weights.pt", b"PK", 32).unwrap_err().to_string();
        assert!(error.contains("weights.pt"), "{error}");
    }
}
