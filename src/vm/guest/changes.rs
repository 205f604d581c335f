//! What a machine has in its guest's root beside, or in the place of, what the guest was assembled with: put there
//! before systemd starts, so that a guest is tried in many states and assembled once.

use std::collections::{BTreeMap, BTreeSet};

/// Changes to the root of a guest, for one machine. Places are relative to `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GuestChanges {
    files: BTreeMap<String, Vec<u8>>,
    removed: BTreeSet<String>,
}

impl GuestChanges {
    /// Has a file at `place`, which every user of the guest may read.
    pub fn add_file(&mut self, place: &str, content: impl Into<Vec<u8>>) {
        self.files.insert(place.trim_start_matches('/').to_owned(), content.into());
    }

    /// Has nothing at `place`.
    pub fn remove(&mut self, place: &str) {
        self.removed.insert(place.trim_start_matches('/').to_owned());
    }

    /// Has also what `other` has, and in the same place that of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.files.extend(other.files.clone());
        self.removed.extend(other.removed.clone());
    }

    /// The files, by place.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(place, content)| (place.as_str(), content.as_slice()))
    }

    /// The folders that the files lie in, each before what is in it.
    pub(in crate::vm) fn folders(&self) -> BTreeSet<&str> {
        let places = self.files.keys();
        places
            .flat_map(|place| place.match_indices('/').map(|(slash, _)| &place[..slash]))
            .collect()
    }

    /// The places at which there is to be nothing, one a line.
    pub(in crate::vm) fn removals(&self) -> String {
        self.removed.iter().map(|place| format!("{place}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_comes_once_and_before_what_is_in_it() {
        let mut overlay = GuestChanges::default();
        overlay.add_file("/etc/systemd/system/a.service", "");
        overlay.add_file("etc/systemd/system/b.service.d/c.conf", "");
        let folders: Vec<&str> = overlay.folders().into_iter().collect();
        let expected =
            ["etc", "etc/systemd", "etc/systemd/system", "etc/systemd/system/b.service.d"];
        assert_eq!(folders, expected);
    }
}
