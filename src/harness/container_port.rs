//! A port of a container, and connections to it from this host, through the guest.

use std::time::Duration;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::conditions::Port;
use crate::engine::{Container, EngineError};
use crate::vm::VmError;
use crate::vm::instance::{Connector, FramedStream, Reached};

/// The time for which a connection that a client waits for is tried.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for which one attempt tries to connect. Callers try again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
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
    /// # Errors
    /// If the container has no address, or the guest does not carry connections.
    pub(super) async fn new(
        daemon: &Daemon,
        container: &Container,
        port: Port,
    ) -> Result<Self, HarnessError> {
        let address = container.address().await?;
        let connector = daemon.vm().connector().await?;
        Ok(Self { connector, address, port })
    }

    /// Connects to the port for a client.
    pub(super) async fn connect(&self) -> Result<Reached, VmError> {
        self.connector.connect(&self.address, self.port, FORWARD_TIMEOUT).await
    }
}

/// Tries to connect to a TCP port of the container.
pub(super) async fn connect(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<Reached, HarnessError> {
    let connect = async {
        let to = ContainerPort::new(daemon, container, port.into()).await?;
        Ok(to.connector.connect(&to.address, to.port, ATTEMPT_TIMEOUT).await?)
    };
    refused_without_address(connect.await)
}

/// Like [`connect`]. A read fails if the container resets the connection.
pub(super) async fn connect_framed(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<Reached<FramedStream>, HarnessError> {
    let connect = async {
        let to = ContainerPort::new(daemon, container, port.into()).await?;
        Ok(to.connector.connect_framed(&to.address, port, ATTEMPT_TIMEOUT).await?)
    };
    refused_without_address(connect.await)
}

/// A container without an address accepts no connections.
fn refused_without_address<S>(
    reached: Result<Reached<S>, HarnessError>,
) -> Result<Reached<S>, HarnessError> {
    match reached {
        Err(HarnessError::Engine(error @ EngineError::NoAddress)) => {
            Ok(Reached::Refused(error.to_string()))
        }
        reached => reached,
    }
}
