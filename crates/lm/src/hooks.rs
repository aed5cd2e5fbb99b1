//! One mechanism for everything that is done at a hook: read, replace, add, ablate, clamp, watch.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use burn::tensor::{Gradients, Tensor};

use crate::hook::Hook;
use crate::{Config, LmError};

/// A function of what flows through a hook; the shape stays.
pub type Map = Box<dyn Fn(Tensor<3>) -> Tensor<3> + Send + Sync>;

/// What is done to the tensor x that flows through a hook.
pub enum Change {
    /// x ← the tensor; an axis of length 1 is repeated. Activations of another run, patched in, or a
    /// mean.
    Replace(Tensor<3>),
    /// x ← x + the tensor; an axis of length 1 is repeated. A steering vector is `[1, 1, width]`.
    Add(Tensor<3>),
    /// x ← 0.
    Ablate,
    /// x ← x limited to an interval, number by number.
    Clamp {
        /// The least that is left.
        min: f32,
        /// The most that is left.
        max: f32,
    },
    /// x ← x + (value − x·u)·u with u = direction/‖direction‖: the component of x along the direction
    /// becomes the value, the rest stays. Value 0 removes the direction.
    Component {
        /// The direction, of any length but 0.
        direction: Tensor<1>,
        /// What x·u becomes.
        value: f32,
    },
    /// x ← any function of x.
    Map(Map),
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace(tensor) => write!(formatter, "Replace({:?})", tensor.dims()),
            Self::Add(tensor) => write!(formatter, "Add({:?})", tensor.dims()),
            Self::Ablate => formatter.write_str("Ablate"),
            Self::Clamp { min, max } => write!(formatter, "Clamp({min}, {max})"),
            Self::Component { direction, value } => {
                write!(formatter, "Component({:?}, {value})", direction.dims())
            }
            Self::Map(_) => formatter.write_str("Map"),
        }
    }
}

#[derive(Debug)]
enum Action {
    Capture,
    Watch,
    Edit { positions: Option<Range<usize>>, change: Box<Change> },
}

/// What a forward pass is to do at its hooks, and what it read there.
///
/// Actions at one hook are done in the order in which they were asked for, so a capture after an
/// edit reads what was edited. With a cache of keys and values, positions count from the beginning
/// of the text, and a capture holds the tokens of the latest pass.
///
/// # Examples
///
/// ```
/// use lm::{Change, Config, Hook, Hooks, Site, Tokens, Transformer};
///
/// # let text = br#"{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6,
/// #     "n_layer": 1, "n_head": 2}"#;
/// # let config = Config::from_json("config.json", text)?;
/// # let device = device::DeviceName::Flex.open().unwrap();
/// let model = Transformer::random(config, seed::Seed::new(1), &device)?;
/// let tokens = Tokens::new(vec![vec![3, 1, 4]])?;
/// let out = Hook::Block(0, Site::MlpOut);
/// let mut hooks = Hooks::new().edit(out, Change::Ablate).capture(out);
/// model.forward(&tokens, &mut hooks)?;
/// assert_eq!(hooks.captured(out)?.sum().into_scalar::<f32>(), 0.0);
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Debug, Default)]
pub struct Hooks {
    actions: Vec<(Hook, Action)>,
    captured: BTreeMap<Hook, Tensor<3>>,
    watched: BTreeMap<Hook, Tensor<3>>,
    /// Position of the first token of the pass.
    start: usize,
}

impl Hooks {
    /// Nothing to do.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads what flows through a hook; see [`Hooks::captured`].
    #[must_use]
    pub fn capture(mut self, hook: Hook) -> Self {
        self.actions.push((hook, Action::Capture));
        self
    }

    /// Changes what flows through a hook, at every position.
    #[must_use]
    pub fn edit(mut self, hook: Hook, change: Change) -> Self {
        self.actions.push((hook, Action::Edit { positions: None, change: Box::new(change) }));
        self
    }

    /// Changes what flows through a hook at some positions; those beyond the text are left out.
    ///
    /// A tensor to replace or add has one position, or as many as fall within the pass.
    #[must_use]
    pub fn edit_at(mut self, hook: Hook, positions: Range<usize>, change: Change) -> Self {
        self.actions
            .push((hook, Action::Edit { positions: Some(positions), change: Box::new(change) }));
        self
    }

    /// Lets the gradient with respect to what flows through a hook be taken; see
    /// [`Hooks::gradient`]. The device has to be one with automatic differentiation.
    #[must_use]
    pub fn watch(mut self, hook: Hook) -> Self {
        self.actions.push((hook, Action::Watch));
        self
    }

    /// What flowed through a hook in the latest pass.
    ///
    /// # Errors
    ///
    /// [`LmError::NotTaken`] if it was not captured or no pass was made.
    pub fn captured(&self, hook: Hook) -> Result<Tensor<3>, LmError> {
        let what = "nothing was captured: ask with `capture` before the forward pass";
        self.captured.get(&hook).cloned().ok_or(LmError::NotTaken { hook, what })
    }

    /// The gradient of what was differentiated with respect to what flowed through a watched hook,
    /// through everything after it.
    ///
    /// # Errors
    ///
    /// [`LmError::NotTaken`] if the hook was not watched, or what was differentiated does not depend
    /// on it.
    pub fn gradient(&self, hook: Hook, gradients: &Gradients) -> Result<Tensor<3>, LmError> {
        let what = "no gradient: `watch` it before the forward pass, on a device with autodiff, and \
                    differentiate something that depends on it";
        let leaf = self.watched.get(&hook);
        leaf.and_then(|leaf| leaf.grad(gradients)).ok_or(LmError::NotTaken { hook, what })
    }

    /// How many blocks serve all that is read; none if what comes after them is read too.
    pub(crate) fn n_blocks_read(&self) -> Option<usize> {
        let mut read = self
            .actions
            .iter()
            .filter(|(_, action)| matches!(action, Action::Capture | Action::Watch));
        read.try_fold(0, |most, (hook, _)| Some(hook.n_blocks()?.max(most)))
    }

    /// Refuses actions that a model of this config has no place for, and begins a pass.
    pub(crate) fn begin(&mut self, config: &Config, start: usize) -> Result<(), LmError> {
        for (hook, action) in &self.actions {
            hook.width(config)?;
            let limited = matches!(action, Action::Edit { positions: Some(_), .. });
            if limited && !hook.has_positions() {
                let reason = "an edit here cannot be limited to positions";
                return Err(LmError::NoHook { hook: *hook, reason });
            }
        }
        self.captured.clear();
        self.watched.clear();
        self.start = start;
        Ok(())
    }

    /// Does what is to be done at a hook where a tensor flows that has another rank: it is given one
    /// shape for the hook, and then the other.
    pub(crate) fn at_shaped(
        &mut self,
        hook: Hook,
        x: Tensor<4>,
        hooked: [usize; 3],
        then: [usize; 4],
    ) -> Result<Tensor<4>, LmError> {
        if !self.has(hook) {
            return Ok(x.reshape(then));
        }
        Ok(self.at(hook, x.reshape(hooked))?.reshape(then))
    }

    /// Whether anything is done at a hook.
    pub(crate) fn has(&self, hook: Hook) -> bool {
        self.actions.iter().any(|(at, _)| *at == hook)
    }

    /// Does what is to be done at a hook.
    pub(crate) fn at(&mut self, hook: Hook, mut x: Tensor<3>) -> Result<Tensor<3>, LmError> {
        for (_, action) in self.actions.iter().filter(|(at, _)| *at == hook) {
            x = match action {
                Action::Capture => {
                    self.captured.insert(hook, x.clone());
                    x
                }
                Action::Watch => {
                    let leaf = x.zeros_like().detach().require_grad();
                    self.watched.insert(hook, leaf.clone());
                    x + leaf
                }
                Action::Edit { positions: None, change } => apply(hook, change, x)?,
                Action::Edit { positions: Some(range), change } => {
                    let [batch, len, width] = x.dims();
                    let from = range.start.max(self.start) - self.start;
                    let to = range.end.clamp(self.start, self.start + len) - self.start;
                    if from < to {
                        let part = x.clone().slice([0..batch, from..to, 0..width]);
                        let part = apply(hook, change, part)?;
                        x.slice_assign([0..batch, from..to, 0..width], part)
                    } else {
                        x
                    }
                }
            };
        }
        Ok(x)
    }
}

fn apply(hook: Hook, change: &Change, x: Tensor<3>) -> Result<Tensor<3>, LmError> {
    let dims = x.dims();
    let fitting = |tensor: &Tensor<3>| {
        let got = tensor.dims();
        if got.iter().zip(dims).all(|(&got, there)| got == there || got == 1) {
            return Ok(tensor.clone().expand(dims));
        }
        let expected = format!("shape {dims:?}, or 1 in place of an axis");
        Err(LmError::HookShape { hook, expected, got: got.to_vec() })
    };
    match change {
        Change::Replace(tensor) => fitting(tensor),
        Change::Add(tensor) => Ok(x + fitting(tensor)?),
        Change::Ablate => Ok(x.zeros_like()),
        Change::Clamp { min, max } => {
            if min > max {
                let interval = "at most the upper bound of the clamp";
                let (what, got) = ("the lower bound", f64::from(*min));
                return Err(LmError::Range { what, got, interval });
            }
            Ok(x.clamp(*min, *max))
        }
        Change::Component { direction, value } => {
            let [width] = direction.dims();
            if width != dims[2] {
                let expected = format!("a direction of {} numbers", dims[2]);
                return Err(LmError::HookShape { hook, expected, got: vec![width] });
            }
            let direction = direction.clone().reshape([1, 1, width]);
            let length = direction.clone().square().sum_dim(2).sqrt();
            let unit = direction / length;
            let component = (x.clone() * unit.clone()).sum_dim(2);
            Ok(x + (component.neg() + *value) * unit)
        }
        Change::Map(function) => {
            let changed = function(x);
            if changed.dims() == dims {
                return Ok(changed);
            }
            let expected = format!("shape {dims:?} from the function");
            Err(LmError::HookShape { hook, expected, got: changed.dims().to_vec() })
        }
    }
}
