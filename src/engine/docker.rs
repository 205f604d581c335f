//! Docker over its API, by bollard. The version of the API is negotiated, never pinned.

use std::path::Path;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig, ImageInspect};
use bollard::query_parameters::{
    CreateContainerOptions, ImportImageOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptions, TagImageOptionsBuilder, WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{EngineError, transport};

/// A Docker daemon.
#[derive(Clone, Debug)]
pub struct Docker {
    api: bollard::Docker,
}

/// A version of the API: 1.41 is `ApiVersion(1, 41)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ApiVersion(pub usize, pub usize);

/// What a container printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunOutput {
    /// The exit code; 128 and a signal's number when that signal ended the command, as shells count.
    pub code: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// The longest that any one answer may take, loads and runs aside.
const ANSWER: u64 = 120;

fn api(doing: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> EngineError {
    let doing = doing.into();
    move |source| EngineError::Api { doing, source }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

impl Docker {
    /// Talks to the daemon behind the loopback port `port` with the keys in `keys`: `ca.pem`, `cert.pem`,
    /// `key.pem`; in the version `spoken` of the API, where that was agreed on before. Nothing is sent yet.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn over_tls(port: u16, keys: &Path, spoken: Option<ApiVersion>) -> Result<Self, EngineError> {
        let transport = transport::over_tls(keys)?;
        let address = format!("https://127.0.0.1:{port}");
        let version = spoken.map(|ApiVersion(major_version, minor_version)| bollard::ClientVersion {
            major_version,
            minor_version,
        });
        let version = version.as_ref().unwrap_or(bollard::API_DEFAULT_VERSION);
        let api = bollard::Docker::connect_with_custom_transport(transport, Some(address), ANSWER, version);
        api.map(|api| Self { api }).map_err(self::api("connecting"))
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
        let api = self.api.negotiate_version().await.map_err(self::api("agreeing on an API version"))?;
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
        version.version.ok_or_else(|| EngineError::Unexpected("GET /version names no version".to_owned()))
    }

    /// Loads the images of an archive as its bytes come, and gives what the daemon said.
    ///
    /// # Errors
    /// When the daemon refuses the archive, also where it says so inside a successful answer.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<String, EngineError> {
        let options = ImportImageOptionsBuilder::default().quiet(true).build();
        let mut answers = self.api.import_image_stream(options, archive, None);
        let mut said = String::new();
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|error| EngineError::Load(error.to_string()))?;
            if let Some(error) = answer.error_detail {
                return Err(EngineError::Load(error.message.unwrap_or_default()));
            }
            said.push_str(&answer.stream.unwrap_or_default());
        }
        if said.contains("Loaded image") {
            return Ok(said.trim().to_owned());
        }
        Err(EngineError::Load(format!("it ended without naming an image; it said {said:?}")))
    }

    /// What the daemon knows of an image.
    ///
    /// # Errors
    /// When it does not have it.
    pub async fn inspect(&self, image: &str) -> Result<ImageInspect, EngineError> {
        self.api.inspect_image(image).await.map_err(api(format!("inspecting {image}")))
    }

    /// Runs `command` in a container of `image`, or the image's own command where `command` is `None`,
    /// without a network, and waits for its end for `limit` at most. The container is removed in any case.
    ///
    /// # Errors
    /// When the container cannot be made or started, or does not end in time.
    pub async fn run(
        &self,
        image: &str,
        command: Option<&[&str]>,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let body = ContainerCreateBody { cmd: command.map(owned), ..ContainerCreateBody::default() };
        self.run_container(image, body, Vec::new(), limit).await
    }

    /// Runs a program of the daemon's host, which must need no libraries, in a container of `image`, as
    /// [`run`](Self::run) does.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_tool(
        &self,
        image: &str,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        // Under its own name, which tells busybox and its like what they are.
        let name = program.rsplit('/').next().unwrap_or(program);
        let place = format!("/.seatrial/{name}");
        let binds = vec![format!("{program}:{place}:ro")];
        let body = ContainerCreateBody {
            entrypoint: Some(vec![place]),
            cmd: Some(owned(arguments)),
            ..ContainerCreateBody::default()
        };
        self.run_container(image, body, binds, limit).await
    }

    async fn run_container(
        &self,
        image: &str,
        mut body: ContainerCreateBody,
        binds: Vec<String>,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        body.image = Some(image.to_owned());
        let network_mode = Some("none".to_owned());
        body.host_config = Some(HostConfig { network_mode, binds: Some(binds), ..HostConfig::default() });
        let made = self.api.create_container(None::<CreateContainerOptions>, body).await;
        let id = made.map_err(api(format!("creating a container of {image}")))?.id;
        let result = match timeout(limit, self.run_created(&id)).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Deadline { doing: format!("running {image}"), limit }),
        };
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.api.remove_container(&id, Some(options)).await;
        let output = result?;
        removed.map_err(api("removing the container"))?;
        Ok(output)
    }

    async fn run_created(&self, id: &str) -> Result<RunOutput, EngineError> {
        self.api.start_container(id, None).await.map_err(api("starting the container"))?;
        let mut ends = self.api.wait_container(id, None::<WaitContainerOptions>);
        let code = match ends.next().await {
            Some(Ok(end)) => end.status_code,
            // bollard makes an error of every code but zero.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(api("waiting for the container")(error)),
            None => return Err(EngineError::Unexpected("the container's end was not told".to_owned())),
        };
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let mut logs = self.api.logs(id, Some(options));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(output) = logs.next().await {
            match output.map_err(api("reading the container's output"))? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    stdout.extend_from_slice(&message)
                }
                LogOutput::StdIn { .. } => {}
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(RunOutput { code, stdout: text(stdout), stderr: text(stderr) })
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
