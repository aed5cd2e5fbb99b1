//! Attention of every kind: grouped, windowed, with rotary positions, with query-key norms, with sinks.

use burn::module::{Module, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Bool, Device, Tensor, TensorData};

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
        let [batch, len, _] = x.dims();
        let at = |site| Hook::Block(layer, site);
        let query = self.split(self.query.forward(x.clone()), self.n_heads);
        let query = self.prepare(query, self.query_norm.as_ref(), rotation);
        let query = match &self.scale {
            Some(scale) => query * scale.val().reshape([1, self.n_heads, 1, 1]),
            None => query,
        };
        let key = self.split(self.key.forward(x.clone()), self.n_kv_heads);
        let key = self.prepare(key, self.key_norm.as_ref(), rotation);
        let value = self.split(self.value.forward(x), self.n_kv_heads);
        let query = self.at(at(Site::Query), query, hooks)?;
        let key = self.at(at(Site::Key), key, hooks)?;
        let value = self.at(at(Site::Value), value, hooks)?;
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
        let heads = self.join(heads);
        let heads = hooks.at(at(Site::AttnHeads), heads)?;
        Ok(self.output.forward(heads))
    }

    /// `[batch, position, head·d_head]` to `[batch, head, position, d_head]`.
    fn split(&self, x: Tensor<3>, n_heads: usize) -> Tensor<4> {
        let [batch, len, _] = x.dims();
        x.reshape([batch, len, n_heads, self.d_head]).swap_dims(1, 2)
    }

    /// `[batch, head, position, d_head]` to `[batch, position, head·d_head]`.
    fn join(&self, x: Tensor<4>) -> Tensor<3> {
        let [batch, n_heads, len, _] = x.dims();
        x.swap_dims(1, 2).reshape([batch, len, n_heads * self.d_head])
    }

    /// Norm and rotation of queries or keys.
    fn prepare(
        &self,
        x: Tensor<4>,
        norm: Option<&Normalization>,
        rotation: Option<&Rotation>,
    ) -> Tensor<4> {
        let x = match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let x = match rotation {
            Some(rotation) => rotation.apply(x),
            None => x,
        };
        if self.scale.is_none() {
            return x;
        }
        let squared_length = x.clone().square().sum_dim(3);
        x / (squared_length + SMALLEST_SQUARED_LENGTH).sqrt()
    }

    /// A hook between [`Self::join`] and [`Self::split`].
    fn at(&self, hook: Hook, x: Tensor<4>, hooks: &mut Hooks) -> Result<Tensor<4>, LmError> {
        if !hooks.has(hook) {
            return Ok(x);
        }
        let n_heads = x.dims()[1];
        Ok(self.split(hooks.at(hook, self.join(x))?, n_heads))
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
