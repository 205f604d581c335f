//! The line protocol of QEMU's monitor and guest agent: one JSON document a line for each command
//! and each answer (QEMU's `qmp-spec.rst` and the reference of `qemu-ga`).

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::vm::VmError;

/// A connection to a monitor or guest agent.
pub(in crate::vm) struct Channel {
    peer: &'static str,
    stream: BufReader<UnixStream>,
    /// Events that arrived before the answer to a command.
    events: VecDeque<Value>,
}

impl Channel {
    /// Connects to the socket at `path`.
    pub(in crate::vm) async fn connect(peer: &'static str, path: &Path) -> Result<Self, VmError> {
        let stream = UnixStream::connect(path).await.map_err(VmError::file("connect to", path))?;
        Ok(Self { peer, stream: BufReader::new(stream), events: VecDeque::new() })
    }

    /// Sends `command` and waits up to `limit` for its answer. After an error, the channel must not
    /// be used again: an answer that arrives late would be taken for the answer to the next
    /// command.
    pub(in crate::vm) async fn execute(
        &mut self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<Value, VmError> {
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let answer = async {
            self.stream.write_all(request.as_bytes()).await?;
            loop {
                let message = self.read_message().await?;
                if message.get("return").is_some() || message.get("error").is_some() {
                    return Ok(message);
                }
                if message.get("event").is_some() {
                    self.events.push_back(message);
                }
            }
        };
        let answer = timeout(limit, answer).await;
        match self.check(command, limit, answer)? {
            answer if answer.get("error").is_some() => {
                Err(self.failed(command, answer["error"].to_string()))
            }
            mut answer => Ok(answer["return"].take()),
        }
    }

    /// Sends `command`, whose `id` its answer repeats, and skips everything before that answer:
    /// answers to an earlier connection.
    pub(in crate::vm) async fn synchronize(
        &mut self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<(), VmError> {
        let id = arguments["id"].clone();
        let request = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let answer = async {
            // 0xFF makes the agent discard an incomplete command.
            self.stream.write_all(&[&[0xff], request.as_bytes()].concat()).await?;
            loop {
                match self.read_message().await {
                    Ok(message) if message["return"] == id => return Ok(message),
                    Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
                    _ => {}
                }
            }
        };
        let answer = timeout(limit, answer).await;
        self.check(command, limit, answer).map(drop)
    }

    /// Waits up to `limit` for the event `name`, skips other events, and returns its data.
    pub(in crate::vm) async fn event(
        &mut self,
        name: &str,
        limit: Duration,
    ) -> Result<Value, VmError> {
        let event = async {
            loop {
                let message = match self.events.pop_front() {
                    Some(event) => event,
                    None => self.read_message().await?,
                };
                if message["event"] == name {
                    return Ok(message);
                }
            }
        };
        let event = timeout(limit, event).await;
        self.check(name, limit, event).map(|mut event| event["data"].take())
    }

    async fn read_message(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The agent may send 0xFF before its first answer.
        let text = line.strip_prefix(&[0xff]).unwrap_or(&line);
        serde_json::from_slice(text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Turns a timeout or an I/O error into an error that names the command.
    fn check(
        &self,
        command: &str,
        limit: Duration,
        result: Result<io::Result<Value>, tokio::time::error::Elapsed>,
    ) -> Result<Value, VmError> {
        match result {
            Err(_) => {
                Err(self.failed(command, format!("no answer within {} s", limit.as_secs_f32())))
            }
            Ok(Err(error)) => Err(self.failed(command, error.to_string())),
            Ok(Ok(answer)) => Ok(answer),
        }
    }

    fn failed(&self, command: &str, problem: String) -> VmError {
        VmError::Command { peer: self.peer, command: command.to_owned(), problem }
    }
}
