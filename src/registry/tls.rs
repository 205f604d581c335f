//! TLS: the host's certificate authorities, and the certificates for single registries that Docker
//! and Podman keep in `certs.d` (docs.docker.com, "Verify repository client with certificates";
//! containers-certs.d(5)).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::RegistryError;
use super::mirrors::{is_absent, user_file};
use crate::certificates::client_certificate::{self, ClientCertificateError};
use crate::certificates::pem::{self, PemError};
use crate::certificates::{AnyCertificate, OwnCertificate, x509};
use crate::text;

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

/// The files with certificates for one registry.
#[derive(Debug, Default)]
struct Certificates {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<CertifiedKey>,
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
            Some("crt") => {
                self.authorities.extend(pem::certificates(path).map_err(unusable_file(path))?)
            }
            Some("cert") if self.client.is_none() => {
                self.client = Some(client_certificate(path)?);
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

/// Reads the client certificate in the file at `path`, and its key beside it.
fn client_certificate(path: &Path) -> Result<CertifiedKey, RegistryError> {
    let key_path = path.with_extension("key");
    let key = pem::key(&key_path).map_err(unusable_file(&key_path))?;
    let chain = pem::certificates(path).map_err(unusable_file(path))?;
    let certified = client_certificate::with_key(chain, key, &ring::default_provider());
    certified.map_err(|error| match error {
        ClientCertificateError::Key => failed(&key_path, error),
        ClientCertificateError::Certificate => failed(path, error),
        ClientCertificateError::Mismatch => {
            let key = text::path(&key_path);
            failed(path, format!("it does not belong to the key in {key}"))
        }
    })
}

fn unusable_file(path: &Path) -> impl FnOnce(PemError) -> RegistryError {
    move |error| match error {
        PemError::Read(_) => failed(path, format!("failed to read it: {error}")),
        PemError::NoCertificate | PemError::NoKey | PemError::Encrypted => failed(path, error),
    }
}

fn failed(path: &Path, problem: impl ToString) -> RegistryError {
    RegistryError::Certificate { path: path.to_owned(), problem: problem.to_string() }
}

/// The certificates for connections to one host.
pub(super) struct Tls {
    /// The name that users give the host.
    name: String,
    authorities: Vec<CertificateDer<'static>>,
    /// These authorities, and those of this computer.
    roots: RootCertStore,
    client: Option<Arc<dyn ResolvesClientCert>>,
    provider: Arc<CryptoProvider>,
}

impl Tls {
    /// For the registry that users call `name`: the authorities of this computer, and the
    /// certificates for this registry.
    pub(super) fn of_registry(name: &str) -> Result<Self, RegistryError> {
        let Certificates { authorities, client } = Certificates::read(name)?;
        let mut tls = Self::new(name, authorities)?;
        if let Some(client) = client {
            tls.client = Some(Arc::new(SingleCertAndKey::from(client)));
        }
        Ok(tls)
    }

    /// For the host `name`, to which `registry` sends clients: as if it were a registry, and with
    /// the authorities of `registry`. The client certificate for `registry` is only for a host
    /// without one of its own, unless that asks for those of other authorities.
    pub(super) fn of_other(name: &str, registry: &str) -> Result<Self, RegistryError> {
        let (own, other) = (Certificates::read(name)?, Certificates::read(registry)?);
        let mut tls = Self::new(name, [own.authorities, other.authorities].concat())?;
        tls.client = match (own.client, other.client) {
            (Some(own), _) => Some(Arc::new(SingleCertAndKey::from(own))),
            (None, Some(other)) => Some(Arc::new(IfAsked(Arc::new(other)))),
            (None, None) => None,
        };
        Ok(tls)
    }

    fn new(name: &str, authorities: Vec<CertificateDer<'static>>) -> Result<Self, RegistryError> {
        let mut roots = RootCertStore::empty();
        // Some files of a host's authorities may be unreadable; the others count.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| failed(Path::new(name), error))?;
        }
        let provider = Arc::new(ring::default_provider());
        Ok(Self { name: name.to_owned(), authorities, roots, client: None, provider })
    }

    /// Whether there are any authorities.
    pub(super) fn has_authorities(&self) -> bool {
        !self.roots.is_empty()
    }

    /// The settings of connections. With `is_insecure`, any certificate is accepted.
    pub(super) fn config(&self, is_insecure: bool) -> Result<ClientConfig, RegistryError> {
        let unusable = |error: &dyn std::error::Error| failed(Path::new(&self.name), error);
        let provider = || Arc::clone(&self.provider);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = match (is_insecure, self.authorities.is_empty()) {
            (true, _) => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider()))),
            // A host without authorities, such as the sandbox of a Nix build, can use plain HTTP.
            (false, true) => builder.with_root_certificates(self.roots.clone()),
            (false, false) => {
                let (roots, authorities) = (self.roots.clone(), self.authorities.clone());
                let verifier = OwnCertificate::new(roots, authorities, provider());
                let verifier = verifier.map_err(|error| unusable(&error))?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
            }
        };
        Ok(match &self.client {
            Some(client) => builder.with_client_cert_resolver(Arc::clone(client)),
            None => builder.with_no_client_auth(),
        })
    }
}

/// A client certificate for servers that accept any authority, or name one that issued a part of
/// its chain. As in Go, whose programs are Docker and Podman, it is for no others
/// (`CertificateRequestInfo.SupportsCertificate`; RFC 8446, sections 4.2.4 and 4.3.2).
#[derive(Debug)]
struct IfAsked(Arc<CertifiedKey>);

impl ResolvesClientCert for IfAsked {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let is_issued = |certificate: &CertificateDer<'_>| {
            x509::issuer(certificate).is_some_and(|issuer| authorities.contains(&issuer))
        };
        let is_accepted = authorities.is_empty() || self.0.cert.iter().any(is_issued);
        is_accepted.then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
