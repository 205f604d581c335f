//! Programs on the host that VMs need, and the Debian packages that contain them.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Command;

use crate::vm::VmError;

/// A program on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The program's name.
    pub program: &'static str,
    /// The Debian package that contains it.
    pub package: &'static str,
    /// Its purpose, for users.
    pub purpose: &'static str,
}

/// The emulator for amd64.
pub const QEMU_X86: Tool =
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", purpose: "runs VMs" };
/// The emulator for arm64.
pub const QEMU_ARM: Tool =
    Tool { program: "qemu-system-aarch64", package: "qemu-system-arm", purpose: "runs VMs" };
/// Creates the disks of VMs.
pub const QEMU_IMG: Tool =
    Tool { program: "qemu-img", package: "qemu-utils", purpose: "creates disks of VMs" };
/// Kills QEMU when the process that started it exits.
pub const SETPRIV: Tool = Tool {
    program: "setpriv",
    package: "util-linux",
    purpose: "ends VMs with the process that started them",
};
/// Assembles guests.
pub const MMDEBSTRAP: Tool = Tool {
    program: "mmdebstrap",
    package: "mmdebstrap",
    purpose: "assembles guests from Debian packages",
};
/// Makes the root image of a guest.
pub const MKFS_EROFS: Tool = Tool {
    program: "mkfs.erofs",
    package: "erofs-utils",
    purpose: "makes the root image of a guest",
};
/// Makes the file system of the scratch disk.
pub const MKE2FS: Tool = Tool {
    program: "mke2fs",
    package: "e2fsprogs",
    purpose: "makes the file system that containers write to",
};

/// The programs that guests of any architecture need, in addition to the emulator.
pub const ALL: [Tool; 5] = [QEMU_IMG, SETPRIV, MMDEBSTRAP, MKFS_EROFS, MKE2FS];

impl Tool {
    /// Returns the path of the program, if it is installed. Folders for system programs are
    /// searched too, although they are not on the PATH of ordinary users.
    pub fn path(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        folders.map(|folder| folder.join(self.program)).find(|path| path.is_file())
    }

    /// Returns the path of the program.
    ///
    /// # Errors
    /// If it is not installed; the error names the package.
    pub fn require(&self) -> Result<PathBuf, VmError> {
        self.path().ok_or(VmError::Missing { program: self.program, package: self.package })
    }
}

/// Returns a command that runs `program` with a umask of 077: all files and sockets that it creates
/// are private. A shell sets the umask, because a process has one umask for all its threads.
pub(super) fn private_command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 077 && exec \"$@\"", "sh"]).arg(program);
    command
}
