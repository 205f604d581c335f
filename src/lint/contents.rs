//! Rules about the files that a container sees, and about bytes that layers above hide.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::finding::Finding;
use super::paths::{Paths, counted};
use crate::archive::entry::{display_path, join, name_of, parent_of};
use crate::archive::files::LayerEntry;
use crate::archive::layer_tree::{OPAQUE, WHITEOUT, normalize};
use crate::archive::linked_files::LinkedFiles;
use crate::archive::tar::{CAPABILITIES, Member, MemberKind};
use crate::text;

/// Hidden bytes below this number are not a finding: account files and databases of packages change
/// in most images that have a base.
const WASTE_MIN: u64 = 1 << 20;
/// The setuid and setgid bits.
const SETUID: u32 = 0o6000;
/// The sticky bit.
const STICKY: u32 = 0o1000;
/// The permission of every user to write.
const WRITABLE: u32 = 0o002;

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

/// A path in the layers so far that none of them hides.
struct Visible {
    layer: usize,
    /// The number of its file; all names of a file have the same.
    file: usize,
    size: u64,
    is_file: bool,
    is_symlink: bool,
    mode: u32,
    has_capabilities: bool,
}

/// The files in all layers so far.
#[derive(Default)]
pub(super) struct Contents {
    visible: BTreeMap<Box<[u8]>, Visible>,
    /// Bytes that are hidden, by path.
    hidden: BTreeMap<Box<[u8]>, u64>,
    /// The number of files so far.
    files: usize,
    linked: LinkedFiles<usize>,
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
        let visible = self.file(member, entry.layer);
        self.visible.insert(path.into(), visible);
    }

    /// The file of `member`, which is a new one, or that of the same layer to which it is a link.
    fn file(&mut self, member: &Member, layer: usize) -> Visible {
        let is_link = member.kind == MemberKind::HardLink;
        let target = normalize(&member.link).filter(|_| is_link);
        let target = target.and_then(|path| self.visible.get(&path));
        if let Some(target) = target.filter(|file| file.layer == layer) {
            self.linked.add(target.file, member);
            return Visible { size: 0, ..*target };
        }
        self.files += 1;
        let is_file = member.kind == MemberKind::File;
        Visible {
            layer,
            file: self.files,
            size: if is_file { member.size } else { 0 },
            is_file: is_file || is_link,
            is_symlink: member.kind == MemberKind::Symlink,
            mode: member.mode,
            has_capabilities: member.has_capabilities(),
        }
    }

    /// The mode of `file`, and whether it has capabilities, with what hard links change.
    fn metadata(&self, file: &Visible) -> (u32, bool) {
        match self.linked.get(&file.file) {
            Some(last) => (last.mode, last.xattrs.contains_key(CAPABILITIES)),
            None => (file.mode, file.has_capabilities),
        }
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
        let (mut writable, mut capable) = (Paths::default(), Paths::default());
        let (mut cache_bytes, mut folders) = (0, BTreeSet::new());
        for (path, file) in &self.visible {
            let (mode, has_capabilities) = self.metadata(file);
            if file.is_file && mode & SETUID != 0 {
                setuid.add(path);
            }
            if !file.is_symlink && !in_dev(path) && mode & (WRITABLE | STICKY) == WRITABLE {
                writable.add(path);
            }
            if has_capabilities {
                capable.add(path);
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
            writable.finding(world_writable),
            capable.finding(capabilities),
            setuid.finding(setuid_file),
            caches.finding(|count, path| package_cache(count, path, cache_bytes)),
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

/// Whether the path is in `/dev`, where engines mount their own files.
fn in_dev(path: &[u8]) -> bool {
    path.starts_with(b"dev/")
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

fn world_writable(count: usize, path: &str) -> Finding {
    Finding::warning(
        "world-writable",
        counted(
            count,
            path,
            "file or folder is writable by every user",
            "files or folders are writable by every user",
        ),
        "any process in a container can change them",
        "run chmod o-w on them, or chmod +t on a shared folder",
    )
}

fn capabilities(count: usize, path: &str) -> Finding {
    Finding::note(
        "file-capabilities",
        counted(count, path, "file has capabilities", "files have capabilities"),
        "containers that lack these capabilities cannot run the files, and Kubernetes' \
         allowPrivilegeEscalation: false takes the capabilities away",
        "remove them with setcap -r, and grant capabilities to the container",
    )
}

fn setuid_file(count: usize, path: &str) -> Finding {
    Finding::note(
        "setuid-file",
        counted(count, path, "file is setuid or setgid", "files are setuid or setgid"),
        "every process in a container can run them with the rights of their owner or group",
        "run chmod a-s on them, or start containers with no-new-privileges",
    )
}

fn package_cache(count: usize, path: &str, bytes: u64) -> Finding {
    Finding::note(
        "package-cache",
        counted(
            count,
            path,
            &format!("file with {bytes} bytes is a cache of a package manager"),
            &format!("files with {bytes} bytes are caches of package managers"),
        ),
        "every pull transfers them, and containers rarely use them",
        "remove them in the step that installs the packages",
    )
}

fn vcs_folders(count: usize, path: &str) -> Finding {
    Finding::note(
        "vcs-folder",
        counted(
            count,
            path,
            "folder of a version control system",
            "folders of a version control system",
        ),
        "everyone who can pull the image can read the history, and secrets that were in it",
        "exclude them from the contents",
    )
}
