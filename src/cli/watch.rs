//! Waits for changes of files and folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use crate::text;

/// How long nothing must change before a change counts as complete: editors and compilers write
/// several files, and some files several times.
const QUIET_TIME: Duration = Duration::from_millis(200);

/// The files and folders to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    /// Folders, with everything in them.
    folders: BTreeSet<PathBuf>,
    /// Single files, and paths at which there is nothing yet: of those, the first part that is
    /// missing.
    files: BTreeSet<PathBuf>,
}

impl Sources {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        let absolute = paths.iter().filter_map(|path| std::path::absolute(path).ok());
        let (folders, files): (_, BTreeSet<PathBuf>) = absolute.partition(|path| path.is_dir());
        Self { folders, files: files.iter().map(|path| first_missing(path)).collect() }
    }

    /// Whether a change of `path` is a change of one of the sources.
    pub(super) fn contains(&self, path: &Path) -> bool {
        let Ok(path) = std::path::absolute(path) else { return false };
        self.files.contains(&path) || self.folders.iter().any(|folder| path.starts_with(folder))
    }
}

/// Returns `path` up to its first folder that does not exist, or all of it.
fn first_missing(path: &Path) -> PathBuf {
    let missing = path.ancestors().take_while(|folder| !folder.exists()).last();
    missing.unwrap_or(path).to_owned()
}

/// Notices changes of sources from its creation on.
pub(super) struct Watcher {
    sources: Sources,
    events: UnboundedReceiver<notify::Result<Event>>,
    _watcher: RecommendedWatcher,
}

impl Watcher {
    pub(super) fn new(sources: &Sources) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::unbounded_channel();
        let send = move |event| drop(sender.send(event));
        let mut watcher = notify::recommended_watcher(send)
            .context("failed to watch files; the kernel limits the number of watchers")?;
        let folders = sources.folders.iter().map(|folder| (folder.as_path(), true));
        // Editors replace files instead of changing them, which only the folder notices.
        let parents: BTreeSet<&Path> =
            sources.files.iter().filter_map(|file| file.parent()).filter(|p| p.is_dir()).collect();
        for (folder, recursive) in folders.chain(parents.into_iter().map(|path| (path, false))) {
            let mode = match recursive {
                true => RecursiveMode::Recursive,
                false => RecursiveMode::NonRecursive,
            };
            let failed = || format!("failed to watch {}", text::path(folder));
            watcher.watch(folder, mode).with_context(failed)?;
        }
        Ok(Self { sources: sources.clone(), events, _watcher: watcher })
    }

    /// Waits until something has changed and the change is complete. Returns a changed path
    /// that exists, if there is one.
    pub(super) async fn wait_for_change(&mut self) -> anyhow::Result<PathBuf> {
        let mut changed = Vec::new();
        while changed.is_empty() {
            match self.events.recv().await {
                Some(event) => changed.extend(self.changed_sources(event?)),
                None => bail!("failed to watch files: the watcher ended"),
            }
        }
        while let Ok(Some(event)) = timeout(QUIET_TIME, self.events.recv()).await {
            changed.extend(event.into_iter().flat_map(|event| self.changed_sources(event)));
        }
        // Editors write temporary files, which they rename.
        let index = changed.iter().position(|path| path.exists()).unwrap_or(0);
        Ok(changed.swap_remove(index))
    }

    fn changed_sources(&self, event: Event) -> impl Iterator<Item = PathBuf> {
        let is_change = !matches!(event.kind, EventKind::Access(_));
        event.paths.into_iter().filter(move |path| is_change && self.sources.contains(path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_change_in_a_watched_folder_and_a_replaced_file_are_noticed_and_others_are_not() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("contents/sub")).unwrap();
        fs::write(path("recipe.toml"), "").unwrap();
        let sources = Sources::new(&[path("contents"), path("recipe.toml")]);
        let mut watcher = Watcher::new(&sources).unwrap();
        fs::write(path("other"), "").unwrap();
        fs::write(path("contents/sub/file"), "").unwrap();
        assert_eq!(watcher.wait_for_change().await.unwrap(), path("contents/sub/file"));
        fs::write(path("other"), "new").unwrap();
        fs::rename(path("other"), path("recipe.toml")).unwrap();
        assert_eq!(watcher.wait_for_change().await.unwrap(), path("recipe.toml"));
        fs::write(path("contents/sedAOWxbM"), "").unwrap();
        fs::rename(path("contents/sedAOWxbM"), path("contents/page")).unwrap();
        assert_eq!(watcher.wait_for_change().await.unwrap(), path("contents/page"));
    }

    #[tokio::test]
    async fn a_path_that_is_missing_with_its_folders_is_noticed_when_the_first_one_appears() {
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let sources = Sources::new(&[path("etc/app/app.conf")]);
        let mut watcher = Watcher::new(&sources).unwrap();
        fs::create_dir(path("other")).unwrap();
        fs::create_dir_all(path("etc/app")).unwrap();
        assert_eq!(watcher.wait_for_change().await.unwrap(), path("etc"));
    }
}
