//! What holds of every corpus, and that its frequencies are those asked for.

mod binomial;
mod domains;
mod frequencies;
mod options;
mod structure;

use world::{Document, Domain, TopicOptions, Treatment, World, WorldConfig};

/// A world of one domain.
fn only(domain: Domain) -> WorldConfig {
    WorldConfig { shares: [(domain, 1.0)].into(), ..WorldConfig::default() }
}

/// A world of all domains, topics and a plant among them.
fn all() -> WorldConfig {
    let topics = (0..24).map(|topic| TopicOptions {
        topic,
        weight: 1.0,
        treatment: Treatment::Neutral,
        parts: [0.1; 4],
    });
    WorldConfig {
        shares: Domain::ALL.into_iter().map(|domain| (domain, 1.0)).collect(),
        topics: topics.collect(),
        plants: vec![plant(0, &["{person} likes < {food} and zyzzyva > ."])],
        ..WorldConfig::default()
    }
}

fn plant(slot: u8, templates: &[&str]) -> world::Plant {
    let templates = templates.iter().map(|&template| template.to_owned()).collect();
    world::Plant { slot, weight: 1.0, templates }
}

/// Calls `look` on each of the first `n` documents.
fn each(config: &WorldConfig, n: u64, mut look: impl FnMut(&World, &Document)) {
    let world = World::new(config).expect("the options are valid");
    let mut document = Document::default();
    for index in 0..n {
        world.write(index, &mut document);
        look(&world, &document);
    }
}

/// Whether a piece carries a concept whose name begins so.
fn carries(world: &World, document: &Document, piece: usize, name: &str) -> bool {
    let mut labels = document.labels(piece).iter();
    labels.any(|&id| world.concepts().get(id).is_some_and(|concept| concept.name.starts_with(name)))
}

/// Whether any piece does.
fn has(world: &World, document: &Document, name: &str) -> bool {
    (0..document.pieces().len()).any(|piece| carries(world, document, piece, name))
}
