//! Reading a corpus: documents with their labels, the list of documents, and plain tokens.

use std::ops::Range;
use std::path::Path;

use bytemuck::Pod;

use super::info::{CORPUS, Field};
use super::{CorpusInfo, CorpusLayout, Document, LabelledDocument};
use crate::error::{Error, Result};
use crate::layout::index;
use crate::source::{ColumnReader, Source};

/// What a corpus says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorpusDescription {
    /// What it is.
    pub info: CorpusInfo,
    /// Its documents.
    pub n_documents: u64,
    /// Its tokens.
    pub n_tokens: u64,
    /// How it is laid out.
    pub layout: CorpusLayout,
}

/// A document and where its tokens lie, counted over the whole corpus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentEntry {
    /// The document.
    pub document: Document,
    /// Its tokens, for [`CorpusReader::read_tokens`].
    pub tokens: Range<u64>,
}

/// Reads a finished corpus.
///
/// It keeps one chunk of each data set, so that reading on costs no chunk twice; every chunk is
/// checked against its checksum.
#[derive(Debug)]
pub struct CorpusReader {
    source: Source,
    info: CorpusInfo,
    columns: Vec<ColumnReader>,
    /// The first document and token of each shard, and the numbers of all.
    first: Vec<(u64, u64)>,
}

impl CorpusReader {
    /// What a corpus is, for one who does not know it yet.
    ///
    /// # Errors
    /// As for [`Self::open`], but for a mismatch.
    pub fn describe(folder: &Path) -> Result<CorpusDescription> {
        let source = Source::open(folder, CORPUS)?;
        let (info, layout) = CorpusInfo::read(&source)?;
        let (n_documents, n_tokens) =
            (source.n_rows(Field::DocumentIds as usize), source.n_rows(Field::Tokens as usize));
        Ok(CorpusDescription { info, n_documents, n_tokens, layout })
    }

    /// Opens a corpus that must be what is `expected`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] names the first field that differs. [`Error::Unfinished`],
    /// [`Error::MissingShard`], [`Error::Foreign`], [`Error::Version`], [`Error::Damaged`] and
    /// [`Error::Hdf5`] say what is wrong with which file.
    pub fn open(folder: &Path, expected: &CorpusInfo) -> Result<Self> {
        expected.check()?;
        let source = Source::open(folder, CORPUS)?;
        let (info, _) = CorpusInfo::read(&source)?;
        expected.must_equal(&info, folder)?;
        let mut first = vec![(0, 0)];
        for (shard_idx, shard) in source.shards.iter().enumerate() {
            let rows = |field: Field| shard.n_rows(field as usize);
            let (tokens, documents) = (rows(Field::Tokens), rows(Field::DocumentIds));
            let of_tokens = [Field::TokenLanguages, Field::TokenModalities, Field::TokenRoles];
            let of_documents = Field::DocumentIds as usize..Field::Patches as usize;
            let is_even = of_tokens.into_iter().all(|field| rows(field) == tokens)
                && rows(Field::LabelIndptr) == tokens + 1
                && of_documents.into_iter().all(|at| shard.n_rows(at) == documents);
            if !is_even || documents == 0 {
                let expected = format!("{tokens} of tokens and {documents} of documents");
                return Err(Error::damaged(&shard.path, "rows of data sets", expected, "others"));
            }
            let before: (u64, u64) = first[shard_idx];
            first.push((before.0 + documents as u64, before.1 + tokens as u64));
        }
        let columns = (0..source.schema.columns.len()).map(ColumnReader::new).collect();
        Ok(Self { source, info, columns, first })
    }

    /// What was expected, and is there.
    pub fn info(&self) -> &CorpusInfo {
        &self.info
    }

    /// Documents of the corpus.
    pub fn n_documents(&self) -> u64 {
        self.first.last().map_or(0, |first| first.0)
    }

    /// Tokens of the corpus.
    pub fn n_tokens(&self) -> u64 {
        self.first.last().map_or(0, |first| first.1)
    }

    /// Reads one document, counted from 0, into memory that is reused.
    ///
    /// # Errors
    /// [`Error::Shape`] for a document that is not there; [`Error::Io`] and [`Error::Damaged`] name
    /// the file.
    pub fn read_document(&mut self, document_idx: u64, into: &mut LabelledDocument) -> Result<()> {
        if document_idx >= self.n_documents() {
            let what = "index of a document, which must be less".to_owned();
            return Err(Error::Shape { what, expected: self.n_documents(), got: document_idx });
        }
        let shard_idx = self.first.partition_point(|first| first.0 <= document_idx) - 1;
        let at = index(document_idx - self.first[shard_idx].0);
        let (document, tokens) = self.document(shard_idx, at)?;
        into.clear();
        into.document = document;
        self.get(Field::Tokens, shard_idx, tokens.clone(), &mut into.tokens)?;
        self.get(Field::TokenLanguages, shard_idx, tokens.clone(), &mut into.languages)?;
        self.get(Field::TokenModalities, shard_idx, tokens.clone(), &mut into.modalities)?;
        self.get(Field::TokenRoles, shard_idx, tokens.clone(), &mut into.roles)?;
        self.get(Field::LabelIndptr, shard_idx, tokens.start..tokens.end + 1, &mut into.indptr)?;
        let (start, end) = (into.indptr[0], into.indptr[tokens.len()]);
        let labels =
            self.within(shard_idx, "labels of a document", start, end, Field::LabelIndices)?;
        self.get(Field::LabelIndices, shard_idx, labels, &mut into.indices)?;
        into.indptr.iter_mut().for_each(|at| *at = at.saturating_sub(start));
        let patches =
            self.of_document(shard_idx, at, Field::DocumentFirstPatches, Field::Patches)?;
        self.get(Field::Patches, shard_idx, patches, &mut into.patches)
    }

    /// All documents with the places of their tokens. \[documents\]
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Damaged`] name the file.
    pub fn entries(&mut self) -> Result<Vec<DocumentEntry>> {
        let mut entries = Vec::new();
        for shard_idx in 0..self.source.shards.len() {
            let first_token = self.first[shard_idx].1;
            for at in 0..self.source.shards[shard_idx].n_rows(Field::DocumentIds as usize) {
                let (document, tokens) = self.document(shard_idx, at)?;
                let tokens = first_token + tokens.start as u64..first_token + tokens.end as u64;
                entries.push(DocumentEntry { document, tokens });
            }
        }
        Ok(entries)
    }

    /// Reads tokens, counted over the whole corpus, across documents, into memory that is reused.
    ///
    /// # Errors
    /// [`Error::Shape`] if the range ends past the last token; [`Error::Io`] and
    /// [`Error::Damaged`] name the file.
    pub fn read_tokens(&mut self, tokens: Range<u64>, into: &mut Vec<u32>) -> Result<()> {
        if tokens.end > self.n_tokens() {
            let what = "end of a range of tokens".to_owned();
            return Err(Error::Shape { what, expected: self.n_tokens(), got: tokens.end });
        }
        into.clear();
        let mut at = tokens.start;
        while at < tokens.end {
            let shard_idx = self.first.partition_point(|first| first.1 <= at) - 1;
            let (first, next) = (self.first[shard_idx].1, self.first[shard_idx + 1].1);
            let end = tokens.end.min(next);
            let rows = index(at - first)..index(end - first);
            self.get(Field::Tokens, shard_idx, rows, into)?;
            at = end;
        }
        Ok(())
    }

    /// A document of a shard and the rows of its tokens there.
    fn document(&mut self, shard_idx: usize, at: usize) -> Result<(Document, Range<usize>)> {
        let tokens = self.of_document(shard_idx, at, Field::DocumentFirstTokens, Field::Tokens)?;
        let document = Document {
            id: self.one(Field::DocumentIds, shard_idx, at)?,
            group: self.one(Field::DocumentGroups, shard_idx, at)?,
            domain: self.one(Field::DocumentDomains, shard_idx, at)?,
            language: self.one(Field::DocumentLanguages, shard_idx, at)?,
            modality: self.one(Field::DocumentModalities, shard_idx, at)?,
            split: self.one(Field::DocumentSplits, shard_idx, at)?,
        };
        Ok((document, tokens))
    }

    /// The rows of a document in a data set, from where it begins to where the next one does.
    fn of_document(
        &mut self,
        shard_idx: usize,
        at: usize,
        firsts: Field,
        of: Field,
    ) -> Result<Range<usize>> {
        let shard = &self.source.shards[shard_idx];
        let n_documents = shard.n_rows(Field::DocumentIds as usize);
        let n_rows = shard.n_rows(of as usize) as u64;
        let start = self.one(firsts, shard_idx, at)?;
        let end = if at + 1 < n_documents { self.one(firsts, shard_idx, at + 1)? } else { n_rows };
        self.within(shard_idx, "rows of a document", start, end, of)
    }

    /// A range of rows that ends within a data set.
    fn within(
        &self,
        shard_idx: usize,
        what: &str,
        start: u64,
        end: u64,
        field: Field,
    ) -> Result<Range<usize>> {
        let shard = &self.source.shards[shard_idx];
        let n_rows = shard.n_rows(field as usize) as u64;
        if start > end || end > n_rows {
            let found = format!("{start} to {end}");
            return Err(Error::damaged(&shard.path, what, format!("a part of {n_rows}"), found));
        }
        Ok(index(start)..index(end))
    }

    fn get<T: Pod>(
        &mut self,
        field: Field,
        shard_idx: usize,
        rows: Range<usize>,
        into: &mut Vec<T>,
    ) -> Result<()> {
        self.columns[field as usize].read(&self.source, shard_idx, rows, into)
    }

    fn one<T: Pod>(&mut self, field: Field, shard_idx: usize, at: usize) -> Result<T> {
        let mut value = Vec::with_capacity(1);
        self.get(field, shard_idx, at..at + 1, &mut value)?;
        Ok(value[0])
    }
}
