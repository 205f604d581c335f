//! Rules for the settings of a container that concern several keys, or values that some engine
//! would reject.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::container::ContainerSpec;
use crate::linux::capability_names::{NAMES, without_prefix};
use crate::text::{self, suggest};

/// Reads a container whose keys do not contradict each other.
pub(super) fn container<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ContainerSpec, D::Error> {
    let spec = ContainerSpec::deserialize(deserializer)?;
    match mistake(&spec) {
        None => Ok(spec),
        Some(problem) => Err(D::Error::custom(problem)),
    }
}

/// Describes a mistake in `spec`, if there is one.
fn mistake(spec: &ContainerSpec) -> Option<String> {
    contradiction(spec)
        .or_else(|| restriction(spec))
        .or_else(|| relative_path(spec))
        .or_else(|| hidden_path(spec))
        .or_else(|| malformed_name(spec))
        .or_else(|| unknown_capability(spec))
        .or_else(|| no_limit(spec))
}

/// Describes two keys that exclude each other.
fn contradiction(spec: &ContainerSpec) -> Option<String> {
    let replaced = [("command", spec.command.is_some()), ("entrypoint", spec.entrypoint.is_some())];
    if let (true, Some((key, _))) = (spec.shell.is_some(), replaced.iter().find(|(_, set)| *set)) {
        return Some(format!("\"shell\" and \"{key}\" exclude each other: a shell replaces both"));
    }
    None
}

/// Describes a path that is not absolute, or that engines cannot mount.
fn relative_path(spec: &ContainerSpec) -> Option<String> {
    let working_dir = spec.working_dir.iter().map(|path| ("working_dir", path));
    let files = spec.files.iter().map(|file| ("path", &file.path));
    let tmpfs = spec.tmpfs.iter().map(|path| ("tmpfs", path));
    let mounts = spec.mounts.iter().map(|mount| ("path", &mount.path));
    let mut paths = working_dir.chain(files).chain(tmpfs).chain(mounts);
    if let Some((key, path)) = paths.find(|(_, path)| !path.starts_with('/')) {
        return Some(format!("invalid {key} {}; expected an absolute path", text::quote(path)));
    }
    // Engines separate the parts of a mount with it; over CRI, files are mounts, too.
    let files = spec.files.iter().map(|file| &file.path);
    let mut mounted = spec.mounts.iter().map(|mount| &mount.path).chain(files);
    let colon = mounted.find(|path| path.contains(':'))?;
    Some(format!("invalid path {}; it has a colon", text::quote(colon)))
}

/// Describes a mount or file that another mount hides.
fn hidden_path(spec: &ContainerSpec) -> Option<String> {
    let trimmed = |path: &'_ String| path.trim_end_matches('/').to_owned();
    let mounts = spec.mounts.iter().map(|mount| trimmed(&mount.path));
    let mounted: Vec<String> = mounts.chain(spec.tmpfs.iter().map(trimmed)).collect();
    let own: Vec<String> =
        mounted.iter().cloned().chain(spec.volumes.iter().map(trimmed)).collect();
    let is_repeated = |path: &&String| own.iter().filter(|other| other == path).count() > 1;
    if let Some(path) = own.iter().find(is_repeated) {
        return Some(format!("{} is mounted twice", text::quote(path)));
    }
    let files: Vec<String> = spec.files.iter().map(|file| trimmed(&file.path)).collect();
    let is_repeated = |path: &&String| files.iter().filter(|other| other == path).count() > 1;
    if let Some(path) = files.iter().find(is_repeated) {
        return Some(format!("the file {} is given twice", text::quote(path)));
    }
    spec.files.iter().find_map(|file| {
        let below = |folder: &&String| {
            file.path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        let folder = mounted.iter().find(below)?;
        let (file, folder) = (text::quote(&file.path), text::quote(folder));
        Some(format!("the file {file} lies in {folder}, which is mounted over it"))
    })
}

/// Describes a variable or address that cannot be.
fn malformed_name(spec: &ContainerSpec) -> Option<String> {
    if let Some(problem) = malformed_variable(&spec.env) {
        return Some(problem);
    }
    let mut hosts = spec.hostname.iter().chain(spec.hosts.keys());
    if let Some(name) = hosts.find(|name| !is_host_name(name)) {
        return Some(format!(
            "invalid host name {}; expected letters, digits, \"-\", \"_\" and dots",
            text::quote(name)
        ));
    }
    let invalid = |(_, address): &(&String, &String)| address.parse::<IpAddr>().is_err();
    let (name, address) = spec.hosts.iter().find(invalid)?;
    Some(format!("invalid address {} of host {name}; expected an IP address", text::quote(address)))
}

/// Describes a variable of `env` that cannot be, if there is one.
pub(super) fn malformed_variable(env: &BTreeMap<String, String>) -> Option<String> {
    let invalid = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    let name = env.keys().find(invalid)?;
    Some(format!("invalid name of a variable {}", text::quote(name)))
}

/// Whether every engine takes `name` as the name of a host. Underscores occur in the names of
/// Compose's services.
fn is_host_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| !label.is_empty() && label.chars().all(is_allowed);
    name.len() <= 253 && name.split('.').all(is_label) && !name.starts_with('-')
}

/// Describes a capability that Linux does not have.
fn unknown_capability(spec: &ContainerSpec) -> Option<String> {
    let names = || NAMES.iter().map(|name| without_prefix(name));
    let mut given = spec.capabilities.add.iter().chain(&spec.capabilities.drop);
    let unknown = given.find(|name| {
        let name = without_prefix(name);
        name != "ALL" && names().all(|known| known != name)
    })?;
    let known: Vec<String> = names().collect();
    let nearest = suggest::nearest(&without_prefix(unknown), known.iter().map(String::as_str));
    Some(format!("unknown capability {}{}", text::quote(unknown), suggest::hint(&nearest)))
}

/// Describes a limit of zero: some engines take it as no limit, others let nothing run.
fn no_limit(spec: &ContainerSpec) -> Option<String> {
    let limits = [("memory_mib", spec.memory_mib), ("pids_limit", spec.pids_limit)];
    let (key, _) = limits.into_iter().find(|(_, limit)| *limit == Some(0))?;
    Some(format!("invalid {key} 0; leave the key out for no limit"))
}

/// Sysctls that the restricted profile allows.
const SAFE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

/// Describes a setting of `spec` that the restricted profile forbids, if there is one.
fn restriction(spec: &ContainerSpec) -> Option<String> {
    if !spec.restricted {
        return None;
    }
    let allowed = |name: &&String| without_prefix(name) != "NET_BIND_SERVICE";
    if spec.privileged {
        return Some("\"restricted\" and \"privileged\" exclude each other".to_owned());
    }
    if let Some(name) = spec.capabilities.add.iter().find(allowed) {
        let name = text::quote(name);
        return Some(format!(
            "\"restricted\" forbids the capability {name}; only NET_BIND_SERVICE may be added"
        ));
    }
    let unsafe_sysctl = |name: &&String| !SAFE_SYSCTLS.contains(&name.as_str());
    let name = spec.sysctls.keys().find(unsafe_sysctl)?;
    Some(format!("\"restricted\" forbids the sysctl {}", text::quote(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_engines_reject_or_that_hide_each_other_are_errors() {
        for (toml, problem) in [
            ("hosts={ db='db' }", "invalid address \"db\" of host db; expected an IP address"),
            (
                "hosts={ 'a b'='10.0.0.1' }",
                "invalid host name \"a b\"; expected letters, digits, \"-\", \"_\" and dots",
            ),
            (
                "capabilities={ drop=['NET_ROW'] }",
                "unknown capability \"NET_ROW\"; did you mean \"NET_RAW\"?",
            ),
            ("pids_limit=0", "invalid pids_limit 0; leave the key out for no limit"),
            ("memory_mib=0", "invalid memory_mib 0; leave the key out for no limit"),
            ("env={ 'A=B'='c' }", "invalid name of a variable \"A=B\""),
            ("tmpfs=['/a', '/a/']", "\"/a\" is mounted twice"),
            ("tmpfs=['/a']\nvolumes=['/a']", "\"/a\" is mounted twice"),
            (
                "mounts=[{ path='/a', source='x' }, { path='/a', source='y' }]",
                "\"/a\" is mounted twice",
            ),
            (
                "tmpfs=['/a']\nfiles=[{ path='/a/b', content='x' }]",
                "the file \"/a/b\" lies in \"/a\", which is mounted over it",
            ),
            (
                "files=[{ path='/a', content='x' }, { path='/a/', content='y' }]",
                "the file \"/a\" is given twice",
            ),
            ("files=[{ path='/a:ro', content='x' }]", "invalid path \"/a:ro\"; it has a colon"),
        ] {
            let spec: ContainerSpec = toml::from_str(toml).unwrap();
            assert_eq!(mistake(&spec).as_deref(), Some(problem), "{toml}");
        }
        let fine = "hostname='a-1.b_c'\ncapabilities={ add=['cap_kill'], drop=['all'] }\n\
                    hosts={ a='10.0.0.1', b='::1' }\ntmpfs=['/a', '/ab']\n\
                    mounts=[{ path='/a/b', source='x' }]\nfiles=[{ path='/abc', content='x' }]";
        assert_eq!(mistake(&toml::from_str(fine).unwrap()), None);
    }
}
