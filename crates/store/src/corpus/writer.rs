//! Writing a corpus document by document.

use std::path::Path;

use super::info::{Field, joined};
use super::{CorpusInfo, CorpusLayout, LabelledDocument};
use crate::error::Result;
use crate::sink::Sink;

/// Writes a corpus. Shards end with a document; as for [`crate::ActivationWriter`] they are renamed
/// when they are complete, and a writer that was killed is resumed after the last of them.
///
/// It holds one chunk of each data set in memory, never the corpus.
pub struct CorpusWriter {
    sink: Sink,
    info: CorpusInfo,
    layout: CorpusLayout,
    /// Ends of the labels of a document, counted in the shard. Its memory is reused.
    indptr: Vec<u64>,
}

impl CorpusWriter {
    /// Begins a corpus in a folder, which is made if it is not there.
    ///
    /// # Errors
    /// [`crate::Error::Setting`] for an info or layout that cannot be; [`crate::Error::Exists`] if
    /// the folder holds a store; [`crate::Error::Locked`] if another writer is at work in it.
    pub fn create(folder: &Path, info: &CorpusInfo, layout: CorpusLayout) -> Result<Self> {
        Ok(Self::new(Sink::create(folder, info.schema(layout)?)?, info, layout))
    }

    /// Goes on after the last complete shard, or begins where there is none.
    /// [`Self::n_documents`] tells how many documents are there; the caller goes on with the next.
    ///
    /// # Errors
    /// As for [`Self::create`]; [`crate::Error::Finished`] if nothing is to be resumed;
    /// [`crate::Error::Mismatch`] if the shards are of another corpus or have another layout.
    pub fn resume(folder: &Path, info: &CorpusInfo, layout: CorpusLayout) -> Result<Self> {
        Ok(Self::new(Sink::resume(folder, info.schema(layout)?)?, info, layout))
    }

    fn new(sink: Sink, info: &CorpusInfo, layout: CorpusLayout) -> Self {
        Self { sink, info: info.clone(), layout, indptr: Vec::new() }
    }

    /// Documents of the corpus so far.
    pub fn n_documents(&self) -> u64 {
        self.n_rows(Field::DocumentIds)
    }

    /// Tokens of the corpus so far.
    pub fn n_tokens(&self) -> u64 {
        self.n_rows(Field::Tokens)
    }

    fn n_rows(&self, field: Field) -> u64 {
        self.sink.n_complete_rows(field as usize) + self.sink.n_open_rows(field as usize) as u64
    }

    /// Appends a document.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] if lengths disagree; [`crate::Error::Setting`] for a document without
    /// tokens, a code without a name, or labels that are no sets. Nothing is written then. After any
    /// other error the corpus is to be resumed.
    pub fn append(&mut self, labelled: &LabelledDocument) -> Result<()> {
        labelled.check(&self.info)?;
        if !self.sink.is_shard_open() {
            let lists = self.info.names.lists().map(|(_, names, _)| joined(names));
            for (list, column_idx) in lists.iter().zip(Field::Names as usize..) {
                self.sink.append(column_idx, list.as_bytes())?;
            }
            self.put(Field::LabelIndptr, &0_u64.to_ne_bytes())?;
        }
        let first_token = self.sink.n_open_rows(Field::Tokens as usize) as u64;
        let first_label = self.sink.n_open_rows(Field::LabelIndices as usize) as u64;
        let mut indptr = std::mem::take(&mut self.indptr);
        indptr.clear();
        indptr.extend(labelled.indptr[1..].iter().map(|end| first_label + end));

        let first_patch = self.sink.n_open_rows(Field::Patches as usize) as u64;
        let document = labelled.document;
        self.put(Field::Tokens, bytemuck::cast_slice(&labelled.tokens))?;
        self.put(Field::TokenLanguages, &labelled.languages)?;
        self.put(Field::TokenModalities, &labelled.modalities)?;
        self.put(Field::TokenRoles, &labelled.roles)?;
        self.put(Field::LabelIndptr, bytemuck::cast_slice(&indptr))?;
        self.put(Field::LabelIndices, bytemuck::cast_slice(&labelled.indices))?;
        self.put(Field::DocumentIds, &document.id.to_ne_bytes())?;
        self.put(Field::DocumentGroups, &document.group.to_ne_bytes())?;
        self.put(Field::DocumentFirstTokens, &first_token.to_ne_bytes())?;
        self.put(Field::DocumentDomains, &document.domain.to_ne_bytes())?;
        self.put(Field::DocumentLanguages, &[document.language])?;
        self.put(Field::DocumentModalities, &[document.modality])?;
        self.put(Field::DocumentSplits, &[document.split])?;
        self.put(Field::DocumentFirstPatches, &first_patch.to_ne_bytes())?;
        self.put(Field::Patches, bytemuck::cast_slice(&labelled.patches))?;
        self.indptr = indptr;
        if self.sink.n_open_rows(Field::Tokens as usize) >= self.layout.shard_tokens {
            self.sink.close_shard()?;
        }
        Ok(())
    }

    fn put(&mut self, field: Field, bytes: &[u8]) -> Result<()> {
        self.sink.append(field as usize, bytes)
    }

    /// Completes the last shard and the corpus.
    ///
    /// # Errors
    /// [`crate::Error::Empty`] if no document was written; [`crate::Error::Io`] and
    /// [`crate::Error::Hdf5`] if the disk is full.
    pub fn finish(self) -> Result<()> {
        self.sink.finish()
    }
}
