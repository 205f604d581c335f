//! Registries with TLS behind a proxy, which opens tunnels (RFC 9110, section 9.3.6).

use std::io::{BufRead, BufReader, Write, copy};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::lab::{Lab, Run};
use crate::other_hosts::server;
use crate::server::{Reply, forward};
use crate::service::{Registry, command, recipe};
use crate::tls::{certificates, certificates_for, with_tls};

const HOST: &str = "registry.test:5000";

/// A proxy that opens tunnels to one server, whatever it is asked for.
struct Proxy {
    address: SocketAddr,
    /// The heads of requests.
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// A proxy that answers with `status`, and opens a tunnel to `upstream` if that is 200.
    fn start(upstream: SocketAddr, status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let heads = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let heads = Arc::clone(&heads);
                thread::spawn(move || tunnel(client, upstream, status, &heads));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn tunnel(client: TcpStream, upstream: SocketAddr, status: u16, heads: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap() == 0 {
            return;
        }
    }
    heads.lock().unwrap().push(head);
    (&client).write_all(format!("HTTP/1.1 {status} X\r\n\r\n").as_bytes()).unwrap();
    if status != 200 {
        return;
    }
    let server = TcpStream::connect(upstream).unwrap();
    let (mut to_server, mut to_client) = (server.try_clone().unwrap(), client);
    let upwards = thread::spawn(move || {
        let _ = copy(&mut reader, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let _ = copy(&mut &server, &mut to_client);
    let _ = to_client.shutdown(Shutdown::Write);
    upwards.join().unwrap();
}

/// Runs the program with the proxy at `address`.
fn through(lab: &Lab, address: &str, arguments: &[&str]) -> Run {
    let mut command = command(lab, arguments);
    command.env("https_proxy", address);
    Run::of(command)
}

#[test]
fn a_registry_with_tls_is_reached_through_a_tunnel() {
    let lab = Lab::new();
    recipe(&lab, "");
    certificates(&lab, "server");
    let registry = with_tls(&lab, "");
    let authority = std::fs::read(lab.path("server-ca.crt")).unwrap();
    lab.file(format!("home/.config/containers/certs.d/{HOST}/ca.crt"), authority);
    let proxy = Proxy::start(registry.address, 200);
    let address = format!("http://me:secret@{}", proxy.address);
    let image = format!("{HOST}/my/app:1");
    through(&lab, &address, &["push", "app.toml", &image]).ok();
    through(&lab, &address, &["pull", &image, "-o", "x.tar", "--no-cache"]).ok();
    let seen = proxy.seen();
    assert!(!seen.is_empty());
    for head in seen {
        assert!(head.starts_with(&format!("CONNECT {HOST} HTTP/1.1\r\n")), "{head}");
        // me:secret
        let lower = head.to_ascii_lowercase();
        assert!(lower.contains("proxy-authorization: basic bwu6c2vjcmv0\r\n"), "{head}");
    }
}

#[test]
fn a_proxy_that_refuses_is_an_environment_failure_and_its_password_stays_secret() {
    let lab = Lab::new();
    recipe(&lab, "");
    let nowhere = "127.0.0.1:9".parse().unwrap();
    for status in [403, 407, 502] {
        let proxy = Proxy::start(nowhere, status);
        let address = format!("http://me:secret@{}", proxy.address);
        let run = through(&lab, &address, &["push", "app.toml", &format!("{HOST}/my/app:1")]);
        assert_eq!(run.output.status.code(), Some(3), "{status}: {}", run.stderr());
        let message = run.stderr();
        let expected = format!(
            "failed to reach the registry registry.test:5000 through the proxy {}: tunnel error",
            proxy.address
        );
        assert!(message.contains(&expected), "{message}");
        assert!(!message.contains("secret"), "{message}");
    }
}

#[test]
fn only_a_reference_without_a_registry_is_named_with_the_default_one() {
    let (lab, upstream) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    certificates_for(&lab, "registry", "DNS:registry-1.docker.io");
    let authority = std::fs::read(lab.path("registry-ca.crt")).unwrap();
    lab.file("home/.config/containers/certs.d/docker.io/ca.crt", authority);
    let storage = upstream.address;
    // Docker Hub, of which one repository cannot be reached.
    let hub = server(&lab, "registry", None, move |request| {
        if request.target.starts_with("/v2/me/b/") {
            return Reply::Close;
        }
        let mut request = request.clone();
        request.headers.push(("X-Forwarded-Proto".to_owned(), "https".to_owned()));
        forward(storage, &request)
    });
    let proxy = Proxy::start(hub.address, 200);
    let address = format!("http://{}", proxy.address);
    let run = through(&lab, &address, &["push", "app.toml", "me/a:1", "docker.io/me/b:1"]);
    let message = run.stderr();
    assert_eq!(run.output.status.code(), Some(3), "{message}");
    assert!(message.contains("failed to reach the registry docker.io"), "{message}");
    assert!(!message.contains("me/a"), "{message}");
    assert!(hub.requests().iter().any(|request| request.target.starts_with("/v2/me/a/")));
}
