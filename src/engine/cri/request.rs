//! The configurations of pods and containers, as a kubelet sends them.

use std::hash::{BuildHasher, Hasher, RandomState};

use super::api;
use super::kubelet::{self, User};
use crate::engine::RunOptions;

/// The folder in which a kubelet keeps the logs of pods.
pub(super) const LOG_ROOT: &str = "/var/log/pods";
/// The pod's name, which is its host name, too (`pkg/kubelet/kubelet_pods.go`,
/// `GeneratePodHostNameAndDomain`).
pub(super) const POD_NAME: &str = "seatrial";

/// Returns a name that nothing else has.
pub(crate) fn random_name() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// Returns the configuration of a pod. `logs` is the folder with the logs of all pods of a client.
pub(super) fn sandbox_config(
    logs: &str,
    uid: &str,
    hostname: &str,
    options: &RunOptions,
) -> api::PodSandboxConfig {
    api::PodSandboxConfig {
        // A pod in the node's network namespace has the node's host name.
        hostname: if options.bare { String::new() } else { hostname.to_owned() },
        log_directory: format!("{logs}/{uid}"),
        metadata: Some(api::PodSandboxMetadata {
            name: POD_NAME.to_owned(),
            namespace: "seatrial".to_owned(),
            uid: uid.to_owned(),
            attempt: 0,
        }),
        linux: Some(kubelet::pod(options.bare, &options.settings)),
        ..Default::default()
    }
}

/// Returns the specification of an image by its name.
pub(super) fn image_spec(image: &str) -> Option<api::ImageSpec> {
    Some(api::ImageSpec { image: image.to_owned(), ..Default::default() })
}

/// Returns the configuration of a container.
pub(super) fn container_config(
    image: &str,
    name: &str,
    options: &RunOptions,
    user: User,
) -> api::ContainerConfig {
    let stdin = options.stdin.is_some();
    api::ContainerConfig {
        metadata: Some(api::ContainerMetadata { name: name.to_owned(), attempt: 0 }),
        image: image_spec(image),
        command: options.entrypoint.clone().unwrap_or_default(),
        args: options.command.clone().unwrap_or_default(),
        working_dir: options.working_dir.clone().unwrap_or_default(),
        envs: options.env.iter().filter_map(|entry| variable(entry)).collect(),
        mounts: options.binds.iter().filter_map(|bind| mount(bind)).collect(),
        log_path: format!("{name}.log"),
        stdin,
        stdin_once: stdin,
        tty: options.settings.tty,
        linux: Some(kubelet::container(user, options.bare, &options.settings)),
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
            config: Some(container_config(
                "app:1",
                "container",
                &options,
                User::default().replaced_by("7:8"),
            )),
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
        let uid = "0123456789abcdef";
        let config = sandbox_config("/var/log/pods/client", uid, POD_NAME, &options);
        let request = api::RunPodSandboxRequest { config: Some(config), ..Default::default() };
        let metadata = [field(1, "seatrial"), field(2, uid), field(3, "seatrial")];
        let namespace_options = field(1, [number(1, 2), number(2, 1)].concat()); // NODE, CONTAINER
        let security_context = [namespace_options, field(9, [])]; // seccomp = RuntimeDefault
        let config = [
            field(1, metadata.concat()),
            field(3, format!("/var/log/pods/client/{uid}")), // log_directory
            field(8, field(2, security_context.concat())),   // linux.security_context
        ];
        assert_eq!(request.encode_to_vec(), field(1, config.concat()));
    }
}
