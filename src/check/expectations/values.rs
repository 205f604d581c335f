//! Values of an expectations file that are written as text: a mode, a digest, a size.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::document;
use crate::text;

/// Permission bits, written in octal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Mode {
    written: String,
    bits: u32,
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let digits = written.strip_prefix("0o").unwrap_or(&written);
        let octal = digits.bytes().all(|digit| digit.is_ascii_digit());
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if octal && bits <= 0o7777 => Ok(Self { written, bits }),
            _ => Err(format!(
                "invalid mode {}; expected permission bits in octal, such as \"0755\"",
                text::quote(&written)
            )),
        }
    }
}

impl Mode {
    /// These permission bits, such as `0o755`; others are ignored.
    pub fn from_bits(bits: u32) -> Self {
        let bits = bits & 0o7777;
        Self { written: format!("{bits:04o}"), bits }
    }

    /// The permission bits.
    pub fn bits(&self) -> u32 {
        self.bits
    }
}

impl fmt::Display for Mode {
    /// Writes the mode as the user wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// A SHA-256 digest in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Sha256Digest(String);

impl TryFrom<String> for Sha256Digest {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        match written.len() == 64 && written.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => Ok(Self(written.to_ascii_lowercase())),
            false => Err(format!(
                "invalid SHA-256 digest {}; expected 64 hexadecimal digits",
                text::quote(&written)
            )),
        }
    }
}

impl AsRef<str> for Sha256Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A size as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "invalid size; write a number of bytes, or text such as \"20 MiB\"")]
pub(super) enum SizeOrText {
    /// A number of bytes.
    Bytes(u64),
    /// A number with a unit: `K`, `M`, `G` or `T`, or `KiB` and so on, powers of 1024.
    Text(String),
}

/// Reads a size: a number of bytes, or text with a unit such as `"20 MiB"`.
pub(super) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match Option::<SizeOrText>::deserialize(deserializer)? {
        None => Ok(None),
        Some(SizeOrText::Bytes(bytes)) => Ok(Some(bytes)),
        Some(SizeOrText::Text(text)) => match document::size::parse(&text) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(problem) => {
                let text = text::quote(&text);
                Err(D::Error::custom(format!("invalid size {text}; {problem}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_of_bytes_or_has_a_unit() {
        #[derive(Debug, Deserialize)]
        struct Sized {
            #[serde(default, deserialize_with = "size")]
            size: Option<u64>,
        }
        let read = |toml: &str| {
            let read: Result<Sized, _> = toml::from_str(toml);
            read.map(|it| it.size).map_err(|error| error.message().to_owned())
        };
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("size = 14"), Ok(Some(14)));
        assert_eq!(read("size = '20 MiB'"), Ok(Some(20 << 20)));
        let problem = "expected a number of bytes, such as 500M or 20 GiB";
        assert_eq!(read("size = '20 MB'"), Err(format!("invalid size \"20 MB\"; {problem}")));
        for invalid in ["-1", "1.5", "true"] {
            let error = read(&format!("size = {invalid}")).unwrap_err();
            assert_eq!(error, "invalid size; write a number of bytes, or text such as \"20 MiB\"");
        }
    }
}
