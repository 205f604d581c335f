//! A process of the step: its memory, and files as it sees them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir};

/// The longest path, with the NUL behind it.
const PATH_MAX: usize = 4096;
/// A folder, or a file of any kind, that is only named.
pub(super) const NAMED: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// The paths of the process' own folder and its descriptors, and whether it is that folder.
const OWN_FOLDERS: [(&str, bool); 3] =
    [("/proc/self/", true), ("/proc/thread-self/", true), ("/dev/fd/", false)];

/// A thread that made a system call.
pub(super) struct Process {
    /// Its folder below `/proc`.
    folder: OwnedFd,
}

/// A file that a system call names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The descriptor of a folder that relative paths begin at, or of the file itself.
    pub(super) descriptor: i32,
    /// The address of the path.
    pub(super) path: u64,
    /// Whether a symlink at the end is followed.
    pub(super) follow: bool,
    /// Whether the descriptor is that of the file if there is no path.
    pub(super) may_be_empty: bool,
}

impl Target {
    /// A file with a path, relative to the descriptor in `descriptor`. `flags` are those of the
    /// system call.
    pub(super) fn at(descriptor: u64, path: u64, flags: u64) -> Self {
        let has = |flag: i32| flags as i32 & flag != 0;
        let follow = !has(libc::AT_SYMLINK_NOFOLLOW);
        let may_be_empty = has(libc::AT_EMPTY_PATH);
        Self { descriptor: descriptor as i32, path, follow, may_be_empty }
    }

    /// A file with a path, relative to the working directory.
    pub(super) fn path(path: u64, follow: bool) -> Self {
        Self { descriptor: libc::AT_FDCWD, path, follow, may_be_empty: false }
    }

    /// An open file.
    pub(super) fn open(descriptor: u64) -> Self {
        Self { descriptor: descriptor as i32, path: 0, follow: true, may_be_empty: true }
    }
}

impl Process {
    /// The thread `pid`; `processes` is `/proc`.
    pub(super) fn new(processes: &OwnedFd, pid: u32) -> Result<Self, Errno> {
        let folder = openat(processes, pid.to_string(), NAMED, Mode::empty())?;
        Ok(Self { folder })
    }

    fn memory(&self) -> Result<File, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Ok(openat(&self.folder, "mem", flags, Mode::empty())?.into())
    }

    /// Reads up to `size` bytes at `address`.
    pub(super) fn read(&self, address: u64, size: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; size];
        let count = self.memory()?.read_at(&mut bytes, address).map_err(|_| Errno::FAULT)?;
        bytes.truncate(count);
        Ok(bytes)
    }

    /// Reads the text at `address`; it is empty if the address is 0.
    pub(super) fn text(&self, address: u64) -> Result<Vec<u8>, Errno> {
        if address == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = self.read(address, PATH_MAX)?;
        let end = bytes.iter().position(|byte| *byte == 0).ok_or(Errno::NAMETOOLONG)?;
        bytes.truncate(end);
        Ok(bytes)
    }

    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.memory()?.write_all_at(bytes, address).map_err(|_| Errno::FAULT)
    }

    /// Makes this process see the root folder of the other one as its own.
    pub(super) fn enter_root(&self) -> Result<(), Errno> {
        fchdir(openat(&self.folder, "root", NAMED | OFlags::DIRECTORY, Mode::empty())?)?;
        chroot(".")
    }

    /// The file of a descriptor, or the working directory.
    pub(super) fn descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        let path = match number {
            libc::AT_FDCWD => "cwd".to_owned(),
            number => format!("fd/{number}"),
        };
        openat(&self.folder, path, NAMED, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => Errno::BADF,
            error => error,
        })
    }

    /// The file that `target` names.
    pub(super) fn file(&self, target: Target) -> Result<OwnedFd, Errno> {
        let path = self.text(target.path)?;
        let base = self.descriptor(if path.starts_with(b"/") {
            libc::AT_FDCWD
        } else {
            target.descriptor
        })?;
        self.enter_root()?;
        if path.is_empty() {
            return if target.may_be_empty { Ok(base) } else { Err(Errno::NOENT) };
        }
        self.named(&base, &path, target.follow)
    }

    /// The file at `path`, relative to the folder `base`.
    pub(super) fn named(
        &self,
        base: impl AsFd,
        path: &[u8],
        follow: bool,
    ) -> Result<OwnedFd, Errno> {
        match (named(base, path, follow), own_path(path)) {
            // In the sandbox's `/proc`, this process has no folder.
            (Err(Errno::NOENT), Some((own, rest))) if follow || !rest.is_empty() => {
                let file = openat(&self.folder, own, NAMED, Mode::empty())?;
                if rest.is_empty() { Ok(file) } else { named(file, rest, follow) }
            }
            (file, _) => file,
        }
    }

    /// The mode bits that new files do not get.
    pub(super) fn umask(&self) -> Result<Mode, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(&self.folder, "status", flags, Mode::empty())?);
        let mut status = String::new();
        io::Read::read_to_string(&mut file, &mut status).map_err(|_| Errno::IO)?;
        let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
        let umask = umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok());
        umask.map(Mode::from_bits_truncate).ok_or(Errno::IO)
    }
}

/// The file at `path`, relative to the folder `base`.
pub(super) fn named(base: impl AsFd, path: &[u8], follow: bool) -> Result<OwnedFd, Errno> {
    let flags = if follow { NAMED } else { NAMED | OFlags::NOFOLLOW };
    openat(base, path, flags, Mode::empty())
}

/// Splits a path that leads through the process' own files below `/proc`: into their path there,
/// and the rest without a slash at its beginning.
fn own_path(path: &[u8]) -> Option<(String, &[u8])> {
    let standard = [b"/dev/stdin".as_slice(), b"/dev/stdout", b"/dev/stderr"];
    if let Some(number) = standard.iter().position(|name| *name == path) {
        return Some((format!("fd/{number}"), b""));
    }
    let part = |path: &'_ [u8]| path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
    let (is_folder, path) = OWN_FOLDERS.iter().find_map(|(prefix, is_folder)| {
        Some((*is_folder, path.strip_prefix(prefix.as_bytes())?))
    })?;
    let (name, rest) = path.split_at(part(path));
    let (own, rest) = match name {
        b"cwd" | b"root" if is_folder => (String::from_utf8_lossy(name).into_owned(), rest),
        b"fd" if is_folder => {
            let rest = rest.strip_prefix(b"/")?;
            let (number, rest) = rest.split_at(part(rest));
            (descriptor_path(number)?, rest)
        }
        number if !is_folder => (descriptor_path(number)?, rest),
        _ => return None,
    };
    let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
    // A slash at the end names the folder itself.
    Some((own, if slashes > 0 && slashes == rest.len() { b"." } else { &rest[slashes..] }))
}

fn descriptor_path(number: &[u8]) -> Option<String> {
    let number: u32 = std::str::from_utf8(number).ok()?.parse().ok()?;
    Some(format!("fd/{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_through_the_own_folder_of_a_process_are_split() {
        for (path, own, rest) in [
            ("/proc/self/fd/3", "fd/3", ""),
            ("/proc/thread-self/fd/12/a//b", "fd/12", "a//b"),
            ("/dev/fd/0", "fd/0", ""),
            ("/dev/stderr", "fd/2", ""),
            ("/proc/self/cwd", "cwd", ""),
            ("/proc/self/cwd/", "cwd", "."),
            ("/proc/self/root//etc", "root", "etc"),
        ] {
            let found = own_path(path.as_bytes());
            assert_eq!(found, Some((own.to_owned(), rest.as_bytes())), "{path}");
        }
        for path in ["/proc/self/../1/root", "/proc/self/fd/..", "/proc/self/fd", "/dev/fd/cwd"] {
            assert_eq!(own_path(path.as_bytes()), None, "{path}");
        }
    }
}
