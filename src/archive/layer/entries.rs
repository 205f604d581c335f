//! The entries of a layer and what follows from them without opening a file.

use std::io;

use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, Kind};
use crate::archive::header::{self, padding};
use crate::archive::layer_tree::LayerTree;
use crate::archive::spool::Spool;
use crate::archive::tar_file::TarFile;
use crate::image::Digest;

/// The entries of one layer.
#[derive(Debug)]
pub struct Layer {
    pub(super) entries: Spool<Entry>,
    /// The tars that contents of files are parts of. A finished tar has no entries and is the only
    /// one.
    pub(super) tars: Vec<TarFile>,
    pub(super) count: usize,
    pub(super) attributes: Attributes,
    pub(super) size: u64,
    pub(super) fingerprint: Fingerprint,
}

/// A digest of a layer's metadata: every entry, and size, times, inode and filesystem of every
/// file, similar to git's index. Layers with equal fingerprints that are stable have equal bytes.
/// No file is opened to compute it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The digest of the metadata.
    pub digest: Digest,
    /// Whether every file is on a filesystem with a real ctime, and no file had changed in the last
    /// seconds before it was listed. Otherwise a file may change without new metadata, since file
    /// systems store times with limited resolution (git calls such entries "racy"). A layer whose
    /// fingerprint is not stable is never looked up in the layer cache.
    pub stable: bool,
}

/// A failure to write or read the list of entries.
pub(crate) fn file_list_failed(source: io::Error) -> ArchiveError {
    ArchiveError::temporary_file(source)
}

impl Layer {
    /// The finished tar that the layer is, if it is one.
    pub(super) fn finished_tar(&self) -> Option<&TarFile> {
        self.tars.first().filter(|_| self.entries.is_empty())
    }

    /// The size of the tar in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The fingerprint of its metadata.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Its changes to the layers below. No content of a file is read.
    ///
    /// # Errors
    /// If the list of its entries, or the finished tar that it is, cannot be read.
    pub(crate) fn tree(&self) -> Result<LayerTree, ArchiveError> {
        if let Some(tar) = self.finished_tar() {
            return tar.layer_tree();
        }
        let mut tree = LayerTree::default();
        for entry in self.entries.iter() {
            let added = entry.and_then(|entry| tree.add_entry(&entry, &self.attributes));
            added.map_err(file_list_failed)?;
        }
        Ok(tree)
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The size of an entry's header, content and padding.
pub(super) fn record_size(entry: &Entry, attributes: &Attributes) -> u64 {
    let header = header::encoded_size(entry, attributes);
    match &entry.kind {
        Kind::File(content) => header + content.size() + padding(content.size()),
        _ => header,
    }
}
