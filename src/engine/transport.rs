//! The connection to an engine's API over TLS. Both sides' certificates must be signed by one
//! certificate authority; the host's list of authorities is not used. Connections are reused,
//! because an emulated engine needs more time for a TLS handshake than for most responses.

use std::path::Path;
use std::sync::Arc;

use bollard::BollardRequest;
use bollard::errors::Error;
use futures_util::future::BoxFuture;
use hyper::Response;
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};

use super::EngineError;
use crate::certificates::pem;

/// Sends requests to an engine.
pub(super) type Transport = Box<
    dyn Fn(BollardRequest) -> BoxFuture<'static, Result<Response<Incoming>, Error>> + Send + Sync,
>;

/// Connects to an engine whose certificate is signed by `ca.pem` in the folder `keys`, with the
/// client certificate `cert.pem` and its key `key.pem`, if they exist.
pub(super) fn over_tls(keys: &Path) -> Result<Transport, EngineError> {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config(keys)?)
        .https_only()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(https);
    Ok(Box::new(move |request| {
        let response = client.request(request);
        Box::pin(async move { response.await.map_err(Error::from) })
    }))
}

/// The TLS configuration with the keys in the folder `keys`.
pub(super) fn config(keys: &Path) -> Result<ClientConfig, EngineError> {
    let failed = |name: &str, problem: String| EngineError::Keys { path: keys.join(name), problem };
    let certificates = |name: &str| {
        pem::certificates(&keys.join(name)).map_err(|error| failed(name, error.to_string()))
    };
    let mut authorities = RootCertStore::empty();
    for authority in certificates("ca.pem")? {
        authorities.add(authority).map_err(|error| failed("ca.pem", error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| EngineError::Unexpected(error.to_string()))?;
    let config = config.with_root_certificates(authorities);
    if !["cert.pem", "key.pem"].iter().any(|name| keys.join(name).exists()) {
        return Ok(config.with_no_client_auth());
    }
    let key = pem::key(&keys.join("key.pem"));
    let key = key.map_err(|error| failed("key.pem", error.to_string()))?;
    config
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|error| failed("cert.pem", error.to_string()))
}
