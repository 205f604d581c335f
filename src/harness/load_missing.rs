//! Loads an image into an engine that may have some of its layers.

use super::daemon::Daemon;
use super::error::HarnessError;
use super::load::DEFAULT_REFERENCE;
use super::loaded_image::LoadedImage;
use crate::archive::{Image, docker};
use crate::engine::EngineError;
use crate::engine::stream::Sender;
use crate::image::reference::ReferenceError;
use crate::image::{DiffId, Reference};
use crate::load::present::common_layers;

/// The name of images that are only in snapshots. The images of trials have other names, so that an
/// engine that does not load one of them has no image of its name.
const SNAPSHOT_NAME: &str = "seatrial.invalid/snapshot";

/// Whether the engine has an image under this name for snapshots alone.
pub(crate) fn is_name_in_snapshots(tag: &str) -> bool {
    tag.starts_with(SNAPSHOT_NAME)
}

impl Daemon {
    /// Whether the engine loads an archive without the content of layers that it already has.
    /// Docker with the containerd image store does, but gives the image another ID: the digest of a
    /// manifest that it writes itself, with the digests of the layers' files.
    ///
    /// # Errors
    /// If the engine does not answer.
    pub(crate) async fn accepts_missing_layers(&self) -> Result<bool, HarnessError> {
        match self.docker() {
            Some(docker) => Ok(!docker.has_containerd_store().await?),
            None => Ok(true),
        }
    }

    /// Loads an image under another name, without its lowest `present` layers, which the engine
    /// has.
    ///
    /// # Errors
    /// If a layer cannot be read, or the engine rejects the image.
    pub(crate) async fn load_for_snapshot(
        &self,
        image: &Image,
        sizes: &[u64],
        present: usize,
    ) -> Result<(), HarnessError> {
        let name = format!("{SNAPSHOT_NAME}:{}", image.id().hex());
        let invalid = |error: ReferenceError| EngineError::Unexpected(error.to_string());
        let reference = name.parse::<Reference>().map_err(invalid)?;
        self.load_others(image, sizes, reference, present).await
    }

    /// Loads an image without its lowest `present` layers.
    async fn load_others(
        &self,
        image: &Image,
        sizes: &[u64],
        reference: Reference,
        present: usize,
    ) -> Result<(), HarnessError> {
        let (image, sizes) = (image.clone(), sizes.to_vec());
        let size = sizes.iter().skip(present).sum();
        // Docker does not even look for the files of layers that it has. The others read them
        // before they find out that they have the layers.
        let repack = match self.vm().family().name.as_str() {
            "docker" => docker::repack,
            _ => docker::repack_with_empty_layers,
        };
        let write = move |sender: &mut Sender| -> Result<(), HarnessError> {
            repack(&image, &sizes, &reference, present, sender)?;
            Ok(())
        };
        self.load(size, write).await
    }

    /// Loads an image without the layers that the engine has, and returns it with the number of
    /// these layers. Returns `None` if the engine has none of them, needs all of them in an
    /// archive, or has another image afterwards. `sizes` are the uncompressed sizes of the layers.
    /// `present` is the number of the lowest layers that the engine has and need not get, if that
    /// is known.
    ///
    /// # Errors
    /// If a request fails, or a layer cannot be read.
    pub(crate) async fn load_missing_layers(
        &self,
        image: &Image,
        sizes: &[u64],
        present: Option<usize>,
    ) -> Result<Option<(LoadedImage<'_>, usize)>, HarnessError> {
        let name = image.references.first().map_or(DEFAULT_REFERENCE, String::as_str);
        let Ok(reference) = name.parse::<Reference>() else { return Ok(None) };
        let present = match (present, self.docker()) {
            (Some(present), _) => present,
            (None, Some(docker)) if self.accepts_missing_layers().await? => {
                let diff_ids: Vec<DiffId> =
                    image.layers.iter().map(|layer| layer.diff_id).collect();
                common_layers(&diff_ids, &docker.present_layers().await?)
            }
            (None, _) => 0,
        };
        if present == 0 {
            return Ok(None);
        }
        let (id, name) = (image.id(), reference.to_string());
        match self.load_others(image, sizes, reference, present).await {
            Ok(()) => {}
            Err(HarnessError::Engine(EngineError::Load(_))) => return Ok(None),
            Err(error) => return Err(error),
        }
        let loaded = self.loaded_image(name, Some(id)).await?;
        let found = loaded.inspect().await?.id;
        Ok((found == id.to_string()).then_some((loaded, present)))
    }
}
