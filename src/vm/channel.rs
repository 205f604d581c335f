//! A line of JSON out, a line of JSON back: what QEMU's monitor and its guest agent both speak
//! (QEMU's `qmp-spec.rst`, qemu-ga's reference).

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::VmError;

/// A connection to one of the two.
pub(super) struct Channel {
    peer: &'static str,
    stream: BufReader<UnixStream>,
}

impl Channel {
    /// Connects to the socket at `path`.
    pub(super) async fn connect(peer: &'static str, path: &Path) -> Result<Self, VmError> {
        let stream = UnixStream::connect(path).await.map_err(VmError::file("connect to", path))?;
        Ok(Self { peer, stream: BufReader::new(stream) })
    }

    /// Asks `command` and waits for its answer for `limit` at most. What is no answer, such as an event or the
    /// monitor's greeting, is passed over. An answer that came too late would be taken for another's, so a
    /// channel on which a question failed must not be used again.
    pub(super) async fn ask(
        &mut self,
        command: &str,
        arguments: Value,
        limit: Duration,
    ) -> Result<Value, VmError> {
        let failed =
            |problem: String| VmError::Channel { peer: self.peer, command: command.to_owned(), problem };
        let question = format!("{}\n", json!({ "execute": command, "arguments": arguments }));
        let answer = async {
            self.stream.write_all(question.as_bytes()).await?;
            loop {
                let mut line = Vec::new();
                if self.stream.read_until(b'\n', &mut line).await? == 0 {
                    return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
                }
                // The agent may put a 0xFF before its first answer.
                let text = line.strip_prefix(&[0xff]).unwrap_or(&line);
                let answer: Value = serde_json::from_slice(text)?;
                if answer.get("return").is_some() || answer.get("error").is_some() {
                    return Ok(answer);
                }
            }
        };
        match timeout(limit, answer).await {
            Err(_) => Err(failed(format!("no answer within {} s", limit.as_secs_f32()))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Ok(Ok(mut answer)) => match answer.get("error") {
                Some(error) => Err(failed(error.to_string())),
                None => Ok(answer["return"].take()),
            },
        }
    }
}
