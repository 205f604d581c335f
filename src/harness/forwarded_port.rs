//! Ports of containers that are reachable on this host.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::container_port::{ContainerPort, RETRY_INTERVAL};
use super::daemon::Daemon;
use super::datagrams;
use super::error::HarnessError;
use crate::conditions::{Port, Protocol};
use crate::engine::Container;
use crate::vm::instance::Reached;

/// A port on the loopback interface of this host whose connections, or datagrams, go to a port of a
/// container. It is closed when this is dropped.
///
/// This host accepts connections even while nothing listens in the container, as with Docker's
/// published ports; they are closed then. Wait for the port first.
///
/// Datagrams of UDP may get lost, and so may answers. The 32 clients that have sent something last
/// get answers.
#[derive(Debug)]
pub struct ForwardedPort {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl ForwardedPort {
    pub(super) async fn new(
        daemon: &Daemon,
        container: &Container,
        port: Port,
    ) -> Result<Self, HarnessError> {
        let container_port = ContainerPort::new(daemon, container, port).await?;
        let bound = match port.protocol {
            Protocol::Tcp => Self::tcp(container_port).await,
            Protocol::Udp => Self::udp(container_port).await,
        };
        bound.map_err(|source| HarnessError::Forward { port: port.number, source })
    }

    async fn tcp(port: ContainerPort) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(accept(listener, port)) })
    }

    async fn udp(port: ContainerPort) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        Ok(Self { address, task: tokio::spawn(datagrams::carry(socket, port)) })
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
async fn accept(listener: TcpListener, port: ContainerPort) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(carry(stream, port.clone()));
                    }
                    // Too many open files, for example, until others are closed.
                    Err(_) => sleep(RETRY_INTERVAL).await,
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn carry(mut stream: TcpStream, port: ContainerPort) {
    if let Ok(Reached::Connected(mut service)) = port.connect().await {
        // Either side may close the connection at any time.
        let _ = copy_bidirectional(&mut stream, &mut service).await;
    }
}
