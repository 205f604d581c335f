//! Copies of large files with holes, such as the memory of a VM.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{SeekFrom as Position, ioctl_ficlone, seek};
use rustix::io::Errno;

use crate::vm::VmError;
use crate::vm::folders::create_file;

/// Copies the file `from` to the new private file `to`. The copy shares the blocks of `from` on
/// file systems that can do so; on others it has the same holes.
pub(super) fn sparse_copy(from: &Path, to: &Path) -> Result<(), VmError> {
    let mut source = File::open(from).map_err(VmError::file("open", from))?;
    let mut target = create_file(to)?;
    if ioctl_ficlone(&target, &source).is_ok() {
        return Ok(());
    }
    copy_data(&mut source, &mut target).map_err(VmError::file("copy", from))
}

fn copy_data(source: &mut File, target: &mut File) -> io::Result<()> {
    let size = source.metadata()?.len();
    target.set_len(size)?;
    let mut position = 0;
    while position < size {
        // A file system that knows no holes reports one range of data.
        let start = match seek(&*source, Position::Data(position)) {
            Err(Errno::NXIO) => break, // only a hole is left
            start => start?,
        };
        let end = seek(&*source, Position::Hole(start))?;
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        io::copy(&mut source.take(end - start), target)?;
        position = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    #[test]
    fn a_copy_has_the_same_bytes_and_no_more_blocks() {
        let folder = tempfile::TempDir::new().unwrap();
        let [from, to] = ["from", "to"].map(|name| folder.path().join(name));
        let file = File::create(&from).unwrap();
        file.set_len(9 << 20).unwrap();
        file.write_all_at(b"first", 4 << 20).unwrap();
        file.write_all_at(b"second", 7 << 20).unwrap();
        file.sync_all().unwrap();
        sparse_copy(&from, &to).unwrap();
        assert!(std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap());
        let blocks = |path| std::fs::metadata(path).unwrap().blocks();
        assert!(blocks(&to) <= blocks(&from), "{} {}", blocks(&to), blocks(&from));
    }
}
