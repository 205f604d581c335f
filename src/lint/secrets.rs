//! Environment variables whose names suggest a secret. Their values are hidden in reports and
//! messages, which are kept and shown where the image is not.

#[cfg(feature = "vm")]
use std::borrow::Cow;

/// Words in the names of variables with secrets, and suffixes of names without.
const SECRET: [&str; 6] = ["PASSWORD", "PASSWD", "SECRET", "TOKEN", "API_KEY", "PRIVATE_KEY"];
const NO_SECRET: [&str; 3] = ["_FILE", "_PATH", "_DIR"];

/// Stands for a hidden value.
#[cfg(feature = "vm")]
pub(crate) const HIDDEN: &str = "<hidden>";

/// Whether the name of a variable suggests that its value is a secret.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_uppercase();
    SECRET.iter().any(|word| name.contains(word))
        && !NO_SECRET.iter().any(|suffix| name.ends_with(suffix))
}

/// Whether the value of the variable `name` is hidden. Empty ones are shown.
#[cfg(feature = "vm")]
pub(crate) fn is_hidden(name: &[u8], value: &[u8]) -> bool {
    !value.is_empty() && is_secret(&String::from_utf8_lossy(name))
}

/// Returns an entry `NAME=value` with its value hidden if it must be.
#[cfg(feature = "vm")]
pub(crate) fn hide(entry: &[u8]) -> Cow<'_, [u8]> {
    match entry.iter().position(|byte| *byte == b'=') {
        Some(end) if is_hidden(&entry[..end], &entry[end + 1..]) => {
            [&entry[..=end], HIDDEN.as_bytes()].concat().into()
        }
        _ => entry.into(),
    }
}
