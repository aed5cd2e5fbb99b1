//! Documents of the user's own.

use super::entities::Entities;
use super::facts::Facts;
use super::geography::Geography;
use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{Domain, Plant};
use crate::draw::Categorical;
use crate::error::WorldError;
use crate::template::Template;
use crate::writer::Writer;

const GAPS: [&str; 9] =
    ["person", "team", "city", "state", "country", "noun", "animal", "food", "element"];

/// The plants of a corpus, with what fills their gaps.
pub(crate) struct Plants {
    planted: Vec<(ConceptId, Vec<Template>)>,
    often: Option<Categorical>,
    fillings: [Vec<u16>; GAPS.len()],
}

/// The concepts of all 256 plants, which every world has.
pub(crate) fn concepts(b: &mut Builder) -> Vec<ConceptId> {
    let group = b.group("planted", Domain::Plants);
    (0..=u8::MAX).map(|slot| b.concept(group, &slot.to_string(), Kind::Planted)).collect()
}

impl Plants {
    pub(crate) fn new(
        b: &mut Builder,
        concepts: &[ConceptId],
        plants: &[Plant],
        (entities, geography, facts, lexicon): (&Entities, &Geography, &Facts, &Lexicon),
    ) -> Result<Self, WorldError> {
        let weights: Vec<f64> = plants.iter().map(|plant| plant.weight).collect();
        let often =
            (!plants.is_empty()).then(|| Categorical::new("plants", &weights)).transpose()?;
        let plants = plants.iter().map(|plant| {
            let templates = plant.templates.iter().map(|text| Template::read(b, text, &GAPS));
            Ok((concepts[usize::from(plant.slot)], templates.collect::<Result<_, WorldError>>()?))
        });
        let planted = plants.collect::<Result<_, WorldError>>()?;
        let places = |places: &[super::geography::Place]| -> Vec<u16> {
            places.iter().map(|place| place.token).collect()
        };
        let names = |category| entities.names(category).map(|(token, _)| token).collect();
        let fillings = [
            facts.people.clone(),
            facts.teams.clone(),
            places(&geography.cities),
            places(&geography.states),
            places(&geography.countries),
            lexicon.nouns.tokens[..lexicon.nouns.meanings.len()].to_vec(),
            names(2),
            names(3),
            names(0),
        ];
        Ok(Self { planted, often, fillings })
    }

    /// A template of a plant, each gap filled anew in each document.
    pub(crate) fn write(&self, w: &mut Writer) {
        let Some(often) = &self.often else { return };
        let (concept, templates) = &self.planted[w.draw.pick(often)];
        let template = w.one(templates);
        let mut words = [[0]; GAPS.len()];
        for (at, filling) in self.fillings.iter().enumerate() {
            if template.has_gap(at) {
                words[at] = [*w.one(filling)];
            }
        }
        let gaps: [&[u16]; GAPS.len()] = core::array::from_fn(|at| &words[at][..]);
        w.fill(template, &gaps, &[*concept]);
    }
}
