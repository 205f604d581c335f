//! The changes of one layer to the file tree of an image: its entries and whiteouts (OCI
//! image-spec, `layer.md`), as Docker and containerd unpack them.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::entry::{Attributes, Entry, Kind, display_path, join, name_of, parent_of};
use super::invalid_data::invalid_data;
use super::limits::{Budget, LINK_WORK, Limits, too_many_links};
use super::resolve::resolve_counted;
use super::tar::{Member, MemberKind, Skip, TarReader};
use super::tree::{DirMetadata, Node, Tree};
use crate::image::Timestamp;
use crate::text;

/// The prefix of an entry that removes a path of a lower layer.
pub const WHITEOUT: &[u8] = b".wh.";
/// The name of an entry that hides the lower layers' contents of its directory.
pub(crate) const OPAQUE: &[u8] = b".wh..wh..opq";
/// The prefix of AUFS' internal files.
pub(crate) const AUFS: &[u8] = b".wh..wh.";

/// The changes of one layer to the tree.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LayerTree {
    tree: Tree,
    removed: BTreeSet<Box<[u8]>>,
    opaque: BTreeSet<Box<[u8]>>,
    /// The number of entries in the tar.
    pub entries: usize,
    /// The work of following symlinks.
    #[serde(skip)]
    link_work: u64,
}

impl LayerTree {
    /// Reads a layer's tar to the end, within `limits`.
    ///
    /// # Errors
    /// If it is invalid, has an unsafe path, or too many entries.
    pub fn read<R: Skip>(reader: &mut TarReader<R>, limits: &Limits) -> io::Result<Self> {
        Self::read_within(reader, &Budget::new(limits, 0))
    }

    /// Reads a layer's tar to the end. Its entries count against `budget`.
    pub(super) fn read_within<R: Skip>(
        reader: &mut TarReader<R>,
        budget: &Budget,
    ) -> io::Result<Self> {
        let mut layer = Self::default();
        while let Some(member) = reader.next_member()? {
            budget.take_entry(&member)?;
            let before = layer.link_work;
            layer.add(&member)?;
            budget.take_link_work(layer.link_work - before)?;
        }
        Ok(layer)
    }

    /// Adds an entry, and returns the path at which an engine creates it: it follows symlinks that
    /// the layer has created before. `None` for the root and for whiteouts.
    pub(crate) fn add(&mut self, member: &Member) -> io::Result<Option<Box<[u8]>>> {
        self.add_node(&member.path, || node(member))
    }

    /// Adds an entry of a layer that is not a tar yet and whose entries have `attributes` by
    /// default.
    pub(crate) fn add_entry(&mut self, entry: &Entry, attributes: &Attributes) -> io::Result<()> {
        self.add_node(&entry.path, || node_of_entry(entry, attributes)).map(drop)
    }

    /// Adds an entry with the path `given`, and returns the path at which an engine creates it.
    fn add_node(
        &mut self,
        given: &[u8],
        node: impl FnOnce() -> Node,
    ) -> io::Result<Option<Box<[u8]>>> {
        self.entries += 1;
        let path = normalize(given).ok_or_else(|| unsafe_path(given))?;
        let path = self.through_symlinks(path)?;
        if self.link_work > LINK_WORK {
            return Err(too_many_links());
        }
        let name = name_of(&path);
        if name == OPAQUE {
            self.opaque.insert(parent_of(&path).into());
        } else if name == WHITEOUT {
            return Err(unsafe_path(given));
        } else if name.starts_with(AUFS) {
            // Engines ignore AUFS' internal files.
        } else if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, b"." | b"..") {
                return Err(unsafe_path(given));
            }
            self.removed.insert(join(parent_of(&path), hidden));
        } else if !path.is_empty() {
            self.tree.insert(&path, node());
            return Ok(Some(path));
        }
        Ok(None)
    }

    /// The work of following symlinks so far.
    pub(super) fn link_work(&self) -> u64 {
        self.link_work
    }

    /// The node of the layer at `path`.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.tree.get(path)
    }

    /// The paths that the layer removes from the layers below it.
    pub(crate) fn removed(&self) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().map(|path| &**path)
    }

    /// The directories whose contents in the layers below it the layer hides.
    pub(crate) fn opaque(&self) -> impl Iterator<Item = &[u8]> {
        self.opaque.iter().map(|path| &**path)
    }

    /// Whether the entries so far hide what the layers below have at `path`.
    pub(crate) fn hides(&self, path: &[u8]) -> bool {
        let folders = || path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let removed = |path: &[u8]| self.removed.contains(path);
        let emptied = |folder: &[u8]| self.opaque.contains(folder);
        removed(path)
            || emptied(b"")
            || folders().any(|(end, _)| removed(&path[..end]) || emptied(&path[..end]))
            || self.tree.obstacle(path).is_some()
    }

    /// The path of the file that `member`, a hard link, is another name of, if this layer has it.
    pub(crate) fn link_target(&mut self, member: &Member) -> io::Result<Box<[u8]>> {
        let target = normalize(&member.link).ok_or_else(|| unsafe_path(&member.link))?;
        self.through_symlinks(target)
    }

    /// Resolves symlinks in the parents of `path` that are in this layer. Engines on overlayfs
    /// unpack a layer into a folder of its own, so those of lower layers are not followed.
    fn through_symlinks(&mut self, path: Box<[u8]>) -> io::Result<Box<[u8]>> {
        match self.tree.obstacle(&path) {
            None => Ok(path),
            Some((_, Node::Symlink(_))) => {
                let node_at = |path: &[u8]| self.tree.get(path);
                let parent = resolve_counted(parent_of(&path), &mut self.link_work, node_at);
                let parent = parent.map_err(|error| invalid_data(error.to_string()))?;
                Ok(join(&parent, name_of(&path)))
            }
            Some((above, _)) => {
                let (path, above) = (display_path(&path), display_path(&above));
                Err(invalid_data(format!("{path} is below {above}, which is not a directory")))
            }
        }
    }
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
        layer.opaque.iter().for_each(|path| self.remove_below(path));
        layer.removed.iter().for_each(|path| self.remove(path));
        self.insert_all(layer.tree);
    }
}

fn node(member: &Member) -> Node {
    match member.kind {
        MemberKind::Directory => Node::Directory(DirMetadata {
            mode: member.mode,
            uid: member.uid,
            gid: member.gid,
            mtime: Timestamp::of_file(member.mtime),
            xattrs: (!member.xattrs.is_empty()).then(|| Arc::new(member.xattrs.clone())),
        }),
        MemberKind::Symlink => Node::Symlink(member.link.as_slice().into()),
        MemberKind::File | MemberKind::HardLink | MemberKind::Special(_) => Node::File,
    }
}

fn node_of_entry(entry: &Entry, attributes: &Attributes) -> Node {
    match &entry.kind {
        Kind::Directory => {
            let attributes = entry.attributes.as_deref().unwrap_or(attributes);
            Node::Directory(DirMetadata {
                mode: entry.mode,
                uid: attributes.uid,
                gid: attributes.gid,
                mtime: attributes.mtime,
                xattrs: (!entry.xattrs.is_empty()).then(|| Arc::new(entry.xattrs.clone())),
            })
        }
        Kind::Symlink(target) => Node::Symlink(target.clone()),
        Kind::File(_)
        | Kind::HardLink(_)
        | Kind::Fifo
        | Kind::CharDevice(..)
        | Kind::BlockDevice(..) => Node::File,
    }
}

/// `path` without leading slashes, `.` and empty components; `None` if it contains `..` or NUL.
pub(crate) fn normalize(path: &[u8]) -> Option<Box<[u8]>> {
    let parts: Vec<&[u8]> =
        path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    (!parts.contains(&&b".."[..]) && !path.contains(&0)).then(|| parts.join(&b'/').into())
}

fn unsafe_path(path: &[u8]) -> io::Error {
    invalid_data(format!("unsafe or empty path: \"{}\"", text::bytes(path)))
}
