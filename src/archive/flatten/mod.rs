//! The file system of an image: all layers on top of each other, as an engine would show it, read
//! without unpacking it, and written as one tar.

mod compare;
mod hard_links;
mod paths;
mod plain;
mod write;

pub use self::write::FoundPath;
pub use compare::{FileChange, FileChanges};

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use self::paths::{Node, Paths, Position};
use super::ArchiveError;
use super::blob::FileSlice;
use super::image::Image;
use super::layer_tree::{LayerTree, normalize};
use super::limits::Budget;
use super::linked_files::LinkedFiles;
use super::tar::{MemberKind, TarReader};
use super::verify::invalid_layer;
use crate::image::DiffId;

/// The file system of an image.
///
/// It keeps every path in memory, but no content. Compressed layers are decompressed into unnamed
/// temporary files, because files are read in the order of their paths.
#[derive(Debug)]
pub struct FileSystem {
    /// The image, for messages.
    image: PathBuf,
    /// The layers as plain tars, lowest first.
    layers: Vec<FileSlice>,
    /// The digests of these tars.
    diff_ids: Vec<DiffId>,
    paths: Paths,
    /// The entry of the root.
    root: Option<Position>,
    /// Files with several names.
    linked: BTreeSet<Position>,
    /// The metadata that they have from other entries than the one at their position.
    link_metadata: LinkedFiles<Position>,
}

/// The treatment of hard links to files that do not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BrokenLinks {
    /// The image is invalid, as for every engine.
    Reject,
    /// They are paths, too.
    Keep,
}

impl FileSystem {
    /// Reads all layers of `image` on `threads` threads, checks their digests, and applies them on
    /// top of each other.
    ///
    /// # Errors
    /// If a layer cannot be read, is invalid, does not match its digest, or exceeds the limits of
    /// the image.
    pub fn read(image: &Image, threads: usize) -> Result<Self, ArchiveError> {
        Self::read_layers(image, threads, BrokenLinks::Reject)
    }

    /// Like [`FileSystem::read`], but keeps hard links to files that do not exist.
    pub(super) fn read_with_broken_links(
        image: &Image,
        threads: usize,
    ) -> Result<Self, ArchiveError> {
        Self::read_layers(image, threads, BrokenLinks::Keep)
    }

    fn read_layers(
        image: &Image,
        threads: usize,
        broken_links: BrokenLinks,
    ) -> Result<Self, ArchiveError> {
        let layers = plain::layers(image, threads)?;
        let mut files = Self {
            image: image.path.clone(),
            layers,
            diff_ids: image.layers.iter().map(|layer| layer.diff_id).collect(),
            paths: Paths::default(),
            root: None,
            linked: BTreeSet::new(),
            link_metadata: LinkedFiles::default(),
        };
        let stored = image.layers.iter().map(|layer| layer.bytes.len()).sum();
        let budget = Budget::new(&image.limits, stored);
        for (index, blob) in image.layers.iter().enumerate() {
            let added = files.add_layer(index, &budget, broken_links);
            added.map_err(|error| invalid_layer(image, blob, error))?;
        }
        Ok(files)
    }

    /// The image that it was read from.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The number of paths, the root not included.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no paths.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Applies a layer on top of the ones before it.
    fn add_layer(
        &mut self,
        index: usize,
        budget: &Budget,
        broken_links: BrokenLinks,
    ) -> io::Result<()> {
        let Some(bytes) = self.layers.get(index).cloned() else { return Ok(()) };
        let layer = u32::try_from(index).map_err(io::Error::other)?;
        let mut reader = TarReader::new(bytes.clone());
        let (mut changes, mut own) = (LayerTree::default(), Paths::default());
        loop {
            reader.skip_content()?;
            let position = Position { layer, start: bytes.len() - reader.get_ref().len() };
            let Some(member) = reader.next_member()? else { break };
            budget.take_entry(&member)?;
            if member.sparse {
                // Its holes take no room in the layer, but where it is written or compared.
                budget.take_bytes(member.size)?;
            }
            let Some(path) = changes.add(&member)? else {
                if normalize(&member.path).is_some_and(|path| path.is_empty()) {
                    self.root = Some(position);
                }
                continue;
            };
            let node = match member.kind {
                MemberKind::Directory => Node::Directory(position),
                MemberKind::HardLink => {
                    match self.linked_file(&own, &mut changes, &member, budget)? {
                        Ok(file) => {
                            self.linked.insert(file);
                            self.link_metadata.add(file, &member);
                            Node::File(file)
                        }
                        Err(_) if broken_links == BrokenLinks::Keep => Node::File(position),
                        Err(missing) => return Err(missing.of(&path)),
                    }
                }
                _ => Node::File(position),
            };
            let parents = own.insert(&path, node);
            budget.take_paths(parents.count, parents.bytes)?;
        }
        budget.take_link_work(changes.link_work())?;
        changes.opaque().for_each(|path| self.paths.remove_below(path));
        changes.removed().for_each(|path| self.paths.remove(path));
        self.paths.insert_all(own);
        Ok(())
    }
}
