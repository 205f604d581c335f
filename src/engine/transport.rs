//! The way to an engine's API over TLS, with keys of both sides from one authority and nobody else's: the host's
//! list of authorities does not count. Connections are kept and used again, since agreeing on keys takes an emulated
//! engine longer than most answers.

use std::io;
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
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::EngineError;

/// Carries requests to an engine.
pub(super) type Transport = Box<
    dyn Fn(BollardRequest) -> BoxFuture<'static, Result<Response<Incoming>, Error>> + Send + Sync,
>;

/// Goes to whoever proves to hold a key signed by `ca.pem` in `keys`, with `cert.pem` and `key.pem`.
pub(super) fn over_tls(keys: &Path) -> Result<Transport, EngineError> {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config(keys)?)
        .https_only()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(https);
    Ok(Box::new(move |request| {
        let answer = client.request(request);
        Box::pin(async move { answer.await.map_err(Error::from) })
    }))
}

/// Both sides' keys.
pub(super) fn config(keys: &Path) -> Result<ClientConfig, EngineError> {
    let failed = |name: &str, problem: String| EngineError::Keys { path: keys.join(name), problem };
    let certificates = |name: &'static str| -> Result<Vec<CertificateDer<'static>>, EngineError> {
        let read = CertificateDer::pem_file_iter(keys.join(name)).and_then(Iterator::collect);
        read.map_err(|error| failed(name, error.to_string()))
    };
    let mut authorities = RootCertStore::empty();
    for authority in certificates("ca.pem")? {
        authorities.add(authority).map_err(|error| failed("ca.pem", error.to_string()))?;
    }
    let key = PrivateKeyDer::from_pem_file(keys.join("key.pem"));
    let key = key.map_err(|error| failed("key.pem", error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| EngineError::Unexpected(error.to_string()))?;
    let config = config.with_root_certificates(authorities);
    config
        .with_client_auth_cert(certificates("cert.pem")?, key)
        .map_err(|error| failed("cert.pem", io::Error::other(error).to_string()))
}
