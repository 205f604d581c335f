//! Images in a registry with everything that they consist of, for copying them byte for byte.

use std::path::PathBuf;

use futures_util::{StreamExt, stream};

use super::image::PARALLEL;
use super::kind::{Kind, kind, own_type};
use super::{Registries, RegistryError};
use crate::archive::blob::FileSlice;
use crate::archive::oci::{BlobSource, ImageTree};
use crate::image::manifest::{Descriptor, media_type};
use crate::image::{Platform, RemoteReference};

/// The most blobs that are fetched before they are read.
const PREFETCHED_MAX: usize = 300;

/// A repository as a source of documents and blobs.
struct Repository<'a> {
    registries: &'a Registries,
    reference: &'a RemoteReference,
}

impl Registries {
    /// Reads the image that `reference` names, for all platforms or for `platform`. Layers are
    /// fetched when they are read.
    ///
    /// # Errors
    /// If the registry cannot be reached, denies access, or has no such image; if the image is
    /// invalid or none for `platform`.
    pub(crate) fn tree(
        &self,
        reference: &RemoteReference,
        platform: Option<&Platform>,
    ) -> Result<ImageTree, RegistryError> {
        let path = PathBuf::from(format!("docker://{reference}"));
        let document = self.run(self.document(reference))?;
        let default = match kind(&path, &document)? {
            Kind::Index => media_type::INDEX,
            Kind::Manifest => media_type::MANIFEST,
        };
        let own = own_type(&document.bytes);
        let sent = Some(document.media_type).filter(|sent| sent.contains("vnd."));
        let media_type = own.or(sent).unwrap_or_else(|| default.to_owned());
        let root = Descriptor::new(media_type, document.digest, document.bytes.len() as u64);
        ImageTree::read(&path, root, platform, &Repository { registries: self, reference })
    }

    /// Fetches the blobs of `tree` that are not cached, several at once, so that reading them later
    /// waits for nothing.
    ///
    /// # Errors
    /// If a blob cannot be fetched, does not match its digest, or cannot be cached.
    pub(crate) fn fetch_tree(
        &self,
        reference: &RemoteReference,
        tree: &ImageTree,
    ) -> Result<(), RegistryError> {
        // Each keeps a file open; more are fetched one by one when they are read.
        if tree.blobs.len() > PREFETCHED_MAX {
            return Ok(());
        }
        self.run(async {
            let fetches = tree.blobs.iter().map(|blob| async {
                let fetched = self.blob(reference, &blob.descriptor, &|_| ()).await?;
                blob.bytes.set_fetched(fetched);
                Ok::<_, RegistryError>(())
            });
            let fetches: Vec<_> = fetches.collect();
            let mut results = stream::iter(fetches).buffer_unordered(PARALLEL);
            while let Some(result) = results.next().await {
                result?;
            }
            Ok(())
        })?;
        self.0.prune();
        Ok(())
    }
}

impl BlobSource for Repository<'_> {
    type Error = RegistryError;

    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, RegistryError> {
        let document = self.registries.listed_document(self.reference, descriptor);
        let document = match self.registries.run(document) {
            Ok(document) => document,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(document.bytes))
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Option<FileSlice>, RegistryError> {
        Ok(Some(self.registries.deferred(self.reference, descriptor).bytes))
    }
}
