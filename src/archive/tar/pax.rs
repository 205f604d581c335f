//! PAX extended headers (POSIX `pax`, "pax Extended Header"), decoded as Go's `archive/tar` does.

use std::collections::BTreeMap;
use std::io;

use crate::archive::invalid_data::invalid_data;

/// The records of one extended header. Of a key that occurs twice, the last record counts.
#[derive(Debug, Default)]
pub(super) struct Records(BTreeMap<Vec<u8>, Vec<u8>>);

/// The keys of a sparse file in format 0.0, which repeats them for each region.
const SPARSE_OFFSET: &[u8] = b"GNU.sparse.offset";
const SPARSE_LENGTH: &[u8] = b"GNU.sparse.numbytes";
/// The key of format 0.1, which has all regions in one record.
pub(super) const SPARSE_MAP: &[u8] = b"GNU.sparse.map";

impl Records {
    /// Decodes the content of an extended header. A record begins with its length: its value may
    /// contain newlines.
    pub(super) fn decode(mut content: &[u8]) -> io::Result<Self> {
        let (mut records, mut regions) = (BTreeMap::new(), Vec::new());
        while !content.is_empty() {
            let (key, value, rest) =
                record(content).ok_or_else(|| invalid_data("a PAX record with a wrong length"))?;
            check(key, value)?;
            content = rest;
            if key == SPARSE_OFFSET || key == SPARSE_LENGTH {
                let expected = if regions.len() % 2 == 0 { SPARSE_OFFSET } else { SPARSE_LENGTH };
                if key != expected || value.contains(&b',') {
                    return Err(invalid_data("PAX records of a sparse file in a wrong order"));
                }
                regions.push(value.to_vec());
            } else {
                records.insert(key.to_vec(), value.to_vec());
            }
        }
        if !regions.is_empty() {
            records.insert(SPARSE_MAP.to_vec(), regions.join(&b','));
        }
        Ok(Self(records))
    }

    /// The value of `key`. An empty value is the same as none: the header's field counts.
    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice).filter(|value| !value.is_empty())
    }

    /// The records whose key begins with `prefix`, without it.
    pub(super) fn with_prefix<'r>(
        &'r self,
        prefix: &'r [u8],
    ) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        let records = self.0.range(prefix.to_vec()..);
        let records =
            records.map_while(move |(key, value)| Some((key.strip_prefix(prefix)?, value)));
        records.map(|(key, value)| (key, value.as_slice())).filter(|(_, value)| !value.is_empty())
    }

    /// The value of `key` as a decimal number.
    pub(super) fn number(&self, key: &str) -> io::Result<Option<i64>> {
        let number = |value| decimal(value).ok_or_else(|| not_a_number(key));
        self.get(key.as_bytes()).map(number).transpose()
    }

    /// The value of `key` as seconds since 1970; a fraction is cut off.
    pub(super) fn seconds(&self, key: &str) -> io::Result<Option<i64>> {
        let seconds = |value: &[u8]| {
            let (seconds, fraction) = match value.iter().position(|byte| *byte == b'.') {
                Some(point) => (&value[..point], &value[point + 1..]),
                None => (value, &b""[..]),
            };
            let is_fraction = fraction.iter().all(u8::is_ascii_digit);
            decimal(seconds).filter(|_| is_fraction).ok_or_else(|| not_a_number(key))
        };
        self.get(key.as_bytes()).map(seconds).transpose()
    }
}

/// Splits the first record, `LENGTH KEY=VALUE\n`, from the rest.
fn record(content: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = content.iter().position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&content[..space])?).ok()?;
    if length <= space + 1 || length > content.len() {
        return None;
    }
    let (record, rest) = content.split_at(length);
    let record = record[space + 1..].strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn check(key: &[u8], value: &[u8]) -> io::Result<()> {
    let is_text = [&b"path"[..], b"linkpath", b"uname", b"gname"].contains(&key);
    let nul = if is_text { value.contains(&0) } else { key.contains(&0) };
    match key.is_empty() || nul {
        true => Err(invalid_data("a PAX record without a key, or with a NUL")),
        false => Ok(()),
    }
}

/// A decimal number with an optional sign.
pub(super) fn decimal(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn not_a_number(key: &str) -> io::Error {
    invalid_data(format!("a PAX record {key} that is not a number"))
}
