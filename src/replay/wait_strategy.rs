//! Wait strategies: how scripts and programs wait for an engine, and how seatrial does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::vm::Family;
use crate::vm::guest::Api;

/// A way to wait for an engine. All except [`Ready`](Self::Ready) run in the guest, as scripts do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WaitStrategy {
    /// Does not wait.
    None,
    /// Waits until systemd reports a unit as active.
    Unit(String),
    /// Waits until the socket's file exists.
    SocketExists,
    /// Waits until the socket accepts a connection.
    Connects,
    /// Waits until `/_ping` is answered on the first connection, however long that takes. For an
    /// engine without `/_ping`, waits until its client gets the version.
    Ping,
    /// Waits until the engine is ready, as seatrial itself does: asks on new connections until the
    /// engine answers.
    Ready,
}

impl WaitStrategy {
    /// The strategies that are compared by default, for an engine whose unit is `service`.
    pub fn all(service: &str) -> Vec<Self> {
        let unit = |name: &str| Self::Unit(name.to_owned());
        vec![
            Self::None,
            unit("sockets.target"),
            unit(service),
            Self::SocketExists,
            Self::Connects,
            Self::Ping,
            Self::Ready,
        ]
    }

    /// The arguments of the program `await` in the guest: the kind of condition and its target.
    pub(super) fn guest_arguments<'a>(&'a self, family: &'a Family) -> Option<[&'a str; 2]> {
        let socket = family.client_socket();
        Some(match self {
            Self::None | Self::Ready => return None,
            Self::Unit(name) => ["unit", name],
            Self::SocketExists => ["path", socket],
            Self::Connects => ["connects", socket],
            Self::Ping if family.api == Api::Docker => ["ping", socket],
            Self::Ping => ["version", &family.name],
        })
    }
}

impl FromStr for WaitStrategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = text
            .strip_prefix("unit:")
            .filter(|unit| unit.contains('.') && !unit.contains(char::is_whitespace));
        Ok(match (text, unit) {
            (_, Some(unit)) => Self::Unit(unit.to_owned()),
            ("none", _) => Self::None,
            ("socket-exists", _) => Self::SocketExists,
            ("connects", _) => Self::Connects,
            ("ping", _) => Self::Ping,
            ("ready", _) => Self::Ready,
            _ => {
                let known =
                    ["none", "unit:NAME.TYPE", "socket-exists", "connects", "ping", "ready"];
                let nearest =
                    crate::text::suggest::hint(&crate::text::suggest::nearest(text, known));
                let known = known.join(", ");
                return Err(format!(
                    "unknown wait strategy \"{text}\"{nearest}; known strategies: {known}"
                ));
            }
        })
    }
}

impl TryFrom<String> for WaitStrategy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<WaitStrategy> for String {
    fn from(strategy: WaitStrategy) -> Self {
        strategy.to_string()
    }
}

impl fmt::Display for WaitStrategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Unit(name) => write!(f, "unit:{name}"),
            Self::SocketExists => f.write_str("socket-exists"),
            Self::Connects => f.write_str("connects"),
            Self::Ping => f.write_str("ping"),
            Self::Ready => f.write_str("ready"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_strategy_is_printed_as_it_is_written() {
        for strategy in WaitStrategy::all("docker.service") {
            assert_eq!(strategy.to_string().parse::<WaitStrategy>(), Ok(strategy));
        }
        let error = "socket-exist".parse::<WaitStrategy>().unwrap_err();
        assert!(error.contains("did you mean \"socket-exists\"?"), "{error}");
    }
}
