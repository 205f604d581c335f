//! `seatrial check`: which test cases run, are skipped or are errors, and the exit codes.

use std::fs::File;
use std::process::Command;

use seatrial::image::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::sample_image::{SampleImage, outcomes};
use crate::verdicts::case;
use crate::workbench::run;

#[test]
fn without_an_engine_runtime_checks_are_skipped_with_the_reason() {
    let sample = SampleImage::new();
    let expectations = "[[run]]\nname='x'\n[[service]]\nname='y'\nready={}\n";
    let (output, verdict) = sample.check(expectations, &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0));
    let reason = "needs an engine; only the image was checked (--no-vm)";
    let skipped: Vec<&str> = verdict["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["outcome"] == "skipped" && case["reason"] == reason)
        .map(|case| case["name"].as_str().unwrap())
        .collect();
    let expected =
        ["loads with the expected name", "environment of a container", "run x", "service y"];
    assert_eq!(skipped, expected);
}

#[test]
fn with_deny_skips_skipped_test_cases_fail_the_run_and_all_reports_agree() {
    let sample = SampleImage::new();
    let yaml = "file:\n  /bin/sh: { exists: true }\n  /x: { exists: true, skip: true }\n";
    std::fs::write(sample.path("goss.yaml"), yaml).unwrap();
    let reason = "; the run fails because test cases were skipped (--deny-skips)";
    let check = |arguments: &[&str]| {
        let common = ["check", "app.tar", "--expect", "goss.yaml", "--no-vm"];
        let output = sample.seatrial(&[&common[..], arguments].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let of_file = ["--filter", "file"];
    let only_passed = ["--filter", "file /bin/sh", "--deny-skips"];
    let (code, text) = check(&of_file);
    assert!(code == Some(0) && !text.contains(reason), "{text}");
    assert_eq!(check(&only_passed).0, Some(0));
    let denied = [&of_file[..], &["--deny-skips"]].concat();
    let reports = ["--report", "junit=r.xml", "--report", "html=r.html", "--report", "md=r.md"];
    let (code, text) = check(&[&denied[..], &reports].concat());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.ends_with(&format!("{reason}\n")) && text.contains("  skip  file /x"), "{text}");
    let read = |name: &str| std::fs::read_to_string(sample.path(name)).unwrap();
    for (report, parts) in [
        ("r.html", ["<h1>Failed</h1>", reason]),
        ("r.md", ["## Failed: 1 passed, 1 skipped in ", reason]),
        ("r.xml", ["message=\"1 test case was skipped (--deny-skips)\"", "<skipped"]),
        ("r.xml", ["<testsuites name=\"seatrial\" tests=\"3\" failures=\"1\"", "file /x"]),
    ] {
        let report = read(report);
        assert!(parts.iter().all(|part| report.contains(part)), "{parts:?}: {report}");
    }
    let (_, json) = check(&[&denied[..], &["--json"]].concat());
    let verdict: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&verdict["result"], &verdict["deny_skips"]), (&"failed".into(), &true.into()));
    assert_eq!(case(&verdict, "file /x")["outcome"], "skipped");
}

#[test]
fn reports_have_the_start_of_the_run_and_the_command_line_without_secrets() {
    let sample = SampleImage::new();
    let report = ["--report", "html=r.html", "--report", "json=api_token=hunter2"];
    let (_, verdict) =
        sample.check("", &[&["--no-vm", "--filter", "of the config"], &report[..]].concat());
    let command = "seatrial check app.tar --expect e.toml --json --no-vm --filter 'of the config' \
                   --report html=r.html --report 'json=api_token=<hidden>'";
    assert_eq!(verdict["command"], command);
    assert_eq!(verdict["version"], env!("CARGO_PKG_VERSION"));
    let started: Timestamp = verdict["started"].as_str().unwrap().parse().unwrap();
    let day = started.to_string()[..10].to_owned();
    assert!(started > Timestamp::DEFAULT, "{day}");
    let page = std::fs::read_to_string(sample.path("r.html")).unwrap();
    let escaped = command.replace('<', "&lt;").replace('>', "&gt;");
    assert!(page.contains(&day) && page.contains(&escaped) && !page.contains("hunter2"), "{page}");
}

#[test]
fn a_report_that_cannot_be_written_is_an_error_before_anything_runs() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[image]\narchitecture='amd64'\n").unwrap();
    let report = "html=absent/report.html";
    let check = ["check", "app.tar", "--expect", "e.toml", "--no-vm", "--report", report];
    let output = sample.seatrial(&check);
    assert!(matches!(output.status.code(), Some(2 | 3)), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("absent/report.html"), "{output:?}");
}

#[test]
fn a_filter_that_selects_no_test_case_is_bad_input_and_the_names_are_listed() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[[run]]\nname='greets'\n").unwrap();
    let arguments = ["check", "app.tar", "--expect", "e.toml", "--no-vm", "--filter", "greats"];
    let output = sample.seatrial(&arguments);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let error = "seatrial: no test case has a name that contains \"greats\"; the test cases are: \
                 environment of the config, loads with the expected name, \
                 environment of a container, run greets\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), error);
}

#[test]
fn a_filter_that_selects_static_checks_alone_needs_no_engine() {
    let sample = SampleImage::new();
    let text = "[container.other]\nready = {}\n[[setup]]\n[[file]]\npath = '/bin/sh'\n";
    std::fs::write(sample.path("e.toml"), text).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    check.args(["check", "app.tar", "--expect", "e.toml", "--json", "--filter", "file"]);
    // Without QEMU, an engine would be an error.
    let output = run(check.current_dir(sample.path("")).env("PATH", sample.path("")));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(outcomes(&verdict), [("file /bin/sh", "passed")]);
    assert_eq!(verdict["engine_runs"], serde_json::json!([]));
}

/// Expectations of a file of 64 MiB and one byte in three languages, which nobody compares by
/// accident.
const LARGE_FILE: [(&str, &str); 4] = [
    ("content.toml", "[[file]]\npath = '/www/large'\ncontent = { not_contains = 'x' }\n"),
    ("digest.toml", "[[file]]\npath = '/www/large'\nsha256 = 'ZERO'\n"),
    (
        "structure.yaml",
        "schemaVersion: 2.0.0\nfileContentTests:\n- name: /www/large\n  path: /www/large\n  \
         excludedContents: ['x']\n",
    ),
    ("goss.yaml", "file: { /www/large: { exists: true, contents: ['!x'] } }\n"),
];

#[test]
fn a_rule_for_the_content_of_a_file_that_is_too_large_is_an_error_that_names_it() {
    let sample = SampleImage::new();
    let large = File::create(sample.path("rootfs/www/large")).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    sample.seatrial(&["build", "app.toml", "-o", "app.tar"]);
    let problem = "failed to check the content of /www/large: it has 67108865 bytes, and files of \
                   up to 64 MiB are read";
    let advice = "; a command in [[run]], such as sha256sum, can check it";
    for (file, expectations) in LARGE_FILE {
        let expectations = expectations.replace("ZERO", &"0".repeat(64));
        std::fs::write(sample.path(file), expectations).unwrap();
        let check = ["check", "app.tar", "--expect", file, "--no-vm", "--json"];
        let output = sample.seatrial(&check);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        let error = case(&verdict, "file /www/large");
        let advice = if file.ends_with(".toml") { advice } else { "" };
        let problem = format!("{problem}{advice}");
        assert_eq!((&error["outcome"], &error["problem"]), (&"error".into(), &problem.into()));
        let filtered = sample.seatrial(&[&check[..], &["--filter", "environment"]].concat());
        assert_eq!(filtered.status.code(), Some(0), "{filtered:?}");
    }
    let (output, _) =
        sample.check("[[file]]\npath = '/www/large'\nsize = 67108865\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

const LARGE_FILE_OF_A_SERVICE: &str = r#"
[[setup]]
container.shell = "exit 3"
[[service]]
name = "with a large file"
ready.log = "made"
file = [{ path = "/large", content = { not_contains = "x" } }]
[service.container]
user = "0"
shell = "busybox truncate -s 67108865 /large; echo made; exec sleep 999"
"#;

#[test]
fn a_filter_runs_the_setup_only_if_a_test_case_needs_it_and_a_large_file_of_a_service_is_an_error()
{
    let sample = SampleImage::new();
    let environment = ["--engine", "docker-20.10", "--filter", "environment"];
    let (output, verdict) = sample.check(LARGE_FILE_OF_A_SERVICE, &environment);
    assert_eq!(output.status.code(), Some(0), "{verdict:#}");
    let expected =
        [("environment of the config", "passed"), ("environment of a container", "passed")];
    assert_eq!(outcomes(&verdict), expected);

    let without_setup = LARGE_FILE_OF_A_SERVICE.replace("exit 3", "exit 0");
    let (output, verdict) = sample.check(&without_setup, &["--engine", "docker-20.10"]);
    assert_eq!(output.status.code(), Some(3), "{verdict:#}");
    let error = case(&verdict, "service with a large file");
    let problem = "failed to check the content of /large: it has 67108865 bytes, and";
    assert!(error["problem"].as_str().unwrap().starts_with(problem), "{error:#}");
}

#[test]
fn a_failed_static_check_ends_with_exit_code_1_even_without_an_engine() {
    let sample = SampleImage::new();
    let (output, _) = sample.check("[image]\narchitecture='s390x'\n", &["--no-vm"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reproducible_build_passes_for_a_recipe_and_is_skipped_for_an_archive() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[image]\nreproducible=true\n").unwrap();
    let images = ["check", "app.toml", "app.tar", "--expect", "e.toml", "--no-vm", "--json"];
    let output = sample.seatrial(&images);
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    let builds: Vec<(&str, &str)> =
        outcomes(&verdict).into_iter().filter(|(name, _)| *name == "reproducible build").collect();
    let expected = [("reproducible build", "passed"), ("reproducible build", "skipped")];
    assert_eq!(builds, expected, "{verdict:#}");
}

#[test]
fn an_engine_that_cannot_be_started_is_an_error_whatever_the_filter_selects() {
    let sample = SampleImage::new();
    std::fs::write(sample.path("e.toml"), "[[run]]\nname='x'\nstdout=''\n").unwrap();
    let arguments = ["check", "app.tar", "--expect", "e.toml", "--filter", "run x", "--json"];
    let cache = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_seatrial"));
    // Without programs, a guest cannot be assembled.
    command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", cache.path());
    let output = run(command.args(arguments).current_dir(sample.0.path()));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(verdict["cases"][0]["outcome"], "error");
}
