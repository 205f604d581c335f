//! Files that appear complete or not at all, and of which a killed process leaves nothing.
//!
//! Until it is complete, such a file has no name (`O_TMPFILE`). On file systems without unnamed
//! files, it has a temporary name from the start.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

/// The descriptors of this process as files, through which an unnamed file gets its name.
const DESCRIPTORS: &str = "/proc/self/fd";

/// A file that is being written into a folder. If it is dropped without
/// [`persist`](Self::persist), nothing is left of it.
#[derive(Debug)]
pub(super) struct UnfinishedFile {
    file: File,
    folder: PathBuf,
    prefix: &'static str,
    named: Option<TempPath>,
}

impl UnfinishedFile {
    /// Creates a file in `folder` with the permissions `mode`, less those of the umask. Temporary
    /// names begin with `prefix`.
    pub(super) fn create(folder: &Path, prefix: &'static str, mode: u32) -> io::Result<Self> {
        match unnamed(folder, mode)? {
            Some(file) => Ok(Self { file, folder: folder.to_owned(), prefix, named: None }),
            None => Self::with_name(folder, prefix, mode),
        }
    }

    /// Creates a file that has a temporary name from the start.
    pub(super) fn with_name(folder: &Path, prefix: &'static str, mode: u32) -> io::Result<Self> {
        let permissions = PermissionsExt::from_mode(mode);
        let named =
            tempfile::Builder::new().prefix(prefix).permissions(permissions).tempfile_in(folder)?;
        let (file, named) = NamedTempFile::into_parts(named);
        Ok(Self { file, folder: folder.to_owned(), prefix, named: Some(named) })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn temporary_path(&self) -> Option<&Path> {
        self.named.as_deref()
    }

    /// Gives the complete file the path `target` in its folder, replaces a file that has it, and
    /// returns the file.
    ///
    /// Linux does not let an unnamed file replace another, so it gets a free name first and is then
    /// renamed.
    pub(super) fn persist(self, target: &Path) -> io::Result<File> {
        let Self { file, folder, prefix, named } = self;
        let by_descriptor = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
        let link = |path: &Path| {
            let flags = AtFlags::SYMLINK_FOLLOW;
            rustix::fs::linkat(CWD, by_descriptor.as_str(), CWD, path, flags)
                .map_err(io::Error::from)
        };
        let named = match named {
            Some(named) => named,
            None => tempfile::Builder::new().prefix(prefix).make_in(folder, link)?.into_temp_path(),
        };
        named.persist(target).map_err(|error| error.error)?;
        Ok(file)
    }
}

/// Creates a file without a name; `None` if the file system of `folder` has no such files.
fn unnamed(folder: &Path, mode: u32) -> io::Result<Option<File>> {
    if !Path::new(DESCRIPTORS).is_dir() {
        return Ok(None);
    }
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(mode)) {
        Ok(file) => Ok(Some(file.into())),
        // A file with a name would fail for the same reason.
        Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::ROFS)) => {
            Err(error.into())
        }
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete_and_replaces_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let names = || {
            let files = fs::read_dir(folder.path()).unwrap();
            files.map(|file| file.unwrap().file_name()).collect::<Vec<_>>()
        };
        let target = folder.path().join("entry");
        for create in [UnfinishedFile::create, UnfinishedFile::with_name] {
            for content in ["first", "second"] {
                let file = create(folder.path(), ".new-", 0o640).unwrap();
                file.file().write_all(content.as_bytes()).unwrap();
                file.persist(&target).unwrap();
                assert_eq!(names(), ["entry"]);
                assert_eq!(fs::read_to_string(&target).unwrap(), content);
                assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o640);
            }
            drop(create(folder.path(), ".new-", 0o640).unwrap());
            assert_eq!(names(), ["entry"]);
        }
    }
}
