//! A container in a pod of its own, as a kubelet makes both.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::sleep;

use super::{Cri, spec, wire};
use crate::engine::{EngineError, RunOptions, RunOutput, State};

/// A container, alone in its pod. Both stay until they are removed.
#[derive(Clone, Debug)]
pub struct CriContainer {
    cri: Cri,
    pod: String,
    id: String,
    log: String,
}

/// The states of a container (`ContainerState`).
const RUNNING: i32 = 1;
const EXITED: i32 = 2;
/// How often an end is asked after: soon at first, then as often as an emulated node can bear.
const SOON: Duration = Duration::from_millis(20);
const LATER: Duration = Duration::from_millis(300);
/// Where a kubelet has what pods print.
const LOGS: &str = "/var/log/pods";
/// What is printed, in the pod's folder.
const LOG: &str = "container.log";

impl Cri {
    /// Makes a pod and in it a container of `image`, which it does not start.
    pub(in crate::engine) async fn create(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<CriContainer, EngineError> {
        if let Some(lacking) = Self::lacks(options) {
            return Err(EngineError::Unexpected(lacking.to_owned()));
        }
        let config = sandbox(options);
        let log = format!("{}/{LOG}", config.log_directory);
        let question = wire::RunPodSandboxRequest { config: Some(config.clone()) };
        let pod: wire::RunPodSandboxResponse =
            self.call("making a pod", "/runtime.v1.RuntimeService/RunPodSandbox", question).await?;
        let pod = pod.pod_sandbox_id;
        let question = wire::CreateContainerRequest {
            pod_sandbox_id: pod.clone(),
            config: Some(container(image, options)),
            sandbox_config: Some(config),
        };
        let doing = format!("creating a container of {image}");
        let made = self.call(&doing, "/runtime.v1.RuntimeService/CreateContainer", question).await;
        match made {
            Ok(wire::CreateContainerResponse { container_id }) => {
                Ok(CriContainer { cri: self.clone(), pod, id: container_id, log })
            }
            Err(error) => {
                let _ = self.remove_pod(&pod).await;
                Err(error)
            }
        }
    }

    async fn remove_pod(&self, pod: &str) -> Result<(), EngineError> {
        let question = || wire::PodSandboxRequest { pod_sandbox_id: pod.to_owned() };
        let stop = "/runtime.v1.RuntimeService/StopPodSandbox";
        let wire::Empty {} = self.call("stopping the pod", stop, question()).await?;
        let remove = "/runtime.v1.RuntimeService/RemovePodSandbox";
        self.call("removing the pod", remove, question()).await.map(|wire::Empty {}| ())
    }
}

/// A pod like no other.
fn sandbox(options: &RunOptions) -> wire::PodSandboxConfig {
    let namespace_options = options.bare.then_some(wire::NamespaceOption { network: 2 });
    let security_context = Some(wire::LinuxSandboxSecurityContext { namespace_options });
    let uid = format!("{:016x}", RandomState::new().build_hasher().finish());
    wire::PodSandboxConfig {
        // With the node's network it has the node's name.
        hostname: if options.bare { String::new() } else { "seatrial".to_owned() },
        log_directory: format!("{LOGS}/{uid}"),
        metadata: Some(wire::PodSandboxMetadata {
            name: format!("pod-{uid}"),
            namespace: "seatrial".to_owned(),
            uid,
            attempt: 0,
        }),
        linux: Some(wire::LinuxPodSandboxConfig { security_context }),
    }
}

fn container(image: &str, options: &RunOptions) -> wire::ContainerConfig {
    let envs = options.env.iter().filter_map(|entry| entry.split_once('='));
    let mounts = options.binds.iter().filter_map(|bind| {
        let mut parts = bind.split(':');
        let (host_path, container_path) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(wire::Mount { container_path, host_path, readonly: parts.next() == Some("ro") })
    });
    wire::ContainerConfig {
        metadata: Some(wire::ContainerMetadata { name: "container".to_owned(), attempt: 0 }),
        image: spec(image),
        command: options.entrypoint.clone().unwrap_or_default(),
        args: options.command.clone().unwrap_or_default(),
        working_dir: options.working_dir.clone().unwrap_or_default(),
        envs: envs
            .map(|(key, value)| wire::KeyValue { key: key.to_owned(), value: value.to_owned() })
            .collect(),
        mounts: mounts.collect(),
        log_path: LOG.to_owned(),
        linux: options
            .user
            .as_deref()
            .map(|user| wire::LinuxContainerConfig { security_context: Some(user_of(user)) }),
    }
}

/// `USER[:GROUP]`, the user by number or name.
fn user_of(user: &str) -> wire::LinuxContainerSecurityContext {
    let (user, group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let number = |text: &str| text.parse().ok().map(|value| wire::Int64Value { value });
    let run_as_user = number(user);
    wire::LinuxContainerSecurityContext {
        run_as_username: if run_as_user.is_none() { user.to_owned() } else { String::new() },
        run_as_user,
        run_as_group: group.and_then(number),
    }
}

impl CriContainer {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn question(&self) -> wire::ContainerRequest {
        wire::ContainerRequest { container_id: self.id.clone() }
    }

    pub(in crate::engine) async fn start(&self) -> Result<(), EngineError> {
        let started = self
            .cri
            .call("starting the container", "/runtime.v1.RuntimeService/StartContainer", self.question())
            .await;
        started.map(|wire::Empty {}| ()).map_err(EngineError::of_start)
    }

    async fn status(&self) -> Result<wire::ContainerStatus, EngineError> {
        let answer: wire::ContainerStatusResponse = self
            .cri
            .call("inspecting the container", "/runtime.v1.RuntimeService/ContainerStatus", self.question())
            .await?;
        let untold = || EngineError::Unexpected("the container's status was not told".to_owned());
        answer.status.ok_or_else(untold)
    }

    /// Waits for its end, and gives what it printed.
    ///
    /// # Errors
    /// When the runtime does not tell.
    pub async fn end(&self) -> Result<RunOutput, EngineError> {
        let mut pause = SOON;
        let code = loop {
            let status = self.status().await?;
            if status.state == EXITED {
                break status.exit_code.into();
            }
            sleep(pause).await;
            pause = (pause * 2).min(LATER);
        };
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, stdout, stderr })
    }

    /// What it has printed so far: standard output and standard error.
    ///
    /// # Errors
    /// When the node does not tell, or it is more than [`OUTPUT_MAX`](crate::engine::run::OUTPUT_MAX) bytes.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        Ok(streams(&self.cri.node.log(&self.log).await?))
    }

    /// How it is now. A runtime heeds no healthcheck of an image's; a kubelet has its own.
    ///
    /// # Errors
    /// When the runtime does not tell.
    pub async fn state(&self) -> Result<State, EngineError> {
        Ok(State { running: self.status().await?.state == RUNNING, health: None })
    }

    /// Its pod's address.
    ///
    /// # Errors
    /// When it has none.
    pub async fn address(&self) -> Result<String, EngineError> {
        let question = wire::PodSandboxRequest { pod_sandbox_id: self.pod.clone() };
        let method = "/runtime.v1.RuntimeService/PodSandboxStatus";
        let answer: wire::PodSandboxStatusResponse =
            self.cri.call("inspecting the pod", method, question).await?;
        let address = answer.status.and_then(|status| status.network).map(|network| network.ip);
        let none = || EngineError::Unexpected("the pod has no address".to_owned());
        address.filter(|ip| !ip.is_empty()).ok_or_else(none)
    }

    /// Asks it to end with the image's stop signal, and kills it where it has not after `grace`.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let question = wire::StopContainerRequest { container_id: self.id.clone(), timeout };
        let method = "/runtime.v1.RuntimeService/StopContainer";
        self.cri.call("stopping the container", method, question).await.map(|wire::Empty {}| ())
    }

    /// Removes it and its pod, killed if need be.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub async fn remove(self) -> Result<(), EngineError> {
        self.cri.remove_pod(&self.pod).await
    }
}

/// Standard output and standard error of a log as CRI has it (Kubernetes, "CRI: log management"): lines of time, stream, tag and
/// text; a line of the container's that is too long for one has the tag `P` on all but its last.
fn streams(log: &str) -> (String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    for line in log.lines() {
        let mut parts = line.splitn(4, ' ').skip(1);
        let (Some(stream), Some(tag), text) = (parts.next(), parts.next(), parts.next()) else { continue };
        let to = if stream == "stderr" { &mut stderr } else { &mut stdout };
        to.push_str(text.unwrap_or_default());
        if !tag.split(':').any(|tag| tag == "P") {
            to.push('\n');
        }
    }
    (stdout, stderr)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_taken_apart_into_its_streams_and_long_lines_put_together() {
        let log = "2016-10-06T00:17:09.669794202Z stdout P log content 1\n\
                   2016-10-06T00:17:09.669794203Z stderr F log content 2\n\
                   2016-10-06T00:17:09.669794204Z stdout F , and more\n\
                   2016-10-06T00:17:09.669794205Z stdout F \n";
        let expected = ("log content 1, and more\n\n".to_owned(), "log content 2\n".to_owned());
        assert_eq!(streams(log), expected);
    }

    #[test]
    fn a_user_is_a_number_or_a_name_and_a_group_a_number() {
        let number = user_of("7:8");
        assert_eq!(number.run_as_user.map(|id| id.value), Some(7));
        assert_eq!(number.run_as_group.map(|id| id.value), Some(8));
        let name = user_of("nobody");
        assert_eq!((name.run_as_username.as_str(), name.run_as_user), ("nobody", None));
    }
}
