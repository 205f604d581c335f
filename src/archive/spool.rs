//! A list that may outgrow memory: while it is small it stays there, beyond that it lies in a temporary file
//! without a name. Values are written once, in order, and read as often as one likes, from any of them on.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Write};
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::blob::Slice;

/// How many bytes of values are gathered for one write to the file.
const CHUNK: usize = 256 << 10;
/// How many bytes are read ahead.
const AHEAD: usize = 16 << 10;

/// Takes values.
#[derive(Debug)]
pub(crate) struct SpoolWriter<T> {
    pending: Vec<u8>,
    limit: usize,
    file: Option<File>,
    spilled: u64,
    values: PhantomData<fn(T)>,
}

/// The values that a [`SpoolWriter`] took.
#[derive(Clone, Debug)]
pub(crate) struct Spool<T> {
    bytes: Bytes,
    values: PhantomData<fn() -> T>,
}

#[derive(Clone, Debug)]
enum Bytes {
    Memory(Arc<[u8]>),
    Disk(Slice),
}

impl<T: Serialize> SpoolWriter<T> {
    /// Keeps up to `limit` bytes in memory.
    pub(crate) fn new(limit: usize) -> Self {
        Self { pending: Vec::new(), limit, file: None, spilled: 0, values: PhantomData }
    }

    /// Takes `value` and says where it stands.
    pub(crate) fn push(&mut self, value: &T) -> io::Result<u64> {
        self.push_seen(value, |_| ())
    }

    /// Takes `value`, shows its bytes to `seen`, and says where it stands.
    pub(crate) fn push_seen(&mut self, value: &T, seen: impl FnOnce(&[u8])) -> io::Result<u64> {
        let (at, place) = (self.pending.len(), self.spilled + self.pending.len() as u64);
        self.pending.extend_from_slice(&[0; 4]);
        let pending = std::mem::take(&mut self.pending);
        self.pending = postcard::to_extend(value, pending).map_err(io::Error::other)?;
        let size = u32::try_from(self.pending.len() - at - 4).map_err(io::Error::other)?;
        self.pending[at..at + 4].copy_from_slice(&size.to_le_bytes());
        seen(&self.pending[at..]);
        if self.pending.len() >= if self.file.is_some() { CHUNK } else { self.limit.max(CHUNK) } {
            self.spill()?;
        }
        Ok(place)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut file = self.file.take().map_or_else(tempfile::tempfile, Ok)?;
        file.write_all(&self.pending)?;
        self.spilled += self.pending.len() as u64;
        self.pending.clear();
        self.file = Some(file);
        Ok(())
    }

    /// All values, to be read.
    pub(crate) fn finish(mut self) -> io::Result<Spool<T>> {
        if self.file.is_some() || self.pending.len() > self.limit {
            self.spill()?;
        }
        let bytes = match self.file {
            Some(file) => Bytes::Disk(Slice::whole(file)?),
            None => Bytes::Memory(self.pending.into()),
        };
        Ok(Spool { bytes, values: PhantomData })
    }
}

impl<T: DeserializeOwned> Spool<T> {
    /// The values from the one that stands at `place` on, each with the place of the next.
    pub(crate) fn from(&self, place: u64) -> impl Iterator<Item = io::Result<(T, u64)>> + use<T> {
        let mut bytes: Box<dyn Read + Send> = match &self.bytes {
            Bytes::Memory(bytes) => {
                let mut cursor = Cursor::new(Arc::clone(bytes));
                cursor.set_position(place);
                Box::new(cursor)
            }
            Bytes::Disk(slice) => Box::new(BufReader::with_capacity(
                AHEAD,
                slice.part(place, slice.len().saturating_sub(place)),
            )),
        };
        let end = match &self.bytes {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::Disk(slice) => slice.len(),
        };
        let (mut at, mut value) = (place, Vec::new());
        let mut next = move || -> io::Result<Option<(T, u64)>> {
            if at >= end {
                return Ok(None);
            }
            let mut size = [0; 4];
            bytes.read_exact(&mut size)?;
            value.resize(u32::from_le_bytes(size) as usize, 0);
            bytes.read_exact(&mut value)?;
            at += 4 + value.len() as u64;
            Ok(Some((postcard::from_bytes(&value).map_err(io::Error::other)?, at)))
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
    fn values_come_back_in_order_from_any_place_on_whether_in_memory_or_on_disk() {
        for limit in [0, usize::MAX] {
            let mut writer = SpoolWriter::new(limit);
            let values: Vec<String> =
                (0..30_000).map(|n| "x".repeat(n % 40) + &n.to_string()).collect();
            let places: Vec<u64> = values.iter().map(|value| writer.push(value).unwrap()).collect();
            let spool = writer.finish().unwrap();
            assert_eq!(matches!(spool.bytes, Bytes::Disk(_)), limit == 0);
            assert!(spool.iter().map(Result::unwrap).eq(values.iter().cloned()));
            for index in [0, 1, 17_777, 29_999] {
                let (value, next) = spool.from(places[index]).next().unwrap().unwrap();
                assert_eq!(value, values[index]);
                assert_eq!(places.get(index + 1).copied().unwrap_or(next), next);
            }
            assert!(SpoolWriter::<String>::new(limit).finish().unwrap().iter().next().is_none());
        }
    }
}
