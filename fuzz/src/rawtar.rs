//! Tar bytes without any reader or writer of the project: headers by field, and repaired checksums.

/// The size of a tar block.
pub const BLOCK: usize = 512;

/// Types of members whose header states the size of a content that follows.
const WITH_CONTENT: &[u8] = b"\0067LKxgSMVND";

/// Returns the header of a member, in ustar format; a name or link is cut at its field's size.
pub fn header(name: &[u8], kind: u8, link: &[u8], size: usize) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block[..100], name);
    put(&mut block[100..108], b"0000644");
    put(&mut block[108..116], b"0000000");
    put(&mut block[116..124], b"0000000");
    put(&mut block[124..136], format!("{size:011o}").as_bytes());
    put(&mut block[136..148], b"00000000001");
    block[156] = kind;
    put(&mut block[157..257], link);
    put(&mut block[257..265], b"ustar\x0000");
    set_checksum(&mut block);
    block
}

/// Appends a member with its content and padding to `tar`.
pub fn append(tar: &mut Vec<u8>, name: &[u8], kind: u8, link: &[u8], content: &[u8]) {
    if name.len() > 100 || link.len() > 100 {
        for (record, text) in [(b'L', name), (b'K', link)] {
            if text.len() > 100 {
                append(tar, b"././@LongLink", record, b"", &[text, b"\0"].concat());
            }
        }
    }
    tar.extend_from_slice(&header(name, kind, link, content.len()));
    tar.extend_from_slice(content);
    tar.resize(tar.len().next_multiple_of(BLOCK), 0);
}

/// Appends the two zero blocks that end a tar.
pub fn end(tar: &mut Vec<u8>) {
    tar.resize(tar.len() + 2 * BLOCK, 0);
}

/// Gives every header of `tar` the right checksum, so that a fuzzer that changes a byte of a header
/// is not stopped by it. Contents are passed over by the sizes that the headers state.
pub fn repair(tar: &mut [u8]) {
    let mut at = 0;
    while let Some(block) =
        tar.get_mut(at..at + BLOCK).and_then(|b| <&mut [u8; BLOCK]>::try_from(b).ok())
    {
        at += BLOCK;
        if block.iter().all(|byte| *byte == 0) {
            continue;
        }
        set_checksum(block);
        if WITH_CONTENT.contains(&block[156]) {
            let size = number(&block[124..136]).unwrap_or(0);
            let Some(next) = size.checked_next_multiple_of(BLOCK).and_then(|s| at.checked_add(s))
            else {
                return;
            };
            at = next;
        }
    }
}

fn set_checksum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block[148..156], format!("{sum:06o}\0 ").as_bytes());
}

/// Reads an octal field, or one in base 256.
fn number(field: &[u8]) -> Option<usize> {
    if field.first()? & 0x80 != 0 {
        let low = field.last_chunk::<8>()?;
        return usize::try_from(u64::from_be_bytes(*low)).ok();
    }
    let text = std::str::from_utf8(field).ok()?;
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

fn put(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}
