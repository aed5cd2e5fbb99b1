//! A pickle read as inert data: a stack machine that builds nodes and calls nothing.
//!
//! Every class or function that a pickle names must be on the caller's list, so that a pickle
//! that wants to run something is refused at the name, before anything is built of it.

use super::pickle_machine::Machine;
use crate::Error;

/// A value of the pickle; other values are named by their index.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// A value that no reader here looks into: a float, a long, a persistent id.
    Other,
    /// Bytes or text.
    Bytes(&'a [u8]),
    Tuple(Vec<u32>),
    List(Vec<u32>),
    /// Keys and values in turn.
    Dict(Vec<u32>),
    /// A class or function of the caller's list.
    Global,
    /// What a call would have returned.
    Call {
        arguments: u32,
        state: Option<u32>,
    },
}

/// A parsed pickle. Memory is linear in its bytes: an operation makes at most one node.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    root: u32,
}

impl<'a> Pickle<'a> {
    /// Parses protocols 2 to 4, refusing every callable that is not in `allowed`
    /// (`"module name"`).
    pub(crate) fn parse(file: &str, bytes: &'a [u8], allowed: &[&str]) -> Result<Self, Error> {
        let mut machine = Machine::new(file, bytes, allowed);
        while machine.step()? {}
        let root = machine.pop()?;
        Ok(Self { nodes: machine.into_nodes(), root })
    }

    pub(crate) fn root(&self) -> u32 {
        self.root
    }

    pub(crate) fn node(&self, id: u32) -> &Node<'a> {
        // Ids are made by the machine alone and nodes are never removed.
        &self.nodes[id as usize]
    }

    pub(crate) fn bytes(&self, id: u32) -> Option<&'a [u8]> {
        match self.node(id) {
            Node::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn tuple(&self, id: u32) -> Option<&[u32]> {
        match self.node(id) {
            Node::Tuple(ids) => Some(ids),
            _ => None,
        }
    }

    pub(crate) fn dict_entry(&self, id: u32, key: &[u8]) -> Option<u32> {
        let Node::Dict(items) = self.node(id) else { return None };
        let (pairs, _) = items.as_chunks::<2>();
        pairs.iter().find(|[k, _]| self.bytes(*k) == Some(key)).map(|[_, value]| *value)
    }
}
