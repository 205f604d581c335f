//! Ports of a container, written as a number, or as text with a protocol.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::image::exposed_ports::ExposedPorts;
use crate::text;

/// A port of a container: a number for TCP, or text with a protocol, such as `"53/udp"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "Written")]
#[schemars(with = "Written")]
pub struct Port {
    /// The number.
    pub number: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// The protocol of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// A port as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "invalid port; expected 1 to 65535, or text such as \"53/udp\"")]
enum Written {
    /// The number of a TCP port.
    Number(#[schemars(with = "u16")] i64),
    /// A number and the protocol, which is `tcp` or `udp`.
    Text(String),
}

impl Port {
    /// A UDP port.
    pub const fn udp(number: u16) -> Self {
        Self { number, protocol: Protocol::Udp }
    }

    /// The port of an entry of `ExposedPorts`; `None` for a range, or another protocol.
    pub(crate) fn of_exposed(entry: &str) -> Option<Self> {
        let (number, protocol) = ExposedPorts::parse(entry)?.of_image().single()?;
        let protocol = Protocol::named(protocol)?;
        Some(Self { number, protocol })
    }
}

impl From<u16> for Port {
    /// A TCP port.
    fn from(number: u16) -> Self {
        Self { number, protocol: Protocol::Tcp }
    }
}

impl TryFrom<Written> for Port {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let text = match written {
            Written::Number(number) => {
                let port = u16::try_from(number).ok().filter(|port| *port > 0);
                return port.map(Self::from).ok_or_else(|| invalid(&number.to_string()));
            }
            Written::Text(text) => text,
        };
        let parsed = text.split_once('/').and_then(|(number, protocol)| {
            let protocol = Protocol::named(protocol)?;
            let number = number.parse().ok().filter(|number| *number > 0)?;
            Some(Self { number, protocol })
        });
        parsed.ok_or_else(|| invalid(&text::quote(&text)))
    }
}

fn invalid(port: &str) -> String {
    format!("invalid port {port}; expected 1 to 65535, or text such as \"53/udp\"")
}

impl fmt::Display for Port {
    /// Writes a TCP port as its number, and a UDP port with its protocol.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            Protocol::Tcp => write!(f, "{}", self.number),
            Protocol::Udp => write!(f, "{}/udp", self.number),
        }
    }
}

impl Protocol {
    /// The protocol with this name in lower case, if it is one of these.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp].into_iter().find(|protocol| protocol.to_string() == name)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_a_number_or_text_with_a_protocol() {
        let parse = |json: &str| serde_json::from_str::<Port>(json).map_err(|e| e.to_string());
        let port = |number, protocol| Ok(Port { number, protocol });
        assert_eq!(parse("80"), port(80, Protocol::Tcp));
        assert_eq!(parse("\"80/tcp\""), port(80, Protocol::Tcp));
        assert_eq!(parse("\"53/udp\""), port(53, Protocol::Udp));
        for (json, port) in [
            ("\"53\"", "\"53\""),
            ("\"53/sctp\"", "\"53/sctp\""),
            ("\"70000/udp\"", "\"70000/udp\""),
            ("\"0/udp\"", "\"0/udp\""),
            ("70000", "70000"),
            ("0", "0"),
            ("-1", "-1"),
        ] {
            let expected = "expected 1 to 65535, or text such as \"53/udp\"";
            assert_eq!(parse(json), Err(format!("invalid port {port}; {expected}")), "{json}");
        }
    }
}
