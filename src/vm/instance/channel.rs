//! The line protocol of QEMU's monitor and guest agent: one JSON document a line for each command
//! and each answer (QEMU's `qmp-spec.rst` and the reference of `qemu-ga`).

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::vm::VmError;

/// The most events that are kept for [`Channel::event`]; the oldest are dropped. QEMU sends a few
/// for each command.
const EVENTS_MAX: usize = 100;

/// A connection to a monitor or guest agent.
pub(in crate::vm) struct Channel {
    peer: &'static str,
    stream: BufReader<UnixStream>,
    /// The most bytes of a line that the peer sends.
    line_limit: usize,
    /// Events that arrived before the answer to a command.
    events: VecDeque<Value>,
}

impl Channel {
    /// Connects to the socket at `path`. A line of more than `line_limit` bytes is an error.
    pub(in crate::vm) async fn connect(
        peer: &'static str,
        path: &Path,
        line_limit: usize,
    ) -> Result<Self, VmError> {
        let stream = UnixStream::connect(path).await.map_err(VmError::file("connect to", path))?;
        Ok(Self { peer, stream: BufReader::new(stream), line_limit, events: VecDeque::new() })
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
                    if self.events.len() > EVENTS_MAX {
                        self.events.pop_front();
                    }
                }
            }
        };
        let answer = timeout(limit, answer).await;
        match self.check(command, limit, answer)? {
            answer if answer.get("error").is_some() => {
                let error = &answer["error"];
                let problem = error["desc"].as_str().map(str::to_owned);
                Err(self.failed(command, problem.unwrap_or_else(|| error.to_string())))
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
        let line = read_line(&mut self.stream, self.line_limit).await?;
        if line.is_empty() {
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

/// Reads a line of at most `limit` bytes, with its line break. At the end of the stream, the line
/// is empty, or has no line break.
///
/// # Errors
/// If the line is longer: whatever is in the guest can send lines without end, and must not use the
/// host's memory.
pub(in crate::vm) async fn read_line(
    stream: &mut (impl AsyncBufRead + Unpin),
    limit: usize,
) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let limited = &mut stream.take(limit as u64 + 1);
    limited.read_until(b'\n', &mut line).await?;
    match line.len() > limit {
        true => {
            let problem = format!("it sent a line of more than {limit} bytes");
            Err(io::Error::new(io::ErrorKind::FileTooLarge, problem))
        }
        false => Ok(line),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    const LIMIT: usize = 1000;

    /// Answers the first command with `answer`, and returns the result.
    async fn answered_with(answer: &'static [u8]) -> Result<Value, VmError> {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let peer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1];
            stream.read_exact(&mut request).await.unwrap();
            // Fails once the other side has enough.
            let _ = stream.write_all(answer).await;
            stream
        };
        let client = async {
            let mut channel = Channel::connect("the peer", &path, LIMIT).await.unwrap();
            channel.execute("command", json!({}), Duration::from_secs(10)).await
        };
        let (result, _stream) = tokio::join!(client, peer);
        result
    }

    #[tokio::test]
    async fn a_line_without_end_is_an_error() {
        static ENDLESS: [u8; 5000] = [b' '; 5000];
        let error = answered_with(&ENDLESS).await.unwrap_err().to_string();
        let expected = "the peer failed to run command: it sent a line of more than 1000 bytes";
        assert_eq!(error, expected);
    }

    #[tokio::test]
    async fn an_error_of_the_peer_is_shown_in_its_words() {
        let answer = b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n";
        let error = answered_with(answer).await.unwrap_err().to_string();
        assert_eq!(error, "the peer failed to run command: no");
    }
}
