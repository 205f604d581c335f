//! Certificates and keys in PEM files.

use std::io;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::document;
use crate::text::errors::last_cause;

/// The size limit of such a file in bytes. All authorities of a distribution have 250 KB.
const SIZE_MAX: u64 = 1 << 20;

/// A PEM file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PemError {
    /// It cannot be read.
    #[error("{}", last_cause(.0))]
    Read(#[from] io::Error),
    #[error("it has no certificate in PEM format")]
    NoCertificate,
    #[error("it has no private key in PEM format")]
    NoKey,
    #[error("its private key is encrypted; decrypt it with openssl pkey")]
    Encrypted,
}

/// Reads the certificates of the file at `path`, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let bytes = document::read_bytes(path, SIZE_MAX)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    certificates.ok().filter(|found| !found.is_empty()).ok_or(PemError::NoCertificate)
}

/// Reads the key in the file at `path`.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, PemError> {
    let bytes = document::read_bytes(path, SIZE_MAX)?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| match is_encrypted(&bytes) {
        true => PemError::Encrypted,
        false => PemError::NoKey,
    })
}

/// Whether a PEM file has an encrypted key (RFC 5958 and RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pem);
    let marks = ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"];
    marks.iter().any(|mark| text.contains(mark))
}
