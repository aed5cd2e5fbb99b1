//! Mixture of experts.

use burn::module::{Module, Param};
use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Int, Tensor, TensorData};

use super::Linear;
use crate::config::SWIGLU_ALPHA;
use crate::{Config, Hook, Hooks, LmError, Parameters, Site};

/// The experts of one layer and the router that chooses among them.
///
/// A token goes through the `n_active` experts of largest router score s; with w the softmax over
/// these scores, the result is Σ w·((u + 1)·g·σ(1.702·g)·`W_out` + `b_out`), where
/// g = min(x·`W_gate` + `b_gate`, limit) and u = x·`W_in` + `b_in` clamped to ±limit. Among equal scores
/// the expert of smaller number goes first.
#[derive(Module, Debug)]
pub(super) struct Experts {
    router: Linear,
    /// `[expert, d_model, d_hidden]`
    w_gate: Param<Tensor<3>>,
    /// `[expert, d_hidden]`
    b_gate: Param<Tensor<2>>,
    w_in: Param<Tensor<3>>,
    b_in: Param<Tensor<2>>,
    /// `[expert, d_hidden, d_model]`
    w_out: Param<Tensor<3>>,
    /// `[expert, d_model]`
    b_out: Param<Tensor<2>>,
    n_active: usize,
    limit: f64,
}

/// The tokens that go through one expert, and where their weights stand in `[token · n_active]`.
#[derive(Default, Clone)]
struct Route {
    tokens: Vec<i64>,
    weights: Vec<i64>,
}

impl Experts {
    pub(super) fn new(
        parameters: &mut Parameters,
        name: &str,
        config: &Config,
        [n_experts, n_active]: [usize; 2],
        limit: f64,
    ) -> Result<Self, LmError> {
        let (d_model, d_hidden) = (config.d_model, config.mlp.d_hidden);
        let of = |part: &str| format!("{name}.{part}");
        Ok(Self {
            router: Linear::new(parameters, &of("router"), [d_model, n_experts], true)?,
            w_gate: parameters.take(&of("w_gate"), [n_experts, d_model, d_hidden])?,
            b_gate: parameters.take(&of("b_gate"), [n_experts, d_hidden])?,
            w_in: parameters.take(&of("w_in"), [n_experts, d_model, d_hidden])?,
            b_in: parameters.take(&of("b_in"), [n_experts, d_hidden])?,
            w_out: parameters.take(&of("w_out"), [n_experts, d_hidden, d_model])?,
            b_out: parameters.take(&of("b_out"), [n_experts, d_model])?,
            n_active,
            limit,
        })
    }

    /// `[batch, position, d_model]` to the same. The router's choice is read back from the device.
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        layer: usize,
        hooks: &mut Hooks,
    ) -> Result<Tensor<3>, LmError> {
        let [batch, len, d_model] = x.dims();
        let n_tokens = batch * len;
        let scores = hooks.at(Hook::Block(layer, Site::Router), self.router.forward(x.clone()))?;
        let [_, _, n_experts] = scores.dims();
        let scores = scores.reshape([n_tokens, n_experts]);
        let chosen = self.choose(&scores, layer)?;
        let device = x.device();
        let index = |ids: Vec<i64>, shape: [usize; 2]| {
            Tensor::<2, Int>::from_data(TensorData::new(ids, shape), &device)
        };
        let ids = chosen.iter().map(|expert| i64::try_from(*expert).unwrap_or(i64::MAX)).collect();
        let weights = softmax(scores.gather(1, index(ids, [n_tokens, self.n_active])), 1);
        let weights = weights.reshape([n_tokens * self.n_active, 1]);

        let mut routes = vec![Route::default(); n_experts];
        for (place, expert) in (0..).zip(&chosen) {
            routes[*expert].weights.push(place);
            routes[*expert].tokens.push(place / self.n_active.cast_signed() as i64);
        }
        let x = x.reshape([n_tokens, d_model]);
        let mut sum = x.zeros_like();
        for (expert, route) in routes.into_iter().enumerate() {
            if route.tokens.is_empty() {
                continue;
            }
            let n = route.tokens.len();
            let tokens = index(route.tokens, [1, n]).squeeze_dim::<1>(0);
            let places = index(route.weights, [1, n]).squeeze_dim::<1>(0);
            let out = self.expert(expert, x.clone().select(0, tokens.clone()));
            let out = out * weights.clone().select(0, places);
            sum = sum.select_assign(0, tokens, out, burn::tensor::IndexingUpdateOp::Add);
        }
        Ok(sum.reshape([batch, len, d_model]))
    }

    /// The experts of each token, best first, `[token · n_active]`.
    fn choose(&self, scores: &Tensor<2>, layer: usize) -> Result<Vec<usize>, LmError> {
        let [_, n_experts] = scores.dims();
        let scores = crate::checkpoint::to_vec(scores.clone(), "the router's scores")?;
        if let Some(value) = scores.iter().find(|score| !score.is_finite()) {
            return Err(LmError::NotFinite {
                what: format!("a router score of block {layer}"),
                value: *value,
                remedy: "look for activations that overflow, or weights that are not finite",
            });
        }
        let mut chosen = Vec::with_capacity(scores.len() / n_experts * self.n_active);
        let mut order: Vec<usize> = Vec::new();
        for scores in scores.chunks(n_experts) {
            order.clear();
            order.extend(0..n_experts);
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            chosen.extend_from_slice(&order[..self.n_active]);
        }
        Ok(chosen)
    }

    /// What one expert makes of some tokens, `[token, d_model]`.
    fn expert(&self, expert: usize, x: Tensor<2>) -> Tensor<2> {
        let row = |bias: &Param<Tensor<2>>| bias.val().narrow(0, expert, 1);
        let matrix = |w: &Param<Tensor<3>>| w.val().narrow(0, expert, 1).squeeze_dim::<2>(0);
        let gate = x.clone().matmul(matrix(&self.w_gate)) + row(&self.b_gate);
        let gate = gate.clamp_max(self.limit);
        let input = x.matmul(matrix(&self.w_in)) + row(&self.b_in);
        let input = input.clamp(-self.limit, self.limit);
        let hidden = (input + 1.0) * gate.clone() * sigmoid(gate * SWIGLU_ALPHA);
        hidden.matmul(matrix(&self.w_out)) + row(&self.b_out)
    }
}
