//! `seatrial check` on an engine, and its reports.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::each_engine::{is_cri, on_each_engine};
use crate::sample_image::{RECIPE, SampleImage, outcomes};
use crate::verdicts::{case, mismatches, without_durations};

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
stdout = { contains = ["0\n", "more\n", "given", "kept\n/bin\n"], not_matches = "[0-9]{2}" }
exit_code = 3
[run.container]
shell = "id -u; echo $MORE; cat; echo x >/vol/x && echo kept; pwd; exit 3"
user = "0"
working_dir = "/bin"
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
container = { command = ["echo waiting; sleep 100"] }
timeout = 8
[[run]]
name = "chatty"
container.shell = "/bin/busybox dd if=/dev/zero bs=1M count=17 | /bin/busybox tr '\\000' x"
[[service]]
name = "web"
ready.port = 80
ready.log = { matches = "(?m)^serv", times = 2 }
ready.http = { port = 80, body = { contains = "ahoy" } }
log = { contains = "serving", not_contains = "error" }
stop = { timeout = 20, exit_code = 5, log = "bye" }
[service.container]
user = "0"
shell = """
trap 'echo bye; exit 5' TERM; httpd -p 80 -h /www; echo serving; echo serving
while :; do sleep 0.2; done"""
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

/// The expectations, without what CRI cannot do if the engine is reached over it.
fn expectations(engine: &str) -> String {
    if !is_cri(engine) {
        return EXPECTATIONS.to_owned();
    }
    let of_image = EXPECTATIONS.replace("volumes = [\"/vol\"]\n", "").replace("/vol/", "/data/");
    of_image.replace("user = \"7\"\n", "").replace("</h1>\\n7\\n", "</h1>\\n0\\n")
}

#[test]
fn commands_and_services_pass_or_fail_and_all_reports_agree_on_each_engine() {
    on_each_engine(&["docker-20.10"], commands_and_services);
}

fn commands_and_services(engine: &str) {
    let sample = SampleImage::new();
    let files = ["junit=r.xml", "html=r.html", "json=r.json", "md=r.md", "jsonl=r.jsonl"];
    let reports = files.iter().flat_map(|file| ["--report", file]);
    let arguments: Vec<&str> = reports.chain(["--engine", engine]).collect();
    let (output, verdict) = sample.check(&expectations(engine), &arguments);
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
    assert_eq!(case(&verdict, "run slow")["output"], "waiting\n");
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
        "service: its command ended with exit code 0 after N s"
    );
    assert_eq!(verdict["engine_runs"].as_array().unwrap().len(), 1);

    check_junit(&sample.path("r.xml"), "12 5\n");
    check_html(&sample.path("r.html"));
    let json = std::fs::read(sample.path("r.json")).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["cases"].as_array().unwrap().len(), 12);
    let summary = std::fs::read_to_string(sample.path("r.md")).unwrap();
    assert!(summary.starts_with("## Failed: 7 passed, 5 failed in "), "{summary}");
    assert!(summary.contains("\n| `run slow` |  | **failed** |\n"), "{summary}");
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
fn commands_that_run_at_the_same_time_are_reported_in_the_order_of_the_file_on_each_engine() {
    on_each_engine(&["docker-20.10"], reports_in_the_order_of_the_file);
}

fn reports_in_the_order_of_the_file(engine: &str) {
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
    let (_, verdict) = sample.check(&expectations, &["--filter", "run ", "--engine", engine]);
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
fn an_oci_layout_for_another_architecture_loads_and_containers_are_skipped_on_each_engine() {
    on_each_engine(&["docker-20.10"], |engine| {
        // containerd takes no archive that has an image for another architecture only.
        if !is_cri(engine) {
            skips_containers_for_another_architecture(engine);
        }
    });
}

fn skips_containers_for_another_architecture(engine: &str) {
    let sample = SampleImage::new();
    std::fs::write(sample.path("app.toml"), RECIPE.replace("amd64", "arm64")).unwrap();
    sample.seatrial(&["build", "app.toml", "--format", "oci", "-o", "app.tar"]);
    let expectations = "[image]\narchitecture='arm64'\n[[run]]\nname='x'\n";
    let (output, verdict) = sample.check(expectations, &["--engine", engine]);
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
