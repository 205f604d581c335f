//! What systemd and its journal say of the units that readiness is often taken from, by the guest's monotonic clock.

use std::time::Duration;

use crate::vm::VmError;
use crate::vm::guest::Family;
use crate::vm::instance::Agent;

/// The targets that an engine's start is often tied to.
const TARGETS: [&str; 2] = ["sockets.target", "network-online.target"];
/// The engine accepts connections: the first moment at which anything could be asked of it.
pub const ENGINE_SERVES: &str = "the engine serves its API";
/// What the engine runs containers with is there.
pub const CONTAINERD_ACTIVE: &str = "containerd.service is active";
/// How long the guest may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// What became active, and when (org.freedesktop.systemd1(5), `ActiveEnterTimestampMonotonic`).
///
/// # Errors
/// When the guest cannot be asked.
pub async fn activations(
    agent: &mut Agent,
    family: &Family,
) -> Result<Vec<(String, Duration)>, VmError> {
    let property = "--property=Id,ActiveEnterTimestampMonotonic";
    let units = family.units.iter().map(String::as_str).chain(TARGETS);
    let arguments: Vec<&str> = ["show", property].into_iter().chain(units).collect();
    let output = agent.run("systemctl", &arguments, LIMIT).await?;
    Ok(actives(&output.stdout))
}

/// Blocks of `NAME=value` lines with an empty line between them. A unit that never was active says 0.
fn actives(text: &str) -> Vec<(String, Duration)> {
    let unit = |block: &str| {
        let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let microseconds: u64 = value("ActiveEnterTimestampMonotonic=")?.parse().ok()?;
        let name = value("Id=")?;
        (microseconds > 0)
            .then(|| (format!("{name} is active"), Duration::from_micros(microseconds)))
    };
    text.split("\n\n").filter_map(unit).collect()
}

/// How a unit that an engine needs is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// Its name.
    pub unit: String,
    /// `active`, `activating`, `failed`...
    pub state: String,
    /// How it ended last: `success`, `signal`, `exit-code`...
    pub result: String,
    /// Since when it has been active, or was last.
    pub active_since: Duration,
}

/// How the units that an engine needs are now.
///
/// # Errors
/// When the guest cannot be asked.
pub async fn states(agent: &mut Agent, family: &Family) -> Result<Vec<UnitState>, VmError> {
    let property = "--property=Id,ActiveState,Result,ActiveEnterTimestampMonotonic";
    let arguments: Vec<&str> = ["show", property].into_iter().chain(family.services()).collect();
    let output = agent.run("systemctl", &arguments, LIMIT).await?;
    let unit = |block: &str| {
        let value =
            |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(UnitState {
            unit: value("Id=")?,
            state: value("ActiveState=")?,
            result: value("Result=")?,
            active_since: Duration::from_micros(
                value("ActiveEnterTimestampMonotonic=")?.parse().ok()?,
            ),
        })
    };
    Ok(output.stdout.split("\n\n").filter_map(unit).collect())
}

/// Whether nothing more goes onto the disk that the engine writes to.
///
/// # Errors
/// When the guest cannot be asked.
pub async fn disk_is_full(agent: &mut Agent, family: &Family) -> Result<bool, VmError> {
    let arguments = ["--output=avail", "-B1", &family.store];
    let output = agent.run("df", &arguments, LIMIT).await?;
    Ok(output.stdout.lines().last().is_some_and(|free| free.trim() == "0"))
}

/// What the journal tells of the engine's start: when it began to serve, what ended, what faults were done.
///
/// # Errors
/// When the guest cannot be asked.
pub async fn journal_events(
    agent: &mut Agent,
    family: &Family,
) -> Result<Vec<(String, Duration)>, VmError> {
    let units = family.services().chain(["seatrial-fault-*"]).flat_map(|unit| ["-u", unit]);
    let arguments: Vec<&str> =
        ["--no-pager", "-q", "-o", "short-monotonic"].into_iter().chain(units).collect();
    let output = agent.run("journalctl", &arguments, LIMIT).await?;
    Ok(events(&output.stdout, family.start.serving_message.as_deref()))
}

/// Lines such as `[   12.345678] host dockerd[9]: ...` (journalctl(1), `short-monotonic`).
fn events(journal: &str, served: Option<&str>) -> Vec<(String, Duration)> {
    let mut serves = false;
    let event = |line: &str| {
        let (at, text) = line.strip_prefix('[')?.split_once(']')?;
        let at = Duration::try_from_secs_f64(at.trim().parse().ok()?).ok()?;
        let what = if let Some((_, unit)) = text.split_once("does: ") {
            // systemd: "Starting NAME - does: ..." before it has waited for its moment, "Finished ..." after.
            text.contains(" Finished ").then(|| unit.trim_end_matches('.').to_owned())?
        } else if let Some((unit, _)) = text.split_once(": Main process exited") {
            format!("{} ended", unit.rsplit(' ').next()?)
        } else if served.is_some_and(|words| text.contains(words))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_never_were_active_are_left_out() {
        let text = "Id=sockets.target\nActiveEnterTimestampMonotonic=4255000\n\n\
                    Id=network-online.target\nActiveEnterTimestampMonotonic=0\n\n\
                    ActiveEnterTimestampMonotonic=9000000\nId=docker.service\n";
        let seen = actives(text);
        let seen: Vec<(&str, u128)> =
            seen.iter().map(|(name, at)| (name.as_str(), at.as_millis())).collect();
        assert_eq!(seen, [("sockets.target is active", 4255), ("docker.service is active", 9000)]);
    }

    #[test]
    fn the_journal_tells_when_the_engine_serves_and_what_happened_to_it() {
        let journal = "\
[    9.100000] seatrial systemd[1]: Starting seatrial-fault-0.service - does: kill containerd...
[   10.250000] seatrial systemd[1]: containerd.service: Main process exited, code=killed, status=9/KILL
[   10.300000] seatrial systemd[1]: Finished seatrial-fault-0.service - does: kill containerd.
[   11.000000] seatrial dockerd[163]: time=\\\"x\\\" level=info msg=\\\"API listen on [::]:2376\\\"
[   11.000100] seatrial dockerd[163]: time=\\\"x\\\" level=info msg=\\\"API listen on /run/docker.sock\\\"
";
        let seen = events(journal, Some("API listen on"));
        let seen: Vec<(&str, u128)> =
            seen.iter().map(|(name, at)| (name.as_str(), at.as_millis())).collect();
        let expected = [
            ("containerd.service ended", 10250),
            ("kill containerd", 10300),
            (ENGINE_SERVES, 11000),
        ];
        assert_eq!(seen, expected);
    }
}
