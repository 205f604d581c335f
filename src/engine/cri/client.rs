//! The CRI client: calls, the state of the runtime, and its images.

use std::collections::{BTreeMap, HashMap};
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
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout};
use tonic::client::Grpc;
use tonic_prost::ProstCodec;

use super::api::{self, Method};
use super::limits::NETWORKS;
use super::node::{CALL_TIMEOUT, Node};
use super::request::{LOG_ROOT, image_spec, random_name};
use crate::engine::run::OUTPUT_MAX;
use crate::engine::{EngineError, ImageFacts, RunOptions, Settings, transport};
use crate::image::Digest;

type Http = Client<HttpsConnector<HttpConnector>, tonic::body::Body>;

/// A container runtime that is reached through CRI.
#[derive(Clone, Debug)]
pub struct Cri {
    grpc: Arc<Grpc<Http>>,
    pub(super) node: Node,
    /// The folder of the node with the logs of the pods that this client creates.
    pub(super) logs: Arc<str>,
}

/// The size limit of a response: that to a command has its output.
const MESSAGE_MAX: usize = 3 * OUTPUT_MAX;
/// How long an imported image may take to appear in CRI.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(20);
/// The time between two queries for an imported image.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Cri {
    /// Creates a client of the runtime at `port` on the loopback interface. `keys` is the folder of
    /// `ca.pem`, `cert.pem` and `key.pem`. Does not connect yet.
    ///
    /// # Errors
    /// If the keys cannot be read.
    pub(crate) fn over_tls(port: u16, keys: &Path) -> Result<Self, EngineError> {
        let tls = transport::config(keys)?;
        let node = Node::new(port, tls.clone());
        let https =
            HttpsConnectorBuilder::new().with_tls_config(tls).https_only().enable_http2().build();
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build(https);
        let origin = Uri::try_from(format!("https://localhost:{port}"));
        let origin = origin.map_err(|error| EngineError::Unexpected(error.to_string()))?;
        let grpc = Grpc::with_origin(client, origin).max_decoding_message_size(MESSAGE_MAX);
        let logs = format!("{LOG_ROOT}/seatrial-{}", random_name()).into();
        Ok(Self { grpc: Arc::new(grpc), node, logs })
    }

    /// Returns the folder of the node with the logs of the pods that this client and its clones
    /// create. The runtime does not remove it.
    pub(crate) fn log_folder(&self) -> &str {
        &self.logs
    }

    /// Calls the method of the request. `action` completes an error's "failed to".
    pub(super) async fn call<Request: Method>(
        &self,
        action: &str,
        request: Request,
    ) -> Result<Request::Response, EngineError> {
        self.call_within(action, request, CALL_TIMEOUT).await
    }

    /// Calls the method of the request like [`call`](Self::call), with a time limit of its own.
    pub(super) async fn call_within<Request: Method>(
        &self,
        action: &str,
        request: Request,
        limit: Duration,
    ) -> Result<Request::Response, EngineError> {
        let failed = |problem: String, answered| EngineError::Cri {
            action: action.to_owned(),
            problem,
            answered,
        };
        let mut grpc = Grpc::clone(&self.grpc);
        let called = async {
            grpc.ready().await.map_err(|error| failed(error.to_string(), false))?;
            let codec = ProstCodec::<Request, Request::Response>::default();
            let path = PathAndQuery::from_static(Request::PATH);
            let response = grpc.unary(tonic::Request::new(request), path, codec).await;
            response.map(tonic::Response::into_inner).map_err(|status| {
                // Only errors of the connection have a source; the runtime's own have none.
                let answered = std::error::Error::source(&status).is_none();
                failed(format_status(&status), answered)
            })
        };
        let late = |_| EngineError::Timeout { action: action.to_owned(), limit };
        timeout(limit, called).await.map_err(late)?
    }

    /// Checks that the runtime and its network are ready. Does not wait until they are.
    ///
    /// # Errors
    /// If a condition of the runtime is false (the error has its reason), or if the call fails.
    pub async fn ready(&self) -> Result<(), EngineError> {
        let action = "read the runtime's status";
        let response = self.call(action, api::StatusRequest::default()).await?;
        let conditions = response.status.unwrap_or_default().conditions;
        match conditions.iter().find(|condition| !condition.status) {
            None if !conditions.is_empty() => Ok(()),
            None => Err(EngineError::Unexpected("the runtime reports no conditions".to_owned())),
            Some(api::RuntimeCondition { r#type, reason, message, .. }) => {
                let problem = format!("{type} is false: {reason} {message}").trim_end().to_owned();
                Err(EngineError::Cri { action: action.to_owned(), problem, answered: true })
            }
        }
    }

    /// Returns the runtime's version.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn version(&self) -> Result<String, EngineError> {
        let version =
            self.call("read the runtime's version", api::VersionRequest::default()).await?;
        Ok(version.runtime_version.trim_start_matches('v').to_owned())
    }

    /// Imports the images of an archive while its bytes arrive, and returns the output of the
    /// import.
    ///
    /// # Errors
    /// If the archive is rejected or the import takes longer than `limit`.
    pub async fn load(
        &self,
        archive: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        limit: Duration,
    ) -> Result<String, EngineError> {
        let late = |_| EngineError::Timeout { action: "load the image".to_owned(), limit };
        timeout(limit, self.node.import(archive)).await.map_err(late)?
    }

    /// Returns the ID, tags, architecture and environment of an image.
    ///
    /// # Errors
    /// If the runtime does not have the image, or if the call fails.
    pub async fn inspect(&self, image: &str) -> Result<ImageFacts, EngineError> {
        let (found, info) = self.image_status(image).await?;
        let info = info.get("info").and_then(|info| serde_json::from_str(info).ok());
        let VerboseInfo { image_spec } = info.unwrap_or_default();
        Ok(ImageFacts {
            id: found.id,
            tags: found.repo_tags,
            architecture: image_spec.architecture,
            env: image_spec.config.env,
            exposed_ports: image_spec.config.exposed_ports.into_keys().collect(),
        })
    }

    /// Returns the description of an image, and what the runtime adds to it in verbose mode.
    pub(super) async fn image_status(
        &self,
        image: &str,
    ) -> Result<(api::Image, HashMap<String, String>), EngineError> {
        self.image_status_if(image, |_| Ok(())).await
    }

    /// Waits until the image called `image` has the ID `id`: the digest of its config. Another
    /// image may have had the name before.
    ///
    /// # Errors
    /// If that takes too long, or if a call fails.
    pub(crate) async fn wait_for_image(&self, image: &str, id: Digest) -> Result<(), EngineError> {
        self.image_status_if(image, |found| has_id(found, id)).await.map(drop)
    }

    /// Returns an image like [`image_status`](Self::image_status), once `accepts` accepts it. Its
    /// error says what is wrong.
    async fn image_status_if(
        &self,
        image: &str,
        accepts: impl Fn(&api::Image) -> Result<(), String>,
    ) -> Result<(api::Image, HashMap<String, String>), EngineError> {
        let action = format!("inspect {image}");
        // CRI knows an imported image only after an event from containerd. Until then, it has no
        // image of this name, or the one that had the name before.
        let deadline = Instant::now() + IMPORT_TIMEOUT;
        loop {
            let request = api::ImageStatusRequest { image: image_spec(image), verbose: true };
            let response = self.call(&action, request).await?;
            let problem = match response.image {
                None => "No such image".to_owned(),
                Some(found) => match accepts(&found) {
                    Ok(()) => return Ok((found, response.info)),
                    Err(problem) => problem,
                },
            };
            if Instant::now() >= deadline {
                return Err(EngineError::Cri { action, problem, answered: true });
            }
            sleep(POLL_INTERVAL).await;
        }
    }

    /// Removes an image.
    ///
    /// # Errors
    /// If the call fails.
    pub async fn remove(&self, image: &str) -> Result<(), EngineError> {
        let request = api::RemoveImageRequest { image: image_spec(image) };
        self.call(&format!("remove {image}"), request).await?;
        Ok(())
    }

    /// Explains which of `options` CRI does not support, if any.
    pub(in crate::engine) fn unsupported(options: &RunOptions) -> Option<&'static str> {
        let group =
            options.user.as_deref().and_then(|user| user.split_once(':')).map(|(_, group)| group);
        if !options.volumes.is_empty() {
            return Some("CRI creates only the volumes that the image declares");
        }
        let Settings { hostname, sysctls, .. } = &options.settings;
        if options.pod.is_some() && (hostname.is_some() || !sysctls.is_empty()) {
            return Some("the pod, which has several containers, has one host name and sysctls");
        }
        if options.attachment.is_some() {
            return Some(NETWORKS);
        }
        if options.settings.init {
            return Some("CRI starts no init process");
        }
        if options.settings.groups.iter().any(|group| group.parse::<i64>().is_err()) {
            return Some("CRI accepts supplementary groups only as numbers");
        }
        group
            .filter(|group| group.parse::<i64>().is_err())
            .map(|_| "CRI accepts a container's group only as a number")
    }
}

/// The `info` of an image as containerd returns it in verbose mode: JSON that CRI leaves to the
/// runtime.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VerboseInfo {
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
    #[serde(rename = "ExposedPorts")]
    exposed_ports: BTreeMap<String, IgnoredAny>,
}

/// Checks that `found` has the ID of the image that was imported.
fn has_id(found: &api::Image, id: Digest) -> Result<(), String> {
    if found.id == id.to_string() {
        return Ok(());
    }
    let (limit, found) = (IMPORT_TIMEOUT.as_secs(), &found.id);
    Err(format!("the image {id} was imported, but after {limit} s the name still means {found}"))
}

/// Formats a gRPC error as its message and the name of its code.
fn format_status(status: &tonic::Status) -> String {
    format!("{} ({:?})", status.message(), status.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_had_the_name_before_is_not_the_imported_one() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let found = api::Image { id: old.to_string(), ..Default::default() };
        assert_eq!(has_id(&found, old), Ok(()));
        let problem = has_id(&found, new).unwrap_err();
        assert!(problem.contains(&old.to_string()) && problem.contains(&new.to_string()));
    }
}
