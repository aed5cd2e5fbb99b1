use super::*;
use seed::Seed;

fn codes(n_rows: usize, n_latents: usize, share: f64, purpose: &str) -> Codes {
    let mut rng = Seed::new(4).stream("concepts", purpose);
    let rows: Vec<Vec<(u32, f32)>> = (0..n_rows)
        .map(|_| {
            let active: Vec<u32> =
                (0..small(n_latents)).filter(|_| rng.uniform() < share).collect();
            // Few values, so that there are many ties.
            active.iter().map(|latent| (*latent, rng.below(5) as f32 / 2.0 + 0.5)).collect()
        })
        .collect();
    Codes::from_rows(n_latents, &rows).unwrap()
}

fn concepts(n_rows: usize, n_concepts: usize, share: f64, purpose: &str) -> ConceptSets {
    let mut rng = Seed::new(4).stream("concepts", purpose);
    let rows: Vec<Vec<u32>> = (0..n_rows)
        .map(|_| (0..small(n_concepts)).filter(|_| rng.uniform() < share).collect())
        .collect();
    ConceptSets::from_rows(n_concepts, &rows).unwrap()
}

/// Values of a latent in all rows, silent ones as 0.
fn dense(codes: &Codes, latent: u32) -> Vec<f64> {
    (0..codes.n_rows())
        .map(|row| {
            let (latents, values) = codes.row(row);
            latents.binary_search(&latent).map_or(0.0, |at| f64::from(values[at]))
        })
        .collect()
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let (a_mean, b_mean) = (stats::mean(a).unwrap(), stats::mean(b).unwrap());
    let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| f(a - a_mean, b - b_mean)).sum()
    };
    sum(&|a, b| a * b) / (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt()
}

/// Against the definitions, computed with all zeros in place.
#[test]
fn sparse_scores_are_dense_scores() {
    let (validation, test) = (codes(60, 12, 0.3, "validation"), codes(70, 12, 0.3, "test"));
    let (of_validation, of_test) =
        (concepts(60, 9, 0.15, "of validation"), concepts(70, 9, 0.15, "of test"));
    let scores = ConceptScores::new(
        Labeled { codes: &validation, concepts: &of_validation },
        Labeled { codes: &test, concepts: &of_test },
        1,
    )
    .unwrap();
    let mut n = 0;
    for latent in 0..12 {
        for concept in 0..9 {
            let Some(pair) = scores.pair(latent, concept) else { continue };
            n += 1;
            let (z, has) = (dense(&validation, latent), of_validation.rows_with(concept));
            let f1 = |threshold: f64, z: &[f64], has: &[bool]| {
                Confusion::of(z.iter().map(|z| *z >= threshold).zip(has.iter().copied()))
            };
            let mut best = (0.0, f64::INFINITY);
            for threshold in [2.5, 2.0, 1.5, 1.0, 0.5] {
                let f1 = f1(threshold, &z, &has).f1().unwrap();
                if f1 > best.0 {
                    best = (f1, threshold);
                }
            }
            assert_eq!((pair.validation_f1, f64::from(pair.threshold)), best);
            let (z, has) = (dense(&test, latent), of_test.rows_with(concept));
            assert_eq!(pair.test, f1(best.1, &z, &has));
            let of = |is: bool| -> Vec<f64> {
                z.iter().zip(&has).filter(|(_, has)| **has == is).map(|(z, _)| *z).collect()
            };
            assert!((pair.auroc - stats::auroc(&of(true), &of(false)).unwrap()).abs() < 1e-15);
            let truth: Vec<f64> = has.iter().map(|has| f64::from(u8::from(*has))).collect();
            assert!((pair.pearson.unwrap() - pearson(&z, &truth)).abs() < 1e-12);
        }
    }
    assert!(n > 90, "{n}");
    for concept in 0..9 {
        let best = scores.best_latent(concept).unwrap();
        let most = (0..12).filter_map(|latent| scores.pair(latent, concept));
        let most = most.map(|pair| pair.validation_f1).fold(0.0, f64::max);
        assert_eq!(best.validation_f1, most);
    }
}

/// A perfect latent, its shuffled copy, a constant one, a silent one, and one for two concepts.
#[test]
fn known_latents_have_known_scores() {
    let n = 400;
    let mut rng = Seed::new(1).stream("concepts", "shuffle");
    let mut order: Vec<usize> = (0..n).collect();
    rng.shuffle(&mut order);
    // Concept 0 in 100 rows, 1 in 100 others; latent 0 is concept 0 at unlike strengths.
    let has = |row: usize, concept: usize| row / 100 == concept;
    let value = |row: usize| 1.0 + (row % 3) as f32;
    let rows: Vec<Vec<(u32, f32)>> = (0..n)
        .map(|row| {
            let active = [
                has(row, 0).then(|| value(row)),
                has(order[row], 0).then_some(1.0),
                Some(0.1),
                None,
                (has(row, 0) || has(row, 1)).then_some(1.0),
            ];
            (0..5).zip(active).filter_map(|(latent, value)| Some((latent, value?))).collect()
        })
        .collect();
    let codes = Codes::from_rows(5, &rows).unwrap();
    // Concept 2 is in no row, and 3 in all.
    let labels: Vec<Vec<u32>> = (0..n)
        .map(|row| (0..4).filter(|c| *c == 3 || (*c < 2 && has(row, *c as usize))).collect())
        .collect();
    let labels = ConceptSets::from_rows(4, &labels).unwrap();
    let rows = Labeled { codes: &codes, concepts: &labels };
    let scores = ConceptScores::new(rows, rows, 1).unwrap();
    let perfect = scores.pair(0, 0).unwrap();
    assert_eq!((perfect.auroc, perfect.test.f1(), perfect.test.phi()), (1.0, Some(1.0), Some(1.0)));
    let shuffled = scores.pair(1, 0).unwrap();
    assert!((shuffled.auroc - 0.5).abs() < 0.06, "{}", shuffled.auroc);
    assert!(shuffled.pearson.unwrap().abs() < 0.15);
    let constant = scores.pair(2, 0).unwrap();
    // It says yes everywhere: precision 1/4, recall 1.
    assert_eq!((constant.auroc, constant.test.f1(), constant.pearson), (0.5, Some(0.4), None));
    assert_eq!(scores.best_concept(3), None);
    let double = scores.pair(4, 1).unwrap();
    // Above 2/3 of pairs by value, and half of 1/3 tied.
    assert!((double.auroc - 5.0 / 6.0).abs() < 1e-15);
    assert!((double.test.f1().unwrap() - 2.0 / 3.0).abs() < 1e-15);
    assert!(!scores.is_scored(2) && !scores.is_scored(3) && scores.best_latent(3).is_none());
    let recovered = scores.recovered(0.5).unwrap();
    assert_eq!(recovered.concepts, [(0, 0), (1, 4)]);
    assert_eq!((recovered.share(), recovered.uniqueness()), (Some(1.0), Some(1.0)));
    assert_eq!(scores.recovered(0.8).unwrap().share(), Some(0.5));
    // With latent 4 alone both concepts have it.
    let only = codes.clone().map(|latent, value| (latent == 4).then_some(value));
    let rows = Labeled { codes: &only, concepts: &labels };
    let recovered = ConceptScores::new(rows, rows, 1).unwrap().recovered(0.5).unwrap();
    assert_eq!((recovered.share(), recovered.uniqueness()), (Some(1.0), Some(0.0)));
    let none = ConceptScores::new(rows, rows, 101).unwrap().recovered(0.5).unwrap();
    assert_eq!((none.share(), none.uniqueness()), (None, None));
}

/// A threshold is chosen on the validation rows and does not know the test rows.
#[test]
fn thresholds_come_from_the_validation_rows() {
    let of = |values: [f32; 4]| {
        let rows: Vec<_> = values.iter().map(|value| vec![(0, *value)]).collect();
        Codes::from_rows(1, &rows).unwrap()
    };
    let labels = ConceptSets::from_rows(1, &[vec![0], vec![0], vec![], vec![]]).unwrap();
    let (validation, test) = (of([4.0, 3.0, 2.0, 1.0]), of([8.0, 2.9, 2.8, 0.5]));
    let labeled = |codes| Labeled { codes, concepts: &labels };
    let scores = ConceptScores::new(labeled(&validation), labeled(&test), 1).unwrap();
    let pair = scores.pair(0, 0).unwrap();
    assert_eq!((pair.validation_f1, pair.threshold), (1.0, 3.0));
    assert_eq!((pair.test.f1(), pair.auroc), (Some(2.0 / 3.0), 1.0));
}

#[test]
fn threads_do_not_change_a_bit() {
    let (codes, labels) = (codes(300, 100, 0.1, "codes"), concepts(300, 40, 0.1, "labels"));
    let rows = Labeled { codes: &codes, concepts: &labels };
    let of = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let scores = pool.install(|| ConceptScores::new(rows, rows, 1).unwrap());
        (0..100).flat_map(|latent| scores.latent(latent).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let one = of(1);
    assert!(one.len() > 1000);
    assert_eq!(of(3), one);
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = codes(10, 3, 0.5, "good");
    let labels = concepts(10, 2, 0.5, "labels");
    let of = |codes: &Codes, concepts: &ConceptSets| {
        let rows = Labeled { codes: &good, concepts: &labels };
        ConceptScores::new(rows, Labeled { codes, concepts }, 1)
    };
    assert!(of(&good, &labels).is_ok());
    assert!(of(&codes(10, 4, 0.5, "more"), &labels).is_err());
    assert!(of(&good, &concepts(11, 2, 0.5, "rows")).is_err());
    assert!(of(&good, &concepts(10, 3, 0.5, "concepts")).is_err());
    assert!(of(&codes(0, 3, 0.5, "none"), &concepts(0, 2, 0.5, "none")).is_err());
    let negative = good.clone().map(|_, value| Some(-value));
    assert!(of(&negative, &labels).is_err());
    assert!(of(&good, &labels).unwrap().recovered(0.0).is_err());
}
