//! A repository to push to, and what it has already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::try_join_all;

use super::artifact::EMPTY;
use super::report::Pushed;
use crate::archive::oci::{parse_index, parse_manifest};
use crate::image::{Digest, RemoteReference};
use crate::registry::client::Client;
use crate::registry::kind::{Kind, kind};
use crate::registry::send::Destination;
use crate::registry::{Registries, RegistryError, download, upload};

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
            let found = self.blobs_of(&client, &reference.at(digest), &mut present, 2).await;
            // An image of an index may be lost: a registry's own cleaning may remove those that
            // have no tag. The index and its images are sent again then.
            if matches!(found, Ok(false)) {
                current.retain(|_, other| *other != digest);
            }
        }
        let destination =
            Arc::new(Destination::new(client, present, Arc::clone(self.known()), dry_run));
        Ok(Target { reference, destination, tags, current })
    }

    /// Adds the blobs of the image or index that `reference` names to `found`. Returns whether the
    /// repository has all images of an index.
    async fn blobs_of(
        &self,
        client: &Client,
        reference: &RemoteReference,
        found: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<bool, RegistryError> {
        let document = self.own_document(reference).await?;
        let path = reference.to_string();
        let (path, name) = (path.as_ref(), document.digest.to_string());
        let mut is_complete = true;
        match kind(path, &document)? {
            Kind::Manifest => {
                let manifest = parse_manifest(path, &name, &document.bytes)?;
                found.insert(manifest.config.digest);
                found.extend(manifest.layers.iter().map(|layer| layer.digest));
            }
            Kind::Index if depth > 0 => {
                let entries = parse_index(path, &name, &document.bytes)?.manifests;
                let names: Vec<String> = entries.iter().map(|one| one.digest.to_string()).collect();
                // A cached manifest does not show that the registry has its blobs.
                let asked = names.iter().map(|name| download::manifest_exists(client, name));
                let answers = try_join_all(asked).await?;
                for (entry, exists) in entries.iter().zip(answers) {
                    let next = reference.at(entry.digest);
                    is_complete &=
                        exists && Box::pin(self.blobs_of(client, &next, found, depth - 1)).await?;
                }
            }
            Kind::Index => {}
        }
        Ok(is_complete)
    }
}
