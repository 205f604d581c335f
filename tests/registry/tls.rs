//! TLS: private authorities, client certificates, and registries without TLS.

use std::process::Command;

use crate::lab::{Lab, Run};
use crate::service::{Registry, command, recipe, seatrial};

fn openssl(lab: &Lab, arguments: &str) {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(lab.path(""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An authority `NAME-ca`, and a certificate `NAME` of it for 127.0.0.1 and registry.test.
pub fn certificates(lab: &Lab, name: &str) {
    certificates_for(lab, name, "IP:127.0.0.1,DNS:registry.test");
}

/// The same for the names `names`.
pub fn certificates_for(lab: &Lab, name: &str, names: &str) {
    let new = "req -newkey rsa:2048 -nodes -subj";
    openssl(
        lab,
        &format!("{new} /CN={name}-ca -x509 -days 2 -keyout {name}-ca.key -out {name}-ca.crt"),
    );
    openssl(lab, &format!("{new} /CN={name} -keyout {name}.key -out {name}.csr"));
    lab.file("names", format!("subjectAltName={names}"));
    openssl(
        lab,
        &format!(
            "x509 -req -in {name}.csr -CA {name}-ca.crt -CAkey {name}-ca.key -CAcreateserial \
             -days 2 -extfile names -out {name}.crt"
        ),
    );
}

/// Makes the certificate `server` again, valid in the year `year` alone.
fn of_year(lab: &Lab, year: &str) {
    lab.file("database", "");
    lab.file(
        "ca.conf",
        "[ca]\ndefault_ca = all\n[all]\ndatabase = database\nnew_certs_dir = .\n\
         default_md = sha256\nrand_serial = yes\npolicy = any\n[any]\ncommonName = supplied\n",
    );
    openssl(
        lab,
        &format!(
            "ca -batch -notext -config ca.conf -cert server-ca.crt -keyfile server-ca.key \
             -in server.csr -extfile names -out server.crt \
             -startdate {year}0101000000Z -enddate {year}1231000000Z"
        ),
    );
}

/// A registry with the certificate `server`.
pub fn with_tls(lab: &Lab, more: &str) -> Registry {
    let path = |name: &str| lab.path(name).display().to_string();
    let (certificate, key) = (path("server.crt"), path("server.key"));
    let tls = format!("  tls:\n    certificate: {certificate}\n    key: {key}\n{more}");
    Registry::with(&tls, "")
}

// docs.docker.com, "Test an insecure registry": a certificate that `openssl req -x509` makes signs
// itself, is marked as an authority, and is put into `certs.d`.
#[test]
fn a_certificate_that_signed_itself_is_trusted_if_certs_d_has_it() {
    let lab = Lab::new();
    recipe(&lab, "");
    let new = "req -newkey rsa:2048 -nodes -x509 -days 2 -subj /CN=server -addext";
    let files = "-keyout server.key -out server.crt";
    openssl(&lab, &format!("{new} subjectAltName=IP:127.0.0.1 {files}"));
    let registry = with_tls(&lab, "");
    let image = registry.name("my/app:1");
    let folder = format!("home/.config/containers/certs.d/{}", registry.address);
    let push = || seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(push().output.status.code(), Some(3));
    openssl(&lab, &format!("{new} subjectAltName=IP:127.0.0.1 -keyout other.key -out other.crt"));
    lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("other.crt")).unwrap());
    assert_eq!(push().output.status.code(), Some(3), "another certificate");
    lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("server.crt")).unwrap());
    push().ok();
    drop(registry);
    openssl(&lab, &format!("{new} subjectAltName=IP:127.0.0.2 {files}"));
    let registry = with_tls(&lab, "");
    let folder = format!("home/.config/containers/certs.d/{}", registry.address);
    lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("server.crt")).unwrap());
    let run = seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]);
    assert_eq!(run.output.status.code(), Some(3), "for another address");
}

#[test]
fn a_private_authority_is_trusted_if_certs_d_has_it() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    let registry = with_tls(&lab, "");
    let image = registry.name("my/app:1");
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("certs.d"), "{}", run.stderr());
    for folder in ["home/.config/containers", "home/.config/docker"] {
        let folder = format!("{folder}/certs.d/{}", registry.address);
        lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("server-ca.crt")).unwrap());
        seatrial(&lab, ["push", "app.toml", &image]).ok();
        std::fs::remove_dir_all(lab.path(&folder)).unwrap();
    }
    // The host's authorities, which this variable replaces.
    let mut by_variable = command(&lab, ["pull", &image, "-o", "x.tar"]);
    by_variable.env("SSL_CERT_FILE", lab.path("server-ca.crt"));
    Run::of(by_variable).ok();
}

#[test]
fn a_client_certificate_is_presented() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    certificates(&lab, "client");
    let authorities = lab.path("client-ca.crt").display().to_string();
    let registry = with_tls(&lab, &format!("    clientcas: [{authorities}]\n"));
    let image = registry.name("my/app:1");
    let folder = format!("home/.config/containers/certs.d/{}", registry.address);
    let read = |name: &str| std::fs::read(lab.path(name)).unwrap();
    lab.file(format!("{folder}/ca.crt"), read("server-ca.crt"));
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    lab.file(format!("{folder}/client.cert"), read("client.crt"));
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("client.key"), "{}", run.stderr());
    lab.file(format!("{folder}/client.key"), read("client.key"));
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    // Without extensions, OpenSSL 3.0 makes a certificate of version 1.
    openssl(&lab, "x509 -req -in client.csr -CA client-ca.crt -CAkey client-ca.key -out 1.crt");
    let version = lab.tool("openssl", ["x509", "-in", "1.crt", "-noout", "-text"]);
    assert!(version.contains("Version: 1"), "{version}");
    lab.file(format!("{folder}/client.cert"), read("1.crt"));
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    lab.file(format!("{folder}/client.key"), read("server.key"));
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("client.cert: it does not belong to the key in "));
    lab.file(format!("{folder}/client.key"), "-----BEGIN PRIVATE KEY-----\nAA\n");
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert!(run.stderr().ends_with("client.key: it has no private key in PEM format\n"));
}

#[test]
fn a_pipe_or_a_device_among_the_certificates_is_not_read() {
    let lab = Lab::new();
    let registry = Registry::start();
    let folder = format!("home/.config/containers/certs.d/{}", registry.address);
    let certificate = lab.path(format!("{folder}/ca.crt"));
    lab.file(format!("{folder}/note"), "");
    let image = format!("docker://{}", registry.name("my/app:1"));
    let inspect = |problem: &str| {
        let run = seatrial(&lab, ["inspect", &image]);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(problem), "{}", run.stderr());
        std::fs::remove_file(&certificate).unwrap();
    };
    lab.tool("mkfifo", [certificate.to_str().unwrap()]);
    inspect("ca.crt: failed to read it: it is a pipe");
    std::os::unix::fs::symlink("/dev/zero", &certificate).unwrap();
    inspect("ca.crt: failed to read it: it is a device");
    lab.file(format!("{folder}/ca.crt"), "-----BEGIN CERTIFICATE-----\nAA\n");
    inspect("ca.crt: it has no certificate in PEM format");
}

#[test]
fn only_loopback_registries_are_used_without_tls_unless_the_user_says_so() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = Registry::start();
    // A name that this computer resolves to the loopback interface, but that need not be it.
    let host = lab.tool("hostname", []).trim().to_owned();
    let resolves =
        std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), registry.address.port()));
    let is_loopback = |mut all: std::vec::IntoIter<std::net::SocketAddr>| {
        all.all(|address| address.ip().is_loopback())
    };
    if !resolves.is_ok_and(is_loopback) {
        return;
    }
    let image = format!("{host}:{}/my/app:1", registry.address.port());
    let run = seatrial(&lab, ["push", "app.toml", &image]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("--plain-http"), "{}", run.stderr());
    seatrial(&lab, ["push", "app.toml", &image, "--plain-http"]).ok();
}

/// Pushes with `arguments`, which must fail because of the certificate, and returns the message.
fn refused(lab: &Lab, registry: &Registry, arguments: &[&str]) -> String {
    let image = registry.name("my/app:1");
    let run = seatrial(lab, [&["push", "app.toml", &image], arguments].concat());
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("invalid peer certificate"), "{}", run.stderr());
    run.stderr()
}

#[test]
fn a_registry_that_has_tls_is_never_used_without() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    let registry = with_tls(&lab, "");
    let message = refused(&lab, &registry, &["--plain-http"]);
    assert!(message.contains("if you trust it"), "{message}");
    assert!(registry.log().contains("remote error: tls: "), "{}", registry.log());
    assert!(!registry.log().contains("HTTP request to an HTTPS server"), "{}", registry.log());
    let folder = format!("home/.config/containers/certs.d/{}", registry.address);
    lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("server-ca.crt")).unwrap());
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1"), "--plain-http"]).ok();
}

#[test]
fn the_folder_that_a_message_names_is_the_one_that_is_read() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    let registry = with_tls(&lab, "");
    let message = refused(&lab, &registry, &[]);
    let (_, folder) = message.split_once("in the folder ").unwrap();
    let (folder, _) = folder.split_once(": ").unwrap();
    std::fs::create_dir_all(folder).unwrap();
    std::fs::copy(lab.path("server-ca.crt"), format!("{folder}/any.crt")).unwrap();
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
}

#[test]
fn a_certificate_that_has_expired_or_is_for_another_name_is_not_a_matter_of_trust() {
    for (names, year, expected) in [
        ("IP:127.0.0.1", Some("2020"), "its certificate has expired, or the clock"),
        ("IP:127.0.0.1", Some("2090"), "its certificate is not valid yet, or the clock"),
        ("DNS:registry.test", None, "its certificate is for other names"),
    ] {
        let lab = Lab::new();
        recipe(&lab, "");
        certificates_for(&lab, "server", names);
        if let Some(year) = year {
            of_year(&lab, year);
        }
        let registry = with_tls(&lab, "");
        let folder = format!("home/.config/containers/certs.d/{}", registry.address);
        lab.file(format!("{folder}/ca.crt"), std::fs::read(lab.path("server-ca.crt")).unwrap());
        let message = refused(&lab, &registry, &[]);
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("if you trust it"), "{message}");
    }
}

#[test]
fn a_host_without_certificate_authorities_is_told_to_install_them() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    let registry = with_tls(&lab, "");
    lab.file("empty/file", "");
    let mut push = command(&lab, ["push", "app.toml", &registry.name("my/app:1")]);
    push.env("SSL_CERT_FILE", lab.path("empty/file")).env("SSL_CERT_DIR", lab.path("empty"));
    let run = Run::of(push);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let expected = "this host has no certificate authorities: install ca-certificates";
    assert!(run.stderr().contains(expected), "{}", run.stderr());
}
