//! Which concepts each row has.

use kernels::KernelError;
use seed::Rng;
use world::Concepts;

use crate::error::{InterpError, Result};

/// The concepts of each row, ascending, as [`Codes`](kernels::dictionary::Codes) have active latents.
///
/// # Examples
///
/// Concept 2 is a part of 1, and 1 of 0; a label names the most specific concept only:
///
/// ```
/// use interp::ConceptSets;
///
/// let sets = ConceptSets::from_rows(3, &[vec![2], vec![], vec![0, 1]])?;
/// let all = sets.with_ancestors(&[None, Some(0), Some(1)])?;
/// assert_eq!(all, ConceptSets::from_rows(3, &[vec![0, 1, 2], vec![], vec![0, 1]])?);
/// assert_eq!(all.n_positive(), [2, 2, 1]);
/// # Ok::<(), interp::InterpError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConceptSets {
    n_concepts: usize,
    /// Where each row begins among concepts; at last their number.
    starts: Vec<usize>,
    concepts: Vec<u32>,
}

impl ConceptSets {
    /// Of the concepts of each row.
    ///
    /// # Errors
    /// [`InterpError::Sizes`] for a concept that does not exist, or does not come after the one before it.
    pub fn from_rows(n_concepts: usize, rows: &[Vec<u32>]) -> Result<Self> {
        let mut sets = Self { n_concepts, starts: vec![0], concepts: Vec::new() };
        for row in rows {
            let mut next = 0;
            for concept in row {
                let concept = *concept as usize;
                KernelError::check("ascending concepts", next.max(concept), concept)?;
                KernelError::check("concepts", n_concepts.max(concept + 1), n_concepts)?;
                next = concept + 1;
            }
            sets.push(row);
        }
        Ok(sets)
    }

    fn push(&mut self, row: &[u32]) {
        self.concepts.extend_from_slice(row);
        self.starts.push(self.concepts.len());
    }

    /// Rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Concepts that there are.
    pub fn n_concepts(&self) -> usize {
        self.n_concepts
    }

    /// The concepts of a row.
    ///
    /// # Panics
    /// If the row does not exist.
    pub fn row(&self, row: usize) -> &[u32] {
        &self.concepts[self.starts[row]..self.starts[row + 1]]
    }

    /// Whether a row has a concept.
    ///
    /// # Panics
    /// If the row does not exist.
    pub fn has(&self, row: usize, concept: u32) -> bool {
        self.row(row).binary_search(&concept).is_ok()
    }

    /// Which rows have a concept.
    pub fn rows_with(&self, concept: u32) -> Vec<bool> {
        (0..self.n_rows()).map(|row| self.has(row, concept)).collect()
    }

    /// How many rows have each concept.
    pub fn n_positive(&self) -> Vec<u64> {
        let mut n = vec![0; self.n_concepts];
        self.concepts.iter().for_each(|concept| n[*concept as usize] += 1);
        n
    }

    /// The rows at these places, in this order.
    ///
    /// # Panics
    /// If a row does not exist.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut selected =
            Self { n_concepts: self.n_concepts, starts: vec![0], concepts: Vec::new() };
        for row in rows {
            selected.push(self.row(*row));
        }
        selected
    }

    /// The same sets in a random order of the rows: as many rows of each concept, and no relation to activations. The null
    /// of every score of concepts.
    ///
    /// # Randomness
    /// As [`Rng::shuffle`].
    #[must_use]
    pub fn shuffled(&self, rng: &mut Rng) -> Self {
        let mut rows: Vec<usize> = (0..self.n_rows()).collect();
        rng.shuffle(&mut rows);
        self.select(&rows)
    }

    /// Each row with the ancestors of its concepts.
    ///
    /// # Errors
    /// [`InterpError::Sizes`] unless there is a parent or `None` for each concept, and [`InterpError::Range`] for a parent
    /// that does not exist, or a concept that is its own ancestor.
    pub fn with_ancestors(&self, parents: &[Option<u32>]) -> Result<Self> {
        KernelError::check("parents of concepts", self.n_concepts, parents.len())?;
        let ancestors = (0..self.n_concepts)
            .map(|concept| ancestors(parents, concept))
            .collect::<Result<Vec<_>>>()?;
        let mut all = Self { n_concepts: self.n_concepts, starts: vec![0], concepts: Vec::new() };
        let mut with = Vec::new();
        for row in 0..self.n_rows() {
            with.clear();
            for concept in self.row(row) {
                with.extend_from_slice(&ancestors[*concept as usize]);
            }
            with.sort_unstable();
            with.dedup();
            all.push(&with);
        }
        Ok(all)
    }
}

/// A concept, its parent, and so on up to the root.
pub(crate) fn ancestors(parents: &[Option<u32>], concept: usize) -> Result<Vec<u32>> {
    let mut path = Vec::new();
    let mut next = u32::try_from(concept).ok();
    while let Some(concept) = next {
        let wrong = |interval| {
            let got = f64::from(concept);
            Err(InterpError::Range { what: "the parent of a concept", got, interval })
        };
        if path.len() > parents.len() {
            return wrong("concepts that are not its own descendants");
        }
        let Some(parent) = parents.get(concept as usize) else { return wrong("[0, concepts)") };
        path.push(concept);
        next = *parent;
    }
    Ok(path)
}

/// The parent of each concept of a registry, as [`ConceptSets::with_ancestors`] takes them.
///
/// # Examples
///
/// ```
/// use world::{World, WorldConfig};
///
/// let world = World::new(&WorldConfig::default())?;
/// let add = world.concepts().find("semantics/add").unwrap();
/// let group = world.concepts().find("semantics").unwrap();
/// assert_eq!(interp::parents(world.concepts())[add.index()], Some(u32::from(group.0)));
/// # Ok::<(), world::WorldError>(())
/// ```
pub fn parents(concepts: &Concepts) -> Vec<Option<u32>> {
    concepts.iter().map(|(_, concept)| concept.parent.map(|parent| u32::from(parent.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_that_do_not_exist_are_refused() {
        assert!(ConceptSets::from_rows(2, &[vec![2]]).is_err());
        assert!(ConceptSets::from_rows(2, &[vec![1, 0]]).is_err());
        assert!(ConceptSets::from_rows(2, &[vec![1, 1]]).is_err());
        let sets = ConceptSets::from_rows(2, &[vec![0]]).unwrap();
        assert!(sets.with_ancestors(&[None]).is_err());
        assert!(sets.with_ancestors(&[Some(2), None]).is_err());
        assert!(sets.with_ancestors(&[Some(1), Some(0)]).is_err());
    }

    #[test]
    fn shuffled_rows_are_the_same_sets() {
        let rows: Vec<Vec<u32>> = (0..50).map(|row| vec![row % 7]).collect();
        let sets = ConceptSets::from_rows(7, &rows).unwrap();
        let shuffled = sets.shuffled(&mut seed::Seed::new(0).stream("interp", "labels"));
        assert_eq!(shuffled.n_positive(), sets.n_positive());
        assert_ne!(shuffled, sets);
        assert_eq!(sets.rows_with(6).iter().filter(|has| **has).count(), 7);
    }
}
