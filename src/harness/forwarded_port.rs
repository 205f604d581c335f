//! Ports of containers that are reachable on this host.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::daemon::Daemon;
use super::error::HarnessError;
use crate::vm::instance::{Connector, Reached};

/// The time for which a connection to the container is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time after which a connection is accepted again if that failed.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A port on the loopback interface of this host whose connections go to a port of a container.
/// It is closed when this is dropped.
///
/// This host accepts connections even while nothing listens in the container, as with Docker's
/// published ports; they are closed then. Wait for the port first.
#[derive(Debug)]
pub struct ForwardedPort {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ForwardedPort {
    pub(super) async fn new(
        daemon: &Daemon,
        container: String,
        port: u16,
    ) -> Result<Self, HarnessError> {
        let connector = daemon.vm().connector().await?;
        let failed = |source| HarnessError::Forward { port, source };
        let bound = async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let address = listener.local_addr()?;
            std::io::Result::Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(failed)?;
        let task = tokio::spawn(accept(listener, connector, container, port));
        Ok(Self { address, task })
    }

    /// Returns the address on this host.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the port on this host.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for ForwardedPort {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Accepts connections and carries their bytes, until the task is aborted.
async fn accept(listener: TcpListener, connector: Connector, container: String, port: u16) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        let (connector, container) = (connector.clone(), container.clone());
                        connections.spawn(carry(stream, connector, container, port));
                    }
                    // Too many open files, for example, until others are closed.
                    Err(_) => sleep(RETRY_INTERVAL).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut stream: TcpStream, connector: Connector, container: String, port: u16) {
    let reached = connector.connect(&container, port, CONNECT_TIMEOUT).await;
    if let Ok(Reached::Connected(mut service)) = reached {
        // Either side may close the connection at any time.
        let _ = copy_bidirectional(&mut stream, &mut service).await;
    }
}
