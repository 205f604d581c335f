//! System calls that create files.

use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, mknodat, openat, openat2, readlinkat,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::umask;

use super::credentials::Credentials;
use super::files::{Files, ImageFile};
use super::notifications::Answer;
use super::owner::Owner;
use super::process::{NAMED, Process, named};
use crate::linux::LINKS_MAX;

/// A file that a system call creates.
#[derive(Debug)]
pub(super) enum NewFile {
    File {
        flags: OFlags,
        mode: Mode,
        /// How `openat2` resolves the path; `None` for `open` and `openat`.
        resolve: Option<ResolveFlags>,
    },
    Folder(Mode),
    /// A named pipe, or a file, with its type and permissions.
    Node(u32),
    Symlink {
        target: Vec<u8>,
    },
}

impl NewFile {
    /// Whether a symlink at the end of the path is followed here. One of a restricted path is left
    /// to the kernel.
    fn follows(&self) -> bool {
        match self {
            Self::File { flags, .. } => {
                !flags.intersects(OFlags::EXCL | OFlags::NOFOLLOW) && self.restriction().is_none()
            }
            _ => false,
        }
    }

    /// The flags of `openat2` that restrict the path.
    fn restriction(&self) -> Option<ResolveFlags> {
        match self {
            Self::File { resolve, .. } => resolve.filter(|resolve| !resolve.is_empty()),
            _ => None,
        }
    }

    /// The folder at `path`, relative to `start`.
    fn folder(&self, process: &Process, start: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
        match self.restriction() {
            Some(resolve) => openat2(start, path, NAMED, Mode::empty(), resolve),
            None => process.named(start, path, true),
        }
    }

    fn is_unnamed(&self) -> bool {
        matches!(self, Self::File { flags, .. } if flags.contains(OFlags::TMPFILE))
    }
}

/// Creates a file at `path`, relative to the folder `descriptor` of the process, if it gets another
/// owner than root. Otherwise the kernel does.
pub(super) fn create(
    files: &mut Files,
    process: &Process,
    credentials: &Credentials,
    (descriptor, path): (u64, Vec<u8>),
    new: &NewFile,
) -> Result<Answer, Errno> {
    // The descriptor may be the root folder of a restricted path.
    let is_absolute = path.starts_with(b"/") && new.restriction().is_none();
    let descriptor = if is_absolute { libc::AT_FDCWD } else { descriptor as i32 };
    let Ok(mut start) = process.descriptor(descriptor) else { return Ok(Answer::Continue) };
    process.enter_root()?;
    let mut path = path;
    if new.is_unnamed() {
        let Ok(folder) = new.folder(process, &start, &path) else { return Ok(Answer::Continue) };
        return match owned_folder(files, folder, credentials)? {
            Some((folder, owner)) => created(files, process, &folder.file, b".", owner, new),
            None => Ok(Answer::Continue),
        };
    }
    for _ in 0..LINKS_MAX {
        let (parent, name) = split(&path);
        // The kernel refuses files with a slash at the end.
        let is_folder = matches!(new, NewFile::Folder(_));
        if path.ends_with(b"/") && !is_folder {
            return Ok(Answer::Continue);
        }
        if name.is_empty() || name == b"." || name == b".." {
            return Ok(Answer::Continue);
        }
        // Errors are the kernel's.
        let Ok(parent) = new.folder(process, &start, parent) else { return Ok(Answer::Continue) };
        let Some((folder, owner)) = owned_folder(files, parent, credentials)? else {
            return Ok(Answer::Continue);
        };
        // `owned_folder` may have changed the root.
        process.enter_root()?;
        match readlinkat(&folder.file, name, Vec::new()) {
            Err(Errno::NOENT) => {
                return created(files, process, &folder.file, name, owner, new);
            }
            Ok(target) if new.follows() => (start, path) = (folder.file, target.into_bytes()),
            _ => return Ok(Answer::Continue),
        }
    }
    Ok(Answer::Continue)
}

/// The folder, and the owner of a new file in it; `None` if that is root.
fn owned_folder(
    files: &Files,
    folder: OwnedFd,
    credentials: &Credentials,
) -> Result<Option<(ImageFile, Owner)>, Errno> {
    let Ok(folder) = files.describe(folder)? else { return Ok(None) };
    let mut owner = credentials.owner();
    if folder.passes_group_on() {
        owner.gid = files.owner(&folder)?.gid;
    }
    Ok((owner != Owner::ROOT).then_some((folder, owner)))
}

/// Creates a file in `folder` and records its owner.
fn created(
    files: &mut Files,
    process: &Process,
    folder: &OwnedFd,
    name: &[u8],
    owner: Owner,
    new: &NewFile,
) -> Result<Answer, Errno> {
    umask(process.umask()?);
    let is_unnamed = new.is_unnamed();
    let answer = match make(folder, name, new) {
        // Another process has created it.
        Err(Errno::EXIST) => return Ok(Answer::Continue),
        answer => answer?,
    };
    let file = match &answer {
        Answer::File { file, .. } => file.try_clone().map_err(|_| Errno::MFILE)?,
        _ => named(folder, name, false)?,
    };
    let recorded = match files.describe(file)? {
        Ok(file) => files.record(&file, owner),
        Err(_) => Err(Errno::XDEV),
    };
    if recorded.is_err() && !is_unnamed {
        let is_folder = matches!(new, NewFile::Folder(_));
        let flags = if is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        unlinkat(folder, name, flags)?;
    }
    recorded.map(|()| answer)
}

fn make(folder: &OwnedFd, name: &[u8], new: &NewFile) -> Result<Answer, Errno> {
    match new {
        NewFile::File { flags, mode, resolve } => {
            let exclusive = if new.is_unnamed() { OFlags::empty() } else { OFlags::EXCL };
            let own_flags = *flags | exclusive | OFlags::CLOEXEC;
            let file = match resolve {
                // It refuses flags that `openat` ignores.
                Some(resolve) => openat2(folder, name, own_flags, *mode, *resolve)?,
                None => openat(folder, name, own_flags, *mode)?,
            };
            let close_on_exec = flags.contains(OFlags::CLOEXEC);
            return Ok(Answer::File { file, close_on_exec });
        }
        NewFile::Folder(mode) => mkdirat(folder, name, *mode)?,
        NewFile::Node(mode) => {
            let (kind, mode) = (FileType::from_raw_mode(*mode), Mode::from_raw_mode(*mode));
            mknodat(folder, name, kind, mode, 0)?;
        }
        NewFile::Symlink { target } => symlinkat(&**target, folder, name)?,
    }
    Ok(Answer::Value(0))
}

/// The folder and the name of `path`, without slashes at its end.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
    let path = &path[..end];
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..=slash], &path[slash + 1..]),
        None => (b".", path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_folder_and_a_name() {
        for (path, folder, name) in
            [("a", ".", "a"), ("/a", "/", "a"), ("a/b//", "a/", "b"), ("/", ".", ""), ("", ".", "")]
        {
            assert_eq!(split(path.as_bytes()), (folder.as_bytes(), name.as_bytes()), "{path}");
        }
    }
}
