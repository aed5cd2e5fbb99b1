//! Many queries against the same rows: the distances of 64 rows side by side, by tables.
//!
//! A byte of 64 rows fills two vectors of 32 bytes. The bits by which a nibble differs from one of a query
//! are a table of 16 entries, looked up for 32 rows by one instruction, so that a byte of 32 rows costs two
//! lookups and two additions. Counting the bits of packed words takes twice as many.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_add_epi8, _mm256_add_epi16, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi16, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_packs_epi16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_subs_epu16, _mm256_unpackhi_epi8,
    _mm256_unpacklo_epi8,
};

use crate::BitMatrix;

/// Rows of a tile.
pub(crate) const TILE_ROWS: usize = 64;
/// Queries that share the nibbles of a tile.
pub(crate) const GROUP: usize = 4;
/// Bytes whose differing bits, 8 at most, a counter of 8 bits can hold.
const SPAN: usize = 31;

/// Byte after byte, that of each of 64 rows.
pub(crate) type Tile = [Bytes];
/// A byte of each row, in one line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Bytes(pub(crate) [u8; TILE_ROWS]);

/// Byte after byte, 16 times the low and the high nibble of each of four queries: where its table begins.
pub(crate) type Nibbles = [[u8; 2 * GROUP]];

/// For each value of a query's nibble, its distance to every nibble; 16 zeros follow.
static TABLES: Tables = Tables(tables());

/// In whole lines of the cache.
#[repr(align(64))]
struct Tables([u8; 272]);

const fn tables() -> [u8; 272] {
    let mut tables = [0; 272];
    let mut at = 0_usize;
    while at < 256 {
        let differ = (at >> 4) ^ (at & 15);
        #[expect(clippy::cast_possible_truncation, reason = "a nibble has four bits")]
        {
            tables[at] = differ.count_ones() as u8;
        }
        at += 1;
    }
    tables
}

/// The nibbles of queries in groups of four, a group after the other; the last is filled up with zeros.
pub(crate) fn nibbles(queries: &BitMatrix) -> Vec<[u8; 2 * GROUP]> {
    let n_bytes = 8 * queries.words_per_row();
    let mut nibbles = vec![[0; 2 * GROUP]; queries.n_rows().div_ceil(GROUP) * n_bytes];
    for query in 0..queries.n_rows() {
        let group = &mut nibbles[query / GROUP * n_bytes..][..n_bytes];
        let bytes = queries.row(query).iter().flat_map(|word| word.to_le_bytes());
        for (nibbles, byte) in group.iter_mut().zip(bytes) {
            nibbles[2 * (query % GROUP)] = byte << 4;
            nibbles[2 * (query % GROUP) + 1] = byte & 0xf0;
        }
    }
    nibbles
}

/// Lays at most 64 rows side by side; what lies beyond the last is not defined.
#[target_feature(enable = "avx2")]
pub(crate) fn fill(tile: &mut Tile, rows: &[u64], words: usize) {
    for (group, rows) in rows.chunks(8 * words).enumerate() {
        for first in (0..words).step_by(4) {
            // Four words of eight rows: four transpositions of 8 × 8 bytes go on side by side.
            let mut lanes = [[0_u64; 4]; 8];
            for (lanes, row) in lanes.iter_mut().zip(rows.chunks_exact(words)) {
                match row[first..].first_chunk::<4>() {
                    Some(four) => *lanes = *four,
                    None => {
                        lanes.iter_mut().zip(&row[first..]).for_each(|(lane, word)| *lane = *word);
                    }
                }
            }
            for (half, mask) in [
                (4, 0x0000_0000_ffff_ffff),
                (2, 0x0000_ffff_0000_ffff),
                (1, 0x00ff_00ff_00ff_00ff_u64),
            ] {
                for at in (0..8).filter(|at| at & half == 0) {
                    let (low, high) = lanes.split_at_mut(at + half);
                    for (a, b) in low[at].iter_mut().zip(&mut high[0]) {
                        let shift = 8 * half;
                        let swap = ((*a >> shift) ^ *b) & mask;
                        *a ^= swap << shift;
                        *b ^= swap;
                    }
                }
            }
            for (byte, lanes) in lanes.iter().enumerate() {
                for (word, lane) in (first..words).zip(lanes) {
                    tile[8 * word + byte].0.as_chunks_mut::<8>().0[group] = lane.to_le_bytes();
                }
            }
        }
    }
}

/// For each of four queries, which of the 64 rows lie within the radius: row i is bit i.
#[target_feature(enable = "avx2")]
pub(crate) fn near(tile: &Tile, nibbles: &Nibbles, radius: u16) -> [u64; GROUP] {
    let zero = _mm256_setzero_si256();
    // Rows 0 to 31 and 32 to 63, and of each the two halves that unpacking makes.
    let mut totals = [[[zero; 2]; 2]; GROUP];
    for (tile, nibbles) in tile.chunks(SPAN).zip(nibbles.chunks(SPAN)) {
        let mut sums = [[zero; 2]; GROUP];
        for (bytes, nibbles) in tile.iter().zip(nibbles) {
            let halves = bytes.0.as_chunks::<32>().0;
            let first = split(vector(&halves[0]));
            let second = split(vector(&halves[1]));
            for query in 0..GROUP {
                let low = table(nibbles[2 * query]);
                let high = table(nibbles[2 * query + 1]);
                sums[query][0] = _mm256_add_epi8(sums[query][0], differ(low, high, first));
                sums[query][1] = _mm256_add_epi8(sums[query][1], differ(low, high, second));
            }
        }
        for (totals, sums) in totals.iter_mut().flatten().zip(sums.iter().flatten()) {
            totals[0] = _mm256_add_epi16(totals[0], _mm256_unpacklo_epi8(*sums, zero));
            totals[1] = _mm256_add_epi16(totals[1], _mm256_unpackhi_epi8(*sums, zero));
        }
    }
    let radius = _mm256_set1_epi16(radius.cast_signed());
    let mut found = [0; GROUP];
    for (found, [first, second]) in found.iter_mut().zip(totals) {
        *found = within(first, radius) | within(second, radius) << 32;
    }
    found
}

// No closures here: a closure does not get the instructions of the function around it.

/// The low and the high nibble of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn split(bytes: __m256i) -> [__m256i; 2] {
    let mask = _mm256_set1_epi8(15);
    [_mm256_and_si256(bytes, mask), _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), mask)]
}

/// In how many bits each byte of the rows differs, by the tables of its nibbles.
#[inline]
#[target_feature(enable = "avx2")]
fn differ(low: __m256i, high: __m256i, [row_low, row_high]: [__m256i; 2]) -> __m256i {
    _mm256_add_epi8(_mm256_shuffle_epi8(low, row_low), _mm256_shuffle_epi8(high, row_high))
}

/// Which of 32 sums of 16 bits, as unpacking lays them, are at most the radius.
#[inline]
#[target_feature(enable = "avx2")]
fn within([a, b]: [__m256i; 2], radius: __m256i) -> u64 {
    let zero = _mm256_setzero_si256();
    let a = _mm256_cmpeq_epi16(_mm256_subs_epu16(a, radius), zero);
    let b = _mm256_cmpeq_epi16(_mm256_subs_epu16(b, radius), zero);
    u64::from(_mm256_movemask_epi8(_mm256_packs_epi16(a, b)).cast_unsigned())
}

/// A vector of bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn vector(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are read, and the array has as many; any alignment will do.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// The table that begins here, in both halves of a vector.
#[inline]
#[target_feature(enable = "avx2")]
fn table(begin: u8) -> __m256i {
    let begin = usize::from(begin);
    let table: &[u8] = &TABLES.0[begin..begin + 16];
    // SAFETY: 16 bytes are read, and the slice has as many; any alignment will do.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(table.as_ptr().cast()) })
}
