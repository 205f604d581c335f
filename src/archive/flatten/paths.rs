//! The paths of a file system, and where their entries are.

use std::collections::BTreeMap;
use std::ops::Bound;

/// The position of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    /// The index of its layer.
    pub(super) layer: u32,
    /// The position of its first header in the tar of the layer.
    pub(super) start: u64,
}

/// A path.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// A directory without an entry.
    Implied,
    /// A directory.
    Directory(Position),
    /// A file, symlink or special file. Several names of a file have the same position. A hard link
    /// to nothing has that of its own entry.
    File(Position),
}

impl Node {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Implied | Self::Directory(_))
    }
}

/// Directories without an entry of their own that were added with a path below them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parents {
    pub(super) count: u64,
    /// The length of their paths together, in bytes.
    pub(super) bytes: u64,
}

/// Paths without slashes at either end. The parents of every path are in it, and are directories.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// By key.
    nodes: BTreeMap<Box<[u8]>, Node>,
}

/// The key of a path: ordered by components, so that whatever is below a path follows it directly.
/// No path contains NUL.
fn key(path: &[u8]) -> Box<[u8]> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

fn path(key: &[u8]) -> Box<[u8]> {
    key.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect()
}

/// The key of the directory that contains a path; `None` at the top.
fn parent(key: &[u8]) -> Option<&[u8]> {
    key.iter().rposition(|byte| *byte == 0).map(|end| &key[..end])
}

impl Paths {
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(&key(path))
    }

    /// All paths in order: a directory comes right before its contents.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Box<[u8]>, &Node)> {
        self.nodes.iter().map(|(key, node)| (path(key), node))
    }

    /// Inserts all of `other`.
    pub(super) fn insert_all(&mut self, other: Self) {
        for (key, node) in other.nodes {
            self.insert(&path(&key), node);
        }
    }

    /// Inserts `node`. A parent that is not a directory becomes one. If `node` is not a directory,
    /// everything below its path is removed. Returns the parents that were added too.
    pub(super) fn insert(&mut self, path: &[u8], node: Node) -> Parents {
        let key = key(path);
        if !node.is_directory() {
            self.remove_below_key(&key);
        }
        let parents = self.insert_parents(&key);
        match (&node, self.nodes.get(&key)) {
            (Node::Implied, Some(present)) if present.is_directory() => {}
            _ => drop(self.nodes.insert(key, node)),
        }
        parents
    }

    fn insert_parents(&mut self, key: &[u8]) -> Parents {
        let mut added = Parents::default();
        let mut above = parent(key);
        while let Some(parent_key) = above {
            if self.nodes.get(parent_key).is_some_and(Node::is_directory) {
                break;
            }
            self.nodes.insert(parent_key.into(), Node::Implied);
            added.count += 1;
            added.bytes += parent_key.len() as u64;
            above = parent(parent_key);
        }
        added
    }

    /// Removes `path` and everything below it.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.remove_below(path);
        self.nodes.remove(&key(path));
    }

    /// Removes everything below `path`.
    pub(super) fn remove_below(&mut self, path: &[u8]) {
        self.remove_below_key(&key(path));
    }

    fn remove_below_key(&mut self, key: &[u8]) {
        let is_below = |next: &[u8]| match next.strip_prefix(key) {
            Some(rest) => key.is_empty() || rest.first() == Some(&0),
            None => false,
        };
        let after = self.nodes.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded));
        let below = after.map(|(next, _)| next).take_while(|next| is_below(next));
        let below: Vec<Box<[u8]>> = below.cloned().collect();
        for key in below {
            self.nodes.remove(&key);
        }
    }
}
