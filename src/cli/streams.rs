//! The standard streams: what is printed is escaped, because it may contain names and text that
//! others chose. JSON is escaped so that its values stay the same.

use std::io::{self, Stderr, Stdout};

use serde::Serialize;

use crate::text::{self, SafeWriter};

/// Standard output for text: control characters are escaped.
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn stdout() -> SafeWriter<Stdout> {
    SafeWriter(io::stdout())
}

/// Standard error, for text like [`stdout`].
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn stderr() -> SafeWriter<Stderr> {
    SafeWriter(io::stderr())
}

/// Standard output for bytes that must not change, such as an archive.
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn raw_stdout() -> Stdout {
    io::stdout()
}

/// Standard error for bytes that must not change.
#[cfg(feature = "vm")]
#[allow(clippy::disallowed_methods)]
pub(in crate::cli) fn raw_stderr() -> Stderr {
    io::stderr()
}

/// Formats `value` as one line of JSON.
#[cfg(feature = "vm")]
pub(in crate::cli) fn json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::json(&serde_json::to_string(value)?))
}

/// Formats `value` as indented JSON.
pub(in crate::cli) fn pretty_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(text::json(&serde_json::to_string_pretty(value)?))
}
