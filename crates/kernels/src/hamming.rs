//! Scans for the rows within a Hamming radius.

#![expect(
    clippy::inline_always,
    reason = "a loop gets the instructions of its caller only where it is inlined there"
)]

use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
use crate::tiles;
use crate::{BitMatrix, KernelError};

/// Rows that one task scans: a block of 1000-bit rows fits the first-level cache, so many queries cost
/// arithmetic, not memory. Fixed, so that results do not depend on the number of threads.
pub const BLOCK_ROWS: usize = 256;

/// The instructions that a scan uses, found out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Baseline,
}

/// Counts differing bits with the widest instructions of this machine.
///
/// All levels are integer arithmetic and give the same result.
#[derive(Clone, Copy, Debug)]
pub struct Scanner {
    level: Level,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// The scanner for this machine.
    pub fn new() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vpopcntdq")
                && is_x86_feature_detected!("popcnt")
            {
                return Self { level: Level::Avx512 };
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                return Self { level: Level::Avx2 };
            }
        }
        Self { level: Level::Baseline }
    }

    /// Calls `visit` with the place and the distance of each of `rows` (packed like the query, one after
    /// the other) that lies within `radius` of the query, in order.
    ///
    /// # Panics
    /// If the query is empty.
    #[inline]
    pub fn within(
        self,
        rows: &[u64],
        query: &[u64],
        radius: u32,
        mut visit: impl FnMut(usize, u32),
    ) {
        self.distances(rows, query, |row, distance| {
            if distance <= radius {
                visit(row, distance);
            }
        });
    }

    /// Calls `visit` with the place and the distance of each of `rows`, in order.
    ///
    /// # Panics
    /// If the query is empty.
    #[inline]
    pub fn distances(self, rows: &[u64], query: &[u64], visit: impl FnMut(usize, u32)) {
        assert!(!query.is_empty(), "a query has at least one word");
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => {
                // SAFETY: this level is chosen only where the CPU has these features.
                unsafe { distances_avx512(rows, query, visit) }
            }
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => {
                // SAFETY: this level is chosen only where the CPU has these features.
                unsafe { distances_avx2(rows, query, visit) }
            }
            Level::Baseline => distances(rows, query, visit),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vpopcntdq,popcnt")]
fn distances_avx512(rows: &[u64], query: &[u64], visit: impl FnMut(usize, u32)) {
    distances(rows, query, visit);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,popcnt")]
fn distances_avx2(rows: &[u64], query: &[u64], visit: impl FnMut(usize, u32)) {
    distances(rows, query, visit);
}

/// One source for all levels: the compiler vectorizes the count of bits with what a caller enables. Widths
/// that the papers use get loops of fixed length.
#[inline(always)]
fn distances(rows: &[u64], query: &[u64], mut visit: impl FnMut(usize, u32)) {
    match query.len() {
        1 => fixed::<1>(rows, query, visit),
        2 => fixed::<2>(rows, query, visit),
        4 => fixed::<4>(rows, query, visit),
        13 => fixed::<13>(rows, query, visit),
        16 => fixed::<16>(rows, query, visit),
        words => {
            for (at, row) in rows.chunks_exact(words).enumerate() {
                visit(at, row.iter().zip(query).map(|(a, b)| (a ^ b).count_ones()).sum());
            }
        }
    }
}

/// Words that are fetched before they are needed, two pages: memory answers after some 100 ns, in which a core compares
/// many rows, and the machine's own fetching ahead ends with a page.
const AHEAD: usize = 1024;

/// Asks for the lines of a row that is needed soon.
#[inline(always)]
fn ahead(rows: &[u64], first: usize, n: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(row) = rows.get(first..first + n) {
        for line in row.chunks(8) {
            // SAFETY: a hint, whatever the address; it reads nothing.
            unsafe {
                std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(
                    line.as_ptr().cast(),
                );
            }
        }
    }
}

/// The length is known and the query a copy, so that the loop over words is unrolled and the query stays in
/// registers.
#[inline(always)]
fn fixed<const WORDS: usize>(rows: &[u64], query: &[u64], mut visit: impl FnMut(usize, u32)) {
    let Some(query) = query.first_chunk::<WORDS>() else { return };
    let query = *query;
    for (at, row) in rows.as_chunks::<WORDS>().0.iter().enumerate() {
        ahead(rows, (at + AHEAD / WORDS) * WORDS, WORDS);
        let mut distance = 0;
        for word in 0..WORDS {
            distance += (row[word] ^ query[word]).count_ones();
        }
        visit(at, distance);
    }
}

/// Queries prepared for scans of the same rows.
///
/// With AVX2 alone the distances of 64 rows to four queries are found side by side, which takes about half
/// as long as counting the bits of words; with AVX-512 and in all other cases words are counted.
#[derive(Clone, Debug)]
pub struct Queries<'a> {
    rows: &'a BitMatrix,
    scanner: Scanner,
    /// Empty where words are counted.
    #[cfg(target_arch = "x86_64")]
    nibbles: Vec<[u8; 2 * tiles::GROUP]>,
}

impl<'a> Queries<'a> {
    /// Prepares queries for this machine.
    pub fn new(queries: &'a BitMatrix) -> Self {
        Self::for_scanner(queries, Scanner::new())
    }

    fn for_scanner(queries: &'a BitMatrix, scanner: Scanner) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            // Fewer queries do not repay the laying out of rows, and a counter has 16 bits.
            let side_by_side = scanner.level == Level::Avx2
                && queries.n_rows() >= tiles::GROUP
                && u16::try_from(queries.n_bits()).is_ok();
            let nibbles = if side_by_side { tiles::nibbles(queries) } else { Vec::new() };
            Self { rows: queries, scanner, nibbles }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self { rows: queries, scanner }
    }

    /// Calls `visit` with each query and each of `rows` (packed like the queries, one after the other) that
    /// lies within `radius` of it. For every query the rows come in order.
    #[inline]
    pub fn within(&self, rows: &[u64], radius: u32, mut visit: impl FnMut(usize, usize)) {
        #[cfg(target_arch = "x86_64")]
        if !self.nibbles.is_empty() {
            return self.tiles_within(rows, radius, visit);
        }
        if self.rows.words_per_row() == 0 {
            return;
        }
        for query in 0..self.rows.n_rows() {
            let row = self.rows.row(query);
            self.scanner.within(rows, row, radius, |row, _| visit(query, row));
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn tiles_within(&self, rows: &[u64], radius: u32, mut visit: impl FnMut(usize, usize)) {
        let words = self.rows.words_per_row();
        let radius = u16::try_from(radius).unwrap_or(u16::MAX);
        let mut tile = vec![tiles::Bytes([0; tiles::TILE_ROWS]); 8 * words];
        for (at, rows) in rows.chunks(tiles::TILE_ROWS * words).enumerate() {
            // SAFETY: nibbles are made only where the CPU has these features.
            unsafe { tiles::fill(&mut tile, rows, words) };
            let real = u64::MAX >> (tiles::TILE_ROWS - rows.len() / words);
            for (group, nibbles) in self.nibbles.chunks_exact(tile.len()).enumerate() {
                // SAFETY: nibbles are made only where the CPU has these features.
                let found = unsafe { tiles::near(&tile, nibbles, radius) };
                let left = self.rows.n_rows() - tiles::GROUP * group;
                for (query, found) in found.iter().enumerate().take(left) {
                    let mut found = found & real;
                    while found != 0 {
                        let row = tiles::TILE_ROWS * at + found.trailing_zeros() as usize;
                        visit(tiles::GROUP * group + query, row);
                        found &= found - 1;
                    }
                }
            }
        }
    }
}

impl BitMatrix {
    /// The Hamming distance of every row to a query.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the query has another number of words than a row.
    ///
    /// # Examples
    ///
    /// ```
    /// let rows = kernels::BitMatrix::from_fn(3, 70, |row, bit| bit < 30 * row);
    /// assert_eq!(rows.distances(&[0, 0])?, [0, 30, 60]);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn distances(&self, query: &[u64]) -> Result<Vec<u32>, KernelError> {
        KernelError::check("words of a query", self.words_per_row(), query.len())?;
        let mut distances = vec![0; self.n_rows()];
        if query.is_empty() {
            return Ok(distances);
        }
        let scanner = Scanner::new();
        let blocks = self.words().par_chunks(BLOCK_ROWS * query.len());
        distances.par_chunks_mut(BLOCK_ROWS).zip(blocks).for_each(|(distances, rows)| {
            scanner.distances(rows, query, |row, distance| distances[row] = distance);
        });
        Ok(distances)
    }

    /// The rows within a Hamming radius of one query, in order. Limited by the bandwidth of memory.
    ///
    /// # Errors
    /// [`KernelError::Size`] if the query has another number of words than a row.
    ///
    /// # Examples
    ///
    /// ```
    /// let rows = kernels::BitMatrix::from_fn(3, 70, |row, bit| bit < 30 * row);
    /// assert_eq!(rows.within(&[0, 0], 30)?, [0, 1]);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn within(&self, query: &[u64], radius: u32) -> Result<Vec<u32>, KernelError> {
        KernelError::check("words of a query", self.words_per_row(), query.len())?;
        if query.is_empty() {
            return Ok((0..).take(self.n_rows()).collect());
        }
        // A few blocks a task: one is too little work to hand out.
        let task_rows = 32 * BLOCK_ROWS;
        let scanner = Scanner::new();
        let tasks = self.words().par_chunks(task_rows * query.len()).enumerate();
        let found: Vec<Vec<u32>> = tasks
            .map(|(task, rows)| {
                let mut found = Vec::new();
                scanner.within(rows, query, radius, |row, _| {
                    found.push(place(task * task_rows + row));
                });
                found
            })
            .collect();
        Ok(found.concat())
    }

    /// For each query, the rows within a Hamming radius of it, in order. A block of rows is scanned for
    /// all queries while it lies in the cache: limited by the rate at which bits are counted.
    ///
    /// # Errors
    /// [`KernelError::Size`] if queries and rows have different widths.
    ///
    /// # Examples
    ///
    /// ```
    /// let rows = kernels::BitMatrix::from_fn(3, 70, |row, bit| bit < 30 * row);
    /// assert_eq!(rows.within_each(&rows, 30)?, [vec![0, 1], vec![0, 1, 2], vec![1, 2]]);
    /// # Ok::<(), kernels::KernelError>(())
    /// ```
    pub fn within_each(&self, queries: &Self, radius: u32) -> Result<Vec<Vec<u32>>, KernelError> {
        KernelError::check("bits of a query", self.n_bits(), queries.n_bits())?;
        let words = self.words_per_row();
        if words == 0 {
            let all: Vec<u32> = (0..).take(self.n_rows()).collect();
            return Ok(vec![all; queries.n_rows()]);
        }
        let task_rows = 32 * BLOCK_ROWS;
        let prepared = Queries::new(queries);
        let tasks = self.words().par_chunks(task_rows * words).enumerate();
        let found: Vec<Vec<Vec<u32>>> = tasks
            .map(|(task, rows)| {
                let mut found = vec![Vec::new(); queries.n_rows()];
                for (block, rows) in rows.chunks(BLOCK_ROWS * words).enumerate() {
                    let first = task * task_rows + block * BLOCK_ROWS;
                    prepared
                        .within(rows, radius, |query, row| found[query].push(place(first + row)));
                }
                found
            })
            .collect();
        let of =
            |query: usize| found.iter().flat_map(move |found| &found[query]).copied().collect();
        Ok((0..queries.n_rows()).into_par_iter().map(of).collect())
    }
}

/// The place of a row: no machine holds 2³² packed rows of a memory.
#[expect(clippy::cast_possible_truncation, reason = "rows number less than 2^32")]
fn place(row: usize) -> u32 {
    row as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use seed::Seed;

    /// Every level that this machine has.
    fn scanners() -> Vec<Scanner> {
        let best = Scanner::new();
        let levels = [
            #[cfg(target_arch = "x86_64")]
            Level::Avx2,
            Level::Baseline,
        ];
        let able = |level: &Level| best.level != Level::Baseline || *level == Level::Baseline;
        let others = levels.into_iter().filter(able).map(|level| Scanner { level });
        others.chain([best]).collect()
    }

    fn random(n_rows: usize, n_bits: usize, purpose: &str) -> BitMatrix {
        BitMatrix::random(n_rows, n_bits, &mut Seed::new(2).stream("hamming", purpose))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn every_level_counts_what_a_plain_loop_counts(n_rows in 0_usize..600, n_bits in 1_usize..1100) {
            let (rows, queries) = (random(n_rows, n_bits, "rows"), random(3, n_bits, "queries"));
            for scanner in scanners() {
                for query in 0..3 {
                    let mut seen = Vec::new();
                    scanner.distances(rows.words(), queries.row(query), |row, d| seen.push((row, d)));
                    let differs = |row: usize| {
                        let bits = (0..n_bits).filter(|bit| rows.bit(row, *bit) != queries.bit(query, *bit));
                        (row, u32::try_from(bits.count()).unwrap())
                    };
                    prop_assert_eq!(seen, (0..n_rows).map(differs).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn queries_side_by_side_find_what_a_plain_loop_finds(
            n_rows in 0_usize..300, n_bits in 1_usize..1100, n_queries in 0_usize..11, share in 0_usize..110,
        ) {
            let (rows, queries) = (random(n_rows, n_bits, "rows"), random(n_queries, n_bits, "queries"));
            let radius = u32::try_from(n_bits * share / 100).unwrap();
            for scanner in scanners() {
                let mut seen = vec![Vec::new(); n_queries];
                Queries::for_scanner(&queries, scanner).within(rows.words(), radius, |query, row| seen[query].push(row));
                for (query, seen) in seen.iter().enumerate() {
                    let near = |row: &usize| rows.distance(*row, &queries, query) <= radius;
                    prop_assert_eq!(seen, &(0..n_rows).filter(near).collect::<Vec<_>>());
                }
            }
        }

        #[test]
        fn scans_agree_with_distances(n_rows in 0_usize..20_000, n_bits in prop::sample::select(vec![1, 64, 100, 784, 1000])) {
            let (rows, queries) = (random(n_rows, n_bits, "rows"), random(4, n_bits, "queries"));
            let radius = u32::try_from(n_bits / 2).unwrap();
            let each = rows.within_each(&queries, radius).unwrap();
            for (query, found) in each.iter().enumerate() {
                let distances = rows.distances(queries.row(query)).unwrap();
                let plain: Vec<u32> = (0_u32..).zip(&distances).filter(|(_, d)| **d <= radius).map(|(row, _)| row).collect();
                prop_assert_eq!(found, &plain);
                prop_assert_eq!(rows.within(queries.row(query), radius).unwrap(), plain);
            }
        }
    }

    #[test]
    fn widths_are_checked() {
        let rows = random(5, 100, "rows");
        assert!(rows.distances(&[0]).is_err());
        assert!(rows.within(&[0; 3], 1).is_err());
        assert!(rows.within_each(&random(5, 99, "queries"), 1).is_err());
        assert_eq!(BitMatrix::zeros(2, 0).within(&[], 0).unwrap(), [0, 1]);
    }
}
