//! Paths that a rule has found.

use super::finding::Finding;
use crate::archive::entry::display_path;

/// The paths that a rule found: the first one, and their number.
#[derive(Default)]
pub(super) struct Paths {
    pub(super) first: String,
    pub(super) count: usize,
}

impl Paths {
    pub(super) fn add(&mut self, path: &[u8]) {
        if self.count == 0 {
            self.first = display_path(path);
        }
        self.count += 1;
    }

    /// Makes a finding, if there are any paths.
    pub(super) fn finding(self, finding: impl FnOnce(usize, &str) -> Finding) -> Option<Finding> {
        (self.count > 0).then(|| finding(self.count, &self.first))
    }
}

/// Names `count` paths of which `path` is the first: "1 file is setuid: /a", "2 files are setuid,
/// such as /a".
pub(super) fn counted(count: usize, path: &str, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}: {path}"),
        _ => format!("{count} {many}, such as {path}"),
    }
}
