//! The places that serve images.

use std::net::IpAddr;

use crate::image::RemoteReference;

/// A place that serves a repository: its registry, or a mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// The image there.
    pub(super) reference: RemoteReference,
    /// Whether it may have no TLS, or a certificate that cannot be verified.
    pub(super) is_insecure: bool,
    pub(super) is_mirror: bool,
}

impl Endpoint {
    /// The reference, if its registry is the default one because it names none.
    pub(super) fn short(&self) -> Option<&RemoteReference> {
        self.reference.is_short().then_some(&self.reference)
    }
}

/// `host` without its port, and an IPv6 address without brackets.
pub(super) fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}

/// Whether `host`, with a port or without, is this computer.
pub(super) fn is_loopback(host: &str) -> bool {
    let host = host_name(host);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_computer_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["reg.example", "localhost.example", "10.0.0.1:5000", "[::2]", "128.0.0.1"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
