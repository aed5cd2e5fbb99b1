//! How latents and concepts go together.

use kernels::KernelError;
use kernels::dictionary::{ByLatent, Codes};
use rayon::prelude::*;

use crate::confusion::Confusion;
use crate::error::{Result, active_values, small, some, within};
use crate::labels::ConceptSets;
use crate::moments::Spread;

/// Latents that one task scores. Fixed, so that memory stays bounded.
const TASK_LATENTS: usize = 32;

/// Codes of rows, and the concepts that the rows have.
#[derive(Clone, Copy, Debug)]
pub struct Labeled<'a> {
    /// What is active in each row.
    pub codes: &'a Codes,
    /// The concepts of each row.
    pub concepts: &'a ConceptSets,
}

impl Labeled<'_> {
    fn check(&self) -> Result<()> {
        some("rows with labels", self.codes.n_rows())?;
        KernelError::check("rows with labels", self.codes.n_rows(), self.concepts.n_rows())?;
        let most = self.codes.n_rows().max(self.codes.latents().len());
        let fits = u32::try_from(most).is_ok();
        within("the number of rows or of active latents", most as f64, fits, "[1, 2^32)")?;
        active_values(self.codes)
    }
}

/// How a latent and a concept go together that are found in the same row at least once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The latent.
    pub latent: u32,
    /// The concept.
    pub concept: u32,
    /// The value from which on the latent says that the concept is there: of the values on the validation rows the one
    /// of the best F1, the highest of equal ones. Infinite if the two never meet there.
    pub threshold: f32,
    /// That F1, on the validation rows.
    pub validation_f1: f64,
    /// Of `z >= threshold` against the concept, on the test rows.
    pub test: Confusion,
    /// On the test rows: the probability that z is larger in a row with the concept than in one without, ties counted
    /// as half, and rows where the latent is silent as 0.
    pub auroc: f64,
    /// On the test rows: the correlation of z with the concept's being there; `None` if z is the same in all rows.
    pub pearson: Option<f64>,
}

/// As [`Pair`], in fewer bytes.
#[derive(Clone, Copy, Debug)]
struct Packed {
    concept: u32,
    threshold: f32,
    both: u32,
    predicted: u32,
    validation_f1: f64,
    auroc: f64,
    pearson: f64,
}

/// The scores of all latents on all concepts.
///
/// Thresholds are chosen on one set of rows, all scores are of another; the best latent of a concept and the best concept
/// of a latent are chosen on the first too, so that their scores are not the largest of many.
///
/// Pairs that are never found in the same row are not kept: their F1 is 0, and their AUROC at most 1/2.
///
/// # Cost
/// Time goes as the pairs of active latent and concept, summed over rows; memory is 40 bytes for each pair kept.
///
/// # Determinism
/// Ranks and counts are integers, other sums in the order of values: the same bits for any number of threads.
///
/// # Examples
///
/// Latent 0 is the concept, but for one row where it is weak; latent 1 is always on:
///
/// ```
/// use interp::{ConceptScores, ConceptSets, Labeled};
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[
///     vec![(0, 2.0), (1, 1.0)],
///     vec![(0, 3.0), (1, 1.0)],
///     vec![(0, 0.5), (1, 1.0)],
///     vec![(1, 1.0)],
/// ])?;
/// let concepts = ConceptSets::from_rows(1, &[vec![0], vec![0], vec![], vec![]])?;
/// let rows = Labeled { codes: &codes, concepts: &concepts };
/// let scores = ConceptScores::new(rows, rows, 1)?;
/// let best = scores.best_latent(0).unwrap();
/// assert_eq!((best.latent, best.threshold, best.test.f1(), best.auroc), (0, 2.0, Some(1.0), 1.0));
/// let constant = scores.pair(1, 0).unwrap();
/// assert_eq!((constant.auroc, constant.pearson, constant.test.recall()), (0.5, None, Some(1.0)));
/// assert_eq!(scores.recovered(0.8)?.share(), Some(1.0));
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConceptScores {
    /// Where each latent begins among pairs; at last their number.
    starts: Vec<usize>,
    pairs: Vec<Packed>,
    /// Whether each concept can be scored, and test rows with it.
    is_scored: Vec<bool>,
    n_positive: Vec<u64>,
    n_test: u64,
    /// The place of the best pair of each concept.
    best: Vec<Option<(u32, usize)>>,
}

/// Which concepts have a latent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The recovered concepts, ascending, each with its latent.
    pub concepts: Vec<(u32, u32)>,
    /// Concepts that could be scored.
    pub n_scored: usize,
    /// Latents of recovered concepts, each counted once.
    pub n_latents: usize,
    /// Latents of one recovered concept alone.
    pub n_unique: usize,
}

impl Recovered {
    /// Recovered concepts as a share of those that could be scored; `None` if none could.
    pub fn share(&self) -> Option<f64> {
        crate::fidelity::ratio(self.concepts.len() as f64, self.n_scored as f64)
    }

    /// Latents of one recovered concept alone as a share of those of any; `None` if nothing is recovered.
    pub fn uniqueness(&self) -> Option<f64> {
        crate::fidelity::ratio(self.n_unique as f64, self.n_latents as f64)
    }
}

/// A split with what is the same for all latents.
struct Split<'a> {
    rows: Labeled<'a>,
    by_latent: ByLatent,
    n_positive: Vec<u64>,
}

impl<'a> Split<'a> {
    fn new(rows: Labeled<'a>) -> Self {
        let n_positive = rows.concepts.n_positive();
        Self { rows, by_latent: rows.codes.by_latent(), n_positive }
    }

    /// Values of a latent and their rows, from the largest value down.
    fn sorted(&self, latent: usize, into: &mut Vec<(f32, u32)>) {
        let values = self.rows.codes.values();
        into.clear();
        let places = self.by_latent.latent(latent).iter();
        into.extend(places.map(|(row, at)| (values[*at as usize], *row)));
        into.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    }

    fn concepts(&self, row: u32) -> &[u32] {
        self.rows.concepts.row(row as usize)
    }
}

/// What a latent has found of each concept; between latents all is as new.
#[derive(Clone, Copy)]
struct Tally {
    /// Validation: rows with both so far, and the best F1 with its threshold.
    both: u32,
    f1: f64,
    threshold: f32,
    /// Test: rows with both, those from the threshold on, twice the sum of their ranks, and the sum of values.
    test_both: u32,
    hits: u32,
    ranks: u64,
    sum: f64,
}

const NEW: Tally =
    Tally { both: 0, f1: 0.0, threshold: f32::INFINITY, test_both: 0, hits: 0, ranks: 0, sum: 0.0 };

impl ConceptScores {
    /// Scores of all latents on all concepts that have at least `at_least` rows, and are not in every row, of both splits.
    ///
    /// # Errors
    /// [`InterpError::Sizes`](crate::InterpError::Sizes) for splits of unlike dictionaries or registries, or labels of other
    /// rows; [`InterpError::Empty`](crate::InterpError::Empty) without rows; [`InterpError::Range`](crate::InterpError::Range)
    /// for a value of an active latent that is not positive, and for 2³² rows or active latents.
    pub fn new(validation: Labeled<'_>, test: Labeled<'_>, at_least: u64) -> Result<Self> {
        validation.check()?;
        test.check()?;
        let n_latents = test.codes.n_latents();
        let n_concepts = test.concepts.n_concepts();
        KernelError::check(
            "latents of the validation rows",
            n_latents,
            validation.codes.n_latents(),
        )?;
        KernelError::check(
            "concepts of the validation rows",
            n_concepts,
            validation.concepts.n_concepts(),
        )?;
        let (validation, test) = (Split::new(validation), Split::new(test));
        let n_test = test.rows.codes.n_rows() as u64;
        let n_validation = validation.rows.codes.n_rows() as u64;
        let is_scored: Vec<bool> = (0..n_concepts)
            .map(|concept| {
                [(&validation, n_validation), (&test, n_test)].iter().all(|(split, n)| {
                    let positive = split.n_positive[concept];
                    positive >= at_least.max(1) && positive < *n
                })
            })
            .collect();
        let tasks: Vec<usize> = (0..n_latents).step_by(TASK_LATENTS).collect();
        let found: Vec<Vec<Vec<Packed>>> = tasks
            .into_par_iter()
            .map(|first| {
                let mut tallies = vec![NEW; n_concepts];
                let mut sorted = Vec::new();
                (first..n_latents.min(first + TASK_LATENTS))
                    .map(|latent| {
                        score(latent, &validation, &test, &is_scored, &mut tallies, &mut sorted)
                    })
                    .collect()
            })
            .collect();
        let mut starts = Vec::with_capacity(n_latents + 1);
        let mut pairs = Vec::with_capacity(found.iter().flatten().map(Vec::len).sum());
        let mut best: Vec<Option<(u32, usize)>> = vec![None; n_concepts];
        for (latent, found) in (0..).zip(found.iter().flatten()) {
            starts.push(pairs.len());
            for pair in found {
                let best = &mut best[pair.concept as usize];
                let is_better = |(_, at): (u32, usize)| {
                    let before: &Packed = &pairs[at];
                    pair.validation_f1 > before.validation_f1
                };
                if pair.validation_f1 > 0.0 && best.is_none_or(is_better) {
                    *best = Some((latent, pairs.len()));
                }
                pairs.push(*pair);
            }
        }
        starts.push(pairs.len());
        Ok(Self { starts, pairs, is_scored, n_positive: test.n_positive, n_test, best })
    }

    /// Latents of the dictionary.
    pub fn n_latents(&self) -> usize {
        self.starts.len() - 1
    }

    /// Concepts of the registry.
    pub fn n_concepts(&self) -> usize {
        self.best.len()
    }

    /// Pairs kept.
    pub fn n_pairs(&self) -> usize {
        self.pairs.len()
    }

    /// Whether a concept has enough rows to be scored, and is missing in some.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn is_scored(&self, concept: u32) -> bool {
        self.is_scored[concept as usize]
    }

    /// The pairs of a latent, by ascending concept.
    ///
    /// # Panics
    /// If it does not exist.
    pub fn latent(&self, latent: u32) -> impl ExactSizeIterator<Item = Pair> {
        let place = self.starts[latent as usize]..self.starts[latent as usize + 1];
        self.pairs[place].iter().map(move |pair| self.unpacked(latent, pair))
    }

    /// A pair; `None` if the two are never found in the same row, or the concept is not scored.
    ///
    /// # Panics
    /// If the latent does not exist.
    pub fn pair(&self, latent: u32, concept: u32) -> Option<Pair> {
        let pairs = &self.pairs[self.starts[latent as usize]..self.starts[latent as usize + 1]];
        let at = pairs.binary_search_by_key(&concept, |pair| pair.concept).ok()?;
        Some(self.unpacked(latent, &pairs[at]))
    }

    /// The latent of the best F1 on the validation rows, of equal ones the first; `None` if the concept is not scored or
    /// no latent is ever active with it.
    ///
    /// # Panics
    /// If the concept does not exist.
    pub fn best_latent(&self, concept: u32) -> Option<Pair> {
        let (latent, at) = self.best[concept as usize]?;
        Some(self.unpacked(latent, &self.pairs[at]))
    }

    /// The concept of the best F1 on the validation rows, of equal ones the first; `None` if the latent is never active
    /// with any.
    ///
    /// # Panics
    /// If the latent does not exist.
    pub fn best_concept(&self, latent: u32) -> Option<Pair> {
        let scored = self.latent(latent).filter(|pair| pair.validation_f1 > 0.0);
        scored
            .reduce(|best, pair| if pair.validation_f1 > best.validation_f1 { pair } else { best })
    }

    /// The concepts whose best latent has an F1 of at least `tau` on the test rows.
    ///
    /// # Errors
    /// [`InterpError::Range`](crate::InterpError::Range) unless 0 < τ ≤ 1.
    ///
    /// # Source
    /// Our match rule for paper C; τ is 0.5 and 0.8 there.
    pub fn recovered(&self, tau: f64) -> Result<Recovered> {
        within("τ", tau, tau > 0.0 && tau <= 1.0, "(0, 1]")?;
        let all = || 0..small(self.n_concepts());
        let concepts: Vec<(u32, u32)> = all()
            .filter_map(|concept| {
                let best = self.best_latent(concept)?;
                (best.test.f1()? >= tau).then_some((concept, best.latent))
            })
            .collect();
        let mut latents: Vec<u32> = concepts.iter().map(|(_, latent)| *latent).collect();
        latents.sort_unstable();
        let runs = || latents.chunk_by(|a, b| a == b);
        Ok(Recovered {
            n_scored: self.is_scored.iter().filter(|is| **is).count(),
            n_latents: runs().count(),
            n_unique: runs().filter(|run| run.len() == 1).count(),
            concepts,
        })
    }

    fn unpacked(&self, latent: u32, pair: &Packed) -> Pair {
        let Packed { concept, threshold, both, predicted, validation_f1, auroc, pearson } = *pair;
        let positive = self.n_positive[concept as usize];
        let (both, predicted) = (u64::from(both), u64::from(predicted));
        Pair {
            latent,
            concept,
            threshold,
            validation_f1,
            test: Confusion { both, predicted, positive, n: self.n_test },
            auroc,
            pearson: pearson.is_finite().then_some(pearson),
        }
    }
}

/// The pairs of one latent, by ascending concept.
fn score(
    latent: usize,
    validation: &Split<'_>,
    test: &Split<'_>,
    is_scored: &[bool],
    tallies: &mut [Tally],
    sorted: &mut Vec<(f32, u32)>,
) -> Vec<Packed> {
    let mut met: Vec<u32> = Vec::new();
    validation.sorted(latent, sorted);
    let mut predicted = 0;
    for tied in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        predicted += tied.len() as u64;
        let concepts = || {
            let rows = tied.iter().flat_map(|(_, row)| validation.concepts(*row));
            rows.copied().filter(|concept| is_scored[*concept as usize])
        };
        for concept in concepts() {
            let tally = &mut tallies[concept as usize];
            if tally.both == 0 {
                met.push(concept);
            }
            tally.both += 1;
        }
        // F1 falls while rows without the concept are added, so that its best is where some with it were.
        for concept in concepts() {
            let tally = &mut tallies[concept as usize];
            let all = predicted + validation.n_positive[concept as usize];
            let f1 = 2.0 * f64::from(tally.both) / all as f64;
            if f1 > tally.f1 {
                (tally.f1, tally.threshold) = (f1, tied[0].0);
            }
        }
    }
    test.sorted(latent, sorted);
    let n = test.rows.codes.n_rows() as u64;
    let mut above = 0;
    for tied in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let value = tied[0].0;
        let of_tied = tied.len() as u64;
        // Twice the mean rank, from 1 for the smallest: of the ranks n − above − of_tied + 1 to n − above.
        let rank = 2 * (n - above) - of_tied + 1;
        above += of_tied;
        for (_, row) in tied {
            for concept in
                test.concepts(*row).iter().filter(|concept| is_scored[**concept as usize])
            {
                let tally = &mut tallies[*concept as usize];
                if tally.both == 0 && tally.test_both == 0 {
                    met.push(*concept);
                }
                tally.test_both += 1;
                tally.hits += u32::from(value >= tally.threshold);
                tally.ranks += rank;
                tally.sum += f64::from(value);
            }
        }
    }
    let spread = Spread::of(sorted.iter().map(|(value, _)| *value), n);
    met.sort_unstable();
    met.iter()
        .map(|concept| {
            let tally = std::mem::replace(&mut tallies[*concept as usize], NEW);
            let positive = test.n_positive[*concept as usize];
            // Silent rows share the ranks 1 to n − above.
            let silent = positive - u64::from(tally.test_both);
            let twice = tally.ranks + silent * (n - above + 1) - positive * (positive + 1);
            Packed {
                concept: *concept,
                threshold: tally.threshold,
                both: tally.hits,
                predicted: small(sorted.partition_point(|(value, _)| *value >= tally.threshold)),
                validation_f1: tally.f1,
                auroc: twice as f64 / (2.0 * positive as f64 * (n - positive) as f64),
                pearson: spread
                    .correlation(tally.sum, &Spread::of_rows(positive, n))
                    .unwrap_or(f64::NAN),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
