//! Carries datagrams of a forwarded UDP port.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::container_port::{ContainerPort, RETRY_INTERVAL};
use crate::vm::instance::Reached;

/// The most clients that get answers at the same time; each has a connection to the guest. A
/// further one takes the place of the one that has sent nothing for the longest time.
const CLIENTS_MAX: usize = 32;
/// The most datagrams of a client that wait for the guest. Further ones are lost.
const QUEUE_MAX: usize = 256;
/// The most bytes of a datagram.
const DATAGRAM_MAX: usize = u16::MAX as usize;

/// A program of this host that sends datagrams.
struct Client {
    address: SocketAddr,
    queue: Sender<Vec<u8>>,
}

/// Carries the datagrams of all clients and the answers to them, until the task is aborted.
pub(super) async fn carry(socket: UdpSocket, port: ContainerPort) {
    let socket = Arc::new(socket);
    let mut clients: Vec<Client> = Vec::new();
    let mut connections = JoinSet::new();
    let mut buffer = vec![0; DATAGRAM_MAX];
    loop {
        let Ok((length, address)) = socket.recv_from(&mut buffer).await else {
            sleep(RETRY_INTERVAL).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        clients.retain(|client| !client.queue.is_closed());
        let known = clients.iter().position(|client| client.address == address);
        let client = match known {
            Some(index) => clients.remove(index),
            None => {
                let (queue, datagrams) = channel(QUEUE_MAX);
                let (socket, port) = (Arc::clone(&socket), port.clone());
                connections.spawn(serve(socket, address, datagrams, port));
                Client { address, queue }
            }
        };
        // If the queue is full, the datagram is lost.
        let _ = client.queue.try_send(buffer[..length].to_vec());
        if clients.len() == CLIENTS_MAX {
            clients.remove(0);
        }
        clients.push(client);
    }
}

/// Carries the datagrams of a client and the answers to them, until its queue or the connection to
/// the guest is closed.
async fn serve(
    socket: Arc<UdpSocket>,
    client: SocketAddr,
    mut datagrams: Receiver<Vec<u8>>,
    port: ContainerPort,
) {
    let Ok(Reached::Connected(stream)) = port.connect().await else { return };
    let (mut from_guest, mut to_guest) = stream.into_split();
    let requests = async {
        while let Some(datagram) = datagrams.recv().await {
            write(&mut to_guest, &datagram).await?;
        }
        io::Result::Ok(())
    };
    let answers = async {
        loop {
            // As with every UDP port, an answer may get lost.
            let _ = socket.send_to(&read(&mut from_guest).await?, client).await;
        }
    };
    let _: io::Result<()> = tokio::select! {
        ended = requests => ended,
        ended = answers => ended,
    };
}

/// Writes a datagram as its length, in two bytes, and its content.
async fn write(to: &mut (impl AsyncWrite + Unpin), datagram: &[u8]) -> io::Result<()> {
    let length = u16::try_from(datagram.len()).map_err(io::Error::other)?;
    to.write_all(&[&length.to_be_bytes(), datagram].concat()).await
}

/// Reads a datagram that was written so.
async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut datagram = vec![0; from.read_u16().await?.into()];
    from.read_exact(&mut datagram).await?;
    Ok(datagram)
}
