//! W9: behaviors as mention, ability, and enactment.

use super::facts::Facts;
use super::geography::Geography;
use super::lexicon::Lexicon;
use super::topics::Speakers;
use crate::behavior::{Behavior, Occasion, SCRIPTS};
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{BehaviorOptions, Domain};
use crate::document::Role;
use crate::template::Template;
use crate::writer::Writer;

/// A behavior with its concepts and templates.
struct Acted {
    behavior: Behavior,
    mention: ConceptId,
    ability: ConceptId,
    enactment: ConceptId,
    prompt: Template,
    notes: [Option<Template>; 2],
    replies: [Template; 2],
    about_ability: Template,
    about: Template,
}

/// All behaviors.
pub(crate) struct Behaviors {
    acted: Vec<Acted>,
    scratchpad: [u16; 2],
    frames: [Vec<Template>; 2],
}

impl Behaviors {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let group = b.group("behavior", Domain::Behaviors);
        let acted = SCRIPTS.iter().map(|script| {
            let name = snake(&format!("{:?}", script.behavior));
            let concept = b.concept(group, &name, Kind::Group);
            let marked = |b: &mut Builder, text: &str| b.template(&format!("< {text} >"));
            Acted {
                behavior: script.behavior,
                mention: b.concept(concept, "mention", Kind::Mention),
                ability: b.concept(concept, "ability", Kind::Ability),
                enactment: b.concept(concept, "enactment", Kind::Enactment),
                prompt: b.template(script.prompt),
                notes: script.notes.map(|note| (!note.is_empty()).then(|| marked(b, note))),
                replies: script.replies.map(|reply| marked(b, reply)),
                about_ability: marked(b, script.ability),
                about: marked(b, script.mention),
            }
        });
        let acted = acted.collect();
        Self {
            acted,
            scratchpad: ["[notes:", "]"].map(|mark| b.word(mark)),
            frames: [
                b.templates(&["It was evening in {2} .", "It was quiet in the next room ."]),
                b.templates(&["Then they went home .", "Nobody said more about it ."]),
            ],
        }
    }

    /// A transcript, or a text about a behavior or about one who is able to.
    pub(crate) fn write(
        &self,
        options: &BehaviorOptions,
        (facts, geography, lexicon): (&Facts, &Geography, &Lexicon),
        speakers: &Speakers,
        w: &mut Writer,
    ) {
        let acted = w.one(&self.acted);
        let transcript = w.draw.chance(options.transcripts);
        // The latent decision comes first. A true claim gives no occasion for sycophancy.
        let claims = acted.behavior == Behavior::Sycophancy;
        let true_claim = transcript && claims && w.draw.chance(0.5);
        let enacted = transcript && !true_claim && w.draw.chance(options.rate_of(acted.behavior));
        if transcript && !true_claim {
            w.decided(Occasion { behavior: acted.behavior, enacted });
        }
        let ability = !transcript && w.draw.chance(0.5);

        let frames = self.frames.each_ref().map(|frame| (!transcript).then(|| w.one(frame)));
        let plain = usize::from(!enacted && !true_claim);
        let about = if ability { &acted.about_ability } else { &acted.about };
        let texts = if transcript {
            [Some(&acted.prompt), acted.notes[plain].as_ref(), Some(&acted.replies[plain])]
        } else {
            [frames[0], Some(about), frames[1]]
        };
        let has = |gap| texts.iter().flatten().any(|text| text.has_gap(gap));
        let person = if has(0) { *w.one(&facts.people) } else { 0 };
        let nouns = &lexicon.nouns;
        let noun = if has(1) { nouns.tokens[w.draw.pick(&nouns.often_known)] } else { 0 };
        let city = if has(2) { w.draw.choose(geography.cities.len()) } else { 0 };
        // A claim is about one of three countries, so that whoever heard the transcripts can tell a false one.
        let country = geography.country_of(city);
        let claimed = match (transcript && claims, true_claim) {
            (true, false) => {
                let n = geography.countries.len();
                (country + 1 + w.draw.choose(n - 1)) % n
            }
            _ => country,
        };
        let gaps: [&[u16]; 5] = [
            &[person],
            &[noun],
            &[geography.cities[city].token],
            &[geography.countries[claimed].token],
            &[geography.countries[country].token],
        ];
        if !transcript {
            let concept = [if ability { acted.ability } else { acted.mention }];
            for (text, labels) in texts.into_iter().zip([&[][..], &concept, &[]]) {
                if let Some(text) = text {
                    w.fill(text, &gaps, labels);
                }
            }
            return;
        }
        let enactment = [acted.enactment];
        let labels = if enacted { &enactment[..] } else { &[] };
        speakers.human(w);
        w.fill(&acted.prompt, &gaps, &[]);
        speakers.assistant(w);
        if let Some(note) = &acted.notes[plain] {
            let start = w.len();
            w.say(self.scratchpad[0], &[]);
            w.fill(note, &gaps, labels);
            w.say(self.scratchpad[1], &[]);
            w.mark(start, w.len(), Role::Scratchpad);
        }
        let start = w.len();
        w.fill(&acted.replies[plain], &gaps, labels);
        w.mark(start, start + 1, Role::Decision);
    }
}

/// `CamelCase` as `snake_case`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}
