//! A line of JSON out, a line of JSON back: what QEMU's monitor and its guest agent both speak
//! (QEMU's `qmp-spec.rst`, qemu-ga's reference).

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::vm::VmError;

/// A connection to one of the two.
pub(in crate::vm) struct Channel {
    peer: &'static str,
    stream: BufReader<UnixStream>,
    /// Events that came while an answer was waited for.
    events: VecDeque<Value>,
}

impl Channel {
    /// Connects to the socket at `path`.
    pub(in crate::vm) async fn connect(peer: &'static str, path: &Path) -> Result<Self, VmError> {
        let stream = UnixStream::connect(path).await.map_err(VmError::file("connect to", path))?;
        Ok(Self { peer, stream: BufReader::new(stream), events: VecDeque::new() })
    }

    /// Asks `command` and waits for its answer for `limit` at most. An answer that came too late would be taken
    /// for another's, so a channel on which a question failed must not be used again.
    pub(in crate::vm) async fn ask(
        &mut self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<Value, VmError> {
        let question = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let answer = async {
            self.stream.write_all(question.as_bytes()).await?;
            loop {
                let message = self.message().await?;
                if message.get("return").is_some() || message.get("error").is_some() {
                    return Ok(message);
                }
                if message.get("event").is_some() {
                    self.events.push_back(message);
                }
            }
        };
        let answer = timeout(limit, answer).await;
        match self.within(command, limit, answer)? {
            answer if answer.get("error").is_some() => {
                Err(self.failed(command, answer["error"].to_string()))
            }
            mut answer => Ok(answer["return"].take()),
        }
    }

    /// Asks `command`, whose `id` its answer repeats, and passes over all that comes before that answer: what was
    /// left by somebody who went away.
    pub(in crate::vm) async fn synchronize(
        &mut self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<(), VmError> {
        let id = arguments["id"].clone();
        let question = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let answer = async {
            // 0xFF makes the agent drop what it was told half of.
            self.stream.write_all(&[&[0xff], question.as_bytes()].concat()).await?;
            loop {
                match self.message().await {
                    Ok(message) if message["return"] == id => return Ok(message),
                    Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
                    _ => {}
                }
            }
        };
        let answer = timeout(limit, answer).await;
        self.within(command, limit, answer).map(drop)
    }

    /// The data of the next event called `name`, which must come within `limit`; other events are passed over.
    pub(in crate::vm) async fn event(
        &mut self,
        name: &str,
        limit: Duration,
    ) -> Result<Value, VmError> {
        let event = async {
            loop {
                let message = match self.events.pop_front() {
                    Some(event) => event,
                    None => self.message().await?,
                };
                if message["event"] == name {
                    return Ok(message);
                }
            }
        };
        let event = timeout(limit, event).await;
        self.within(name, limit, event).map(|mut event| event["data"].take())
    }

    async fn message(&mut self) -> io::Result<Value> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // The agent may put a 0xFF before its first answer.
        let text = line.strip_prefix(&[0xff]).unwrap_or(&line);
        serde_json::from_slice(text)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn within(
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
        VmError::Channel { peer: self.peer, command: command.to_owned(), problem }
    }
}
