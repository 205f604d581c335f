//! An OCI layout in a folder that gets an image: its index lists the image when all its blobs are
//! there.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::options::BUFFER_SIZE;
use crate::archive::ArchiveError;
use crate::archive::oci::{INDEX, LAYOUT, LayoutWriter, blob_name, copy_blob, name_of};
use crate::document;
use crate::files::output::{self, OutputFile};
use crate::image::Digest;
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, OCI_LAYOUT, OciIndex};
use crate::text;

/// The folder of blobs.
const BLOBS: &str = "blobs/sha256";

/// A layout that is being written. A new one has its blobs first and its index last: if the process
/// is killed, the next copy finds what is there.
#[derive(Debug)]
pub(super) struct LayoutFolder {
    folder: PathBuf,
    /// The folder of blobs, locked together with other copies into this layout.
    blobs: File,
    begun: Begun,
}

/// The parts that this copy has created, which are removed if it fails.
#[derive(Clone, Copy, Debug, Default)]
struct Begun {
    folder: bool,
    layout: bool,
}

impl LayoutFolder {
    /// Opens the layout at `path`; if there is none, begins one.
    ///
    /// # Errors
    /// If `path` is something else, or a folder cannot be created.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        loop {
            let mut begun = Begun::default();
            match fs::create_dir(path) {
                Ok(()) => begun.folder = true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(output::failed(path, error.kind().into()).into()),
            }
            if !path.is_dir() {
                let problem = "it is a file; to write an OCI layout in a tar, write oci-archive:";
                return Err(ArchiveError::invalid(path, problem));
            }
            let folder = File::open(path).map_err(failed(path))?;
            // Not every file system has locks.
            let _ = folder.lock();
            // Another copy may have failed in the meantime, and removed what it had begun.
            if !is_same_file(&folder, path) {
                continue;
            }
            begin(path, &mut begun)?;
            fs::create_dir_all(path.join(BLOBS)).map_err(failed(path))?;
            let blobs = File::open(path.join(BLOBS)).map_err(failed(path))?;
            let _ = blobs.lock_shared();
            return Ok(Self { folder: path.to_owned(), blobs, begun });
        }
    }

    /// Writes the file `name` with `write`; it appears when it is complete.
    fn write(
        &self,
        name: &str,
        write: impl FnOnce(&File) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        let file = OutputFile::beside(&path)?;
        write(file.file()).map_err(|error| error.writing_to_file(&path))?;
        Ok(file.persist()?)
    }

    /// Adds `root` to the index; an entry of the same name, or without a name and for the same
    /// image, is replaced. Everything else in the index stays.
    fn list(&self, root: &Descriptor) -> Result<(), ArchiveError> {
        let path = self.folder.join(INDEX);
        let invalid = |problem: String| ArchiveError::invalid(&path, problem);
        // Others may add an image at the same time.
        let lock = File::open(&self.folder).map_err(failed(&path))?;
        lock.lock().map_err(failed(&path))?;
        let mut index = match document::read(&path, document::MAX_SIZE) {
            Ok(text) => serde_json::from_str(&text)
                .map_err(|error| invalid(format!("it is not JSON: {error}")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let empty = OciIndex::new(Vec::new(), std::collections::BTreeMap::new());
                serde_json::to_value(empty).unwrap_or(Value::Null)
            }
            Err(error) => return Err(ArchiveError::read(&path)(error)),
        };
        let entries = index.get_mut("manifests").and_then(Value::as_array_mut);
        let entries = entries.ok_or_else(|| invalid("it has no list of manifests".to_owned()))?;
        entries.retain(|entry| !is_same(entry, root));
        let entry = serde_json::to_value(root).map_err(|error| invalid(error.to_string()))?;
        entries.push(entry);
        let bytes = serde_json::to_vec(&index).map_err(|error| invalid(error.to_string()))?;
        self.write(INDEX, |mut file| file.write_all(&bytes).map_err(failed(&path)))
    }
}

/// Whether `entry` of an index lists what `root` lists.
fn is_same(entry: &Value, root: &Descriptor) -> bool {
    let Ok(entry) = serde_json::from_value::<Descriptor>(entry.clone()) else { return false };
    match (name_of(&entry), name_of(root)) {
        (None, None) => entry.digest == root.digest,
        (one, other) => one == other,
    }
}

impl LayoutWriter for LayoutFolder {
    fn has(&self, digest: Digest) -> bool {
        let path = self.folder.join(blob_name(digest));
        path.is_file() && File::open(path).is_ok_and(|file| has_digest(file, digest))
    }

    fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.write(&blob_name(digest), |mut file| copy_blob(digest, size, source, &mut file))
    }

    fn finish(mut self, root: Descriptor) -> Result<(), ArchiveError> {
        self.list(&root)?;
        self.begun = Begun::default();
        Ok(())
    }
}

impl Drop for LayoutFolder {
    fn drop(&mut self) {
        let Begun { folder, layout } = self.begun;
        if !layout {
            return;
        }
        let lock = File::open(&self.folder);
        let _lock = lock.inspect(|lock| drop(lock.lock()));
        let is_shared = matches!(self.blobs.try_lock(), Err(TryLockError::WouldBlock));
        // Another copy may be writing the layout, or have completed it.
        if is_shared || self.folder.join(INDEX).exists() {
            return;
        }
        let _ = fs::remove_dir_all(self.folder.join(BLOBS));
        let _ = fs::remove_dir(self.folder.join("blobs"));
        let _ = fs::remove_file(self.folder.join(LAYOUT));
        if folder {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Writes `oci-layout` into the folder `path`, if it is empty.
fn begin(path: &Path, begun: &mut Begun) -> Result<(), ArchiveError> {
    if path.join(LAYOUT).is_file() {
        return Ok(());
    }
    if fs::read_dir(path).map_err(failed(path))?.next().is_some() {
        let problem = "the folder has files, but is not an OCI layout; name a layout, or a folder \
                       that is empty or does not exist";
        return Err(ArchiveError::invalid(path, problem));
    }
    let file = OutputFile::beside(&path.join(LAYOUT))?;
    file.file().write_all(OCI_LAYOUT.as_ref()).map_err(failed(path))?;
    begun.layout = true;
    Ok(file.persist()?)
}

/// Whether `file` is the one at `path`.
fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), path.metadata()) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

/// Whether the content of `file` has the digest `digest`.
fn has_digest(mut file: File, digest: Digest) -> bool {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER_SIZE];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return hasher.finish() == digest,
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    let target = text::path(path);
    move |source| ArchiveError::Write { target: target.clone(), source }
}
