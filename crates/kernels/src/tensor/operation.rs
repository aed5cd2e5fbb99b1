//! How an operation on numbers becomes one on tensors.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Autodiff, BackendTensor, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind, Flex,
};
use burn::tensor::{DType, Tensor, TensorData};

/// A tensor of the default device.
pub(super) type Numbers = FloatTensor<Flex>;
/// The same with automatic differentiation.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// Whether operations of this module on a tensor are fused: it lies on the default device, in single precision.
///
/// # Examples
/// ```
/// use burn::tensor::{DType, Device, Tensor};
///
/// let x = Tensor::<1>::from_floats([1.0], &Device::flex().autodiff());
/// assert!(kernels::tensor::is_fused(&x));
/// assert!(!kernels::tensor::is_fused(&x.cast(DType::F64)));
/// ```
pub fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    use burn::backend::DispatchDevice;

    let device = x.device();
    let mut device = device.as_dispatch();
    if let DispatchDevice::Autodiff(inner) = device {
        device = inner;
    }
    matches!(device, DispatchDevice::Flex(_)) && x.dtype() == DType::F32
}

/// A function of N tensors with one result, and its gradients.
pub(super) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// What the gradients need of inputs and result.
    type Kept: Clone + Debug + Send + 'static;

    /// The result, and what the gradients need; `tracked` says whether they will be taken.
    fn forward(&self, inputs: [Numbers; N], tracked: bool) -> (Numbers, Self::Kept);

    /// The gradients by those inputs that are wanted, given that by the result.
    fn backward(&self, kept: Self::Kept, dy: Numbers, wanted: [bool; N]) -> [Option<Numbers>; N];
}

/// Does an operation on tensors that are all fused.
pub(super) fn apply<O: Operation<N>, const N: usize>(
    operation: O,
    inputs: [DispatchTensor; N],
) -> DispatchTensor {
    let context = inputs
        .iter()
        .map(|input| input.autodiff)
        .fold(DispatchAutodiffContext::Disabled, DispatchAutodiffContext::merge);
    if context == DispatchAutodiffContext::Disabled {
        let (y, _) = operation.forward(inputs.map(numbers), false);
        let kind = DispatchTensorKind::Flex(BackendTensor::Float(y));
        return DispatchTensor { kind, autodiff: context };
    }
    let inputs = inputs.map(tracked);
    let nodes = inputs.each_ref().map(Tracked::node);
    let inputs = inputs.map(Tracked::into_primitive);
    // Nothing here is cheap enough to be computed twice, so the strategy of checkpoints has nothing to choose.
    let step = Step(PhantomData::<O>).prepare::<NoCheckpointing>(nodes).compute_bound().stateful();
    let y = match step {
        OpsKind::Tracked(step) => {
            let (y, kept) = operation.forward(inputs, true);
            step.finish((operation, kept), y)
        }
        OpsKind::UnTracked(step) => step.finish(operation.forward(inputs, false).0),
    };
    let kind = DispatchTensorKind::Flex(BackendTensor::Autodiff(y));
    DispatchTensor { kind: DispatchTensorKind::Autodiff(Box::new(kind)), autodiff: context }
}

/// The numbers of a tensor, without automatic differentiation.
pub(super) fn numbers(tensor: DispatchTensor) -> Numbers {
    tracked(tensor).into_primitive()
}

fn tracked(tensor: DispatchTensor) -> Tracked {
    let mut kind = tensor.kind;
    if let DispatchTensorKind::Autodiff(inner) = kind {
        kind = *inner;
    }
    match kind {
        DispatchTensorKind::Flex(BackendTensor::Autodiff(tensor)) => tensor,
        DispatchTensorKind::Flex(BackendTensor::Float(tensor)) => Tracked::new(tensor),
        other => unreachable!("only fused tensors come here, not {other:?}"),
    }
}

/// The same numbers row after row, from the first of their memory to the last.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a second handle would keep the memory from being changed in place"
)]
pub(super) fn contiguous(x: Numbers) -> Numbers {
    x.to_contiguous()
}

/// A tensor of numbers in a shape.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Numbers {
    Numbers::from_data(TensorData::new(values, shape))
}

/// A tensor of numbers in the shape of another.
pub(super) fn shaped_as(values: Vec<f32>, other: &Numbers) -> Numbers {
    Numbers::from_data(TensorData::new(values, other.layout().shape().clone()))
}

/// The step of an operation in the backward pass.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = (O, O::Kept);

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        gradients: &mut Gradients,
        _checkpoints: &mut Checkpointer,
    ) {
        let dy = gradients.consume::<Flex>(&ops.node);
        let (operation, kept) = ops.state;
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = operation.backward(kept, contiguous(dy), wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}
