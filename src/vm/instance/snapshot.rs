//! Snapshots: a VM whose engine is ready, saved with its memory, devices and disk, from which other
//! VMs are restored in a fraction of a second.
//!
//! A snapshot is restored only under the conditions it was saved under: its key consists of guest,
//! QEMU, accelerator and arguments. Restored VMs map its memory copy-on-write and write to disks of
//! their own, so they cannot change it. They share its certificates: the user who may start VMs
//! owns all of them, the client's key is in folders that only the owner may enter, and a guest only
//! has the server's key, which does not give access to other VMs.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::document;
use crate::image::Digest;
use crate::vm::VmError;
use crate::vm::folders::{self, SNAPSHOTS, cache_folder, create_file};
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Vm;
use crate::vm::instance::parts::{RAM, SCRATCH, STATE, SavedState};
use crate::vm::instance::qemu_args::{self, Network, QemuOptions, RamFile};
use crate::vm::instance::qmp;
use crate::vm::instance::saving::{save, take_files, wait_until_idle};
use crate::vm::instance::vm::BootOptions;
use crate::vm::locks::Lock;

/// A saved VM.
#[derive(Clone, Debug)]
pub struct Snapshot {
    folder: PathBuf,
    metadata: Metadata,
}

/// The metadata of a snapshot, stored with its files.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Metadata {
    guest: String,
    accelerator: Accelerator,
    /// The first line of `qemu --version`.
    qemu: String,
    /// Sizes in bytes. A file with another size is damaged.
    ram: u64,
    state: u64,
    scratch: u64,
    /// The time of creation in seconds since 1970.
    created: u64,
    /// The chain IDs of the layers that the engine has besides its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    chain_ids: Vec<String>,
    /// The purpose of those layers, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

const METADATA: &str = "snapshot.json";

/// The beginning of the names of unfinished snapshots' folders; the key and a dash follow.
pub(in crate::vm) const UNFINISHED: &str = ".making-";

/// QEMU's message when it rejects the state of a VM (`migration/migration.c`).
const LOAD_FAILED: &str = "load of migration failed";

/// Returns the name of a snapshot's folder, which depends on everything that the snapshot depends
/// on.
pub(in crate::vm) fn key(guest: &Guest, accelerator: Accelerator) -> Result<String, VmError> {
    let qemu = guest.definition.machine_type.qemu.require()?;
    let file = qemu.metadata().map_err(VmError::file("read the metadata of", &qemu))?;
    let nowhere = Path::new("");
    let arguments = qemu_args::arguments(&QemuOptions {
        machine_type: guest.definition.machine_type,
        accelerator,
        single_thread: false, // does not change what is saved
        memory_mib: guest.definition.family.memory_mib,
        cpus: guest.definition.family.cpus,
        ram: Some(RamFile { path: nowhere, shared: false }),
        restored: true,
        kernel: nowhere,
        initrd: nowhere,
        cmdline: &guest.definition.cmdline,
        root: nowhere,
        scratch: nowhere,
        folder: nowhere,
        port: 0,
        network: Network::default(),
    });
    let program = (qemu.display(), file.len(), file.mtime(), file.mtime_nsec());
    let (program, folder) = (format!("{program:?}"), guest.folder().display());
    // The kernel was booted with this, although a restored VM has no kernel arguments.
    let booted = (&guest.definition.cmdline, &guest.definition.files);
    let key = format!("{folder}\n{program}\n{booted:?}\n{arguments:?}\n{accelerator:?}");
    let digest = Digest::of(key.as_bytes());
    Ok(format!("{}-{}", guest.name, &digest.hex()[..16]))
}

impl Snapshot {
    /// Opens the snapshot in `folder`, if there is one and it is undamaged.
    pub(in crate::vm) fn open(folder: &Path) -> Option<Self> {
        let json = document::read_bytes(&folder.join(METADATA), document::MAX_SIZE).ok()?;
        let metadata: Metadata = serde_json::from_slice(&json).ok()?;
        let size = |name: &str| folder.join(name).metadata().map_or(0, |metadata| metadata.len());
        let expected = [metadata.ram, metadata.state, metadata.scratch];
        let undamaged = [RAM, STATE, SCRATCH].map(size) == expected;
        undamaged.then(|| Self { folder: folder.to_owned(), metadata })
    }

    /// Returns the snapshot of `guest`, if there is one.
    ///
    /// # Errors
    /// If QEMU is not installed, or the cache cannot be used.
    pub(in crate::vm) fn find(
        guest: &Guest,
        accelerator: Accelerator,
    ) -> Result<Option<Self>, VmError> {
        Ok(Self::open(&cache_folder(SNAPSHOTS)?.join(key(guest, accelerator)?)))
    }

    /// Returns the snapshot of `guest`. If there is none, or it is damaged, a VM boots, `ready`
    /// waits until it can be saved, and it is saved. Processes that need the same snapshot wait for
    /// each other.
    ///
    /// # Errors
    /// If the VM cannot be booted or saved. Nothing is left in the cache then.
    pub(in crate::vm) async fn find_or_create(
        guest: &Guest,
        accelerator: Accelerator,
        single_thread: bool,
        ready: impl AsyncFnOnce(&Vm) -> Result<(), VmError>,
    ) -> Result<Self, VmError> {
        let (snapshots, key) = (cache_folder(SNAPSHOTS)?, key(guest, accelerator)?);
        let folder = snapshots.join(&key);
        if let Some(snapshot) = Self::open(&folder) {
            folders::make_private(&folder)?;
            return Ok(snapshot);
        }
        let lock = snapshots.join(format!("{key}.lock"));
        let _lock = crate::vm::run_blocking(move || Lock::acquire_with_timeout(&lock)).await?;
        if let Some(snapshot) = Self::open(&folder) {
            return Ok(snapshot);
        }
        let unfinished = format!("{UNFINISHED}{key}-");
        folders::remove_unfinished(&snapshots, &unfinished)?;
        folders::remove_folder(&folder)?;
        let work = folders::temporary_folder(&snapshots, &unfinished)?;
        let changes = GuestChanges::default();
        Self::create(guest, accelerator, single_thread, &changes, work.path(), ready).await?;
        fs::rename(work.path(), &folder).map_err(VmError::file("rename a folder to", &folder))?;
        Self::open_new(&folder)
    }

    /// Boots a VM with `changes`, waits with `ready`, and saves it in `folder`, which is empty.
    pub(in crate::vm) async fn create(
        guest: &Guest,
        accelerator: Accelerator,
        single_thread: bool,
        changes: &GuestChanges,
        folder: &Path,
        ready: impl AsyncFnOnce(&Vm) -> Result<(), VmError>,
    ) -> Result<Self, VmError> {
        let ram = folder.join(RAM);
        let options = BootOptions {
            network: Network::default(),
            single_thread,
            kernel_arguments: "",
            ram: Some(&ram),
            changes,
            disk_gib: None,
        };
        let vm = Vm::boot(guest, accelerator, options)?;
        ready(&vm).await?;
        vm.or_exit(wait_until_idle(&vm)).await?;
        vm.or_exit(save(&vm, folder)).await?;
        take_files(vm, folder, &[SCRATCH]).await?;
        write_metadata(guest, accelerator, folder, (&[], ""))?;
        Self::open_new(folder)
    }

    /// Saves a VM that was restored as one that can be saved, with the layers that its engine has
    /// and a note, in `folder`, which is empty. Nothing may be running in the VM.
    pub(in crate::vm) async fn save_with_layers(
        guest: &Guest,
        vm: Vm,
        layers: (&[String], &str),
        folder: &Path,
    ) -> Result<(), VmError> {
        let accelerator = vm.accelerator();
        vm.or_exit(wait_until_idle(&vm)).await?;
        vm.or_exit(save(&vm, folder)).await?;
        take_files(vm, folder, &[SCRATCH, RAM]).await?;
        write_metadata(guest, accelerator, folder, layers)
    }

    /// Opens the snapshot that was just created in `folder`.
    fn open_new(folder: &Path) -> Result<Self, VmError> {
        let damaged = || std::io::Error::other("the new snapshot is incomplete");
        Self::open(folder).ok_or_else(|| VmError::file("read", folder)(damaged()))
    }

    /// Removes the snapshot if `error`, with which a VM could not be restored from it, means that
    /// QEMU rejected it: that would happen again. Other errors, such as too little memory for one
    /// more QEMU, say nothing about the snapshot.
    pub(in crate::vm) fn discard_if_rejected(&self, error: &VmError) {
        let rejected = match error {
            VmError::QemuExited { stderr, .. } => stderr.contains(LOAD_FAILED),
            VmError::Command { peer, command, .. } => *peer == qmp::PEER && command == qmp::MIGRATE,
            _ => false,
        };
        if rejected {
            // If a part remains, the next VM finds it damaged, or fails again and removes it.
            let _ = folders::remove_folder(&self.folder);
        }
    }

    /// Returns the files that a VM is restored from.
    pub(in crate::vm) fn saved_state(&self) -> SavedState {
        SavedState {
            folder: self.folder.clone(),
            ram: self.folder.join(RAM),
            devices: self.folder.join(STATE),
            scratch: self.folder.join(SCRATCH),
            accelerator: self.metadata.accelerator,
        }
    }

    /// Returns the accelerator of the VM that was saved, and of those that are restored from it.
    pub fn accelerator(&self) -> Accelerator {
        self.metadata.accelerator
    }

    /// Returns the chain IDs of the layers that its engine has besides its own.
    pub(in crate::vm) fn chain_ids(&self) -> &[String] {
        &self.metadata.chain_ids
    }

    /// Returns the purpose of its layers.
    pub(in crate::vm) fn note(&self) -> &str {
        &self.metadata.note
    }

    /// Records that it is used now, so that others are removed before it.
    pub(in crate::vm) fn touch(&self) {
        let folder = File::open(&self.folder);
        let _ = folder.and_then(|folder| folder.set_modified(SystemTime::now()));
    }

    /// Returns the version of the QEMU that saved it.
    pub fn qemu(&self) -> &str {
        &self.metadata.qemu
    }
}

fn write_metadata(
    guest: &Guest,
    accelerator: Accelerator,
    folder: &Path,
    (chain_ids, note): (&[String], &str),
) -> Result<(), VmError> {
    let qemu = guest.definition.machine_type.qemu.require()?;
    let version = Command::new(qemu).arg("--version").output();
    let version = version
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let size = |name: &str| {
        let path = folder.join(name);
        let metadata = path.metadata().map_err(VmError::file("read the metadata of", path))?;
        Ok::<u64, VmError>(metadata.len())
    };
    let metadata = Metadata {
        guest: guest.name.clone(),
        accelerator,
        qemu: version.lines().next().unwrap_or_default().to_owned(),
        ram: size(RAM)?,
        state: size(STATE)?,
        scratch: size(SCRATCH)?,
        created: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
        chain_ids: chain_ids.to_vec(),
        note: note.to_owned(),
    };
    let path = folder.join(METADATA);
    let json =
        serde_json::to_vec(&metadata).map_err(|e| VmError::file("write", &path)(e.into()))?;
    create_file(&path)?.write_all(&json).map_err(VmError::file("write", path))
}
