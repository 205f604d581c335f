//! Networks that users create, over Docker's API.

use bollard::models::{EndpointSettings, NetworkCreateRequest, NetworkingConfig};

use super::docker::api;
use super::{Docker, EngineError, NetworkAttachment};

/// Converts an attachment into that of Docker's API.
pub(super) fn config(attachment: &NetworkAttachment) -> NetworkingConfig {
    let NetworkAttachment { network, aliases } = attachment;
    let aliases = (!aliases.is_empty()).then(|| aliases.clone());
    let settings = EndpointSettings { aliases, ..EndpointSettings::default() };
    NetworkingConfig { endpoints_config: Some([(network.clone(), settings)].into()) }
}

impl Docker {
    /// Creates a network called `name`. Containers that join it reach each other by their aliases.
    ///
    /// # Errors
    /// If the engine rejects it.
    pub async fn create_network(&self, name: &str) -> Result<(), EngineError> {
        let request = NetworkCreateRequest { name: name.to_owned(), ..Default::default() };
        let created = self.api().create_network(request).await;
        created.map(drop).map_err(api(format!("create the network {name}")))
    }

    /// Removes the network called `name`.
    ///
    /// # Errors
    /// If there is none, or containers are on it.
    pub async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        let removed = self.api().remove_network(name).await;
        removed.map_err(api(format!("remove the network {name}")))
    }
}
