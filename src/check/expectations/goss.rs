//! Expectations of a goss file that the project's own format does not have.

use crate::conditions::{Matcher, Port};

/// A file, user, group or package, with matchers for its properties.
#[derive(Clone, Debug)]
pub(in crate::check) struct GossExpectations {
    /// The name of the test case.
    pub name: String,
    /// Whether the test case is skipped.
    pub skip: bool,
    /// The file, user, group or package.
    pub subject: GossSubject,
    /// Whether it exists, or is installed.
    pub exists: Matcher,
    /// Other properties, which are not compared if it does not exist.
    pub properties: Vec<(GossProperty, Matcher)>,
}

/// A file, user, group or package.
#[derive(Clone, Debug)]
pub(in crate::check) enum GossSubject {
    /// The file at this path.
    File(String),
    /// The user with this name.
    User(String),
    /// The group with this name.
    Group(String),
    /// The Debian or Alpine package with this name.
    Package(String),
}

/// A property of a file, user, group or package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::check) enum GossProperty {
    Mode,
    Size,
    Owner,
    Uid,
    Group,
    Gid,
    LinkedTo,
    Filetype,
    Contents,
    Md5,
    Sha256,
    Sha512,
    Groups,
    Home,
    Shell,
    Versions,
}

impl GossProperty {
    /// Whether the content of a file must be read for it.
    pub(in crate::check) fn is_of_content(self) -> bool {
        matches!(self, Self::Contents | Self::Md5 | Self::Sha256 | Self::Sha512)
    }
}

/// A port of the container, or a process in it.
#[derive(Clone, Debug)]
pub(in crate::check) struct SocketExpectations {
    /// The name in reports, such as `port tcp:80`.
    pub name: String,
    /// The port or process.
    pub subject: SocketSubject,
    /// Whether it listens or runs.
    pub expected: Matcher,
    /// The addresses at which a port listens.
    pub addresses: Option<Matcher>,
}

/// A port or a process.
#[derive(Clone, Debug)]
pub(in crate::check) enum SocketSubject {
    /// A port, on addresses of IPv6 (`tcp6`, `udp6`) or of IPv4 (`tcp`, `udp`).
    Port { port: Port, ipv6: bool },
    /// The name of a program, as the kernel has it.
    Process(String),
}
