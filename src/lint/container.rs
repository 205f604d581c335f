//! Rules about how a container runs: environment, working directory, ports, volumes, health check,
//! stop signal.

use std::collections::BTreeMap;

use serde_json::Value;

use super::finding::Finding;
use super::secrets::is_secret;
use crate::image::config::{ContainerConfig, Set};
use crate::image::exposed_ports::ExposedPorts;
use crate::linux::signals;
use crate::text;

pub(super) fn check(config: &ContainerConfig) -> Vec<Finding> {
    let findings = [
        invalid_env(config),
        duplicate_env(config),
        unexpanded_env(config),
        secret_in_env(config),
        relative_working_dir(config),
        invalid_port(config),
        invalid_volume(config),
        invalid_healthcheck(config),
        no_healthcheck(config),
        unknown_stop_signal(config),
    ];
    findings.into_iter().flatten().collect()
}

/// Findings about a config that engines reject or do not understand as its author does.
pub(super) fn mistakes(config: &ContainerConfig) -> Vec<Finding> {
    let findings = [
        unexpanded_env(config),
        relative_working_dir(config),
        invalid_port(config),
        invalid_volume(config),
        invalid_healthcheck(config),
        unknown_stop_signal(config),
    ];
    findings.into_iter().flatten().collect()
}

fn env(config: &ContainerConfig) -> impl Iterator<Item = &str> {
    config.env.iter().flatten().map(String::as_str)
}

/// Names and values of the environment.
fn variables(config: &ContainerConfig) -> impl Iterator<Item = (&str, &str)> {
    env(config).map(|entry| entry.split_once('=').unwrap_or((entry, "")))
}

fn invalid_env(config: &ContainerConfig) -> Option<Finding> {
    let is_valid = |entry: &&str| {
        entry.split_once('=').is_some_and(|(name, _)| !name.is_empty()) && !entry.contains('\0')
    };
    let mut invalid = env(config).filter(|entry| !is_valid(entry)).peekable();
    invalid.peek()?;
    Some(Finding::warning(
        "invalid-env",
        format!("environment entries that are not NAME=value: {}", text::quoted_list(invalid)),
        "Podman before 5.8.4 gives containers the host's variables of that name (CVE-2026-57231); \
         other engines ignore the entries or reject the image",
        "write each entry as NAME=value",
    ))
}

fn duplicate_env(config: &ContainerConfig) -> Option<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    variables(config).for_each(|(name, _)| *counts.entry(name).or_default() += 1);
    let names: Vec<&str> =
        counts.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "duplicate-env",
            format!("duplicate environment variables: {}", text::list(names)),
            "Docker uses the last value; Kubernetes does not specify which one it uses",
            "set each variable once, as seatrial build does",
        )
    })
}

fn unexpanded_env(config: &ContainerConfig) -> Option<Finding> {
    let is_own_name = |(name, value): &(&str, &str)| {
        let is_whole = |rest: &str| !rest.starts_with(|c: char| c == '_' || c.is_alphanumeric());
        let mut after = value.split('$').skip(1);
        after.any(|text| match text.strip_prefix('{') {
            Some(text) => text.strip_prefix(name).is_some_and(|rest| rest.starts_with([':', '}'])),
            None => text.strip_prefix(name).is_some_and(is_whole),
        })
    };
    let names: Vec<&str> = variables(config).filter(is_own_name).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "unexpanded-env",
            format!("environment variables that contain their own name: {}", text::list(names)),
            "only builders of Dockerfiles expand variables; containers get the value as written, \
             and find no program in such a PATH",
            "write the whole value",
        )
    })
}

fn secret_in_env(config: &ContainerConfig) -> Option<Finding> {
    let is_secret = |(name, value): &(&str, &str)| !value.is_empty() && is_secret(name);
    let names: Vec<&str> = variables(config).filter(is_secret).map(|(name, _)| name).collect();
    (!names.is_empty()).then(|| {
        Finding::warning(
            "secret-in-env",
            format!("environment variables that seem to be secrets: {}", text::list(names)),
            "everyone who can pull the image can read them",
            "pass secrets to the container when it starts",
        )
    })
}

fn relative_working_dir(config: &ContainerConfig) -> Option<Finding> {
    let folder = config.working_dir.as_deref().filter(|folder| !folder.is_empty())?;
    (!folder.starts_with('/')).then(|| {
        Finding::warning(
            "relative-working-dir",
            format!("WorkingDir is {}, which is not an absolute path", text::quote(folder)),
            "engines refuse to create the container",
            "begin the path with a slash",
        )
    })
}

fn invalid_port(config: &ContainerConfig) -> Option<Finding> {
    names(&config.exposed_ports, |port| ExposedPorts::parse(port).is_none()).map(|ports| {
        Finding::warning(
            "invalid-port",
            format!("exposed ports that no engine accepts: {ports}"),
            "engines reject the image, or refuse to create the container",
            "write PORT or PORT/PROTOCOL: a number from 1 to 65535; tcp, udp or sctp",
        )
    })
}

fn invalid_volume(config: &ContainerConfig) -> Option<Finding> {
    let is_volume = |path: &str| {
        let has_name = path.split('/').any(|part| !matches!(part, "" | "." | ".."));
        path.starts_with('/') && has_name && !path.contains('\0')
    };
    names(&config.volumes, |path| !is_volume(path)).map(|paths| {
        Finding::warning(
            "invalid-volume",
            format!("volumes that are not absolute paths of folders: {paths}"),
            "engines reject them, or create them in different places",
            "write the absolute path of a folder other than /",
        )
    })
}

/// The names in `set` that `filter` selects, as a list for messages.
fn names(set: &Option<Set>, filter: impl Fn(&str) -> bool) -> Option<String> {
    let mut names = set.iter().flat_map(|set| set.keys()).filter(|name| filter(name)).peekable();
    names.peek()?;
    Some(text::quoted_list(names))
}

/// The shortest duration in a health check that Docker accepts, in nanoseconds (moby
/// `api/types/container`, `MinimumDuration`). 0 means the default.
const DURATION_MIN: i64 = 1_000_000;

/// The fields of a health check with durations.
const DURATIONS: [&str; 4] = ["Interval", "Timeout", "StartPeriod", "StartInterval"];

fn invalid_healthcheck(config: &ContainerConfig) -> Option<Finding> {
    let healthcheck = config.healthcheck.as_ref()?;
    let number = |name: &str| healthcheck.get(name).and_then(Value::as_i64);
    let is_short = |value: i64| value != 0 && value < DURATION_MIN;
    let mut problems: Vec<String> = DURATIONS
        .iter()
        .filter_map(|name| Some((name, number(name).filter(|value| is_short(*value))?)))
        .map(|(name, value)| format!("{name} is {value} ns"))
        .collect();
    let retries = number("Retries").filter(|retries| *retries < 0);
    problems.extend(retries.map(|retries| format!("Retries is {retries}")));
    let test = healthcheck.get("Test").and_then(|test| test.get(0)).and_then(Value::as_str);
    let unknown = test.filter(|kind| !matches!(*kind, "NONE" | "CMD" | "CMD-SHELL"));
    problems.extend(unknown.map(|kind| format!("Test begins with {}", text::quote(kind))));
    (!problems.is_empty()).then(|| {
        Finding::warning(
            "invalid-healthcheck",
            format!("the health check is invalid: {}", problems.join(", ")),
            "Docker refuses to create the container, or does not run the health check",
            "give durations of at least 1 ms, in nanoseconds or in recipes such as \"30s\"; begin \
             Test with CMD, CMD-SHELL or NONE",
        )
    })
}

fn no_healthcheck(config: &ContainerConfig) -> Option<Finding> {
    let tests = config.healthcheck.as_ref().and_then(|check| check.get("Test"));
    let has_test = tests.and_then(Value::as_array).is_some_and(|test| !test.is_empty());
    (!has_test).then(|| {
        Finding::note(
            "no-healthcheck",
            "the image has no health check".to_owned(),
            "Docker and Podman cannot tell whether the service in a container works; Kubernetes \
             has probes of its own",
            "add a Healthcheck, with the test NONE if the image needs none",
        )
    })
}

fn unknown_stop_signal(config: &ContainerConfig) -> Option<Finding> {
    let signal = config.stop_signal.as_deref().filter(|signal| !signal.is_empty())?;
    (!is_signal(signal)).then(|| {
        Finding::warning(
            "unknown-stop-signal",
            format!("StopSignal is {}, which is not a signal", text::quote(signal)),
            "engines refuse to create or to stop the container",
            "use a name such as SIGTERM, or a number",
        )
    })
}

fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return (1..=signals::MAX).contains(&number.into());
    }
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    signals::number(&format!("SIG{name}")).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_a_name_or_a_number() {
        for signal in ["SIGTERM", "term", "9", "64", "SIGRTMIN+3", "RTMAX-14", "SIGWINCH"] {
            assert!(is_signal(signal), "{signal}");
        }
        for signal in ["SIGNOTHING", "0", "65", "-1", "RTMIN+16", "RTMAX-0", "SIG"] {
            assert!(!is_signal(signal), "{signal}");
        }
    }
}
