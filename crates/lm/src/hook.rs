//! The names of the places in a model where activations can be read and changed.

use std::fmt;
use std::str::FromStr;

use crate::{Config, LmError, MlpForm};

/// A place in a forward pass, where [`crate::Hooks`] can read and change what flows.
///
/// Every tensor has the axes `[batch, position, width]`, but for [`Site::AttnScores`] and
/// [`Site::AttnPattern`]. Heads lie one after the other in the width.
///
/// # Examples
///
/// ```
/// use lm::{Hook, Site};
///
/// let hook: Hook = "blocks.3.resid_post".parse()?;
/// assert_eq!(hook, Hook::Block(3, Site::ResidPost));
/// assert_eq!(Hook::Logits.to_string(), "logits");
/// assert!("blocks.3.residual".parse::<Hook>().is_err());
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// `embed`: the token embedding, with that of the position where it is learned; `d_model`.
    Embed,
    /// `blocks.<layer>.<site>`: a place in a block.
    Block(usize, Site),
    /// `final_norm`: the residual stream after the last normalization; `d_model`.
    FinalNorm,
    /// `logits`: `vocab_size`.
    Logits,
}

/// A place in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Site {
    /// `resid_pre`: the residual stream before the block; `d_model`.
    ResidPre,
    /// `query`: queries as they meet keys, normalized, rotated and, with query-key norm, times the
    /// head's scale; `n_heads·d_head`.
    Query,
    /// `key`: keys as they meet queries; `n_kv_heads·d_head`.
    Key,
    /// `value`: values; `n_kv_heads·d_head`.
    Value,
    /// `attn_scores`: what the softmax gets, before the mask; `[batch, n_heads·query, key]`.
    AttnScores,
    /// `attn_pattern`: the weights of attention; `[batch, n_heads·query, key]`.
    AttnPattern,
    /// `attn_heads`: what each head gathered, before the output projection; `n_heads·d_head`.
    AttnHeads,
    /// `attn_out`: what attention adds to the residual stream; `d_model`.
    AttnOut,
    /// `resid_mid`: the residual stream between attention and the feed-forward part; `d_model`.
    ResidMid,
    /// `router`: the scores of the experts, before any is chosen; `n_experts`. Mixtures only.
    Router,
    /// `mlp_hidden`: the hidden numbers that the output projection gets; `d_hidden`. Not in mixtures,
    /// where each expert has its own.
    MlpHidden,
    /// `mlp_out`: what the feed-forward part adds to the residual stream; `d_model`.
    MlpOut,
    /// `resid_post`: the residual stream after the block; `d_model`.
    ResidPost,
}

impl Site {
    /// Every site, in the order of the forward pass.
    pub const ALL: [Self; 13] = [
        Self::ResidPre,
        Self::Query,
        Self::Key,
        Self::Value,
        Self::AttnScores,
        Self::AttnPattern,
        Self::AttnHeads,
        Self::AttnOut,
        Self::ResidMid,
        Self::Router,
        Self::MlpHidden,
        Self::MlpOut,
        Self::ResidPost,
    ];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ResidPre => "resid_pre",
            Self::Query => "query",
            Self::Key => "key",
            Self::Value => "value",
            Self::AttnScores => "attn_scores",
            Self::AttnPattern => "attn_pattern",
            Self::AttnHeads => "attn_heads",
            Self::AttnOut => "attn_out",
            Self::ResidMid => "resid_mid",
            Self::Router => "router",
            Self::MlpHidden => "mlp_hidden",
            Self::MlpOut => "mlp_out",
            Self::ResidPost => "resid_post",
        }
    }

    /// Whether the second axis is the position, so that an edit may be limited to positions.
    pub const fn has_positions(self) -> bool {
        !matches!(self, Self::AttnScores | Self::AttnPattern)
    }
}

impl Hook {
    /// The width of what flows here, the last axis; none where it is the number of keys.
    ///
    /// # Errors
    ///
    /// [`LmError::NoHook`] if a model of this config has no such place.
    pub fn width(self, config: &Config) -> Result<Option<usize>, LmError> {
        let none = |reason| Err(LmError::NoHook { hook: self, reason });
        let (layer, site) = match self {
            Self::Embed | Self::FinalNorm => return Ok(Some(config.d_model)),
            Self::Logits => return Ok(Some(config.vocab_size)),
            Self::Block(layer, site) => (layer, site),
        };
        if layer >= config.n_layers {
            return none("it has fewer blocks, counted from 0");
        }
        match (site, config.mlp.form) {
            (Site::AttnScores | Site::AttnPattern, _) => Ok(None),
            (Site::Query | Site::AttnHeads, _) => Ok(Some(config.d_heads())),
            (Site::Key | Site::Value, _) => Ok(Some(config.d_kv_heads())),
            (Site::MlpHidden, MlpForm::Experts { .. }) => {
                none("each expert has hidden numbers of its own; take mlp_out or router")
            }
            (Site::MlpHidden, _) => Ok(Some(config.mlp.d_hidden)),
            (Site::Router, MlpForm::Experts { n_experts, .. }) => Ok(Some(n_experts)),
            (Site::Router, _) => none("only mixtures of experts have a router"),
            _ => Ok(Some(config.d_model)),
        }
    }

    /// Every place of a model of this config where what flows has a fixed width, in the order of the
    /// forward pass.
    pub fn all(config: &Config) -> Vec<Self> {
        let blocks = (0..config.n_layers)
            .flat_map(|layer| Site::ALL.into_iter().map(move |site| Self::Block(layer, site)));
        let all = [Self::Embed].into_iter().chain(blocks).chain([Self::FinalNorm, Self::Logits]);
        all.filter(|hook| matches!(hook.width(config), Ok(Some(_)))).collect()
    }

    /// How many blocks compute what flows here; none if what comes after them is needed too.
    pub(crate) const fn n_blocks(self) -> Option<usize> {
        match self {
            Self::Embed => Some(0),
            Self::Block(layer, _) => Some(layer + 1),
            Self::FinalNorm | Self::Logits => None,
        }
    }

    /// Whether the second axis is the position.
    pub const fn has_positions(self) -> bool {
        match self {
            Self::Block(_, site) => site.has_positions(),
            Self::Embed | Self::FinalNorm | Self::Logits => true,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embed => formatter.write_str("embed"),
            Self::Block(layer, site) => write!(formatter, "blocks.{layer}.{}", site.as_str()),
            Self::FinalNorm => formatter.write_str("final_norm"),
            Self::Logits => formatter.write_str("logits"),
        }
    }
}

impl FromStr for Hook {
    type Err = LmError;

    /// # Errors
    ///
    /// [`LmError::HookName`] with the names there are.
    fn from_str(name: &str) -> Result<Self, LmError> {
        let site = |name: &str| Site::ALL.into_iter().find(|site| site.as_str() == name);
        let block = |rest: &str| {
            let (layer, name) = rest.split_once('.')?;
            Some(Self::Block(layer.parse().ok()?, site(name)?))
        };
        let hook = match name {
            "embed" => Some(Self::Embed),
            "final_norm" => Some(Self::FinalNorm),
            "logits" => Some(Self::Logits),
            _ => name.strip_prefix("blocks.").and_then(block),
        };
        hook.ok_or_else(|| {
            let sites = Site::ALL.map(Site::as_str).join(", ");
            let expected = format!(
                "embed, final_norm, logits, or blocks.<layer>.<site> with a site of {sites}"
            );
            LmError::HookName { got: name.to_owned(), expected }
        })
    }
}
