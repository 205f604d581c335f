//! Denied access: who denies it to whom, and how to go on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::lab::{Lab, Run};
use crate::server::{Reply, Request, Server};
use crate::service::{Registry, command, recipe, seatrial};

const PAIR: &str = "captain:hunter2";

/// Stores the credentials of a user for `server`.
fn login(lab: &Lab, server: &Server) {
    let auths =
        json!({ "auths": { server.address.to_string(): { "auth": STANDARD.encode(PAIR) } } });
    lab.file("home/.docker/config.json", auths.to_string());
}

fn pull(lab: &Lab, server: &Server) -> Run {
    seatrial(lab, ["pull", &format!("{}/my/app:1", server.address), "-o", "x.tar"])
}

/// The message of a run that bad input ended.
fn rejected(run: &Run) -> String {
    let message = run.stderr();
    assert_eq!(run.output.status.code(), Some(2), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    message
}

/// Storage without an API that answers `status`, and a registry that redirects to it for blobs.
fn with_storage(registry: &Registry, status: u16) -> (Server, Server) {
    let storage = Server::start(move |request| {
        assert_eq!(request.header("authorization"), None);
        Reply::new(status, &[], "<Error><Code>AccessDenied</Code></Error>")
    });
    let place = format!("http://{}/bucket/blob?signature=hunter2", storage.address);
    let front = Server::before(registry.address, move |request| {
        let redirects = request.method == "GET" && request.target.contains("/blobs/");
        redirects.then(|| Reply::new(307, &[("Location", &place)], ""))
    });
    (storage, front)
}

#[test]
fn an_error_of_storage_names_the_storage() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    seatrial(&lab, ["push", "app.toml", &registry.name("my/app:1"), "--no-cache"]).ok();
    for (status, expected) in [
        (403, "denies access to my/app; the registry gave this address, which may have expired"),
        (404, "has no blob sha256:"),
        (410, "answers 410 to GET /bucket/blob"),
    ] {
        let (storage, front) = with_storage(&registry, status);
        login(&lab, &front);
        let message = rejected(&pull(&lab, &front));
        assert!(message.contains(expected), "{message}");
        let place = format!("{} (at {}) ", front.address, storage.address);
        assert!(message.contains(&place), "{message}");
        assert!(!message.contains("captain"), "{message}");
    }
}

#[test]
fn a_registry_that_forbids_something_to_a_user_says_so() {
    let lab = Lab::new();
    let registry = Server::start(|request| match request.header("authorization") {
        None => Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""),
        Some(_) if request.target == "/v2/" => Reply::new(200, &[], "{}"),
        Some(given) => {
            assert_eq!(given, format!("Basic {}", STANDARD.encode(PAIR)));
            Reply::new(403, &[], r#"{"errors": [{"code": "DENIED", "message": "not yours"}]}"#)
        }
    });
    login(&lab, &registry);
    let message = rejected(&pull(&lab, &registry));
    let expected = "denies access to my/app for the user captain: this user has no permission, or \
                    there is no such repository (DENIED: not yours)";
    assert!(message.contains(expected), "{message}");
}

// Docker Hub answers 401 for repositories that do not exist.
#[test]
fn without_credentials_a_denial_may_mean_that_there_is_no_such_repository() {
    let (lab, bearer) = (Lab::new(), Reply::new(200, &[], r#"{"token": "anonymous"}"#));
    let tokens = Server::start(move |_| bearer.clone());
    let challenge = format!("Bearer realm=\"http://{}/token\"", tokens.address);
    let body = r#"{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}"#;
    let registry =
        Server::start(move |_| Reply::new(401, &[("WWW-Authenticate", &challenge)], body));
    let message = rejected(&pull(&lab, &registry));
    let reason = "there are no credentials for it, or there is no such repository";
    assert!(message.contains(reason), "{message}");

    // The only file that is read is named.
    lab.file("only.json", "{}");
    let only = lab.path("only.json").display().to_string();
    let named = format!("no credentials for it in {only} (no other file is read)");
    let image = format!("docker://{}/my/app:1", registry.address);
    let mut inspect = command(&lab, ["inspect", &image]);
    inspect.env("REGISTRY_AUTH_FILE", &only);
    let message = rejected(&Run::of(inspect));
    assert!(message.contains(&named), "{message}");
    let copy = ["copy", &image, "oci:out", "--src-authfile", &only];
    let message = rejected(&seatrial(&lab, copy));
    assert!(message.contains(&named), "{message}");
    assert!(message.contains(&format!("podman login --authfile {only}")), "{message}");
}

/// A registry whose token server is at `realm`.
fn with_tokens(realm: &str) -> Server {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"s\"");
    Server::start(move |_| Reply::new(401, &[("WWW-Authenticate", &challenge)], ""))
}

#[test]
fn only_401_and_403_of_a_token_server_mean_that_it_denies_access() {
    let lab = Lab::new();
    let denied = "the token server 127.0.0.1 denies access to my/app for the user captain";
    for (status, expected) in [
        (400, "answers 400 to a token request to 127.0.0.1 (unknown service)"),
        (404, "answers 404 to a token request to 127.0.0.1 (unknown service)"),
        (401, denied),
        (403, denied),
    ] {
        let body = r#"{"message": "unknown service"}"#;
        let tokens = Server::start(move |_| Reply::new(status, &[], body));
        let registry = with_tokens(&format!("http://{}/token", tokens.address));
        login(&lab, &registry);
        let message = rejected(&pull(&lab, &registry));
        assert!(message.contains(expected), "{message}");
        assert_eq!(message.contains("permission"), status == 403, "{message}");
    }
}

// RFC 6749, section 5.2.
#[test]
fn a_token_server_rejects_an_expired_identity_token_with_400() {
    let lab = Lab::new();
    let tokens = Server::start(|request: &Request| {
        assert_eq!(request.method, "POST");
        let body = r#"{"error": "invalid_grant", "error_description": "expired"}"#;
        Reply::new(400, &[], body)
    });
    let registry = with_tokens(&format!("http://{}/token", tokens.address));
    let auths =
        json!({ "auths": { registry.address.to_string(): { "identitytoken": "hunter2" } } });
    lab.file("home/.docker/config.json", auths.to_string());
    let message = rejected(&pull(&lab, &registry));
    let expected = "denies access to my/app with the stored identity token; log in again (expired)";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_password_goes_without_tls_to_token_servers_of_other_hosts_only_if_the_user_says_so() {
    let lab = Lab::new();
    let registry = with_tokens("http://tokens.invalid/token");
    login(&lab, &registry);
    let run = pull(&lab, &registry);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let expected = "its token server \"tokens.invalid\" uses no TLS, so it gets no credentials; \
                    pass --plain-http to allow that";
    assert!(run.stderr().contains(expected), "{}", run.stderr());
    let image = format!("{}/my/app:1", registry.address);
    let allowed = seatrial(&lab, ["pull", &image, "-o", "x.tar", "--plain-http"]);
    assert!(allowed.stderr().contains("failed to reach"), "{}", allowed.stderr());
    assert!(allowed.stderr().contains("(at tokens.invalid)"), "{}", allowed.stderr());
}

#[test]
fn an_insecure_token_server_of_another_host_without_tls_gets_requests_but_no_credentials() {
    let lab = Lab::new();
    // It is reached through a proxy, which is the only one that knows the name.
    let tokens = Server::start(|_| Reply::new(403, &[], r#"{"message": "REACHED"}"#));
    let registry = with_tokens("http://tokens.invalid/token");
    let rule = "[[registry]]\nlocation = 'tokens.invalid'\ninsecure = true\n";
    lab.file("home/.config/containers/registries.conf", rule);
    let image = format!("{}/my/app:1", registry.address);
    let pull = |more: &[&str]| {
        let mut pull = command(&lab, [&["pull", &*image, "-o", "x.tar"], more].concat());
        pull.env("http_proxy", format!("http://{}", tokens.address)).env_remove("NO_PROXY");
        Run::of(pull)
    };
    assert!(pull(&[]).stderr().contains("REACHED"));
    let requests = tokens.requests();
    assert!(requests[0].target.starts_with("http://tokens.invalid/token?"), "{requests:?}");
    for entry in [json!({ "auth": "YTpi" }), json!({ "identitytoken": "hunter2" })] {
        let auths = json!({ "auths": { registry.address.to_string(): entry } });
        lab.file("home/.docker/config.json", auths.to_string());
        let run = pull(&[]);
        assert!(run.stderr().contains("so it gets no credentials"), "{}", run.stderr());
        assert_eq!(tokens.requests().len(), requests.len(), "nothing is sent");
    }
    login(&lab, &registry);
    assert!(pull(&["--plain-http"]).stderr().contains("REACHED"));
    assert!(tokens.requests().last().unwrap().header("authorization").is_some());
}
