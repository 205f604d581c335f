//! Any bytes as the PAX records before a member (POSIX, pax, "pax Extended Header").
//!
//! Invariant: reading never panics. Records that are valid by their lengths are accepted if their
//! numbers are, and set what they name: the last value of `path`, `linkpath` and `size` counts.
#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use seatrial::archive::tar::{MemberKind, Skip, TarReader};
use seatrial_fuzz::rawtar;

const CONTENT: usize = 600;

fuzz_target!(|data: &[u8]| {
    let mut tar = Vec::new();
    rawtar::append(&mut tar, b"PaxHeaders/x", b'x', b"", data);
    rawtar::append(&mut tar, b"name", b'2', b"target", &[]);
    rawtar::append(&mut tar, b"PaxHeaders/x", b'x', b"", data);
    rawtar::append(&mut tar, b"name", b'0', b"", &[b'c'; CONTENT]);
    rawtar::end(&mut tar);
    let mut reader = TarReader::new(Bytes(&tar));
    let members = (reader.next_member(), reader.next_member());
    let Some(records) = records(data) else { return };
    let last =
        |name: &[u8]| records.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let special = |key: &[u8]| {
        key.starts_with(b"GNU.sparse.")
            || matches!(key, b"size" | b"uid" | b"gid" | b"mtime" | b"atime" | b"ctime")
    };
    if records.iter().any(|(key, _)| special(key)) {
        return;
    }
    // An empty value withdraws a record; readers differ on an empty path.
    if [&b"path"[..], b"linkpath"].iter().any(|name| last(name) == Some(b"")) {
        return;
    }
    // A path that ends with a slash makes a folder of a file, which cannot have content.
    if last(b"path").is_some_and(|path| path.ends_with(b"/")) {
        return;
    }
    // As Go's reader has it: NUL is invalid in keys, and in values that are names.
    let nul = |(key, value): &(&[u8], &[u8])| match *key {
        b"path" | b"linkpath" | b"uname" | b"gname" => value.contains(&0),
        key => key.contains(&0),
    };
    if records.iter().any(nul) {
        return;
    }
    let (Ok(Some(link)), Ok(Some(file))) = members else {
        panic!("valid records are refused: {members:?}");
    };
    assert_eq!(link.path, last(b"path").unwrap_or(b"name"));
    assert_eq!(link.link, last(b"linkpath").unwrap_or(b"target"));
    assert_eq!(link.kind, MemberKind::Symlink);
    assert_eq!(file.path, last(b"path").unwrap_or(b"name"));
    assert_eq!((file.kind, file.size), (MemberKind::File, CONTENT as u64));
});

/// Splits records of the form `LENGTH KEY=VALUE\n`; `None` if one is malformed.
fn records(mut data: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ')?;
        let digits = &data[..space];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
            return None;
        }
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let record = data.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        if equals == 0 {
            return None;
        }
        records.push((&record[..equals], &record[equals + 1..]));
        data = &data[length..];
    }
    Some(records)
}

struct Bytes<'a>(&'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Skip for Bytes<'_> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let count = usize::try_from(count).ok().filter(|count| *count <= self.0.len());
        self.0 = &self.0[count.ok_or(io::ErrorKind::UnexpectedEof)?..];
        Ok(())
    }
}
