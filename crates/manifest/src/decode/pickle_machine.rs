//! The operations of a pickle.

use std::collections::BTreeMap;

use super::pickle::Node;
use crate::Error;

const FORMAT: &str = "pickle";

/// Carries out a pickle's operations one by one, making nodes and calling nothing.
pub(super) struct Machine<'a, 'b> {
    file: &'b str,
    allowed: &'b [&'b str],
    bytes: &'a [u8],
    position: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<u32>,
    marks: Vec<usize>,
    memo: BTreeMap<u32, u32>,
}

impl<'a, 'b> Machine<'a, 'b> {
    pub(super) fn new(file: &'b str, bytes: &'a [u8], allowed: &'b [&'b str]) -> Self {
        Self {
            file,
            allowed,
            bytes,
            position: 0,
            nodes: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
        }
    }

    pub(super) fn into_nodes(self) -> Vec<Node<'a>> {
        self.nodes
    }

    fn fail(&self, expected: &str, got: &str) -> Error {
        Error::decode(self.file, FORMAT, expected, format!("{got} at byte {}", self.position))
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.position..];
        let Some(taken) = rest.get(..n) else {
            return Err(self.fail(&format!("{n} more bytes"), &rest.len().to_string()));
        };
        self.position += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn number<const N: usize>(&mut self) -> Result<u64, Error> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>()?);
        Ok(u64::from_le_bytes(wide))
    }

    fn index<const N: usize>(&mut self) -> Result<u32, Error> {
        let number = self.number::<N>()?;
        u32::try_from(number).map_err(|_| self.fail("a 32-bit index", &number.to_string()))
    }

    fn sized<const N: usize>(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number::<N>()?;
        // A length beyond the address space is beyond the file too.
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn line(&mut self) -> Result<&'a [u8], Error> {
        let rest = &self.bytes[self.position..];
        let Some(end) = rest.iter().position(|&b| b == b'\n') else {
            return Err(self.fail("a line", "no end of it"));
        };
        self.position += end + 1;
        Ok(&rest[..end])
    }

    fn push(&mut self, node: Node<'a>) -> Result<(), Error> {
        let id = u32::try_from(self.nodes.len())
            .map_err(|_| self.fail("fewer than 2^32 values", "more"))?;
        self.nodes.push(node);
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn pop(&mut self) -> Result<u32, Error> {
        if self.marks.last() == Some(&self.stack.len()) {
            return Err(self.fail("a value on the stack", "a mark"));
        }
        self.stack.pop().ok_or_else(|| self.fail("a value on the stack", "none"))
    }

    fn top(&mut self) -> Result<u32, Error> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<u32>, Error> {
        let mark = self.marks.pop().ok_or_else(|| self.fail("a mark", "none"))?;
        Ok(self.stack.split_off(mark))
    }

    fn pop_last(&mut self, n: usize) -> Result<Vec<u32>, Error> {
        let mut ids = (0..n).map(|_| self.pop()).collect::<Result<Vec<_>, _>>()?;
        ids.reverse();
        Ok(ids)
    }

    fn extend(&mut self, items: Vec<u32>, dict: bool) -> Result<(), Error> {
        let id = self.top()?;
        match (&mut self.nodes[id as usize], dict) {
            (Node::List(list), false) => list.extend(items),
            (Node::Dict(list), true) if items.len().is_multiple_of(2) => list.extend(items),
            // An ordered dictionary is a call; its entries are not looked at here.
            (Node::Call { .. }, true) => {}
            _ => return Err(self.fail("a container to add to", "something else")),
        }
        Ok(())
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), Error> {
        let callable =
            format!("{} {}", String::from_utf8_lossy(module), String::from_utf8_lossy(name));
        if !self.allowed.contains(&callable.as_str()) {
            return Err(Error::Callable { file: self.file.to_owned(), callable });
        }
        self.push(Node::Global)
    }

    fn remember(&mut self, slot: u32) -> Result<(), Error> {
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn recall(&mut self, slot: u32) -> Result<(), Error> {
        match self.memo.get(&slot) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.fail("a remembered value", &format!("slot {slot} empty"))),
        }
    }

    /// Carries out one operation; `false` after the last.
    pub(super) fn step(&mut self) -> Result<bool, Error> {
        let operation = self.take(1)?[0];
        match operation {
            b'.' => return Ok(false),
            0x80 => {
                let protocol = self.number::<1>()?;
                if !(2..=4).contains(&protocol) {
                    return Err(self.fail("protocol 2, 3 or 4", &protocol.to_string()));
                }
            }
            0x95 => drop(self.take(8)?), // frame: only matters to streams
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let id = self.top()?;
                self.stack.push(id);
            }
            b'N' => self.push(Node::None)?,
            0x88 => self.push(Node::Bool(true))?,
            0x89 => self.push(Node::Bool(false))?,
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(i64::from(value)))?;
            }
            b'K' => {
                let value = self.index::<1>()?;
                self.push(Node::Int(i64::from(value)))?;
            }
            b'M' => {
                let value = self.index::<2>()?;
                self.push(Node::Int(i64::from(value)))?;
            }
            b'G' => {
                self.take(8)?;
                self.push(Node::Other)?;
            }
            0x8a => {
                self.sized::<1>()?;
                self.push(Node::Other)?;
            }
            b'U' | b'C' | 0x8c => {
                let bytes = self.sized::<1>()?;
                self.push(Node::Bytes(bytes))?;
            }
            b'T' | b'B' | b'X' => {
                let bytes = self.sized::<4>()?;
                self.push(Node::Bytes(bytes))?;
            }
            0x8d | 0x8e => {
                let bytes = self.sized::<8>()?;
                self.push(Node::Bytes(bytes))?;
            }
            b')' => self.push(Node::Tuple(Vec::new()))?,
            b't' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Tuple(items))?;
            }
            0x85..=0x87 => {
                let items = self.pop_last(usize::from(operation - 0x84))?;
                self.push(Node::Tuple(items))?;
            }
            b']' => self.push(Node::List(Vec::new()))?,
            b'}' => self.push(Node::Dict(Vec::new()))?,
            b'a' => {
                let items = self.pop_last(1)?;
                self.extend(items, false)?;
            }
            b'e' => {
                let items = self.pop_to_mark()?;
                self.extend(items, false)?;
            }
            b's' => {
                let items = self.pop_last(2)?;
                self.extend(items, true)?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.extend(items, true)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Node::Bytes(module), Node::Bytes(name)) =
                    (&self.nodes[module as usize], &self.nodes[name as usize])
                else {
                    return Err(self.fail("the name of a callable", "something else"));
                };
                let (module, name) = (*module, *name);
                self.global(module, name)?;
            }
            b'R' => {
                let (arguments, callable) = (self.pop()?, self.pop()?);
                if !matches!(self.nodes[callable as usize], Node::Global) {
                    return Err(self.fail("a named callable", "a value"));
                }
                self.push(Node::Call { arguments, state: None })?;
            }
            b'b' => {
                let (new, object) = (self.pop()?, self.top()?);
                match &mut self.nodes[object as usize] {
                    Node::Call { state, .. } => *state = Some(new),
                    _ => return Err(self.fail("an object to give a state", "something else")),
                }
            }
            b'Q' => {
                self.pop()?;
                self.push(Node::Other)?;
            }
            b'q' => {
                let slot = self.index::<1>()?;
                self.remember(slot)?;
            }
            b'r' => {
                let slot = self.index::<4>()?;
                self.remember(slot)?;
            }
            0x94 => {
                let slot = u32::try_from(self.memo.len()).unwrap_or(u32::MAX);
                self.remember(slot)?;
            }
            b'h' => {
                let slot = self.index::<1>()?;
                self.recall(slot)?;
            }
            b'j' => {
                let slot = self.index::<4>()?;
                self.recall(slot)?;
            }
            other => {
                return Err(self.fail("a pickle operation of plain data", &format!("{other:#04x}")));
            }
        }
        Ok(true)
    }
}
