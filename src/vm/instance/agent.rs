//! Runs commands in the guest through the QEMU guest agent.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::folders::Lock;
use crate::vm::instance::channel::Channel;

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

impl CommandOutput {
    /// Whether the command exited with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// A connection to the guest agent of a VM.
pub struct Agent {
    channel: Channel,
    _lock: Lock,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

const PEER: &str = "the guest agent";
/// The limit for the size of a file that is read, in bytes.
const FILE_SIZE_LIMIT: usize = 48 << 20;
/// How long the agent may take to answer a request.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a running command is polled, and a lock that is in use.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

impl Agent {
    /// Connects to the agent of the VM in `folder`, and checks that it answers within `limit`. The
    /// agent has one connection at a time; this waits until other connections are closed.
    pub(in crate::vm) async fn connect(folder: &Path, limit: Duration) -> Result<Self, VmError> {
        let deadline = Instant::now() + limit;
        let lock_file = folder.join("agent.lock");
        let lock = loop {
            if let Some(lock) = Lock::try_acquire(&lock_file) {
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
        let mut channel = Channel::connect(PEER, &folder.join("agent.sock")).await?;
        // An earlier connection may have been closed in the middle of an answer.
        let id = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        channel.synchronize("guest-sync", json!({ "id": id }), limit).await?;
        Ok(Self { channel, _lock: lock })
    }

    /// Returns the content of a file of the guest, or the first 48 MiB of it.
    ///
    /// # Errors
    /// If the file cannot be read, or the agent does not answer.
    pub async fn read_file(&mut self, path: &str) -> Result<String, VmError> {
        let open = json!({ "path": path, "mode": "r" });
        let handle = self.channel.execute("guest-file-open", open, ANSWER_TIMEOUT).await?;
        let mut bytes = Vec::new();
        loop {
            let chunk = json!({ "handle": handle, "count": 1 << 20 });
            let read = self.channel.execute("guest-file-read", chunk, ANSWER_TIMEOUT).await?;
            bytes.extend(decode(&read["buf-b64"]));
            if read["eof"] == true || read["count"] == 0 || bytes.len() > FILE_SIZE_LIMIT {
                break;
            }
        }
        let close = json!({ "handle": handle });
        self.channel.execute("guest-file-close", close, ANSWER_TIMEOUT).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
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
        let deadline = Instant::now() + limit;
        let start = json!({ "path": program, "arg": arguments, "capture-output": true });
        let started = self.channel.execute("guest-exec", start, ANSWER_TIMEOUT).await?;
        loop {
            let poll = json!({ "pid": started["pid"] });
            let status = self.channel.execute("guest-exec-status", poll, ANSWER_TIMEOUT).await?;
            if status["exited"] == true {
                return Ok(command_output(&status));
            }
            if Instant::now() >= deadline {
                let problem = format!("still running after {} s", limit.as_secs_f32());
                let command = format!("{program} {}", arguments.join(" "));
                return Err(VmError::Command { peer: "the guest", command, problem });
            }
            sleep(POLL_INTERVAL).await;
        }
    }
}

fn command_output(status: &Value) -> CommandOutput {
    let text = |name: &str| String::from_utf8_lossy(&decode(&status[name])).into_owned();
    CommandOutput {
        // Absent if a signal killed the command; must not be read as 0.
        code: status["exitcode"].as_i64(),
        signal: status["signal"].as_i64(),
        stdout: text("out-data"),
        stderr: text("err-data"),
    }
}

fn decode(base64: &Value) -> Vec<u8> {
    base64.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_killed_command_has_a_signal_but_no_exit_code() {
        let output = command_output(&json!({ "exited": true, "signal": 9 }));
        assert_eq!((output.code, output.signal, output.success()), (None, Some(9), false));
    }
}
