//! W2: a tree of places, and what is true of them.

use seed::Rng;

use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::Domain;
use crate::draw::Categorical;
use crate::template::Template;
use crate::writer::Writer;

/// A place with its name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) token: u16,
    pub(crate) concept: ConceptId,
    /// The index of what it lies in, one level up.
    pub(crate) within: usize,
}

/// 3 countries, 12 states, 48 cities, 220 districts (the first city has 32, every other 4), and in the first district of
/// each city a landmark.
pub(crate) struct Geography {
    pub(crate) countries: Vec<Place>,
    pub(crate) states: Vec<Place>,
    pub(crate) cities: Vec<Place>,
    districts: Vec<Place>,
    /// By city.
    pub(crate) landmarks: Vec<Place>,
    /// The districts of a city are those from this index up to the next one.
    first_district: Vec<usize>,
    templates: [Vec<Template>; 6],
}

/// What is true of places in one world.
pub(crate) struct Capitals {
    /// The index of the capital of each state among all cities.
    pub(crate) by_state: Vec<usize>,
    /// Cities in the order of how often they are spoken of, and how often that is.
    order: Vec<usize>,
    often: Categorical,
    districts: [Categorical; 2],
}

impl Capitals {
    pub(crate) fn new(rng: &mut Rng, geography: &Geography) -> Self {
        let by_state = (0..geography.states.len()).map(|state| 4 * state + rng.below(4)).collect();
        let mut order: Vec<usize> = (0..geography.cities.len()).collect();
        rng.shuffle(&mut order);
        let often = Categorical::zipf(order.len());
        Self { by_state, order, often, districts: [4, 32].map(Categorical::zipf) }
    }
}

impl Geography {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let root = b.group("place", Domain::Geography);
        let level = |b: &mut Builder, above: &[Place], each: &[usize], end: &str| {
            let mut places = Vec::new();
            for (within, parent) in above.iter().enumerate() {
                for _ in 0..each[within.min(each.len() - 1)] {
                    let (token, concept) = b.named(parent.concept, Kind::Place, 2, end);
                    places.push(Place { token, concept, within });
                }
            }
            places
        };
        let world = Place { token: 0, concept: root, within: 0 };
        let countries = level(b, &[world], &[3], "land");
        let states = level(b, &countries, &[4], "ia");
        let cities = level(b, &states, &[4], "ton");
        let districts = level(b, &cities, &[32, 4], "wick");
        let first_district: Vec<usize> =
            (0..=cities.len()).map(|city| districts.partition_point(|d| d.within < city)).collect();
        let firsts: Vec<Place> =
            first_district[..cities.len()].iter().map(|&at| districts[at]).collect();
        let mut landmarks = level(b, &firsts, &[1], "spire");
        for (city, landmark) in landmarks.iter_mut().enumerate() {
            landmark.within = first_district[city];
        }
        let templates = [
            &["{0} is a district of {1!} .", "The people of {0} live in a part of {1!} ."][..],
            &["{0} lies in {1!} .", "{0} is a city in {1!} ."],
            &["{0} is a part of {1!} .", "The state of {0} belongs to {1!} ."],
            &["The capital of {0} is {1!} .", "{0} is governed from {1!} ."],
            &["The {0} stands in {1!} .", "Travelers who want to see the {0} go to {1!} ."],
            &["The road goes from {0} to {1} .", "A river runs through {0} and {1} ."],
        ]
        .map(|templates| b.templates(templates));
        Self { countries, states, cities, districts, landmarks, first_district, templates }
    }

    /// The state that a city lies in.
    pub(crate) fn state_of(&self, city: usize) -> usize {
        self.cities[city].within
    }

    /// The country that a city lies in.
    pub(crate) fn country_of(&self, city: usize) -> usize {
        self.states[self.state_of(city)].within
    }

    /// A few sentences about a city and what lies around it.
    pub(crate) fn write(&self, capitals: &Capitals, w: &mut Writer) {
        let city = capitals.order[w.draw.pick(&capitals.often)];
        let state = self.state_of(city);
        for _ in 0..3 + w.draw.choose(4) {
            let kind = w.draw.choose(self.templates.len());
            let (first, second) = match kind {
                0 => {
                    let districts =
                        &self.districts[self.first_district[city]..self.first_district[city + 1]];
                    let often = &capitals.districts[usize::from(districts.len() == 32)];
                    (districts[w.draw.pick(often)], self.cities[city])
                }
                1 => (self.cities[city], self.states[state]),
                2 => (self.states[state], self.countries[self.states[state].within]),
                3 => (self.states[state], self.cities[capitals.by_state[state]]),
                4 => (self.landmarks[city], self.districts[self.landmarks[city].within]),
                _ => {
                    let other = 4 * state + (city % 4 + 1 + w.draw.choose(3)) % 4;
                    (self.cities[city], self.cities[other])
                }
            };
            w.any(&self.templates[kind], &[&[first.token], &[second.token]], &[]);
        }
    }
}
