//! Registries: images from them and to them (OCI distribution-spec v1.1; distribution `docs/spec`).
//!
//! A [`Registries`] owns the threads that wait for registries; its functions block. Blobs are
//! fetched once, verified, and kept in the cache by digest. What registries send is treated as
//! hostile: sizes have limits, digests are checked, and silence ends after a time limit.
//!
//! The client is built on reqwest rather than on the crate `oci-client` (0.18). That one streams
//! blobs both ways and mounts them, but hides its upload sessions: a broken upload begins again,
//! and a mount that the registry turns into an upload is an error. It has no client certificates,
//! repeats no request, ignores `Retry-After`, reads one challenge of several, exchanges no identity
//! tokens, asks for no token for two repositories, which a mount needs, and reads manifests and
//! errors of any size.

mod answer;
mod authorize;
mod blob_upload;
mod body;
mod client;
mod connect;
mod connect_error;
mod credentials;
mod download;
mod endpoint;
mod error;
mod error_class;
mod failure;
mod fetch;
mod hosts;
mod image;
mod kind;
mod known;
mod layers;
mod login;
mod mirrors;
mod notices;
mod options;
mod pace;
mod push;
mod read;
mod referrers;
mod request;
mod retry;
mod secret;
mod send;
mod sources;
mod store;
mod tls;
mod token;
mod tree;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex as StdMutex, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Mutex;

pub(crate) use credentials::login::Place;
pub use error::RegistryError;
pub use image::RemoteImage;
pub(crate) use login::registry_of;
pub(crate) use options::DEFAULT_TIMEOUT;
pub use options::RegistryOptions;
pub(crate) use push::Artifact;
pub use push::{Attached, MediaTypes, PushOptions, PushReport, Pushed, Pusher};
pub(crate) use referrers::Referrer;
pub use secret::{Credentials, Secret};

use crate::image::RemoteReference;
use client::Client;
use endpoint::Endpoint;
use known::KnownRepositories;
use mirrors::Mirrors;
use notices::Notices;
use store::BlobStore;

/// Access to registries: connections, credentials, and the cache of blobs. Clones share all of
/// these.
#[derive(Clone)]
pub struct Registries(Arc<Shared>);

struct Shared {
    /// Always there until this is dropped.
    runtime: Option<Runtime>,
    options: RegistryOptions,
    notices: Arc<Notices>,
    /// The clients by the name of their repository, those of mirrors apart.
    clients: Mutex<BTreeMap<(bool, String), Arc<Client>>>,
    store: BlobStore,
    known: Arc<KnownRepositories>,
    /// Read when they are needed.
    mirrors: OnceLock<Arc<Mirrors>>,
    /// The repositories of mirrors that failed, which are not asked again.
    failed_mirrors: StdMutex<BTreeSet<String>>,
}

/// The number of threads that wait for registries.
const THREADS: usize = 2;

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registries").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Layers and documents are also fetched one by one, where they are read.
        self.prune();
        // Dropping a runtime waits for its threads, which is not allowed in another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    /// Removes the least recently used files of the caches if there are too many.
    fn prune(&self) {
        if self.store.has_grown() {
            self.store.prune();
            self.known.prune();
        }
    }
}

impl Registries {
    /// Prepares access to registries. Connects to none yet.
    ///
    /// # Errors
    /// If threads cannot be started, or the cache cannot be used.
    pub fn new(options: RegistryOptions) -> Result<Self, RegistryError> {
        let runtime = Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        let runtime = Some(runtime.map_err(RegistryError::Runtime)?);
        let store = BlobStore::open(options.cache)?;
        let known = Arc::new(KnownRepositories::new(options.cache));
        Ok(Self(Arc::new(Shared {
            runtime,
            notices: Arc::new(Notices::new(options.note)),
            options,
            clients: Mutex::default(),
            store,
            known,
            mirrors: OnceLock::new(),
            failed_mirrors: StdMutex::default(),
        })))
    }

    /// Whether it uses the cache.
    pub(crate) fn uses_cache(&self) -> bool {
        self.0.options.cache
    }

    fn store(&self) -> &BlobStore {
        &self.0.store
    }

    fn known(&self) -> &Arc<KnownRepositories> {
        &self.0.known
    }

    fn handle(&self) -> Result<&Handle, RegistryError> {
        let runtime = self.0.runtime.as_ref().map(Runtime::handle);
        runtime.ok_or_else(|| RegistryError::Runtime(io::ErrorKind::NotFound.into()))
    }

    fn mirrors(&self) -> Result<&Arc<Mirrors>, RegistryError> {
        if let Some(mirrors) = self.0.mirrors.get() {
            return Ok(mirrors);
        }
        let read = Arc::new(Mirrors::read()?);
        Ok(self.0.mirrors.get_or_init(|| read))
    }

    /// The client for the repository of `reference`, not that of a mirror.
    async fn client(&self, reference: &RemoteReference) -> Result<Arc<Client>, RegistryError> {
        self.client_at(&self.mirrors()?.own(reference)?).await
    }

    /// The client for the repository of `endpoint`, which connects if that is needed.
    async fn client_at(&self, endpoint: &Endpoint) -> Result<Arc<Client>, RegistryError> {
        let mut clients = self.0.clients.lock().await;
        let key = (endpoint.is_mirror, endpoint.reference.name());
        if let Some(client) = clients.get(&key) {
            return Ok(Arc::clone(client));
        }
        let (settings, options) = (self.mirrors()?, &self.0.options);
        let mut known =
            clients.iter().filter(|((is_mirror, _), _)| *is_mirror == endpoint.is_mirror);
        let sibling = known.find(|(_, client)| client.others.are_of(endpoint));
        let sibling = sibling.map(|(_, client)| &**client);
        let notices = Arc::clone(&self.0.notices);
        let client = Client::connect(endpoint, sibling, options, settings, notices).await?;
        let client = Arc::new(client);
        clients.insert(key, Arc::clone(&client));
        Ok(client)
    }

    /// Waits for `work`, on a thread of its own: the caller's may belong to another runtime.
    fn run<T: Send>(
        &self,
        work: impl Future<Output = Result<T, RegistryError>> + Send,
    ) -> Result<T, RegistryError> {
        let handle = self.handle()?;
        let result = thread::scope(|scope| scope.spawn(|| handle.block_on(work)).join());
        result.unwrap_or_else(|_| Err(RegistryError::thread_lost()))
    }
}
