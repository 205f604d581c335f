//! The container of a step: a command that runs as root with all privileges, and whose changes to
//! the image are read afterwards. Over Docker's API, on an engine with the `overlay2` driver.

use std::io::Write;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptions, DownloadFromContainerOptionsBuilder, InspectContainerOptions,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptions,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};

use super::docker::api;
use super::{Docker, EngineError};

/// The command of a step, and what its container has.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepOptions {
    /// The image.
    pub(crate) image: String,
    /// The program and its arguments.
    pub(crate) args: Vec<String>,
    /// Variables as `NAME=VALUE`.
    pub(crate) env: Vec<String>,
    /// The user, as a number or name.
    pub(crate) user: Option<String>,
    /// The working directory.
    pub(crate) workdir: Option<String>,
    /// Whether the container is on the network of the engine's host.
    pub(crate) network: bool,
}

/// The container of a step. It exists until it is removed.
#[derive(Debug)]
pub(crate) struct StepContainer {
    docker: Docker,
    id: String,
}

impl Docker {
    /// Creates the container of a step.
    pub(crate) async fn create_step(
        &self,
        options: StepOptions,
    ) -> Result<StepContainer, EngineError> {
        let network = if options.network { "host" } else { "none" };
        let host_config = HostConfig {
            network_mode: Some(network.to_owned()),
            privileged: Some(true),
            ..HostConfig::default()
        };
        let (program, arguments) =
            options.args.split_first().map_or((None, &[][..]), |(a, b)| (Some(vec![a.clone()]), b));
        let body = ContainerCreateBody {
            image: Some(options.image),
            entrypoint: program,
            cmd: Some(arguments.to_vec()),
            env: Some(options.env),
            user: options.user,
            working_dir: options.workdir,
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        };
        let created = self.api().create_container(None::<CreateContainerOptions>, body).await;
        let created = created.map_err(api("create the container of a step"));
        let id = created.map_err(EngineError::into_start_error)?.id;
        Ok(StepContainer { docker: self.clone(), id })
    }
}

impl StepContainer {
    /// Unpacks a tar in the container's root.
    pub(crate) async fn upload(
        &self,
        tar: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_try_stream(tar);
        let uploaded = self.docker.api().upload_to_container(&self.id, Some(options), body).await;
        uploaded.map_err(api("copy the inputs of a step"))
    }

    /// Starts the command.
    pub(crate) async fn start(&self) -> Result<(), EngineError> {
        let started = self.docker.api().start_container(&self.id, None).await;
        started.map_err(|error| api("start the step")(error).into_start_error())
    }

    /// Passes the command's output to `each` until the command ends, and returns its exit code.
    pub(crate) async fn wait(&self, mut each: impl FnMut(&[u8])) -> Result<i64, EngineError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).follow(true).build();
        let mut logs = self.docker.api().logs(&self.id, Some(options));
        while let Some(output) = logs.next().await {
            match output.map_err(api("read the output of the step"))? {
                LogOutput::StdErr { message }
                | LogOutput::StdOut { message }
                | LogOutput::Console { message } => each(&message),
                LogOutput::StdIn { .. } => {}
            }
        }
        let mut exits = self.docker.api().wait_container(&self.id, None::<WaitContainerOptions>);
        match exits.next().await {
            Some(Ok(exit)) => Ok(exit.status_code),
            // bollard returns an error for each exit code except 0.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(error)) => Err(api("wait for the step")(error)),
            None => {
                let problem = "the engine did not report the step's exit code";
                Err(EngineError::Unexpected(problem.to_owned()))
            }
        }
    }

    /// The folder on the engine's host with the files that the container changed.
    pub(crate) async fn changes_folder(&self) -> Result<String, EngineError> {
        let options = None::<InspectContainerOptions>;
        let found = self.docker.api().inspect_container(&self.id, options).await;
        let driver = found.map_err(api("inspect the container of a step"))?.graph_driver;
        let folder = driver.and_then(|driver| driver.data.get("UpperDir").cloned());
        folder.ok_or_else(|| {
            EngineError::Unexpected("the engine does not use the overlay2 driver".to_owned())
        })
    }

    /// Writes a tar with the file or folder at `path` in the container to `output`.
    pub(crate) async fn download(
        &self,
        path: &str,
        output: &mut (dyn Write + Send),
    ) -> Result<(), EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let stream = self.docker.api().download_from_container(&self.id, Some(options));
        let mut stream = std::pin::pin!(stream);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(api("read the changes of a step"))?;
            let written = output.write_all(&chunk);
            written.map_err(|error| EngineError::Unexpected(error.to_string()))?;
        }
        Ok(())
    }

    /// Removes the container, and kills it if it runs.
    pub(crate) async fn remove(self) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.docker.api().remove_container(&self.id, Some(options)).await;
        removed.map_err(api("remove the container of a step"))
    }
}
