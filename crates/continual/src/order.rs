//! Orders of classes as numpy shuffles them.

/// State words of the Mersenne Twister MT19937.
const WORDS: usize = 624;

/// The order of 0, 1, …, n − 1 after `numpy.random.seed(seed)` and `numpy.random.shuffle`: the published orders of
/// classes are those of 10 classes under seeds 3, 15, 27 and 97, beside the natural one.
///
/// # Examples
///
/// ```
/// assert_eq!(continual::numpy_order(3, 10), [5, 4, 1, 2, 9, 6, 7, 0, 3, 8]);
/// ```
pub fn numpy_order(seed: u32, n: usize) -> Vec<usize> {
    let mut twister = Twister::new(seed);
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, twister.at_most(last));
    }
    order
}

struct Twister {
    state: [u32; WORDS],
    next: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [seed; WORDS];
        for at in 1..WORDS {
            let before: u32 = state[at - 1];
            let place = u32::try_from(at).unwrap_or(0);
            state[at] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(place);
        }
        Self { state, next: WORDS }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            for at in 0..WORDS {
                let joined =
                    (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % WORDS] & 0x7fff_ffff);
                let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[at] = self.state[(at + 397) % WORDS] ^ (joined >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// A uniform number up to `largest`: words under the narrowest mask until one is small enough.
    fn at_most(&mut self, largest: usize) -> usize {
        let mask = (largest + 1).next_power_of_two() - 1;
        loop {
            let value = self.word() as usize & mask;
            if value <= largest {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_orders() {
        assert_eq!(numpy_order(15, 10), [2, 6, 1, 3, 7, 0, 9, 4, 5, 8]);
        assert_eq!(numpy_order(27, 10), [4, 2, 9, 1, 5, 6, 7, 0, 8, 3]);
        assert_eq!(numpy_order(97, 10), [7, 1, 2, 0, 6, 8, 4, 5, 9, 3]);
    }

    #[test]
    fn the_first_words_of_the_twister() {
        // The reference implementation's for seed 5489.
        let mut twister = Twister::new(5489);
        assert_eq!([twister.word(), twister.word()], [3_499_211_612, 581_869_302]);
    }

    #[test]
    fn every_class_once() {
        let mut order = numpy_order(3, 100);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
        assert!(numpy_order(3, 0).is_empty());
    }
}
