//! The files of an assembled guest.

use std::path::{Path, PathBuf};

use crate::document;
use crate::vm::guest::Definition;

/// A guest and the folder of its files. All VMs of the guest read these files, and none changes
/// them.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The name.
    pub name: String,
    /// The definition.
    pub definition: Definition,
    folder: PathBuf,
}

impl Guest {
    /// Returns the guest of `definition` whose files are in `folder`.
    pub(in crate::vm) fn new(definition: Definition, folder: PathBuf) -> Self {
        Self { name: definition.name.clone(), definition, folder }
    }

    /// Returns the path of the kernel.
    pub(in crate::vm) fn kernel(&self) -> PathBuf {
        self.folder.join("kernel")
    }

    /// Returns the path of the initial RAM disk, to which each VM appends its own files.
    pub(in crate::vm) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd")
    }

    /// Returns the path of the read-only root, an erofs image.
    pub(in crate::vm) fn root(&self) -> PathBuf {
        self.folder.join("root.erofs")
    }

    /// Returns the path of the empty disk that the scratch disks of VMs are based on.
    pub(in crate::vm) fn scratch(&self) -> PathBuf {
        self.folder.join("scratch.raw")
    }

    /// Returns the version of the engine's Debian package, if the guest is assembled.
    pub fn engine_version(&self) -> Option<String> {
        let packages = document::read(&self.folder.join("packages"), document::MAX_SIZE).ok()?;
        let engine = self.definition.family.packages.first()?;
        let version =
            |line: &str| line.strip_prefix(engine.as_str())?.strip_prefix(' ').map(str::to_owned);
        packages.lines().find_map(version)
    }

    /// Returns the folder of the files, which exists once the guest is assembled.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
