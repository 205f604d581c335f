//! TLS: the host's certificate authorities, and the certificates for single registries that Docker
//! and Podman keep in `certs.d` (docs.docker.com, "Verify repository client with certificates";
//! containers-certs.d(5)).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::RegistryError;
use super::mirrors::{is_absent, user_file};
use crate::any_certificate::AnyCertificate;
use crate::document;
use crate::own_certificate::OwnCertificate;

/// The folders that have a folder of certificates for each registry.
fn folders() -> Vec<PathBuf> {
    let own = |name: &str| user_file(name).map(|folder| folder.join("certs.d"));
    [
        own("containers"),
        own("docker"),
        Some("/etc/containers/certs.d".into()),
        Some("/etc/docker/certs.d".into()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The folder for the certificates of the registry `name`, as messages name it.
pub(super) fn folder(name: &str) -> PathBuf {
    folders().swap_remove(0).join(name)
}

/// The certificates for one registry.
#[derive(Debug, Default)]
struct Certificates {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Certificates {
    /// Reads the certificates for the registry `host`: `*.crt` are authorities, a `NAME.cert` with
    /// a `NAME.key` is a client certificate.
    fn read(host: &str) -> Result<Self, RegistryError> {
        let mut found = Self::default();
        for folder in folders() {
            let folder = folder.join(host);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                // As in Podman, a folder that may not be read does not count.
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(failed(&folder, error)),
            };
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.sort();
            for path in files {
                found.add(&path)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, path: &Path) -> Result<(), RegistryError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("crt") => self.authorities.extend(certificates(path)?),
            Some("cert") if self.client.is_none() => {
                let key_path = path.with_extension("key");
                let key = PrivateKeyDer::from_pem_slice(&read(&key_path)?)
                    .map_err(|_| failed(&key_path, "it has no private key in PEM format"))?;
                self.client = Some((certificates(path)?, key));
            }
            Some("key") if !path.with_extension("cert").exists() => {
                let problem = "there is no certificate for this key: a file of the same name that \
                               ends in .cert";
                return Err(failed(path, problem));
            }
            _ => {}
        }
        Ok(())
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, RegistryError> {
    let bytes = read(path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match parsed {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(failed(path, "it has no certificate in PEM format")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    let read = document::read_bytes(path, document::MAX_SIZE);
    read.map_err(|error| failed(path, format!("failed to read it: {error}")))
}

fn failed(path: &Path, problem: impl ToString) -> RegistryError {
    RegistryError::Certificate { path: path.to_owned(), problem: problem.to_string() }
}

/// TLS with a registry.
pub(super) struct Tls {
    pub(super) config: ClientConfig,
    /// Whether there are any authorities.
    pub(super) has_authorities: bool,
}

/// The TLS settings for the registry that users call `name`: the host's authorities, and the
/// certificates for this registry. With `is_insecure`, any certificate is accepted.
pub(super) fn config(name: &str, is_insecure: bool) -> Result<Tls, RegistryError> {
    Certificates::read(name)?.config(name, is_insecure)
}

/// The TLS settings for the host `name`, to which `registry` sends clients: as if it were a
/// registry, and with the authorities of `registry`. The client certificate for `registry` is only
/// for a host without one of its own that asks for certificates of the same authority.
pub(super) fn config_of_other(
    name: &str,
    registry: &str,
    is_insecure: bool,
) -> Result<Tls, RegistryError> {
    let mut own = Certificates::read(name)?;
    let Certificates { authorities, client } = Certificates::read(registry)?;
    own.authorities.extend(authorities);
    let is_known = own.client.is_some();
    let mut tls = own.config(name, is_insecure)?;
    if let (false, Some((chain, key))) = (is_known, client) {
        let key = CertifiedKey::from_der(chain, key, tls.config.crypto_provider());
        let key = key.map_err(|error| failed(Path::new(registry), error))?;
        tls.config.client_auth_cert_resolver = Arc::new(IfAsked(Arc::new(key)));
    }
    Ok(tls)
}

impl Certificates {
    /// The TLS settings for the host `name` with these certificates.
    fn config(self, name: &str, is_insecure: bool) -> Result<Tls, RegistryError> {
        let unusable = |error: &dyn std::error::Error| failed(Path::new(name), error);
        let mut roots = RootCertStore::empty();
        // Some files of a host's authorities may be unreadable; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for authority in &self.authorities {
            roots.add(authority.clone()).map_err(|error| unusable(&error))?;
        }
        let has_authorities = !roots.is_empty();
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = match (is_insecure, self.authorities.is_empty()) {
            (true, _) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
            // A host without authorities, such as the sandbox of a Nix build, can use plain HTTP.
            (false, true) => builder.with_root_certificates(roots),
            (false, false) => {
                let verifier = OwnCertificate::new(roots, self.authorities, provider);
                let verifier = verifier.map_err(|error| unusable(&error))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        let config = match self.client {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain, key)
                .map_err(|error| failed(Path::new(name), format!("client certificate: {error}")))?,
            None => builder.with_no_client_auth(),
        };
        Ok(Tls { config, has_authorities })
    }
}

/// A client certificate for servers that name the authority that issued it among those that they
/// accept. Programs in Go, such as Docker and Podman, present it to no others either.
#[derive(Debug)]
struct IfAsked(Arc<CertifiedKey>);

impl ResolvesClientCert for IfAsked {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // A certificate contains its issuer's name in the encoding in which servers send it.
        let is_issuer = |name: &&[u8]| {
            let has_it =
                |one: &CertificateDer<'_>| one.windows(name.len()).any(|part| part == *name);
            !name.is_empty() && self.0.cert.iter().any(has_it)
        };
        authorities.iter().any(is_issuer).then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
