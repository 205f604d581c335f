//! Containers: how they are made, what they print and how they end.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::models::{ContainerCreateBody, ContainerState, HostConfig};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, StopContainerOptionsBuilder, WaitContainerOptions,
};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::docker::api;
use super::{Docker, EngineError};

/// How a container of an image is run. What is left out is as the image has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The command; in the place of the image's `Cmd`.
    pub command: Option<Vec<String>>,
    /// In the place of the image's `Entrypoint`.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value`, over the image's.
    pub env: Vec<String>,
    /// The user, by number or name.
    pub user: Option<String>,
    /// The working directory.
    pub working_dir: Option<String>,
    /// Whether it has a network: the engine's default one.
    pub network: bool,
    /// Places that get an empty volume of their own.
    pub volumes: Vec<String>,
    /// What of the engine's host is seen in it, as `PLACE:PLACE_IN_IT[:ro]`.
    pub binds: Vec<String>,
    /// What it is given on standard input.
    pub stdin: Option<String>,
}

impl RunOptions {
    /// `command` in the place of the image's.
    pub fn command(command: &[&str]) -> Self {
        Self { command: Some(owned(command)), ..Self::default() }
    }

    /// `program` of the engine's host, which must need no libraries, in the place of the image's own.
    pub fn tool(program: &str, arguments: &[&str]) -> Self {
        // Under its own name, which tells busybox and its like what they are.
        let name = program.rsplit('/').next().unwrap_or(program);
        let place = format!("/.seatrial/{name}");
        Self {
            binds: vec![format!("{program}:{place}:ro")],
            entrypoint: Some(vec![place]),
            command: Some(owned(arguments)),
            ..Self::default()
        }
    }

    fn body(&self, image: &str) -> ContainerCreateBody {
        let network_mode = (!self.network).then(|| "none".to_owned());
        let binds = Some(self.binds.clone());
        let stdin = self.stdin.is_some();
        ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: self.command.clone(),
            entrypoint: self.entrypoint.clone(),
            env: (!self.env.is_empty()).then(|| self.env.clone()),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            volumes: (!self.volumes.is_empty()).then(|| self.volumes.clone()),
            attach_stdin: Some(stdin),
            open_stdin: Some(stdin),
            stdin_once: Some(stdin),
            host_config: Some(HostConfig { network_mode, binds, ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

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

impl RunOutput {
    /// The signal that ended the command, as far as the engine tells: a command that ends by itself with 137 looks as
    /// if it had been killed.
    pub fn signal(&self) -> Option<i64> {
        Some(self.code - 128).filter(|signal| (1..=64).contains(signal))
    }
}

/// A container. It stays in the engine until it is removed.
#[derive(Clone, Debug)]
pub struct Container {
    docker: Docker,
    id: String,
}

impl Docker {
    /// Runs a container of `image` and waits for its end for `limit` at most. The container is removed in any case.
    ///
    /// # Errors
    /// When it cannot be made or started, or does not end in time.
    pub async fn run(
        &self,
        image: &str,
        options: &RunOptions,
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let container = self.create(image, options).await?;
        let run = async {
            container.start(options.stdin.as_deref()).await?;
            container.end().await
        };
        let result = match timeout(limit, run).await {
            Ok(result) => result,
            Err(_) => Err(EngineError::Deadline { doing: format!("running {image}"), limit }),
        };
        let removed = container.remove().await;
        let output = result?;
        removed.map(|()| output)
    }

    /// Makes a container of `image` and starts it.
    ///
    /// # Errors
    /// When it cannot be made or started; nothing of it is left then.
    pub async fn start(&self, image: &str, options: &RunOptions) -> Result<Container, EngineError> {
        let container = self.create(image, options).await?;
        match container.start(options.stdin.as_deref()).await {
            Ok(()) => Ok(container),
            Err(error) => {
                let _ = container.remove().await;
                Err(error)
            }
        }
    }

    async fn create(&self, image: &str, options: &RunOptions) -> Result<Container, EngineError> {
        let made = self.api().create_container(None::<CreateContainerOptions>, options.body(image)).await;
        let id = made.map_err(api(format!("creating a container of {image}")))?.id;
        Ok(Container { docker: self.clone(), id })
    }
}

impl Container {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    async fn start(&self, stdin: Option<&str>) -> Result<(), EngineError> {
        let engine = self.docker.api();
        let attached = match stdin {
            None => None,
            Some(text) => {
                let options = AttachContainerOptionsBuilder::default().stdin(true).stream(true).build();
                let attached = engine.attach_container(&self.id, Some(options)).await;
                Some((attached.map_err(api("attaching to the container"))?, text))
            }
        };
        engine.start_container(&self.id, None).await.map_err(api("starting the container"))?;
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
            None => return Err(EngineError::Unexpected("the container's end was not told".to_owned())),
        };
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, stdout, stderr })
    }

    /// What it has printed so far: standard output and standard error.
    ///
    /// # Errors
    /// When the engine does not tell.
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
        }
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((text(stdout), text(stderr)))
    }

    /// Its state: whether it runs, how it ended, how healthy it is.
    ///
    /// # Errors
    /// When the engine does not tell.
    pub async fn state(&self) -> Result<ContainerState, EngineError> {
        let inspected = self.docker.api().inspect_container(&self.id, None::<InspectContainerOptions>).await;
        Ok(inspected.map_err(api("inspecting the container"))?.state.unwrap_or_default())
    }

    /// Its address on the engine's network.
    ///
    /// # Errors
    /// When it has none.
    pub async fn address(&self) -> Result<String, EngineError> {
        let inspected = self.docker.api().inspect_container(&self.id, None::<InspectContainerOptions>).await;
        let settings = inspected.map_err(api("inspecting the container"))?.network_settings;
        let networks = settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address =
            networks.into_values().filter_map(|network| network.ip_address).find(|ip| !ip.is_empty());
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
