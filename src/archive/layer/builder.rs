//! Collects the entries of a layer.

use std::time::UNIX_EPOCH;

use super::entries::{Fingerprint, Layer, file_list_failed, record_size};
use crate::archive::ArchiveError;
use crate::archive::entry::{Attributes, Entry, FileContent, HostFile, Kind};
use crate::archive::header::END;
use crate::archive::spool::SpoolWriter;
use crate::archive::tar_file::TarFile;
use crate::image::digest::Hasher;

/// Builds a layer from its entries.
#[derive(Debug)]
pub struct LayerBuilder {
    entries: SpoolWriter<Entry>,
    tars: Vec<TarFile>,
    count: usize,
    attributes: Attributes,
    size: u64,
    metadata: Hasher,
    stable: bool,
    /// Files that changed before this second are stable.
    stable_before: i64,
}

/// The age of the last change from which on a file is stable, in seconds: the coarsest time
/// resolution of any file system.
const STABLE_AGE: i64 = 2;

/// The size of the longest list of entries that stays in memory, in bytes: about 80 000 entries.
const MEMORY_LIMIT: usize = 8 << 20;

impl LayerBuilder {
    /// Begins a layer whose entries have `attributes` by default.
    pub fn new(attributes: Attributes) -> Self {
        let mut metadata = Hasher::default();
        metadata.update(format!("{attributes:?}\n").as_bytes());
        let now = UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs() as i64);
        Self {
            entries: SpoolWriter::new(MEMORY_LIMIT),
            tars: Vec::new(),
            count: 0,
            attributes,
            size: END.len() as u64,
            metadata,
            stable: true,
            stable_before: now - STABLE_AGE,
        }
    }

    /// Sets the tars whose parts are contents of the entries.
    pub fn with_tars(mut self, tars: Vec<TarFile>) -> Self {
        self.tars = tars;
        for tar in &self.tars {
            self.metadata.update(tar.identity().as_bytes());
            self.stable &= tar.is_stable(self.stable_before);
        }
        self
    }

    /// Adds the next entry; entries must come in order.
    ///
    /// # Errors
    /// If a long list of entries cannot be written to the folder for temporary files.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let hash = |bytes: &[u8]| self.metadata.update(bytes);
        self.entries.push_inspected(entry, hash).map_err(file_list_failed)?;
        if let Kind::File(FileContent::Host(HostFile { modified, changed, filesystem, .. })) =
            &entry.kind
        {
            let is_old = modified.0.max(changed.0) < self.stable_before;
            self.stable &= is_old && filesystem.has_ctime;
        }
        self.count += 1;
        self.size += record_size(entry, &self.attributes);
        Ok(())
    }

    /// Returns the layer.
    ///
    /// # Errors
    /// Those of [`push`](Self::push).
    pub fn finish(self) -> Result<Layer, ArchiveError> {
        let Self { entries, tars, count, attributes, size, mut metadata, stable, .. } = self;
        let fingerprint = Fingerprint { digest: metadata.finish(), stable };
        Ok(Layer {
            entries: entries.finish().map_err(file_list_failed)?,
            // Tars without entries mean a finished layer.
            tars: if count == 0 { Vec::new() } else { tars },
            count,
            attributes,
            size,
            fingerprint,
        })
    }
}

impl Layer {
    /// A layer that is `tar`, byte for byte. The tar has `entries` entries.
    ///
    /// # Errors
    /// If the empty list of entries cannot be made.
    pub fn finished(tar: TarFile, entries: usize) -> Result<Self, ArchiveError> {
        let size = tar.bytes().len();
        let builder = LayerBuilder::new(Attributes::default()).with_tars(vec![tar]);
        let tars = builder.tars.clone();
        Ok(Self { tars, count: entries, size, ..builder.finish()? })
    }
}
