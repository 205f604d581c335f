//! Token servers and storage on other hosts than the registry: whose certificates count there, and
//! who gets credentials.

use std::fs;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{DistinguishedName, RootCertStore, ServerConfig};
use serde_json::json;

use crate::lab::{Lab, Run};
use crate::server::{Reply, Request, Server};
use crate::service::seatrial;
use crate::tls::certificates_for;

/// The text of an answer that shows that the request arrived.
const REACHED: &str = r#"{"errors": [{"code": "REACHED"}]}"#;

/// A folder with the certificates `registry`, `other` and `client` of different authorities.
fn lab() -> Lab {
    let lab = Lab::new();
    for name in ["registry", "other", "client"] {
        certificates_for(&lab, name, "IP:127.0.0.1,DNS:localhost");
    }
    lab
}

fn certificate(lab: &Lab, name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(lab.path(format!("{name}.crt"))).unwrap()
}

/// The authorities that a server names when it asks for a client certificate.
pub type Names = Vec<DistinguishedName>;

/// A server with the certificate `name`. With `asks`, it asks for a certificate of the authority
/// `client-ca`, which the client need not have, and names these authorities.
pub fn server(
    lab: &Lab,
    name: &str,
    asks: Option<Names>,
    handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
) -> Server {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if let Some(names) = asks {
        let roots = Arc::new(client_authorities(lab));
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        let verifier = verifier.clear_root_hint_subjects().add_root_hint_subjects(names);
        builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(lab.path(format!("{name}.key"))).unwrap();
    let config = builder.with_single_cert(vec![certificate(lab, name)], key).unwrap();
    Server::with_tls(config, handler)
}

fn client_authorities(lab: &Lab) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(lab, "client-ca")).unwrap();
    roots
}

/// The name of `server` that differs from that of the registry.
fn other(server: &Server) -> String {
    format!("localhost:{}", server.address.port())
}

/// A registry that sends clients to `storage` for everything.
fn redirecting(lab: &Lab, storage: &Server) -> Server {
    let place = format!("https://{}/x", other(storage));
    server(lab, "registry", None, move |request| match request.target.as_str() {
        "/v2/" => Reply::new(200, &[], ""),
        _ => Reply::new(307, &[("Location", &place)], ""),
    })
}

/// A registry that sends clients to the token server `tokens`.
fn asking(lab: &Lab, tokens: &Server) -> Server {
    let challenge = format!("Bearer realm=\"https://{}/token\"", other(tokens));
    server(lab, "registry", None, move |request| match request.header("authorization") {
        Some("Bearer good") => Reply::new(404, &[], REACHED),
        _ => Reply::new(401, &[("WWW-Authenticate", &challenge)], ""),
    })
}

/// A token server with the certificate `other`.
fn tokens(lab: &Lab, asks: Option<Names>) -> Server {
    server(lab, "other", asks, |_| Reply::new(200, &[], r#"{"token": "good"}"#))
}

/// Copies files of `lab` into the folder for the certificates of `host`.
fn trust(lab: &Lab, host: &str, files: &[(&str, &str)]) {
    for (from, to) in files {
        let path = format!("home/.config/containers/certs.d/{host}/{to}");
        lab.file(path, fs::read(lab.path(from)).unwrap());
    }
}

fn forget(lab: &Lab, host: &str) {
    fs::remove_dir_all(lab.path(format!("home/.config/containers/certs.d/{host}"))).unwrap();
}

/// Marks `hosts` as insecure.
fn insecure(lab: &Lab, hosts: &[String]) {
    let rule = |host: &String| format!("[[registry]]\nlocation = '{host}'\ninsecure = true\n");
    let rules: String = hosts.iter().map(rule).collect();
    lab.file("home/.config/containers/registries.conf", rules);
}

fn login(lab: &Lab, registry: &Server) {
    let auths = json!({ "auths": { registry.address.to_string(): { "auth": "YTpi" } } });
    lab.file("home/.docker/config.json", auths.to_string());
}

fn inspect(lab: &Lab, registry: &Server) -> Run {
    seatrial(lab, ["inspect", &format!("docker://{}/app:1", registry.address)])
}

/// Asks `registry`, whose answer must arrive.
fn reaches(lab: &Lab, registry: &Server) {
    let run = inspect(lab, registry);
    assert!(run.stderr().contains("REACHED"), "{}", run.stderr());
}

/// Asks `registry`; the certificate of `host` must be refused.
fn refuses(lab: &Lab, registry: &Server, host: &Server) {
    let run = inspect(lab, registry);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let name = other(host);
    for part in [format!("(at {name})"), format!("certs.d/{name}: "), "UnknownIssuer".to_owned()] {
        assert!(run.stderr().contains(&part), "{part}: {}", run.stderr());
    }
    assert_eq!(host.requests().len(), 0, "nothing is sent");
}

// Docker, Podman and containerd trust the registry's authorities for other hosts (moby
// `distribution/registry.go`, containers/image `docker_client.go`), and know no others for these.
#[test]
fn other_hosts_have_authorities_of_their_own_or_those_of_the_registry() {
    let lab = lab();
    let storage = server(&lab, "other", None, |_| Reply::new(404, &[], REACHED));
    let tokens = tokens(&lab, None);
    for (host, registry) in
        [(&storage, redirecting(&lab, &storage)), (&tokens, asking(&lab, &tokens))]
    {
        login(&lab, &registry);
        let name = registry.address.to_string();
        trust(&lab, &name, &[("registry-ca.crt", "ca.crt")]);
        refuses(&lab, &registry, host);
        trust(&lab, &other(host), &[("other-ca.crt", "ca.crt")]);
        reaches(&lab, &registry);
        forget(&lab, &other(host));
        trust(&lab, &name, &[("other-ca.crt", "other.crt")]);
        reaches(&lab, &registry);
    }
}

#[test]
fn an_insecure_registry_does_not_make_other_hosts_insecure() {
    let lab = lab();
    let storage = server(&lab, "other", None, |_| Reply::new(404, &[], REACHED));
    let tokens = tokens(&lab, None);
    for (host, registry) in
        [(&storage, redirecting(&lab, &storage)), (&tokens, asking(&lab, &tokens))]
    {
        let name = registry.address.to_string();
        insecure(&lab, std::slice::from_ref(&name));
        refuses(&lab, &registry, host);
        insecure(&lab, &[name, other(host)]);
        reaches(&lab, &registry);
    }
}

#[test]
fn credentials_go_to_other_hosts_only_if_their_certificate_is_verified() {
    let lab = lab();
    let tokens = tokens(&lab, None);
    let registry = asking(&lab, &tokens);
    insecure(&lab, &[registry.address.to_string(), other(&tokens)]);
    for entry in [json!({ "auth": "YTpi" }), json!({ "identitytoken": "secret" })] {
        let auths = json!({ "auths": { registry.address.to_string(): entry } });
        lab.file("home/.docker/config.json", auths.to_string());
        refuses(&lab, &registry, &tokens);
    }
    login(&lab, &registry);
    trust(&lab, &other(&tokens), &[("other-ca.crt", "ca.crt")]);
    reaches(&lab, &registry);
    assert_eq!(tokens.requests()[0].header("authorization"), Some("Basic YTpi"));
}

#[test]
fn a_token_server_on_another_port_of_an_insecure_registry_is_insecure_too() {
    let lab = lab();
    let tokens = tokens(&lab, None);
    let challenge = format!("Bearer realm=\"https://{}/token\"", tokens.address);
    let registry =
        server(&lab, "registry", None, move |request| match request.header("authorization") {
            Some("Bearer good") => Reply::new(404, &[], REACHED),
            _ => Reply::new(401, &[("WWW-Authenticate", &challenge)], ""),
        });
    login(&lab, &registry);
    insecure(&lab, &[registry.address.to_string()]);
    reaches(&lab, &registry);
}

#[test]
fn a_client_certificate_is_for_hosts_that_have_it_or_ask_for_its_authority() {
    let lab = lab();
    let key_and_certificate = |name: &str| {
        [(format!("{name}.crt"), "client.cert"), (format!("{name}.key"), "client.key")]
    };
    let authority = client_authorities(&lab).subjects();
    let [whole] = &*authority else { panic!("{authority:?}") };
    let whole = whole.as_ref();
    // The beginning and the end of the name, as they are in the certificate.
    let parts = [&whole[..1], &whole[4..]].map(|part| DistinguishedName::from(part.to_vec()));
    for (own, of_registry, names, is_presented) in [
        (Some("client"), None, &*authority, true),
        (None, Some("client"), &authority, true),
        // Any authority is accepted (RFC 8446, section 4.3.2).
        (None, Some("client"), &[], true),
        (None, Some("client"), &parts, false),
        // It is that of another authority.
        (None, Some("registry"), &authority, false),
        (None, None, &authority, false),
    ] {
        let tokens = tokens(&lab, Some(names.to_vec()));
        let registry = asking(&lab, &tokens);
        let name = registry.address.to_string();
        trust(&lab, &name, &[("registry-ca.crt", "ca.crt"), ("other-ca.crt", "other.crt")]);
        for (host, client) in [(other(&tokens), own), (name, of_registry)] {
            for (from, to) in client.map(key_and_certificate).into_iter().flatten() {
                trust(&lab, &host, &[(&from, to)]);
            }
        }
        reaches(&lab, &registry);
        let presented = tokens.requests()[0].header("client-certificate").is_some();
        assert_eq!(presented, is_presented, "{own:?} {of_registry:?} {names:?}");
    }
}
