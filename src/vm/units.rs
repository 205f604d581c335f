//! What systemd says of the units that readiness is often taken from: when each became active, by the guest's
//! monotonic clock (org.freedesktop.systemd1(5), `ActiveEnterTimestampMonotonic`).

use std::time::Duration;

use super::{Agent, VmError};

/// The units, in the order in which they usually become active.
const UNITS: [&str; 5] =
    ["docker.socket", "sockets.target", "containerd.service", "network-online.target", "docker.service"];

/// What became active, and when.
///
/// # Errors
/// When the guest cannot be asked.
pub async fn became_active(agent: &mut Agent) -> Result<Vec<(String, Duration)>, VmError> {
    let property = "--property=Id,ActiveEnterTimestampMonotonic";
    let arguments: Vec<&str> = ["show", property].into_iter().chain(UNITS).collect();
    let output = agent.run("/usr/bin/systemctl", &arguments, Duration::from_secs(20)).await?;
    Ok(parse(&output.stdout))
}

/// Blocks of `NAME=value` lines with an empty line between them. A unit that never was active says 0.
fn parse(text: &str) -> Vec<(String, Duration)> {
    let unit = |block: &str| {
        let value = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
        let microseconds: u64 = value("ActiveEnterTimestampMonotonic=")?.parse().ok()?;
        let name = value("Id=")?;
        (microseconds > 0).then(|| (format!("{name} is active"), Duration::from_micros(microseconds)))
    };
    text.split("\n\n").filter_map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_never_were_active_are_left_out() {
        let text = "Id=sockets.target\nActiveEnterTimestampMonotonic=4255000\n\n\
                    Id=network-online.target\nActiveEnterTimestampMonotonic=0\n\n\
                    ActiveEnterTimestampMonotonic=9000000\nId=docker.service\n";
        let seen = parse(text);
        let seen: Vec<(&str, u128)> = seen.iter().map(|(name, at)| (name.as_str(), at.as_millis())).collect();
        assert_eq!(seen, [("sockets.target is active", 4255), ("docker.service is active", 9000)]);
    }
}
