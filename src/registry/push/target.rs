//! A repository to push to, and what it has already.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::artifact::EMPTY;
use super::report::Pushed;
use crate::archive::oci::{parse_index, parse_manifest};
use crate::image::{Digest, RemoteReference};
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
                Err(error) => return Err(error),
            }
        }
        let mut present = BTreeSet::new();
        if let Some(digest) = current.values().next() {
            // If this fails, every blob is asked for.
            let _ = self.blobs_of(&reference.at(*digest), &mut present, 2).await;
        }
        let destination =
            Arc::new(Destination::new(client, present, Arc::clone(self.known()), dry_run));
        Ok(Target { reference, destination, tags, current })
    }

    /// Adds the blobs of the image or index that `reference` names to `found`.
    async fn blobs_of(
        &self,
        reference: &RemoteReference,
        found: &mut BTreeSet<Digest>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        let document = self.own_document(reference).await?;
        let path = reference.to_string();
        let (path, name) = (path.as_ref(), document.digest.to_string());
        match kind(path, &document)? {
            Kind::Manifest => {
                let manifest = parse_manifest(path, &name, &document.bytes)?;
                found.insert(manifest.config.digest);
                found.extend(manifest.layers.iter().map(|layer| layer.digest));
            }
            Kind::Index if depth > 0 => {
                for entry in parse_index(path, &name, &document.bytes)?.manifests {
                    let next = reference.at(entry.digest);
                    Box::pin(self.blobs_of(&next, found, depth - 1)).await?;
                }
            }
            Kind::Index => {}
        }
        Ok(())
    }
}
