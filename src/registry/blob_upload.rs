//! Uploads of blobs: mounted from another repository, in one request, or in chunks (OCI
//! distribution-spec v1.1, "Pushing blobs").

use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, HeaderName, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::RegistryError;
use super::body::Body;
use super::client::Client;
use super::download::header;
use super::request::Request;
use super::retry;
use super::token::{Access, Scope};
use super::upload::{self, ACCEPTED, check_digest};
use crate::image::Digest;

/// Blobs up to this size are sent in one request, larger ones in chunks of this size: a broken
/// connection costs at most one of them.
const CHUNK: u64 = 16 << 20;
/// How often the progress of an upload is reported.
const REPORT_INTERVAL: Duration = Duration::from_millis(200);
const OCTETS: &str = "application/octet-stream";
/// The smallest chunk that a registry accepts.
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The result of asking a registry to take a blob from another repository.
pub(super) enum Mounted {
    /// The repository has the blob now.
    Yes,
    /// It does not; the registry began an upload instead.
    No(Session),
}

/// An upload that has begun.
pub(super) struct Session {
    location: Url,
    /// The size of chunks.
    chunk: u64,
}

/// Asks for the blob `digest` from the repository `from` of the same registry.
pub(super) async fn mount(
    client: &Client,
    digest: Digest,
    from: &str,
) -> Result<Mounted, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Push).and_pull(from);
    let mut url = client.url("blobs/uploads/")?;
    url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
    let request = Request::new(Method::POST, url, &scope);
    let response = client.send(&request, &[201, 202]).await?;
    match response.status() {
        StatusCode::CREATED => Ok(Mounted::Yes),
        _ => Ok(Mounted::No(Session::new(client, &request, &response)?)),
    }
}

impl Session {
    async fn begin(client: &Client, scope: &Scope) -> Result<Self, RegistryError> {
        let request = Request::new(Method::POST, client.url("blobs/uploads/")?, scope);
        let response = client.send(&request, &[202, 200]).await?;
        Self::new(client, &request, &response)
    }

    fn new(
        client: &Client,
        request: &Request<'_>,
        response: &Response,
    ) -> Result<Self, RegistryError> {
        let minimum = header(response.headers(), CHUNK_MIN).parse().unwrap_or(0);
        let location = client.location(&request.url, response)?;
        Ok(Self { location, chunk: CHUNK.max(minimum) })
    }
}

/// Sends the blob `digest`, in `session` if there is one. A broken upload is resumed where the
/// registry says, or else begun again.
///
/// A large blob is sent in chunks, or in one request if the registry does not take those: GHCR
/// takes chunks of at most 4 MiB, Google's registries take none.
pub(super) async fn blob(
    client: &Client,
    digest: Digest,
    body: &Body,
    session: Option<Session>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), RegistryError> {
    let scope = Scope::of(&client.repository, Access::Push);
    let mut upload = Upload::new(client, &scope, digest, body, progress);
    let mut session = session;
    let mut attempts = client.attempts();
    loop {
        let mut current = match session.take() {
            Some(session) => session,
            None => {
                upload.sent = 0;
                Session::begin(client, &scope).await?
            }
        };
        let (error, pause) = match upload.send(&mut current).await {
            Ok(()) => return Ok(()),
            Err(Failure::Temporary(error, pause)) => (error, pause),
            Err(Failure::Final(error)) => return Err(error),
        };
        attempts.go_on(upload.sent, pause, error).await?;
        session = upload.resumed(current).await;
        if session.is_none() && upload.is_complete && upload.is_stored().await {
            return Ok(());
        }
        if upload.is_chunked && upload.refused_at == Some(0) && session.is_none() {
            (upload.is_chunked, upload.refused_at) = (false, None);
            client.takes_chunks.store(false, Ordering::Relaxed);
        }
    }
}

/// A failed attempt.
enum Failure {
    /// Another attempt may succeed, after a pause if the registry asks for one.
    Temporary(RegistryError, Option<Duration>),
    Final(RegistryError),
}

/// A blob that is being sent.
struct Upload<'a> {
    client: &'a Client,
    scope: &'a Scope,
    digest: Digest,
    body: &'a Body,
    /// The number of bytes that the registry has.
    sent: u64,
    /// Whether chunks are sent, if the blob is larger than one.
    is_chunked: bool,
    /// Where the registry refused to continue.
    refused_at: Option<u64>,
    /// Whether the last request was the one that ends the upload.
    is_complete: bool,
    /// The number of bytes that were reported.
    reported: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> Upload<'a> {
    fn new(
        client: &'a Client,
        scope: &'a Scope,
        digest: Digest,
        body: &'a Body,
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        let is_chunked = client.takes_chunks.load(Ordering::Relaxed);
        Self {
            client,
            scope,
            digest,
            body,
            sent: 0,
            is_chunked,
            refused_at: None,
            is_complete: false,
            reported: 0,
            progress,
        }
    }

    /// Sends the rest of the blob.
    async fn send(&mut self, session: &mut Session) -> Result<(), Failure> {
        self.is_complete = false;
        while self.is_chunked && self.body.len() - self.sent > session.chunk {
            let request = Request::new(Method::PATCH, session.location.clone(), self.scope);
            let request = self.with_part(request, session.chunk, true);
            let response = self.exchange(&request).await?;
            if response.headers().contains_key(LOCATION) {
                let location = self.client.location(&request.url, &response);
                session.location = location.map_err(Failure::Final)?;
            }
            self.sent += session.chunk;
        }
        let rest = self.body.len() - self.sent;
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let request = Request::new(Method::PUT, url, self.scope);
        let request = self.with_part(request, rest, self.sent > 0 && rest > 0);
        self.is_complete = true;
        let response = self.exchange(&request).await?;
        check_digest(self.client, response.headers(), self.digest).map_err(Failure::Final)
    }

    /// Adds the next `size` bytes of the blob to `request`.
    fn with_part(&self, request: Request<'a>, size: u64, has_range: bool) -> Request<'a> {
        let request = request.body(self.body.part(self.sent, size), OCTETS);
        match has_range {
            true => {
                let range = format!("{}-{}", self.sent, self.sent + size - 1);
                request.header(CONTENT_RANGE, &range)
            }
            false => request,
        }
    }

    /// Sends a request with a part of the blob, and reports its progress.
    async fn exchange(&mut self, request: &Request<'_>) -> Result<Response, Failure> {
        let mut sending = pin!(self.client.send_once(request));
        let answer = loop {
            if let Ok(answer) = tokio::time::timeout(REPORT_INTERVAL, &mut sending).await {
                break answer;
            }
            self.report(request.progress.bytes().min(request.body.len()));
        };
        match answer {
            Ok(response) if ACCEPTED.contains(&response.status().as_u16()) => {
                self.report(request.body.len());
                Ok(response)
            }
            Ok(response) => Err(self.refused(request, response).await),
            Err(error) if error.is_interruption() => Err(Failure::Temporary(error, None)),
            Err(error) => Err(Failure::Final(error)),
        }
    }

    /// The failure that an answer other than success is.
    async fn refused(&mut self, request: &Request<'_>, response: Response) -> Failure {
        let (status, pause) = (response.status(), retry::asked_pause(response.headers()));
        let error = self.client.failure(request, response).await;
        if retry::is_temporary(status) {
            return Failure::Temporary(error, pause);
        }
        self.refused_at = Some(self.sent);
        let is_chunk = self.is_chunked && self.body.len() > CHUNK;
        match status.as_u16() {
            // The registry lost the upload, or has another part of it.
            404 | 416 => Failure::Temporary(error, None),
            // It may take the blob in another way.
            400 | 405 | 411 | 413 if is_chunk || self.sent > 0 => Failure::Temporary(error, None),
            _ => Failure::Final(error),
        }
    }

    /// Reports that `bytes` of the present request are sent. What is sent again does not count.
    fn report(&mut self, bytes: u64) {
        let reached = self.sent + bytes;
        if reached > self.reported {
            (self.progress)(reached - self.reported);
            self.reported = reached;
        }
    }

    /// Whether the registry has the whole blob: only its answer may have been lost.
    async fn is_stored(&self) -> bool {
        upload::exists(self.client, self.digest).await.unwrap_or(false)
    }

    /// Asks how much of the blob the registry has. `None` if the upload must begin again.
    async fn resumed(&mut self, session: Session) -> Option<Session> {
        let request = Request::new(Method::GET, session.location.clone(), self.scope);
        let response = self.client.send_once(&request).await.ok()?;
        if response.status() != StatusCode::NO_CONTENT {
            return None;
        }
        let range = header(response.headers(), RANGE);
        let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
        // An upload without a byte has the range 0-0, like one with a single byte.
        let received = if last == 0 { 0 } else { last + 1 };
        // Some registries go on to tell an outdated range (ECR).
        if received > self.body.len() || self.refused_at == Some(received) {
            return None;
        }
        self.sent = received;
        let location = self.client.location(&request.url, &response).unwrap_or(session.location);
        Some(Session { location, ..session })
    }
}
