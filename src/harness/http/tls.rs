//! Encrypted connections to a service.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::any_certificate::AnyCertificate;
use crate::conditions::TlsSettings;
use crate::conditions::authorities::{self, Authorities};

/// The default name for which a certificate is issued.
const DEFAULT_NAME: &str = "localhost";

/// Encrypts a connection. An error says why that is not possible.
pub(super) async fn connect(
    stream: TcpStream,
    settings: &TlsSettings,
) -> Result<TlsStream<TcpStream>, String> {
    let name = settings.server_name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config(settings)?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| format!("the TLS handshake failed: {error}"))
}

fn config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match (&settings.ca, settings.verify) {
        (Some(ca), true) => {
            let verifier = AcceptsOwn::new(authorities::read(ca)?, provider)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        _ => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
    };
    Ok(builder.with_no_client_auth())
}

/// Verifies certificates, and also accepts one that signed itself if it is among the authorities:
/// those that `openssl req -x509` makes are marked as authorities, which are not valid for servers.
#[derive(Debug)]
struct AcceptsOwn {
    inner: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl AcceptsOwn {
    fn new(authorities: Authorities, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let Authorities { store, certificates } = authorities;
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build();
        Ok(Self { inner: inner.map_err(|error| error.to_string())?, certificates })
    }
}

/// Whether a certificate is only refused because it is marked as an authority. Its time is verified
/// before.
fn is_marked_as_authority(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(cause)) => {
            cause.to_string().contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

impl ServerCertVerifier for AcceptsOwn {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.inner.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(error)
                if is_marked_as_authority(&error) && self.certificates.contains(certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// Starts a server whose certificate for `localhost` signs itself, and writes that to a file.
    async fn server(folder: &Path, is_ca: IsCa) -> (u16, PathBuf) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = is_ca;
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let ca = folder.join("ca.pem");
        std::fs::write(&ca, certificate.pem()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        (port, ca)
    }

    async fn handshake(port: u16, settings: &TlsSettings) -> Result<(), String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        connect(stream, settings).await.map(drop)
    }

    #[tokio::test]
    async fn a_certificate_is_verified_with_the_given_authority_and_name_unless_that_is_off() {
        let folder = tempfile::TempDir::new().unwrap();
        for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
            verifies(folder.path(), is_ca).await;
        }
    }

    async fn verifies(folder: &Path, is_ca: IsCa) {
        let (port, ca) = server(folder, is_ca).await;
        let settings = |verify: bool, ca: Option<&Path>, name: Option<&str>| TlsSettings {
            verify,
            ca: ca.map(Path::to_owned),
            server_name: name.map(str::to_owned),
        };
        assert_eq!(handshake(port, &settings(true, Some(&ca), None)).await, Ok(()));
        assert_eq!(handshake(port, &settings(false, None, Some("other"))).await, Ok(()));
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let wrong_ca = folder.join("other.pem");
        std::fs::write(&wrong_ca, other.cert.pem()).unwrap();
        for settings in
            [settings(true, Some(&wrong_ca), None), settings(true, Some(&ca), Some("other"))]
        {
            let error = handshake(port, &settings).await.unwrap_err();
            assert!(error.starts_with("the TLS handshake failed: invalid peer cert"), "{error}");
        }
    }
}
