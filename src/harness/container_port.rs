//! A port of a container, and how this host reaches it.

use std::time::Duration;

use crate::conditions::Port;
use crate::vm::VmError;
use crate::vm::instance::{Connector, Reached};

/// The time for which a connection to the container is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which a port of this host is used again if that failed.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A port of a container, and how this host reaches it.
#[derive(Clone)]
pub(super) struct ContainerPort {
    connector: Connector,
    address: String,
    port: Port,
}

impl ContainerPort {
    pub(super) fn new(connector: Connector, address: String, port: Port) -> Self {
        Self { connector, address, port }
    }

    /// Connects to the port.
    pub(super) async fn connect(&self) -> Result<Reached, VmError> {
        self.connector.connect(&self.address, self.port, CONNECT_TIMEOUT).await
    }
}
