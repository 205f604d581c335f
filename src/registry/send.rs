//! Gets a blob into repositories: nothing if it is there, a mount if another repository has it, or
//! an upload.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;

use super::blob_upload::{self, Mounted};
use super::body::Body;
use super::client::Client;
use super::known::KnownRepositories;
use super::{RegistryError, upload};
use crate::archive::blob::FileSlice;
use crate::image::Digest;

/// The number of blobs, or of images, that are asked for at the same time.
pub(super) const ASKED: usize = 16;
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
    known: Arc<KnownRepositories>,
    /// The blobs that were not sent, because the repository seemed to have them.
    skipped: Mutex<Vec<Parcel>>,
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
#[derive(Clone)]
pub(super) struct Parcel {
    pub(super) digest: Digest,
    pub(super) body: Body,
}

impl Destination {
    pub(super) fn new(
        client: Arc<Client>,
        present: BTreeSet<Digest>,
        known: Arc<KnownRepositories>,
        dry_run: bool,
    ) -> Self {
        Self {
            client,
            present,
            asking: Semaphore::new(ASKED),
            sending: Semaphore::new(SENT),
            counts: Counts::default(),
            known,
            skipped: Mutex::default(),
            dry_run,
        }
    }

    /// Asks the repository again for each blob that it seemed to have, and sends those that it
    /// lacks.
    pub(super) async fn send_lost(
        &self,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let skipped = std::mem::take(&mut *self.skipped());
        let sent = skipped.into_iter().map(|parcel| async move {
            if !self.ask(parcel.digest).await? {
                self.counts.present.fetch_sub(1, Ordering::Relaxed);
                self.receive(&parcel, &[], progress).await?;
            }
            Ok::<_, RegistryError>(())
        });
        try_join_all(sent).await.map(drop)
    }

    fn skipped(&self) -> MutexGuard<'_, Vec<Parcel>> {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gets the blob, which the repository lacks, into it. `siblings` are repositories of the same
    /// registry that have it. `progress` is called with the bytes that are sent.
    async fn receive(
        &self,
        parcel: &Parcel,
        siblings: &[&str],
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(), RegistryError> {
        let Parcel { digest, body } = parcel;
        let _permit = self.sending.acquire().await;
        let Client { registry, repository, .. } = &*self.client;
        let mut others: Vec<String> = siblings.iter().copied().map(str::to_owned).collect();
        others.extend(self.known.others(registry, repository, *digest));
        others.truncate(MOUNTS_MAX);
        if self.dry_run {
            // A sibling would have the blob before this repository.
            let is_mounted = !siblings.is_empty() || self.can_mount(*digest, &others).await?;
            match is_mounted {
                true => count(&self.counts.mounted, 1),
                false => self.count_sent(body),
            }
            return Ok(());
        }
        let mut session = None;
        for from in &others {
            match blob_upload::mount(&self.client, *digest, from).await {
                Ok(Mounted::Yes) => {
                    count(&self.counts.mounted, 1);
                    self.known.add(registry, repository, *digest);
                    return Ok(());
                }
                Ok(Mounted::No(begun)) => {
                    session = Some(begun);
                    break;
                }
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let body = fetched(body.clone()).await?;
        blob_upload::blob(&self.client, *digest, &body, session, progress).await?;
        self.known.add(registry, repository, *digest);
        self.count_sent(&body);
        Ok(())
    }

    /// Whether one of the repositories `others` has the blob.
    async fn can_mount(&self, digest: Digest, others: &[String]) -> Result<bool, RegistryError> {
        for from in others {
            match upload::is_in(&self.client, from, digest).await {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) if is_refused(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn count_sent(&self, body: &Body) {
        count(&self.counts.sent, 1);
        count(&self.counts.sent_bytes, body.len());
    }

    async fn has(&self, digest: Digest) -> Result<bool, RegistryError> {
        Ok(self.present.contains(&digest) || self.ask(digest).await?)
    }

    async fn ask(&self, digest: Digest) -> Result<bool, RegistryError> {
        let _permit = self.asking.acquire().await;
        upload::exists(&self.client, digest).await
    }
}

/// Gets a blob into `destinations`, repositories of the same registry: the first that lacks it gets
/// its bytes, and the others take it from there. `progress` is called with the bytes that are sent.
pub(super) async fn send(
    destinations: &[Arc<Destination>],
    parcel: Parcel,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), RegistryError> {
    let asked = destinations.iter().map(|destination| destination.has(parcel.digest));
    let answers = try_join_all(asked).await?;
    let mut siblings = Vec::new();
    let mut lacking = Vec::new();
    for (destination, has) in destinations.iter().zip(answers) {
        match has {
            true => {
                count(&destination.counts.present, 1);
                destination.skipped().push(parcel.clone());
                siblings.push(&*destination.client.repository);
            }
            false => lacking.push(destination),
        }
    }
    for destination in lacking {
        destination.receive(&parcel, &siblings, progress).await?;
        siblings.push(&destination.client.repository);
    }
    Ok(())
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

/// Whether the registry answered that it does not mount the blob: the record of known repositories
/// is wrong, reading the other repository is not allowed, or the registry mounts nothing. The blob
/// is sent then.
fn is_refused(error: &RegistryError) -> bool {
    use RegistryError::{Denied, NotFound, Status};
    matches!(error, Denied { .. } | NotFound { .. } | Status { .. })
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
