//! The carriage returns of texts that are compared with rules.

/// The carriage returns before the newlines of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CarriageReturns {
    /// They are those of the original.
    Exact,
    /// One of some lines may be missing: containerd drops them.
    Dropped,
}

/// Returns `text` as it is if carriage returns before its newlines are dropped.
pub(super) fn without(text: &str) -> String {
    text.replace("\r\n", "\n")
}

/// Whether `text` has nothing but line ends with carriage returns, of which dropped ones leave no
/// trace.
pub(super) fn is_line_end(text: &str) -> bool {
    text.contains("\r\n") && text.chars().all(|c| matches!(c, '\r' | '\n'))
}
