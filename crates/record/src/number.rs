//! Named numbers of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The named numbers of a run, in the order of their names.
pub type Numbers = BTreeMap<String, Number>;

/// One number, with its interval where it is an estimate.
///
/// # Examples
/// ```
/// use record::Number;
/// let exact = Number::exact(11.0).unit("bits");
/// let estimate = Number::estimate(15.65, [15.02, 16.31]).n(90);
/// assert_eq!((exact.ci(), estimate.ci()), (None, Some([15.02, 16.31])));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "One number, with its interval where it is an estimate.")]
pub struct Number {
    /// The value.
    pub value: f64,
    /// Lower end of the 95 % interval, for an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_low: Option<f64>,
    /// Upper end of the 95 % interval, for an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_high: Option<f64>,
    /// How many observations or seeds the interval ranges over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// The unit, where the number has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How far the number may lie from the reference on another CPU class or device, in its own unit;
    /// none: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift_tol: Option<f64>,
}

impl Number {
    /// A number without an interval.
    pub fn exact(value: f64) -> Self {
        Self { value, ci_low: None, ci_high: None, n: None, unit: None, drift_tol: None }
    }

    /// An estimate with its 95 % interval.
    pub fn estimate(value: f64, ci: [f64; 2]) -> Self {
        Self { ci_low: Some(ci[0]), ci_high: Some(ci[1]), ..Self::exact(value) }
    }

    /// States how many observations or seeds stand behind the number.
    #[must_use]
    pub fn n(mut self, n: u64) -> Self {
        self.n = Some(n);
        self
    }

    /// States the unit.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = Some(unit.to_owned());
        self
    }

    /// Allows the number to lie this far from the reference on another CPU class or device.
    #[must_use]
    pub fn drift_tol(mut self, tolerance: f64) -> Self {
        self.drift_tol = Some(tolerance);
        self
    }

    /// The 95 % interval, if there is one.
    pub fn ci(&self) -> Option<[f64; 2]> {
        Some([self.ci_low?, self.ci_high?])
    }

    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        finite(name, [Some(self.value), self.ci_low, self.ci_high, self.drift_tol])
    }
}

pub(crate) fn finite<const N: usize>(name: &str, values: [Option<f64>; N]) -> Result<(), Error> {
    match values.into_iter().flatten().find(|value| !value.is_finite()) {
        Some(value) => Err(Error::NotFinite { name: name.to_owned(), value }),
        None => Ok(()),
    }
}
