//! Tars of the host that become layers, or parts of layers.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::ArchiveError;
use super::blob::FileSlice;
use super::decompress::{Codec, CountingReader};
use super::host::{self, Filesystem};
use super::layer_tree::LayerTree;
use super::limits::{Budget, Limits};
use super::not_an_image;
use super::tar::{Member, TarReader};

/// A tar that others made, which is treated as hostile. If it is compressed, its bytes are in an
/// unnamed temporary file, because parts of a layer are read in any order.
#[derive(Clone, Debug)]
pub struct TarFile {
    path: Arc<Path>,
    bytes: FileSlice,
    limits: Limits,
    /// The size of the file as stored, in bytes.
    stored: u64,
    identity: Arc<str>,
    /// The time of the last change in seconds, or `None` on a filesystem without a real ctime.
    changed: Option<i64>,
}

impl TarFile {
    /// Opens the tar at `path`: plain, or compressed with gzip, zstd or xz.
    ///
    /// # Errors
    /// If it is not a regular file, cannot be read or decompressed, or exceeds `limits`.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, ArchiveError> {
        let failed = |error| ArchiveError::read(path)(error);
        let real = path.canonicalize().map_err(failed)?;
        let file = File::from(host::open(&real, OFlags::RDONLY).map_err(failed)?);
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            let problem = match metadata.is_dir() {
                true => "it is a folder, not a tar; a folder is given as source",
                false => "it is not a regular file",
            };
            return Err(ArchiveError::invalid(path, problem));
        }
        let filesystem = Filesystem::of(file.as_fd());
        let times = (metadata.mtime(), metadata.mtime_nsec());
        let changes = (metadata.ctime(), metadata.ctime_nsec());
        let identity = (metadata.len(), times, changes, metadata.ino(), filesystem);
        let slice = FileSlice::whole(file).map_err(failed)?;
        let bytes = match Codec::detect(&slice).map_err(failed)? {
            Codec::Plain => slice,
            codec => decompressed(path, &slice, codec, limits)?,
        };
        if !TarReader::new(bytes.clone()).starts_with_header() {
            let problem = not_an_image::compressed(&bytes).map_err(failed)?;
            let problem = problem.unwrap_or_else(|| "it is not a tar".to_owned());
            return Err(ArchiveError::invalid(path, problem));
        }
        Ok(Self {
            path: path.into(),
            bytes,
            limits: *limits,
            stored: metadata.len(),
            identity: format!("{identity:?}\n").into(),
            changed: filesystem.has_ctime.then(|| metadata.mtime().max(metadata.ctime())),
        })
    }

    /// A tar that this process wrote to the file `tar`, which nothing else changes. Messages call
    /// it `path`.
    ///
    /// # Errors
    /// If the file's metadata cannot be read.
    pub fn own(path: &Path, tar: File) -> Result<Self, ArchiveError> {
        let bytes = FileSlice::whole(tar).map_err(ArchiveError::read(path))?;
        let (path, stored) = (path.into(), bytes.len());
        let (limits, identity) = (Limits::default(), "".into());
        Ok(Self { path, bytes, limits, stored, identity, changed: None })
    }

    /// A tar of files of an image, in the file `bytes`, which nothing else changes. Messages call
    /// it `path`. Tars with the same `identity` have the same bytes.
    pub(crate) fn of_image(path: &Path, bytes: FileSlice, identity: &str, limits: &Limits) -> Self {
        let (stored, identity) = (bytes.len(), format!("{identity}\n").into());
        Self {
            path: path.into(),
            bytes,
            limits: *limits,
            stored,
            identity,
            changed: Some(i64::MIN),
        }
    }

    /// Its path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The uncompressed bytes.
    pub fn bytes(&self) -> &FileSlice {
        &self.bytes
    }

    /// The metadata of the file as stored, for fingerprints.
    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether its metadata would show every change, if the last one was before `second`.
    pub(super) fn is_stable(&self, second: i64) -> bool {
        self.changed.is_some_and(|changed| changed < second)
    }

    /// Lists what it has as a layer, read to the end.
    ///
    /// # Errors
    /// If it is not a valid layer, or exceeds its limits.
    pub fn layer_tree(&self) -> Result<LayerTree, ArchiveError> {
        let budget = Budget::new(&self.limits, self.stored);
        let mut reader = TarReader::new(CountingReader::new(self.bytes.clone()));
        LayerTree::read_within(&mut reader, &budget).map_err(|error| self.invalid(&error))
    }

    /// Calls `visit` for every member, with the position of its content.
    ///
    /// # Errors
    /// If it is not a valid tar or exceeds its limits, or the first error of `visit`.
    pub fn members<E: From<ArchiveError>>(
        &self,
        mut visit: impl FnMut(Member, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let budget = Budget::new(&self.limits, self.stored);
        let mut reader = TarReader::new(self.bytes.clone());
        let mut next = || -> io::Result<Option<(Member, u64)>> {
            let Some(member) = reader.next_member()? else { return Ok(None) };
            budget.take_entry(&member)?;
            let position = self.bytes.len() - reader.get_ref().len();
            Ok(Some((member, position)))
        };
        while let Some((member, position)) = next().map_err(|error| self.invalid(&error))? {
            visit(member, position)?;
        }
        Ok(())
    }

    /// The contents of its sparse files with zeros for their holes, one after another in a file
    /// that counts as this tar, and where in there each begins, by its position in this tar.
    ///
    /// # Errors
    /// If it is not a valid tar, exceeds its limits, or the temporary file cannot be written.
    pub fn sparse_contents(&self) -> Result<(Self, BTreeMap<u64, u64>), ArchiveError> {
        let budget = Budget::new(&self.limits, self.stored);
        let file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
        let mut reader = TarReader::new(self.bytes.clone());
        let (mut starts, mut end) = (BTreeMap::new(), 0);
        let mut buffer = vec![0; 64 << 10];
        while let Some(member) = reader.next_member().map_err(|error| self.invalid(&error))? {
            if !member.sparse {
                continue;
            }
            budget.take_bytes(member.size).map_err(|error| self.invalid(&error))?;
            starts.insert(self.bytes.len() - reader.get_ref().len(), end);
            loop {
                let count = reader.read(&mut buffer).map_err(|error| self.invalid(&error))?;
                if count == 0 {
                    break;
                }
                // Holes stay holes in the temporary file.
                if buffer[..count].iter().any(|byte| *byte != 0) {
                    let written = file.write_all_at(&buffer[..count], end);
                    written.map_err(ArchiveError::temporary_file)?;
                }
                end += count as u64;
            }
        }
        file.set_len(end).map_err(ArchiveError::temporary_file)?;
        let bytes = FileSlice::whole(file).map_err(ArchiveError::temporary_file)?;
        Ok((Self { bytes, ..self.clone() }, starts))
    }

    fn invalid(&self, error: &io::Error) -> ArchiveError {
        invalid(&self.path, error)
    }
}

fn invalid(path: &Path, error: &io::Error) -> ArchiveError {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof => "the tar is truncated".to_owned(),
        _ => error.to_string(),
    };
    ArchiveError::invalid(path, problem)
}

/// Decompresses `stored` into an unnamed temporary file, within `limits`.
fn decompressed(
    path: &Path,
    stored: &FileSlice,
    codec: Codec,
    limits: &Limits,
) -> Result<FileSlice, ArchiveError> {
    let budget = Budget::new(limits, stored.len());
    let decoder = codec.decode(stored.clone()).map_err(|error| invalid(path, &error))?;
    let mut reader = budget.reader(decoder);
    let mut file = tempfile::tempfile().map_err(ArchiveError::temporary_file)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = reader.read(&mut buffer).map_err(|error| invalid(path, &error))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(ArchiveError::temporary_file)?;
    }
    FileSlice::whole(file).map_err(ArchiveError::temporary_file)
}
