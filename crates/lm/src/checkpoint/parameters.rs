//! The parameters of a model by name, between a checkpoint and the model itself.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::{LmError, Transformer};

/// The numbers of a tensor on the host, row by row.
pub(crate) fn to_vec<const D: usize>(tensor: Tensor<D>, what: &str) -> Result<Vec<f32>, LmError> {
    tensor
        .try_into_vec_as::<f32>()
        .map_err(|error| LmError::Device { what: what.to_owned(), problem: error.to_string() })
}

/// The parameters of a model by name: what [`Transformer::new`] is made of.
///
/// Names are paths in the model: `blocks.0.attention.query.weight`. Projections are `[in, out]`.
///
/// # Examples
///
/// ```
/// let device = device::DeviceName::Flex.open().unwrap();
/// let mut parameters = lm::Parameters::new("an example", &device);
/// parameters.put("final_norm.weight", &[2], vec![1.0, 0.5])?;
/// assert!(parameters.put("embed", &[2, 2], vec![1.0]).is_err());
/// # Ok::<(), lm::LmError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Parameters {
    source: String,
    device: Device,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Parameters {
    /// None yet; the source names them in errors, the device is where the model is to be.
    pub fn new(source: &str, device: &Device) -> Self {
        Self { source: source.to_owned(), device: device.clone(), values: BTreeMap::new() }
    }

    /// Those of a model.
    ///
    /// # Errors
    ///
    /// [`LmError::Device`] if the device cannot return them.
    pub fn of(model: &Transformer) -> Result<Self, LmError> {
        let mut visitor = Visitor {
            path: Vec::new(),
            parameters: Self::new("the model", &model.device()),
            failed: None,
        };
        model.visit(&mut visitor);
        visitor.failed.map_or(Ok(visitor.parameters), Err)
    }

    /// The same for a model on another device.
    #[must_use]
    pub fn on(mut self, device: &Device) -> Self {
        self.device = device.clone();
        self
    }

    /// Adds a parameter.
    ///
    /// # Errors
    ///
    /// [`LmError::Tensor`] if there are not as many numbers as the shape says,
    /// [`LmError::NotFinite`] if one is not finite.
    pub fn put(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<(), LmError> {
        if shape.iter().product::<usize>() != values.len() {
            return Err(LmError::Tensor {
                file: self.source.clone(),
                tensor: name.to_owned(),
                expected: format!("the shape {shape:?}"),
                got: format!("{} numbers", values.len()),
            });
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(LmError::NotFinite {
                what: format!("{}: a number of {name}", self.source),
                value: *value,
                remedy: "the checkpoint is broken, or its training diverged: take another",
            });
        }
        self.values.insert(name.to_owned(), (shape.to_vec(), values));
        Ok(())
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The numbers of a parameter, row by row.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.values.get(name).map(|(_, values)| values.as_slice())
    }

    /// A parameter of the model, which has this shape.
    pub(crate) fn take<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Param<Tensor<D>>, LmError> {
        let (got, values) = self.values.remove(name).unwrap_or_default();
        if got != shape {
            return Err(LmError::Tensor {
                file: self.source.clone(),
                tensor: name.to_owned(),
                expected: format!("the shape {shape:?}"),
                got: if got.is_empty() { "none".to_owned() } else { format!("{got:?}") },
            });
        }
        let data = TensorData::new(values, shape);
        Ok(Param::from_tensor(Tensor::from_data(data, &self.device)))
    }
}

/// Collects the parameters of a module under their paths.
struct Visitor {
    path: Vec<String>,
    parameters: Parameters,
    failed: Option<LmError>,
}

impl ModuleVisitor for Visitor {
    fn enter_module(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.push(name.to_owned());
        }
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.path.pop();
        }
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = param.val();
        let (name, shape) = (self.path.join("."), tensor.dims());
        let put =
            to_vec(tensor, &name).and_then(|values| self.parameters.put(&name, &shape, values));
        self.failed = self.failed.take().or(put.err());
    }
}
