//! Fetches manifests and blobs, and verifies them.

use std::io::{Seek, SeekFrom};

use reqwest::header::{
    ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, RANGE,
};
use reqwest::{Method, Response, StatusCode};

use super::RegistryError;
use super::client::Client;
use super::pace::Pace;
use super::request::Request;
use super::store::{BlobStore, DOCUMENT_MAX, NewBlob};
use super::token::{Access, Scope};
use crate::archive::blob::FileSlice;
use crate::image::Digest;
use crate::image::digest::Hasher;
use crate::image::manifest::{Descriptor, media_type};

/// The header with the digest of a manifest.
pub(super) const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
/// The media types of manifests and indexes.
const ACCEPTED: [&str; 4] =
    [media_type::MANIFEST, media_type::INDEX, media_type::DOCKER_MANIFEST, media_type::DOCKER_LIST];

/// A manifest or index as a registry sent it.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
    pub(super) media_type: String,
    /// The version of the document that its name stands for, if the registry sends it.
    pub(super) etag: Option<String>,
}

/// Fetches the manifest or index `name`: a tag, or `digest`.
pub(super) async fn manifest(
    client: &Client,
    name: &str,
    digest: Option<Digest>,
) -> Result<Document, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Pull);
    let request = manifest_request(client, Method::GET, name, &scope)?;
    let (headers, bytes) = client.receive(&request, DOCUMENT_MAX).await?;
    let media_type = header(&headers, CONTENT_TYPE);
    let announced = header(&headers, DIGEST_HEADER).parse::<Digest>().ok();
    let etag = Some(header(&headers, ETAG)).filter(|etag| !etag.is_empty());
    let found = Digest::of(&bytes);
    if let Some(expected) = digest.or(announced).filter(|expected| *expected != found) {
        let what = format!("the manifest {}/{}:{name}", client.registry, client.repository);
        return Err(RegistryError::Corrupted { what, expected, found });
    }
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_owned();
    Ok(Document { bytes, digest: found, media_type, etag })
}

/// Fetches the manifest or index `name`; `None` if there is no such manifest.
pub(super) async fn existing_manifest(
    client: &Client,
    name: &str,
) -> Result<Option<Document>, RegistryError> {
    match manifest(client, name, None).await {
        Ok(document) => Ok(Some(document)),
        Err(RegistryError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is a manifest or index `name`.
pub(super) async fn manifest_exists(client: &Client, name: &str) -> Result<bool, RegistryError> {
    Ok(manifest_head(client, name).await?.is_some())
}

/// Asks for the digest of the manifest or index `name`; `None` if there is no such manifest. The
/// manifest is fetched if the registry does not tell its digest.
pub(super) async fn manifest_digest(
    client: &Client,
    name: &str,
) -> Result<Option<Digest>, RegistryError> {
    let Some(headers) = manifest_head(client, name).await? else { return Ok(None) };
    match header(&headers, DIGEST_HEADER).parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(_) => Ok(existing_manifest(client, name).await?.map(|document| document.digest)),
    }
}

/// The headers of the manifest or index `name`; `None` if there is no such manifest.
async fn manifest_head(client: &Client, name: &str) -> Result<Option<HeaderMap>, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Pull);
    let request = manifest_request(client, Method::HEAD, name, &scope)?;
    let response = client.send(&request, &[200, 404]).await?;
    Ok((response.status() == StatusCode::OK).then(|| response.headers().clone()))
}

fn manifest_request<'s>(
    client: &Client,
    method: Method,
    name: &str,
    scope: &'s Scope,
) -> Result<Request<'s>, RegistryError> {
    let url = client.url(&format!("manifests/{name}"))?;
    Ok(Request::new(method, url, scope).header(ACCEPT, &ACCEPTED.join(", ")))
}

pub(super) fn header(headers: &HeaderMap, name: HeaderName) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// Fetches a small blob.
pub(super) async fn document(
    client: &Client,
    store: &BlobStore,
    descriptor: &Descriptor,
) -> Result<Vec<u8>, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Pull);
    let url = client.url(&format!("blobs/{}", descriptor.digest))?;
    let request = Request::new(Method::GET, url, &scope);
    let mut attempts = client.attempts();
    loop {
        let (headers, bytes) = client.receive(&request, DOCUMENT_MAX).await?;
        let found = Digest::of(&bytes);
        let Err(error) = check_digest(client, descriptor, found) else {
            store.insert(found, &bytes);
            return Ok(bytes);
        };
        // An answer without a length ends with its connection, which may break.
        if bytes.len() as u64 >= descriptor.size || headers.contains_key(CONTENT_LENGTH) {
            return Err(error);
        }
        attempts.again(error).await?;
    }
}

/// Checks the digest of a blob that was received.
fn check_digest(
    client: &Client,
    descriptor: &Descriptor,
    found: Digest,
) -> Result<(), RegistryError> {
    let expected = descriptor.digest;
    match found == expected {
        true => Ok(()),
        false => {
            let what = blob_name(client, expected);
            Err(RegistryError::Corrupted { what, expected, found })
        }
    }
}

fn blob_name(client: &Client, digest: Digest) -> String {
    format!("the blob {digest} of {}/{}", client.registry, client.repository)
}

/// Fetches a blob into the cache. `progress` is called with the number of bytes of each piece. A
/// broken connection is resumed where it broke.
pub(super) async fn blob(
    client: &Client,
    store: &BlobStore,
    descriptor: &Descriptor,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<FileSlice, RegistryError> {
    let mut download = Download {
        client,
        descriptor,
        blob: store.begin()?,
        hasher: Hasher::default(),
        received: 0,
        arrived: 0,
        is_cut: false,
        progress,
    };
    let mut attempts = client.attempts();
    while let Err(error) = download.receive().await {
        // A registry that went silent before it sent anything stays silent.
        let is_silent = matches!(error, RegistryError::Timeout { .. }) && download.arrived == 0;
        if is_silent || !(download.is_cut || error.is_interruption()) {
            return Err(error);
        }
        if download.received == descriptor.size {
            // Only the end of the answer was lost.
            break;
        }
        attempts.go_on(download.received, None, error).await?;
    }
    check_digest(client, descriptor, download.hasher.finish())?;
    store.finish(download.blob, descriptor.digest)
}

/// A blob that is being fetched.
struct Download<'a> {
    client: &'a Client,
    descriptor: &'a Descriptor,
    blob: NewBlob,
    hasher: Hasher,
    received: u64,
    /// The number of bytes of this attempt.
    arrived: u64,
    /// Whether the answer of this attempt, which had no length, ended early: such an answer ends
    /// with its connection, which may break.
    is_cut: bool,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Download<'_> {
    /// Receives the rest of the blob.
    async fn receive(&mut self) -> Result<(), RegistryError> {
        (self.arrived, self.is_cut) = (0, false);
        let mut response = self.ask().await?;
        let Self { client, descriptor, .. } = *self;
        let has_length = response.headers().contains_key(CONTENT_LENGTH);
        let mut pace = Pace::begin(client.idle);
        while let Some(chunk) = client.chunk(&mut response, &mut pace).await? {
            self.received += chunk.len() as u64;
            self.arrived += chunk.len() as u64;
            if self.received > descriptor.size {
                return Err(self.wrong_size());
            }
            self.hasher.update(&chunk);
            self.blob.write(&chunk, descriptor.digest)?;
            (self.progress)(chunk.len() as u64);
        }
        match self.received == descriptor.size {
            true => Ok(()),
            false => {
                let error = self.wrong_size();
                self.is_cut = !has_length && matches!(error, RegistryError::WrongSize { .. });
                Err(error)
            }
        }
    }

    /// Asks for the rest of the blob, or for all of it if the registry cannot send the rest.
    async fn ask(&mut self) -> Result<Response, RegistryError> {
        let Self { client, descriptor, .. } = *self;
        let scope = Scope::of(&client.repository, Access::Pull);
        let url = client.url(&format!("blobs/{}", descriptor.digest))?;
        let whole = Request::new(Method::GET, url, &scope);
        if self.received == 0 {
            return client.send(&whole, &[200]).await;
        }
        let rest = whole.clone().header(RANGE, &format!("bytes={}-", self.received));
        let response = client.send(&rest, &[200, 206, 416]).await?;
        if continues(&response, self.received) {
            return Ok(response);
        }
        self.restart()?;
        match response.status() {
            StatusCode::OK => Ok(response),
            _ => client.send(&whole, &[200]).await,
        }
    }

    /// The error of a blob that has another length than its descriptor says.
    fn wrong_size(&self) -> RegistryError {
        let Descriptor { digest, size: expected, .. } = *self.descriptor;
        let (what, found) = (blob_name(self.client, digest), self.received);
        if found < expected && self.hasher.clone().finish() == digest {
            let problem =
                format!("it has {found} bytes, but {expected} according to its descriptor");
            return RegistryError::invalid(what, problem);
        }
        RegistryError::WrongSize { what, expected, found }
    }

    /// Forgets what was received: the registry sends the blob from its beginning.
    fn restart(&mut self) -> Result<(), RegistryError> {
        let failed = |source| RegistryError::Cache { what: "a blob".to_owned(), source };
        let mut file = self.blob.file();
        file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).map_err(failed)?;
        (self.hasher, self.received) = (Hasher::default(), 0);
        Ok(())
    }
}

/// Whether `response` has the rest of a blob, from the byte `first` on.
fn continues(response: &Response, first: u64) -> bool {
    let range = header(response.headers(), CONTENT_RANGE);
    let begin = range.trim().strip_prefix("bytes").and_then(|range| range.split_once('-'));
    response.status() == StatusCode::PARTIAL_CONTENT
        && begin.is_some_and(|(begin, _)| begin.trim().parse() == Ok(first))
}
