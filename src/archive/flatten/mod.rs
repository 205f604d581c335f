//! The file system of an image: all layers on top of each other, as an engine would show it, read
//! without unpacking it, and written as one tar.

mod compare;
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
use super::entry::display_path;
use super::image::Image;
use super::invalid_data::invalid_data;
use super::layer_tree::LayerTree;
use super::limits::Budget;
use super::linked_files::LinkedFiles;
use super::tar::{Member, MemberKind, TarReader};
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
    /// Files with several names.
    linked: BTreeSet<Position>,
    /// The metadata that they have from other entries than the one at their position.
    link_metadata: LinkedFiles<Position>,
}

impl FileSystem {
    /// Reads all layers of `image` on `threads` threads, checks their digests, and applies them on
    /// top of each other.
    ///
    /// # Errors
    /// If a layer cannot be read, is invalid, does not match its digest, or exceeds the limits of
    /// the image.
    pub fn read(image: &Image, threads: usize) -> Result<Self, ArchiveError> {
        let layers = plain::layers(image, threads)?;
        let mut files = Self {
            image: image.path.clone(),
            layers,
            diff_ids: image.layers.iter().map(|layer| layer.diff_id).collect(),
            paths: Paths::default(),
            linked: BTreeSet::new(),
            link_metadata: LinkedFiles::default(),
        };
        let stored = image.layers.iter().map(|layer| layer.bytes.len()).sum();
        let budget = Budget::new(&image.limits, stored);
        for (index, blob) in image.layers.iter().enumerate() {
            let added = files.add_layer(index, &budget);
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
    fn add_layer(&mut self, index: usize, budget: &Budget) -> io::Result<()> {
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
            let Some(path) = changes.add(&member)? else { continue };
            let node = match member.kind {
                MemberKind::Directory => Node::Directory(position),
                MemberKind::HardLink => {
                    let target = changes.link_target(&member)?;
                    self.link(&own, target, &member)
                }
                _ => Node::File(position),
            };
            let parents = own.insert(&path, node);
            budget.take_paths(parents.count, parents.bytes)?;
        }
        budget.take_link_work(changes.link_work())?;
        changes.opaque().for_each(|path| self.paths.remove_below(path));
        changes.removed().for_each(|path| self.paths.remove(path));
        self.insert_all(own)
    }

    /// The node of `member`, a hard link: the file that it names, if the same layer has it.
    fn link(&mut self, own: &Paths, target: Box<[u8]>, member: &Member) -> Node {
        match own.get(&target) {
            Some(Node::File(position)) => {
                self.linked.insert(*position);
                self.link_metadata.add(*position, member);
                Node::File(*position)
            }
            Some(Node::Link(lower)) => Node::Link(lower.clone()),
            _ => Node::Link(target),
        }
    }

    /// Adds the paths of a layer. Links to files of lower layers, which some builders write, are
    /// resolved.
    fn insert_all(&mut self, own: Paths) -> io::Result<()> {
        for (path, node) in own.into_iter() {
            let node = match node {
                Node::Link(target) => match self.paths.get(&target) {
                    Some(Node::File(position)) => {
                        let position = *position;
                        self.linked.insert(position);
                        Node::File(position)
                    }
                    _ => {
                        let (path, target) = (display_path(&path), display_path(&target));
                        let problem = "which is not a file of this layer or of a lower one";
                        return Err(invalid_data(format!(
                            "{path} is a hard link to {target}, {problem}"
                        )));
                    }
                },
                node => node,
            };
            self.paths.insert(&path, node);
        }
        Ok(())
    }
}
