//! Templates: a machine that got ready once, saved with its memory, devices and disk, so that others start from
//! there in a fraction of a second.
//!
//! A template is restored only where everything is as it was when it was saved: guest, QEMU, accelerator and
//! arguments are its key. Machines restored from it map its memory copy on write and have overlays of its disk,
//! so none can change it. They also share its keys: whoever may start machines owns them all, the client's key
//! lies in folders that only the owner may enter, and a guest holds no more than the server's, with which nobody
//! gets into another machine.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::time::{Instant, sleep};

use crate::image::Digest;
use crate::vm::VmError;
use crate::vm::folders::{Lock, cached};
use crate::vm::guest::Guest;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::Accelerator;
use crate::vm::instance::Vm;
use crate::vm::instance::qemu_args::{self, Layout};
use crate::vm::instance::tls;
use crate::vm::instance::vm::Boot;

/// A saved machine.
#[derive(Clone, Debug)]
pub struct Snapshot {
    folder: PathBuf,
    about: About,
}

/// What is written beside a template's files.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct About {
    guest: String,
    accelerator: Accelerator,
    /// What `--version` said.
    qemu: String,
    /// Sizes in bytes; a file of another size was damaged.
    ram: u64,
    state: u64,
    scratch: u64,
    /// Seconds since 1970.
    made: u64,
}

const ABOUT: &str = "about.json";

/// Everything that a template depends on, as a name for its folder.
pub(in crate::vm) fn key(guest: &Guest, accelerator: Accelerator) -> Result<String, VmError> {
    let qemu = guest.definition.machine_type.qemu.require()?;
    let file = qemu.metadata().map_err(VmError::file("look at", &qemu))?;
    let nowhere = Path::new("");
    let arguments = qemu_args::all(&Layout {
        machine_type: guest.definition.machine_type,
        accelerator,
        single_thread: false, // what is saved is the same
        memory_mib: guest.definition.family.memory_mib,
        cpus: guest.definition.family.cpus,
        ram: Some((nowhere, false)),
        incoming: true,
        kernel: nowhere,
        initrd: nowhere,
        cmdline: &guest.definition.cmdline,
        root: nowhere,
        scratch: nowhere,
        folder: nowhere,
        port: 0,
        egress: false,
    });
    let program = (qemu.display(), file.len(), file.mtime(), file.mtime_nsec());
    let (program, folder) = (format!("{program:?}"), guest.folder().display());
    // Its kernel was started with this, though a restored machine's command line has no kernel.
    let booted = (&guest.definition.cmdline, &guest.definition.files);
    let key = format!("{folder}\n{program}\n{booted:?}\n{arguments:?}\n{accelerator:?}");
    let digest = Digest::of(key.as_bytes());
    Ok(format!("{}-{}", guest.name, &digest.hex()[..16]))
}

impl Snapshot {
    /// The template in `folder`, if there is a whole one.
    pub(in crate::vm) fn open(folder: &Path) -> Option<Self> {
        let about: About = serde_json::from_slice(&fs::read(folder.join(ABOUT)).ok()?).ok()?;
        let template = Self { folder: folder.to_owned(), about };
        let size = |path: PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let About { ram, state, scratch, .. } = template.about;
        let sizes = [size(template.ram()), size(template.state()), size(template.scratch())];
        (sizes == [ram, state, scratch]).then_some(template)
    }

    /// The snapshot of `guest`, if there is one.
    ///
    /// # Errors
    /// If QEMU is not installed, or the cache cannot be used.
    pub(in crate::vm) fn find(
        guest: &Guest,
        accelerator: Accelerator,
    ) -> Result<Option<Self>, VmError> {
        Ok(Self::open(&cached("templates")?.join(key(guest, accelerator)?)))
    }

    /// The template for machines of `guest`. Where there is none, or a damaged one, a machine is booted, brought to
    /// where `ready` wants it, and saved. Processes that want the same one wait for each other.
    ///
    /// # Errors
    /// When that machine cannot be booted or saved. Nothing is left behind then.
    pub(in crate::vm) async fn get(
        guest: &Guest,
        accelerator: Accelerator,
        single_thread: bool,
        ready: impl AsyncFnOnce(&Vm) -> Result<(), VmError>,
    ) -> Result<Self, VmError> {
        let (templates, key) = (cached("templates")?, key(guest, accelerator)?);
        let folder = templates.join(&key);
        if let Some(template) = Self::open(&folder) {
            return Ok(template);
        }
        let lock = templates.join(format!("{key}.lock"));
        let _lock = crate::vm::blocking(move || Lock::made_by_another(&lock)).await?;
        if let Some(template) = Self::open(&folder) {
            return Ok(template);
        }
        let unfinished = format!(".making-{key}-");
        crate::vm::folders::remove_left(&templates, &unfinished)?;
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(VmError::file("remove", &folder))?;
        }
        let work = tempfile::Builder::new().prefix(&unfinished).tempdir_in(&templates);
        let work = work.map_err(VmError::file("make a folder in", &templates))?;
        Self::make(guest, accelerator, single_thread, &GuestChanges::default(), work.path(), ready)
            .await?;
        fs::rename(work.path(), &folder).map_err(VmError::file("name", &folder))?;
        Self::made(&folder)
    }

    /// Makes a template in `folder`, which is empty, of a machine that has `overlay`; `single_thread` where other machines want
    /// the host's CPUs as well.
    pub(in crate::vm) async fn make(
        guest: &Guest,
        accelerator: Accelerator,
        single_thread: bool,
        overlay: &GuestChanges,
        folder: &Path,
        ready: impl AsyncFnOnce(&Vm) -> Result<(), VmError>,
    ) -> Result<Self, VmError> {
        let boot = Boot {
            egress: false,
            single_thread,
            arguments: "",
            ram: Some(&folder.join("ram")),
            overlay,
        };
        let machine = Vm::boot(guest, accelerator, boot)?;
        ready(&machine).await?;
        machine.or_exit(idle(&machine)).await?;
        machine.or_exit(save(&machine, folder)).await?;
        stopped(machine, folder).await?;
        describe(guest, accelerator, folder)?;
        Self::made(folder)
    }

    /// The template that was just made in `folder`.
    fn made(folder: &Path) -> Result<Self, VmError> {
        let damaged = || std::io::Error::other("a template that was just made is not whole");
        Self::open(folder).ok_or_else(|| VmError::file("read", folder)(damaged()))
    }

    /// Removes it: it could not be restored, and would fail everybody who comes after.
    pub(in crate::vm) fn discard(&self) {
        // Whatever stays of it is found damaged, or fails again and is removed then.
        let _ = fs::remove_dir_all(&self.folder);
    }

    /// Its folder, which also holds the client's keys.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Memory.
    pub(in crate::vm) fn ram(&self) -> PathBuf {
        self.folder.join("ram")
    }

    /// The state of the devices.
    pub(in crate::vm) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// What was written to the scratch disk.
    pub(in crate::vm) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch.qcow2")
    }

    /// How the CPU was run, and is.
    pub fn accelerator(&self) -> Accelerator {
        self.about.accelerator
    }

    /// The guest it is of.
    pub fn guest(&self) -> &str {
        &self.about.guest
    }

    /// The version of QEMU that saved it.
    pub fn qemu(&self) -> &str {
        &self.about.qemu
    }

    /// How long ago it was made.
    pub fn age(&self) -> Duration {
        (UNIX_EPOCH + Duration::from_secs(self.about.made)).elapsed().unwrap_or_default()
    }
}

/// Waits until the machine has done what it still had to do after it got ready, for a while at most: what it has
/// not, every machine restored from it has to do while somebody waits for its first answer.
async fn idle(machine: &Vm) -> Result<(), VmError> {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut before = machine.cpu_time();
    while Instant::now() < deadline {
        sleep(LOOK).await;
        let now = machine.cpu_time();
        if now.saturating_sub(before) < LOOK / 8 {
            break;
        }
        before = now;
    }
    Ok(())
}

/// How long the CPU time of a machine is looked at to see whether it is idle.
const LOOK: Duration = Duration::from_millis(400);

/// Stops the machine's CPUs for good, and writes the state of its devices to `folder`. Its memory is there already.
async fn save(machine: &Vm, folder: &Path) -> Result<(), VmError> {
    let socket = machine.folder().join("state.sock");
    let listener = UnixListener::bind(&socket).map_err(VmError::file("listen at", &socket))?;
    let mut qmp = machine.qmp().await?;
    qmp.execute("stop", json!({})).await?;
    qmp.execute("migrate", json!({ "uri": format!("unix:{}", socket.display()) })).await?;
    let state = folder.join("state");
    let received = async {
        let (mut from, _) = listener.accept().await?;
        let mut to = tokio::fs::File::create(&state).await?;
        tokio::io::copy(&mut from, &mut to).await?;
        to.sync_all().await
    };
    let (received, migrated) = tokio::join!(received, qmp.migrated());
    migrated?;
    received.map_err(VmError::file("write", &state))?;
    // Quitting, QEMU writes out what its disks still hold back.
    qmp.execute("quit", json!({})).await.map(drop)
}

/// Waits for a saved machine's end, and takes what stays of it.
async fn stopped(machine: Vm, folder: &Path) -> Result<(), VmError> {
    let ended = tokio::time::timeout(Duration::from_secs(30), machine.wait_for_exit()).await;
    ended.map_err(|_| VmError::Channel {
        peer: "QEMU's monitor",
        command: "quit".to_owned(),
        problem: "QEMU does not end".to_owned(),
    })?;
    for name in tls::CLIENT_FILES.into_iter().chain(["scratch.qcow2"]) {
        let from = machine.folder().join(name);
        fs::rename(&from, folder.join(name)).map_err(VmError::file("move", &from))?;
    }
    Ok(())
}

fn describe(guest: &Guest, accelerator: Accelerator, folder: &Path) -> Result<(), VmError> {
    let version =
        Command::new(guest.definition.machine_type.qemu.require()?).arg("--version").output();
    let version = version
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let size = |name: &str| {
        let path = folder.join(name);
        path.metadata().map(|metadata| metadata.len()).map_err(VmError::file("look at", path))
    };
    let about = About {
        guest: guest.name.clone(),
        accelerator,
        qemu: version.lines().next().unwrap_or_default().to_owned(),
        ram: size("ram")?,
        state: size("state")?,
        scratch: size("scratch.qcow2")?,
        made: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    let path = folder.join(ABOUT);
    let written = File::create(&path).and_then(|file| Ok(serde_json::to_writer(file, &about)?));
    written.map_err(VmError::file("write", path))
}
