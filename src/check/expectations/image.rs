//! Expectations of the image itself: config, layers, environment.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::names::{Names, SomeNames};
use super::values::{SizeOrText, size};
use crate::conditions::{Pattern, Text};
use crate::image::exposed_ports::ExposedPorts;
use crate::lint::RULES;
use crate::text::{self, suggest};

/// Expectations of the image's config and layers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImageExpectations {
    /// `name:tag`, in the archive and in the engine's list of images.
    pub reference: Option<String>,
    /// The tag alone.
    pub tag: Option<String>,
    /// The architecture as Go names it, such as `amd64` or `arm64`.
    pub architecture: Option<String>,
    /// The variant of the architecture, such as `v7`.
    pub variant: Option<String>,
    /// The operating system as Go names it.
    pub os: Option<String>,
    /// `Entrypoint`; an empty list also matches an image without one.
    pub entrypoint: Option<Vec<String>>,
    /// `Cmd`; an empty list also matches an image without one.
    pub cmd: Option<Vec<String>>,
    /// `User`.
    pub user: Option<String>,
    /// `WorkingDir`.
    pub working_dir: Option<String>,
    /// Labels with their values: a string, or rules for the value; other labels are allowed.
    pub labels: BTreeMap<String, Text>,
    /// `ExposedPorts`, such as `80/tcp`: exactly these, in any order, or a table of `has` and
    /// `absent`.
    #[serde(deserialize_with = "ports")]
    pub exposed_ports: Option<Names>,
    /// `Volumes`: exactly these, in any order, or a table of `has` and `absent`.
    pub volumes: Option<Names>,
    /// `StopSignal`.
    pub stop_signal: Option<String>,
    /// `Healthcheck`, as Docker's JSON has it.
    pub healthcheck: Option<Value>,
    /// `Shell`; an empty list also matches an image without one.
    pub shell: Option<Vec<String>>,
    /// The creation date, RFC 3339.
    pub created: Option<String>,
    /// The exact number of layers.
    pub layers: Option<usize>,
    /// The maximum number of layers.
    pub max_layers: Option<usize>,
    /// The maximum size of all layers together, uncompressed: bytes, or text with a unit such as
    /// `"20 MiB"`.
    #[serde(deserialize_with = "size")]
    #[schemars(with = "Option<SizeOrText>")]
    pub max_size: Option<u64>,
    /// Whether a second build must give the same image; for recipes only.
    pub reproducible: Option<bool>,
    /// Layers in common with another image.
    pub shares_layers: Option<SharedLayers>,
    /// Rules of `seatrial inspect` that must have no findings.
    #[serde(deserialize_with = "rules")]
    pub deny: Vec<String>,
}

impl ImageExpectations {
    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads names of exposed ports.
fn ports<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Names>, D::Error> {
    let names = Option::<Names>::deserialize(deserializer)?;
    names.iter().try_for_each(|names| check_ports(names).map_err(D::Error::custom))?;
    Ok(names)
}

/// Checks that `names` can be exposed ports: any other one would be absent from each image that an
/// engine accepts. An exact list is not checked, as some images have invalid names.
pub(in crate::check) fn check_ports(names: &Names) -> Result<(), String> {
    let Names::Some(SomeNames { has, absent }) = names else { return Ok(()) };
    match has.iter().chain(absent).find(|name| ExposedPorts::parse(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(format!(
            "invalid port {}; write a number or a range, and tcp, udp or sctp: \"80/tcp\", \
             \"53/udp\", \"8000-8010\"",
            text::quote(name)
        )),
    }
}

/// The lowest layers, in common with another image.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedLayers {
    /// The path of the other image, relative to this file.
    pub with: String,
    /// The minimum number of common layers; by default all layers of the other image.
    pub at_least: Option<usize>,
}

/// Expectations of the environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvExpectations {
    /// Variables with their values: a string, or rules for the value; others are allowed.
    pub has: BTreeMap<String, Text>,
    /// Exactly these variables and values in the config, and no others.
    pub exactly: Option<BTreeMap<String, String>>,
    /// Variables that must not exist.
    pub absent: Vec<String>,
    /// Variables with a regular expression that must match their value.
    pub matches: BTreeMap<String, Pattern>,
    /// Whether each name must occur only once; true by default.
    pub unique: Option<bool>,
    /// Variables that must not exist in the config, but may in containers. Files have no key for
    /// this, except for those of container-structure-test.
    #[serde(skip)]
    pub absent_from_config: Vec<String>,
}

/// Reads names of lint rules.
fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    match names.iter().find(|name| !RULES.contains(&name.as_str())) {
        None => Ok(names),
        Some(name) => {
            let hint = suggest::hint(&suggest::nearest(name, RULES.iter().copied()));
            Err(D::Error::custom(format!("unknown rule {}{hint}", text::quote(name))))
        }
    }
}
