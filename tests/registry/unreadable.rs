//! Files and folders of the usual places that this user may not read, or that cannot exist.

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::lab::{Lab, Run, is_root};
use crate::service::{Registry, command, recipe, seatrial};

/// Runs `seatrial` with `variables`, for root without the capabilities to read everything.
pub fn confined(lab: &Lab, arguments: &[&str], variables: &[(&str, String)]) -> Run {
    let plain = command(lab, arguments);
    let mut confined = Command::new("setpriv");
    confined.args(["--bounding-set", "-dac_override,-dac_read_search"]).arg(plain.get_program());
    let mut command = match is_root() {
        true => {
            confined.args(plain.get_args()).current_dir(plain.get_current_dir().unwrap());
            for (name, value) in plain.get_envs() {
                match value {
                    Some(value) => confined.env(name, value),
                    None => confined.env_remove(name),
                };
            }
            confined
        }
        false => plain,
    };
    command.envs(variables.iter().cloned()).stdin(Stdio::null());
    Run::of(command)
}

#[test]
fn folders_that_may_not_be_read_are_skipped() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let image = registry.name("my/app:1");
    let push =
        |variables: &[(&str, String)]| confined(&lab, &["push", "app.toml", &image], variables);
    let path = |name: &str| lab.path(name).display().to_string();
    let certificates = format!("config/containers/certs.d/{}", registry.address);
    lab.file(format!("{certificates}/ca.crt"), "not read");
    lab.mode(&certificates, 0o000);
    push(&[("XDG_CONFIG_HOME", path("config"))]).ok();
    lab.mode(&certificates, 0o755);
    let read = push(&[("XDG_CONFIG_HOME", path("config"))]);
    assert!(read.stderr().contains("ca.crt: it has no certificate"), "{}", read.stderr());

    lab.file("run/containers/auth.json", "not read");
    lab.mode("run/containers", 0o000);
    push(&[("XDG_RUNTIME_DIR", path("run"))]).ok();
    lab.mode("run/containers", 0o755);
    push(&[("HOME", "/dev/null".to_owned())]).ok();
}

#[test]
fn a_file_with_credentials_that_is_there_must_be_readable() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let arguments = ["push", "app.toml", &registry.name("my/app:1")];
    lab.file("home/.docker/config.json", "{}");
    lab.mode("home/.docker/config.json", 0o000);
    let run = confined(&lab, &arguments, &[]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("config.json: failed to read credentials"), "{}", run.stderr());
    // One that the user names must not be in such a folder either.
    lab.file("closed/auth.json", "{}");
    lab.mode("closed", 0o000);
    let named = lab.path("closed/auth.json").display().to_string();
    let run = confined(&lab, &arguments, &[("REGISTRY_AUTH_FILE", named)]);
    lab.mode("closed", 0o755);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("auth.json: failed to read credentials"), "{}", run.stderr());
}

#[test]
fn an_empty_variable_for_settings_means_the_usual_folder() {
    let lab = Lab::new();
    let registry = Registry::for_user(&lab, "captain", "hunter2");
    recipe(&lab, "");
    let folder = format!("containers/certs.d/{}", registry.address);
    lab.file(format!("{folder}/ca.crt"), "in the folder of the recipe");
    let auths = json!({ "auths": {
        registry.address.to_string(): { "auth": STANDARD.encode("captain:hunter2") }
    } });
    lab.file("home/.config/containers/auth.json", auths.to_string());
    let arguments = ["push", "app.toml", &registry.name("my/app:1")];
    let mut push = command(&lab, arguments);
    push.env("XDG_CONFIG_HOME", "");
    Run::of(push).ok();
    lab.file(format!("home/.config/{folder}/ca.crt"), "in the user's folder");
    let run = seatrial(&lab, arguments);
    assert!(run.stderr().contains("ca.crt: it has no certificate"), "{}", run.stderr());
}

#[test]
fn settings_of_podman_that_may_not_be_read_are_skipped_unless_the_user_names_them() {
    let (lab, registry) = (Lab::new(), Registry::start());
    recipe(&lab, "");
    let arguments = ["push", "app.toml", &registry.name("my/app:1")];
    let push = |variables: &[(&str, String)]| confined(&lab, &arguments, variables);
    let path = |name: &str| lab.path(name).display().to_string();
    let config = [("XDG_CONFIG_HOME", path("config"))];
    for (file, closed) in [
        ("registries.conf", "registries.conf"),
        ("registries.conf.d/more.conf", "registries.conf.d/more.conf"),
        ("registries.conf.d/more.conf", "registries.conf.d"),
    ] {
        lab.file(format!("config/containers/{file}"), "no settings");
        let closed = format!("config/containers/{closed}");
        lab.mode(&closed, 0o000);
        push(&config).ok();
        lab.mode(&closed, 0o755);
        let read = push(&config);
        assert!(read.stderr().contains(file), "{}", read.stderr());
        std::fs::remove_file(lab.path(format!("config/containers/{file}"))).unwrap();
    }
    lab.file("named.conf", "");
    lab.mode("named.conf", 0o000);
    let run = push(&[("CONTAINERS_REGISTRIES_CONF", path("named.conf"))]);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("named.conf: failed to read it"), "{}", run.stderr());
}
