//! Codes with many active latents: blocks made dense, and their products as matrices.
//!
//! A product of matrices does six to fourteen times the work of single rows in the same time, so that it is faster where
//! many latents are active, though most of what it multiplies is 0.
//!
//! # Complexity
//! 2·n·d operations for each row of the batch, for each pass, however many latents are active.
//!
//! # Memory
//! 512 KiB for each thread.

use std::ops::Range;

use rayon::prelude::*;

use super::Codes;
use crate::Matrix;
use crate::matrix::{Factor, multiply_into};

/// Sums of rows are products of matrices if more than one of so many places is active: there both take the same time, as
/// measured for 4096 rows of 256 numbers and 8192 latents.
const SUMS: usize = 6;
/// As [`SUMS`], for products of single rows.
const PRODUCTS: usize = 14;
/// Rows of a batch that one task takes.
const TASK_ROWS: usize = 256;
/// Latents of these that are made dense together.
const BLOCK: usize = 512;

/// Whether so many latents are active that sums of rows are products of matrices. Nothing else decides, so that results
/// depend on codes alone.
pub(super) fn has_dense_sums(n_active: usize, n_rows: usize, n_latents: usize) -> bool {
    n_active.saturating_mul(SUMS) > n_rows.saturating_mul(n_latents)
}

/// As [`has_dense_sums`], for products of single rows.
pub(super) fn has_dense_products(n_active: usize, n_rows: usize, n_latents: usize) -> bool {
    n_active.saturating_mul(PRODUCTS) > n_rows.saturating_mul(n_latents)
}

/// Where what is active in each of some rows begins that was not looked at.
struct Left<'a> {
    codes: &'a Codes,
    rows: Range<usize>,
    begins: Vec<usize>,
}

impl<'a> Left<'a> {
    fn new(codes: &'a Codes, rows: Range<usize>) -> Self {
        let begins = rows.clone().map(|row| codes.place(row).start).collect();
        Self { codes, rows, begins }
    }

    /// For each row the places of the next block, n latents that end before `end`.
    fn block(&mut self, n: usize, end: usize) -> impl Iterator<Item = Range<usize>> {
        let codes = self.codes;
        self.rows.clone().zip(&mut self.begins).map(move |(row, next)| {
            let begin = *next;
            let some = begin..codes.place(row).end.min(begin + n);
            *next += codes.latents()[some].partition_point(|latent| (*latent as usize) < end);
            begin..*next
        })
    }
}

/// [`Codes::decode`] of sizes that fit, into zeros.
pub(super) fn decode(codes: &Codes, decoder: &Matrix, bias: &[f32], decoded: &mut Matrix) {
    let (width, n_latents) = (decoder.n_columns(), decoder.n_rows());
    let tasks = decoded.values_mut().par_chunks_mut(TASK_ROWS * width.max(1)).enumerate();
    tasks.for_each(|(task, sums)| {
        let first_row = task * TASK_ROWS;
        let n_rows = sums.len() / width;
        let mut left = Left::new(codes, first_row..first_row + n_rows);
        let mut dense = vec![0.0; n_rows * BLOCK.min(n_latents)];
        for first in (0..n_latents).step_by(BLOCK) {
            let n = BLOCK.min(n_latents - first);
            let dense = &mut dense[..n_rows * n];
            dense.fill(0.0);
            for (row, places) in dense.chunks_exact_mut(n).zip(left.block(n, first + n)) {
                let latents = &codes.latents()[places.clone()];
                for (latent, value) in latents.iter().zip(&codes.values()[places]) {
                    row[*latent as usize - first] = *value;
                }
            }
            let (a, b) =
                (Factor::rows(dense, n), Factor::rows(&decoder.values()[first * width..], width));
            multiply_into(sums, width, true, a, b, [n_rows, n, width]);
        }
        for sum in sums.chunks_exact_mut(width) {
            sum.iter_mut().zip(bias).for_each(|(sum, bias)| *sum += bias);
        }
    });
}

/// [`Codes::products`] of sizes that fit.
pub(super) fn products(codes: &Codes, gradient: &Matrix, decoder: &Matrix, products: &mut [f32]) {
    let (width, n_latents) = (decoder.n_columns(), decoder.n_rows());
    if width == 0 {
        return;
    }
    codes.tasks(TASK_ROWS, products).into_par_iter().for_each(|(rows, products)| {
        let n_rows = rows.len();
        let gradient = Factor::rows(&gradient.values()[rows.start * width..], width);
        let begin = codes.place(rows.start).start;
        let mut left = Left::new(codes, rows);
        let mut dense = vec![0.0; n_rows * BLOCK.min(n_latents)];
        for first in (0..n_latents).step_by(BLOCK) {
            let n = BLOCK.min(n_latents - first);
            let dense = &mut dense[..n_rows * n];
            let decoder = Factor::rows(&decoder.values()[first * width..], width).turned();
            multiply_into(dense, n, false, gradient, decoder, [n_rows, width, n]);
            for (row, places) in dense.chunks_exact(n).zip(left.block(n, first + n)) {
                let products = &mut products[places.start - begin..places.end - begin];
                for (product, latent) in products.iter_mut().zip(&codes.latents()[places]) {
                    *product = row[*latent as usize - first];
                }
            }
        }
    });
}
