//! Scores of what happens when latents are switched off or exchanged, from accuracies that were measured elsewhere.
//!
//! An audit (arXiv 2605.18229) finds [`targeted_perturbation`] and [`spurious_removal`] unreliable: the one falls as training goes
//! on, the other runs against the truth where many latents are switched off. They are to be reported beside other
//! metrics, and never used to rank dictionaries.

use kernels::KernelError;

use crate::error::{Result, finite_list, some, within};

/// Targeted probe perturbation (TPP): latents of one class switched off should hurt the probe of that class alone,
///
/// mean over classes i of (Aᵢ − Aᵢᵢ) − mean over j ≠ i of (Aⱼ − Aᵢⱼ),
///
/// with Aⱼ the accuracy of the probe of class j, and Aᵢⱼ the same with the latents of class i switched off. Reported, not used
/// for ranking.
///
/// # Shapes
/// `clean` `[class]`, `ablated` `[class switched off][class of the probe]`.
///
/// # Units and range
/// [−2, 2] for accuracies in [0, 1]; 0 where nothing is hurt, or all alike.
///
/// # Errors
/// [`InterpError::Range`](crate::InterpError::Range) for fewer than two classes or an accuracy outside of [0, 1],
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::NotFinite`](crate::InterpError::NotFinite).
///
/// # Source
/// `SAEBench` TPP.
///
/// # Examples
///
/// ```
/// let ablated = [vec![0.5, 0.9], vec![0.8, 0.6]];
/// let score = interp::targeted_perturbation(&[0.9, 0.9], &ablated)?;
/// // (0.4 − 0) and (0.3 − 0.1).
/// assert!((score - 0.3).abs() < 1e-12);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn targeted_perturbation(clean: &[f64], ablated: &[Vec<f64>]) -> Result<f64> {
    let n = clean.len();
    within("classes", n as f64, n >= 2, "[2, ∞)")?;
    KernelError::check("classes switched off", n, ablated.len())?;
    accuracies(clean)?;
    let mut sum = 0.0;
    for (class, after) in ablated.iter().enumerate() {
        KernelError::check("classes of the probes", n, after.len())?;
        accuracies(after)?;
        let drops: Vec<f64> =
            clean.iter().zip(after).map(|(before, after)| before - after).collect();
        let others = drops.iter().enumerate().filter(|(other, _)| *other != class);
        sum += drops[class] - others.map(|(_, drop)| drop).sum::<f64>() / (n - 1) as f64;
    }
    Ok(sum / n as f64)
}

/// Spurious correlation removal (SCR): how much of the accuracy that a spurious cue cost comes back when its latents are
/// switched off, (A after − A biased) / (A clean − A biased). 0 if the cue cost less than 0.001. Reported, not used for
/// ranking.
///
/// # Errors
/// [`InterpError::Range`](crate::InterpError::Range) for an accuracy outside of [0, 1].
///
/// # Source
/// `SAEBench` SCR.
///
/// # Examples
///
/// ```
/// assert_eq!(interp::spurious_removal(0.5, 0.75, 1.0)?, 0.5);
/// assert_eq!(interp::spurious_removal(0.9, 0.75, 0.9)?, 0.0);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn spurious_removal(biased: f64, after: f64, clean: f64) -> Result<f64> {
    accuracies(&[biased, after, clean])?;
    let cost = clean - biased;
    Ok(if cost < 1e-3 { 0.0 } else { (after - biased) / cost })
}

/// Disentanglement of attributes (RAVEL): (cause + isolation)/2, with cause the share of exchanges that change the attribute
/// aimed at, and isolation the share that leave the others as they were, meaned over these.
///
/// # Errors
/// [`InterpError::Empty`](crate::InterpError::Empty) without other attributes,
/// [`InterpError::Range`](crate::InterpError::Range) for a share outside of [0, 1].
///
/// # Source
/// RAVEL as in `SAEBench`.
///
/// # Examples
///
/// ```
/// assert_eq!(interp::disentanglement(0.5, &[1.0, 0.5])?, 0.625);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn disentanglement(cause: f64, isolation: &[f64]) -> Result<f64> {
    some("attributes that should stay", isolation.len())?;
    accuracies(&[cause])?;
    accuracies(isolation)?;
    let isolation = isolation.iter().sum::<f64>() / isolation.len() as f64;
    Ok(f64::midpoint(cause, isolation))
}

/// The latents to be clamped so that a model unlearns: of those that are active in at most `most_retained` of the rows to
/// be retained, the `n` that are active most often in the rows to be forgotten, and in some; of equal ones the first.
///
/// # Shapes
/// `forget`, `retain` `[latent]`, densities of [`Fidelity::densities`](crate::Fidelity::densities).
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes), [`InterpError::Range`](crate::InterpError::Range) for a share outside of
/// [0, 1].
///
/// # Source
/// Unlearning of `SAEBench`: 0.001 or 0.01 of rows retained, 10 or 20 latents.
///
/// # Examples
///
/// ```
/// let found = interp::unlearning_latents(&[0.9, 0.2, 0.5, 0.0], &[0.5, 0.0, 0.001, 0.0], 0.01, 3)?;
/// assert_eq!(found, [2, 1]);
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn unlearning_latents(
    forget: &[f64],
    retain: &[f64],
    most_retained: f64,
    n: usize,
) -> Result<Vec<u32>> {
    KernelError::check("densities of latents", forget.len(), retain.len())?;
    accuracies(forget)?;
    accuracies(retain)?;
    accuracies(&[most_retained])?;
    let mut latents: Vec<(f64, u32)> = (0..)
        .zip(forget.iter().zip(retain))
        .filter(|(_, (forget, retain))| **retain <= most_retained && **forget > 0.0)
        .map(|(latent, (forget, _))| (*forget, latent))
        .collect();
    latents.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    Ok(latents.into_iter().take(n).map(|(_, latent)| latent).collect())
}

/// Refuses what is no share.
fn accuracies(shares: &[f64]) -> Result<()> {
    finite_list("accuracies", shares)?;
    let wrong = shares.iter().find(|share| !(0.0..=1.0).contains(*share));
    wrong.map_or(Ok(()), |share| within("an accuracy", *share, false, "[0, 1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hurts_all_alike_is_not_targeted() {
        let clean = [0.9, 0.8, 0.7];
        let alike = vec![vec![0.7, 0.6, 0.5]; 3];
        assert!(targeted_perturbation(&clean, &alike).unwrap().abs() < 1e-12);
        // Each class alone falls to chance: drops of 0.4, 0.3 and 0.2.
        let alone: Vec<Vec<f64>> = (0..3)
            .map(|off| (0..3).map(|class| if off == class { 0.5 } else { clean[class] }).collect())
            .collect();
        assert!((targeted_perturbation(&clean, &alone).unwrap() - 0.3).abs() < 1e-12);
    }

    #[test]
    fn what_makes_a_bias_worse_is_below_zero() {
        assert_eq!(spurious_removal(0.5, 0.25, 1.0).unwrap(), -0.5);
        assert_eq!(spurious_removal(0.5, 1.0, 1.0).unwrap(), 1.0);
    }

    #[test]
    fn what_is_no_accuracy_is_refused() {
        assert!(targeted_perturbation(&[0.9], &[vec![0.5]]).is_err());
        assert!(targeted_perturbation(&[0.9, 0.9], &[vec![0.5, 0.5]]).is_err());
        assert!(targeted_perturbation(&[0.9, 1.1], &[vec![0.5; 2], vec![0.5; 2]]).is_err());
        assert!(spurious_removal(f64::NAN, 0.5, 0.5).is_err());
        assert!(disentanglement(0.5, &[]).is_err() && disentanglement(1.5, &[0.5]).is_err());
        assert!(unlearning_latents(&[0.5], &[0.5, 0.5], 0.1, 1).is_err());
    }
}
