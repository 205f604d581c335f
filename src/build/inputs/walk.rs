//! Reads folders of the host and converts files to layer entries. Opens no file and follows no
//! symlink.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, OFlags, RawDir, Stat};
use rustix::io::Errno;

use crate::archive::ArchiveError;
use crate::archive::entry::{FileContent, HostFile, Kind, Xattrs};
use crate::archive::host::{self, Filesystem};
use crate::archive::layer_tree::WHITEOUT;
use crate::archive::tar::CAPABILITIES;
use crate::build::BuildError;

/// The metadata of a file.
#[derive(Clone, Copy)]
pub(in crate::build) struct Metadata(Stat);

/// A device and an inode number, which identify a file.
pub(in crate::build) type FileId = (u64, u64);

/// An open folder. Its entries are read through it, so that they are all from the same folder even
/// if its path leads elsewhere by then.
pub(in crate::build) struct Folder {
    file: OwnedFd,
    pub(super) path: Arc<Path>,
    device: u64,
    filesystem: Filesystem,
}

/// The size of the buffer for the entries of a folder.
const BUFFER_SIZE: usize = 32 << 10;

/// The filesystems of folders that were opened, by device.
pub(in crate::build) type Filesystems = BTreeMap<u64, Filesystem>;

/// An entry of a folder.
pub(in crate::build) struct Child {
    pub(in crate::build) name: Box<[u8]>,
    pub(in crate::build) metadata: Metadata,
}

impl Metadata {
    /// Reads the metadata of `path` itself, if it is a symlink.
    pub(in crate::build) fn of(path: &Path) -> Result<Self, BuildError> {
        let status = rustix::fs::lstat(path).map_err(io::Error::from);
        Ok(Self(status.map_err(ArchiveError::read(path))?))
    }

    fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    pub(in crate::build) fn is_dir(&self) -> bool {
        self.file_type() == FileType::Directory
    }

    pub(in crate::build) fn is_file(&self) -> bool {
        self.file_type() == FileType::RegularFile
    }

    pub(in crate::build) fn is_symlink(&self) -> bool {
        self.file_type() == FileType::Symlink
    }

    pub(in crate::build) fn id(&self) -> FileId {
        (self.0.st_dev, self.0.st_ino)
    }

    /// The permission bits, including setuid, setgid and sticky. Those of symlinks have no meaning.
    pub(in crate::build) fn mode(&self) -> u32 {
        if self.is_symlink() { 0o777 } else { self.0.st_mode & 0o7777 }
    }
}

/// The most bytes of all names of extended attributes of a file, and of one value (xattr(7)).
const XATTR_MAX: usize = 64 << 10;

/// The extended attributes of the file `path` itself that an image keeps: capabilities, ACLs and
/// those of users. Empty on filesystems without any.
pub(in crate::build) fn xattrs(path: &Path) -> Result<Xattrs, BuildError> {
    let failed = |error: Errno| ArchiveError::read(path)(error.into());
    let mut names = vec![0; XATTR_MAX];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Err(Errno::OPNOTSUPP) => return Ok(Xattrs::new()),
        listed => listed.map_err(failed)?,
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let mut xattrs = Xattrs::new();
    for name in names.filter(|name| is_kept(name)) {
        let mut value = vec![0; XATTR_MAX];
        let length = match rustix::fs::lgetxattr(path, name, &mut value[..]) {
            // It was removed in between.
            Err(Errno::NODATA) => continue,
            read => read.map_err(failed)?,
        };
        if name.contains(&b'=') {
            let problem = "it has an extended attribute with '=' in its name, which a layer cannot \
                           express";
            return Err(BuildError::content(path, problem));
        }
        if length > 0 {
            xattrs.insert(name.into(), value[..length].into());
        }
    }
    Ok(xattrs)
}

fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == CAPABILITIES || name.starts_with(b"system.posix_acl_")
}

/// Whether the file `path` has capabilities.
pub(in crate::build) fn has_capabilities(path: &Path) -> bool {
    rustix::fs::lgetxattr(path, CAPABILITIES, &mut [0_u8; 64][..]).is_ok_and(|size| size > 0)
}

impl Folder {
    /// Opens the folder at `path`, which must not lead through symlinks.
    pub(in crate::build) fn open(
        path: &Path,
        filesystems: &mut Filesystems,
    ) -> Result<Self, BuildError> {
        let failed = |error: io::Error| match host::is_symlink_error(&error) {
            true => ArchiveError::Changed(path.to_owned()),
            false => ArchiveError::read(path)(error),
        };
        let opened = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let file = host::open(opened, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        let status = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
        let filesystem =
            filesystems.entry(status.st_dev).or_insert_with(|| Filesystem::of(file.as_fd()));
        Ok(Self { path: path.into(), device: status.st_dev, filesystem: *filesystem, file })
    }

    /// Calls `each` for every entry, in no particular order: a folder may have more entries than
    /// fit into memory. Works once for an opened folder.
    pub(in crate::build) fn children(
        &self,
        mut each: impl FnMut(Child) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let failed = |error: Errno| ArchiveError::read(&self.path)(error.into());
        let mut buffer = Vec::with_capacity(BUFFER_SIZE);
        let mut entries = RawDir::new(&self.file, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if name.starts_with(WHITEOUT) {
                let problem = "names that begin with \".wh.\" mean a removal in a layer; rename it";
                return Err(BuildError::content(self.child_path(name), problem));
            }
            each(Child { name: name.into(), metadata: self.metadata(name).map_err(failed)? })?;
        }
        Ok(())
    }

    /// Reads the metadata of the entry `name`.
    fn metadata(&self, name: &[u8]) -> rustix::io::Result<Metadata> {
        rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW).map(Metadata)
    }

    /// The path of the entry `name`.
    pub(in crate::build) fn child_path(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// The kind of entry that `name` becomes. Hard links become separate files: the number of links
    /// differs between hosts (an optimised Nix store has more), and the same contents must give the
    /// same bytes everywhere.
    pub(in crate::build) fn kind(
        &self,
        name: &[u8],
        metadata: &Metadata,
    ) -> Result<Kind, BuildError> {
        let device = metadata.0.st_rdev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        match metadata.file_type() {
            FileType::Directory => Ok(Kind::Directory),
            FileType::RegularFile => Ok(Kind::File(FileContent::Host(self.file(metadata)))),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&self.file, name, Vec::new());
                let target = target.map_err(io::Error::from);
                let target = target.map_err(ArchiveError::read(self.child_path(name)))?;
                Ok(Kind::Symlink(target.into_bytes().into()))
            }
            FileType::Fifo => Ok(Kind::Fifo),
            FileType::CharacterDevice => Ok(Kind::CharDevice(major, minor)),
            FileType::BlockDevice => Ok(Kind::BlockDevice(major, minor)),
            FileType::Socket | FileType::Unknown => {
                let problem = "an image cannot contain a socket; remove it from the contents";
                Err(BuildError::content(self.child_path(name), problem))
            }
        }
    }

    fn file(&self, metadata: &Metadata) -> HostFile {
        let status = &metadata.0;
        // A file that is mounted on its own may be on any filesystem.
        let is_same = status.st_dev == self.device;
        HostFile {
            folder: Arc::clone(&self.path),
            name: None,
            size: status.st_size as u64,
            modified: (status.st_mtime, status.st_mtime_nsec as u32),
            changed: (status.st_ctime, status.st_ctime_nsec as u32),
            inode: status.st_ino,
            filesystem: match is_same {
                true => self.filesystem.of_file(status.st_ino),
                false => Filesystem::default(),
            },
        }
    }
}
