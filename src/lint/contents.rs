//! Rules about the files that a container sees, and about bytes that layers above hide.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::finding::Finding;
use super::paths::Paths;
use crate::archive::entry::{display_path, join, name_of, parent_of};
use crate::archive::files::LayerEntry;
use crate::archive::layer_tree::{OPAQUE, WHITEOUT};
use crate::archive::tar::MemberKind;
use crate::text;

/// Hidden bytes below this number are not a finding: account files and databases of packages change
/// in most images that have a base.
const WASTE_MIN: u64 = 1 << 20;
/// The setuid and setgid bits.
const SETUID: u32 = 0o6000;

/// Folders in which package managers keep what they have downloaded.
const CACHES: [&str; 16] = [
    "root/.cache/go-build/",
    "root/.cache/pip/",
    "root/.cache/uv/",
    "root/.cargo/registry/",
    "root/.composer/cache/",
    "root/.gem/cache/",
    "root/.m2/repository/",
    "root/.npm/_cacache/",
    "usr/local/share/.cache/yarn/",
    "var/cache/apk/",
    "var/cache/apt/",
    "var/cache/dnf/",
    "var/cache/pacman/pkg/",
    "var/cache/yum/",
    "var/cache/zypp/",
    "var/lib/apt/lists/",
];
/// Folders of version control systems.
const VCS: [&[u8]; 4] = [b".git", b".hg", b".svn", b".bzr"];

/// A file in the layers so far that none of them hides.
struct Visible {
    layer: usize,
    size: u64,
    is_file: bool,
    setuid: bool,
}

/// The files in all layers so far.
#[derive(Default)]
pub(super) struct Contents {
    visible: BTreeMap<Box<[u8]>, Visible>,
    /// Bytes that are hidden, by path.
    hidden: BTreeMap<Box<[u8]>, u64>,
}

impl Contents {
    pub(super) fn add(&mut self, entry: &LayerEntry<'_>) {
        let (path, member) = (entry.path, entry.member);
        let (folder, name) = (parent_of(path), name_of(path));
        if name == OPAQUE {
            return self.hide_below(folder, entry.layer);
        }
        if let Some(name) = name.strip_prefix(WHITEOUT) {
            let removed = join(folder, name);
            self.hide(&removed, entry.layer);
            return self.hide_below(&removed, entry.layer);
        }
        self.hide(path, entry.layer);
        if member.kind != MemberKind::Directory {
            self.hide_below(path, entry.layer);
        }
        let is_file = member.kind == MemberKind::File;
        let visible = Visible {
            layer: entry.layer,
            size: if is_file { member.size } else { 0 },
            is_file,
            setuid: is_file && member.mode & SETUID != 0,
        };
        self.visible.insert(path.into(), visible);
    }

    /// Whether a container sees a file at `path`.
    pub(super) fn has_file(&self, path: &str) -> bool {
        self.visible.get(path.as_bytes()).is_some_and(|file| file.is_file)
    }

    /// Removes a path that a layer below `layer` has.
    fn hide(&mut self, path: &[u8], layer: usize) {
        let Some(hidden) = self.visible.get(path).filter(|file| file.layer < layer) else { return };
        if hidden.size > 0 {
            *self.hidden.entry(path.into()).or_default() += hidden.size;
        }
        self.visible.remove(path);
    }

    /// Removes everything below `folder` that a layer below `layer` has.
    fn hide_below(&mut self, folder: &[u8], layer: usize) {
        let prefix = if folder.is_empty() { Vec::new() } else { [folder, b"/"].concat() };
        let range = (Bound::Excluded(prefix.as_slice()), Bound::Unbounded);
        let below = self.visible.range::<[u8], _>(range);
        let below: Vec<Box<[u8]>> = below
            .map(|(path, _)| path.clone())
            .take_while(|path| path.starts_with(&prefix))
            .collect();
        below.iter().for_each(|path| self.hide(path, layer));
    }

    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        let (mut setuid, mut caches) = (Paths::default(), Paths::default());
        let (mut cache_bytes, mut folders) = (0, BTreeSet::new());
        for (path, file) in &self.visible {
            if file.setuid {
                setuid.add(path);
            }
            if file.size > 0 && is_cached(path) {
                caches.add(path);
                cache_bytes += file.size;
            }
            folders.extend(vcs_folder(path));
        }
        let mut vcs = Paths::default();
        folders.into_iter().for_each(|folder| vcs.add(folder));
        let findings = [
            setuid.finding(setuid_file),
            caches.finding(|count, path| package_cache(count, &path, cache_bytes)),
            vcs.finding(vcs_folders),
            self.wasted_bytes(),
        ];
        findings.into_iter().flatten()
    }

    fn wasted_bytes(&self) -> Option<Finding> {
        let total: u64 = self.hidden.values().sum();
        let mut largest: Vec<_> = self.hidden.iter().collect();
        largest.sort_by_key(|(_, size)| std::cmp::Reverse(**size));
        let paths = largest.iter().map(|(path, size)| format!("{} ({size})", display_path(path)));
        (total >= WASTE_MIN).then(|| {
            Finding::note(
                "wasted-bytes",
                format!(
                    "{total} bytes in lower layers are replaced or removed by layers above: {}",
                    text::list(paths)
                ),
                "every pull transfers them, and no container sees them",
                "remove files in the step that creates them, and change each file in one step only",
            )
        })
    }
}

fn is_cached(path: &[u8]) -> bool {
    CACHES.iter().any(|folder| path.starts_with(folder.as_bytes())) && name_of(path) != b"lock"
}

/// The folder of a version control system that `path` is or is in.
fn vcs_folder(path: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    for name in path.split(|byte| *byte == b'/') {
        end += name.len();
        if VCS.contains(&name) {
            return Some(&path[..end]);
        }
        end += 1;
    }
    None
}

fn setuid_file(count: usize, path: String) -> Finding {
    Finding::note(
        "setuid-file",
        format!("{count} files are setuid or setgid, such as {path}"),
        "every process in a container can run them with the rights of their owner or group",
        "run chmod a-s on them, or start containers with no-new-privileges",
    )
}

fn package_cache(count: usize, path: &str, bytes: u64) -> Finding {
    Finding::note(
        "package-cache",
        format!("{count} files with {bytes} bytes are caches of package managers, such as {path}"),
        "every pull transfers them, and containers rarely use them",
        "remove them in the step that installs the packages",
    )
}

fn vcs_folders(count: usize, path: String) -> Finding {
    Finding::note(
        "vcs-folder",
        format!("{count} folders of a version control system, such as {path}"),
        "everyone who can pull the image can read the history, and secrets that were in it",
        "exclude them from the contents",
    )
}
