//! Containers over Docker's API: how they are made, what they print and how they end.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
    WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::docker::api;
use super::run::OUTPUT_MAX;
use super::{Docker, EngineError, RunOptions, RunOutput, State};

fn body(options: &RunOptions, image: &str) -> ContainerCreateBody {
    let network_mode = (!options.network).then(|| "none".to_owned());
    let binds = Some(options.binds.clone());
    let stdin = options.stdin.is_some();
    ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: options.command.clone(),
        entrypoint: options.entrypoint.clone(),
        env: (!options.env.is_empty()).then(|| options.env.clone()),
        user: options.user.clone(),
        working_dir: options.working_dir.clone(),
        // dockerd otherwise starts itself once more to set the namespace up.
        network_disabled: options.bare.then_some(true),
        volumes: (!options.volumes.is_empty()).then(|| options.volumes.clone()),
        attach_stdin: Some(stdin),
        open_stdin: Some(stdin),
        stdin_once: Some(stdin),
        host_config: Some(HostConfig { network_mode, binds, ..HostConfig::default() }),
        ..ContainerCreateBody::default()
    }
}

/// A container. It stays in the engine until it is removed.
#[derive(Clone, Debug)]
pub struct DockerContainer {
    docker: Docker,
    id: String,
}

impl Docker {
    pub(super) async fn create(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<DockerContainer, EngineError> {
        let made =
            self.api().create_container(None::<CreateContainerOptions>, body(options, image)).await;
        let id = made.map_err(api(format!("creating a container of {image}")))?.id;
        Ok(DockerContainer { docker: self.clone(), id })
    }
}

impl DockerContainer {
    /// Its id.
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
                Some((attached.map_err(api("attaching to the container"))?, text))
            }
        };
        let started = engine.start_container(&self.id, None).await;
        started.map_err(|error| api("starting the container")(error).of_start())?;
        if let Some((mut attached, text)) = attached {
            let written = async {
                attached.input.write_all(text.as_bytes()).await?;
                attached.input.shutdown().await
            };
            // A command that ends before it has read everything is fine.
            let _ = written.await;
        }
        Ok(())
    }

    /// Waits for its end, and gives what it printed.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn end(&self) -> Result<RunOutput, EngineError> {
        let mut ends = self.docker.api().wait_container(&self.id, None::<WaitContainerOptions>);
        let code = match ends.next().await {
            Some(Ok(end)) => end.status_code,
            // bollard makes an error of every code but zero.
            Some(Err(bollard::errors::Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return Err(api("waiting for the container")(error)),
            None => {
                return Err(EngineError::Unexpected("the container's end was not told".to_owned()));
            }
        };
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, stdout, stderr })
    }

    /// What it has printed so far: standard output and standard error.
    ///
    /// # Errors
    /// When the engine does not tell, or it is more than [`OUTPUT_MAX`] bytes.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).build();
        let mut logs = self.docker.api().logs(&self.id, Some(options));
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        while let Some(output) = logs.next().await {
            match output.map_err(api("reading the container's output"))? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => {
                    stdout.extend_from_slice(&message)
                }
                LogOutput::StdIn { .. } => {}
            }
            if stdout.len() + stderr.len() > OUTPUT_MAX {
                return Err(EngineError::Output);
            }
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((text(stdout), text(stderr)))
    }

    /// Its state: whether it runs, how it ended, how healthy it is.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn state(&self) -> Result<State, EngineError> {
        let inspected =
            self.docker.api().inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let state = inspected.map_err(api("inspecting the container"))?.state.unwrap_or_default();
        let health = state.health.and_then(|health| health.status).map(|status| status.to_string());
        Ok(State { running: state.running == Some(true), health })
    }

    /// Its address on the engine's network.
    ///
    /// # Errors
    /// When it has none.
    pub async fn address(&self) -> Result<String, EngineError> {
        let inspected =
            self.docker.api().inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let settings = inspected.map_err(api("inspecting the container"))?.network_settings;
        let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = networks
            .into_values()
            .filter_map(|network| network.ip_address)
            .find(|ip| !ip.is_empty());
        address.ok_or_else(|| EngineError::Unexpected("the container has no address".to_owned()))
    }

    /// Asks it to end with the image's stop signal, and kills it where it has not after `grace`.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let stopped = self.docker.api().stop_container(&self.id, Some(options)).await;
        stopped.map_err(api("stopping the container"))
    }

    /// Removes it, killed if need be, and its volumes.
    ///
    /// # Errors
    /// When the engine refuses.
    pub async fn remove(self) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        let removed = self.docker.api().remove_container(&self.id, Some(options)).await;
        removed.map_err(api("removing the container"))
    }
}
