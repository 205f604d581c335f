//! The description of an image that every engine returns.

/// An image as an engine reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// The engine's ID of the image: the digest of its config or of its manifest.
    pub id: String,
    /// The names under which the engine lists the image.
    pub tags: Vec<String>,
    /// The architecture.
    pub architecture: String,
    /// The `Env` of the config.
    pub env: Vec<String>,
    /// The `ExposedPorts` of the config, such as `80/tcp`.
    pub exposed_ports: Vec<String>,
}
