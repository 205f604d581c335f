//! Containers over Docker's API: create, start, wait, read the output, remove.

use std::time::Duration;

use bollard::errors::Error::{DockerContainerWaitError, RequestTimeoutError};
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions,
    KillContainerOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder, UploadToContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::docker::{REQUEST_TIMEOUT, api};
use super::inspected::Inspected;
use super::printed::Printed;
use super::settings::FileToCopy;
use super::{Docker, EngineError, Exit, RunOptions, RunOutput, State, network};

fn create_body(options: &RunOptions, image: &str) -> ContainerCreateBody {
    let network_mode = match &options.attachment {
        Some(attachment) => Some(attachment.network.clone()),
        None => (!options.network).then(|| "none".to_owned()),
    };
    let binds = Some(options.binds.clone());
    let stdin = options.stdin.is_some();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: options.command.clone(),
        entrypoint: options.entrypoint.clone(),
        env: (!options.env.is_empty()).then(|| options.env.clone()),
        user: options.user.clone(),
        working_dir: options.working_dir.clone(),
        // Otherwise dockerd starts another process of itself to set up the network namespace.
        network_disabled: options.bare.then_some(true),
        volumes: (!options.volumes.is_empty()).then(|| options.volumes.clone()),
        attach_stdin: Some(stdin),
        open_stdin: Some(stdin),
        stdin_once: Some(stdin),
        tty: options.settings.tty.then_some(true),
        hostname: options.settings.hostname.clone(),
        networking_config: options.attachment.as_ref().map(network::config),
        host_config: Some(HostConfig { network_mode, binds, ..options.settings.host_config() }),
        ..ContainerCreateBody::default()
    }
}

/// A container of an engine with Docker's API. It exists until it is removed.
#[derive(Clone, Debug)]
pub struct DockerContainer {
    pub(super) docker: Docker,
    pub(super) id: String,
}

impl Docker {
    pub(super) async fn create(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<DockerContainer, EngineError> {
        let created = self
            .api()
            .create_container(None::<CreateContainerOptions>, create_body(options, image))
            .await;
        let created = created.map_err(api(format!("create a container of {image}")));
        let id = created.map_err(EngineError::into_start_error)?.id;
        let container = DockerContainer { docker: self.clone(), id };
        match container.copy_into(&options.settings.files).await {
            Ok(()) => Ok(container),
            Err(error) => {
                let _ = container.remove().await;
                Err(error)
            }
        }
    }
}

impl DockerContainer {
    pub(super) fn engine(&self) -> &bollard::Docker {
        self.docker.api()
    }

    /// The container's ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) async fn start(&self, stdin: Option<&str>) -> Result<(), EngineError> {
        let engine = self.docker.api();
        let attached = match stdin {
            None => None,
            Some(text) => {
                let options =
                    AttachContainerOptionsBuilder::default().stdin(true).stream(true).build();
                let attached = engine.attach_container(&self.id, Some(options)).await;
                Some((attached.map_err(api("attach to the container"))?, text.to_owned()))
            }
        };
        let started = engine.start_container(&self.id, None).await;
        started.map_err(|error| api("start the container")(error).into_start_error())?;
        if let Some((mut attached, text)) = attached {
            // Meanwhile, the command is waited for: it may not read its input, or exit before it
            // has read all of it.
            tokio::spawn(async move {
                attached.input.write_all(text.as_bytes()).await?;
                attached.input.shutdown().await
            });
        }
        Ok(())
    }

    /// Writes files into the container, which need not be running.
    ///
    /// # Errors
    /// If a path is not absolute, or the engine rejects the files.
    pub async fn copy_into(&self, files: &[FileToCopy]) -> Result<(), EngineError> {
        if files.is_empty() {
            return Ok(());
        }
        let archive =
            FileToCopy::archive(files).map_err(|error| EngineError::Start(error.to_string()))?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_full(archive.into());
        let uploaded = self.docker.api().upload_to_container(self.id(), Some(options), body);
        let copied = uploaded.await.map_err(api("copy files into the container"));
        copied.map_err(EngineError::into_start_error)
    }

    /// Sends a signal, such as `SIGHUP`, to the container's command.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn signal(&self, signal: &str) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let sent = self.docker.api().kill_container(&self.id, Some(options)).await;
        sent.map_err(api(format!("send {signal} to the container")))
    }

    /// Waits until the container exits, and returns its exit code.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn wait_for_exit(&self) -> Result<i64, EngineError> {
        loop {
            let options = None::<WaitContainerOptions>;
            let mut exits = self.docker.api().wait_container(&self.id, options);
            return match exits.next().await {
                Some(Ok(exit)) => Ok(exit.status_code),
                // bollard returns an error for each exit code except 0.
                Some(Err(DockerContainerWaitError { code, .. })) => Ok(code),
                // The container is running for longer than a request may take.
                Some(Err(RequestTimeoutError)) => continue,
                Some(Err(error)) => Err(api("wait for the container")(error)),
                None => {
                    let problem = "the engine did not report the container's exit code";
                    Err(EngineError::Unexpected(problem.to_owned()))
                }
            };
        }
    }

    pub(super) async fn exit(&self) -> Result<Exit, EngineError> {
        let code = self.wait_for_exit().await?;
        Ok(Exit { code, out_of_memory: None, duration: None })
    }

    /// Waits until the container exits, and returns its exit code and output.
    ///
    /// # Errors
    /// If a request fails, or the output is too long.
    pub async fn wait(&self) -> Result<RunOutput, EngineError> {
        let exit = self.exit().await?;
        self.output_after(exit).await
    }

    pub(super) async fn output_after(
        &self,
        Exit { code, .. }: Exit,
    ) -> Result<RunOutput, EngineError> {
        // Only the container's description says whether memory was exhausted.
        let exit = if code == 0 { None } else { self.state().await?.exit };
        let out_of_memory = exit.and_then(|exit| exit.out_of_memory);
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, out_of_memory, stdout, stderr })
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the request fails, or the output is too long.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let logs = self.docker.api().logs(&self.id, Some(options));
        let mut printed = Printed::default();
        printed.read(logs, "read the container's output").await?;
        Ok(printed.into_text())
    }

    /// Returns the exit code and the output of the last run of the container's health check, if
    /// that did not pass; none otherwise. If it exceeded its timeout, those of the last run before
    /// that failed within its timeout follow, unless the check has passed since.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn failed_health_checks(&self) -> Result<Vec<(i64, String)>, EngineError> {
        let state = self.inspect().await?.state;
        Ok(state.map(|state| state.failed_health_checks()).unwrap_or_default())
    }

    /// Returns the container's current state.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn state(&self) -> Result<State, EngineError> {
        Ok(self.inspect().await?.state.unwrap_or_default().into())
    }

    async fn inspect(&self) -> Result<Inspected, EngineError> {
        let options = None::<InspectContainerOptions>;
        Inspected::parse(self.docker.api().inspect_container(&self.id, options).await)
    }

    /// Returns the container's IP address on the engine's network.
    ///
    /// # Errors
    /// If the container has no address, or the request fails.
    pub async fn address(&self) -> Result<String, EngineError> {
        let settings = self.inspect().await?.network_settings.unwrap_or_default();
        let networks = settings.networks.unwrap_or_default().into_values();
        let mut addresses = networks.filter_map(|network| network.ip_address);
        addresses.find(|ip| !ip.is_empty()).ok_or(EngineError::NoAddress)
    }

    /// Returns the file on the engine's host that is mounted at `/etc/hosts`, if there is one.
    pub(crate) async fn hosts_path(&self) -> Result<Option<String>, EngineError> {
        Ok(self.inspect().await?.hosts_path.filter(|path| !path.is_empty()))
    }

    /// Sends the image's stop signal, and kills the container if it has not exited after `grace`.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        // Rounded up: 0 kills at once.
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        // The engine responds only after the container has exited.
        let limit = grace.saturating_add(Duration::from_secs(REQUEST_TIMEOUT));
        let engine = self.docker.api().clone().with_timeout(limit);
        let stopped = engine.stop_container(&self.id, Some(options)).await;
        stopped.map_err(api("stop the container"))
    }

    /// Removes the container and its volumes. A running container is killed.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn remove(self) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.docker.api().remove_container(&self.id, Some(options)).await;
        removed.map_err(api("remove the container"))
    }
}
