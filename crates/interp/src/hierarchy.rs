//! Concepts within concepts: how they split over latents, and where a part absorbs the whole.

use kernels::dictionary::Codes;
use kernels::{KernelError, Matrix};

use crate::error::{Result, active_values, finite, finite_list, small, some};
use crate::fidelity::ratio;
use crate::labels::{ConceptSets, ancestors};

/// How the latents of a concept and of those below it are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Splitting {
    /// Latents whose concept is this one.
    pub own: usize,
    /// Latents whose concept is this one or lies below it: the splitting index.
    pub within: usize,
    /// Concepts at or below this one.
    pub n_concepts: usize,
    /// Of them those that are the concept of a latent.
    pub n_with_latent: usize,
}

/// The splitting of each concept, given the concept of each latent.
///
/// # Shapes
/// `concept_of` `[latent]`, for instance of [`ConceptScores::best_concept`](crate::ConceptScores::best_concept) where its F1 is
/// large enough; `parents` `[concept]`; the result is `[concept]`.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for a concept that does not exist,
/// [`InterpError::Range`](crate::InterpError::Range) for parents that are no forest.
///
/// # Source
/// Paper C, feature splitting, on concepts whose tree is known.
///
/// # Examples
///
/// Concepts 1 and 2 are parts of 0; of three latents two stand for 1:
///
/// ```
/// let found = interp::splitting(&[Some(1), None, Some(1), Some(0)], &[None, Some(0), Some(0)])?;
/// assert_eq!((found[0].own, found[0].within, found[1].within), (1, 3, 2));
/// assert_eq!((found[0].n_concepts, found[0].n_with_latent), (3, 2));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn splitting(concept_of: &[Option<u32>], parents: &[Option<u32>]) -> Result<Vec<Splitting>> {
    let mut n_latents = vec![0; parents.len()];
    for concept in concept_of.iter().flatten() {
        let concept = *concept as usize;
        KernelError::check("concepts", parents.len().max(concept + 1), parents.len())?;
        n_latents[concept] += 1;
    }
    let mut found = vec![Splitting::default(); parents.len()];
    for (concept, n) in n_latents.iter().enumerate() {
        found[concept].own = *n;
        for above in ancestors(parents, concept)? {
            let above = &mut found[above as usize];
            above.within += n;
            above.n_concepts += 1;
            above.n_with_latent += usize::from(*n > 0);
        }
    }
    Ok(found)
}

/// The rows with a concept, and those of them where a latent at or below it is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Rows with the concept.
    pub n_rows: u64,
    /// Of them those where a latent of the concept itself is active.
    pub by_own: u64,
    /// Of them those where a latent of a concept below it is active.
    pub by_below: u64,
    /// Of them those where either is.
    pub by_any: u64,
}

/// How the latents of each concept, and those of its parts, cover its rows.
///
/// # Shapes
/// `codes` and `concepts` of the same rows; rows have the ancestors of their concepts
/// ([`ConceptSets::with_ancestors`]). `concept_of` `[latent]`, `parents` `[concept]`; the result is `[concept]`.
///
/// # Errors
/// As [`splitting`], and [`InterpError::Sizes`](crate::InterpError::Sizes) for other rows or latents.
///
/// # Examples
///
/// Concept 1 is a part of 0; latent 0 stands for the whole, and latent 1 for the part:
///
/// ```
/// use interp::{ConceptSets, coverage};
/// use kernels::dictionary::Codes;
///
/// let codes = Codes::from_rows(2, &[vec![(0, 1.0)], vec![(1, 1.0)], vec![]])?;
/// let concepts = ConceptSets::from_rows(2, &[vec![0], vec![0, 1], vec![0]])?;
/// let found = coverage(&codes, &concepts, &[Some(0), Some(1)], &[None, Some(0)])?;
/// assert_eq!((found[0].n_rows, found[0].by_own, found[0].by_below, found[0].by_any), (3, 1, 1, 2));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn coverage(
    codes: &Codes,
    concepts: &ConceptSets,
    concept_of: &[Option<u32>],
    parents: &[Option<u32>],
) -> Result<Vec<Coverage>> {
    let above = checked(codes, concepts, concept_of, parents)?;
    let mut found = vec![Coverage::default(); parents.len()];
    // The last row in which a concept was covered by its own latent, and by one below; rows count from 1.
    let mut last = vec![[0_usize; 2]; parents.len()];
    for row in 0..codes.n_rows() {
        for latent in codes.row(row).0 {
            let Some(concept) = concept_of[*latent as usize] else { continue };
            for (at, concept) in above[concept as usize].iter().enumerate() {
                last[*concept as usize][usize::from(at > 0)] = row + 1;
            }
        }
        for concept in concepts.row(row) {
            let covered = last[*concept as usize].map(|last| last == row + 1);
            let counts = &mut found[*concept as usize];
            counts.n_rows += 1;
            counts.by_own += u64::from(covered[0]);
            counts.by_below += u64::from(covered[1]);
            counts.by_any += u64::from(covered[0] || covered[1]);
        }
    }
    Ok(found)
}

/// The ancestors of each concept, itself first, after a look at all sizes.
fn checked(
    codes: &Codes,
    concepts: &ConceptSets,
    concept_of: &[Option<u32>],
    parents: &[Option<u32>],
) -> Result<Vec<Vec<u32>>> {
    some("rows of the codes", codes.n_rows())?;
    active_values(codes)?;
    KernelError::check("rows with labels", codes.n_rows(), concepts.n_rows())?;
    KernelError::check("concepts of latents", codes.n_latents(), concept_of.len())?;
    KernelError::check("parents of concepts", concepts.n_concepts(), parents.len())?;
    for concept in concept_of.iter().flatten() {
        let concept = *concept as usize;
        KernelError::check("concepts", parents.len().max(concept + 1), parents.len())?;
    }
    (0..parents.len()).map(|concept| ancestors(parents, concept)).collect()
}

/// From where on a latent absorbs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AbsorptionRule {
    /// Full absorption: the absorbing latent's cosine with the direction of the parent is at least this.
    pub full_cosine: f64,
    /// Partial absorption: the same of each absorbing latent.
    pub cosine: f64,
    /// Partial absorption: absorbing latents of a row at most.
    pub n_absorbers: usize,
    /// Absorbing latents make at least this share of the row's projection on the parent's direction.
    pub share: f64,
}

impl AbsorptionRule {
    /// The published thresholds.
    ///
    /// # Source
    /// The absorption evaluation of `SAEBench`.
    pub const SAE_BENCH: Self =
        Self { full_cosine: 0.025, cosine: 0.1, n_absorbers: 3, share: 0.4 };
}

/// How often the parts of a concept absorb it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Absorption {
    /// Rows with the parent whose activation has a positive projection on its direction; all others are left out.
    pub n_rows: u64,
    /// Of them those where no main latent is active.
    pub n_silent: u64,
    /// Of them those with full absorption.
    pub n_full: u64,
    /// The sum of the fractions absorbed.
    pub fractions: f64,
}

impl Absorption {
    /// The share of rows with full absorption; `None` without rows.
    pub fn full(&self) -> Option<f64> {
        ratio(self.n_full as f64, self.n_rows as f64)
    }

    /// The mean fraction absorbed; `None` without rows.
    pub fn fraction(&self) -> Option<f64> {
        ratio(self.fractions, self.n_rows as f64)
    }
}

/// A concept, the latents that stand for it, and its direction.
#[derive(Clone, Copy, Debug)]
pub struct Parent<'a> {
    /// The concept.
    pub concept: u32,
    /// Its main latents.
    pub main: &'a [u32],
    /// Its direction in activations, of any length: of a probe, or a difference of means. `[d]`
    pub direction: &'a [f64],
}

/// Activations of labeled rows, and what a dictionary makes of them.
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    /// The activations, `[row, d]`, in the units of `decoder`.
    pub x: &'a Matrix,
    /// What is added to every reconstruction, c, `[d]`.
    pub center: &'a [f32],
    /// What is active in each row.
    pub codes: &'a Codes,
    /// A direction for each latent, `[latent, d]`.
    pub decoder: &'a Matrix,
    /// The concepts of each row with their ancestors.
    pub concepts: &'a ConceptSets,
}

/// How often latents of a concept's parts take its place.
///
/// In a row with the parent let p be its direction at length 1, T = (x − c)·p, and qⱼ = zⱼ·(dⱼ·p) the contribution of an
/// active latent j. Latent j is a *part* in this row if its concept lies below the parent and the row has it. Rows with
/// T ≤ 0 are left out.
///
/// - Full absorption: no main latent is active; of all active latents the one with the largest q is a part (of equal ones
///   the first latent), its cosine with p is at least `full_cosine`, and q ≥ `share`·T.
/// - The fraction: let A be the sum of q over the parts whose cosine with p is at least `cosine`, the `n_absorbers` largest of
///   them, and M the sum of q over the main latents, at least 0. It is A/(A + M) if A ≥ `share`·T and M < T, else 0.
///
/// # Shapes
/// `concept_of` `[latent]`, `parents` `[concept]`.
///
/// # Errors
/// [`InterpError::Sizes`](crate::InterpError::Sizes) for sizes that do not fit,
/// [`InterpError::Empty`](crate::InterpError::Empty) without main latents or rows,
/// [`InterpError::NotFinite`](crate::InterpError::NotFinite), [`InterpError::Range`](crate::InterpError::Range) for a
/// direction that is 0.
///
/// # Source
/// `SAEBench`'s absorption with its thresholds, on planted parents and parts in place of first letters and a probe, and
/// with absorbing latents that have to stand for a part that is there.
///
/// # Examples
///
/// Latent 0 stands for concept 0, latent 1 for its part and holds the direction of both; where the part is, latent 0 is
/// silent:
///
/// ```
/// use interp::{AbsorptionRule, ConceptSets, Explained, Parent, absorption};
/// use kernels::Matrix;
/// use kernels::dictionary::Codes;
///
/// let explained = Explained {
///     x: &Matrix::from_rows(2, 2, vec![1.0, 0.0, 1.0, 1.0])?,
///     center: &[0.0; 2],
///     codes: &Codes::from_rows(2, &[vec![(0, 1.0)], vec![(1, 1.0)]])?,
///     decoder: &Matrix::from_rows(2, 2, vec![1.0, 0.0, 1.0, 1.0])?,
///     concepts: &ConceptSets::from_rows(2, &[vec![0], vec![0, 1]])?,
/// };
/// let parent = Parent { concept: 0, main: &[0], direction: &[1.0, 0.0] };
/// let found =
///     absorption(explained, parent, &[Some(0), Some(1)], &[None, Some(0)], AbsorptionRule::SAE_BENCH)?;
/// assert_eq!((found.n_rows, found.full(), found.fraction()), (2, Some(0.5), Some(0.5)));
/// # Ok::<(), interp::InterpError>(())
/// ```
pub fn absorption(
    explained: Explained<'_>,
    parent: Parent<'_>,
    concept_of: &[Option<u32>],
    parents: &[Option<u32>],
    rule: AbsorptionRule,
) -> Result<Absorption> {
    let Explained { x, center, codes, decoder, concepts } = explained;
    let above = checked(codes, concepts, concept_of, parents)?;
    let d = x.n_columns();
    KernelError::check("rows of the activations", codes.n_rows(), x.n_rows())?;
    KernelError::check("numbers of the center", d, center.len())?;
    KernelError::check("columns of the decoder", d, decoder.n_columns())?;
    KernelError::check("rows of the decoder", codes.n_latents(), decoder.n_rows())?;
    KernelError::check("numbers of the parent's direction", d, parent.direction.len())?;
    some("main latents of the parent", parent.main.len())?;
    for latent in parent.main {
        let latent = *latent as usize;
        KernelError::check("latents", codes.n_latents().max(latent + 1), codes.n_latents())?;
    }
    finite("the activations", x)?;
    finite("the decoder", decoder)?;
    finite_list("the parent's direction", parent.direction)?;
    let norm = parent.direction.iter().map(|p| p * p).sum::<f64>().sqrt();
    crate::error::within("the length of the parent's direction", norm, norm > 0.0, "(0, ∞)")?;
    let p: Vec<f64> = parent.direction.iter().map(|value| value / norm).collect();
    let along = |row: &[f32]| row.iter().zip(&p).map(|(x, p)| f64::from(*x) * p).sum::<f64>();
    let offset = along(center);
    let latents: Vec<Latent> = (0..codes.n_latents())
        .map(|latent| {
            let row = decoder.row(latent);
            let length = row.iter().map(|d| f64::from(*d) * f64::from(*d)).sum::<f64>().sqrt();
            let along = along(row);
            let below = concept_of[latent].filter(|concept| {
                *concept != parent.concept && above[*concept as usize].contains(&parent.concept)
            });
            let is_main = parent.main.contains(&small(latent));
            Latent {
                along,
                cosine: ratio(along, length).unwrap_or(0.0),
                below: if is_main { None } else { below },
                is_main,
            }
        })
        .collect();
    let mut found = Absorption::default();
    for row in (0..x.n_rows()).filter(|row| concepts.has(*row, parent.concept)) {
        let total = along(x.row(row)) - offset;
        if total > 0.0 {
            let (active, values) = codes.row(row);
            let active = active.iter().zip(values);
            let active: Vec<(f64, &Latent)> = active
                .map(|(latent, value)| {
                    let latent = &latents[*latent as usize];
                    (f64::from(*value) * latent.along, latent)
                })
                .collect();
            let has = |concept: u32| concepts.has(row, concept);
            found.add(&active, total, has, rule);
        }
    }
    Ok(found)
}

/// What matters of a latent to a parent.
struct Latent {
    /// Its direction's projection on the parent's, and the cosine of the two.
    along: f64,
    cosine: f64,
    /// Its concept, if that lies below the parent.
    below: Option<u32>,
    is_main: bool,
}

impl Absorption {
    /// A row with its active latents and their contributions.
    fn add(
        &mut self,
        active: &[(f64, &Latent)],
        total: f64,
        has: impl Fn(u32) -> bool,
        rule: AbsorptionRule,
    ) {
        let is_part = |latent: &Latent| latent.below.is_some_and(&has);
        let bound = rule.share * total;
        self.n_rows += 1;
        if active.iter().all(|(_, latent)| !latent.is_main) {
            self.n_silent += 1;
            let top = active.iter().reduce(|top, next| if next.0 > top.0 { next } else { top });
            let absorbs = |(q, latent): &(f64, &Latent)| {
                is_part(latent) && latent.cosine >= rule.full_cosine && *q >= bound
            };
            self.n_full += u64::from(top.is_some_and(absorbs));
        }
        let absorbs =
            |(_, latent): &&(f64, &Latent)| is_part(latent) && latent.cosine >= rule.cosine;
        let mut parts: Vec<f64> = active.iter().filter(absorbs).map(|(q, _)| *q).collect();
        parts.sort_by(|a, b| b.total_cmp(a));
        let absorbed: f64 = parts.iter().take(rule.n_absorbers).sum();
        let of_main = active.iter().filter(|(_, latent)| latent.is_main).map(|(q, _)| q);
        let main = of_main.sum::<f64>().max(0.0);
        if absorbed > 0.0 && absorbed >= bound && main < total {
            self.fractions += absorbed / (absorbed + main);
        }
    }
}

#[cfg(test)]
mod tests;
