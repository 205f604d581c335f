//! Transfers that break and go on, or hardly move, and registries that answer otherwise than the
//! specification says.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::lab::Lab;
use crate::server::{Reply, Request, Server, forward};
use crate::service::{Registry, noise, recipe, seatrial};

/// A registry with the image `my/app:1`, whose layer has `size` bytes of noise.
fn registry_with(lab: &Lab, size: usize) -> Registry {
    lab.file("root/large", noise(size));
    lab.file("app.toml", "name='x'\ntag='1'\ncontents=['root']\n");
    let registry = Registry::start();
    seatrial(lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    registry
}

/// Headers and body.
type Answer = (Vec<(String, String)>, Vec<u8>);

/// The answer to a request for the layer.
fn layer(upstream: SocketAddr, request: &Request) -> Option<Answer> {
    if request.method != "GET" || !request.target.contains("/blobs/") {
        return None;
    }
    match forward(upstream, request) {
        Reply::Answer { headers, body, .. } if body.len() > 100_000 => Some((headers, body)),
        _ => None,
    }
}

fn pull(lab: &Lab, address: SocketAddr) {
    seatrial(lab, ["pull", &format!("{address}/my/app:1"), "-o", "x.tar", "--no-cache"]).ok();
}

#[test]
fn a_layer_that_lost_only_the_end_of_the_answer_is_complete() {
    let lab = Lab::new();
    let registry = registry_with(&lab, 300_000);
    let upstream = registry.address;
    let proxy = Server::before(upstream, move |request| {
        let (_, body) = layer(upstream, request)?;
        // RFC 9112, section 7.1, without the last chunk.
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        answer.extend(format!("{:x}\r\n", body.len()).into_bytes());
        answer.extend(body);
        answer.extend(b"\r\n");
        Some(Reply::Raw(answer))
    });
    pull(&lab, proxy.address);
    assert_eq!(proxy.requests().iter().filter(|one| one.header("range").is_some()).count(), 0);
}

// RFC 9112, section 6.3: an answer without a length ends with the connection, which may break.
#[test]
fn blobs_whose_answers_end_early_are_completed() {
    let lab = Lab::new();
    let registry = registry_with(&lab, 300_000);
    let (upstream, cut) = (registry.address, Mutex::new(BTreeSet::new()));
    let proxy = Server::before(upstream, move |request| {
        let is_blob = request.method == "GET" && request.target.contains("/blobs/");
        let is_first = is_blob && cut.lock().unwrap().insert(request.target.clone());
        let Reply::Answer { body, .. } = is_first.then(|| forward(upstream, request))? else {
            return None;
        };
        let end = body.len() / 2;
        Some(Reply::Raw([b"HTTP/1.1 200 OK\r\n\r\n", &body[..end]].concat()))
    });
    pull(&lab, proxy.address);
    let requests = proxy.requests();
    let ranges: Vec<_> = requests.iter().filter_map(|one| one.header("range")).collect();
    assert_eq!(ranges.len(), 1, "the layer is continued: {ranges:?}");
    assert_eq!(proxy.count("GET", "/blobs/"), 4, "config and layer");
}

#[test]
fn a_layer_is_fetched_from_its_beginning_if_the_registry_cannot_send_the_rest() {
    let lab = Lab::new();
    let registry = registry_with(&lab, 300_000);
    let upstream = registry.address;
    // Another part than the one that was asked for, one without its place, and none at all.
    for (status, range) in [(206, "bytes 1-9/9"), (206, ""), (416, "bytes */9")] {
        let requests = AtomicUsize::new(0);
        let proxy = Server::before(upstream, move |request| {
            if request.header("range").is_some() {
                return Some(Reply::new(status, &[("Content-Range", range)], vec![1; 9]));
            }
            let (headers, body) = layer(upstream, request)?;
            let is_first = requests.fetch_add(1, Ordering::Relaxed) == 0;
            is_first.then_some(Reply::Cut(200, headers, body, 100_000))
        });
        pull(&lab, proxy.address);
    }
}

#[test]
fn a_connection_that_breaks_again_and_again_transfers_a_large_layer() {
    let lab = Lab::new();
    let registry = registry_with(&lab, 18 << 20);
    let upstream = registry.address;
    let proxy = Server::before(upstream, move |request| {
        let mut whole = request.clone();
        whole.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("range"));
        let (headers, body) = layer(upstream, &whole)?;
        let begin = request.header("range").map_or(0, |range| {
            range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
        });
        let part = body[begin..].to_vec();
        let end = part.len().min(2 << 20);
        let place = format!("bytes {begin}-{}/{}", body.len() - 1, body.len());
        let headers = [headers, vec![("Content-Range".to_owned(), place)]].concat();
        Some(Reply::Cut(if begin > 0 { 206 } else { 200 }, headers, part, end))
    });
    pull(&lab, proxy.address);
    assert!(proxy.count("GET", "/blobs/") > 9, "more breaks than attempts without progress");
}

#[test]
fn a_registry_that_sends_hardly_anything_ends_at_the_time_limit() {
    let creeping = Server::start(|request| match request.target.as_str() {
        "/v2/" => Reply::new(200, &[], ""),
        _ => Reply::Creep(vec![b' '; 100_000]),
    });
    let lab = Lab::new();
    let image = format!("docker://{}/app:1", creeping.address);
    let run = seatrial(&lab, ["inspect", &image, "--registry-timeout", "1"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(run.stderr().contains("bytes in 1 s; --registry-timeout"), "{}", run.stderr());
}

#[test]
fn an_upload_succeeds_with_any_status_that_means_success() {
    let lab = Lab::new();
    lab.file("root/large", noise(20 << 20));
    lab.file("app.toml", "name='x'\ntag='1'\ncontents=['root']\n");
    for status in [200, 201, 202, 204] {
        let registry = Registry::start();
        let upstream = registry.address;
        let proxy = Server::before(upstream, move |request| {
            let changes = matches!(request.method.as_str(), "PATCH" | "PUT");
            let Reply::Answer { headers, .. } = changes.then(|| forward(upstream, request))? else {
                return None;
            };
            Some(Reply::Answer { status, headers, body: Vec::new() })
        });
        let image = format!("{}/my/app:1", proxy.address);
        seatrial(&lab, ["push", "app.toml", &image]).ok();
        assert!(proxy.count("PATCH", "") > 0);
        pull(&lab, upstream);
    }
}

#[test]
fn an_error_names_the_host_that_failed() {
    let silent = Server::start(|_| Reply::Silence);
    let storage = silent.address;
    let redirecting = Server::start(move |request| match request.target.as_str() {
        "/v2/" => Reply::new(200, &[], ""),
        _ => Reply::new(307, &[("Location", &format!("http://{storage}/x"))], ""),
    });
    let (lab, registry) = (Lab::new(), redirecting.address);
    let image = format!("docker://{registry}/app:1");
    let run = seatrial(&lab, ["inspect", &image, "--registry-timeout", "1"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let named = format!("the registry {registry} (at {storage}) did not answer");
    assert!(run.stderr().contains(&named), "{}", run.stderr());
}

/// Passes bytes on until one side ends.
fn pipe(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    });
}

#[test]
fn a_registry_on_loopback_without_tls_may_ignore_a_greeting_in_tls() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = Registry::start();
    let upstream = registry.address;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            // A client may open a connection and use it later.
            thread::spawn(move || {
                let mut first = [0];
                if client.read_exact(&mut first).is_err() {
                    return;
                }
                // RFC 8446, section 5.1: 22 is the content type of a handshake.
                if first == [22] {
                    let _ = io::copy(&mut client, &mut io::sink());
                    return;
                }
                let mut server = TcpStream::connect(upstream).unwrap();
                server.write_all(&first).unwrap();
                pipe(client.try_clone().unwrap(), server.try_clone().unwrap());
                pipe(server, client);
            });
        }
    });
    let image = format!("{address}/my/app:1");
    seatrial(&lab, ["push", "app.toml", &image, "--registry-timeout", "2"]).ok();
}

// RFC 9110, section 10.2.3.
#[test]
fn requests_and_uploads_wait_as_long_as_the_registry_asks() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    // Without the header, the first pause is a fifth of that.
    let asked = Duration::from_secs(1);
    for (method, part) in
        [("GET", "/v2/"), ("HEAD", "/blobs/"), ("PUT", "/uploads/"), ("PUT", "/manifests/")]
    {
        let rejected: Mutex<Option<(String, Instant)>> = Mutex::default();
        let waited = Arc::new(Mutex::new(None));
        let measured = Arc::clone(&waited);
        let proxy = Server::before(registry.address, move |request: &Request| {
            let path = request.target.split('?').next().unwrap().to_owned();
            let matches = request.method == method
                && if part == "/v2/" { path == part } else { path.contains(part) };
            let mut rejected = rejected.lock().unwrap();
            let mut measured = measured.lock().unwrap();
            match &*rejected {
                None if matches => {
                    *rejected = Some((path, Instant::now()));
                    return Some(Reply::new(429, &[("Retry-After", "1")], ""));
                }
                // An upload that goes on asks for its state first.
                Some((same, since)) if *same == path && measured.is_none() => {
                    *measured = Some(since.elapsed());
                }
                _ => {}
            }
            None
        });
        let image = format!("{}/{}{}:1", proxy.address, method.to_lowercase(), part.len());
        seatrial(&lab, ["push", "app.toml", &image]).ok();
        let waited = waited.lock().unwrap().expect(part);
        assert!(waited >= asked, "{method} {part}: {waited:?}");
    }
}

#[test]
fn an_upload_waits_longer_before_each_further_attempt() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    // The attempts of the first upload, three of which fail.
    let attempts: Arc<Mutex<Vec<(String, Instant)>>> = Arc::default();
    let seen = Arc::clone(&attempts);
    let proxy = Server::before(registry.address, move |request: &Request| {
        let path = request.target.split('?').next().unwrap().to_owned();
        let mut seen = seen.lock().unwrap();
        let is_first = seen.first().is_none_or(|(first, _)| *first == path);
        let fails = request.method == "PUT" && path.contains("uploads") && seen.len() < 3;
        (fails && is_first).then(|| {
            seen.push((path, Instant::now()));
            Reply::new(503, &[], "")
        })
    });
    seatrial(&lab, ["push", "app.toml", &format!("{}/slow:1", proxy.address)]).ok();
    let attempts = attempts.lock().unwrap();
    let waited = attempts[2].1 - attempts[0].1;
    assert!(waited >= Duration::from_millis(200 + 400), "{waited:?}");
}

#[test]
fn an_upload_to_another_host_gets_no_credentials() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let storage = Server::before(registry.address, |request| {
        assert_eq!(request.header("authorization"), None);
        None
    });
    let (upstream, elsewhere) = (registry.address, storage.address);
    let front = Server::start(move |request| {
        if request.header("authorization").is_none() {
            return Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], "");
        }
        let mut reply = forward(upstream, request);
        if let Reply::Answer { headers, .. } = &mut reply
            && request.method == "POST"
        {
            for (_, value) in headers.iter_mut().filter(|(name, _)| name == "Location") {
                let path = value.split('/').skip(3).collect::<Vec<_>>().join("/");
                *value = format!("http://{elsewhere}/{path}");
            }
        }
        reply
    });
    let auth = STANDARD.encode("captain:hunter2");
    let auths = json!({ "auths": { front.address.to_string(): { "auth": auth } } });
    lab.file("home/.docker/config.json", auths.to_string());
    seatrial(&lab, ["push", "app.toml", &format!("{}/my/app:1", front.address)]).ok();
    assert_eq!(storage.count("PUT", "/uploads/"), 2, "config and layer");
    assert_eq!(front.count("PUT", "/uploads/"), 0);
}
