//! Runs commands in the guest through the QEMU guest agent.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::instance::channel::Channel;
use crate::vm::locks::Lock;

/// The output and exit code of a command in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit code; `None` if a signal killed the command.
    pub code: Option<i64>,
    /// The signal that killed the command.
    pub signal: Option<i64>,
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
}

/// The output and exit code of a command in the guest, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RawOutput {
    /// The exit code; `None` if a signal killed the command.
    pub(crate) code: Option<i64>,
    /// The signal that killed the command.
    pub(crate) signal: Option<i64>,
    /// The standard output.
    pub(crate) stdout: Vec<u8>,
    /// The standard error.
    pub(crate) stderr: Vec<u8>,
}

impl From<RawOutput> for CommandOutput {
    fn from(RawOutput { code, signal, stdout, stderr }: RawOutput) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code, signal, stdout: text(stdout), stderr: text(stderr) }
    }
}

impl CommandOutput {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// A command that was started in the guest.
#[derive(Debug)]
pub(crate) struct StartedCommand {
    program: String,
    pid: Value,
}

impl StartedCommand {
    /// The process ID in the guest.
    pub(crate) fn pid(&self) -> &Value {
        &self.pid
    }
}

/// A connection to the guest agent of a VM.
pub struct Agent {
    pub(super) channel: Channel,
    _lock: Lock,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

const PEER: &str = "the guest agent";
/// The most bytes of a line. The longest is the output of a command: the agent captures 16 MiB of
/// each stream, and sends them in base64.
const LINE_MAX: usize = 48 << 20;
/// The most bytes of a command's standard input. The request must not exceed the limit for JSON
/// strings in QEMU, 64 MiB in base64.
pub(crate) const STDIN_MAX: usize = 32 << 20;
/// How long the agent may take to accept a command with its standard input: an emulated CPU reads
/// about 1 MB/s.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the agent may take to answer a request. On a busy host, that takes seconds.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a running command is polled, and a lock that is in use.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl Agent {
    /// Connects to the agent of the VM in `folder`, and checks that it answers within `limit`. The
    /// agent has one connection at a time; this waits until other connections are closed.
    pub(in crate::vm) async fn connect(folder: &Path, limit: Duration) -> Result<Self, VmError> {
        let deadline = Instant::now() + limit;
        let lock_file = folder.join("agent.lock");
        let lock = loop {
            if let Some(lock) = Lock::try_acquire(&lock_file)? {
                break lock;
            }
            if Instant::now() >= deadline {
                let seconds = limit.as_secs_f32();
                let problem = format!("another connection was using it for {seconds} s");
                let command = "any command".to_owned();
                return Err(VmError::Command { peer: PEER, command, problem });
            }
            sleep(POLL_INTERVAL).await;
        };
        let mut channel = Channel::connect(PEER, &folder.join("agent.sock"), LINE_MAX).await?;
        // An earlier connection may have been closed in the middle of an answer.
        let id = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        channel.synchronize("guest-sync", json!({ "id": id }), limit).await?;
        Ok(Self { channel, _lock: lock })
    }

    /// Runs `program` with `arguments`, and waits up to `limit` until it exits.
    ///
    /// # Errors
    /// If the program cannot be started or does not exit in time, or the agent does not answer.
    pub async fn run(
        &mut self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<CommandOutput, VmError> {
        Ok(self.run_with_input(program, arguments, b"", limit).await?.into())
    }

    /// Like [`run`](Self::run), with `stdin` as the command's standard input, and its output byte
    /// for byte.
    ///
    /// # Errors
    /// As [`run`](Self::run), and if the command writes more than the agent captures.
    pub(crate) async fn run_with_input(
        &mut self,
        program: &str,
        arguments: &[&str],
        stdin: &[u8],
        limit: Duration,
    ) -> Result<RawOutput, VmError> {
        let deadline = Instant::now() + limit;
        let started = self.start(program, arguments, stdin).await?;
        loop {
            if let Some(output) = self.poll(&started).await? {
                return Ok(output);
            }
            if Instant::now() >= deadline {
                let problem = format!("still running after {} s", limit.as_secs_f32());
                let command = format!("{program} {}", arguments.join(" "));
                return Err(VmError::Command { peer: "the guest", command, problem });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Starts `program` with `arguments` and `stdin` as its standard input.
    ///
    /// # Errors
    /// If the program cannot be started, or the agent does not answer.
    pub(crate) async fn start(
        &mut self,
        program: &str,
        arguments: &[&str],
        stdin: &[u8],
    ) -> Result<StartedCommand, VmError> {
        let mut start = json!({ "path": program, "arg": arguments, "capture-output": true });
        if !stdin.is_empty() {
            start["input-data"] = STANDARD.encode(stdin).into();
        }
        let answer_timeout = if stdin.is_empty() { ANSWER_TIMEOUT } else { START_TIMEOUT };
        let started = self.channel.execute("guest-exec", start, answer_timeout).await;
        let mut started = started.map_err(|error| not_started(program, error))?;
        Ok(StartedCommand { program: program.to_owned(), pid: started["pid"].take() })
    }

    /// Returns the output of a command, if it has exited.
    ///
    /// # Errors
    /// If the command has written more than the agent captures, or the agent does not answer.
    pub(crate) async fn poll(
        &mut self,
        command: &StartedCommand,
    ) -> Result<Option<RawOutput>, VmError> {
        let poll = json!({ "pid": command.pid });
        let status = self.channel.execute("guest-exec-status", poll, ANSWER_TIMEOUT).await?;
        let exited = status["exited"] == true;
        exited.then(|| output(&command.program, &status)).transpose()
    }
}

/// Converts the agent's error for a program that could not be started, such as `Failed to execute
/// child process “x” (No such file or directory)` (GLib's `g_spawn_async`).
fn not_started(program: &str, error: VmError) -> VmError {
    let VmError::Command { problem, .. } = &error else { return error };
    let cause = problem.split_once("ailed to execute child process").and_then(|(_, rest)| {
        Some(rest.rsplit_once('(')?.1.trim_end_matches(['\'', '.']).strip_suffix(')')?.to_owned())
    });
    match cause {
        Some(problem) => VmError::GuestProgram { program: program.to_owned(), problem },
        None => error,
    }
}

fn output(program: &str, status: &Value) -> Result<RawOutput, VmError> {
    if status["out-truncated"] == true || status["err-truncated"] == true {
        return Err(VmError::Command {
            peer: "the guest",
            command: program.to_owned(),
            problem: "its output is larger than 16 MiB".to_owned(),
        });
    }
    Ok(RawOutput {
        // Absent if a signal killed the command; must not be read as 0.
        code: status["exitcode"].as_i64(),
        signal: status["signal"].as_i64(),
        stdout: decode(&status["out-data"]),
        stderr: decode(&status["err-data"]),
    })
}

pub(super) fn decode(base64: &Value) -> Vec<u8> {
    base64.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_command_has_a_signal_but_no_exit_code() {
        let output = output("x", &json!({ "exited": true, "signal": 9 })).unwrap();
        let output = CommandOutput::from(output);
        assert_eq!((output.code, output.signal, output.success()), (None, Some(9), false));
    }

    #[test]
    fn output_that_the_agent_cut_is_an_error() {
        let cut = json!({ "exited": true, "exitcode": 0, "out-truncated": true });
        let error = output("cat", &cut).unwrap_err().to_string();
        assert_eq!(error, "the guest failed to run cat: its output is larger than 16 MiB");
    }

    #[test]
    fn a_program_that_could_not_be_started_is_named_with_the_cause() {
        // QEMU 5.2 and 7.2, with GLib 2.66 and 2.74.
        for quotes in [["\u{201c}", "\u{201d}"], ["\"", "\""]] {
            let problem = format!(
                "Guest agent command failed, error was 'Failed to execute child process \
                 {}no(pe{} (No such file or directory)'",
                quotes[0], quotes[1]
            );
            let command = "guest-exec".to_owned();
            let error = not_started("no(pe", VmError::Command { peer: PEER, command, problem });
            let expected = "failed to run no(pe in the guest: No such file or directory";
            assert_eq!(error.to_string(), expected);
        }
    }
}
