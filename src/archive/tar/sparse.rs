//! Sparse members: old GNU format and PAX formats 0.0, 0.1 and 1.0 (GNU tar manual, "Storing
//! Sparse Files"), decoded as Go's `archive/tar` does.

use std::io::{self, Read};

use super::header::{Block, number};
use super::pax::{Records, SPARSE_MAP, decimal};
use super::skip::Skip;
use crate::archive::header::BLOCK;
use crate::archive::invalid_data::invalid_data;

/// The most data regions of a member. Real files have a few; the map takes memory.
const REGIONS_MAX: usize = 1 << 16;

/// Data regions of a sparse file, ascending: offset and length in bytes. The rest is holes.
pub(super) type Map = Vec<(u64, u64)>;

/// Checks that regions are ascending and within `size` bytes, and returns their total length.
pub(super) fn check(map: &Map, size: u64) -> io::Result<u64> {
    let (mut end, mut total) = (0, 0);
    for (offset, length) in map {
        if *offset < end {
            return Err(invalid_data("a sparse file whose regions overlap"));
        }
        end = offset.checked_add(*length).ok_or_else(|| invalid_data("a sparse file too large"))?;
        total += length;
    }
    match end > size {
        true => Err(invalid_data("a sparse file with data behind its end")),
        false => Ok(total),
    }
}

/// Reads the map of an old GNU sparse file, which continues in blocks after the header. Returns
/// it with the file's real size.
pub(super) fn old_gnu(header: &Block, rest: &mut impl Skip) -> io::Result<(Map, u64)> {
    let size = unsigned(number("real size", &header[483..495])?)?;
    let mut map = Map::new();
    regions(&header[386..482], &mut map)?;
    let mut more = header[482] > 0;
    while more {
        let mut block = [0; BLOCK as usize];
        rest.read_exact(&mut block)?;
        regions(&block[..504], &mut map)?;
        more = block[504] > 0;
    }
    Ok((map, size))
}

/// Adds regions of 12 bytes for the offset and 12 for the length, up to the first empty one.
fn regions(fields: &[u8], map: &mut Map) -> io::Result<()> {
    for field in fields.chunks_exact(24).take_while(|field| field[0] != 0) {
        let offset = unsigned(number("sparse offset", &field[..12])?)?;
        let length = unsigned(number("sparse length", &field[12..])?)?;
        push(map, offset, length)?;
    }
    Ok(())
}

/// The sparse file that PAX records describe.
pub(super) struct PaxSparse {
    /// Its real name, if the records have it.
    pub(super) name: Option<Vec<u8>>,
    /// Its real size, if the records have it.
    pub(super) size: Option<u64>,
    /// Its map; `None` if it precedes the data (format 1.0).
    pub(super) map: Option<Map>,
}

/// Returns the sparse file that `records` describe, if they describe one.
pub(super) fn pax(records: &Records) -> io::Result<Option<PaxSparse>> {
    let version = [&b"GNU.sparse.major"[..], b"GNU.sparse.minor"].map(|key| records.get(key));
    let map = match version {
        [Some(b"0"), Some(b"0" | b"1")] => Some(pax_map(records)?),
        [Some(b"1"), Some(b"0")] => None,
        [None, None] if records.get(SPARSE_MAP).is_some() => Some(pax_map(records)?),
        _ => return Ok(None),
    };
    let size = match records.number("GNU.sparse.size")? {
        None => records.number("GNU.sparse.realsize")?,
        size => size,
    };
    let name = records.get(b"GNU.sparse.name").map(<[u8]>::to_vec);
    Ok(Some(PaxSparse { name, size: size.map(unsigned).transpose()?, map }))
}

/// The map of formats 0.0 and 0.1: offsets and lengths, separated by commas.
fn pax_map(records: &Records) -> io::Result<Map> {
    let count = unsigned(records.number("GNU.sparse.numblocks")?.unwrap_or(0))?;
    let numbers = records.get(SPARSE_MAP).unwrap_or_default();
    let numbers: Option<Vec<i64>> = match numbers.is_empty() {
        true => Some(Vec::new()),
        false => numbers.split(|byte| *byte == b',').map(decimal).collect(),
    };
    let numbers = numbers.filter(|numbers| numbers.len() as u64 == 2 * count);
    let numbers = numbers.ok_or_else(|| invalid_data("a sparse file with a broken map"))?;
    let mut map = Map::new();
    for pair in numbers.chunks_exact(2) {
        push(&mut map, unsigned(pair[0])?, unsigned(pair[1])?)?;
    }
    Ok(map)
}

/// Reads the map of format 1.0, which precedes the data: lines of decimal numbers in whole blocks.
/// Returns it with the number of bytes that it takes.
pub(super) fn map_before_data(data: &mut impl Read) -> io::Result<(Map, u64)> {
    let mut lines = Lines { data, block: Vec::new(), at: 0, taken: 0 };
    let count = lines.number()?;
    let mut map = Map::new();
    for _ in 0..count {
        let (offset, length) = (lines.number()?, lines.number()?);
        push(&mut map, offset, length)?;
    }
    Ok((map, lines.taken))
}

/// Lines in blocks.
struct Lines<'a, R> {
    data: &'a mut R,
    block: Vec<u8>,
    at: usize,
    taken: u64,
}

impl<R: Read> Lines<'_, R> {
    fn number(&mut self) -> io::Result<u64> {
        let mut line = Vec::new();
        loop {
            if self.at == self.block.len() {
                self.block.resize(BLOCK as usize, 0);
                self.data.read_exact(&mut self.block)?;
                (self.at, self.taken) = (0, self.taken + BLOCK);
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                break;
            }
            line.push(byte);
            if line.len() > 20 {
                return Err(invalid_data("a sparse file with a broken map"));
            }
        }
        let number =
            decimal(&line).ok_or_else(|| invalid_data("a sparse file with a broken map"))?;
        unsigned(number)
    }
}

fn push(map: &mut Map, offset: u64, length: u64) -> io::Result<()> {
    if map.len() == REGIONS_MAX {
        return Err(invalid_data(format!("a sparse file with more than {REGIONS_MAX} regions")));
    }
    map.push((offset, length));
    Ok(())
}

fn unsigned(number: i64) -> io::Result<u64> {
    u64::try_from(number).map_err(|_| invalid_data("a sparse file with a negative number"))
}
