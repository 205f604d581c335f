//! Package URLs (purl-spec, "Package URL specification").

use std::fmt::Write;

/// The package URL with these parts. Empty parts are left out.
pub(super) fn of(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: &str,
    qualifiers: &[(&str, String)],
) -> String {
    let mut purl = format!("pkg:{kind}/");
    if let Some(namespace) = namespace.filter(|namespace| !namespace.is_empty()) {
        purl.push_str(&encode(namespace));
        purl.push('/');
    }
    purl.push_str(&encode(name));
    if !version.is_empty() {
        purl.push('@');
        purl.push_str(&encode(version));
    }
    let mut separator = '?';
    for (key, value) in qualifiers.iter().filter(|(_, value)| !value.is_empty()) {
        // The specification leaves slashes in values as they are.
        let value = encode(value).replace("%2F", "/");
        let _ = write!(purl, "{separator}{key}={value}");
        separator = '&';
    }
    purl
}

/// Percent-encodes everything but letters, digits, `.`, `-`, `_`, `~` and `:`.
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b':' => {
                encoded.push(byte.into());
            }
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}
