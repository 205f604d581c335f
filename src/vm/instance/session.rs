//! Commands in the guest with standard input as it comes, or on a terminal. A program in the guest
//! (`vm/session/session`) runs them; it describes the frames that both sides send.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::relay::failed;
use super::vm::Vm;
use crate::vm::VmError;

const PROGRAM: &str = include_str!("../../../vm/session/session");
/// The name of the program in errors.
const NAME: &str = "session";
/// The most bytes of a frame from the guest; the program sends far shorter ones.
const FRAME_MAX: usize = 1 << 20;
/// How long the guest may take to start the command.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The size of a terminal in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowSize {
    /// The number of lines.
    pub(crate) rows: u16,
    /// The number of characters in a line.
    pub(crate) columns: u16,
}

/// A command that is run in a session.
#[derive(Debug)]
pub(crate) struct SessionRequest<'a> {
    /// The program and its arguments.
    pub(crate) words: &'a [String],
    /// Variables of the environment, in addition to those of the guest agent.
    pub(crate) environment: &'a [(&'a str, &'a str)],
    /// The size of the command's terminal, if it gets one.
    pub(crate) terminal: Option<WindowSize>,
}

/// Standard input and signals of a command. If both this and the output are dropped, the command
/// gets SIGHUP.
#[derive(Debug)]
pub(crate) struct SessionInput(OwnedWriteHalf);

/// The output of a command, and its end.
#[derive(Debug)]
pub(crate) struct SessionOutput {
    stream: OwnedReadHalf,
    program: String,
    /// The bytes of frames that are not complete yet.
    arrived: Vec<u8>,
}

/// A report about a command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SessionEvent {
    /// It has written this to standard output, or to its terminal.
    Stdout(Vec<u8>),
    /// It has written this to standard error.
    Stderr(Vec<u8>),
    /// It has taken the standard input that was sent, and can get more.
    InputTaken,
    /// It has ended.
    Ended(SessionStatus),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionStatus {
    /// It exited with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(u8),
}

impl Vm {
    /// Starts a command in the guest.
    ///
    /// # Errors
    /// If the guest does not answer. That the program cannot be executed is an error of
    /// [`SessionOutput::next`].
    pub(crate) async fn start_session(
        &self,
        request: &SessionRequest<'_>,
    ) -> Result<(SessionInput, SessionOutput), VmError> {
        let listener = self.start_listener(NAME, PROGRAM, &[]).await?;
        let mut frames = frame(b'k', listener.token.as_bytes());
        for word in request.words {
            frames.extend(frame(b'a', word.as_bytes()));
        }
        for (name, value) in request.environment {
            frames.extend(frame(b'e', format!("{name}={value}").as_bytes()));
        }
        frames.extend(request.terminal.map(size_frame).unwrap_or_default());
        frames.extend(frame(b'r', b""));
        let connect = async {
            let mut stream = TcpStream::connect(("127.0.0.1", listener.port)).await?;
            stream.set_nodelay(true)?;
            stream.write_all(&frames).await?;
            io::Result::Ok(stream)
        };
        let connected = self.clock().timeout(START_TIMEOUT, connect).await;
        let stopped = self.stop_forwarding(&listener).await;
        let stream = match connected {
            None => return Err(failed(NAME, "it does not answer")),
            Some(stream) => stream.map_err(|error| failed(NAME, error.to_string()))?,
        };
        stopped?;
        let program = request.words.first().cloned().unwrap_or_default();
        let (stream, input) = stream.into_split();
        Ok((SessionInput(input), SessionOutput { stream, program, arrived: Vec::new() }))
    }
}

impl SessionInput {
    /// Sends standard input. Further input may only be sent after [`SessionEvent::InputTaken`], so
    /// that signals never wait behind it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(&frame(b'i', bytes)).await
    }

    /// Ends standard input. A terminal has no such end.
    pub(crate) async fn end(&mut self) -> io::Result<()> {
        self.0.write_all(&frame(b'z', b"")).await
    }

    /// Sets the size of the command's terminal.
    pub(crate) async fn resize(&mut self, size: WindowSize) -> io::Result<()> {
        self.0.write_all(&size_frame(size)).await
    }

    /// Sends a signal to the command and the processes in its group.
    pub(crate) async fn signal(&mut self, number: i32) -> io::Result<()> {
        self.0.write_all(&frame(b's', number.to_string().as_bytes())).await
    }
}

impl SessionOutput {
    /// Waits for the next report. Nothing is lost if the returned future is dropped.
    ///
    /// # Errors
    /// If the program cannot be executed, or the connection to the guest is lost.
    pub(crate) async fn next(&mut self) -> Result<SessionEvent, VmError> {
        loop {
            if let Some((letter, data)) = self.take_frame()? {
                return self.event(letter, data);
            }
            match self.stream.read_buf(&mut self.arrived).await {
                Ok(0) => return Err(self.lost("the connection was closed before it ended")),
                Ok(_) => {}
                Err(error) => return Err(self.lost(error.to_string())),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, VmError> {
        let Some((&[letter, a, b, c, d], rest)) = self.arrived.split_first_chunk::<5>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > FRAME_MAX {
            return Err(self.lost(format!("a frame of {length} bytes arrived")));
        }
        let Some(data) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.arrived.drain(..5 + length);
        Ok(Some((letter, data)))
    }

    fn event(&self, letter: u8, data: Vec<u8>) -> Result<SessionEvent, VmError> {
        let text = || String::from_utf8_lossy(&data).into_owned();
        match letter {
            b'o' => Ok(SessionEvent::Stdout(data)),
            b'e' => Ok(SessionEvent::Stderr(data)),
            b't' => Ok(SessionEvent::InputTaken),
            b'f' => Err(VmError::GuestProgram { program: self.program.clone(), problem: text() }),
            b'x' => match text().parse() {
                Ok(status) => Ok(SessionEvent::Ended(SessionStatus::from_wait_status(status))),
                Err(_) => Err(self.lost(format!("unexpected status {}", text()))),
            },
            _ => Err(self.lost(format!("unexpected frame {}", letter.escape_ascii()))),
        }
    }

    fn lost(&self, problem: impl Into<String>) -> VmError {
        failed(&self.program, problem)
    }
}

impl SessionStatus {
    /// Decodes the status that wait(2) returns: the signal in the lowest seven bits, the exit code
    /// in the second byte.
    fn from_wait_status(status: u32) -> Self {
        match status & 0x7f {
            0 => Self::Exited((status >> 8) as u8),
            signal => Self::Killed(signal as u8),
        }
    }

    /// The exit code with which shells report the end: that of the command, or 128 plus the number
    /// of the signal.
    pub(crate) fn shell_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

fn frame(letter: u8, data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[letter], &length[..], data].concat()
}

fn size_frame(size: WindowSize) -> Vec<u8> {
    frame(b'w', &[size.rows.to_be_bytes(), size.columns.to_be_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_status_is_an_exit_code_or_a_signal() {
        // wait(2), as waitpid returns it on Linux; 0x80 marks a core dump.
        let statuses = [0, 0x0300, 0xff00, 9, 0x86].map(SessionStatus::from_wait_status);
        assert_eq!(statuses.map(SessionStatus::shell_code), [0, 3, 255, 137, 134]);
    }

    #[tokio::test]
    async fn frames_that_arrive_in_pieces_are_put_together() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut guest = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _input) = listener.accept().await.unwrap().0.into_split();
        let mut output = SessionOutput { stream, program: "cat".to_owned(), arrived: Vec::new() };
        let bytes = [frame(b'o', b"hello"), frame(b'x', b"768")].concat();
        let (start, rest) = bytes.split_at(7);
        guest.write_all(start).await.unwrap();
        // Dropped in the middle of a frame.
        let early = tokio::time::timeout(Duration::from_millis(10), output.next()).await;
        assert!(early.is_err());
        guest.write_all(rest).await.unwrap();
        assert_eq!(output.next().await.unwrap(), SessionEvent::Stdout(b"hello".to_vec()));
        let ended = SessionEvent::Ended(SessionStatus::Exited(3));
        assert_eq!(output.next().await.unwrap(), ended);
        drop(guest);
        let error = output.next().await.unwrap_err().to_string();
        assert_eq!(error, "the guest failed to run cat: the connection was closed before it ended");
    }
}
