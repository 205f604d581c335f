//! Containers in pods, created through CRI as a kubelet creates them.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::sleep;

use super::api::{self, ContainerState, NamespaceMode};
use super::client::{Cri, image_spec};
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
        let sandbox = sandbox_config(options);
        let log = format!("{}/{LOG_FILE}", sandbox.log_directory);
        let request =
            api::RunPodSandboxRequest { config: Some(sandbox.clone()), ..Default::default() };
        let pod = self.call("create a pod", request).await?.pod_sandbox_id;
        let request = api::CreateContainerRequest {
            pod_sandbox_id: pod.clone(),
            config: Some(container_config(image, options)),
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
    let namespace_options = options.bare.then(|| api::NamespaceOption {
        network: NamespaceMode::Node.into(),
        ..Default::default()
    });
    let security_context =
        Some(api::LinuxSandboxSecurityContext { namespace_options, ..Default::default() });
    let uid = format!("{:016x}", RandomState::new().build_hasher().finish());
    api::PodSandboxConfig {
        // A pod in the node's network namespace has the node's host name.
        hostname: if options.bare { String::new() } else { "seatrial".to_owned() },
        log_directory: format!("{LOG_ROOT}/{uid}"),
        metadata: Some(api::PodSandboxMetadata {
            name: format!("pod-{uid}"),
            namespace: "seatrial".to_owned(),
            uid,
            attempt: 0,
        }),
        linux: Some(api::LinuxPodSandboxConfig { security_context, ..Default::default() }),
        ..Default::default()
    }
}

fn container_config(image: &str, options: &RunOptions) -> api::ContainerConfig {
    let security_context = options.user.as_deref().map(security_context);
    let linux = security_context.map(|context| api::LinuxContainerConfig {
        security_context: Some(context),
        ..Default::default()
    });
    api::ContainerConfig {
        metadata: Some(api::ContainerMetadata { name: "container".to_owned(), attempt: 0 }),
        image: image_spec(image),
        command: options.entrypoint.clone().unwrap_or_default(),
        args: options.command.clone().unwrap_or_default(),
        working_dir: options.working_dir.clone().unwrap_or_default(),
        envs: options.env.iter().filter_map(|entry| variable(entry)).collect(),
        mounts: options.binds.iter().filter_map(|bind| mount(bind)).collect(),
        log_path: LOG_FILE.to_owned(),
        linux,
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

/// Parses `USER[:GROUP]`. The user is a number or a name, the group a number.
fn security_context(user: &str) -> api::LinuxContainerSecurityContext {
    let (user, group) =
        user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    let number = |text: &str| text.parse().ok().map(|value| api::Int64Value { value });
    let run_as_user = number(user);
    api::LinuxContainerSecurityContext {
        run_as_username: if run_as_user.is_none() { user.to_owned() } else { String::new() },
        run_as_user,
        run_as_group: group.and_then(number),
        ..Default::default()
    }
}

impl CriContainer {
    /// The container's ID.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(in crate::engine) async fn start(&self) -> Result<(), EngineError> {
        let request = api::StartContainerRequest { container_id: self.id.clone() };
        let started = self.cri.call("start the container", request).await;
        started.map(drop).map_err(EngineError::into_start_error)
    }

    async fn status(&self) -> Result<api::ContainerStatus, EngineError> {
        let request =
            api::ContainerStatusRequest { container_id: self.id.clone(), ..Default::default() };
        let response = self.cri.call("inspect the container", request).await?;
        let missing = || EngineError::Unexpected("the container has no status".to_owned());
        response.status.ok_or_else(missing)
    }

    /// Waits until the container exits, and returns its exit code and output.
    ///
    /// # Errors
    /// If a call fails.
    pub async fn wait(&self) -> Result<RunOutput, EngineError> {
        let mut pause = POLL_FIRST;
        let code = loop {
            let status = self.status().await?;
            if status.state() == ContainerState::ContainerExited {
                break status.exit_code.into();
            }
            sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        };
        let (stdout, stderr) = self.logs().await?;
        Ok(RunOutput { code, stdout, stderr })
    }

    /// Returns the container's standard output and standard error up to now.
    ///
    /// # Errors
    /// If the log cannot be read, or is too long.
    pub async fn logs(&self) -> Result<(String, String), EngineError> {
        Ok(split_log(&self.cri.node.log(&self.log).await?))
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

/// Splits a log in CRI's format into standard output and standard error. Each line is
/// `TIME STREAM TAG TEXT`; a line that was too long for one entry has the tag `P` (partial) on all
/// its entries except the last.
fn split_log(log: &str) -> (String, String) {
    let (mut stdout, mut stderr) = (String::new(), String::new());
    for line in log.lines() {
        let mut parts = line.splitn(4, ' ').skip(1);
        let (Some(stream), Some(tag), text) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
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
    use prost::Message;
    use prost::encoding::encode_varint;

    use super::*;

    /// Encodes a length-delimited field: text, or the fields of a message.
    fn field(number: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
        let content = content.as_ref();
        let mut bytes = vec![number << 3 | 2];
        encode_varint(content.len() as u64, &mut bytes);
        [&bytes, content].concat()
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
            ..RunOptions::default()
        };
        let request = api::CreateContainerRequest {
            pod_sandbox_id: "pod".to_owned(),
            config: Some(container_config("app:1", &options)),
            sandbox_config: None,
        };
        let security_context = [field(5, number(1, 7)), field(12, number(1, 8))].concat();
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
            field(15, field(2, security_context)),               // linux.security_context
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
        let metadata = [field(1, format!("pod-{uid}")), field(2, &uid), field(3, "seatrial")];
        let namespace_options = field(1, number(1, 2)); // network = NODE
        let config = [
            field(1, metadata.concat()),
            field(3, format!("/var/log/pods/{uid}")), // log_directory
            field(8, field(2, namespace_options)),    // linux.security_context
        ];
        assert_eq!(request.encode_to_vec(), field(1, config.concat()));
    }

    #[test]
    fn a_log_is_split_into_its_streams_and_partial_lines_are_joined() {
        let log = "2016-10-06T00:17:09.669794202Z stdout P log content 1\n\
                   2016-10-06T00:17:09.669794203Z stderr F log content 2\n\
                   2016-10-06T00:17:09.669794204Z stdout F , and more\n\
                   2016-10-06T00:17:09.669794205Z stdout F \n";
        let expected = ("log content 1, and more\n\n".to_owned(), "log content 2\n".to_owned());
        assert_eq!(split_log(log), expected);
    }

    #[test]
    fn a_user_is_a_number_or_a_name_and_a_group_is_a_number() {
        let number = security_context("7:8");
        assert_eq!(number.run_as_user.map(|id| id.value), Some(7));
        assert_eq!(number.run_as_group.map(|id| id.value), Some(8));
        let name = security_context("nobody");
        assert_eq!((name.run_as_username.as_str(), name.run_as_user), ("nobody", None));
    }
}
