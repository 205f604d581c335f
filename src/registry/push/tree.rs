//! Sends images that exist already, byte for byte.

use super::artifact::Artifact;
use super::manifests::Document;
use super::{PushOptions, PushReport};
use crate::archive::oci::{ImageTree, TreeDocument};
use crate::image::RemoteReference;
use crate::image::manifest::Descriptor;
use crate::registry::body::Body;
use crate::registry::error::from_io;
use crate::registry::{Registries, RegistryError};

impl Registries {
    /// Sends `tree` to `references`, each with a tag: only blobs that are not there, then all
    /// manifests, then `artifacts`, which are attached to these manifests, then the tags. `from` is
    /// the repository that the image is in, if it is in one. `progress` is called with the number
    /// of bytes of each piece that is sent.
    ///
    /// # Errors
    /// If the source lacks a part, or a registry does not take one; nothing is tagged then.
    pub(crate) fn push_tree(
        &self,
        tree: ImageTree,
        references: &[RemoteReference],
        artifacts: &[(Descriptor, Artifact)],
        from: Option<&RemoteReference>,
        options: PushOptions,
        progress: impl Fn(u64) + Send + Sync + 'static,
    ) -> Result<PushReport, RegistryError> {
        check_complete(&tree)?;
        let mut pusher = self.pusher(references, options, None, progress)?;
        let ImageTree { root, documents, blobs, .. } = tree;
        for blob in blobs {
            let digest = blob.descriptor.digest;
            if let Some(from) = from {
                // A registry can take a blob from another of its repositories.
                self.known().list(from, digest);
            }
            if let Err(error) = pusher.schedule(digest, Body::File(blob.bytes)) {
                return Err(pusher.take_failure().unwrap_or_else(|| from_io(error)));
            }
        }
        for (subject, artifact) in artifacts {
            if let Err(error) = pusher.attach_to(subject.clone(), artifact) {
                return Err(pusher.take_failure().unwrap_or_else(|| from_io(error)));
            }
        }
        self.run(pusher.finish_jobs())?;
        if !options.dry_run {
            let documents = documents.iter().map(|TreeDocument { descriptor, bytes, .. }| {
                Document { digest: descriptor.digest, media_type: &descriptor.media_type, bytes }
            });
            // The last one is the root.
            let documents: Vec<_> = documents.collect();
            self.run(pusher.send_documents(&documents))?;
            self.known().prune();
            self.0.prune();
        }
        Ok(pusher.report(root.digest, Vec::new()))
    }
}

/// Checks that the source of `tree` has all images that it lists.
fn check_complete(tree: &ImageTree) -> Result<(), RegistryError> {
    let Some(missing) = tree.missing.first() else { return Ok(()) };
    let platform = missing.platform.as_ref().map(|platform| format!(" for {platform}"));
    let problem = format!(
        "the manifest {}{} is missing; select one platform with --platform",
        missing.digest,
        platform.unwrap_or_default()
    );
    Err(RegistryError::invalid(tree.path.display(), problem))
}
