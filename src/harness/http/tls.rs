//! Encrypted connections to a service.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::handshake::explain;
use crate::certificates::authorities::{self, Authorities};
use crate::certificates::{AnyCertificate, OwnCertificate, client_certificate};
use crate::conditions::{NEEDS_CA, TlsSettings};

/// The default name for which a certificate is issued.
const DEFAULT_NAME: &str = "localhost";

/// Encrypts a connection. An error says why that is not possible.
pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    settings: &TlsSettings,
) -> Result<TlsStream<S>, String> {
    let name = settings.server_name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
    let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
    let connector = TlsConnector::from(Arc::new(config(settings)?));
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| format!("the TLS handshake failed: {}", explain(&error)))
}

fn config(settings: &TlsSettings) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let builder = match (&settings.ca, settings.verify) {
        (Some(ca), true) => {
            let Authorities { store, certificates } = authorities::read(ca)?;
            let verifier = OwnCertificate::new(store, certificates, provider);
            let verifier = verifier.map_err(|error| error.to_string())?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
        }
        (None, true) => return Err(NEEDS_CA.to_owned()),
        (_, false) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate::new(provider))),
    };
    let (Some(certificate), Some(key)) = (&settings.certificate, &settings.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let client = SingleCertAndKey::from(client_certificate::read(certificate, key)?);
    Ok(builder.with_client_cert_resolver(Arc::new(client)))
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::version::TLS12;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
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
        (serve(config).await, ca)
    }

    async fn serve(config: ServerConfig) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = acceptor.accept(stream).await;
            }
        });
        port
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
            certificate: None,
            key: None,
        };
        assert_eq!(handshake(port, &settings(true, Some(&ca), None)).await, Ok(()));
        assert_eq!(handshake(port, &settings(false, None, Some("other"))).await, Ok(()));
        let error = handshake(port, &settings(true, None, None)).await.unwrap_err();
        assert!(error.starts_with("tls needs ca"), "{error}");
        let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let wrong_ca = folder.join("other.pem");
        std::fs::write(&wrong_ca, other.cert.pem()).unwrap();
        let error = handshake(port, &settings(true, Some(&wrong_ca), None)).await.unwrap_err();
        let reasons = ["no authority in ca has signed the certificate", "is marked as that of an"];
        assert!(reasons.iter().any(|reason| error.contains(reason)), "{error}");
        let error = handshake(port, &settings(true, Some(&ca), Some("other"))).await.unwrap_err();
        let expected = "the TLS handshake failed: the certificate is not valid for \"other\"; \
                        it is for localhost; set server_name to a name of these";
        assert_eq!(error, expected);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_said_to_have_none() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 4096]).await;
                stream.write_all(answer).await.unwrap();
            }
            // Closed with unread data, the connection is reset.
            let (stream, _) = listener.accept().await.unwrap();
            stream.readable().await.unwrap();
        });
        let settings = TlsSettings {
            verify: false,
            ca: None,
            server_name: None,
            certificate: None,
            key: None,
        };
        let error = handshake(port, &settings).await.unwrap_err();
        assert!(error.contains("does not speak TLS at this port"), "{error}");
        for _ in ["closes", "resets"] {
            let error = handshake(port, &settings).await.unwrap_err();
            assert!(error.contains("does it serve TLS at this port?"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_server_that_asks_for_a_client_certificate_gets_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let client = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
        let [certificate, key] = ["client.pem", "client.key"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, client.cert.pem()).unwrap();
        std::fs::write(&key, client.signing_key.serialize_pem()).unwrap();
        let mut clients = RootCertStore::empty();
        clients.add(client.cert.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(clients), Arc::clone(&provider));
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let own_key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
        // With TLS 1.3, the client would not wait for the answer of the server.
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![own.cert.der().clone()], own_key)
            .unwrap();
        let port = serve(config).await;
        let settings = |files: Option<(&Path, &Path)>| TlsSettings {
            verify: false,
            ca: None,
            server_name: None,
            certificate: files.map(|(certificate, _)| certificate.to_owned()),
            key: files.map(|(_, key)| key.to_owned()),
        };
        assert_eq!(handshake(port, &settings(Some((&certificate, &key)))).await, Ok(()));
        let error = handshake(port, &settings(None)).await.unwrap_err();
        assert!(error.starts_with("the TLS handshake failed: "), "{error}");
        let error = handshake(port, &settings(Some((&certificate, &certificate)))).await;
        let error = error.unwrap_err();
        assert!(error.starts_with("failed to read the client certificate: "), "{error}");
        assert!(error.ends_with(": it has no private key in PEM format"), "{error}");
        let begin = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
        let encrypted = format!("{begin}\nMAA=\n{}\n", begin.replace("BEGIN", "END"));
        std::fs::write(&key, encrypted).unwrap();
        let error = handshake(port, &settings(Some((&certificate, &key)))).await.unwrap_err();
        assert!(error.ends_with("decrypt it with openssl pkey"), "{error}");
    }
}
