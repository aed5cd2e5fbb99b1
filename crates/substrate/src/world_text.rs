//! A corpus of a world in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use corpus::{
    CorpusError, Split, Splits, TrainingText, Words, WorldCorpus, WorldTokenizer, Written,
    write_world,
};
use serde::{Deserialize, Serialize};
use store::{CorpusLayout, CorpusReader};
use world::{Document, Domain, Modality, World, WorldConfig};

use crate::error::{Result, SubstrateError, io_error};

const DESCRIPTION: &str = "corpus.json";
const TOKENS: &str = "tokens";

/// Everything that decides a corpus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldTextConfig {
    /// The world.
    pub world: WorldConfig,
    /// What its documents serve.
    pub splits: Splits,
    /// The document that reaches so many tokens, of all splits, is the last.
    pub n_tokens: u64,
}

/// A corpus of a world on disk, in whole words.
pub struct WorldText {
    config: WorldTextConfig,
    world: World,
    words: Words,
    folder: PathBuf,
    n_documents: u64,
}

impl WorldText {
    /// Writes a corpus to a folder, or goes on with one whose writer was killed.
    ///
    /// # Errors
    ///
    /// [`SubstrateError::World`] and [`SubstrateError::Corpus`] for settings that cannot be,
    /// [`SubstrateError::Io`] where the folder cannot be written.
    ///
    /// # Examples
    ///
    /// ```
    /// use corpus::{Split, Splits};
    /// use substrate::{WorldText, WorldTextConfig};
    /// use world::{Domain, WorldConfig};
    ///
    /// let folder = tempfile::tempdir().unwrap();
    /// let splits = Splits { dictionary: 0.0, test: 0.5, seed: 0 };
    /// let config = WorldTextConfig { world: WorldConfig::default(), splits, n_tokens: 1000 };
    /// let made = WorldText::make(folder.path(), &config, &mut |_| {})?;
    /// let opened = WorldText::open(folder.path())?;
    /// assert_eq!(opened.config(), &config);
    /// // The documents are those of the world whose number falls into the split.
    /// let document = opened.documents(Split::Test, None).next().unwrap();
    /// assert_eq!(splits.of(document.index()), Split::Test);
    /// # Ok::<(), substrate::SubstrateError>(())
    /// ```
    pub fn make(
        folder: &Path,
        config: &WorldTextConfig,
        on_progress: &mut dyn FnMut(Written),
    ) -> Result<Self> {
        let world = World::new(&config.world)?;
        let tokenizer = WorldTokenizer::Words(Words::all(&world));
        let corpus = of(&world, &tokenizer, config);
        match write_world(&folder.join(TOKENS), &corpus, CorpusLayout::DEFAULT, on_progress) {
            // The writer was killed between its last rename and its end.
            Ok(_) | Err(CorpusError::Store(store::Error::Finished { .. })) => {}
            Err(error) => return Err(error.into()),
        }
        let path = folder.join(DESCRIPTION);
        let json = serde_json::to_vec_pretty(config)
            .map_err(|source| SubstrateError::Json { path: path.clone(), source })?;
        fs::write(&path, json).map_err(io_error("write", &path))?;
        Self::open(folder)
    }

    /// Opens a corpus that was made.
    ///
    /// # Errors
    ///
    /// [`SubstrateError::Io`] and [`SubstrateError::Json`] where corpus.json is missing or damaged,
    /// [`SubstrateError::Store`] where the tokens are, or are of another corpus.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(DESCRIPTION);
        let json = fs::read(&path).map_err(io_error("read", &path))?;
        let config: WorldTextConfig = serde_json::from_slice(&json)
            .map_err(|source| SubstrateError::Json { path: path.clone(), source })?;
        let world = World::new(&config.world)?;
        let words = Words::all(&world);
        let mut text = Self { config, world, words, folder: folder.to_owned(), n_documents: 0 };
        text.n_documents = text.reader()?.n_documents();
        Ok(text)
    }

    fn reader(&self) -> Result<CorpusReader> {
        let tokenizer = self.tokenizer();
        let info = of(&self.world, &tokenizer, &self.config).info()?;
        Ok(CorpusReader::open(&self.folder.join(TOKENS), &info)?)
    }

    fn tokenizer(&self) -> WorldTokenizer {
        WorldTokenizer::Words(self.words.clone())
    }

    /// What decides it.
    pub const fn config(&self) -> &WorldTextConfig {
        &self.config
    }

    /// The world that it is of.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// Its tokens.
    pub const fn words(&self) -> &Words {
        &self.words
    }

    /// Documents of all splits.
    pub const fn n_documents(&self) -> u64 {
        self.n_documents
    }

    /// The tokens of a split in memory, to train on.
    ///
    /// # Errors
    ///
    /// As [`TrainingText::load`].
    pub fn training(&self, split: Split) -> Result<TrainingText> {
        Ok(TrainingText::load(&mut self.reader()?, split, Words::END)?)
    }

    /// The documents of a split, of one domain or of all, in the order of their numbers. The world writes them again,
    /// which is faster than reading them.
    pub fn documents(
        &self,
        split: Split,
        domain: Option<Domain>,
    ) -> impl Iterator<Item = Document> + '_ {
        let of_split = (0..self.n_documents).filter(move |at| self.config.splits.of(*at) == split);
        let documents = of_split.flat_map(|at| self.world.documents(at..at + 1));
        documents.filter(move |document| domain.is_none_or(|domain| document.domain() == domain))
    }
    /// What the choices behind the documents of a split cost for each target that a model is trained on (every token but
    /// patches, and the end of each document), in nats: a bound from above of the entropy of the text, see
    /// [`World::nats_per_token`]. `None` without a document.
    pub fn nats_per_target(&self, split: Split) -> Option<f64> {
        let (mut nats, mut n_targets) = (0.0, 0);
        for document in self.documents(split, None) {
            let pieces = document.pieces().iter();
            let text = pieces.filter(|piece| piece.modality == Modality::Text);
            n_targets += 1;
            for piece in text {
                nats += f64::from(piece.nats);
                n_targets += 1;
            }
        }
        (n_targets > 0).then(|| nats / f64::from(n_targets))
    }
}

const fn of<'a>(
    world: &'a World,
    tokenizer: &'a WorldTokenizer,
    config: &WorldTextConfig,
) -> WorldCorpus<'a> {
    WorldCorpus { world, tokenizer, splits: config.splits, first: 0, n_tokens: config.n_tokens }
}
