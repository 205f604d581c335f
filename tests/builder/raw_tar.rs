//! Tars block by block, with headers that no writer makes.

/// A header block in `ustar` format with its content.
pub fn member(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    raw_member(name, kind, link, content.len() as u64, content, b"ustar\x0000")
}

fn raw_member(
    name: &str,
    kind: u8,
    link: &str,
    size: u64,
    content: &[u8],
    magic: &[u8; 8],
) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[136..147].copy_from_slice(b"00000000001");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(magic);
    checksum(&mut block);
    let mut member = block.to_vec();
    member.extend_from_slice(content);
    member.resize(member.len().next_multiple_of(512), 0);
    member
}

fn checksum(block: &mut [u8; 512]) {
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

pub fn file(name: &str, content: &str) -> Vec<u8> {
    member(name, b'0', "", content.as_bytes())
}

pub fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let length = (1_usize..).find(|n| *n == rest.len() + n.to_string().len()).unwrap();
        format!("{length}{rest}")
    };
    let content: String = records.iter().map(record).collect();
    member("pax", b'x', "", content.as_bytes())
}

pub fn long_name(name: &str) -> Vec<u8> {
    let content = [name.as_bytes(), b"\0"].concat();
    raw_member("././@LongLink", b'L', "", content.len() as u64, &content, b"ustar  \0")
}

pub fn layer(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 1024]].concat()
}
