//! What a store of activations holds: of which model, tokenizer, text and hooks, and in which form.

use std::path::Path;

use crate::error::{Error, Result};
use crate::schema::{Attributes, Column, Element, Schema, TEXT_BYTES, VERSION};
use crate::source::{FORMAT, FORMAT_VERSION};

pub(crate) const ACTIVATIONS: &str = "engram-activations";
/// The columns before those of the hooks.
pub(crate) const TOKENS: usize = 0;
pub(crate) const POSITIONS: usize = 1;
pub(crate) const DOCUMENTS: usize = 2;
pub(crate) const N_FIXED: usize = 3;

/// Where the beginning-of-sequence token stands among the tokens that the model saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BosRule {
    /// Nowhere.
    Absent,
    /// At position 0 of each sequence.
    EachSequence {
        /// The token's id.
        token: u32,
    },
    /// Before the first token of each document; sequences may begin within a document.
    EachDocument {
        /// The token's id.
        token: u32,
    },
}

/// The type of the stored numbers. All are read as f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE single precision.
    F32,
    /// IEEE half precision: 11 significant bits, up to 65504.
    F16,
    /// The upper half of an f32: 8 significant bits, the range of f32. Stored as 16-bit words.
    Bf16,
}

impl Dtype {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    pub(crate) fn element(self) -> Element {
        match self {
            Self::F32 => Element::F32,
            Self::F16 => Element::F16,
            Self::Bf16 => Element::Bf16,
        }
    }
}

/// What was done to the rows of a hook before they were stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Normalization {
    /// Nothing: the rows are as the model computed them.
    Raw,
    /// Every row was multiplied by one number.
    Scaled {
        /// The number; dividing by it gives the raw rows.
        scale: f64,
    },
    /// The mean of each row was taken off, and the rest divided by its standard deviation.
    LayerNorm,
}

/// A place in the model where rows are taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    /// The name of the hook, which is the name of its data set: ASCII without `/` and spaces.
    pub name: String,
    /// Numbers in a row.
    pub width: usize,
    /// What was done to the rows.
    pub normalization: Normalization,
}

/// How rows are laid out in chunks and shards.
///
/// A chunk is what is read at once, so small ones shuffle better and large ones read faster; about
/// a megabyte serves both. A shard is what a killed writer loses at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Rows of a chunk.
    pub chunk_rows: usize,
    /// Chunks of a shard.
    pub shard_chunks: usize,
}

impl RowLayout {
    /// Chunks of about a megabyte of the widest hook, shards of 256 chunks.
    ///
    /// # Examples
    ///
    /// ```
    /// use store::{Dtype, RowLayout};
    ///
    /// let layout = RowLayout::for_width(256, Dtype::F32);
    /// assert_eq!((layout.chunk_rows, layout.shard_chunks), (1024, 256));
    /// ```
    #[must_use]
    pub fn for_width(width: usize, dtype: Dtype) -> Self {
        let row_bytes = width.max(1).saturating_mul(dtype.element().bytes());
        Self { chunk_rows: ((1 << 20) / row_bytes).max(1), shard_chunks: 256 }
    }

    pub(crate) fn shard_rows(self) -> usize {
        self.chunk_rows.saturating_mul(self.shard_chunks)
    }
}

/// What a store of activations holds. Its reader states the same, and a difference is an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// SHA-256 of the model's weights and config, 64 hexadecimal digits.
    pub model_sha256: String,
    /// SHA-256 of the tokenizer.
    pub tokenizer_sha256: String,
    /// SHA-256 of the text or of the config of its generator.
    pub text_sha256: String,
    /// Where the beginning-of-sequence token stands.
    pub bos: BosRule,
    /// The type of the stored numbers.
    pub dtype: Dtype,
    /// The hooks, one data set each. A reader may name some of them only, in any order.
    pub hooks: Vec<Hook>,
}

impl Capture {
    /// Refuses what cannot be written: hashes that are none, names that HDF5 cannot take.
    pub(crate) fn check(&self) -> Result<()> {
        let hashes = [
            ("model_sha256", &self.model_sha256),
            ("tokenizer_sha256", &self.tokenizer_sha256),
            ("text_sha256", &self.text_sha256),
        ];
        for (field, hash) in hashes {
            check_hash(field, hash)?;
        }
        if self.hooks.is_empty() {
            return Err(Error::setting("hooks", "one or more", 0));
        }
        for (at, hook) in self.hooks.iter().enumerate() {
            let Hook { name, width, normalization } = hook;
            let is_plain = name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
            if !is_plain
                || name.is_empty()
                || name.len() > TEXT_BYTES
                || name.bytes().all(|b| b == b'.')
            {
                let expected = "1 to 128 visible ASCII characters without '/'";
                return Err(Error::setting("name of a hook", expected, format!("{name:?}")));
            }
            if self.hooks[..at].iter().any(|other| other.name == *name) {
                return Err(Error::setting("hooks", "different names", format!("{name:?} twice")));
            }
            if *width == 0 || *width > 1 << 24 {
                return Err(Error::setting(&format!("width of {name}"), "1 to 2^24", width));
            }
            if let Normalization::Scaled { scale } = normalization
                && !(scale.is_finite() && *scale > 0.0)
            {
                return Err(Error::setting(
                    &format!("scale of {name}"),
                    "a positive number",
                    scale,
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn schema(&self, layout: RowLayout) -> Result<Schema> {
        self.check()?;
        let widest = self.hooks.iter().map(|hook| hook.width).max().unwrap_or(1);
        let chunk_bytes = widest.saturating_mul(8).saturating_mul(layout.chunk_rows);
        if layout.chunk_rows == 0 || chunk_bytes > 1 << 31 {
            return Err(Error::setting(
                "chunk_rows",
                "chunks of 1 row to 2^28 numbers",
                layout.chunk_rows,
            ));
        }
        if layout.shard_chunks == 0 || layout.shard_chunks > 1 << 24 {
            return Err(Error::setting("shard_chunks", "1 to 2^24", layout.shard_chunks));
        }
        let attributes = Attributes::default()
            .text(FORMAT, ACTIVATIONS)
            .count(FORMAT_VERSION, VERSION)
            .text("model_sha256", &self.model_sha256)
            .text("tokenizer_sha256", &self.tokenizer_sha256)
            .text("text_sha256", &self.text_sha256)
            .text("dtype", self.dtype.name())
            .count("shard_rows", layout.shard_rows() as u64);
        let attributes = match self.bos {
            BosRule::Absent => attributes.text("bos_rule", "absent"),
            BosRule::EachSequence { token } => {
                attributes.text("bos_rule", "each_sequence").count("bos_token", token.into())
            }
            BosRule::EachDocument { token } => {
                attributes.text("bos_rule", "each_document").count("bos_token", token.into())
            }
        };
        let fixed =
            [("tokens", Element::U32), ("positions", Element::U32), ("documents", Element::U64)];
        let fixed = fixed.map(|(name, element)| Column::new(name, element, layout.chunk_rows));
        let hooks = self.hooks.iter().map(|hook| self.column(hook, layout.chunk_rows));
        Ok(Schema { attributes, columns: fixed.into_iter().chain(hooks).collect() })
    }

    fn column(&self, hook: &Hook, chunk_rows: usize) -> Column {
        let attributes = Attributes::default().text("dtype", self.dtype.name());
        let attributes = match hook.normalization {
            Normalization::Raw => attributes.text("normalization", "raw"),
            Normalization::Scaled { scale } => {
                attributes.text("normalization", "scaled").number("scale", scale)
            }
            Normalization::LayerNorm => attributes.text("normalization", "layer_norm"),
        };
        Column {
            name: format!("{HOOKS}{}", hook.name),
            element: self.dtype.element(),
            width: Some(hook.width),
            chunk_rows,
            attributes,
        }
    }

    /// The capture and the layout that a schema was made from.
    pub(crate) fn from_schema(schema: &Schema, path: &Path) -> Result<(Self, RowLayout)> {
        let attributes = &schema.attributes;
        let foreign = |expected: &str, found: &str| Error::Foreign {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found: format!("{found:?}"),
        };
        let token = || -> Result<u32> {
            let token = attributes.get_count("bos_token", path)?;
            u32::try_from(token).map_err(|_| foreign("a token of 32 bits", &token.to_string()))
        };
        let bos = match attributes.get_text("bos_rule", path)? {
            "absent" => BosRule::Absent,
            "each_sequence" => BosRule::EachSequence { token: token()? },
            "each_document" => BosRule::EachDocument { token: token()? },
            other => return Err(foreign("a rule of the first token", other)),
        };
        let dtype = match attributes.get_text("dtype", path)? {
            "f32" => Dtype::F32,
            "f16" => Dtype::F16,
            "bf16" => Dtype::Bf16,
            other => return Err(foreign("dtype f32, f16 or bf16", other)),
        };
        let hooks = schema.columns.iter().skip(N_FIXED).map(|column| {
            let name = column.name.strip_prefix(HOOKS).unwrap_or(&column.name).to_owned();
            let normalization = match column.attributes.get_text("normalization", path)? {
                "raw" => Normalization::Raw,
                "scaled" => {
                    Normalization::Scaled { scale: column.attributes.get_number("scale", path)? }
                }
                "layer_norm" => Normalization::LayerNorm,
                other => return Err(foreign("a normalization", other)),
            };
            Ok(Hook { name, width: column.width.unwrap_or(1), normalization })
        });
        let text = |name: &str| attributes.get_text(name, path).map(str::to_owned);
        let capture = Self {
            model_sha256: text("model_sha256")?,
            tokenizer_sha256: text("tokenizer_sha256")?,
            text_sha256: text("text_sha256")?,
            bos,
            dtype,
            hooks: hooks.collect::<Result<_>>()?,
        };
        let chunk_rows = schema.columns.first().map_or(1, |column| column.chunk_rows);
        let shard_rows = attributes.get_count("shard_rows", path)?;
        let shard_chunks = usize::try_from(shard_rows).unwrap_or(usize::MAX) / chunk_rows;
        let layout = RowLayout { chunk_rows, shard_chunks };
        // What is written for this capture is exactly what was found.
        capture.schema(layout)?.must_equal(schema, path)?;
        Ok((capture, layout))
    }
}

/// The group of the hooks' data sets.
pub(crate) const HOOKS: &str = "hooks/";

/// Refuses what is no SHA-256 in lower-case hexadecimal.
pub(crate) fn check_hash(field: &str, hash: &str) -> Result<()> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hash.len() == 64 && hash.bytes().all(is_hex) {
        return Ok(());
    }
    Err(Error::setting(field, "64 lower-case hexadecimal digits", format!("{hash:?}")))
}
