//! The file tree of an image: all layers on top of each other, with whiteouts applied (OCI
//! image-spec, `layer.md`).
//!
//! It has only what is needed to build a layer on top: the kind of each path, the targets of
//! symlinks, and the metadata of directories, which a layer that adds files to them must repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::entry::{Attributes, display_path, join, name_of, parent_of};
use super::tar::{Member, MemberKind, Skip, TarReader};
use crate::image::Timestamp;
use crate::text;

/// The prefix of an entry that removes a path of a lower layer.
pub const WHITEOUT: &[u8] = b".wh.";
/// The name of an entry that hides the lower layers' contents of its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";
/// The prefix of AUFS' internal files.
const AUFS: &[u8] = b".wh..wh.";

/// The most symlinks that are followed in one path (as in Linux).
const LINKS_MAX: usize = 40;

/// A path of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory(DirMetadata),
    /// A symlink to this target.
    Symlink(Box<[u8]>),
    /// A regular file, device or named pipe.
    File,
}

/// The metadata of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirMetadata {
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Modification time.
    pub mtime: Timestamp,
}

impl Default for DirMetadata {
    /// The metadata that engines give to directories without an entry.
    fn default() -> Self {
        Self { mode: 0o755, uid: 0, gid: 0, mtime: Timestamp::DEFAULT }
    }
}

impl From<DirMetadata> for Attributes {
    /// Without names of user and group: the base image defines them.
    fn from(metadata: DirMetadata) -> Self {
        let (uname, gname) = (String::new(), String::new());
        Self { uid: metadata.uid, gid: metadata.gid, uname, gname, mtime: metadata.mtime }
    }
}

/// The changes of one layer to the tree.
#[derive(Debug, Default)]
pub struct LayerTree {
    nodes: BTreeMap<Box<[u8]>, Node>,
    removed: BTreeSet<Box<[u8]>>,
    opaque: BTreeSet<Box<[u8]>>,
    /// The number of entries in the tar.
    pub entries: usize,
}

impl LayerTree {
    /// Reads a layer's tar to the end.
    ///
    /// # Errors
    /// If it is invalid, or has an unsafe name.
    pub fn read<R: Skip>(reader: &mut TarReader<R>) -> io::Result<Self> {
        let mut layer = Self::default();
        while let Some(member) = reader.next_member()? {
            layer.entries += 1;
            let path = normalize(&member.path).ok_or_else(|| unsafe_path(&member.path))?;
            layer.add(path, member)?;
        }
        Ok(layer)
    }

    fn add(&mut self, path: Box<[u8]>, member: Member) -> io::Result<()> {
        let name = name_of(&path);
        if name == OPAQUE {
            self.opaque.insert(parent_of(&path).into());
        } else if name == WHITEOUT {
            return Err(unsafe_path(&member.path));
        } else if name.starts_with(AUFS) {
            // Engines ignore AUFS' internal files.
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"." | b"..") {
                return Err(unsafe_path(&member.path));
            }
            self.removed.insert(join(parent_of(&path), hidden));
        } else if !path.is_empty() {
            self.nodes.insert(path, node(member));
        }
        Ok(())
    }
}

fn node(member: Member) -> Node {
    match member.kind {
        MemberKind::Directory => Node::Directory(DirMetadata {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: i64::try_from(member.mtime)
                .ok()
                .and_then(|s| Timestamp::from_seconds(s).ok())
                .unwrap_or(Timestamp::DEFAULT),
        }),
        MemberKind::Symlink => Node::Symlink(member.link.into()),
        MemberKind::File | MemberKind::HardLink | MemberKind::Special => Node::File,
    }
}

/// `path` without leading slashes, `.` and empty components; `None` if it contains `..` or NUL.
pub(super) fn normalize(path: &[u8]) -> Option<Box<[u8]>> {
    let parts: Vec<&[u8]> =
        path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.contains(&&b".."[..]) && !path.contains(&0)).then(|| parts.join(&b'/').into())
}

fn unsafe_path(path: &[u8]) -> io::Error {
    let text = format!("unsafe or empty path: \"{}\"", text::bytes(path));
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Resolves the symlinks in the path of a directory, including the last component, within the
/// image. `node_at` returns the node at a path. Components that do not exist stay as they are.
///
/// # Errors
/// If symlinks form a loop, or a component is a file.
pub fn resolve<'a>(
    path: &[u8],
    node_at: impl Fn(&[u8]) -> Option<&'a Node>,
) -> Result<Box<[u8]>, ResolveError> {
    let split = |path: &[u8]| -> Vec<Vec<u8>> {
        path.split(|b| *b == b'/').rev().map(<[u8]>::to_vec).collect()
    };
    let mut remaining = split(path);
    let mut resolved: Box<[u8]> = Box::default();
    let mut links = 0;
    while let Some(part) = remaining.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." => {
                resolved = parent_of(&resolved).into();
                continue;
            }
            _ => {}
        }
        let next = join(&resolved, &part);
        match node_at(&next) {
            Some(Node::Symlink(target)) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(ResolveError::Loop(path.into()));
                }
                if target.starts_with(b"/") {
                    resolved = Box::default();
                }
                remaining.extend(split(target));
            }
            Some(Node::File) => return Err(ResolveError::File(path.into(), next)),
            Some(Node::Directory(_)) | None => resolved = next,
        }
    }
    Ok(resolved)
}

/// The file tree of all layers of an image.
#[derive(Debug, Default)]
pub struct Tree {
    nodes: BTreeMap<Box<[u8]>, Node>,
}

/// A path that cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// Symlinks form a loop.
    #[error("{} contains more than {LINKS_MAX} symlinks of the base image", display_path(.0))]
    Loop(Box<[u8]>),
    /// A component of the path is not a directory.
    #[error(
        "{} is below {}, which is a file in the base image",
        display_path(.0),
        display_path(.1)
    )]
    File(Box<[u8]>, Box<[u8]>),
}

impl Tree {
    /// The tree of `layers`, lowest first.
    pub fn from_layers(layers: impl IntoIterator<Item = LayerTree>) -> Self {
        let mut tree = Self::default();
        layers.into_iter().for_each(|layer| tree.apply(layer));
        tree
    }

    /// Applies `layer` on top of the tree.
    pub fn apply(&mut self, layer: LayerTree) {
        for path in &layer.opaque {
            self.remove_below(path);
        }
        for path in &layer.removed {
            self.remove(path);
        }
        for (path, node) in layer.nodes {
            self.insert(path, node);
        }
    }

    /// The node at `path`. Symlinks in the path are not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// Whether the tree has no paths.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Inserts `node` at `path`. Parents that are missing or not directories become directories. If
    /// `node` is not a directory, everything below `path` is removed.
    pub fn insert(&mut self, path: Box<[u8]>, node: Node) {
        let mut parent = parent_of(&path);
        while !parent.is_empty() && !matches!(self.nodes.get(parent), Some(Node::Directory(_))) {
            self.nodes.insert(parent.into(), Node::Directory(DirMetadata::default()));
            parent = parent_of(parent);
        }
        if !matches!(node, Node::Directory(_)) {
            self.remove_below(&path);
        }
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, path: &[u8]) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    fn remove_below(&mut self, path: &[u8]) {
        if path.is_empty() {
            return self.nodes.clear();
        }
        // Everything below `path` sorts between "path/" and "path0", since '0' comes after '/'.
        let (first, end) = ([path, b"/"].concat(), [path, b"0"].concat());
        let range = first.into_boxed_slice()..end.into_boxed_slice();
        let below: Vec<Box<[u8]>> = self.nodes.range(range).map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| drop(self.nodes.remove(path)));
    }
}
