//! The state of systemd units, and their events from the journal, by the guest's monotonic clock.

use std::time::Duration;

use crate::vm::VmError;
use crate::vm::guest::Family;
use crate::vm::instance::Agent;

/// Targets that units of engines are often ordered after.
const TARGETS: [&str; 2] = ["sockets.target", "network-online.target"];
/// The event of an engine that begins to accept connections.
pub(crate) const ENGINE_SERVES: &str = "the engine serves its API";
/// The event of containerd's unit, without which Docker cannot run containers.
pub(crate) const CONTAINERD_ACTIVE: &str = "containerd.service is active";
/// How long the guest may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns when the engine's units became active, as events (org.freedesktop.systemd1(5),
/// `ActiveEnterTimestampMonotonic`).
///
/// # Errors
/// If the guest does not answer.
pub(crate) async fn activations(
    agent: &mut Agent,
    family: &Family,
) -> Result<Vec<(String, Duration)>, VmError> {
    let property = "--property=Id,ActiveEnterTimestampMonotonic";
    let units = family.units.iter().map(String::as_str).chain(TARGETS);
    let arguments: Vec<&str> = ["show", property].into_iter().chain(units).collect();
    let output = agent.run("systemctl", &arguments, ANSWER_TIMEOUT).await?;
    Ok(parse_activations(&output.stdout))
}

/// Parses blocks of `NAME=value` lines, separated by empty lines. The time of a unit that was never
/// active is 0.
fn parse_activations(text: &str) -> Vec<(String, Duration)> {
    let unit = |block: &str| {
        let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let microseconds: u64 = value("ActiveEnterTimestampMonotonic=")?.parse().ok()?;
        let name = value("Id=")?;
        (microseconds > 0)
            .then(|| (format!("{name} is active"), Duration::from_micros(microseconds)))
    };
    text.split("\n\n").filter_map(unit).collect()
}

/// The state of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitState {
    /// The unit's name.
    pub(crate) unit: String,
    /// `active`, `activating`, `failed`...
    pub(crate) state: String,
    /// How it ended last: `success`, `signal`, `exit-code`...
    pub(crate) result: String,
    /// When it last became active.
    pub(crate) active_since: Duration,
}

/// Returns the states of the services that the engine consists of.
///
/// # Errors
/// If the guest does not answer.
pub(crate) async fn states(agent: &mut Agent, family: &Family) -> Result<Vec<UnitState>, VmError> {
    let property = "--property=Id,ActiveState,Result,ActiveEnterTimestampMonotonic";
    let arguments: Vec<&str> = ["show", property].into_iter().chain(family.services()).collect();
    let output = agent.run("systemctl", &arguments, ANSWER_TIMEOUT).await?;
    let unit = |block: &str| {
        let value =
            |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        let microseconds = value("ActiveEnterTimestampMonotonic=")?.parse().ok()?;
        Some(UnitState {
            unit: value("Id=")?,
            state: value("ActiveState=")?,
            result: value("Result=")?,
            active_since: Duration::from_micros(microseconds),
        })
    };
    Ok(output.stdout.split("\n\n").filter_map(unit).collect())
}

/// Whether the disk that the engine writes to is full.
///
/// # Errors
/// If the guest does not answer.
pub(crate) async fn disk_is_full(agent: &mut Agent, family: &Family) -> Result<bool, VmError> {
    let arguments = ["--output=avail", "-B1", &family.store];
    let output = agent.run("df", &arguments, ANSWER_TIMEOUT).await?;
    Ok(output.stdout.lines().last().is_some_and(|free| free.trim() == "0"))
}

/// Returns events from the journal: when the engine began to serve, which services exited, and
/// which faults were injected.
///
/// # Errors
/// If the guest does not answer.
pub(crate) async fn journal_events(
    agent: &mut Agent,
    family: &Family,
) -> Result<Vec<(String, Duration)>, VmError> {
    let units = family.services().chain(["seatrial-fault-*"]).flat_map(|unit| ["-u", unit]);
    let arguments: Vec<&str> =
        ["--no-pager", "-q", "-o", "short-monotonic"].into_iter().chain(units).collect();
    let output = agent.run("journalctl", &arguments, ANSWER_TIMEOUT).await?;
    Ok(parse_journal(&output.stdout, family.start.serving_message.as_deref()))
}

/// Parses lines such as `[   12.345678] host dockerd[9]: ...` (journalctl(1), `short-monotonic`).
fn parse_journal(journal: &str, serving_message: Option<&str>) -> Vec<(String, Duration)> {
    let mut serves = false;
    let event = |line: &str| {
        let (at, text) = line.strip_prefix('[')?.split_once(']')?;
        let at = Duration::try_from_secs_f64(at.trim().parse().ok()?).ok()?;
        let what = if let Some((_, fault)) = text.split_once(FAULT_MARKER) {
            // systemd logs "Starting NAME - MARKER..." when the unit begins to wait for its moment,
            // and "Finished NAME - MARKER..." after the fault.
            text.contains(" Finished ").then(|| fault.trim_end_matches('.').to_owned())?
        } else if let Some((unit, _)) = text.split_once(": Main process exited") {
            format!("{} exited", unit.rsplit(' ').next()?)
        } else if serving_message.is_some_and(|message| text.contains(message))
            && !std::mem::replace(&mut serves, true)
        {
            ENGINE_SERVES.to_owned()
        } else {
            return None;
        };
        Some((what, at))
    };
    journal.lines().filter_map(event).collect()
}

/// The beginning of the descriptions of `seatrial-fault-*` units.
pub(crate) const FAULT_MARKER: &str = "fault: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_were_never_active_have_no_event() {
        let text = "Id=sockets.target\nActiveEnterTimestampMonotonic=4255000\n\n\
                    Id=network-online.target\nActiveEnterTimestampMonotonic=0\n\n\
                    ActiveEnterTimestampMonotonic=9000000\nId=docker.service\n";
        let seen = parse_activations(text);
        let seen: Vec<(&str, u128)> =
            seen.iter().map(|(name, at)| (name.as_str(), at.as_millis())).collect();
        assert_eq!(seen, [("sockets.target is active", 4255), ("docker.service is active", 9000)]);
    }

    #[test]
    fn the_journal_shows_when_the_engine_serves_and_which_faults_were_injected() {
        let journal = "\
[    9.100000] seatrial systemd[1]: Starting seatrial-fault-0.service - fault: kill containerd...
[   10.250000] seatrial systemd[1]: containerd.service: Main process exited, code=killed
[   10.300000] seatrial systemd[1]: Finished seatrial-fault-0.service - fault: kill containerd.
[   11.000000] seatrial dockerd[163]: level=info msg=\\\"API listen on [::]:2376\\\"
[   11.000100] seatrial dockerd[163]: level=info msg=\\\"API listen on /run/docker.sock\\\"
";
        let seen = parse_journal(journal, Some("API listen on"));
        let seen: Vec<(&str, u128)> =
            seen.iter().map(|(name, at)| (name.as_str(), at.as_millis())).collect();
        let expected = [
            ("containerd.service exited", 10250),
            ("kill containerd", 10300),
            (ENGINE_SERVES, 11000),
        ];
        assert_eq!(seen, expected);
    }
}
