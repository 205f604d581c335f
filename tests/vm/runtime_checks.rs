//! `seatrial check` on an engine, and its reports.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::sample_image::{RECIPE, SampleImage, outcomes};

/// Commands and services, some of which do not meet their expectations.
const EXPECTATIONS: &str = r#"
[image]
architecture = "amd64"
[env]
has = { PATH = "/bin" }
[[run]]
name = "image's command"
stdout = "hello\n"
[[run]]
name = "another command"
stdout = { contains = ["0\n", "more\n", "given", "kept"], not_matches = "[0-9]{2}" }
exit_code = 3
[run.container]
shell = "id -u; echo $MORE; cat; echo x >/vol/x && echo kept; exit 3"
user = "0"
env = { MORE = "more" }
stdin = "given"
volumes = ["/vol"]
[[run]]
name = "wrong"
container = { command = ["echo out; echo err >&2; exit 4"] }
stdout = "other\n"
stderr = { not_contains = "err" }
[[run]]
name = "slow"
container = { command = ["sleep 100"] }
timeout = 8
[[run]]
name = "chatty"
container.shell = "/bin/busybox dd if=/dev/zero bs=1M count=17 | /bin/busybox tr '\\000' x"
[[service]]
name = "web"
ready.port = 80
ready.log = { matches = "^serv" }
ready.http = { port = 80, body = { contains = "ahoy" } }
log = { contains = "serving", not_contains = "error" }
stop = { timeout = 20, exit_code = 5 }
[service.container]
user = "0"
shell = """
trap 'exit 5' TERM; httpd -p 80 -h /www; echo serving; while :; do sleep 0.2; done"""
[[service.http]]
port = 80
path = "/index.html"
body = { contains = "ahoy" }
[[service.http]]
port = 80
path = "/absent"
status = 404
[[service.exec]]
command = ["/bin/sh", "-c", "cat /www/index.html; id -u"]
user = "7"
stdout = "<h1>ahoy</h1>\n7\n"
[[service.exec]]
command = ["/bin/sh", "-c", "echo no >&2; exit 4"]
exit_code = 4
stderr = "no\n"
[[service]]
name = "inspected"
ready = { exec = ["/bin/busybox", "test", "-e", "/tmp/ready"] }
exec = [{ command = ["/bin/sh", "-c", "exit 9"] }, { command = ["/bin/echo", "x"], stdout = "y" }]
log = "never printed"
[service.container]
user = "0"
shell = "/bin/busybox mkdir -p /tmp; sleep 1; echo started >/tmp/ready; sleep 100"
[[service]]
name = "short-lived"
ready = { log = "never printed" }
"#;

/// Returns the test case called `name`.
fn case<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let mut cases = verdict["cases"].as_array().unwrap().iter();
    cases.find(|case| case["name"] == name).unwrap_or_else(|| panic!("no {name} in {verdict:#}"))
}

/// Replaces the time in the only mismatch.
fn without_durations(mismatches: &[String]) -> String {
    let [mismatch] = mismatches else { panic!("{mismatches:?}") };
    let Some((start, end)) = mismatch.split_once(" after ") else { return mismatch.clone() };
    format!("{start} after N s{}", end.split_once(" s").map_or("", |(_, end)| end))
}

/// Returns the subjects and found values of a test case's mismatches.
fn mismatches(verdict: &Value, name: &str) -> Vec<String> {
    let case = case(verdict, name);
    let mismatches = case["mismatches"].as_array().unwrap_or_else(|| panic!("{case:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |check: &Value| format!("{}: {}", text(&check["subject"]), text(&check["found"]));
    mismatches.iter().map(line).collect()
}

#[test]
fn commands_and_services_pass_or_fail_on_an_engine_and_all_reports_agree() {
    let sample = SampleImage::new();
    let files = ["junit=r.xml", "html=r.html", "json=r.json", "md=r.md", "jsonl=r.jsonl"];
    let reports: Vec<&str> = files.iter().flat_map(|file| ["--report", file]).collect();
    let (output, verdict) = sample.check(EXPECTATIONS, &reports);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    for name in [
        "config",
        "loads with the expected name",
        "environment of a container",
        "run image's command",
        "run another command",
        "service web",
    ] {
        let case = case(&verdict, name);
        assert_eq!(case["outcome"], "passed", "{case:#}");
    }
    assert_eq!(
        mismatches(&verdict, "run wrong"),
        ["exit code: 4", "standard output: \"out\\n\"", "standard error: \"err\\n\""]
    );
    assert_eq!(mismatches(&verdict, "run slow"), ["duration: still running"]);
    assert_eq!(mismatches(&verdict, "run chatty"), ["size of the output: more"]);
    assert_eq!(
        mismatches(&verdict, "service inspected"),
        [
            "exit code of [\"/bin/sh\", \"-c\", \"exit 9\"]: 9",
            "standard output of [\"/bin/echo\", \"x\"]: \"x\\n\"",
            "log: \"\"",
        ]
    );
    assert_eq!(
        without_durations(&mismatches(&verdict, "service short-lived")),
        "service: its command ended with exit code 0 after N s; \
         standard error nothing; standard output \"hello\\n\""
    );
    assert_eq!(verdict["engine_runs"].as_array().unwrap().len(), 1);

    check_junit(&sample.path("r.xml"), "12 5\n");
    check_html(&sample.path("r.html"));
    let json = std::fs::read(sample.path("r.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["cases"].as_array().unwrap().len(), 12);
    let summary = std::fs::read_to_string(sample.path("r.md")).unwrap();
    assert!(summary.starts_with("## Failed: 7 passed, 5 failed in "), "{summary}");
    assert!(summary.contains("\n| run slow |  | **failed** |\n"), "{summary}");
    let lines = std::fs::read_to_string(sample.path("r.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, *json["cases"].as_array().unwrap());
}

/// Reads the report with Python, compares the numbers of test cases and failures, and validates the
/// report against Jenkins' schema.
fn check_junit(report: &Path, counts: &str) {
    let count = "import sys, xml.etree.ElementTree as t\n\
                 cases = t.parse(sys.argv[1]).getroot().findall('.//testcase')\n\
                 print(len(cases), len([c for c in cases if c.find('failure') is not None]))";
    let counted = Command::new("python3").args(["-c", count]).arg(report).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout), counts, "{counted:?}");
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/junit.xsd");
    let mut xmllint = Command::new("xmllint");
    let valid = xmllint.args(["--noout", "--schema", schema]).arg(report).output().unwrap();
    assert!(valid.status.success(), "{valid:?}");
}

fn check_html(report: &Path) {
    let page = open_in_browser(report);
    assert!(page.contains("<h1>Failed</h1>"));
    assert!(page.contains("run slow") && page.contains("class=\"lanes\""));
    assert!(!page.contains("<h1>ahoy"), "output of the image is part of the page's HTML");
}

/// Opens the page in Chromium and returns its HTML. A screenshot is kept in `target/tmp`.
fn open_in_browser(page: &Path) -> String {
    let profile = TempDir::new().unwrap();
    let screenshot = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.png");
    let _ = std::fs::remove_file(&screenshot);
    let browse = |argument: &str| {
        let mut chromium = Command::new("timeout");
        chromium.args(["60", "chromium", "--headless", "--no-sandbox", "--disable-gpu"]);
        chromium.args(["--disable-background-networking", "--no-first-run"]);
        chromium.args(["--window-size=1000,1400", argument]).arg(page);
        chromium.arg(format!("--user-data-dir={}", profile.path().display()));
        let output = chromium.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    browse(&format!("--screenshot={}", screenshot.display()));
    assert!(std::fs::read(&screenshot).unwrap().starts_with(b"\x89PNG"));
    browse("--dump-dom")
}

#[test]
fn commands_that_run_at_the_same_time_are_reported_in_the_order_of_the_file() {
    let sample = SampleImage::new();
    let run = |name: &str, command: &str| {
        format!("[[run]]\nname = '{name}'\ncontainer.shell = '{command}'\nstdout = \"{name}\\n\"\n")
    };
    let commands = [
        ("waits", "sleep 3; echo waits"),
        ("prints", "echo prints"),
        ("fails", "echo nothing"),
        ("follows", "echo follows"),
        ("ends", "echo ends"),
    ];
    let expectations: String = commands.map(|(name, command)| run(name, command)).concat();
    let (_, verdict) = sample.check(&expectations, &["--filter", "run "]);
    let expected = [
        ("run waits", "passed"),
        ("run prints", "passed"),
        ("run fails", "failed"),
        ("run follows", "passed"),
        ("run ends", "passed"),
    ];
    assert_eq!(outcomes(&verdict), expected, "{verdict:#}");
}

#[test]
fn an_oci_layout_for_another_architecture_is_loaded_and_its_containers_are_skipped() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("app.toml"), RECIPE.replace("amd64", "arm64")).unwrap();
    sample.seatrial(&["build", "app.toml", "--format", "oci", "-o", "app.tar"]);
    let expectations = "[image]\narchitecture='arm64'\n[[run]]\nname='x'\n";
    let (output, verdict) = sample.check(expectations, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let expected = [
        ("config", "passed"),
        ("environment of the config", "passed"),
        ("loads with the expected name", "passed"),
        ("environment of a container", "skipped"),
        ("run x", "skipped"),
    ];
    assert_eq!(outcomes(&verdict), expected);
}

#[test]
fn an_image_that_the_engine_rejects_fails_whatever_the_filter_selects() {
    let sample = SampleImage::new();
    // Docker reads zstd since version 23.
    sample.seatrial(&["build", "app.toml", "--compress", "zstd", "-o", "app.tar"]);
    let (output, verdict) = sample.check("[[run]]\nname='x'\n", &["--filter", "run"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(outcomes(&verdict), [("loads with the expected name", "failed")]);
}

/// Services that end, services that answer in many ways, and containers that cannot start.
const SERVICES: &str = r#"
[env]
has = { PATH = "/bin", LINES = "one\nTWO=2\n", EMPTY = "", EQUAL = "=a=b" }
absent = ["TWO"]
[[service]]
name = "crash while its port is awaited"
container = { shell = "echo starting; sleep 3; echo 'FATAL: no database' >&2; exit 4" }
ready = { port = 8080, timeout = 300 }
[[service]]
name = "ready and gone"
container = { shell = "echo ready; exit 0" }
ready = { log = "ready" }
stop = { exit_code = 0 }
[[service]]
name = "gone without conditions"
container = { shell = "exit 7" }
ready = {}
[[service]]
name = "killed by a signal"
container = { shell = "sh -c 'kill -9 $$'; exit $?" }
ready = {}
[[service]]
name = "ends as expected"
container = { shell = "echo ready; sleep 1; exit 6" }
ready = { log = "ready" }
exit_code = 6
[[service]]
name = "ends with another code"
container = { shell = "echo ready; sleep 1; exit 6" }
ready = { log = "ready" }
exit_code = 0
[[service]]
name = "dies of a request"
container = { user = "0", shell = "echo ready; nc -l -p 80 >/dev/null; echo dead >&2; exit 9" }
ready = { log = "ready" }
http = [{ port = 80 }, { port = 80 }]
[[service]]
name = "answers"
ready = { port = 80 }
container = { user = "0", shell = "exec nc -ll -p 80 -e /bin/sh /www/answer" }
[[service.http]]
port = 80
path = "/kept"
body = "ok"
[[service.http]]
port = 80
path = "/chunked"
body = "chunks"
[[service.http]]
port = 80
path = "/none"
status = 204
body = ""
[[service.http]]
port = 80
path = "/short"
body = "o"
[[service.http]]
port = 80
path = "/moved"
redirects = true
body = "ok"
[[service.http]]
port = 80
path = "/away"
redirects = true
[[service.http]]
port = 80
path = "/echo"
method = "PUT"
request_headers = { X-Name = "value" }
request_body = "sent"
status = [200, 201]
headers = { content-type = { contains = "json" } }
absent_headers = ["server"]
json = { "/method" = "PUT", "/header" = { matches = "value" }, "/body" = "sent" }
[[service.http]]
port = 80
path = "/slow"
body = "ok"
[[service.http]]
port = 80
path = "/else"
[[run]]
name = "unknown user"
container = { user = "nobody-here", shell = "true" }
[[run]]
name = "unknown command"
container = { entrypoint = ["/bin/absent"] }
[[run]]
name = "long error"
[run.container]
shell = """
i=0; while [ $i -lt 99 ]; do echo "line $i of a trace" >&2; i=$((i+1)); done
echo 'KeyError: X' >&2; exit 1"""
"#;

/// A server for one request, which it reads from standard input.
const ANSWER: &str = r#"read -r method path version
name= length=0
while read -r line && [ ${#line} -gt 1 ]; do
  case $line in
  [Xx]-[Nn]ame:*) name=${line#*: } ;;
  [Cc]ontent-[Ll]ength:*) length=${line#*: } ;;
  esac
done
case $path in
/kept) printf 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'; sleep 100 ;;
/chunked) printf 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
  printf '3;x=y\r\nchu\r\n3\r\nnks\r\n0\r\n\r\n'
  sleep 100 ;;
/none) printf 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n'; sleep 100 ;;
/short) printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\no' ;;
/moved) printf 'HTTP/1.1 302 Found\r\nLocation: kept\r\nContent-Length: 0\r\n\r\n' ;;
/away) printf 'HTTP/1.1 301 x\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n' ;;
/echo) printf 'HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n'
  body=$(head -c "${length%?}")
  printf '{"method": "%s", "header": "%s", "body": "%s"}' "$method" "${name%?}" "$body" ;;
/slow) printf 'HTTP/1.1 200 OK\r\n\r\no'; sleep 60 ;;
*) echo 'SSH-2.0' ;;
esac
"#;

fn services(engine: &str) {
    let sample = SampleImage::new();
    std::fs::write(sample.path("rootfs/www/answer"), ANSWER).unwrap();
    for applet in ["nc", "head"] {
        let link = sample.path("rootfs/bin").join(applet);
        std::os::unix::fs::symlink("busybox", link).unwrap();
    }
    let env = r#""LINES=one\nTWO=2\n", "EMPTY=", "EQUAL==a=b""#;
    let recipe = RECIPE.replace("\"VERSION=1.2.3\"", env);
    std::fs::write(sample.path("app.toml"), recipe).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let (output, verdict) = sample.check(SERVICES, &["--engine", engine]);
    assert_eq!(output.status.code(), Some(1), "{output:?}\n{verdict:#}");
    for name in ["environment of the config", "environment of a container"] {
        let case = case(&verdict, name);
        assert_eq!(case["outcome"], "passed", "{case:#}");
    }
    let end = |name: &str| without_durations(&mismatches(&verdict, name));
    assert_eq!(
        end("service crash while its port is awaited"),
        "service: its command ended with exit code 4 after N s; \
         standard error \"FATAL: no database\\n\"; standard output \"starting\\n\""
    );
    let seconds = &case(&verdict, "service crash while its port is awaited")["seconds"];
    assert!(seconds.as_f64().unwrap() < 100.0, "{seconds}");
    assert_eq!(
        end("service ready and gone"),
        "service: its command ended with exit code 0 after N s; \
         standard error nothing; standard output \"ready\\n\""
    );
    let gone = end("service gone without conditions");
    assert!(gone.starts_with("service: its command ended with exit code 7 after N s"), "{gone}");
    let killed = end("service killed by a signal");
    assert!(killed.contains("exit code 137 (probably ended by signal 9) after N s"), "{killed}");
    assert_eq!(case(&verdict, "service ends as expected")["outcome"], "passed");
    let other = end("service ends with another code");
    assert!(other.starts_with("service: its command ended with exit code 6 after N s"), "{other}");
    let requests = mismatches(&verdict, "service dies of a request");
    assert_eq!(requests.len(), 3, "two requests and the service: {requests:?}");
    assert!(requests[1].contains("exit code 9"), "{requests:?}");
    assert_eq!(
        mismatches(&verdict, "service answers"),
        [
            "body of GET /short at port 80: error reading a body from connection: \
             end of file before message length reached; until then \"o\"",
            "status of GET /away at port 80: no status: it redirects to \"http://example.com/\", \
             outside of the service, which is localhost over the same protocol",
            "body of GET /slow at port 80: it was not complete after 20 s; until then \"o\"",
            "status of GET /else at port 80: no status: \
             it is not an answer in HTTP/1: invalid HTTP version parsed; received \"SSH-2.0\\n\"",
        ]
    );
    for (name, part) in [("run unknown user", "nobody-here"), ("run unknown command", "absent")] {
        let start = end(name);
        assert!(start.starts_with(&format!("start: {engine} reports: ")), "{start}");
        assert!(start.contains(part), "{start}");
    }
    let long = end("run long error");
    assert!(long.contains("line 98 of a trace\\nKeyError: X\\n\""), "{long}");
}

#[test]
fn services_that_end_fail_at_once_and_answers_are_read_as_http_1_1() {
    services("docker-20.10");
}

#[test]
#[ignore = "needs the guest of Podman; for the nightly run"]
fn services_on_podman_are_judged_like_those_on_docker() {
    services("podman-4.3");
}
