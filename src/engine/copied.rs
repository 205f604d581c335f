//! Files copied out of a container over Docker's API. Engines differ: Docker returns a symlink
//! itself, and Podman what it points to. Both tell in a header where a symlink leads.

use std::io::{self, Read};
use std::path::{Component, Path};

use bollard::errors::Error::DockerResponseServerError;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, DownloadFromContainerOptionsBuilder,
};
use bytes::{Buf, Bytes};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::docker::api;
use super::{DockerContainer, EngineError};

/// The bit for symlinks in a mode as Go's `fs.FileMode` has it.
const GO_SYMLINK: u32 = 1 << 27;
/// The number of chunks of an archive that may wait until they are read.
const CHUNKS_MAX: usize = 8;

/// The ends of messages about paths that lead nowhere: ENOTDIR and ELOOP in Go.
const NOWHERE: [&str; 2] = [": not a directory", ": too many levels of symbolic links"];
/// The words of Docker and of Go about symlinks that form a loop, before the path if there is one.
const LOOP: &str = ": too many links";

/// The kinds of paths.
enum Found {
    /// A symlink to this path, which has no symlinks.
    Symlink(String),
    Other,
    Nothing,
}

impl DockerContainer {
    /// Returns a tar whose first entry is the file at `path`, or `None` if there is no file. It has
    /// `limit` bytes at most; the rest is left out. If the file is a symlink, its target is
    /// returned with `follow`, and itself without.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn copy_out(
        &self,
        path: &str,
        follow: bool,
        limit: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        if follow {
            // Podman resolves a relative link below a linked folder wrongly, but tells it right.
            return match self.find(path).await? {
                Found::Symlink(target) => self.archive(&target, limit).await,
                Found::Other | Found::Nothing => self.archive(path, limit).await,
            };
        }
        if !self.docker.is_podman().await? {
            return self.archive(path, limit).await;
        }
        match self.find(path).await? {
            // To Podman, a symlink that leads nowhere is nothing.
            Found::Symlink(_) | Found::Nothing => self.symlink(path).await,
            Found::Other => self.archive(path, limit).await,
        }
    }

    async fn find(&self, path: &str) -> Result<Found, EngineError> {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        match self.docker.api().get_container_archive_info(&self.id, Some(options)).await {
            Ok(found) if found.file_mode & GO_SYMLINK != 0 => Ok(Found::Symlink(found.link_target)),
            Ok(_) => Ok(Found::Other),
            // The answer to HEAD has no message. The one to the next request tells a mistake from a
            // path that leads nowhere.
            Err(DockerResponseServerError { .. }) => Ok(Found::Nothing),
            Err(error) => Err(api("look for a file in the container")(error)),
        }
    }

    async fn archive(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut chunks = self.docker.api().download_from_container(&self.id, Some(options));
        let mut archive = Vec::new();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => archive.extend_from_slice(&chunk),
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(api("copy a file out of the container")(error)),
            }
            if archive.len() > limit {
                archive.truncate(limit);
                break;
            }
        }
        Ok(Some(archive))
    }

    /// Returns a tar of the symlink at `path`, or `None` if there is none. It is found in the
    /// archive of its folder, which is read to this entry.
    async fn symlink(&self, path: &str) -> Result<Option<Vec<u8>>, EngineError> {
        let action = "copy a symlink out of the container";
        let Some((folder, name)) = path.trim_end_matches('/').rsplit_once('/') else {
            return Ok(None);
        };
        let name = name.to_owned();
        let options = DownloadFromContainerOptionsBuilder::default().path(&format!("{folder}/."));
        let mut chunks = self.docker.api().download_from_container(&self.id, Some(options.build()));
        let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
        let entry = tokio::task::spawn_blocking(move || find_symlink(Chunks::new(receiver), &name));
        while let Some(chunk) = chunks.next().await {
            match chunk {
                // Nobody reads on after the entry.
                Ok(chunk) => match sender.send(chunk).await {
                    Ok(()) => {}
                    Err(_) => break,
                },
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => return Err(api(action)(error)),
            }
        }
        drop(sender);
        let failed =
            |error: String| EngineError::Unexpected(format!("failed to {action}: {error}"));
        entry
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(|error| failed(error.to_string()))
    }
}

/// Whether an engine reports that there is no such file. Docker has no status for a path below
/// another file, nor for symlinks that form a loop.
fn is_absent(error: &bollard::errors::Error) -> bool {
    match error {
        DockerResponseServerError { status_code: 404, .. } => true,
        DockerResponseServerError { message, .. } => {
            NOWHERE.iter().any(|end| message.ends_with(end))
                || message.to_lowercase().contains(LOOP)
        }
        _ => false,
    }
}

/// Returns a tar that has only the symlink `name` of the folder whose tar `archive` is.
fn find_symlink(archive: impl Read, name: &str) -> io::Result<Option<Vec<u8>>> {
    for entry in tar::Archive::new(archive).entries()? {
        let entry = entry?;
        let path = entry.path()?;
        let mut parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
        let is_named = parts.next().is_some_and(|part| part.as_os_str() == name);
        if !is_named || parts.next().is_some() {
            continue;
        }
        let target = match entry.link_name()? {
            Some(target) if entry.header().entry_type().is_symlink() => target,
            _ => return Ok(None),
        };
        let mut found = tar::Builder::new(Vec::new());
        found.append_link(&mut entry.header().clone(), Path::new(name), target)?;
        return found.into_inner().map(Some);
    }
    Ok(None)
}

/// Reads chunks that arrive on a channel.
struct Chunks {
    receiver: mpsc::Receiver<Bytes>,
    chunk: Bytes,
}

impl Chunks {
    fn new(receiver: mpsc::Receiver<Bytes>) -> Self {
        Self { receiver, chunk: Bytes::new() }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
