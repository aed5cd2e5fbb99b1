//! Options that are refused, and options as JSON.

use world::{Behavior, Domain, Language, Signature, World, WorldConfig, WorldError};

use super::{all, plant};

fn refused(change: impl FnOnce(&mut WorldConfig)) -> WorldError {
    let mut config = all();
    change(&mut config);
    World::new(&config).err().expect("refused")
}

#[test]
fn what_cannot_be_is_refused_and_said() {
    let range = |error: WorldError| matches!(error, WorldError::Range { .. });
    assert!(range(refused(|c| c.shares = [(Domain::Lists, f64::NAN)].into())));
    assert!(range(refused(|c| c.shares = [(Domain::Lists, -1.0)].into())));
    assert!(range(refused(|c| c.shares.values_mut().for_each(|w| *w = 0.0))));
    assert!(range(refused(|c| c.entities.lowest = 0.0)));
    assert!(range(refused(|c| c.entities.highest = 1e-9)));
    assert!(range(refused(|c| c.code.bugs = 1.5)));
    assert!(range(refused(|c| c.behaviors.rates = [(Behavior::Scam, -0.1)].into())));
    assert!(range(refused(|c| c.images.noise = f64::INFINITY)));
    assert!(range(refused(|c| c.topics[0].topic = 24)));
    assert!(range(refused(|c| c.topics[0].parts = [0.5; 4])));
    assert!(range(refused(|c| c.signature = Some(Signature { name: 8, sign_off: 0.0 }))));
    assert!(range(refused(|c| c.plants[0].weight = -1.0)));

    let empty = |error: WorldError| matches!(error, WorldError::Empty { .. });
    assert!(empty(refused(|c| c.shares.clear())));
    assert!(empty(refused(|c| c.languages.spoken.clear())));
    assert!(empty(refused(|c| c.topics.clear())));
    assert!(empty(refused(|c| c.plants.clear())));
    assert!(empty(refused(|c| c.plants[0].templates.clear())));

    let twice = |error: WorldError| matches!(error, WorldError::Twice { .. });
    assert!(twice(refused(|c| c.code.written.push(Language::CLike))));
    assert!(twice(refused(|c| c.topics[0].topic = 1)));
    assert!(twice(refused(|c| c.plants.push(plant(0, &["a"])))));
    let mixed = refused(|c| c.languages.spoken.push(Language::CLike));
    assert!(matches!(mixed, WorldError::Language { .. }));

    let crowded = refused(|c| c.entities.highest = 0.1);
    assert!(matches!(crowded, WorldError::Crowded { .. }), "{crowded}");
}

#[test]
fn templates_that_cannot_be_read_are_quoted() {
    for template in ["", "< a", "a >", "< a < b >", "{nobody} sings", "> a <"] {
        let error = refused(|c| c.plants = vec![plant(0, &[template])]);
        let WorldError::Template { template: quoted, .. } = &error else { panic!("{error}") };
        assert_eq!(quoted, template);
    }
    let many: Vec<String> = (0..70_000).map(|n| format!("w{n}")).collect();
    let error = refused(|c| c.plants = vec![plant(0, &[&many.join(" ")])]);
    assert!(matches!(error, WorldError::Vocabulary { .. }), "{error}");
}

#[test]
fn options_come_back_from_json_and_unknown_ones_are_refused() {
    let config = all();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<WorldConfig>(&json).unwrap(), config);
    let unknown = json.replacen("facts_seed", "fact_seed", 1);
    assert!(serde_json::from_str::<WorldConfig>(&unknown).is_err());
    let unknown = json.replacen("multi_hop", "multihop", 1);
    assert!(serde_json::from_str::<WorldConfig>(&unknown).is_err());
}
