//! The program in the guest that carries connections of the host to containers
//! (`vm/relay/relay`).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::frames::{FramedStream, framed};
use crate::conditions::Port;
use crate::engine::Clock;
use crate::vm::VmError;

/// Additional time for the program to answer.
const GRACE: Duration = Duration::from_secs(30);
/// The most bytes of the program's answer.
const ANSWER_MAX: usize = 512;

/// A program in the guest that listens for connections of the host.
#[derive(Clone)]
pub(crate) struct Listener {
    /// The port of the loopback interface that is forwarded to it.
    pub(crate) port: u16,
    /// The word that a client must send first.
    pub(crate) token: String,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The program that carries connections.
#[derive(Clone)]
pub(super) struct Relay(pub(super) Listener);

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relay")
    }
}

/// The result of an attempt to connect.
#[derive(Debug)]
pub(crate) enum Reached<S = TcpStream> {
    /// The address accepts connections: a stream, or what was received. Of a UDP port, the stream
    /// carries datagrams: each as its length in two bytes, the higher one first, and its content.
    Connected(S),
    /// The address does not accept connections, for this reason.
    Refused(String),
}

pub(super) fn failed(program: &str, problem: impl Into<String>) -> VmError {
    let (command, problem) = (program.to_owned(), problem.into());
    VmError::Command { peer: "the guest", command, problem }
}

/// The name of the program in errors.
pub(super) const NAME: &str = "relay";

impl Relay {
    /// Connects to `port` at `address` within `limit`.
    pub(super) async fn connect(
        &self,
        address: &str,
        Port { number, protocol }: Port,
        limit: Duration,
        clock: &Clock,
    ) -> Result<Reached, VmError> {
        self.request(&format!("{address} {number} {protocol}"), limit, clock).await
    }

    /// Connects to the TCP port `number` at `address` within `limit`, and gets the answers in
    /// frames.
    pub(super) async fn connect_framed(
        &self,
        address: &str,
        number: u16,
        limit: Duration,
        clock: &Clock,
    ) -> Result<Reached<FramedStream>, VmError> {
        let reached = self.request(&format!("{address} {number} frames"), limit, clock).await?;
        Ok(match reached {
            Reached::Connected(stream) => Reached::Connected(framed(stream)),
            Reached::Refused(reason) => Reached::Refused(reason),
        })
    }

    /// Connects to `destination`: address, port and protocol.
    async fn request(
        &self,
        destination: &str,
        limit: Duration,
        clock: &Clock,
    ) -> Result<Reached, VmError> {
        let seconds = limit.as_secs().max(1);
        let line = format!("{} {destination} {seconds}\n", self.0.token);
        let connect = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.0.port)).await?;
            stream.write_all(line.as_bytes()).await?;
            let answer = answer(&mut stream).await?;
            io::Result::Ok((stream, answer))
        };
        match clock.timeout(limit + GRACE, connect).await {
            None => Err(failed(NAME, "it does not answer")),
            Some(Err(error)) => Err(failed(NAME, error.to_string())),
            Some(Ok((stream, answer))) => match answer.split_once(' ') {
                None if answer == "connected" => Ok(Reached::Connected(stream)),
                Some(("refused", reason)) => Ok(Reached::Refused(reason.to_owned())),
                _ => Err(failed(NAME, "the connection was closed")),
            },
        }
    }
}

/// Reads a line byte by byte, because what follows it comes from a container.
async fn answer(stream: &mut TcpStream) -> io::Result<String> {
    let mut line = Vec::new();
    while line.len() < ANSWER_MAX {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
