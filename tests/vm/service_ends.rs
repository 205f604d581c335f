//! Services that end, and starts that fail: cases of the test in `service_checks`.

use serde_json::Value;

use crate::each_engine::is_cri;
use crate::verdicts::{case, mismatches, without_durations};

/// Services whose start fails, or should, and services that end or are stopped.
pub const ENDS: &str = r#"
[[service]]
name = "ignores the given signal"
ready.log = "started"
stop = { signal = "SIGUSR1", timeout = 1, exit_code = 0 }
container.shell = """
trap '' USR1; trap 'exit 0' TERM; echo started; while :; do sleep 99 & wait; done"""
[[service]]
name = "ends by another real-time signal"
ready.log = "started"
stop = { signal = "SIGRTMIN+3", exit_code = 0 }
container.shell = """
trap 'exit 4' 37; echo started; while :; do sleep 99 & wait; done"""
[[service]]
name = "fails with code 0"
start = "fails"
ready = {}
container.shell = "exit 0"
[[service]]
name = "fails with another code"
start = "fails"
ready = {}
exit_code = 4
container.shell = "exit 3"
[[service]]
name = "fails with another log"
start = "fails"
ready = {}
log = "no config"
container.shell = "echo no disk; exit 3"
[[service]]
name = "keeps running"
start = "fails"
ready.timeout = 1
container.shell = "exec sleep 999"
[[service]]
name = "becomes ready"
start = "fails"
ready.log = "started"
container.shell = "echo started; exec sleep 999"
[[service]]
name = "refused without a code"
start = "fails"
ready = {}
exit_code = 127
container.entrypoint = ["/bin/absent"]
[[service]]
name = "refused with another message"
start = "fails"
ready = {}
log = "no reason"
container.entrypoint = ["/bin/absent"]
[[service]]
name = "gone while an answer is awaited"
ready = { http = { port = 80, path = "/silent" }, timeout = 300 }
container.user = "0"
container.shell = "nc -ll -p 80 -e /bin/sh /www/answer & sleep 2; echo gone; exit 4"
[[service]]
name = "gone while a command runs"
ready = { exec = ["/bin/sleep", "99"], timeout = 300 }
container.shell = "sleep 2; echo gone; exit 4"
[[service]]
name = "gone while its health is awaited"
ready = { healthy = true, timeout = 300 }
container.shell = "sleep 2; echo gone; exit 4"
[[service]]
name = "has links"
ready.log = "started"
container.user = "0"
container.shell = """
busybox ln -s www /web; busybox ln -s /web/index.html /page; busybox ln -s absent /nowhere
busybox mkdir /www/deep; busybox ln -s ../index.html /www/deep/page; busybox ln -s www/deep /deep
echo started; exec sleep 999"""
[[service.file]]
path = "/bin/sh"
type = "symlink"
target = "busybox"
[[service.file]]
path = "/bin/sh"
follow = true
type = "file"
mode = "0755"
[[service.file]]
path = "/web/index.html"
type = "file"
content = "<h1>ahoy</h1>\n"
[[service.file]]
path = "/page"
follow = true
content = "<h1>ahoy</h1>\n"
[[service.file]]
path = "/deep/page"
follow = true
content = "<h1>ahoy</h1>\n"
[[service.file]]
path = "/nowhere"
type = "symlink"
target = "absent"
[[service.file]]
path = "/nowhere"
follow = true
exists = false
[[service.file]]
path = "/bin/sh"
target = "dash"
[[service.file]]
path = "/page"
follow = true
type = "symlink"
[[service.file]]
path = "/web"
follow = true
type = "file"
"#;

/// Compares the results of [`ENDS`].
pub fn check_ends(engine: &str, verdict: &Value) {
    let found = |name: &str| mismatches(verdict, name);
    let docker_only = [
        ("service ignores the given signal", "stop: it was killed"),
        ("service ends by another real-time signal", "exit code after the stop: 4"),
    ];
    for (name, mismatch) in docker_only {
        match is_cri(engine) {
            true => {
                // The rest of it is checked.
                assert_eq!(case(verdict, name)["outcome"], "passed", "{name}: {verdict:#}");
                let part = case(verdict, &format!("{name}: stop"));
                assert_eq!(part["outcome"], "skipped", "{name}: {verdict:#}");
            }
            false => assert_eq!(found(name)[0], mismatch, "{engine}"),
        }
    }
    assert_eq!(
        found("service has links"),
        [
            "symlink target of file /bin/sh: \"busybox\"",
            "type of file /page: \"file\"",
            "type of file /web: \"directory\"",
        ],
        "{engine}"
    );
    let well = found("service fails with code 0");
    assert!(well[0].starts_with("start: exit code 0"), "{engine}: {well:?}");
    assert_eq!(found("service fails with another code"), ["exit code: 3"], "{engine}");
    assert_eq!(found("service fails with another log"), ["log: \"no disk\\n\""], "{engine}");
    let running = found("service keeps running");
    assert_eq!(running, ["start: still running after 1 s"], "{engine}");
    assert_eq!(found("service becomes ready"), ["start: it became ready"], "{engine}");
    for (name, start) in [
        ("service refused without a code", "start: the engine refuses it: "),
        ("service refused with another message", "message of the engine: "),
    ] {
        let refused = found(name);
        let [mismatch] = &refused[..] else { panic!("{engine}: {refused:?}") };
        assert!(mismatch.starts_with(start) && mismatch.contains("absent"), "{mismatch}");
    }
    for name in ["an answer is awaited", "a command runs", "its health is awaited"] {
        let case = case(verdict, &format!("service gone while {name}"));
        if case["outcome"] == "skipped" {
            assert!(name == "its health is awaited" && !engine.starts_with("docker"), "{case:#}");
            continue;
        }
        let found = without_durations(&found(case["name"].as_str().unwrap()));
        assert_eq!(found, "service: its command ended with exit code 4 after N s", "{engine}");
        assert!(case["seconds"].as_f64().unwrap() < 100.0, "{case:#}");
    }
}
