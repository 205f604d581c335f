//! Attaching documents to an image that was pushed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::artifact::{Artifact, Attachment, EMPTY};
use super::{FinishedImage, Pusher};
use crate::archive::{
    ArchiveError, Image, ImageFormat, Limits, StoredLayer, pair_layers, parse_config,
};
use crate::image::Digest;
use crate::image::manifest::Descriptor;
use crate::registry::body::Body;

impl Pusher {
    /// The image that was written last, to be read.
    pub(crate) fn last_image(&self) -> Result<Image, ArchiveError> {
        let Some(FinishedImage { descriptor, config, layers, .. }) = self.manifests.last() else {
            return Err(ArchiveError::invalid("the image", "it is not complete"));
        };
        let path = PathBuf::from("the pushed image");
        let parsed = parse_config(&path, config)?;
        let stored = layers.iter().map(|(layer, bytes)| StoredLayer {
            name: layer.digest.to_string(),
            bytes: bytes.clone(),
            digest: Some(layer.digest),
            media_type: Some(layer.media_type.clone()),
        });
        let layers = pair_layers(&path, &parsed, stored.collect())?;
        Ok(Image {
            path,
            format: ImageFormat::Registry,
            config: parsed,
            raw_config: config.clone(),
            manifest: Some(descriptor.digest),
            references: Vec::new(),
            layers,
            limits: Limits::default(),
            annotations: BTreeMap::new(),
            index_annotations: BTreeMap::new(),
            other_platforms: Vec::new(),
        })
    }

    /// Attaches `artifact` to the image that was written last.
    pub(crate) fn attach(&mut self, artifact: &Artifact) -> io::Result<()> {
        let Some(image) = self.manifests.last() else { return Err(io::ErrorKind::NotFound.into()) };
        self.attach_to(image.descriptor.clone(), artifact)
    }

    /// Attaches `artifact` to the image with the manifest `subject`.
    pub(super) fn attach_to(&mut self, subject: Descriptor, artifact: &Artifact) -> io::Result<()> {
        self.attachments.push(Attachment::new(artifact, subject)?);
        for content in [EMPTY, &*artifact.content] {
            self.schedule(Digest::of(content), Body::Bytes(content.to_vec().into()))?;
        }
        Ok(())
    }
}
