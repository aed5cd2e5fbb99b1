//! Spans, tokens, labels, and that documents follow from their numbers.

use world::{Document, Modality, Role, World};

use super::{all, each};

#[test]
fn pieces_cover_the_text_and_are_its_tokens() {
    let mut n_image = 0;
    each(&all(), 600, |world, document| {
        let mut end = 0;
        for (at, piece) in document.pieces().iter().enumerate() {
            assert_eq!(piece.start, end);
            assert!(piece.end > piece.start);
            let text = &document.text()[piece.start as usize..piece.end as usize];
            assert_eq!(text.trim_start_matches(' '), {
                world.vocabulary().surface(piece.token).unwrap().trim_start_matches(' ')
            });
            end = piece.end;
            let labels = document.labels(at);
            assert!(labels.windows(2).all(|pair| pair[0] < pair[1]), "{labels:?}");
            assert!(labels.iter().all(|&id| world.concepts().get(id).is_some()));
            assert_eq!(piece.modality == Modality::Image, piece.role == Role::Patch);
        }
        assert_eq!(end as usize, document.text().len());
        let tokens: Vec<u16> = document.tokens().collect();
        assert_eq!(world.vocabulary().decode(&tokens).unwrap(), document.text());
        let patches =
            document.pieces().iter().filter(|piece| piece.modality == Modality::Image).count();
        assert_eq!(document.patches().len(), patches);
        assert!(document.patches().iter().flatten().all(|pixel| (0.0..=1.0).contains(pixel)));
        n_image += patches;
        let nats: f64 = document.pieces().iter().map(|piece| f64::from(piece.nats)).sum();
        assert!((nats - document.nats()).abs() < 1e-3 * (1.0 + nats));
    });
    assert!(n_image > 0);
}

#[test]
fn labels_carry_over_to_spans_of_any_tokenization() {
    each(&all(), 100, |_, document| {
        let mut labels = Vec::new();
        for (at, piece) in document.pieces().iter().enumerate() {
            let (start, end) = (piece.start as usize, piece.end as usize);
            for byte in start..end {
                document.labels_of_span(byte, byte + 1, &mut labels);
                assert_eq!(labels, document.labels(at));
            }
        }
        document.labels_of_span(0, document.text().len(), &mut labels);
        let mut every = document.all_labels().to_vec();
        every.sort_unstable();
        every.dedup();
        assert_eq!(labels, every);
        document.labels_of_span(3, 3, &mut labels);
        assert!(labels.is_empty());
    });
}

#[test]
fn a_document_follows_from_its_number_alone() {
    let world = World::new(&all()).unwrap();
    let again = World::new(&all()).unwrap();
    let forward: Vec<Document> = world.documents(0..40).collect();
    let mut document = Document::default();
    for index in (0..40).rev() {
        again.write(index, &mut document);
        let first = &forward[usize::try_from(index).unwrap()];
        assert_eq!(format!("{document:?}"), format!("{first:?}"));
    }
    let mut other = all();
    other.seed = 1;
    let other = World::new(&other).unwrap();
    let differ = other.documents(0..40).zip(&forward).filter(|(a, b)| a.text() != b.text());
    assert!(differ.count() > 35);
}

#[test]
fn concepts_and_words_do_not_depend_on_options() {
    let plain = World::new(&world::WorldConfig::default()).unwrap();
    let mut config = all();
    (config.seed, config.facts_seed, config.entities.ranks_seed) = (5, 6, 7);
    let other = World::new(&config).unwrap();
    assert!(plain.concepts().iter().eq(other.concepts().iter()));
    for token in 0..u16::try_from(plain.vocabulary().len()).unwrap() {
        assert_eq!(plain.vocabulary().surface(token), other.vocabulary().surface(token));
    }
    assert!(plain.vocabulary().token("zyzzyva").is_none());
    assert!(other.vocabulary().token("zyzzyva").is_some());
}

#[test]
fn the_registry_is_a_forest_with_the_planted_counts() {
    let world = World::new(&world::WorldConfig::default()).unwrap();
    let concepts = world.concepts();
    let below = |name: &str| concepts.children(concepts.find(name).unwrap()).count();
    for category in ["element", "city", "animal", "food"] {
        assert_eq!(below(category), 100);
    }
    assert_eq!((below("place"), below("person"), below("team")), (3, 300, 24));
    assert_eq!((below("state"), below("behavior"), below("bug")), (12, 25, 5));
    let place = concepts.find("place").unwrap();
    let places = concepts.iter().filter(|(id, concept)| {
        concept.kind == world::Kind::Place && concepts.is_within(*id, place)
    });
    assert_eq!(places.count(), 3 + 12 + 48 + 220 + 48);
    for (id, concept) in concepts.iter() {
        assert!(concept.parent.is_none_or(|parent| parent < id));
        assert_eq!(concepts.find(&concept.name), Some(id));
    }
    let add = concepts.find("semantics/add").unwrap();
    assert_eq!(concepts.distance(add, add), Some(0));
    assert_eq!(concepts.distance(add, place), None);
    assert_eq!(concepts.get(world::ConceptId(u16::MAX)), None);
}
