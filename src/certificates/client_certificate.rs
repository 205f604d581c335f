//! A client certificate in files.

use std::path::Path;

use rustls::Error;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::pem::{self, PemError};
use crate::text;

/// A client certificate with those that have signed it, and its key.
#[derive(Debug)]
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// Checks that the key is that of the certificate, and returns them as rustls wants them.
    pub(crate) fn certified_key(&self, provider: &CryptoProvider) -> Result<CertifiedKey, Error> {
        CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), provider)
    }
}

/// Reads the PEM files with a certificate and its key, and checks that they belong together.
#[cfg(feature = "vm")]
pub(crate) fn read(certificate: &Path, key: &Path) -> Result<ClientCertificate, String> {
    let failed = |files: String, problem: String| {
        format!("failed to read the client certificate: {files}: {problem}")
    };
    let of_file = |path| move |error: PemError| failed(text::path(path), error.to_string());
    let found = ClientCertificate {
        chain: pem::certificates(certificate).map_err(of_file(certificate))?,
        key: pem::key(key).map_err(of_file(key))?,
    };
    let problem = match found.certified_key(&ring::default_provider()) {
        Ok(_) => return Ok(found),
        Err(Error::InconsistentKeys(_)) => "they do not belong together".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(failed(format!("{} and {}", text::path(certificate), text::path(key)), problem))
}
