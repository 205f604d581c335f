//! Reads tar streams from untrusted sources: one member after the other, with limits on all
//! records.
//!
//! The `tar` crate decodes the fields. Stepping from header to header is done here for safety: name
//! records need a limit, and the size of a member must be the one that engines use (a reader that
//! uses a different size sees a different archive).

use std::io::{self, Read};

use ::tar::{EntryType, Header, PaxExtensions};

use super::header::{BLOCK, padding};

/// The most bytes that a long-name or PAX record may have. Linux paths have up to 4096 bytes; PAX
/// records also contain extended attributes of up to 64 KiB each.
const RECORD_MAX: u64 = 1 << 20;

/// A reader that can skip bytes.
pub trait Skip: Read {
    /// Skips `count` bytes.
    ///
    /// # Errors
    /// If reading fails; of kind `UnexpectedEof` if there are fewer bytes.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

impl<S: Skip + ?Sized> Skip for Box<S> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        (**self).skip(count)
    }
}

/// The kind of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file, or a kind of file that engines treat as one.
    File,
    /// Another name for an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// A device or named pipe.
    Special,
}

/// A member's metadata, with long names and PAX records applied.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as stored.
    pub path: Vec<u8>,
    /// Its kind.
    pub kind: MemberKind,
    /// Size of its content in bytes.
    pub size: u64,
    /// The target of a link.
    pub link: Vec<u8>,
    /// The twelve permission bits.
    pub mode: u32,
    /// Numeric user.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// Seconds since 1970.
    pub mtime: u64,
}

/// Reads members from a tar stream.
#[derive(Debug)]
pub struct TarReader<R> {
    inner: R,
    /// Unread bytes of the current member, with padding.
    left: u64,
    /// Unread bytes of the current member's content.
    content_left: u64,
}

/// Values for a member from the records before its header.
#[derive(Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<u64>,
}

impl<R: Skip> TarReader<R> {
    /// Reads members from `inner`, which is at a header.
    pub fn new(inner: R) -> Self {
        Self { inner, left: 0, content_left: 0 }
    }

    /// Returns the next member, or `None` at the end. Skips unread content of the previous one.
    ///
    /// # Errors
    /// If reading fails, the stream ends within a member, or a header or record is invalid.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut overrides = Overrides::default();
        loop {
            self.inner.skip(self.left)?;
            (self.left, self.content_left) = (0, 0);
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = if is_blank(&header.as_old().size) { 0 } else { header.entry_size()? };
            match header.entry_type() {
                EntryType::GNULongName => overrides.path = Some(self.name_record(size)?),
                EntryType::GNULongLink => overrides.link = Some(self.name_record(size)?),
                EntryType::XHeader => overrides.apply(&self.record(size)?)?,
                EntryType::XGlobalHeader => drop(self.record(size)?),
                _ => return self.member(&header, size, overrides).map(Some),
            }
        }
    }

    /// Returns the inner reader, which is after the last header that was read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The inner reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    fn member(&mut self, header: &Header, size: u64, overrides: Overrides) -> io::Result<Member> {
        let path = overrides.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let link =
            overrides.link.or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let kind = match header.entry_type() {
            EntryType::Link => MemberKind::HardLink,
            EntryType::Symlink => MemberKind::Symlink,
            EntryType::Directory => MemberKind::Directory,
            EntryType::Char | EntryType::Block | EntryType::Fifo => MemberKind::Special,
            EntryType::Regular if path.ends_with(b"/") => MemberKind::Directory,
            EntryType::GNUSparse => {
                self.skip_sparse_map(header)?;
                MemberKind::File
            }
            _ => MemberKind::File,
        };
        let declared = overrides.size.unwrap_or(size);
        // Go's tar reader, which engines use, ignores the declared size of other kinds.
        let size = if kind == MemberKind::File { declared } else { 0 };
        if kind == MemberKind::Directory
            && header.entry_type() == EntryType::Regular
            && declared > 0
        {
            return Err(invalid("ambiguous tar header: a directory with content"));
        }
        let whole =
            size.checked_add(BLOCK).ok_or_else(|| invalid("tar header with an impossible size"))?;
        self.content_left = size;
        self.left = whole - BLOCK + padding(size);
        Ok(Member {
            path,
            kind,
            size,
            link: link.unwrap_or_default(),
            // Some writers leave fields blank that they do not use.
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: overrides.uid.unwrap_or_else(|| header.uid().unwrap_or(0)),
            gid: overrides.gid.unwrap_or_else(|| header.gid().unwrap_or(0)),
            mtime: overrides.mtime.unwrap_or_else(|| header.mtime().unwrap_or(0)),
        })
    }

    /// Whether the archive begins with a valid header, or is empty.
    pub(crate) fn starts_with_header(mut self) -> bool {
        self.header().is_ok()
    }

    /// Reads a header; `None` at a zero block or at the end of the stream.
    fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.inner.read(&mut block[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        if block.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let sum: u32 = block[..148].iter().chain(&block[156..]).map(|b| u32::from(*b)).sum();
        match header.cksum() {
            Ok(expected) if expected == sum + 8 * u32::from(b' ') => Ok(Some(header)),
            _ => Err(invalid("tar header with a wrong checksum")),
        }
    }

    fn record(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > RECORD_MAX {
            return Err(invalid("tar name or PAX record of more than 1 MiB"));
        }
        let mut record = vec![0; size as usize];
        self.inner.read_exact(&mut record)?;
        self.inner.skip(padding(size))?;
        Ok(record)
    }

    fn name_record(&mut self, size: u64) -> io::Result<Vec<u8>> {
        let mut name = self.record(size)?;
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        name.truncate(end);
        Ok(name)
    }

    /// Skips the blocks that continue the map of an old GNU sparse file.
    fn skip_sparse_map(&mut self, header: &Header) -> io::Result<()> {
        let mut more = header.as_gnu().is_some_and(|gnu| gnu.is_extended());
        while more {
            let mut block = [0; BLOCK as usize];
            self.inner.read_exact(&mut block)?;
            more = block[504] == 1;
        }
        Ok(())
    }
}

impl<R: Skip> Read for TarReader<R> {
    /// Reads the content of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.content_left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content_left -= count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl Overrides {
    fn apply(&mut self, record: &[u8]) -> io::Result<()> {
        for extension in PaxExtensions::new(record) {
            let extension = extension?;
            let value = extension.value_bytes();
            match extension.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(number(value)?),
                b"uid" => self.uid = Some(number(value)?),
                b"gid" => self.gid = Some(number(value)?),
                b"mtime" => {
                    self.mtime = number(value.split(|b| *b == b'.').next().unwrap_or(value)).ok()
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_blank(field: &[u8]) -> bool {
    field.iter().all(|b| matches!(b, 0 | b' '))
}

fn number(text: &[u8]) -> io::Result<u64> {
    let text = std::str::from_utf8(text).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| invalid("PAX record with an invalid number"))
}

fn invalid(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
