//! What lies in the cache: guests and templates, with their sizes and ages, and which of it is of no more use.

use std::collections::BTreeSet;
use std::fs::{self, DirEntry};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::vm::VmError;
use crate::vm::folders::{Lock, cached, remove_left_machines};
use crate::vm::guest::Definition;
use crate::vm::guest::assemble::{Sources, locate};
use crate::vm::instance::Accelerator;
use crate::vm::instance::Snapshot;
use crate::vm::instance::snapshot;

/// What something in the cache is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An assembled guest.
    Guest,
    /// A saved machine.
    Snapshot,
    /// What was left in the middle of making either.
    Unfinished,
}

/// Something in the cache.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its folder.
    pub folder: PathBuf,
    /// The guest it is, or is of.
    pub guest: String,
    /// What it takes on the disk, in bytes.
    pub size: u64,
    /// How long ago it was made.
    pub age: Duration,
    /// Whether a machine that is started now would use it.
    pub current: bool,
    /// What more there is to say, for people.
    pub about: String,
}

/// Everything in the cache.
///
/// # Errors
/// When it cannot be read.
pub fn list() -> Result<Vec<Item>, VmError> {
    let mut items = Vec::new();
    let mut current = BTreeSet::new();
    for name in Definition::all_names() {
        let guest = locate(&name, &Sources::default())?;
        current.insert(guest.folder().to_owned());
        for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
            if let Ok(key) = snapshot::key(&guest, accelerator) {
                current.insert(cached("templates")?.join(key));
            }
        }
    }
    for (place, kind) in [("guests", Kind::Guest), ("templates", Kind::Snapshot)] {
        let place = cached(place)?;
        for entry in fs::read_dir(&place).map_err(VmError::file("read", &place))?.flatten() {
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
    let template = Snapshot::open(&folder);
    let whole = match kind {
        Kind::Guest => !name.starts_with('.'),
        _ => template.is_some(),
    };
    let age = folder
        .metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|time| time.elapsed().ok());
    Item {
        kind: if whole { kind } else { Kind::Unfinished },
        guest: name.rsplit_once('-').map_or(name.as_str(), |(guest, _)| guest).to_owned(),
        size: size_on_disk(&folder),
        age: age.unwrap_or_default(),
        current: whole && current.contains(&folder),
        about: template.map_or(String::new(), |template| {
            format!("{}, {}", template.accelerator().name(), template.qemu())
        }),
        folder,
    }
}

fn size_on_disk(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

/// Removes what no machine that is started from now on would use, or with `everything` all of the cache, and what
/// processes that were killed have left. What is being made or looked at by somebody is left alone; machines that
/// run lose nothing.
///
/// # Errors
/// When something cannot be removed.
pub fn prune(everything: bool) -> Result<Vec<Item>, VmError> {
    remove_left_machines()?;
    let mut removed = Vec::new();
    for item in list()?.into_iter().filter(|item| everything || !item.current) {
        if free(&item) {
            fs::remove_dir_all(&item.folder).map_err(VmError::file("remove", &item.folder))?;
            removed.push(item);
        }
    }
    Ok(removed)
}

/// Whether nobody works on it: the lock that goes with its name is free.
fn free(item: &Item) -> bool {
    let name = item.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (name, place) = match name.strip_prefix(".assembling-").or(name.strip_prefix(".making-")) {
        Some(rest) => {
            (rest.rsplit_once('-').map_or(rest, |(name, _)| name).to_owned(), item.folder.parent())
        }
        None if item.kind == Kind::Guest => (item.guest.clone(), item.folder.parent()),
        None => (name, item.folder.parent()),
    };
    place.is_some_and(|place| Lock::take(&place.join(format!("{name}.lock"))).is_some())
}
