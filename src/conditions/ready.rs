//! When a service is ready.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::http::HttpExpectations;
use super::port::Port;
use super::text::Text;
use super::timeout::Timeout;

/// When a service is ready: all given conditions must be met.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadyConditions {
    /// A TCP port that accepts connections from outside of the container, or a UDP port at which
    /// the service listens for datagrams from outside.
    pub port: Option<Port>,
    /// Text that the container has printed: a string that its output contains, or rules for the
    /// output.
    #[serde(deserialize_with = "log")]
    #[schemars(with = "Option<Text>")]
    pub log: Option<Text>,
    /// A request that gets the expected answer.
    pub http: Option<HttpExpectations>,
    /// A command in the container that exits with code 0.
    pub exec: Option<Vec<String>>,
    /// Whether the image's own health check must succeed.
    pub healthy: Option<bool>,
    /// The time limit; 60 seconds by default.
    pub timeout: Option<Timeout>,
}

/// Reads rules for a log. A string must only be contained: a log is never complete.
pub(crate) fn log<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    Text::deserialize(deserializer).map(|text| Some(text.contained()))
}
