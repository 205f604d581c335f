//! Fetches documents and blobs: from the cache, from a mirror, or from the registry itself.

use super::download::{self, Document};
use super::error::into_io;
use super::{Registries, RegistryError};
use crate::archive::StoredLayer;
use crate::archive::blob::FileSlice;
use crate::archive::oci::is_foreign;
use crate::image::RemoteReference;
use crate::image::manifest::Descriptor;
use crate::text;

impl Registries {
    /// The manifest or index that `reference` names, from the cache if it names a digest.
    pub(super) async fn document(
        &self,
        reference: &RemoteReference,
    ) -> Result<Document, RegistryError> {
        Ok(self.document_and_host(reference).await?.0)
    }

    /// Like [`document`](Self::document), with the host that answers, or answered before.
    pub(super) async fn document_and_host(
        &self,
        reference: &RemoteReference,
    ) -> Result<(Document, String), RegistryError> {
        if let Some(cached) = self.cached_document(reference) {
            return Ok((cached, reference.host().to_owned()));
        }
        let mut sources = self.sources(reference)?;
        loop {
            let fetched = async {
                let (client, there) = sources.first().await?;
                let name = there.manifest_name();
                let document = download::manifest(&client, &name, there.digest).await?;
                Ok((document, there.host().to_owned()))
            };
            match fetched.await {
                Ok((document, host)) => {
                    self.store().insert(document.digest, &document.bytes);
                    return Ok((document, host));
                }
                Err(error) => sources.skip(error)?,
            }
        }
    }

    /// Like [`document`](Self::document), but not from a mirror.
    pub(super) async fn own_document(
        &self,
        reference: &RemoteReference,
    ) -> Result<Document, RegistryError> {
        if let Some(cached) = self.cached_document(reference) {
            return Ok(cached);
        }
        let client = self.client(reference).await?;
        let name = reference.manifest_name();
        let document = download::manifest(&client, &name, reference.digest).await?;
        self.store().insert(document.digest, &document.bytes);
        Ok(document)
    }

    fn cached_document(&self, reference: &RemoteReference) -> Option<Document> {
        let digest = reference.digest?;
        let bytes = self.store().document(digest)?;
        Some(Document { bytes, digest, media_type: String::new(), etag: None })
    }

    /// A small blob, from the cache if it is there.
    pub(super) async fn blob_document(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        let bytes = match self.store().document(descriptor.digest) {
            Some(bytes) => bytes,
            None => self.fetch_document(reference, descriptor).await?,
        };
        check_size(reference, "config", descriptor, &bytes)?;
        Ok(bytes)
    }

    async fn fetch_document(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> Result<Vec<u8>, RegistryError> {
        let mut sources = self.sources(reference)?;
        loop {
            let fetched = async {
                let (client, _) = sources.first().await?;
                download::document(&client, self.store(), descriptor).await
            };
            match fetched.await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => sources.skip(error)?,
            }
        }
    }

    /// The manifest or index in the repository of `reference` that `descriptor` describes.
    pub(super) async fn listed_document(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> Result<Document, RegistryError> {
        let document = self.document(&reference.at(descriptor.digest)).await?;
        check_size(reference, "manifest", descriptor, &document.bytes)?;
        Ok(document)
    }

    /// A blob, from the cache if it is there.
    pub(super) async fn blob(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<FileSlice, RegistryError> {
        match self.cached_blob(descriptor, progress).await {
            Some(cached) => Ok(cached),
            None => {
                let downloaded = self.downloaded_blob(reference, descriptor, progress).await;
                downloaded.map_err(|error| explain_foreign(reference, descriptor, error))
            }
        }
    }

    /// A blob from the cache, if its bytes match its digest: a damaged one is downloaded again.
    async fn cached_blob(
        &self,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Option<FileSlice> {
        let (registries, digest, size) = (self.clone(), descriptor.digest, descriptor.size);
        let verified = move || registries.store().verified(digest, size);
        let cached = tokio::task::spawn_blocking(verified).await.ok()??;
        progress(size);
        Some(cached)
    }

    /// A blob that is downloaded now; its bytes match its digest.
    async fn downloaded_blob(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<FileSlice, RegistryError> {
        let mut sources = self.sources(reference)?;
        loop {
            let fetched = async {
                let (client, _) = sources.first().await?;
                let blob = download::blob(&client, self.store(), descriptor, progress).await?;
                self.known().add(&client.registry, &client.repository, descriptor.digest);
                Ok(blob)
            };
            match fetched.await {
                Ok(blob) => return Ok(blob),
                Err(error) => sources.skip(error)?,
            }
        }
    }

    /// A layer that is fetched when it is read.
    pub(super) fn deferred(
        &self,
        reference: &RemoteReference,
        descriptor: &Descriptor,
    ) -> StoredLayer {
        let (registries, reference) = (self.clone(), reference.clone());
        let blob = descriptor.clone();
        // To mount the layer from there, if it is pushed to another repository.
        self.known().list(&reference, descriptor.digest);
        let fetch = move || {
            let fetched = registries.run(registries.blob(&reference, &blob, &|_| ()));
            fetched.map_err(into_io)
        };
        StoredLayer {
            name: descriptor.digest.to_string(),
            bytes: FileSlice::deferred(descriptor.size, fetch),
            digest: Some(descriptor.digest),
            media_type: Some(descriptor.media_type.clone()),
        }
    }
}

/// Says what a layer is if the registry lacks it because it is not to be distributed (OCI
/// image-spec, "Non-Distributable Layers").
fn explain_foreign(
    reference: &RemoteReference,
    descriptor: &Descriptor,
    error: RegistryError,
) -> RegistryError {
    if !error.is_not_found() || !is_foreign(descriptor) {
        return error;
    }
    let problem = format!(
        "the registry lacks the layer {} of the media type {}: such layers, as in images for \
         Windows, are only to be fetched from elsewhere, which is not supported",
        descriptor.digest,
        text::quote(&descriptor.media_type)
    );
    RegistryError::invalid(format!("docker://{reference}"), problem)
}

/// Checks that `bytes`, whose digest is correct, have the size in `descriptor`.
fn check_size(
    reference: &RemoteReference,
    what: &str,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<(), RegistryError> {
    let (found, expected) = (bytes.len() as u64, descriptor.size);
    if found == expected {
        return Ok(());
    }
    let problem = format!(
        "the {what} {} has {found} bytes, but {expected} according to its descriptor",
        descriptor.digest
    );
    Err(RegistryError::invalid(format!("docker://{reference}"), problem))
}
