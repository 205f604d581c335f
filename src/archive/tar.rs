//! Reads tar streams that others wrote: one member after the other, every record within limits.
//!
//! Field decoding is the `tar` crate's; the walk from header to header is done here, because what a name
//! record may weigh and which size counts decide over safety (a reader that trusts a different size than
//! the engine does can be shown another archive).

use std::io::{self, Read};

use ::tar::{EntryType, Header, PaxExtensions};

use super::header::{BLOCK, padding};

/// The most bytes that a long-name or PAX record may have. Linux paths end at 4096 bytes; PAX records
/// carry extended attributes too, of up to 64 KiB each.
const RECORD_MAX: u64 = 1 << 20;

/// A reader that can leave bytes out.
pub trait Skip: Read {
    /// Passes over `count` bytes; running out of them is an error of kind `UnexpectedEof`.
    ///
    /// # Errors
    /// When reading fails or the stream ends before.
    fn skip(&mut self, count: u64) -> io::Result<()>;
}

impl<S: Skip + ?Sized> Skip for Box<S> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        (**self).skip(count)
    }
}

/// What kind of member it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file, or something that is to be treated as one.
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

/// A member's metadata, its long names and PAX records applied.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name as written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// Size of the content that follows, in bytes.
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
    /// Content and padding of the current member that have not been read.
    left: u64,
    data: u64,
}

/// Values that records before a header set for the member it begins.
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
    /// Reads members from `inner`, which stands at a header.
    pub fn new(inner: R) -> Self {
        Self { inner, left: 0, data: 0 }
    }

    /// The next member, or `None` at the end. What was not read of the last one is skipped.
    ///
    /// # Errors
    /// When reading fails, the stream ends within a member, or a header or record is broken.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut overrides = Overrides::default();
        loop {
            self.inner.skip(self.left)?;
            (self.left, self.data) = (0, 0);
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

    /// Hands back the reader, which stands behind the last header that was read.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// The reader; it must not be moved.
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
        let stated = overrides.size.unwrap_or(size);
        // Go's reader, which is the engines', takes these to have no content whatever they state.
        let size = if kind == MemberKind::File { stated } else { 0 };
        if kind == MemberKind::Directory && header.entry_type() == EntryType::Regular && stated > 0
        {
            return Err(broken("a directory with content, which readers disagree on"));
        }
        let whole = size.checked_add(BLOCK).ok_or_else(|| broken("a size beyond all bounds"))?;
        self.data = size;
        self.left = whole - BLOCK + padding(size);
        Ok(Member {
            path,
            kind,
            size,
            link: link.unwrap_or_default(),
            // Some writers leave fields blank that say nothing to them.
            mode: header.mode().unwrap_or(0) & 0o7777,
            uid: overrides.uid.unwrap_or_else(|| header.uid().unwrap_or(0)),
            gid: overrides.gid.unwrap_or_else(|| header.gid().unwrap_or(0)),
            mtime: overrides.mtime.unwrap_or_else(|| header.mtime().unwrap_or(0)),
        })
    }

    /// `None` at a zero block or at the end of the stream.
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
            _ => Err(broken("a tar header with a wrong checksum")),
        }
    }

    fn record(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > RECORD_MAX {
            return Err(broken("a name or PAX record of more than 1 MiB"));
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

    /// Passes over the blocks that continue the map of an old GNU sparse file.
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
        let most = usize::try_from(self.data).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.inner.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.data -= count as u64;
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
        .ok_or_else(|| broken("a PAX record with no number where one must be"))
}

fn broken(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
