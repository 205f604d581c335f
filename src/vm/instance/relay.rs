//! Connections from the host to addresses that only the guest can reach: those of containers. A
//! program in the guest (`vm/relay/relay`) carries them. It is started by the guest agent, and QEMU
//! forwards a port of the loopback interface to it, so it works in VMs of every snapshot.

use std::io;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::vm::{ANSWER_TIMEOUT, Vm};
use super::wake::random_hex;
use crate::vm::VmError;

const PROGRAM: &str = include_str!("../../../vm/relay/relay");
/// How long the guest may take to start the program.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Additional time for the program to answer.
const GRACE: Duration = Duration::from_secs(30);
/// The most bytes of the program's answer.
const ANSWER_MAX: usize = 512;
/// The protocol and state of a forwarded port in QEMU's list.
const FORWARDED: &str = "TCP[HOST_FORWARD]";

/// The program in the guest: where it is reached, and the word that it asks for.
#[derive(Debug)]
pub(super) struct Relay {
    port: u16,
    token: String,
}

/// The result of an attempt to connect.
#[derive(Debug)]
pub(crate) enum Reached {
    /// The address accepts connections.
    Connected(TcpStream),
    /// The address does not accept connections, for this reason.
    Refused(String),
}

fn failed(problem: impl Into<String>) -> VmError {
    VmError::Command { peer: "the guest", command: "relay".to_owned(), problem: problem.into() }
}

impl Vm {
    /// Connects to `port` at `address`, an IPv4 address of the guest or of a container, within
    /// `limit`.
    ///
    /// # Errors
    /// If the guest does not carry connections.
    pub(crate) async fn connect(
        &self,
        address: &str,
        port: u16,
        limit: Duration,
    ) -> Result<Reached, VmError> {
        let relay = self.relay.get_or_try_init(|| self.start_relay()).await?;
        let seconds = limit.as_secs().max(1);
        let line = format!("{} {address} {port} {seconds}\n", relay.token);
        let connect = async {
            let mut stream = TcpStream::connect(("127.0.0.1", relay.port)).await?;
            stream.write_all(line.as_bytes()).await?;
            let answer = answer(&mut stream).await?;
            io::Result::Ok((stream, answer))
        };
        match self.clock().timeout(limit + GRACE, connect).await {
            None => Err(failed("it does not answer")),
            Some(Err(error)) => Err(failed(error.to_string())),
            Some(Ok((stream, answer))) => match answer.split_once(' ') {
                None if answer == "connected" => Ok(Reached::Connected(stream)),
                Some(("refused", reason)) => Ok(Reached::Refused(reason.to_owned())),
                _ => Err(failed("the connection was closed")),
            },
        }
    }

    async fn start_relay(&self) -> Result<Relay, VmError> {
        let token = random_hex::<16>()?;
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        let input = PROGRAM.as_bytes();
        let arguments = ["-", token.as_str()];
        let output =
            agent.run_with_input("/usr/bin/perl", &arguments, input, START_TIMEOUT).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let guest_port: u16 =
            text(&output.stdout).parse().map_err(|_| failed(text(&output.stderr)))?;
        let port = self.forward(guest_port).await?;
        Ok(Relay { port, token })
    }

    /// Has QEMU forward a free port of the loopback interface to `guest_port`, and returns it.
    async fn forward(&self, guest_port: u16) -> Result<u16, VmError> {
        let mut qmp = self.qmp().await?;
        let mut monitor = async |line: &str| -> Result<String, VmError> {
            let answer =
                qmp.execute("human-monitor-command", json!({ "command-line": line })).await?;
            Ok(answer.as_str().unwrap_or_default().trim().to_owned())
        };
        let problem =
            monitor(&format!("hostfwd_add net tcp:127.0.0.1:0-10.0.2.15:{guest_port}")).await?;
        if !problem.is_empty() {
            return Err(failed(problem));
        }
        let list = monitor("info usernet").await?;
        forwarded_port(&list, guest_port).ok_or_else(|| failed("QEMU does not list its port"))
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

/// Finds the host's port that is forwarded to `guest_port` in the output of `info usernet`:
/// protocol and state, file descriptor, source address and port, destination address and port.
fn forwarded_port(list: &str, guest_port: u16) -> Option<u16> {
    let guest_port = guest_port.to_string();
    list.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip_while(|word| *word != FORWARDED);
        let host = words.nth(3)?;
        (words.nth(1)? == guest_port).then(|| host.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::forwarded_port;

    #[test]
    fn the_forwarded_port_is_found_in_the_list_of_qemu() {
        // QEMU 7.2.
        let list = "Hub -1 (net):\n  \
            Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\n  \
            TCP[ESTABLISHED]   31       127.0.0.1 40123       10.0.2.15  2376     0     0\n  \
            TCP[HOST_FORWARD]  12       127.0.0.1 40123       10.0.2.15  2376     0     0\n  \
            TCP[HOST_FORWARD]  33       127.0.0.1 45001       10.0.2.15 38211     0     0\n";
        assert_eq!(forwarded_port(list, 38211), Some(45001));
        assert_eq!(forwarded_port(list, 2376), Some(40123));
        assert_eq!(forwarded_port(list, 1), None);
    }
}
