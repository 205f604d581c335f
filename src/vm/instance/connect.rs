//! Connections from the host to addresses that only the guest can reach: those of containers. A
//! program in the guest carries them. It is started by the guest agent, and QEMU forwards a port of
//! the loopback interface to it, so it works in VMs of every snapshot.

use std::time::Duration;

use serde_json::json;

use super::frames::FramedStream;
use super::qmp::Qmp;
use super::relay::{Listener, NAME, Reached, Relay, failed};
use super::vm::{ANSWER_TIMEOUT, Vm};
use super::wake::random_hex;
use crate::conditions::Port;
use crate::engine::Clock;
use crate::vm::VmError;

const PROGRAM: &str = include_str!("../../../vm/relay/relay");
/// How long the guest may take to start the program.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// The protocol and state of a forwarded port in QEMU's list.
const FORWARDED: &str = "TCP[HOST_FORWARD]";

/// Connects to addresses that only the guest of a VM reaches.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    relay: Relay,
    clock: Clock,
}

impl Connector {
    /// Connects to `port` at `address`, an IPv4 address of the guest or of a container, within
    /// `limit`. A UDP port need not be in use for that.
    ///
    /// # Errors
    /// If the VM has ended.
    pub(crate) async fn connect(
        &self,
        address: &str,
        port: Port,
        limit: Duration,
    ) -> Result<Reached, VmError> {
        self.relay.connect(address, port, limit, &self.clock).await
    }

    /// Like [`connect`](Self::connect), for a TCP port. A read fails if the service resets the
    /// connection.
    ///
    /// # Errors
    /// If the VM has ended.
    pub(crate) async fn connect_framed(
        &self,
        address: &str,
        port: u16,
        limit: Duration,
    ) -> Result<Reached<FramedStream>, VmError> {
        self.relay.connect_framed(address, port, limit, &self.clock).await
    }
}

impl Vm {
    /// Returns what connects to addresses of the guest, independent of this handle.
    ///
    /// # Errors
    /// If the guest does not carry connections.
    pub(crate) async fn connector(&self) -> Result<Connector, VmError> {
        let relay = self.relay.get_or_try_init(|| self.start_relay()).await?.clone();
        Ok(Connector { relay, clock: self.clock().clone() })
    }

    async fn start_relay(&self) -> Result<Relay, VmError> {
        Ok(Relay(self.start_listener(NAME, PROGRAM, &[]).await?))
    }

    /// Starts a program in Perl in the guest, called `name` in errors. Its arguments are a token,
    /// which clients must send, and `arguments`; it prints the port that it listens on.
    ///
    /// # Errors
    /// If the guest does not start it, or QEMU does not forward connections to it.
    pub(crate) async fn start_listener(
        &self,
        name: &'static str,
        program: &str,
        arguments: &[&str],
    ) -> Result<Listener, VmError> {
        let token = random_hex::<16>()?;
        let mut agent = self.agent(ANSWER_TIMEOUT).await?;
        let arguments = [&["-", token.as_str()], arguments].concat();
        let input = program.as_bytes();
        let output =
            agent.run_with_input("/usr/bin/perl", &arguments, input, START_TIMEOUT).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let guest_port: u16 =
            text(&output.stdout).parse().map_err(|_| failed(name, text(&output.stderr)))?;
        let port = self.forward(name, guest_port).await?;
        Ok(Listener { port, token })
    }

    /// Has QEMU forward a free port of the loopback interface to `guest_port`, and returns it.
    async fn forward(&self, name: &'static str, guest_port: u16) -> Result<u16, VmError> {
        let mut qmp = self.qmp().await?;
        let add = format!("hostfwd_add net tcp:127.0.0.1:0-10.0.2.15:{guest_port}");
        let problem = monitor(&mut qmp, &add).await?;
        if !problem.is_empty() {
            return Err(failed(name, problem));
        }
        let list = monitor(&mut qmp, "info usernet").await?;
        forwarded_port(&list, guest_port).ok_or_else(|| failed(name, "QEMU does not list its port"))
    }

    /// Has QEMU accept no more connections to a program in the guest. Those that exist continue.
    ///
    /// # Errors
    /// If QEMU does not answer.
    pub(super) async fn stop_forwarding(&self, listener: &Listener) -> Result<(), VmError> {
        let remove = format!("hostfwd_remove net tcp:127.0.0.1:{}", listener.port);
        monitor(&mut self.qmp().await?, &remove).await.map(drop)
    }
}

/// Runs a command of QEMU's monitor for humans, and returns what it prints.
async fn monitor(qmp: &mut Qmp, line: &str) -> Result<String, VmError> {
    let answer = qmp.execute("human-monitor-command", json!({ "command-line": line })).await?;
    Ok(answer.as_str().unwrap_or_default().trim().to_owned())
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
