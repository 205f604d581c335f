//! Asks for blobs, and sends manifests (OCI distribution-spec v1.1, "Push").

use reqwest::header::{HeaderMap, IF_MATCH};
use reqwest::{Method, StatusCode};

use super::RegistryError;
use super::body::Body;
use super::client::Client;
use super::download::DIGEST_HEADER;
use super::request::Request;
use super::token::{Access, Scope};
use crate::image::Digest;
use crate::image::manifest::media_type;

/// The statuses of a request that succeeded: registries differ from the specification, and other
/// clients accept that too.
pub(super) const ACCEPTED: [u16; 4] = [200, 201, 202, 204];

/// Whether the repository has the blob `digest`.
pub(super) async fn exists(client: &Client, digest: Digest) -> Result<bool, RegistryError> {
    // The permission to push, so that one token is enough for everything.
    let scope = Scope::of(&client.repository, Access::Push);
    has_blob(client, &client.repository, digest, &scope).await
}

/// Whether the repository `from` of the same registry has the blob `digest`.
pub(super) async fn is_in(
    client: &Client,
    from: &str,
    digest: Digest,
) -> Result<bool, RegistryError> {
    has_blob(client, from, digest, &Scope::of(from, Access::Pull)).await
}

async fn has_blob(
    client: &Client,
    repository: &str,
    digest: Digest,
    scope: &Scope,
) -> Result<bool, RegistryError> {
    let url = client.url_in(repository, &format!("blobs/{digest}"))?;
    let response = client.send(&Request::new(Method::HEAD, url, scope), &[200, 404]).await?;
    Ok(response.status() == StatusCode::OK)
}

/// Checks that the registry computed the same digest.
pub(super) fn check_digest(
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
