//! Attention of every kind: grouped, windowed, with rotary positions, with query-key norms, with sinks.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};
use kernels::transformer::AttentionShape;

use super::norm::Normalization;
use super::rotation::Rotation;
use super::{Cache, Linear};
use crate::config::{Norm, NormKind, QueryKeyNorm};
use crate::{Config, Hook, Hooks, LmError, Parameters, Site};

/// Keeps the length of a query or key away from 0 before it is divided by it.
const SMALLEST_SQUARED_LENGTH: f64 = 1e-12;

/// Multi-head attention.
///
/// With q, k, v the projections of x, head by head, the output is softmax(s)·v·`W_o` + `b_o` with scores
/// s = q·k/√`d_head`, or g·cos(q, k) with a learned g per head; −∞ where a key is later than the query
/// or beyond the window. A sink's learned score joins the softmax and brings no value.
#[derive(Module, Debug)]
pub(super) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    query_norm: Option<Normalization>,
    key_norm: Option<Normalization>,
    /// g of each head, `[n_heads]`.
    scale: Option<Param<Tensor<1>>>,
    /// `[n_heads]`
    sinks: Option<Param<Tensor<1>>>,
    window: Option<usize>,
    n_heads: usize,
    n_kv_heads: usize,
    d_head: usize,
}

impl Attention {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        layer: usize,
        config: &Config,
    ) -> Result<Self, LmError> {
        let attention = &config.attention;
        let (n_heads, d_head, bias) = (attention.n_heads, attention.d_head, attention.bias);
        let of = |part: &str| format!("{name}.{part}");
        let (d_model, d_heads, d_kv) = (config.d_model, config.d_heads(), config.d_kv_heads());
        let norm = Norm { kind: NormKind::Rms, eps: config.norm.eps };
        let kind = attention.query_key_norm;
        let head_norm = |part: &str, parameters: &mut Parameters| match kind {
            QueryKeyNorm::Rms => Normalization::new(parameters, &of(part), d_head, norm).map(Some),
            QueryKeyNorm::None | QueryKeyNorm::Unit => Ok(None),
        };
        let query_norm = head_norm("query_norm", parameters)?;
        let key_norm = head_norm("key_norm", parameters)?;
        let mut per_head = |part: &str, is_there: bool| {
            is_there.then(|| parameters.take(&of(part), [n_heads])).transpose()
        };
        Ok(Self {
            query_norm,
            key_norm,
            scale: per_head("scale", kind == QueryKeyNorm::Unit)?,
            sinks: per_head("sinks", attention.sinks)?,
            query: Linear::new(parameters, &of("query"), [d_model, d_heads], bias)?,
            key: Linear::new(parameters, &of("key"), [d_model, d_kv], bias)?,
            value: Linear::new(parameters, &of("value"), [d_model, d_kv], bias)?,
            output: Linear::new(parameters, &of("output"), [d_heads, d_model], bias)?,
            window: attention.windows[layer],
            n_heads,
            n_kv_heads: attention.n_kv_heads,
            d_head,
        })
    }

    /// The learned g of each head, `[n_heads]`, where there is one.
    pub(super) fn scale(&self) -> Option<Tensor<1>> {
        self.scale.as_ref().map(Param::val)
    }

    /// `[batch, position, d_model]` to the same.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        rotation: Option<&Rotation>,
        cache: Option<&mut Cache>,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let at = |site| Hook::Block(layer, site);
        let query = self.prepare(self.query.forward(x.clone()), self.query_norm.as_ref(), rotation);
        let query = match &self.scale {
            Some(scale) => self.scaled(query, scale.val()),
            None => query,
        };
        let key = self.prepare(self.key.forward(x.clone()), self.key_norm.as_ref(), rotation);
        let query = hooks.at(at(Site::Query), query)?;
        let key = hooks.at(at(Site::Key), key)?;
        let value = hooks.at(at(Site::Value), self.value.forward(x))?;
        let needs_scores = cache.is_some()
            || self.sinks.is_some()
            || hooks.has(at(Site::AttnScores))
            || hooks.has(at(Site::AttnPattern));
        let fused = if needs_scores { None } else { self.fused(&query, &key, &value) };
        let heads = match fused {
            Some(heads) => heads,
            None => self.by_scores([query, key, value], layer, cache, hooks)?,
        };
        let heads = hooks.at(at(Site::AttnHeads), heads)?;
        Ok(self.output.forward(heads))
    }

    /// What the heads gather, `[batch, position, head·d_head]`, without the scores; none where there is no
    /// such operation.
    fn fused(&self, query: &Tensor<3>, key: &Tensor<3>, value: &Tensor<3>) -> Option<Tensor<3>> {
        let shape = AttentionShape {
            n_tokens: query.dims()[1],
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            d_head: self.d_head,
            scale: self.score_scale(),
            window: self.window,
        };
        kernels::tensor::attention(query.clone(), key.clone(), value.clone(), &shape)
    }

    /// What products of queries and keys are multiplied by.
    fn score_scale(&self) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "rounded to single precision")]
        let scale = (1.0 / (self.d_head as f64).sqrt()) as f32;
        if self.scale.is_some() { 1.0 } else { scale }
    }

    /// The same by way of the scores, which hooks may see, with keys and values from before and with
    /// sinks.
    fn by_scores(
        &self,
        [query, key, value]: [Tensor<3>; 3],
        layer: usize,
        cache: Option<&mut Cache>,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let at = |site| Hook::Block(layer, site);
        let [batch, len, _] = query.dims();
        let query = self.split(query, self.n_heads);
        let [key, value] = [key, value].map(|x| self.split(x, self.n_kv_heads));
        let start = cache.as_ref().map_or(0, |cache| cache.n_positions());
        let [key, value] = match cache {
            Some(cache) => cache.extend(layer, [key, value]),
            None => [key, value],
        };

        let n_keys = start + len;
        // The queries of the heads that share keys lie one after the other.
        let rows = self.n_heads / self.n_kv_heads * len;
        let query = query.reshape([batch, self.n_kv_heads, rows, self.d_head]);
        let scores = query.matmul(key.transpose());
        let scores =
            if self.scale.is_some() { scores } else { scores / (self.d_head as f64).sqrt() };
        let flat = [batch, self.n_heads * len, n_keys];
        let square = [batch, self.n_heads, len, n_keys];
        let scores = hooks.at_shaped(at(Site::AttnScores), scores, flat, square)?;
        let scores = match mask(start, len, self.window, &scores.device()) {
            Some(mask) => scores.mask_fill(mask.expand(square), f32::NEG_INFINITY),
            None => scores,
        };
        let pattern = match &self.sinks {
            None => softmax(scores, 3),
            Some(sinks) => {
                let sinks = sinks.val().reshape([1, self.n_heads, 1, 1]);
                let sinks = sinks.expand([batch, self.n_heads, len, 1]);
                softmax(Tensor::cat(vec![scores, sinks], 3), 3).narrow(3, 0, n_keys)
            }
        };
        let grouped = [batch, self.n_kv_heads, rows, n_keys];
        let pattern = hooks.at_shaped(at(Site::AttnPattern), pattern, flat, grouped)?;
        let heads = pattern.matmul(value).reshape([batch, self.n_heads, len, self.d_head]);
        Ok(heads.swap_dims(1, 2).reshape([batch, len, self.n_heads * self.d_head]))
    }

    /// `[batch, position, head·d_head]` to `[batch, head, position, d_head]`.
    fn split(&self, x: Tensor<3>, n_heads: usize) -> Tensor<4> {
        let [batch, len, _] = x.dims();
        x.reshape([batch, len, n_heads, self.d_head]).swap_dims(1, 2)
    }

    /// Norm and rotation of the queries or keys of all heads, `[batch, position, head·d_head]`.
    fn prepare(
        &self,
        x: Tensor<3>,
        norm: Option<&Normalization>,
        rotation: Option<&Rotation>,
    ) -> Tensor<3> {
        if norm.is_none() && rotation.is_none() && self.scale.is_none() {
            return x;
        }
        let [batch, len, width] = x.dims();
        let x = x.reshape([batch, len, width / self.d_head, self.d_head]);
        let x = match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = match rotation {
            Some(rotation) => rotation.apply(x),
            None => x,
        };
        let x = if self.scale.is_none() {
            x
        } else {
            let squared_length = x.clone().square().sum_dim(3);
            x / (squared_length + SMALLEST_SQUARED_LENGTH).sqrt()
        };
        x.reshape([batch, len, width])
    }

    /// The queries of each head times its number.
    fn scaled(&self, query: Tensor<3>, scale: Tensor<1>) -> Tensor<3> {
        let [batch, len, width] = query.dims();
        let heads = query.reshape([batch, len, self.n_heads, self.d_head]);
        (heads * scale.reshape([1, 1, self.n_heads, 1])).reshape([batch, len, width])
    }
}

/// Where a query may not look, `[1, 1, query, key]`; none if it may everywhere. Queries begin at
/// `start`; a query at i sees the keys j ≤ i with i − j < window.
fn mask(
    start: usize,
    len: usize,
    window: Option<usize>,
    device: &Device,
) -> Option<Tensor<4, Bool>> {
    let n_keys = start + len;
    let window = window.unwrap_or(n_keys);
    if len == 1 && window >= n_keys {
        return None;
    }
    let hidden = |query: usize, key: usize| key > query || query - key >= window;
    let hidden: Vec<bool> =
        (start..n_keys).flat_map(|query| (0..n_keys).map(move |key| hidden(query, key))).collect();
    Some(Tensor::from_data(TensorData::new(hidden, [1, 1, len, n_keys]), device))
}
