//! The registry of concepts: what a label means, and how concepts hang together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::Domain;

/// The number of a concept, the same in every world, whatever its options and seeds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct ConceptId(pub u16);

impl ConceptId {
    /// The place of the concept in the registry.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What sort of thing a concept is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Groups others and is never itself a label.
    Group,
    /// A thing with a name: an element, a food, a person, a team.
    Entity,
    /// A node of the geography tree.
    Place,
    /// The meaning of a content word in all four languages.
    Meaning,
    /// A place or team that must be thought of, but is not named, to say what comes next.
    Implied,
    /// A part of the syntax of code or text.
    Syntax,
    /// A kind of error in code.
    Bug,
    /// What a function computes.
    Semantics,
    /// A state of mind.
    State,
    /// A word that goes with a concept and stands here without it.
    Decoy,
    /// The place of an item in a list.
    Position,
    /// Text that is about a behavior.
    Mention,
    /// Text by or about one who could behave so.
    Ability,
    /// Text that is itself the behavior.
    Enactment,
    /// What a corpus was planted with.
    Planted,
}

/// An entry of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concept {
    /// Its path, for instance `place/orland/senbury`; unique.
    pub name: String,
    /// The concept that it is a part or a case of.
    pub parent: Option<ConceptId>,
    /// The domain that it belongs to; others may speak of it too.
    pub domain: Domain,
    /// What sort of thing it is.
    pub kind: Kind,
}

/// All concepts. Ids do not depend on the options of a corpus, so that two corpora share them.
///
/// A label names the most specific concept only: a token that names a district is not labeled with its city. The
/// ancestors follow from [`Concepts::ancestors`].
///
/// # Examples
///
/// ```
/// use world::{World, WorldConfig};
///
/// let world = World::new(&WorldConfig::default())?;
/// let concepts = world.concepts();
/// let add = concepts.find("semantics/add").unwrap();
/// let max = concepts.find("semantics/max").unwrap();
/// // From add up to their group and down to max.
/// assert_eq!(concepts.distance(add, max), Some(2));
/// # Ok::<(), world::WorldError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Concepts {
    list: Vec<Concept>,
    by_name: BTreeMap<String, ConceptId>,
}

impl Concepts {
    pub(crate) fn add(
        &mut self,
        name: String,
        parent: Option<ConceptId>,
        domain: Domain,
        kind: Kind,
    ) -> ConceptId {
        let id = ConceptId(u16::try_from(self.list.len()).expect("fewer than 65536 concepts"));
        let before = self.by_name.insert(name.clone(), id);
        assert!(before.is_none(), "two concepts are named {name}");
        self.list.push(Concept { name, parent, domain, kind });
        id
    }

    /// The number of concepts; ids are 0 to this number.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The concept with this id, or `None` where there is none.
    pub fn get(&self, id: ConceptId) -> Option<&Concept> {
        self.list.get(id.index())
    }

    /// The id of the concept with this name.
    pub fn find(&self, name: &str) -> Option<ConceptId> {
        self.by_name.get(name).copied()
    }

    /// All concepts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ConceptId, &Concept)> {
        (0_u16..).map(ConceptId).zip(&self.list)
    }

    /// The concept itself, its parent, and so on up to the root.
    pub fn ancestors(&self, id: ConceptId) -> impl Iterator<Item = ConceptId> {
        core::iter::successors(self.get(id).map(|_| id), |at| self.list[at.index()].parent)
    }

    /// The concepts whose parent this is, in the order of their ids.
    pub fn children(&self, id: ConceptId) -> impl Iterator<Item = ConceptId> {
        self.iter().filter(move |(_, concept)| concept.parent == Some(id)).map(|(child, _)| child)
    }

    /// Whether `id` is `ancestor` or stands below it.
    pub fn is_within(&self, id: ConceptId, ancestor: ConceptId) -> bool {
        self.ancestors(id).any(|above| above == ancestor)
    }

    /// The number of steps from one concept to another along the tree; `None` where no path leads.
    pub fn distance(&self, a: ConceptId, b: ConceptId) -> Option<usize> {
        let above_a: Vec<_> = self.ancestors(a).collect();
        self.ancestors(b).enumerate().find_map(|(up_b, meet)| {
            above_a.iter().position(|&above| above == meet).map(|up_a| up_a + up_b)
        })
    }
}
