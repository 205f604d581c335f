//! A container as an engine with Docker's API describes it.
//!
//! The client's own types accept only the states that Docker has. Podman has more, such as
//! `stopped`, so the description is read again with the types of this module, where a state is a
//! text.

use std::collections::BTreeMap;

use bollard::errors::Error;
use bollard::models::ContainerInspectResponse;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::docker::api;
use super::{EngineError, Exit, OutOfMemory, State};

/// The parts of a container's description that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Inspected {
    pub state: Option<InspectedState>,
    pub network_settings: Option<NetworkSettings>,
    /// The file on the engine's host that is mounted at `/etc/hosts`.
    pub hosts_path: Option<String>,
}

/// The state of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct InspectedState {
    status: Option<String>,
    running: Option<bool>,
    exit_code: Option<i64>,
    #[serde(rename = "OOMKilled")]
    oom_killed: Option<bool>,
    started_at: Option<String>,
    finished_at: Option<String>,
    health: Option<Health>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Health {
    status: Option<String>,
    log: Option<Vec<HealthCheck>>,
}

/// A run of a container's health check.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct HealthCheck {
    exit_code: Option<i64>,
    output: Option<String>,
}

impl InspectedState {
    /// Returns the exit codes and the outputs of the last runs of the health check, the last one
    /// first: that one if it did not pass, and if it exceeded its timeout, which does not say why,
    /// also the last one before it that failed in its time since the check has passed.
    pub(super) fn failed_health_checks(&self) -> Vec<(i64, String)> {
        let log = self.health.iter().flat_map(|health| health.log.iter().flatten());
        let mut failed = log.rev().take_while(|run| run.has_failed());
        let last = failed.next();
        let is_late = last.is_some_and(HealthCheck::is_timeout);
        let before = failed.find(|run| is_late && !run.is_timeout());
        let parts = |run: &HealthCheck| {
            (run.exit_code.unwrap_or_default(), run.output.clone().unwrap_or_default())
        };
        last.into_iter().chain(before).map(parts).collect()
    }
}

impl HealthCheck {
    fn has_failed(&self) -> bool {
        self.exit_code.is_some_and(|code| code != 0)
    }

    /// Whether Docker ended the run, which has no exit code of its own then.
    fn is_timeout(&self) -> bool {
        self.exit_code == Some(-1)
    }
}

/// The networks of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct NetworkSettings {
    pub networks: Option<BTreeMap<String, Network>>,
}

/// A network of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Network {
    #[serde(rename = "IPAddress")]
    pub ip_address: Option<String>,
}

impl Inspected {
    /// Reads the engine's response, even if the client could not.
    pub(super) fn parse(
        response: Result<ContainerInspectResponse, Error>,
    ) -> Result<Self, EngineError> {
        let parsed = match response {
            Ok(response) => serde_json::to_value(response).and_then(serde_json::from_value),
            Err(Error::JsonDataError { contents, .. }) => serde_json::from_str(&contents),
            Err(error) => return Err(api("inspect the container")(error)),
        };
        parsed.map_err(|error| {
            EngineError::Unexpected(format!(
                "failed to read the engine's description of the container: {error}"
            ))
        })
    }
}

impl From<InspectedState> for State {
    fn from(state: InspectedState) -> Self {
        // Docker's states after an exit, and Podman's before it has cleaned up.
        let exited =
            matches!(state.status.as_deref(), Some("exited" | "dead" | "removing" | "stopped"));
        let exit = exited.then(|| Exit {
            code: state.exit_code.unwrap_or_default(),
            out_of_memory: state.oom_killed.filter(|killed| *killed).map(|_| OutOfMemory::Unknown),
            duration: duration(state.started_at.as_deref(), state.finished_at.as_deref()),
        });
        let health = state.health.and_then(|health| health.status);
        // Without a health check, Docker says "none", and Podman nothing.
        let health = health.filter(|status| !matches!(status.as_str(), "" | "none"));
        Self { running: state.running == Some(true), exit, health }
    }
}

/// Returns the time between two times in RFC 3339. A time before 1970 stands for none.
fn duration(start: Option<&str>, end: Option<&str>) -> Option<std::time::Duration> {
    let time =
        |text: &str| text.parse::<Timestamp>().ok().filter(|time| *time > Timestamp::UNIX_EPOCH);
    let (start, end) = (time(start?)?, time(end?)?);
    // Docker may note the start of a short command after its exit.
    let ran_for = end.duration_since(start).max(SignedDuration::ZERO);
    ran_for.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn state(json: &str) -> State {
        // As the client does it: an unknown state is an error, which has the text.
        let response = serde_json::from_str(json).map_err(|error| Error::JsonDataError {
            message: error.to_string(),
            contents: json.to_owned(),
            column: error.column(),
        });
        Inspected::parse(response).unwrap().state.unwrap_or_default().into()
    }

    #[test]
    fn a_container_that_podman_calls_stopped_has_exited() {
        let found = state(
            r#"{"State": {"Status": "stopped", "Running": false, "ExitCode": 3, "OOMKilled": false,
                "StartedAt": "2026-01-02T03:04:05.5Z", "FinishedAt": "2026-01-02T05:04:08+02:00",
                "Health": {"Status": "", "Log": null}}}"#,
        );
        let exit =
            Exit { code: 3, out_of_memory: None, duration: Some(Duration::from_millis(2500)) };
        assert_eq!(found, State { running: false, exit: Some(exit.clone()), health: None });
        assert_eq!(exit.to_string(), "exit code 3 after 2.5 s");
    }

    #[test]
    fn only_failures_of_a_health_check_since_it_has_passed_count() {
        let failures = |log: &[&str]| {
            let log = log.join(",");
            let json = format!(r#"{{"Health": {{"Status": "unhealthy", "Log": [{log}]}}}}"#);
            let state: InspectedState = serde_json::from_str(&json).unwrap();
            state.failed_health_checks()
        };
        let passed = r#"{"ExitCode": 0, "Output": "fine"}"#;
        let failed = r#"{"ExitCode": 127, "Output": "no curl"}"#;
        let late = r#"{"ExitCode": -1, "Output": "Health check exceeded timeout (1s)"}"#;
        let no_curl = (127, "no curl".to_owned());
        let exceeded = (-1, "Health check exceeded timeout (1s)".to_owned());
        assert_eq!(failures(&[late, failed]), std::slice::from_ref(&no_curl));
        assert_eq!(failures(&[passed, late]), std::slice::from_ref(&exceeded));
        assert_eq!(failures(&[failed, passed, late]), std::slice::from_ref(&exceeded));
        // A run that exceeded its timeout does not say why.
        assert_eq!(failures(&[passed, failed, late, late]), [exceeded, no_curl]);
        assert_eq!(failures(&[failed, passed]), []);
        assert_eq!(failures(&[]), []);
    }

    #[test]
    fn a_command_that_exited_before_its_start_was_noted_ran_for_no_time() {
        let found = state(
            r#"{"State": {"Status": "exited", "StartedAt": "2026-01-02T03:04:05.5Z",
                "FinishedAt": "2026-01-02T03:04:05.4Z"}}"#,
        );
        assert_eq!(found.exit.and_then(|exit| exit.duration), Some(Duration::ZERO));
    }

    #[test]
    fn a_state_that_no_engine_has_today_is_read_too() {
        let found = state(
            r#"{"State": {"Status": "hibernating", "Running": true,
                "Health": {"Status": "dormant"}}}"#,
        );
        let health = Some("dormant".to_owned());
        assert_eq!(found, State { running: true, exit: None, health });
    }

    #[test]
    fn a_container_that_was_created_has_not_exited() {
        let found = state(
            r#"{"State": {"Status": "created", "Running": false, "ExitCode": 0,
                "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"}}"#,
        );
        assert_eq!(found, State::default());
    }
}
