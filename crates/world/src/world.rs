//! A world: what is true in it, and its documents by number.

use seed::Seed;

use crate::build::Builder;
use crate::concept::{ConceptId, Concepts};
use crate::config::{Domain, WorldConfig};
use crate::document::Document;
use crate::domain::behaviors::Behaviors;
use crate::domain::code::Code;
use crate::domain::dialogue::Dialogue;
use crate::domain::emotions::Emotions;
use crate::domain::entities::{Entities, Frequencies};
use crate::domain::facts::{Facts, Teams};
use crate::domain::geography::{Capitals, Geography};
use crate::domain::images::Images;
use crate::domain::languages::Languages;
use crate::domain::lexicon::Lexicon;
use crate::domain::lists::Lists;
use crate::domain::plants::{self, Plants};
use crate::domain::topics::{Speakers, TopicShares, Topics};
use crate::draw::{Categorical, Draw};
use crate::error::WorldError;
use crate::vocabulary::Vocabulary;
use crate::writer::Writer;

/// A corpus without end, of which any document can be made at any time.
///
/// Document i follows from the options and i alone, so a corpus can be written from any place, in parallel, and again;
/// nothing of it is held.
///
/// # Examples
///
/// ```
/// use world::{Document, Domain, World, WorldConfig};
///
/// let world = World::new(&WorldConfig::default())?;
/// let mut document = Document::default();
/// world.write(7, &mut document);
///
/// // The pieces cover the text, and their tokens are it.
/// let tokens: Vec<u16> = document.tokens().collect();
/// assert_eq!(world.vocabulary().decode(&tokens).unwrap(), document.text());
/// let last = document.pieces().last().unwrap();
/// assert_eq!(last.end as usize, document.text().len());
/// # Ok::<(), world::WorldError>(())
/// ```
pub struct World {
    config: WorldConfig,
    concepts: Concepts,
    vocabulary: Vocabulary,
    newline: u16,
    domains: Vec<Domain>,
    shares: Categorical,
    lexicon: Lexicon,
    entities: Entities,
    frequencies: Frequencies,
    geography: Geography,
    capitals: Capitals,
    facts: Facts,
    teams: Teams,
    languages: Languages,
    code: Code,
    emotions: Emotions,
    lists: Lists,
    speakers: Speakers,
    dialogue: Dialogue,
    behaviors: Behaviors,
    images: Images,
    topics: Topics,
    topic_shares: TopicShares,
    plants: Plants,
}

impl World {
    /// The world of these options.
    ///
    /// # Errors
    ///
    /// [`WorldError`] where an option lies outside of its interval, names something twice, or leaves nothing to write.
    pub fn new(config: &WorldConfig) -> Result<Self, WorldError> {
        config.check()?;
        let b = &mut Builder::new();
        // This order gives concepts and words their numbers. New domains come last.
        let lexicon = Lexicon::new(b);
        let entities = Entities::new(b);
        let geography = Geography::new(b);
        let languages = Languages::new(b, &lexicon);
        let code = Code::new(b, &lexicon);
        let facts = Facts::new(b, &geography);
        let emotions = Emotions::new(b);
        let lists = Lists::new(b);
        let speakers = Speakers::new(b);
        let dialogue = Dialogue::new(b);
        let behaviors = Behaviors::new(b);
        let images = Images::new(b, &entities, &geography);
        let topics = Topics::new(b);
        let planted = plants::concepts(b);
        let known = (&entities, &geography, &facts, &lexicon);
        let plants = Plants::new(b, &planted, &config.plants, known)?;
        b.vocabulary.check()?;

        let facts_seed = Seed::new(config.facts_seed);
        let capitals = Capitals::new(&mut facts_seed.stream("world", "capitals"), &geography);
        let teams = Teams::new(&mut facts_seed.stream("world", "teams"));
        let weights: Vec<f64> = config.shares.values().copied().collect();
        Ok(Self {
            frequencies: entities.frequencies(config.entities)?,
            shares: Categorical::new("shares", &weights)?,
            domains: config.shares.keys().copied().collect(),
            topic_shares: TopicShares::new(&config.topics)?,
            config: config.clone(),
            concepts: core::mem::take(&mut b.concepts),
            vocabulary: core::mem::take(&mut b.vocabulary),
            newline: b.newline,
            lexicon,
            entities,
            geography,
            capitals,
            facts,
            teams,
            languages,
            code,
            emotions,
            lists,
            speakers,
            dialogue,
            behaviors,
            images,
            topics,
            plants,
        })
    }

    /// The options that it was made of.
    pub fn config(&self) -> &WorldConfig {
        &self.config
    }

    /// All concepts, those that do not occur under these options too.
    pub fn concepts(&self) -> &Concepts {
        &self.concepts
    }

    /// All words.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The entities of W1, each with the share of tokens that carry it, within documents of [`Domain::Entities`].
    ///
    /// The share is that of the limit of many documents: expected labeled tokens over expected tokens.
    pub fn entity_frequencies(&self) -> &[(ConceptId, f64)] {
        &self.frequencies.by_entity
    }

    /// Writes document `index` in place of what `document` held.
    pub fn write(&self, index: u64, document: &mut Document) {
        document.clear(index);
        let rng = Seed::new(self.config.seed).stream("world document", &index.to_string());
        let mut draw = Draw::new(rng);
        let domain = self.domains[draw.pick(&self.shares)];
        document.domain = domain;
        let mut writer = Writer::new(draw, document, &self.vocabulary, self.newline);
        let w = &mut writer;
        let config = &self.config;
        match domain {
            Domain::Entities => self.entities.write(&self.frequencies, &self.lexicon, w),
            Domain::Geography => self.geography.write(&self.capitals, w),
            Domain::Languages => self.languages.write(&config.languages, &self.lexicon, w),
            Domain::Code => self.code.write(&config.code, &self.lexicon, w),
            Domain::Facts => {
                self.facts.write(&self.geography, &self.capitals, &self.teams, config.facts, w);
            }
            Domain::Emotions => self.emotions.write(w),
            Domain::Lists => self.lists.write(&self.lexicon, w),
            Domain::Dialogue => self.dialogue.write(
                (&self.facts, &self.teams, &self.geography, &self.lexicon),
                (&self.topics, config.signature),
                &self.speakers,
                w,
            ),
            Domain::Behaviors => self.behaviors.write(
                &config.behaviors,
                (&self.facts, &self.geography, &self.lexicon),
                &self.speakers,
                w,
            ),
            Domain::Images => self.images.write(config.images, w),
            Domain::Topics => {
                self.topics.write(&self.topic_shares, &self.speakers, &self.lexicon, w);
            }
            Domain::Plants => self.plants.write(w),
        }
        writer.finish();
    }

    /// The entropy bound of these documents: Σ [`Document::nats`] over Σ tokens, in nats per token; `None` without a token.
    ///
    /// Its expectation is the entropy of the generator's choices for each token, H(choices)/E\[tokens\], which is at least
    /// the entropy of the text, H(text)/E\[tokens\]: no model can have a lower cross-entropy than the latter, and one that
    /// reads the choices off the text as it goes reaches the former. The two differ by what cannot be read back: draws that
    /// were rejected or overwritten (names that were taken and lines that got a bug, in code), and different choices with
    /// the same words. A model that sees less than a whole document lies above both.
    ///
    /// # Examples
    ///
    /// One of two texts of one word each is a bit for each token:
    ///
    /// ```
    /// use world::{Domain, Plant, World, WorldConfig};
    ///
    /// let templates = vec!["yes".to_owned(), "no".to_owned()];
    /// let config = WorldConfig {
    ///     shares: [(Domain::Plants, 1.0)].into(),
    ///     plants: vec![Plant { slot: 0, weight: 1.0, templates }],
    ///     ..WorldConfig::default()
    /// };
    /// let nats = World::new(&config)?.nats_per_token(0..100).unwrap();
    /// assert!((nats - core::f64::consts::LN_2).abs() < 1e-12);
    /// # Ok::<(), world::WorldError>(())
    /// ```
    pub fn nats_per_token(&self, indices: core::ops::Range<u64>) -> Option<f64> {
        let mut document = Document::default();
        let (mut nats, mut n_tokens) = (0.0, 0);
        for index in indices {
            self.write(index, &mut document);
            nats += document.nats;
            n_tokens += document.pieces.len();
        }
        (n_tokens > 0).then(|| nats / n_tokens as f64)
    }

    /// The documents of these numbers, one after the other, each in memory of its own.
    ///
    /// [`World::write`] reuses memory and is faster.
    pub fn documents(&self, indices: core::ops::Range<u64>) -> impl Iterator<Item = Document> + '_ {
        indices.map(|index| {
            let mut document = Document::default();
            self.write(index, &mut document);
            document
        })
    }
}
