//! A list of values that may be larger than memory: a long list is stored in an unnamed temporary
//! file. Values are written once, in order, and can be read repeatedly, beginning with any of them.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blob::FileSlice;

/// The number of bytes per write to the file.
const WRITE_SIZE: usize = 256 << 10;
/// The number of bytes per read from the file.
const READ_SIZE: usize = 16 << 10;

/// Writes a [`Spool`].
#[derive(Debug)]
pub(crate) struct SpoolWriter<T> {
    pending: Vec<u8>,
    limit: usize,
    file: Option<File>,
    spilled: u64,
    values: PhantomData<fn(T)>,
}

/// The values that a [`SpoolWriter`] wrote.
#[derive(Clone, Debug)]
pub(crate) struct Spool<T> {
    bytes: Bytes,
    values: PhantomData<fn() -> T>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Memory(Arc<[u8]>),
    Disk(FileSlice),
}

impl<T: Serialize> SpoolWriter<T> {
    /// Begins a list of which up to `limit` bytes stay in memory.
    pub(crate) fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), limit, file: None, spilled: 0, values: PhantomData }
    }

    /// Appends `value` and returns its position.
    pub(crate) fn push(&mut self, value: &T) -> io::Result<u64> {
        self.push_inspected(value, |_| ())
    }

    /// Appends `value`, passes its serialized bytes to `inspect`, and returns its position.
    pub(crate) fn push_inspected(
        &mut self,
        value: &T,
        inspect: impl FnOnce(&[u8]),
    ) -> io::Result<u64> {
        let start = self.pending.len();
        let position = self.spilled + start as u64;
        self.pending.extend_from_slice(&[0; 4]);
        let pending = std::mem::take(&mut self.pending);
        self.pending = postcard::to_extend(value, pending).map_err(io::Error::other)?;
        let size = u32::try_from(self.pending.len() - start - 4).map_err(io::Error::other)?;
        self.pending[start..start + 4].copy_from_slice(&size.to_le_bytes());
        inspect(&self.pending[start..]);
        let limit = if self.file.is_some() { WRITE_SIZE } else { self.limit.max(WRITE_SIZE) };
        if self.pending.len() >= limit {
            self.spill()?;
        }
        Ok(position)
    }

    /// Moves the values in memory to the file.
    fn spill(&mut self) -> io::Result<()> {
        let mut file = self.file.take().map_or_else(tempfile::tempfile, Ok)?;
        file.write_all(&self.pending)?;
        self.spilled += self.pending.len() as u64;
        self.pending.clear();
        self.file = Some(file);
        Ok(())
    }

    /// Returns the list.
    pub(crate) fn finish(mut self) -> io::Result<Spool<T>> {
        if self.file.is_some() || self.pending.len() > self.limit {
            self.spill()?;
        }
        let bytes = match self.file {
            Some(file) => Bytes::Disk(FileSlice::whole(file)?),
            None => Bytes::Memory(self.pending.into()),
        };
        Ok(Spool { bytes, values: PhantomData })
    }
}

impl<T> Spool<T> {
    /// Whether there are no values.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.bytes {
            Bytes::Memory(bytes) => bytes.is_empty(),
            Bytes::Disk(slice) => slice.is_empty(),
        }
    }
}

impl<T: DeserializeOwned> Spool<T> {
    /// The values from `position` on, each with the position of the next.
    pub(crate) fn from(
        &self,
        position: u64,
    ) -> impl Iterator<Item = io::Result<(T, u64)>> + use<T> {
        let mut bytes: Box<dyn Read + Send> = match &self.bytes {
            Bytes::Memory(bytes) => {
                let mut cursor = Cursor::new(Arc::clone(bytes));
                cursor.set_position(position);
                Box::new(cursor)
            }
            Bytes::Disk(slice) => Box::new(BufReader::with_capacity(
                READ_SIZE,
                slice.part(position, slice.len().saturating_sub(position)),
            )),
        };
        let end = match &self.bytes {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::Disk(slice) => slice.len(),
        };
        let (mut position, mut value) = (position, Vec::new());
        let mut next = move || -> io::Result<Option<(T, u64)>> {
            if position >= end {
                return Ok(None);
            }
            let mut size = [0; 4];
            bytes.read_exact(&mut size)?;
            value.resize(u32::from_le_bytes(size) as usize, 0);
            bytes.read_exact(&mut value)?;
            position += 4 + value.len() as u64;
            Ok(Some((postcard::from_bytes(&value).map_err(io::Error::other)?, position)))
        };
        std::iter::from_fn(move || next().transpose())
    }

    /// All values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = io::Result<T>> + use<T> {
        self.from(0).map(|value| value.map(|(value, _)| value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_in_order_from_any_position_in_memory_and_on_disk() {
        for limit in [0, usize::MAX] {
            let mut writer = SpoolWriter::new(limit);
            let values: Vec<String> =
                (0..30_000).map(|n| "x".repeat(n % 40) + &n.to_string()).collect();
            let positions: Vec<u64> =
                values.iter().map(|value| writer.push(value).unwrap()).collect();
            let spool = writer.finish().unwrap();
            assert_eq!(matches!(spool.bytes, Bytes::Disk(_)), limit == 0);
            assert!(spool.iter().map(Result::unwrap).eq(values.iter().cloned()));
            for index in [0, 1, 17_777, 29_999] {
                let (value, next) = spool.from(positions[index]).next().unwrap().unwrap();
                assert_eq!(value, values[index]);
                assert_eq!(positions.get(index + 1).copied().unwrap_or(next), next);
            }
            assert!(SpoolWriter::<String>::new(limit).finish().unwrap().iter().next().is_none());
        }
    }
}
