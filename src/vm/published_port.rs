//! Ports of guests that are reachable on this host.

use std::net::{TcpListener, UdpSocket};
use std::str::FromStr;

use super::VmError;
use crate::conditions::Protocol;

/// A port of the guest that is reachable on the loopback interface of this host, written as
/// `HOST:GUEST` or `HOST:GUEST/udp`. Answers from a UDP port need [`Egress`](super::Egress).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The port on this host.
    pub host: u16,
    /// The port in the guest.
    pub guest: u16,
    /// The protocol of both.
    pub protocol: Protocol,
}

impl PublishedPort {
    /// Checks that no program of this host uses the port. If one takes it before QEMU does, QEMU
    /// exits with an error.
    pub(super) fn check_is_free(&self) -> Result<(), VmError> {
        let address = ("127.0.0.1", self.host);
        let bound = match self.protocol {
            Protocol::Tcp => TcpListener::bind(address).map(drop),
            Protocol::Udp => UdpSocket::bind(address).map(drop),
        };
        let Self { host, protocol, .. } = self;
        let name = match protocol {
            Protocol::Tcp => format!("port {host}"),
            Protocol::Udp => format!("port {host}/udp"),
        };
        bound.map_err(VmError::file("publish", name))
    }
}

impl FromStr for PublishedPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.trim_end_matches("/tcp"), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err("the protocol must be tcp or udp".to_owned()),
        };
        let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
        let ports =
            ports.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
        let (host, guest) =
            ports.ok_or("write HOST:GUEST, two ports from 1 to 65535, or HOST:GUEST/udp")?;
        Ok(Self { host, guest, protocol })
    }
}

impl std::fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.guest)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_two_ports_of_tcp_or_udp() {
        let port = PublishedPort { host: 8080, guest: 80, protocol: Protocol::Tcp };
        assert_eq!("8080:80".parse(), Ok(port));
        assert_eq!("8080:80/tcp".parse(), Ok(port));
        assert_eq!(port.to_string(), "8080:80");
        let port = PublishedPort { host: 8053, guest: 53, protocol: Protocol::Udp };
        assert_eq!("8053:53/udp".parse(), Ok(port));
        assert_eq!(port.to_string(), "8053:53/udp");
        for text in
            ["80", "0:80", "80:0", "65536:80", "127.0.0.1:80:80", ":", "1:2/", "1:2/sctp", "/udp"]
        {
            assert!(text.parse::<PublishedPort>().is_err(), "{text}");
        }
    }
}
