//! Files of containers that have ended, which engines with Docker's API return in a tar.

use std::io::{self, Read};

use rustix::io::Errno;
use tar::EntryType;

use super::file::ContainerFile;
use crate::archive::files::FileInfo;
use crate::archive::tar::{MemberKind, SpecialKind};

/// The most bytes of a tar besides the file: headers, a long path and target, the end.
pub(super) const HEADERS_MAX: usize = 1 << 20;
/// The size of the block at the beginning of a file in a tar.
const HEADER_SIZE: usize = 512;

/// Reads the first entry of a tar, which may be cut: then it has no content. `content_max` is the
/// size of the largest file whose content is read, if it is.
pub(super) fn first_entry(
    archive: &[u8],
    content_max: Option<usize>,
    has_owner: bool,
) -> io::Result<ContainerFile> {
    // Engines leave sockets out.
    if archive.len() < HEADER_SIZE || archive.iter().all(|byte| *byte == 0) {
        return Err(io::Error::other("it is a socket, which engines cannot return"));
    }
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries()?.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let kind = kind_of(entry.header())?;
    let header = entry.header();
    let (mode, mtime) = (header.mode()? & 0o7777, header.mtime()?.cast_signed());
    let (uid, gid, size) = (header.uid()?, header.gid()?, entry.size());
    let link = entry.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default();
    let content = match (kind, content_max) {
        (MemberKind::File, Some(max)) if size <= max as u64 => {
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            Some(content).filter(|content| content.len() as u64 == size)
        }
        _ => None,
    };
    let xattrs = Default::default();
    let info = FileInfo { kind, mode, uid, gid, size, mtime, xattrs, link, content };
    let content_error = None::<Errno>;
    Ok(ContainerFile {
        info,
        names: Vec::new(),
        is_socket: false,
        stat_size: None,
        has_owner,
        content_error,
    })
}

fn kind_of(header: &tar::Header) -> io::Result<MemberKind> {
    let number = |number: Option<u32>| number.unwrap_or_default();
    let (major, minor) = (number(header.device_major()?), number(header.device_minor()?));
    Ok(match header.entry_type() {
        EntryType::Directory => MemberKind::Directory,
        EntryType::Symlink => MemberKind::Symlink,
        EntryType::Fifo => MemberKind::Special(SpecialKind::Fifo),
        EntryType::Char => MemberKind::Special(SpecialKind::CharDevice(major, minor)),
        EntryType::Block => MemberKind::Special(SpecialKind::BlockDevice(major, minor)),
        _ => MemberKind::File,
    })
}
