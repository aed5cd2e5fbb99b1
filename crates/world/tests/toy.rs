//! Toy models draw what they state.
#![allow(clippy::float_cmp, reason = "tests compare exact values")]

use world::WorldError;
use world::toy::{
    FiringConfig, Hierarchy, LogitDraws, Magnitude, Sample, Side, ToyConfig, ToyModel, TwoModels,
    TwoModelsConfig, TwoSample,
};

const N_SAMPLES: u64 = 20_000;

/// A small toy: a root with three children, and four features that stand alone.
fn config(exclusive: bool) -> ToyConfig {
    ToyConfig {
        seed: 3,
        d_model: 6,
        firing: FiringConfig {
            n_features: 8,
            zipf_exponent: 0.5,
            p_max: 0.5,
            p_min: 0.2,
            hierarchy: Some(Hierarchy { roots: 1, branching: 3, depth: 1, exclusive }),
            correlation_rank: 0,
            correlation_scale: 0.0,
        },
        magnitude: Magnitude::Uniform,
        noise: 0.0,
    }
}

/// How often each feature fires, and each pair.
fn rates(toy: &ToyModel) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = toy.firing().n_features();
    let (mut single, mut pairs) = (vec![0.0; n], vec![vec![0.0; n]; n]);
    let mut sample = Sample::default();
    for index in 0..N_SAMPLES {
        toy.write(index, &mut sample);
        for &(i, _) in &sample.acts {
            single[i as usize] += 1.0 / N_SAMPLES as f64;
            for &(j, _) in &sample.acts {
                pairs[i as usize][j as usize] += 1.0 / N_SAMPLES as f64;
            }
        }
    }
    (single, pairs)
}

/// Five standard errors of a share.
fn close(measured: f64, p: f64) -> bool {
    (measured - p).abs() < 5.0 * (p * (1.0 - p) / N_SAMPLES as f64).sqrt()
}

#[test]
fn features_fire_with_their_probabilities_and_children_with_their_parent_only() {
    let toy = ToyModel::new(&config(false)).unwrap();
    let (single, pairs) = rates(&toy);
    for (i, &rate) in single.iter().enumerate() {
        let p = toy.firing().probability(i);
        assert!(close(rate, p), "{i}: {rate}, not {p}");
        if let Some(parent) = toy.firing().parent(i) {
            assert_eq!(pairs[i][parent], rate);
        }
    }
    // Two that stand alone are independent.
    assert!(close(pairs[4][5], toy.firing().probability(4) * toy.firing().probability(5)));
}

#[test]
fn exclusion_leaves_at_most_one_child() {
    let toy = ToyModel::new(&config(true)).unwrap();
    let (single, pairs) = rates(&toy);
    assert!(pairs[1][2] == 0.0 && pairs[1][3] == 0.0 && pairs[2][3] == 0.0);
    // That any child fires is as likely as before: p_root·(1 − Π(1 − p_i/p_root)).
    let p = |i| toy.firing().probability(i);
    let none: f64 = (1..4).map(|i| 1.0 - p(i) / p(0)).product();
    assert!(close(single[1] + single[2] + single[3], p(0) * (1.0 - none)));
}

#[test]
fn correlations_keep_probabilities_and_tie_features() {
    let mut config = config(false);
    config.firing.hierarchy = None;
    config.firing.correlation_rank = 1;
    config.firing.correlation_scale = 3.0;
    let toy = ToyModel::new(&config).unwrap();
    let (single, pairs) = rates(&toy);
    let mut strongest = 0.0_f64;
    for i in 0..8 {
        let p = toy.firing().probability(i);
        assert!(close(single[i], p));
        for (j, both) in pairs[i][..i].iter().enumerate() {
            strongest = strongest.max((both - p * toy.firing().probability(j)).abs());
        }
    }
    // Latent correlations near ±1 make two events of probability 0.2 and more coincide or exclude each other.
    assert!(strongest > 0.04, "{strongest}");
}

#[test]
fn magnitudes_and_noise_have_the_moments_that_are_stated() {
    let mut config = config(false);
    config.firing.n_features = 1;
    config.firing.hierarchy = None;
    config.firing.p_max = 1.0;
    config.firing.zipf_exponent = 0.0;
    config.noise = 0.5;
    let toy = ToyModel::new(&config).unwrap();
    let mut sample = Sample::default();
    let (mut sum, mut noise) = (0.0, 0.0);
    for index in 0..N_SAMPLES {
        toy.write(index, &mut sample);
        let [(0, act)] = sample.acts[..] else { panic!("it always fires") };
        assert!((0.0..1.0).contains(&act));
        sum += f64::from(act);
        for (x, d) in sample.x.iter().zip(toy.dictionary().feature(0)) {
            noise += f64::from(x - act * d) * f64::from(x - act * d);
        }
    }
    let n = N_SAMPLES as f64;
    assert!((sum / n - 0.5).abs() < 5.0 / (12.0 * n).sqrt());
    // The mean square of 6n normal numbers of variance 1/4 has a standard error of √(2/6n)/4.
    assert!((noise / (6.0 * n) - 0.25).abs() < 5.0 * 0.25 * (2.0 / (6.0 * n)).sqrt());
    config.magnitude = Magnitude::One;
    ToyModel::new(&config).unwrap().write(0, &mut sample);
    assert_eq!(sample.acts, [(0, 1.0)]);
    config.magnitude = Magnitude::RectifiedNormal { mean: -9.0, std: 0.1 };
    ToyModel::new(&config).unwrap().write(0, &mut sample);
    assert!(sample.acts.is_empty());
}

#[test]
fn the_calibration_toy_is_sparse_and_a_sample_follows_from_its_number() {
    let toy = ToyModel::new(&ToyConfig::synth_sae_mini(1)).unwrap();
    let (mut forward, mut again) = (Sample::default(), Sample::default());
    let mut l0 = 0.0;
    for index in 0..500 {
        toy.write(index, &mut forward);
        l0 += forward.acts.len() as f64 / 500.0;
    }
    toy.write(499, &mut again);
    assert_eq!(again, forward);
    assert!((2.0..100.0).contains(&l0), "{l0}");
    toy.write(498, &mut again);
    assert_ne!(again, forward);
}

fn two_models() -> TwoModelsConfig {
    TwoModelsConfig { n_concepts: 40, d_model: 8, exclusive: 0.5, ..TwoModelsConfig::quarter(2) }
}

#[test]
fn both_models_are_made_of_the_same_concepts_with_the_same_scales() {
    let toy = TwoModels::new(&TwoModelsConfig { noise: 0.0, ..two_models() }).unwrap();
    let mut sample = TwoSample::default();
    let mut seen = [0; 3];
    for index in 0..2000 {
        toy.write(index, &mut sample);
        assert!(!sample.acts.is_empty());
        let (mut x_a, mut x_b) = (vec![0.0; 8], vec![0.0; 8]);
        for &(i, s) in &sample.acts {
            let i = i as usize;
            assert!((0.0..1.0).contains(&s));
            seen[toy.side(i) as usize] += 1;
            let add = |x: &mut [f32], d: &[f32]| x.iter_mut().zip(d).for_each(|(x, d)| *x += s * d);
            if toy.side(i) != Side::ExclusiveB {
                add(&mut x_a, toy.dictionary_a().feature(i));
            }
            if toy.side(i) != Side::ExclusiveA {
                add(&mut x_b, toy.dictionary_b().feature(i));
            }
        }
        assert_eq!((x_a, x_b), (sample.x_a.clone(), sample.x_b.clone()));
    }
    assert!(seen.iter().all(|&n| n > 100), "{seen:?}");
}

#[test]
fn vectors_of_b_are_an_affine_map_of_those_of_a_with_median_norm_one() {
    let toy = TwoModels::new(&two_models()).unwrap();
    let (a, b) = (toy.dictionary_a(), toy.dictionary_b());
    let mut norms: Vec<f32> =
        (0..40).map(|i| b.feature(i).iter().map(|v| v * v).sum::<f32>().sqrt()).collect();
    norms.sort_by(f32::total_cmp);
    assert!((norms[20] - 1.0).abs() < 1e-6);
    // An affine map in 8 dimensions is fixed by 9 points: solve (c_i, 1)·W = c'_i on these, and check the others.
    let row = |i: usize| -> Vec<f64> {
        a.feature(i).iter().map(|&v| f64::from(v)).chain([1.0]).collect()
    };
    let mut system: Vec<Vec<f64>> = (0..9)
        .map(|i| row(i).into_iter().chain(b.feature(i).iter().map(|&v| f64::from(v))).collect())
        .collect();
    for at in 0..9 {
        let pivot = (at..9).max_by(|&i, &j| system[i][at].abs().total_cmp(&system[j][at].abs()));
        system.swap(at, pivot.unwrap());
        let lead = system[at].clone();
        for (other, line) in system.iter_mut().enumerate() {
            let factor = if other == at { 1.0 - 1.0 / lead[at] } else { line[at] / lead[at] };
            line.iter_mut().zip(&lead).for_each(|(v, lead)| *v -= factor * lead);
        }
    }
    for i in 9..40 {
        for k in 0..8 {
            let mapped: f64 = row(i).iter().zip(&system).map(|(c, line)| c * line[9 + k]).sum();
            assert!((mapped - f64::from(b.feature(i)[k])).abs() < 1e-3, "{i}");
        }
    }
}

#[test]
fn concepts_occur_with_their_probabilities_which_add_up_to_k() {
    let config = TwoModelsConfig { k_target: 4.0, ..two_models() };
    let toy = TwoModels::new(&config).unwrap();
    let p = toy.probabilities().unwrap();
    assert!((p.iter().sum::<f64>() - 4.0).abs() < 1e-9);
    let none: f64 = p.iter().map(|p| 1.0 - p).product();
    let mut counts = vec![0.0; 40];
    let mut sample = TwoSample::default();
    for index in 0..N_SAMPLES {
        toy.write(index, &mut sample);
        sample.acts.iter().for_each(|&(i, _)| counts[i as usize] += 1.0 / N_SAMPLES as f64);
    }
    // Where none occurs, one is drawn by p.
    for (count, p) in counts.iter().zip(p) {
        assert!(close(*count, p + none * p / 4.0), "{count}, not {p}");
    }
    let least = TwoModels::new(&TwoModelsConfig { k_target: 1e-9, ..config }).unwrap();
    assert_eq!(least.probabilities().unwrap(), [1e-4; 40]);
    least.write(0, &mut sample);
    assert_eq!(sample.acts.len(), 1);
}

#[test]
fn each_pair_can_have_its_own_probabilities() {
    let config = TwoModelsConfig { logits: LogitDraws::EachPair, k_target: 1e-9, ..two_models() };
    let toy = TwoModels::new(&config).unwrap();
    assert_eq!(toy.probabilities(), None);
    // At the least probability nearly every pair is empty, and its one concept is drawn by p, all alike.
    let mut counts = vec![0.0; 40];
    let mut sample = TwoSample::default();
    for index in 0..N_SAMPLES {
        toy.write(index, &mut sample);
        sample.acts.iter().for_each(|&(i, _)| counts[i as usize] += 1.0 / N_SAMPLES as f64);
    }
    let p: f64 = 1e-4 + libm::pow(1.0 - 1e-4, 40.0) / 40.0;
    assert!(counts.iter().all(|&count| close(count, p)));
    // One pair's logits are not another's: with two concepts and k = 1 the first occurs with p and 1 − p in turn.
    let pair =
        |logits| TwoModelsConfig { n_concepts: 2, exclusive: 0.0, k_target: 1.0, logits, ..config };
    let both = |config| {
        let toy = TwoModels::new(&config).unwrap();
        let mut sample = TwoSample::default();
        let mut both = 0.0;
        for index in 0..N_SAMPLES {
            toy.write(index, &mut sample);
            both += f64::from(u8::from(sample.acts.len() == 2)) / N_SAMPLES as f64;
        }
        (both, toy.probabilities().map(|p| p[0] * p[1]))
    };
    let (together, product) = both(pair(LogitDraws::Once));
    assert!(close(together, product.unwrap()));
    // p(1 − p) is at most 1/4, and below it by the variance of p.
    let (together, _) = both(pair(LogitDraws::EachPair));
    assert!(together < 0.25 && together > 0.1, "{together}");
}

#[test]
fn options_that_make_no_toy_are_refused() {
    let refused = |change: fn(&mut ToyConfig)| {
        let mut config = config(true);
        change(&mut config);
        matches!(ToyModel::new(&config), Err(WorldError::Range { .. }))
    };
    assert!(refused(|c| c.d_model = 0));
    assert!(refused(|c| c.firing.n_features = 3));
    assert!(refused(|c| c.firing.p_min = 0.9));
    assert!(refused(|c| c.firing.p_max = f64::NAN));
    assert!(refused(|c| c.noise = -1.0));
    assert!(refused(|c| c.magnitude = Magnitude::RectifiedNormal { mean: 0.0, std: f64::NAN }));
    assert!(refused(|c| c.firing.correlation_rank = usize::MAX));
    assert!(refused(|c| {
        c.firing.hierarchy =
            Some(Hierarchy { roots: 1, branching: 1 << 40, depth: 9, exclusive: true });
    }));
    let two = |change: fn(&mut TwoModelsConfig)| {
        let mut config = two_models();
        change(&mut config);
        matches!(TwoModels::new(&config), Err(WorldError::Range { .. }))
    };
    assert!(two(|c| c.exclusive = 1.5));
    assert!(two(|c| c.k_target = 0.0));
    assert!(two(|c| (c.map_std, c.offset_std) = (0.0, 0.0)));
    assert!(two(|c| c.d_model = 1 << 20));
}
