//! Rotary positions.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::TASK_ROWS;
use super::fresh::written;
use crate::KernelError;

/// Cosines and sines of the angles by which heads are rotated, `[token, d_head/2]` each.
#[derive(Clone, Debug, PartialEq)]
pub struct Angles {
    n_tokens: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl Angles {
    /// Angles of the tokens of a sequence.
    ///
    /// # Errors
    /// [`KernelError::Size`] unless there are as many sines as cosines, the same number for each token.
    pub fn new(n_tokens: usize, cos: Vec<f32>, sin: Vec<f32>) -> Result<Self, KernelError> {
        KernelError::check("sines of angles", cos.len(), sin.len())?;
        KernelError::check("cosines left of a token", 0, cos.len() % n_tokens.max(1))?;
        Ok(Self { n_tokens, cos, sin })
    }

    /// Tokens of a sequence.
    pub const fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Numbers of half a head.
    pub fn half(&self) -> usize {
        self.cos.len() / self.n_tokens.max(1)
    }

    /// Their cosines, `[token, d_head/2]`.
    pub fn cos(&self) -> &[f32] {
        &self.cos
    }

    /// Their sines, `[token, d_head/2]`.
    pub fn sin(&self) -> &[f32] {
        &self.sin
    }

    /// The same angles the other way round: what undoes the rotation, and the rotation of its gradient.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self { sin: self.sin.iter().map(|sin| -sin).collect(), ..self.clone() }
    }
}

/// (a, b) → (a·cos − b·sin, b·cos + a·sin) with a, b the halves of each head.
///
/// # Shapes
/// `x` `[sequence · token, head · number]`, `width` numbers a token; the result as `x`.
///
/// # Determinism
/// The same bits for any number of threads and on every platform.
///
/// # Panics
/// If `x` is not whole sequences of whole heads.
///
/// # Examples
/// A quarter of a turn:
/// ```
/// use kernels::transformer::{Angles, rotate};
///
/// let angles = Angles::new(1, vec![0.0], vec![1.0])?;
/// assert_eq!(rotate(&[2.0, 3.0], 2, &angles), [-3.0, 2.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn rotate(x: &[f32], width: usize, angles: &Angles) -> Vec<f32> {
    let (n_tokens, half) = (angles.n_tokens, angles.half());
    assert!(
        x.len().is_multiple_of((n_tokens * width).max(1))
            && width.is_multiple_of((2 * half).max(1)),
        "whole sequences of whole heads"
    );
    if x.is_empty() || half == 0 {
        return x.to_vec();
    }
    let task = TASK_ROWS * width;
    let write = |y: &mut [MaybeUninit<f32>]| {
        let tasks = y.par_chunks_mut(task).zip(x.par_chunks(task)).enumerate();
        tasks.for_each(|(task, (y, x))| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
                    for (row, (y, x)) in rows.enumerate() {
                        let token = (task * TASK_ROWS + row) % n_tokens * half;
                        let (cos, sin) =
                            (&angles.cos[token..][..half], &angles.sin[token..][..half]);
                        let heads = y.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half));
                        for (y, x) in heads {
                            let ((a, b), (ya, yb)) = (x.split_at(half), y.split_at_mut(half));
                            let inputs = a.iter().zip(b).zip(cos.iter().zip(sin));
                            for ((ya, yb), ((a, b), (cos, sin))) in
                                ya.iter_mut().zip(yb).zip(inputs)
                            {
                                ya.write(a * cos - b * sin);
                                yb.write(b * cos + a * sin);
                            }
                        }
                    }
                },
            );
        });
    };
    // SAFETY: x and y hold the same whole rows, rows whole heads, and both halves of each are written.
    unsafe { written(x.len(), write) }
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    fn angles(n_tokens: usize, half: usize) -> Angles {
        let angles: Vec<f64> =
            random(n_tokens * half, "angles").iter().map(|x| f64::from(*x)).collect();
        #[expect(clippy::cast_possible_truncation, reason = "32 bits are enough for a test")]
        let of = |f: fn(f64) -> f64| angles.iter().map(|x| f(*x) as f32).collect();
        Angles::new(n_tokens, of(libm::cos), of(libm::sin)).unwrap()
    }

    #[test]
    fn each_head_of_each_token_by_its_angles() {
        let (n_tokens, half, n_heads) = (75, 3, 2);
        let (width, angles) = (2 * half * n_heads, angles(n_tokens, half));
        let x = random(2 * n_tokens * width, "x");
        let y = rotate(&x, width, &angles);
        for at in 0..x.len() {
            let (token, place) = (at / width % n_tokens, at % (2 * half));
            let angle = token * half + place % half;
            let (cos, sin) = (angles.cos()[angle], angles.sin()[angle]);
            let other = if place < half { -x[at + half] } else { x[at - half] };
            assert!((y[at] - (x[at] * cos + other * sin)).abs() < 1e-6);
        }
        let back = rotate(&y, width, &angles.reversed());
        assert!(back.iter().zip(&x).all(|(back, x)| (back - x).abs() < 1e-5));
    }

    #[test]
    fn sizes_are_checked() {
        assert!(Angles::new(2, vec![0.0; 4], vec![0.0; 3]).is_err());
        assert!(Angles::new(2, vec![0.0; 3], vec![0.0; 3]).is_err());
        assert_eq!(rotate(&[], 2, &angles(3, 1)), [0.0; 0]);
    }
}
