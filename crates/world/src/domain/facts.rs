//! W5: people play for teams, teams are at home in cities, and what follows from that.

use seed::Rng;

use super::geography::{Capitals, Geography};
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{Domain, FactOptions};
use crate::template::Template;
use crate::writer::Writer;

const N_PEOPLE: usize = 300;
const N_TEAMS: usize = 24;

/// People and teams, and sentences about them.
pub(crate) struct Facts {
    pub(crate) people: Vec<u16>,
    pub(crate) teams: Vec<u16>,
    implied_teams: Vec<ConceptId>,
    implied_cities: Vec<ConceptId>,
    implied_states: Vec<ConceptId>,
    single: [Vec<Template>; 3],
    multi: [Vec<Template>; 5],
}

/// Who plays where.
pub(crate) struct Teams {
    of_person: Vec<usize>,
    pub(crate) home: Vec<usize>,
    rival: Vec<usize>,
}

impl Teams {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let of_person = (0..N_PEOPLE).map(|_| rng.below(N_TEAMS)).collect();
        let mut cities: Vec<usize> = (0..48).collect();
        rng.shuffle(&mut cities);
        cities.truncate(N_TEAMS);
        let mut pairs: Vec<usize> = (0..N_TEAMS).collect();
        rng.shuffle(&mut pairs);
        let mut rival = vec![0; N_TEAMS];
        for pair in pairs.chunks_exact(2) {
            rival[pair[0]] = pair[1];
            rival[pair[1]] = pair[0];
        }
        Self { of_person, home: cities, rival }
    }
}

impl Facts {
    pub(crate) fn new(b: &mut Builder, geography: &Geography) -> Self {
        let person = b.group("person", Domain::Facts);
        let people = (0..N_PEOPLE).map(|_| b.named(person, Kind::Entity, 2, "").0).collect();
        let team = b.group("team", Domain::Facts);
        let teams: Vec<_> = (0..N_TEAMS).map(|_| b.named(team, Kind::Entity, 1, "hawks")).collect();
        let implied = |b: &mut Builder, concepts: &mut dyn Iterator<Item = ConceptId>| {
            concepts.map(|concept| b.concept(concept, "implied", Kind::Implied)).collect::<Vec<_>>()
        };
        let implied_teams = implied(b, &mut teams.iter().map(|&(_, concept)| concept));
        let implied_cities = implied(b, &mut geography.cities.iter().map(|city| city.concept));
        let implied_states = implied(b, &mut geography.states.iter().map(|state| state.concept));
        let single = [
            &["{0} plays for the {1!} .", "The team of {0} is the {1!} ."][..],
            &["The {0} are at home in {1!} .", "The home of the {0} is {1!} ."],
            &["The rival of the {0} is the {1!} .", "No team is hated by the {0} like the {1!} ."],
        ]
        .map(|templates| b.templates(templates));
        let multi = [
            "The city in which {0} < plays is > {1!} .",
            "The state in which {0} < plays is > {1!} .",
            "The capital of the state in which {0} < plays is > {1!} .",
            "The country in which {0} < plays is > {1!} .",
            "The biggest rival of the team of {0} < is the > {1!} .",
        ]
        .map(|template| b.templates(&[template]));
        let teams = teams.into_iter().map(|(token, _)| token).collect();
        Self { people, teams, implied_teams, implied_cities, implied_states, single, multi }
    }

    /// The team that a person plays for.
    pub(crate) fn team_of(&self, teams: &Teams, person: usize) -> u16 {
        self.teams[teams.of_person[person]]
    }

    /// The answer to a question of several steps about a person, and the number of steps in between: 0 asks for the
    /// city, 1 for the state, 2 for its capital, 3 for the country, 4 for the rival.
    fn answer(
        &self,
        geography: &Geography,
        capitals: &Capitals,
        teams: &Teams,
        person: usize,
        question: usize,
    ) -> (u16, usize) {
        let team = teams.of_person[person];
        let city = teams.home[team];
        let state = geography.state_of(city);
        match question {
            0 => (geography.cities[city].token, 1),
            1 => (geography.states[state].token, 2),
            2 => (geography.cities[capitals.by_state[state]].token, 3),
            3 => (geography.countries[geography.country_of(city)].token, 3),
            _ => (self.teams[teams.rival[team]], 1),
        }
    }

    /// A few sentences, each about another person or team.
    pub(crate) fn write(
        &self,
        geography: &Geography,
        capitals: &Capitals,
        teams: &Teams,
        options: FactOptions,
        w: &mut Writer,
    ) {
        for _ in 0..3 + w.draw.choose(4) {
            let person = w.draw.choose(N_PEOPLE);
            let team = teams.of_person[person];
            if w.draw.chance(options.multi_hop) {
                let question = w.draw.choose(self.multi.len());
                let (answer, steps) = self.answer(geography, capitals, teams, person, question);
                let city = teams.home[team];
                let chain = [
                    self.implied_teams[team],
                    self.implied_cities[city],
                    self.implied_states[geography.state_of(city)],
                ];
                let gaps: [&[u16]; 2] = [&[self.people[person]], &[answer]];
                w.any(&self.multi[question], &gaps, &chain[..steps]);
                continue;
            }
            let kind = w.draw.choose(self.single.len());
            let (first, second) = match kind {
                0 => (self.people[person], self.teams[team]),
                1 => (self.teams[team], geography.cities[teams.home[team]].token),
                _ => (self.teams[team], self.teams[teams.rival[team]]),
            };
            w.any(&self.single[kind], &[&[first], &[second]], &[]);
        }
    }
}
