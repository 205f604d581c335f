//! Commands in the guest, through QEMU's guest agent.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::vm::VmError;
use crate::vm::folders::Lock;
use crate::vm::instance::channel::Channel;

/// What a command in the guest printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandOutput {
    /// The exit code; `None` when a signal ended the command.
    pub code: Option<i64>,
    /// The signal that ended the command.
    pub signal: Option<i64>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl CommandOutput {
    /// Whether the command ended by itself with code 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }
}

/// The guest agent of a machine.
pub struct Agent {
    channel: Channel,
    _turn: Lock,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Agent")
    }
}

const PEER: &str = "the guest agent";
/// The most that is read of a file, in bytes.
const FILE_MAX: usize = 48 << 20;
/// How long the agent may take over an answer of its own.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a running command is asked after.
const POLL: Duration = Duration::from_millis(10);

impl Agent {
    /// Connects to the agent of the machine in `folder` and makes sure that it answers within `limit`. One at a time:
    /// whoever else talks to it is waited for.
    pub(in crate::vm) async fn connect(folder: &Path, limit: Duration) -> Result<Self, VmError> {
        let deadline = Instant::now() + limit;
        let lock = folder.join("agent.lock");
        let turn = loop {
            if let Some(turn) = Lock::take(&lock) {
                break turn;
            }
            if Instant::now() >= deadline {
                let problem = format!("it was busy for {} s", limit.as_secs_f32());
                return Err(VmError::Channel {
                    peer: PEER,
                    command: "connecting".to_owned(),
                    problem,
                });
            }
            sleep(POLL).await;
        };
        let mut channel = Channel::connect(PEER, &folder.join("agent.sock")).await?;
        // Whoever was connected before may have gone in the middle of an answer.
        let number = std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_micros() as u64;
        channel.synchronize("guest-sync", json!({ "id": number }), limit).await?;
        Ok(Self { channel, _turn: turn })
    }

    /// The content of a file of the guest, up to 48 MB of it.
    ///
    /// # Errors
    /// When it cannot be read, or the agent does not answer.
    pub async fn read_file(&mut self, path: &str) -> Result<String, VmError> {
        let handle = self
            .channel
            .ask("guest-file-open", json!({ "path": path, "mode": "r" }), ANSWER)
            .await?;
        let mut bytes = Vec::new();
        loop {
            let some = json!({ "handle": handle, "count": 1 << 20 });
            let read = self.channel.ask("guest-file-read", some, ANSWER).await?;
            bytes.extend(decoded(&read["buf-b64"]));
            if read["eof"] == true || read["count"] == 0 || bytes.len() > FILE_MAX {
                break;
            }
        }
        self.channel.ask("guest-file-close", json!({ "handle": handle }), ANSWER).await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Runs `program` with `arguments` and waits for its end for `limit` at most.
    ///
    /// # Errors
    /// When the program cannot be started, does not end in time, or the agent does not answer.
    pub async fn run(
        &mut self,
        program: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<CommandOutput, VmError> {
        let deadline = Instant::now() + limit;
        let start = json!({ "path": program, "arg": arguments, "capture-output": true });
        let started = self.channel.ask("guest-exec", start, ANSWER).await?;
        loop {
            let status = self
                .channel
                .ask("guest-exec-status", json!({ "pid": started["pid"] }), ANSWER)
                .await?;
            if status["exited"] == true {
                return Ok(ended(&status));
            }
            if Instant::now() >= deadline {
                let problem = format!("still running after {} s", limit.as_secs_f32());
                let command = format!("{program} {}", arguments.join(" "));
                return Err(VmError::Channel { peer: "the guest", command, problem });
            }
            sleep(POLL).await;
        }
    }
}

fn ended(status: &Value) -> CommandOutput {
    let text = |name: &str| String::from_utf8_lossy(&decoded(&status[name])).into_owned();
    CommandOutput {
        // Absent when a signal ended the command: never to be taken for a zero.
        code: status["exitcode"].as_i64(),
        signal: status["signal"].as_i64(),
        stdout: text("out-data"),
        stderr: text("err-data"),
    }
}

fn decoded(text: &Value) -> Vec<u8> {
    text.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_never_an_exit_code() {
        let output = ended(&json!({ "exited": true, "signal": 9 }));
        assert_eq!((output.code, output.signal, output.success()), (None, Some(9), false));
    }
}
