//! Ports of guests that are reachable on this host.

use std::net::TcpListener;
use std::str::FromStr;

use super::VmError;

/// A port of the guest that is reachable on the loopback interface of this host, written as
/// `HOST:GUEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The port on this host.
    pub host: u16,
    /// The port in the guest.
    pub guest: u16,
}

impl PublishedPort {
    /// Checks that no program of this host uses the port. If one takes it before QEMU does, QEMU
    /// exits with an error.
    pub(super) fn check_is_free(&self) -> Result<(), VmError> {
        let listener = TcpListener::bind(("127.0.0.1", self.host));
        listener.map(drop).map_err(VmError::file("publish", format!("port {}", self.host)))
    }
}

impl FromStr for PublishedPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = |text: &str| text.parse().ok().filter(|port| *port > 0);
        let ports =
            text.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
        let (host, guest) = ports.ok_or("write HOST:GUEST, two ports from 1 to 65535")?;
        Ok(Self { host, guest })
    }
}

impl std::fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.guest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_is_two_ports() {
        let port = PublishedPort { host: 8080, guest: 80 };
        assert_eq!("8080:80".parse(), Ok(port));
        assert_eq!(port.to_string(), "8080:80");
        for text in ["80", "0:80", "80:0", "65536:80", "127.0.0.1:80:80", ":"] {
            assert!(text.parse::<PublishedPort>().is_err(), "{text}");
        }
    }
}
