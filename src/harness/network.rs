//! Networks on which containers reach each other by name.

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{EngineError, NetworkAttachment, limits, random_name};

/// A network of an engine. It exists until it is removed, or its VM ends.
#[derive(Debug)]
pub struct Network<'d> {
    daemon: &'d Daemon,
    name: String,
}

impl Daemon {
    /// Creates a network with a name of its own.
    ///
    /// # Errors
    /// If the engine rejects it, or has no networks that users create.
    pub async fn create_network(&self) -> Result<Network<'_>, HarnessError> {
        let docker = self.docker().ok_or(EngineError::Unsupported(limits::NETWORKS))?;
        let name = format!("seatrial-{}", random_name());
        docker.create_network(&name).await?;
        Ok(Network { daemon: self, name })
    }
}

impl Network<'_> {
    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what a container needs in its options to join the network, where others reach it by
    /// any of `aliases`.
    pub fn attachment(&self, aliases: &[&str]) -> NetworkAttachment {
        let aliases = aliases.iter().map(ToString::to_string).collect();
        NetworkAttachment { network: self.name.clone(), aliases }
    }

    /// Removes the network, which no container may be on.
    ///
    /// # Errors
    /// If the request fails.
    pub async fn remove(self) -> Result<(), HarnessError> {
        let docker = self.daemon.docker().ok_or(EngineError::Unsupported(limits::NETWORKS))?;
        Ok(docker.remove_network(&self.name).await?)
    }
}
