//! Client certificates with their keys.

#[cfg(feature = "vm")]
use std::path::Path;

use rustls::crypto::CryptoProvider;
#[cfg(feature = "vm")]
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

#[cfg(feature = "vm")]
use super::pem::{self, PemError};
use super::x509::Fields;
#[cfg(feature = "vm")]
use crate::text;

/// A certificate and a key that are no client certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ClientCertificateError {
    /// The key cannot be used.
    #[error("it has a damaged private key, or one of an unknown kind")]
    Key,
    /// The certificate cannot be read.
    #[error("it has a damaged certificate")]
    Certificate,
    /// The key is that of another certificate.
    #[error("they do not belong together")]
    Mismatch,
}

/// The client certificate at the start of `chain` with its key. Unlike those that rustls reads, it
/// may be of version 1, as `openssl x509 -req` makes them without extensions.
pub(crate) fn with_key(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, ClientCertificateError> {
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| ClientCertificateError::Key)?;
    let fields = chain.first().and_then(|certificate| Fields::of(certificate));
    let fields = fields.ok_or(ClientCertificateError::Certificate)?;
    if key.public_key().is_some_and(|public_key| *public_key != *fields.public_key) {
        return Err(ClientCertificateError::Mismatch);
    }
    Ok(CertifiedKey::new(chain, key))
}

/// Reads the PEM files with a certificate and its key, and checks that they belong together.
#[cfg(feature = "vm")]
pub(crate) fn read(certificate: &Path, key: &Path) -> Result<CertifiedKey, String> {
    let failed = |files: String, problem: String| {
        format!("failed to read the client certificate: {files}: {problem}")
    };
    let of_file = |path| move |error: PemError| failed(text::path(path), error.to_string());
    let chain = pem::certificates(certificate).map_err(of_file(certificate))?;
    let of_key = pem::key(key).map_err(of_file(key))?;
    with_key(chain, of_key, &ring::default_provider()).map_err(|error| {
        failed(format!("{} and {}", text::path(certificate), text::path(key)), error.to_string())
    })
}
