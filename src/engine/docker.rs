//! A client of Docker's API. The API version is negotiated, never fixed.

use std::io;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptionsBuilder,
    TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::EngineError;
use crate::image::platform::Arch;
use crate::image::{DiffId, Platform};

/// A Docker daemon, or another engine with Docker's API.
#[derive(Clone, Debug)]
pub struct Docker {
    pub(super) api: bollard::Docker,
}

/// A version of Docker's API: 1.41 is `ApiVersion(1, 41)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiVersion(pub usize, pub usize);

impl std::str::FromStr for ApiVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self(major.parse()?, minor.parse()?))
    }
}

/// Collects the daemon's output while it loads an image.
async fn load_output(
    messages: impl Stream<Item = Result<BuildInfo, Error>>,
) -> Result<String, EngineError> {
    let mut messages = std::pin::pin!(messages);
    let mut output = String::new();
    while let Some(message) = messages.next().await {
        let message = message.map_err(|error| match error {
            Error::DockerStreamError { error } => EngineError::Load(error),
            Error::DockerResponseServerError { message, .. } => EngineError::Load(message),
            other => api("load the image")(other),
        })?;
        if let Some(error) = message.error_detail {
            return Err(EngineError::Load(error.message.unwrap_or_default()));
        }
        output.push_str(&message.stream.unwrap_or_default());
    }
    Ok(output)
}

/// The timeout of a request in seconds. Loading an image and running a container have their own.
pub(super) const REQUEST_TIMEOUT: u64 = 120;

/// Converts an error of the API into one that says what failed: `action` follows "failed to".
pub(super) fn api(action: impl Into<String>) -> impl FnOnce(Error) -> EngineError {
    let action = action.into();
    move |source| EngineError::Api { action, source }
}

impl Docker {
    /// Returns the client of the [`bollard`] crate that this client uses, for requests that it does
    /// not have itself.
    pub fn api(&self) -> &bollard::Docker {
        &self.api
    }

    /// The API version that the client uses.
    pub fn api_version(&self) -> ApiVersion {
        let version = self.api.client_version();
        ApiVersion(version.major_version, version.minor_version)
    }

    /// Asks the daemon for its API version, and uses the newest that both sides support.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn negotiate_version(self) -> Result<Self, EngineError> {
        let negotiated = self.api.negotiate_version().await;
        Ok(Self { api: negotiated.map_err(self::api("negotiate an API version"))? })
    }

    /// Returns the daemon's answer to a ping: `OK`.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn ping(&self) -> Result<String, EngineError> {
        self.api.ping().await.map_err(self::api("ping the engine"))
    }

    /// Returns the daemon's version.
    ///
    /// # Errors
    /// If the daemon does not answer, or its answer has no version.
    pub async fn version(&self) -> Result<String, EngineError> {
        let version = self.api.version().await.map_err(self::api("read the engine's version"))?;
        version.version.ok_or_else(|| {
            EngineError::Unexpected("the engine did not report its version".to_owned())
        })
    }

    /// Returns the architecture of the daemon's host, if the daemon reports a known one.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn architecture(&self) -> Result<Option<Arch>, EngineError> {
        let version = self.api.version().await.map_err(self::api("read the engine's version"))?;
        let platform = version.arch.and_then(|arch| arch.parse::<Platform>().ok());
        Ok(platform.map(|platform| platform.arch))
    }

    /// Loads the images of an archive while its bytes arrive, and returns the daemon's output.
    ///
    /// # Errors
    /// If the daemon rejects the archive (it may do so in a response with status 200), or takes
    /// longer than `limit`.
    pub async fn load(
        &self,
        archive: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        // The daemon responds only after it has loaded everything.
        let api = self.api.clone().with_timeout(limit.max(Duration::from_secs(REQUEST_TIMEOUT)));
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let output = load_output(api.import_image_stream(options, archive, None));
        let late = |_| EngineError::Timeout { action: "load the image".to_owned(), limit };
        let output = tokio::time::timeout(limit, output).await.map_err(late)??;
        let output = output.trim();
        if output.contains("Loaded image") {
            return Ok(output.to_owned());
        }
        Err(EngineError::Load(format!("the output does not name an image: \"{output}\"")))
    }

    /// Whether an archive must contain all layers, even those that the engine already has. Only
    /// Docker's classic image store accepts an archive without them.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn needs_all_layers(&self) -> Result<bool, EngineError> {
        if self.has_containerd_store().await? {
            return Ok(true);
        }
        self.is_podman().await
    }

    /// Whether the engine is Podman.
    ///
    /// # Errors
    /// If it does not answer.
    pub(super) async fn is_podman(&self) -> Result<bool, EngineError> {
        let version = self.api.version().await.map_err(self::api("read the engine's version"))?;
        Ok(version
            .components
            .iter()
            .flatten()
            .any(|component| component.name.starts_with("Podman")))
    }

    /// Whether the daemon stores images in containerd.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub(crate) async fn has_containerd_store(&self) -> Result<bool, EngineError> {
        let info = self.api.info().await.map_err(self::api("read the engine's configuration"))?;
        let status = info.driver_status.unwrap_or_default();
        Ok(status.iter().flatten().any(|word| word.contains("io.containerd.snapshotter")))
    }

    /// Returns the layers of each image that the daemon has, lowest layer first.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn present_layers(&self) -> Result<Vec<Vec<DiffId>>, EngineError> {
        let options = ListImagesOptionsBuilder::default().all(true).build();
        let images = self.api.list_images(Some(options)).await.map_err(self::api("list images"))?;
        let inspected = futures_util::stream::iter(images)
            .map(|image| async move { self.inspect(&image.id).await.ok() });
        // An image may have been removed since the list was made.
        let found: Vec<ImageInspect> =
            inspected.buffer_unordered(8).filter_map(async |found| found).collect().await;
        let layers = found.into_iter().filter_map(|image| image.root_fs?.layers);
        Ok(layers
            .map(|layers| layers.iter().map_while(|layer| layer.parse().ok().map(DiffId)).collect())
            .collect())
    }

    /// Returns the daemon's description of an image.
    ///
    /// # Errors
    /// If the daemon does not have the image.
    pub async fn inspect(&self, image: &str) -> Result<ImageInspect, EngineError> {
        self.api.inspect_image(image).await.map_err(api(format!("inspect {image}")))
    }

    /// Whether the daemon has `image`.
    ///
    /// # Errors
    /// If the daemon does not answer.
    pub async fn has(&self, image: &str) -> Result<bool, EngineError> {
        match self.api.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
            Err(error) => Err(api(format!("inspect {image}"))(error)),
        }
    }

    /// Writes an archive of `image` to `output`, like `docker save`.
    ///
    /// # Errors
    /// If the daemon does not have the image, or `output` cannot be written.
    pub async fn save(
        &self,
        image: &str,
        output: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), EngineError> {
        let action = format!("save {image}");
        let write_error =
            |error: io::Error| EngineError::Unexpected(format!("failed to {action}: {error}"));
        let mut archive = self.api.export_image(image);
        while let Some(bytes) = archive.next().await {
            let bytes = bytes.map_err(self::api(&action))?;
            output.write_all(&bytes).await.map_err(write_error)?;
        }
        output.flush().await.map_err(write_error)
    }

    /// Gives an image an additional tag.
    ///
    /// # Errors
    /// If the daemon does not have the image, or rejects the tag.
    pub async fn tag(&self, image: &str, name: &str, tag: &str) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::default().repo(name).tag(tag).build();
        self.api.tag_image(image, Some(options)).await.map_err(api(format!("tag {image}")))
    }

    /// Removes a tag, and the image itself with its last tag; not the images without a tag that it
    /// was made from.
    ///
    /// # Errors
    /// If the daemon does not have the image, or a container uses it.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().noprune(true).build();
        let removed = self.api.remove_image(image, Some(options), None).await;
        removed.map(drop).map_err(api(format!("remove {image}")))
    }
}
