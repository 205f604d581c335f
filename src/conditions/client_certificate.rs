//! A client certificate in files that a request names.

use std::path::Path;

use rustls::Error;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::pem;
use crate::text;

/// A client certificate with those that have signed it, and its key.
pub(crate) struct ClientCertificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Reads the PEM files with a certificate and its key, and checks that they belong together.
pub(crate) fn read(certificate: &Path, key: &Path) -> Result<ClientCertificate, String> {
    let failed = |files: String, problem: &str| {
        format!("failed to read the client certificate: {files}: {problem}")
    };
    let of_file = |path: &Path| text::path(path);
    let chain =
        pem::certificates(certificate).map_err(|problem| failed(of_file(certificate), &problem))?;
    let of_key = pem::key(key).map_err(|problem| failed(of_file(key), &problem))?;
    let pair = CertifiedKey::from_der(chain.clone(), of_key.clone_key(), &ring::default_provider());
    let problem = match pair {
        Ok(_) => return Ok(ClientCertificate { chain, key: of_key }),
        Err(Error::InconsistentKeys(_)) => "they do not belong together".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(failed(format!("{} and {}", of_file(certificate), of_file(key)), &problem))
}
