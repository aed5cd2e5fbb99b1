//! The file that says which dictionaries to train: what it may say, and what that means.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use dictionaries::ScalingRule;
use sae::{Architecture, Freeze, Member, Optimizer, Recipe, RunConfig, Schedule};
use serde::Deserialize;

/// What the file says, as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    hook: Option<String>,
    target: Option<String>,
    tensor: Option<String>,
    steps: u32,
    #[serde(default = "default_batch_rows")]
    batch_rows: usize,
    #[serde(default)]
    seed: u64,
    scaling: Option<Scaling>,
    #[serde(default = "default_dead_after")]
    dead_after: f64,
    #[serde(default = "default_held_out")]
    held_out: f64,
    #[serde(default = "default_sample_rows")]
    sample_rows: usize,
    pool_rows: Option<usize>,
    save_every: Option<u32>,
    #[serde(default)]
    dictionary: Vec<Entry>,
}

const fn default_batch_rows() -> usize {
    2048
}

const fn default_dead_after() -> f64 {
    0.05
}

const fn default_held_out() -> f64 {
    0.01
}

const fn default_sample_rows() -> usize {
    16384
}

const DEFAULT_POOL_ROWS: usize = 65536;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Scaling {
    None,
    MeanSquare,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    PaperC,
    UnitRelu,
    PAnneal,
    Gated,
    JumpRelu,
    JumpReluTanh,
    TopK,
    BatchTopK,
    Matryoshka,
    Transcoder,
}

impl Named {
    const fn name(self) -> &'static str {
        match self {
            Self::PaperC => "paper_c",
            Self::UnitRelu => "unit_relu",
            Self::PAnneal => "p_anneal",
            Self::Gated => "gated",
            Self::JumpRelu => "jump_relu",
            Self::JumpReluTanh => "jump_relu_tanh",
            Self::TopK => "top_k",
            Self::BatchTopK => "batch_top_k",
            Self::Matryoshka => "matryoshka",
            Self::Transcoder => "transcoder",
        }
    }

    /// Fields of its own, apart from `n_latents`.
    const fn own(self) -> &'static [&'static str] {
        match self {
            Self::PaperC | Self::UnitRelu | Self::PAnneal | Self::Gated | Self::JumpReluTanh => {
                &["penalty"]
            }
            Self::JumpRelu => &["l0"],
            Self::TopK | Self::BatchTopK | Self::Matryoshka => &["k"],
            Self::Transcoder => &["k", "skip"],
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    recipe: Option<Named>,
    n_latents: Option<usize>,
    k: Option<usize>,
    penalty: Option<f64>,
    l0: Option<f64>,
    skip: Option<bool>,
    learning_rate: Option<f32>,
    architecture: Option<Architecture>,
    optimizer: Option<Optimizer>,
    schedule: Option<Schedule>,
    freeze: Option<Freeze>,
}

/// What the file means, but for what the activations decide.
#[derive(Clone, Debug)]
pub(super) struct Config {
    path: PathBuf,
    written: Written,
}

/// Settings that change what comes out, all resolved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    pub(super) run: RunConfig,
    pub(super) scaling: ScalingRule,
    pub(super) sample_rows: usize,
    pub(super) save_every: Option<u32>,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// A file that is not there, no TOML, or has an unknown field or a value of another type: file, line and what is possible.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the config {}", path.display()))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> anyhow::Result<Self> {
        let written: Written = toml::from_str(text)
            .map_err(|error| anyhow::anyhow!("{}: {}", path.display(), error.to_string().trim()))?;
        let config = Self { path: path.to_owned(), written };
        config.check().with_context(|| path.display().to_string())?;
        Ok(config)
    }

    fn check(&self) -> anyhow::Result<()> {
        let Written { held_out, save_every, sample_rows, dictionary, scaling, target, .. } =
            &self.written;
        ensure!(
            (0.0..1.0).contains(held_out),
            "held_out is {held_out}; it is a part of the rows, in [0, 1)"
        );
        ensure!(*save_every != Some(0), "save_every is 0; it is 1 or more steps");
        ensure!(*sample_rows > 0, "sample_rows is 0; a beginning needs rows");
        ensure!(self.written.pool_rows != Some(0), "pool_rows is 0; it is 1 or more rows");
        ensure!(
            !dictionary.is_empty(),
            "there is no dictionary: add [[dictionary]] with name, recipe and n_latents"
        );
        ensure!(
            target.is_none() || *scaling != Some(Scaling::MeanSquare),
            "scaling: what predicts a target takes activations as they are: \"none\", or leave it out"
        );
        for entry in dictionary {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            let Entry { name, .. } = entry;
            ensure!(
                !name.is_empty() && name.len() <= 64 && name.bytes().all(is_plain),
                "the name of a dictionary is {name:?}; it becomes that of a folder: 1 to 64 letters, digits, - and _"
            );
            let others = dictionary.iter().filter(|other| other.name.eq_ignore_ascii_case(name));
            ensure!(others.count() == 1, "the name {name:?} is given twice");
            // Errors of fields, before activations are looked at.
            self.recipe(entry, 1)?;
        }
        self.run(1)?.check()?;
        Ok(())
    }

    /// The hook whose rows are taken, and the one that is predicted, of a store.
    ///
    /// # Errors
    /// A field that a store has no use for.
    pub(super) fn hooks(&self) -> anyhow::Result<(Option<&str>, Option<&str>)> {
        let Written { hook, target, tensor, .. } = &self.written;
        if tensor.is_some() {
            bail!("{}: tensor: a store has hooks; name one as hook", self.path.display());
        }
        Ok((hook.as_deref(), target.as_deref()))
    }

    /// The tensor that is taken, and the one that is predicted, of a file.
    ///
    /// # Errors
    /// A field that a matrix has no use for.
    pub(super) fn tensors(&self) -> anyhow::Result<(Option<&str>, Option<&str>)> {
        let Written { hook, target, tensor, pool_rows, .. } = &self.written;
        let path = self.path.display();
        ensure!(hook.is_none(), "{path}: hook: a matrix has none; name its tensor as tensor");
        ensure!(pool_rows.is_none(), "{path}: pool_rows: a matrix is shuffled as a whole");
        Ok((tensor.as_deref(), target.as_deref()))
    }

    /// Rows that are shuffled together.
    pub(super) fn pool_rows(&self) -> usize {
        self.written.pool_rows.unwrap_or(DEFAULT_POOL_ROWS)
    }

    pub(super) fn batch_rows(&self) -> usize {
        self.written.batch_rows
    }

    pub(super) fn seed(&self) -> u64 {
        self.written.seed
    }

    /// How many of so many rows are kept back: one at least, if any part is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a part of a number of rows, below 2^53 and not negative"
    )]
    pub(super) fn held_out(&self, n_rows: u64) -> u64 {
        (n_rows as f64 * self.written.held_out).ceil() as u64
    }

    /// Everything resolved, for activations of this width.
    ///
    /// # Errors
    /// What cannot be of this width.
    pub(super) fn settings(&self, width: usize) -> anyhow::Result<Settings> {
        let run = self.run(width).with_context(|| self.path.display().to_string())?;
        let scaling = match (self.written.scaling, &self.written.target) {
            (Some(Scaling::None), _) | (None, Some(_)) => ScalingRule::None,
            _ => ScalingRule::MeanSquare,
        };
        let Written { sample_rows, save_every, .. } = self.written;
        Ok(Settings { run, scaling, sample_rows, save_every })
    }

    fn run(&self, width: usize) -> anyhow::Result<RunConfig> {
        let Written { steps, batch_rows, seed, dead_after, dictionary, .. } = &self.written;
        let member = |entry: &Entry| -> anyhow::Result<Member> {
            Ok(Member { name: entry.name.clone(), recipe: self.recipe(entry, width)? })
        };
        Ok(RunConfig {
            n_steps: *steps,
            batch_rows: *batch_rows,
            dead_after: *dead_after,
            seed: *seed,
            members: dictionary.iter().map(member).collect::<anyhow::Result<_>>()?,
        })
    }

    fn recipe(&self, entry: &Entry, width: usize) -> anyhow::Result<Recipe> {
        let Written { target, steps, .. } = &self.written;
        let recipe = entry
            .recipe(width, *steps)
            .with_context(|| format!("the dictionary {:?}", entry.name))?;
        let (n_latents, k) = (recipe.architecture.n_latents(), recipe.architecture.k());
        let name = &entry.name;
        ensure!(n_latents > 0, "the dictionary {name:?}: n_latents is 0; it is 1 or more");
        if let Some(k) = k.filter(|k| *k == 0 || *k > n_latents) {
            bail!(
                "the dictionary {name:?}: k is {k}; it is 1 to {n_latents}, the latents there are"
            );
        }
        match (matches!(recipe.architecture, Architecture::Transcoder(_)), target) {
            (true, None) => bail!(
                "the dictionary {name:?}: a transcoder predicts other rows: name them as target"
            ),
            (false, Some(target)) => bail!(
                "target is {target:?}, and the dictionary {name:?} is no transcoder: only a transcoder predicts"
            ),
            _ => Ok(recipe),
        }
    }
}

impl Entry {
    fn recipe(&self, width: usize, n_steps: u32) -> anyhow::Result<Recipe> {
        let Self { recipe, architecture, schedule, freeze, .. } = self;
        let mut recipe = match (recipe, architecture) {
            (Some(named), None) => self.named(*named, width, n_steps)?,
            (None, Some(architecture)) => self.full(architecture)?,
            (Some(_), Some(_)) => {
                bail!("recipe and architecture are both given: take one")
            }
            (None, None) => {
                bail!("recipe is missing: name one, or give the tables architecture and optimizer")
            }
        };
        recipe.schedule = schedule.clone().unwrap_or(recipe.schedule);
        recipe.freeze = freeze.unwrap_or(recipe.freeze);
        Ok(recipe)
    }

    /// The fields of named recipes that are given.
    fn given(&self) -> Vec<&'static str> {
        let Self { k, penalty, l0, skip, .. } = self;
        let fields = [
            ("k", k.is_some()),
            ("penalty", penalty.is_some()),
            ("l0", l0.is_some()),
            ("skip", skip.is_some()),
        ];
        fields.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
    }

    fn named(&self, named: Named, width: usize, n_steps: u32) -> anyhow::Result<Recipe> {
        let takes = || {
            let own = named.own().join(", ");
            format!("{} takes n_latents, {own}, learning_rate, schedule, freeze", named.name())
        };
        if let Some(other) = self.given().iter().find(|field| !named.own().contains(field)) {
            bail!("{other} does not belong there: {}", takes());
        }
        ensure!(
            self.optimizer.is_none(),
            "optimizer belongs to an architecture that is given in full: {}",
            takes()
        );
        let missing = |field: &str| format!("{field} is missing: {}", takes());
        let n = self.n_latents.with_context(|| missing("n_latents"))?;
        let k = || self.k.with_context(|| missing("k"));
        let penalty = || self.penalty.with_context(|| missing("penalty"));
        let recipe = match named {
            Named::PaperC => {
                let mut recipe = Recipe::paper_c(n);
                if let (Architecture::Relu(config), Some(penalty)) =
                    (&mut recipe.architecture, self.penalty)
                {
                    config.penalty = penalty;
                }
                recipe
            }
            Named::UnitRelu => Recipe::unit_relu(n, penalty()?),
            Named::PAnneal => Recipe::p_anneal(n, penalty()?),
            Named::Gated => Recipe::gated(n, penalty()?),
            Named::JumpRelu => Recipe::jump_relu(n, width, self.l0.with_context(|| missing("l0"))?),
            Named::JumpReluTanh => Recipe::jump_relu_tanh(n, penalty()?),
            Named::TopK => Recipe::top_k(n, width, k()?),
            Named::BatchTopK => Recipe::batch_top_k(n, width, k()?, n_steps),
            Named::Matryoshka => Recipe::matryoshka(n, width, k()?, n_steps),
            Named::Transcoder => {
                Recipe::transcoder(n, width, k()?, self.skip.with_context(|| missing("skip"))?)
            }
        };
        Ok(match self.learning_rate {
            Some(rate) => recipe.with_learning_rate(rate),
            None => recipe,
        })
    }

    fn full(&self, architecture: &Architecture) -> anyhow::Result<Recipe> {
        let mut given = self.given();
        given.extend(self.n_latents.map(|_| "n_latents"));
        given.extend(self.learning_rate.map(|_| "learning_rate"));
        if let Some(field) = given.first() {
            bail!(
                "{field} does not belong beside architecture: say it in the tables architecture and optimizer"
            );
        }
        let optimizer = self.optimizer.clone().context(
            "optimizer is missing: [dictionary.optimizer] with learning_rate, decays, epsilon, max_gradient_norm",
        )?;
        Ok(Recipe {
            architecture: architecture.clone(),
            optimizer,
            schedule: Schedule::new(),
            freeze: Freeze::None,
        })
    }
}

#[cfg(test)]
mod tests;
