//! Connects to a container from outside of it, through the guest.

use std::time::Duration;

use tokio::net::TcpStream;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{Container, EngineError};
use crate::vm::instance::Reached;

/// The time for which one attempt tries to connect. Callers try again.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The result of a probe.
pub(crate) enum Probe<T> {
    /// The port accepts connections.
    Connected(T),
    /// The port does not accept connections, for this reason.
    Refused(String),
}

/// Tries to connect to `port` of the container.
pub(crate) async fn connect(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<Probe<TcpStream>, HarnessError> {
    let address = match container.address().await {
        Ok(address) => address,
        Err(error @ EngineError::NoAddress) => return Ok(Probe::Refused(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let connector = daemon.vm().connector().await?;
    Ok(match connector.connect(&address, port.into(), CONNECT_TIMEOUT).await? {
        Reached::Connected(stream) => Probe::Connected(stream),
        Reached::Refused(problem) => Probe::Refused(problem),
    })
}
