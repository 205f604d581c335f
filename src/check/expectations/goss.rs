//! Expectations of a goss file that the project's own format does not have.

use super::exec::ExecExpectations;
use crate::conditions::{HttpExpectations, Matcher, Port};

/// A test of a goss file.
#[derive(Clone, Debug)]
pub(in crate::check) struct GossTest {
    /// The name, such as `port tcp:80`.
    pub name: String,
    /// The expectations; `None` if the goss file skips the test.
    pub expected: Option<GossExpectations>,
}

impl GossTest {
    /// A test that the goss file skips.
    pub(in crate::check) fn skipped(name: String) -> Self {
        Self { name, expected: None }
    }

    /// Its expectations, if they are about properties.
    pub(in crate::check) fn properties(&self) -> Option<&PropertyExpectations> {
        match &self.expected {
            Some(GossExpectations::Properties(properties)) => Some(properties),
            _ => None,
        }
    }

    /// Whether the test needs a container that runs.
    pub(in crate::check) fn needs_running(&self) -> bool {
        self.expected.is_some() && self.properties().is_none()
    }
}

/// The expectations of a test of a goss file.
#[derive(Clone, Debug)]
pub(in crate::check) enum GossExpectations {
    /// A file, user, group or package.
    Properties(PropertyExpectations),
    /// A port or a process.
    Socket(SocketExpectations),
    /// A request.
    Http(Box<HttpExpectations>),
    /// A command.
    Exec(Box<ExecExpectations>),
}

/// A file, user, group or package, with matchers for its properties.
#[derive(Clone, Debug)]
pub(in crate::check) struct PropertyExpectations {
    /// The file, user, group or package.
    pub subject: GossSubject,
    /// Whether it exists, or is installed.
    pub exists: Matcher,
    /// Other properties, which are not compared if it does not exist.
    pub properties: Vec<(GossProperty, Matcher)>,
}

impl PropertyExpectations {
    /// Whether the content of a file must be read for them.
    pub(in crate::check) fn needs_content(&self) -> bool {
        self.properties.iter().any(|(property, _)| property.is_of_content())
    }
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

impl GossSubject {
    /// The name of the property that says whether it is there.
    pub(in crate::check) fn existence(&self) -> &'static str {
        match self {
            Self::File(_) | Self::User(_) | Self::Group(_) => "exists",
            Self::Package(_) => "installed",
        }
    }
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
    fn is_of_content(self) -> bool {
        matches!(self, Self::Contents | Self::Md5 | Self::Sha256 | Self::Sha512)
    }
}

/// A port of the container, or a process in it.
#[derive(Clone, Debug)]
pub(in crate::check) struct SocketExpectations {
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
