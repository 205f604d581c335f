//! The reference graph and the part of it that some roots reach.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClosureError, StorePath};

/// Store paths and the paths each refers to.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    references: BTreeMap<StorePath, BTreeSet<StorePath>>,
}

/// A graph in which every reference leads to a path of the graph.
#[derive(Clone, Debug, Default)]
pub struct Closure {
    references: BTreeMap<StorePath, BTreeSet<StorePath>>,
}

impl Graph {
    /// Adds `path` with what it refers to; a reference to itself says nothing and is dropped.
    ///
    /// # Errors
    /// When the path is there already.
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

    /// Whether the graph has `path`.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.references.contains_key(path)
    }

    /// Every path that `roots` reach, the roots included. A root comes with the place that names it, for
    /// the error message. Cycles are fine.
    ///
    /// # Errors
    /// When a root or a reference on the way is not in the graph.
    pub fn closure(
        &self,
        roots: impl IntoIterator<Item = (String, StorePath)>,
    ) -> Result<Closure, ClosureError> {
        let mut found = BTreeMap::new();
        let mut waiting: Vec<(String, StorePath)> = roots.into_iter().collect();
        while let Some((from, path)) = waiting.pop() {
            if found.contains_key(&path) {
                continue;
            }
            let references = self
                .references
                .get(&path)
                .ok_or_else(|| ClosureError::Missing { from, to: path.clone() })?;
            let unseen = references.iter().filter(|reference| !found.contains_key(*reference));
            waiting.extend(unseen.map(|reference| (path.to_string(), reference.clone())));
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

    /// Whether `path` is in it.
    pub fn contains(&self, path: &StorePath) -> bool {
        self.references.contains_key(path)
    }

    /// The paths with what each refers to, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&StorePath, &BTreeSet<StorePath>)> {
        self.references.iter()
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.references.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
    }

    /// The closure less the paths for which `drop` says so, and less the references to them.
    #[must_use]
    pub fn without(mut self, drop: impl Fn(&StorePath) -> bool) -> Self {
        self.references.retain(|path, _| !drop(path));
        for references in self.references.values_mut() {
            references.retain(|reference| !drop(reference));
        }
        self
    }
}
