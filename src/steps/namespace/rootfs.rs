//! Unpacked layers, by diff ID, in the cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};

use super::holder::UserNamespace;
use super::{unpack, work};
use crate::files::cache_dir;
use crate::files::cache_file;
use crate::image::Digest;
use crate::steps::StepError;
use crate::steps::cache::STEPS;
use crate::steps::owners::Special;
use crate::steps::runner::LowerLayer;

/// The folder within the cache that contains unpacked layers, with one for each set of IDs.
const ROOTFS: &str = "rootfs";
/// The folder of a layer with its files.
const FILES: &str = "files";
/// The file of a layer with its size in bytes. Locked as long as the layer is in use.
const SIZE: &str = "size";
/// The file of a layer with the owners of symlinks and the like, if the user has a single ID.
const OWNERS: &str = "owners";
/// The folder in the working folder for a layer that is being unpacked.
const UNFINISHED: &str = "unfinished";
/// The limit for all unpacked layers, in bytes.
const LIMIT: u64 = 16 << 30;

/// Unpacked layers.
pub(super) struct Rootfs<'n> {
    namespace: &'n UserNamespace,
    work: &'n Path,
    folder: PathBuf,
}

/// An unpacked layer that is in use.
#[derive(Debug)]
pub(super) struct UnpackedLayer {
    files: PathBuf,
    _in_use: File,
}

impl UnpackedLayer {
    /// The folder with its files.
    pub(super) fn path(&self) -> &Path {
        &self.files
    }
}

/// The file with the recorded owners of the layer whose files are in `files`.
pub(super) fn recorded(files: &Path) -> PathBuf {
    files.with_file_name(OWNERS)
}

impl<'n> Rootfs<'n> {
    /// Unpacked layers of the cache, or only of the step in the folder `work` if not `shared`.
    pub(super) fn open(
        namespace: &'n UserNamespace,
        work: &'n Path,
        shared: bool,
    ) -> Result<Self, StepError> {
        // Files of the same layer have other owners outside if the namespace has other IDs.
        let ids = Digest::of(namespace.ids.identity().as_bytes()).hex();
        let folder = match shared {
            true => cache_dir::folder(&[STEPS, ROOTFS, &ids[..16]])
                .map_err(|error| StepError::Sandbox(crate::text::errors::chain(&error)))?,
            false => work.join(ROOTFS),
        };
        fs::create_dir_all(&folder).map_err(StepError::io("create", &folder))?;
        Ok(Self { namespace, work, folder })
    }

    /// Returns the unpacked `layer`; unpacks it if the cache does not have it.
    pub(super) fn unpacked(&self, layer: &LowerLayer<'_>) -> Result<UnpackedLayer, StepError> {
        let folder = self.folder.join(&layer.diff_id.0.hex()[..32]);
        if let Some(unpacked) = in_use(&folder) {
            return Ok(unpacked);
        }
        // If this process is killed, the layer goes with the working folder.
        let unfinished = self.work.join(UNFINISHED);
        work::make_folder(&unfinished, 0o700)?;
        self.unpack(layer, &unfinished, &folder)?;
        if unfinished.exists() {
            // Another process has unpacked the same layer meanwhile.
            work::remove(self.namespace, &unfinished);
        }
        let lost = || std::io::Error::other("another process removed it");
        in_use(&folder).ok_or_else(|| StepError::io("use", &folder)(lost()))
    }

    fn unpack(
        &self,
        layer: &LowerLayer<'_>,
        unfinished: &Path,
        folder: &Path,
    ) -> Result<(), StepError> {
        let lock = unfinished.join(SIZE);
        let lock = File::create(&lock).map_err(StepError::io("write", &lock))?;
        let files = unfinished.join(FILES);
        work::make_folder(&files, 0o755)?;
        let unpacked = unpack::unpack(self.namespace, &(layer.open)()?, layer.diff_id, &files)?;
        let (size, owners) = (unpacked.size, recorded(&files));
        fs::write(&owners, Special::write(&unpacked.specials))
            .map_err(StepError::io("write", &owners))?;
        std::io::Write::write_all(&mut &lock, size.to_string().as_bytes())
            .map_err(StepError::io("write", unfinished))?;
        match fs::rename(unfinished, folder) {
            Err(error) if !folder.exists() => Err(StepError::io("rename", unfinished)(error)),
            _ => Ok(()),
        }
    }

    /// Removes the layers that were not used for the longest time if all of them exceed the limit.
    pub(super) fn prune(&self) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let layer = |entry: fs::DirEntry| -> Option<(SystemTime, u64, PathBuf)> {
            let size = entry.path().join(SIZE);
            let used = size.metadata().ok()?.modified().ok()?;
            Some((used, fs::read_to_string(size).ok()?.parse().ok()?, entry.path()))
        };
        cache_file::remove_oldest(entries.filter_map(layer).collect(), LIMIT, |folder| {
            let Ok(lock) = File::open(folder.join(SIZE)) else { return false };
            let is_unused = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if is_unused {
                work::remove(self.namespace, folder);
            }
            is_unused
        });
    }
}

/// The unpacked layer in `folder`, if it is complete. It stays until the result is dropped.
fn in_use(folder: &Path) -> Option<UnpackedLayer> {
    let lock = File::options().read(true).write(true).open(folder.join(SIZE)).ok()?;
    flock(&lock, FlockOperation::LockShared).ok()?;
    // It may have been removed before it was locked.
    let files = folder.join(FILES);
    if !folder.join(SIZE).exists() || !files.exists() {
        return None;
    }
    let _ = lock.set_modified(SystemTime::now());
    Some(UnpackedLayer { files, _in_use: lock })
}
