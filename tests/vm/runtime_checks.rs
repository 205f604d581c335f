//! `seatrial check` on a real engine, and what its reports say.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::sample_image::{RECIPE, SampleImage};

/// What runs and services are, and of those that are wrong what is said.
const LIVE: &str = r#"
[image]
architecture = "amd64"
[env]
has = { PATH = "/bin" }
[[run]]
name = "by itself"
stdout = "hello\n"
[[run]]
name = "as told"
container = { shell = "id -u; echo $MORE; cat; echo x >/vol/x && echo kept; exit 3", user = "0", env = { MORE = "more" }, stdin = "given", volumes = ["/vol"] }
exit_code = 3
stdout = { contains = ["0\n", "more\n", "given", "kept"] }
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
container = { shell = "/bin/busybox dd if=/dev/zero bs=1M count=17 | /bin/busybox tr '\\000' x" }
[[service]]
name = "web"
container = { user = "0", shell = "trap 'exit 5' TERM; httpd -p 80 -h /www; echo serving; while :; do sleep 0.2; done" }
ready = { port = 80, log = "serving" }
http = [{ port = 80, path = "/index.html", body = { contains = "ahoy" } }, { port = 80, path = "/absent", status = 404 }]
stop = { timeout = 20, exit_code = 5 }
[[service]]
name = "short-lived"
ready = { log = "never said" }
"#;

#[test]
fn runs_and_services_on_a_real_engine_pass_and_fail_as_they_should_and_reports_say_so() {
    let sample = SampleImage::new();
    let reports = [
        "--report",
        "junit=r.xml",
        "--report",
        "html=r.html",
        "--report",
        "json=r.json",
        "--report",
        "jsonl=r.jsonl",
    ];
    let (output, verdict) = sample.check(LIVE, &reports);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let of = |name: &str| {
        let cases = verdict["cases"].as_array().unwrap();
        cases
            .iter()
            .find(|case| case["name"] == name)
            .unwrap_or_else(|| panic!("no {name} in {verdict:#}"))
    };
    for name in [
        "config",
        "loads with the expected name",
        "environment of a container",
        "run by itself",
        "run as told",
        "service web",
    ] {
        assert_eq!(of(name)["outcome"], "passed", "{:#}", of(name));
    }
    let found = |name: &str| -> Vec<String> {
        let mismatches =
            of(name)["mismatches"].as_array().unwrap_or_else(|| panic!("{:#}", of(name)));
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        mismatches
            .iter()
            .map(|m| format!("{}: {}", text(&m["subject"]), text(&m["found"])))
            .collect()
    };
    assert_eq!(
        found("run wrong"),
        ["exit code: 4", "standard output: \"out\\n\"", "standard error: \"err\\n\""]
    );
    assert_eq!(found("run slow"), ["its end: it was still running"]);
    assert_eq!(found("run chatty"), ["its output: the container printed more than 16 MiB"]);
    assert_eq!(found("service short-lived"), ["the service: it ended"]);
    assert_eq!(verdict["engine_runs"].as_array().unwrap().len(), 1);

    // Read by another: Python's parser of XML counts the same.
    let count = "import sys, xml.etree.ElementTree as t; r = t.parse(sys.argv[1]).getroot(); \
                 c = r.findall('.//testcase'); print(len(c), len([x for x in c if x.find('failure') is not None]))";
    let counted =
        Command::new("python3").args(["-c", count]).arg(sample.path("r.xml")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&counted.stdout), "11 4\n", "{counted:?}");
    let schema =
        ["--noout", "--schema", concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/junit.xsd")];
    let valid = Command::new("xmllint").args(schema).arg(sample.path("r.xml")).output().unwrap();
    assert!(valid.status.success(), "{valid:?}");
    let page = opened(&sample.path("r.html"));
    assert!(page.contains("<h1>Failed</h1>") && page.contains("run slow") && page.contains("<svg"));
    assert!(!page.contains("<h1>ahoy"), "what an image prints is not part of the page");
    let json: Value =
        serde_json::from_slice(&std::fs::read(sample.path("r.json")).unwrap()).unwrap();
    assert_eq!(json["cases"].as_array().unwrap().len(), 11);
    let lines = std::fs::read_to_string(sample.path("r.jsonl")).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines, *json["cases"].as_array().unwrap());
}

/// The page as a browser has it once it is open; a picture of it is kept under `target/tmp`.
fn opened(page: &Path) -> String {
    let profile = TempDir::new().unwrap();
    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report.png");
    let _ = std::fs::remove_file(&picture);
    let browse = |what: &str| {
        let quiet = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
        ];
        let mut chromium = Command::new("timeout");
        chromium.args(["60", "chromium"]).args(quiet).arg("--window-size=1000,1400");
        chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg(what).arg(page);
        let output = chromium.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    browse(&format!("--screenshot={}", picture.display()));
    assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"));
    browse("--dump-dom")
}

#[test]
fn an_oci_layout_and_an_image_for_another_architecture_are_tried_as_far_as_that_goes() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("app.toml"), RECIPE.replace("amd64", "arm64")).unwrap();
    sample.seatrial(&["build", "app.toml", "--format", "oci", "-o", "app.tar"]);
    let (output, verdict) = sample.check("[image]\narchitecture='arm64'\n[[run]]\nname='x'\n", &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let outcomes: Vec<(&str, &str)> = verdict["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap()))
        .collect();
    let expected = [
        ("config", "passed"),
        ("environment of the config", "passed"),
        ("loads with the expected name", "passed"),
        ("environment of a container", "skipped"),
        ("run x", "skipped"),
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn an_image_that_an_engine_refuses_has_failed_whatever_is_filtered_for() {
    let sample = SampleImage::new();
    // zstd came with Docker 23.
    sample.seatrial(&["build", "app.toml", "--compress", "zstd", "-o", "app.tar"]);
    let (output, verdict) = sample.check("[[run]]\nname='x'\n", &["--filter", "run"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let cases = verdict["cases"].as_array().unwrap();
    let found: Vec<(&str, &str)> = cases
        .iter()
        .map(|case| (case["name"].as_str().unwrap(), case["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("loads with the expected name", "failed")]);
}
