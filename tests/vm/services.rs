//! Services on several engines, and what is beside them: containers, settings, accounts.

use serde_json::Value;

use crate::each_engine::{is_cri, on_each_engine};
use crate::pod_settings::make_pod_settings;
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
goss = "processes.yaml"
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
[[service.file]]
path = "/dev/log"
type = "special"
[[service.file]]
path = "/late"
content = "late\n"
[service.container]
user = "0"
network = false
tmpfs = ["/scratch"]
shell = """
busybox syslogd -O /dev/null
echo made >/scratch/made; umask 002; busybox mkdir -p /out; busybox chmod 1775 /out
umask 027; echo made >/out/made
busybox chown 5:6 /out/made; busybox cp -p /out/made /made; busybox ln -s ../../../made /out/link
busybox ln -s out/link /link; busybox mkfifo /out/pipe; busybox ln -s loop /out/loop
busybox ln -s ../../etc/debian_version /outside; echo started; (sleep 3; echo late >/late) &
exec httpd -f -p 8000"""
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

/// Processes of a service without a network, which has sockets all the same.
const PROCESSES: &str = "process: { httpd: { running: true } }\n\
                         port: { tcp6:8000: { listening: true } }\n";

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
    let mounted = make_pod_settings(&sample);
    std::fs::write(sample.path("processes.yaml"), PROCESSES).unwrap();
    std::fs::write(sample.path("stores.toml"), STORES).unwrap();
    let arguments =
        ["--engine", engine, "--expect", "pod_settings.toml", "--expect", "stores.toml"];
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
        ("service with files: port tcp6:8000", "passed"),
        ("service with files: process httpd", "passed"),
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
    assert_eq!(std::fs::read_to_string(mounted).unwrap(), "deep\n");
    assert!(!sample.path("conf/new").exists());
    // Further containers start although nothing else is selected.
    let (_, verdict) =
        sample.check(EXPECTATIONS, &["--engine", engine, "--filter", "container st"]);
    assert_eq!(outcomes(&verdict), [("container store", "passed")]);
}
