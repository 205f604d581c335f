//! Help, completions, and what a mistake in arguments or a recipe leads to.

use crate::cli::{lab, shell};
#[cfg(feature = "registry")]
use crate::lab::Lab;
#[cfg(feature = "vm")]
use crate::lab::Run;

#[test]
fn common_mistakes_are_explained_in_one_line() {
    let lab = lab();
    lab.file("typo.toml", "name = 'app'\ncontent = ['tree']\n");
    lab.file("renamed.toml", "name = 'app'\nlayout = 'single'\n");
    lab.file("nameless.toml", "contents = ['tree']\n");
    lab.file("name.toml", "name = 'My App'\n");
    lab.file("text.toml", "name = 'app'\n[config]\nCmd = '/bin/app'\n");
    lab.file("field.toml", "name = 'app'\n[config]\nCmdd = ['/bin/app']\n");
    lab.file("base.toml", "name = 'app'\nfrom_image = 'docker-archive:recipe.toml'\n");
    lab.file("absent.toml", "name = 'app'\ncontents = ['absent']\n");
    let platforms = "name = 'app'\ntag = '1'\nplatforms = ['linux/amd64', 'linux/arm64']\n";
    lab.file("platforms.toml", platforms);
    for (recipe, expected) in [
        ("typo.toml", "typo.toml:2: unknown key \"content\"; did you mean \"contents\"?"),
        ("renamed.toml", "renamed.toml:2: unknown key \"layout\"; it is now called \"layering\""),
        ("nameless.toml", "nameless.toml:1: missing key \"name\""),
        (
            "name.toml",
            "name.toml: invalid image name \"My App\": only letters, digits, '.', '_' and '-' \
             are allowed between slashes",
        ),
        (
            "text.toml",
            "text.toml: config.Cmd must be a list of strings, but is the string \"/bin/app\"; \
             write [\"/bin/app\"]",
        ),
        ("field.toml", "field.toml: config has no field \"Cmdd\"; did you mean \"Cmd\"?"),
        (
            "base.toml",
            "base.toml: from_image: recipe.toml: not an image; expected a docker-archive or an OCI \
             layout; if it is a recipe, build it first",
        ),
        (
            "absent.toml",
            "absent.toml: contents: failed to read absent: there is no such file; paths are \
             relative to the recipe's folder",
        ),
        ("missing.toml", "failed to read missing.toml: No such file or directory"),
        (
            "platforms.toml",
            "platforms.toml: a docker-archive holds one platform, but the recipe has several; use \
             --format oci or dual",
        ),
    ] {
        let message = lab.seatrial(["build", recipe, "-o", "x.tar"]).rejected(&lab, "x.tar");
        assert_eq!(message, format!("seatrial: {expected}\n"));
    }
}

#[test]
#[cfg(feature = "vm")]
fn an_unknown_flag_is_named_although_the_command_in_the_vm_has_egress() {
    let arguments = ["vm", "exec", "x", "--bogus", "--", "prog", "--egress", "host"];
    let run = lab().seatrial(arguments);
    assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
    assert!(run.stderr().contains("unexpected argument '--bogus' found"), "{}", run.stderr());
}

#[test]
#[cfg(all(feature = "registry", feature = "vm"))]
fn a_time_limit_of_more_than_a_year_is_a_usage_error() {
    let lab = lab();
    for seconds in ["31536001", "18446744073709551615"] {
        let limit = ["--timeout", seconds];
        for (command, flag) in [
            (&["vm", "exec"][..], &limit),
            (&["vm", "up", "docker-28"], &limit),
            (&["load", "recipe.toml"], &limit),
            (&["replay", "socket-activation"], &limit),
            (&["pull", "localhost:1/x"], &["--registry-timeout", seconds]),
        ] {
            let run = lab.seatrial(command.iter().chain(flag));
            assert_eq!(run.output.status.code(), Some(2), "{command:?}: {}", run.stderr());
            assert!(run.stderr().contains(" to 31536000"), "{command:?}: {}", run.stderr());
        }
    }
}

#[test]
#[cfg(feature = "vm")]
fn mistakes_about_engines_are_found_before_a_vm_starts() {
    let lab = lab();
    lab.file("app.expect.toml", "[env]\nhas = { A = '1' }\n");
    let check = ["check", "recipe.toml", "--expect", "app.expect.toml", "--engine"];
    for (arguments, expected) in [
        (
            [&check[..], &["dokcer-28"]].concat(),
            "there is no engine \"dokcer-28\"; did you mean \"docker-28\"?",
        ),
        (
            [&check[..], &["debian"]].concat(),
            "there is no engine \"debian\"; `seatrial vm list` lists all",
        ),
        (
            [&check[..], &["dockr"]].concat(),
            "there is no engine \"dockr\"; did you mean \"docker\"?",
        ),
        (
            vec!["vm", "up", "podman"],
            "podman stands for several guests; name one: podman-4.3, podman-5.4, podman-5.8",
        ),
        (
            vec!["check", "recipe.toml"],
            "there are no expectations; give --expect FILE, which seatrial expect IMAGE drafts",
        ),
        (
            vec!["check", "recipe.toml", "--egress", "host"],
            "the value of --egress follows a =, as in --egress=host",
        ),
        (
            vec!["vm", "up", "docker-28", "--egress", "network"],
            "the value of --egress follows a =, as in --egress=host",
        ),
        (
            vec!["vm", "up", "--egress", "host"],
            "the value of --egress follows a =, as in --egress=host",
        ),
        (
            vec!["vm", "up", "docker-28", "--publish", "8053:53/udp"],
            "--publish of a UDP port needs --egress: QEMU drops the answers without it",
        ),
        (
            vec!["replay", "containerd-gone", "--engine", "docker-28", "--engine", "podman-5.4"],
            "scenario containerd-gone does not apply to podman-5.4; it applies to: docker",
        ),
        (
            vec!["load", "recipe.toml", "--host", "localhost"],
            "invalid engine address \"localhost\"; write unix:///PATH or tcp://HOST:PORT",
        ),
    ] {
        let message = lab.seatrial(arguments).rejected(&lab, "x");
        assert_eq!(message, format!("seatrial: {expected}\n"));
    }
    let run = lab.seatrial(["load", "recipe.toml", "--host", "unix:///nowhere/docker.sock"]);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    let expected = "seatrial: failed to connect to the daemon at unix:///nowhere/docker.sock: \
                    there is no such socket; start the daemon, set DOCKER_HOST, or pass --host\n";
    assert_eq!(run.stderr(), expected);
    // Nothing listens there.
    let run = lab.seatrial(["load", "recipe.toml", "--host", "tcp://127.0.0.1:1"]);
    let expected = "seatrial: failed to connect to the daemon at tcp://127.0.0.1:1: Connection \
                    refused; start the daemon, set DOCKER_HOST, or pass --host\n";
    assert_eq!(run.stderr(), expected);
    // inspect has no flag --host.
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command
        .args(["inspect", "docker-daemon:x:1"])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    let expected = "there is no such socket; start the daemon, or set DOCKER_HOST\n";
    assert!(Run::of(command).stderr().ends_with(expected));
    let arguments = [&check[..], &["docker-28"]].concat();
    let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
    command.args(arguments).env("PATH", "/nowhere");
    let run = Run::of(command);
    assert_eq!(run.output.status.code(), Some(3), "{}", run.stderr());
    assert!(
        run.stdout().contains("is not installed; install the Debian package "),
        "{}",
        run.stdout()
    );
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let lab = lab();
    let script = r#"
        eval "$("$SEATRIAL" completions bash)"
        complete() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _seatrial seatrial "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
            echo "${COMPREPLY[*]}"
        }
        complete seatrial refer
        complete seatrial build --comp
        complete seatrial build --compress z"#;
    assert_eq!(shell(&lab, script).ok(), "reference\n--compress\nzstd\n");
}

#[test]
fn usage_errors_have_exit_code_2() {
    let lab = lab();
    for arguments in [
        &["biuld"][..],
        &["build"],
        &["build", "recipe.toml", "--format", "zip"],
        &["stream", "--threads", "0", "x"],
    ] {
        assert_eq!(lab.seatrial(arguments).output.status.code(), Some(2), "{arguments:?}");
    }
    assert!(lab.seatrial(["biuld"]).stderr().contains("'build'"));
}

#[test]
fn every_command_has_a_summary_and_examples_within_80_columns() {
    let lab = lab();
    let mut commands = vec!["build", "stream", "reference", "inspect", "doctor"];
    if cfg!(feature = "vm") {
        commands.extend(["load", "check", "replay", "vm", "vm list", "vm prepare", "vm up"]);
        commands.extend(["vm exec", "vm logs", "vm down", "vm prune"]);
    }
    for command in commands {
        let help = lab.seatrial(command.split(' ').chain(["--help"])).ok();
        let verb = help.split(' ').next().unwrap();
        assert!(
            verb.trim_end_matches(',').ends_with('s'),
            "summaries begin with a verb in the third person: {help}"
        );
        assert!(help.contains("\nExample"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

#[test]
#[cfg(feature = "vm")]
fn renamed_flags_are_errors_that_name_the_new_flags() {
    let lab = lab();
    for (arguments, old, new) in [
        (["replay", "original", "--policy=ready"], "--policy", "--wait"),
        (["replay", "original", "--patience=9"], "--patience", "--timeout"),
        (["vm", "prepare", "--no-template"], "--no-template", "--no-snapshot"),
    ] {
        let run = lab.seatrial(arguments);
        assert_eq!(run.output.status.code(), Some(2), "{}", run.stderr());
        let expected = format!(
            "error: unexpected argument '{old}' found\n\n  tip: '{old}' was renamed; use '{new}'\n"
        );
        assert!(run.stderr().starts_with(&expected), "{}", run.stderr());
    }
}

#[cfg(feature = "registry")]
#[test]
fn arguments_that_only_recipes_have_are_errors_for_images() {
    let lab = Lab::new();
    lab.file("tree/file", "");
    lab.build_with("name='x'\ntag='1'\ncontents='tree'\n", "image.tar", &[]);
    // Found before anything is connected to: nobody listens there.
    let mut commands = vec![["push", "image.tar", "localhost:1/x:1"]];
    if cfg!(feature = "vm") {
        commands.push(["load", "image.tar", "--host=tcp://localhost:1"]);
    }
    for command in commands {
        for argument in ["--verify", "--refresh", "--locked", "--tag=2", "--name=y"] {
            let run = lab.seatrial(command.iter().chain(&[argument]));
            let (code, message) = (run.output.status.code(), run.stderr());
            assert_eq!(code, Some(2), "{command:?} {argument}: {message}");
            let flag = argument.split('=').next().unwrap();
            let refused = message.contains(flag) && message.contains("only for recipes");
            assert!(refused, "{command:?} {argument}: {message}");
        }
    }
}

#[cfg(feature = "vm")]
#[test]
fn a_shell_whose_vm_has_ended_learns_which_variables_to_unset() {
    let lab = lab();
    let unset = "unset SEATRIAL_VM DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH";
    let certificates = lab.path("ended").display().to_string();
    for (arguments, in_shell) in [
        (&["vm", "down", "--all"][..], true),
        (&["load", "recipe.toml"], true),
        (&["vm", "exec", "--", "true"], true),
        (&["vm", "down", "--all"], false),
    ] {
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(arguments).env_remove("SEATRIAL_VM");
        if in_shell {
            command.env("SEATRIAL_VM", "ended").env("DOCKER_HOST", "tcp://localhost:1");
            command.env("DOCKER_TLS_VERIFY", "1").env("DOCKER_CERT_PATH", &certificates);
        }
        let stderr = Run::of(command).stderr();
        assert_eq!(stderr.contains(unset), in_shell, "{arguments:?}: {stderr}");
    }
}

#[cfg(feature = "vm")]
#[test]
fn pipes_in_the_place_of_keys_and_settings_of_docker_are_not_read() {
    let lab = lab();
    lab.file("keys/note", "");
    lab.tool("mkfifo", ["keys/ca.pem", "keys/config.json"]);
    let load = |variables: &[(&str, &str)]| {
        let mut command = lab.command(env!("CARGO_BIN_EXE_seatrial"));
        command.args(["load", "recipe.toml"]).env_remove("SEATRIAL_VM").env_remove("DOCKER_HOST");
        command.envs(variables.iter().copied());
        Run::of(command).stderr()
    };
    let keys = lab.path("keys").display().to_string();
    let (host, tls) = (("DOCKER_HOST", "tcp://localhost:1"), ("DOCKER_TLS_VERIFY", "1"));
    let message = load(&[host, tls, ("DOCKER_CERT_PATH", &keys)]);
    assert!(message.contains("ca.pem: it is a pipe, not a regular file"), "{message}");
    let message = load(&[("DOCKER_CONFIG", &keys)]);
    assert!(message.contains("config.json: it is a pipe, not a regular file"), "{message}");
}
