//! The guests and snapshots in the cache, and removal of those that are no longer used.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::vm::VmError;
use crate::vm::folders::{GUESTS, SNAPSHOTS, cache_folder, remove_abandoned_vms, remove_folder};
use crate::vm::guest::Definition;
use crate::vm::guest::assemble::{self, Sources, locate};
use crate::vm::instance::Accelerator;
use crate::vm::instance::Snapshot;
use crate::vm::instance::snapshot;
use crate::vm::locks::Lock;
use crate::vm::pool::layered::{SEPARATOR, size_on_disk};

/// The kind of an entry in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An assembled guest.
    Guest,
    /// A snapshot.
    Snapshot,
    /// A guest or snapshot that is unfinished or damaged.
    Unfinished,
}

/// An entry in the cache.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its kind.
    pub kind: Kind,
    /// Its folder.
    pub folder: PathBuf,
    /// The name of the guest.
    pub guest: String,
    /// Its size on disk in bytes.
    pub size: u64,
    /// Its age.
    pub age: Duration,
    /// Whether a VM that starts now would use it.
    pub current: bool,
    /// For a snapshot, the accelerator and QEMU's version.
    pub about: String,
    /// For a snapshot with layers of an image, their number and purpose; otherwise empty.
    pub layers: String,
}

/// Lists everything in the cache.
///
/// # Errors
/// If the cache cannot be read.
pub fn list() -> Result<Vec<Item>, VmError> {
    let mut items = Vec::new();
    let mut current = BTreeSet::new();
    for name in Definition::all_names() {
        let guest = locate(&name, &Sources::default())?;
        current.insert(guest.folder().to_owned());
        for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
            if let Ok(key) = snapshot::key(&guest, accelerator) {
                current.insert(cache_folder(SNAPSHOTS)?.join(key));
            }
        }
    }
    for (folder, kind) in [(GUESTS, Kind::Guest), (SNAPSHOTS, Kind::Snapshot)] {
        let folder = cache_folder(folder)?;
        for entry in fs::read_dir(&folder).map_err(VmError::file("read", &folder))?.flatten() {
            if entry.path().is_dir() {
                items.push(item(&entry, kind, &current));
            }
        }
    }
    items.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(items)
}

fn item(entry: &DirEntry, kind: Kind, current: &BTreeSet<PathBuf>) -> Item {
    let folder = entry.path();
    let name = entry.file_name().to_string_lossy().into_owned();
    let snapshot = Snapshot::open(&folder);
    let finished = match kind {
        Kind::Guest => !name.starts_with('.'),
        _ => snapshot.is_some(),
    };
    let modified = folder.metadata().and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
    let layers = snapshot.as_ref().map_or(String::new(), layers);
    let about = snapshot.map_or(String::new(), |snapshot| about(&snapshot, &layers));
    // One with layers is used as long as the plain one is.
    let plain = name.split_once(SEPARATOR).map(|(plain, _)| folder.with_file_name(plain));
    Item {
        kind: if finished { kind } else { Kind::Unfinished },
        guest: name.rsplit_once('-').map_or(name.as_str(), |(guest, _)| guest).to_owned(),
        size: size_on_disk(&folder),
        age,
        current: finished && current.contains(plain.as_ref().unwrap_or(&folder)),
        about,
        layers,
        folder,
    }
}

fn about(snapshot: &Snapshot, layers: &str) -> String {
    let about = format!("{}, {}", snapshot.accelerator().name(), snapshot.qemu());
    if layers.is_empty() { about } else { format!("{about}, with {layers}") }
}

fn layers(snapshot: &Snapshot) -> String {
    match snapshot.chain_ids().len() {
        0 => String::new(),
        count => {
            let layers = if count == 1 { "layer" } else { "layers" };
            format!("{count} {layers} ({})", snapshot.note())
        }
    }
}

/// Removes guests and snapshots that no VM that starts now would use, or all of them if
/// `everything` is set, and what killed processes have left, including lock files. Entries that
/// another process is working on are kept. Running VMs are not affected.
///
/// # Errors
/// If something cannot be removed.
pub fn prune(everything: bool) -> Result<Vec<Item>, VmError> {
    remove_abandoned_vms()?;
    let mut removed = Vec::new();
    for item in list()?.into_iter().filter(|item| everything || !item.current) {
        if let Some(_lock) = lock(&item)? {
            remove_folder(&item.folder)?;
            removed.push(item);
        }
    }
    for folder in [GUESTS, SNAPSHOTS] {
        remove_free_locks(&cache_folder(folder)?)?;
    }
    Ok(removed)
}

/// Removes the lock files in `folder` that no process holds. They are created again when needed.
fn remove_free_locks(folder: &Path) -> Result<(), VmError> {
    for entry in fs::read_dir(folder).map_err(VmError::file("read", folder))?.flatten() {
        let path = entry.path();
        let is_lock = path.extension().is_some_and(|extension| extension == "lock");
        if !is_lock || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if let Some(_lock) = Lock::try_acquire(&path)? {
            fs::remove_file(&path).map_err(VmError::file("remove", &path))?;
        }
    }
    Ok(())
}

/// Acquires the lock of an entry's name, unless a process is working on that entry.
fn lock(item: &Item) -> Result<Option<Lock>, VmError> {
    let name = item.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let unfinished =
        name.strip_prefix(assemble::UNFINISHED).or(name.strip_prefix(snapshot::UNFINISHED));
    let name = match unfinished {
        Some(rest) => rest.rsplit_once('-').map_or(rest, |(name, _)| name),
        None if item.kind == Kind::Guest => &item.guest,
        None => &name,
    };
    let lock = item.folder.parent().map(|parent| parent.join(format!("{name}.lock")));
    lock.map_or(Ok(None), |lock| Lock::try_acquire(&lock))
}
