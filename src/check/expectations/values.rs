//! Values of an expectations file that are written as text: a mode, a digest.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

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
