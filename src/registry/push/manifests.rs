//! Sends what follows the blobs of a push: manifests, what is attached to them, and tags.

use super::report::{MediaTypes, PushReport};
use super::{FinishedImage, Pusher, artifact};
use crate::image::Digest;
use crate::image::manifest::{OciIndex, media_type};
use crate::registry::error::from_io;
use crate::registry::{RegistryError, known, upload};

impl Pusher {
    /// Sends manifests, attachments and tags, in this order; all blobs are there.
    pub(super) fn finish_documents(&self) -> Result<PushReport, RegistryError> {
        let (bytes, media_type) = self.root()?;
        let digest = Digest::of(&bytes);
        if !self.options.dry_run {
            self.registries.run(self.send_manifests(&bytes, media_type, digest))?;
            known::prune();
        }
        let pushed = self.targets.iter().map(|target| target.report(digest)).collect();
        let attached = self.attachments.iter().map(artifact::Attachment::report).collect();
        Ok(PushReport { digest, pushed, attached, dry_run: self.options.dry_run })
    }

    /// The document that tags name: the manifest, or an index of several.
    fn root(&self) -> Result<(Vec<u8>, &'static str), RegistryError> {
        let of_manifest = match self.options.media_types {
            MediaTypes::Oci => media_type::MANIFEST,
            MediaTypes::Docker => media_type::DOCKER_MANIFEST,
        };
        if let [image] = &*self.manifests {
            return Ok((image.manifest.clone(), of_manifest));
        }
        let of_index = match self.options.media_types {
            MediaTypes::Oci => media_type::INDEX,
            MediaTypes::Docker => media_type::DOCKER_LIST,
        };
        let entry = |image: &FinishedImage| (image.descriptor.clone(), image.annotations.clone());
        let mut index = OciIndex::of_images(self.manifests.iter().map(entry).collect());
        if self.options.media_types == MediaTypes::Docker {
            // Docker's documents have no annotations.
            index.annotations.clear();
        }
        index.media_type = Some(of_index.to_owned());
        let bytes = serde_json::to_vec(&index).map_err(|error| from_io(error.into()))?;
        Ok((bytes, of_index))
    }

    async fn send_manifests(
        &self,
        root: &[u8],
        media_type: &str,
        digest: Digest,
    ) -> Result<(), RegistryError> {
        for target in &self.targets {
            let client = &target.destination.client;
            let outdated =
                target.tags.iter().filter(|tag| target.current.get(*tag) != Some(&digest));
            let outdated: Vec<&String> = outdated.collect();
            // A tag sends a single manifest itself, but attachments come before tags.
            let by_digest = self.manifests.len() > 1 || !self.attachments.is_empty();
            if !outdated.is_empty() && by_digest {
                for FinishedImage { descriptor, manifest, .. } in &self.manifests {
                    let name = descriptor.digest.to_string();
                    upload::manifest(client, &name, &descriptor.media_type, manifest).await?;
                }
            }
            for attachment in &self.attachments {
                artifact::send(client, attachment).await?;
            }
            for tag in outdated {
                upload::manifest(client, tag, media_type, root).await?;
            }
        }
        Ok(())
    }
}
