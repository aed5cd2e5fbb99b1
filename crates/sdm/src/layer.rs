//! The SDM layer, and the nets of one hidden layer that it is compared with.
//!
//! A hidden layer of neurons with addresses W and values V reads like a Sparse Distributed Memory: an input of
//! length 1 excites the neurons whose addresses, also of length 1, are near it; inhibition silences all but the
//! k nearest; the values of those are summed. Unlike the memory's, addresses and values are learned by gradient
//! descent.
//!
//! - [`NetConfig`]: which ingredients a net has, with constructors for the paper's;
//! - [`Net`]: what it computes and the gradients of its weights, of few rows where few neurons are active;
//! - [`Learner`]: a net with its optimizer: steps of gradient descent.

mod activation;
mod config;
mod gradients;
mod learner;
mod net;
mod patches;

pub use activation::{Activation, Anneal, Inhibition};
pub use config::{NetConfig, Rows};
pub use gradients::Gradients;
use learner::softmax;
pub use learner::{Learner, LearnerConfig, cross_entropy};
pub use net::{Hidden, Net};
pub use patches::Patches;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SdmError;
    use kernels::{Matrix, Rule};
    use proptest::prelude::*;
    use seed::{Rng, Seed};

    fn rng(purpose: &str) -> Rng {
        Seed::new(6).stream("layer-tests", purpose)
    }

    #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
    fn inputs(n: usize, width: usize, purpose: &str) -> Matrix {
        let mut rng = rng(purpose);
        let values = (0..n * width).map(|_| rng.normal().abs() as f32).collect();
        Matrix::from_rows(n, width, values).unwrap()
    }

    fn labels(n: usize, n_classes: usize) -> Vec<usize> {
        (0..n).map(|at| at * 7 % n_classes).collect()
    }

    /// Two channels of 4 × 4 pixels in pieces of 3 × 3.
    const PIECES: Patches = Patches { side: 4, channels: 2, size: 3, stride: 1 };

    #[test]
    fn gradients_of_a_convolutional_layer_are_differences_of_the_loss() {
        let inhibition = Inhibition::Mask(Anneal::None);
        for activation in [Activation::Relu, Activation::TopK { k: 2, inhibition }] {
            let config = NetConfig { activation, ..NetConfig::relu(0, 24, 3) }.over(PIECES);
            let net = Net::new(config, &mut rng("net")).unwrap();
            let (x, labels) = (net.prepare(&inputs(5, 32, "x")).unwrap(), labels(5, 3));
            assert_eq!((x.n_rows(), x.n_columns()), (5 * 4, 18));
            let found = gradients(&net, &x, &labels, 0);
            let (mut n, mut agree) = (0, 0);
            for part in 0..4 {
                for (at, found) in found.parts()[part].iter().enumerate() {
                    let moved = |by: f32| {
                        let mut net = net.clone();
                        let weights =
                            [net.w.values_mut(), &mut net.b, net.v.values_mut(), &mut net.c];
                        weights.into_iter().nth(part).unwrap()[at] += by;
                        loss(&net, &x, &labels, 0)
                    };
                    // Small, since each of 20 pieces has kinks.
                    let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
                    agree += usize::from((slope - f64::from(*found)).abs() < 1e-3);
                    n += 1;
                }
            }
            // A kink within the step spoils a difference.
            assert!(20 * agree >= 19 * n, "{activation:?}: {agree} of {n}");
        }
    }

    #[test]
    fn over_one_piece_a_convolutional_layer_is_a_plain_one() {
        let whole = Patches { side: 2, channels: 3, size: 2, stride: 1 };
        let plain = NetConfig::sdm(12, 24, 3, 2, 30.0);
        let mut learners = [plain, plain.over(whole)].map(|config| learner(config, MOMENTUM));
        for learner in &mut learners {
            for step in 0..9 {
                let x = learner.net().prepare(&inputs(8, 12, &format!("step {step}"))).unwrap();
                learner.step(&x, &labels(8, 3), step, &mut rng("step"), |_, g| g).unwrap();
            }
        }
        let [plain, convolutional] = learners;
        assert_eq!(plain.net().parts(), convolutional.net().parts());
    }

    #[test]
    fn a_convolutional_layer_does_not_ask_where_a_piece_lies() {
        // Four pieces that do not overlap, in two orders.
        let pieces = Patches { side: 4, channels: 1, size: 2, stride: 2 };
        let net = Net::new(NetConfig::sdm(0, 24, 3, 2, 1.0).over(pieces), &mut rng("net")).unwrap();
        let image = inputs(1, 16, "x");
        let mut turned = image.clone();
        for (at, value) in turned.values_mut().iter_mut().enumerate() {
            // The upper half of the image and the lower one, exchanged.
            *value = image.values()[(at + 8) % 16];
        }
        let answer = |image: &Matrix| {
            let hidden = net.hidden(&net.prepare(image).unwrap(), 0).unwrap();
            (net.logits(&hidden).unwrap(), hidden.active())
        };
        let ((one, active), (other, _)) = (answer(&image), answer(&turned));
        assert!(one.values().iter().zip(other.values()).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!((one.n_rows(), active.len()), (1, 1));
        // The logits are those of the sum over places.
        for (class, logit) in one.values().iter().enumerate() {
            let sum: f32 = active[0].iter().map(|(n, h)| h * net.v.row(*n as usize)[class]).sum();
            assert!((sum - logit).abs() < 1e-5);
        }
    }

    #[test]
    fn gradients_of_single_samples_are_refused_over_pieces() {
        let net = Net::new(NetConfig::relu(0, 24, 3).over(PIECES), &mut rng("net")).unwrap();
        let x = net.prepare(&inputs(2, 32, "x")).unwrap();
        let hidden = net.hidden(&x, 0).unwrap();
        assert!(matches!(net.fisher(&x, &hidden), Err(SdmError::NoProduct { .. })));
        assert!(net.hidden(&x.select(&[0, 1, 2]), 0).is_err(), "not whole samples");
        assert!(net.prepare(&inputs(2, 31, "x")).is_err());
    }

    const SUBTRACT: Inhibition = Inhibition::Subtract(Anneal::None);

    /// Every kind of net, with 5 inputs, 24 neurons and 3 classes.
    fn configs() -> Vec<NetConfig> {
        let sdm = NetConfig::sdm(5, 24, 3, 2, 10.0);
        let relu = NetConfig::relu(5, 24, 3);
        let with = |activation| NetConfig { activation, ..relu };
        vec![
            sdm,
            NetConfig { activation: Activation::TopK { k: 2, inhibition: SUBTRACT }, ..sdm },
            NetConfig { non_negative: false, ..sdm },
            NetConfig { rows: Rows::Free, ..sdm },
            NetConfig { biases: true, ..sdm },
            NetConfig::top_k(5, 24, 3, 2, 4),
            relu,
            with(Activation::Elephant { width: 0.4, power: 4 }),
            NetConfig {
                rows: Rows::Centered,
                biases: false,
                ..with(Activation::HardAsh { alpha: 3.0, z: 0.5 })
            },
        ]
    }

    fn loss(net: &Net, x: &Matrix, labels: &[usize], epoch: usize) -> f64 {
        let hidden = net.hidden(x, epoch).unwrap();
        cross_entropy(&net.logits(&hidden).unwrap(), labels).unwrap().0
    }

    fn gradients(net: &Net, x: &Matrix, labels: &[usize], epoch: usize) -> Gradients {
        let hidden = net.hidden(x, epoch).unwrap();
        let error = cross_entropy(&net.logits(&hidden).unwrap(), labels).unwrap().1;
        net.gradients(x, &hidden, &error).unwrap().for_all(net)
    }

    /// The threshold I has no gradient, so that differences are taken where it is left out or does not matter:
    /// masks, and all other activations.
    #[test]
    fn gradients_are_differences_of_the_loss() {
        let masked = Activation::TopK { k: 5, inhibition: Inhibition::Mask(Anneal::None) };
        let nets =
            configs().into_iter().filter(|c| !matches!(c.activation, Activation::TopK { .. }));
        let masks = [(5, Rows::Free), (5, Rows::Unit)];
        let masks = masks.map(|(_, rows)| NetConfig {
            activation: masked,
            rows,
            ..NetConfig::relu(5, 24, 3)
        });
        for config in nets.chain(masks) {
            let net = Net::new(config, &mut rng("net")).unwrap();
            let (x, labels) = (net.prepare(&inputs(6, 5, "x")).unwrap(), labels(6, 3));
            let found = gradients(&net, &x, &labels, 9);
            let step = 1e-2_f32;
            let moved = |part: usize, at: usize, by: f32| {
                let mut net = net.clone();
                match part {
                    0 => net.w.values_mut()[at] += by,
                    1 => net.b[at] += by,
                    2 => net.v.values_mut()[at] += by,
                    _ => net.c[at] += by,
                }
                loss(&net, &x, &labels, 9)
            };
            for (part, found) in found.parts().into_iter().enumerate() {
                let mut agree = 0;
                for (at, found) in found.iter().enumerate() {
                    let slope =
                        (moved(part, at, step) - moved(part, at, -step)) / f64::from(2.0 * step);
                    agree += usize::from((slope - f64::from(*found)).abs() < 2e-3);
                }
                // A kink within the step spoils a difference.
                assert!(
                    20 * agree >= 19 * found.len(),
                    "{config:?}, part {part}: {agree} of {}",
                    found.len()
                );
            }
        }
    }

    #[test]
    fn few_active_neurons_have_the_gradients_of_all() {
        for inhibition in
            [SUBTRACT, Inhibition::Mask(Anneal::None), Inhibition::Gaba { switch: 1.0 }]
        {
            let activation = Activation::TopK { k: 3, inhibition };
            for biases in [false, true] {
                let config = NetConfig { activation, biases, ..NetConfig::sdm(40, 64, 5, 3, 1.0) };
                let mut net = Net::new(config, &mut rng("net")).unwrap();
                net.counts.fill(1.0);
                let (x, labels) = (net.prepare(&inputs(9, 40, "x")).unwrap(), labels(9, 5));
                let mut hidden = net.hidden(&x, 0).unwrap();
                assert!(matches!(hidden.activation, net::Active::Few(_)));
                let logits = net.logits(&hidden).unwrap();
                let error = cross_entropy(&logits, &labels).unwrap().1;
                let few = net.gradients(&x, &hidden, &error).unwrap();
                assert!(few.rows.as_ref().unwrap().len() < 64);
                let few = few.for_all(&net);
                let inhibition = net.inhibition();
                hidden.activation =
                    net::Active::All(activation.apply(&hidden.excitation, 0, &inhibition));
                let all = net.gradients(&x, &hidden, &error).unwrap();
                assert!(all.rows.is_none());
                for (few, all) in few.parts().into_iter().zip(all.parts()) {
                    assert!(few.iter().zip(all).all(|(a, b)| (a - b).abs() < 1e-6));
                }
                for (a, b) in logits.values().iter().zip(net.logits(&hidden).unwrap().values()) {
                    assert!((a - b).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn gradients_of_each_sample_are_those_of_batches_of_one() {
        for config in configs().into_iter().filter(|config| config.rows != Rows::Centered) {
            let net = Net::new(config, &mut rng("net")).unwrap();
            let (x, labels) = (net.prepare(&inputs(4, 5, "x")).unwrap(), labels(4, 3));
            let hidden = net.hidden(&x, 0).unwrap();
            let error = cross_entropy(&net.logits(&hidden).unwrap(), &labels).unwrap().1;
            let squares = net.gradients_of_each(&x, &hidden, &error, |g| g * g).unwrap();
            let mut sum = Gradients::zeros(&net);
            for sample in 0..4 {
                let one = gradients(&net, &x.select(&[sample]), &labels[sample..=sample], 0);
                for (sum, one) in sum.parts_mut().into_iter().zip(one.parts()) {
                    // The mean over four samples quarters an error.
                    sum.iter_mut().zip(one).for_each(|(sum, g)| *sum += g * g / 16.0);
                }
            }
            for (got, want) in squares.parts().into_iter().zip(sum.parts()) {
                assert!(
                    got.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6 + 1e-4 * b),
                    "{config:?}"
                );
            }
        }
    }

    fn learner(config: NetConfig, rule: Rule) -> Learner {
        Learner::new(Net::new(config, &mut rng("net")).unwrap(), LearnerConfig::with(rule)).unwrap()
    }

    fn train(learner: &mut Learner, steps: std::ops::Range<usize>) {
        for step in steps {
            let purpose = format!("step {step}");
            let x = learner.net().prepare(&inputs(8, 5, &purpose)).unwrap();
            learner.step(&x, &labels(8, 3), step, &mut rng(&purpose), |_, g| g).unwrap();
        }
    }

    const MOMENTUM: Rule = Rule::Momentum { learning_rate: 0.05, momentum: 0.9 };

    #[test]
    fn going_on_from_what_was_stored_is_not_stopping() {
        for config in configs() {
            for rule in [MOMENTUM, Rule::adam(0.01), Rule::Sgd { learning_rate: 0.1 }] {
                let mut whole = learner(config, rule);
                train(&mut whole, 0..9);
                let mut part = learner(config, rule);
                train(&mut part, 0..4);
                let stored = serde_json::to_string(&part).unwrap();
                let mut part: Learner = serde_json::from_str(&stored).unwrap();
                train(&mut part, 4..9);
                assert_eq!(whole.net(), part.net(), "{config:?} {rule:?}");
            }
        }
    }

    #[test]
    fn learning_commutes_with_a_permutation_of_neurons() {
        for config in configs() {
            let net = Net::new(config, &mut rng("net")).unwrap();
            let mut order: Vec<usize> = (0..24).collect();
            rng("order").shuffle(&mut order);
            let permuted = |net: &Net| {
                let mut other = net.clone();
                other.w = net.w.select(&order);
                other.v = net.v.select(&order);
                other.counts = order.iter().map(|at| net.counts[*at]).collect();
                if !net.b.is_empty() {
                    other.b = order.iter().map(|at| net.b[*at]).collect();
                }
                other
            };
            let mut plain = Learner::new(net.clone(), LearnerConfig::with(MOMENTUM)).unwrap();
            let mut other = Learner::new(permuted(&net), LearnerConfig::with(MOMENTUM)).unwrap();
            train(&mut plain, 0..6);
            train(&mut other, 0..6);
            let expected = permuted(plain.net());
            // Sums over neurons have another order.
            for (a, b) in Gradients::weights(other.net())
                .parts()
                .into_iter()
                .zip(Gradients::weights(&expected).parts())
            {
                assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4), "{config:?}");
            }
        }
    }

    #[test]
    fn weights_stay_where_an_sdm_layer_has_them() {
        let mut sdm = learner(NetConfig::sdm(5, 24, 3, 2, 30.0), MOMENTUM);
        train(&mut sdm, 0..20);
        assert!(sdm.net().w.values().iter().chain(sdm.net().v.values()).all(|w| *w >= 0.0));
        for row in sdm.net().w.rows() {
            let square: f32 = row.iter().map(|w| w * w).sum();
            assert!((square - 1.0).abs() < 1e-5 || square == 0.0);
        }
        assert!(sdm.net().inhibition().iter().any(|g| *g > -1.0));
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut sdm = learner(NetConfig::sdm(5, 400, 3, 4, 30.0), MOMENTUM);
                train(&mut sdm, 0..12);
                sdm.net().clone()
            })
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
    }

    proptest! {
        #[test]
        fn at_most_k_neurons_are_active(k in 1_usize..40, n_neurons in 1_usize..60, purpose in "[a-z]{4}") {
            let config = NetConfig::sdm(5, n_neurons, 3, k, 1.0);
            let mut net = Net::new(config, &mut rng(&purpose)).unwrap();
            net.counts.fill(1.0);
            let x = net.prepare(&inputs(5, 5, &purpose)).unwrap();
            let active = net.hidden(&x, 0).unwrap().active();
            prop_assert!(active.iter().all(|neurons| neurons.len() <= k));
            // Of as many neurons as there are, all that are excited at all.
            if k >= n_neurons {
                let excited = |row: &[f32]| row.iter().filter(|a| **a > 0.0).count();
                let excitation = net.hidden(&x, 0).unwrap().excitation;
                for (neurons, row) in active.iter().zip(excitation.rows()) {
                    prop_assert_eq!(neurons.len(), excited(row));
                }
            }
        }
    }

    #[test]
    fn interneurons_excite_at_first() {
        let net = Net::new(NetConfig::sdm(5, 24, 3, 2, 10.0), &mut rng("net")).unwrap();
        let x = net.prepare(&inputs(3, 5, "x")).unwrap();
        assert_eq!(net.inhibition(), [-1.0; 24]);
        assert!(net.hidden(&x, 0).unwrap().active().iter().all(|neurons| neurons.len() == 24));
    }

    #[test]
    fn silenced_neurons_learn_nothing_and_the_mean_stays() {
        let net = Net::new(NetConfig::relu(5, 2000, 3), &mut rng("net")).unwrap();
        let x = inputs(4, 5, "x");
        let mut hidden = net.hidden(&x, 0).unwrap();
        let sum =
            |hidden: &Hidden| -> f32 { hidden.active().iter().flatten().map(|(_, h)| h).sum() };
        let (before, n) = (sum(&hidden), hidden.active()[0].len());
        hidden.drop_out(0.25, &mut rng("drop"));
        let left = hidden.active()[0].len();
        assert!((left as f64 - 0.75 * n as f64).abs() < 0.06 * n as f64);
        assert!((sum(&hidden) / before - 1.0).abs() < 0.05);
        let error = cross_entropy(&net.logits(&hidden).unwrap(), &labels(4, 3)).unwrap().1;
        let gradients = net.gradients(&x, &hidden, &error).unwrap();
        let silent = (0..2000_u32)
            .find(|n| hidden.active().iter().flatten().all(|(m, _)| m != n))
            .unwrap() as usize;
        assert!(gradients.w[silent * 5..][..5].iter().all(|g| *g == 0.0));
    }

    #[test]
    fn what_cannot_be_is_an_error() {
        let bad = |config: NetConfig| {
            matches!(Net::new(config, &mut rng("net")), Err(SdmError::Range { .. }))
        };
        assert!(bad(NetConfig::sdm(5, 0, 3, 2, 1.0)));
        assert!(bad(NetConfig::sdm(5, 10, 3, 0, 1.0)));
        assert!(bad(NetConfig::sdm(5, 10, 3, 2, f64::NAN)));
        assert!(bad(NetConfig::relu(5, 10, 0)));
        let net = Net::new(NetConfig::relu(5, 10, 3), &mut rng("net")).unwrap();
        let nan = Matrix::from_rows(1, 5, vec![0.0, f32::NAN, 0.0, 0.0, 0.0]).unwrap();
        assert!(net.prepare(&nan).unwrap_err().to_string().contains("NaN"));
        assert!(net.prepare(&inputs(1, 4, "x")).is_err());
        assert!(cross_entropy(&Matrix::zeros(1, 3), &[3]).is_err());
        assert!(cross_entropy(&Matrix::zeros(2, 3), &[0]).is_err());
        assert!(
            Learner::new(net, LearnerConfig { dropout: 1.0, ..LearnerConfig::with(MOMENTUM) })
                .is_err()
        );
    }
}
