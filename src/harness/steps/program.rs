//! The connection to the program in the guest that unpacks layers and runs steps
//! (`vm/steps/steps`, which describes its messages).

use std::collections::BTreeSet;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::failure::vm_error;
use super::inputs;
use crate::archive::ArchiveError;
use crate::archive::blob::FileSlice;
use crate::steps::{Output, OverlayFormat, Step, StepError, overlay};
use crate::vm::VmError;
use crate::vm::instance::Listener;

/// The program.
pub(super) const SOURCE: &str = include_str!("../../../vm/steps/steps");
/// The folder of unpacked layers, in the folder for the engine's layers.
pub(super) const FOLDER: &str = "seatrial-steps";
/// How long the guest may take to answer: an emulated CPU unpacks about 10 MB/s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(1800);
/// The most bytes of a message that is sent, and of one that is accepted.
const SENT_MAX: usize = 256 << 10;
const RECEIVED_MAX: usize = 1 << 20;
/// The most bytes of a line; a longer one is cut into several.
const LINE_MAX: usize = 16 << 10;

/// A connection to the program.
pub(super) struct Program {
    guest: String,
    input: BufReader<TcpStream>,
    output: TcpStream,
}

/// How a step ended.
pub(super) enum Ended {
    /// With this exit code.
    Exit(i64),
    /// It did not start, for this reason.
    NotStarted(String),
    /// Its deadline was reached.
    Timeout,
}

impl Program {
    /// Connects to the program in a VM of `guest`.
    pub(super) fn connect(guest: &str, listener: &Listener) -> Result<Self, StepError> {
        let connect = || {
            let mut output = TcpStream::connect(("127.0.0.1", listener.port))?;
            output.set_nodelay(true)?;
            output.set_write_timeout(Some(ANSWER_TIMEOUT))?;
            output.write_all(listener.token.as_bytes())?;
            Ok(Self { guest: guest.into(), input: BufReader::new(output.try_clone()?), output })
        };
        connect().map_err(|error| lost(guest, error))
    }

    /// Returns which of `layers` the guest does not have.
    pub(super) fn missing(&mut self, layers: &[String]) -> Result<BTreeSet<String>, StepError> {
        self.send(b'M', layers.join("\0").as_bytes())?;
        let answer = self.expect(b'M')?;
        Ok(text(&answer).split('\0').map(str::to_owned).collect())
    }

    /// Unpacks the layer in `bytes` as `name`.
    pub(super) fn unpack(&mut self, name: &str, bytes: &FileSlice) -> Result<(), StepError> {
        self.send(b'L', name.as_bytes())?;
        self.send_tar(|output| {
            let written =
                overlay::write(bytes, OverlayFormat::Trusted, overlay::Owners::All, output);
            let invalid = |error: io::Error| {
                ArchiveError::invalid(format!("layer {name}"), error.to_string())
            };
            written.map(drop).map_err(|error| invalid(error).into())
        })?;
        self.expect(b'K').map(drop)
    }

    /// Starts `step` on `layers`, lowest first, and returns when its command starts.
    pub(super) fn start(&mut self, step: &Step, layers: &[String]) -> Result<(), StepError> {
        let mut settings: Vec<String> = Vec::new();
        let mut add = |name: &str, value: &str| settings.push(format!("{name}:{value}"));
        layers.iter().for_each(|layer| add("lower", layer));
        step.args.iter().for_each(|argument| add("arg", argument));
        step.env.iter().for_each(|(name, value)| add("env", &format!("{name}={value}")));
        step.user.iter().for_each(|user| add("user", user));
        step.workdir.iter().for_each(|folder| add("workdir", folder));
        step.inputs.iter().for_each(|input| add("input", &input.target));
        if step.network {
            add("network", "");
        }
        self.send(b'R', settings.join("\0").as_bytes())?;
        self.send_tar(|output| inputs::write(step, output))?;
        self.expect(b'B').map(drop)
    }

    /// Passes the step's output on until it ends or `deadline` is reached.
    pub(super) fn wait(
        &mut self,
        output: &mut Output<'_>,
        deadline: Instant,
    ) -> Result<Ended, StepError> {
        let mut line = Vec::new();
        let ended = loop {
            let Some((letter, data)) = self.receive(deadline)? else { return Ok(Ended::Timeout) };
            match letter {
                b'O' => print(&data, &mut line, output),
                b'X' => break text(&data).parse().ok().map(Ended::Exit),
                b'S' => break Some(Ended::NotStarted(text(&data))),
                letter => return Err(self.unexpected(letter, &data)),
            }
        };
        if !line.is_empty() {
            output.line(&text(&line));
        }
        ended.ok_or_else(|| self.failed("it sent an invalid exit code".to_owned()))
    }

    /// Passes the tar of the step's changes to `read`, and returns when the guest is done.
    pub(super) fn changes(
        &mut self,
        read: impl FnOnce(&mut dyn Read) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let mut changes = Changes { program: self, chunk: Vec::new(), done: 0, ended: None };
        let mut result = read(&mut changes);
        if result.is_ok() && changes.ended.is_none() {
            let rest = io::copy(&mut changes, &mut io::sink());
            result = rest.map(drop).map_err(|error| lost(&changes.program.guest, error));
        }
        match changes.ended.take() {
            // The cause of an error of the reader.
            Some(Err(error)) => Err(error),
            _ => result,
        }
    }

    fn send(&mut self, letter: u8, data: &[u8]) -> Result<(), StepError> {
        send(&mut self.output, letter, data).map_err(|error| lost(&self.guest, error))
    }

    /// Sends what `write` writes.
    fn send_tar(
        &mut self,
        write: impl FnOnce(&mut dyn Write) -> Result<(), StepError>,
    ) -> Result<(), StepError> {
        let mut output = BufWriter::with_capacity(SENT_MAX, Data(&self.output));
        write(&mut output)?;
        output.flush().map_err(|error| lost(&self.guest, error))?;
        drop(output);
        self.send(b'E', b"")
    }

    /// Receives a message; `None` after the deadline.
    fn receive(&mut self, deadline: Instant) -> Result<Option<(u8, Vec<u8>)>, StepError> {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut receive = || {
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.input.get_ref().set_read_timeout(Some(left))?;
            let mut header = [0; 5];
            self.input.read_exact(&mut header)?;
            let [letter, size @ ..] = header;
            let size = u32::from_be_bytes(size) as usize;
            if size > RECEIVED_MAX {
                return Err(io::Error::other(format!("it sent a message of {size} bytes")));
            }
            let mut data = vec![0; size];
            self.input.read_exact(&mut data)?;
            Ok((letter, data))
        };
        match receive() {
            Ok(message) => Ok(Some(message)),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(None)
            }
            Err(error) => Err(lost(&self.guest, error)),
        }
    }

    /// Receives a message that must begin with `letter`.
    fn expect(&mut self, letter: u8) -> Result<Vec<u8>, StepError> {
        match self.receive(Instant::now() + ANSWER_TIMEOUT)? {
            Some((found, data)) if found == letter => Ok(data),
            Some((found, data)) => Err(self.unexpected(found, &data)),
            None => Err(self.failed(format!("no answer in {} s", ANSWER_TIMEOUT.as_secs()))),
        }
    }

    fn unexpected(&self, letter: u8, data: &[u8]) -> StepError {
        match letter {
            b'F' => self.failed(text(data)),
            letter => self.failed(format!("unexpected answer {}", char::from(letter))),
        }
    }

    fn failed(&self, problem: String) -> StepError {
        let command = "the program that runs steps".to_owned();
        vm_error(&self.guest, VmError::Command { peer: "the guest", command, problem })
    }
}

fn send(mut output: impl Write, letter: u8, data: &[u8]) -> io::Result<()> {
    let mut header = vec![letter];
    header.extend_from_slice(&(data.len() as u32).to_be_bytes());
    output.write_all(&header)?;
    output.write_all(data)
}

fn lost(guest: &str, error: io::Error) -> StepError {
    let problem = match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            "it closed the connection; did the step stop the VM?".to_owned()
        }
        _ => error.to_string(),
    };
    let command = "the program that runs steps".to_owned();
    vm_error(guest, VmError::Command { peer: "the guest", command, problem })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Passes on the complete lines of `bytes`, and keeps the rest in `line`.
fn print(bytes: &[u8], line: &mut Vec<u8>, output: &mut Output<'_>) {
    for part in bytes.split_inclusive(|byte| *byte == b'\n') {
        line.extend_from_slice(part);
        if line.ends_with(b"\n") || line.len() > LINE_MAX {
            output.line(text(line).trim_end_matches(['\n', '\r']));
            line.clear();
        }
    }
}

/// Sends everything that is written as data.
struct Data<'a>(&'a TcpStream);

impl Write for Data<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(SENT_MAX);
        send(self.0, b'D', &bytes[..count])?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads the changes of a step.
struct Changes<'a> {
    program: &'a mut Program,
    chunk: Vec<u8>,
    done: usize,
    /// Once everything was read, or reading failed.
    ended: Option<Result<(), StepError>>,
}

impl Read for Changes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.done == self.chunk.len() && self.ended.is_none() {
            match self.program.receive(Instant::now() + ANSWER_TIMEOUT) {
                Ok(Some((b'C', chunk))) => (self.chunk, self.done) = (chunk, 0),
                Ok(Some((b'K', _))) => self.ended = Some(Ok(())),
                Ok(Some((letter, data))) => {
                    self.ended = Some(Err(self.program.unexpected(letter, &data)));
                }
                Ok(None) => self.ended = Some(Err(self.program.failed("no answer".to_owned()))),
                Err(error) => self.ended = Some(Err(error)),
            }
        }
        if let Some(Err(_)) = self.ended {
            return Err(io::Error::other("the guest failed to send the changes"));
        }
        let count = buffer.len().min(self.chunk.len() - self.done);
        buffer[..count].copy_from_slice(&self.chunk[self.done..self.done + count]);
        self.done += count;
        Ok(count)
    }
}
