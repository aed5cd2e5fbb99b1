//! A step of the optimizer on tensors.

use burn::tensor::{Tensor, TensorData};

use super::operation::{contiguous, is_fused, numbers};
use crate::KernelError;
use crate::transformer::AdamW;

impl AdamW {
    /// Step `t`, from 1 on, of weights that follow the gradient times `scale`; moments begin at 0.
    ///
    /// On the default device the weights change in place if nothing else holds them; elsewhere they are brought to the
    /// host and back. The result is on the weights' device, without automatic differentiation.
    ///
    /// # Shapes
    /// A gradient and two moments for each weight.
    ///
    /// # Determinism
    /// The same bits for any number of threads.
    ///
    /// # Errors
    /// [`KernelError::Size`] unless gradient and moments are as many as the weights; [`KernelError::Device`] if a device
    /// does not return its numbers.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use kernels::transformer::AdamW;
    ///
    /// let of = |number: f32| Tensor::<1>::from_floats([number], &Device::flex());
    /// let (mut first, mut second) = ([0.0], [0.0]);
    /// let rule = AdamW { weight_decay: 0.0, ..AdamW::new(0.5) };
    /// let weights = rule.update(1, of(2.0), [&mut first, &mut second], of(3.0), 1.0)?;
    /// assert!((weights.into_scalar::<f32>() - 1.5).abs() < 1e-6);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn update<const D: usize>(
        &self,
        t: u32,
        weights: Tensor<D>,
        [first, second]: [&mut [f32]; 2],
        gradient: Tensor<D>,
        scale: f32,
    ) -> Result<Tensor<D>, KernelError> {
        let shape = weights.dims();
        let n: usize = shape.iter().product();
        KernelError::check("numbers of the gradient", n, gradient.shape().num_elements())?;
        KernelError::check("first moments", n, first.len())?;
        KernelError::check("second moments", n, second.len())?;
        let (weights, gradient) = (weights.without_autodiff(), gradient.without_autodiff());
        if is_fused(&weights) && is_fused(&gradient) {
            let gradient = contiguous(numbers(gradient.into_dispatch()));
            let mut weights = contiguous(numbers(weights.into_dispatch()));
            self.step(t, weights.storage_mut(), [first, second], gradient.storage(), scale);
            return Ok(Tensor::from_primitive::<burn::backend::Flex>(weights));
        }
        let device = weights.device();
        let host = |tensor: Tensor<D>| {
            tensor
                .try_into_vec_as::<f32>()
                .map_err(|_| KernelError::Device { what: "weights or a gradient" })
        };
        let (mut values, gradient) = (host(weights)?, host(gradient)?);
        self.step(t, &mut values, [first, second], &gradient, scale);
        Ok(Tensor::from_data(TensorData::new(values, shape), &device))
    }
}
