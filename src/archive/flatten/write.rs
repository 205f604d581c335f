//! Writes a file system as one tar, sorted by path.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use super::FileSystem;
use super::paths::{Node, Position};
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::archive::entry::{Attributes, Entry, FileContent, Kind};
use crate::archive::header::{self, END};
use crate::archive::resolve::{PathNode, walk};
use crate::archive::tar::{Member, MemberKind, TarReader};
use crate::archive::write::{copy, write_failed, write_padding};

/// A path of a file system.
#[derive(Clone, Debug)]
pub enum FoundPath {
    /// A directory without an entry.
    Implied,
    /// The entry of the path, and the index of the layer that has it.
    Entry(usize, Box<Member>),
}

/// The permissions of directories without an entry, as engines create them.
const DIRECTORY_MODE: u32 = 0o755;

impl FileSystem {
    /// Writes all files as a tar: sorted by path, with owners, permissions, times and extended
    /// attributes as in the layers, and hard links. Holes of sparse files become zeros. `progress`
    /// is called with the number of bytes of each file.
    ///
    /// # Errors
    /// If a layer cannot be read or has changed, or `output` cannot be written.
    pub fn write(
        &self,
        output: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        self.write_entries(self.paths.iter(), output, progress)
    }

    /// Writes the file at `path`, which has no slash at either end, as a tar with one entry that is
    /// called `name`, or the directory at `path` as a tar with an entry of its root, and what is in
    /// it. Everything else is as in [`write`](Self::write).
    ///
    /// # Errors
    /// If a layer cannot be read or has changed, or `output` cannot be written.
    pub(crate) fn write_part(
        &self,
        path: &[u8],
        name: &[u8],
        output: &mut dyn Write,
    ) -> Result<(), ArchiveError> {
        let root = self.root.map_or(Node::Implied, Node::Directory);
        let top = if path.is_empty() { Some(&root) } else { self.paths.get(path) };
        let name = if matches!(top, Some(Node::File(_))) { name } else { &[][..] };
        let top = top.map(|node| (Box::from(name), node));
        let below = self.paths.iter().filter_map(|(entry, node)| {
            let rest = match path.is_empty() {
                true => &*entry,
                false => entry.strip_prefix(path)?.strip_prefix(b"/")?,
            };
            Some((Box::from(rest), node))
        });
        self.write_entries(top.into_iter().chain(below), output, &mut |_| ())
    }

    /// Writes entries, given by their names in the tar.
    fn write_entries<'n>(
        &self,
        entries: impl Iterator<Item = (Box<[u8]>, &'n Node)>,
        output: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ArchiveError> {
        let mut names: BTreeMap<Position, Box<[u8]>> = BTreeMap::new();
        for (path, node) in entries {
            let position = match node {
                Node::Implied => {
                    let entry = Entry::new(path, DIRECTORY_MODE, Kind::Directory);
                    write_header(&entry, output)?;
                    continue;
                }
                Node::Directory(position) | Node::File(position) => *position,
            };
            let (member, mut content) = self.member(position)?;
            let kind = Kind::of_member(&member, FileContent::sized(&member), Box::default());
            let mut entry = Entry::of_member(path, &member, kind);
            if self.linked.contains(&position) {
                match names.get(&position) {
                    Some(first) => {
                        entry.kind = Kind::HardLink(first.clone());
                        write_header(&entry, output)?;
                        continue;
                    }
                    None => drop(names.insert(position, entry.path.clone())),
                }
            }
            write_header(&entry, output)?;
            if member.kind == MemberKind::File {
                let name = self.image.to_string_lossy();
                let size = copy(&mut content, &name, output, |_| ())?;
                write_padding(output, size).map_err(write_failed)?;
                progress(size);
            }
        }
        output.write_all(&END).map_err(write_failed)?;
        self.check_unchanged()
    }

    /// Reads the file at `path`, which has no slash at either end; `None` if there is no regular
    /// file, or if it is larger than `limit` bytes. Symlinks are not followed.
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub fn content(&self, path: &[u8], limit: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        let Some(Node::File(position)) = self.paths.get(path) else { return Ok(None) };
        let (member, mut reader) = self.member(*position)?;
        if member.kind != MemberKind::File || member.size > limit {
            return Ok(None);
        }
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(ArchiveError::read(&self.image))?;
        Ok(Some(content))
    }

    /// The index of the layer that has the entry for `path`, which has no slash at either end;
    /// `None` if there is no such path, or no entry for a directory.
    pub fn layer_of(&self, path: &[u8]) -> Option<usize> {
        match self.paths.get(path)? {
            Node::Directory(position) | Node::File(position) => Some(position.layer as usize),
            Node::Implied => None,
        }
    }

    /// The entry of `path`, which has no slash at either end; `None` if there is no such path.
    /// Symlinks are not followed.
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub fn find(&self, path: &[u8]) -> Result<Option<FoundPath>, ArchiveError> {
        let position = match self.paths.get(path) {
            None => return Ok(None),
            Some(Node::Directory(position) | Node::File(position)) => *position,
            Some(Node::Implied) => return Ok(Some(FoundPath::Implied)),
        };
        let (member, _) = self.member(position)?;
        Ok(Some(FoundPath::Entry(position.layer as usize, Box::new(member))))
    }

    /// The entry of the root; `None` if no layer has one.
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub(in crate::archive) fn root(&self) -> Result<Option<FoundPath>, ArchiveError> {
        let Some(position) = self.root else { return Ok(None) };
        let (member, _) = self.member(position)?;
        Ok(Some(FoundPath::Entry(position.layer as usize, Box::new(member))))
    }

    /// Resolves symlinks in the parents of `path`, which has no slash at either end, but not the
    /// last component. Components that do not exist stay as they are; `None` if symlinks form a
    /// loop or make the path too long.
    ///
    /// # Errors
    /// If a layer cannot be read.
    pub fn resolve_parents(&self, path: &[u8]) -> Result<Option<Box<[u8]>>, ArchiveError> {
        self.resolve(path, false)
    }

    /// Like [`resolve_parents`](Self::resolve_parents), and the last component, too, if
    /// `follow_last`.
    pub(crate) fn resolve(
        &self,
        path: &[u8],
        follow_last: bool,
    ) -> Result<Option<Box<[u8]>>, ArchiveError> {
        let lookup = |path: &[u8]| {
            Ok::<_, ArchiveError>(match self.find(path)? {
                Some(FoundPath::Entry(_, member)) if member.kind == MemberKind::Symlink => {
                    PathNode::Symlink(member.link)
                }
                _ => PathNode::Other,
            })
        };
        Ok(walk(path, follow_last, &mut 0, lookup)?.ok())
    }

    /// Whether there is a path `path`, which has no slash at either end.
    pub fn has(&self, path: &[u8]) -> bool {
        self.paths.get(path).is_some()
    }

    /// All paths, without slashes at either end, in order: a directory comes right before its
    /// contents.
    pub fn paths(&self) -> impl Iterator<Item = Box<[u8]>> {
        self.paths.iter().map(|(path, _)| path)
    }

    /// The entry at `position` with the metadata that the file has, and a reader of its content.
    pub(super) fn member(
        &self,
        position: Position,
    ) -> Result<(Member, TarReader<FileSlice>), ArchiveError> {
        let changed = || ArchiveError::Changed(self.image.clone());
        let entry = self.entry(position).map_err(ArchiveError::read(&self.image))?;
        let (mut member, reader) = entry.ok_or_else(changed)?;
        self.link_metadata.apply(&position, &mut member);
        Ok((member, reader))
    }

    /// The entry at `position` as it is in its layer, and a reader of its content.
    pub(super) fn entry(
        &self,
        position: Position,
    ) -> io::Result<Option<(Member, TarReader<FileSlice>)>> {
        let Some(layer) = self.layers.get(position.layer as usize) else { return Ok(None) };
        let mut reader = TarReader::new(layer.part(position.start, layer.len()));
        Ok(reader.next_member()?.map(|member| (member, reader)))
    }

    fn check_unchanged(&self) -> Result<(), ArchiveError> {
        for layer in &self.layers {
            if !layer.is_unchanged().map_err(ArchiveError::read(&self.image))? {
                return Err(ArchiveError::Changed(self.image.clone()));
            }
        }
        Ok(())
    }
}

fn write_header(entry: &Entry, output: &mut dyn Write) -> Result<(), ArchiveError> {
    let mut header = Vec::new();
    header::encode(entry, &Attributes::default(), &mut header);
    output.write_all(&header).map_err(write_failed)
}
