//! Cuts a layer's tar into segments, and reads them.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use super::entries::{Layer, file_list_failed, record_size};
use crate::archive::entry::{Entry, FileContent, HostFile, Kind};
use crate::archive::header::{self, padding};
use crate::archive::tar_file::TarFile;
use crate::archive::{ArchiveError, host};

/// The size of a segment in bytes; the last one of a layer is smaller.
pub const SEGMENT_SIZE: usize = 512 << 10;

/// A range of a layer's tar.
#[derive(Clone, Debug)]
pub struct Segment {
    layer: Arc<Layer>,
    /// The position in the layer's list of the entry that the segment begins in.
    entry: u64,
    /// The number of bytes of that entry before the segment.
    skip: u64,
    /// The segment's size in bytes.
    length: usize,
    /// Whether files must have exactly the metadata of the layer's fingerprint.
    unchanged_files: bool,
}

impl Layer {
    /// Cuts the tar into segments, in order.
    pub fn segments(
        self: &Arc<Self>,
    ) -> impl Iterator<Item = Result<Segment, ArchiveError>> + use<> {
        let layer = Arc::clone(self);
        let mut entries = self.entries.from(0);
        // The entry that the next segment begins in, its size, and the position of the next entry.
        let (mut entry, mut size, mut next) = (0, 0, 0);
        let (mut skip, mut left) = (0, layer.size);
        if self.finished_tar().is_some() {
            size = u64::MAX;
        }
        std::iter::from_fn(move || {
            while size <= skip {
                skip -= size;
                entry = next;
                match entries.next() {
                    Some(Ok((read, after))) => {
                        (size, next) = (record_size(&read, &layer.attributes), after);
                    }
                    Some(Err(error)) => return Some(Err(file_list_failed(error))),
                    // The zero blocks that end the tar.
                    None => size = u64::MAX,
                }
            }
            let length = left.min(SEGMENT_SIZE as u64) as usize;
            let segment =
                Segment { layer: Arc::clone(&layer), entry, skip, length, unchanged_files: false };
            left -= length as u64;
            skip += length as u64;
            (length > 0).then_some(Ok(segment))
        })
    }

    fn encode_header(&self, entry: &Entry, out: &mut Vec<u8>) {
        header::encode(entry, &self.attributes, out);
    }
}

impl Segment {
    /// The segment, which is an error to read if a file no longer has all metadata that it has in
    /// the layer's fingerprint: it may have been replaced by one of the same size and date.
    pub(in crate::archive) fn with_unchanged_files(self) -> Self {
        Self { unchanged_files: true, ..self }
    }

    /// Replaces the content of `buffer` by the segment's bytes.
    ///
    /// # Errors
    /// If a file cannot be read, or has changed since it was listed.
    pub fn read(&self, buffer: &mut Vec<u8>) -> Result<(), ArchiveError> {
        buffer.clear();
        if let Some(tar) = self.layer.finished_tar() {
            return read_part(tar, self.skip, self.length, buffer);
        }
        let mut skip = self.skip;
        let mut entries = self.layer.entries.from(self.entry);
        while buffer.len() < self.length {
            let Some(entry) = entries.next() else { break };
            let (entry, _) = entry.map_err(file_list_failed)?;
            self.read_record(&entry, skip, buffer)?;
            skip = 0;
        }
        // Adds the zero blocks that end the tar, or cuts a header that exceeds the segment.
        buffer.resize(self.length, 0);
        Ok(())
    }

    /// Appends the bytes of `entry`'s record from `skip` on, up to the end of the segment.
    fn read_record(
        &self,
        entry: &Entry,
        skip: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let header_size = header::encoded_size(entry, &self.layer.attributes);
        if skip < header_size {
            let start = buffer.len();
            self.layer.encode_header(entry, buffer);
            buffer.drain(start..start + skip as usize);
        }
        let Kind::File(content) = &entry.kind else {
            return Ok(());
        };
        let space = self.length.saturating_sub(buffer.len()) as u64;
        let offset = skip.saturating_sub(header_size);
        let size = content.size();
        let count = size.saturating_sub(offset).min(space);
        if count > 0 {
            self.read_content(entry, content, offset, count as usize, buffer)?;
        }
        let filled = size + padding(size);
        let zeros = filled.saturating_sub(offset.max(size)).min(space - count);
        if offset + count >= size {
            buffer.resize(buffer.len() + zeros as usize, 0);
        }
        Ok(())
    }

    /// Appends `count` bytes of the content of `entry` from `offset` on.
    fn read_content(
        &self,
        entry: &Entry,
        content: &FileContent,
        offset: u64,
        count: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        match content {
            FileContent::Host(file) => {
                let metadata = read_file(entry, file, offset, count, buffer)?;
                let ctime = (metadata.ctime(), metadata.ctime_nsec() as u32);
                let is_same = (ctime, metadata.ino()) == (file.changed, file.inode);
                if self.unchanged_files && !is_same {
                    return Err(ArchiveError::Changed(entry.host_path(file)));
                }
                Ok(())
            }
            FileContent::Inline(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                buffer.extend(bytes[start..].iter().take(count));
                Ok(())
            }
            FileContent::Part { tar, offset: start, .. } => {
                let tar = self.layer.tars.get(*tar as usize).ok_or(ArchiveError::WorkerLost)?;
                read_part(tar, start.saturating_add(offset), count, buffer)
            }
        }
    }
}

/// Appends `count` bytes of `tar` from `offset` on, and checks that it has not changed since it was
/// opened.
fn read_part(
    tar: &TarFile,
    offset: u64,
    count: usize,
    buffer: &mut Vec<u8>,
) -> Result<(), ArchiveError> {
    let start = buffer.len();
    buffer.resize(start + count, 0);
    let read = tar.bytes().part(offset, count as u64).read_exact(&mut buffer[start..]);
    match read.and_then(|()| tar.bytes().is_unchanged()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(ArchiveError::Changed(tar.path().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(ArchiveError::Changed(tar.path().to_owned()))
        }
        Err(error) => Err(ArchiveError::read(tar.path())(error)),
    }
}

/// Appends `count` bytes of a file from `offset` on, and checks that the file has not changed since
/// it was listed. Returns its metadata.
fn read_file(
    entry: &Entry,
    content: &HostFile,
    offset: u64,
    count: usize,
    buffer: &mut Vec<u8>,
) -> Result<Metadata, ArchiveError> {
    let path = entry.host_path(content);
    let file = match host::open(&path, rustix::fs::OFlags::RDONLY) {
        Ok(file) => File::from(file),
        // It was no symlink, and there was none on the way, when it was listed.
        Err(error) if host::is_symlink_error(&error) => return Err(ArchiveError::Changed(path)),
        Err(error) => return Err(ArchiveError::read(&path)(error)),
    };
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
        Ok(metadata)
    } else {
        Err(ArchiveError::Changed(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::entry::Attributes;
    use crate::archive::layer::LayerBuilder;

    #[test]
    fn with_a_cached_digest_a_file_that_was_replaced_is_an_error() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().canonicalize().unwrap();
        let path = folder.join("file");
        std::fs::write(&path, "first ").unwrap();
        let metadata = path.metadata().unwrap();
        let mut layer = LayerBuilder::new(Attributes::default());
        let content = HostFile::new(folder.as_path().into(), &metadata);
        let kind = Kind::File(FileContent::Host(content));
        layer.push(&Entry::new(&b"file"[..], 0o644, kind)).unwrap();
        let segment = Arc::new(layer.finish().unwrap()).segments().next().unwrap().unwrap();
        let (hashed, cached) = (segment.clone(), segment.with_unchanged_files());
        let mut buffer = Vec::new();
        hashed.read(&mut buffer).unwrap();
        cached.read(&mut buffer).unwrap();
        // A file of the same size and date.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "second").unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(metadata.modified().unwrap())
            .unwrap();
        hashed.read(&mut buffer).unwrap();
        assert!(matches!(cached.read(&mut buffer), Err(ArchiveError::Changed(_))));
    }
}
