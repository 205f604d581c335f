//! An OCI layout in a folder that gets an image: a new one appears when it is complete, and one
//! with other images lists the new image when all its blobs are there.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::archive::ArchiveError;
use crate::archive::oci::{INDEX, LAYOUT, LayoutWriter, blob_name, copy_blob, name_of};
use crate::build::output::{self, OutputFile};
use crate::document;
use crate::image::Digest;
use crate::image::manifest::{Descriptor, OCI_LAYOUT, OciIndex};
use crate::text;

/// The folder of blobs.
const BLOBS: &str = "blobs/sha256";

/// A layout that is being written.
#[derive(Debug)]
pub(super) struct LayoutFolder {
    /// The folder that is written to.
    folder: PathBuf,
    /// A new layout, and the folder that it becomes.
    new: Option<(TempDir, PathBuf)>,
}

impl LayoutFolder {
    /// Opens the layout at `path`; if there is none, begins one.
    ///
    /// # Errors
    /// If `path` is something else, or a folder cannot be created.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        if path.join(LAYOUT).is_file() {
            fs::create_dir_all(path.join(BLOBS)).map_err(failed(path))?;
            return Ok(Self { folder: path.to_owned(), new: None });
        }
        match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(false) => {
                let problem = "the folder has files, but is not an OCI layout; name a layout, or \
                               a folder that is empty or does not exist";
                return Err(ArchiveError::invalid(path, problem));
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let problem = "it is a file; to write an OCI layout in a tar, write oci-archive:";
                return Err(ArchiveError::invalid(path, problem));
            }
            Err(error) => return Err(failed(path)(error)),
        }
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let temporary = tempfile::Builder::new()
            .prefix(".seatrial-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(parent.unwrap_or(Path::new(".")))
            .map_err(|error| output::failed(path, error.kind().into()))?;
        let folder = temporary.path().to_owned();
        fs::create_dir_all(folder.join(BLOBS)).map_err(failed(path))?;
        fs::write(folder.join(LAYOUT), OCI_LAYOUT).map_err(failed(path))?;
        Ok(Self { folder, new: Some((temporary, path.to_owned())) })
    }

    /// Writes the file `name` with `write`; it appears when it is complete.
    fn write(
        &self,
        name: &str,
        write: impl FnOnce(&File) -> Result<(), ArchiveError>,
    ) -> Result<(), ArchiveError> {
        let path = self.folder.join(name);
        let file = OutputFile::beside(&path)?;
        write(file.file()).map_err(|error| error.writing_to(text::path(&path)))?;
        file.persist()
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
        self.folder.join(blob_name(digest)).is_file()
    }

    fn blob(
        &mut self,
        digest: Digest,
        size: u64,
        source: &mut dyn Read,
    ) -> Result<(), ArchiveError> {
        self.write(&blob_name(digest), |mut file| copy_blob(digest, size, source, &mut file))
    }

    fn finish(self, root: Descriptor) -> Result<(), ArchiveError> {
        self.list(&root)?;
        let Some((temporary, path)) = self.new else { return Ok(()) };
        // An empty folder of that name is replaced.
        fs::rename(temporary.path(), &path).map_err(failed(&path))?;
        drop(temporary.keep());
        Ok(())
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    let target = text::path(path);
    move |source| ArchiveError::Write { target: target.clone(), source }
}
