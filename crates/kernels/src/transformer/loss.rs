//! The loss of next tokens.

use rayon::prelude::*;

use super::lanes::{largest, sum};
use crate::{KernelError, exp};

/// Rows of one task.
const TASK_ROWS: usize = 16;

/// The mean cross-entropy of rows with a target, in nats; logits become the gradient by them.
///
/// Rows without a target count for nothing and get a gradient of 0.
///
/// # Shapes
/// `logits` `[row, token]`, a target for each row.
///
/// # Determinism
/// The same bits for any number of threads.
///
/// # Errors
/// [`KernelError::Size`] unless there is a target for each row, or for a target beyond the tokens.
///
/// # Examples
/// ```
/// let mut logits = [0.0, 0.0, 5.0, 5.0];
/// let loss = kernels::transformer::cross_entropy(&mut logits, 2, &[Some(1), None])?;
/// assert!((loss - 2.0_f64.ln()).abs() < 1e-6);
/// assert_eq!(logits, [0.5, -0.5, 0.0, 0.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn cross_entropy(
    logits: &mut [f32],
    n_tokens: usize,
    targets: &[Option<u32>],
) -> Result<f64, KernelError> {
    KernelError::check(
        "numbers of rows with a target each",
        targets.len() * n_tokens,
        logits.len(),
    )?;
    if let Some(bad) = targets.iter().flatten().find(|target| **target as usize >= n_tokens) {
        return Err(KernelError::Size {
            what: "tokens",
            expected: *bad as usize + 1,
            got: n_tokens,
        });
    }
    let n_targets = targets.iter().flatten().count().max(1);
    let share = 1.0 / n_targets as f32;
    let width = n_tokens.max(1);
    let tasks = logits.par_chunks_mut(TASK_ROWS * width).zip(targets.par_chunks(TASK_ROWS));
    let losses = tasks.map(|(logits, targets)| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = logits.chunks_exact_mut(width).zip(targets);
                rows.map(|(row, target)| match target {
                    Some(target) => of_row(row, *target as usize, share),
                    None => {
                        row.fill(0.0);
                        0.0
                    }
                })
                .sum::<f64>()
            },
        )
    });
    let losses: Vec<f64> = losses.collect();
    Ok(losses.iter().sum::<f64>() / n_targets as f64)
}

#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn of_row(row: &mut [f32], target: usize, share: f32) -> f64 {
    let top = largest(row);
    let own = f64::from(row[target] - top);
    for logit in row.iter_mut() {
        *logit = exp(*logit - top);
    }
    let total = sum(row, |p| p);
    let scale = share / total;
    for p in row.iter_mut() {
        *p *= scale;
    }
    row[target] -= share;
    libm::log(f64::from(total)) - own
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    #[test]
    fn the_loss_and_its_gradient() {
        let (logits, n_tokens) = (random(40 * 53, "logits"), 53);
        let targets: Vec<Option<u32>> =
            (0..40).map(|row| (row % 5 != 0).then_some(row * 7 % 53)).collect();
        let plain = |logits: &[f32]| {
            let mut total = 0.0;
            for (row, target) in logits.chunks(n_tokens).zip(&targets) {
                let Some(target) = target else { continue };
                let sum: f64 = row.iter().map(|x| libm::exp(f64::from(*x))).sum();
                total += libm::log(sum) - f64::from(row[*target as usize]);
            }
            total / 32.0
        };
        let mut gradient = logits.clone();
        let loss = cross_entropy(&mut gradient, n_tokens, &targets).unwrap();
        assert!((loss - plain(&logits)).abs() < 1e-6);
        differences(&logits, &gradient, plain);
    }

    #[test]
    fn large_logits_do_not_overflow_and_bad_targets_are_errors() {
        let mut logits = [1e4, -1e4];
        assert!(cross_entropy(&mut logits, 2, &[Some(0)]).unwrap().abs() < 1e-6);
        assert!(cross_entropy(&mut [0.0; 4], 2, &[Some(0)]).is_err());
        assert!(cross_entropy(&mut [0.0; 2], 2, &[Some(2)]).is_err());
        assert_eq!(cross_entropy(&mut [], 2, &[]).unwrap(), 0.0);
    }
}
