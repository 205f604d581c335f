//! Expectations that an image does not meet: every part of them is a mismatch of its own.

use crate::each_engine::on_each_engine;
use crate::sample_image::{SampleImage, outcomes};
use crate::verdicts::{mismatches, without_durations};

const EXPECTATIONS: &str = r#"
[[service]]
name = "answers"
ready.log = "started"
exec = [
  { command = ["/bin/id", "-u"], stdout = "1\n" },
  { command = ["/bin/sh", "-c", "echo problem >&2"], stderr = "" },
  { command = ["/bin/sleep", "99"], timeout = 1 },
]
log = { contains = "started", times = 2 }
stop = { timeout = 20, exit_code = 4, log = "goodbye" }
[service.container]
user = "0"
shell = """
trap 'echo bye; exit 5' TERM; httpd -p 80 -h /www; echo started; while :; do sleep 0.2; done"""
[[service.http]]
port = 80
path = "/index.html"
status = [201, 204]
headers = { content-type = "text/plain" }
absent_headers = ["content-length"]
body = { not_contains = "ahoy" }
[[service.http]]
port = 80
path = "/data.json"
json = { "/count" = 2, "/absent" = 1, "/name" = { matches = "^b" } }
[[service]]
name = "files"
ready.log = "started"
[[service.file]]
path = "/made"
mode = "0600"
uid = 7
gid = 7
size = 1
content = { contains = "x" }
[[service.file]]
path = "/absent"
[[service.file]]
path = "/made"
exists = false
[[service.file]]
path = "/made"
type = "symlink"
[service.container]
user = "0"
shell = "umask 022; echo made >/made; echo started; sleep 999"
[[service]]
name = "ignores its stop signal"
ready.log = "started"
stop.timeout = 1
container.shell = "trap '' TERM; echo started; while :; do sleep 0.2; done"
[[service]]
name = "is ready"
start = "fails"
ready.log = "started"
container.shell = "echo started; sleep 999"
[[service]]
name = "has no such file"
ready = { exec = ["/bin/cat", "/absent"], timeout = 3 }
container.shell = "sleep 999"
[[run]]
name = "starts"
start = "fails"
container.shell = "true"
[[run]]
name = "is refused otherwise"
start = "fails"
start_error = "no reason"
container.entrypoint = ["/bin/absent"]
[[run]]
name = "fails in its setup"
setup = [["/bin/sh", "-c", "exit 3"]]
container.shell = "true"
[[run]]
name = "ends by another signal"
exit_code = "SIGTERM"
container.shell = "sh -c 'kill -9 $$'; exit $?"
[[run]]
name = "has a network"
stdout = "lo\n"
container = { network = true, shell = "cd /sys/class/net; echo *" }
"#;

const SETUP: &str = r#"
[[setup]]
container.shell = "exit 3"
[[run]]
name = "after the setup"
"#;

#[test]
#[ignore = "for the nightly run"]
fn every_part_of_an_expectation_that_is_not_met_is_a_mismatch_on_each_engine() {
    on_each_engine(&["docker-20.10"], shows_every_mismatch);
}

fn shows_every_mismatch(engine: &str) {
    let sample = SampleImage::new();
    std::fs::write(sample.path("rootfs/www/data.json"), r#"{"count": 1, "name": "a"}"#).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    std::fs::write(sample.path("setup.toml"), SETUP).unwrap();
    let (_, verdict) = sample.check(EXPECTATIONS, &["--expect", "setup.toml", "--engine", engine]);
    let found = |name: &str| mismatches(&verdict, name);
    let path = "GET /index.html at port 80";
    let data = "GET /data.json at port 80";
    assert_eq!(
        found("service answers"),
        [
            format!("status of {path}: 200"),
            format!("header content-type of {path}: \"text/html\""),
            format!("header content-length of {path}: \"14\""),
            format!("body of {path}: \"<h1>ahoy</h1>\\n\""),
            format!("/absent in the body of {data}: no such value"),
            format!("/count in the body of {data}: 1"),
            format!("/name in the body of {data}: \"a\""),
            "standard output of [\"/bin/id\", \"-u\"]: \"0\\n\"".to_owned(),
            "standard error of [\"/bin/sh\", \"-c\", \"echo problem >&2\"]: \"problem\\n\""
                .to_owned(),
            "duration of [\"/bin/sleep\", \"99\"]: still running".to_owned(),
            "log: \"started\" once in \"started\\n\"".to_owned(),
            "exit code after the stop: 5".to_owned(),
            "log after the stop: \"started\\nbye\\n\"".to_owned(),
        ],
        "{engine}"
    );
    assert_eq!(
        found("service files"),
        [
            "mode of file /made: \"0644\"",
            "user ID of file /made: 0",
            "group ID of file /made: 0",
            "size in bytes of file /made: 5",
            "content of file /made: \"made\\n\"",
            "existence of file /absent: does not exist",
            "existence of file /made: exists",
            "type of file /made: \"file\"",
        ],
        "{engine}"
    );
    assert_eq!(found("service ignores its stop signal"), ["stop: it was killed"], "{engine}");
    assert_eq!(found("service is ready"), ["start: it became ready"], "{engine}");
    let command = without_durations(&found("service has no such file"));
    assert!(command.contains("exits with code 1"), "{engine}: {command}");
    assert_eq!(found("run starts"), ["start: it started; exit code 0"], "{engine}");
    let refused = found("run is refused otherwise");
    assert!(refused[0].contains("absent"), "{engine}: {refused:?}");
    let signal = found("run ends by another signal");
    assert!(signal[0].starts_with("exit code: 137"), "{engine}: {signal:?}");
    assert_eq!(found("run has a network"), ["standard output: \"eth0 lo\\n\""], "{engine}");
    for name in ["run fails in its setup", "setup"] {
        let setup = found(name);
        assert_eq!(setup.len(), 1, "{engine}: {setup:?}");
        let [start, end] = ["setup command 1, [\"", "exit 3\"]: 3"];
        assert!(setup[0].starts_with(start) && setup[0].ends_with(end), "{engine}: {setup:?}");
    }
    assert!(outcomes(&verdict).contains(&("run after the setup", "skipped")), "{verdict:#}");
}
