//! The container runtime interface of Kubernetes (CRI), version 1, over gRPC: what a kubelet asks of containerd.
//!
//! Images get to a node in an archive, as `ctr images import` takes it, into the namespace that Kubernetes has in
//! containerd; what a container printed lies in a file of the node. CRI has no call for either, so a program of the node's
//! does both (`node`, in the guest).

mod container;
mod node;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

pub use container::CriContainer;
use node::Node;

use super::{EngineError, ImageFacts, RunOptions, transport};

type Http = Client<HttpsConnector<HttpConnector>, tonic::body::Body>;

/// A container runtime that Kubernetes could use.
#[derive(Clone, Debug)]
pub struct Cri {
    grpc: Arc<Grpc<Http>>,
    node: Node,
}

/// How long an answer may take. Pods take an emulated node some seconds.
const ANSWER: Duration = Duration::from_secs(120);
/// How long the runtime may take to notice an image that was imported.
const NOTICE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(50);

impl Cri {
    /// Talks to the runtime behind the loopback port `port` with the keys in `keys`: `ca.pem`, `cert.pem`, `key.pem`.
    /// Nothing is sent yet.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn over_tls(port: u16, keys: &Path) -> Result<Self, EngineError> {
        let tls = transport::config(keys)?;
        let node = Node::new(port, tls.clone());
        let https = HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http2().build();
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build(https);
        let origin = Uri::try_from(format!("https://localhost:{port}"));
        let origin = origin.map_err(|error| EngineError::Unexpected(error.to_string()))?;
        Ok(Self { grpc: Arc::new(Grpc::with_origin(client, origin)), node })
    }

    /// Calls a method of the interface; `doing` says what that is, for errors.
    async fn call<Question, Answer>(
        &self,
        doing: &str,
        method: &'static str,
        question: Question,
    ) -> Result<Answer, EngineError>
    where
        Question: Message + 'static,
        Answer: Message + Default + 'static,
    {
        let failed =
            |problem: String, answered| EngineError::Cri { doing: doing.to_owned(), problem, answered };
        let mut grpc = Grpc::clone(&self.grpc);
        let called = async {
            grpc.ready().await.map_err(|error| failed(error.to_string(), false))?;
            let codec = ProstCodec::<Question, Answer>::default();
            let path = PathAndQuery::from_static(method);
            let answer = grpc.unary(tonic::Request::new(question), path, codec).await;
            answer.map(tonic::Response::into_inner).map_err(|status| {
                // What came about on the way has a source; an answer has none.
                failed(told(&status), std::error::Error::source(&status).is_none())
            })
        };
        let deadline = |_| EngineError::Deadline { doing: doing.to_owned(), limit: ANSWER };
        timeout(ANSWER, called).await.map_err(deadline)?
    }

    /// Waits for nothing: whether the runtime and its network are ready.
    ///
    /// # Errors
    /// When they are not, or the runtime does not answer; the error says which and why.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let doing = "asking for the runtime's status";
        let status: wire::StatusResponse =
            self.call(doing, "/runtime.v1.RuntimeService/Status", wire::StatusRequest {}).await?;
        let conditions = status.status.unwrap_or_default().conditions;
        match conditions.iter().find(|condition| !condition.status) {
            None if !conditions.is_empty() => Ok(()),
            None => Err(EngineError::Unexpected("the runtime does not tell its status".to_owned())),
            Some(wire::RuntimeCondition { kind, reason, message, .. }) => {
                let problem = format!("no {kind}: {reason} {message}").trim_end().to_owned();
                Err(EngineError::Cri { doing: doing.to_owned(), problem, answered: true })
            }
        }
    }

    /// The runtime's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<String, EngineError> {
        let version: wire::VersionResponse = self
            .call("asking for the version", "/runtime.v1.RuntimeService/Version", wire::VersionRequest {})
            .await?;
        Ok(version.runtime_version.trim_start_matches('v').to_owned())
    }

    /// Imports the images of an archive as its bytes come, within `limit`, and gives what was said of it.
    ///
    /// # Errors
    /// When the archive is refused, or is not imported in time.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        let deadline = |_| EngineError::Deadline { doing: "loading the image".to_owned(), limit };
        timeout(limit, self.node.import(archive)).await.map_err(deadline)?
    }

    /// What the runtime knows of an image.
    ///
    /// # Errors
    /// When it does not have it.
    pub async fn inspect(&self, image: &str) -> Result<ImageFacts, EngineError> {
        let doing = format!("inspecting {image}");
        // It hears of what was imported from containerd, a little later.
        let deadline = Instant::now() + NOTICE;
        loop {
            let question = wire::ImageRequest { image: spec(image), verbose: true };
            let found: wire::ImageStatusResponse =
                self.call(&doing, "/runtime.v1.ImageService/ImageStatus", question).await?;
            if let Some(known) = found.image {
                let about = found.info.get("info").and_then(|info| serde_json::from_str(info).ok());
                let About { image_spec } = about.unwrap_or_default();
                return Ok(ImageFacts {
                    id: known.id,
                    tags: known.repo_tags,
                    architecture: image_spec.architecture,
                    env: image_spec.config.env,
                });
            }
            if Instant::now() >= deadline {
                return Err(EngineError::Cri { doing, problem: "No such image".to_owned(), answered: true });
            }
            sleep(PAUSE).await;
        }
    }

    /// Removes an image.
    ///
    /// # Errors
    /// When the runtime refuses.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        let question = wire::ImageRequest { image: spec(image), verbose: false };
        let removed =
            self.call(&format!("removing {image}"), "/runtime.v1.ImageService/RemoveImage", question).await;
        removed.map(|wire::Empty {}| ())
    }

    /// What of `options` the interface has no words for.
    pub(super) fn lacks(options: &RunOptions) -> Option<&'static str> {
        let group = options.user.as_deref().and_then(|user| user.split_once(':')).map(|(_, group)| group);
        if options.stdin.is_some() {
            return Some("CRI gives a container no standard input but from a terminal's");
        }
        if !options.volumes.is_empty() {
            return Some("CRI makes no volumes but those that the image names");
        }
        group
            .filter(|group| group.parse::<i64>().is_err())
            .map(|_| "CRI takes a container's group by number alone")
    }
}

/// What a runtime tells of an image beside what the interface says, as JSON: containerd's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct About {
    #[serde(rename = "imageSpec")]
    image_spec: ImageSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ImageSpec {
    architecture: String,
    config: ImageConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ImageConfig {
    #[serde(rename = "Env")]
    env: Vec<String>,
}

fn spec(image: &str) -> Option<wire::ImageSpec> {
    Some(wire::ImageSpec { image: image.to_owned() })
}

/// An error as gRPC tells it.
fn told(status: &tonic::Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}
