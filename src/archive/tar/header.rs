//! One header block of a tar, decoded as Go's `archive/tar` does: engines are written in Go, and a
//! reader that decodes a field differently sees another archive.

use std::io;

use crate::archive::header::BLOCK;
use crate::archive::invalid_data::invalid_data;

/// One block.
pub(super) type Block = [u8; BLOCK as usize];

/// The variant of the format, which decides where the fields after the name are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Unix V7: no magic.
    V7,
    /// POSIX `ustar`, which PAX extends: the name may have a prefix.
    Ustar,
    /// Jörg Schilling's `star`: a shorter prefix.
    Star,
    /// GNU: sparse files, no prefix.
    Gnu,
}

/// The decoded fields of a header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) format: Format,
    pub(super) typeflag: u8,
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) size: i64,
    pub(super) mtime: i64,
    pub(super) uname: Vec<u8>,
    pub(super) gname: Vec<u8>,
    /// Major and minor number of a device.
    pub(super) device: (i64, i64),
}

impl Header {
    /// Decodes `block`.
    ///
    /// # Errors
    /// If the checksum is wrong or a field is not a number.
    pub(super) fn decode(block: &Block) -> io::Result<Self> {
        let format = format(block)?;
        let field = |name, from, length| number(name, &block[from..from + length]);
        let mode = field("mode", 100, 8)?;
        let name = text(&block[..100]);
        let extension = |field| if format == Format::V7 { Vec::new() } else { text(field) };
        Ok(Self {
            format,
            typeflag: block[156],
            name: match prefix(block, format) {
                Some(prefix) => [&prefix, &b"/"[..], &name].concat(),
                None => name,
            },
            link: text(&block[157..257]),
            mode: (mode & 0o7777) as u32,
            uid: field("uid", 108, 8)?,
            gid: field("gid", 116, 8)?,
            size: field("size", 124, 12)?,
            mtime: field("mtime", 136, 12)?,
            uname: extension(&block[265..297]),
            gname: extension(&block[297..329]),
            device: match format {
                Format::V7 => (0, 0),
                _ => (field("major number", 329, 8)?, field("minor number", 337, 8)?),
            },
        })
    }
}

/// Checks the checksum and detects the format by its magic bytes.
fn format(block: &Block) -> io::Result<Format> {
    let stated = octal(&block[148..156]);
    let bytes = || block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]);
    let unsigned: i64 = bytes().map(|byte| i64::from(*byte)).sum();
    // Some old writers added signed bytes.
    let signed: i64 = bytes().map(|byte| i64::from(*byte as i8)).sum();
    if stated.is_none_or(|stated| stated != unsigned && stated != signed) {
        return Err(invalid_data("a tar header with a wrong checksum"));
    }
    Ok(match (&block[257..263], &block[263..265], &block[508..]) {
        (b"ustar\0", _, b"tar\0") => Format::Star,
        (b"ustar\0", ..) => Format::Ustar,
        (b"ustar ", b" \0", _) => Format::Gnu,
        _ => Format::V7,
    })
}

fn prefix(block: &Block, format: Format) -> Option<Vec<u8>> {
    let prefix = match format {
        Format::Ustar => text(&block[345..500]),
        Format::Star => text(&block[345..476]),
        // Go before 1.8 wrote a prefix into GNU headers, where the times are.
        Format::Gnu if !has_gnu_times(block) => {
            let prefix = text(&block[345..500]);
            if prefix.is_ascii() { prefix } else { Vec::new() }
        }
        Format::Gnu | Format::V7 => Vec::new(),
    };
    (!prefix.is_empty()).then_some(prefix)
}

fn has_gnu_times(block: &Block) -> bool {
    [345, 357].iter().all(|at| block[*at] == 0 || parse_number(&block[*at..at + 12]).is_some())
}

/// Decodes a numeric field.
pub(super) fn number(name: &str, field: &[u8]) -> io::Result<i64> {
    parse_number(field)
        .ok_or_else(|| invalid_data(format!("a tar header whose {name} is not a number")))
}

/// A number in octal digits, or in base 256 if the first bit is set. A blank field is 0.
fn parse_number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

/// A number in two's complement whose first bit, which marks it, does not count.
fn base_256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let mut value = if negative { -1_i128 } else { 0 };
    for (index, byte) in field.iter().enumerate() {
        let byte = match (index, negative) {
            (0, true) => byte | 0x80,
            (0, false) => byte & 0x7f,
            _ => *byte,
        };
        value = value.checked_mul(256)? | i128::from(byte);
    }
    i64::try_from(value).ok()
}

fn octal(field: &[u8]) -> Option<i64> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_blank(byte));
    let Some(start) = start else { return Some(0) };
    let end = field.iter().rposition(|byte| !is_blank(byte)).unwrap_or(start);
    let digits = text(&field[start..=end]);
    let is_octal = |byte: &u8| (b'0'..=b'7').contains(byte);
    if digits.is_empty() || !digits.iter().all(is_octal) {
        return None;
    }
    i64::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

/// The bytes of a text field up to its first NUL.
pub(super) fn text(field: &[u8]) -> Vec<u8> {
    field.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256_and_blank_is_zero() {
        assert_eq!(parse_number(b"0000644\0"), Some(0o644));
        assert_eq!(parse_number(b"   644 \0"), Some(0o644));
        assert_eq!(parse_number(b"\0\0\0\0"), Some(0));
        assert_eq!(parse_number(b"12x4567\0"), None);
        // GNU tar manual, "Basic Tar Format": 0x80 marks a positive, 0xff a negative number.
        assert_eq!(parse_number(&[0x80, 0, 0, 0, 0, 1, 0, 0]), Some(65536));
        assert_eq!(parse_number(&[0xff; 12]), Some(-1));
        assert_eq!(parse_number(&[0x80, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), None, "too large");
    }
}
