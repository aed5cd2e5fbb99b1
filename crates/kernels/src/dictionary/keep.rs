//! What is kept of pre-activations.

use pulp::Simd;
use pulp::bytemuck::bytes_of;

/// Candidates for which there is room beside 2·k.
const ROOM: usize = 96;
/// Candidates for which there is room from the beginning, at most.
const MOST_ROOM: usize = 1024;

/// What is kept of the pre-activations of a row.
pub(super) trait Keep: Send {
    /// Looks at N vectors of them, W·x without b; `first` is their first latent.
    fn look<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        products: &[f32],
        bias: &[f32],
        first: usize,
    );

    /// What is kept of other latents too.
    fn join(&mut self, other: Self);

    /// By ascending latent.
    fn done(self) -> Vec<(u32, f32)>;
}

/// Pre-activations above bounds, one after the other.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn above<S: Simd, const N: usize>(
    simd: S,
    products: &[f32],
    bias: &[f32],
    bounds: &[S::f32s; N],
    mut found: impl FnMut(usize, f32),
) {
    let none = simd.greater_than_f32s(simd.splat_f32s(0.0), simd.splat_f32s(0.0));
    let (mut are_above, mut any) = ([none; N], none);
    let vectors = S::as_simd_f32s(products).0.iter().zip(S::as_simd_f32s(bias).0);
    for ((is_above, (products, bias)), bound) in are_above.iter_mut().zip(vectors).zip(bounds) {
        *is_above = simd.greater_than_f32s(simd.add_f32s(*products, *bias), *bound);
        any = simd.or_m32s(any, *is_above);
    }
    // Seldom, once bounds are high.
    if bytes_of(&any).iter().fold(0, |any, byte| any | byte) == 0 {
        return;
    }
    let are_above = are_above.iter().rev();
    let mut left = are_above.fold(0, |left, is_above| left << S::F32_LANES | lanes::<S>(is_above));
    while left > 0 {
        let lane = left.trailing_zeros() as usize;
        found(lane, products[lane] + bias[lane]);
        left &= left - 1;
    }
}

/// Which lanes are set: lane i is bit i.
#[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
#[inline(always)]
fn lanes<S: Simd>(mask: &S::m32s) -> u64 {
    let bytes = bytes_of(mask);
    if bytes.len() == S::F32_LANES * size_of::<f32>() {
        // A number with all bits set or none for each.
        let lanes = bytes.as_chunks::<4>().0.iter().rev();
        lanes.fold(0, |set, lane| set << 1 | u64::from(lane[0] & 1))
    } else {
        bytes.iter().rev().fold(0, |set, byte| set << 8 | u64::from(*byte))
    }
}

/// The k largest that are positive.
pub(super) struct Largest {
    k: usize,
    /// Only what is larger can be among them.
    bound: f32,
    /// The bits of a value, which order positive numbers, then those of the latent, turned so that of equal values the
    /// earlier is larger.
    found: Vec<u64>,
}

impl Largest {
    pub(super) fn new(k: usize) -> Self {
        let bound = if k == 0 { f32::INFINITY } else { 0.0 };
        Self { k, bound, found: Vec::with_capacity((2 * k + ROOM).min(MOST_ROOM)) }
    }

    /// Leaves the k largest. What comes later is of a later latent, so that it has to be larger than all of these.
    #[inline(never)]
    fn select(&mut self) {
        if self.k > 0 && self.found.len() >= self.k {
            let (_, last, _) = self.found.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.bound = value(*last);
            self.found.truncate(self.k);
        }
    }
}

fn value(found: u64) -> f32 {
    f32::from_bits((found >> 32) as u32)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
fn latent(found: u64) -> u32 {
    !(found as u32)
}

impl Keep for Largest {
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn look<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        products: &[f32],
        bias: &[f32],
        first: usize,
    ) {
        let bounds = [simd.splat_f32s(self.bound); N];
        above(simd, products, bias, &bounds, |at, value| {
            #[expect(clippy::cast_possible_truncation, reason = "less than 2^32 latents")]
            let latent = (first + at) as u32;
            self.found.push(u64::from(value.to_bits()) << 32 | u64::from(!latent));
        });
        if self.found.len() >= 2 * self.k + N * S::F32_LANES {
            self.select();
        }
    }

    fn join(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    fn done(mut self) -> Vec<(u32, f32)> {
        self.select();
        let mut found: Vec<_> = self.found.into_iter().map(|f| (latent(f), value(f))).collect();
        found.sort_unstable_by_key(|(latent, _)| *latent);
        found
    }
}

/// All above thresholds.
pub(super) struct Above<'a> {
    thresholds: &'a [f32],
    found: Vec<(u32, f32)>,
}

impl<'a> Above<'a> {
    pub(super) fn new(thresholds: &'a [f32]) -> Self {
        Self { thresholds, found: Vec::new() }
    }
}

impl Keep for Above<'_> {
    #[expect(clippy::inline_always, reason = "to get the instructions of the caller")]
    #[inline(always)]
    fn look<S: Simd, const N: usize>(
        &mut self,
        simd: S,
        products: &[f32],
        bias: &[f32],
        first: usize,
    ) {
        let bounds = S::as_simd_f32s(&self.thresholds[first..]).0.as_chunks::<N>().0;
        above(simd, products, bias, &bounds[0], |at, value| {
            #[expect(clippy::cast_possible_truncation, reason = "less than 2^32 latents")]
            self.found.push(((first + at) as u32, value));
        });
    }

    fn join(&mut self, other: Self) {
        self.found.extend(other.found);
    }

    fn done(mut self) -> Vec<(u32, f32)> {
        self.found.sort_by_key(|(latent, _)| *latent);
        self.found
    }
}
