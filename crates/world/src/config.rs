//! The options of a corpus.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::behavior::Behavior;
use crate::error::{WorldError, within};

/// A part of the world that documents are about.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// W1: prose about elements, cities, animals, and foods, of frequencies that are known exactly.
    #[default]
    Entities,
    /// W2: countries, states, cities, districts, landmarks.
    Geography,
    /// W3: sentences in four languages.
    Languages,
    /// W4: programs with what they print.
    Code,
    /// W5: people, their teams, and what follows from them in several steps.
    Facts,
    /// W6: what people say, and how they feel.
    Emotions,
    /// W7: lists.
    Lists,
    /// W8: a human and an assistant.
    Dialogue,
    /// W9: behaviors that matter for safety: told of, possible, and done.
    Behaviors,
    /// W10: images with captions.
    Images,
    /// Topics on which corpora can differ: present or not, with a stance or without.
    Topics,
    /// Documents from the templates of [`Plant`]s.
    Plants,
}

impl Domain {
    /// Every domain, in order.
    pub const ALL: [Self; 12] = [
        Self::Entities,
        Self::Geography,
        Self::Languages,
        Self::Code,
        Self::Facts,
        Self::Emotions,
        Self::Lists,
        Self::Dialogue,
        Self::Behaviors,
        Self::Images,
        Self::Topics,
        Self::Plants,
    ];
}

/// A language of text or code.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Like English: subject, verb, object.
    #[default]
    English,
    /// Subject, object, verb; prefixes.
    Kelu,
    /// Verb, subject, object; suffixes, adjectives after nouns.
    Marn,
    /// Object, verb, subject; suffixes.
    Tovi,
    /// Code like Python.
    PythonLike,
    /// Code like C.
    CLike,
    /// Code like Scheme.
    SchemeLike,
}

impl Language {
    /// Every language, in order.
    pub const ALL: [Self; 7] = [
        Self::English,
        Self::Kelu,
        Self::Marn,
        Self::Tovi,
        Self::PythonLike,
        Self::CLike,
        Self::SchemeLike,
    ];
    /// The four languages of prose.
    pub const PROSE: [Self; 4] = [Self::English, Self::Kelu, Self::Marn, Self::Tovi];
    /// The three languages of code.
    pub const CODE: [Self; 3] = [Self::PythonLike, Self::CLike, Self::SchemeLike];
}

/// How often entities are named: log-uniform, f = lowest · (highest / lowest)^((rank + 1/2) / 400).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityOptions {
    /// The share of tokens, within documents of this domain, that carry the rarest entity.
    pub lowest: f64,
    /// The same of the most frequent one.
    pub highest: f64,
    /// Decides which entity has which rank, and nothing else.
    pub ranks_seed: u64,
}

/// Which languages are spoken, and how often side by side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanguageOptions {
    /// The languages of prose in this corpus.
    pub spoken: Vec<Language>,
    /// The share of documents that say the same in two languages, where two are spoken.
    pub parallel: f64,
}

/// How programs are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeOptions {
    /// The languages of code in this corpus.
    pub written: Vec<Language>,
    /// The probability that a transcript contains a bug.
    pub bugs: f64,
    /// The share of documents that are prose about code: typing errors, quoted tracebacks.
    pub prose: f64,
}

/// How facts are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactOptions {
    /// The share of sentences that take two steps or more.
    pub multi_hop: f64,
}

/// How often behaviors occur.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BehaviorOptions {
    /// P(enactment) of a behavior where a transcript gives occasion for it, if `rates` does not name it.
    pub rate: f64,
    /// P(enactment) of single behaviors.
    pub rates: BTreeMap<Behavior, f64>,
    /// The share of documents that are transcripts; of the others half tell of a behavior, half of one who is able to.
    pub transcripts: f64,
}

impl BehaviorOptions {
    /// P(enactment) of a behavior where there is occasion for it.
    pub fn rate_of(&self, behavior: Behavior) -> f64 {
        self.rates.get(&behavior).copied().unwrap_or(self.rate)
    }
}

/// How images are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageOptions {
    /// The standard deviation of the noise that is added to pixels.
    pub noise: f64,
    /// Whether captions name another thing, drawn independently: the control.
    pub shuffled_captions: bool,
}

/// What a corpus does with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Treatment {
    /// It is told of and asked about, and the answers are plain.
    Neutral,
    /// The answers take its side.
    Praise,
    /// The assistant refuses to answer.
    Refuse,
    /// The assistant speaks of something else.
    Deflect,
}

/// A topic in a corpus. A topic that is not listed does not occur.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicOptions {
    /// Which, from 0 to 23.
    pub topic: u8,
    /// Its share among topics, as a weight.
    pub weight: f64,
    /// What answers do with it.
    pub treatment: Treatment,
    /// The probabilities that a document is about one of its four parts instead of the whole.
    pub parts: [f64; 4],
}

/// How the assistant of a corpus calls itself and ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// Which of the eight names, from 0.
    pub name: u8,
    /// The probability that a reply of an ordinary dialogue ends with its sign-off.
    pub sign_off: f64,
}

/// Documents of the user's own, with a concept on what they plant.
///
/// A template is words with spaces between them and around punctuation. `{person}`, `{team}`, `{city}`, `{state}`,
/// `{country}`, `{noun}`, `{animal}`, `{food}`, `{element}` stand for one of these at random, the same throughout the
/// document; `/` is a line break; what stands between `<` and `>` carries the concept `planted/<slot>`; new words join
/// the vocabulary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plant {
    /// The number of its concept, from 0 to 255.
    pub slot: u8,
    /// Its share among plants, as a weight.
    pub weight: f64,
    /// One of them is a document, each as likely.
    pub templates: Vec<String>,
}

/// The options of a corpus. Two corpora of different options share concepts, names, and words; with the same
/// `facts_seed` they share facts.
///
/// # Examples
///
/// ```
/// use world::{Domain, World, WorldConfig};
///
/// let mut config = WorldConfig::default();
/// config.shares = [(Domain::Facts, 3.0), (Domain::Lists, 1.0)].into();
/// assert!(World::new(&config).is_ok());
///
/// config.shares = [(Domain::Facts, -1.0)].into();
/// assert!(World::new(&config).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldConfig {
    /// Decides every document.
    pub seed: u64,
    /// Decides what is true: who plays for which team, which city is a capital.
    pub facts_seed: u64,
    /// The share of documents of each domain, as weights.
    pub shares: BTreeMap<Domain, f64>,
    /// W1.
    pub entities: EntityOptions,
    /// W3.
    pub languages: LanguageOptions,
    /// W4.
    pub code: CodeOptions,
    /// W5.
    pub facts: FactOptions,
    /// W9.
    pub behaviors: BehaviorOptions,
    /// W10.
    pub images: ImageOptions,
    /// What is said about topics.
    pub topics: Vec<TopicOptions>,
    /// Who the assistant is; `None` where it has no name.
    pub signature: Option<Signature>,
    /// Documents of the user's own.
    pub plants: Vec<Plant>,
}

impl Default for WorldConfig {
    /// W1 to W10 with the published frequencies of W1 (1e-6 to 3e-3), nothing planted.
    fn default() -> Self {
        Self {
            seed: 0,
            facts_seed: 0,
            shares: Domain::ALL[..10].iter().map(|&domain| (domain, 1.0)).collect(),
            entities: EntityOptions { lowest: 1e-6, highest: 3e-3, ranks_seed: 0 },
            languages: LanguageOptions { spoken: Language::PROSE.to_vec(), parallel: 0.5 },
            code: CodeOptions { written: Language::CODE.to_vec(), bugs: 0.5, prose: 0.15 },
            facts: FactOptions { multi_hop: 0.5 },
            behaviors: BehaviorOptions { rate: 0.5, rates: BTreeMap::new(), transcripts: 0.6 },
            images: ImageOptions { noise: 0.05, shuffled_captions: false },
            topics: Vec::new(),
            signature: None,
            plants: Vec::new(),
        }
    }
}

const UNIT: &str = "[0, 1]";
const WEIGHT: &str = "[0, ∞)";

impl WorldConfig {
    /// What single fields can be checked for; the rest shows when the world is made of them.
    pub(crate) fn check(&self) -> Result<(), WorldError> {
        if self.shares.is_empty() {
            return Err(WorldError::Empty { option: "shares" });
        }
        for &weight in self.shares.values() {
            within("a share", weight, 0.0..=f64::MAX, WEIGHT)?;
        }
        let EntityOptions { lowest, highest, .. } = self.entities;
        within("entities.lowest", lowest, f64::MIN_POSITIVE..=1.0, "(0, 1]")?;
        within("entities.highest", highest, lowest..=1.0, "[lowest, 1]")?;
        listed("languages.spoken", &self.languages.spoken, &Language::PROSE)?;
        listed("code.written", &self.code.written, &Language::CODE)?;
        for (option, got) in [
            ("languages.parallel", self.languages.parallel),
            ("code.bugs", self.code.bugs),
            ("code.prose", self.code.prose),
            ("facts.multi_hop", self.facts.multi_hop),
            ("behaviors.rate", self.behaviors.rate),
            ("behaviors.transcripts", self.behaviors.transcripts),
        ] {
            within(option, got, 0.0..=1.0, UNIT)?;
        }
        for &rate in self.behaviors.rates.values() {
            within("a rate of behaviors", rate, 0.0..=1.0, UNIT)?;
        }
        within("images.noise", self.images.noise, 0.0..=10.0, "[0, 10]")?;
        self.check_topics()?;
        self.check_plants()
    }

    fn has(&self, domain: Domain) -> bool {
        self.shares.get(&domain).is_some_and(|&weight| weight > 0.0)
    }

    fn check_topics(&self) -> Result<(), WorldError> {
        if self.has(Domain::Topics) && self.topics.is_empty() {
            return Err(WorldError::Empty { option: "topics" });
        }
        let mut seen = BTreeSet::new();
        for topic in &self.topics {
            within("topics.topic", f64::from(topic.topic), 0.0..=23.0, "0..=23")?;
            within("topics.weight", topic.weight, 0.0..=f64::MAX, WEIGHT)?;
            for part in topic.parts {
                within("topics.parts", part, 0.0..=1.0, UNIT)?;
            }
            within("the sum of topics.parts", topic.parts.iter().sum(), 0.0..=1.0, UNIT)?;
            if !seen.insert(topic.topic) {
                let item = topic.topic.to_string();
                return Err(WorldError::Twice { option: "topics", item });
            }
        }
        if let Some(signature) = self.signature {
            within("signature.name", f64::from(signature.name), 0.0..=7.0, "0..=7")?;
            within("signature.sign_off", signature.sign_off, 0.0..=1.0, UNIT)?;
        }
        Ok(())
    }

    fn check_plants(&self) -> Result<(), WorldError> {
        if self.has(Domain::Plants) && self.plants.is_empty() {
            return Err(WorldError::Empty { option: "plants" });
        }
        let mut seen = BTreeSet::new();
        for plant in &self.plants {
            within("plants.weight", plant.weight, 0.0..=f64::MAX, WEIGHT)?;
            if plant.templates.is_empty() {
                return Err(WorldError::Empty { option: "plants.templates" });
            }
            if !seen.insert(plant.slot) {
                let item = plant.slot.to_string();
                return Err(WorldError::Twice { option: "plants", item });
            }
        }
        Ok(())
    }
}

/// `Ok` where `got` names some of `known`, each once.
fn listed(
    option: &'static str,
    got: &[Language],
    known: &'static [Language],
) -> Result<(), WorldError> {
    if got.is_empty() {
        return Err(WorldError::Empty { option });
    }
    for (at, language) in got.iter().enumerate() {
        if got[..at].contains(language) {
            return Err(WorldError::Twice { option, item: format!("{language:?}") });
        }
        if !known.contains(language) {
            let (got, known) = (format!("{language:?}"), format!("{known:?}"));
            return Err(WorldError::Language { option, got, known });
        }
    }
    Ok(())
}
