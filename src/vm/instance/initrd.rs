//! A VM's initial RAM disk: the guest's, followed by an archive with the VM's own files (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`: archives may be concatenated).

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::vm::VmError;
use crate::vm::folders::create_file;
use crate::vm::guest::changes::GuestChanges;
use crate::vm::instance::tls::ServerFiles;

/// Writes the initial RAM disk to `target`. `vm/guest/init` expects certificates in `/vm`, files
/// for the root in `/changes`, and a list of paths to remove in `/vm/removed`.
pub(in crate::vm) fn write(
    guest: &Path,
    target: &Path,
    certificates: &ServerFiles,
    changes: &GuestChanges,
) -> Result<(), VmError> {
    let mut initrd = fs::read(guest).map_err(VmError::file("read", guest))?;
    initrd.resize(initrd.len().next_multiple_of(4), 0);
    for (name, content) in certificates {
        append(&mut initrd, &format!("vm/{name}"), 0o100_600, content.as_bytes());
    }
    append(&mut initrd, "vm/removed", 0o100_644, changes.removals().as_bytes());
    append(&mut initrd, "changes", 0o040_755, b"");
    for folder in changes.folders() {
        append(&mut initrd, &format!("changes/{folder}"), 0o040_755, b"");
    }
    for (path, content) in changes.files() {
        append(&mut initrd, &format!("changes/{path}"), 0o100_644, content);
    }
    append(&mut initrd, "TRAILER!!!", 0, b"");
    create_file(target)?.write_all(&initrd).map_err(VmError::file("write", target))
}

/// Appends a file or folder in the "newc" format of cpio.
fn append(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    let start = archive.len();
    let (name_size, size) = (name.len() + 1, content.len());
    let fields = [0, mode, 0, 0, 1, 1, size as u32, 0, 0, 0, 0, name_size as u32, 0];
    archive.extend_from_slice(b"070701");
    fields.iter().for_each(|field| archive.extend_from_slice(format!("{field:08X}").as_bytes()));
    archive.extend_from_slice(name.as_bytes());
    archive.push(0);
    archive.resize(start + (archive.len() - start).next_multiple_of(4), 0);
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}
