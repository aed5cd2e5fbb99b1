//! A document with its tokens and their labels.

use std::ops::Range;

use super::CorpusInfo;
use crate::error::{Error, Result, same_count};

/// What is known of a document as a whole. Codes are places in the lists of [`super::Names`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// The generator's id of the document.
    pub id: u64,
    /// Documents of one group belong together, as translations of one text do.
    pub group: u64,
    /// The domain.
    pub domain: u16,
    /// The language of most of it.
    pub language: u8,
    /// The modality of most of it.
    pub modality: u8,
    /// The split that it is in.
    pub split: u8,
}

/// A document with its tokens, and of each token its language, modality, role and concepts.
/// Reading and generating reuse its memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LabelledDocument {
    /// The document as a whole.
    pub document: Document,
    /// Its tokens, at least one. \[n\]
    pub tokens: Vec<u32>,
    /// The language of each. \[n\]
    pub languages: Vec<u8>,
    /// The modality of each. \[n\]
    pub modalities: Vec<u8>,
    /// The role of each. \[n\]
    pub roles: Vec<u8>,
    /// Token i has the concepts `indices[indptr[i]..indptr[i + 1]]`; the first entry is 0. \[n + 1\]
    pub indptr: Vec<u64>,
    /// The concepts of all tokens, those of each token ascending.
    pub indices: Vec<u32>,
    /// The numbers of its patches, in the order of the tokens that are patches. \[patches · `patch_len`\]
    pub patches: Vec<f32>,
}

impl LabelledDocument {
    /// A document without tokens, to which they are pushed.
    #[must_use]
    pub fn new(document: Document) -> Self {
        Self { document, indptr: vec![0], ..Self::default() }
    }

    /// Appends a token with its concepts, which are ascending.
    ///
    /// # Examples
    ///
    /// ```
    /// use store::{Document, LabelledDocument};
    ///
    /// let mut document = LabelledDocument::new(Document::default());
    /// document.push(7, 0, 0, 0, &[2, 5]);
    /// document.push(8, 0, 0, 0, &[]);
    /// document.push(9, 0, 0, 0, &[5]);
    /// assert_eq!(document.indptr, [0, 2, 2, 3]);
    /// assert_eq!(document.concepts(0), [2, 5]);
    /// ```
    pub fn push(&mut self, token: u32, language: u8, modality: u8, role: u8, concepts: &[u32]) {
        self.tokens.push(token);
        self.languages.push(language);
        self.modalities.push(modality);
        self.roles.push(role);
        self.indices.extend_from_slice(concepts);
        self.indptr.push(self.indices.len() as u64);
    }

    /// The concepts of a token; none for one that is not there.
    pub fn concepts(&self, token_idx: usize) -> &[u32] {
        let range = || -> Option<Range<usize>> {
            let start = usize::try_from(*self.indptr.get(token_idx)?).ok()?;
            Some(start..usize::try_from(*self.indptr.get(token_idx + 1)?).ok()?)
        };
        range().and_then(|range| self.indices.get(range)).unwrap_or_default()
    }

    /// Refuses lengths that disagree, and codes without a name.
    pub(crate) fn check(&self, info: &CorpusInfo) -> Result<()> {
        let n = self.tokens.len();
        let id = self.document.id;
        if n == 0 {
            return Err(Error::setting(&format!("tokens of document {id}"), "one or more", 0));
        }
        same_count("languages", n, self.languages.len())?;
        same_count("modalities", n, self.modalities.len())?;
        same_count("roles", n, self.roles.len())?;
        same_count("indptr", n + 1, self.indptr.len())?;
        let below = |what: &str, code: Option<u64>, names: usize| match code {
            Some(code) if code >= names as u64 => {
                let field = format!("{what} in document {id}");
                Err(Error::setting(&field, &format!("a code below {names}"), code))
            }
            _ => Ok(()),
        };
        let (len, width) = (self.patches.len(), info.patch_len as usize);
        if len > 0 && (width == 0 || len % width != 0) {
            let expected = format!("whole patches of {width} numbers");
            return Err(Error::setting(&format!("patches of document {id}"), &expected, len));
        }
        if let Some(number) = self.patches.iter().find(|number| !number.is_finite()) {
            let field = format!("patches of document {id}");
            return Err(Error::setting(&field, "finite numbers", number));
        }
        let names = &info.names;
        let largest = |codes: &[u8]| codes.iter().max().map(|code| u64::from(*code));
        let Document { domain, language, modality, split, .. } = self.document;
        below(
            "token",
            self.tokens.iter().max().map(|token| (*token).into()),
            info.vocab_size as usize,
        )?;
        below("language", largest(&self.languages), names.languages.len())?;
        below("modality", largest(&self.modalities), names.modalities.len())?;
        below("role", largest(&self.roles), names.roles.len())?;
        below("concept", self.indices.iter().max().map(|one| (*one).into()), names.concepts.len())?;
        below("domain", Some(domain.into()), names.domains.len())?;
        below("language", Some(language.into()), names.languages.len())?;
        below("modality", Some(modality.into()), names.modalities.len())?;
        below("split", Some(split.into()), names.splits.len())?;
        let grows = self.indptr.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends = (self.indptr[0], self.indptr[n]);
        if !grows || ends != (0, self.indices.len() as u64) {
            let expected = format!("ascending from 0 to {}", self.indices.len());
            let field = format!("indptr of document {id}");
            return Err(Error::setting(&field, &expected, format!("{ends:?}")));
        }
        let is_set = |concepts: &[u32]| concepts.windows(2).all(|pair| pair[0] < pair[1]);
        match (0..n).find(|token_idx| !is_set(self.concepts(*token_idx))) {
            None => Ok(()),
            Some(at) => {
                let field = format!("concepts of token {at} of document {id}");
                Err(Error::setting(&field, "ascending ids", format!("{:?}", self.concepts(at))))
            }
        }
    }

    /// Becomes a document without tokens, and keeps the memory.
    pub fn begin(&mut self, document: Document) {
        self.clear();
        self.document = document;
        self.indptr.push(0);
    }

    /// Forgets the tokens, and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.tokens.clear();
        self.languages.clear();
        self.modalities.clear();
        self.roles.clear();
        self.indptr.clear();
        self.indices.clear();
        self.patches.clear();
    }
}
