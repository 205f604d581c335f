//! Ways to wait for an engine: those that people use, and ours.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::vm::Family;
use crate::vm::guest::Api;

/// A way to wait. All but [`Ready`](Self::Ready) look from inside the guest, as scripts do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum WaitStrategy {
    /// Not at all.
    None,
    /// Until systemd calls a unit active.
    Unit(String),
    /// Until the socket's file exists.
    SocketExists,
    /// Until the socket accepts a connection.
    Connects,
    /// Until `/_ping` is answered, however long its one connection takes; until the version is told, where an engine has
    /// no such question.
    Ping,
    /// Until the engine is ready as this library takes it: asked anew on new connections until it answers.
    Ready,
}

impl WaitStrategy {
    /// Those that are compared where nothing else is asked for, for an engine that is the unit `service`.
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

    /// What the guest's program that waits is to wait for.
    pub(super) fn words<'a>(&'a self, family: &'a Family) -> Option<[&'a str; 2]> {
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
                let nearest = crate::suggest::hint(&crate::suggest::nearest(text, known));
                return Err(format!(
                    "{text:?} is no way to wait{nearest}; there are {}",
                    known.join(", ")
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
    fn from(policy: WaitStrategy) -> Self {
        policy.to_string()
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
    fn a_policy_is_written_as_it_is_read() {
        for policy in WaitStrategy::all("docker.service") {
            assert_eq!(policy.to_string().parse::<WaitStrategy>(), Ok(policy));
        }
        let wrong = "socket-exist".parse::<WaitStrategy>().unwrap_err();
        assert!(wrong.contains("did you mean \"socket-exists\"?"), "{wrong}");
    }
}
