//! The files that hard links name.
//!
//! Engines on overlayfs unpack a layer into a folder of its own, and reject a hard link to a file
//! that is not in it. Others unpack layers on top of each other: rootless containerd, its snapshots
//! without overlayfs, and umoci. They link to the file that is there when the entry is unpacked: of
//! this layer so far, or of a lower one unless the layer has replaced or removed it so far. They
//! follow symlinks in the target's parents, but not the target (containerd, `hardlinkRootPath`).
//! All names share the file, so the link gives its metadata to the names in lower layers, too.

use std::io;

use super::FileSystem;
use super::paths::{Node, Paths, Position};
use crate::archive::blob::FileSlice;
use crate::archive::entry::display_path;
use crate::archive::invalid_data::invalid_data;
use crate::archive::layer_tree::LayerTree;
use crate::archive::limits::Budget;
use crate::archive::resolve::{PathNode, lookup_work, walk};
use crate::archive::tar::{Member, MemberKind};
use crate::archive::tree;

/// The path of a file that a hard link names and that does not exist.
#[derive(Debug)]
pub(super) struct MissingTarget(Box<[u8]>);

impl MissingTarget {
    /// The error of the hard link at `path`.
    pub(super) fn of(&self, path: &[u8]) -> io::Error {
        let (path, target) = (display_path(path), display_path(&self.0));
        invalid_data(format!(
            "{path} is a hard link to {target}, which is not a file of this layer or of a lower one"
        ))
    }
}

impl FileSystem {
    /// The file that `link`, a hard link, names. The paths of its layer up to it are `own` and
    /// `changes`; those of the lower layers are in the file system already.
    pub(super) fn linked_file(
        &self,
        own: &Paths,
        changes: &mut LayerTree,
        link: &Member,
        budget: &Budget,
    ) -> io::Result<Result<Position, MissingTarget>> {
        let target = changes.link_target(link)?;
        if let Some(Node::File(file)) = own.get(&target) {
            return Ok(Ok(*file));
        }
        budget.take_link_work(lookup_work(&target))?;
        if let Some(file) = self.file_at(own, changes, &target) {
            return Ok(Ok(file));
        }
        let lookup = |path: &[u8]| self.symlink_at(changes, path, budget);
        let mut work = 0;
        let real = walk(&target, false, &mut work, lookup)?;
        budget.take_link_work(work)?;
        let Ok(real) = real else { return Ok(Err(MissingTarget(target))) };
        budget.take_link_work(lookup_work(&real))?;
        Ok(self.file_at(own, changes, &real).ok_or(MissingTarget(target)))
    }

    /// The file at `path` while a layer is unpacked.
    fn file_at(&self, own: &Paths, changes: &LayerTree, path: &[u8]) -> Option<Position> {
        let node = match own.get(path) {
            Some(node) => Some(node),
            // A link to its own path has replaced the file that it names.
            None if changes.get(path).is_some() || changes.hides(path) => None,
            None => self.paths.get(path),
        };
        match node {
            Some(Node::File(file)) => Some(*file),
            _ => None,
        }
    }

    /// The node at `path` while a layer is unpacked, as far as it has to do with symlinks.
    /// The work of finding one of a lower layer counts against `budget`.
    fn symlink_at(
        &self,
        changes: &LayerTree,
        path: &[u8],
        budget: &Budget,
    ) -> io::Result<PathNode> {
        match changes.get(path) {
            Some(tree::Node::Symlink(target)) => return Ok(PathNode::Symlink(target.to_vec())),
            Some(tree::Node::File) => return Ok(PathNode::File),
            Some(tree::Node::Directory(_)) => return Ok(PathNode::Other),
            None => {}
        }
        let file = match self.paths.get(path) {
            Some(Node::File(file)) => *file,
            _ => return Ok(PathNode::Other),
        };
        budget.take_link_work(lookup_work(path))?;
        if changes.hides(path) {
            return Ok(PathNode::Other);
        }
        let Some((member, content)) = self.entry(file)? else { return Ok(PathNode::File) };
        // Its headers are read again, which may have a megabyte.
        let length = self.layers.get(file.layer as usize).map_or(0, FileSlice::len);
        let read = length.saturating_sub(file.start + content.get_ref().len());
        budget.take_link_work(read)?;
        Ok(match member.kind {
            MemberKind::Symlink => PathNode::Symlink(member.link),
            _ => PathNode::File,
        })
    }
}
