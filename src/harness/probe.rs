//! Connects to a container from outside of it, through the guest.

use std::time::Duration;

use tokio::net::TcpStream;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::engine::{Container, EngineError};
use crate::vm::instance::{FramedStream, Reached};

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
    let address = match address(container).await? {
        Probe::Connected(address) => address,
        Probe::Refused(problem) => return Ok(Probe::Refused(problem)),
    };
    let connector = daemon.vm().connector().await?;
    Ok(connector.connect(&address, port.into(), CONNECT_TIMEOUT).await?.into())
}

/// Like [`connect`]. A read fails if the container resets the connection.
pub(crate) async fn connect_framed(
    daemon: &Daemon,
    container: &Container,
    port: u16,
) -> Result<Probe<FramedStream>, HarnessError> {
    let address = match address(container).await? {
        Probe::Connected(address) => address,
        Probe::Refused(problem) => return Ok(Probe::Refused(problem)),
    };
    let connector = daemon.vm().connector().await?;
    Ok(connector.connect_framed(&address, port, CONNECT_TIMEOUT).await?.into())
}

/// The address of the container, or the reason why it has none.
async fn address(container: &Container) -> Result<Probe<String>, HarnessError> {
    match container.address().await {
        Ok(address) => Ok(Probe::Connected(address)),
        Err(error @ EngineError::NoAddress) => Ok(Probe::Refused(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

impl<S> From<Reached<S>> for Probe<S> {
    fn from(reached: Reached<S>) -> Self {
        match reached {
            Reached::Connected(stream) => Self::Connected(stream),
            Reached::Refused(problem) => Self::Refused(problem),
        }
    }
}
