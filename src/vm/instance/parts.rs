//! The private parts of a VM, made before QEMU starts, and the saved state that it may be restored
//! from.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::vm::VmError;
use crate::vm::folders::VmFolder;
use crate::vm::guest::Guest;
use crate::vm::instance::Accelerator;
use crate::vm::instance::qemu_args::{Network, QemuOptions};
use crate::vm::instance::sparse_copy::sparse_copy;
use crate::vm::instance::wake;
use crate::vm::tools;

/// The files of a snapshot that a VM is restored from.
#[derive(Clone, Debug)]
pub(in crate::vm) struct SavedState {
    /// The folder with the client's certificate and key.
    pub(in crate::vm) folder: PathBuf,
    /// The memory.
    pub(in crate::vm) ram: PathBuf,
    /// The state of the devices.
    pub(in crate::vm) devices: PathBuf,
    /// The scratch disk.
    pub(in crate::vm) scratch: PathBuf,
    /// The accelerator of the VM that was saved.
    pub(in crate::vm) accelerator: Accelerator,
}

/// The name of a VM's scratch disk in its folder, and in a snapshot.
pub(super) const SCRATCH: &str = "scratch.qcow2";
/// The name of the file with the memory in a snapshot, and in the folder of a VM that can be saved.
pub(super) const RAM: &str = "ram";
/// The name of the file with the state of the devices in a snapshot.
pub(super) const STATE: &str = "state";

/// The parts that belong to one VM only.
pub(in crate::vm) struct VmParts {
    /// The private folder.
    pub(in crate::vm) folder: VmFolder,
    /// The scratch disk, in that folder.
    scratch: PathBuf,
    /// The port on the loopback interface that is forwarded to the engine's API.
    pub(in crate::vm) port: u16,
}

impl VmParts {
    /// Creates the parts. The scratch disk reads from `backing`, a file and its format, whatever
    /// the VM has not written itself, and has the same size unless `disk_gib` is given.
    pub(in crate::vm) fn create(
        backing: (&Path, &str),
        disk_gib: Option<u32>,
    ) -> Result<Self, VmError> {
        Self::with_disk(|scratch| create_disk(backing, scratch, disk_gib))
    }

    /// Creates the parts of a VM that is restored from `saved` and can be saved again: it has
    /// copies of the memory and the disk, so that it depends on no other snapshot.
    pub(in crate::vm) fn copy(saved: &SavedState) -> Result<Self, VmError> {
        let parts = Self::with_disk(|scratch| sparse_copy(&saved.scratch, scratch))?;
        sparse_copy(&saved.ram, &parts.folder.path().join(RAM))?;
        Ok(parts)
    }

    fn with_disk(create: impl FnOnce(&Path) -> Result<(), VmError>) -> Result<Self, VmError> {
        let folder = VmFolder::create()?;
        let scratch = folder.path().join(SCRATCH);
        create(&scratch)?;
        wake::create_pipes(folder.path())?;
        Ok(Self { scratch, port: free_port()?, folder })
    }

    /// Returns the options of a VM of `guest` that boots. `paths` are those of the kernel, the
    /// initial RAM disk and the root.
    pub(in crate::vm) fn qemu_options<'a>(
        &'a self,
        guest: &'a Guest,
        paths: &'a [PathBuf; 3],
        accelerator: Accelerator,
    ) -> QemuOptions<'a> {
        let [kernel, initrd, root] = paths;
        QemuOptions {
            machine_type: guest.definition.machine_type,
            accelerator,
            single_thread: false,
            memory_mib: guest.definition.family.memory_mib,
            cpus: guest.definition.family.cpus,
            ram: None,
            restored: false,
            kernel,
            initrd,
            cmdline: &guest.definition.cmdline,
            root,
            scratch: &self.scratch,
            folder: self.folder.path(),
            port: self.port,
            network: Network::default(),
        }
    }
}

/// Creates a qcow2 image that reads unwritten blocks from `backing`.
fn create_disk(
    (backing, format): (&Path, &str),
    path: &Path,
    gib: Option<u32>,
) -> Result<(), VmError> {
    let mut qemu_img = tools::private_command(tools::QEMU_IMG.require()?);
    qemu_img.args(["create", "-q", "-f", "qcow2", "-F", format, "-b"]).arg(backing).arg(path);
    qemu_img.args(gib.map(|gib| format!("{gib}G")));
    let failed = |source| VmError::Spawn { program: tools::QEMU_IMG.program.to_owned(), source };
    let output = qemu_img.stdin(Stdio::null()).output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    let problem = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(VmError::file("create", path)(std::io::Error::other(problem)))
}

/// Returns a port that is unused now. If another program takes it before QEMU does, QEMU exits with
/// an error.
fn free_port() -> Result<u16, VmError> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(VmError::file("open a port on", "the loopback interface"))
}
