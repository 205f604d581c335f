//! Containers beside a service, settings of containers, and starts that fail, on several engines.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{SampleImage, outcomes};
use crate::stores::{STORES, make_stores};
use crate::verdicts::mismatches;

/// Test cases that hold on every engine that can run them.
const EXPECTATIONS: &str = r#"
[container.store]
aliases = ["keeper"]
ready = { http = { port = 8001, path = "/stock", body = "apples" } }
[container.store.container]
user = "0"
shell = '''
echo -n apples >/www/stock; busybox mkdir /www/cgi-bin
printf '#!/bin/sh\necho; exec /bin/busybox wget -qO- http://copy:8002/copy' >/www/cgi-bin/copy
busybox chmod 755 /www/cgi-bin/copy; exec httpd -f -p 8001 -h /www'''
[container.copy]
depends_on = ["store"]
ready = { http = { port = 8002, path = "/copy", body = "apples" }, exec = ["/bin/true"] }
[container.copy.container]
user = "0"
shell = "busybox wget -qO /www/copy http://keeper:8001/stock && exec httpd -f -p 8002 -h /www"

[[run]]
name = "reaches containers through one that was started before"
container.shell = "busybox wget -qO- http://store:8001/cgi-bin/copy"
stdout = "apples"
[[run]]
name = "reaches containers by address"
container.shell = "busybox wget -qO- http://$STORE:8001/stock"
container.env = { STORE = "{store.address}" }
stdout = "apples"
[[run]]
name = "is killed"
container.shell = "sh -c 'kill -9 $$'; exit $?"
exit_code = "SIGKILL"
[[run]]
name = "is refused"
container.entrypoint = ["/bin/absent"]
start = "fails"
start_error = { contains = "absent" }
[[service]]
name = "lacks its config"
container.shell = "echo 'no config' >&2; exit 3"
start = "fails"
ready = { port = 8003 }
exit_code = 3
log = "no config"
[[service]]
name = "is refused by the engine"
container.entrypoint = ["/bin/absent"]
start = "fails"
ready = {}
log = "absent"
[[service]]
name = "restricted"
ready = { log = "started" }
exec = [{ command = ["/bin/id", "-u"], stdout = "7\n" }]
log = """
CapEff:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
"""
[service.container]
restricted = true
shell = "busybox grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; echo started; sleep 99"
[[service]]
name = "restricted as root"
container = { restricted = true, user = "0" }
ready = {}
[[service]]
name = "with files and signals"
ready = { log = "started" }
exec = [{ command = ["/bin/id", "-u"], user = "web", stdout = "5\n" }]
stop = { signal = "SIGUSR1", exit_code = 5 }
[[service.file]]
path = "/tmp/made"
mode = "0640"
uid = 0
user = "root"
group = "crew"
content = "made\n"
[[service.file]]
path = "/www/absent"
exists = false
[service.container]
user = "0"
shell = """
trap 'exit 5' USR1; busybox mkdir /tmp; umask 027; echo made >/tmp/made
echo crew:x:0: >>/etc/group; echo started
while :; do sleep 0.1; done"""
[[service]]
name = "with files"
ready = { log = "started" }
[[service.file]]
path = "/out/made"
type = "file"
mode = "0640"
uid = 5
gid = 6
size = 5
content = "made\n"
[[service.file]]
path = "/out/link"
type = "symlink"
target = "../../../made"
[[service.file]]
path = "/link"
follow = true
content = "made\n"
[[service.file]]
path = "/out"
type = "directory"
mode = "1775"
[[service.file]]
path = "/out/pipe"
type = "special"
[[service.file]]
path = "/outside"
follow = true
exists = false
[[service.file]]
path = "/out/loop"
follow = true
exists = false
[[service.file]]
path = "/scratch/made"
content = "made\n"
[[service.file]]
path = "/dev/null"
type = "special"
[service.container]
user = "0"
tmpfs = ["/scratch"]
shell = """
echo made >/scratch/made; umask 002; busybox mkdir -p /out; busybox chmod 1775 /out
umask 027; echo made >/out/made
busybox chown 5:6 /out/made; busybox cp -p /out/made /made; busybox ln -s ../../../made /out/link
busybox ln -s out/link /link; busybox mkfifo /out/pipe; busybox ln -s loop /out/loop
busybox ln -s ../../etc/debian_version /outside; echo started; exec sleep 99"""
[[service]]
name = "with settings of commands"
ready = { log = "started" }
container = { shell = "echo started; sleep 99", env = { KEPT = "kept", GREETING = "none" } }
[[service.exec]]
shell = 'echo "$(pwd), $KEPT, $GREETING"; exit 5'
working_dir = "/www"
env = { GREETING = "it's me" }
exit_code = 5
stdout = "/www, kept, it's me\n"
[[service]]
name = "with input of commands"
ready = { log = "started" }
container.shell = "echo started; sleep 99"
[[service.exec]]
command = ["/bin/busybox", "sh", "-c", "cat; pwd; echo $GREETING"]
env = { GREETING = "hello" }
working_dir = "/www"
stdin = "given\n"
stdout = "given\n/www\nhello\n"
"#;

/// Settings that belong to a pod over CRI, so there is no container beside these.
const SETTINGS: &str = r#"
[[run]]
name = "limits"
stdout = """
67108864
99
7
in 9
read-only
kept
deck
80
"""
[run.container]
memory_mib = 64
pids_limit = 99
groups = ["9"]
read_only = true
tmpfs = ["/scratch"]
hostname = "deck"
sysctls = { "net.ipv4.ip_unprivileged_port_start" = "80" }
shell = """
cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; id -u
case " $(id -G) " in *' 9 '*) echo in 9 ;; esac
(echo x >/www/x) 2>/dev/null || echo read-only
echo kept >/scratch/x && cat /scratch/x
busybox hostname; cat /proc/sys/net/ipv4/ip_unprivileged_port_start"""
[[run]]
name = "files"
stdout = "given\n640\nread\n10.1.2.3\tbeside\n"
[run.container]
user = "0"
network = true
hosts = { beside = "10.1.2.3" }
files = [
  { path = "/etc/given", content = "given\n", mode = "0640" },
  { path = "/etc/read", source = "read.txt" },
]
shell = """
cat /etc/given; busybox stat -c %a /etc/given; cat /etc/read; busybox grep beside /etc/hosts"""
[[run]]
name = "mounts"
stdout = "deep\n640 0\nread\nread-only\n"
[run.container]
user = "0"
read_only = true
mounts = [{ path = "/srv/conf", source = "conf" }, { path = "/etc/read", source = "read.txt" }]
shell = """
cat /srv/conf/link; busybox stat -c '%a %u' /srv/conf/in/file; cat /etc/read
(echo x >/srv/conf/x) 2>/dev/null || echo read-only"""
[[run]]
name = "changes a writable mount"
[run.container]
user = "0"
mounts = [{ path = "/srv/data", source = "conf", writable = true }]
shell = "echo new >/srv/data/new && echo changed >/srv/data/in/file"
[[run]]
name = "sees the changes of others"
stdout = "new\nchanged\n"
[run.container]
user = "0"
mounts = [{ path = "/data", source = "conf", writable = true }]
shell = "cat /data/new /data/in/file"
"#;

/// Users and groups of the image's files. Over CRI, groups have numbers.
const ACCOUNTS: &str = r#"
[[run]]
name = "user by name"
container = { user = "web", shell = "id -u; id -g" }
stdout = "5\n6\n"
[[run]]
name = "group by name"
container = { user = "web", groups = ["log"], shell = 'for id in $(id -G); do echo "<$id>"; done' }
stdout = { contains = "<21>" }
"#;

#[test]
fn containers_beside_a_service_and_settings_work_on_each_engine() {
    on_each_engine(&["containerd-1.7"], services);
}

fn services(engine: &str) {
    let docker_only = if is_cri(engine) { "skipped" } else { "passed" };
    let sample = SampleImage::new();
    std::fs::create_dir_all(sample.path("rootfs/etc")).unwrap();
    // Without it, the C library asks a DNS server first.
    std::fs::write(sample.path("rootfs/etc/nsswitch.conf"), "hosts: files\n").unwrap();
    for (file, entries) in [
        ("passwd", "root:x:0:0::/:/bin/sh\nweb:x:5:6::/:/bin/sh\n"),
        ("group", "root:x:0:\nweb:x:6:\nlog:x:21:\n"),
    ] {
        std::fs::write(sample.path("rootfs/etc").join(file), entries).unwrap();
    }
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    make_stores(&sample);
    std::fs::write(sample.path("read.txt"), "read\n").unwrap();
    let file = sample.path("conf/in/file");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "deep\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("in/file", sample.path("conf/link")).unwrap();
    std::fs::write(sample.path("settings.toml"), [SETTINGS, ACCOUNTS].concat()).unwrap();
    std::fs::write(sample.path("stores.toml"), STORES).unwrap();
    let arguments = ["--engine", engine, "--expect", "settings.toml", "--expect", "stores.toml"];
    let (_, verdict) = sample.check(EXPECTATIONS, &arguments);
    let failed = |case: &&Value| case["outcome"] == "failed";
    let failed: Vec<&Value> = verdict["cases"].as_array().unwrap().iter().filter(failed).collect();
    let mut expected = vec![
        ("environment of the config", "passed"),
        ("environment of the config", "passed"),
        ("environment of the config", "passed"),
        ("loads with the expected name", "passed"),
        ("environment of a container", "passed"),
        ("container store", "passed"),
        ("container copy", "passed"),
        ("run reaches containers through one that was started before", "passed"),
        ("run reaches containers by address", "passed"),
        ("run is killed", "passed"),
        ("run is refused", "passed"),
        ("service lacks its config", "passed"),
        ("service is refused by the engine", "passed"),
        ("service restricted", "passed"),
        ("service restricted as root", "failed"),
        ("service with files and signals", docker_only),
        ("service with files", "passed"),
        ("service with settings of commands", "passed"),
        ("service with input of commands", docker_only),
        ("loads with the expected name", "passed"),
        ("environment of a container", "passed"),
        ("run limits", "passed"),
        ("run files", "passed"),
        ("run mounts", "passed"),
        ("run changes a writable mount", "passed"),
        ("run sees the changes of others", "passed"),
        ("run user by name", "passed"),
        ("run group by name", docker_only),
        ("loads with the expected name", "passed"),
        ("environment of a container", "passed"),
        ("container archived", "passed"),
        ("container baked", "passed"),
        ("run sells from an archive", "passed"),
        ("run sells from a recipe", "passed"),
        ("run sells something else", "failed"),
    ];
    if is_cri(engine) {
        // A signal of stop is a test case of its own where it cannot be sent.
        let service =
            expected.iter().position(|(name, _)| *name == "service with files and signals");
        expected.insert(service.unwrap() + 1, ("service with files and signals: stop", "skipped"));
    }
    assert_eq!(outcomes(&verdict), expected, "{failed:#?}");
    assert_eq!(mismatches(&verdict, "run sells something else"), ["standard output: \"apples\""]);
    assert!(failed[0].to_string().contains("0, which is root"), "{failed:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "deep\n");
    assert!(!sample.path("conf/new").exists());
    // Further containers start although nothing else is selected.
    let (_, verdict) =
        sample.check(EXPECTATIONS, &["--engine", engine, "--filter", "container st"]);
    assert_eq!(outcomes(&verdict), [("container store", "passed")]);
}

#[test]
fn a_restricted_root_is_not_started_beside_others_or_before_them_on_each_engine() {
    on_each_engine(&["docker-20.10"], does_not_start_a_restricted_root);
}

fn does_not_start_a_restricted_root(engine: &str) {
    let sample = SampleImage::new();
    let beside = "[container.store]\nready = {}\ncontainer = { restricted = true, user = '0' }\n\
                  [[run]]\nname = 'beside'\n";
    let after = "[[setup]]\ncontainer = { command = ['true'], user = '0' }\n\
                 [[setup]]\ncontainer = { command = ['true'], restricted = true, user = '0' }\n\
                 [[run]]\nname = 'after'\n";
    std::fs::write(sample.path("after.toml"), after).unwrap();
    let (output, verdict) = sample.check(beside, &["--expect", "after.toml", "--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let outcomes = outcomes(&verdict);
    for expected in [
        ("container store", "failed"),
        ("run beside", "skipped"),
        ("setup", "failed"),
        ("run after", "skipped"),
    ] {
        assert!(outcomes.contains(&expected), "{expected:?}: {verdict:#}");
    }
    let setup = mismatches(&verdict, "setup");
    assert_eq!(setup, ["user of setup command 2, [\"true\"]: 0, which is root"]);
}

#[test]
fn a_setup_that_fails_is_named_with_its_number_and_command() {
    let sample = SampleImage::new();
    let first = "[[setup]]\ncontainer.shell = 'true'\n[[setup]]\ncontainer";
    for (file, setting) in [("fails", ".shell = 'exit 3'"), ("absent", ".entrypoint = ['/absent']")]
    {
        std::fs::write(sample.path(file), format!("{first}{setting}\n")).unwrap();
    }
    let (output, verdict) = sample.check(
        "[[setup]]\ntimeout = 1\ncontainer.shell = 'sleep 99'\n",
        &["--expect", "fails", "--expect", "absent"],
    );
    assert_eq!(output.status.code(), Some(1), "{verdict:#}");
    let cases = verdict["cases"].as_array().unwrap().iter();
    let failed: Vec<String> = cases
        .filter(|case| case["name"] == "setup")
        .map(|case| case["mismatches"][0].to_string())
        .collect();
    let subject = |mismatch: &str, subject: &str| {
        assert!(mismatch.contains(&serde_json::json!(subject).to_string()), "{failed:#?}");
    };
    assert_eq!(failed.len(), 3, "{verdict:#}");
    subject(&failed[0], "setup command 1, [\"/bin/sh\", \"-c\", \"sleep 99\"]");
    subject(&failed[1], "setup command 2, [\"/bin/sh\", \"-c\", \"exit 3\"]");
    subject(&failed[2], "setup command 2, [\"/absent\"]");
    let hint = "the image has no program \"/absent\"";
    assert!(verdict.to_string().contains(&serde_json::json!([hint]).to_string()), "{verdict:#}");
}

#[test]
fn a_further_image_with_the_name_of_the_image_under_test_is_refused() {
    let sample = SampleImage::new();
    // Docker's long form of the name.
    sample.seatrial(&["build", "app.toml", "--name", "docker.io/sample/app", "-o", "old.tar"]);
    std::fs::write(sample.path("rootfs/www/new"), "").unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    std::fs::write(sample.path("e.toml"), "[container.old]\nimage = 'old.tar'\nready = {}\n")
        .unwrap();
    let output = sample.seatrial(&["check", "app.tar", "--expect", "e.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = "app.tar and old.tar are different images with the same name, \
                    docker.io/sample/app:1.0";
    assert!(error.contains(expected), "{error}");
}
