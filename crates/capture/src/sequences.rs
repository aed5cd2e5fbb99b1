//! Documents cut into sequences that a model reads, in batches.

use store::BosRule;

use crate::error::Result;

/// The tokens of a document, without the one that begins texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// Its id, kept with each row.
    pub id: u64,
    /// Its tokens.
    pub tokens: Vec<u32>,
}

/// What the model reads at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    pub(crate) document: u64,
    pub(crate) tokens: Vec<u32>,
}

/// Sequences of at most `context` tokens, the one of the rule included; in the order of the documents,
/// each a batch or the last.
pub(crate) struct BatchesOf<I> {
    documents: I,
    bos: BosRule,
    context: usize,
    batch: usize,
    /// The document that is being cut, and how much of it is.
    current: Option<(Document, usize)>,
}

impl<I: Iterator<Item = Result<Document>>> BatchesOf<I> {
    pub(crate) fn new(documents: I, bos: BosRule, context: usize, batch: usize) -> Self {
        Self { documents, bos, context, batch, current: None }
    }

    fn sequence(&mut self) -> Result<Option<Sequence>> {
        loop {
            if let Some((document, done)) = &mut self.current
                && *done < document.tokens.len()
            {
                let first = match self.bos {
                    BosRule::EachSequence { token } => Some(token),
                    BosRule::EachDocument { token } => (*done == 0).then_some(token),
                    BosRule::Absent => None,
                };
                let room = self.context - usize::from(first.is_some());
                let end = document.tokens.len().min(*done + room);
                let tokens = first.into_iter().chain(document.tokens[*done..end].iter().copied());
                let sequence = Sequence { document: document.id, tokens: tokens.collect() };
                *done = end;
                return Ok(Some(sequence));
            }
            match self.documents.next().transpose()? {
                Some(document) => self.current = Some((document, 0)),
                None => return Ok(None),
            }
        }
    }

    fn batch(&mut self) -> Result<Vec<Sequence>> {
        let mut batch = Vec::new();
        while batch.len() < self.batch {
            match self.sequence()? {
                Some(sequence) => batch.push(sequence),
                None => break,
            }
        }
        Ok(batch)
    }
}

impl<I: Iterator<Item = Result<Document>>> Iterator for BatchesOf<I> {
    type Item = Result<Vec<Sequence>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batch().map(|batch| (!batch.is_empty()).then_some(batch)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(bos: BosRule) -> Vec<Vec<(u64, Vec<u32>)>> {
        let documents =
            [(4, vec![1, 2, 3, 4, 5]), (5, vec![]), (6, vec![6, 7]), (9, vec![8, 9, 10, 11])];
        let documents = documents.map(|(id, tokens)| Ok(Document { id, tokens }));
        let batches = BatchesOf::new(documents.into_iter(), bos, 3, 2);
        let plain = |batch: Result<Vec<Sequence>>| {
            batch.unwrap().into_iter().map(|it| (it.document, it.tokens)).collect()
        };
        batches.map(plain).collect()
    }

    #[test]
    fn rows_are_counted_as_they_are_cut() {
        let rules = [
            BosRule::Absent,
            BosRule::EachSequence { token: 0 },
            BosRule::EachDocument { token: 0 },
        ];
        for (bos, n_tokens, context) in
            rules.into_iter().flat_map(|bos| (0..9).flat_map(move |n| [(bos, n, 2), (bos, n, 5)]))
        {
            let settings = crate::Settings {
                hooks: Vec::new(),
                dtype: store::Dtype::F32,
                bos,
                context,
                batch: 3,
                most_rows: None,
                shard_rows: None,
                device: String::new(),
            };
            let tokens = vec![1; n_tokens];
            let documents = [Ok(Document { id: 0, tokens })].into_iter();
            let batches = BatchesOf::new(documents, bos, context, 3);
            let sequences = batches.flat_map(|batch| batch.unwrap());
            let n: usize = sequences.map(|sequence| sequence.tokens.len()).sum();
            assert_eq!(settings.n_rows(n_tokens as u64), n as u64, "{bos:?} {n_tokens} {context}");
        }
    }

    #[test]
    fn documents_are_cut_by_the_rule_of_the_first_token() {
        let absent = [
            vec![(4, vec![1, 2, 3]), (4, vec![4, 5])],
            vec![(6, vec![6, 7]), (9, vec![8, 9, 10])],
            vec![(9, vec![11])],
        ];
        assert_eq!(cut(BosRule::Absent), absent);
        let sequences = [
            vec![(4, vec![0, 1, 2]), (4, vec![0, 3, 4])],
            vec![(4, vec![0, 5]), (6, vec![0, 6, 7])],
            vec![(9, vec![0, 8, 9]), (9, vec![0, 10, 11])],
        ];
        assert_eq!(cut(BosRule::EachSequence { token: 0 }), sequences);
        let documents = [
            vec![(4, vec![0, 1, 2]), (4, vec![3, 4, 5])],
            vec![(6, vec![0, 6, 7]), (9, vec![0, 8, 9])],
            vec![(9, vec![10, 11])],
        ];
        assert_eq!(cut(BosRule::EachDocument { token: 0 }), documents);
    }
}
