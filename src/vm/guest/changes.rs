//! Guest changes: files that are added to or removed from a guest's root for one VM, before systemd
//! starts. So a guest is assembled once and can be tested in many states.

use std::collections::{BTreeMap, BTreeSet};

/// Files that are added to or removed from a guest's root for one VM. Paths are relative to `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestChanges {
    files: BTreeMap<String, Vec<u8>>,
    removed: BTreeSet<String>,
}

impl GuestChanges {
    /// Adds or replaces the file at `path`, readable for every user of the guest.
    pub fn add_file(&mut self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(path.trim_start_matches('/').to_owned(), content.into());
    }

    /// Removes the file or folder at `path`.
    pub fn remove(&mut self, path: &str) {
        self.removed.insert(path.trim_start_matches('/').to_owned());
    }

    /// Adds the changes of `other`, which take precedence.
    pub fn merge(&mut self, other: &Self) {
        self.files.extend(other.files.clone());
        self.removed.extend(other.removed.clone());
    }

    /// Returns paths and contents of the added files.
    pub(in crate::vm) fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Returns the folders that contain added files, each before its subfolders.
    pub(in crate::vm) fn folders(&self) -> BTreeSet<&str> {
        let paths = self.files.keys();
        paths.flat_map(|path| path.match_indices('/').map(|(slash, _)| &path[..slash])).collect()
    }

    /// Returns the removed paths, one a line.
    pub(in crate::vm) fn removals(&self) -> String {
        self.removed.iter().map(|path| format!("{path}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_is_listed_once_and_before_its_subfolders() {
        let mut changes = GuestChanges::default();
        changes.add_file("/etc/systemd/system/a.service", "");
        changes.add_file("etc/systemd/system/b.service.d/c.conf", "");
        let folders: Vec<&str> = changes.folders().into_iter().collect();
        let expected =
            ["etc", "etc/systemd", "etc/systemd/system", "etc/systemd/system/b.service.d"];
        assert_eq!(folders, expected);
    }
}
