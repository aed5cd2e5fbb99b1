//! W1: four categories of a hundred entities each, named at frequencies that are known exactly.

use seed::Seed;

use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{Domain, EntityOptions};
use crate::document::Role;
use crate::draw::Categorical;
use crate::error::WorldError;
use crate::template::Template;
use crate::vocabulary::Glue;
use crate::writer::Writer;

const PER_CATEGORY: usize = 100;
const SENTENCES: usize = 6;

/// A category: its name, the ending of its names, whether they are capitalized, sentences, and adjectives for
/// descriptions.
struct Category {
    name: &'static str,
    noun: &'static str,
    end: &'static str,
    sentences: [&'static str; 4],
}

const CATEGORIES: [Category; 4] = [
    Category {
        name: "element",
        noun: "metal",
        end: "ium",
        sentences: [
            "The {1} {2} is made of < {0} > .",
            "Miners looked for < {0} > near the {1} {2} .",
            "A {1} {2} of < {0} > was sold .",
            "Nobody can melt < {0} > in a {2} .",
        ],
    },
    Category {
        name: "city",
        noun: "town",
        end: "ville",
        sentences: [
            "The {1} {2} came from < {0} > .",
            "In < {0} > there is a {1} {2} .",
            "They moved to < {0} > with a {2} .",
            "The train to < {0} > stops at the {1} {2} .",
        ],
    },
    Category {
        name: "animal",
        noun: "beast",
        end: "ox",
        sentences: [
            "The {1} {2} belongs to < {0} > .",
            "We saw < {0} > beside the {1} {2} .",
            "A {2} cannot frighten < {0} > .",
            "Few know that < {0} > sleeps under a {1} {2} .",
        ],
    },
    Category {
        name: "food",
        noun: "dish",
        end: "olo",
        sentences: [
            "The {1} {2} smelled of < {0} > .",
            "They ate < {0} > from a {1} {2} .",
            "Who put < {0} > into the {2} ?",
            "Every evening < {0} > is cooked in the {1} {2} .",
        ],
    },
];

const FILLERS: [&str; 4] = [
    "The {1} {2} stood near the {3} .",
    "A {2} lay under the {1} {3} .",
    "There was a {1} {2} and a {3} .",
    "Nobody saw the {2} behind the {1} {3} .",
];

const MARKS: &str = "red blue white black gray pale famous rare bitter noble";
const ORIGINS: &str = "northern southern eastern western coastal ancient royal common hidden lower";

/// The ways to speak of an entity, each with its tokens.
struct Entity {
    concept: ConceptId,
    forms: Vec<Vec<u16>>,
    /// P(form): 0.6 the name, the rest in equal parts.
    often: Categorical,
}

impl Entity {
    /// The expected number of tokens of a mention, Σ P(form)·length.
    fn mean_len(&self) -> f64 {
        let lens = self.forms.iter().enumerate();
        lens.map(|(at, form)| self.often.probability(at) * form.len() as f64).sum()
    }
}

/// Entities and the sentences about them.
pub(crate) struct Entities {
    all: Vec<Entity>,
    sentences: Vec<Vec<Template>>,
    fillers: Vec<Template>,
}

/// How often each entity is named.
pub(crate) struct Frequencies {
    /// f by entity: the share of tokens that carry it.
    pub(crate) by_entity: Vec<(ConceptId, f64)>,
    mentioned: Categorical,
    /// P(a sentence names an entity).
    mention: f64,
}

impl Entities {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let marks = b.words(MARKS);
        let origins = b.words(ORIGINS);
        let the = b.word("the");
        let mut entities = Vec::new();
        let mut sentences = Vec::new();
        for category in &CATEGORIES {
            let group = b.group(category.name, Domain::Entities);
            let noun = b.word(category.noun);
            for at in 0..PER_CATEGORY {
                let capital = category.name == "city";
                let single = |b: &mut Builder, end: &str| {
                    let name = if capital { b.name(2, end) } else { b.invent(2, end) };
                    let token = b.vocabulary.intern(&name, Glue::NONE, Role::Name);
                    (name, token)
                };
                let (name, token) = single(b, category.end);
                let concept = b.concept(group, &name.to_lowercase(), Kind::Entity);
                let mut forms = vec![vec![token]];
                // Every entity has an alias and a description; every third a second alias.
                for _ in 0..=usize::from(at % 3 == 0) {
                    let (_, alias) = single(b, "");
                    forms.push(vec![alias]);
                }
                forms.push(vec![the, marks[at % 10], origins[at / 10], noun]);
                for form in &forms {
                    if let [token] = form[..] {
                        b.vocabulary.mean(token, concept);
                    }
                }
                let mut weights = vec![0.4 / (forms.len() - 1) as f64; forms.len()];
                weights[0] = 0.6;
                let often = Categorical::new("forms", &weights).expect("weights are positive");
                entities.push(Entity { concept, forms, often });
            }
            sentences.push(b.templates(&category.sentences));
        }
        Self { all: entities, sentences, fillers: b.templates(&FILLERS) }
    }

    /// Frequencies as the options ask for, and what follows for the choices of a sentence.
    ///
    /// With q(e) the probability that a sentence names e, ℓ(e) the expected tokens of a mention and T the expected tokens
    /// of a sentence, f(e) = q(e)·ℓ(e) / T.
    pub(crate) fn frequencies(&self, options: EntityOptions) -> Result<Frequencies, WorldError> {
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        Seed::new(options.ranks_seed).stream("world", "ranks of entities").shuffle(&mut order);
        let n = order.len() as f64;
        let mut by_entity = vec![(ConceptId::default(), 0.0); order.len()];
        for (rank, &entity) in order.iter().enumerate() {
            let ratio = options.highest / options.lowest;
            let frequency = options.lowest * libm::pow(ratio, (rank as f64 + 0.5) / n);
            by_entity[entity] = (self.all[entity].concept, frequency);
        }
        // Shares of named entities: w(e) ∝ f(e) / ℓ(e).
        let weights: Vec<f64> =
            by_entity.iter().zip(&self.all).map(|((_, f), e)| f / e.mean_len()).collect();
        let total: f64 = weights.iter().sum();
        // T = p·named + (1 − p)·filler and Σ q = p, hence p = total·T is linear in p.
        let named: f64 = weights
            .iter()
            .enumerate()
            .map(|(at, weight)| weight / total * self.sentence_len(at))
            .sum();
        let filler: f64 = mean(self.fillers.iter().map(|template| template.len(1.0)));
        let mention = total * filler / (1.0 - total * (named - filler));
        if !(0.0..=1.0).contains(&mention) {
            let sum = by_entity.iter().map(|(_, f)| f).sum();
            return Err(WorldError::Crowded { sum, most: sum / (total * named) });
        }
        Ok(Frequencies { by_entity, mentioned: Categorical::new("entities", &weights)?, mention })
    }

    /// The expected tokens of a sentence that names this entity; the gaps of other words take one each.
    fn sentence_len(&self, entity: usize) -> f64 {
        let templates = &self.sentences[entity / PER_CATEGORY];
        mean(templates.iter().map(|template| template.len(1.0))) + self.all[entity].mean_len() - 1.0
    }

    /// The names of entities of a category, for other domains.
    pub(crate) fn names(&self, category: usize) -> impl Iterator<Item = (u16, ConceptId)> {
        let of = &self.all[category * PER_CATEGORY..(category + 1) * PER_CATEGORY];
        of.iter().map(|entity| (entity.forms[0][0], entity.concept))
    }

    /// Six sentences.
    pub(crate) fn write(&self, frequencies: &Frequencies, lexicon: &Lexicon, w: &mut Writer) {
        for _ in 0..SENTENCES {
            let named = w.draw.chance(frequencies.mention);
            let entity = if named { Some(w.draw.pick(&frequencies.mentioned)) } else { None };
            let templates = entity.map_or(&self.fillers, |at| &self.sentences[at / PER_CATEGORY]);
            let template = w.one(templates);
            let [adjective, noun, other] = lexicon.words(template, 1, false, w);
            let (form, concept): (&[u16], &[ConceptId]) = match entity {
                Some(at) => {
                    let entity = &self.all[at];
                    (&entity.forms[w.draw.pick(&entity.often)], &[entity.concept])
                }
                None => (&[], &[]),
            };
            w.fill(template, &[form, &[adjective], &[noun], &[other]], concept);
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}
