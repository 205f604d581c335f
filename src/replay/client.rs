//! The client of a run: a program in the guest, whose time limit a busy host does not shorten.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::scenario::ClientAction;
use super::{Outcome, ReplayError, Scenario};
use crate::vm::instance::CommandOutput;
use crate::vm::{ResumedVm, Vm, VmError};

/// The timeout of a request to the guest agent. A slow VM takes some seconds.
pub(super) const AGENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two looks at a client.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The guest ends a client after this many times its limit, in case the host does not.
const GUEST_FACTOR: u64 = 20;
/// After `ready`, a client may take this many times its timeout. Then it counts as hung.
const LATE_FACTOR: u32 = 4;

/// A client that has ended.
pub(super) struct ClientRun {
    /// The outcome.
    pub outcome: Outcome,
    /// The client's error, or how late it was.
    pub message: String,
    /// The time that it took.
    pub took: Duration,
    /// The guest's uptime when it began.
    pub began: Option<Duration>,
    /// The guest's uptime when it ended, unless it was killed.
    pub ended: Option<Duration>,
}

/// Runs the client of `scenario` once. It is killed after its timeout by the VM's clock, which
/// stands still while the VM waits for the host. If the engine `is_ready`, it gets more time, so
/// that a slow client does not look like one that hangs.
pub(super) async fn run(
    scenario: &Scenario,
    resumed: &ResumedVm,
    is_ready: bool,
) -> Result<ClientRun, ReplayError> {
    let timeout = Duration::from_secs(scenario.client.timeout);
    let limit = if is_ready { timeout * LATE_FACTOR } else { timeout };
    let action = match scenario.client.action {
        ClientAction::Version => "version",
        ClientAction::Load => "load",
        ClientAction::Run => "run",
    };
    let guest_limit = (limit.as_secs() * GUEST_FACTOR).to_string();
    let engine = &resumed.vm.family().name;
    let client = ["/bin/sh", "/usr/lib/seatrial/client", engine, action];
    let arguments = [&["-s", "KILL", &guest_limit], &client[..]].concat();
    let started = Instant::now();
    let output = run_limited(&resumed.vm, &arguments, limit).await?;
    let uptime = |word: &str| {
        let line = output.stdout.lines().find_map(|line| line.strip_prefix(word));
        line.and_then(parse_seconds)
    };
    let (began, ended) = (uptime("began"), uptime("ended"));
    let took = match (began, ended) {
        (Some(began), Some(ended)) => ended.saturating_sub(began),
        _ => started.elapsed(),
    };
    let (outcome, message) = judge(&output, ended.is_some(), took, timeout);
    Ok(ClientRun { outcome, message, took, began, ended })
}

/// Returns the outcome of a client and its message. `ended` says whether it ended by itself.
fn judge(
    output: &CommandOutput,
    ended: bool,
    took: Duration,
    timeout: Duration,
) -> (Outcome, String) {
    let (seconds, timeout_seconds) = (took.as_secs_f64(), timeout.as_secs());
    match (output.success(), ended) {
        (true, _) if took > timeout => {
            (Outcome::Slow, format!("answer after {seconds:.1} s; timeout: {timeout_seconds} s"))
        }
        (true, _) => (Outcome::Worked, String::new()),
        // A client that was killed does not print when it ended.
        (false, false) => (Outcome::Hung, format!("no answer within {seconds:.0} s")),
        (false, true) => (Outcome::Failed, first_line(&output.stderr)),
    }
}

/// Runs `timeout` in the guest with `arguments`, and kills it and its children after `limit` by the
/// VM's clock.
async fn run_limited(
    vm: &Vm,
    arguments: &[&str],
    limit: Duration,
) -> Result<CommandOutput, ReplayError> {
    let mut agent = vm.agent(AGENT_TIMEOUT).await?;
    let command = agent.start("/usr/bin/timeout", arguments, b"").await?;
    let (mut deadline, mut killed) = (vm.clock().now() + limit, false);
    loop {
        if let Some(output) = agent.poll(&command).await? {
            return Ok(output.into());
        }
        if vm.clock().now() >= deadline {
            if killed {
                let problem = "it was killed, and did not end".to_owned();
                let command = "the client".to_owned();
                return Err(VmError::Command { peer: "the guest", command, problem }.into());
            }
            // `timeout` leads a process group of its own.
            let kill = format!("kill -KILL -{}", command.pid());
            agent.run("/bin/sh", &["-c", &kill], AGENT_TIMEOUT).await?;
            (deadline, killed) = (vm.clock().now() + AGENT_TIMEOUT, true);
        }
        sleep(POLL_INTERVAL).await;
    }
}

/// Parses a number of seconds.
pub(super) fn parse_seconds(text: &str) -> Option<Duration> {
    Duration::try_from_secs_f64(text.trim().parse().ok()?).ok()
}

/// Returns the first line that is not empty.
fn first_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or("no error message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_client_is_slow_a_killed_one_hung_and_only_one_with_an_error_failed() {
        let output = |code| CommandOutput {
            code,
            signal: None,
            stdout: String::new(),
            stderr: "\n refused \nusage\n".to_owned(),
        };
        let judge = |code, ended, seconds| {
            judge(&output(code), ended, Duration::from_secs(seconds), Duration::from_secs(45))
        };
        assert_eq!(judge(Some(0), true, 45), (Outcome::Worked, String::new()));
        let late = "answer after 46.0 s; timeout: 45 s".to_owned();
        assert_eq!(judge(Some(0), true, 46), (Outcome::Slow, late));
        assert_eq!(judge(Some(1), true, 100), (Outcome::Failed, "refused".to_owned()));
        let hung = "no answer within 180 s".to_owned();
        assert_eq!(judge(None, false, 180), (Outcome::Hung, hung));
    }
}
