//! Snapshots: a VM whose engine is ready, saved with its memory, devices and disk, from which other
//! VMs are restored in a fraction of a second.
//!
//! A snapshot is restored only under the conditions it was saved under: its key consists of guest,
//! QEMU, accelerator and arguments. Restored VMs map its memory copy-on-write and write to disks of
//! their own, so they cannot change it. They share its certificates: the user who may start VMs
//! owns all of them, the client's key is in folders that only the owner may enter, and a guest only
//! has the server's key, which does not give access to other VMs.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep};

use crate::image::Digest;
use crate::vm::VmError;
use crate::vm::folders::{self, SNAPSHOTS, cache_folder, create_file};
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Vm;
use crate::vm::instance::parts::SavedState;
use crate::vm::instance::qemu_args::{self, Network, QemuOptions, RamFile};
use crate::vm::instance::qmp;
use crate::vm::instance::tls;
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
}

const METADATA: &str = "snapshot.json";
const RAM: &str = "ram";
const STATE: &str = "state";
const SCRATCH: &str = "scratch.qcow2";

/// The beginning of the names of unfinished snapshots' folders; the key and a dash follow.
pub(in crate::vm) const UNFINISHED: &str = ".making-";

/// QEMU's message when it rejects the state of a VM (`migration/migration.c`).
const LOAD_FAILED: &str = "load of migration failed";
/// How long QEMU may take to exit once the VM is saved.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a VM that is to be saved may take to become idle.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The interval in which a VM's CPU time is compared to decide whether it is idle.
const IDLE_INTERVAL: Duration = Duration::from_millis(400);

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
        let json = fs::read(folder.join(METADATA)).ok()?;
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
        take_files(vm, folder).await?;
        write_metadata(guest, accelerator, folder)?;
        Self::open_new(folder)
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

    /// Returns the version of the QEMU that saved it.
    pub fn qemu(&self) -> &str {
        &self.metadata.qemu
    }
}

/// Waits for a limited time until a ready VM is idle: unfinished work would delay the first answer
/// of every VM that is restored from the snapshot.
async fn wait_until_idle(vm: &Vm) -> Result<(), VmError> {
    let deadline = Instant::now() + IDLE_TIMEOUT;
    let mut before = vm.cpu_time();
    while Instant::now() < deadline {
        sleep(IDLE_INTERVAL).await;
        let now = vm.cpu_time();
        if now.saturating_sub(before) < IDLE_INTERVAL / 8 {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Stops the VM's CPUs, writes the state of its devices to `folder`, and has QEMU exit. The memory
/// is in `folder` already.
async fn save(vm: &Vm, folder: &Path) -> Result<(), VmError> {
    let socket = vm.folder().join("state.sock");
    let listener = UnixListener::bind(&socket).map_err(VmError::file("listen on", &socket))?;
    fs::set_permissions(&socket, Permissions::from_mode(0o600))
        .map_err(VmError::file("set the mode of", &socket))?;
    let mut qmp = vm.qmp().await?;
    qmp.execute("stop", json!({})).await?;
    qmp.execute("migrate", json!({ "uri": format!("unix:{}", socket.display()) })).await?;
    let state = folder.join(STATE);
    let mut to = tokio::fs::File::from_std(create_file(&state)?);
    let received = async {
        let (mut from, _) = listener.accept().await?;
        tokio::io::copy(&mut from, &mut to).await?;
        to.sync_all().await
    };
    // If the state cannot be written, as on a full disk, QEMU cannot send it either.
    let received = async { received.await.map_err(VmError::file("write", &state)) };
    tokio::try_join!(received, qmp.wait_for_migration())?;
    // When QEMU exits, it writes the cached blocks of its disks.
    qmp.execute("quit", json!({})).await.map(drop)
}

/// Waits until the QEMU of a saved VM exits, and moves certificates and disk to `folder`.
async fn take_files(vm: Vm, folder: &Path) -> Result<(), VmError> {
    let exited = tokio::time::timeout(EXIT_TIMEOUT, vm.wait_for_exit()).await;
    exited.map_err(|_| VmError::Command {
        peer: "QEMU's monitor",
        command: "quit".to_owned(),
        problem: format!("QEMU did not exit within {} s", EXIT_TIMEOUT.as_secs()),
    })?;
    for name in tls::CLIENT_FILES.into_iter().chain([SCRATCH]) {
        let from = vm.folder().join(name);
        fs::rename(&from, folder.join(name)).map_err(VmError::file("move", &from))?;
    }
    Ok(())
}

fn write_metadata(guest: &Guest, accelerator: Accelerator, folder: &Path) -> Result<(), VmError> {
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
    };
    let path = folder.join(METADATA);
    let json =
        serde_json::to_vec(&metadata).map_err(|e| VmError::file("write", &path)(e.into()))?;
    create_file(&path)?.write_all(&json).map_err(VmError::file("write", path))
}
