//! An untrusted folder: files in it are opened by name, without leaving it and without waiting.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::invalid_data::invalid_data;

/// The most links that are followed from one name.
const LINKS_MAX: usize = 8;

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens the folder at `path`, which the user has named: links to it are followed.
    pub(crate) fn open_root(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    /// Opens the regular file `name` for reading; `None` if it does not exist.
    ///
    /// Every component is opened on its own without following links, so that nothing can lead out
    /// of the folder, even if it changes meanwhile. Links are followed within the folder only.
    ///
    /// # Errors
    /// Of kind `InvalidData` if it is not a regular file, or a link that leads out of the folder.
    pub(crate) fn open(&self, name: &str) -> io::Result<Option<File>> {
        let mut parents = vec![self.0.try_clone()?];
        let mut todo: Vec<Vec<u8>> = components(name.as_bytes());
        let mut links = 0;
        while let Some(component) = todo.pop() {
            if component == b".." {
                parents.pop();
            }
            let Some(parent) = parents.last() else {
                return Err(outside(name));
            };
            if component == b".." {
                continue;
            }
            let kind = match rustix::fs::statat(parent, &*component, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode),
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            match kind {
                FileType::Symlink => {
                    links += 1;
                    let target = rustix::fs::readlinkat(parent, &*component, Vec::new())?;
                    if target.as_bytes().starts_with(b"/") || links > LINKS_MAX {
                        return Err(outside(name));
                    }
                    todo.extend(components(target.as_bytes()));
                }
                FileType::Directory if !todo.is_empty() => {
                    let flags = OFlags::DIRECTORY;
                    parents.push(open_no_follow(parent, &component, flags)?);
                }
                FileType::RegularFile if todo.is_empty() => {
                    // The flags matter if it is no longer the file that it was a moment ago.
                    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
                    let file = File::from(open_no_follow(parent, &component, flags)?);
                    let file_type = file.metadata()?.file_type();
                    return if file_type.is_file() { Ok(Some(file)) } else { Err(changed(name)) };
                }
                FileType::RegularFile => return Ok(None),
                kind => return Err(not_a_file(name, kind)),
            }
        }
        Err(not_a_file(name, FileType::Directory))
    }
}

/// The components of `path`, last one first.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|b| *b == b'/').rev();
    parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec).collect()
}

fn open_no_follow(parent: &OwnedFd, name: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

fn outside(name: &str) -> io::Error {
    invalid_data(format!(
        "{name} is a link that leads out of the folder; if you trust it, copy the folder with \
         cp -rL"
    ))
}

fn not_a_file(name: &str, kind: FileType) -> io::Error {
    let kind = match kind {
        FileType::Directory => "a folder",
        FileType::Fifo => "a pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "a special file",
    };
    invalid_data(format!("{name} is {kind}, not a regular file"))
}

fn changed(name: &str) -> io::Error {
    invalid_data(format!("{name} was replaced while it was opened"))
}
