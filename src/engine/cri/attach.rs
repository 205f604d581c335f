//! Standard input of containers, through CRI's streaming API as `kubectl attach` uses it.
//!
//! The call `Attach` returns a URL of the runtime's streaming server. It speaks Kubernetes'
//! protocol `v4.channel.k8s.io` over WebSocket (`k8s.io/kubelet`,
//! `pkg/cri/streaming/remotecommand/websocket.go`): binary messages, whose first byte is the
//! number of a channel. The protocol cannot end standard input alone, so the connection is closed;
//! the runtime then closes the container's standard input, because of `stdin_once`.

use futures_util::{SinkExt, StreamExt};
use hyper::Uri;
use hyper::http::HeaderValue;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::api;
use super::client::Cri;
use super::node::{CALL_TIMEOUT, Connection};
use crate::engine::EngineError;

const PROTOCOL: HeaderValue = HeaderValue::from_static("v4.channel.k8s.io");
/// The number of the channel for standard input.
const STDIN: u8 = 0;
/// The number of bytes in a message.
const CHUNK_SIZE: usize = 32 << 10;
/// The size limit of a message from the server, which sends nothing but errors.
const MESSAGE_MAX: usize = 64 << 10;

impl Cri {
    /// Writes `text` to the standard input of a running container, and closes it. Returns when the
    /// streaming server is connected: the command may not read its input, or exit before it has
    /// read all of it.
    ///
    /// # Errors
    /// If the container is not running, or the streaming server cannot be reached.
    pub(super) async fn write_stdin(&self, container: &str, text: &str) -> Result<(), EngineError> {
        let action = "attach to the container";
        let request = api::AttachRequest {
            container_id: container.to_owned(),
            stdin: true,
            ..Default::default()
        };
        let url = self.call(action, request).await?.url;
        let late = |_| EngineError::Timeout { action: action.to_owned(), limit: CALL_TIMEOUT };
        let connected = timeout(CALL_TIMEOUT, self.connect(&url)).await.map_err(late)?;
        let mut socket = connected.map_err(|error| EngineError::Cri {
            action: action.to_owned(),
            problem: error.to_string(),
            answered: false,
        })?;
        let text = text.to_owned();
        tokio::spawn(async move { send(&mut socket, text.as_bytes()).await });
        Ok(())
    }

    /// Connects to the streaming server in the guest, whose address in `url` is the loopback
    /// interface.
    async fn connect(&self, url: &str) -> Result<WebSocketStream<Connection>, Error> {
        let uri: Uri = url.parse()?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = format!("ws://localhost{path}").into_client_request()?;
        request.headers_mut().insert("Sec-WebSocket-Protocol", PROTOCOL);
        let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX));
        let stream = self.node.streaming_server().await?;
        Ok(client_async_with_config(request, stream, Some(config)).await?.0)
    }
}

async fn send(socket: &mut WebSocketStream<Connection>, input: &[u8]) -> Result<(), Error> {
    for chunk in input.chunks(CHUNK_SIZE) {
        socket.send(Message::binary([&[STDIN], chunk].concat())).await?;
    }
    socket.close(None).await?;
    // The server closes the connection when it has passed everything on.
    while socket.next().await.transpose()?.is_some() {}
    Ok(())
}
