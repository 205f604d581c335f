//! The reference graph, and its part that is reachable from roots.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{ClosureError, StorePath};

/// Store paths, and the paths that each refers to.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    references: BTreeMap<StorePath, BTreeSet<StorePath>>,
}

/// Store paths together with all store paths that they refer to.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    references: BTreeMap<StorePath, BTreeSet<StorePath>>,
}

impl Graph {
    /// Adds `path` with its references. A reference to itself is ignored.
    ///
    /// # Errors
    /// If the graph has the path already.
    pub fn add(
        &mut self,
        path: StorePath,
        references: impl IntoIterator<Item = StorePath>,
    ) -> Result<(), ClosureError> {
        if self.references.contains_key(&path) {
            return Err(ClosureError::Duplicate(path));
        }
        let references = references.into_iter().filter(|reference| *reference != path).collect();
        self.references.insert(path, references);
        Ok(())
    }

    /// The path of the graph with the text `path`.
    pub(super) fn get(&self, path: &str) -> Option<&StorePath> {
        self.references.get_key_value(path).map(|(path, _)| path)
    }

    /// Whether the graph contains `path`.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.references.contains_key(path)
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
            let references = self.references.get(&path).ok_or_else(|| ClosureError::Missing {
                from: from.to_string(),
                to: path.clone(),
            })?;
            let unseen = references.iter().filter(|reference| !found.contains_key(*reference));
            pending.extend(unseen.map(|reference| (path.shared(), reference.clone())));
            found.insert(path, references.clone());
        }
        Ok(Closure { references: found })
    }
}

impl Closure {
    /// The paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &StorePath> {
        self.references.keys()
    }

    /// Whether the closure contains `path`.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.references.contains_key(path)
    }

    /// The paths and the references of each, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&StorePath, &BTreeSet<StorePath>)> {
        self.references.iter()
    }

    /// The number of paths.
    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    /// Removes the paths for which `remove` returns true, and the references to them.
    #[must_use]
    pub fn without(mut self, remove: impl Fn(&StorePath) -> bool) -> Self {
        self.references.retain(|path, _| !remove(path));
        for references in self.references.values_mut() {
            references.retain(|reference| !remove(reference));
        }
        self
    }
}
