//! Mounts of files and folders of this host: copies of them in the guest, mounted.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::daemon::Daemon;
use super::error::HarnessError;
use super::node_files::Owners;
use crate::engine::{Mount, RunOptions};
use crate::vm::instance::STDIN_MAX;

impl Daemon {
    /// Returns `options` with bind mounts of copies in the place of mounts of this host. Adds the
    /// folders of the guest that only this container has to `folders`.
    pub(super) async fn with_mounts(
        &self,
        mut options: RunOptions,
        folders: &mut Vec<String>,
    ) -> Result<RunOptions, HarnessError> {
        for Mount { source, target, writable } in std::mem::take(&mut options.mounts) {
            let (folder, mode) = match writable {
                true => (self.writable_copy(&source).await?, ""),
                false => {
                    let folder = self.copy(&source, Owners::Root).await?;
                    folders.push(folder.clone());
                    (folder, ":ro")
                }
            };
            options.binds.push(format!("{folder}/mount:{target}{mode}"));
        }
        Ok(options)
    }

    /// The folder of the guest with the copy of `source` that containers may change. It is made for
    /// the first of them; those after it see the changes, as they would on a host.
    async fn writable_copy(&self, source: &Path) -> Result<String, HarnessError> {
        let mut copies = self.writable_copies.lock().await;
        if let Some(folder) = copies.get(source) {
            return Ok(folder.clone());
        }
        let folder = self.copy(source, Owners::Kept).await?;
        copies.insert(source.to_owned(), folder.clone());
        Ok(folder)
    }

    /// Copies `source` to a new folder of the guest, in which it is called `mount`.
    async fn copy(&self, source: &Path, owners: Owners) -> Result<String, HarnessError> {
        let path = source.to_owned();
        let read = tokio::task::spawn_blocking(move || archive(&path)).await;
        let failed =
            |error: io::Error| HarnessError::Mount { path: source.to_owned(), source: error };
        let archive = read.map_err(io::Error::other).flatten().map_err(failed)?;
        let folder = self.new_disk_folder();
        self.unpack(&folder, &archive, owners, &[]).await?;
        Ok(folder)
    }
}

/// Bytes in memory, as many as the guest takes.
struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > STDIN_MAX {
            let limit = STDIN_MAX >> 20;
            let problem = format!("larger than {limit} MiB; build it into an image instead");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, problem));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns a tar of a file or folder, which is called `mount` in it.
fn archive(source: &Path) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Limited(Vec::new()));
    archive.follow_symlinks(false);
    archive.sparse(false);
    match source.metadata()?.is_dir() {
        true => archive.append_dir_all("mount", source)?,
        false => archive.append_file("mount", &mut File::open(source)?)?,
    }
    Ok(archive.into_inner()?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_archived_with_its_symlinks_and_modes() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(folder.path().join("a"), mode).unwrap();
        symlink("a", folder.path().join("b")).unwrap();
        let bytes = archive(folder.path()).unwrap();
        let mut found: Vec<(String, u32, bool)> = tar::Archive::new(bytes.as_slice())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let header = entry.header();
                (path, header.mode().unwrap() & 0o777, header.entry_type().is_symlink())
            })
            .collect();
        found.sort();
        assert_eq!(found[1], ("mount/a".to_owned(), 0o640, false));
        assert_eq!((found[2].0.as_str(), found[2].2), ("mount/b", true));
        let bytes = archive(&folder.path().join("a")).unwrap();
        let mut file = tar::Archive::new(bytes.as_slice());
        let entry = file.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("mount"));
    }

    #[test]
    fn a_file_that_the_guest_does_not_take_is_an_error_that_names_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        File::create(&path).unwrap().set_len(STDIN_MAX as u64).unwrap();
        let error = archive(&path).unwrap_err().to_string();
        assert_eq!(error, "larger than 32 MiB; build it into an image instead");
    }
}
