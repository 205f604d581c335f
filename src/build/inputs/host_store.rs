//! The store on this host: where its paths are, and where symlinks in it lead.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;

use crate::build::recipe::Store;
use crate::closure::{StoreDir, StorePath};
use crate::linux::LINKS_MAX;

/// A store, and the folder on this host that holds it. They may have different paths: then a
/// symlink to the store's path in the image leads to the folder, never to what this host has at
/// that path, so that a store gives the same image wherever it is.
#[derive(Clone, Copy, Debug)]
pub(in crate::build) struct HostStore<'a> {
    /// The store's path in the image.
    pub(in crate::build) dir: &'a StoreDir,
    /// The canonical path of the folder.
    pub(in crate::build) source: &'a Path,
}

/// A path whose symlinks are being followed.
struct Walk {
    /// The part without symlinks.
    resolved: PathBuf,
    /// The components that follow.
    pending: VecDeque<OsString>,
    links: usize,
}

impl Store {
    /// Where the store is on this host.
    pub(in crate::build) fn on_host(&self) -> HostStore<'_> {
        HostStore { dir: &self.dir, source: &self.source }
    }
}

impl HostStore<'_> {
    /// Follows all symlinks of `path`, and returns the path of the file that it leads to.
    ///
    /// # Errors
    /// If there is no such file, or there are too many symlinks on the way.
    pub(in crate::build) fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut walk = self.start(path)?;
        while self.step(&mut walk)? {}
        Ok(walk.resolved)
    }

    /// Returns the store path that `path` leads into, and the rest of `path` there; `None` if it
    /// leads elsewhere. A symlink that is a store path itself is not followed.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub(super) fn locate(&self, path: &Path) -> io::Result<Option<(StorePath, PathBuf)>> {
        let mut walk = self.start(path)?;
        loop {
            if let (true, Some(name)) = (walk.resolved == self.source, walk.pending.front()) {
                let path = name.to_str().map(|name| format!("{}/{name}", self.dir.as_str()));
                let store_path = path.and_then(|path| self.dir.path(&path).ok());
                let rest = walk.pending.iter().skip(1).collect();
                return Ok(store_path.map(|path| (path, rest)));
            }
            if !self.step(&mut walk)? {
                return Ok(None);
            }
        }
    }

    /// The path of `path` in the image, if it is in the store.
    pub(in crate::build) fn in_image(&self, path: &Path) -> Option<PathBuf> {
        let rest = path.strip_prefix(self.source).ok()?;
        Some(Path::new(self.dir.as_str()).join(rest))
    }

    fn start(&self, path: &Path) -> io::Result<Walk> {
        let path = std::path::absolute(path)?;
        let mut walk = Walk { resolved: "/".into(), pending: VecDeque::new(), links: 0 };
        self.prepend(&path, &mut walk);
        Ok(walk)
    }

    /// Continues `walk` with `path`, and then with what it has left.
    fn prepend(&self, path: &Path, walk: &mut Walk) {
        let relocated = path.strip_prefix(self.dir.as_str()).map(|rest| self.source.join(rest));
        let path = relocated.as_deref().unwrap_or(path);
        if path.is_absolute() {
            walk.resolved = "/".into();
        }
        let names = path.components().filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        names.rev().for_each(|name| walk.pending.push_front(name.to_owned()));
    }

    /// Takes the next component of `walk`. Returns false if there is none.
    fn step(&self, walk: &mut Walk) -> io::Result<bool> {
        let Some(name) = walk.pending.pop_front() else {
            return Ok(false);
        };
        if name == ".." {
            walk.resolved.pop();
            return Ok(true);
        }
        let path = walk.resolved.join(name);
        if path.symlink_metadata()?.is_symlink() {
            walk.links += 1;
            if walk.links > LINKS_MAX {
                return Err(Errno::LOOP.into());
            }
            self.prepend(&path.read_link()?, walk);
        } else {
            walk.resolved = path;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_relocated_store_resolves_symlinks_within_itself() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        let source = root.join("store");
        std::fs::create_dir_all(source.join("b/lib/deep")).unwrap();
        std::fs::create_dir(source.join("a")).unwrap();
        symlink("/nix/store/b", source.join("link")).unwrap();
        symlink("/nix/store/link/lib", source.join("a/lib")).unwrap();
        symlink("../b/lib", source.join("a/relative")).unwrap();
        symlink("/nix/store/a/round", source.join("a/round")).unwrap();
        symlink("store/a", root.join("result")).unwrap();
        let dir = StoreDir::new("/nix/store").unwrap();
        let store = HostStore { dir: &dir, source: &source };
        let resolve = |path: &str| store.resolve(Path::new(path)).unwrap();
        assert_eq!(resolve("/nix/store/a/lib/deep"), source.join("b/lib/deep"));
        assert_eq!(resolve("/nix/store/a/relative/deep/.."), source.join("b/lib"));
        assert_eq!(store.resolve(&root.join("result/lib")).unwrap(), source.join("b/lib"));
        assert!(store.resolve(&source.join("a/round")).is_err());
        assert!(store.resolve(&source.join("missing")).is_err());
        let located = |path: &Path| {
            let located = store.locate(path).unwrap();
            located.map(|(path, rest)| (path.name().to_owned(), rest))
        };
        let a = |rest: &str| Some(("a".to_owned(), PathBuf::from(rest)));
        assert_eq!(located(&root.join("result")), a(""));
        assert_eq!(located(&root.join("result/lib/deep")), a("lib/deep"));
        assert_eq!(located(Path::new("/nix/store/link")), Some(("link".to_owned(), "".into())));
        assert_eq!(located(&root), None);
        assert_eq!(store.in_image(&source.join("a/lib")), Some("/nix/store/a/lib".into()));
    }
}
