//! The programs of the host that machines need, and where Debian has them.

use std::path::PathBuf;

use crate::vm::VmError;

/// A program that must be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// What it does here.
    pub purpose: &'static str,
}

/// The emulator of amd64.
pub const QEMU_X86: Tool =
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", purpose: "runs machines" };
/// The emulator of arm64.
pub const QEMU_ARM: Tool =
    Tool { program: "qemu-system-aarch64", package: "qemu-system-arm", purpose: "runs machines" };
/// Makes disks.
pub const QEMU_IMG: Tool =
    Tool { program: "qemu-img", package: "qemu-utils", purpose: "makes their disks" };
/// Ties QEMU's life to ours.
pub const SETPRIV: Tool = Tool {
    program: "setpriv",
    package: "util-linux",
    purpose: "ends them with the process that started them",
};
/// Assembles guests.
pub const MMDEBSTRAP: Tool = Tool {
    program: "mmdebstrap",
    package: "mmdebstrap",
    purpose: "assembles guests from Debian packages",
};
/// Makes the root image.
pub const MKFS_EROFS: Tool =
    Tool { program: "mkfs.erofs", package: "erofs-utils", purpose: "packs the root of a guest" };
/// Makes the scratch disk's file system.
pub const MKE2FS: Tool = Tool {
    program: "mke2fs",
    package: "e2fsprogs",
    purpose: "makes the disk for what containers write",
};

/// All that guests need beside the emulator, whatever their architecture.
pub const ALL: [Tool; 5] = [QEMU_IMG, SETPRIV, MMDEBSTRAP, MKFS_EROFS, MKE2FS];

impl Tool {
    /// Where it is installed; system folders count though they are not on an ordinary user's path.
    pub fn path(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
        folders.map(|folder| folder.join(self.program)).find(|path| path.is_file())
    }

    /// Where it is installed.
    ///
    /// # Errors
    /// When it is not; the error names the package.
    pub fn require(&self) -> Result<PathBuf, VmError> {
        self.path().ok_or(VmError::Missing { program: self.program, package: self.package })
    }
}
