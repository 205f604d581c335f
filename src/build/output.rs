//! Output files that appear complete or not at all, and streams.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use crate::archive::ArchiveError;
use crate::archive::resolve::LINKS_MAX;
use crate::text;

/// An output file that is being written. If it is dropped without [`persist`](Self::persist), it
/// leaves nothing behind, and on file systems with unnamed files, not even if the process is
/// killed.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    target: PathBuf,
    named: Option<TempPath>,
}

/// The permissions of an output file, before the umask.
const MODE: u32 = 0o666;

/// The destination that an output path leads to.
enum Destination {
    /// A file, or nothing yet.
    File(PathBuf),
    /// A device, a pipe, or a file that another process opened: it is written to, because a file
    /// could not replace it.
    Stream,
}

/// Follows symlinks at the end of `target`: what they lead to is written, and they stay.
fn destination(target: &Path) -> Result<Destination, ArchiveError> {
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
    pub fn beside(target: &Path) -> Result<Self, ArchiveError> {
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
        let folder = folder(&path);
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        // An unnamed file gets its name through `/proc`.
        if Path::new(DESCRIPTORS).is_dir() {
            match rustix::fs::openat(CWD, folder, flags, Mode::from_raw_mode(MODE)) {
                Ok(file) => return Ok(Self { file: file.into(), target: path, named: None }),
                // A file with a name would fail for the same reason.
                Err(error @ (Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::ROFS)) => {
                    return Err(failed(error.into()));
                }
                Err(_) => {}
            }
        }
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(MODE);
        let named = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(permissions)
            .tempfile_in(folder);
        let (file, named) = named.map(NamedTempFile::into_parts).map_err(failed)?;
        Ok(Self { file, target: path, named: Some(named) })
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes the complete file to the disk, gives it its name, and replaces a file that has it.
    ///
    /// # Errors
    /// If the file cannot be named; it is then removed.
    pub fn persist(self) -> Result<(), ArchiveError> {
        let Self { file, target, named } = self;
        let failed = |source| failed(&target, source);
        // Otherwise a crash of the host can leave an empty file in the place of a good one.
        file.sync_all().map_err(failed)?;
        match named {
            Some(named) => named.persist(&target).map_err(|error| failed(error.error)),
            None => link(&file, &target).map_err(failed),
        }?;
        // Not all file systems can do this for a folder.
        let _ = File::open(folder(&target)).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// The descriptors of this process as files.
const DESCRIPTORS: &str = "/proc/self/fd";
/// The names of unfinished output files begin with this.
pub(super) const UNFINISHED: &str = ".seatrial-";

/// Names an unnamed file. Linux does not let it replace another, so it gets a free name first and
/// is then renamed.
fn link(file: &File, target: &Path) -> io::Result<()> {
    let by_descriptor = format!("{DESCRIPTORS}/{}", file.as_raw_fd());
    let named = tempfile::Builder::new().prefix(UNFINISHED).make_in(folder(target), |path| {
        rustix::fs::linkat(CWD, by_descriptor.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)
            .map_err(io::Error::from)
    })?;
    named.into_temp_path().persist(target).map_err(|error| error.error)
}

fn folder(target: &Path) -> &Path {
    target
        .parent()
        .filter(|folder| !folder.as_os_str().as_bytes().is_empty())
        .unwrap_or(Path::new("."))
}

/// The error for an output that cannot be created at `target`.
pub(crate) fn failed(target: &Path, source: io::Error) -> ArchiveError {
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
        _ => source,
    };
    ArchiveError::Write { target: text::path(target), source }
}

/// Whether `target` is written to instead of being replaced: a device, a pipe, or a path such as
/// `/dev/stdout` to a file that is open already.
pub fn is_stream(target: &Path) -> bool {
    matches!(destination(target), Ok(Destination::Stream))
}

/// Whether `target` is standard output by another name, such as `/dev/stdout`.
pub fn is_standard_output(target: &Path) -> bool {
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
pub fn open_stream(target: &Path) -> Result<File, ArchiveError> {
    let file = File::options().write(true).truncate(true).open(target);
    file.map_err(|source| failed(target, source))
}
