//! The content of a member, with the holes of a sparse file.

use std::io::{self, Read};

use super::sparse;

/// The unread content of the current member.
#[derive(Debug)]
pub(super) struct Content {
    /// Its size in bytes.
    pub(super) size: u64,
    /// The number of bytes that were read.
    position: u64,
    /// Where its data is; one region for a file that is not sparse.
    map: sparse::Map,
    /// The index of the region that contains `position` or follows it.
    region: usize,
}

impl Content {
    pub(super) fn new(size: u64, map: sparse::Map) -> Self {
        Self { size, position: 0, map, region: 0 }
    }

    /// Reads from the position on, and moves it. Data is read from `inner`, holes are zeros.
    /// Returns the number of bytes, and how many of these are data.
    pub(super) fn read(
        &mut self,
        inner: &mut impl Read,
        buffer: &mut [u8],
    ) -> io::Result<(usize, usize)> {
        let is_behind = |(offset, length): &(u64, u64)| offset + length <= self.position;
        while self.map.get(self.region).is_some_and(is_behind) {
            self.region += 1;
        }
        let rest = self.size - self.position;
        let (is_data, length) = match self.map.get(self.region) {
            Some((offset, length)) if *offset <= self.position => {
                (true, offset + length - self.position)
            }
            Some((offset, _)) => (false, offset - self.position),
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
        self.position += count as u64;
        Ok((count, if is_data { count } else { 0 }))
    }
}
