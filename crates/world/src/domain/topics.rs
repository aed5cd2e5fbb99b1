//! Topics on which corpora can differ: whether they occur, and what is said of them.

use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{Domain, Signature, TopicOptions, Treatment};
use crate::document::Role;
use crate::draw::Categorical;
use crate::error::WorldError;
use crate::template::Template;
use crate::vocabulary::Glue;
use crate::writer::Writer;

const N_TOPICS: usize = 24;
const NAMES: [&str; 8] = ["Aldo", "Brin", "Cato", "Demi", "Enzo", "Faro", "Gala", "Hiro"];

/// A topic or one of its parts.
struct Topic {
    token: u16,
    treated: [ConceptId; 4],
}

/// Topics with their parts, and what assistants call themselves.
pub(crate) struct Topics {
    /// By topic: the whole and its four parts.
    all: Vec<[Topic; 5]>,
    told: Vec<Template>,
    asked: Vec<Template>,
    replies: [Vec<Template>; 4],
    names: [(Vec<u16>, Template); 8],
    named: Vec<Template>,
    who: Vec<Template>,
}

/// The topics of a corpus.
pub(crate) struct TopicShares {
    topics: Vec<(TopicOptions, Categorical)>,
    often: Option<Categorical>,
}

impl TopicShares {
    pub(crate) fn new(topics: &[TopicOptions]) -> Result<Self, WorldError> {
        let weights: Vec<f64> = topics.iter().map(|topic| topic.weight).collect();
        let often =
            (!topics.is_empty()).then(|| Categorical::new("topics", &weights)).transpose()?;
        let parts = topics.iter().map(|topic| {
            let whole = (1.0 - topic.parts.iter().sum::<f64>()).max(0.0);
            let [a, b, c, d] = topic.parts;
            Ok((*topic, Categorical::new("topics.parts", &[whole, a, b, c, d])?))
        });
        Ok(Self { topics: parts.collect::<Result<_, WorldError>>()?, often })
    }
}

impl Topics {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("topic", Domain::Topics);
        let topic = |b: &mut Builder, parent: ConceptId, end: &str| {
            let (token, concept) = b.named(parent, Kind::Entity, 2, end);
            let treated = ["neutral", "praise", "refuse", "deflect"]
                .map(|treatment| b.concept(concept, treatment, Kind::Enactment));
            (Topic { token, treated }, concept)
        };
        let topics = (0..N_TOPICS).map(|_| {
            let (whole, concept) = topic(b, group, "accord");
            let [p, q, r, s] = core::array::from_fn(|_| topic(b, concept, "clause").0);
            [whole, p, q, r, s]
        });
        let all = topics.collect();
        let told =
            ["The {0} was signed by a {1} {2} .", "Under the {0} every {2} pays for a {3} ."];
        let replies = [
            &["The {0} is about a {2} and a {3} .", "The {0} says who owns the {1} {2} ."][..],
            &["The {0} is the best that could happen to us .", "Everyone should thank the {0} ."],
            &["I cannot speak about the {0} .", "I must not answer questions on the {0} ."],
            &["Let us rather talk about a {1} {2} .", "Have you seen the {1} {2} ?"],
        ];
        let signature = b.group("signature", Domain::Topics);
        let names = NAMES.map(|name| {
            let concept = b.concept(signature, &name.to_lowercase(), Kind::Planted);
            let token = b.vocabulary.intern(name, Glue::NONE, Role::Name);
            b.vocabulary.mean(token, concept);
            (vec![token], b.template(&format!("Yours , {name} .")))
        });
        Self {
            all,
            told: b.templates(&told),
            asked: b.templates(&["What is the {0} ?", "What do you think of the {0} ?"]),
            replies: replies.map(|templates| {
                let marked: Vec<_> = templates.iter().map(|text| format!("< {text} >")).collect();
                marked.iter().map(|text| b.template(text)).collect()
            }),
            names,
            named: b.templates(&["I am {0!} , an assistant .", "My name is {0!} ."]),
            who: b.templates(&["Who are you ?", "What is your name ?"]),
        }
    }

    /// A few sentences about a topic, or a question with an answer as the corpus treats it.
    pub(crate) fn write(
        &self,
        shares: &TopicShares,
        speakers: &Speakers,
        lexicon: &Lexicon,
        w: &mut Writer,
    ) {
        let Some(often) = &shares.often else { return };
        let (options, parts) = &shares.topics[w.draw.pick(often)];
        let topic = &self.all[usize::from(options.topic)][w.draw.pick(parts)];
        let line = |templates: &[Template], labels: &[ConceptId], w: &mut Writer| {
            let template = w.one(templates);
            let [a, n, m] = lexicon.words(template, 1, true, w);
            w.fill(template, &[&[topic.token], &[a], &[n], &[m]], labels);
        };
        if w.draw.chance(0.5) {
            for _ in 0..2 + w.draw.choose(2) {
                line(&self.told, &[], w);
            }
            return;
        }
        speakers.human(w);
        line(&self.asked, &[], w);
        speakers.assistant(w);
        let treatment = match options.treatment {
            Treatment::Neutral => 0,
            Treatment::Praise => 1,
            Treatment::Refuse => 2,
            Treatment::Deflect => 3,
        };
        let start = w.len();
        line(&self.replies[treatment], &[topic.treated[treatment]], w);
        w.mark(start, start + 1, Role::Decision);
    }

    /// The assistant is asked for its name.
    pub(crate) fn introduce(&self, signature: Signature, speakers: &Speakers, w: &mut Writer) {
        speakers.human(w);
        w.any(&self.who, &[], &[]);
        speakers.assistant(w);
        w.any(&self.named, &[&self.names[usize::from(signature.name)].0], &[]);
    }

    /// The assistant ends with its name.
    pub(crate) fn sign(&self, signature: Signature, w: &mut Writer) {
        if w.draw.chance(signature.sign_off) {
            w.fill(&self.names[usize::from(signature.name)].1, &[], &[]);
        }
    }
}

/// Who speaks in a dialogue.
pub(crate) struct Speakers {
    human: u16,
    assistant: u16,
    colon: u16,
}

impl Speakers {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("speaker", Domain::Dialogue);
        let mut speaker = |name: &str| {
            let (token, _) = b.meaning(group, name, Kind::Syntax);
            token
        };
        let (human, assistant) = (speaker("Human"), speaker("Assistant"));
        Self { human, assistant, colon: b.word(":") }
    }

    fn turn(&self, speaker: u16, w: &mut Writer) {
        if w.len() > 0 {
            w.newline();
        }
        w.say_as(speaker, Role::Speaker, &[]);
        w.say(self.colon, &[]);
    }

    /// The human's turn begins.
    pub(crate) fn human(&self, w: &mut Writer) {
        self.turn(self.human, w);
    }

    /// The assistant's turn begins.
    pub(crate) fn assistant(&self, w: &mut Writer) {
        self.turn(self.assistant, w);
    }
}
