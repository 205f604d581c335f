//! Writes OCI layouts of blobs whose digests are known: an image stays the same, byte for byte.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::PathBuf;

use super::layout::{blob_name, write_index, write_start};
use crate::archive::ArchiveError;
use crate::archive::header::END;
use crate::archive::write::{copy, member_header, write_failed, write_padding};
use crate::image::Digest;
use crate::image::digest::Hasher;
use crate::image::manifest::Descriptor;

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
        write_start(&mut output).map_err(write_failed)?;
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
        write_index(&mut self.output, vec![root])
            .and_then(|()| self.output.write_all(&END))
            .and_then(|()| self.output.flush())
            .map_err(write_failed)
    }
}
