//! The file tree of an image: all layers on top of each other, with whiteouts applied (OCI
//! image-spec, `layer.md`).
//!
//! It has only what is needed to build a layer on top: the kind of each path, the targets of
//! symlinks, and the metadata of directories, which a layer that adds files to them must repeat.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{Attributes, Xattrs, parent_of};
use crate::image::Timestamp;

/// A path of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// A directory.
    Directory(DirMetadata),
    /// A symlink to this target.
    Symlink(Box<[u8]>),
    /// A regular file, device or named pipe.
    File,
}

/// The metadata of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirMetadata {
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time.
    pub mtime: Timestamp,
    /// Extended attributes, if it has any.
    #[serde(serialize_with = "xattrs", deserialize_with = "shared_xattrs")]
    pub xattrs: Option<Arc<Xattrs>>,
}

fn xattrs<S: Serializer>(value: &Option<Arc<Xattrs>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_deref().serialize(serializer)
}

fn shared_xattrs<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Arc<Xattrs>>, D::Error> {
    Ok(Option::deserialize(deserializer)?.map(Arc::new))
}

impl Default for DirMetadata {
    /// The metadata that engines give to directories without an entry.
    fn default() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::DEFAULT, xattrs: None }
    }
}

impl From<&DirMetadata> for Attributes {
    /// Without names of user and group: the base image defines them.
    fn from(metadata: &DirMetadata) -> Self {
        let (uname, gname) = (String::new(), String::new());
        Self { uid: metadata.uid, gid: metadata.gid, uname, gname, mtime: metadata.mtime }
    }
}

/// The file tree of an image, or of a part of its layers.
///
/// Directories without an entry of their own take no room: they follow from what is in them.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tree {
    /// By key. Nothing is below a node that is not a directory.
    nodes: BTreeMap<Box<[u8]>, Node>,
}

/// A directory that has no entry.
static IMPLIED: Node = Node::Directory(DirMetadata {
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: Timestamp::DEFAULT,
    xattrs: None,
});

/// The key of a path: ordered by components, so that whatever is below a path follows it directly.
/// No path contains NUL.
fn key(path: &[u8]) -> Box<[u8]> {
    path.iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect()
}

fn path(key: &[u8]) -> Box<[u8]> {
    key.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect()
}

/// Whether the path of `key` is below that of `above`.
fn is_below(key: &[u8], above: &[u8]) -> bool {
    match key.strip_prefix(above) {
        Some(rest) => !rest.is_empty() && (above.is_empty() || rest[0] == 0),
        None => false,
    }
}

impl Tree {
    /// The node at `path`. Symlinks in the path are not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        let key = key(path);
        match self.nodes.get(&key) {
            Some(node) => Some(node),
            None => self.has_below(&key).then_some(&IMPLIED),
        }
    }

    /// Whether the tree has no paths.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The names and nodes of what is directly in the directory at `path`, in order.
    pub fn children(&self, path: &[u8]) -> Vec<(Box<[u8]>, &Node)> {
        let above = key(path);
        let start = if above.is_empty() { 0 } else { above.len() + 1 };
        let below = self.after(&above).take_while(|(next, _)| is_below(next, &above));
        let mut children: Vec<(Box<[u8]>, &Node)> = Vec::new();
        for (next, node) in below {
            let rest = &next[start..];
            let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
            if children.last().is_none_or(|(name, _)| **name != rest[..end]) {
                let node = if end == rest.len() { node } else { &IMPLIED };
                children.push((rest[..end].into(), node));
            }
        }
        children
    }

    /// Inserts `node` at `path`. A parent that is not a directory becomes one. If `node` is not a
    /// directory, everything below `path` is removed.
    pub fn insert(&mut self, path: &[u8], node: Node) {
        self.insert_key(key(path), node);
    }

    /// The symlink, file or device above `path` in the way to it, with its path.
    pub(super) fn obstacle(&self, path: &[u8]) -> Option<(Box<[u8]>, &Node)> {
        let (key, node) = self.obstacle_key(&key(path))?;
        Some((self::path(key), node))
    }

    /// Nothing is below a node that is not a directory, so nothing is between such a node and a
    /// path below it: it precedes the path directly.
    fn obstacle_key(&self, key: &[u8]) -> Option<(&[u8], &Node)> {
        let (above, node) =
            self.nodes.range::<[u8], _>((Bound::Unbounded, Bound::Excluded(key))).next_back()?;
        let is_obstacle = is_below(key, above) && !matches!(node, Node::Directory(_));
        is_obstacle.then_some((above, node))
    }

    fn insert_key(&mut self, key: Box<[u8]>, node: Node) {
        if let Some(obstacle) = self.obstacle_key(&key).map(|(above, _)| Box::from(above)) {
            self.nodes.remove::<[u8]>(&obstacle);
        }
        if !matches!(node, Node::Directory(_)) {
            self.remove_below_key(&key);
        }
        self.nodes.insert(key, node);
    }

    /// Removes `path` and everything below it. The directory that it is in stays.
    pub(super) fn remove(&mut self, path: &[u8]) {
        self.keep_directory(parent_of(path));
        self.remove_below(path);
        self.nodes.remove(&key(path));
    }

    /// Removes everything below `path`, which stays if it is a directory.
    pub(super) fn remove_below(&mut self, path: &[u8]) {
        self.keep_directory(path);
        self.remove_below_key(&key(path));
    }

    /// Makes sure that a directory does not vanish with what is in it.
    fn keep_directory(&mut self, path: &[u8]) {
        if !path.is_empty() && matches!(self.get(path), Some(Node::Directory(_))) {
            self.nodes.entry(key(path)).or_insert_with(|| IMPLIED.clone());
        }
    }

    /// Inserts all nodes of `other`.
    pub(super) fn insert_all(&mut self, other: Self) {
        other.nodes.into_iter().for_each(|(key, node)| self.insert_key(key, node));
    }

    fn has_below(&self, key: &[u8]) -> bool {
        self.after(key).next().is_some_and(|(next, _)| is_below(next, key))
    }

    fn remove_below_key(&mut self, key: &[u8]) {
        let below = self.after(key).map(|(next, _)| next).take_while(|next| is_below(next, key));
        let below: Vec<Box<[u8]>> = below.cloned().collect();
        below.iter().for_each(|key| drop(self.nodes.remove(key)));
    }

    fn after(&self, key: &[u8]) -> impl Iterator<Item = (&Box<[u8]>, &Node)> {
        self.nodes.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        paths.iter().for_each(|path| tree.insert(path.as_bytes(), Node::File));
        tree
    }

    #[test]
    fn directories_follow_from_what_is_in_them_and_names_that_sort_between_do_not_matter() {
        let mut tree = tree(&["a/b/c", "a-b/c", "a.d"]);
        for directory in ["a", "a/b", "a-b"] {
            assert_eq!(tree.get(directory.as_bytes()), Some(&IMPLIED), "{directory}");
        }
        assert_eq!(tree.get(b"a/b/c/d"), None);
        let names = |path: &[u8]| -> Vec<Box<[u8]>> {
            tree.children(path).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(b"a"), [Box::from(b"b".as_slice())]);
        assert_eq!(names(b"").len(), 3);
        assert_eq!(tree.get(b"a/bc"), None);
        tree.remove(b"a/b/c");
        assert_eq!(tree.get(b"a/b"), Some(&IMPLIED), "an empty directory");
        tree.remove_below(b"a-b");
        assert_eq!(tree.get(b"a-b"), Some(&IMPLIED), "an empty directory");
        tree.remove(b"a");
        assert_eq!(tree.get(b"a"), None);
        assert_eq!(tree.get(b"a.d"), Some(&Node::File));
    }

    #[test]
    fn a_file_below_a_symlink_replaces_it_and_a_file_in_the_place_of_a_folder_what_is_in_it() {
        let mut tree = tree(&["a/x", "b-c"]);
        tree.insert(b"b", Node::Symlink(b"a".as_slice().into()));
        assert_eq!(tree.obstacle(b"b/d/e").map(|(path, _)| path), Some(b"b".as_slice().into()));
        assert_eq!(tree.obstacle(b"a/d"), None);
        tree.insert(b"b/d/e", Node::File);
        assert_eq!(tree.get(b"b"), Some(&IMPLIED));
        tree.insert(b"a", Node::File);
        assert_eq!(tree.get(b"a/x"), None);
    }
}
