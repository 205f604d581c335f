//! Certificate authorities in a file.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use super::pem;
use crate::text;

/// Certificates that are trusted.
pub(crate) struct Authorities {
    /// As authorities, which sign others.
    pub(crate) store: RootCertStore,
    /// As they are in the file.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Reads the certificates of the PEM file at `path`.
pub(crate) fn read(path: &Path) -> Result<Authorities, String> {
    let failed = |problem: &str| format!("failed to read {}: {problem}", text::path(path));
    let certificates = pem::certificates(path).map_err(|error| failed(&error.to_string()))?;
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|error| failed(&error.to_string()))?;
    }
    Ok(Authorities { store, certificates })
}
