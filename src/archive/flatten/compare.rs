//! Compares two file systems.

use std::io::{self, Read};

use serde::Serialize;

use super::FileSystem;
use super::paths::{Node, Position};
use crate::archive::ArchiveError;
use crate::archive::entry::display_path;
use crate::archive::tar::{Member, MemberKind};

/// The files that differ between two images, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileChanges {
    /// Files that only the second image has.
    pub added: Vec<String>,
    /// Files that only the first image has.
    pub removed: Vec<String>,
    /// Files that differ.
    pub changed: Vec<FileChange>,
}

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileChange {
    /// The path.
    pub path: String,
    /// The differences: `kind`, `content`, `target` of a link, `mode`, `owner`, `time`, or
    /// `attributes`.
    pub differences: Vec<&'static str>,
}

impl FileChanges {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// The size of the pieces of files that are compared.
const CHUNK: usize = 64 << 10;

impl FileSystem {
    /// Compares this file system with `other`. Files of layers that both images have are not read.
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub fn changes(&self, other: &Self) -> Result<FileChanges, ArchiveError> {
        let mut changes = FileChanges::default();
        for (path, node) in self.paths.iter() {
            let Some(second) = other.paths.get(&path) else {
                changes.removed.push(display_path(&path));
                continue;
            };
            let differences = self.differences(node, other, second)?;
            if !differences.is_empty() {
                changes.changed.push(FileChange { path: display_path(&path), differences });
            }
        }
        let added = other.paths.iter().filter(|(path, _)| self.paths.get(path).is_none());
        changes.added = added.map(|(path, _)| display_path(&path)).collect();
        Ok(changes)
    }

    fn differences(
        &self,
        first: &Node,
        other: &Self,
        second: &Node,
    ) -> Result<Vec<&'static str>, ArchiveError> {
        let (first, second) = match (position(first), position(second)) {
            (Some(first), Some(second)) => (first, second),
            // A directory without an entry has the metadata that engines give it.
            _ if is_directory(first) == is_directory(second) => return Ok(Vec::new()),
            _ => return Ok(vec!["kind"]),
        };
        let layer =
            |files: &Self, position: Position| files.diff_ids.get(position.layer as usize).copied();
        if first.start == second.start && layer(self, first) == layer(other, second) {
            return Ok(Vec::new());
        }
        let (one, mut one_content) = self.member(first)?;
        let (two, mut two_content) = other.member(second)?;
        let mut differences = metadata(&one, &two);
        if one.kind == MemberKind::File && two.kind == MemberKind::File {
            let failed = ArchiveError::read(&other.image);
            if one.size != two.size || !same(&mut one_content, &mut two_content).map_err(failed)? {
                differences.insert(0, "content");
            }
        }
        Ok(differences)
    }
}

fn position(node: &Node) -> Option<Position> {
    match node {
        Node::Directory(position) | Node::File(position) => Some(*position),
        Node::Implied => None,
    }
}

fn is_directory(node: &Node) -> bool {
    matches!(node, Node::Implied | Node::Directory(_))
}

fn metadata(one: &Member, two: &Member) -> Vec<&'static str> {
    if one.kind != two.kind {
        return vec!["kind"];
    }
    let is_symlink = one.kind == MemberKind::Symlink;
    let checks = [
        ("target", is_symlink && one.link != two.link),
        ("mode", one.mode != two.mode),
        ("owner", (one.uid, one.gid) != (two.uid, two.gid)),
        ("time", one.mtime != two.mtime),
        ("attributes", one.xattrs != two.xattrs),
    ];
    checks.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// Whether two readers give the same bytes.
fn same(one: &mut impl Read, two: &mut impl Read) -> io::Result<bool> {
    let (mut first, mut second) = (Vec::with_capacity(CHUNK), Vec::with_capacity(CHUNK));
    loop {
        first.clear();
        second.clear();
        one.take(CHUNK as u64).read_to_end(&mut first)?;
        two.take(CHUNK as u64).read_to_end(&mut second)?;
        if first != second {
            return Ok(false);
        }
        if first.is_empty() {
            return Ok(true);
        }
    }
}
