//! Credentials: where they are found, and that no message has them.

use std::io::Write;
use std::process::{Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Server};
use crate::service::{Registry, command, recipe, seatrial};

const USER: &str = "captain";
const PASSWORD: &str = "hunter2:x";

/// A registry that knows one user.
fn registry(lab: &Lab) -> Registry {
    Registry::for_user(lab, USER, PASSWORD)
}

fn auths(registry: &Registry, user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("{{\"auths\": {{\"{}\": {{\"auth\": \"{pair}\"}}}}}}", registry.address)
}

fn assert_denied(run: &Run) {
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("denies access to my/app"), "{}", run.stderr());
    assert!(!format!("{}{}", run.stdout(), run.stderr()).contains("hunter2"));
}

#[test]
fn credentials_are_found_in_every_usual_place() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let good = auths(&registry, USER, PASSWORD);
    let image = registry.name("my/app:1");
    let push = |variables: &[(&str, String)]| {
        let mut command = command(&lab, ["push", "app.toml", &image]);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Run::of(command)
    };
    let path = |name: &str| lab.path(name).display().to_string();
    assert_denied(&push(&[]));
    assert!(push(&[]).stderr().contains("there are no credentials"));

    lab.file("only.json", &good);
    push(&[("REGISTRY_AUTH_FILE", path("only.json"))]).ok();
    lab.file("run/containers/auth.json", &good);
    push(&[("XDG_RUNTIME_DIR", path("run"))]).ok();
    lab.file("config/containers/auth.json", &good);
    push(&[("XDG_CONFIG_HOME", path("config"))]).ok();
    lab.file("docker/config.json", &good);
    push(&[("DOCKER_CONFIG", path("docker"))]).ok();
    lab.file("home/.docker/config.json", &good);
    push(&[]).ok();

    lab.file("wrong.json", auths(&registry, USER, "hunter2"));
    let wrong = push(&[("REGISTRY_AUTH_FILE", path("wrong.json"))]);
    assert_denied(&wrong);
    let reason = "for the user captain: the user name or the password is wrong";
    assert!(wrong.stderr().contains(reason), "{}", wrong.stderr());
    lab.file("broken.json", "{\"auths\": {\"x\": \"hunter2\"}}");
    let broken = push(&[("REGISTRY_AUTH_FILE", path("broken.json"))]);
    assert_eq!(broken.output.status.code(), Some(2));
    assert!(!broken.stderr().contains("hunter2"), "{}", broken.stderr());
}

// docker/cli, `cli/config/configfile` (Go reads null as empty, and an empty file as one without
// credentials) and `cli/config/credentials` (`ConvertToHostname`).
#[test]
fn files_of_docker_are_read_as_docker_reads_them() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let (address, image) = (registry.address, registry.name("my/app:1"));
    let push = |config: &Value| {
        lab.file("home/.docker/config.json", config.to_string());
        seatrial(&lab, ["push", "app.toml", &image])
    };
    let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let entry = json!({ "auth": pair, "identitytoken": null });
    for key in [format!("{address}"), format!("{address}/"), format!("{address}/v1/")] {
        let config = json!({
            "auths": { "other.example": null, key: entry }, "credHelpers": null, "credsStore": null
        });
        push(&config).ok();
    }
    let address = address.to_string();
    push(&json!({
        "auths": { &address: entry }, "credHelpers": { &address: "" }, "credsStore": "absent"
    }))
    .ok();
    assert_denied(&push(&json!({ "auths": null })));
    lab.file("home/.docker/config.json", "");
    assert_denied(&seatrial(&lab, ["push", "app.toml", &image]));
}

#[test]
fn a_credential_helper_that_fails_or_never_stops_writing_is_named() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let image = registry.name("my/app:1");
    let search = format!("{}:{}", lab.path("bin").display(), std::env::var("PATH").unwrap());
    lab.file("home/.docker/config.json", "{\"credsStore\": \"test\"}");
    for (script, expected) in [
        ("exit 7", "docker-credential-test: the credential helper failed: exit status: 7"),
        ("exec yes", "docker-credential-test: its answer is too long"),
    ] {
        lab.file("bin/docker-credential-test", format!("#!/bin/sh\n{script}\n"));
        lab.mode("bin/docker-credential-test", 0o755);
        let mut command = command(&lab, ["push", "app.toml", &image]);
        command.env("PATH", &search);
        let run = Run::of(command);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(expected), "{}", run.stderr());
    }
}

#[test]
fn credential_helpers_are_asked() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let image = registry.name("my/app:1");
    let script = format!(
        "#!/bin/sh\n[ \"$1\" = get ] && read -r server\n\
         [ \"$server\" = {} ] || {{ echo credentials not found in native keychain; exit 1; }}\n\
         echo '{{\"ServerURL\": \"x\", \"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n",
        registry.address
    );
    lab.file("bin/docker-credential-test", script);
    lab.mode("bin/docker-credential-test", 0o755);
    lab.file("bin/docker-credential-broken", "#!/bin/sh\necho hunter2 >&2\necho locked\nexit 1\n");
    lab.mode("bin/docker-credential-broken", 0o755);
    let search = format!("{}:{}", lab.path("bin").display(), std::env::var("PATH").unwrap());
    let push = |config: String| {
        lab.file("home/.docker/config.json", config);
        let mut command = command(&lab, ["push", "app.toml", &image]);
        command.env("PATH", &search);
        Run::of(command)
    };
    push("{\"credsStore\": \"test\", \"auths\": {}}".to_owned()).ok();
    push(format!("{{\"credHelpers\": {{\"{}\": \"test\"}}}}", registry.address)).ok();
    assert_denied(&push("{\"credHelpers\": {\"other.example\": \"test\"}}".to_owned()));
    let broken = push("{\"credsStore\": \"broken\"}".to_owned());
    assert_eq!(broken.output.status.code(), Some(2));
    assert!(broken.stderr().contains("docker-credential-broken"), "{}", broken.stderr());
    assert!(broken.stderr().contains("locked"), "{}", broken.stderr());
    assert!(!broken.stderr().contains("hunter2"), "{}", broken.stderr());
    let absent = push("{\"credsStore\": \"absent\"}".to_owned());
    assert!(absent.stderr().contains("docker-credential-absent"), "{}", absent.stderr());
    let file = lab.path("home/.docker/config.json").display().to_string();
    let origin = format!("{file} names it (credsStore); remove that if you do not need it");
    assert!(absent.stderr().contains(&origin), "{}", absent.stderr());
    let absent = push(format!("{{\"credHelpers\": {{\"{}\": \"absent\"}}}}", registry.address));
    let origin = format!("{file} names it (credHelpers, for {})", registry.address);
    assert!(absent.stderr().contains(&origin), "{}", absent.stderr());
    let path = push("{\"credsStore\": \"../x\"}".to_owned());
    assert!(path.stderr().contains("not the name of a credential helper"), "{}", path.stderr());
}

// containers-registries.conf(5), "credential-helpers".
#[test]
fn credential_helpers_of_registries_conf_are_asked_in_order() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let image = registry.name("my/app:1");
    let helper = |name: &str, answer: &str| {
        let path = format!("bin/docker-credential-{name}");
        lab.file(
            &path,
            format!("#!/bin/sh\nread -r server\necho \"{name} $server\" >>asked\n{answer}"),
        );
        lab.mode(&path, 0o755);
    };
    let answer = format!("echo '{{\"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n");
    helper("good", &answer);
    helper("wrong", "echo '{\"Username\": \"me\", \"Secret\": \"hunter2\"}'\n");
    helper("empty", "echo credentials not found in native keychain; exit 1\n");
    helper("broken", "echo locked; exit 1\n");
    let search = format!("{}:{}", lab.path("bin").display(), std::env::var("PATH").unwrap());
    let settings = "home/.config/containers/registries.conf";
    let push = |helpers: &str| {
        lab.file(settings, format!("credential-helpers = [{helpers}]\n"));
        lab.file("asked", "");
        let mut command = command(&lab, ["push", "app.toml", &image]);
        command.env("PATH", &search);
        let asked = |run: Run| (run, std::fs::read_to_string(lab.path("asked")).unwrap());
        asked(Run::of(command))
    };
    let server = registry.address;
    let (run, asked) = push("'empty', 'broken', 'absent', 'good', 'wrong'");
    run.ok();
    assert_eq!(asked, format!("empty {server}\nbroken {server}\ngood {server}\n"));
    assert_denied(&push("'empty'").0);
    let (run, _) = push("'empty', 'broken'");
    assert_eq!(run.output.status.code(), Some(2));
    assert!(run.stderr().contains("docker-credential-broken"), "{}", run.stderr());
    let origin = "containers/registries.conf names it (credential-helpers)";
    assert!(run.stderr().contains(origin), "{}", run.stderr());
    // Files count where they are listed, and only there.
    lab.file("home/.docker/config.json", auths(&registry, USER, PASSWORD));
    push("'containers-auth.json', 'wrong'").0.ok();
    push("").0.ok();
    assert_denied(&push("'wrong', 'containers-auth.json'").0);
    assert_denied(&push("'empty'").0);
    // A later file replaces the list.
    lab.file("home/.config/containers/registries.conf.d/1.conf", "credential-helpers = ['good']\n");
    push("'wrong'").0.ok();
}

fn with_input(lab: &Lab, arguments: &[&str], input: &str) -> Output {
    let mut command = command(lab, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_recipe_that_names_its_registry_is_pushed_there_with_the_password() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    // Without a tag, which is then made from the content.
    let own = format!("name = '{}'\ncontents = ['root']\n", registry.name("my/own"));
    lab.file("own.toml", &own);
    let arguments = ["push", "own.toml", "--username", USER, "--password-stdin"];
    let output = with_input(&lab, &arguments, PASSWORD);
    assert!(output.status.success(), "{output:?}");
    lab.file("home/.docker/config.json", auths(&registry, USER, PASSWORD));
    let output = with_input(&lab, &["push", "-"], &own);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_password_may_come_from_standard_input() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let image = registry.name("my/app:1");
    let arguments = ["push", "app.toml", &image, "--username", USER, "--password-stdin"];
    let push = |input: &str| with_input(&lab, &arguments, input);
    assert!(push(&format!("{PASSWORD}\n")).status.success());
    let wrong = push("hunter2\n");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!String::from_utf8_lossy(&wrong.stderr).contains("hunter2"));
    assert_eq!(push("").status.code(), Some(2));
}

#[test]
fn the_password_for_a_push_is_not_sent_to_the_registry_of_the_base_image() {
    let lab = Lab::new();
    let base = Server::start(|_| Reply::new(401, &[("WWW-Authenticate", "Basic realm=\"x\"")], ""));
    recipe(&lab, &format!("from_image = 'docker://{}/base:1'", base.address));
    let image = registry(&lab).name("my/app:1");
    let arguments = ["push", "app.toml", &image, "--username", USER, "--password-stdin"];
    let output = with_input(&lab, &arguments, PASSWORD);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let requests = base.requests();
    assert!(!requests.is_empty());
    assert!(requests.iter().all(|request| request.header("authorization").is_none()));
}
