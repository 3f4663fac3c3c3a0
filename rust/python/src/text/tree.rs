//! Values and where they stand.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;

/// What was read of a text. From the byte `cut` on, and in whatever is open there, it is not what was meant.
pub(super) struct Reading {
    pub(super) root: Option<Node>,
    pub(super) cut: Option<usize>,
}

/// One value. `range` is in bytes of the text.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) range: Range<usize>,
    pub(super) value: Value,
}

#[derive(Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    String(String),
    List(Vec<Node>),
    Map(Map),
}

/// Members in the order of the text.
#[derive(Clone, Default)]
pub(super) struct Map {
    members: Vec<Member>,
    positions: HashMap<Arc<str>, usize>,
}

#[derive(Clone)]
pub(super) struct Member {
    pub(super) key: Arc<str>,
    pub(super) key_range: Range<usize>,
    pub(super) node: Node,
}

#[derive(pyo3::FromPyObject)]
pub(super) enum PathItem {
    Key(String),
    Index(i64),
}

impl Map {
    /// Adds a member unless its key is taken; then the range of the first key comes back.
    pub(super) fn insert(&mut self, member: Member) -> Result<(), Range<usize>> {
        match self.positions.entry(Arc::clone(&member.key)) {
            Entry::Occupied(taken) => Err(self.members[*taken.get()].key_range.clone()),
            Entry::Vacant(free) => {
                free.insert(self.members.len());
                self.members.push(member);
                Ok(())
            }
        }
    }

    /// The value of the last member.
    pub(super) fn last_mut(&mut self) -> Option<&mut Node> {
        self.members.last_mut().map(|member| &mut member.node)
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    fn get(&self, key: &str) -> Option<&Member> {
        self.positions
            .get(key)
            .map(|&position| &self.members[position])
    }
}

impl Node {
    pub(super) fn at(&self, path: &[PathItem]) -> Option<&Node> {
        path.iter()
            .try_fold(self, |node, item| match (&node.value, item) {
                (Value::Map(map), PathItem::Key(key)) => map.get(key).map(|member| &member.node),
                (Value::List(items), PathItem::Index(index)) => {
                    items.get(usize::try_from(*index).ok()?)
                }
                _ => None,
            })
    }

    pub(super) fn key_at(&self, path: &[PathItem]) -> Option<&Range<usize>> {
        let (last, parents) = path.split_last()?;
        match (&self.at(parents)?.value, last) {
            (Value::Map(map), PathItem::Key(key)) => map.get(key).map(|member| &member.key_range),
            _ => None,
        }
    }

    /// Move this value, and what is in it, to where it stands in another text.
    pub(super) fn shift(&mut self, back: &impl Fn(usize) -> usize) {
        self.range = back(self.range.start)..back(self.range.end);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(back)),
            Value::Map(map) => {
                for member in &mut map.members {
                    let key = &mut member.key_range;
                    *key = back(key.start)..back(key.end);
                    member.node.shift(back);
                }
            }
            _ => {}
        }
    }

    /// Levels of nesting, 0 for a scalar.
    pub(super) fn height(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::height).max().unwrap_or(0),
            Value::Map(map) => {
                let heights = map.members.iter().map(|member| member.node.height());
                1 + heights.max().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Number of values, this one included.
    pub(super) fn count(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map(map) => {
                let counts = map.members.iter().map(|member| member.node.count());
                1 + counts.sum::<usize>()
            }
            _ => 1,
        }
    }
}
