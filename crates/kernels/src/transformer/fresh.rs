//! Vectors that are written once, without zeros in them first.

use std::mem::MaybeUninit;

/// n numbers as `write` leaves them.
///
/// # Safety
/// `write` writes every number.
pub(crate) unsafe fn written(n: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(n);
    write(&mut numbers.spare_capacity_mut()[..n]);
    // SAFETY: there is room for n numbers, and the caller says that all of them are written.
    unsafe { numbers.set_len(n) };
    numbers
}
