//! The deterministic tar writer: headers that depend on nothing but the entry.
//!
//! They have the GNU format (GNU tar manual, "Basic Tar Format") rather than PAX, because it can
//! store names that are not UTF-8 and every reader of layers supports it. Names of more than 100
//! bytes are stored in `L` and `K` records; numbers that do not fit their octal fields are stored
//! in base 256.
//!
//! An entry with extended attributes has a PAX header (POSIX `pax`, "pax Extended Header") with
//! `SCHILY.xattr.*` records, as Docker, containerd and GNU tar read them. Then everything else that
//! does not fit is in PAX records too, because one entry should have one format.

use std::io::Write;

use ::tar::{EntryType, Header};

use super::entry::{Attributes, Entry, Kind, Xattrs, name_of};

/// The size of a tar block.
pub const BLOCK: u64 = 512;
/// The two zero blocks that end an archive.
pub const END: [u8; 1024] = [0; 1024];

/// The name of GNU long-name records.
const LONG_LINK: &[u8] = b"././@LongLink";
/// The size of the name and link fields in bytes.
const NAME_FIELD: usize = 100;
/// The folder in the names of PAX headers, which readers without PAX extract as files.
const PAX_FOLDER: &[u8] = b"PaxHeaders/";
/// The prefix of PAX records with extended attributes.
pub(super) const XATTR: &[u8] = b"SCHILY.xattr.";
/// The first number that does not fit into 7 octal digits, and into 11.
const USER_END: u64 = 1 << 21;
const SIZE_END: u64 = 1 << 33;

/// The number of zero bytes that fill `size` bytes up to whole blocks.
pub fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// Appends the header blocks of `entry` to `out`: everything before its content. Its attributes are
/// `default`, if it has none of its own.
pub fn encode(entry: &Entry, default: &Attributes, out: &mut Vec<u8>) {
    let attributes = entry.attributes.as_deref().unwrap_or(default);
    let (name, link) = (stored_name(entry), link(&entry.kind));
    let pax = !entry.xattrs.is_empty();
    if pax {
        pax_header(entry, &name, attributes, out);
    } else {
        if link.len() > NAME_FIELD {
            long_record(b'K', link, out);
        }
        if name.len() > NAME_FIELD {
            long_record(b'L', &name, out);
        }
    }
    let mut header = if pax { Header::new_ustar() } else { Header::new_gnu() };
    // A number that a PAX record has does not count in the header.
    let fitting = |number: u64, end: u64| if pax && number >= end { 0 } else { number };
    header.set_entry_type(entry_type(&entry.kind));
    header.set_mode(entry.mode & 0o7777);
    header.set_uid(fitting(attributes.uid, USER_END));
    header.set_gid(fitting(attributes.gid, USER_END));
    header.set_mtime(fitting(attributes.mtime.seconds(), SIZE_END));
    header.set_size(fitting(size(&entry.kind), SIZE_END));
    let old = header.as_old_mut();
    fill(&mut old.name, &name);
    fill(&mut old.linkname, link);
    let (uname, gname) = (attributes.uname.as_bytes(), attributes.gname.as_bytes());
    if let Some(gnu) = header.as_gnu_mut() {
        fill(&mut gnu.uname, uname);
        fill(&mut gnu.gname, gname);
    } else if let Some(ustar) = header.as_ustar_mut() {
        fill(&mut ustar.uname, uname);
        fill(&mut ustar.gname, gname);
    }
    if let Kind::CharDevice(major, minor) | Kind::BlockDevice(major, minor) = entry.kind {
        // These fail for formats without the fields.
        let _ = header.set_device_major(major);
        let _ = header.set_device_minor(minor);
    }
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
}

/// The number of bytes that [`encode`] appends.
pub fn encoded_size(entry: &Entry, default: &Attributes) -> u64 {
    if !entry.xattrs.is_empty() {
        let mut header = Vec::new();
        encode(entry, default, &mut header);
        return header.len() as u64;
    }
    let record = |length: usize| {
        let size = length as u64 + 1;
        if length > NAME_FIELD { BLOCK + size + padding(size) } else { 0 }
    };
    let name = entry.path.len() + usize::from(matches!(entry.kind, Kind::Directory));
    BLOCK + record(name) + record(link(&entry.kind).len())
}

/// The name in the header: directories end in a slash.
fn stored_name(entry: &Entry) -> Vec<u8> {
    let mut name = entry.path.to_vec();
    if matches!(entry.kind, Kind::Directory) {
        name.push(b'/');
    }
    name
}

fn link(kind: &Kind) -> &[u8] {
    match kind {
        Kind::Symlink(target) | Kind::HardLink(target) => target,
        _ => b"",
    }
}

fn entry_type(kind: &Kind) -> EntryType {
    match kind {
        Kind::Directory => EntryType::Directory,
        Kind::File(_) => EntryType::Regular,
        Kind::Symlink(_) => EntryType::Symlink,
        Kind::HardLink(_) => EntryType::Link,
        Kind::Fifo => EntryType::Fifo,
        Kind::CharDevice(..) => EntryType::Char,
        Kind::BlockDevice(..) => EntryType::Block,
    }
}

fn size(kind: &Kind) -> u64 {
    if let Kind::File(content) = kind { content.size() } else { 0 }
}

/// Appends a PAX header with the extended attributes of `entry` and everything that does not fit
/// into its `ustar` header, sorted by key.
fn pax_header(entry: &Entry, name: &[u8], attributes: &Attributes, out: &mut Vec<u8>) {
    let mut records = Vec::new();
    xattr_records(&entry.xattrs, &mut records);
    let mut number = |key: &[u8], number: u64, end: u64| {
        if number >= end {
            pax_record(key, number.to_string().as_bytes(), &mut records);
        }
    };
    number(b"gid", attributes.gid, USER_END);
    number(b"mtime", attributes.mtime.seconds(), SIZE_END);
    number(b"size", size(&entry.kind), SIZE_END);
    number(b"uid", attributes.uid, USER_END);
    for (key, text) in [(&b"linkpath"[..], link(&entry.kind)), (b"path", name)] {
        if text.len() > NAME_FIELD {
            pax_record(key, text, &mut records);
        }
    }
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XHeader);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(records.len() as u64);
    fill(&mut header.as_old_mut().name, &[PAX_FOLDER, name_of(&entry.path)].concat());
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(&records);
    out.resize(out.len() + padding(records.len() as u64) as usize, 0);
}

/// Appends the records of extended attributes.
fn xattr_records(xattrs: &Xattrs, out: &mut Vec<u8>) {
    for (name, value) in xattrs {
        pax_record(&[XATTR, name].concat(), value, out);
    }
}

/// Appends `LENGTH KEY=VALUE\n`. The length includes its own digits.
fn pax_record(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let rest = key.len() + value.len() + 3;
    let digits = |length: usize| length.to_string().len();
    let mut length = rest + digits(rest);
    length = rest + digits(length);
    // Writing to a vector does not fail.
    let _ = write!(out, "{length} ");
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
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
