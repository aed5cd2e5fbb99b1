//! What flows through a hook, and what a model says where something else does.

use burn::tensor::{Tensor, TensorData};
use kernels::{KernelError, Matrix};
use lm::{Change, Hook, Hooks, LmError, Site, Tokens, Transformer};

use crate::error::{InsideError, Result};
use crate::sequences::Sequences;

/// Sequences that a model reads at once.
const N_SEQUENCES: usize = 16;

/// What takes the place of activations, `[row, width]`.
pub type Replacement<'a> = Box<dyn FnMut(&Matrix) -> Result<Matrix> + 'a>;

/// The residual stream in the middle of a model, where paper C's dictionaries are: after the first half of its blocks.
pub fn middle(model: &Transformer) -> Hook {
    Hook::Block((model.config().n_layers / 2).saturating_sub(1), Site::ResidPost)
}

/// What flows through a hook, a row for each token behind the first of each sequence.
///
/// # Shapes
/// `[row, width of the hook]`, rows in the order of the tokens.
///
/// # Errors
/// [`InsideError::Empty`] without rows; as [`Transformer::read`].
pub fn activations(model: &Transformer, hook: Hook, sequences: &Sequences) -> Result<Matrix> {
    let mut rows: Vec<f32> = Vec::new();
    let mut width = 0;
    for batch in sequences.tokens().chunks(N_SEQUENCES) {
        let (_, numbers, of_hook) = read(model, hook, batch)?;
        rows.extend(behind_first(&numbers, batch, of_hook));
        width = of_hook;
    }
    if rows.is_empty() {
        return Err(InsideError::Empty { what: "the texts" });
    }
    Ok(Matrix::from_rows(rows.len() / width, width, rows)?)
}

/// What a model says of tokens where something flows through a hook.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    /// −ln p of each token, in nats.
    pub losses: Vec<f64>,
    /// KL of the model's own expectation of each token from this one, in nats.
    pub divergences: Vec<f64>,
}

/// The same for the model as it is, and for each replacement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replaced {
    /// −ln p of each token for the model as it is.
    pub clean: Vec<f64>,
    /// In the order of the replacements.
    pub each: Vec<Told>,
}

/// What a model says of every token but the first two of each sequence where replacements take the place of what flows
/// through a hook. Of the second it cannot say anything else: it reads the first alone, which is not replaced.
///
/// # Errors
/// [`InsideError::Empty`] without such tokens; [`KernelError::Size`] for a replacement of another shape; as
/// [`Transformer::forward`] and the replacements.
///
/// # Examples
///
/// Nothing changes where activations take their own place:
///
/// ```
/// use inside::{Replacement, Sequences, replaced};
/// use lm::{Config, Hook, Site, Transformer};
///
/// # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
/// #     "n_layer": 2, "n_head": 2}"#;
/// # let config = Config::from_json("config.json", text)?;
/// # let device = device::DeviceName::Flex.open().unwrap();
/// let model = Transformer::random(config, seed::Seed::new(1), &device)?;
/// let sequences = Sequences::cut([vec![1, 2, 3], vec![4, 5]], 0, 8)?;
/// let itself: Replacement<'_> = Box::new(|x| Ok(x.clone()));
/// let told = replaced(&model, Hook::Block(0, Site::ResidPost), &sequences, &mut [itself])?;
/// assert_eq!((told.clean.len(), &told.each[0].losses), (3, &told.clean));
/// assert!(told.each[0].divergences.iter().all(|kl| kl.abs() < 1e-12));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn replaced(
    model: &Transformer,
    hook: Hook,
    sequences: &Sequences,
    replacements: &mut [Replacement<'_>],
) -> Result<Replaced> {
    let mut told = Replaced { clean: Vec::new(), each: vec![Told::default(); replacements.len()] };
    for batch in sequences.tokens().chunks(N_SEQUENCES) {
        let n_positions = longest(batch);
        let (tokens, numbers, width) = read(model, hook, batch)?;
        let clean = expectations(model, &tokens, &mut Hooks::new(), batch)?;
        if clean.n_rows() == 0 {
            continue;
        }
        let targets: Vec<u32> =
            batch.iter().flat_map(|sequence| sequence.iter().skip(2).copied()).collect();
        told.clean.extend(losses(&clean, &targets));
        let rows: Vec<f32> = behind_first(&numbers, batch, width).collect();
        let x = Matrix::from_rows(rows.len() / width, width, rows)?;
        for (replacement, told) in replacements.iter_mut().zip(&mut told.each) {
            let instead = replacement(&x)?;
            KernelError::check("rows in place of activations", x.n_rows(), instead.n_rows())?;
            KernelError::check("columns in place of activations", width, instead.n_columns())?;
            let mut filled = numbers.clone();
            let mut rows = instead.rows();
            for (at, sequence) in batch.iter().enumerate() {
                for position in 1..sequence.len() {
                    let place = (at * n_positions + position) * width;
                    if let Some(row) = rows.next() {
                        filled[place..place + width].copy_from_slice(row);
                    }
                }
            }
            let data = TensorData::new(filled, [batch.len(), n_positions, width]);
            let change = Change::Replace(Tensor::from_data(data, &model.device()));
            let mut hooks = Hooks::new().edit(hook, change);
            let changed = expectations(model, &tokens, &mut hooks, batch)?;
            told.losses.extend(losses(&changed, &targets));
            told.divergences.extend(interp::kl_divergences(&clean, &changed)?);
        }
    }
    if told.clean.is_empty() {
        return Err(InsideError::Empty { what: "behind the second, the texts" });
    }
    Ok(told)
}

/// Tokens of a batch, what flows through the hook at all positions, and its width.
fn read(model: &Transformer, hook: Hook, batch: &[Vec<u32>]) -> Result<(Tokens, Vec<f32>, usize)> {
    let n_positions = longest(batch);
    let padded = batch.iter().map(|sequence| {
        let mut padded = sequence.clone();
        // Attention looks back only: what fills up a sequence changes nothing before it.
        padded.resize(n_positions, 0);
        padded
    });
    let tokens = Tokens::new(padded.collect())?;
    let mut hooks = Hooks::new().capture(hook);
    model.read(&tokens, &mut hooks)?;
    let captured = hooks.captured(hook)?;
    let [_, _, width] = captured.dims();
    Ok((tokens, numbers(captured, "what flows through the hook")?, width))
}

fn longest(batch: &[Vec<u32>]) -> usize {
    batch.iter().map(Vec::len).max().unwrap_or(0)
}

fn numbers(tensor: Tensor<3>, what: &str) -> Result<Vec<f32>> {
    let numbers = tensor.try_into_vec_as::<f32>();
    Ok(numbers
        .map_err(|error| LmError::Device { what: what.to_owned(), problem: error.to_string() })?)
}

/// Of padded positions those behind the first of each sequence.
fn behind_first<'a>(
    numbers: &'a [f32],
    batch: &'a [Vec<u32>],
    width: usize,
) -> impl Iterator<Item = f32> + 'a {
    let sequences = numbers.chunks(longest(batch) * width).zip(batch);
    sequences
        .flat_map(move |(numbers, sequence)| numbers[width..sequence.len() * width].iter().copied())
}

/// Logits at every position but the first and the last of each sequence.
fn expectations(
    model: &Transformer,
    tokens: &Tokens,
    hooks: &mut Hooks,
    batch: &[Vec<u32>],
) -> Result<Matrix> {
    let logits = model.forward(tokens, hooks)?;
    let [_, n_positions, n_tokens] = logits.dims();
    let logits = numbers(logits, "the logits")?;
    let mut rows = Vec::new();
    for (sequence, logits) in batch.iter().zip(logits.chunks(n_positions * n_tokens)) {
        if sequence.len() > 2 {
            rows.extend_from_slice(&logits[n_tokens..(sequence.len() - 1) * n_tokens]);
        }
    }
    Ok(Matrix::from_rows(rows.len() / n_tokens, n_tokens, rows)?)
}

/// −ln of the softmax at each target.
fn losses(logits: &Matrix, targets: &[u32]) -> Vec<f64> {
    let rows = logits.rows().zip(targets);
    let of = |(row, target): (&[f32], &u32)| {
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f64 = row.iter().map(|logit| libm::exp(f64::from(logit - most))).sum();
        f64::from(most) + libm::log(sum) - f64::from(row[*target as usize])
    };
    rows.map(of).collect()
}

#[cfg(test)]
mod tests {
    use device::DeviceName;
    use lm::Config;
    use seed::Seed;

    use super::*;

    const HOOK: Hook = Hook::Block(0, Site::ResidPost);

    fn model() -> Transformer {
        let text = br#"{"model_type": "gpt2", "vocab_size": 13, "n_positions": 8, "n_embd": 6,
            "n_layer": 2, "n_head": 2}"#;
        let config = Config::from_json("config.json", text).unwrap();
        Transformer::random(config, Seed::new(2), &DeviceName::Flex.open().unwrap()).unwrap()
    }

    fn sequences() -> Sequences {
        let texts = [vec![1, 2, 3, 4], vec![5], vec![6, 7, 8, 9, 10, 11]];
        Sequences::cut(texts, 0, 6).unwrap()
    }

    #[test]
    fn rows_are_those_of_sequences_read_alone() {
        let model = model();
        let together = activations(&model, HOOK, &sequences()).unwrap();
        let mut alone = Vec::new();
        for sequence in sequences().tokens() {
            let mut hooks = Hooks::new().capture(HOOK);
            model.read(&Tokens::new(vec![sequence.clone()]).unwrap(), &mut hooks).unwrap();
            let numbers = numbers(hooks.captured(HOOK).unwrap(), "").unwrap();
            alone.extend_from_slice(&numbers[6..]);
        }
        assert_eq!(together.n_rows(), sequences().n_rows());
        let worst = together.values().iter().zip(&alone).map(|(a, b)| (a - b).abs());
        assert!(worst.fold(0.0, f32::max) < 1e-6);
    }

    #[test]
    fn losses_are_those_of_a_map_at_the_hook() {
        let model = model();
        let half: Replacement<'_> = Box::new(|x| {
            let halved = x.values().iter().map(|x| x / 2.0).collect();
            Ok(Matrix::from_rows(x.n_rows(), x.n_columns(), halved)?)
        });
        let told = replaced(&model, HOOK, &sequences(), &mut [half]).unwrap();
        let mut expected = Vec::new();
        for sequence in sequences().tokens() {
            let change = Change::Map(Box::new(|x| x * 0.5));
            let mut hooks = Hooks::new().edit_at(HOOK, 1..8, change);
            let tokens = Tokens::new(vec![sequence.clone()]).unwrap();
            let logits =
                expectations(&model, &tokens, &mut hooks, std::slice::from_ref(sequence)).unwrap();
            expected.extend(losses(&logits, &sequence[2.min(sequence.len())..]));
        }
        assert_eq!(told.each[0].losses.len(), expected.len());
        let gaps = told.each[0].losses.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        assert!(gaps.fold(0.0, f64::max) < 1e-5);
        assert!(told.each[0].divergences.iter().all(|kl| *kl > 0.0));
        assert!(told.clean != told.each[0].losses);
    }

    #[test]
    fn a_replacement_of_another_shape_is_refused() {
        let wide: Replacement<'_> = Box::new(|x| Ok(Matrix::zeros(x.n_rows(), 7)));
        assert!(replaced(&model(), HOOK, &sequences(), &mut [wide]).is_err());
        assert!(activations(&model(), HOOK, &Sequences::default()).is_err());
        let short = Sequences::cut([vec![1]], 0, 8).unwrap();
        assert!(replaced(&model(), HOOK, &short, &mut []).is_err());
    }
}
