//! How far a guest may connect.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Deserialize;

/// The connections that a guest may make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Egress {
    /// Nothing outside of the VM.
    #[default]
    None,
    /// The network, but not the services of this host that listen only on its loopback interface.
    /// Rules in the guest see to that, which root of the guest can remove.
    Network,
    /// The network, and all services of this host: its loopback interface is 10.0.2.2.
    Host,
}

impl FromStr for Egress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "network" => Ok(Self::Network),
            "host" => Ok(Self::Host),
            other => Err(format!("\"{other}\" must be none, network or host")),
        }
    }
}

impl fmt::Display for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Network => "network",
            Self::Host => "host",
        })
    }
}
