//! The whole model.

use burn::module::{Module, Param};
use burn::tensor::module::embedding;
use burn::tensor::{Device, Tensor};
use kernels::tensor::linear;

use super::block::Block;
use super::norm::Normalization;
use super::rotation::Rotation;
use super::{Cache, Linear};
use crate::config::Positions;
use crate::{Config, Hook, Hooks, LmError, Parameters, Tokens};

/// A causal transformer language model of any of the families.
///
/// Its parameters are tensors in single precision on one device; on a device with automatic
/// differentiation they take gradients. A forward pass is deterministic, the same to the last bit for
/// any number of threads on the default device.
///
/// # Examples
///
/// ```
/// use lm::{Config, Hooks, Tokens, Transformer};
///
/// let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
///     "n_layer": 1, "n_head": 2}"#;
/// let config = Config::from_json("config.json", text)?;
/// let device = device::DeviceName::Flex.open().unwrap();
/// let model = Transformer::random(config, seed::Seed::new(1), &device)?;
/// let logits = model.forward(&Tokens::new(vec![vec![3, 1, 4]])?, &mut Hooks::new())?;
/// assert_eq!(logits.dims(), [1, 3, 11]);
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Module, Debug)]
pub struct Transformer {
    embed: Param<Tensor<2>>,
    position_embed: Option<Param<Tensor<2>>>,
    /// Of patches of images.
    patch_embed: Option<Linear>,
    blocks: Vec<Block>,
    final_norm: Normalization,
    /// `[d_model, vocab]`; none where the token embedding serves.
    unembed: Option<Param<Tensor<2>>>,
    #[module(skip)]
    config: Config,
}

impl Transformer {
    /// A model of these parameters.
    ///
    /// # Errors
    ///
    /// [`LmError::Config`] for a config that its family cannot have, [`LmError::Tensor`] for a
    /// parameter that is missing or of another shape.
    pub fn new(config: Config, mut parameters: Parameters) -> Result<Self, LmError> {
        config.check()?;
        let parameters = &mut parameters;
        let (vocab_size, d_model) = (config.vocab_size, config.d_model);
        let learned = config.positions == Positions::Learned;
        let blocks = (0..config.n_layers).map(|layer| Block::new(parameters, layer, &config));
        Ok(Self {
            blocks: blocks.collect::<Result<_, _>>()?,
            embed: parameters.take("embed", [vocab_size, d_model])?,
            position_embed: learned
                .then(|| parameters.take("position_embed", [config.n_ctx, d_model]))
                .transpose()?,
            patch_embed: (config.patch_width)
                .map(|width| Linear::new(parameters, "patch_embed", [width, d_model], true))
                .transpose()?,
            final_norm: Normalization::new(parameters, "final_norm", d_model, config.norm)?,
            unembed: (!config.tied_embeddings)
                .then(|| parameters.take("unembed", [d_model, vocab_size]))
                .transpose()?,
            config,
        })
    }

    /// The model's description.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The device that its parameters lie on.
    pub fn device(&self) -> Device {
        self.embed.val().device()
    }

    /// The learned inverse temperatures β, `[layer][head]`: the scale of each head's cosines in models
    /// with query-key norm (paper A); empty for others.
    ///
    /// # Errors
    ///
    /// [`LmError::Device`] if the device cannot return them.
    pub fn betas(&self) -> Result<Vec<Vec<f32>>, LmError> {
        let scales = self.blocks.iter().filter_map(Block::scale);
        scales.map(|scale| crate::checkpoint::to_vec(scale, "the scales of the heads")).collect()
    }

    /// The same model with the inverse temperature β of every head set to one value; one without query-key norm stays as
    /// it is. A training that begins elsewhere shows what the usual beginning decides.
    ///
    /// # Errors
    ///
    /// [`LmError::NotFinite`] for a β that is not finite, [`LmError::Device`] if the device cannot return the parameters.
    ///
    /// # Examples
    ///
    /// ```
    /// # let text = br#"{"model_type": "gpt2_query_key_norm", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
    /// #     "n_layer": 1, "n_head": 2}"#;
    /// # let config = lm::Config::from_json("config.json", text)?;
    /// # let device = device::DeviceName::Flex.open().unwrap();
    /// let model = lm::Transformer::random(config, seed::Seed::new(1), &device)?;
    /// // log2(8² − 8), the usual beginning.
    /// assert!((model.betas()?[0][0] - 5.807).abs() < 1e-3);
    /// assert_eq!(model.with_betas(20.0)?.betas()?, [[20.0, 20.0]]);
    /// # Ok::<(), lm::LmError>(())
    /// ```
    pub fn with_betas(&self, beta: f32) -> Result<Self, LmError> {
        let mut parameters = Parameters::of(self)?;
        let is_scale = |name: &&str| name.rsplit('.').next() == Some("scale");
        let scales: Vec<String> = parameters.names().filter(is_scale).map(str::to_owned).collect();
        for name in scales {
            let n = self.config.attention.n_heads;
            parameters.put(&name, &[n], vec![beta; n])?;
        }
        Self::new(self.config.clone(), parameters)
    }

    /// Logits `[batch, position, vocab]`: the unnormalized log-probability of each token to be next.
    ///
    /// # Errors
    ///
    /// [`LmError::Tokens`] for ids outside of the vocabulary or more tokens than the context,
    /// [`LmError::NoHook`], [`LmError::HookShape`] and [`LmError::Range`] for an action at a hook that
    /// cannot be done, [`LmError::NotFinite`] if a router's scores are not finite.
    pub fn forward(&self, tokens: &Tokens, hooks: &mut Hooks) -> Result<Tensor<3>, LmError> {
        self.run(tokens, None, hooks)
    }

    /// A forward pass only as far as the last hook that is captured or watched.
    ///
    /// What is read is the same as in [`Transformer::forward`]; what comes after, the logits with their
    /// memory included, is not computed.
    ///
    /// # Errors
    ///
    /// As [`Transformer::forward`].
    pub fn read(&self, tokens: &Tokens, hooks: &mut Hooks) -> Result<(), LmError> {
        match hooks.n_blocks_read() {
            Some(n_blocks) => self.residual(tokens, None, hooks, n_blocks).map(drop),
            None => self.forward(tokens, hooks).map(drop),
        }
    }

    /// Logits of tokens that come after those in the cache, which then holds these too.
    ///
    /// A pass that fails leaves the cache of no use; clear it by beginning a new one.
    ///
    /// # Errors
    ///
    /// As [`Transformer::forward`], and [`LmError::Tokens`] if the cache holds another number of texts.
    pub fn forward_cached(
        &self,
        tokens: &Tokens,
        cache: &mut Cache,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        if let Some(n_texts) = cache.n_texts().filter(|n_texts| *n_texts != tokens.n_texts()) {
            return Err(LmError::Tokens {
                expected: format!("{n_texts} texts, as the cache holds"),
                got: tokens.n_texts().to_string(),
            });
        }
        self.run(tokens, Some(cache), hooks)
    }

    fn run(
        &self,
        tokens: &Tokens,
        cache: Option<&mut Cache>,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let x = self.residual(tokens, cache, hooks, self.blocks.len())?;
        let x = hooks.at(Hook::FinalNorm, self.final_norm.forward(x))?;
        let unembed =
            self.unembed.as_ref().map_or_else(|| self.embed.val().transpose(), Param::val);
        hooks.at(Hook::Logits, linear(x, unembed, None))
    }

    /// The residual stream after the first blocks.
    fn residual(
        &self,
        tokens: &Tokens,
        mut cache: Option<&mut Cache>,
        hooks: &mut Hooks,
        n_blocks: usize,
    ) -> Result<Tensor<3>, LmError> {
        let device = self.device();
        let start = cache.as_ref().map_or(0, |cache| cache.n_positions());
        let len = tokens.n_positions();
        let ids = tokens.to_tensor(&self.config, start, &device)?;
        hooks.begin(&self.config, start)?;
        let mut x = embedding(self.embed.val(), ids);
        if let Some(embed) = &self.patch_embed {
            x = tokens.place_patches(x, |patches| embed.forward(patches));
        }
        if let Some(positions) = &self.position_embed {
            let rows = positions.val().narrow(0, start, len);
            x = x + rows.unsqueeze_dim::<3>(0);
        }
        x = hooks.at(Hook::Embed, x)?;
        let rotation = match &self.config.positions {
            Positions::Learned => None,
            Positions::Rotary(rotary) => {
                let d_head = self.config.attention.d_head;
                Some(Rotation::new(rotary, d_head, [start, len])?)
            }
        };
        for (layer, block) in self.blocks.iter().enumerate().take(n_blocks) {
            let cache = cache.as_deref_mut();
            x = block.forward(x, layer, rotation.as_ref(), cache, hooks)?;
        }
        if let Some(cache) = cache {
            cache.advance(len);
        }
        Ok(x)
    }
}
