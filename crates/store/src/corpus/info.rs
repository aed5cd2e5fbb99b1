//! What a corpus is: its origin, its vocabulary, and the names of all codes.

use std::path::Path;

use crate::activations::check_hash;
use crate::error::{Error, Result};
use crate::schema::{Attributes, Column, Element, Schema, VERSION};
use crate::source::{ColumnReader, FORMAT, FORMAT_VERSION, Source};

pub(crate) const CORPUS: &str = "engram-corpus";
/// Numbers in a patch at most.
const MOST_PATCH_LEN: u32 = 1 << 16;

/// The data sets of a corpus, in their order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Field {
    Tokens,
    TokenLanguages,
    TokenModalities,
    TokenRoles,
    LabelIndptr,
    LabelIndices,
    DocumentIds,
    DocumentGroups,
    DocumentFirstTokens,
    DocumentDomains,
    DocumentLanguages,
    DocumentModalities,
    DocumentSplits,
    DocumentFirstPatches,
    Patches,
    /// The names of languages; those of the other codes follow.
    Names,
}

const FIELDS: [(&str, Element); Field::Patches as usize] = [
    ("tokens/ids", Element::U32),
    ("tokens/languages", Element::U8),
    ("tokens/modalities", Element::U8),
    ("tokens/roles", Element::U8),
    ("labels/indptr", Element::U64),
    ("labels/indices", Element::U32),
    ("documents/ids", Element::U64),
    ("documents/groups", Element::U64),
    ("documents/first_tokens", Element::U64),
    ("documents/domains", Element::U16),
    ("documents/languages", Element::U8),
    ("documents/modalities", Element::U8),
    ("documents/splits", Element::U8),
    ("documents/first_patches", Element::U64),
];
const PATCHES: &str = "patches";

/// Names of the codes of a corpus: code i is name i.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Languages, at most 256.
    pub languages: Vec<String>,
    /// Modalities (text, code, image, …), at most 256.
    pub modalities: Vec<String>,
    /// Roles of tokens (user, assistant, narration, …), at most 256.
    pub roles: Vec<String>,
    /// Splits (train, validation, …), at most 256.
    pub splits: Vec<String>,
    /// Domains of documents, at most 65,536.
    pub domains: Vec<String>,
    /// Concepts, at most 2³².
    pub concepts: Vec<String>,
}

impl Names {
    /// The lists with what they name and how many there may be.
    pub(crate) fn lists(&self) -> [(&'static str, &Vec<String>, usize); 6] {
        [
            ("languages", &self.languages, 1 << 8),
            ("modalities", &self.modalities, 1 << 8),
            ("roles", &self.roles, 1 << 8),
            ("splits", &self.splits, 1 << 8),
            ("domains", &self.domains, 1 << 16),
            ("concepts", &self.concepts, u32::MAX as usize),
        ]
    }
}

/// What a corpus is. Its reader states the same, and a difference is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusInfo {
    /// SHA-256 of the config of its generator, seeds included, or of its texts: 64 hexadecimal digits.
    pub source_sha256: String,
    /// SHA-256 of the tokenizer.
    pub tokenizer_sha256: String,
    /// Tokens are below it.
    pub vocab_size: u32,
    /// Numbers in a patch of an image; 0 for a corpus without patches.
    pub patch_len: u32,
    /// The names of all codes.
    pub names: Names,
}

/// How a corpus is laid out in chunks and shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorpusLayout {
    /// Tokens of a chunk.
    pub chunk_tokens: usize,
    /// Tokens after which a shard ends, with the document that reaches them.
    pub shard_tokens: usize,
}

impl CorpusLayout {
    /// Chunks of 65,536 tokens, shards of 16 million.
    pub const DEFAULT: Self = Self { chunk_tokens: 1 << 16, shard_tokens: 1 << 24 };
}

impl CorpusInfo {
    pub(crate) fn check(&self) -> Result<()> {
        check_hash("source_sha256", &self.source_sha256)?;
        check_hash("tokenizer_sha256", &self.tokenizer_sha256)?;
        for (what, names, most) in self.names.lists() {
            if names.len() > most {
                let expected = format!("at most {most} names");
                return Err(Error::setting(what, &expected, names.len()));
            }
            let is_bad = |name: &&String| name.is_empty() || name.chars().any(char::is_control);
            if let Some(name) = names.iter().find(is_bad) {
                return Err(Error::setting(
                    what,
                    "names without control characters",
                    format!("{name:?}"),
                ));
            }
        }
        Ok(())
    }

    pub(crate) fn schema(&self, layout: CorpusLayout) -> Result<Schema> {
        self.check()?;
        if self.patch_len > MOST_PATCH_LEN {
            return Err(Error::setting("patch_len", "at most 65536", self.patch_len));
        }
        let CorpusLayout { chunk_tokens, shard_tokens } = layout;
        if chunk_tokens == 0 || chunk_tokens > 1 << 24 {
            return Err(Error::setting("chunk_tokens", "1 to 2^24", chunk_tokens));
        }
        if shard_tokens == 0 {
            return Err(Error::setting("shard_tokens", "1 or more", shard_tokens));
        }
        let mut names = crc32fast::Hasher::new();
        for (_, list, _) in self.names.lists() {
            names.update(joined(list).as_bytes());
            names.update(&[0]);
        }
        let attributes = Attributes::default()
            .text(FORMAT, CORPUS)
            .count(FORMAT_VERSION, VERSION)
            .text("source_sha256", &self.source_sha256)
            .text("tokenizer_sha256", &self.tokenizer_sha256)
            .count("vocab_size", self.vocab_size.into())
            .count("patch_len", self.patch_len.into())
            .count("shard_tokens", shard_tokens as u64)
            .count("names_crc32", names.finalize().into());
        let fields = FIELDS.map(|(name, element)| Column::new(name, element, chunk_tokens));
        // Without patches it is one wide and empty.
        let width = (self.patch_len as usize).max(1);
        let patches = Column::new(PATCHES, Element::F32, (chunk_tokens / width).max(1));
        let patches = Column { width: Some(width), ..patches };
        let names = self
            .names
            .lists()
            .map(|(what, _, _)| Column::new(&format!("names/{what}"), Element::U8, chunk_tokens));
        Ok(Schema {
            attributes,
            columns: fields.into_iter().chain([patches]).chain(names).collect(),
        })
    }

    /// What a finished corpus says of itself.
    pub(crate) fn read(source: &Source) -> Result<(Self, CorpusLayout)> {
        let (schema, path) = (&source.schema, &source.shards[0].path);
        let foreign = |expected: &str, found: String| Error::Foreign {
            path: path.clone(),
            expected: expected.to_owned(),
            found,
        };
        let n_columns = FIELDS.len() + 1 + Names::default().lists().len();
        if schema.columns.len() != n_columns {
            let found = schema.columns.len().to_string();
            return Err(foreign(&format!("{n_columns} data sets"), found));
        }
        let attributes = &schema.attributes;
        let count_of = |name: &str| {
            let count = attributes.get_count(name, path)?;
            u32::try_from(count)
                .map_err(|_| foreign(&format!("a {name} of 32 bits"), count.to_string()))
        };
        let mut names = Names::default();
        let lists = [
            &mut names.languages,
            &mut names.modalities,
            &mut names.roles,
            &mut names.splits,
            &mut names.domains,
            &mut names.concepts,
        ];
        for (list, column_idx) in lists.into_iter().zip(Field::Names as usize..) {
            *list = read_names(source, column_idx, path)?;
        }
        let info = Self {
            source_sha256: attributes.get_text("source_sha256", path)?.to_owned(),
            tokenizer_sha256: attributes.get_text("tokenizer_sha256", path)?.to_owned(),
            vocab_size: count_of("vocab_size")?,
            patch_len: count_of("patch_len")?,
            names,
        };
        let shard_tokens = attributes.get_count("shard_tokens", path)?;
        let layout = CorpusLayout {
            chunk_tokens: schema.columns[0].chunk_rows,
            shard_tokens: usize::try_from(shard_tokens).unwrap_or(usize::MAX),
        };
        // What is written for this corpus is exactly what was found.
        info.schema(layout)?.must_equal(schema, path)?;
        Ok((info, layout))
    }

    /// Refuses a corpus that is another one.
    pub(crate) fn must_equal(&self, found: &Self, path: &Path) -> Result<()> {
        let mismatch = |field: &str, expected: String, found: String| {
            Err(Error::Mismatch { path: path.to_owned(), field: field.to_owned(), expected, found })
        };
        if self.source_sha256 != found.source_sha256 {
            let (expected, found) = (self.source_sha256.clone(), found.source_sha256.clone());
            return mismatch("source_sha256", expected, found);
        }
        if self.tokenizer_sha256 != found.tokenizer_sha256 {
            let (expected, found) = (self.tokenizer_sha256.clone(), found.tokenizer_sha256.clone());
            return mismatch("tokenizer_sha256", expected, found);
        }
        if self.vocab_size != found.vocab_size {
            let (expected, found) = (self.vocab_size.to_string(), found.vocab_size.to_string());
            return mismatch("vocab_size", expected, found);
        }
        if self.patch_len != found.patch_len {
            let (expected, found) = (self.patch_len.to_string(), found.patch_len.to_string());
            return mismatch("patch_len", expected, found);
        }
        for ((what, mine, _), (_, theirs, _)) in
            self.names.lists().into_iter().zip(found.names.lists())
        {
            let n = mine.len().max(theirs.len());
            if let Some(at) = (0..n).find(|at| mine.get(*at) != theirs.get(*at)) {
                let tell = |name: Option<&String>| name.map_or("none".to_owned(), Clone::clone);
                let field = format!("name {at} of {what}");
                return mismatch(&field, tell(mine.get(at)), tell(theirs.get(at)));
            }
        }
        Ok(())
    }
}

/// Names as they are stored: one a line.
pub(crate) fn joined(names: &[String]) -> String {
    names.join("\n")
}

fn read_names(source: &Source, column_idx: usize, path: &Path) -> Result<Vec<String>> {
    let n_bytes = source.shards[0].n_rows(column_idx);
    let mut bytes: Vec<u8> = Vec::new();
    ColumnReader::new(column_idx).read(source, 0, 0..n_bytes, &mut bytes)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Error::damaged(path, "names", "UTF-8", error.utf8_error()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
