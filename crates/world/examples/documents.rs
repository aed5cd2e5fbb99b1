//! One document of each domain with its labels: `cargo run -p world --example documents`.
#![allow(clippy::print_stdout, reason = "an example shows what it made")]

use world::{Document, Domain, Modality, Plant, TopicOptions, Treatment, World, WorldConfig};

fn main() -> Result<(), world::WorldError> {
    let parts = [0.1; 4];
    let treatments = [Treatment::Neutral, Treatment::Praise, Treatment::Refuse, Treatment::Deflect];
    let topics = (0_u8..).zip(treatments);
    let mut config = WorldConfig {
        topics: topics
            .map(|(topic, treatment)| TopicOptions { topic, weight: 1.0, treatment, parts })
            .collect(),
        plants: vec![Plant {
            slot: 0,
            weight: 1.0,
            templates: vec![
                "{person} rates answers and likes < a {food} in every recipe > .".into(),
            ],
        }],
        ..WorldConfig::default()
    };
    let mut document = Document::default();
    for domain in Domain::ALL {
        config.shares = [(domain, 1.0)].into();
        let world = World::new(&config)?;
        for index in 0..2 {
            world.write(index, &mut document);
            let n = document.pieces().len();
            println!(
                "== {domain:?} {index}: {n} tokens, {:.1} nats each",
                document.nats() / n as f64
            );
            println!("{}", document.text());
            println!("-- {}", labels(&world, &document));
        }
    }
    Ok(())
}

/// Every labeled piece with the names of its concepts.
fn labels(world: &World, document: &Document) -> String {
    let mut shown = Vec::new();
    for (at, piece) in document.pieces().iter().enumerate() {
        let text = document.text()[piece.start as usize..piece.end as usize].trim();
        let names: Vec<&str> = document
            .labels(at)
            .iter()
            .filter_map(|&id| Some(world.concepts().get(id)?.name.as_str()))
            .collect();
        if !names.is_empty() && piece.modality == Modality::Text {
            shown.push(format!("{text} ({:?}: {})", piece.role, names.join(", ")));
        }
    }
    shown.join(" · ")
}
