//! Training: gradients of every family, resume, threads, patches, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use lm::{
    Batch, Config, Hook, Hooks, LmError, Parameters, Precision, Tokens, TrainConfig, Trainer,
    Transformer, evaluate, losses,
};
use seed::Seed;

fn device() -> burn::tensor::Device {
    device::DeviceName::Flex.open().unwrap()
}

fn config(family: &str) -> Config {
    let llama = |model_type: &str, more: &str| {
        format!(
            r#"{{"model_type": "{model_type}", "vocab_size": 13, "max_position_embeddings": 16,
            "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4,
            "rope_theta": 100.0{more}}}"#
        )
    };
    let gpt2 = |model_type: &str, more: &str| {
        format!(
            r#"{{"model_type": "{model_type}", "vocab_size": 13, "n_positions": 16, "n_embd": 8,
            "n_layer": 2, "n_head": 2{more}}}"#
        )
    };
    let text = match family {
        "patches" => gpt2("gpt2", r#", "engram": {"patch_width": 3}"#),
        "llama" => llama(family, ""),
        "mistral" => llama(family, r#", "sliding_window": 3"#),
        "qwen3" => llama(family, r#", "tie_word_embeddings": true"#),
        "gpt_oss" => llama(
            family,
            r#", "num_local_experts": 3, "num_experts_per_tok": 2, "sliding_window": 3,
            "rope_scaling": {"rope_type": "default"}"#,
        ),
        family => gpt2(family, ""),
    };
    Config::from_json("config.json", text.as_bytes()).unwrap()
}

const FAMILIES: [&str; 7] =
    ["gpt2", "gpt2_query_key_norm", "llama", "mistral", "qwen3", "gpt_oss", "patches"];

fn model(family: &str) -> Transformer {
    Transformer::random(config(family), Seed::new(8), &device()).unwrap()
}

/// Two texts of seven tokens, the second with two patches where the model knows patches.
fn batch(config: &Config, step: u64) -> Batch {
    let mut rng = Seed::new(step).stream("lm.test", "batch");
    let mut token = || u32::try_from(rng.below(13)).unwrap();
    let texts: Vec<Vec<u32>> = (0..2).map(|_| (0..8).map(|_| token()).collect()).collect();
    let batch = Batch::of_texts(&texts).unwrap();
    let Some(width) = config.patch_width else { return batch };
    let values = (0..2 * width).map(|at| at as f32 * 0.3 - 0.5).collect();
    let inputs = batch.inputs().clone().with_patches(&[(1, 2), (1, 3)], width, values).unwrap();
    let mut weights = batch.weights().to_vec();
    // A patch is not predicted.
    weights[7 + 1] = 0.0;
    weights[7 + 2] = 0.0;
    Batch::new(inputs, batch.targets().to_vec(), weights).unwrap()
}

/// The loss in double precision over the model's own surprisals.
fn loss(model: &Transformer, batch: &Batch) -> f64 {
    evaluate(model, [Ok(batch.clone())]).unwrap().cross_entropy
}

/// A step of plain descent moves every parameter by its gradient, which is the slope of the loss.
///
/// With β = 0 and a large ε, a step is −η·g/(|g| + ε) ≈ −η·g/ε: gradients are read off the parameters.
#[test]
fn gradients_of_every_parameter_are_slopes() {
    for family in FAMILIES {
        // A router's choice jumps within a longer step.
        let step: f32 = if family == "gpt_oss" { 1e-3 } else { 4e-3 };
        // Of losses in single precision, by the step.
        let rounding = 2e-7 / f64::from(step);
        let model = larger(&model(family));
        let batch = batch(model.config(), 1);
        let settings = TrainConfig {
            n_warmup: 0,
            betas: [0.0, 0.0],
            epsilon: 0.999,
            weight_decay: 0.0,
            max_gradient_norm: 1e30,
            ..TrainConfig::new(1, 1.0)
        };
        let mut trainer = Trainer::new(&model, settings).unwrap();
        let report = trainer.step(&batch).unwrap();
        assert!((report.loss - loss(&model, &batch)).abs() < 1e-5);
        let (before, after) =
            (Parameters::of(&model).unwrap(), Parameters::of(&trainer.model()).unwrap());
        let names: Vec<String> = before.names().map(str::to_owned).collect();
        let (mut sum_of_squares, mut checked) = (0.0, 0);
        for name in &names {
            let (old, new) = (before.get(name).unwrap(), after.get(name).unwrap());
            let gradients: Vec<f64> = old
                .iter()
                .zip(new)
                .map(|(old, new)| {
                    // From Δ = −g/(|g| + ε): g = −ε·Δ/(1 − |Δ|).
                    let delta = f64::from(*new) - f64::from(*old);
                    -0.999 * delta / (1.0 - delta.abs())
                })
                .collect();
            sum_of_squares += gradients.iter().map(|g| g * g).sum::<f64>();
            // The place of the largest gradient.
            let at = (0..old.len())
                .max_by(|a, b| gradients[*a].abs().total_cmp(&gradients[*b].abs()))
                .unwrap();
            let slope = {
                let moved = |by: f32| {
                    let mut parameters = Parameters::new("a test", &device());
                    for other in &names {
                        let mut values = before.get(other).unwrap().to_vec();
                        if other == name {
                            values[at] += by;
                        }
                        let shape = shape(&model, other);
                        parameters.put(other, &shape, values).unwrap();
                    }
                    let moved = Transformer::new(model.config().clone(), parameters).unwrap();
                    loss(&moved, &batch)
                };
                (moved(step) - moved(-step)) / f64::from(2.0 * step)
            };
            let gap = (slope - gradients[at]).abs();
            assert!(
                gap < 2e-2 * gradients[at].abs() + rounding,
                "{family} {name}: {slope} {}",
                gradients[at]
            );
            checked += 1;
        }
        assert_eq!(checked, names.len());
        let norm = report.gradient_norm;
        assert!((norm * norm - sum_of_squares).abs() < 2e-2 * sum_of_squares, "{family}: {norm}");
    }
}

/// A model of ten times larger matrices: with weights of 0.02, normalizations bend within a step that losses
/// in single precision can tell.
fn larger(model: &Transformer) -> Transformer {
    let (old, mut new) = (Parameters::of(model).unwrap(), Parameters::new("a test", &device()));
    for name in old.names() {
        let (shape, mut values) = (shape(model, name), old.get(name).unwrap().to_vec());
        if shape.len() > 1 {
            for value in &mut values {
                *value *= 10.0;
            }
        }
        new.put(name, &shape, values).unwrap();
    }
    Transformer::new(model.config().clone(), new).unwrap()
}

/// The shape of a parameter, which a saved checkpoint tells.
fn shape(model: &Transformer, name: &str) -> Vec<usize> {
    let config = model.config();
    let (d, hidden) = (config.d_model, config.mlp.d_hidden);
    let n = Parameters::of(model).unwrap().get(name).unwrap().len();
    let last = name.rsplit('.').next().unwrap();
    match last {
        "embed" => vec![config.vocab_size, d],
        "position_embed" => vec![config.n_ctx, d],
        "unembed" => vec![d, config.vocab_size],
        "w_gate" | "w_in" => vec![n / (d * hidden), d, hidden],
        "w_out" => vec![n / (d * hidden), hidden, d],
        "b_gate" | "b_in" => vec![n / hidden, hidden],
        "b_out" => vec![n / d, d],
        "weight" if name.contains("norm") => vec![n],
        "weight" if name.ends_with("attention.output.weight") => vec![config.d_heads(), d],
        "weight" if name.ends_with("mlp.output.weight") => vec![hidden, d],
        "weight" if name.starts_with("patch_embed") => vec![n / d, d],
        "weight" => vec![d, n / d],
        _ => vec![n],
    }
}

#[test]
fn a_periodic_text_is_learned() {
    let config = config("llama");
    let text: Vec<u32> = (0..16).map(|at| [3, 1, 4, 1, 5][at % 5]).collect();
    let batch = Batch::of_texts(&[text[..12].to_vec(), text[2..14].to_vec()]).unwrap();
    let model = Transformer::random(config, Seed::new(2), &device()).unwrap();
    let mut trainer =
        Trainer::new(&model, TrainConfig { n_warmup: 10, ..TrainConfig::new(300, 0.02) }).unwrap();
    while !trainer.is_done() {
        trainer.step(&batch).unwrap();
    }
    // The first tokens leave open where the period begins.
    let losses = losses(&trainer.model(), &batch).unwrap();
    let late: Vec<f32> = losses.chunks(11).flat_map(|text| text[3..].to_vec()).collect();
    assert!(late.iter().all(|loss| *loss < 0.05), "{late:?}");
    assert!(trainer.step(&batch).is_err(), "all steps were made");
}

fn bits(model: &Transformer) -> Vec<u32> {
    let parameters = Parameters::of(model).unwrap();
    let names: Vec<String> = parameters.names().map(str::to_owned).collect();
    names.iter().flat_map(|name| parameters.get(name).unwrap()).map(|x| x.to_bits()).collect()
}

/// The first step of `AdamW` moves a parameter by η·g/(|g| + ε), so by as many times more as η is larger.
#[test]
fn inverse_temperatures_have_a_rate_of_their_own() {
    let before = model("gpt2_query_key_norm");
    let batch = batch(before.config(), 0);
    let after = |beta_rate: f64| {
        let config = TrainConfig { beta_rate, ..TrainConfig::new(50, 1e-3) };
        let mut trainer = Trainer::new(&before, config).unwrap();
        trainer.step(&batch).unwrap();
        trainer.model()
    };
    let moved = |beta_rate: f64| -> Vec<f32> {
        let (before, after) = (before.betas().unwrap().concat(), after(beta_rate).betas().unwrap());
        before.iter().zip(after.concat()).map(|(before, after)| (after - before).abs()).collect()
    };
    assert!(moved(0.0).iter().all(|by| *by == 0.0));
    for (usual, faster) in moved(1.0).into_iter().zip(moved(30.0)) {
        // A β of 14 is rounded to a millionth, a thousandth of the usual step.
        assert!(
            usual > 0.0 && (faster / (30.0 * usual) - 1.0).abs() < 5e-3,
            "{usual} and {faster}"
        );
    }
    // Everything else steps as before.
    let usual = Parameters::of(&after(1.0)).unwrap();
    let faster = Parameters::of(&after(30.0)).unwrap();
    for name in usual.names().filter(|name| name.rsplit('.').next() != Some("scale")) {
        assert_eq!(usual.get(name), faster.get(name), "{name}");
    }
}

#[test]
fn a_training_that_was_killed_ends_the_same_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoint");
    for family in ["gpt_oss", "patches"] {
        let model = model(family);
        let settings = TrainConfig { n_warmup: 2, ..TrainConfig::new(6, 0.01) };
        let run = |trainer: &mut Trainer, until: u64| {
            while trainer.n_done() < until {
                trainer.step(&batch(model.config(), trainer.n_done())).unwrap();
            }
        };
        let mut whole = Trainer::new(&model, settings.clone()).unwrap();
        run(&mut whole, 6);
        let mut first = Trainer::resume(&place, &model, settings.clone()).unwrap();
        run(&mut first, 2);
        first.save(&place).unwrap();
        run(&mut first, 4);
        first.save(&place).unwrap();
        run(&mut first, 5);
        drop(first);
        let mut second = Trainer::resume(&place, &model, settings.clone()).unwrap();
        assert_eq!(second.n_done(), 4);
        run(&mut second, 6);
        assert!(bits(&second.model()) == bits(&whole.model()), "{family}");

        // Killed between the two renames.
        let former = folder.path().join("checkpoint.former");
        std::fs::rename(&place, &former).unwrap();
        assert_eq!(Trainer::resume(&place, &model, settings.clone()).unwrap().n_done(), 4);
        std::fs::rename(&former, &place).unwrap();

        // What a save did not make it does not remove.
        let notes = folder.path().join("checkpoint.new");
        std::fs::create_dir(&notes).unwrap();
        std::fs::write(notes.join("notes.txt"), "of mine").unwrap();
        assert!(second.save(&place).unwrap_err().to_string().contains("notes.txt"));
        assert!(notes.join("notes.txt").exists());
        std::fs::remove_dir_all(&notes).unwrap();

        let other = TrainConfig { learning_rate: 0.02, ..settings.clone() };
        let refused = Trainer::resume(&place, &model, other).unwrap_err();
        assert!(matches!(&refused, LmError::Checkpoint { field, .. } if field == "learning_rate"));
        let broken = place.join("moments.safetensors");
        let bytes = std::fs::read(&broken).unwrap();
        std::fs::write(&broken, &bytes[..bytes.len() / 2]).unwrap();
        let refused = Trainer::resume(&place, &model, settings).unwrap_err().to_string();
        assert!(refused.contains("moments.safetensors"), "{refused}");
        // What is no checkpoint is not replaced.
        std::fs::remove_file(place.join("training.json")).unwrap();
        assert!(matches!(second.save(&place), Err(LmError::Checkpoint { .. })));
        assert!(broken.exists());
        std::fs::remove_dir_all(&place).unwrap();
    }
}

/// Large enough that products and sums are shared out.
#[test]
fn the_number_of_threads_changes_no_bit_of_a_step() {
    let text = r#"{"model_type": "gpt2", "vocab_size": 700, "n_positions": 128, "n_embd": 96,
        "n_layer": 2, "n_head": 4}"#;
    let trained = |n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| {
            let config = Config::from_json("config.json", text.as_bytes()).unwrap();
            let model = Transformer::random(config, Seed::new(8), &device()).unwrap();
            let mut trainer = Trainer::new(&model, TrainConfig::new(2, 0.01)).unwrap();
            let text = |text: u32| (0..97).map(|at| (at * 37 + text * 11) % 700).collect();
            let batch = Batch::of_texts(&(0..12).map(text).collect::<Vec<_>>()).unwrap();
            trainer.step(&batch).unwrap();
            let norm = trainer.step(&batch).unwrap().gradient_norm;
            (norm.to_bits(), bits(&trainer.model()))
        })
    };
    let one = trained(1);
    assert!(one == trained(2));
    assert!(one == trained(4));
}

#[test]
fn patches_stand_in_the_place_of_tokens() {
    let model = model("patches");
    let read = |ids: Vec<u32>, shift: f32| {
        let values = vec![0.5 + shift, -1.0, 2.0];
        let tokens = Tokens::new(vec![ids]).unwrap().with_patches(&[(0, 1)], 3, values).unwrap();
        let mut hooks = Hooks::new().capture(Hook::Embed);
        model.forward(&tokens, &mut hooks).unwrap();
        hooks.captured(Hook::Embed).unwrap().try_into_vec_as::<f32>().unwrap()
    };
    let one = read(vec![3, 1, 4], 0.0);
    assert_eq!(one, read(vec![3, 9, 4], 0.0), "the id under a patch says nothing");
    let other = read(vec![3, 1, 4], 1.0);
    assert!(one[..8] == other[..8] && one[16..] == other[16..] && one[8..16] != other[8..16]);

    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model");
    model.save(&place, Precision::F32, u64::MAX).unwrap();
    let again = Transformer::load(&place, &device()).unwrap();
    assert_eq!(again.config().patch_width, Some(3));
    assert!(bits(&again) == bits(&model));

    let tokens = || Tokens::new(vec![vec![3, 1, 4]]).unwrap();
    assert!(tokens().with_patches(&[(0, 3)], 3, vec![0.0; 3]).is_err());
    assert!(tokens().with_patches(&[(0, 1), (0, 1)], 1, vec![0.0; 2]).is_err());
    assert!(tokens().with_patches(&[(0, 1)], 3, vec![0.0, 1.0]).is_err());
    assert!(tokens().with_patches(&[(0, 1)], 1, vec![f32::NAN]).is_err());
    let narrow = tokens().with_patches(&[(0, 1)], 2, vec![0.0; 2]).unwrap();
    let error = model.forward(&narrow, &mut Hooks::new()).unwrap_err().to_string();
    assert!(error.contains("patches of 3"), "{error}");
    let plain = Transformer::random(config("gpt2"), Seed::new(1), &device()).unwrap();
    let error = plain.forward(&narrow, &mut Hooks::new()).unwrap_err().to_string();
    assert!(error.contains("no projection"), "{error}");
}

#[test]
fn a_training_that_diverges_says_at_which_step_and_keeps_its_model() {
    let model = model("gpt2");
    let mut parameters = Parameters::of(&model).unwrap();
    let huge = vec![3e38; 13 * 8];
    parameters.put("embed", &[13, 8], huge).unwrap();
    let broken = Transformer::new(model.config().clone(), parameters).unwrap();
    let mut trainer = Trainer::new(&broken, TrainConfig::new(5, 0.1)).unwrap();
    let error = trainer.step(&batch(model.config(), 1)).unwrap_err().to_string();
    assert!(error.contains("step 0") && error.contains("learning rate"), "{error}");
    assert!(bits(&trainer.model()) == bits(&broken));

    let mut trainer = Trainer::new(&model, TrainConfig::new(5, 0.1)).unwrap();
    let unknown = Batch::of_texts(&[vec![1, 13]]).unwrap();
    assert!(trainer.step(&unknown).unwrap_err().to_string().contains("below 13"));
    let long = Batch::of_texts(&[vec![1; 18]]).unwrap();
    assert!(trainer.step(&long).unwrap_err().to_string().contains("at most 16"));
}
