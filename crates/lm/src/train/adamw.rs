//! A step of the optimizer over all parameters of a model.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use kernels::transformer::AdamW;

use super::TrainConfig;
use crate::checkpoint::to_vec;
use crate::{LmError, Transformer};

/// First and second moments of a parameter, row by row.
pub(super) type Moments = [Vec<f32>; 2];

/// The moments of every parameter that was stepped, by name.
pub(super) type State = BTreeMap<String, Moments>;

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

/// A step of all parameters; `t` counts from 1 (Loshchilov and Hutter 2019, algorithm 2, with the rate
/// inside the decay as `torch.optim.AdamW` has it).
///
/// # Errors
///
/// [`LmError::Device`] if the device cannot return its numbers.
pub(super) fn step(
    model: Transformer,
    state: &mut State,
    found: Found,
    config: &TrainConfig,
    t: u64,
) -> Result<Transformer, LmError> {
    let scale = (config.max_gradient_norm / found.norm.max(f64::MIN_POSITIVE)).min(1.0);
    #[expect(clippy::cast_possible_truncation, reason = "the optimizer takes single precision")]
    let [learning_rate, epsilon, weight_decay, scale, beta_rate] =
        [config.learning_rate(t - 1), config.epsilon, config.weight_decay, scale, config.beta_rate]
            .map(|x| x as f32);
    let rule = AdamW { learning_rate, decays: config.betas, epsilon, weight_decay };
    // More steps than these were refused.
    let t = u32::try_from(t).unwrap_or(u32::MAX);
    let (path, found) = (Path::default(), found.gradients);
    let mut stepper = Stepper { path, found, state, rule, beta_rate, scale, t, failed: None };
    let model = model.map(&mut stepper);
    stepper.failed.map_or(Ok(model), Err)
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
    rule: AdamW,
    beta_rate: f32,
    scale: f32,
    t: u32,
    failed: Option<LmError>,
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
        let n = gradient.dims()[0];
        let [first, second] =
            self.state.entry(name.clone()).or_insert_with(|| [vec![0.0; n], vec![0.0; n]]);
        // What shrinks: matrices. A bias of experts is a row for each expert.
        let last = name.rsplit('.').next().unwrap_or_default();
        let decays = D > 1 && !last.starts_with("b_");
        let AdamW { learning_rate, weight_decay, .. } = self.rule;
        let rule = AdamW {
            learning_rate: if last == "scale" {
                learning_rate * self.beta_rate
            } else {
                learning_rate
            },
            weight_decay: if decays { weight_decay } else { 0.0 },
            ..self.rule
        };
        let (t, scale, failed) = (self.t, self.scale, &mut self.failed);
        param.map(|weights| {
            let gradient = gradient.reshape(weights.dims());
            let kept = weights.clone();
            match rule.update(t, weights, [first, second], gradient, scale) {
                Ok(weights) => weights.autodiff().require_grad(),
                Err(error) => {
                    let what = format!("a step of {name}");
                    *failed = Some(LmError::Device { what, problem: error.to_string() });
                    kept
                }
            }
        })
    }
}
