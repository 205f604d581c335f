//! Docker over its API, by bollard. The version of the API is negotiated, never pinned.

use std::path::Path;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{BuildInfo, ImageInspect};
use bollard::query_parameters::{
    ImportImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{EngineError, transport};
use crate::image::platform::Arch;
use crate::image::{DiffId, Platform};

/// A Docker daemon.
#[derive(Clone, Debug)]
pub struct Docker {
    api: bollard::Docker,
}

/// A version of the API: 1.41 is `ApiVersion(1, 41)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiVersion(pub usize, pub usize);

impl std::str::FromStr for ApiVersion {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self(major.parse()?, minor.parse()?))
    }
}

/// All that a daemon says while it loads.
async fn said_of_load(
    answers: impl Stream<Item = Result<BuildInfo, Error>>,
) -> Result<String, EngineError> {
    let mut answers = std::pin::pin!(answers);
    let mut said = String::new();
    while let Some(answer) = answers.next().await {
        let answer = answer.map_err(|error| match error {
            Error::DockerStreamError { error } => EngineError::Load(error),
            Error::DockerResponseServerError { message, .. } => EngineError::Load(message),
            other => api("loading the image")(other),
        })?;
        if let Some(error) = answer.error_detail {
            return Err(EngineError::Load(error.message.unwrap_or_default()));
        }
        said.push_str(&answer.stream.unwrap_or_default());
    }
    Ok(said)
}

/// The longest that any one answer may take, loads and runs aside.
const ANSWER: u64 = 120;

pub(super) fn api(doing: impl Into<String>) -> impl FnOnce(Error) -> EngineError {
    let doing = doing.into();
    move |source| EngineError::Api { doing, source }
}

impl Docker {
    /// Talks to the daemon behind the loopback port `port` with the keys in `keys`: `ca.pem`, `cert.pem`,
    /// `key.pem`; in the newest version of the API that both sides know, where it is known that the daemon's newest is
    /// `newest`. Nothing is sent yet.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn over_tls(
        port: u16,
        keys: &Path,
        newest: Option<ApiVersion>,
    ) -> Result<Self, EngineError> {
        let transport = transport::over_tls(keys)?;
        let address = format!("https://127.0.0.1:{port}");
        let ours = bollard::API_DEFAULT_VERSION;
        let spoken = newest.unwrap_or(ApiVersion(usize::MAX, 0));
        let ApiVersion(major_version, minor_version) =
            spoken.min(ApiVersion(ours.major_version, ours.minor_version));
        let version = &bollard::ClientVersion { major_version, minor_version };
        let api = bollard::Docker::connect_with_custom_transport(
            transport,
            Some(address),
            ANSWER,
            version,
        );
        api.map(|api| Self { api }).map_err(self::api("connecting"))
    }

    /// Talks to the daemon at `host`, as the `docker` program writes it: `unix:///run/docker.sock` or `tcp://HOST:PORT`; over
    /// TLS with the keys in `keys`, where there are any. Nothing is sent yet.
    ///
    /// # Errors
    /// When `host` cannot be used, or the keys cannot be read.
    pub fn at(host: &str, keys: Option<&Path>) -> Result<Self, EngineError> {
        let version = bollard::API_DEFAULT_VERSION;
        let api = match (host.split_once("://"), keys) {
            (Some(("unix", path)), _) => bollard::Docker::connect_with_unix(path, ANSWER, version),
            (Some(("tcp" | "https", place)), Some(keys)) => {
                let (transport, address) = (transport::over_tls(keys)?, format!("https://{place}"));
                bollard::Docker::connect_with_custom_transport(
                    transport,
                    Some(address),
                    ANSWER,
                    version,
                )
            }
            (Some(("tcp" | "http", place)), None) => {
                bollard::Docker::connect_with_http(&format!("http://{place}"), ANSWER, version)
            }
            _ => {
                return Err(EngineError::Host(host.to_owned()));
            }
        };
        api.map(|api| Self { api }).map_err(self::api(format!("connecting to {host}")))
    }

    pub(super) fn api(&self) -> &bollard::Docker {
        &self.api
    }

    /// The version of the API that is spoken.
    pub fn api_version(&self) -> ApiVersion {
        let version = self.api.client_version();
        ApiVersion(version.major_version, version.minor_version)
    }

    /// The same daemon in the newest version of the API that both sides know.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub async fn negotiated(self) -> Result<Self, EngineError> {
        let api =
            self.api.negotiate_version().await.map_err(self::api("agreeing on an API version"))?;
        Ok(Self { api })
    }

    /// Whether the daemon answers a ping with `OK`.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn ping(&self) -> Result<String, EngineError> {
        self.api.ping().await.map_err(self::api("GET /_ping"))
    }

    /// The daemon's version.
    ///
    /// # Errors
    /// When it does not answer, or without a version.
    pub async fn version(&self) -> Result<String, EngineError> {
        let version = self.api.version().await.map_err(self::api("GET /version"))?;
        version
            .version
            .ok_or_else(|| EngineError::Unexpected("GET /version names no version".to_owned()))
    }

    /// The architecture of the machine that it runs on, where it tells one that is known.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn architecture(&self) -> Result<Option<Arch>, EngineError> {
        let version = self.api.version().await.map_err(self::api("GET /version"))?;
        let platform = version.arch.and_then(|arch| arch.parse::<Platform>().ok());
        Ok(platform.map(|platform| platform.arch))
    }

    /// Loads the images of an archive as its bytes come, within `limit`, and gives what the daemon said.
    ///
    /// # Errors
    /// When the daemon refuses the archive, also where it says so inside a successful answer, or is not done in time.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        // The daemon answers once it has loaded everything; the limit of other answers is not for that.
        let patient = self.api.clone().with_timeout(limit.max(Duration::from_secs(ANSWER)));
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let said = said_of_load(patient.import_image_stream(options, archive, None));
        let deadline = |_| EngineError::Deadline { doing: "loading the image".to_owned(), limit };
        let said = tokio::time::timeout(limit, said).await.map_err(deadline)??;
        if said.contains("Loaded image") {
            return Ok(said.trim().to_owned());
        }
        Err(EngineError::Load(format!("it ended without naming an image; it said {said:?}")))
    }

    /// Whether the daemon takes no layer for held when it loads an archive: every store but Docker's classic one.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn wants_every_blob(&self) -> Result<bool, EngineError> {
        let info = self.api.info().await.map_err(self::api("GET /info"))?;
        let status = info.driver_status.unwrap_or_default();
        if status.iter().flatten().any(|word| word.contains("io.containerd.snapshotter")) {
            return Ok(true);
        }
        let version = self.api.version().await.map_err(self::api("GET /version"))?;
        Ok(version
            .components
            .iter()
            .flatten()
            .any(|component| component.name.starts_with("Podman")))
    }

    /// The layers of every image that the daemon has, lowest first.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn held_layers(&self) -> Result<Vec<Vec<DiffId>>, EngineError> {
        let options = ListImagesOptionsBuilder::default().all(true).build();
        let images =
            self.api.list_images(Some(options)).await.map_err(self::api("listing images"))?;
        let asked = futures_util::stream::iter(images)
            .map(|image| async move { self.inspect(&image.id).await.ok() });
        // One that was removed meanwhile holds nothing.
        let found: Vec<ImageInspect> =
            asked.buffer_unordered(8).filter_map(async |found| found).collect().await;
        let layers = found.into_iter().filter_map(|image| image.root_fs?.layers);
        Ok(layers
            .map(|layers| layers.iter().map_while(|layer| layer.parse().ok().map(DiffId)).collect())
            .collect())
    }

    /// What the daemon knows of an image.
    ///
    /// # Errors
    /// When it does not have it.
    pub async fn inspect(&self, image: &str) -> Result<ImageInspect, EngineError> {
        self.api.inspect_image(image).await.map_err(api(format!("inspecting {image}")))
    }

    /// Writes an archive of `image` to `output`, as `docker save` does.
    ///
    /// # Errors
    /// When the daemon does not have it, or `output` cannot be written.
    pub async fn save(
        &self,
        image: &str,
        output: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(), EngineError> {
        let doing = || format!("saving {image}");
        let mut archive = self.api.export_image(image);
        while let Some(bytes) = archive.next().await {
            let bytes = bytes.map_err(self::api(doing()))?;
            output
                .write_all(&bytes)
                .await
                .map_err(|e| EngineError::Unexpected(format!("{}: {e}", doing())))?;
        }
        output.flush().await.map_err(|e| EngineError::Unexpected(format!("{}: {e}", doing())))
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// When the daemon does not have it, or refuses the name.
    pub async fn tag(&self, image: &str, name: &str, tag: &str) -> Result<(), EngineError> {
        let options = TagImageOptionsBuilder::default().repo(name).tag(tag).build();
        self.api.tag_image(image, Some(options)).await.map_err(api(format!("tagging {image}")))
    }

    /// Removes an image's name, and the image with its last one.
    ///
    /// # Errors
    /// When the daemon does not have it, or a container uses it.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        let removed = self.api.remove_image(image, None::<RemoveImageOptions>, None).await;
        removed.map(drop).map_err(api(format!("removing {image}")))
    }
}
