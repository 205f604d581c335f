//! Containers in pods, created through CRI as a kubelet creates them.

use std::time::Duration;

use tokio::time::sleep;

use super::api::{self, ContainerState};
use super::client::Cri;
use super::kubelet::User;
use super::log;
use super::node::CALL_TIMEOUT;
use super::request::{POD_NAME, container_config, random_name, sandbox_config};
use crate::engine::run::OUTPUT_MAX;
use crate::engine::{EngineError, Exit, OutOfMemory, Pod, RunOptions, RunOutput, State};

/// A container in a pod, which is its own unless it was created in that of another container. It
/// exists until it is removed; so does a pod of its own.
#[derive(Clone, Debug)]
pub struct CriContainer {
    cri: Cri,
    pod: Pod,
    owns_pod: bool,
    id: String,
    log: String,
}

/// The first pause between two queries for a container's exit. Each further pause is twice as long,
/// up to [`POLL_MAX`]: an emulated node is slowed down by more queries.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(300);
/// The most bytes of a log that are read at once.
const LOG_PART_MAX: usize = 4 << 20;
/// The end of the runtime's error for a command that did not end in time, after that time
/// (`internal/cri/server/container_execsync.go`, `execInternal`).
const EXEC_TIMEOUT: &str = "exceeded: context deadline exceeded (DeadlineExceeded)";
/// The name of a container that is alone in its pod.
const CONTAINER_NAME: &str = "container";

impl Cri {
    /// Creates a pod and a container of `image` in it. Does not start the container.
    pub(in crate::engine) async fn create(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<CriContainer, EngineError> {
        let needs_node = "tmpfs, hosts and files need folders on the node";
        let problem = Self::unsupported(options);
        if let Some(problem) = problem.or(options.settings.needs_node().then_some(needs_node)) {
            return Err(EngineError::Unsupported(problem));
        }
        let (found, _) = self.image_status(image).await?;
        let mut user = User::of_image(&found);
        if let Some(text) = &options.user {
            user = user.replaced_by(text);
        }
        let (pod, owns_pod) = match &options.pod {
            Some(pod) => (pod.clone(), false),
            None => (self.create_pod(options).await?, true),
        };
        let name = if owns_pod { CONTAINER_NAME.to_owned() } else { random_name() };
        let request = api::CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(container_config(image, &name, options, user)),
            sandbox_config: Some(sandbox_config(&self.logs, &pod.uid, &pod.hostname, options)),
        };
        match self.call(&format!("create a container of {image}"), request).await {
            Ok(created) => {
                let log = format!("{}/{}/{name}.log", self.logs, pod.uid);
                Ok(CriContainer { cri: self.clone(), pod, owns_pod, id: created.container_id, log })
            }
            Err(error) => {
                if owns_pod {
                    let _ = self.remove_pod(&pod.id).await;
                }
                Err(error.into_start_error())
            }
        }
    }

    /// Creates a pod with a random UID.
    async fn create_pod(&self, options: &RunOptions) -> Result<Pod, EngineError> {
        let uid = random_name();
        let hostname = options.settings.hostname.as_deref().unwrap_or(POD_NAME).to_owned();
        let config = Some(sandbox_config(&self.logs, &uid, &hostname, options));
        let request = api::RunPodSandboxRequest { config, ..Default::default() };
        let id = self.call("create a pod", request).await?.pod_sandbox_id;
        Ok(Pod { id, uid, hostname })
    }

    /// Stops a pod and its containers, and removes them.
    async fn remove_pod(&self, pod: &str) -> Result<(), EngineError> {
        let request = api::StopPodSandboxRequest { pod_sandbox_id: pod.to_owned() };
        self.call("stop the pod", request).await?;
        let request = api::RemovePodSandboxRequest { pod_sandbox_id: pod.to_owned() };
        self.call("remove the pod", request).await?;
        Ok(())
    }
}

impl CriContainer {
    /// The container's ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The container's pod.
    pub fn pod(&self) -> &Pod {
        &self.pod
    }

    pub(in crate::engine) async fn start(&self, stdin: Option<&str>) -> Result<(), EngineError> {
        let request = api::StartContainerRequest { container_id: self.id.clone() };
        let started = self.cri.call("start the container", request).await;
        started.map_err(EngineError::into_start_error)?;
        let Some(text) = stdin else { return Ok(()) };
        match self.cri.write_stdin(&self.id, text).await {
            // A command that has ended does not need its standard input.
            Err(error) if !self.has_exited().await? => Err(error),
            _ => Ok(()),
        }
    }

    async fn has_exited(&self) -> Result<bool, EngineError> {
        Ok(self.status().await?.state() == ContainerState::ContainerExited)
    }

    async fn status(&self) -> Result<api::ContainerStatus, EngineError> {
        let request =
            api::ContainerStatusRequest { container_id: self.id.clone(), ..Default::default() };
        let response = self.cri.call("inspect the container", request).await?;
        let missing = || EngineError::Unexpected("the container has no status".to_owned());
        response.status.ok_or_else(missing)
    }

    /// Waits until the container exits, and returns its exit code.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn wait_for_exit(&self) -> Result<i64, EngineError> {
        Ok(self.exit().await?.code)
    }

    pub(in crate::engine) async fn exit(&self) -> Result<Exit, EngineError> {
        let mut pause = POLL_FIRST;
        loop {
            let status = self.status().await?;
            if status.state() == ContainerState::ContainerExited {
                return Ok(exit(&status));
            }
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    }

    /// Waits until the container exits, and returns its exit code and output.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn wait(&self) -> Result<RunOutput, EngineError> {
        let exit = self.exit().await?;
        self.output_after(exit).await
    }

    pub(in crate::engine) async fn output_after(
        &self,
        Exit { code, out_of_memory, .. }: Exit,
    ) -> Result<RunOutput, EngineError> {
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, out_of_memory, stdout, stderr })
    }

    /// Runs `command` in the running container as the container's user, and returns its exit code
    /// and output. CRI has no other users for commands.
    ///
    /// # Errors
    /// If the command cannot be started, runs longer than `limit`, or prints too much.
    pub async fn exec(
        &self,
        command: &[String],
        limit: Duration,
    ) -> Result<RunOutput, EngineError> {
        let action = "run a command in the container";
        let request = api::ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: command.to_vec(),
            timeout: i64::try_from(limit.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1),
        };
        let time = limit.saturating_add(CALL_TIMEOUT);
        let response = match self.cri.call_within(action, request, time).await {
            Err(EngineError::Cri { problem, answered: true, .. })
                if problem.ends_with(EXEC_TIMEOUT) =>
            {
                // The runtime discards the output.
                let (action, [stdout, stderr]) = (action.to_owned(), [const { String::new() }; 2]);
                return Err(EngineError::StillRunning { action, limit, stdout, stderr });
            }
            response => response.map_err(EngineError::into_start_error)?,
        };
        // The runtime discards the rest.
        if response.stdout.len().max(response.stderr.len()) >= OUTPUT_MAX {
            return Err(EngineError::OutputTooLarge);
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&response.stdout), text(&response.stderr));
        Ok(RunOutput { code: response.exit_code.into(), out_of_memory: None, stdout, stderr })
    }

    /// Returns the container's log from an offset in bytes on, up to `limit` bytes.
    pub(super) async fn log(&self, offset: u64, limit: usize) -> Result<Vec<u8>, EngineError> {
        self.cri.node.log(&self.log, offset, limit).await
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the log cannot be read, or is too long.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        log::read(LOG_PART_MAX, |offset| self.log(offset, LOG_PART_MAX)).await
    }

    /// Returns the container's state. CRI ignores image health checks; a kubelet runs probes of its
    /// own.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn state(&self) -> Result<State, EngineError> {
        let status = self.status().await?;
        let exited = status.state() == ContainerState::ContainerExited;
        let running = status.state() == ContainerState::ContainerRunning;
        Ok(State { running, exit: exited.then(|| exit(&status)), health: None })
    }

    /// Returns the IP address of the container's pod.
    ///
    /// # Errors
    /// If the pod has no address, or if the call fails.
    pub async fn address(&self) -> Result<String, EngineError> {
        let request = api::PodSandboxStatusRequest {
            pod_sandbox_id: self.pod.id.clone(),
            ..Default::default()
        };
        let response = self.cri.call("inspect the pod", request).await?;
        let address = response.status.and_then(|status| status.network).map(|network| network.ip);
        address.filter(|ip| !ip.is_empty()).ok_or(EngineError::NoAddress)
    }

    /// Sends the image's stop signal, and kills the container if it has not exited after `grace`.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        // Rounded up: 0 kills at once.
        let timeout = i64::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let request = api::StopContainerRequest { container_id: self.id.clone(), timeout };
        let limit = grace.saturating_add(CALL_TIMEOUT);
        self.cri.call_within("stop the container", request, limit).await.map(drop)
    }

    /// Removes the container, and its pod if that is its own. A running container is killed.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn remove(self) -> Result<(), EngineError> {
        if self.owns_pod {
            return self.cri.remove_pod(&self.pod.id).await;
        }
        self.stop(Duration::ZERO).await?;
        let request = api::RemoveContainerRequest { container_id: self.id };
        self.cri.call("remove the container", request).await.map(drop)
    }
}

/// Returns how a container exited.
fn exit(status: &api::ContainerStatus) -> Exit {
    let nanoseconds = u64::try_from(status.finished_at.saturating_sub(status.started_at)).ok();
    Exit {
        code: status.exit_code.into(),
        out_of_memory: out_of_memory(status),
        duration: nanoseconds.map(Duration::from_nanos),
    }
}

/// Whether containerd knows that the kernel killed a process because memory was exhausted. It may
/// learn that after the exit.
fn out_of_memory(status: &api::ContainerStatus) -> Option<OutOfMemory> {
    (status.reason == "OOMKilled").then_some(OutOfMemory::Unknown)
}
