//! The reader: from header to header, and the content in between.

use std::io::{self, Read};
use std::mem::take;

use super::header::{Block, Format, Header, text};
use super::pax::Records;
use super::skip::Skip;
use super::sparse;
use crate::archive::entry::Xattrs;
use crate::archive::header::{BLOCK, XATTR, padding};
use crate::archive::invalid_data::invalid_data;

/// The most bytes that a long-name or PAX record may have, as in Go. Linux paths have up to 4096
/// bytes; PAX records also contain extended attributes of up to 64 KiB each.
const RECORD_MAX: u64 = 1 << 20;
/// The most bytes of a path or link target (`PATH_MAX` of Linux).
pub(in crate::archive) const PATH_MAX: usize = 4096;

/// The extended attribute with file capabilities.
const CAPABILITIES: &[u8] = b"security.capability";

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    File,
    /// Another name for an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A device or named pipe.
    Special(SpecialKind),
}

/// The kind of a special file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
}

/// A member's metadata, with long names and PAX records applied.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as stored.
    pub path: Vec<u8>,
    /// Its kind.
    pub kind: MemberKind,
    /// Size of its content in bytes, holes of a sparse file included.
    pub size: u64,
    /// Whether it is stored as a sparse file: its content is not the bytes behind its header.
    pub sparse: bool,
    /// The target of a link.
    pub link: Vec<u8>,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Name of the user; empty if it has none.
    pub uname: Vec<u8>,
    /// Name of the group; empty if it has none.
    pub gname: Vec<u8>,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Its extended attributes.
    pub xattrs: Xattrs,
}

impl Member {
    /// Whether it has file capabilities (capabilities(7)).
    pub fn has_capabilities(&self) -> bool {
        self.xattrs.contains_key(CAPABILITIES)
    }
}

/// Reads members from a tar stream.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    /// Unread bytes of the current member.
    left: u64,
    /// The padding after them.
    padding: u64,
    content: Content,
}

/// The unread content of the current member.
#[derive(Debug)]
struct Content {
    /// Its size in bytes.
    size: u64,
    /// The number of bytes that were read.
    position: u64,
    /// Where its data is; one region for a file that is not sparse.
    map: sparse::Map,
    /// The index of the region that contains `position` or follows it.
    region: usize,
}

impl Content {
    fn new(size: u64, map: sparse::Map) -> Self {
        Self { size, position: 0, map, region: 0 }
    }
}

/// Records before a header that change what it says.
#[derive(Default)]
struct Overrides {
    records: Records,
    /// GNU long names, which win over PAX records.
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Skip> TarReader<R> {
    /// Reads members from `inner`, which is at a header.
    pub fn new(inner: R) -> Self {
        Self { inner, left: 0, padding: 0, content: Content::new(0, Vec::new()) }
    }

    /// Returns the next member, or `None` at the end. Skips unread content of the previous one.
    ///
    /// # Errors
    /// If reading fails, the stream ends within a member, or a header or record is invalid or of a
    /// kind that engines reject.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut overrides = Overrides::default();
        loop {
            self.skip_content()?;
            let Some(block) = self.block()? else {
                return Ok(None);
            };
            let header = Header::decode(&block)?;
            match header.typeflag {
                b'x' => overrides.records = Records::decode(&self.record(header.size)?)?,
                // Engines ignore global records. For Go they are a member, which takes along the
                // records before it.
                b'g' => {
                    Records::decode(&self.record(header.size)?)?;
                    overrides = Overrides::default();
                }
                b'L' => overrides.name = Some(text(&self.record(header.size)?)),
                b'K' => overrides.link = Some(text(&self.record(header.size)?)),
                _ => return self.member(header, &block, overrides).map(Some),
            }
        }
    }

    /// Skips the unread content of the current member; the inner reader is then at a header. An
    /// archive may end within the padding: Go's reader allows that, and umoci writes such archives.
    pub(crate) fn skip_content(&mut self) -> io::Result<()> {
        self.inner.skip(self.left)?;
        io::copy(&mut self.inner.by_ref().take(self.padding), &mut io::sink())?;
        (self.left, self.padding, self.content) = (0, 0, Content::new(0, Vec::new()));
        Ok(())
    }

    /// Whether the archive begins with a valid header, or is empty.
    pub(crate) fn starts_with_header(mut self) -> bool {
        self.block().is_ok_and(|block| block.is_none_or(|block| Header::decode(&block).is_ok()))
    }

    /// Returns the inner reader, which is after the last header that was read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The inner reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    fn member(
        &mut self,
        mut header: Header,
        block: &Block,
        overrides: Overrides,
    ) -> io::Result<Member> {
        overrides.apply(&mut header)?;
        let kind = kind(&header)?;
        let stored = match kind {
            MemberKind::File => unsigned("size", header.size)?,
            // Whatever their header says, these have no content.
            _ => 0,
        };
        stored.checked_add(BLOCK).ok_or_else(|| invalid_data("a member that is too large"))?;
        (self.left, self.padding) = (stored, padding(stored));
        self.content = Content::new(stored, vec![(0, stored)]);
        let sparse = self.apply_sparse(&mut header, block, &overrides.records, stored)?;
        for (what, path) in [("path", &header.name), ("link target", &header.link)] {
            if path.len() > PATH_MAX {
                return Err(invalid_data(format!("a {what} of more than {PATH_MAX} bytes")));
            }
        }
        Ok(Member {
            path: header.name,
            kind,
            size: self.content.size,
            sparse,
            link: header.link,
            mode: header.mode,
            uid: unsigned("uid", header.uid)?,
            gid: unsigned("gid", header.gid)?,
            mtime: u64::try_from(header.mtime).unwrap_or(0),
            uname: header.uname,
            gname: header.gname,
            xattrs: overrides
                .records
                .with_prefix(XATTR)
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        })
    }

    /// Applies the map of a sparse file; returns whether the member is one.
    fn apply_sparse(
        &mut self,
        header: &mut Header,
        block: &Block,
        records: &Records,
        stored: u64,
    ) -> io::Result<bool> {
        let (map, size, data) = if header.typeflag == b'S' {
            if header.format != Format::Gnu {
                return Err(invalid_data("a sparse file in a header that is not GNU tar's"));
            }
            let (map, size) = sparse::old_gnu(block, &mut self.inner)?;
            (map, size, stored)
        } else {
            let Some(found) = sparse::pax(records)? else { return Ok(false) };
            if header.typeflag != b'0' && header.typeflag != 0 {
                return Err(invalid_data("a sparse member that is not a file"));
            }
            header.name = found.name.unwrap_or(std::mem::take(&mut header.name));
            let size = found.size.unwrap_or(stored);
            match found.map {
                Some(map) => (map, size, stored),
                None => {
                    let (map, taken) = sparse::map_before_data(self)?;
                    let data = stored.checked_sub(taken);
                    let data =
                        data.ok_or_else(|| invalid_data("a sparse file with a broken map"))?;
                    (map, size, data)
                }
            }
        };
        if sparse::check(&map, size)? != data {
            return Err(invalid_data("a sparse file whose data does not fit its map"));
        }
        self.content = Content::new(size, map);
        Ok(true)
    }

    /// Reads a header block; `None` at the end of the archive: two zero blocks, or no more bytes.
    fn block(&mut self) -> io::Result<Option<Block>> {
        let Some(block) = self.block_or_end()? else { return Ok(None) };
        if block.iter().any(|byte| *byte != 0) {
            return Ok(Some(block));
        }
        match self.block_or_end()? {
            Some(block) if block.iter().any(|byte| *byte != 0) => Err(invalid_data(
                "a single zero block, at which some readers stop and others do not",
            )),
            _ => Ok(None),
        }
    }

    fn block_or_end(&mut self) -> io::Result<Option<Block>> {
        let mut block = [0; BLOCK as usize];
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(Some(block))
    }

    /// Reads the content of a long-name or PAX record.
    fn record(&mut self, size: i64) -> io::Result<Vec<u8>> {
        let size = unsigned("size", size)?;
        if size > RECORD_MAX {
            return Err(invalid_data("a name or PAX record of more than 1 MiB"));
        }
        let mut record = vec![0; size as usize];
        self.inner.read_exact(&mut record)?;
        self.inner.skip(padding(size))?;
        Ok(record)
    }
}

impl Overrides {
    fn apply(&self, header: &mut Header) -> io::Result<()> {
        let Self { records, name, link } = self;
        let text = |key: &[u8], long: &Option<Vec<u8>>| {
            let long = long.clone().filter(|long| !long.is_empty());
            long.or_else(|| records.get(key).map(<[u8]>::to_vec))
        };
        header.name = text(b"path", name).unwrap_or(std::mem::take(&mut header.name));
        header.link = text(b"linkpath", link).unwrap_or(std::mem::take(&mut header.link));
        header.size = records.number("size")?.unwrap_or(header.size);
        header.uid = records.number("uid")?.unwrap_or(header.uid);
        header.gid = records.number("gid")?.unwrap_or(header.gid);
        header.mtime = records.seconds("mtime")?.unwrap_or(header.mtime);
        for (key, name) in [("uname", &mut header.uname), ("gname", &mut header.gname)] {
            *name = records.get(key.as_bytes()).map_or_else(|| take(name), <[u8]>::to_vec);
        }
        for unused in ["atime", "ctime"] {
            records.seconds(unused)?;
        }
        Ok(())
    }
}

/// The kind of a member, as Docker and containerd unpack it.
fn kind(header: &Header) -> io::Result<MemberKind> {
    let number =
        |number| u32::try_from(number).map_err(|_| invalid_data("a device number too large"));
    let (major, minor) = (number(header.device.0), number(header.device.1));
    Ok(match header.typeflag {
        // In archives older than `ustar`, a slash at the end makes a directory.
        0 if header.name.ends_with(b"/") => MemberKind::Directory,
        0 | b'0' | b'S' => MemberKind::File,
        b'1' => MemberKind::HardLink,
        b'2' => MemberKind::Symlink,
        b'3' => MemberKind::Special(SpecialKind::CharDevice(major?, minor?)),
        b'4' => MemberKind::Special(SpecialKind::BlockDevice(major?, minor?)),
        b'6' => MemberKind::Special(SpecialKind::Fifo),
        b'5' => MemberKind::Directory,
        other => {
            let other = char::from(other).escape_default();
            let text = format!("a member of type '{other}', which container engines reject");
            return Err(invalid_data(text));
        }
    })
}

impl<R: Read> Read for TarReader<R> {
    /// Reads the content of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { inner, left, content, .. } = self;
        while content
            .map
            .get(content.region)
            .is_some_and(|(offset, length)| offset + length <= content.position)
        {
            content.region += 1;
        }
        let rest = content.size - content.position;
        let region = content.map.get(content.region).copied();
        let (is_data, length) = match region {
            Some((offset, length)) if offset <= content.position => {
                (true, offset + length - content.position)
            }
            Some((offset, _)) => (false, offset - content.position),
            None => (false, rest),
        };
        let most = usize::try_from(length.min(rest)).unwrap_or(usize::MAX).min(buffer.len());
        let count = match is_data {
            true => inner.read(&mut buffer[..most])?,
            false => {
                buffer[..most].fill(0);
                most
            }
        };
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        content.position += count as u64;
        *left -= if is_data { count as u64 } else { 0 };
        Ok(count)
    }
}

fn unsigned(field: &str, number: i64) -> io::Result<u64> {
    u64::try_from(number).map_err(|_| invalid_data(format!("a tar header with a negative {field}")))
}
