//! Rules for the values of an expectations file that types alone do not express.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::expectations::{ContainerSpec, Expectations, ServiceExpectations};
use crate::text;

/// Permission bits, written in octal.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Mode {
    written: String,
    bits: u32,
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        let digits = written.strip_prefix("0o").unwrap_or(&written);
        let octal = digits.bytes().all(|digit| digit.is_ascii_digit());
        match u32::from_str_radix(digits, 8) {
            Ok(bits) if octal && bits <= 0o7777 => Ok(Self { written, bits }),
            _ => Err(format!(
                "invalid mode {}; expected permission bits in octal, such as \"0755\"",
                text::quote(&written)
            )),
        }
    }
}

impl Mode {
    /// The permission bits.
    pub fn bits(&self) -> u32 {
        self.bits
    }
}

impl fmt::Display for Mode {
    /// Writes the mode as the user wrote it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

/// A SHA-256 digest in lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String")]
pub struct Sha256Digest(String);

impl TryFrom<String> for Sha256Digest {
    type Error = String;

    fn try_from(written: String) -> Result<Self, String> {
        match written.len() == 64 && written.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            true => Ok(Self(written.to_ascii_lowercase())),
            false => Err(format!(
                "invalid SHA-256 digest {}; expected 64 hexadecimal digits",
                text::quote(&written)
            )),
        }
    }
}

impl AsRef<str> for Sha256Digest {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Reads a container whose keys do not contradict each other.
pub(super) fn container<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ContainerSpec, D::Error> {
    let spec = ContainerSpec::deserialize(deserializer)?;
    let replaced = [("command", spec.command.is_some()), ("entrypoint", spec.entrypoint.is_some())];
    if let (true, Some((key, _))) = (spec.shell.is_some(), replaced.iter().find(|(_, set)| *set)) {
        return Err(D::Error::custom(format!(
            "\"shell\" cannot be combined with \"{key}\": it replaces both Entrypoint and Cmd"
        )));
    }
    match spec.working_dir.as_deref().filter(|path| !path.starts_with('/')) {
        None => Ok(spec),
        Some(path) => Err(D::Error::custom(format!(
            "invalid working_dir {}; expected an absolute path",
            text::quote(path)
        ))),
    }
}

/// Describes how a service of `expectations` contradicts itself, if one does.
pub(super) fn contradiction(expectations: &Expectations) -> Option<String> {
    expectations.service.iter().find_map(contradiction_of_service)
}

fn contradiction_of_service(service: &ServiceExpectations) -> Option<String> {
    let name = text::quote(&service.name);
    let needs_network = service.ready.port.is_some() || !service.http.is_empty();
    if service.container.network == Some(false) && needs_network {
        return Some(format!(
            "service {name} has no network, so its port cannot be reached; leave out network"
        ));
    }
    (service.exit_code.is_some() && service.stop.is_some()).then(|| {
        format!(
            "service {name} ends by itself with exit_code, so it cannot be stopped; leave out stop"
        )
    })
}
