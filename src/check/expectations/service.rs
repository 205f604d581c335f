//! Expectations of services.

use schemars::JsonSchema;
use serde::Deserialize;

use super::container::{ContainerSpec, container};
use super::text::Text;

/// A service.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceExpectations {
    /// The name of the test case.
    pub name: String,
    /// How the container is started.
    #[serde(default, deserialize_with = "container")]
    pub container: ContainerSpec,
    /// When the service is ready.
    pub ready: ReadyConditions,
    /// HTTP requests from outside of the container, with the expected answers.
    #[serde(default)]
    pub http: Vec<HttpExpectations>,
    /// How the service stops.
    pub stop: Option<StopExpectations>,
    /// The exit code of a service that ends by itself after the requests. Without it, the service
    /// must not end before it is stopped.
    pub exit_code: Option<i64>,
}

/// When a service is ready: all given conditions must be met.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadyConditions {
    /// A TCP port that accepts connections from outside of the container.
    pub port: Option<u16>,
    /// Text that the container has printed.
    pub log: Option<String>,
    /// Whether the image's own health check must succeed.
    pub healthy: Option<bool>,
    /// The time limit in seconds; 60 by default.
    pub timeout: Option<u64>,
}

/// An HTTP request and its answer.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpExpectations {
    /// The port of the container.
    pub port: u16,
    /// The path of the GET request; `/` by default.
    pub path: Option<String>,
    /// The status; 200 by default.
    pub status: Option<u16>,
    /// The body.
    pub body: Option<Text>,
}

/// How a service stops after its stop signal.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StopExpectations {
    /// The time until the service is killed, in seconds; 10 by default. Being killed is a failure.
    pub timeout: Option<u64>,
    /// The exit code.
    pub exit_code: Option<i64>,
}
