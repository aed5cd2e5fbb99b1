//! Ways to damage a file.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// What a kind of file is made of, which decides how it can be damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes, with numbers among them in binary or in digits.
    Bytes,
    /// A tree of JSON.
    Json,
    /// A safetensors file: the length of a header, the header in JSON, numbers.
    Tensors,
}

/// A place in a file: anywhere, or near the end where its header or its metadata lie.
#[derive(Clone, Copy, Debug)]
enum Place {
    Anywhere(Index),
    Head(Index),
    Tail(Index),
}

/// The bytes that count as head and tail of a file.
const END_BYTES: usize = 4096;

impl Place {
    fn of(self, n_bytes: usize) -> usize {
        match self {
            Self::Anywhere(at) => at.index(n_bytes),
            Self::Head(at) => at.index(n_bytes.min(END_BYTES)),
            Self::Tail(at) => n_bytes - 1 - at.index(n_bytes.min(END_BYTES)),
        }
    }
}

/// One way to damage bytes.
#[derive(Clone, Debug)]
enum Edit {
    Flip { at: Place, bit: u8 },
    Set { at: Place, byte: u8 },
    Truncate { at: Place },
    Remove { at: Place, length: usize },
    Fill { at: Place, length: usize, byte: u8 },
    Splice { from: Place, length: usize, to: Place, is_over: bool },
    Number { at: Place, width: usize, big_endian: bool, value: u64 },
    Digits { at: Place, number: String },
}

impl Edit {
    /// Damages `bytes`, with pieces of `other`.
    fn apply(&self, bytes: &mut Vec<u8>, other: &[u8]) {
        let n = bytes.len();
        if n == 0 {
            return;
        }
        match self {
            Self::Flip { at, bit } => bytes[at.of(n)] ^= 1 << (bit % 8),
            Self::Set { at, byte } => bytes[at.of(n)] = *byte,
            Self::Truncate { at } => bytes.truncate(at.of(n)),
            Self::Remove { at, length } => {
                let at = at.of(n);
                bytes.drain(at..(at + length).min(n));
            }
            Self::Fill { at, length, byte } => {
                let at = at.of(n);
                bytes[at..(at + length).min(n)].fill(*byte);
            }
            Self::Splice { from, length, to, is_over } => {
                let (from, to) = (from.of(other.len()), to.of(n));
                let piece = &other[from..(from + length).min(other.len())];
                let end = if *is_over { (to + piece.len()).min(n) } else { to };
                bytes.splice(to..end, piece.iter().copied());
            }
            Self::Number { at, width, big_endian, value } => {
                let at = at.of(n);
                let mut number = value.to_le_bytes()[..*width].to_vec();
                if *big_endian {
                    number.reverse();
                }
                bytes.iter_mut().skip(at).zip(number).for_each(|(byte, new)| *byte = new);
            }
            Self::Digits { at, number } => {
                // The first number in digits from there on.
                let at = at.of(n);
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let Some(start) = bytes[at..].iter().position(is_digit).map(|skip| at + skip)
                else {
                    return;
                };
                let end = bytes[start..].iter().position(|byte| !is_digit(byte));
                bytes.splice(start..end.map_or(n, |length| start + length), number.bytes());
            }
        }
    }
}

/// What is done to a value in a tree of JSON.
#[derive(Clone, Debug)]
enum Change {
    Put(Value),
    Remove,
    /// Adds to a whole number.
    Add(i64),
    /// Puts it under another name, or at another place in a list.
    Move(Index),
}

/// Changes the value at a path, each step of which is taken modulo what there is.
fn change(tree: &mut Value, path: &[Index], how: &Change) {
    let [step, rest @ ..] = path else {
        match how {
            Change::Put(value) => *tree = value.clone(),
            Change::Add(by) => {
                if let Some(number) = tree.as_i64() {
                    *tree = json!(number.saturating_add(*by));
                }
            }
            Change::Remove | Change::Move(_) => *tree = Value::Null,
        }
        return;
    };
    match tree {
        Value::Object(map) if !map.is_empty() => {
            let name = step.get(&map.keys().cloned().collect::<Vec<_>>()).clone();
            match how {
                Change::Remove if rest.is_empty() => drop(map.remove(&name)),
                Change::Move(to) if rest.is_empty() => {
                    let to = to.get(&map.keys().cloned().collect::<Vec<_>>()).clone();
                    let value = map.remove(&name).unwrap_or_default();
                    map.insert(if to == name { format!("{name}s") } else { to }, value);
                }
                _ => change(&mut map[&name], rest, how),
            }
        }
        Value::Array(list) if !list.is_empty() => {
            let at = step.index(list.len());
            match how {
                Change::Remove if rest.is_empty() => drop(list.remove(at)),
                Change::Move(to) if rest.is_empty() => {
                    let value = list[at].clone();
                    list.insert(to.index(list.len() + 1), value);
                }
                _ => change(&mut list[at], rest, how),
            }
        }
        leaf => change(leaf, &[], how),
    }
}

/// How one file of a kind is damaged.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    file: Index,
    other: Index,
    edits: Vec<Edit>,
    /// For files with JSON: instead of edits, mostly.
    changes: Vec<(Vec<Index>, Change)>,
    is_in_tree: bool,
}

impl Damage {
    /// The bytes of a damaged file, out of the valid ones of its kind.
    pub(crate) fn apply(&self, form: Form, files: &[Vec<u8>]) -> Vec<u8> {
        let (file, other) = (self.file.get(files), self.other.get(files));
        match form {
            Form::Json if self.is_in_tree => self.tree(file),
            Form::Tensors if self.is_in_tree => {
                let (header, data) = header_and_data(file);
                let header = self.tree(header);
                [&(header.len() as u64).to_le_bytes()[..], &header, data].concat()
            }
            _ => {
                let mut bytes = file.clone();
                self.edits.iter().for_each(|edit| edit.apply(&mut bytes, other));
                bytes
            }
        }
    }

    fn tree(&self, json: &[u8]) -> Vec<u8> {
        let mut tree: Value = serde_json::from_slice(json).unwrap();
        self.changes.iter().for_each(|(path, how)| change(&mut tree, path, how));
        tree.to_string().into_bytes()
    }
}

/// The JSON header of a safetensors file, and what comes after.
fn header_and_data(file: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = file.split_first_chunk().unwrap();
    rest.split_at(usize::try_from(u64::from_le_bytes(*length)).unwrap())
}

/// Numbers at which arithmetic tends to break, small ones, and any.
fn numbers() -> impl Strategy<Value = u64> {
    let edges = [
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_ffff,
        1 << 32,
        1 << 33,
        1 << 53,
        1 << 61,
        1 << 62,
        u64::MAX >> 1,
        (u64::MAX >> 1) + 1,
        u64::MAX - 7,
        u64::MAX,
    ];
    prop_oneof![0_u64..64, select(edges.to_vec()), any::<u64>()]
}

/// The same in digits, with signs, fractions and exponents.
fn digits() -> impl Strategy<Value = String> {
    let odd = ["-1", "1e308", "1e999", "0.5", "-0", "1e-320", "99999999999999999999", "", "0x10"];
    prop_oneof![
        3 => numbers().prop_map(|number| number.to_string()),
        1 => select(odd.to_vec()).prop_map(str::to_owned),
    ]
}

fn places() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => any::<Index>().prop_map(Place::Anywhere),
        1 => any::<Index>().prop_map(Place::Head),
        1 => any::<Index>().prop_map(Place::Tail),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let width = select(vec![1_usize, 2, 4, 8]);
    let byte = || prop_oneof![Just(0), Just(0xff), any::<u8>()];
    prop_oneof![
        (places(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        (places(), byte()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        places().prop_map(|at| Edit::Truncate { at }),
        (places(), 1_usize..64).prop_map(|(at, length)| Edit::Remove { at, length }),
        (places(), 1_usize..64, byte()).prop_map(|(at, length, byte)| Edit::Fill {
            at,
            length,
            byte
        }),
        (places(), 1_usize..256, places(), any::<bool>())
            .prop_map(|(from, length, to, is_over)| Edit::Splice { from, length, to, is_over }),
        (places(), width, any::<bool>(), numbers()).prop_map(|(at, width, big_endian, value)| {
            Edit::Number { at, width, big_endian, value }
        }),
        (places(), digits()).prop_map(|(at, number)| Edit::Digits { at, number }),
    ]
}

/// Words that headers and configs know, in right places or wrong ones.
const WORDS: [&str; 19] = [
    "F32",
    "F16",
    "BF16",
    "I64",
    "F4",
    "",
    "silu",
    "relu",
    "llama",
    "gpt2",
    "gpt_oss",
    "qwen3",
    "mistral",
    "yarn",
    "linear",
    "llama3",
    "sliding_attention",
    "../weights",
    "\u{0}\u{10570}",
];

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|flag| json!(flag)),
        numbers().prop_map(|number| json!(number)),
        any::<i64>().prop_map(|number| json!(number)),
        prop_oneof![any::<f64>(), 0.0..1.0, Just(-0.0), Just(1e308)]
            .prop_map(|number| json!(number)),
        select(WORDS.to_vec()).prop_map(|word| json!(word)),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            (select(WORDS.to_vec()), inner).prop_map(|(name, value)| json!({ name: value })),
        ]
    })
}

/// How a file is damaged: in one to three ways.
pub(crate) fn damages() -> impl Strategy<Value = Damage> {
    let how = prop_oneof![
        3 => values().prop_map(Change::Put),
        1 => Just(Change::Remove),
        1 => (-2_i64..3).prop_map(Change::Add),
        1 => any::<Index>().prop_map(Change::Move),
    ];
    let path = prop::collection::vec(any::<Index>(), 1..5);
    (
        any::<Index>(),
        any::<Index>(),
        prop::collection::vec(edit(), 1..4),
        prop::collection::vec((path, how), 1..4),
        prop::bool::weighted(0.75),
    )
        .prop_map(|(file, other, edits, changes, is_in_tree)| Damage {
            file,
            other,
            edits,
            changes,
            is_in_tree,
        })
}
