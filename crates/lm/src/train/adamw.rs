//! A step of the optimizer over all parameters of a model.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamMapper};
use burn::tensor::{Gradients, Tensor};

use super::TrainConfig;
use crate::checkpoint::to_vec;
use crate::{LmError, Transformer};

/// First and second moment of a parameter, flat.
#[derive(Clone, Debug)]
pub(super) struct Moments {
    pub(super) first: Tensor<1>,
    pub(super) second: Tensor<1>,
}

/// The moments of every parameter that was stepped, by name.
pub(super) type State = BTreeMap<String, Moments>;

/// What a step needs besides gradients.
#[derive(Clone, Copy, Debug)]
struct Rule {
    rate: f64,
    /// 1 − βᵗ.
    corrections: [f64; 2],
    /// What gradients are multiplied by.
    scale: f64,
}

/// The gradient of every parameter, by name, and their norm.
pub(super) struct Found {
    gradients: BTreeMap<String, Tensor<1>>,
    pub(super) norm: f64,
}

/// Takes the gradients of a model's parameters out of the tape.
///
/// # Errors
///
/// [`LmError::NotFinite`] if the norm is not finite; [`LmError::Device`] if the device cannot return it.
pub(super) fn find(model: &Transformer, mut tape: Gradients) -> Result<Found, LmError> {
    let mut collector =
        Collector { path: Path::default(), tape: &mut tape, found: BTreeMap::new() };
    model.visit(&mut collector);
    let gradients = collector.found;
    Ok(Found { norm: norm(&gradients)?, gradients })
}

/// A step of all parameters; `t` counts from 1.
pub(super) fn step(
    model: Transformer,
    state: &mut State,
    found: Found,
    config: &TrainConfig,
    t: u64,
) -> Transformer {
    let power = |beta: f64| 1.0 - libm::pow(beta, t as f64);
    let rule = Rule {
        rate: config.learning_rate(t - 1),
        corrections: config.betas.map(power),
        scale: (config.max_gradient_norm / found.norm.max(f64::MIN_POSITIVE)).min(1.0),
    };
    let path = Path::default();
    model.map(&mut Stepper { path, found: found.gradients, state, rule, config })
}

/// The length of all gradients together. Each squared length is a product of a row and a column, which
/// adds up in one order whatever the threads; these are added up in double precision.
fn norm(gradients: &BTreeMap<String, Tensor<1>>) -> Result<f64, LmError> {
    let squares = gradients.values().map(|gradient| {
        let n = gradient.dims()[0];
        let (row, column) = (gradient.clone().reshape([1, n]), gradient.clone().reshape([n, 1]));
        row.matmul(column).reshape([1])
    });
    let squares: Vec<Tensor<1>> = squares.collect();
    if squares.is_empty() {
        return Ok(0.0);
    }
    let squares = to_vec(Tensor::cat(squares, 0), "the length of gradients")?;
    let sum: f64 = squares.iter().map(|square| f64::from(*square)).sum();
    if sum.is_finite() {
        return Ok(sum.sqrt());
    }
    Err(LmError::NotFinite {
        what: "the norm of the gradient".to_owned(),
        value: f32::NAN,
        remedy: "the training diverged: take a smaller learning rate, or look at the batch",
    })
}

/// Where in the model a mapper is.
#[derive(Default)]
struct Path(Vec<String>);

impl Path {
    fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.push(name.to_owned());
        }
    }

    fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.0.pop();
        }
    }

    fn name(&self) -> String {
        self.0.join(".")
    }
}

/// Takes the gradient of each parameter out of the tape, flat.
struct Collector<'a> {
    path: Path,
    tape: &'a mut Gradients,
    found: BTreeMap<String, Tensor<1>>,
}

impl ModuleVisitor for Collector<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.tape) {
            let n = gradient.shape().num_elements();
            self.found.insert(self.path.name(), gradient.reshape([n]));
        }
    }
}

/// Steps each parameter that has a gradient.
struct Stepper<'a> {
    path: Path,
    found: BTreeMap<String, Tensor<1>>,
    state: &'a mut State,
    rule: Rule,
    config: &'a TrainConfig,
}

impl ModuleMapper for Stepper<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.name();
        let Some(gradient) = self.found.remove(&name) else { return param };
        let (id, tensor, mapper): (_, _, ParamMapper<_>) = param.consume();
        let shape = tensor.dims();
        let weights = tensor.inner().reshape([gradient.dims()[0]]);
        let moments = self.state.remove(&name).unwrap_or_else(|| Moments {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
        });
        // What shrinks: matrices. A bias of experts is a row for each expert.
        let last = name.rsplit('.').next().unwrap_or_default();
        let decays = D > 1 && !last.starts_with("b_");
        let decay = if decays { self.config.weight_decay } else { 0.0 };
        let (weights, moments) = update(weights, moments, gradient, self.rule, self.config, decay);
        self.state.insert(name, moments);
        let tensor = Tensor::from_inner(weights.reshape(shape)).require_grad();
        Param::from_mapped_value(id, tensor, mapper)
    }
}

/// m ← β₁·m + (1 − β₁)·g, s ← β₂·s + (1 − β₂)·g²,
/// w ← (1 − η·λ)·w − η·m̂/(√ŝ + ε) with m̂ = m/(1 − β₁ᵗ), ŝ = s/(1 − β₂ᵗ) (Loshchilov and Hutter 2019,
/// algorithm 2, with the rate inside the decay as `torch.optim.AdamW` has it).
fn update(
    weights: Tensor<1>,
    moments: Moments,
    gradient: Tensor<1>,
    rule: Rule,
    config: &TrainConfig,
    decay: f64,
) -> (Tensor<1>, Moments) {
    let ([beta_1, beta_2], [correction_1, correction_2]) = (config.betas, rule.corrections);
    let gradient = gradient * rule.scale;
    let first = moments.first * beta_1 + gradient.clone() * (1.0 - beta_1);
    let second = moments.second * beta_2 + gradient.square() * (1.0 - beta_2);
    let size = (second.clone() / correction_2).sqrt() + config.epsilon;
    let step = first.clone() / size * (rule.rate / correction_1);
    let weights = weights * (1.0 - rule.rate * decay) - step;
    (weights, Moments { first, second })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    /// Three steps of five weights against the equations in double precision.
    #[test]
    fn a_step_is_that_of_the_equations() {
        let device = device::DeviceName::Flex.open().unwrap();
        let config = TrainConfig { n_warmup: 0, final_fraction: 1.0, ..TrainConfig::new(3, 0.01) };
        let tensor = |values: &[f64]| {
            #[expect(clippy::cast_possible_truncation, reason = "single precision is tested")]
            let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
            let n = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [n]), &device)
        };
        let gradients =
            [[0.5, -2.0, 1e-3, 0.0, 4.0], [0.1, 3.0, -1e-3, 0.0, 4.0], [-0.7, 0.2, 1e-3, 1.0, 4.0]];
        let mut expected = [1.0, -1.0, 0.5, 2.0, 0.0];
        let (mut m, mut s) = ([0.0; 5], [0.0; 5]);
        let mut weights = tensor(&expected);
        let zeros = tensor(&[0.0; 5]);
        let mut moments = Moments { first: zeros.clone(), second: zeros };
        for (t, gradient) in (1..).zip(gradients) {
            let (b, t) = (config.betas, f64::from(t));
            let corrections = b.map(|b| 1.0 - libm::pow(b, t));
            let rule = Rule { rate: 0.01, corrections, scale: 0.5 };
            (weights, moments) = update(weights, moments, tensor(&gradient), rule, &config, 0.1);
            for at in 0..5 {
                let g = 0.5 * gradient[at];
                m[at] = b[0] * m[at] + (1.0 - b[0]) * g;
                s[at] = b[1] * s[at] + (1.0 - b[1]) * g * g;
                let size = (s[at] / corrections[1]).sqrt() + config.epsilon;
                expected[at] -= 0.01 * (0.1 * expected[at] + m[at] / corrections[0] / size);
            }
        }
        let got = to_vec(weights, "weights").unwrap();
        for (got, expected) in got.iter().zip(expected) {
            assert!((f64::from(*got) - expected).abs() < 1e-6, "{got} {expected}");
        }
    }
}
