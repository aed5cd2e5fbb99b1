//! Which tokens of two tokenizers end at the same place of one text.

/// What counts when the texts of two windows are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whitespace {
    /// Every byte: for tokenizers that lose none.
    Kept,
    /// All but ASCII whitespace: for tokenizers that add or merge spaces. A token of nothing else is no
    /// content.
    Ignored,
}

/// Tokens of two tokenizers, paired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// Indices (a, b) of the last tokens of windows with the same text, ascending in both.
    pub pairs: Vec<(usize, usize)>,
    /// Whether the windows matched to the end of both texts.
    pub is_complete: bool,
}

/// Pairs tokens of one text under two tokenizers (paper E, Algorithm 1).
///
/// Two pointers go through the tokens, passing over those without content (`None`, or empty). Where
/// the texts of the two windows are equal, their last tokens are a pair and new windows begin; else the
/// window with the shorter text grows. Where they can never become equal, what was paired so far is
/// returned. Time and memory are linear in the text.
///
/// For pieces that give the text back byte for byte ([`Whitespace::Kept`]) the pairs are those tokens
/// whose ends lie at the same byte.
///
/// # Examples
///
/// ```
/// use lm::{Whitespace, align};
///
/// let pieces = |words: &[&str]| -> Vec<Option<Vec<u8>>> {
///     words.iter().map(|word| Some(word.as_bytes().to_vec())).collect()
/// };
/// let (a, b) = (pieces(&["The", " cat", "s"]), pieces(&["T", "he ca", "ts"]));
/// let alignment = align(&a, &b, Whitespace::Kept);
/// assert_eq!(alignment.pairs, [(2, 2)]);
/// let c = pieces(&[" The", " ", "cats"]);
/// assert_eq!(align(&a, &c, Whitespace::Ignored).pairs, [(0, 0), (2, 2)]);
/// assert!(!align(&a, &c, Whitespace::Kept).is_complete);
/// ```
pub fn align(a: &[Option<Vec<u8>>], b: &[Option<Vec<u8>>], whitespace: Whitespace) -> Alignment {
    let mut pairs = Vec::new();
    let (mut a, mut b) = (Window::new(a, whitespace), Window::new(b, whitespace));
    loop {
        let n_same = a.text.len().min(b.text.len());
        if a.text[..n_same] != b.text[..n_same] {
            return Alignment { pairs, is_complete: false };
        }
        if a.text.len() == b.text.len() && n_same > 0 {
            pairs.push((a.last, b.last));
            a.text.clear();
            b.text.clear();
        }
        let is_at_start = a.text.is_empty() && b.text.is_empty();
        let (shorter, other) =
            if a.text.len() <= b.text.len() { (&mut a, &mut b) } else { (&mut b, &mut a) };
        if !shorter.grow() {
            let is_complete = is_at_start && !other.grow();
            return Alignment { pairs, is_complete };
        }
    }
}

/// The tokens since the latest pair.
struct Window<'a> {
    rest: std::iter::Enumerate<std::slice::Iter<'a, Option<Vec<u8>>>>,
    whitespace: Whitespace,
    text: Vec<u8>,
    last: usize,
}

impl<'a> Window<'a> {
    fn new(pieces: &'a [Option<Vec<u8>>], whitespace: Whitespace) -> Self {
        Self { rest: pieces.iter().enumerate(), whitespace, text: Vec::new(), last: 0 }
    }

    /// Takes the next token with content; false if there is none.
    fn grow(&mut self) -> bool {
        for (index, piece) in self.rest.by_ref() {
            let n_before = self.text.len();
            let counts =
                |byte: &&u8| self.whitespace == Whitespace::Kept || !byte.is_ascii_whitespace();
            self.text.extend(piece.iter().flatten().filter(counts));
            if self.text.len() > n_before {
                self.last = index;
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The text cut at some places; a cut at the start of an empty piece is a token without content.
    fn cut(text: &[u8], cuts: &[usize]) -> Vec<Option<Vec<u8>>> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let piece = |ends: &[usize]| {
            let piece = text[ends[0]..ends[1]].to_vec();
            (!piece.is_empty() || ends[0].is_multiple_of(2)).then_some(piece)
        };
        cuts.windows(2).map(piece).collect()
    }

    /// The tokens with content by the byte at which they end.
    fn ends(pieces: &[Option<Vec<u8>>]) -> BTreeMap<usize, usize> {
        let mut end = 0;
        let mut ends = BTreeMap::new();
        for (index, piece) in pieces.iter().enumerate() {
            let n_bytes = piece.as_ref().map_or(0, Vec::len);
            end += n_bytes;
            if n_bytes > 0 {
                ends.insert(end, index);
            }
        }
        ends
    }

    proptest! {
        #[test]
        fn lossless_pieces_pair_where_their_ends_meet(
            text in prop::collection::vec(b'a'..b'd', 0..60),
            one in prop::collection::vec(0_usize..1000, 0..20),
            two in prop::collection::vec(0_usize..1000, 0..20),
        ) {
            let (a, b) = (cut(&text, &one), cut(&text, &two));
            let (ends_a, ends_b) = (ends(&a), ends(&b));
            let meet = ends_a.iter().filter_map(|(end, a)| Some((*a, *ends_b.get(end)?)));
            let alignment = align(&a, &b, Whitespace::Kept);
            prop_assert_eq!(alignment.pairs, meet.collect::<Vec<_>>());
            prop_assert!(alignment.is_complete);
        }

        /// Where the texts part, nothing after is paired, and everything before is.
        #[test]
        fn texts_that_part_are_paired_up_to_there(
            text in prop::collection::vec(b'a'..b'd', 1..60),
            at in 0_usize..1000,
            one in prop::collection::vec(0_usize..1000, 0..20),
            two in prop::collection::vec(0_usize..1000, 0..20),
        ) {
            let at = at % text.len();
            let mut other = text.clone();
            other[at] = b'z';
            let (a, b) = (cut(&text, &one), cut(&other, &two));
            let (ends_a, ends_b) = (ends(&a), ends(&b));
            let meet = ends_a.iter().filter_map(|(end, a)| Some((*a, *ends_b.get(end)?, *end)));
            let meet = meet.filter(|(.., end)| *end <= at).map(|(a, b, _)| (a, b));
            let alignment = align(&a, &b, Whitespace::Kept);
            prop_assert_eq!(alignment.pairs, meet.collect::<Vec<_>>());
            prop_assert!(!alignment.is_complete);
        }
    }
}
