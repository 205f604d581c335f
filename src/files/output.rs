//! Output files that appear complete or not at all, and streams.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::unfinished::{self, UnfinishedFile};
use super::{cache_dir, full_disk};
use crate::linux::LINKS_MAX;
use crate::text;

/// An output that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {target}")]
pub(crate) struct WriteError {
    /// The output: a path, or `standard output`.
    pub(crate) target: String,
    pub(crate) source: io::Error,
}

impl WriteError {
    /// Whether the host failed rather than the input.
    pub(crate) fn is_environment(&self) -> bool {
        is_environment(&self.source)
    }
}

/// Whether the host is to blame for an error to write: not if the user named a file in a folder
/// that does not exist, or a folder.
pub(crate) fn is_environment(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

/// An output file that is being written. If it is dropped without [`persist`](Self::persist), it
/// leaves nothing behind, and on file systems with unnamed files, not even if the process is
/// killed. On others, the next output file in the same folder removes what is left.
#[derive(Debug)]
pub(crate) struct OutputFile {
    unfinished: UnfinishedFile,
    target: PathBuf,
}

/// The names of unfinished output files begin with this. It is long, so that no file of a user has
/// such a name: what is left of these files is removed.
const UNFINISHED: &str = ".seatrial-unfinished-";
/// The number of letters and digits behind that.
const RANDOM_LENGTH: usize = 6;
/// The permissions of an output file, before the umask.
const MODE: u32 = 0o666;
/// The permissions of a file with secrets.
#[cfg(feature = "registry")]
const PRIVATE: u32 = 0o600;

/// The destination that an output path leads to.
enum Destination {
    /// A file, or nothing yet.
    File(PathBuf),
    /// A device, a pipe, or a file that another process opened: it is written to, because a file
    /// could not replace it.
    Stream,
}

/// Follows symlinks at the end of `target`: what they lead to is written, and they stay.
fn destination(target: &Path) -> Result<Destination, WriteError> {
    let mut path = target.to_owned();
    for _ in 0..LINKS_MAX {
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                // `/proc/self/fd/1`, to which `/dev/stdout` leads, is not a path.
                if is_on_proc(folder(&path)) {
                    return Ok(Destination::Stream);
                }
                let to = path.read_link().map_err(|source| failed(target, source))?;
                path = folder(&path).join(to);
            }
            Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
                return Ok(Destination::Stream);
            }
            // If it cannot be read, creating the file fails with the reason.
            Ok(_) | Err(_) => return Ok(Destination::File(path)),
        }
    }
    Err(failed(target, Errno::LOOP.into()))
}

/// The resolved path of the file that an output at `target` creates or replaces; `None` if it is a
/// stream, or its folder does not exist.
pub(crate) fn replaced_path(target: &Path) -> Option<PathBuf> {
    let Ok(Destination::File(path)) = destination(target) else { return None };
    Some(folder(&path).canonicalize().ok()?.join(path.file_name()?))
}

fn is_on_proc(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|info| info.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

impl OutputFile {
    /// Creates a file in the folder of `target`, on the same file system. If `target` is a symlink,
    /// that is the folder of the file that it leads to.
    ///
    /// # Errors
    /// If a file cannot be created there.
    pub(crate) fn beside(target: &Path) -> Result<Self, WriteError> {
        Self::with_mode(target, MODE)
    }

    /// Like [`beside`](Self::beside), for a file with secrets, which no other user can read.
    ///
    /// # Errors
    /// If a file cannot be created there.
    #[cfg(feature = "registry")]
    pub(crate) fn private(target: &Path) -> Result<Self, WriteError> {
        Self::with_mode(target, PRIVATE)
    }

    fn with_mode(target: &Path, mode: u32) -> Result<Self, WriteError> {
        let failed = |source| failed(target, source);
        let path = match destination(target)? {
            Destination::File(path) => path,
            Destination::Stream => target.to_owned(),
        };
        if path.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::IsADirectory,
                "it is a directory; name a file",
            )));
        }
        let unfinished = UnfinishedFile::create(folder(&path), UNFINISHED, mode).map_err(failed)?;
        remove_abandoned(folder(&path));
        Ok(Self { unfinished, target: path })
    }

    /// The file.
    pub(crate) fn file(&self) -> &File {
        self.unfinished.file()
    }

    /// The path that it has until it is complete, if it has any.
    pub(crate) fn temporary_path(&self) -> Option<&Path> {
        self.unfinished.temporary_path()
    }

    /// Writes the complete file to the disk, gives it its name, and replaces a file that has it.
    ///
    /// # Errors
    /// If the file cannot be named; it is then removed.
    pub(crate) fn persist(self) -> Result<(), WriteError> {
        let Self { unfinished, target } = self;
        let failed = |source| failed(&target, source);
        // Otherwise a crash of the host can leave an empty file in the place of a good one.
        unfinished.file().sync_all().map_err(failed)?;
        unfinished.persist(&target).map_err(failed)?;
        // Not all file systems can do this for a folder.
        let _ = File::open(folder(&target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// Whether `name` is that of an unfinished output file.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    let random = name.as_bytes().strip_prefix(UNFINISHED.as_bytes());
    random.is_some_and(|random| {
        random.len() == RANDOM_LENGTH && random.iter().all(u8::is_ascii_alphanumeric)
    })
}

/// Removes unfinished output files in `folder` of processes that were killed.
fn remove_abandoned(folder: &Path) {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_own =
        |file: &DirEntry| file.metadata().is_ok_and(|metadata| cache_dir::is_own(&metadata));
    for file in files.filter(|file| is_unfinished(&file.file_name())).filter(is_own) {
        unfinished::remove_abandoned(&file.path());
    }
}

fn folder(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().as_bytes().is_empty())
        .unwrap_or(Path::new("."))
}

/// The error for an output that cannot be created at `target`.
pub(crate) fn failed(target: &Path, source: io::Error) -> WriteError {
    let folder = folder(target);
    let source = match source.kind() {
        io::ErrorKind::NotADirectory if folder.is_dir() => {
            io::Error::new(source.kind(), "it ends with a slash; name a file")
        }
        io::ErrorKind::NotADirectory => {
            let folder = text::path(folder);
            io::Error::new(source.kind(), format!("{folder} is not a folder"))
        }
        io::ErrorKind::NotFound if !folder.exists() => {
            let folder = text::path(folder);
            io::Error::new(source.kind(), format!("there is no folder {folder}; create it first"))
        }
        _ => full_disk::explain(target, source),
    };
    WriteError { target: text::path(target), source }
}

/// Whether `target` is written to instead of being replaced: a device, a pipe, or a path such as
/// `/dev/stdout` to a file that is open already.
pub(crate) fn is_stream(target: &Path) -> bool {
    matches!(destination(target), Ok(Destination::Stream))
}

/// Whether `target` is standard output by another name, such as `/dev/stdout`.
pub(crate) fn is_standard_output(target: &Path) -> bool {
    let (Ok(output), Ok(target_status)) =
        (rustix::fs::fstat(rustix::stdio::stdout()), rustix::fs::stat(target))
    else {
        return false;
    };
    let same = (output.st_dev, output.st_ino) == (target_status.st_dev, target_status.st_ino);
    same && is_stream(target)
}

/// Opens a stream for writing.
///
/// # Errors
/// If it cannot be opened.
pub(crate) fn open_stream(target: &Path) -> Result<File, WriteError> {
    let file = File::options().write(true).truncate(true).open(target);
    file.map_err(|source| failed(target, source))
}
