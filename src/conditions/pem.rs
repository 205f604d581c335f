//! Certificates and keys in PEM files that a request names.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::document;

/// The size limit of such a file in bytes. All authorities of a distribution have 250 KB.
const SIZE_MAX: u64 = 1 << 20;

/// Reads the certificates of the file at `path`, at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = document::read_bytes(path, SIZE_MAX).map_err(|error| error.to_string())?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err("it has no certificate".to_owned()),
        certificates => certificates.map_err(|error| error.to_string()),
    }
}

/// Reads the key in the file at `path`.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let bytes = document::read_bytes(path, SIZE_MAX).map_err(|error| error.to_string())?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| error.to_string())
}
