//! Steps of users without a range of IDs on Linux 6.1, which the guest runs: up to 6.10, the end of
//! a command is reported differently to the program that records owners.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::workbench::{GUEST, NamedVm, run, seatrial, stdout};

/// Puts the program and bubblewrap with their libraries into a tar, since those of the guest are
/// older. Its arguments: the program.
const PACK: &str = r#"mkdir -p tool/bin tool/lib
for program in "$1" "$(command -v bwrap)"; do
    name=$(basename "$program")
    cp "$program" "tool/lib/$name.program"
    ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' >libraries
    xargs cp -L -t tool/lib <libraries
    loader=$(basename "$(grep /ld- libraries)")
    printf '#!/bin/sh\nexec /opt/tool/lib/%s --library-path /opt/tool/lib %s "$@"\n' \
        "$loader" "/opt/tool/lib/$name.program" >"tool/bin/$name"
    chmod +x "tool/bin/$name"
done
cp -r image tool/; tar -cf tool.tar tool"#;

/// Unpacks the tar on a file system that may hold changes of an overlay.
const UNPACK: &str = "chmod 711 /var/lib/docker; mkdir -p /var/lib/docker/home
tar -C /var/lib/docker -xf -; ln -s /var/lib/docker/tool /opt/tool
cp -r /opt/tool/image /var/lib/docker/home; chown -R 1000:1000 /var/lib/docker/home";

/// Runs the program as a user without a range. Its arguments are those of the program.
const AS_USER: &str = "cd /var/lib/docker/home/image
export PATH=/opt/tool/bin:/usr/bin:/bin HOME=/var/lib/docker/home
exec setpriv --reuid 1000 --regid 1000 --clear-groups \"$@\"";

/// Waits until the user has no process, and fails if one or a working folder is left.
const NOTHING_IS_LEFT: &str = "for attempt in $(seq 300); do
    pgrep -U 1000 >/dev/null || break; sleep 0.1
done
! pgrep -U 1000 && cd /var/lib/docker/home/.cache/seatrial/steps/work && test -z \"$(ls -A)\"";

const RECIPE: &str = r#"
name = "x"
tag = "1"
mtime = "2024-01-01"
contents = [{ source = "busybox", target = "/bin/busybox" }]
[[path]]
path = "/bin/sh"
type = "symlink"
target = "busybox"
[[path]]
path = "/opt/link"
type = "symlink"
target = "x"
owner = "7:8"
[[run]]
command = '''
busybox mkdir -p srv/a; echo 1 >srv/a/file; busybox chown -R 1000:1001 srv/a
busybox chmod 4755 srv/a/file; busybox ln -s x srv/link; busybox chown -h 5:6 srv/link
busybox mkfifo srv/pipe; busybox chown 9:9 srv/pipe; busybox chmod 777 srv
test "$(busybox stat -c %u:%g opt/link srv/a/file)" = "7:8
1000:1001"
(busybox sleep 1; echo late >srv/late) &
'''
[[run]]
command = "test $(busybox id -u) = 1000; echo 2 >srv/mine"
user = "1000:1001"
"#;

/// A step with processes that do not end by themselves.
const HANGING: &str = r#"
name = "x"
contents = [{ source = "busybox", target = "/bin/busybox" }]
[[run]]
args = ["/bin/busybox", "sh", "-c", "busybox sleep 1000 & busybox sleep 1000; wait"]
"#;

fn in_guest(vm: &NamedVm, command: &[&str]) -> String {
    stdout(&seatrial(&[&["vm", "exec", vm.0, "--"], command].concat()))
}

/// Starts a VM with the program in it, and with the files in `image`.
fn up(folder: &Path) -> NamedVm {
    let mut pack = Command::new("bash");
    pack.args(["-ec", PACK, "-", env!("CARGO_BIN_EXE_seatrial")]).current_dir(folder);
    stdout(&run(&mut pack));
    let vm = NamedVm("older-linux");
    stdout(&seatrial(&["vm", "up", GUEST, "--name", vm.0]));
    let mut unpack = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    unpack.args(["vm", "exec", "-i", vm.0, "--", "sh", "-ec", UNPACK]);
    unpack.stdin(Stdio::from(File::open(folder.join("tool.tar")).unwrap()));
    stdout(&run(&mut unpack));
    vm
}

fn diff_ids(summary: &str) -> Vec<String> {
    let summary: Value = serde_json::from_str(summary).unwrap();
    let layers = summary["layers"].as_array().unwrap().iter();
    layers.map(|layer| layer["diff_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn steps_that_record_owners_work_on_linux_6_1() {
    let folder = TempDir::new().unwrap();
    let image = folder.path().join("image");
    std::fs::create_dir(&image).unwrap();
    std::fs::copy("/bin/busybox", image.join("busybox")).unwrap();
    std::fs::write(image.join("recipe.toml"), RECIPE).unwrap();
    std::fs::write(image.join("hanging.toml"), HANGING).unwrap();
    let vm = up(folder.path());
    assert!(in_guest(&vm, &["uname", "-r"]).starts_with("6.1."));
    let build = ["seatrial", "build", "recipe.toml", "--json", "-o", "out.tar"];
    let as_user = ["bash", "-ec", AS_USER, "-"];
    let summary = in_guest(&vm, &[&as_user[..], &build].concat());
    in_guest(&vm, &["bash", "-ec", NOTHING_IS_LEFT]);
    let mut here = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    here.args(&build[1..]).arg("--no-cache").current_dir(&image);
    assert_eq!(diff_ids(&summary), diff_ids(&stdout(&run(&mut here))));
    for seconds in ["0.5", "2", "5"] {
        let build = ["timeout", "-s", "KILL", seconds, "seatrial", "build", "hanging.toml"];
        let killed = seatrial(&[&["vm", "exec", vm.0, "--"], &as_user[..], &build].concat());
        assert_eq!(killed.status.code(), Some(137), "{killed:?}");
        in_guest(&vm, &["bash", "-ec", NOTHING_IS_LEFT]);
    }
}
