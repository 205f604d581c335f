use std::process::Command;

use crate::dock::{GUEST, seatrial, stdout};

/// A kept machine that a failing test does not leave behind.
struct Up(&'static str);

impl Drop for Up {
    fn drop(&mut self) {
        seatrial(&["vm", "down", self.0]);
    }
}

#[test]
fn a_kept_machine_is_listed_and_serves_docker_until_it_is_taken_down() {
    let up = Up("kept-by-a-test");
    let kept: serde_json::Value =
        serde_json::from_str(&stdout(&seatrial(&["vm", "up", GUEST, "--name", up.0, "--json"])))
            .unwrap();
    let folder = kept["folder"].as_str().unwrap();
    assert!(stdout(&seatrial(&["vm", "list"])).contains(up.0));
    let again = seatrial(&["vm", "up", GUEST, "--name", up.0]);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&again.stderr)
            .contains("there is a machine \"kept-by-a-test\" already")
    );

    // An ordinary client with the exported keys.
    let key = |name: &str| format!("{folder}/{name}.pem");
    let address = format!("https://localhost:{}/version", kept["port"]);
    let (ca, cert, private) = (key("ca"), key("cert"), key("key"));
    let client = ["-sS", "-m", "20", "--cacert", &ca, "--cert", &cert, "--key", &private, &address];
    let version = stdout(&Command::new("curl").args(client).output().unwrap());
    assert!(version.contains("\"Version\":\"20.10."), "{version}");

    let ran = seatrial(&[
        "vm",
        "exec",
        up.0,
        "--",
        "sh",
        "-c",
        "echo in the guest; echo oops >&2; exit 5",
    ]);
    assert_eq!(
        (ran.status.code(), &ran.stdout[..], &ran.stderr[..]),
        (Some(5), &b"in the guest\n"[..], &b"oops\n"[..])
    );
    let logs = stdout(&seatrial(&["vm", "logs", up.0, "--unit", "docker.service"]));
    assert!(logs.contains("API listen on"), "{logs}");

    stdout(&seatrial(&["vm", "down", up.0]));
    assert!(!std::path::Path::new(folder).exists());
    let gone = seatrial(&["vm", "exec", up.0, "--", "true"]);
    assert_eq!(gone.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&gone.stderr).contains("there is no machine \"kept-by-a-test\"")
    );
}
