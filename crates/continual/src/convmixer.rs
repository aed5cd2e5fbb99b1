//! The `ConvMixer` through which Paper B looks at images: the authors' weights, frozen.

use std::collections::BTreeMap;
use std::error::Error;

use kernels::{Matrix, product_transposed};
use manifest::decode::{Array, Numbers, pytorch};
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
/// 2×2, kernels of 5×5. The sizes are those of the tensors.
///
/// # Examples
///
/// Images of one pixel, one number and one block. The weights of both convolutions are 0, and G(0) = 0: their
/// normalizations say 3 and 4. The block's product gives 2·(3 + 4), of which G is 14, and its normalization adds 5.
///
/// ```
/// use std::collections::BTreeMap;
/// use continual::ConvMixer;
/// use manifest::decode::{Array, Numbers};
///
/// let mut tensors = BTreeMap::new();
/// let mut put = |name: &str, shape: &[usize], value: f32| {
///     let data = vec![value; shape.iter().product()];
///     tensors.insert(name.to_owned(), Numbers::F32(Array { shape: shape.to_vec(), data }));
/// };
/// for (convolution, inputs, weight, norm, shift) in [
///     ("features.0", 3, 0.0, "features.2", 3.0),
///     ("features.3.0.fn.0", 1, 0.0, "features.3.0.fn.2", 4.0),
///     ("features.3.1", 1, 2.0, "features.3.3", 5.0),
/// ] {
///     put(&format!("{convolution}.weight"), &[1, inputs, 1, 1], weight);
///     put(&format!("{convolution}.bias"), &[1], 0.0);
///     for (what, value) in [("weight", 1.0), ("bias", shift), ("running_mean", 0.0), ("running_var", 1.0)] {
///         put(&format!("{norm}.{what}"), &[1], value);
///     }
/// }
/// let mixer = ConvMixer::from_tensors("by hand", tensors, 1)?;
/// let embedding = mixer.embed(&[10, 20, 30])?.row(0)[0];
/// assert!((embedding - 19.0).abs() < 1e-3, "{embedding}"); // but for what normalization adds to a variance
/// # Ok::<(), continual::ContinualError>(())
/// ```
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
                &format!("{name}.weight"),
                &format!("{width} kernels of odd side over one number"),
                &got,
            ));
        }
        let name = format!("features.{at}.1");
        let (inputs, one, mix) = self.pointwise(&name, &format!("features.{at}.3"))?;
        if inputs != width || one != 1 || mix.bias.len() != width {
            return Err(self.wrong(
                &format!("{name}.weight"),
                &format!("{width} by {width} numbers"),
                &format!("{} by {inputs}", mix.bias.len()),
            ));
        }
        let Pointwise { weight, bias, norm } = depthwise;
        Ok(Block { kernel: weight.transposed(), side, bias, norm, mix })
    }

    /// A tensor that no layer took would be a part of another network; PyTorch's counts of batches are none.
    fn nothing_is_left(&self) -> Result<(), ContinualError> {
        let mut left = self.all.keys().filter(|name| name.starts_with("features."));
        match left.find(|name| !name.ends_with(".num_batches_tracked")) {
            None => Ok(()),
            Some(name) => Err(self.wrong(name, "blocks without gaps", "a tensor of no block")),
        }
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
    /// The features of a network in the file that PyTorch stores: see [`ConvMixer::from_tensors`].
    ///
    /// # Errors
    ///
    /// Those of [`ConvMixer::from_tensors`]; [`ContinualError::Data`] for bytes that are no such file.
    pub fn decode(file: &str, bytes: &[u8], side: usize) -> Result<Self, ContinualError> {
        Self::from_tensors(file, pytorch::decode_state_dict(file, bytes)?, side)
    }

    /// The features of a network by PyTorch's names (`features.0` the patches, `features.2` their normalization,
    /// `features.3` and on the blocks), for square images of this side. A classifier is passed over.
    ///
    /// # Shapes
    ///
    /// Patches `[number, color, row, column]`; of a block the depthwise kernels `[number, 1, row, column]` and the
    /// product `[number, number, 1, 1]`; all else `[number]`.
    ///
    /// # Errors
    ///
    /// [`ContinualError::Weights`] for tensors that are missing, do not fit or belong to no block, with the file's and
    /// the tensor's name; [`ContinualError::Data`] for a number that is not finite.
    pub fn from_tensors(
        file: &str,
        tensors: BTreeMap<String, Numbers>,
        side: usize,
    ) -> Result<Self, ContinualError> {
        let mut tensors = Tensors { file, all: tensors };
        let (colors, patch, embed) = tensors.pointwise("features.0", "features.2")?;
        if colors != COLORS || side == 0 || !side.is_multiple_of(patch) {
            let got = format!("{patch}×{patch} of {colors} colors, for images of side {side}");
            return Err(tensors.wrong(
                "features.0.weight",
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
        tensors.nothing_is_left()?;
        Ok(Self { side, patch, embed, blocks })
    }

    /// The embeddings of images by the network in a file of weights, as [`manifest::Store::with_extractor`] takes it.
    ///
    /// # Shapes
    ///
    /// `images` `[image, color, row, column]`; the result `[image, number]`.
    ///
    /// # Errors
    ///
    /// Those of [`ConvMixer::decode`] and [`ConvMixer::embed`].
    pub fn extract(
        file: &str,
        weights: &[u8],
        images: &Array<u8>,
    ) -> Result<Array<f32>, Box<dyn Error + Send + Sync>> {
        let side = images.shape.last().copied().unwrap_or(0);
        let embeddings = Self::decode(file, weights, side)?.embed(&images.data)?;
        let shape = vec![embeddings.n_rows(), embeddings.n_columns()];
        Ok(Array { shape, data: embeddings.values().to_vec() })
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
        // In single precision this sum would lose more than all layers together.
        let mut sums = vec![0.0_f64; self.width()];
        for place in y.rows() {
            sums.iter_mut().zip(place).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        Ok(sums.into_iter().map(|sum| narrowed(sum / y.n_rows() as f64)).collect())
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

#[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
fn narrowed(value: f64) -> f32 {
    value as f32
}

/// x·Φ(x), with Φ the normal distribution.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mixer of width 2 with one block on images of 4×4: patches of 2×2, kernels of 3×3.
    fn tiny() -> BTreeMap<String, Numbers> {
        let shapes: [(&str, &[usize]); 6] = [
            ("features.0.weight", &[2, 3, 2, 2]),
            ("features.0.bias", &[2]),
            ("features.3.0.fn.0.weight", &[2, 1, 3, 3]),
            ("features.3.0.fn.0.bias", &[2]),
            ("features.3.1.weight", &[2, 2, 1, 1]),
            ("features.3.1.bias", &[2]),
        ];
        let mut tensors = BTreeMap::new();
        let mut put = |name: String, shape: &[usize], offset: f32| {
            let seed = tensors.len();
            let value = |at: usize| ((at * 7 + seed * 5) % 11) as f32 / 10.0 + offset;
            let data = (0..shape.iter().product()).map(value).collect();
            tensors.insert(name, Numbers::F32(Array { shape: shape.to_vec(), data }));
        };
        for (name, shape) in shapes {
            put(name.to_owned(), shape, -0.5);
        }
        for norm in ["features.2", "features.3.0.fn.2", "features.3.3"] {
            for what in ["weight", "bias", "running_mean"] {
                put(format!("{norm}.{what}"), &[2], -0.5);
            }
            put(format!("{norm}.running_var"), &[2], 0.3);
        }
        let count = Numbers::I64(Array { shape: vec![], data: vec![7] });
        tensors.insert("features.2.num_batches_tracked".to_owned(), count);
        tensors
    }

    fn images() -> Vec<u8> {
        (0..96_usize).map(|at| u8::try_from(at * 83 % 256).unwrap()).collect()
    }

    /// A tensor's value at a flat place.
    fn value(tensors: &BTreeMap<String, Numbers>, name: &str, at: usize) -> f64 {
        let Numbers::F32(array) = &tensors[name] else { panic!("{name}") };
        f64::from(array.data[at])
    }

    /// The same in double precision, by sums over everything, as convolution and normalization are defined.
    fn naive(tensors: &BTreeMap<String, Numbers>, image: &[u8]) -> [f64; 2] {
        let value = |name: &str, at: usize| value(tensors, name, at);
        let activate = |sum: f64, convolution: &str, norm: &str, out: usize| {
            let x = sum + value(&format!("{convolution}.bias"), out);
            let gelu = 0.5 * x * (1.0 + libm::erf(x / 2.0_f64.sqrt()));
            let of = |what: &str| value(&format!("{norm}.{what}"), out);
            let centered = gelu - of("running_mean");
            centered / (of("running_var") + 1e-5).sqrt() * of("weight") + of("bias")
        };
        let pixel = |color: usize, row: usize, column: usize| {
            let (mean, deviation) = ([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616]);
            let value = f64::from(image[(color * 4 + row) * 4 + column]) / 255.0;
            (value - mean[color]) / deviation[color]
        };
        let places = || (0..8).map(|at| (at / 4, at / 2 % 2, at % 2));
        let mut y = [[[0.0_f64; 2]; 2]; 2];
        for (row, column, out) in places() {
            let mut sum = 0.0;
            for (color, down, right) in (0..12).map(|at| (at / 4, at / 2 % 2, at % 2)) {
                let weight = value("features.0.weight", ((out * 3 + color) * 2 + down) * 2 + right);
                sum += weight * pixel(color, 2 * row + down, 2 * column + right);
            }
            y[row][column][out] = activate(sum, "features.0", "features.2", out);
        }
        let mut mixed = y;
        for (row, column, out) in places() {
            let mut sum = 0.0;
            for (from_row, from_column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let at = (out * 3 + from_row + 1 - row) * 3 + from_column + 1 - column;
                sum += value("features.3.0.fn.0.weight", at) * y[from_row][from_column][out];
            }
            mixed[row][column][out] += activate(sum, "features.3.0.fn.0", "features.3.0.fn.2", out);
        }
        let mut mean = [0.0; 2];
        for (row, column, out) in places() {
            let weight = |from: usize| value("features.3.1.weight", out * 2 + from);
            let sum = weight(0) * mixed[row][column][0] + weight(1) * mixed[row][column][1];
            mean[out] += activate(sum, "features.3.1", "features.3.3", out) / 4.0;
        }
        mean
    }

    #[test]
    fn a_mixer_is_what_its_sums_say() {
        let mixer = ConvMixer::from_tensors("tiny", tiny(), 4).unwrap();
        assert_eq!(mixer.width(), 2);
        let embeddings = mixer.embed(&images()).unwrap();
        for (image, embedding) in images().chunks(48).zip(embeddings.rows()) {
            for (expected, got) in naive(&tiny(), image).iter().zip(embedding) {
                assert!((expected - f64::from(*got)).abs() < 1e-5, "{expected} {got}");
            }
        }
        let error = mixer.embed(&images()[1..]).unwrap_err().to_string();
        assert!(error.contains("whole images"), "{error}");
    }

    #[test]
    fn embeddings_do_not_depend_on_the_number_of_threads() {
        let mixer = ConvMixer::from_tensors("tiny", tiny(), 4).unwrap();
        let many: Vec<u8> = images().into_iter().cycle().take(48 * 33).collect();
        let with = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| mixer.embed(&many).unwrap())
        };
        assert_eq!(with(1).values(), with(3).values());
    }

    #[test]
    fn gelu_is_exact_to_single_precision() {
        assert_eq!(gelu(0.0), 0.0);
        assert!((gelu(1.0) - 0.841_344_7).abs() < 1e-6);
        for at in -8000..8000_i16 {
            let x = f32::from(at) / 1000.0;
            let double = f64::from(x);
            let exact = 0.5 * double * libm::erfc(-double / 2.0_f64.sqrt());
            // Two roundings of a number near 1, times x.
            let bound = f64::from(f32::EPSILON) * double.abs();
            assert!((f64::from(gelu(x)) - exact).abs() <= bound, "{x}: {} {exact}", gelu(x));
        }
    }

    /// What is said of the tiny mixer with one tensor changed.
    fn complaint(name: &str, tensor: Option<(&[usize], f32)>) -> String {
        let mut tensors = tiny();
        match tensor {
            None => drop(tensors.remove(name)),
            Some((shape, value)) => {
                let data = vec![value; shape.iter().product()];
                let array = Array { shape: shape.to_vec(), data };
                tensors.insert(name.to_owned(), Numbers::F32(array));
            }
        }
        let error = ConvMixer::from_tensors("tiny.pt", tensors, 4).unwrap_err().to_string();
        assert!(error.contains("tiny.pt") && error.contains(name), "{name}: {error}");
        error
    }

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        for name in ["features.0.weight", "features.2.bias", "features.3.0.fn.0.weight"] {
            complaint(name, None);
        }
        complaint("features.0.weight", Some((&[2, 3, 2], 0.0)));
        complaint("features.0.weight", Some((&[2, 3, 2, 1], 0.0)));
        complaint("features.0.bias", Some((&[3], 0.0)));
        complaint("features.3.0.fn.2.running_mean", Some((&[1], 0.0)));
        let negative = complaint("features.2.running_var", Some((&[2], -1.0)));
        assert!(negative.contains("negative"), "{negative}");
        // A block that begins after a gap, and one without its beginning.
        complaint("features.5.0.fn.0.weight", Some((&[2, 1, 3, 3], 0.0)));
        complaint("features.4.1.bias", Some((&[2], 0.0)));
        let even = complaint("features.3.0.fn.0.weight", Some((&[2, 1, 2, 2], 0.0)));
        assert!(even.contains("odd side"), "{even}");
        let wide = complaint("features.3.1.weight", Some((&[2, 3, 1, 1], 0.0)));
        assert!(wide.contains("2 by 3"), "{wide}");
        let error = ConvMixer::from_tensors("tiny.pt", tiny(), 5).unwrap_err().to_string();
        assert!(error.contains("images of side 5"), "{error}");
    }

    #[test]
    fn weights_that_are_no_numbers_are_refused() {
        for value in [f32::NAN, f32::INFINITY] {
            let error = complaint("features.3.1.weight", Some((&[2, 2, 1, 1], value)));
            assert!(error.contains("finite"), "{error}");
        }
    }

    #[test]
    fn bytes_that_are_no_network_are_refused_by_name() {
        let error = ConvMixer::decode("weights.pt", b"PK", 32).unwrap_err().to_string();
        assert!(error.contains("weights.pt"), "{error}");
    }
}
