//! Artifacts that are attached to an image: signatures, bills of materials and others
//! (distribution-spec v1.1, "Listing Referrers").

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde::{Deserialize, Serialize};

use super::client::Client;
use super::download;
use super::request::Request;
use super::store::DOCUMENT_MAX;
use super::token::{Access, Scope};
use super::{Registries, RemoteImage};
use crate::image::Digest;
use crate::image::manifest::media_type;

/// The time limit for listing them: they matter less than the image.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An artifact that is attached to an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Referrer {
    /// The digest of its manifest.
    pub(crate) digest: Digest,
    /// Its type, such as `application/spdx+json`.
    pub(crate) artifact_type: String,
}

/// A list of referrers.
#[derive(Deserialize)]
struct List {
    #[serde(default)]
    manifests: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    digest: String,
    media_type: Option<String>,
    artifact_type: Option<String>,
}

impl Registries {
    /// The artifacts that are attached to `image` or to the index that lists it; `None` if that is
    /// not known, because the image came from the cache or a mirror, or the registry does not list
    /// them soon.
    pub(crate) fn referrers(&self, image: &RemoteImage) -> Option<Vec<Referrer>> {
        let listed = async { Ok(tokio::time::timeout(TIMEOUT, self.list(image)).await.ok()) };
        self.run(listed).ok()??
    }

    async fn list(&self, image: &RemoteImage) -> Option<Vec<Referrer>> {
        let key = (false, image.reference.name());
        let client = Arc::clone(self.0.clients.lock().await.get(&key)?);
        let mut referrers = of_manifest(&client, image.digest).await?;
        if image.manifest_digest != image.digest {
            referrers.extend(of_manifest(&client, image.manifest_digest).await?);
        }
        Some(referrers)
    }
}

/// The artifacts whose subject is the manifest or index `subject`.
async fn of_manifest(client: &Client, subject: Digest) -> Option<Vec<Referrer>> {
    let scope = Scope::of(&client.repository, Access::Pull);
    let url = client.url(&format!("referrers/{subject}")).ok()?;
    let request = Request::new(Method::GET, url, &scope).header(ACCEPT, media_type::INDEX);
    let bytes = match client.receive(&request, DOCUMENT_MAX).await {
        Ok((_, bytes)) => bytes,
        // Registries that do not list them have a tag for the list.
        Err(_) => {
            let tag = format!("sha256-{}", subject.hex());
            match download::existing_manifest(client, &tag).await.ok()? {
                Some(document) => document.bytes,
                None => return Some(Vec::new()),
            }
        }
    };
    let list: List = serde_json::from_slice(&bytes).ok()?;
    let referrer = |entry: Entry| {
        let artifact_type = entry.artifact_type.filter(|kind| !kind.is_empty());
        let artifact_type = artifact_type.or(entry.media_type).unwrap_or_default();
        Some(Referrer { digest: entry.digest.parse().ok()?, artifact_type })
    };
    Some(list.manifests.into_iter().filter_map(referrer).collect())
}
