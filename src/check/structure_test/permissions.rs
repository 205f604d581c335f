//! Permission strings in the notation of Go's `FileMode.String`, such as `-rw-r--r--`, `drwxr-xr-x`
//! or `urwxr-xr-x`.

use crate::check::expectations::{FileType, Mode};

/// The letters of types and special bits, in the order in which Go writes them (`io/fs`,
/// `FileMode.String`). No others are left of an entry of a tar.
const ORDER: &[u8] = b"dLDpSugct";

/// Parses `text` into the type of a file and its permission bits.
pub(super) fn parse(text: &str) -> Option<(FileType, Mode)> {
    let (letters, bits) = text.split_at_checked(text.len().checked_sub(9)?)?;
    let mut mode = 0;
    for (position, letter) in bits.bytes().enumerate() {
        let allowed = b"rwx"[position % 3];
        match letter {
            b'-' => {}
            letter if letter == allowed => mode |= 1 << (8 - position),
            _ => return None,
        }
    }
    let position = |letter: u8| ORDER.iter().position(|it| *it == letter);
    if letters != "-" && !letters.bytes().map(position).is_sorted_by(|a, b| a < b) {
        return None;
    }
    let mut kind = FileType::File;
    for letter in letters.bytes() {
        match letter {
            b'-' if letters.len() == 1 => {}
            b'd' => kind = FileType::Directory,
            b'L' => kind = FileType::Symlink,
            b'D' | b'c' | b'p' | b'S' => kind = FileType::Special,
            b'u' => mode |= 0o4000,
            b'g' => mode |= 0o2000,
            b't' => mode |= 0o1000,
            _ => return None,
        }
    }
    (!letters.is_empty()).then_some((kind, Mode::from_bits(mode)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_in_the_notation_of_go() {
        // Printed by Go's archive/tar FileInfo().Mode().String() for such files.
        for (text, kind, bits) in [
            ("-rw-r--r--", FileType::File, 0o644),
            ("drwxr-xr-x", FileType::Directory, 0o755),
            ("dtrwxrwxrwx", FileType::Directory, 0o1777),
            ("urwxr-xr-x", FileType::File, 0o4755),
            ("ugrwxr-x---", FileType::File, 0o6750),
            ("Lrwxrwxrwx", FileType::Symlink, 0o777),
            ("Dcrw-rw-rw-", FileType::Special, 0o666),
            ("prw-------", FileType::Special, 0o600),
        ] {
            let (found, mode) = parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((found, mode.bits()), (kind, bits), "{text}");
        }
        // Go writes the letters in another order, and each once.
        for text in ["tdrwxrwxrwx", "cDrw-rw-rw-", "gurwxr-xr-x", "ddrwxr-xr-x", "-urwxr-xr-x"] {
            assert!(parse(text).is_none(), "{text}");
        }
        for text in ["", "0644", "rw-r--r--", "-rw-r--r-", "-rwsr-xr-x", "xrw-r--r--"] {
            assert!(parse(text).is_none(), "{text}");
        }
    }
}
