//! Which Hamming radius is best for a memory: for the signal-to-noise ratio, for capacity, for the
//! critical distance.
//!
//! Throughout, n is the number of bits of an address, r the expected number of neurons (2ⁿ if every
//! address has one), m the number of stored patterns, d the radius and p the fraction of the space
//! within it. [`geometry::HammingSpace::radius_at_fraction`] turns an optimal p into d*.

mod capacity;
mod critical_distance;
mod noise;
mod one_read;
mod radii;
mod signal;

pub use capacity::{
    best_capacity, bit_z_score, capacity, capacity_against, capacity_approximation,
    capacity_optimal_fraction,
};
pub use critical_distance::{critical_distance, published_critical_distance, step_distances};
pub use noise::{NoiseModel, signal_to_noise_against, step_distances_against};
pub use one_read::OneRead;
pub use radii::{OptimalRadii, ln_expected_neurons, optimal_radii};
pub(crate) use signal::check_neurons;
pub use signal::{
    peak_signal_to_noise, probability_of_a_neuron, signal_to_noise, snr_optimal_fraction,
};
