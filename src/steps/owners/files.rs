//! The files of the image while a step runs, and the owners that are recorded for them.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, XattrFlags, chownat, fstatfs,
    getxattr, open, openat2, readlinkat, setxattr, statx,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid, chroot, fchdir};

use super::base::{BaseOwners, Special};
use super::owner::{ATTRIBUTE, Owner};
use super::process::NAMED;

/// The type of overlayfs, in `linux/magic.h`.
const OVERLAY: i64 = 0x794c_7630;
/// The longest text of an owner.
const OWNER_MAX: usize = 32;

/// The most files without attributes whose owners are recorded, also of those that are removed.
const CHANGED_MAX: usize = 1 << 20;
/// Paths in the folder with the changes, which processes of the step change at the same time.
const INSIDE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// An inode: its number, and when it was created, since numbers are used again.
type Inode = (u64, i64, u32);

/// A file of the image.
pub(super) struct ImageFile {
    pub(super) file: OwnedFd,
    status: Statx,
}

impl ImageFile {
    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.status.stx_mode.into())
    }

    /// Whether extended attributes can record its owner.
    fn has_attributes(&self) -> bool {
        matches!(self.kind(), FileType::RegularFile | FileType::Directory)
    }

    /// Whether new files in this folder get its group.
    pub(super) fn passes_group_on(&self) -> bool {
        u32::from(self.status.stx_mode) & Mode::SGID.bits() != 0
    }

    /// Gives the file the owner that it has already: this clears setuid bits and capabilities, and
    /// copies a file of a layer below, like every change of an owner.
    pub(super) fn touch_owner(&self, uid: bool, gid: bool) -> Result<(), Errno> {
        touch_owner(&self.file, uid, gid)
    }
}

/// See [`ImageFile::touch_owner`].
pub(super) fn touch_owner(file: &OwnedFd, uid: bool, gid: bool) -> Result<(), Errno> {
    chownat(file, "", uid.then_some(Uid::ROOT), gid.then_some(Gid::ROOT), AtFlags::EMPTY_PATH)
}

/// The files of the image.
pub(super) struct Files {
    /// The root folder of this process.
    root: OwnedFd,
    /// The folder with the descriptors of this process.
    descriptors: OwnedFd,
    /// The folder that collects changes.
    upper: OwnedFd,
    /// Where the image is in the sandbox.
    prefix: Vec<u8>,
    base: BaseOwners,
    /// The owners of changed files that cannot have attributes.
    changed: HashMap<Inode, Owner>,
}

impl Files {
    /// The image at `prefix` in the sandbox, whose changes are in the folder `upper`.
    pub(super) fn open(upper: &Path, prefix: &[u8], base: Vec<Special>) -> io::Result<Self> {
        let folder = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            open(path, flags, Mode::empty())
        };
        Ok(Self {
            root: folder(Path::new("/"))?,
            descriptors: folder(Path::new("/proc/self/fd"))?,
            upper: folder(upper)?,
            prefix: prefix.to_vec(),
            base: BaseOwners::new(base),
            changed: HashMap::new(),
        })
    }

    /// Whether layers below have files of other owners than root that cannot have attributes.
    pub(super) fn has_base(&self) -> bool {
        !self.base.is_empty()
    }

    /// Makes the root folder of this process its own again.
    pub(super) fn leave_root(&self) -> Result<(), Errno> {
        fchdir(&self.root)?;
        chroot(".")
    }

    /// Describes `file`; gives it back if it is not of the image.
    pub(super) fn describe(&self, file: OwnedFd) -> Result<Result<ImageFile, OwnedFd>, Errno> {
        if fstatfs(&file)?.f_type as i64 != OVERLAY {
            return Ok(Err(file));
        }
        let fields = StatxFlags::BASIC_STATS;
        let status = statx(&file, "", AtFlags::EMPTY_PATH, fields)?;
        Ok(Ok(ImageFile { file, status }))
    }

    /// The owner of a file.
    pub(super) fn owner(&self, file: &ImageFile) -> Result<Owner, Errno> {
        if file.has_attributes() {
            return self.attribute(file);
        }
        if self.changed.is_empty() && self.base.is_empty() {
            return Ok(Owner::ROOT);
        }
        let Some(path) = self.path(file)? else { return Ok(Owner::ROOT) };
        let changed = self.changed_inode(&path)?;
        if let Some(owner) = changed.and_then(|inode| self.changed.get(&inode)) {
            return Ok(*owner);
        }
        Ok(self.base_owner(file, &path)?.unwrap_or(Owner::ROOT))
    }

    /// Records the owner of a file.
    pub(super) fn record(&mut self, file: &ImageFile, owner: Owner) -> Result<(), Errno> {
        if !file.has_attributes() {
            let path = self.path(file)?.ok_or(Errno::XDEV)?;
            let inode = self.changed_inode(&path)?.ok_or(Errno::IO)?;
            if self.changed.len() >= CHANGED_MAX && !self.changed.contains_key(&inode) {
                return Err(Errno::NOSPC);
            }
            self.changed.insert(inode, owner);
            return Ok(());
        }
        if owner == Owner::ROOT && self.attribute(file)? == Owner::ROOT {
            return Ok(());
        }
        let (name, value) = (self.descriptor_name(file)?, owner.to_string());
        setxattr(name, ATTRIBUTE, value.as_bytes(), XattrFlags::empty())
    }

    /// Records the owner of a file of a layer below that is about to be copied, if an attribute
    /// does not record it.
    pub(super) fn keep(&mut self, file: &ImageFile) -> Result<(), Errno> {
        if file.has_attributes() {
            return Ok(());
        }
        let owner = self.owner(file)?;
        if owner != Owner::ROOT {
            file.touch_owner(true, true)?;
            self.record(file, owner)?;
        }
        Ok(())
    }

    fn attribute(&self, file: &ImageFile) -> Result<Owner, Errno> {
        let mut value = [0; OWNER_MAX];
        match getxattr(self.descriptor_name(file)?, ATTRIBUTE, &mut value[..]) {
            Ok(size) => Owner::parse(&value[..size]).ok_or(Errno::IO),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(Owner::ROOT),
            Err(error) => Err(error),
        }
    }

    /// A path for system calls that do not take the descriptor.
    fn descriptor_name(&self, file: &ImageFile) -> Result<String, Errno> {
        fchdir(&self.descriptors)?;
        Ok(file.file.as_raw_fd().to_string())
    }

    /// The path in the image.
    fn path(&self, file: &ImageFile) -> Result<Option<Vec<u8>>, Errno> {
        self.leave_root()?;
        let name = file.file.as_raw_fd().to_string();
        let path = readlinkat(&self.descriptors, name, Vec::new())?.into_bytes();
        let path = path.strip_prefix(&*self.prefix).and_then(|path| path.strip_prefix(b"/"));
        Ok(path.map(<[u8]>::to_vec))
    }

    /// The inode in the folder with the changes. It stays the same, unlike that of the overlay.
    fn changed_inode(&self, path: &[u8]) -> Result<Option<Inode>, Errno> {
        let flags = NAMED | OFlags::NOFOLLOW;
        let file = match openat2(&self.upper, path, flags, Mode::empty(), INSIDE) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => return Ok(None),
            Err(error) => return Err(error),
        };
        let fields = StatxFlags::INO | StatxFlags::BTIME;
        let status = statx(&file, "", AtFlags::EMPTY_PATH, fields)?;
        Ok(Some((status.stx_ino, status.stx_btime.tv_sec, status.stx_btime.tv_nsec)))
    }

    /// The owner of a file of a layer below.
    fn base_owner(&self, file: &ImageFile, path: &[u8]) -> Result<Option<Owner>, Errno> {
        let target = match file.kind() {
            FileType::Symlink => readlinkat(&file.file, "", Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(self.base.get(path, &target, file.status.stx_mtime.tv_sec))
    }

    /// The owners of changed files without attributes: pairs of owner and path, each of them with a
    /// NUL behind it.
    pub(super) fn changed_owners(&self, upper: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if !self.changed.is_empty() {
            self.add_owners(upper, b"", &mut bytes)?;
        }
        Ok(bytes)
    }

    fn add_owners(&self, folder: &Path, above: &[u8], bytes: &mut Vec<u8>) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = [above, entry.file_name().as_bytes()].concat();
            if kind.is_dir() {
                self.add_owners(&entry.path(), &[&path, b"/".as_slice()].concat(), bytes)?;
            } else if !kind.is_file() && !kind.is_char_device() {
                let inode = self.changed_inode(&path)?;
                let owner = inode.and_then(|inode| self.changed.get(&inode));
                let owner = owner.unwrap_or(&Owner::ROOT).to_string();
                for field in [owner.as_bytes(), &path] {
                    bytes.extend_from_slice(field);
                    bytes.push(0);
                }
            }
        }
        Ok(())
    }
}
