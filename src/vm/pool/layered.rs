//! Snapshots whose engine already has layers, so that they need not be sent again.
//!
//! They are made from a restored VM after layers were loaded and before any container ran, and are
//! named by the plain snapshot's key and the chain IDs of the layers. Together they have a size
//! limit; the least recently used are removed first. They depend on the guest only, not on other
//! snapshots.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::vm::VmError;
use crate::vm::folders::{self, NEEDED_SPACE, SNAPSHOTS, cache_folder};
use crate::vm::guest::Guest;
use crate::vm::instance::Snapshot;
use crate::vm::instance::accelerator::{self, AcceleratorChoice};
use crate::vm::instance::snapshot::{self, UNFINISHED};
use crate::vm::locks::Lock;

/// How a VM uses snapshots with layers. By default, it does not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layered {
    /// The snapshot to restore instead of the plain one. If that fails, the plain one is restored.
    pub(crate) from: Option<LayeredSnapshot>,
    /// Whether the VM can be saved, which needs copies of memory and disk.
    pub(crate) saveable: bool,
}

/// A snapshot whose engine has layers.
#[derive(Clone, Debug)]
pub(crate) struct LayeredSnapshot {
    pub(super) folder: PathBuf,
    pub(super) snapshot: Snapshot,
}

/// Separates the plain snapshot's key from the digest of the layers in a folder's name.
pub(in crate::vm) const SEPARATOR: char = '+';
/// The name of the lock under which snapshots are added and removed.
pub(super) const LOCK: &str = "layered.lock";

/// Finds the snapshot of `guest` whose engine has the most of the layers with `chain_ids`, lowest
/// first, and returns it with their number.
///
/// # Errors
/// If QEMU is not installed, or the cache cannot be used.
pub(crate) async fn find(
    guest: &Guest,
    accelerator: AcceleratorChoice,
    chain_ids: &[String],
) -> Result<Option<(LayeredSnapshot, usize)>, VmError> {
    let accelerator = accelerator::choose(accelerator, guest).await?;
    let snapshots = cache_folder(SNAPSHOTS)?;
    let prefix = format!("{}{SEPARATOR}", snapshot::key(guest, accelerator)?);
    let mut best: Option<(LayeredSnapshot, usize)> = None;
    for folder in folders_with_prefix(&snapshots, |name| name.starts_with(&prefix)) {
        let Some(snapshot) = Snapshot::open(&folder) else { continue };
        let has = |chain_id: &String| snapshot.chain_ids().contains(chain_id);
        let count = chain_ids.iter().rposition(has).map_or(0, |index| index + 1);
        if count > best.as_ref().map_or(0, |(_, most)| *most) {
            best = Some((LayeredSnapshot { folder, snapshot }, count));
        }
    }
    if let Some((layered, _)) = &best {
        layered.snapshot.touch();
    }
    Ok(best)
}

impl LayeredSnapshot {
    /// Removes the snapshot, if a VM cannot be restored from it.
    pub(super) fn discard(&self) {
        // If a part remains, the snapshot is found damaged and removed later.
        let _ = folders::remove_folder(&self.folder);
    }
}

/// Whether the disk has space for one more snapshot.
pub(super) fn has_space() -> bool {
    cache_folder(SNAPSHOTS)
        .and_then(|folder| folders::free_space(&folder))
        .is_ok_and(|free| free >= NEEDED_SPACE)
}

/// Removes the least recently used snapshots with layers, but not `newest`, until all of them have
/// at most `limit` bytes, and what killed processes have left.
pub(super) fn make_room(snapshots: &Path, newest: &Path, limit: u64) -> Result<(), VmError> {
    let layered = |name: &str| name.contains(SEPARATOR);
    let (unfinished, finished): (Vec<_>, Vec<_>) = folders_with_prefix(snapshots, layered)
        .into_iter()
        .partition(|folder| name_of(folder).starts_with(UNFINISHED));
    for folder in unfinished {
        if !Lock::is_held(&folder.join("lock"))? {
            folders::remove_folder(&folder)?;
        }
    }
    let mut used: Vec<(SystemTime, u64, PathBuf)> = finished
        .into_iter()
        .filter_map(|folder| {
            let time = folder.metadata().and_then(|metadata| metadata.modified()).ok()?;
            Some((time, size_on_disk(&folder), folder))
        })
        .collect();
    used.sort();
    let mut total: u64 = used.iter().map(|(_, size, _)| size).sum();
    for (_, size, folder) in used.iter().filter(|(.., folder)| folder != newest) {
        if total <= limit {
            break;
        }
        folders::remove_folder(folder)?;
        total -= size;
    }
    Ok(())
}

fn folders_with_prefix(snapshots: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = fs::read_dir(snapshots).into_iter().flatten().flatten();
    let folders = entries.map(|entry| entry.path()).filter(|path| path.is_dir());
    folders.filter(|path| wanted(&name_of(path))).collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The size of the files in `folder` on disk, in bytes.
pub(in crate::vm) fn size_on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Makes a folder with `bytes` that was last used `age` seconds ago.
    fn add(snapshots: &Path, name: &str, bytes: usize, age: u64) -> PathBuf {
        let folder = snapshots.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("ram"), vec![1; bytes]).unwrap();
        let time = SystemTime::now() - Duration::from_secs(age);
        fs::File::open(&folder).unwrap().set_modified(time).unwrap();
        folder
    }

    #[test]
    fn the_least_recently_used_snapshots_with_layers_make_room_and_plain_ones_stay() {
        let snapshots = tempfile::TempDir::new().unwrap();
        let path = snapshots.path();
        let size = 64 << 10;
        let plain = add(path, "docker-28-0", size, 900);
        let [old, newer, newest] = [("1", 800), ("2", 1), ("3", 2)]
            .map(|(name, age)| add(path, &format!("docker-28-0+{name}"), size, age));
        let killed = add(path, ".making-docker-28-0+4-x", size, 0);
        make_room(path, &newest, 2 * size as u64).unwrap();
        let exist = [&plain, &old, &newer, &newest, &killed].map(|folder| folder.exists());
        assert_eq!(exist, [true, false, true, true, false]);
        make_room(path, &newest, 0).unwrap();
        assert!(newest.exists() && !newer.exists());
    }
}
