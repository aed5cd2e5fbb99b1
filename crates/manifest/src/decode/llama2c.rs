//! Models and tokenizers of llama2.c in its legacy layout, as the stories models come.
//!
//! A model is seven 32-bit integers (width, hidden width, layers, heads, key-value heads, vocabulary,
//! context; a negative vocabulary says that the output projection is stored too) and then the weights
//! in single precision, kind by kind, each kind for all layers. A tokenizer is the longest token's
//! length, and for each token a score, a length, and so many bytes. All are little-endian.

use crate::Error;

const MODEL: &str = "llama2.c model";
const TOKENIZER: &str = "llama2.c tokenizer";

/// No size of a model of this layout is larger.
const LARGEST_SIZE: i32 = 1 << 20;

/// The sizes in a model's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Width of the residual stream.
    pub d_model: usize,
    /// Hidden width of the gated feed-forward part.
    pub d_hidden: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Heads.
    pub n_heads: usize,
    /// Heads of keys and values.
    pub n_kv_heads: usize,
    /// Tokens.
    pub vocab_size: usize,
    /// Context.
    pub n_ctx: usize,
    /// Whether logits are products with the token embedding.
    pub is_tied: bool,
}

/// The kinds of weights, in the order of the file; each `[layer, out, in]` or `[layer, width]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The token embedding, once.
    Embed,
    /// The norm before attention.
    AttentionNorm,
    /// Queries; the two numbers of a rotated pair stand next to each other.
    Query,
    /// Keys, likewise.
    Key,
    /// Values.
    Value,
    /// What attention puts out.
    Output,
    /// The norm before the feed-forward part.
    MlpNorm,
    /// The gate.
    Gate,
    /// From hidden to the residual stream.
    Down,
    /// What the gate multiplies.
    Up,
    /// The norm at the end, once.
    FinalNorm,
    /// Cosines and sines of the rotation, once; they follow from the sizes.
    Rotation,
    /// The output projection, once.
    Unembed,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::Embed,
        Self::AttentionNorm,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Output,
        Self::MlpNorm,
        Self::Gate,
        Self::Down,
        Self::Up,
        Self::FinalNorm,
        Self::Rotation,
        Self::Unembed,
    ];

    /// How often it stands in the file, and the shape of each.
    fn shape(self, sizes: &Sizes) -> (usize, Vec<usize>) {
        let Sizes { d_model, d_hidden, n_layers, n_heads, n_kv_heads, .. } = *sizes;
        let d_kv = d_model / n_heads * n_kv_heads;
        match self {
            Self::Embed => (1, vec![sizes.vocab_size, d_model]),
            Self::AttentionNorm | Self::MlpNorm => (n_layers, vec![d_model]),
            Self::Query | Self::Output => (n_layers, vec![d_model, d_model]),
            Self::Key | Self::Value => (n_layers, vec![d_kv, d_model]),
            Self::Gate | Self::Up => (n_layers, vec![d_hidden, d_model]),
            Self::Down => (n_layers, vec![d_model, d_hidden]),
            Self::FinalNorm => (1, vec![d_model]),
            Self::Rotation => (1, vec![sizes.n_ctx, d_model / n_heads]),
            Self::Unembed => (usize::from(!sizes.is_tied), vec![sizes.vocab_size, d_model]),
        }
    }
}

/// A model: its sizes and its weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The sizes.
    pub sizes: Sizes,
    /// The numbers after the header.
    numbers: Vec<f32>,
}

impl Model {
    /// Reads a model.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] for sizes that cannot be or do not come to the file's length,
    /// [`Error::NotFinite`] for a number that is not finite.
    pub fn decode(file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let wrong = |expected: String, got: String| Error::decode(file, MODEL, expected, got);
        let Some((header, rest)) = bytes.split_at_checked(28) else {
            return Err(wrong("a header of 28 bytes".to_owned(), format!("{}", bytes.len())));
        };
        let header: Vec<i32> =
            header.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let is_size = |size: &i32| (1..=LARGEST_SIZE).contains(size);
        let is_fitting = header[..5].iter().all(is_size)
            && is_size(&header[5].saturating_abs())
            && is_size(&header[6])
            && header[0] % header[3] == 0
            && header[0] / header[3] % 2 == 0
            && header[3] % header[4] == 0;
        if !is_fitting {
            let expected = "sizes from 1 to 2^20 that divide each other, even heads";
            return Err(wrong(expected.to_owned(), format!("{header:?}")));
        }
        let size = |at: usize| header[at].unsigned_abs() as usize;
        let sizes = Sizes {
            d_model: size(0),
            d_hidden: size(1),
            n_layers: size(2),
            n_heads: size(3),
            n_kv_heads: size(4),
            vocab_size: size(5),
            n_ctx: size(6),
            is_tied: header[5] > 0,
        };
        // Products of three sizes of at most 2^20 each: their sum is inside 64 bits, four times it need not be.
        let n_of = |(n, shape): (usize, Vec<usize>)| n * shape.iter().product::<usize>();
        let n_numbers: usize = Kind::ALL.map(|kind| n_of(kind.shape(&sizes))).iter().sum();
        if n_numbers.checked_mul(4) != Some(rest.len()) {
            let expected = format!("{n_numbers} numbers after the header, as it says");
            return Err(wrong(expected, format!("{} bytes", rest.len())));
        }
        let numbers: Vec<f32> =
            rest.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match numbers.iter().position(|number| !number.is_finite()) {
            None => Ok(Self { sizes, numbers }),
            Some(index) => {
                let value = f64::from(numbers[index]);
                Err(Error::NotFinite { file: file.to_owned(), index, value })
            }
        }
    }

    /// The weights of a kind, one after the other, with the shape of each; none of a kind that the file
    /// does not have.
    pub fn weights(&self, kind: Kind) -> (Vec<usize>, Vec<&[f32]>) {
        let mut start = 0;
        for before in Kind::ALL.into_iter().take_while(|before| *before != kind) {
            let (n, shape) = before.shape(&self.sizes);
            start += n * shape.iter().product::<usize>();
        }
        let (n, shape) = kind.shape(&self.sizes);
        let len = shape.iter().product::<usize>();
        let weights = self.numbers[start..start + n * len].chunks_exact(len).collect();
        (shape, weights)
    }
}

/// A token of a tokenizer.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// Pairs that make a piece of higher score are merged first.
    pub score: f32,
    /// Its text.
    pub text: String,
}

/// Reads a tokenizer of so many tokens.
///
/// # Errors
///
/// [`Error::Decode`] if the file is shorter or longer, or a token is no UTF-8.
pub fn decode_tokenizer(file: &str, bytes: &[u8], vocab_size: usize) -> Result<Vec<Piece>, Error> {
    let wrong = |expected: &str, got: String| Error::decode(file, TOKENIZER, expected, got);
    let mut rest = bytes.get(4..).unwrap_or_default();
    let mut pieces = Vec::new();
    for id in 0..vocab_size {
        let token = || -> Option<(f32, &[u8], &[u8])> {
            let (head, rest) = rest.split_at_checked(8)?;
            let score = f32::from_le_bytes([head[0], head[1], head[2], head[3]]);
            let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            let (text, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            Some((score, text, rest))
        };
        let Some((score, text, after)) = token() else {
            return Err(wrong("as many tokens as the model has", format!("{id} whole ones")));
        };
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(wrong("tokens in UTF-8", format!("other bytes in token {id}")));
        };
        pieces.push(Piece { score, text: text.to_owned() });
        rest = after;
    }
    if rest.is_empty() {
        return Ok(pieces);
    }
    Err(wrong("as many tokens as the model has", format!("{} bytes more", rest.len())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One layer, two heads of two numbers over one of keys, hidden 3, vocabulary 2, context 1: each
    /// number is its own index.
    fn tiny(vocab_size: i32) -> Vec<u8> {
        let header = [4, 3, 1, 2, 1, vocab_size, 1].map(i32::to_le_bytes).concat();
        let n: u16 = 8 + 4 + 16 + 8 + 8 + 16 + 4 + 12 + 12 + 12 + 4 + 2;
        let n = if vocab_size < 0 { n + 8 } else { n };
        let numbers = (0..n).flat_map(|number| f32::from(number).to_le_bytes());
        header.into_iter().chain(numbers).collect()
    }

    #[test]
    fn kinds_are_found_one_after_the_other() {
        let model = Model::decode("tiny", &tiny(2)).unwrap();
        let (shape, keys) = model.weights(Kind::Key);
        assert_eq!(
            (shape, keys),
            (vec![2, 4], vec![&[28., 29., 30., 31., 32., 33., 34., 35.][..]])
        );
        let (shape, down) = model.weights(Kind::Down);
        assert_eq!((shape, down[0][0].to_bits()), (vec![4, 3], 76_f32.to_bits()));
        assert!(model.weights(Kind::Unembed).1.is_empty());
        let untied = Model::decode("tiny", &tiny(-2)).unwrap();
        assert_eq!(untied.weights(Kind::Unembed).1[0][0].to_bits(), 106_f32.to_bits());
    }

    #[test]
    fn what_does_not_add_up_is_refused_by_name() {
        let message = |bytes: &[u8]| Model::decode("a.bin", bytes).unwrap_err().to_string();
        assert!(message(&tiny(2)[..20]).contains("a.bin"));
        assert!(message(&tiny(2)[..200]).contains("172"));
        let mut largest = tiny(2);
        let sizes = [1 << 20, 1 << 20, 1 << 20, 1, 1, 1 << 20, 1 << 20];
        largest[..28].copy_from_slice(&sizes.map(i32::to_le_bytes).concat());
        assert!(message(&largest).contains("numbers after the header"));
        assert!(message(&tiny(i32::MIN)).contains("2^20"));
        let mut nan = tiny(2);
        nan[28..32].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(message(&nan).contains("finite"));
    }

    #[test]
    fn a_tokenizer_has_as_many_tokens_as_the_model() {
        let mut bytes = 1_u32.to_le_bytes().to_vec();
        for (score, text) in [(-1.0_f32, "a"), (0.5, "é")] {
            bytes.extend(score.to_le_bytes());
            bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let pieces = decode_tokenizer("t.bin", &bytes, 2).unwrap();
        assert_eq!(pieces[1], Piece { score: 0.5, text: "é".to_owned() });
        assert!(decode_tokenizer("t.bin", &bytes, 3).is_err());
        assert!(decode_tokenizer("t.bin", &bytes, 1).is_err());
        let last = bytes.len() - 1;
        assert!(decode_tokenizer("t.bin", &bytes[..last], 2).is_err());
        bytes[last] = b'a';
        assert!(decode_tokenizer("t.bin", &bytes, 2).unwrap_err().to_string().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(
            header in prop::collection::vec(-3_i32..9, 7),
            at in 0_usize..500,
            byte in any::<u8>(),
            end in 0_usize..500,
        ) {
            let mut bytes = tiny(2);
            let len = bytes.len();
            bytes[at % len] = byte;
            bytes.truncate(end);
            Model::decode("x", &bytes).ok();
            decode_tokenizer("x", &bytes, 2).ok();
            let mut bytes = tiny(2);
            let words: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes[..28].copy_from_slice(&words);
            Model::decode("x", &bytes).ok();
        }
    }
}
