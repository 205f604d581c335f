//! The reference graph, and its part that is reachable from roots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ClosureError, StorePath};

/// Store paths, and the paths that each refers to.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: BTreeMap<StorePath, Node>,
}

/// Store paths together with all store paths that they refer to.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    nodes: BTreeMap<StorePath, Node>,
}

/// The facts about a store path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    references: BTreeSet<StorePath>,
    /// The size as a Nix archive in bytes, if the graph has it.
    nar_size: Option<u64>,
}

impl Graph {
    /// Adds `path` with its references and its size as a Nix archive in bytes (Nix's `narSize`),
    /// if that is known. A reference to itself is ignored.
    ///
    /// # Errors
    /// If the graph has the path already.
    pub fn add(
        &mut self,
        path: StorePath,
        references: impl IntoIterator<Item = StorePath>,
        nar_size: Option<u64>,
    ) -> Result<(), ClosureError> {
        if self.nodes.contains_key(&path) {
            return Err(ClosureError::Duplicate(path));
        }
        let references = references.into_iter().filter(|reference| *reference != path).collect();
        self.nodes.insert(path, Node { references, nar_size });
        Ok(())
    }

    /// Adds the paths of another graph, which may have some of the same paths.
    ///
    /// # Errors
    /// If the graphs have different facts about a path.
    pub(super) fn merge(&mut self, other: Self) -> Result<(), ClosureError> {
        for (path, node) in other.nodes {
            if self.nodes.get(&path).is_some_and(|known| *known != node) {
                return Err(ClosureError::Contradiction(path));
            }
            self.nodes.insert(path, node);
        }
        Ok(())
    }

    /// The path of the graph with the text `path`.
    pub(super) fn get(&self, path: &str) -> Option<&StorePath> {
        self.nodes.get_key_value(path).map(|(path, _)| path)
    }

    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.nodes.keys()
    }

    /// Whether the graph contains `path`.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.nodes.contains_key(path)
    }

    /// Returns every path that is reachable from `roots`, including the roots. With each root comes
    /// the key that names it, for errors. Cycles are allowed.
    ///
    /// # Errors
    /// If the graph does not have a root or a reference.
    pub fn closure(
        &self,
        roots: impl IntoIterator<Item = (String, StorePath)>,
    ) -> Result<Closure, ClosureError> {
        let mut found = BTreeMap::new();
        let mut pending: Vec<(Arc<str>, StorePath)> =
            roots.into_iter().map(|(key, path)| (key.into(), path)).collect();
        while let Some((from, path)) = pending.pop() {
            if found.contains_key(&path) {
                continue;
            }
            let node = self.nodes.get(&path).ok_or_else(|| ClosureError::Missing {
                from: from.to_string(),
                to: path.clone(),
            })?;
            let unseen = node.references.iter().filter(|reference| !found.contains_key(*reference));
            pending.extend(unseen.map(|reference| (path.shared(), reference.clone())));
            found.insert(path, node.clone());
        }
        Ok(Closure { nodes: found })
    }
}

impl Closure {
    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.nodes.keys()
    }

    /// Whether the closure contains `path`.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.nodes.contains_key(path)
    }

    /// The paths and the references of each, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&StorePath, &BTreeSet<StorePath>)> {
        self.nodes.iter().map(|(path, node)| (path, &node.references))
    }

    /// The size of `path` as a Nix archive in bytes: Nix's `narSize`, which is close to that of its
    /// tar. `None` if the closure does not contain the path, or the graph did not have its size.
    pub fn nar_size(&self, path: &StorePath) -> Option<u64> {
        self.nodes.get(path)?.nar_size
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Removes the paths for which `remove` returns true, and the references to them.
    #[must_use]
    pub fn without(mut self, remove: impl Fn(&StorePath) -> bool) -> Self {
        self.nodes.retain(|path, _| !remove(path));
        for node in self.nodes.values_mut() {
            node.references.retain(|reference| !remove(reference));
        }
        self
    }
}
