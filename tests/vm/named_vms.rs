//! Named VMs: `seatrial vm up`, `list`, `exec`, `logs` and `down`.

use std::process::Command;

use crate::workbench::{GUEST, seatrial, stdout};

/// A named VM that ends even if the test fails.
struct Up(&'static str);

impl Drop for Up {
    fn drop(&mut self) {
        seatrial(&["vm", "down", self.0]);
    }
}

#[test]
fn a_named_vm_is_listed_and_serves_docker_until_it_is_ended() {
    let up = Up("named-by-a-test");
    let output = stdout(&seatrial(&["vm", "up", GUEST, "--name", up.0, "--json"]));
    let vm: serde_json::Value = serde_json::from_str(&output).unwrap();
    let folder = vm["folder"].as_str().unwrap();
    assert!(stdout(&seatrial(&["vm", "list"])).contains(up.0));
    let second = seatrial(&["vm", "up", GUEST, "--name", up.0]);
    assert_eq!(second.status.code(), Some(2));
    let error = String::from_utf8_lossy(&second.stderr);
    assert!(error.contains("a VM named \"named-by-a-test\" is running"), "{error}");

    // An ordinary client with the exported certificate.
    let pem = |name: &str| format!("{folder}/{name}.pem");
    let address = format!("https://localhost:{}/version", vm["port"]);
    let (ca, cert, key) = (pem("ca"), pem("cert"), pem("key"));
    let arguments = ["-sS", "-m", "20", "--cacert", &ca, "--cert", &cert, "--key", &key, &address];
    let version = stdout(&Command::new("curl").args(arguments).output().unwrap());
    assert!(version.contains("\"Version\":\"20.10."), "{version}");

    let script = "echo in the guest; echo oops >&2; exit 5";
    let output = seatrial(&["vm", "exec", up.0, "--", "sh", "-c", script]);
    assert_eq!(
        (output.status.code(), &output.stdout[..], &output.stderr[..]),
        (Some(5), &b"in the guest\n"[..], &b"oops\n"[..])
    );
    let logs = stdout(&seatrial(&["vm", "logs", up.0, "--unit", "docker.service"]));
    assert!(logs.contains("API listen on"), "{logs}");

    stdout(&seatrial(&["vm", "down", up.0]));
    assert!(!std::path::Path::new(folder).exists());
    let after = seatrial(&["vm", "exec", up.0, "--", "true"]);
    assert_eq!(after.status.code(), Some(2));
    let error = String::from_utf8_lossy(&after.stderr);
    assert!(error.contains("there is no VM named \"named-by-a-test\""), "{error}");
}
