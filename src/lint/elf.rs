//! The architecture of programs.

/// The GOARCH value of an ELF program or library (elf(5), `e_machine`); `None` for other files and
/// unknown architectures.
pub(super) fn elf_architecture(head: &[u8]) -> Option<&'static str> {
    let rest = head.strip_prefix(b"\x7fELF")?;
    let little_endian = *rest.get(1)? == 1;
    let bytes = [*head.get(18)?, *head.get(19)?];
    let machine = if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    let kind = if little_endian { *head.get(16)? } else { *head.get(17)? };
    let is_64_bit = *rest.first()? == 2;
    if !matches!(kind, 2 | 3) {
        return None;
    }
    match (machine, is_64_bit, little_endian) {
        (3, ..) => Some("386"),
        (62, true, _) => Some("amd64"),
        (40, ..) => Some("arm"),
        (183, ..) => Some("arm64"),
        (21, _, true) => Some("ppc64le"),
        (21, _, false) => Some("ppc64"),
        (22, ..) => Some("s390x"),
        (243, true, _) => Some("riscv64"),
        (258, true, _) => Some("loong64"),
        (8, true, true) => Some("mips64le"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_architecture_is_read_in_the_byte_order_of_the_file() {
        let elf = |class: u8, order: u8, kind: [u8; 2], machine: [u8; 2]| {
            [&b"\x7fELF"[..], &[class, order, 1], &[0; 9], &kind, &machine].concat()
        };
        assert_eq!(elf_architecture(&elf(2, 1, [2, 0], [62, 0])), Some("amd64"));
        assert_eq!(elf_architecture(&elf(2, 2, [0, 3], [0, 22])), Some("s390x"));
        assert_eq!(elf_architecture(&elf(2, 1, [1, 0], [62, 0])), None, "an object file");
        assert_eq!(elf_architecture(b"#!/bin/sh"), None);
        assert_eq!(elf_architecture(b"\x7fELF"), None);
    }
}
