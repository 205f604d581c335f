//! The defaults of a kubelet for a pod that sets nothing. CRI leaves most of them to its client: a
//! field that is not set often means something else than what pods get.
//!
//! Each default names its source in Kubernetes' repository. `docs/engines.md` compares these pods
//! with those of a cluster.

use super::api::security_profile::ProfileType;
use super::api::{self, NamespaceMode};
use crate::engine::Settings;
use crate::linux::capability_names::without_prefix;

/// The paths that a container cannot read (`pkg/securitycontext/util.go`, `defaultMaskedPaths`).
const MASKED_PATHS: [&str; 11] = [
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
/// The paths that a container cannot write (`pkg/securitycontext/util.go`,
/// `defaultReadonlyPaths`).
const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];
/// The OOM score adjustment of a container without requests and limits, which has the QoS class
/// BestEffort (`pkg/kubelet/qos/policy.go`, `besteffortOOMScoreAdj`).
const OOM_SCORE_ADJUSTMENT: i64 = 1000;
/// The CPU shares of such a container (`pkg/kubelet/cm/helpers_linux.go`, `MinShares`).
const CPU_SHARES: i64 = 2;

/// The user and group of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    /// The user, if it is known as a number.
    uid: Option<i64>,
    /// The user's name, if it is not.
    name: String,
    gid: Option<i64>,
}

impl User {
    /// The user of an image, as a kubelet passes it on (`pkg/kubelet/kuberuntime/helpers.go`,
    /// `getImageUser`). The group of an image's `USER:GROUP` gets lost on this way: the container
    /// has the user's group of the image's `/etc/passwd`.
    pub(super) fn of_image(image: &api::Image) -> Self {
        let (uid, name) = match image.uid {
            Some(uid) => (Some(uid.value), String::new()),
            None if image.username.is_empty() => (Some(0), String::new()),
            None => (None, image.username.clone()),
        };
        Self { uid, name, gid: None }
    }

    /// Replaces the user, and the group, by those of `USER[:GROUP]`. The user is a number or a
    /// name, the group a number.
    pub(super) fn replaced_by(self, text: &str) -> Self {
        let (user, group) =
            text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let gid = group.and_then(|group| group.parse().ok());
        match user.parse() {
            _ if user.is_empty() => Self { gid, ..self },
            Ok(uid) => Self { uid: Some(uid), name: String::new(), gid },
            Err(_) => Self { uid: None, name: user.to_owned(), gid },
        }
    }
}

/// The namespaces of a pod and its containers: each container has its own PID namespace, in which
/// its command is PID 1 (`pkg/kubelet/util/util.go`, `NamespacesForPod`). With `host_network`, the
/// pod uses the node's network.
fn namespaces(host_network: bool) -> api::NamespaceOption {
    let network = if host_network { NamespaceMode::Node } else { NamespaceMode::Pod };
    api::NamespaceOption {
        network: network.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..Default::default()
    }
}

fn seccomp(profile: ProfileType) -> Option<api::SecurityProfile> {
    Some(api::SecurityProfile { profile_type: profile.into(), localhost_ref: String::new() })
}

/// The settings of a pod. Its own process, which only holds the namespaces, always has the
/// runtime's seccomp profile (`pkg/kubelet/kuberuntime/kuberuntime_sandbox.go`,
/// `generatePodSandboxLinuxConfig`).
pub(super) fn pod(host_network: bool, settings: &Settings) -> api::LinuxPodSandboxConfig {
    api::LinuxPodSandboxConfig {
        security_context: Some(api::LinuxSandboxSecurityContext {
            namespace_options: Some(namespaces(host_network)),
            seccomp: seccomp(ProfileType::RuntimeDefault),
            privileged: settings.privileged,
            ..Default::default()
        }),
        sysctls: settings.sysctls.clone().into_iter().collect(),
        ..Default::default()
    }
}

/// The settings of a container. Without the kubelet's option `seccompDefault`, which is off by
/// default, it has no seccomp profile (`pkg/kubelet/kuberuntime/helpers.go`, `getSeccompProfile`).
/// The runtime adds the supplementary groups that the image's `/etc/group` gives to the user
/// (`SupplementalGroupsPolicy`, `Merge`).
///
/// CRI has no limit for processes: a kubelet sets it for the pod. Here it is a parameter of the
/// container's control group.
pub(super) fn container(
    user: User,
    host_network: bool,
    settings: &Settings,
) -> api::LinuxContainerConfig {
    let owned = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
    let number = |value| api::Int64Value { value };
    let profile = match settings.default_seccomp {
        true => ProfileType::RuntimeDefault,
        false => ProfileType::Unconfined,
    };
    let memory = settings.memory.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let pids = settings.pids_limit.map(|limit| ("pids.max".to_owned(), limit.to_string()));
    api::LinuxContainerConfig {
        resources: Some(api::LinuxContainerResources {
            cpu_shares: CPU_SHARES,
            oom_score_adj: OOM_SCORE_ADJUSTMENT,
            memory_limit_in_bytes: memory.unwrap_or_default(),
            unified: pids.into_iter().collect(),
            ..Default::default()
        }),
        security_context: Some(api::LinuxContainerSecurityContext {
            namespace_options: Some(namespaces(host_network)),
            run_as_user: user.uid.map(number),
            run_as_group: user.gid.map(number),
            run_as_username: user.name,
            masked_paths: owned(&MASKED_PATHS),
            readonly_paths: owned(&READONLY_PATHS),
            seccomp: seccomp(profile),
            capabilities: capabilities(settings),
            privileged: settings.privileged,
            readonly_rootfs: settings.read_only,
            no_new_privs: settings.no_new_privileges,
            supplemental_groups: settings.groups.iter().filter_map(|id| id.parse().ok()).collect(),
            ..Default::default()
        }),
    }
}

/// Capabilities compared with the runtime's default, or `None` for the default. Their names have no
/// prefix (`pkg/apis/runtime/v1/api.proto`, `Capability`): containerd adds it.
fn capabilities(settings: &Settings) -> Option<api::Capability> {
    let names = |names: &[String]| names.iter().map(|name| without_prefix(name)).collect();
    let (added, dropped) = (&settings.added_capabilities, &settings.dropped_capabilities);
    (!added.is_empty() || !dropped.is_empty()).then(|| api::Capability {
        add_capabilities: names(added),
        drop_capabilities: names(dropped),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(uid: Option<i64>, username: &str) -> api::Image {
        let uid = uid.map(|value| api::Int64Value { value });
        api::Image { uid, username: username.to_owned(), ..Default::default() }
    }

    fn user(uid: Option<i64>, name: &str, gid: Option<i64>) -> User {
        User { uid, name: name.to_owned(), gid }
    }

    #[test]
    fn the_user_is_that_of_the_image_or_else_root() {
        assert_eq!(User::of_image(&image(Some(7), "")), user(Some(7), "", None));
        assert_eq!(User::of_image(&image(None, "app")), user(None, "app", None));
        assert_eq!(User::of_image(&image(None, "")), user(Some(0), "", None));
    }

    #[test]
    fn capabilities_lose_the_prefix_that_containerd_adds() {
        let settings = Settings {
            added_capabilities: vec!["net_admin".to_owned()],
            dropped_capabilities: vec!["CAP_NET_RAW".to_owned(), "ALL".to_owned()],
            ..Settings::default()
        };
        let passed_on = capabilities(&settings).unwrap();
        assert_eq!(passed_on.add_capabilities, ["NET_ADMIN"]);
        assert_eq!(passed_on.drop_capabilities, ["NET_RAW", "ALL"]);
    }

    #[test]
    fn an_option_replaces_the_user_by_a_number_or_a_name_and_the_group_by_a_number() {
        let of_image = || User::of_image(&image(Some(7), ""));
        assert_eq!(of_image().replaced_by("8:9"), user(Some(8), "", Some(9)));
        assert_eq!(of_image().replaced_by("nobody"), user(None, "nobody", None));
        assert_eq!(of_image().replaced_by(":9"), user(Some(7), "", Some(9)));
    }
}
