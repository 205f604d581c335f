//! A layer as data: entries with their attributes, from which every byte of its tar follows.
//!
//! The position of each byte is known from metadata alone. So a layer can be cut into segments that any
//! thread can produce by itself, in any order. The list of entries leaves memory when it grows long.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::ArchiveError;
use super::entry::{Attributes, Entry, FileContent, Kind};
use super::header::{self, END, padding};
use super::spool::{Spool, SpoolWriter};
use crate::image::Digest;
use crate::image::digest::Hasher;

/// How many bytes of a layer one segment has; the last of a layer has fewer.
pub const SEGMENT: usize = 512 << 10;

/// The entries of one layer.
#[derive(Debug)]
pub struct Layer {
    entries: Spool<Entry>,
    count: usize,
    attributes: Attributes,
    size: u64,
    fingerprint: Fingerprint,
}

/// What a layer looks like without its files being opened: every entry, and of every file its size, its times and its inode,
/// as git's index has it. Layers with the same fingerprint have the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The digest of all that.
    pub digest: Digest,
    /// Whether every file had been left alone for a while when it was listed. One that had not may be changed again without
    /// looking different, since file systems tell times only so finely (git's "racy" entries).
    pub settled: bool,
}

/// Takes the entries of a layer.
#[derive(Debug)]
pub struct LayerBuilder {
    entries: SpoolWriter<Entry>,
    count: usize,
    attributes: Attributes,
    size: u64,
    seen: Hasher,
    settled: bool,
    /// The second before which files must have been changed last.
    settled_before: i64,
}

/// How long a file must have been left alone, in seconds: as coarse as any file system tells times.
const SETTLED: i64 = 2;

/// How many bytes of entries stay in memory, some 80 000 of them.
const IN_MEMORY: usize = 8 << 20;

/// A stretch of a layer's tar.
#[derive(Clone, Debug)]
pub struct Segment {
    layer: Arc<Layer>,
    /// Where the entry it begins in stands in the layer's list.
    entry: u64,
    /// How many bytes of that entry come before it.
    skip: u64,
    /// How many bytes it has.
    length: usize,
}

impl LayerBuilder {
    /// A layer whose entries share `attributes`.
    pub fn new(attributes: Attributes) -> Self {
        let mut seen = Hasher::default();
        seen.update(format!("{attributes:?}\n").as_bytes());
        let now = UNIX_EPOCH.elapsed().map_or(0, |now| now.as_secs() as i64);
        Self {
            entries: SpoolWriter::new(IN_MEMORY),
            count: 0,
            attributes,
            size: END.len() as u64,
            seen,
            settled: true,
            settled_before: now - SETTLED,
        }
    }

    /// Takes the next entry, in order.
    ///
    /// # Errors
    /// When there is no room for a long list of entries in the folder for temporary files.
    pub fn push(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        self.entries.push_seen(entry, |bytes| self.seen.update(bytes)).map_err(unlisted)?;
        if let Kind::File(FileContent { modified, changed, .. }) = &entry.kind {
            self.settled &= modified.0.max(changed.0) < self.settled_before;
        }
        self.count += 1;
        self.size += record_size(entry);
        Ok(())
    }

    /// The layer.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self) -> Result<Layer, ArchiveError> {
        let Self { entries, count, attributes, size, mut seen, settled, .. } = self;
        let fingerprint = Fingerprint { digest: seen.finish(), settled };
        Ok(Layer {
            entries: entries.finish().map_err(unlisted)?,
            count,
            attributes,
            size,
            fingerprint,
        })
    }
}

/// A list of entries that could not be kept.
pub(crate) fn unlisted(source: io::Error) -> ArchiveError {
    ArchiveError::Write {
        target: "the list of files in the folder for temporary files".to_owned(),
        source,
    }
}

impl Layer {
    /// The size of its tar in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What it looks like.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Cuts the tar into segments, in order.
    pub fn segments(
        self: &Arc<Self>,
    ) -> impl Iterator<Item = Result<Segment, ArchiveError>> + use<> {
        let layer = Arc::clone(self);
        let mut entries = self.entries.from(0);
        // The entry that the next segment begins in, its size, and where the one behind it stands.
        let (mut entry, mut size, mut next) = (0, 0, 0);
        let (mut skip, mut left) = (0, layer.size);
        std::iter::from_fn(move || {
            while size <= skip {
                skip -= size;
                entry = next;
                match entries.next() {
                    Some(Ok((read, behind))) => (size, next) = (record_size(&read), behind),
                    Some(Err(error)) => return Some(Err(unlisted(error))),
                    // Behind the last entry stand the zero blocks.
                    None => size = u64::MAX,
                }
            }
            let length = left.min(SEGMENT as u64) as usize;
            let segment = Segment { layer: Arc::clone(&layer), entry, skip, length };
            left -= length as u64;
            skip += length as u64;
            (length > 0).then_some(Ok(segment))
        })
    }

    fn encode_header(&self, entry: &Entry, out: &mut Vec<u8>) {
        let attributes = entry.attributes.as_deref().unwrap_or(&self.attributes);
        header::encode(&entry.path, entry.mode, &entry.kind, attributes, out);
    }
}

/// An entry's header, content and padding.
fn record_size(entry: &Entry) -> u64 {
    let header = header::encoded_size(&entry.path, &entry.kind);
    match &entry.kind {
        Kind::File(content) => header + content.size + padding(content.size),
        _ => header,
    }
}

impl Segment {
    /// Puts the segment's bytes into `buffer`, whatever that held.
    ///
    /// # Errors
    /// When a file cannot be read, or is not as it was when it was listed.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<(), ArchiveError> {
        buffer.clear();
        let mut skip = self.skip;
        let mut entries = self.layer.entries.from(self.entry);
        while buffer.len() < self.length {
            let Some(entry) = entries.next() else { break };
            let (entry, _) = entry.map_err(unlisted)?;
            self.read_record(&entry, skip, buffer)?;
            skip = 0;
        }
        // Behind the last entry stand the zero blocks that end the archive; a header may have gone over.
        buffer.resize(self.length, 0);
        Ok(())
    }

    /// Appends what `entry`'s record has from `skip` on, as far as the segment goes.
    fn read_record(
        &self,
        entry: &Entry,
        skip: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let header_size = header::encoded_size(&entry.path, &entry.kind);
        if skip < header_size {
            let start = buffer.len();
            self.layer.encode_header(entry, buffer);
            buffer.drain(start..start + skip as usize);
        }
        let Kind::File(content) = &entry.kind else {
            return Ok(());
        };
        let room = self.length.saturating_sub(buffer.len()) as u64;
        let offset = skip.saturating_sub(header_size);
        let count = content.size.saturating_sub(offset).min(room);
        if count > 0 {
            read_content(entry, content, offset, count as usize, buffer)?;
        }
        let filled = content.size + padding(content.size);
        let zeros = filled.saturating_sub(offset.max(content.size)).min(room - count);
        if offset + count >= content.size {
            buffer.resize(buffer.len() + zeros as usize, 0);
        }
        Ok(())
    }
}

/// Appends `count` bytes of a file from `offset` on, and checks that it is the file that was listed.
fn read_content(
    entry: &Entry,
    content: &FileContent,
    offset: u64,
    count: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), ArchiveError> {
    let path = entry.source().unwrap_or_default();
    let open = File::options()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32)
        .open(&path);
    let file = open.map_err(ArchiveError::read(&path))?;
    let start = buffer.len();
    buffer.resize(start + count, 0);
    match file.read_exact_at(&mut buffer[start..], offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(ArchiveError::Changed(path));
        }
        result => result.map_err(ArchiveError::read(&path))?,
    }
    let metadata = file.metadata().map_err(ArchiveError::read(&path))?;
    if (metadata.len(), (metadata.mtime(), metadata.mtime_nsec() as u32))
        == (content.size, content.modified)
    {
        Ok(())
    } else {
        Err(ArchiveError::Changed(path))
    }
}
