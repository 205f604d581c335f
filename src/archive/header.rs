//! The deterministic tar writer: headers that depend on nothing but the entry.
//!
//! They have the GNU format (GNU tar manual, "Basic Tar Format") rather than PAX, because it can
//! store names that are not UTF-8 and every reader of layers supports it. Names of more than 100
//! bytes are stored in `L` and `K` records; numbers that do not fit their octal fields are stored
//! in base 256.

use ::tar::{EntryType, Header};

use super::entry::{Attributes, Kind};

/// The size of a tar block.
pub const BLOCK: u64 = 512;
/// The two zero blocks that end an archive.
pub const END: [u8; 1024] = [0; 1024];

/// The name of GNU long-name records.
const LONG_LINK: &[u8] = b"././@LongLink";
/// The size of the name and link fields in bytes.
const NAME_FIELD: usize = 100;

/// The number of zero bytes that fill `size` bytes up to whole blocks.
pub fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// Appends the header blocks of an entry to `out`: everything before its content.
///
/// `path` has no slash at either end.
pub fn encode(path: &[u8], mode: u32, kind: &Kind, attributes: &Attributes, out: &mut Vec<u8>) {
    let mut name = path.to_vec();
    if matches!(kind, Kind::Directory) {
        name.push(b'/');
    }
    let link: &[u8] = if let Kind::Symlink(target) = kind { target } else { b"" };
    if link.len() > NAME_FIELD {
        long_record(b'K', link, out);
    }
    if name.len() > NAME_FIELD {
        long_record(b'L', &name, out);
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type(kind));
    header.set_mode(mode & 0o7777);
    header.set_uid(attributes.uid);
    header.set_gid(attributes.gid);
    header.set_mtime(attributes.mtime.seconds());
    header.set_size(size(kind));
    if let Some(gnu) = header.as_gnu_mut() {
        fill(&mut gnu.name, &name);
        fill(&mut gnu.linkname, link);
        fill(&mut gnu.uname, attributes.uname.as_bytes());
        fill(&mut gnu.gname, attributes.gname.as_bytes());
        if let Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) = kind {
            gnu.set_device_major(*major);
            gnu.set_device_minor(*minor);
        }
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// The number of bytes that [`encode`] appends.
pub fn encoded_size(path: &[u8], kind: &Kind) -> u64 {
    let record = |length: usize| {
        let size = length as u64 + 1;
        if length > NAME_FIELD { BLOCK + size + padding(size) } else { 0 }
    };
    let name = path.len() + usize::from(matches!(kind, Kind::Directory));
    let link = if let Kind::Symlink(target) = kind { target.len() } else { 0 };
    BLOCK + record(name) + record(link)
}

fn entry_type(kind: &Kind) -> EntryType {
    match kind {
        Kind::Directory => EntryType::Directory,
        Kind::File(_) => EntryType::Regular,
        Kind::Symlink(_) => EntryType::Symlink,
        Kind::Fifo => EntryType::Fifo,
        Kind::CharDevice(..) => EntryType::Char,
        Kind::BlockDevice(..) => EntryType::Block,
    }
}

fn size(kind: &Kind) -> u64 {
    if let Kind::File(content) = kind { content.size } else { 0 }
}

/// Appends a record with a name that is too long for its field, terminated by a NUL.
fn long_record(kind: u8, name: &[u8], out: &mut Vec<u8>) {
    let size = name.len() as u64 + 1;
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    if let Some(gnu) = header.as_gnu_mut() {
        fill(&mut gnu.name, LONG_LINK);
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(name);
    out.resize(out.len() + 1 + padding(size) as usize, 0);
}

fn fill(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}
