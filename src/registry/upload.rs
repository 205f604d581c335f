//! Sends blobs and manifests (OCI distribution-spec v1.1, "Push").

use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderName, IF_MATCH, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::RegistryError;
use super::body::Body;
use super::client::Client;
use super::download::{DIGEST_HEADER, header};
use super::request::Request;
use super::retry::{self, Attempts};
use super::token::{Access, Scope};
use crate::image::Digest;
use crate::image::manifest::media_type;

/// Blobs up to this size are sent in one request, larger ones in chunks of this size: a broken
/// connection costs at most one of them.
const CHUNK: u64 = 16 << 20;
const OCTETS: &str = "application/octet-stream";
/// The smallest chunk that a registry accepts.
const CHUNK_MIN: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The statuses of a request that succeeded: registries differ from the specification, and other
/// clients accept that too.
const ACCEPTED: [u16; 4] = [200, 201, 202, 204];

/// Whether the repository has the blob `digest`.
pub(super) async fn exists(client: &Client, digest: Digest) -> Result<bool, RegistryError> {
    // The permission to push, so that one token is enough for everything.
    let scope = Scope::of(&client.repository, Access::Push);
    let url = client.url(&format!("blobs/{digest}"))?;
    let response = client.send(&Request::new(Method::HEAD, url, &scope), &[200, 404]).await?;
    Ok(response.status() == StatusCode::OK)
}

/// Whether the repository `from` of the same registry has the blob `digest`.
pub(super) async fn is_in(
    client: &Client,
    from: &str,
    digest: Digest,
) -> Result<bool, RegistryError> {
    let scope = Scope::of(from, Access::Pull);
    let url = client.url_in(from, &format!("blobs/{digest}"))?;
    let response = client.send(&Request::new(Method::HEAD, url, &scope), &[200, 404]).await?;
    Ok(response.status() == StatusCode::OK)
}

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
        let minimum = header(response, CHUNK_MIN).parse().unwrap_or(0);
        let location = client.location(&request.url, response)?;
        Ok(Self { location, chunk: CHUNK.max(minimum) })
    }
}

/// Sends the blob `digest`, in `session` if there is one. A broken upload is resumed where the
/// registry says, or else begun again.
pub(super) async fn blob(
    client: &Client,
    digest: Digest,
    body: &Body,
    session: Option<Session>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), RegistryError> {
    let scope = Scope::of(&client.repository, Access::Push);
    let mut upload = Upload { client, scope: &scope, digest, body, sent: 0, progress };
    let mut session = session;
    let mut attempts = Attempts::default();
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
        let Some(attempt) = attempts.next(upload.sent) else { return Err(error) };
        let status = match error {
            RegistryError::Status { status, .. } => Some(status),
            _ => None,
        };
        client.pause(pause.unwrap_or_else(|| retry::pause(attempt, None)), status).await;
        session = upload.resumed(current).await;
    }
}

/// A failed attempt.
enum Failure {
    /// Another attempt may succeed, after a pause if the registry asks for one.
    Temporary(RegistryError, Option<std::time::Duration>),
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
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Upload<'_> {
    /// Sends the rest of the blob.
    async fn send(&mut self, session: &mut Session) -> Result<(), Failure> {
        while self.body.len() - self.sent > session.chunk {
            let size = session.chunk;
            let range = format!("{}-{}", self.sent, self.sent + size - 1);
            let request = Request::new(Method::PATCH, session.location.clone(), self.scope)
                .body(self.body.part(self.sent, size), OCTETS)
                .header(CONTENT_RANGE, &range);
            let response = self.exchange(&request).await?;
            if response.headers().contains_key(LOCATION) {
                let location = self.client.location(&request.url, &response);
                session.location = location.map_err(Failure::Final)?;
            }
            self.sent += size;
            (self.progress)(size);
        }
        let rest = self.body.len() - self.sent;
        let mut url = session.location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let mut request = Request::new(Method::PUT, url, self.scope)
            .body(self.body.part(self.sent, rest), OCTETS);
        if self.sent > 0 && rest > 0 {
            let range = format!("{}-{}", self.sent, self.sent + rest - 1);
            request = request.header(CONTENT_RANGE, &range);
        }
        let response = self.exchange(&request).await?;
        check_digest(self.client, response.headers(), self.digest).map_err(Failure::Final)?;
        (self.progress)(rest);
        Ok(())
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Response, Failure> {
        match self.client.send_once(request).await {
            Ok(response) if ACCEPTED.contains(&response.status().as_u16()) => Ok(response),
            Ok(response) if retry::is_temporary(response.status()) => {
                let pause = retry::asked_pause(response.headers());
                let error = self.client.failure(request, response).await;
                Err(Failure::Temporary(error, pause))
            }
            Ok(response) => {
                let status = response.status();
                let error = self.client.failure(request, response).await;
                Err(match status {
                    // The registry lost the upload, or has another part of it.
                    StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => {
                        Failure::Temporary(error, None)
                    }
                    _ => Failure::Final(error),
                })
            }
            Err(error @ RegistryError::Unreachable { .. }) => Err(Failure::Temporary(error, None)),
            Err(error) => Err(Failure::Final(error)),
        }
    }

    /// Asks how much of the blob the registry has. `None` if the upload must begin again.
    async fn resumed(&mut self, session: Session) -> Option<Session> {
        let request = Request::new(Method::GET, session.location.clone(), self.scope);
        let response = self.client.send_once(&request).await.ok()?;
        if response.status() != StatusCode::NO_CONTENT {
            return None;
        }
        let range = header(&response, RANGE);
        let last: u64 = range.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
        // An upload without a byte has the range 0-0, like one with a single byte.
        let received = if last == 0 { 0 } else { last + 1 };
        if received > self.body.len() {
            return None;
        }
        self.sent = received;
        let location = self.client.location(&request.url, &response).unwrap_or(session.location);
        Some(Session { location, ..session })
    }
}

/// Checks that the registry computed the same digest.
fn check_digest(
    client: &Client,
    headers: &HeaderMap,
    expected: Digest,
) -> Result<(), RegistryError> {
    let answered = headers.get(DIGEST_HEADER).and_then(|value| value.to_str().ok());
    match answered.map(|text| (text, text.parse::<Digest>())) {
        None => Ok(()),
        Some((_, Ok(found))) if found == expected => Ok(()),
        Some((text, _)) => {
            let problem = format!("it stored {expected} under the digest {text}");
            Err(client.protocol(problem))
        }
    }
}

/// Sends the manifest or index `bytes` under `name`, a tag or its digest. Returns the headers of
/// the answer.
pub(super) async fn manifest(
    client: &Client,
    name: &str,
    media_type: &str,
    bytes: &[u8],
) -> Result<HeaderMap, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Push);
    let request = manifest_request(client, name, media_type, bytes, &scope)?;
    let response = client.send(&request, &ACCEPTED).await?;
    check_digest(client, response.headers(), Digest::of(bytes))?;
    Ok(response.headers().clone())
}

/// Sends the index `bytes` under the tag `name`, in the place of the version `etag` if the registry
/// can tell versions apart. Returns whether that is what `name` still meant.
pub(super) async fn replace_index(
    client: &Client,
    name: &str,
    bytes: &[u8],
    etag: Option<&str>,
) -> Result<bool, RegistryError> {
    let scope = Scope::of(&client.repository, Access::Push);
    let mut request = manifest_request(client, name, media_type::INDEX, bytes, &scope)?;
    // A weak one never matches (RFC 9110, section 13.1.1).
    if let Some(etag) = etag.filter(|etag| !etag.starts_with("W/")) {
        request = request.header(IF_MATCH, etag);
    }
    let expected = [&ACCEPTED[..], &[412]].concat();
    let response = client.send(&request, &expected).await?;
    if response.status() == StatusCode::PRECONDITION_FAILED {
        return Ok(false);
    }
    check_digest(client, response.headers(), Digest::of(bytes))?;
    Ok(true)
}

fn manifest_request<'s>(
    client: &Client,
    name: &str,
    media_type: &str,
    bytes: &[u8],
    scope: &'s Scope,
) -> Result<Request<'s>, RegistryError> {
    let url = client.url(&format!("manifests/{name}"))?;
    let body = Body::Bytes(bytes.to_vec().into());
    Ok(Request::new(Method::PUT, url, scope).body(body, media_type))
}
