//! Bearer tokens: the tests run a token server, whose tokens `docker-registry` checks.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::lab::{Lab, Run};
use crate::server::{Reply, Request, Server, forward};
use crate::service::{Registry, command, recipe, seatrial};

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// A key and a certificate for it, in `lab`.
fn key_pair(lab: &Lab) {
    let (key, certificate) = (lab.path("token.key"), lab.path("token.crt"));
    let (key, certificate) = (key.to_str().unwrap(), certificate.to_str().unwrap());
    let start =
        ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"];
    openssl(&[&start, ["-keyout", key, "-out", certificate].as_slice()].concat());
}

/// A token for the permissions `words`, signed as `docker-registry` demands (distribution
/// `docs/spec/auth/jwt.md`).
fn token(folder: &Path, words: &[String]) -> String {
    let certificate = folder.join("token.crt");
    let der = openssl(&["x509", "-in", certificate.to_str().unwrap(), "-outform", "DER"]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let access: Vec<_> = words
        .iter()
        .map(|word| {
            let mut parts = word.splitn(2, ':').collect::<Vec<_>>();
            let (name, actions) = parts.pop().unwrap().rsplit_once(':').unwrap();
            let actions: Vec<&str> = actions.split(',').collect();
            json!({ "type": "repository", "name": name, "actions": actions })
        })
        .collect();
    let header = json!({ "typ": "JWT", "alg": "RS256", "x5c": [STANDARD.encode(der)] });
    let claims = json!({
        "iss": "issuer", "sub": "", "aud": "service", "exp": now + 300, "nbf": now - 10,
        "iat": now, "jti": "x", "access": access,
    });
    let encode = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &signed).unwrap();
    let key = folder.join("token.key");
    let arguments =
        ["dgst", "-sha256", "-sign", key.to_str().unwrap(), file.path().to_str().unwrap()];
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(openssl(&arguments)))
}

/// The values of `name` in a query.
fn values(target: &str, name: &str) -> Vec<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let decode = |text: &str| text.replace("%3A", ":").replace("%2F", "/").replace("%2C", ",");
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).collect()
}

/// A token server with one user, and a registry that trusts it. Without credentials, there is only
/// permission to pull.
fn services(lab: &Lab) -> (Server, Registry) {
    services_for(lab, |user, scope| user.is_some() || !scope.contains("push"))
}

/// A token server whose users have the password `hunter2`, and a registry that trusts it. `grants`
/// decides which permissions a user has.
pub fn services_for(
    lab: &Lab,
    grants: impl Fn(Option<&str>, &str) -> bool + Send + Sync + 'static,
) -> (Server, Registry) {
    key_pair(lab);
    let folder = lab.path("");
    let server = Server::start(move |request: &Request| {
        let given = request.header("authorization").map(|value| {
            let pair = STANDARD.decode(value.strip_prefix("Basic ").unwrap()).unwrap();
            String::from_utf8(pair).unwrap()
        });
        let user = given.as_deref().map(|pair| pair.split_once(':').unwrap());
        if user.is_some_and(|(_, password)| password != "hunter2") {
            return Reply::new(401, &[], r#"{"details": "incorrect password"}"#);
        }
        let mut scopes = values(&request.target, "scope");
        scopes.retain(|scope| grants(user.map(|(name, _)| name), scope));
        let body = json!({ "token": token(&folder, &scopes), "expires_in": 300 });
        Reply::new(200, &[("Content-Type", "application/json")], body.to_string())
    });
    let registry = registry_for(lab, server.address);
    (server, registry)
}

/// A registry that sends clients to the token server at `address`.
fn registry_for(lab: &Lab, address: SocketAddr) -> Registry {
    let auth = format!(
        "auth:\n  token:\n    realm: http://{address}/token\n    service: service\n    \
         issuer: issuer\n    \
         rootcertbundle: {}\n",
        lab.path("token.crt").display()
    );
    Registry::with("", &auth)
}

fn login(lab: &Lab, address: SocketAddr, password: &str) {
    let pair = STANDARD.encode(format!("captain:{password}"));
    let auths = json!({ "auths": { address.to_string(): { "auth": pair } } });
    lab.file("home/.docker/config.json", auths.to_string());
}

#[test]
fn a_token_is_fetched_for_each_permission_and_kept() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (server, registry) = services(&lab);
    login(&lab, registry.address, "hunter2");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
    let scopes = |server: &Server| -> Vec<Vec<String>> {
        server.requests().iter().map(|request| values(&request.target, "scope")).collect()
    };
    let expected =
        [vec!["repository:my/app:pull".to_owned()], vec!["repository:my/app:pull,push".to_owned()]];
    assert_eq!(scopes(&server), expected);
    assert_eq!(values(&server.requests()[0].target, "service"), ["service"]);
    // A mount needs permission to read the other repository.
    seatrial(&lab, ["push", "app.toml", &registry.name("other:1")]).ok();
    let both = ["repository:my/app:pull", "repository:other:pull,push"].map(str::to_owned);
    let asked = scopes(&server);
    assert!(
        asked.iter().any(|scopes| {
            let mut scopes = scopes.clone();
            scopes.sort();
            scopes == both
        }),
        "{asked:?}"
    );
    assert_eq!(registry.count("POST", "mount="), 2);
}

#[test]
fn a_token_server_whose_connections_break_is_asked_again() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (server, _) = services(&lab);
    let (upstream, asked) = (server.address, AtomicUsize::new(0));
    let proxy = Server::start(move |request| {
        match (asked.fetch_add(1, Ordering::Relaxed), forward(upstream, request)) {
            (0, _) => Reply::Close,
            (1, Reply::Answer { status, headers, body }) => Reply::Cut(status, headers, body, 10),
            (_, answer) => answer,
        }
    });
    let registry = registry_for(&lab, proxy.address);
    login(&lab, registry.address, "hunter2");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]).ok();
}

#[test]
fn reading_needs_no_credentials_if_the_token_server_says_so() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (_server, registry) = services(&lab);
    login(&lab, registry.address, "hunter2");
    let image = registry.name("my/app:1");
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    std::fs::remove_file(lab.path("home/.docker/config.json")).unwrap();
    seatrial(&lab, ["pull", &image, "-o", "x.tar"]).ok();
    let denied = seatrial(&lab, ["push", "app.toml", &registry.name("your/app:1")]);
    assert_eq!(denied.output.status.code(), Some(2), "{}", denied.stderr());
    assert!(denied.stderr().contains("denies access to your/app"), "{}", denied.stderr());
}

#[test]
fn a_wrong_password_is_reported_without_showing_it() {
    let lab = Lab::new();
    recipe(&lab, "");
    let (_server, registry) = services(&lab);
    login(&lab, registry.address, "swordfish");
    let run: Run = seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1")]);
    assert_eq!(run.output.status.code(), Some(2));
    let message = run.stderr();
    assert!(message.contains("the token server 127.0.0.1 denies access to my/app"), "{message}");
    assert!(message.contains("incorrect password"), "{message}");
    assert!(!message.contains("swordfish"), "{message}");
}

#[test]
fn an_identity_token_is_exchanged_for_a_bearer_token() {
    let lab = Lab::new();
    recipe(&lab, "");
    let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&bodies);
    let address: Arc<Mutex<Option<SocketAddr>>> = Arc::default();
    let own = Arc::clone(&address);
    let server = Server::start(move |request| {
        if request.target == "/token" {
            let body = String::from_utf8(request.body.clone()).unwrap();
            assert_eq!(request.method, "POST");
            seen.lock().unwrap().push(body);
            return Reply::new(200, &[], r#"{"access_token": "t"}"#);
        }
        match request.header("authorization") {
            Some("Bearer t") => Reply::new(404, &[], ""),
            _ => {
                let realm = own.lock().unwrap().unwrap();
                let challenge = format!("Bearer realm=\"http://{realm}/token\",service=\"s\"");
                Reply::new(401, &[("WWW-Authenticate", &challenge)], "")
            }
        }
    });
    *address.lock().unwrap() = Some(server.address);
    let auths = json!({ "auths": { server.address.to_string(): { "identitytoken": "secret-1" } } });
    lab.file("home/.docker/config.json", auths.to_string());
    let run = Run::of(command(&lab, ["pull", &format!("{}/a:1", server.address), "-o", "x.tar"]));
    assert!(run.stderr().contains("has no a:1"), "{}", run.stderr());
    let body = bodies.lock().unwrap()[0].clone();
    for part in ["grant_type=refresh_token", "refresh_token=secret-1", "service=s", "scope="] {
        assert!(body.contains(part), "{body}");
    }
    assert!(!run.stderr().contains("secret-1"));
}

#[test]
fn a_token_server_may_redirect_but_another_host_gets_no_password() {
    let lab = Lab::new();
    recipe(&lab, "");
    let answer = || Reply::new(200, &[], r#"{"access_token": "good", "expires_in": -1}"#);
    let other = Server::start(move |request| {
        assert_eq!(request.header("authorization"), None);
        answer()
    });
    let elsewhere = format!("http://{}/token", other.address);
    let tokens = Server::start(move |request| {
        assert!(request.header("authorization").is_some());
        match request.target.split('?').next() {
            Some("/moved") => answer(),
            Some("/near") => Reply::new(307, &[("Location", "/moved")], ""),
            _ => Reply::new(302, &[("Location", &elsewhere)], ""),
        }
    });
    for path in ["near", "far"] {
        let realm = format!("http://{}/{path}", tokens.address);
        let registry = Server::start(move |request| {
            if request.header("authorization") != Some("Bearer good") {
                let challenge = format!("Bearer realm=\"{realm}\"");
                return Reply::new(401, &[("WWW-Authenticate", &challenge)], "");
            }
            Reply::new(404, &[], r#"{"errors": [{"code": "REACHED"}]}"#)
        });
        login(&lab, registry.address, "hunter2");
        let image = format!("docker://{}/my/app:1", registry.address);
        let run = seatrial(&lab, ["inspect", &image]);
        assert!(run.stderr().contains("REACHED"), "{}", run.stderr());
    }
}

// Docker sends `registrytoken` as it is (moby `registry/auth.go`); spaces: RFC 9110, section 11.2.
#[test]
fn a_registry_token_is_sent_as_it_is_to_a_registry_with_spaces_in_its_challenge() {
    let lab = Lab::new();
    let server = Server::start(|request| match request.header("authorization") {
        Some("Bearer given-1") => Reply::new(404, &[], ""),
        _ => {
            let challenge = "Bearer realm = \"http://127.0.0.1:1/token\" , service = \"s\"";
            Reply::new(401, &[("WWW-Authenticate", challenge)], "")
        }
    });
    let pull = |token: &str| {
        let entry = json!({ "auth": STANDARD.encode("captain:x"), "registrytoken": token });
        let auths = json!({ "auths": { server.address.to_string(): entry } });
        lab.file("home/.docker/config.json", auths.to_string());
        Run::of(command(&lab, ["pull", &format!("{}/a:1", server.address), "-o", "x.tar"]))
    };
    let run = pull("given-1");
    assert!(run.stderr().contains("has no a:1"), "{}", run.stderr());
    let run = pull("given-2");
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    let message = run.stderr();
    assert!(message.contains("denies access to a with the registrytoken"), "{message}");
    assert!(!message.contains("given-2"), "{message}");
}

#[test]
fn each_repository_of_a_registry_may_have_a_token_server_of_its_own() {
    let (lab, upstream) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &upstream.name("a/base:1")]).ok();
    // Each gives tokens with its own name, for its own repositories.
    let tokens = Server::start(|request: &Request| {
        let name = request.target[1..].split('?').next().unwrap().to_owned();
        let prefix = if name == "any" { String::new() } else { format!("repository:{name}/") };
        let scopes = values(&request.target, "scope");
        match scopes.iter().any(|scope| scope.starts_with(&prefix)) {
            true => Reply::new(200, &[], json!({ "token": name }).to_string()),
            false => Reply::new(403, &[], r#"{"details": "another repository"}"#),
        }
    });
    let address = tokens.address;
    let registry = Server::before(upstream.address, move |request| {
        let repository = request.target.strip_prefix("/v2/").unwrap().split('/').next().unwrap();
        let name = if repository.is_empty() { "any" } else { repository };
        let is_allowed = request.header("authorization") == Some(&format!("Bearer {name}"));
        let challenge = format!("Bearer realm=\"http://{address}/{name}\"");
        let is_blob_storage = request.target.contains("_state=");
        let denied = || Reply::new(401, &[("WWW-Authenticate", &challenge)], "");
        (!is_allowed && !is_blob_storage).then(denied)
    });
    let [base, image] = ["a/base", "b/app"].map(|name| format!("{}/{name}:1", registry.address));
    lab.file("based.toml", format!("name='x'\ntag='1'\nfrom_image='docker://{base}'\n"));
    seatrial(&lab, ["push", "based.toml", &image, "--no-cache"]).ok();
    seatrial(&lab, ["inspect", &format!("docker://{}", upstream.name("b/app:1"))]).ok();
}
