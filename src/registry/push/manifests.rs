//! Sends what follows the blobs of a push: manifests, what is attached to them, and tags.

use std::collections::BTreeMap;

use super::report::{MediaTypes, PushReport};
use super::{FinishedImage, Pusher, artifact};
use crate::image::Digest;
use crate::image::manifest::{OciIndex, media_type};
use crate::registry::client::Client;
use crate::registry::error::from_io;
use crate::registry::{RegistryError, upload};

/// A manifest or index to send.
pub(super) struct Document<'a> {
    pub(super) digest: Digest,
    pub(super) media_type: &'a str,
    pub(super) bytes: &'a [u8],
}

impl Pusher {
    /// Sends manifests, attachments and tags, in this order; all blobs are there.
    pub(super) fn finish_documents(&self) -> Result<PushReport, RegistryError> {
        let (bytes, media_type) = self.root()?;
        let digest = Digest::of(&bytes);
        if !self.options.dry_run {
            let images = self.manifests.iter().map(|image| Document {
                digest: image.descriptor.digest,
                media_type: &image.descriptor.media_type,
                bytes: &image.manifest,
            });
            // A single manifest is the root itself.
            let mut documents: Vec<_> = images.filter(|image| image.digest != digest).collect();
            documents.push(Document { digest, media_type, bytes: &bytes });
            self.registries.run(self.send_documents(&documents))?;
            self.registries.known().prune();
        }
        Ok(self.report(digest, self.notes()))
    }

    /// The result of pushing what has the digest `digest`.
    pub(super) fn report(&self, digest: Digest, notes: Vec<String>) -> PushReport {
        let pushed = self.targets.iter().map(|target| target.report(digest)).collect();
        let attached = self.attachments.iter().map(artifact::Attachment::report).collect();
        PushReport { digest, pushed, attached, notes, dry_run: self.options.dry_run }
    }

    /// Notes about what was left out.
    fn notes(&self) -> Vec<String> {
        let is_single = self.manifests.len() == 1;
        let of_index = self.index_annotations.iter().any(|annotations| !annotations.is_empty());
        let mut notes = Vec::new();
        if self.options.media_types == MediaTypes::Docker {
            if of_index || self.left_out_annotations {
                let note = "left out the annotations: Docker's media types have no place for \
                            them; use --media-types oci";
                notes.push(note.to_owned());
            }
        } else if is_single && of_index {
            let note = "left out the annotations of the index: one image is pushed without an \
                        index";
            notes.push(note.to_owned());
        }
        notes
    }

    /// Sets the annotations of the index of several images.
    pub(crate) fn annotate_index(&mut self, annotations: BTreeMap<String, String>) {
        self.index_annotations = Some(annotations);
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
        if let Some(annotations) = &self.index_annotations {
            index.annotations.clone_from(annotations);
        }
        if self.options.media_types == MediaTypes::Docker {
            // Docker's documents have no annotations.
            index.annotations.clear();
        }
        index.media_type = Some(of_index.to_owned());
        let bytes = serde_json::to_vec(&index).map_err(|error| from_io(error.into()))?;
        Ok((bytes, of_index))
    }

    /// Sends `documents` to every target by digest, then the attachments; all blobs are there. When
    /// all targets have them, the tags are set, which name the last document.
    ///
    /// If a registry has lost a blob that it seemed to have, that is sent, and everything again.
    pub(super) async fn send_documents(
        &self,
        documents: &[Document<'_>],
    ) -> Result<(), RegistryError> {
        match self.send_documents_once(documents).await {
            Err(error) if error.is_blob_unknown() => {
                for target in &self.targets {
                    target.destination.send_lost(&*self.progress).await?;
                }
                self.send_documents_once(documents).await
            }
            result => result,
        }
    }

    async fn send_documents_once(&self, documents: &[Document<'_>]) -> Result<(), RegistryError> {
        let Some((root, others)) = documents.split_last() else { return Ok(()) };
        let outdated: Vec<(&Client, Vec<&String>)> = self
            .targets
            .iter()
            .map(|target| (&*target.destination.client, target.outdated(root.digest)))
            .collect();
        let count: usize = outdated.iter().map(|(_, tags)| tags.len()).sum();
        // A single tag sends the root itself, unless something is attached to the root before.
        let is_subject = self.attachments.iter().any(|one| one.subject == root.digest);
        let root_first = (count > 1 || is_subject).then_some(root);
        for (client, tags) in &outdated {
            if !tags.is_empty() {
                for Document { digest, media_type, bytes } in others.iter().chain(root_first) {
                    upload::manifest(client, &digest.to_string(), media_type, bytes).await?;
                }
            }
            for attachment in &self.attachments {
                artifact::send(client, attachment).await?;
            }
        }
        for (client, tags) in outdated {
            for tag in tags {
                upload::manifest(client, tag, root.media_type, root.bytes).await?;
            }
        }
        Ok(())
    }
}
