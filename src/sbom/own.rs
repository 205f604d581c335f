//! Recognizes bills of materials that seatrial has written.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// The beginnings of the documents, and the name of the tool in them. Keys are sorted, so that it
/// is at the beginning of the one and at the end of the other, however many packages they have.
const SPDX: (&str, &str) = ("{\n  \"SPDXID\": \"SPDXRef-DOCUMENT\",", "\"Tool: seatrial-");
const CYCLONEDX: (&str, &str) = ("{\n  \"bomFormat\": \"CycloneDX\",", "\"name\": \"seatrial\"");
/// The number of bytes that are read at the beginning and at the end.
const LENGTH: u64 = 1 << 10;

/// Whether `file` is a bill of materials that seatrial has written.
pub(crate) fn is_own_bill(mut file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    let mut part = |start: u64| -> io::Result<String> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(LENGTH).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let start = part(0)?;
    let is_cyclonedx = start.starts_with(CYCLONEDX.0)
        && part(length.saturating_sub(LENGTH))?.contains(CYCLONEDX.1);
    Ok(is_cyclonedx || start.starts_with(SPDX.0) && start.contains(SPDX.1))
}
