//! Bootstrap intervals, regressions and summaries over plain numbers.
//!
//! Sums are compensated, so that results do not depend on the size of the numbers or, in any digit
//! that matters, on their order. Random draws come from a [`seed::Rng`] that the caller passes.
#![cfg_attr(test, allow(clippy::float_cmp, reason = "tests compare exact values"))]

mod auroc;
mod bootstrap;
mod crossing;
mod error;
mod histogram;
mod normal;
mod poisson;
mod regression;
mod summary;

pub use auroc::auroc;
pub use bootstrap::{Interval, bootstrap_ci, bootstrap_ci_of_places, bootstrap_mean};
pub use crossing::last_fall;
pub use error::StatsError;
pub use histogram::{Histogram, histogram};
pub use normal::{normal_cdf, normal_quantile};
pub use poisson::{poisson_interval, poisson_quantile};
pub use regression::{LinearRegression, linear_regression};
pub use summary::{mean, quantile, std, sum, variance};
