//! A repository to push to, and what it has already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};

use super::artifact::EMPTY;
use super::report::Pushed;
use crate::archive::oci::{parse_index, parse_manifest};
use crate::image::{Digest, RemoteReference};
use crate::registry::client::Client;
use crate::registry::download::{self, Document};
use crate::registry::kind::{Kind, kind};
use crate::registry::send::{ASKED, Destination};
use crate::registry::{Registries, RegistryError, upload};

/// The levels of nested indexes whose images are asked for.
const LEVELS: usize = 2;
/// The most images of an index, with those of nested ones, that are asked for. If there are more,
/// the registry is asked for the blobs that are pushed instead.
const IMAGES_MAX: usize = 300;
/// The size limit of all their manifests in bytes.
const SIZE_MAX: usize = 32 << 20;

/// A repository with the tags to push.
pub(super) struct Target {
    pub(super) reference: RemoteReference,
    pub(super) destination: Arc<Destination>,
    pub(super) tags: Vec<String>,
    /// The digests that these tags have.
    pub(super) current: BTreeMap<String, Digest>,
}

impl Target {
    /// The tags that do not have the digest `digest` yet.
    pub(super) fn outdated(&self, digest: Digest) -> Vec<&String> {
        self.tags.iter().filter(|tag| self.current.get(*tag) != Some(&digest)).collect()
    }

    pub(super) fn report(&self, digest: Digest) -> Pushed {
        let counts = &self.destination.counts;
        Pushed {
            reference: format!("{}@{digest}", self.reference.name()),
            tags: self.tags.clone(),
            sent: counts.sent.load(Ordering::Relaxed),
            sent_bytes: counts.sent_bytes.load(Ordering::Relaxed),
            mounted: counts.mounted.load(Ordering::Relaxed),
            present: counts.present.load(Ordering::Relaxed),
        }
    }
}

impl Registries {
    /// Asks for the images that the tags have now: their blobs need not be asked for.
    pub(super) async fn target(
        &self,
        reference: RemoteReference,
        tags: Vec<String>,
        dry_run: bool,
    ) -> Result<Target, RegistryError> {
        let client = self.client(&reference).await?;
        let mut current = BTreeMap::new();
        for tag in &tags {
            match download::manifest_digest(&client, tag).await {
                Ok(Some(digest)) => drop(current.insert(tag.clone(), digest)),
                Ok(None) => {}
                // Some accounts may push, but not read manifests. Those that may not push either
                // fail here, before anything is built.
                Err(RegistryError::Denied { .. }) => {
                    upload::exists(&client, Digest::of(EMPTY)).await?;
                    break;
                }
                // Some registries and proxies do not answer this question.
                Err(RegistryError::Status { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut present = BTreeSet::new();
        let digests: BTreeSet<Digest> = current.values().copied().collect();
        for digest in digests {
            let found = self.blobs_of(&client, &reference.at(digest), &mut present).await;
            // An image of an index may be lost: a registry's own cleaning may remove those that
            // have no tag. The index and its images are sent again then, as they are if the
            // registry does not say what it has.
            if !found.unwrap_or(false) {
                current.retain(|_, other| *other != digest);
            }
        }
        let destination =
            Arc::new(Destination::new(client, present, Arc::clone(self.known()), dry_run));
        Ok(Target { reference, destination, tags, current })
    }

    /// Adds the blobs of the image or index that `reference` names to `found`. Returns whether the
    /// repository has all images of an index, as far as they are asked for.
    async fn blobs_of(
        &self,
        client: &Client,
        reference: &RemoteReference,
        found: &mut BTreeSet<Digest>,
    ) -> Result<bool, RegistryError> {
        let root = self.own_document(reference).await?;
        let (mut asked, mut size, mut is_complete) = (0, root.bytes.len(), true);
        let mut listed = read(reference, &root, found)?;
        for _ in 0..LEVELS {
            asked += listed.len();
            if asked > IMAGES_MAX {
                return Ok(false);
            }
            let images = listed.iter().map(|digest| self.listed(client, reference.at(*digest)));
            let images: Vec<_> = images.collect();
            let mut answers = stream::iter(images).buffer_unordered(ASKED);
            let mut below = BTreeSet::new();
            while let Some(answer) = answers.next().await {
                let Some(document) = answer? else {
                    is_complete = false;
                    continue;
                };
                size += document.bytes.len();
                if size > SIZE_MAX {
                    return Ok(false);
                }
                // The repository has it, whatever it is.
                below.extend(read(reference, &document, found).unwrap_or_default());
            }
            drop(answers);
            listed = below;
        }
        Ok(is_complete)
    }

    /// The manifest or index `reference` of an index; `None` if the repository does not have it.
    async fn listed(
        &self,
        client: &Client,
        reference: RemoteReference,
    ) -> Result<Option<Document>, RegistryError> {
        // A cached manifest does not show that the registry has its blobs.
        if !download::manifest_exists(client, &reference.manifest_name()).await? {
            return Ok(None);
        }
        self.own_document(&reference).await.map(Some)
    }
}

/// Adds the blobs of a manifest to `found`, or returns what an index lists.
fn read(
    reference: &RemoteReference,
    document: &Document,
    found: &mut BTreeSet<Digest>,
) -> Result<BTreeSet<Digest>, RegistryError> {
    let path = reference.to_string();
    let (path, name) = (path.as_ref(), document.digest.to_string());
    match kind(path, document)? {
        Kind::Manifest => {
            let manifest = parse_manifest(path, &name, &document.bytes)?;
            found.insert(manifest.config.digest);
            found.extend(manifest.layers.iter().map(|layer| layer.digest));
            Ok(BTreeSet::new())
        }
        Kind::Index => {
            let entries = parse_index(path, &name, &document.bytes)?.manifests;
            Ok(entries.iter().map(|entry| entry.digest).collect())
        }
    }
}
