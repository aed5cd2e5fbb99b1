//! Causal attention.

use std::ops::Range;

use rayon::prelude::*;

use super::lanes::{largest, sum, sum2};
use crate::exp;
use crate::matrix::{Factor, multiply_into};

/// Queries that are answered together: keys beyond their last are not looked at.
const BLOCK: usize = 32;

/// What attention is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionShape {
    /// Tokens of a sequence.
    pub n_tokens: usize,
    /// Heads of queries.
    pub n_heads: usize,
    /// Heads of keys and values, each shared by the same number of heads of queries.
    pub n_kv_heads: usize,
    /// Numbers of a head.
    pub d_head: usize,
    /// What products of queries and keys are multiplied by, 1/√`d_head` as a rule.
    pub scale: f32,
    /// The number of keys that a query sees, its own the last; none: all before it.
    pub window: Option<usize>,
}

impl AttentionShape {
    /// Numbers of a row of queries, and of the result.
    pub const fn width(&self) -> usize {
        self.n_heads * self.d_head
    }

    /// Numbers of a row of keys, or of values.
    pub const fn kv_width(&self) -> usize {
        self.n_kv_heads * self.d_head
    }

    /// The keys that a query sees.
    fn seen(&self, query: usize) -> Range<usize> {
        self.window.map_or(0, |window| (query + 1).saturating_sub(window))..query + 1
    }

    /// Every head with the first query of each block.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let n_tokens = self.n_tokens;
        (0..self.n_heads)
            .flat_map(move |head| (0..n_tokens).step_by(BLOCK).map(move |first| (head, first)))
    }

    fn check(&self, [q, k, v]: [&[f32]; 3]) {
        assert!(
            self.n_kv_heads > 0 && self.n_heads.is_multiple_of(self.n_kv_heads),
            "heads of queries in groups"
        );
        assert!(
            q.len().is_multiple_of((self.n_tokens * self.width()).max(1))
                && k.len() * self.n_heads == q.len() * self.n_kv_heads
                && v.len() == k.len(),
            "whole sequences of queries, keys and values"
        );
        assert!(self.window != Some(0), "a query sees its own key");
    }
}

/// What attention makes of sequences.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    /// `[sequence · token, head · number]`.
    pub y: Vec<f32>,
    /// ln Σ exp of the scaled products of each query, `[sequence, head, token]`.
    pub levels: Vec<f32>,
}

/// yᵢ = Σⱼ pᵢⱼ·vⱼ with pᵢⱼ = exp(scale·qᵢ·kⱼ − levelᵢ) over the keys j ≤ i that query i sees.
///
/// # Shapes
/// `q` `[sequence · token, head · number]`, `k` and `v` the same with heads of keys.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Memory
/// Products are of 32 queries and one head at a time, and not kept.
///
/// # Panics
/// If they are not whole sequences, or heads do not come in groups.
///
/// # Examples
/// The second token sees both values, and prefers neither:
/// ```
/// use kernels::transformer::{AttentionShape, attention};
///
/// let shape =
///     AttentionShape { n_tokens: 2, n_heads: 1, n_kv_heads: 1, d_head: 1, scale: 1.0, window: None };
/// let answer = attention([&[0.0, 0.0], &[7.0, 9.0], &[1.0, 2.0]], &shape);
/// assert_eq!(answer.y, [1.0, 1.5]);
/// ```
pub fn attention([q, k, v]: [&[f32]; 3], shape: &AttentionShape) -> Attention {
    shape.check([q, k, v]);
    let AttentionShape { n_tokens, n_heads, d_head, .. } = *shape;
    let (width, kv_width) = (shape.width(), shape.kv_width());
    let n_rows = q.len() / width.max(1);
    let mut levels = vec![0.0; n_rows * n_heads];
    let mut y = vec![0.0; q.len()];
    let inputs = q.par_chunks((n_tokens * width).max(1));
    let inputs = inputs.zip(k.par_chunks((n_tokens * kv_width).max(1)));
    let inputs = inputs.zip(v.par_chunks((n_tokens * kv_width).max(1)));
    let sequences = y.par_chunks_mut((n_tokens * width).max(1));
    let sequences = sequences.zip(levels.par_chunks_mut((n_tokens * n_heads).max(1)));
    sequences.zip(inputs).for_each(|((y, levels), ((q, k), v))| {
        let mut p = vec![0.0; BLOCK * n_tokens];
        for (head, first) in shape.blocks() {
            let block = Block::of(shape, head, first);
            block.products(q, k, &mut p);
            let levels = &mut levels[head * n_tokens + first..][..block.n];
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    for (at, level) in levels.iter_mut().enumerate() {
                        *level = block.softmax(at, &mut p);
                    }
                },
            );
            let p = Factor::rows(&p, block.n_keys());
            let size = [block.n, block.n_keys(), d_head];
            let y = &mut y[block.first_query()..];
            multiply_into(y, width, false, p, block.keyed(v), size);
        }
    });
    Attention { y, levels }
}

/// The gradients of [`attention`] by queries, keys and values, given that by its result: with δᵢ = ∂yᵢ·yᵢ and
/// sᵢⱼ = pᵢⱼ·(∂yᵢ·vⱼ − δᵢ)·scale, ∂qᵢ = Σⱼ sᵢⱼ·kⱼ, ∂kⱼ = Σᵢ sᵢⱼ·qᵢ, ∂vⱼ = Σᵢ pᵢⱼ·∂yᵢ.
///
/// # Shapes
/// As there; `y` and `levels` as it gave them, `dy` as `y`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Panics
/// If the sizes do not fit.
pub fn attention_backward(
    [q, k, v]: [&[f32]; 3],
    y: &[f32],
    levels: &[f32],
    dy: &[f32],
    shape: &AttentionShape,
) -> [Vec<f32>; 3] {
    shape.check([q, k, v]);
    let AttentionShape { n_tokens, n_heads, d_head, scale, .. } = *shape;
    let (width, kv_width) = (shape.width(), shape.kv_width());
    assert!(
        [y.len(), dy.len()] == [q.len(); 2] && levels.len() * d_head == q.len(),
        "a gradient for each number, a level for each query"
    );
    let mut gradients = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
    let [dq, dk, dv] = &mut gradients;
    let (queries, keys) = ((n_tokens * width).max(1), (n_tokens * kv_width).max(1));
    let inputs = q.par_chunks(queries).zip(k.par_chunks(keys)).zip(v.par_chunks(keys));
    let answers = y.par_chunks(queries).zip(dy.par_chunks(queries));
    let answers = answers.zip(levels.par_chunks((n_tokens * n_heads).max(1)));
    let outputs = dq.par_chunks_mut(queries).zip(dk.par_chunks_mut(keys));
    let outputs = outputs.zip(dv.par_chunks_mut(keys));
    outputs.zip(inputs.zip(answers)).for_each(
        |(((dq, dk), dv), (((q, k), v), ((y, dy), levels)))| {
            let (mut p, mut s) = (vec![0.0; BLOCK * n_tokens], vec![0.0; BLOCK * n_tokens]);
            for (head, first) in shape.blocks() {
                let block = Block::of(shape, head, first);
                let (n, n_keys) = (block.n, block.n_keys());
                let (own, keyed) = (block.first_query(), block.first_key());
                block.products(q, k, &mut p);
                let dy_rows = Factor::rows(&dy[own..], width);
                let values = block.keyed(v).turned();
                multiply_into(&mut s, n_keys, false, dy_rows, values, [n, d_head, n_keys]);
                let levels = &levels[head * n_tokens + first..][..n];
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        for (at, level) in levels.iter().enumerate() {
                            let row = own + at * width..own + at * width + d_head;
                            let along = sum2(&dy[row.clone()], &y[row], |dy, y| dy * y);
                            block.probabilities(at, *level, &mut p);
                            let row = at * n_keys..(at + 1) * n_keys;
                            for (s, p) in s[row.clone()].iter_mut().zip(&p[row]) {
                                *s = p * (*s - along) * scale;
                            }
                        }
                    },
                );
                let (p, s) = (Factor::rows(&p, n_keys), Factor::rows(&s, n_keys));
                let size = [n, n_keys, d_head];
                multiply_into(&mut dq[own..], width, false, s, block.keyed(k), size);
                let size = [n_keys, n, d_head];
                let queries = Factor::rows(&q[own..], width);
                multiply_into(&mut dk[keyed..], kv_width, true, s.turned(), queries, size);
                multiply_into(&mut dv[keyed..], kv_width, true, p.turned(), dy_rows, size);
            }
        },
    );
    gradients
}

/// Some queries of a head, with the keys that one of them sees.
struct Block<'a> {
    shape: &'a AttentionShape,
    head: usize,
    first: usize,
    n: usize,
    keys: Range<usize>,
}

impl<'a> Block<'a> {
    fn of(shape: &'a AttentionShape, head: usize, first: usize) -> Self {
        let n = BLOCK.min(shape.n_tokens - first);
        let keys = shape.seen(first).start..first + n;
        Self { shape, head, first, n, keys }
    }

    fn n_keys(&self) -> usize {
        self.keys.len()
    }

    /// Where the first query begins.
    fn first_query(&self) -> usize {
        self.first * self.shape.width() + self.head * self.shape.d_head
    }

    /// Where the first key and value begin.
    fn first_key(&self) -> usize {
        let AttentionShape { n_heads, n_kv_heads, d_head, .. } = *self.shape;
        self.keys.start * self.shape.kv_width() + self.head / (n_heads / n_kv_heads) * d_head
    }

    /// The keys of a head, or the values.
    fn keyed<'b>(&self, of_keys: &'b [f32]) -> Factor<'b> {
        Factor::rows(&of_keys[self.first_key()..], self.shape.kv_width())
    }

    /// q·k of each query with each key.
    fn products(&self, q: &[f32], k: &[f32], p: &mut [f32]) {
        let size = [self.n, self.shape.d_head, self.n_keys()];
        let queries = Factor::rows(&q[self.first_query()..], self.shape.width());
        multiply_into(p, self.n_keys(), false, queries, self.keyed(k).turned(), size);
    }

    /// The products of a query with what it sees; those beyond become 0.
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn seen<'b>(&self, at: usize, p: &'b mut [f32]) -> &'b mut [f32] {
        let seen = self.shape.seen(self.first + at);
        let (begin, end) = (seen.start - self.keys.start, seen.end - self.keys.start);
        let row = &mut p[at * self.n_keys()..][..self.n_keys()];
        row[..begin].fill(0.0);
        row[end..].fill(0.0);
        &mut row[begin..end]
    }

    /// Products of a query become probabilities; returns its level.
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn softmax(&self, at: usize, p: &mut [f32]) -> f32 {
        let row = self.seen(at, p);
        let scale = self.shape.scale;
        for p in row.iter_mut() {
            *p *= scale;
        }
        let top = largest(row);
        for p in row.iter_mut() {
            *p = exp(*p - top);
        }
        let total = sum(row, |p| p);
        for p in row.iter_mut() {
            *p /= total;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounded to 32 bits")]
        let ln = libm::log(f64::from(total)) as f32;
        top + ln
    }

    /// Products of a query become the probabilities that they were.
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn probabilities(&self, at: usize, level: f32, p: &mut [f32]) {
        let scale = self.shape.scale;
        for p in self.seen(at, p) {
            *p = exp(scale * *p - level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{differences, random};
    use super::*;

    const SHAPES: [AttentionShape; 3] = [
        AttentionShape {
            n_tokens: 70,
            n_heads: 2,
            n_kv_heads: 2,
            d_head: 5,
            scale: 0.4,
            window: None,
        },
        AttentionShape {
            n_tokens: 41,
            n_heads: 4,
            n_kv_heads: 2,
            d_head: 3,
            scale: 0.7,
            window: None,
        },
        AttentionShape {
            n_tokens: 45,
            n_heads: 2,
            n_kv_heads: 1,
            d_head: 4,
            scale: 0.5,
            window: Some(7),
        },
    ];

    fn draw(shape: &AttentionShape, n_sequences: usize) -> [Vec<f32>; 3] {
        let n = n_sequences * shape.n_tokens;
        let [width, kv_width] = [shape.width(), shape.kv_width()];
        [random(n * width, "q"), random(n * kv_width, "k"), random(n * kv_width, "v")]
    }

    /// By the definition, in 64 bits.
    fn plain([q, k, v]: [&[f32]; 3], shape: &AttentionShape) -> Vec<f64> {
        let AttentionShape { n_tokens, n_heads, n_kv_heads, d_head, .. } = *shape;
        let mut y = Vec::new();
        for row in 0..q.len() / shape.width() {
            let i = row % n_tokens;
            let begin = shape.window.map_or(0, |window| (i + 1).saturating_sub(window));
            for head in 0..n_heads {
                let kv = head * n_kv_heads / n_heads;
                let key = |j: usize| ((row - i + j) * n_kv_heads + kv) * d_head;
                let weight = |j: usize| {
                    let query = &q[(row * n_heads + head) * d_head..][..d_head];
                    let terms = query.iter().zip(&k[key(j)..]);
                    let dot: f64 = terms.map(|(q, k)| f64::from(q * k)).sum();
                    libm::exp(f64::from(shape.scale) * dot)
                };
                let total: f64 = (begin..=i).map(weight).sum();
                for at in 0..d_head {
                    let terms = (begin..=i).map(|j| weight(j) * f64::from(v[key(j) + at]));
                    y.push(terms.sum::<f64>() / total);
                }
            }
        }
        y
    }

    #[test]
    fn attention_as_by_its_definition() {
        for shape in SHAPES {
            let [q, k, v] = draw(&shape, 2);
            let answer = attention([&q, &k, &v], &shape);
            for (got, want) in answer.y.iter().zip(plain([&q, &k, &v], &shape)) {
                assert!((f64::from(*got) - want).abs() < 1e-5, "{shape:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn gradients_are_differences() {
        for shape in SHAPES {
            let [q, k, v] = draw(&shape, 1);
            let weight = random(q.len(), "weight");
            let Attention { y, levels } = attention([&q, &k, &v], &shape);
            let [dq, dk, dv] = attention_backward([&q, &k, &v], &y, &levels, &weight, &shape);
            let loss = |q: &[f32], k: &[f32], v: &[f32]| -> f64 {
                let y = plain([q, k, v], &shape);
                y.iter().zip(&weight).map(|(y, w)| y * f64::from(*w)).sum()
            };
            differences(&q, &dq, |q| loss(q, &k, &v));
            differences(&k, &dk, |k| loss(&q, k, &v));
            differences(&v, &dv, |v| loss(&q, &k, v));
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let shape = SHAPES[1];
        let [q, k, v] = draw(&shape, 5);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let Attention { y, levels } = attention([&q, &k, &v], &shape);
                let gradients = attention_backward([&q, &k, &v], &y, &levels, &y, &shape);
                (y, gradients)
            })
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(4));
    }

    #[test]
    fn later_tokens_do_not_matter() {
        let shape = SHAPES[0];
        let [q, k, v] = draw(&shape, 1);
        let change = |x: &[f32]| {
            let mut x = x.to_vec();
            x[50 * shape.width()..].fill(3.0);
            x
        };
        let one = attention([&q, &k, &v], &shape).y;
        let other = attention([&change(&q), &change(&k), &change(&v)], &shape).y;
        assert_eq!(one[..50 * shape.width()], other[..50 * shape.width()]);
        assert_ne!(one, other);
    }
}
