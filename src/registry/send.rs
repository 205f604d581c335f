//! Gets a blob into a repository: nothing if it is there, a mount if another repository has it, or
//! an upload.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use super::body::Body;
use super::client::Client;
use super::upload::{self, Mounted};
use super::{RegistryError, known};
use crate::archive::blob::FileSlice;
use crate::image::Digest;

/// The number of blobs that are asked for at the same time.
const ASKED: usize = 16;
/// The number of blobs that are sent at the same time.
const SENT: usize = 4;
/// The most repositories that a blob is asked for from.
const MOUNTS_MAX: usize = 3;

/// A repository that receives blobs.
pub(super) struct Destination {
    pub(super) client: Arc<Client>,
    /// Blobs that the repository is known to have.
    pub(super) present: BTreeSet<Digest>,
    asking: Semaphore,
    sending: Semaphore,
    pub(super) counts: Counts,
    /// Whether nothing is sent.
    dry_run: bool,
}

/// The blobs of a push, by what happened to them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) mounted: AtomicU64,
    pub(super) present: AtomicU64,
}

/// A blob to send.
pub(super) struct Parcel {
    pub(super) digest: Digest,
    pub(super) body: Body,
}

impl Destination {
    pub(super) fn new(client: Arc<Client>, present: BTreeSet<Digest>, dry_run: bool) -> Self {
        Self {
            client,
            present,
            asking: Semaphore::new(ASKED),
            sending: Semaphore::new(SENT),
            counts: Counts::default(),
            dry_run,
        }
    }

    /// Gets the blob into the repository. `progress` is called with the bytes that are sent.
    pub(super) async fn receive(
        &self,
        parcel: Parcel,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let Parcel { digest, body } = parcel;
        let count = |counter: &AtomicU64, by: u64| counter.fetch_add(by, Ordering::Relaxed);
        if self.present.contains(&digest) || self.has(digest).await? {
            count(&self.counts.present, 1);
            return Ok(());
        }
        let _permit = self.sending.acquire().await;
        let mut session = None;
        if !self.dry_run {
            let Client { registry, repository, .. } = &*self.client;
            let others = known::others(registry, repository, digest);
            for from in others.iter().take(MOUNTS_MAX) {
                match upload::mount(&self.client, digest, from).await {
                    Ok(Mounted::Yes) => {
                        count(&self.counts.mounted, 1);
                        known::add(registry, repository, digest);
                        return Ok(());
                    }
                    Ok(Mounted::No(begun)) => session = Some(begun),
                    // The record is wrong, or reading the other repository is not allowed.
                    Err(RegistryError::Denied { .. } | RegistryError::NotFound { .. }) => {}
                    Err(RegistryError::Status { status: 400..500, .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            let body = fetched(body.clone()).await?;
            upload::blob(&self.client, digest, &body, session, progress).await?;
            known::add(registry, repository, digest);
        }
        count(&self.counts.sent, 1);
        count(&self.counts.sent_bytes, body.len());
        Ok(())
    }

    async fn has(&self, digest: Digest) -> Result<bool, RegistryError> {
        let _permit = self.asking.acquire().await;
        upload::exists(&self.client, digest).await
    }
}

/// Makes sure that a file that is fetched when it is read has been fetched: bodies must not wait
/// for another registry.
async fn fetched(body: Body) -> Result<Body, RegistryError> {
    let Body::File(slice) = body else { return Ok(body) };
    let fetch = move || -> std::io::Result<FileSlice> {
        slice.fetch()?;
        Ok(slice)
    };
    let done = tokio::task::spawn_blocking(fetch).await;
    let done = done.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    done.map(Body::File).map_err(super::error::from_io)
}
