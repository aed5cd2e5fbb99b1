//! Labeled tokens a second on one core, of all domains together and of each.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use world::{Document, Domain, TopicOptions, Treatment, World, WorldConfig};

const DOCUMENTS: u64 = 200;

fn generate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("labeled tokens");
    let all: Vec<Domain> = Domain::ALL[..10].to_vec();
    let cases = core::iter::once(("all".to_owned(), all))
        .chain(Domain::ALL[..11].iter().map(|&domain| (format!("{domain:?}"), vec![domain])));
    for (name, domains) in cases {
        let topic =
            TopicOptions { topic: 0, weight: 1.0, treatment: Treatment::Neutral, parts: [0.1; 4] };
        let config = WorldConfig {
            shares: domains.into_iter().map(|domain| (domain, 1.0)).collect(),
            topics: vec![topic],
            ..WorldConfig::default()
        };
        let world = World::new(&config).expect("the options are valid");
        let mut document = Document::default();
        let mut run = || {
            let mut n_tokens = 0;
            for index in 0..DOCUMENTS {
                world.write(index, black_box(&mut document));
                n_tokens += document.pieces().len();
            }
            n_tokens
        };
        group.throughput(Throughput::Elements(run() as u64));
        group.bench_function(name, |bencher| bencher.iter(&mut run));
    }
    group.finish();
}

criterion_group!(benches, generate);
criterion_main!(benches);
