//! Containers in pods, created through CRI as a kubelet creates them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::sleep;

use super::api::{self, ContainerState};
use super::client::{Cri, image_spec};
use super::kubelet::{self, User};
use super::log;
use super::node::CALL_TIMEOUT;
use crate::engine::{EngineError, Exit, RunOptions, RunOutput, State};

/// A container in a pod of its own. Both exist until they are removed.
#[derive(Clone, Debug)]
pub struct CriContainer {
    cri: Cri,
    pod: String,
    id: String,
    log: String,
}

/// The first pause between two queries for a container's exit. Each further pause is twice as long,
/// up to [`POLL_MAX`]: an emulated node is slowed down by more queries.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_MAX: Duration = Duration::from_millis(300);
/// The folder in which a kubelet keeps the logs of pods.
const LOG_ROOT: &str = "/var/log/pods";
/// The container's log file in the log folder of its pod.
const LOG_FILE: &str = "container.log";
/// The pod's name, which is its host name, too (`pkg/kubelet/kubelet_pods.go`,
/// `GeneratePodHostNameAndDomain`).
const POD_NAME: &str = "seatrial";

impl Cri {
    /// Creates a pod and a container of `image` in it. Does not start the container.
    pub(in crate::engine) async fn create(
        &self,
        image: &str,
        options: &RunOptions,
    ) -> Result<CriContainer, EngineError> {
        if let Some(problem) = Self::unsupported(options) {
            return Err(EngineError::Unexpected(problem.to_owned()));
        }
        let (found, _) = self.image_status(image).await?;
        let mut user = User::of_image(&found);
        if let Some(text) = &options.user {
            user = user.replaced_by(text);
        }
        let sandbox = sandbox_config(options);
        let log = format!("{}/{LOG_FILE}", sandbox.log_directory);
        let request =
            api::RunPodSandboxRequest { config: Some(sandbox.clone()), ..Default::default() };
        let pod = self.call("create a pod", request).await?.pod_sandbox_id;
        let request = api::CreateContainerRequest {
            pod_sandbox_id: pod.clone(),
            config: Some(container_config(image, options, user)),
            sandbox_config: Some(sandbox),
        };
        match self.call(&format!("create a container of {image}"), request).await {
            Ok(created) => {
                Ok(CriContainer { cri: self.clone(), pod, id: created.container_id, log })
            }
            Err(error) => {
                let _ = self.remove_pod(&pod).await;
                Err(error.into_start_error())
            }
        }
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

/// Returns the configuration of a pod with a random UID.
fn sandbox_config(options: &RunOptions) -> api::PodSandboxConfig {
    let uid = format!("{:016x}", RandomState::new().build_hasher().finish());
    api::PodSandboxConfig {
        // A pod in the node's network namespace has the node's host name.
        hostname: if options.bare { String::new() } else { POD_NAME.to_owned() },
        log_directory: format!("{LOG_ROOT}/{uid}"),
        metadata: Some(api::PodSandboxMetadata {
            name: POD_NAME.to_owned(),
            namespace: "seatrial".to_owned(),
            uid,
            attempt: 0,
        }),
        linux: Some(kubelet::pod(options.bare)),
        ..Default::default()
    }
}

fn container_config(image: &str, options: &RunOptions, user: User) -> api::ContainerConfig {
    let stdin = options.stdin.is_some();
    api::ContainerConfig {
        metadata: Some(api::ContainerMetadata { name: "container".to_owned(), attempt: 0 }),
        image: image_spec(image),
        command: options.entrypoint.clone().unwrap_or_default(),
        args: options.command.clone().unwrap_or_default(),
        working_dir: options.working_dir.clone().unwrap_or_default(),
        envs: options.env.iter().filter_map(|entry| variable(entry)).collect(),
        mounts: options.binds.iter().filter_map(|bind| mount(bind)).collect(),
        log_path: LOG_FILE.to_owned(),
        stdin,
        stdin_once: stdin,
        linux: Some(kubelet::container(user, options.bare)),
        ..Default::default()
    }
}

/// Parses `NAME=VALUE`.
fn variable(entry: &str) -> Option<api::KeyValue> {
    let (key, value) = entry.split_once('=')?;
    Some(api::KeyValue { key: key.to_owned(), value: value.into() })
}

/// Parses `HOST_PATH:CONTAINER_PATH[:ro]`.
fn mount(bind: &str) -> Option<api::Mount> {
    let mut parts = bind.split(':');
    Some(api::Mount {
        host_path: parts.next()?.to_owned(),
        container_path: parts.next()?.to_owned(),
        readonly: parts.next() == Some("ro"),
        ..Default::default()
    })
}

impl CriContainer {
    /// The container's ID.
    pub fn id(&self) -> &str {
        &self.id
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
        let mut pause = POLL_FIRST;
        loop {
            let status = self.status().await?;
            if status.state() == ContainerState::ContainerExited {
                return Ok(status.exit_code.into());
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
        let code = self.wait_for_exit().await?;
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, stdout, stderr })
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the log cannot be read, or is too long.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        Ok(log::split(&self.cri.node.log(&self.log).await?))
    }

    /// Returns the container's state. CRI ignores image health checks; a kubelet runs probes of its
    /// own.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn state(&self) -> Result<State, EngineError> {
        let status = self.status().await?;
        let exited = status.state() == ContainerState::ContainerExited;
        let nanoseconds = u64::try_from(status.finished_at.saturating_sub(status.started_at)).ok();
        let exit = exited.then(|| Exit {
            code: status.exit_code.into(),
            out_of_memory: status.reason == "OOMKilled",
            duration: nanoseconds.map(Duration::from_nanos),
        });
        let running = status.state() == ContainerState::ContainerRunning;
        Ok(State { running, exit, health: None })
    }

    /// Returns the IP address of the container's pod.
    ///
    /// # Errors
    /// If the pod has no address, or if the call fails.
    pub async fn address(&self) -> Result<String, EngineError> {
        let request =
            api::PodSandboxStatusRequest { pod_sandbox_id: self.pod.clone(), ..Default::default() };
        let response = self.cri.call("inspect the pod", request).await?;
        let address = response.status.and_then(|status| status.network).map(|network| network.ip);
        address.filter(|ip| !ip.is_empty()).ok_or(EngineError::NoAddress)
    }

    /// Sends the image's stop signal, and kills the container if it has not exited after `grace`.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn stop(&self, grace: Duration) -> Result<(), EngineError> {
        let timeout = i64::try_from(grace.as_secs()).unwrap_or(i64::MAX);
        let request = api::StopContainerRequest { container_id: self.id.clone(), timeout };
        let limit = grace.saturating_add(CALL_TIMEOUT);
        self.cri.call_within("stop the container", request, limit).await.map(drop)
    }

    /// Removes the container and its pod. A running container is killed.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn remove(self) -> Result<(), EngineError> {
        self.cri.remove_pod(&self.pod).await
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost::encoding::encode_varint;

    use super::*;

    /// Encodes a length-delimited field: text, or the fields of a message.
    fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
        let content = content.as_ref();
        [&[number << 3 | 2], &varint(content.len() as u64)[..], content].concat()
    }

    fn varint(value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_varint(value, &mut bytes);
        bytes
    }

    /// Encodes a number or a bool.
    fn number(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    #[test]
    fn a_container_request_has_the_field_numbers_of_the_published_api_and_nothing_unset() {
        let owned = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let options = RunOptions {
            entrypoint: Some(owned(&["/bin/app"])),
            command: Some(owned(&["-v", "x"])),
            env: owned(&["A=b=c"]),
            user: Some("7:8".to_owned()),
            working_dir: Some("/srv".to_owned()),
            binds: owned(&["/host:/in:ro"]),
            stdin: Some("input".to_owned()),
            ..RunOptions::default()
        };
        let request = api::CreateContainerRequest {
            pod_sandbox_id: "pod".to_owned(),
            config: Some(container_config("app:1", &options, User::default().replaced_by("7:8"))),
            sandbox_config: None,
        };
        let paths = |number, paths: &[&str]| -> Vec<u8> {
            paths.iter().flat_map(|path| field(number, path)).collect()
        };
        let masked = [
            "/proc/asound",
            "/proc/acpi",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/proc/scsi",
            "/sys/firmware",
            "/sys/devices/virtual/powercap",
        ];
        let readonly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
        let security_context = [
            field(3, number(2, 1)),  // namespace_options: pid = CONTAINER
            field(5, number(1, 7)),  // run_as_user
            field(12, number(1, 8)), // run_as_group
            paths(13, &masked),
            paths(14, &readonly),
            field(15, number(1, 1)), // seccomp: Unconfined
        ];
        let resources = [
            number(3, 2),                          // cpu_shares
            [vec![5 << 3], varint(1000)].concat(), // oom_score_adj
        ];
        let linux = [field(1, resources.concat()), field(2, security_context.concat())];
        let config = [
            field(1, field(1, "container")), // metadata.name
            field(2, field(1, "app:1")),     // image.image
            field(3, "/bin/app"),            // command
            field(4, "-v"),                  // args
            field(4, "x"),
            field(5, "/srv"),                                    // working_dir
            field(6, [field(1, "A"), field(2, "b=c")].concat()), // envs
            field(7, [field(1, "/in"), field(2, "/host"), number(3, 1)].concat()), // mounts
            field(11, "container.log"),                          // log_path
            number(12, 1),                                       // stdin
            number(13, 1),                                       // stdin_once
            field(15, linux.concat()),
        ];
        let expected = [field(1, "pod"), field(2, config.concat())].concat();
        assert_eq!(request.encode_to_vec(), expected);
    }

    #[test]
    fn a_bare_pod_request_has_the_field_numbers_of_the_published_api_and_nothing_unset() {
        let options = RunOptions { bare: true, ..RunOptions::default() };
        let config = sandbox_config(&options);
        let uid = config.metadata.clone().unwrap_or_default().uid;
        let request = api::RunPodSandboxRequest { config: Some(config), ..Default::default() };
        let metadata = [field(1, "seatrial"), field(2, &uid), field(3, "seatrial")];
        let namespace_options = field(1, [number(1, 2), number(2, 1)].concat()); // NODE, CONTAINER
        let security_context = [namespace_options, field(9, [])]; // seccomp = RuntimeDefault
        let config = [
            field(1, metadata.concat()),
            field(3, format!("/var/log/pods/{uid}")), // log_directory
            field(8, field(2, security_context.concat())), // linux.security_context
        ];
        assert_eq!(request.encode_to_vec(), field(1, config.concat()));
    }
}
