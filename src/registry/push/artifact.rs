//! Documents that are attached to an image: artifacts whose manifest has the image's as its subject
//! (OCI image-spec v1.1, "Guidelines for Artifact Usage"; distribution-spec v1.1, "Referrers").

use std::collections::BTreeMap;

use reqwest::header::HeaderName;
use serde::Serialize;
use serde_json::{Value, json};

use crate::image::Digest;
use crate::image::manifest::{Descriptor, media_type};
use crate::registry::client::Client;
use crate::registry::download::Document;
use crate::registry::error::from_io;
use crate::registry::{RegistryError, download, retry, upload};

/// The config of artifacts that need none (image-spec, "Guidance for an Empty Descriptor").
pub(super) const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
/// The annotation with the creation date.
const CREATED: &str = "org.opencontainers.image.created";
/// The annotation with the name of a file.
const TITLE: &str = "org.opencontainers.image.title";
/// The header by which registries confirm that they list a manifest as a referrer of its subject.
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A document to attach to an image.
pub(crate) struct Artifact {
    /// The type of the document, and of the artifact.
    pub(crate) media_type: &'static str,
    /// The name that the document gets if it is pulled into a folder.
    pub(crate) file_name: String,
    pub(crate) content: Vec<u8>,
    /// The creation date, RFC 3339.
    pub(crate) created: String,
}

/// An artifact that was attached to an image.
#[derive(Clone, Debug, Serialize)]
pub struct Attached {
    /// The digest of the artifact's manifest.
    pub digest: Digest,
    /// The type of the artifact.
    pub artifact_type: String,
    /// The digest of the image's manifest.
    pub subject: Digest,
}

/// An artifact whose manifest is complete.
pub(super) struct Attachment {
    /// The descriptor of the manifest, for lists of referrers.
    descriptor: Descriptor,
    manifest: Vec<u8>,
    /// The digest of the image's manifest.
    pub(super) subject: Digest,
}

impl Attachment {
    /// Attaches `artifact` to the image with the manifest `subject`.
    pub(super) fn new(artifact: &Artifact, subject: Descriptor) -> serde_json::Result<Self> {
        let Artifact { media_type: kind, file_name, content, created } = artifact;
        let title = BTreeMap::from([(TITLE.to_owned(), file_name.clone())]);
        let annotations = BTreeMap::from([(CREATED.to_owned(), created.clone())]);
        let subject = Descriptor { platform: None, annotations: None, ..subject };
        let manifest = serde_json::to_vec(&ArtifactManifest {
            schema_version: 2,
            media_type: media_type::MANIFEST,
            artifact_type: kind,
            config: descriptor(EMPTY_TYPE, EMPTY),
            layers: [Descriptor { annotations: Some(title), ..descriptor(kind, content) }],
            subject: subject.clone(),
            annotations: &annotations,
        })?;
        let descriptor = Descriptor {
            artifact_type: Some((*kind).to_owned()),
            annotations: Some(annotations),
            ..descriptor(media_type::MANIFEST, &manifest)
        };
        Ok(Self { descriptor, manifest, subject: subject.digest })
    }

    pub(super) fn report(&self) -> Attached {
        Attached {
            digest: self.descriptor.digest,
            artifact_type: self.descriptor.artifact_type.clone().unwrap_or_default(),
            subject: self.subject,
        }
    }
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type, Digest::of(bytes), bytes.len() as u64)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactManifest<'a> {
    schema_version: u32,
    media_type: &'a str,
    artifact_type: &'a str,
    config: Descriptor,
    layers: [Descriptor; 1],
    subject: Descriptor,
    annotations: &'a BTreeMap<String, String>,
}

/// Sends the manifest of `attachment`, whose blobs and subject are there already.
pub(super) async fn send(client: &Client, attachment: &Attachment) -> Result<(), RegistryError> {
    let Attachment { descriptor, manifest, subject } = attachment;
    let name = descriptor.digest.to_string();
    let answer = upload::manifest(client, &name, &descriptor.media_type, manifest).await?;
    match answer.contains_key(SUBJECT) {
        true => Ok(()),
        // The registry is older than the list of referrers.
        false => add_to_tag(client, *subject, descriptor).await,
    }
}

/// Adds `entry` to the index with the tag in which clients list the referrers of `subject`, if the
/// registry does not list them itself ("Referrers Tag Schema").
///
/// Others may change the index at the same time: it is read again until it has the entry.
async fn add_to_tag(
    client: &Client,
    subject: Digest,
    entry: &Descriptor,
) -> Result<(), RegistryError> {
    let tag = format!("sha256-{}", subject.hex());
    for attempt in 0..retry::ATTEMPTS {
        let current = download::existing_manifest(client, &tag).await?;
        let Some(index) = with_entry(current.as_ref(), entry)? else { return Ok(()) };
        let etag = current.as_ref().and_then(|document| document.etag.as_deref());
        if !upload::replace_index(client, &tag, &index, etag).await? {
            tokio::time::sleep(retry::pause(attempt, None)).await;
        }
    }
    let problem = format!("others change the index {tag} all the time; push again later");
    Err(client.protocol(problem))
}

/// The index `current`, or a new one, with `entry`; `None` if it has that already.
fn with_entry(
    current: Option<&Document>,
    entry: &Descriptor,
) -> Result<Option<Vec<u8>>, RegistryError> {
    let invalid = |problem: &str| RegistryError::invalid("the index of referrers", problem);
    let empty = || json!({ "schemaVersion": 2, "mediaType": media_type::INDEX, "manifests": [] });
    let mut index = match current {
        // Parts that are not known here stay as they are.
        Some(document) => serde_json::from_slice(&document.bytes)
            .map_err(|error| invalid(&format!("it is not JSON: {error}")))?,
        None => empty(),
    };
    let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
    let manifests = manifests.ok_or_else(|| invalid("it has no manifests"))?;
    let digest = entry.digest.to_string();
    if manifests.iter().any(|manifest| manifest["digest"] == digest) {
        return Ok(None);
    }
    manifests.push(serde_json::to_value(entry).map_err(|error| from_io(error.into()))?);
    serde_json::to_vec(&index).map(Some).map_err(|error| from_io(error.into()))
}
