//! Limits for guests and for other users of this host.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use crate::workbench::{GUEST, NamedVm, run, seatrial, stdout};

#[test]
fn a_cache_that_other_users_can_change_is_refused() {
    let cache = TempDir::new().unwrap();
    for mode in [0o777, 0o770] {
        std::fs::set_permissions(cache.path(), Permissions::from_mode(mode)).unwrap();
        let mut list = Command::new(env!("CARGO_BIN_EXE_seatrial"));
        let list = run(list.args(["vm", "list"]).env("XDG_CACHE_HOME", cache.path()));
        let error = String::from_utf8_lossy(&list.stderr);
        assert_eq!(list.status.code(), Some(3), "{error}");
        assert!(error.contains("other users"), "{error}");
        assert!(error.contains("set XDG_CACHE_HOME to a folder of your own"), "{error}");
    }
}

/// A guest whose root replaces the guest agent can send anything to the host.
#[test]
fn endless_lines_from_the_guest_do_not_use_the_hosts_memory() {
    let up = NamedVm("hostile");
    stdout(&seatrial(&["vm", "up", GUEST, "--name", up.0]));
    let script = "port=$(dirname $(grep -l org.qemu.guest_agent.0 /sys/class/virtio-ports/*/name));
                  (sleep 2; systemctl stop seatrial-agent
                   tr '\\0' x </dev/zero >/dev/${port##*/}) \
                  >/dev/null 2>&1 </dev/null &";
    stdout(&seatrial(&["vm", "exec", up.0, "--", "setsid", "sh", "-c", script]));
    // Enough for threads and code, and for a line of the greatest length in several forms.
    let mut exec = Command::new("prlimit");
    exec.arg("--data=600000000").arg(env!("CARGO_BIN_EXE_seatrial"));
    exec.args(["vm", "exec", up.0, "--", "true"]);
    // The agent answers until the guest has stopped it.
    let mut output = run(&mut exec);
    while output.status.success() {
        output = run(&mut exec);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{error}");
    // The guest may stop the agent between any two of its commands.
    assert!(error.starts_with("seatrial: the guest agent failed to run guest-"), "{error}");
}
