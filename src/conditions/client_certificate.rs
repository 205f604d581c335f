//! A client certificate in files that a request names.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::text;

/// A client certificate with those that have signed it, and its key.
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Reads the PEM files with a certificate and its key.
pub(crate) fn read(certificate: &Path, key: &Path) -> Result<ClientCertificate, String> {
    let failed = |path: &Path, problem: &str| {
        format!("failed to read the client certificate: {}: {problem}", text::path(path))
    };
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| failed(certificate, &error.to_string()))?;
    if chain.is_empty() {
        return Err(failed(certificate, "it has no certificate"));
    }
    let of_key = PrivateKeyDer::from_pem_file(key);
    Ok(ClientCertificate { chain, key: of_key.map_err(|error| failed(key, &error.to_string()))? })
}
