//! Writes OCI layouts of blobs whose digests are known: an image stays the same, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::PathBuf;

use super::layout::{INDEX, LAYOUT, blob_name};
use crate::archive::ArchiveError;
use crate::archive::header::END;
use crate::archive::write::{
    copy, folder_header, member_header, write_failed, write_member, write_padding,
};
use crate::image::Digest;
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, OCI_LAYOUT, OciIndex};

/// Writes an OCI layout.
pub(crate) trait LayoutWriter {
    /// Whether the layout has the blob `digest`.
    fn has(&self, digest: Digest) -> bool;

    /// Writes the blob `digest` of `size` bytes, and checks both.
    ///
    /// # Errors
    /// If `source` cannot be read, does not match, or the output cannot be written.
    fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError>;

    /// Writes the index, which lists `root`, and ends the layout.
    ///
    /// # Errors
    /// If the output cannot be written.
    fn finish(self, root: Descriptor) -> Result<(), ArchiveError>;
}

/// The index of a layout with one image.
fn index(root: Descriptor) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&OciIndex::new(vec![root], BTreeMap::new()))?)
}

/// Copies a blob, and checks its digest and size.
pub(crate) fn copy_blob(
    digest: Digest,
    size: u64,
    source: &mut dyn Read,
    output: &mut dyn Write,
) -> Result<(), ArchiveError> {
    let (name, mut hasher) = (blob_name(digest), Hasher::default());
    let count = copy(source.take(size), &name, output, |bytes| hasher.update(bytes))?;
    let found = hasher.finish();
    if count == size && found == digest {
        return Ok(());
    }
    let (path, part) = (PathBuf::from("the image"), format!("the blob {digest}"));
    Err(ArchiveError::Corrupted { path, part, expected: digest, found })
}

/// A layout in a tar, which is written in one pass.
pub(crate) struct LayoutTar<W> {
    output: W,
    written: BTreeSet<Digest>,
}

impl<W: Write> LayoutTar<W> {
    /// Begins a layout in `output`.
    ///
    /// # Errors
    /// If `output` cannot be written.
    pub(crate) fn begin(mut output: W) -> Result<Self, ArchiveError> {
        write_member(&mut output, LAYOUT, OCI_LAYOUT.as_bytes())
            .and_then(|()| output.write_all(&folder_header("blobs")))
            .and_then(|()| output.write_all(&folder_header("blobs/sha256")))
            .map_err(write_failed)?;
        Ok(Self { output, written: BTreeSet::new() })
    }
}

impl<W: Write> LayoutWriter for LayoutTar<W> {
    fn has(&self, digest: Digest) -> bool {
        self.written.contains(&digest)
    }

    fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        let header = member_header(&blob_name(digest), size);
        self.output.write_all(&header).map_err(write_failed)?;
        copy_blob(digest, size, source, &mut self.output)?;
        write_padding(&mut self.output, size).map_err(write_failed)?;
        self.written.insert(digest);
        Ok(())
    }

    fn finish(mut self, root: Descriptor) -> Result<(), ArchiveError> {
        let index = index(root).map_err(write_failed)?;
        write_member(&mut self.output, INDEX, &index)
            .and_then(|()| self.output.write_all(&END))
            .and_then(|()| self.output.flush())
            .map_err(write_failed)
    }
}
