//! What a shard holds: attributes, and columns of rows. Both kinds of store are described so.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use hdf5::types::{FixedUnicode, FloatSize, IntSize, TypeDescriptor};
use hdf5::{Attribute, Dataset, Group, Location};

use crate::error::{During, Error, Result};

/// The version of the format that this crate writes, and the only one that it reads.
pub(crate) const VERSION: u64 = 1;
/// Texts in attributes have at most this many bytes.
pub(crate) const TEXT_BYTES: usize = 128;

/// The type of an element of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    U16,
    U32,
    U64,
    F32,
    F16,
    /// Sixteen-bit words, since HDF5 has no such type; the attribute `dtype` says what they are.
    Bf16,
}

impl Element {
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 | Self::F16 | Self::Bf16 => 2,
            Self::U32 | Self::F32 => 4,
            Self::U64 => 8,
        }
    }

    /// The type in the file.
    pub(crate) fn stored(self) -> TypeDescriptor {
        match self {
            Self::U8 => TypeDescriptor::Unsigned(IntSize::U1),
            Self::U16 | Self::Bf16 => TypeDescriptor::Unsigned(IntSize::U2),
            Self::U32 => TypeDescriptor::Unsigned(IntSize::U4),
            Self::U64 => TypeDescriptor::Unsigned(IntSize::U8),
            Self::F32 => TypeDescriptor::Float(FloatSize::U4),
            Self::F16 => TypeDescriptor::Float(FloatSize::U2),
        }
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Count(u64),
    Number(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Count(count) => write!(f, "{count}"),
            Self::Number(number) => write!(f, "{number:?}"),
        }
    }
}

/// Attributes by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attributes(pub(crate) BTreeMap<String, Value>);

impl Attributes {
    #[must_use]
    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        self.0.insert(name.to_owned(), Value::Text(text.to_owned()));
        self
    }

    #[must_use]
    pub(crate) fn count(mut self, name: &str, count: u64) -> Self {
        self.0.insert(name.to_owned(), Value::Count(count));
        self
    }

    #[must_use]
    pub(crate) fn number(mut self, name: &str, number: f64) -> Self {
        self.0.insert(name.to_owned(), Value::Number(number));
        self
    }

    pub(crate) fn get_text(&self, name: &str, path: &Path) -> Result<&str> {
        match self.0.get(name) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(wrong(path, name, "a text", other)),
        }
    }

    pub(crate) fn get_count(&self, name: &str, path: &Path) -> Result<u64> {
        match self.0.get(name) {
            Some(Value::Count(count)) => Ok(*count),
            other => Err(wrong(path, name, "an unsigned number", other)),
        }
    }

    pub(crate) fn get_number(&self, name: &str, path: &Path) -> Result<f64> {
        match self.0.get(name) {
            Some(Value::Number(number)) => Ok(*number),
            other => Err(wrong(path, name, "a number", other)),
        }
    }

    /// The first attribute that differs: its name, the expected value, the found one.
    pub(crate) fn difference(&self, found: &Self) -> Option<(String, String, String)> {
        let names = self.0.keys().chain(found.0.keys());
        let tell = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        let mut pairs = names.map(|name| (name, self.0.get(name), found.0.get(name)));
        let (name, expected, found) = pairs.find(|(_, expected, found)| expected != found)?;
        Some((name.clone(), tell(expected), tell(found)))
    }

    pub(crate) fn write(&self, to: &Location) -> hdf5::Result<()> {
        for (name, value) in &self.0 {
            let name = name.as_str();
            match value {
                Value::Text(text) => {
                    let text: FixedUnicode<TEXT_BYTES> = text
                        .parse()
                        .map_err(|_| hdf5::Error::from(format!("the text {text:?} is too long")))?;
                    to.new_attr::<FixedUnicode<TEXT_BYTES>>().create(name)?.write_scalar(&text)?;
                }
                Value::Count(count) => to.new_attr::<u64>().create(name)?.write_scalar(count)?,
                Value::Number(number) => to.new_attr::<f64>().create(name)?.write_scalar(number)?,
            }
        }
        Ok(())
    }

    pub(crate) fn read(from: &Location, path: &Path) -> Result<Self> {
        let mut all = BTreeMap::new();
        for name in from.attr_names().during("list the attributes of", path)? {
            let attribute = from.attr(&name).during("read an attribute of", path)?;
            all.insert(name.clone(), value(&attribute, &name, path)?);
        }
        Ok(Self(all))
    }
}

fn wrong(path: &Path, name: &str, expected: &str, found: Option<&Value>) -> Error {
    let found = found.map_or("nothing".to_owned(), Value::to_string);
    Error::Foreign {
        path: path.to_owned(),
        expected: format!("{expected} as attribute {name:?}"),
        found,
    }
}

fn value(attribute: &Attribute, name: &str, path: &Path) -> Result<Value> {
    let stored = attribute.dtype().and_then(|dtype| dtype.to_descriptor());
    let stored = stored.during("read the type of an attribute of", path)?;
    let foreign = || Error::Foreign {
        path: path.to_owned(),
        expected: "attributes that are one text or one number".to_owned(),
        found: format!("{stored} in the attribute {name:?}"),
    };
    if !attribute.is_scalar() {
        return Err(foreign());
    }
    let text = |text: FixedUnicode<TEXT_BYTES>| {
        String::from_utf8(text.as_bytes().to_vec()).map(Value::Text).map_err(|_| foreign())
    };
    let op = "read an attribute of";
    let value = match stored {
        TypeDescriptor::Unsigned(IntSize::U8) => attribute.read_scalar().map(Value::Count),
        TypeDescriptor::Float(FloatSize::U8) => attribute.read_scalar().map(Value::Number),
        TypeDescriptor::FixedUnicode(TEXT_BYTES) => {
            return text(attribute.read_scalar().during(op, path)?);
        }
        _ => return Err(foreign()),
    };
    value.during(op, path)
}

/// A data set whose first axis counts rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    /// The name of the data set, with its group.
    pub(crate) name: String,
    pub(crate) element: Element,
    /// Elements of a row; `None` for a data set with one axis.
    pub(crate) width: Option<usize>,
    pub(crate) chunk_rows: usize,
    pub(crate) attributes: Attributes,
}

impl Column {
    pub(crate) fn new(name: &str, element: Element, chunk_rows: usize) -> Self {
        let attributes = Attributes::default();
        Self { name: name.to_owned(), element, width: None, chunk_rows, attributes }
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.element.bytes().saturating_mul(self.width.unwrap_or(1))
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        self.row_bytes().saturating_mul(self.chunk_rows)
    }

    /// The shape of a data set with `rows` rows.
    pub(crate) fn shape(&self, rows: usize) -> Vec<usize> {
        [Some(rows), self.width].into_iter().flatten().collect()
    }

    /// Reads what a data set is: its type, width, chunks and attributes.
    fn read(dataset: &Dataset, name: String, path: &Path) -> Result<Self> {
        let op = "read the type of a data set of";
        let stored = dataset.dtype().and_then(|dtype| dtype.to_descriptor()).during(op, path)?;
        let attributes = Attributes::read(dataset, path)?;
        let is_bf16 = attributes.0.get("dtype") == Some(&Value::Text("bf16".to_owned()));
        let elements =
            [Element::U8, Element::U16, Element::U32, Element::U64, Element::F32, Element::F16];
        let element = elements.into_iter().find(|element| element.stored() == stored);
        let element =
            if is_bf16 && element == Some(Element::U16) { Some(Element::Bf16) } else { element };
        let shape = dataset.get_shape().during("read the shape of a data set of", path)?;
        let chunk = dataset.chunk().unwrap_or_default();
        let foreign = |found| Error::Foreign {
            path: path.to_owned(),
            expected: format!("rows of numbers in chunks of whole rows, unfiltered, in {name}"),
            found,
        };
        let Some(element) = element else {
            return Err(foreign(format!("elements of type {stored}")));
        };
        let whole_rows = chunk.len() == shape.len() && chunk.get(1..) == shape.get(1..);
        let chunk_rows = chunk.first().copied().unwrap_or(0);
        if !(1..=2).contains(&shape.len()) || !whole_rows || chunk_rows == 0 {
            return Err(foreign(format!("shape {shape:?} in chunks {chunk:?}")));
        }
        if !dataset.filters().is_empty() {
            return Err(foreign("filters".to_owned()));
        }
        Ok(Self { name, element, width: shape.get(1).copied(), chunk_rows, attributes })
    }
}

/// The attributes and the columns of every shard of a store.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schema {
    pub(crate) attributes: Attributes,
    pub(crate) columns: Vec<Column>,
}

impl Schema {
    /// Reads attributes and columns, these in their order, from a shard or an index.
    pub(crate) fn read(file: &Group, path: &Path) -> Result<Self> {
        let attributes = Attributes::read(file, path)?;
        let mut columns = Vec::new();
        collect(file, "", path, &mut columns)?;
        columns.sort_by_key(|(at, _)| *at);
        for (expected, (at, column)) in (0..).zip(&columns) {
            if *at != expected {
                return Err(Error::Foreign {
                    path: path.to_owned(),
                    expected: format!("{expected} as attribute {COLUMN_IDX:?} of one data set"),
                    found: format!("{at} of {}", column.name),
                });
            }
        }
        Ok(Self { attributes, columns: columns.into_iter().map(|(_, column)| column).collect() })
    }

    /// The names of all columns; two schemas that differ in them differ in kind.
    fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// The first thing that differs, as an error about the file at `path`.
    pub(crate) fn must_equal(&self, found: &Self, path: &Path) -> Result<()> {
        let mismatch = |field: String, expected: String, found: String| {
            Err(Error::Mismatch { path: path.to_owned(), field, expected, found })
        };
        if let Some((field, expected, found)) = self.attributes.difference(&found.attributes) {
            return mismatch(field, expected, found);
        }
        if self.names() != found.names() {
            return mismatch(
                "data sets".to_owned(),
                format!("{:?}", self.names()),
                format!("{:?}", found.names()),
            );
        }
        for (one, other) in self.columns.iter().zip(&found.columns) {
            let name = &one.name;
            if let Some((field, expected, found)) = one.attributes.difference(&other.attributes) {
                return mismatch(format!("{field} of {name}"), expected, found);
            }
            let shape = |column: &Column| {
                let Column { element, width, chunk_rows, .. } = column;
                format!("{element:?}, width {}, {chunk_rows} rows a chunk", width.unwrap_or(1))
            };
            if one != other {
                return mismatch(format!("shape of {name}"), shape(one), shape(other));
            }
        }
        Ok(())
    }
}

/// The group that holds the checksums, one data set for each column.
pub(crate) const CHECKSUMS: &str = "checksums";
/// The attribute of a column that says which one it is.
pub(crate) const COLUMN_IDX: &str = "column_idx";

/// Collects the columns below a group, at most two groups deep.
fn collect(group: &Group, prefix: &str, path: &Path, into: &mut Vec<(u64, Column)>) -> Result<()> {
    for name in group.member_names().during("list the data sets of", path)? {
        let full = format!("{prefix}{name}");
        if full == CHECKSUMS {
            continue;
        }
        if let Ok(dataset) = group.dataset(&name) {
            let mut column = Column::read(&dataset, full, path)?;
            let at = column.attributes.get_count(COLUMN_IDX, path)?;
            column.attributes.0.remove(COLUMN_IDX);
            into.push((at, column));
        } else if prefix.is_empty() {
            let inner = group.group(&name).during("open a group of", path)?;
            collect(&inner, &format!("{full}/"), path, into)?;
        } else {
            return Err(Error::Foreign {
                path: path.to_owned(),
                expected: "data sets, at most one group deep".to_owned(),
                found: format!("{full:?}, which is none"),
            });
        }
    }
    Ok(())
}
