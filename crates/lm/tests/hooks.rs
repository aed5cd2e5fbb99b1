//! Every action at a hook, on models small enough to reason about.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use burn::tensor::{Device, Tensor};
use lm::{Cache, Change, Config, Hook, Hooks, LmError, Sampling, Site, Tokens, Transformer};
use seed::Seed;

fn device() -> Device {
    device::DeviceName::Flex.open().unwrap()
}

fn config(text: &str) -> Config {
    Config::from_json("config.json", text.as_bytes()).unwrap()
}

fn gpt2() -> Config {
    config(
        r#"{"model_type": "gpt2", "vocab_size": 13, "n_positions": 12, "n_embd": 6, "n_layer": 2,
        "n_head": 2}"#,
    )
}

/// A mixture with windows and sinks, so that nothing is left out.
fn mixture() -> Config {
    config(
        r#"{"model_type": "gpt_oss", "vocab_size": 13, "max_position_embeddings": 12,
        "hidden_size": 6, "intermediate_size": 5, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 4, "num_local_experts": 4, "num_experts_per_tok": 2,
        "sliding_window": 3, "rope_theta": 100.0, "rope_scaling": {"rope_type": "default"}}"#,
    )
}

fn model(config: Config, device: &Device) -> Transformer {
    Transformer::random(config, Seed::new(5), device).unwrap()
}

fn tokens() -> Tokens {
    Tokens::new(vec![vec![3, 1, 4, 1, 5, 9, 2], vec![6, 5, 3, 5, 8, 9, 7]]).unwrap()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec::<f32>().unwrap()
}

fn run(model: &Transformer, hooks: Hooks) -> (Vec<f32>, Hooks) {
    let mut hooks = hooks;
    let logits = model.forward(&tokens(), &mut hooks).unwrap();
    (numbers(logits), hooks)
}

fn at(layer: usize, site: Site) -> Hook {
    Hook::Block(layer, site)
}

/// Everything that is read is what the next part is made of: the residual stream adds up.
#[test]
fn the_residual_stream_is_the_sum_of_what_is_added_to_it() {
    for config in [gpt2(), mixture()] {
        let model = model(config, &device());
        let sites = [Site::ResidPre, Site::AttnOut, Site::ResidMid, Site::MlpOut, Site::ResidPost];
        let hooks = sites.iter().fold(Hooks::new().capture(Hook::Embed), |hooks, site| {
            hooks.capture(at(0, *site)).capture(at(1, *site))
        });
        let (_, hooks) = run(&model, hooks);
        let read = |hook| hooks.captured(hook).unwrap();
        let same = |a: Tensor<3>, b: Tensor<3>| assert_eq!(numbers(a), numbers(b));
        same(read(Hook::Embed), read(at(0, Site::ResidPre)));
        for layer in 0..2 {
            let middle = read(at(layer, Site::ResidPre)) + read(at(layer, Site::AttnOut));
            same(middle, read(at(layer, Site::ResidMid)));
            let after = read(at(layer, Site::ResidMid)) + read(at(layer, Site::MlpOut));
            same(after, read(at(layer, Site::ResidPost)));
        }
        same(read(at(0, Site::ResidPost)), read(at(1, Site::ResidPre)));
    }
}

/// Reading anything anywhere leaves the logits as they were: to the last bit, but for scores and patterns, which
/// attention in one operation does not make. Where they are read, sums are in another order.
#[test]
fn captures_change_nothing_and_have_their_widths() {
    for config in [gpt2(), mixture()] {
        let model = model(config.clone(), &device());
        let all = Site::ALL.map(|site| at(1, site));
        let ends = [Hook::Embed, Hook::FinalNorm, Hook::Logits];
        let hooks: Vec<Hook> =
            all.into_iter().chain(ends).filter(|hook| hook.width(&config).is_ok()).collect();
        assert_eq!(hooks.len(), 15);
        let asked = hooks.iter().fold(Hooks::new(), |asked, hook| asked.capture(*hook));
        let (logits, asked) = run(&model, asked);
        let alone = run(&model, Hooks::new()).0;
        let largest = alone.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
        let apart = logits.iter().zip(&alone).map(|(a, b)| (a - b).abs());
        assert!(largest > 0.0 && apart.fold(0.0, f32::max) < 1e-5 * largest);
        let hidden = [at(1, Site::AttnScores), at(1, Site::AttnPattern)];
        let others = hooks.iter().filter(|hook| !hidden.contains(hook));
        let others = others.fold(Hooks::new(), |asked, hook| asked.capture(*hook));
        assert_eq!(run(&model, others).0, alone);
        for hook in hooks {
            let shape = asked.captured(hook).unwrap().dims();
            let expected = match hook.width(&config).unwrap() {
                Some(width) => [2, 7, width],
                None => [2, 7 * config.attention.n_heads, 7],
            };
            assert_eq!(shape, expected, "{hook}");
        }
        assert_eq!(numbers(asked.captured(Hook::Logits).unwrap()), logits);
    }
}

/// Each query's weights come to 1, or with a sink to less, and none goes to a later key or one beyond
/// the window.
#[test]
fn patterns_are_causal_and_keep_to_their_windows() {
    for (config, window) in [(gpt2(), 100), (mixture(), 3)] {
        let sinks = config.attention.sinks;
        let (model, hook) = (model(config, &device()), at(0, Site::AttnPattern));
        let (_, hooks) = run(&model, Hooks::new().capture(hook));
        for (row, weights) in numbers(hooks.captured(hook).unwrap()).chunks(7).enumerate() {
            let query = row % 7;
            for (key, weight) in weights.iter().enumerate() {
                let is_seen = key <= query && query - key < window;
                assert_eq!(*weight > 0.0, is_seen, "query {query}, key {key}");
            }
            let sum: f32 = weights.iter().sum();
            assert!(if sinks { sum < 0.9 } else { (sum - 1.0).abs() < 1e-6 }, "{sum}");
        }
    }
}

/// What one run has at a hook, patched into another, makes everything after it that run's.
#[test]
fn a_patch_carries_a_run_over() {
    let model = model(mixture(), &device());
    let hook = at(1, Site::ResidMid);
    let (logits, hooks) = run(&model, Hooks::new().capture(hook));
    let patch = hooks.captured(hook).unwrap();
    let other = Tokens::new(vec![vec![0; 7], vec![1; 7]]).unwrap();
    let mut hooks = Hooks::new().edit(hook, Change::Replace(patch));
    let patched = numbers(model.forward(&other, &mut hooks).unwrap());
    assert_eq!(patched, logits);
}

#[test]
fn edits_do_what_they_say_where_they_say() {
    let device = device();
    let model = model(gpt2(), &device);
    let hook = at(0, Site::ResidMid);
    let before = numbers(run(&model, Hooks::new().capture(hook)).1.captured(hook).unwrap());
    let vector = |values: [f32; 6]| Tensor::<3>::from_floats([[values]], &device);
    let after = |hooks: Hooks| numbers(run(&model, hooks.capture(hook)).1.captured(hook).unwrap());

    let steer = vector([1., 2., 3., 4., 5., 6.]);
    let steered = after(Hooks::new().edit_at(hook, 2..4, Change::Add(steer)));
    for (place, (new, old)) in steered.iter().zip(&before).enumerate() {
        let position = place / 6 % 7;
        let added =
            if (2..4).contains(&position) { [1., 2., 3., 4., 5., 6.][place % 6] } else { 0. };
        assert_eq!(new.to_bits(), (old + added).to_bits());
    }
    let clamped = after(Hooks::new().edit(hook, Change::Clamp { min: -0.01, max: 0.02 }));
    let expected: Vec<f32> = before.iter().map(|x| x.clamp(-0.01, 0.02)).collect();
    assert_eq!(clamped, expected);
    assert!(after(Hooks::new().edit(hook, Change::Ablate)).iter().all(|x| *x == 0.0));
    let doubled = after(Hooks::new().edit(hook, Change::Map(Box::new(|x| x * 2.0))));
    assert_eq!(doubled, before.iter().map(|x| x * 2.0).collect::<Vec<_>>());

    // Along (3, 4, 0, …)/5 the component becomes 7, across it nothing changes.
    let direction = Tensor::<1>::from_floats([3., 4., 0., 0., 0., 0.], &device);
    let turned = after(Hooks::new().edit(hook, Change::Component { direction, value: 7.0 }));
    for (new, old) in turned.chunks(6).zip(before.chunks(6)) {
        assert!((0.6 * new[0] + 0.8 * new[1] - 7.0).abs() < 1e-5);
        assert!((0.8 * (new[0] - old[0]) - 0.6 * (new[1] - old[1])).abs() < 1e-5);
        assert_eq!(new[2..], old[2..]);
    }
}

/// Ablating what a block adds is the model without that block.
#[test]
fn an_ablated_block_adds_nothing() {
    let model = model(gpt2(), &device());
    let ablated = Hooks::new()
        .edit(at(1, Site::AttnOut), Change::Ablate)
        .edit(at(1, Site::MlpOut), Change::Ablate);
    let hooks = ablated.capture(at(0, Site::ResidPost)).capture(at(1, Site::ResidPost));
    let (_, hooks) = run(&model, hooks);
    let read = |layer| numbers(hooks.captured(at(layer, Site::ResidPost)).unwrap());
    assert_eq!(read(0), read(1));
}

/// Gradients of a logit difference at two hooks at once, against central differences.
#[test]
fn gradients_at_hooks_are_slopes() {
    let device = device().autodiff();
    let model = model(mixture(), &device);
    let difference = |logits: Tensor<3>| {
        let last = logits.slice([0..1, 6..7, 0..13]);
        (last.clone().narrow(2, 3, 1) - last.narrow(2, 8, 1)).sum()
    };
    let (early, late) = (at(0, Site::ResidPre), at(1, Site::AttnOut));
    let mut hooks = Hooks::new().watch(early).watch(late);
    let logits = model.forward(&tokens(), &mut hooks).unwrap();
    let gradients = difference(logits).backward();
    // A step along the gradient, short beside activations of 0.02 so that the curve is straight, and
    // long beside the rounding of logits.
    for hook in [early, late] {
        let gradient = hooks.gradient(hook, &gradients).unwrap();
        let squared: f32 = numbers(gradient.clone()).iter().map(|g| g * g).sum();
        assert!(squared > 0.0);
        let step = 0.001 / squared.sqrt();
        let moved = |sign: f32| {
            let shift = Tensor::from_data(gradient.to_data(), &device) * (sign * step);
            let mut hooks = Hooks::new().edit(hook, Change::Add(shift));
            numbers(difference(model.forward(&tokens(), &mut hooks).unwrap()))[0]
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!((slope - squared).abs() < 0.01 * squared, "{hook}: {slope} {squared}");
    }
    let unwatched = hooks.gradient(Hook::Embed, &gradients);
    assert!(matches!(unwatched, Err(LmError::NotTaken { .. })));
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let device = device();
    let model = model(gpt2(), &device);
    let message = |hooks: Hooks| {
        let mut hooks = hooks;
        model.forward(&tokens(), &mut hooks).unwrap_err().to_string()
    };
    assert!(message(Hooks::new().capture(at(2, Site::ResidPre))).contains("blocks.2.resid_pre"));
    assert!(message(Hooks::new().capture(at(0, Site::Router))).contains("mixtures"));
    let pattern = Hooks::new().edit_at(at(0, Site::AttnPattern), 0..1, Change::Ablate);
    assert!(message(pattern).contains("attn_pattern"));
    let wide = Tensor::<3>::zeros([1, 1, 7], &device);
    assert!(message(Hooks::new().edit(Hook::Embed, Change::Add(wide))).contains("[1, 1, 7]"));
    let crossed = Change::Clamp { min: 1.0, max: 0.0 };
    assert!(message(Hooks::new().edit(Hook::Embed, crossed)).contains("lower bound"));
    assert!(matches!(Hooks::new().captured(Hook::Embed), Err(LmError::NotTaken { .. })));
    let tokens = |ids: Vec<u32>| Tokens::new(vec![ids]).unwrap();
    let mut none = Hooks::new();
    let unknown = model.forward(&tokens(vec![13]), &mut none).unwrap_err().to_string();
    assert!(unknown.contains("below 13") && unknown.contains("tokenizer"), "{unknown}");
    let long = model.forward(&tokens(vec![0; 13]), &mut none).unwrap_err().to_string();
    assert!(long.contains("at most 12"), "{long}");
}

/// Piece by piece or at once, the logits are the same but for the order of sums.
#[test]
fn a_cache_changes_no_logit() {
    for config in [gpt2(), mixture()] {
        let model = model(config, &device());
        let (whole, _) = run(&model, Hooks::new());
        let scale = whole.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
        for sizes in [vec![1; 7], vec![3, 4], vec![5, 1, 1]] {
            let mut cache = Cache::new();
            let mut parts = Vec::new();
            for size in sizes {
                let start = cache.n_positions();
                let part = |text: usize| tokens().text(text)[start..start + size].to_vec();
                let part = Tokens::new(vec![part(0), part(1)]).unwrap();
                let logits = model.forward_cached(&part, &mut cache, &mut Hooks::new()).unwrap();
                parts.push(logits);
            }
            let apart = numbers(Tensor::cat(parts, 1));
            for (a, b) in apart.iter().zip(&whole) {
                assert!((a - b).abs() < 1e-5 * scale, "{a} {b}");
            }
            let one = Tokens::new(vec![vec![1]]).unwrap();
            assert!(model.forward_cached(&one, &mut cache, &mut Hooks::new()).is_err());
        }
    }
}

/// An edit at a position acts there also when the tokens come one by one.
#[test]
fn positions_of_edits_count_from_the_beginning_of_the_text() {
    let model = model(gpt2(), &device());
    let hooks = || Hooks::new().edit_at(at(0, Site::MlpOut), 2..5, Change::Ablate);
    let (whole, _) = run(&model, hooks());
    let mut cache = Cache::new();
    let mut logits = Vec::new();
    for position in 0..7 {
        let one = Tokens::new(vec![vec![tokens().text(0)[position]]]).unwrap();
        let mut hooks = hooks();
        logits.extend(numbers(model.forward_cached(&one, &mut cache, &mut hooks).unwrap()));
    }
    for (a, b) in logits.iter().zip(&whole) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
}

#[test]
fn generation_goes_on_with_the_likeliest_and_ends_where_it_should() {
    let model = model(gpt2(), &device());
    let mut rng = Seed::new(1).stream("lm.test", "generate");
    let greedy =
        |n_tokens, stop: Vec<u32>| lm::Generation { sampling: Sampling::Greedy, n_tokens, stop };
    let mut go_on = |generation: &lm::Generation| {
        model.generate(&[3, 1, 4], generation, &mut rng, &mut Hooks::new())
    };
    let text = go_on(&greedy(9, vec![])).unwrap();
    // Without a cache: the whole text anew for each token.
    let mut read = vec![3, 1, 4];
    for next in &text {
        let tokens = Tokens::new(vec![read.clone()]).unwrap();
        let logits = numbers(model.forward(&tokens, &mut Hooks::new()).unwrap());
        let last = &logits[logits.len() - 13..];
        let best = (0..13_u32).max_by(|a, b| last[*a as usize].total_cmp(&last[*b as usize]));
        assert_eq!(best, Some(*next));
        read.push(*next);
    }
    assert_eq!(text.len(), 9);
    let stop = text[4];
    let first = text.iter().position(|token| *token == stop).unwrap();
    assert_eq!(go_on(&greedy(9, vec![stop])).unwrap(), text[..first]);
    assert!(go_on(&greedy(10, vec![])).unwrap_err().to_string().contains("at most 12"));
}

/// The scale of query-key norm is β: scores are the cosines times it, and begin at log2(n² − n).
#[test]
fn scores_of_query_key_norm_are_cosines_times_beta() {
    let text = r#"{"model_type": "gpt2_query_key_norm", "vocab_size": 13, "n_positions": 12,
        "n_embd": 6, "n_layer": 2, "n_head": 2}"#;
    let model = model(config(text), &device());
    let beta = libm::log2f(132.0);
    for betas in model.betas().unwrap() {
        assert!(betas.len() == 2 && betas.iter().all(|found| (found - beta).abs() < 1e-6));
    }
    let [query, key, scores] = [Site::Query, Site::Key, Site::AttnScores].map(|site| at(1, site));
    let (_, hooks) = run(&model, Hooks::new().capture(query).capture(key).capture(scores));
    let read = |hook| numbers(hooks.captured(hook).unwrap());
    let (query, key, scores) = (read(query), read(key), read(scores));
    let length = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    assert!(key.chunks(3).all(|key| (length(key) - 1.0).abs() < 1e-3));
    assert!(query.chunks(3).all(|query| (length(query) - beta).abs() < 1e-2));
    // The second text, second head, query 5, key 2.
    let product: f32 = (0..3).map(|i| query[(7 + 5) * 6 + 3 + i] * key[(7 + 2) * 6 + 3 + i]).sum();
    assert!((product - scores[((2 + 1) * 7 + 5) * 7 + 2]).abs() < 1e-5);
}

/// A pass that stops early reads the same bits, and what needs the end gets it.
#[test]
fn what_is_read_is_what_the_whole_pass_has() {
    for config in [gpt2(), mixture()] {
        let all = Hook::all(&config);
        assert_eq!(all.first(), Some(&Hook::Embed));
        assert_eq!(all.last(), Some(&Hook::Logits));
        assert!(all.iter().all(|hook| hook.width(&config).unwrap().is_some()));
        let n_sites = Site::ALL.len() - 3;
        assert_eq!(all.len(), 2 * n_sites + 3, "without scores, pattern, and router or hidden");
        let model = model(config, &device());
        let (_, whole) =
            run(&model, all.iter().fold(Hooks::new(), |hooks, hook| hooks.capture(*hook)));
        for hook in all {
            let mut hooks = Hooks::new().capture(Hook::Embed).capture(hook);
            model.read(&tokens(), &mut hooks).unwrap();
            for hook in [Hook::Embed, hook] {
                let read = numbers(hooks.captured(hook).unwrap());
                assert_eq!(read, numbers(whole.captured(hook).unwrap()), "{hook}");
            }
        }
        let unknown = Hooks::new().capture(Hook::Embed).capture(at(7, Site::ResidPre));
        let error = model.read(&tokens(), &mut { unknown });
        assert!(matches!(error, Err(LmError::NoHook { .. })));
    }
}
