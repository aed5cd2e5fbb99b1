use super::*;

fn parse(text: &str) -> anyhow::Result<Config> {
    Config::parse(Path::new("my.toml"), text)
}

fn error(text: &str) -> String {
    format!("{:#}", parse(text).unwrap_err())
}

const TOP: &str = "[[dictionary]]\nname = \"a\"\nrecipe = \"top_k\"\nn_latents = 64\nk = 4\n";

#[test]
fn the_example_is_a_config_and_says_the_same_twice() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/train-sae.toml");
    let config = Config::read(&path).unwrap();
    let settings = config.settings(64).unwrap();
    let [named, full] = &settings.run.members[..] else { panic!("{settings:?}") };
    assert_eq!(named.recipe, full.recipe);

    // Lines that are commented out have the values that they would have anyway.
    let text = std::fs::read_to_string(&path).unwrap();
    let optional = ["# seed", "# scaling", "# dead_after", "# held_out", "# sample_rows"];
    let mut n_set = 0;
    let lines = text.lines().map(|line| {
        let is_optional =
            optional.iter().any(|start| line.starts_with(start)) || line.starts_with("# pool_rows");
        n_set += usize::from(is_optional);
        if is_optional { line.trim_start_matches("# ") } else { line }
    });
    let said = parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
    assert_eq!(n_set, 6);
    assert_eq!(said.settings(64).unwrap(), settings);
    assert_eq!(
        (said.pool_rows(), said.held_out(1000)),
        (config.pool_rows(), config.held_out(1000))
    );
}

#[test]
fn each_recipe_is_what_its_name_says() {
    let of = |fields: &str| {
        let text = format!("steps = 500\n[[dictionary]]\nname = \"a\"\n{fields}");
        parse(&text).unwrap().settings(16).unwrap().run.members[0].recipe.clone()
    };
    let n = "n_latents = 64";
    for (fields, recipe) in [
        ("recipe = \"top_k\"\nk = 4", Recipe::top_k(64, 16, 4)),
        ("recipe = \"batch_top_k\"\nk = 4", Recipe::batch_top_k(64, 16, 4, 500)),
        ("recipe = \"matryoshka\"\nk = 4", Recipe::matryoshka(64, 16, 4, 500)),
        ("recipe = \"paper_c\"", Recipe::paper_c(64)),
        ("recipe = \"unit_relu\"\npenalty = 2", Recipe::unit_relu(64, 2.0)),
        ("recipe = \"p_anneal\"\npenalty = 0.5", Recipe::p_anneal(64, 0.5)),
        ("recipe = \"gated\"\npenalty = 0.5", Recipe::gated(64, 0.5)),
        ("recipe = \"jump_relu\"\nl0 = 8", Recipe::jump_relu(64, 16, 8.0)),
        ("recipe = \"jump_relu_tanh\"\npenalty = 0.5", Recipe::jump_relu_tanh(64, 0.5)),
    ] {
        assert_eq!(of(&format!("{fields}\n{n}")), recipe, "{fields}");
        let slow = format!("{fields}\n{n}\nlearning_rate = 1e-3");
        assert_eq!(of(&slow), recipe.with_learning_rate(1e-3));
    }
    let predicts = "steps = 500\ntarget = \"y\"\n[[dictionary]]\nname = \"a\"\nrecipe = \"transcoder\"\n\
                    n_latents = 64\nk = 4\nskip = true";
    let settings = parse(predicts).unwrap().settings(16).unwrap();
    assert_eq!(settings.run.members[0].recipe, Recipe::transcoder(64, 16, 4, true));
    assert_eq!(settings.scaling, ScalingRule::None);
}

#[test]
fn what_recipes_look_like_when_they_are_written_can_be_read() {
    for recipe in [
        Recipe::paper_c(8),
        Recipe::unit_relu(8, 0.5),
        Recipe::jump_relu(8, 4, 2.0).frozen(Freeze::SoftDecoder { least_cosine: 0.5 }),
        Recipe::matryoshka(8, 4, 2, 10),
    ] {
        let text = toml::to_string(&recipe).unwrap();
        let text = text.replace("\n[", "\n[dictionary.");
        let text = format!("steps = 10\n[[dictionary]]\nname = \"a\"\n{text}");
        let text = text.replace("\"a\"\n[", "\"a\"\n[dictionary.");
        let config = parse(&text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
        assert_eq!(config.settings(4).unwrap().run.members[0].recipe, recipe);
    }
}

#[test]
fn what_cannot_be_meant_is_named_with_what_is_possible() {
    let steps = "steps = 10\n";
    let entry = |fields: &str| format!("{steps}[[dictionary]]\nname = \"a\"\n{fields}\n");
    for (text, parts) in [
        ("steps = ".to_owned(), &["my.toml", "line 1"][..]),
        (TOP.to_owned(), &["my.toml", "steps"]),
        (steps.to_owned(), &["my.toml", "no dictionary", "[[dictionary]]"]),
        (format!("{steps}step = 3\n{TOP}"), &["`step`", "`steps`", "line 2"]),
        (format!("{steps}{TOP}kk = 3\n"), &["`kk`", "n_latents"]),
        (format!("{steps}{TOP}penalty = 3\n"), &["\"a\"", "penalty", "top_k takes n_latents, k"]),
        (format!("{steps}{TOP}{TOP}"), &["\"a\" is given twice"]),
        (format!("{steps}held_out = 1.0\n{TOP}"), &["held_out", "[0, 1)"]),
        (format!("{steps}save_every = 0\n{TOP}"), &["save_every"]),
        (format!("{steps}dead_after = 2.0\n{TOP}"), &["dead", "(0, 1]"]),
        (format!("steps = 0\n{TOP}"), &["steps", "[1, 2^32)"]),
        (format!("{steps}batch_rows = 0\n{TOP}"), &["batch"]),
        (format!("{steps}scaling = \"max\"\n{TOP}"), &["`max`", "mean_square"]),
        (format!("{steps}target = \"y\"\n{TOP}"), &["target", "\"a\" is no transcoder"]),
        (entry("n_latents = 3"), &["recipe is missing"]),
        (entry("recipe = \"top_l\""), &["top_l", "batch_top_k", "matryoshka"]),
        (entry("recipe = \"top_k\"\nk = 3"), &["n_latents is missing"]),
        (entry("recipe = \"top_k\"\nn_latents = 3"), &["k is missing"]),
        (entry("recipe = \"top_k\"\nn_latents = 3\nk = 4"), &["k is 4", "1 to 3"]),
        (
            entry("recipe = \"gated\"\nn_latents = 3\nk = 1\npenalty = 1"),
            &["k does not", "penalty"],
        ),
        (entry("recipe = \"gated\"\nn_latents = 3"), &["penalty is missing"]),
        (entry("recipe = \"transcoder\"\nn_latents = 3\nk = 1\nskip = true"), &["as target"]),
        (entry("recipe = \"top_k\"\nn_latents = 0\nk = 1"), &["n_latents is 0"]),
        (
            entry("recipe = \"top_k\"\nn_latents = 9\nk = 1\nlearning_rate = -1.0"),
            &["rate", "[0, 1]"],
        ),
        (
            entry("architecture = { kind = \"gated\", n_latents = 3, penalty = 1.0 }"),
            &["optimizer"],
        ),
        (
            entry("k = 3\narchitecture = { kind = \"gated\", n_latents = 3, penalty = 1.0 }"),
            &["k does not belong"],
        ),
        (
            entry("architecture = { kind = \"gated\", n_latents = 3, penalty = 1.0, k = 3 }"),
            &["`k`", "penalty"],
        ),
        (format!("{steps}{}", TOP.replace("\"a\"", "\"../a\"")), &["../a", "letters, digits"]),
    ] {
        let told = error(&text);
        for part in parts {
            assert!(told.contains(part), "{part} is not in\n{told}\nof\n{text}");
        }
        assert!(told.contains("my.toml"), "{told}");
    }
}
