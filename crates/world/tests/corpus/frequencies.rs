//! Frequencies are those that the options ask for.

use std::collections::BTreeMap;

use world::{Behavior, ConceptId, Domain, Language, Role, WorldConfig};

use super::binomial::plausible;
use super::{all, carries, each, has, only, plant};

/// Fewer than this share of correct generators fails a check.
const LEVEL: f64 = 1e-6;

#[test]
fn documents_have_the_shares_of_their_domains() {
    let weights = [(Domain::Facts, 3.0), (Domain::Lists, 1.0), (Domain::Code, 0.0)];
    let config = WorldConfig { shares: weights.into(), ..WorldConfig::default() };
    let n = 4000;
    let mut counts: BTreeMap<Domain, u64> = BTreeMap::new();
    each(&config, n, |_, document| *counts.entry(document.domain()).or_default() += 1);
    assert!(plausible(counts[&Domain::Facts], n, 0.75, LEVEL), "{counts:?}");
    assert!(!counts.contains_key(&Domain::Code));
}

#[test]
fn entities_have_the_frequencies_that_are_stated() {
    let config = only(Domain::Entities);
    let mut tokens = 0.0;
    let mut carried: BTreeMap<ConceptId, f64> = BTreeMap::new();
    // Mentions, where the same entity in a row counts once; a sentence holds at most one.
    let mut mentions: BTreeMap<ConceptId, u64> = BTreeMap::new();
    let n_documents = 30_000;
    let mut stated = Vec::new();
    each(&config, n_documents, |world, document| {
        if stated.is_empty() {
            stated = world.entity_frequencies().to_vec();
        }
        tokens += document.pieces().len() as f64;
        let mut before = None;
        for at in 0..document.pieces().len() {
            let entity = document.labels(at).iter().copied().find(|&id| {
                let concept = world.concepts().get(id).unwrap();
                concept.domain == Domain::Entities
            });
            if let Some(entity) = entity {
                *carried.entry(entity).or_default() += 1.0;
                if before != Some(entity) {
                    *mentions.entry(entity).or_default() += 1;
                }
            }
            before = entity;
        }
    });
    // f(e) = q(e)·ℓ(e)/T, with the tokens of a mention ℓ(e): 0.6 + 0.4·(aliases + 4)/(aliases + 1), one or two aliases.
    let sentences = 6 * n_documents;
    let mean_len = tokens / sentences as f64;
    for (at, &(entity, frequency)) in stated.iter().enumerate() {
        let aliases = if at % 100 % 3 == 0 { 2.0 } else { 1.0 };
        let len = 0.6 + 0.4 * (aliases + 4.0) / (aliases + 1.0);
        let hits = mentions.get(&entity).copied().unwrap_or(0);
        let q = frequency * mean_len / len;
        assert!(plausible(hits, sentences, q, LEVEL), "{entity:?}: {hits}, not {}", q * 1.8e5);
    }
    // All together: 0.15 of 1.4 million tokens carry one, with a standard error below half a percent of that.
    let total: f64 = stated.iter().map(|(_, frequency)| frequency).sum();
    let measured = carried.values().sum::<f64>() / tokens;
    assert!((measured / total - 1.0).abs() < 0.02, "{measured}, not {total}");
    // Log-uniform: ranks are evenly spaced in ln f, between the ends.
    let mut logs: Vec<f64> = stated.iter().map(|(_, f)| libm::log(*f)).collect();
    logs.sort_by(f64::total_cmp);
    let step = libm::log(3e-3 / 1e-6) / 400.0;
    assert!(logs.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() < 1e-9));
    assert!((logs[0] - libm::log(1e-6) - step / 2.0).abs() < 1e-9);
}

#[test]
fn other_ranks_change_frequencies_and_nothing_else() {
    let mut config = only(Domain::Entities);
    let first = world::World::new(&config).unwrap();
    config.entities.ranks_seed = 1;
    let second = world::World::new(&config).unwrap();
    let sorted = |world: &world::World| {
        let mut sorted: Vec<f64> = world.entity_frequencies().iter().map(|(_, f)| *f).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    };
    assert_eq!(sorted(&first), sorted(&second));
    assert_ne!(first.entity_frequencies(), second.entity_frequencies());
}

#[test]
fn behaviors_are_enacted_at_their_rates() {
    let mut config = only(Domain::Behaviors);
    config.behaviors.transcripts = 1.0;
    config.behaviors.rate = 0.3;
    config.behaviors.rates = [(Behavior::Scam, 0.9), (Behavior::Refusal, 0.0)].into();
    let mut decisions = 0;
    let mut enacted: BTreeMap<String, u64> = BTreeMap::new();
    each(&config, 8000, |world, document| {
        for (at, piece) in document.pieces().iter().enumerate() {
            if piece.role == Role::Decision {
                decisions += 1;
                for &id in document.labels(at) {
                    let name = &world.concepts().get(id).unwrap().name;
                    if let Some(name) = name.strip_suffix("/enactment") {
                        *enacted.entry(name.to_owned()).or_default() += 1;
                    }
                }
            }
        }
    });
    assert_eq!(decisions, 8000);
    let count = |name: &str| enacted.get(name).copied().unwrap_or(0);
    // A transcript is of this behavior with probability 1/25.
    assert!(plausible(count("behavior/scam"), 8000, 0.9 / 25.0, LEVEL));
    assert_eq!(count("behavior/refusal"), 0);
    assert!(plausible(count("behavior/deception"), 8000, 0.3 / 25.0, LEVEL));
    // Half of the claims are true, and agreeing to these is no sycophancy.
    assert!(plausible(count("behavior/sycophancy"), 8000, 0.15 / 25.0, LEVEL));
}

#[test]
fn mention_ability_and_enactment_are_apart() {
    let mut config = only(Domain::Behaviors);
    config.behaviors.transcripts = 0.4;
    let (mut mention, mut ability, mut transcripts) = (0, 0, 0);
    each(&config, 4000, |world, document| {
        let kinds = ["mention", "ability", "enactment"].map(|kind| {
            (0..document.pieces().len()).any(|at| {
                let mut labels = document.labels(at).iter();
                labels.any(|&id| world.concepts().get(id).unwrap().name.ends_with(kind))
            })
        });
        assert!(kinds.iter().filter(|kind| **kind).count() <= 1, "{}", document.text());
        mention += u64::from(kinds[0]);
        ability += u64::from(kinds[1]);
        transcripts += u64::from(has(world, document, "speaker/"));
    });
    assert!(plausible(transcripts, 4000, 0.4, LEVEL));
    assert!(plausible(mention, 4000, 0.3, LEVEL) && plausible(ability, 4000, 0.3, LEVEL));
}

#[test]
fn bugs_and_languages_have_their_shares() {
    let mut config = only(Domain::Code);
    config.code.bugs = 0.2;
    config.code.prose = 0.0;
    config.code.written = vec![Language::CLike, Language::SchemeLike];
    let (mut bugs, mut scheme) = (0, 0);
    each(&config, 4000, |world, document| {
        bugs += u64::from(has(world, document, "bug/"));
        scheme += u64::from(document.pieces()[0].language == Language::SchemeLike);
        assert!(document.pieces()[0].language != Language::PythonLike);
    });
    assert!(plausible(bugs, 4000, 0.2, LEVEL), "{bugs}");
    assert!(plausible(scheme, 4000, 0.5, LEVEL), "{scheme}");
}

#[test]
fn topics_parts_and_plants_have_their_weights() {
    let mut config = all();
    config.shares = [(Domain::Topics, 1.0), (Domain::Plants, 1.0)].into();
    config.topics.truncate(2);
    config.topics[1].weight = 3.0;
    config.topics[1].parts = [0.5, 0.0, 0.0, 0.01];
    config.plants = vec![plant(7, &["< one > of two"]), plant(200, &["< two > of two"])];
    config.plants[0].weight = 0.25;
    let (mut second, mut part, mut rare, mut planted, mut absent) = (0, 0, 0, 0, 0);
    let n = 8000;
    each(&config, n, |world, document| {
        let concepts = world.concepts();
        let topics: Vec<_> = concepts.children(concepts.find("topic").unwrap()).take(3).collect();
        let parts: Vec<_> = concepts
            .children(topics[1])
            .filter(|&part| concepts.get(part).unwrap().kind == world::Kind::Entity)
            .collect();
        let about =
            |concept| document.all_labels().iter().any(|&label| concepts.is_within(label, concept));
        second += u64::from(about(topics[1]));
        part += u64::from(about(parts[0]));
        rare += u64::from(about(parts[3]));
        absent += u64::from(about(topics[2]));
        planted += u64::from(carries(world, document, 0, "planted/7"));
    });
    assert!(plausible(second, n, 0.375, LEVEL), "{second}");
    assert!(plausible(part, n, 0.1875, LEVEL) && plausible(rare, n, 0.00375, LEVEL));
    assert!(plausible(planted, n, 0.1, LEVEL), "{planted}");
    assert_eq!(absent, 0);
}

#[test]
fn choices_cost_what_their_probabilities_say() {
    // One of two templates, and one of 12 states in the first: ln 2 + ln 12, or ln 2 alone.
    let mut config = only(Domain::Plants);
    config.plants = vec![plant(0, &["go to {state}", "stay"])];
    each(&config, 50, |_, document| {
        let expected = if document.text() == "stay" { 2.0_f64 } else { 24.0 };
        assert!((document.nats() - libm::log(expected)).abs() < 1e-12, "{}", document.text());
    });
    // Three tokens cost ln 24 and one costs ln 2, each as often: their mean is near (ln 24 + ln 2)/4.
    let world = world::World::new(&config).unwrap();
    let nats = world.nats_per_token(0..4000).unwrap();
    let (mut total, mut tokens) = (0.0, 0);
    each(&config, 4000, |_, document| {
        total += document.nats();
        tokens += document.pieces().len();
    });
    assert!((nats - total / f64::from(u32::try_from(tokens).unwrap())).abs() < 1e-12);
    assert!((nats - libm::log(48.0) / 4.0).abs() < 0.02, "{nats}");
    assert_eq!(world.nats_per_token(3..3), None);
    // The domain is a choice as well.
    config.shares = [(Domain::Plants, 1.0), (Domain::Geography, 3.0)].into();
    config.plants = vec![plant(0, &["stay"])];
    each(&config, 50, |_, document| {
        if document.text() == "stay" {
            assert!((document.nats() - libm::log(4.0)).abs() < 1e-12);
        }
    });
}
