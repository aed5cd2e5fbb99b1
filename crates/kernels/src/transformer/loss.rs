//! The loss of next tokens.

use rayon::prelude::*;

use super::lanes::{largest, sum};
use crate::{KernelError, exp};

/// Rows of one task.
const TASK_ROWS: usize = 16;

/// The cross-entropy of each row with its target, in nats: −ln of the softmax of the logits at the target.
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
/// let losses = kernels::transformer::cross_entropies(&[0.0, 0.0, 9.0, 9.0], 2, &[1, 0])?;
/// assert!(losses.iter().all(|loss| (loss - 2.0_f64.ln()).abs() < 1e-6));
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn cross_entropies(
    logits: &[f32],
    n_tokens: usize,
    targets: &[u32],
) -> Result<Vec<f64>, KernelError> {
    check(logits, n_tokens, targets)?;
    let width = n_tokens.max(1);
    let tasks = logits.par_chunks(TASK_ROWS * width).zip(targets.par_chunks(TASK_ROWS));
    let losses = tasks.map(|(logits, targets)| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let of_row = |(row, target): (&[f32], &u32)| {
                    let top = largest(row);
                    let total = sum(row, |logit| exp(logit - top));
                    libm::log(f64::from(total)) - f64::from(row[*target as usize] - top)
                };
                logits.chunks_exact(width).zip(targets).map(of_row).collect::<Vec<f64>>()
            },
        )
    });
    Ok(losses.collect::<Vec<_>>().concat())
}

/// The mean cross-entropy of rows, weighted, in nats; logits become the gradient by them.
///
/// L = Σ wᵢ·lᵢ / Σ wᵢ with lᵢ as in [`cross_entropies`], and ∂L/∂logits = wᵢ/Σw · (softmax − one-hot). If all
/// weights are 0, so are the loss and the gradient. A row of weight 0 has a gradient of 0, whatever its logits are.
///
/// # Shapes
/// `logits` `[row, token]`, a target and a weight for each row.
///
/// # Determinism
/// The same bits for any number of threads.
///
/// # Errors
/// [`KernelError::Size`] unless there is a target and a weight for each row, or for a target beyond the tokens.
///
/// # Examples
/// ```
/// let mut logits = [0.0, 0.0, 5.0, 5.0];
/// let loss = kernels::transformer::cross_entropy(&mut logits, 2, &[1, 0], &[1.0, 0.0])?;
/// assert!((loss - 2.0_f64.ln()).abs() < 1e-6);
/// assert_eq!(logits, [0.5, -0.5, 0.0, 0.0]);
/// # Ok::<(), kernels::KernelError>(())
/// ```
pub fn cross_entropy(
    logits: &mut [f32],
    n_tokens: usize,
    targets: &[u32],
    weights: &[f32],
) -> Result<f64, KernelError> {
    check(logits, n_tokens, targets)?;
    KernelError::check("weights of rows", targets.len(), weights.len())?;
    let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
    if total == 0.0 {
        logits.fill(0.0);
        return Ok(0.0);
    }
    let width = n_tokens.max(1);
    let tasks = logits.par_chunks_mut(TASK_ROWS * width);
    let tasks = tasks.zip(targets.par_chunks(TASK_ROWS).zip(weights.par_chunks(TASK_ROWS)));
    let losses = tasks.map(|(logits, (targets, weights))| {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let rows = logits.chunks_exact_mut(width).zip(targets.iter().zip(weights));
                rows.map(|(row, (target, weight))| of_row(row, *target as usize, *weight, total))
                    .sum::<f64>()
            },
        )
    });
    let losses: Vec<f64> = losses.collect();
    Ok(losses.iter().sum::<f64>() / total)
}

/// Σ wᵢ·lᵢ / Σ wᵢ in order, whatever the losses of weight 0 are; 0 if all weights are 0.
///
/// # Examples
/// ```
/// use kernels::transformer::weighted_mean;
///
/// assert_eq!(weighted_mean(&[2.0, f64::NAN, 4.0], &[3.0, 0.0, 1.0]), 2.5);
/// assert_eq!(weighted_mean(&[2.0], &[0.0]), 0.0);
/// ```
pub fn weighted_mean(losses: &[f64], weights: &[f32]) -> f64 {
    let terms = losses.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
    let (sum, total) = terms.fold((0.0, 0.0), |(sum, total), (loss, weight)| {
        let weight = f64::from(*weight);
        (sum + loss * weight, total + weight)
    });
    if total == 0.0 { 0.0 } else { sum / total }
}

fn check(logits: &[f32], n_tokens: usize, targets: &[u32]) -> Result<(), KernelError> {
    let what = "numbers of rows with a target each";
    KernelError::check(what, targets.len() * n_tokens, logits.len())?;
    match targets.iter().find(|target| **target as usize >= n_tokens) {
        Some(bad) => {
            Err(KernelError::Size { what: "tokens", expected: *bad as usize + 1, got: n_tokens })
        }
        None => Ok(()),
    }
}

/// The weighted loss of a row, which becomes its gradient.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn of_row(row: &mut [f32], target: usize, weight: f32, all_weights: f64) -> f64 {
    if weight == 0.0 {
        row.fill(0.0);
        return 0.0;
    }
    let top = largest(row);
    let own = f64::from(row[target] - top);
    for logit in row.iter_mut() {
        *logit = exp(*logit - top);
    }
    let total = sum(row, |p| p);
    #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
    let share = (f64::from(weight) / all_weights) as f32;
    let scale = share / total;
    for p in row.iter_mut() {
        *p *= scale;
    }
    row[target] -= share;
    f64::from(weight) * (libm::log(f64::from(total)) - own)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    #[test]
    fn the_loss_and_its_gradient() {
        let (logits, n_tokens) = (random(40 * 53, "logits"), 53);
        let targets: Vec<u32> = (0..40).map(|row| row * 7 % 53).collect();
        let weights: Vec<f32> = (0..40_u16).map(|row| f32::from(row % 5) / 4.0).collect();
        let losses = |logits: &[f32]| -> Vec<f64> {
            let of_row = |(logits, target): (&[f32], &u32)| {
                let sum: f64 = logits.iter().map(|x| libm::exp(f64::from(*x))).sum();
                libm::log(sum) - f64::from(logits[*target as usize])
            };
            logits.chunks(n_tokens).zip(&targets).map(of_row).collect()
        };
        let found = cross_entropies(&logits, n_tokens, &targets).unwrap();
        for (found, plain) in found.iter().zip(losses(&logits)) {
            assert!((found - plain).abs() < 1e-6);
        }
        let plain = |logits: &[f32]| -> f64 {
            let terms = losses(logits);
            let terms = terms.iter().zip(&weights).map(|(loss, w)| loss * f64::from(*w));
            terms.sum::<f64>() / 20.0
        };
        let mut gradient = logits.clone();
        let loss = cross_entropy(&mut gradient, n_tokens, &targets, &weights).unwrap();
        assert!((loss - plain(&logits)).abs() < 1e-6);
        differences(&logits, &gradient, plain);
    }

    #[test]
    fn large_logits_do_not_overflow_and_bad_targets_are_errors() {
        let mut logits = [1e4, -1e4];
        assert!(cross_entropy(&mut logits, 2, &[0], &[1.0]).unwrap().abs() < 1e-6);
        assert!(cross_entropy(&mut [0.0; 4], 2, &[0], &[1.0]).is_err());
        assert!(cross_entropy(&mut [0.0; 2], 2, &[2], &[1.0]).is_err());
        assert!(cross_entropy(&mut [0.0; 2], 2, &[1], &[]).is_err());
        assert!(cross_entropies(&[0.0; 2], 2, &[2]).is_err());
        assert_eq!(cross_entropy(&mut [], 2, &[], &[]).unwrap(), 0.0);
    }

    #[test]
    fn rows_of_no_weight_count_for_nothing() {
        let mut logits = [f32::NAN, 1.0, 0.0, 0.0];
        let loss = cross_entropy(&mut logits, 2, &[0, 0], &[0.0, 3.0]).unwrap();
        assert!((loss - libm::log(2.0)).abs() < 1e-6);
        assert_eq!(logits, [0.0, 0.0, -0.5, 0.5]);
        assert_eq!(cross_entropy(&mut [5.0, 1.0], 2, &[0], &[0.0]).unwrap(), 0.0);
    }
}
