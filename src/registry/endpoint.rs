//! The places that serve images.

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

/// `host` without its port, and an IPv6 address without brackets.
pub(super) fn host_name(host: &str) -> &str {
    match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    }
}
