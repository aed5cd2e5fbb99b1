//! What labels can do: a probe for each concept.

use kernels::Matrix;
use kernels::dictionary::Codes;
use rayon::prelude::*;
use seed::{Rng, Seed};

use crate::error::{Result, narrowed, within};
use crate::labels::ConceptSets;
use crate::logistic::Logistic;

/// How probes of a skyline are fitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SkylineConfig {
    /// Concepts with fewer rows, or missing in fewer, have no probe.
    pub at_least: u64,
    /// Rows with the concept that a probe is fitted to at most.
    pub n_positive: usize,
    /// The same of rows without it.
    pub n_negative: usize,
    /// The penalty of [`Logistic::fit`].
    pub l2: f64,
}

/// A logistic probe for each concept, as if it were a dictionary that was trained with labels: latent i is concept i.
/// What recovers concepts without labels is compared with it.
///
/// # Examples
///
/// Two columns are two concepts:
///
/// ```
/// use interp::{ConceptSets, Skyline, SkylineConfig};
/// use kernels::Matrix;
/// use seed::Seed;
///
/// let x = Matrix::from_rows(4, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0])?;
/// let concepts = ConceptSets::from_rows(2, &[vec![0], vec![1], vec![], vec![0, 1]])?;
/// let config = SkylineConfig { at_least: 2, n_positive: 9, n_negative: 9, l2: 1e-3 };
/// let skyline = Skyline::fit(&x, &concepts, &config, Seed::new(0))?;
/// let codes = skyline.codes(&x, 0.5)?;
/// assert_eq!([codes.row(0).0, codes.row(2).0, codes.row(3).0], [&[0][..], &[], &[0, 1]]);
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Skyline {
    probes: Vec<Option<Logistic>>,
}

impl Skyline {
    /// Fits a probe for each concept with enough rows.
    ///
    /// # Shapes
    /// `x` `[row, d]`, `concepts` of as many rows.
    ///
    /// # Randomness
    /// Which rows a probe is fitted to, where there are more: a stream of `seed` for each concept.
    ///
    /// # Errors
    /// As [`Logistic::fit`].
    pub fn fit(
        x: &Matrix,
        concepts: &ConceptSets,
        config: &SkylineConfig,
        seed: Seed,
    ) -> Result<Self> {
        kernels::KernelError::check("rows with labels", x.n_rows(), concepts.n_rows())?;
        let probes = (0..concepts.n_concepts()).into_par_iter().map(|concept| {
            let concept = u32::try_from(concept).unwrap_or(u32::MAX);
            let is_there = concepts.rows_with(concept);
            let rows = |with: bool| -> Vec<usize> {
                (0..is_there.len()).filter(|row| is_there[*row] == with).collect()
            };
            let [mut with, mut without] = [true, false].map(rows);
            let least = with.len().min(without.len()) as u64;
            if least < config.at_least.max(1) {
                return Ok(None);
            }
            let mut rng = seed.stream("interp: skyline", &concept.to_string());
            some_of(&mut with, config.n_positive, &mut rng);
            some_of(&mut without, config.n_negative, &mut rng);
            let labels: Vec<bool> =
                with.iter().map(|_| true).chain(without.iter().map(|_| false)).collect();
            with.extend(without);
            Logistic::fit(&x.select(&with), &labels, config.l2).map(Some)
        });
        Ok(Self { probes: probes.collect::<Result<_>>()? })
    }

    /// The probabilities of concepts, those of at least `least`. They are as fitted: of the rows that a probe saw, not of all
    /// rows, so thresholds have to be chosen on others, as [`ConceptScores`](crate::ConceptScores) does.
    ///
    /// # Errors
    /// As [`Logistic::logits`], and [`InterpError::Range`](crate::InterpError::Range) unless 0 < least ≤ 1.
    pub fn codes(&self, x: &Matrix, least: f64) -> Result<Codes> {
        within("the least probability", least, least > 0.0 && least <= 1.0, "(0, 1]")?;
        let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new(); x.n_rows()];
        for (concept, probe) in (0..).zip(&self.probes) {
            let Some(probe) = probe else { continue };
            for (row, logit) in rows.iter_mut().zip(probe.logits(x)?) {
                let probability = 1.0 / (1.0 + libm::exp(-logit));
                if probability >= least {
                    row.push((concept, narrowed(probability)));
                }
            }
        }
        Ok(Codes::from_rows(self.probes.len(), &rows)?)
    }
}

/// Leaves so many at random.
fn some_of(rows: &mut Vec<usize>, n: usize, rng: &mut Rng) {
    if rows.len() > n {
        rng.shuffle(rows);
        rows.truncate(n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concepts_of_few_rows_have_no_probe() {
        let x = Matrix::from_rows(3, 1, vec![0.0, 1.0, 2.0]).unwrap();
        let concepts = ConceptSets::from_rows(2, &[vec![0], vec![0, 1], vec![1]]).unwrap();
        let config = SkylineConfig { at_least: 2, n_positive: 1, n_negative: 1, l2: 0.1 };
        let few = Skyline::fit(&x, &concepts, &config, Seed::new(0)).unwrap();
        assert_eq!(few.probes, [None, None]);
        let config = SkylineConfig { at_least: 1, ..config };
        let all = Skyline::fit(&x, &concepts, &config, Seed::new(0)).unwrap();
        assert!(all.probes.iter().all(Option::is_some));
        assert!(all.codes(&x, 0.0).is_err());
    }
}
