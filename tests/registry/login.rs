//! `login` and `logout`: what is written where, cross-checked with skopeo.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::{Value, json};

use crate::lab::{Lab, Run};
use crate::server::{Reply, Server};
use crate::service::{self, Registry, command, recipe, seatrial};

const USER: &str = "captain";
const PASSWORD: &str = "hunter2:x";
const DOCKER: &str = "home/.docker/config.json";

fn registry(lab: &Lab) -> Registry {
    Registry::for_user(lab, USER, PASSWORD)
}

/// Runs `command` with `input` as its standard input.
fn with_input(lab: &Lab, mut command: Command, input: &str) -> Run {
    command.stdin(File::open(lab.file("input", input)).unwrap());
    Run::of(command)
}

fn login(lab: &Lab, registry: &str, password: &str) -> Run {
    let arguments = ["login", registry, "--username", USER, "--password-stdin"];
    with_input(lab, command(lab, arguments), password)
}

fn read(lab: &Lab, name: &str) -> Value {
    service::json(&fs::read_to_string(lab.path(name)).unwrap())
}

fn mode(lab: &Lab, name: &str) -> u32 {
    lab.path(name).metadata().unwrap().permissions().mode() & 0o7777
}

/// The entry for the user.
fn entry() -> Value {
    json!({ "auth": STANDARD.encode(format!("{USER}:{PASSWORD}")) })
}

/// Runs skopeo as the user whose home directory is that of the lab.
fn skopeo(lab: &Lab, arguments: &[&str]) -> Run {
    let (ours, mut skopeo) = (command(lab, [""; 0]), lab.command("skopeo"));
    for (name, value) in ours.get_envs() {
        match value {
            Some(value) => skopeo.env(name, value),
            None => skopeo.env_remove(name),
        };
    }
    skopeo.args(arguments);
    Run::of(skopeo)
}

#[test]
fn a_login_is_stored_for_docker_and_found_by_skopeo_and_seatrial() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let (address, image) = (registry.address.to_string(), registry.name("my/app:1"));
    assert_eq!(seatrial(&lab, ["push", "app.toml", &image]).output.status.code(), Some(2));
    let run = login(&lab, &address, &format!("{PASSWORD}\n"));
    let path = lab.path(DOCKER).display().to_string();
    let expected = format!("logged in to {address} as {USER}; stored in {path}\n");
    assert_eq!(run.stdout(), expected, "{}", run.stderr());
    assert!(run.stderr().contains("the password is unencrypted"), "{}", run.stderr());
    run.ok();
    assert_eq!(read(&lab, DOCKER), json!({ "auths": { &address: entry() } }));
    assert_eq!((mode(&lab, DOCKER), mode(&lab, "home/.docker")), (0o600, 0o700));
    seatrial(&lab, ["push", "app.toml", &image]).ok();
    let location = format!("docker://{image}");
    skopeo(&lab, &["inspect", "--tls-verify=false", &location]).ok();
    // Nothing is left behind beside it.
    assert_eq!(fs::read_dir(lab.path("home/.docker")).unwrap().count(), 1);
    let run = seatrial(&lab, ["logout", &address]);
    let expected = format!("removed the credentials for {address} in {path}\n");
    assert_eq!(run.ok(), expected);
    assert_eq!(read(&lab, DOCKER), json!({ "auths": {} }));
    assert_eq!(seatrial(&lab, ["push", "app.toml", &image]).output.status.code(), Some(2));
    let again = seatrial(&lab, ["logout", &address]).ok();
    assert_eq!(again, format!("there were no credentials for {address}\n"));
}

#[test]
fn login_and_logout_write_the_same_file_as_skopeo() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let address = registry.address.to_string();
    let before = json!({
        "auths": { "other.example": { "auth": "YTpi" }, "third.example/team": { "auth": "YTpj" } },
        "credHelpers": { "fourth.example": "x" },
    });
    let image = format!("docker://{}", registry.name("my/app:1"));
    for (name, start) in [("ours.json", Some(&before)), ("new/ours.json", None)] {
        let theirs = name.replace("ours", "theirs");
        for file in [name, &theirs] {
            start.into_iter().for_each(|start| drop(lab.file(file, start.to_string())));
        }
        let with_file = |arguments: &[&str]| {
            let mut command = command(&lab, arguments);
            command.env("REGISTRY_AUTH_FILE", lab.path(name));
            command
        };
        let login = ["login", &address, "-u", USER, "--password-stdin"];
        with_input(&lab, with_file(&login), PASSWORD).ok();
        let of_skopeo = lab.path(&theirs).display().to_string();
        let (file, tls) = (["--authfile", &of_skopeo], "--tls-verify=false");
        skopeo(&lab, &[&["login", tls, "-u", USER, "-p", PASSWORD, &address][..], &file].concat())
            .ok();
        assert_eq!(read(&lab, name), read(&lab, &theirs));
        assert_eq!(mode(&lab, name), mode(&lab, &theirs));
        // Each reads the other's.
        let ours = lab.path(name).display().to_string();
        Run::of(with_file(&["push", "app.toml", &registry.name("my/app:1")])).ok();
        skopeo(&lab, &["inspect", tls, "--authfile", &ours, &image]).ok();
        let mut push = command(&lab, ["push", "app.toml", &registry.name("my/app:2")]);
        push.env("REGISTRY_AUTH_FILE", &of_skopeo);
        Run::of(push).ok();
        Run::of(with_file(&["logout", &address])).ok();
        skopeo(&lab, &[&["logout", &address][..], &file].concat()).ok();
        assert_eq!(read(&lab, name), read(&lab, &theirs));
    }
}

#[test]
fn a_password_that_the_registry_does_not_accept_is_not_stored() {
    let lab = Lab::new();
    let registry = registry(&lab);
    let address = registry.address.to_string();
    let before = "{\"auths\": {\"other.example\": {\"auth\": \"YTpi\"}}, \"HttpHeaders\": {}}";
    lab.file(DOCKER, before);
    let run = login(&lab, &address, "hunter2");
    assert_eq!(run.output.status.code(), Some(2));
    let expected = format!("{address} does not accept this password for the user {USER}");
    assert!(run.stderr().contains(&expected), "{}", run.stderr());
    assert!(!run.stderr().contains("hunter2"), "{}", run.stderr());
    assert_eq!(fs::read_to_string(lab.path(DOCKER)).unwrap(), before);
    // Nor is one if the file is damaged, which stays as it is.
    for damaged in ["{\"auths\": []}", "{\"auths\": {\"a\": 1}}", "[]", "x"] {
        lab.file(DOCKER, damaged);
        let run = login(&lab, &address, PASSWORD);
        assert_eq!(run.output.status.code(), Some(2), "{damaged}");
        assert!(run.stderr().contains("not a file with credentials"), "{}", run.stderr());
        assert_eq!(fs::read_to_string(lab.path(DOCKER)).unwrap(), damaged);
    }
    lab.file(DOCKER, before);
    // Nor is one if there is no registry.
    drop(registry);
    let run = login(&lab, &address, PASSWORD);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert_eq!(fs::read_to_string(lab.path(DOCKER)).unwrap(), before);
}

#[test]
fn a_token_server_is_asked_with_the_password() {
    let lab = Lab::new();
    let server = Server::start(|request| {
        let host = request.header("host").unwrap().to_owned();
        let pair = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        match (request.target.split('?').next().unwrap(), request.header("authorization")) {
            ("/token", Some(basic)) if basic == format!("Basic {pair}") => {
                Reply::new(200, &[], "{\"token\": \"t0k\"}")
            }
            ("/v2/", Some("Bearer t0k")) => Reply::new(200, &[], "{}"),
            ("/v2/", _) => {
                let bearer = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
                Reply::new(401, &[("WWW-Authenticate", &bearer)], "")
            }
            _ => Reply::new(401, &[], ""),
        }
    });
    let address = server.address.to_string();
    assert_eq!(login(&lab, &address, "hunter2").output.status.code(), Some(2));
    assert!(!lab.exists(DOCKER));
    login(&lab, &address, PASSWORD).ok();
    assert_eq!(read(&lab, DOCKER)["auths"][&address], entry());
}

#[test]
fn the_first_file_that_knows_the_registry_gets_the_new_password() {
    let lab = Lab::new();
    let registry = registry(&lab);
    let address = registry.address.to_string();
    let podman = "home/.config/containers/auth.json";
    let old = json!({ "auths": { &address: { "auth": "YTpi", "email": "x" }, "a": {} } });
    lab.file(podman, old.to_string());
    lab.file("dotfiles/config.json", "{\"auths\": null, \"detachKeys\": \"ctrl-x\"}");
    fs::create_dir_all(lab.path("home/.docker")).unwrap();
    lab.link(DOCKER, "../../dotfiles/config.json");
    login(&lab, &address, PASSWORD).ok();
    assert_eq!(read(&lab, podman), json!({ "auths": { &address: entry(), "a": {} } }));
    seatrial(&lab, ["logout", &address]).ok();
    assert_eq!(read(&lab, podman), json!({ "auths": { "a": {} } }));
    // Without an entry, it is Docker's; a symlink stays one.
    login(&lab, &address, PASSWORD).ok();
    let expected = json!({ "auths": { &address: entry() }, "detachKeys": "ctrl-x" });
    assert_eq!(read(&lab, "dotfiles/config.json"), expected);
    assert!(lab.path(DOCKER).is_symlink());
    // Docker writes addresses, too.
    let old = json!({ "auths": { format!("https://{address}/v1/"): { "auth": "YTpi" } } });
    lab.file(DOCKER, old.to_string());
    login(&lab, &address, PASSWORD).ok();
    let expected = json!({ "auths": { format!("https://{address}/v1/"): entry() } });
    assert_eq!(read(&lab, DOCKER), expected);
    // An old password under another spelling does not win.
    let old = json!({ "auth": STANDARD.encode(format!("{USER}:old")) });
    let old = json!({
        "auths": {
            format!("https://{address}/v1/"): old, &address: old, format!("{address}/"): old,
            "other.example": old,
        }
    });
    lab.file(DOCKER, old.to_string());
    login(&lab, &address, PASSWORD).ok();
    let kept = json!({ &address: entry(), "other.example": old["auths"]["other.example"] });
    assert_eq!(read(&lab, DOCKER), json!({ "auths": kept }));
}

#[test]
fn a_logout_removes_unencrypted_passwords_although_a_credential_helper_is_missing() {
    let lab = Lab::new();
    let podman = "home/.config/containers/auth.json";
    let auths = json!({ "reg.example": { "auth": "YTpi" }, "a": {} });
    lab.file(podman, json!({ "auths": auths, "credsStore": "absent" }).to_string());
    lab.file(DOCKER, json!({ "auths": auths }).to_string());
    let run = seatrial(&lab, ["logout", "reg.example"]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("docker-credential-absent"), "{}", run.stderr());
    for name in [podman, DOCKER] {
        assert_eq!(read(&lab, name)["auths"], json!({ "a": {} }), "{name}");
        let path = lab.path(name).display().to_string();
        assert!(run.stdout().contains(&format!("reg.example in {path}\n")), "{}", run.stdout());
    }
    // A damaged file does not keep the password in another one.
    lab.file(podman, "[]");
    lab.file(DOCKER, json!({ "auths": auths }).to_string());
    let run = seatrial(&lab, ["logout", "reg.example"]);
    assert!(run.stderr().contains("not a file with credentials"), "{}", run.stderr());
    assert_eq!(read(&lab, DOCKER)["auths"], json!({ "a": {} }));
    // All that failed is named.
    lab.file(DOCKER, json!({ "auths": auths, "credsStore": "absent" }).to_string());
    let run = seatrial(&lab, ["logout", "reg.example"]);
    assert!(run.stderr().contains("not a file with credentials"), "{}", run.stderr());
    assert!(run.stderr().contains("docker-credential-absent"), "{}", run.stderr());
}

#[test]
fn a_credential_helper_keeps_the_password_if_the_file_names_one() {
    let lab = Lab::new();
    recipe(&lab, "");
    let registry = registry(&lab);
    let (address, image) = (registry.address.to_string(), registry.name("my/app:1"));
    // docker-credential-helpers, "Development": the protocol.
    let helper = "#!/bin/sh\ncase $1 in\n\
                  store) cat >kept ;;\n\
                  erase) rm -f kept ;;\n\
                  get) [ -e kept ] && exec cat kept\n\
                  echo credentials not found in native keychain; exit 1 ;;\nesac\n";
    lab.file("bin/docker-credential-test", helper);
    lab.mode("bin/docker-credential-test", 0o755);
    let search = format!("{}:{}", lab.path("bin").display(), std::env::var("PATH").unwrap());
    let with_path = |arguments: &[&str]| {
        let mut command = command(&lab, arguments);
        command.env("PATH", &search);
        command
    };
    let login = ["login", &address, "--username", USER, "--password-stdin"];
    let of_all = json!({ "credsStore": "test", "auths": { &address: { "auth": "YTpi" } } });
    let of_one = json!({ "credHelpers": { &address: "test" } });
    for config in [of_all, of_one] {
        lab.file(DOCKER, config.to_string());
        let run = with_input(&lab, with_path(&login), PASSWORD);
        assert!(run.stdout().ends_with("stored by docker-credential-test\n"), "{}", run.stderr());
        assert_eq!(run.stderr(), "");
        let expected = json!({ "ServerURL": &address, "Username": USER, "Secret": PASSWORD });
        assert_eq!(read(&lab, "kept"), expected);
        // Docker lists the registry, and no old password stays.
        assert_eq!(read(&lab, DOCKER)["auths"], json!({ &address: {} }));
        Run::of(with_path(&["push", "app.toml", &image])).ok();
        let removed = Run::of(with_path(&["logout", &address])).ok();
        assert!(removed.contains("by docker-credential-test\n"), "{removed}");
        assert!(!lab.exists("kept"));
        assert_eq!(read(&lab, DOCKER)["auths"], json!({}));
    }
}

#[test]
fn credentials_for_a_part_of_the_registry_stay_and_are_noted() {
    let lab = Lab::new();
    let config = json!({ "auths": { "reg.example/team": { "auth": "YTpi" }, "reg.example": {} } });
    lab.file(DOCKER, config.to_string());
    let run = seatrial(&lab, ["logout", "reg.example"]);
    assert!(run.stderr().ends_with("still has credentials for reg.example/team\n"));
    run.ok();
    assert_eq!(read(&lab, DOCKER), json!({ "auths": { "reg.example/team": { "auth": "YTpi" } } }));
}

#[test]
fn mistakes_about_logins_are_explained() {
    let lab = Lab::new();
    for (arguments, expected) in [
        (&["reg.example/team"][..], "is not a registry, but a part of one; expected a host"),
        (&["debian"], "\"debian\" is not a registry; expected a host such as registry.example"),
        (&["reg.example"], "standard input is not a terminal; give --username and"),
        (&["reg.example", "-u", "a"], "standard input is not a terminal; give --username and"),
        (&["reg.example", "-u", "a:b", "-p", "x"], "a user name cannot contain a colon"),
        (&["reg.example", "-u", "a", "--password-stdin"], "no password on standard input"),
        (&["reg.example", "--password-stdin"], "--username"),
    ] {
        let run = seatrial(&lab, ["login"].iter().chain(arguments));
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        assert!(run.stderr().contains(expected), "{arguments:?}: {}", run.stderr());
    }
    assert!(!lab.exists("home"));
}

#[test]
fn a_password_on_the_command_line_works_with_a_warning() {
    let lab = Lab::new();
    let registry = registry(&lab);
    let address = registry.address.to_string();
    let run = seatrial(&lab, ["login", &address, "-u", USER, "-p", PASSWORD]);
    assert!(run.stderr().starts_with("warning: other users of this host"), "{}", run.stderr());
    run.ok();
    assert_eq!(read(&lab, DOCKER)["auths"][&address], entry());
    let open = Registry::start();
    let run = seatrial(&lab, ["login", &open.address.to_string(), "-u", USER, "-p", "x"]);
    assert!(run.stderr().contains("these were not checked"), "{}", run.stderr());
    run.ok();
}

/// Runs `login` on a terminal on which a user types `answers`, and returns all output and the exit
/// code.
fn on_terminal(lab: &Lab, address: &str, answers: &[&str]) -> (String, Option<i32>) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let path = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
    let open = || File::options().read(true).write(true).open(&path).unwrap();
    let mut login = command(lab, ["login", address]);
    let mut child = login.stdin(open()).stdout(open()).stderr(open()).spawn().unwrap();
    drop(login);
    let (mut user, mut seen) = (File::from(user), String::new());
    let mut buffer = [0; 4096];
    let mut answers = answers.iter();
    // The terminal ends with an error when no process has it open.
    while let Ok(count @ 1..) = user.read(&mut buffer) {
        seen += &String::from_utf8_lossy(&buffer[..count]);
        if seen.ends_with("name: ") || seen.ends_with("word: ") {
            user.write_all(answers.next().unwrap().as_bytes()).unwrap();
        }
    }
    (seen, child.wait().unwrap().code())
}

#[test]
fn a_terminal_is_asked_for_the_password_without_showing_it() {
    let lab = Lab::new();
    let registry = registry(&lab);
    let address = registry.address.to_string();
    let typed = "wrong\u{15}hunter2é\u{7f}:x\n";
    let (seen, code) = on_terminal(&lab, &address, &[&format!("{USER}\n"), typed]);
    assert_eq!(code, Some(0), "{seen}");
    assert!(!seen.contains("hunter2") && !seen.contains("wrong"), "{seen}");
    assert!(seen.contains(&format!("Username: {USER}\r\nPassword: \r\nlogged in to")), "{seen}");
    assert_eq!(read(&lab, DOCKER)["auths"][&address], entry());
    let (seen, code) = on_terminal(&lab, &address, &[&format!("{USER}\n"), "hun\u{3}"]);
    assert_eq!(code, Some(130), "Ctrl-C: {seen}");
    assert!(seen.ends_with("Password: \r\n"), "{seen}");
}
