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
    /// Numbers of a row of queries, keys and values.
    pub const fn packed(&self) -> usize {
        (self.n_heads + 2 * self.n_kv_heads) * self.d_head
    }

    /// Numbers of a row of the result.
    pub const fn width(&self) -> usize {
        self.n_heads * self.d_head
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

    fn check(&self, qkv: &[f32]) {
        assert!(
            self.n_kv_heads > 0 && self.n_heads.is_multiple_of(self.n_kv_heads),
            "heads of queries in groups"
        );
        assert!(
            qkv.len().is_multiple_of((self.n_tokens * self.packed()).max(1)),
            "whole sequences"
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
/// `qkv` `[sequence · token, number]`, in each row the queries of all heads, then the keys, then the values.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Memory
/// Products are of 32 queries and one head at a time, and not kept.
///
/// # Panics
/// If `qkv` is not whole sequences, or heads do not come in groups.
///
/// # Examples
/// The second token sees both values, and prefers neither:
/// ```
/// use kernels::transformer::{AttentionShape, attention};
///
/// let shape =
///     AttentionShape { n_tokens: 2, n_heads: 1, n_kv_heads: 1, d_head: 1, scale: 1.0, window: None };
/// let answer = attention(&[0.0, 7.0, 1.0, 0.0, 9.0, 2.0], &shape);
/// assert_eq!(answer.y, [1.0, 1.5]);
/// ```
pub fn attention(qkv: &[f32], shape: &AttentionShape) -> Attention {
    shape.check(qkv);
    let AttentionShape { n_tokens, n_heads, d_head, .. } = *shape;
    let n_rows = qkv.len() / shape.packed().max(1);
    let mut y = vec![0.0; n_rows * shape.width()];
    let mut levels = vec![0.0; n_rows * n_heads];
    let sequences = y.par_chunks_mut(n_tokens * shape.width());
    let sequences = sequences.zip(levels.par_chunks_mut(n_tokens * n_heads));
    sequences.zip(qkv.par_chunks(n_tokens * shape.packed())).for_each(|((y, levels), qkv)| {
        let mut p = vec![0.0; BLOCK * n_tokens];
        for (head, first) in shape.blocks() {
            let block = Block::of(shape, head, first);
            block.products(qkv, &mut p);
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
            let y = &mut y[first * shape.width() + head * d_head..];
            multiply_into(y, shape.width(), false, p, block.values(qkv), size);
        }
    });
    Attention { y, levels }
}

/// The gradient of [`attention`] by its input, given that by its result: with δᵢ = ∂yᵢ·yᵢ and
/// sᵢⱼ = pᵢⱼ·(∂yᵢ·vⱼ − δᵢ)·scale, ∂qᵢ = Σⱼ sᵢⱼ·kⱼ, ∂kⱼ = Σᵢ sᵢⱼ·qᵢ, ∂vⱼ = Σᵢ pᵢⱼ·∂yᵢ.
///
/// # Shapes
/// `qkv` and the result as there, `dy` as `answer.y`.
///
/// # Determinism
/// The same bits for any number of threads; the last bits depend on the CPU class.
///
/// # Panics
/// If the sizes do not fit.
pub fn attention_backward(
    qkv: &[f32],
    answer: &Attention,
    dy: &[f32],
    shape: &AttentionShape,
) -> Vec<f32> {
    shape.check(qkv);
    assert_eq!(dy.len(), answer.y.len(), "a gradient for each number");
    let AttentionShape { n_tokens, n_heads, d_head, scale, .. } = *shape;
    let (packed, width) = (shape.packed(), shape.width());
    let mut gradient = vec![0.0; qkv.len()];
    let inputs = qkv.par_chunks(n_tokens * packed).zip(dy.par_chunks(n_tokens * width));
    let outputs = answer.y.par_chunks(n_tokens * width);
    let outputs = outputs.zip(answer.levels.par_chunks(n_tokens * n_heads));
    let sequences = gradient.par_chunks_mut(n_tokens * packed).zip(inputs.zip(outputs));
    sequences.for_each(|(gradient, ((qkv, dy), (y, levels)))| {
        let (mut p, mut s) = (vec![0.0; BLOCK * n_tokens], vec![0.0; BLOCK * n_tokens]);
        for (head, first) in shape.blocks() {
            let block = Block::of(shape, head, first);
            let (n, n_keys) = (block.n, block.n_keys());
            block.products(qkv, &mut p);
            let own = first * width + head * d_head;
            let dy_rows = Factor::rows(&dy[own..], width);
            let values = block.values(qkv).turned();
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
            let [query, key, value] = block.places();
            let (queries, keys) = (block.queries(qkv), block.keys_of(qkv));
            multiply_into(&mut gradient[query..], packed, true, s, keys, [n, n_keys, d_head]);
            let size = [n_keys, n, d_head];
            multiply_into(&mut gradient[key..], packed, true, s.turned(), queries, size);
            multiply_into(&mut gradient[value..], packed, true, p.turned(), dy_rows, size);
        }
    });
    gradient
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

    /// Where the first query, key and value begin.
    fn places(&self) -> [usize; 3] {
        let AttentionShape { n_heads, n_kv_heads, d_head, .. } = *self.shape;
        let (packed, kv) = (self.shape.packed(), self.head / (n_heads / n_kv_heads));
        let [keys, values] = [n_heads * d_head, (n_heads + n_kv_heads) * d_head];
        let begin = self.keys.start * packed + kv * d_head;
        [self.first * packed + self.head * d_head, begin + keys, begin + values]
    }

    fn queries<'b>(&self, qkv: &'b [f32]) -> Factor<'b> {
        Factor::rows(&qkv[self.places()[0]..], self.shape.packed())
    }

    fn keys_of<'b>(&self, qkv: &'b [f32]) -> Factor<'b> {
        Factor::rows(&qkv[self.places()[1]..], self.shape.packed())
    }

    fn values<'b>(&self, qkv: &'b [f32]) -> Factor<'b> {
        Factor::rows(&qkv[self.places()[2]..], self.shape.packed())
    }

    /// q·k of each query with each key.
    fn products(&self, qkv: &[f32], p: &mut [f32]) {
        let size = [self.n, self.shape.d_head, self.n_keys()];
        let keys = self.keys_of(qkv).turned();
        multiply_into(p, self.n_keys(), false, self.queries(qkv), keys, size);
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

    /// By the definition, in 64 bits.
    fn plain(qkv: &[f32], shape: &AttentionShape) -> Vec<f64> {
        let AttentionShape { n_tokens, n_heads, n_kv_heads, d_head, .. } = *shape;
        let row = |sequence: usize, token: usize, part: usize, head: usize, at: usize| {
            let begin = [0, n_heads, n_heads + n_kv_heads][part] + head;
            let row = (sequence * n_tokens + token) * shape.packed();
            f64::from(qkv[row + begin * d_head + at])
        };
        let mut y = Vec::new();
        for sequence in 0..qkv.len() / shape.packed() / n_tokens {
            for i in 0..n_tokens {
                for head in 0..n_heads {
                    let kv = head * n_kv_heads / n_heads;
                    let begin = shape.window.map_or(0, |window| (i + 1).saturating_sub(window));
                    let weight = |j: usize| {
                        let dot: f64 = (0..d_head)
                            .map(|at| row(sequence, i, 0, head, at) * row(sequence, j, 1, kv, at))
                            .sum();
                        libm::exp(f64::from(shape.scale) * dot)
                    };
                    let total: f64 = (begin..=i).map(weight).sum();
                    for at in 0..d_head {
                        let sum: f64 =
                            (begin..=i).map(|j| weight(j) * row(sequence, j, 2, kv, at)).sum();
                        y.push(sum / total);
                    }
                }
            }
        }
        y
    }

    #[test]
    fn attention_as_by_its_definition() {
        for shape in SHAPES {
            let qkv = random(2 * shape.n_tokens * shape.packed(), "qkv");
            let answer = attention(&qkv, &shape);
            for (got, want) in answer.y.iter().zip(plain(&qkv, &shape)) {
                assert!((f64::from(*got) - want).abs() < 1e-5, "{shape:?}: {got} {want}");
            }
        }
    }

    #[test]
    fn gradients_are_differences() {
        for shape in SHAPES {
            let qkv = random(shape.n_tokens * shape.packed(), "qkv");
            let weight = random(shape.n_tokens * shape.width(), "weight");
            let answer = attention(&qkv, &shape);
            let found = attention_backward(&qkv, &answer, &weight, &shape);
            differences(&qkv, &found, |qkv| {
                plain(qkv, &shape).iter().zip(&weight).map(|(y, w)| y * f64::from(*w)).sum()
            });
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let shape = SHAPES[1];
        let qkv = random(5 * shape.n_tokens * shape.packed(), "qkv");
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let answer = attention(&qkv, &shape);
                let gradient = attention_backward(&qkv, &answer, &answer.y, &shape);
                (answer, gradient)
            })
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn later_tokens_do_not_matter() {
        let shape = SHAPES[0];
        let qkv = random(shape.n_tokens * shape.packed(), "qkv");
        let mut other = qkv.clone();
        other[50 * shape.packed()..].fill(3.0);
        let (one, other) = (attention(&qkv, &shape).y, attention(&other, &shape).y);
        assert_eq!(one[..50 * shape.width()], other[..50 * shape.width()]);
        assert_ne!(one, other);
    }
}
