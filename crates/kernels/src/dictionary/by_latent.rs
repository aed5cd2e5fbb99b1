//! Codes by latent, as lists of rows or as bits.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::Codes;
use super::dense::has_dense_sums;
use crate::Matrix;
use crate::matrix::{Factor, multiply_into};

/// Latents whose bits stand together, and that one task steps.
pub(super) const BLOCK: usize = 64 * WORDS;
const WORDS: usize = 4;
/// Samples for which a block is made dense together.
const ROWS: usize = 256;
/// Rows whose bits one task sets.
const TASK_ROWS: usize = 64;

/// Codes of a batch by latent: for each the rows in which it is active, in their order.
///
/// # Memory
/// Two numbers for each active latent and one for each latent. If many latents are active, a bit for each latent in each
/// row at first, and the rest when [`Self::latent`] asks for it.
#[derive(Clone, Debug)]
pub struct ByLatent {
    pub(super) n_rows: usize,
    n_latents: usize,
    n_places: usize,
    /// Of codes with many active latents.
    bits: Option<Bits>,
    lists: OnceLock<Lists>,
}

/// Rows of one latent after those of the other.
#[derive(Clone, Debug)]
struct Lists {
    /// Where each latent begins among places; at last their number.
    starts: Vec<usize>,
    /// The row, and the place among the values of the codes.
    places: Vec<(u32, u32)>,
}

impl Lists {
    /// Of the latents of each place, row after row.
    fn new<R: Iterator<Item = usize>>(
        (n_rows, n_latents, n_places): (usize, usize, usize),
        row: impl Fn(usize) -> R,
    ) -> Self {
        let mut starts = vec![0_usize; n_latents + 1];
        for latent in (0..n_rows).flat_map(&row) {
            starts[latent + 1] += 1;
        }
        for latent in 0..n_latents {
            starts[latent + 1] += starts[latent];
        }
        let mut next = starts.clone();
        let mut places = vec![(0, 0); n_places];
        let mut at = 0;
        for (number, row) in (0..).zip((0..n_rows).map(row)) {
            for latent in row {
                let next = &mut next[latent];
                places[*next] = (number, at);
                *next += 1;
                at += 1;
            }
        }
        Self { starts, places }
    }
}

/// What of a block of latents is active in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    /// The place of the first among the values of the codes.
    first: u32,
    /// A bit for each latent.
    bits: [u64; WORDS],
}

impl Run {
    /// Latents of the block, ascending, each with its place.
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, usize)) {
        let mut place = self.first as usize;
        for (word, mut bits) in self.bits.into_iter().enumerate() {
            while bits != 0 {
                f(64 * word + bits.trailing_zeros() as usize, place);
                bits &= bits - 1;
                place += 1;
            }
        }
    }
}

/// Bits of all rows.
#[derive(Clone, Debug)]
struct Bits {
    /// In a row.
    n_blocks: usize,
    /// Row after row.
    runs: Vec<Run>,
}

impl Bits {
    /// Of codes with less than 2³² places.
    fn new(codes: &Codes) -> Self {
        let n_blocks = codes.n_latents().div_ceil(BLOCK);
        let mut runs = vec![Run::default(); codes.n_rows() * n_blocks];
        let tasks = runs.par_chunks_mut(TASK_ROWS * n_blocks.max(1)).enumerate();
        tasks.for_each(|(task, runs)| {
            let rows = runs.chunks_exact_mut(n_blocks.max(1));
            for (row, runs) in (task * TASK_ROWS..).zip(rows) {
                for latent in codes.row(row).0 {
                    let latent = *latent as usize;
                    runs[latent / BLOCK].bits[latent % BLOCK / 64] |= 1 << (latent % 64);
                }
                // Fits, as there are less places.
                let mut first = u32::try_from(codes.place(row).start).unwrap_or(u32::MAX);
                for run in runs {
                    run.first = first;
                    first += run.bits.iter().map(|bits| bits.count_ones()).sum::<u32>();
                }
            }
        });
        Self { n_blocks, runs }
    }

    /// Active latents of a row.
    fn row(&self, row: usize) -> impl Iterator<Item = usize> {
        let runs = self.runs[row * self.n_blocks..][..self.n_blocks].iter();
        (0..).step_by(BLOCK).zip(runs).flat_map(|(first, run)| {
            (0..BLOCK)
                .filter(|at| run.bits[at / 64] >> (at % 64) & 1 == 1)
                .map(move |at| first + at)
        })
    }
}

impl Codes {
    /// The same by latent: in which rows each is active.
    ///
    /// # Panics
    /// For 2³² rows or active latents.
    pub fn by_latent(&self) -> ByLatent {
        let (n_rows, n_latents, n_places) = (self.n_rows(), self.n_latents(), self.latents().len());
        assert!(u32::try_from(n_rows.max(n_places)).is_ok(), "less than 2^32");
        let (bits, lists) = if has_dense_sums(n_places, n_rows, n_latents) {
            (Some(Bits::new(self)), OnceLock::new())
        } else {
            let row = |row| self.row(row).0.iter().map(|latent| *latent as usize);
            (None, OnceLock::from(Lists::new((n_rows, n_latents, n_places), row)))
        };
        ByLatent { n_rows, n_latents, n_places, bits, lists }
    }
}

impl ByLatent {
    /// Latents of the dictionary.
    pub fn n_latents(&self) -> usize {
        self.n_latents
    }

    /// The rows in which a latent is active, each with its place among [`Codes::values`].
    ///
    /// # Panics
    /// If the latent does not exist.
    pub fn latent(&self, latent: usize) -> &[(u32, u32)] {
        let Lists { starts, places } = self.lists.get_or_init(|| {
            let size = (self.n_rows, self.n_latents, self.n_places);
            Lists::new(size, |row| self.bits.iter().flat_map(move |bits| bits.row(row)))
        });
        &places[starts[latent]..starts[latent + 1]]
    }

    /// Places in all.
    pub(super) fn n_places(&self) -> usize {
        self.n_places
    }

    /// Whether [`Self::sums`] takes whole blocks.
    pub(super) fn is_dense(&self) -> bool {
        self.bits.is_some()
    }

    /// For each latent of a block Σ coefficient · sample, by products of matrices; row r of the codes has sample r mod n.
    ///
    /// Of codes with few active latents they are 0.
    ///
    /// # Memory
    /// 256 KiB.
    pub(super) fn sums(
        &self,
        block: usize,
        coefficients: &[f32],
        samples: &Matrix,
        sums: &mut [f32],
    ) {
        let (n_samples, width) = (samples.n_rows(), samples.n_columns());
        let n = sums.len() / width.max(1);
        sums.fill(0.0);
        let Some(Bits { n_blocks, runs }) = &self.bits else { return };
        let mut dense = vec![0.0; ROWS.min(n_samples) * n];
        for first in (0..n_samples).step_by(ROWS) {
            let n_rows = ROWS.min(n_samples - first);
            let dense = &mut dense[..n_rows * n];
            dense.fill(0.0);
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for first in (first..self.n_rows).step_by(n_samples) {
                        let runs = runs[first * n_blocks + block..].iter().step_by(*n_blocks);
                        for (run, dense) in runs.zip(dense.chunks_exact_mut(n)) {
                            run.each(|latent, place| dense[latent] += coefficients[place]);
                        }
                    }
                },
            );
            let (a, b) = (
                Factor::rows(dense, n).turned(),
                Factor::rows(&samples.values()[first * width..], width),
            );
            multiply_into(sums, width, true, a, b, [n, n_rows, width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::codes::tests::with_share;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn by_latent_has_the_same_places(
            n_rows in 0_usize..60, n_latents in 1_usize..600, share in 0.0..0.35, seed in 0_u64..99,
        ) {
            let codes = with_share(n_rows, n_latents, share, seed);
            let by_latent = codes.by_latent();
            let mut n = 0;
            for latent in 0..n_latents {
                prop_assert!(by_latent.latent(latent).is_sorted());
                for (row, at) in by_latent.latent(latent) {
                    let (row, at) = (*row as usize, *at as usize);
                    let place = codes.row(row).0.iter().position(|other| *other as usize == latent);
                    prop_assert_eq!(place.map(|place| place + codes.place(row).start), Some(at));
                    n += 1;
                }
            }
            prop_assert_eq!(n, codes.values().len());
        }
    }

    #[test]
    fn one_more_active_latent_makes_codes_dense() {
        let codes = |n: u32| {
            let row = (0..n).map(|latent| (latent, 1.0)).collect();
            Codes::from_rows(120, &[row, vec![]]).unwrap()
        };
        assert!(!codes(40).by_latent().is_dense() && codes(41).by_latent().is_dense());
        assert!(!Codes::from_rows(3, &[]).unwrap().by_latent().is_dense());
    }
}
