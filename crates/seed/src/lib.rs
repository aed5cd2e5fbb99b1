//! The portable random generator and its named sub-streams by (seed, id, purpose).
//!
//! Every random number of the project comes from a [`Rng`] that was derived from a [`Seed`], the id
//! of an experiment and the purpose of the numbers. Two purposes never share a stream, so adding a
//! draw to one leaves the others as they were.
//!
//! The stream is `ChaCha` with eight rounds under the key
//! `sha256(seed ‖ len(id) ‖ id ‖ len(purpose) ‖ purpose)`, every integer as eight little-endian
//! bytes. Floating-point draws use only IEEE operations and the `libm` crate, so that a stream has
//! the same bits on every platform.

mod rng;

pub use rng::Rng;

use sha2::{Digest, Sha256};

/// The base seed of a run.
///
/// # Examples
///
/// ```
/// use seed::Seed;
///
/// let mut first = Seed::new(7).stream("a01_circle_intersection", "addresses");
/// let mut again = Seed::new(7).stream("a01_circle_intersection", "addresses");
/// let mut other = Seed::new(7).stream("a01_circle_intersection", "queries");
/// let value = first.next_u64();
/// assert_eq!(value, again.next_u64());
/// assert_ne!(value, other.next_u64());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The base seed with this value.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value that the seed was made from, for the record of a run.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The sub-stream of this seed for one experiment `id` and one `purpose`.
    ///
    /// Lengths are part of the key, so ("ab", "c") and ("a", "bc") are different streams.
    #[must_use]
    pub fn stream(self, id: &str, purpose: &str) -> Rng {
        let mut hash = Sha256::new();
        hash.update(self.0.to_le_bytes());
        for part in [id, purpose] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        Rng::from_key(hash.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_part_of_the_key() {
        let mut a = Seed::new(0).stream("ab", "c");
        let mut b = Seed::new(0).stream("a", "bc");
        assert_ne!(a.next_u64(), b.next_u64());
    }

    #[test]
    fn seed_id_and_purpose_each_change_the_stream() {
        let draw = |seed, id, purpose| Seed::new(seed).stream(id, purpose).next_u64();
        let base = draw(1, "id", "purpose");
        assert_ne!(base, draw(2, "id", "purpose"));
        assert_ne!(base, draw(1, "jd", "purpose"));
        assert_ne!(base, draw(1, "id", "qurpose"));
    }
}
