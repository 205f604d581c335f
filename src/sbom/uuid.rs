//! Identifiers of documents.

use crate::image::Digest;

/// A UUID that follows from `content`: version 8, with bits of its SHA-256 (RFC 9562, section 5.8).
pub(super) fn of(content: &str) -> String {
    let hex = Digest::of(content.as_bytes()).hex();
    let (a, b, c, e) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[20..32]);
    format!("{a}-{b}-8{c}-8{}-{e}", &hex[17..20])
}
