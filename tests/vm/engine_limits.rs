//! Test cases that engines skip because they cannot run them, and requests that a node rejects.

use std::fs;
use std::process::Command;

use seatrial::harness::Daemon;
use serde_json::Value;
use tempfile::TempDir;

use crate::workbench::run;

const EXPECTATIONS: &str = r#"
[[run]]
name = "prints"
exit_code = 3
stdout = "out\n"
stderr = "7:8 in /tmp\n"
[run.container]
command = ["/busybox", "sh", "-c", """
echo out; echo $(/busybox id -u):$(/busybox id -g) in $PWD >&2; exit $CODE"""]
env = { CODE = "3" }
user = "7:8"
working_dir = "/tmp"
[[run]]
name = "reads"
container = { command = ["/busybox", "cat"], stdin = "in\n" }
stdout = "in\n"
[[run]]
name = "writes"
container = { command = ["/busybox", "touch", "/volume/file"], volumes = ["/volume"] }
[[run]]
name = "is absent"
container.command = ["/absent"]
[[service]]
name = "serves"
container.command = ["/busybox", "sh", "-c", """
/busybox httpd -p 8080; trap 'exit 5' TERM; while :; do /busybox sleep 0.1; done"""]
ready.port = 8080
http = [{ port = 8080, path = "/absent", status = 404 }]
stop = { timeout = 9, exit_code = 5 }
"#;

#[test]
fn podman_and_containerd_run_an_image_and_skip_what_they_do_not_support() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let recipe = "name='app'\ntag='1'\ncontents='root'\n[config]\nEnv=['A=b']\n";
    fs::create_dir_all(root.join("root/tmp")).unwrap();
    fs::copy("/bin/busybox", root.join("root/busybox")).unwrap();
    fs::write(root.join("app.toml"), recipe).unwrap();
    fs::write(root.join("expected.toml"), EXPECTATIONS).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    check.current_dir(root).args(["check", "app.toml", "--expect", "expected.toml", "--json"]);
    check.args(["--engine", "podman-5.4", "--engine", "containerd-1.7"]);
    let output = run(&mut check);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (engine, volume, start_error) in [
        ("podman-5.4", "passed", "executable file `/absent` not found"),
        ("containerd-1.7", "skipped", "stat /absent: no such file or directory"),
    ] {
        let cases: Vec<&Value> = verdict["cases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["engine"] == engine)
            .collect();
        let outcomes: Vec<(&str, &str)> = cases
            .iter()
            .map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap()))
            .collect();
        let expected = [
            ("loads with the expected name", "passed"),
            ("environment of a container", "passed"),
            ("run prints", "passed"),
            ("run reads", "passed"),
            ("run writes", volume),
            ("run is absent", "failed"),
            ("service serves", "passed"),
        ];
        assert_eq!(outcomes, expected, "{engine}: {cases:#?}");
        let absent = cases.iter().find(|case| case["name"] == "run is absent").unwrap();
        assert!(absent.to_string().contains(start_error), "{absent:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containerd_node_rejects_requests_without_a_client_certificate() {
    let daemon =
        Daemon::start("containerd-1.7", Default::default()).await.unwrap_or_else(|e| panic!("{e}"));
    let (port, keys) = (daemon.vm().port(), daemon.vm().folder());
    // CRI, the node's own service, and the server for standard input.
    for name in ["localhost", "node.localhost", "stream.localhost"] {
        let request = |with_certificate: bool| {
            let mut curl = Command::new("curl");
            curl.args(["-s", "-m", "10", "--http0.9", "-d", "log /var/log/pods/none"]);
            curl.arg("--cacert").arg(keys.join("ca.pem"));
            curl.args(["--resolve", &format!("{name}:{port}:127.0.0.1")]);
            if with_certificate {
                curl.arg("--cert").arg(keys.join("cert.pem"));
                curl.arg("--key").arg(keys.join("key.pem"));
            }
            let output = run(curl.arg(format!("https://{name}:{port}/")));
            (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let (code, answer) = request(false);
        assert!(code != Some(0) && answer.is_empty(), "{name}: {code:?} {answer:?}");
        if name == "node.localhost" {
            let (_, answer) = request(true);
            assert!(answer.contains("unknown request"), "{answer}");
        }
        if name == "stream.localhost" {
            let (_, answer) = request(true);
            assert!(answer.contains("404"), "{answer}");
        }
    }
}
