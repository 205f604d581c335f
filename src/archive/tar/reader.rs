//! The reader: from header to header, and the content in between.

use std::io::{self, Read};

use super::content::Content;
use super::header::{Block, Format, Header, text};
use super::member::{Member, MemberKind, PATH_MAX, kind};
use super::overrides::Overrides;
use super::pax::Records;
use super::skip::Skip;
use super::sparse;
use crate::archive::header::{BLOCK, XATTR, padding};
use crate::archive::invalid_data::invalid_data;

/// The most bytes that a long-name or PAX record may have, as in Go. Linux paths have up to 4096
/// bytes; PAX records also contain extended attributes of up to 64 KiB each.
const RECORD_MAX: u64 = 1 << 20;

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
            mtime: header.mtime,
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

impl<R: Read> Read for TarReader<R> {
    /// Reads the content of the current member.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, data) = self.content.read(&mut self.inner, buffer)?;
        self.left -= data as u64;
        Ok(count)
    }
}

fn unsigned(field: &str, number: i64) -> io::Result<u64> {
    u64::try_from(number).map_err(|_| invalid_data(format!("a tar header with a negative {field}")))
}
